//! Directives that may stand once in a context.

use super::{
    error::ConfigError,
    expand::{Item, duplicate},
    source::Span,
    syntax::Word,
};
use crate::policy::origin::Origin;

/// The value of such a directive, once it has been read.
#[derive(Debug)]
pub(super) struct Once<T>(Option<Written<T>>);

/// A value and its place.
#[derive(Debug)]
pub(super) struct Written<T> {
    pub(super) value: T,
    /// Name of the directive.
    word: Word,
    /// Of the second argument, which none of these directives demands.
    option: Option<Span>,
}

impl<T> Written<T> {
    pub(super) fn origin(&self) -> Origin {
        self.word.span.origin()
    }

    /// Where the part of the value comes from that the second argument gives.
    pub(super) fn option_origin(&self) -> Origin {
        self.option.as_ref().map(Span::origin).unwrap_or_default()
    }
}

// Derived, it would ask for `T: Default`.
impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Once<T> {
    pub(super) fn set(&mut self, item: &Item, value: T) -> Result<(), ConfigError> {
        if let Some(first) = &self.0 {
            return Err(duplicate(&item.word, &first.word));
        }
        // Not a parameter: those have origins of their own.
        let option = item.arguments.get(1).filter(|it| !it.value.contains('='));
        self.0 = Some(Written {
            value,
            word: item.word.clone(),
            option: option.map(|word| word.span.clone()),
        });
        Ok(())
    }

    pub(super) fn written(&self) -> Option<&Written<T>> {
        self.0.as_ref()
    }

    pub(super) fn value(&self) -> Option<&T> {
        self.written().map(|written| &written.value)
    }

    /// Where the value comes from, be it the default.
    pub(super) fn origin(&self) -> Origin {
        self.written().map(Written::origin).unwrap_or_default()
    }

    /// As [`Self::origin`], for the part that the second argument gives.
    pub(super) fn option_origin(&self) -> Origin {
        let written = self.written();
        written.map(Written::option_origin).unwrap_or_default()
    }
}
