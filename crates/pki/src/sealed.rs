//! Secrets at rest: AES-256-GCM under the installation's secret key. What is sealed says under which key, so that keys can
//! be replaced.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};

const KEY_BYTES: usize = 32;
/// What everything that is sealed begins with, before the name of its key. What was sealed by the first versions has
/// neither, and is tried with every key.
const MARK: &[u8] = b"berth1";
const NAME_BYTES: usize = 8;

/// The keys under which an installation seals what must not be read in its database: one that seals, and older ones, which
/// only open.
#[derive(Clone)]
pub struct SecretKey {
    current: Key,
    older: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    bytes: [u8; KEY_BYTES],
    /// The beginning of its SHA-256: it says which key something is sealed under, and nothing of the key.
    name: [u8; NAME_BYTES],
}

/// Why something is no secret key, or can't be opened with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text does not hold such a key; it is not repeated.
    #[error(
        "the secret key must be {KEY_BYTES} random bytes in base64, as `openssl rand -base64 {KEY_BYTES}` prints them; \
         older keys may follow it, each on a line of its own"
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
        Ok(Self {
            current: Key::new(bytes),
            older: Vec::new(),
        })
    }

    /// Reads a key from base64, and older keys after it; between them is white space.
    ///
    /// # Errors
    /// [`SecretError::NotAKey`].
    pub fn from_base64(text: &str) -> Result<Self, SecretError> {
        let mut keys = text.split_whitespace().map(Key::from_base64);
        Ok(Self {
            current: keys.next().ok_or(SecretError::NotAKey)??,
            older: keys.collect::<Result<_, _>>()?,
        })
    }

    /// The key that seals, in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.current.bytes)
    }

    /// Seals a secret for this place: what is sealed opens nowhere else.
    ///
    /// # Errors
    /// [`SecretError::CanNotSeal`].
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, SecretError> {
        let mut sealed = secret.to_vec();
        let nonce = self
            .current
            .aead()?
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .map_err(|_| SecretError::CanNotSeal)?;
        Ok([MARK, &self.current.name, nonce.as_ref(), &sealed].concat())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SecretError::DoesNotOpen`].
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let keys = || [&self.current].into_iter().chain(&self.older);
        match named(sealed) {
            Some((name, rest)) => keys()
                .find(|key| key.name == name)
                .ok_or(SecretError::DoesNotOpen)?
                .open(place, rest),
            None => keys()
                .find_map(|key| key.open(place, sealed).ok())
                .ok_or(SecretError::DoesNotOpen),
        }
    }

    /// The same secret sealed under the key that seals; none where it is already.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn reseal(&self, place: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SecretError> {
        let secret = self.open(place, sealed)?;
        match named(sealed) {
            Some((name, _)) if name == self.current.name => Ok(None),
            _ => self.seal(place, &secret).map(Some),
        }
    }
}

/// The name of the key that something is sealed under, and the rest.
fn named(sealed: &[u8]) -> Option<([u8; NAME_BYTES], &[u8])> {
    let (name, rest) = sealed.strip_prefix(MARK)?.split_first_chunk()?;
    Some((*name, rest))
}

impl Key {
    fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&digest.as_ref()[..NAME_BYTES]);
        Self { bytes, name }
    }

    fn from_base64(text: &str) -> Result<Self, SecretError> {
        let bytes = STANDARD.decode(text).map_err(|_| SecretError::NotAKey)?;
        let bytes = bytes.try_into().map_err(|_| SecretError::NotAKey)?;
        Ok(Self::new(bytes))
    }

    fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
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
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).map_err(|_| SecretError::CanNotSeal)
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
        assert_eq!(again.to_base64(), key.to_base64());
        let two = format!("{} c2hvcnQ=", key.to_base64());
        for text in ["", "dev", "c2hvcnQ=", &"A".repeat(64), &two] {
            let refused = SecretKey::from_base64(text);
            assert_eq!(refused.unwrap_err(), SecretError::NotAKey, "{text}");
        }
        assert_eq!(format!("{key:?}"), "SecretKey(…)");
    }

    #[test]
    fn an_older_key_opens_and_the_newest_seals() {
        let old = SecretKey::generate().unwrap();
        let new = SecretKey::generate().unwrap();
        let both = format!("{}\n{}\n", new.to_base64(), old.to_base64());
        let both = SecretKey::from_base64(&both).unwrap();
        let sealed = old.seal("a", b"secret").unwrap();
        assert_eq!(both.open("a", &sealed).unwrap(), b"secret");
        assert_eq!(new.open("a", &sealed), Err(SecretError::DoesNotOpen));

        let again = both.reseal("a", &sealed).unwrap().unwrap();
        assert_eq!(new.open("a", &again).unwrap(), b"secret");
        assert_eq!(old.open("a", &again), Err(SecretError::DoesNotOpen));
        assert_eq!(both.reseal("a", &again), Ok(None));
        assert!(both.reseal("b", &sealed).is_err());
    }

    #[test]
    fn what_an_earlier_version_sealed_opens_and_is_sealed_anew() {
        let key = SecretKey::generate().unwrap();
        let sealed = key.seal("a", b"secret").unwrap();
        let early = &sealed[MARK.len() + NAME_BYTES..];
        assert_eq!(key.open("a", early).unwrap(), b"secret");
        let again = key.reseal("a", early).unwrap().unwrap();
        assert_eq!(named(&again).unwrap().0, key.current.name);
    }
}
