//! The streams: WebSockets on which changes are told as they happen.
//!
//! One [`hub`] per replica listens to Postgres and follows the event log; every open [`socket`] gets what it publishes.
//! What a socket sends comes from its source: the event log, filtered ([`follow`], [`filter`]), or an action's log.
//! The rows are the truth and the hub only says that there are new ones, so whatever was missed is read from them.

pub(crate) mod filter;
pub(crate) mod follow;
pub(crate) mod frame;
pub(crate) mod guests;
pub(crate) mod hub;
pub(crate) mod query;
pub(crate) mod socket;

pub(crate) use hub::Streams;
