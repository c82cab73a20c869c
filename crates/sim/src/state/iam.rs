//! Identities of an account, as far as launching needs them: instance profiles and roles.

use std::collections::BTreeMap;

use super::{Ids, Millis};
use crate::permissions::Policy;

/// The identities of one account.
#[derive(Debug)]
pub(crate) struct Iam {
    pub account: String,
    pub ids: Ids,
    pub profiles: BTreeMap<String, Profile>,
    pub roles: BTreeMap<String, Role>,
}

/// An instance profile: the box in which a role is handed to an instance.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub name: String,
    pub id: String,
    pub arn: String,
    pub path: String,
    pub created: Millis,
    /// At most one, says IAM.
    pub role: Option<String>,
}

/// A role.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub name: String,
    pub id: String,
    pub arn: String,
    pub path: String,
    pub created: Millis,
    pub trust: String,
    /// Its inline policies, by their names.
    pub policies: BTreeMap<String, Policy>,
    pub description: Option<String>,
}

impl Iam {
    pub(crate) fn new(account: &str, ids: Ids) -> Self {
        Self {
            account: account.to_owned(),
            ids,
            profiles: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }

    pub(crate) fn profile_by_arn(&self, arn: &str) -> Option<&Profile> {
        self.profiles.values().find(|profile| profile.arn == arn)
    }
}
