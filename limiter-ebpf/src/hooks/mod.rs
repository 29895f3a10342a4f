//! One file a hook.

pub mod adopt;
pub mod audit;
pub mod connect;
pub mod correct;
pub mod count;
pub mod divert;
pub mod early;
pub mod enforce;
pub mod hold;
pub mod outgoing;
pub mod refuse;
pub mod wait;
