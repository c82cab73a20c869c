//! Secrets of AWS's access keys at rest.

use crate::{SecretError, SecretKey};

/// Seals the secret of an access key of a link. It opens for that link and that key alone, so that no row can be given the
/// secret of another one.
///
/// # Errors
/// [`SecretError`].
pub fn seal_access_key(
    link: &str,
    access_key_id: &str,
    secret: &str,
    key: &SecretKey,
) -> Result<Vec<u8>, SecretError> {
    key.seal(&place(link, access_key_id), secret.as_bytes())
}

/// The secret of an access key as it was sealed.
///
/// # Errors
/// [`SecretError`].
pub fn open_access_key(
    link: &str,
    access_key_id: &str,
    sealed: &[u8],
    key: &SecretKey,
) -> Result<String, SecretError> {
    let secret = key.open(&place(link, access_key_id), sealed)?;
    String::from_utf8(secret).map_err(|_| SecretError::DoesNotOpen)
}

/// The same secret sealed under the key that seals; none where it is already.
///
/// # Errors
/// [`SecretError`].
pub fn reseal_access_key(
    link: &str,
    access_key_id: &str,
    sealed: &[u8],
    key: &SecretKey,
) -> Result<Option<Vec<u8>>, SecretError> {
    key.reseal(&place(link, access_key_id), sealed)
}

fn place(link: &str, access_key_id: &str) -> String {
    format!("access key {access_key_id} of link {link}")
}
