//! Whose AWS account a namespace uses: its own, by an access key or a role, or the server's where the operator lets it.

use crate::cluster::Invalid;

/// The namespaces that may use the server's own credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ambient {
    /// None.
    #[default]
    Nobody,
    /// Every one.
    Everybody,
    /// These.
    Only(Vec<String>),
}

impl Ambient {
    /// Reads names with commas between them, or `*`.
    pub fn read(text: &str) -> Self {
        let names: Vec<_> = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        match names.as_slice() {
            [] => Self::Nobody,
            names if names.iter().any(|name| name == "*") => Self::Everybody,
            _ => Self::Only(names),
        }
    }

    /// Whether a namespace may.
    pub fn lets(&self, namespace: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// An IAM role of a user's, by its ARN ("IAM identifiers").
///
/// # Errors
/// What is wrong with it.
pub fn validate_role_arn(field: &str, arn: &str) -> Result<(), Invalid> {
    let account_of = |rest: &str| rest.split_once(":role/").map(|(id, _)| id.to_owned());
    let partition = ["arn:aws:iam::", "arn:aws-us-gov:iam::", "arn:aws-cn:iam::"];
    let rest = partition.iter().find_map(|front| arn.strip_prefix(front));
    let account = rest.and_then(account_of);
    let is_sound = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/:".contains(c);
    let named = !arn.ends_with('/') && arn.len() <= 2048 && arn.chars().all(is_sound);
    if named && account.is_some_and(|id| is_account(&id)) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        "it is no role's ARN; one looks like arn:aws:iam::123456789012:role/berth",
    ))
}

/// An access key's id. Neither it nor the secret is repeated in an error: they may have been mixed up.
///
/// # Errors
/// What is wrong with it.
pub fn validate_access_key_id(field: &str, id: &str) -> Result<(), Invalid> {
    if id.starts_with("ASIA") {
        let words =
            "temporary credentials end by themselves; give an access key of an IAM user, or a role";
        return Err(Invalid::new(field, words));
    }
    let is_sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if (3..=128).contains(&id.len()) && id.chars().all(is_sound) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        "it is no access key's id: it has 16 to 128 letters and digits, as AKIAIOSFODNN7EXAMPLE",
    ))
}

/// The secret of an access key.
///
/// # Errors
/// What is wrong with it.
pub fn validate_secret(field: &str, secret: &str) -> Result<(), Invalid> {
    let is_sound = |c: char| c.is_ascii_graphic();
    if !secret.is_empty() && secret.len() <= 256 && secret.chars().all(is_sound) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        "it is no secret of an access key: it has up to 256 letters, digits and signs, without spaces",
    ))
}

/// Whether a text is an account's id.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_that_may_use_the_servers_credentials_are_named() {
        for text in ["", " ", ","] {
            assert_eq!(Ambient::read(text), Ambient::Nobody, "{text:?}");
        }
        assert!(Ambient::read("*").lets("eve"));
        assert!(Ambient::read("dev, *").lets("eve"));
        let some = Ambient::read("dev, ops");
        assert!(some.lets("dev") && some.lets("ops"));
        assert!(!some.lets("eve") && !some.lets("") && !some.lets("de"));
        assert!(!Ambient::default().lets("dev"));
    }

    #[test]
    fn a_role_is_named_by_its_arn() {
        let check = |arn: &str| validate_role_arn("role_arn", arn);
        for arn in [
            "arn:aws:iam::123456789012:role/berth",
            "arn:aws:iam::123456789012:role/path/to/berth",
            "arn:aws-cn:iam::123456789012:role/berth",
        ] {
            assert_eq!(check(arn), Ok(()), "{arn}");
        }
        for arn in [
            "",
            "berth",
            "arn:aws:iam::123456789012:user/berth",
            "arn:aws:iam::12345678901:role/berth",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:sts::123456789012:assumed-role/berth/one",
        ] {
            let words = check(arn).unwrap_err().to_string();
            assert!(words.starts_with("role_arn: "), "{words}");
        }
    }

    #[test]
    fn what_is_no_access_key_is_not_repeated() {
        assert_eq!(validate_access_key_id("f", "AKIAIOSFODNN7EXAMPLE"), Ok(()));
        assert_eq!(validate_secret("f", "wJalrXUtnFEMI/K7MDENG+x"), Ok(()));
        for bad in ["", "a/secret/by/mistake", "ASIAIOSFODNN7EXAMPLE"] {
            let words = validate_access_key_id("f", bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !words.contains(bad), "{words}");
        }
        for bad in ["", "two words", "line\n"] {
            let words = validate_secret("f", bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !words.contains(bad), "{words}");
        }
    }
}
