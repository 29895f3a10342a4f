//! The configuration as a whole.

mod action;
mod attach;
mod errors;
mod files;
mod flags;
mod inheritance;
mod networks;
mod origins;
mod values;
mod warnings;
