//! A node cluster as its user asks for it.

use crate::{node::Readiness, provider_options::ProviderOptions};

/// The disk of a node when none is asked for, in GB (Docker Cloud API reference, "Create a new node cluster").
pub const DEFAULT_DISK_GB: u32 = 60;
/// Canonical's images have a snapshot of 8 GB, and EC2 makes no root volume smaller than its snapshot.
pub const MIN_DISK_GB: u32 = 8;
/// The largest gp3 volume (EBS user guide, "General Purpose SSD volumes").
pub const MAX_DISK_GB: u32 = 16_384;
/// The most nodes one cluster may have.
pub const MAX_NODES: u32 = 1000;
const MAX_NAME_LENGTH: usize = 128;
const MAX_TAG_LENGTH: usize = 128;
const MAX_TAGS: usize = 100;

/// A value that a user gave and that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The member of the body, its path dotted.
    pub field: String,
    /// What was wrong with its value, and the way out.
    pub reason: String,
}

impl Invalid {
    /// Names the field and what was wrong with its value.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

/// A validated wish for a new cluster. Region and node type were found in the catalogue by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCluster {
    /// Unique among the live clusters of its namespace.
    pub name: String,
    /// A name for people; the name itself where none was given.
    pub nickname: String,
    /// `us-east-1`
    pub region: String,
    /// `t3.micro`
    pub node_type: String,
    /// Root volume in GB.
    pub disk_gb: u32,
    /// How many nodes are wanted.
    pub target_num_nodes: u32,
    /// The user's own tags.
    pub tags: Vec<String>,
    /// The AWS side.
    pub provider_options: ProviderOptions,
    /// The public keys that may log in to its nodes.
    pub ssh_authorized_keys: Vec<String>,
    /// What makes its nodes usable.
    pub readiness: Readiness,
}

/// The name of a cluster: letters, digits, `-` and `_` (Docker Cloud, "Your first node").
///
/// # Errors
/// [`Invalid`] for an empty name, one that is too long, and one with another character.
pub fn validate_name(name: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        return Err(Invalid::new("name", "is required"));
    }
    if name.len() > MAX_NAME_LENGTH {
        return Err(Invalid::new(
            "name",
            format!("has {} characters; at most {MAX_NAME_LENGTH}", name.len()),
        ));
    }
    if !name.chars().all(allowed) {
        return Err(Invalid::new(
            "name",
            format!("{name:?} may only have letters, digits, \"-\" and \"_\""),
        ));
    }
    Ok(())
}

/// How many nodes are wanted.
///
/// # Errors
/// [`Invalid`] outside 0 to [`MAX_NODES`].
pub fn validate_target(target: i64) -> Result<u32, Invalid> {
    in_range("target_num_nodes", target, 0, MAX_NODES)
}

/// The root volume in GB.
///
/// # Errors
/// [`Invalid`] outside [`MIN_DISK_GB`] to [`MAX_DISK_GB`].
pub fn validate_disk(disk_gb: i64) -> Result<u32, Invalid> {
    in_range("disk", disk_gb, MIN_DISK_GB, MAX_DISK_GB)
}

fn in_range(field: &str, value: i64, min: u32, max: u32) -> Result<u32, Invalid> {
    u32::try_from(value)
        .ok()
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| {
            Invalid::new(
                field,
                format!("{value} is out of range; it must be from {min} to {max}"),
            )
        })
}

/// The user's tags, in their order, each once. The automatic ones, which clients send back with the list that they have
/// read, are not among them.
///
/// # Errors
/// [`Invalid`] for an empty or overlong tag, and for too many.
pub fn validate_tags(tags: Vec<String>, automatic: &[String]) -> Result<Vec<String>, Invalid> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
        if automatic.contains(&tag) || kept.contains(&tag) {
            continue;
        }
        if tag.is_empty() || tag.chars().count() > MAX_TAG_LENGTH || tag.contains('\0') {
            return Err(Invalid::new(
                "tags",
                format!("{tag:?} must have 1 to {MAX_TAG_LENGTH} characters"),
            ));
        }
        if kept.len() == MAX_TAGS {
            let reason =
                format!("more than {MAX_TAGS} were given, which are the most there can be");
            return Err(Invalid::new("tags", reason));
        }
        kept.push(tag);
    }
    Ok(kept)
}

/// A nickname for people: any text without control characters.
///
/// # Errors
/// [`Invalid`] for an overlong one and for control characters.
pub fn validate_nickname(nickname: &str) -> Result<(), Invalid> {
    if nickname.chars().count() > MAX_NAME_LENGTH || nickname.chars().any(char::is_control) {
        return Err(Invalid::new(
            "nickname",
            format!("may have at most {MAX_NAME_LENGTH} characters and no control characters"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_dash_and_underscore() {
        assert!(validate_name("my-web_1").is_ok());
        for bad in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert!(validate_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_named_with_the_range() {
        assert_eq!(validate_target(1000), Ok(1000));
        let message = validate_target(-1).unwrap_err().to_string();
        assert_eq!(
            message,
            "target_num_nodes: -1 is out of range; it must be from 0 to 1000"
        );
        assert!(validate_disk(7).is_err());
        assert!(validate_disk(i64::MAX).is_err());
        assert_eq!(validate_disk(60), Ok(60));
    }

    #[test]
    fn a_tag_counts_once_and_an_automatic_one_not_at_all() {
        let own = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            validate_tags(tags, &["aws".to_owned()])
        };
        assert_eq!(own(&["a", "aws", "a"]), Ok(vec!["a".to_owned()]));
        assert!(own(&[""]).is_err());
        assert!(own(&[&"ä".repeat(128)]).is_ok());
        assert!(own(&[&"ä".repeat(129)]).is_err());
        let mut many: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        many.push("aws".to_owned());
        assert_eq!(
            validate_tags(many.clone(), &["aws".to_owned()]).map(|own| own.len()),
            Ok(100)
        );
        assert!(validate_tags(many, &[]).is_err());
    }
}
