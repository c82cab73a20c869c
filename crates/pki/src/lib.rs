//! Certificates: pure functions, which wait for nothing and read no clock.

mod certificate;

pub use certificate::{Certificate, NotACertificate};
