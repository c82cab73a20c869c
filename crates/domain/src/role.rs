//! Roles: what somebody may do in a namespace.
//!
//! Source: Docker Cloud's permissions of organizations, "Nodes": read sees; read-write also scales and checks the health;
//! admin also creates, deploys, updates, upgrades and terminates, gets certificates and makes registration tokens.

use crate::{action::ActionKind, cluster::Invalid, state::texts};

texts! {
    /// What somebody may do. A greater one may do all that a lesser one may.
    Role {
        /// To see.
        Read = "read",
        /// To change how many nodes there are, too, and to check them.
        ReadWrite = "read-write",
        /// Everything.
        Admin = "admin",
    }
}

/// What a caller may do where they call: no more than the key, and no more than the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The key's role.
    pub key: Role,
    /// The user's role in the namespace: admin in their own.
    pub member: Role,
}

/// Something that a role does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The key may not do it.
    #[error("this needs the role {needed}, and the API key has {has}: use another key")]
    Key {
        /// What it needs.
        needed: Role,
        /// What the key has.
        has: Role,
    },
    /// The user may not do it in this namespace.
    #[error(
        "this needs the role {needed}, and yours in this organization is {has}: one of its admins can change that"
    )]
    Member {
        /// What it needs.
        needed: Role,
        /// What the user has.
        has: Role,
    },
}

impl Access {
    /// What it comes to.
    pub fn role(self) -> Role {
        self.key.min(self.member)
    }

    /// Whether it is enough for what needs this role.
    ///
    /// # Errors
    /// [`Denied`], with what is lacking.
    pub fn check(self, needed: Role) -> Result<(), Denied> {
        match self {
            Self { member, .. } if member < needed => Err(Denied::Member {
                needed,
                has: member,
            }),
            Self { key, .. } if key < needed => Err(Denied::Key { needed, has: key }),
            Self { .. } => Ok(()),
        }
    }
}

impl ActionKind {
    /// The role that it takes to ask for such an action, and so to cancel or repeat one.
    pub fn needs(self) -> Role {
        match self {
            Self::ScaleCluster | Self::CheckNode => Role::ReadWrite,
            _ => Role::Admin,
        }
    }
}

const LONGEST_NAME: usize = 63;

/// Whether users, organizations and keys may be named so: the first two stand in paths.
///
/// # Errors
/// What a name must look like.
pub fn validate_name(field: &str, name: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well && name.len() <= LONGEST_NAME && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!(
            "{name:?} can't be a name: it must begin with a lower-case letter or a digit and may have up to \
             {LONGEST_NAME} lower-case letters, digits, \"-\" and \"_\""
        ),
    ))
}

/// The role that a text names.
///
/// # Errors
/// Which roles there are.
pub fn parse_role(field: &str, text: &str) -> Result<Role, Invalid> {
    text.parse().map_err(|_| {
        let all: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        Invalid::new(
            field,
            format!("{text:?} is no role; there are {}", all.join(", ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_no_more_than_the_key_and_no_more_than_the_member() {
        for &key in Role::ALL {
            for &member in Role::ALL {
                let access = Access { key, member };
                for &needed in Role::ALL {
                    let is_enough = key >= needed && member >= needed;
                    assert_eq!(access.check(needed).is_ok(), is_enough);
                    assert_eq!(access.role() >= needed, is_enough);
                }
            }
        }
    }

    #[test]
    fn a_refusal_says_what_is_lacking() {
        let access = Access {
            key: Role::Read,
            member: Role::Admin,
        };
        let denied = access.check(Role::Admin).unwrap_err().to_string();
        assert!(denied.contains("the API key has read"), "{denied}");
    }

    #[test]
    fn names_that_can_not_stand_in_a_path_are_refused() {
        for good in ["a", "0", "a-b_c", &"a".repeat(63)] {
            assert!(validate_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "a/b", "a b", "ä", &"a".repeat(64)] {
            let error = validate_name("name", bad).unwrap_err().to_string();
            assert!(error.starts_with("name: "), "{error}");
        }
        assert!(
            parse_role("role", "owner")
                .unwrap_err()
                .to_string()
                .contains("read-write")
        );
    }
}
