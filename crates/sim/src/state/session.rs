//! Temporary credentials: the sessions of assumed roles.

use super::Millis;

/// A session of an assumed role.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The role's account.
    pub account: String,
    pub role_name: String,
    pub role_arn: String,
    pub role_id: String,
    /// The name that its caller gave it.
    pub name: String,
    /// What its calls would be signed with; nobody checks that here.
    pub secret: String,
    /// What has to come with the access key.
    pub token: String,
    pub expires: Millis,
}

impl Session {
    /// `arn:aws:sts::…:assumed-role/role/session`
    pub(crate) fn arn(&self) -> String {
        let (account, role, name) = (&self.account, &self.role_name, &self.name);
        format!("arn:aws:sts::{account}:assumed-role/{role}/{name}")
    }
}
