//! Certificates, authorities and secrets: functions that wait for nothing and read no clock. Keys come from the operating
//! system's random numbers.

mod access_key;
mod authority;
mod certificate;
mod sealed;
mod token;

pub use access_key::{open_access_key, reseal_access_key, seal_access_key};
pub use authority::{Authority, AuthorityError, Identity, Kept};
pub use certificate::{Certificate, NotACertificate};
pub use sealed::{SecretError, SecretKey};
pub use token::{fresh_token, token_digest};
