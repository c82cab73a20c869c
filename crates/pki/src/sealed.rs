//! Secrets at rest: AES-256-GCM under the installation's secret key.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};

const KEY_BYTES: usize = 32;

/// The key under which an installation seals what must not be read in its database.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_BYTES]);

/// Why something is no secret key, or can't be opened with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text does not hold such a key; it is not repeated.
    #[error(
        "the secret key must be {KEY_BYTES} random bytes in base64, as `openssl rand -base64 {KEY_BYTES}` prints them"
    )]
    NotAKey,
    /// It was sealed under another key, or changed since.
    #[error(
        "what is sealed in the database does not open: BERTH_SECRET_KEY is not the key that it was sealed under"
    )]
    DoesNotOpen,
    /// The library refused.
    #[error("nothing can be sealed on this machine")]
    CanNotSeal,
}

impl SecretKey {
    /// A new key.
    ///
    /// # Errors
    /// Where the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, SecretError> {
        let mut bytes = [0; KEY_BYTES];
        rand::fill(&mut bytes).map_err(|_| SecretError::CanNotSeal)?;
        Ok(Self(bytes))
    }

    /// Reads a key from base64; white space around it does not matter.
    ///
    /// # Errors
    /// [`SecretError::NotAKey`].
    pub fn from_base64(text: &str) -> Result<Self, SecretError> {
        let bytes = STANDARD
            .decode(text.trim())
            .map_err(|_| SecretError::NotAKey)?;
        let bytes = bytes.try_into().map_err(|_| SecretError::NotAKey)?;
        Ok(Self(bytes))
    }

    /// The key in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Seals a secret for this place: what is sealed opens nowhere else.
    ///
    /// # Errors
    /// [`SecretError::CanNotSeal`].
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .aead()?
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|_| SecretError::CanNotSeal)?;
        Ok([&nonce.as_ref()[..], &sealed].concat())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let closed = SecretError::DoesNotOpen;
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(closed.clone())?;
        let mut opened = sealed.to_vec();
        let length = self
            .aead()?
            .open_in_place(Nonce::from(nonce), Aad::from(place.as_bytes()), &mut opened)
            .map_err(|_| closed)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    fn aead(&self) -> Result<RandomizedNonceKey, SecretError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| SecretError::CanNotSeal)
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_at_the_same_place_alone() {
        let key = SecretKey::generate().unwrap();
        let sealed = key.seal("a", b"secret").unwrap();
        assert_eq!(key.open("a", &sealed).unwrap(), b"secret");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(sealed, key.seal("a", b"secret").unwrap());
        assert_eq!(key.open("b", &sealed), Err(SecretError::DoesNotOpen));
        let other = SecretKey::generate().unwrap();
        assert_eq!(other.open("a", &sealed), Err(SecretError::DoesNotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open("a", &changed), Err(SecretError::DoesNotOpen));
            assert!(key.open("a", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_base64(&format!(" {}\n", key.to_base64())).unwrap();
        assert_eq!(again.0, key.0);
        for text in ["", "dev", "c2hvcnQ=", &"A".repeat(64)] {
            let refused = SecretKey::from_base64(text);
            assert_eq!(refused.unwrap_err(), SecretError::NotAKey, "{text}");
        }
        assert_eq!(format!("{key:?}"), "SecretKey(…)");
    }
}
