//! The EC2 Query protocol: a form comes in, XML goes out. Nothing here knows what an action does.

pub(crate) mod auth;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod page;
pub(crate) mod params;
pub(crate) mod xml;

pub(crate) use error::{ApiError, Outcome};
pub(crate) use params::{Params, Scope};
pub(crate) use xml::{Element, el};
