//! The zones, by name.

use limiter_common::policy::MAX_ZONES;

use super::{
    error::{ConfigError, shown},
    expand::Item,
    suggest,
    syntax::Word,
    zone::Definition,
};

/// The zones read so far.
#[derive(Debug, Default)]
pub(super) struct Zones(Vec<Definition>);

impl Zones {
    pub(super) fn define(&mut self, item: &Item) -> Result<(), ConfigError> {
        let definition = Definition::read(item)?;
        let name = &definition.zone.name;
        if let Some(other) = self.0.iter().find(|other| other.zone.name == *name) {
            let message = format!(
                "limit_conn_zone \"{}\" is already bound to key \"{}\"",
                shown(name),
                shown(&other.zone.key.text)
            );
            return Err(ConfigError::at(&definition.word.span, message)
                .expected("this name is taken")
                .related(&other.word.span, "defined here before"));
        }
        if self.0.len() == MAX_ZONES as usize {
            let message = format!("too many zones, {MAX_ZONES} at the most");
            return Err(ConfigError::at(&item.word.span, message));
        }
        self.0.push(definition);
        Ok(())
    }

    /// The position of the zone that `limit_conn` names.
    pub(super) fn find(&self, word: &Word) -> Result<usize, ConfigError> {
        let names = || self.0.iter().map(|it| it.zone.name.as_str());
        if let Some(index) = names().position(|name| name == word.value) {
            return Ok(index);
        }
        let error = ConfigError::at(
            &word.span,
            format!("unknown zone \"{}\"", shown(&word.value)),
        )
        .expected(match suggest::closest(&word.value, names()) {
            Some(close) => format!("did you mean \"{}\"?", shown(close)),
            None => "expected the name of a zone".to_owned(),
        });
        let known: Vec<_> = names().map(|name| format!("\"{}\"", shown(name))).collect();
        Err(error.help(if known.is_empty() {
            "no zone is defined; limit_conn_zone KEY zone=NAME:SIZE; defines one".to_owned()
        } else {
            format!("known zones: {}", known.join(", "))
        }))
    }

    /// In their order.
    pub(super) fn all(&self) -> &[Definition] {
        &self.0
    }
}
