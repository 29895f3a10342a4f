//! What the main context and a `server` have in common, and how the one inherits from the other.

use limiter_common::policy::MAX_LIMITS;

use super::{
    action,
    build::{invalid_value, misread},
    directives::Kind,
    error::{ConfigError, shown},
    expand::{Item, duplicate},
    syntax::Word,
    word,
    zones::Zones,
};
use crate::policy::{Action, LimitConn, LogLevel};

/// The `limit_conn…` directives of one context.
#[derive(Debug, Default)]
pub(super) struct Level {
    limits: Vec<NamedLimit>,
    pub(super) dry_run: Once<bool>,
    pub(super) log_level: Once<LogLevel>,
    pub(super) action: Once<Action>,
}

#[derive(Debug)]
struct NamedLimit {
    zone: Word,
    number: u16,
}

impl Level {
    /// Reads one of the directives above; the caller has made sure that it is one.
    pub(super) fn take(&mut self, item: &Item) -> Result<(), ConfigError> {
        match (item.kind, item.arguments.as_slice()) {
            (Kind::LimitConn, [zone, number]) => self.limit(item, zone, number),
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
        let number = word::connections(&number.value).map_err(|error| misread(number, error))?;
        self.limits.push(NamedLimit {
            zone: zone.clone(),
            number,
        });
        Ok(())
    }

    /// The limits with the positions of their zones.
    pub(super) fn resolve(&self, zones: &Zones) -> Result<Vec<LimitConn>, ConfigError> {
        self.limits
            .iter()
            .map(|limit| {
                Ok(LimitConn {
                    zone: zones.find(&limit.zone)?,
                    number: limit.number,
                })
            })
            .collect()
    }

    pub(super) fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }
}

fn action(item: &Item, kind: &Word, parameter: Option<&Word>) -> Result<Action, ConfigError> {
    let of_kind =
        action::kind(&kind.value).map_err(|error| invalid_value(item, kind, &error.expected))?;
    let text = parameter.map(|word| word.value.as_str());
    action::action(of_kind, text).map_err(|error| misread(parameter.unwrap_or(kind), error))
}

/// A directive that may stand once in a context.
#[derive(Debug)]
pub(super) struct Once<T>(Option<(T, Word)>);

// Derived, it would ask for `T: Default`.
impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Once<T> {
    pub(super) fn set(&mut self, item: &Item, value: T) -> Result<(), ConfigError> {
        if let Some((_, first)) = &self.0 {
            return Err(duplicate(&item.word, first));
        }
        self.0 = Some((value, item.word.clone()));
        Ok(())
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.0.as_ref().map(|(value, _)| value)
    }

    pub(super) fn into_value(self) -> Option<T> {
        self.0.map(|(value, _)| value)
    }
}

impl<T: Copy> Once<T> {
    /// Own value, else the inherited one.
    pub(super) fn or(&self, inherited: &Self) -> Option<T> {
        self.value().or(inherited.value()).copied()
    }
}
