//! One file a hook.

pub mod adopt;
pub mod count;
pub mod enforce;
