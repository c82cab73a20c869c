//! The only one that talks to Docker engines: whether the one of a host answers.
//!
//! An engine is known by its certificate, which its agent has announced: whoever shows another one, or has not the key
//! that belongs to it, is not that engine, whatever its address and name.

mod pinned;
mod reach;
mod way;

pub use reach::{PORTS, Unreachable, reach};
pub use way::{Proxy, Way};
