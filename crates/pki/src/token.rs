//! Tokens with which machines register.

use aws_lc_rs::{digest, rand};

use crate::SecretError;

/// A new token: 128 random bits in hexadecimal, the form that the original agent expects.
///
/// # Errors
/// Where the operating system has no random bytes to give.
pub fn fresh_token() -> Result<String, SecretError> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| SecretError::CanNotSeal)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is kept of a token where it is only to be known again: its SHA-256. There is nothing to guess in 128 random bits,
/// so that nothing slow is needed to protect it.
pub fn token_digest(token: &str) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_as_long_as_the_original_agents_and_never_the_same() {
        let (one, other) = (fresh_token().unwrap(), fresh_token().unwrap());
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
        assert_ne!(token_digest(&one), token_digest(&other));
    }
}
