//! Certificates, authorities and secrets: functions that wait for nothing and read no clock. Keys come from the operating
//! system's random numbers.

mod authority;
mod certificate;
mod sealed;
mod token;

pub use authority::{Authority, AuthorityError, Identity, Kept};
pub use certificate::{Certificate, NotACertificate};
pub use sealed::{SecretError, SecretKey};
pub use token::{fresh_token, token_digest};
