//! One file a hook.

pub mod adopt;
pub mod connect;
pub mod count;
pub mod divert;
pub mod early;
pub mod enforce;
pub mod refuse;
pub mod wait;
