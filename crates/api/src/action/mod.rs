//! Actions: what was asked for, by whom, and how it went. One for each mutation.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod wire;
