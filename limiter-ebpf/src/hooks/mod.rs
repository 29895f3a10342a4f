//! One file a hook.

pub mod adopt;
pub mod count;
pub mod early;
pub mod enforce;
