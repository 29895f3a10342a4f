//! What the main context and a `server` have in common: directives that are inherited.

use limiter_common::policy::MAX_LIMITS;

use super::{
    action,
    build::{invalid_value, misread},
    directives::Kind,
    error::{ConfigError, shown},
    expand::Item,
    networks::{Exempt, Overrides},
    once::Once,
    source::Span,
    syntax::Word,
    word,
};
use crate::policy::{Action, LogLevel};

/// The `limit_conn…` directives of one context.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) limits: Vec<NamedLimit>,
    pub(super) exempt: Exempt,
    pub(super) overrides: Overrides,
    pub(super) dry_run: Once<bool>,
    pub(super) log_level: Once<LogLevel>,
    pub(super) action: Once<Action>,
}

/// `limit_conn ZONE NUMBER`
#[derive(Debug)]
pub(super) struct NamedLimit {
    pub(super) zone: Word,
    pub(super) number: u16,
    /// Of the number.
    pub(super) place: Span,
}

impl Level {
    /// Reads one of the directives above; the caller has made sure that it is one.
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        match (item.kind, item.arguments.as_slice()) {
            (Kind::LimitConn, [zone, number]) => self.limit(item, zone, number),
            (Kind::LimitConnExempt, _) => self.exempt.take(item),
            (Kind::LimitConnOverride, _) => self.overrides.take(item),
            (Kind::LimitConnDryRun, [value]) => {
                let on = word::switch(&value.value)
                    .map_err(|error| invalid_value(item, value, &error.expected))?;
                self.dry_run.set(item, on)
            }
            (Kind::LimitConnLogLevel, [value]) => {
                let level = word::refusal_level(&value.value)
                    .map_err(|error| invalid_value(item, value, &error.expected))?;
                self.log_level.set(item, level)
            }
            (Kind::LimitConnAction, [kind, parameters @ ..]) => {
                let action = action(item, kind, parameters.first())?;
                self.action.set(item, action)
            }
            _ => Ok(()),
        }
    }

    fn limit(&mut self, item: &Item, zone: &Word, number: &Word) -> Result<(), ConfigError> {
        if let Some(first) = self
            .limits
            .iter()
            .find(|limit| limit.zone.value == zone.value)
        {
            let message = "\"limit_conn\" directive is duplicate";
            return Err(ConfigError::at(&item.word.span, message)
                .expected(format!(
                    "zone \"{}\" has a limit already",
                    shown(&zone.value)
                ))
                .related(&first.zone.span, "given here before"));
        }
        if self.limits.len() == MAX_LIMITS {
            let message = format!("too many limits, {MAX_LIMITS} in one place at the most");
            return Err(ConfigError::at(&item.word.span, message));
        }
        let place = number.span.clone();
        let number = word::connections(&number.value).map_err(|error| misread(number, error))?;
        self.limits.push(NamedLimit {
            zone: zone.clone(),
            number,
            place,
        });
        Ok(())
    }
}

fn action(item: &Item, kind: &Word, parameter: Option<&Word>) -> Result<Action, ConfigError> {
    let of_kind =
        action::kind(&kind.value).map_err(|error| invalid_value(item, kind, &error.expected))?;
    let text = parameter.map(|word| word.value.as_str());
    action::action(of_kind, text).map_err(|error| misread(parameter.unwrap_or(kind), error))
}
