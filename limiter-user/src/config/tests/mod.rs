//! The configuration as a whole.

mod errors;
mod files;
mod flags;
mod inheritance;
mod mutation;
mod values;
