//! The public keys that may log in to a node.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::cluster::Invalid;

/// The member of a body that they stand in.
pub const FIELD: &str = "ssh_authorized_keys";
/// What sshd(8), "AUTHORIZED_KEYS FILE FORMAT", takes and OpenSSH has not given up.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Validates public keys, each a line as `ssh-keygen` writes it into a `.pub` file: its type, the key in base64, and perhaps a
/// comment. The same key twice is one.
///
/// # Errors
/// [`Invalid`] naming the first that is none, and what is wrong with it.
pub fn validate_keys(given: &[String]) -> Result<Vec<String>, Invalid> {
    let mut keys: Vec<String> = Vec::with_capacity(given.len());
    for (at, line) in given.iter().enumerate() {
        let line = line.trim();
        check(line).map_err(|reason| Invalid::new(format!("{FIELD}[{at}]"), reason))?;
        if !keys.iter().any(|key| key == line) {
            keys.push(line.to_owned());
        }
    }
    Ok(keys)
}

fn check(line: &str) -> Result<(), String> {
    if line.contains("PRIVATE KEY") {
        return Err("is a private key; give the line of the file that ends in .pub".to_owned());
    }
    if line.chars().any(char::is_control) {
        return Err("must be one line, without control characters".to_owned());
    }
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    if !TYPES.contains(&kind) {
        return Err(format!(
            "begins with {:?}, which is no type of a public key; it must begin with one of {}",
            shortened(kind),
            TYPES.join(", ")
        ));
    }
    let Some(key) = words.next() else {
        return Err(format!(
            "has nothing behind {kind}; the key in base64 must follow"
        ));
    };
    let blob = STANDARD
        .decode(key)
        .map_err(|_| format!("has {:?} for its key, which is no base64", shortened(key)))?;
    match fields(&blob) {
        // The type stands in the key once more (RFC 4253, 6.6).
        Some(fields) if fields.len() > 1 && fields[0] == kind.as_bytes() => Ok(()),
        Some(fields) if fields.len() > 1 => Err(format!(
            "says that it is {kind}, but its key is of type {:?}",
            shortened(&String::from_utf8_lossy(fields[0]))
        )),
        _ => Err("has a key that is cut off, or is none".to_owned()),
    }
}

/// The fields of a key, each with its length before it (RFC 4251, 5); none where they do not add up.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field);
        blob = rest;
    }
    Some(fields)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, fields: &[&[u8]]) -> String {
        let mut blob = Vec::new();
        for field in [kind.as_bytes()].iter().chain(fields) {
            blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
            blob.extend(*field);
        }
        STANDARD.encode(blob)
    }

    fn refusal(line: &str) -> String {
        let refused = validate_keys(&[line.to_owned()]).unwrap_err();
        assert_eq!(refused.field, "ssh_authorized_keys[0]");
        refused.reason
    }

    #[test]
    fn keys_of_every_type_are_taken_once_each_with_their_comments() {
        let lines: Vec<String> = TYPES
            .iter()
            .map(|kind| format!(" {kind} {} anna@example.com\n", key(kind, &[&[7; 32]])))
            .collect();
        let twice = [lines.clone(), lines.clone()].concat();
        let taken = validate_keys(&twice).unwrap();
        let trimmed: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(taken, trimmed);
        assert_eq!(validate_keys(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_no_public_key_is_refused_and_the_refusal_says_why() {
        let good = key("ssh-ed25519", &[&[7; 32]]);
        assert!(refusal("").contains("no type of a public key"));
        assert!(refusal("ssh-dss AAAA").contains("ssh-dss"));
        assert!(refusal(&format!("no-pty ssh-ed25519 {good}")).contains("no-pty"));
        assert!(refusal("ssh-ed25519").contains("nothing behind"));
        assert!(refusal("ssh-ed25519 !").contains("no base64"));
        assert!(refusal(&format!("ssh-rsa {good}")).contains("of type \"ssh-ed25519\""));
        assert!(refusal("ssh-ed25519 AAAA").contains("cut off"));
        assert!(refusal(&format!("ssh-ed25519 {}", key("ssh-ed25519", &[]))).contains("cut off"));
        assert!(refusal(&format!("ssh-ed25519 {good}\nssh-rsa x")).contains("one line"));
        assert!(refusal("-----BEGIN OPENSSH PRIVATE KEY-----").contains(".pub"));
    }
}
