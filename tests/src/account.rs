//! Accounts of their own, as their owners let Berth in.

use serde_json::{Value, json};

use crate::{ACCOUNT, IAM_POLICY, World};

/// The name of the role that owners make for Berth.
const ROLE: &str = "berth";

/// A trust policy that lets Berth's account in under an external id.
pub fn trust(external_id: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }]})
}

impl World {
    /// Makes a role for Berth in an account, with this trust policy and the documented permissions. Answers with its ARN.
    ///
    /// # Panics
    /// Where AWS refuses.
    pub async fn make_role(&self, account: &str, trust: &Value) -> String {
        let version = ("Version", "2010-05-08");
        let trust = trust.to_string();
        let role = [
            version,
            ("RoleName", ROLE),
            ("AssumeRolePolicyDocument", &trust),
        ];
        self.iam(account, "CreateRole", &role).await;
        let policy = [
            version,
            ("RoleName", ROLE),
            ("PolicyName", ROLE),
            ("PolicyDocument", IAM_POLICY),
        ];
        self.iam(account, "PutRolePolicy", &policy).await;
        format!("arn:aws:iam::{account}:role/{ROLE}")
    }

    /// Gives the role another trust policy.
    ///
    /// # Panics
    /// Where AWS refuses.
    pub async fn change_trust(&self, account: &str, trust: &Value) {
        let trust = trust.to_string();
        let changed = [
            ("Version", "2010-05-08"),
            ("RoleName", ROLE),
            ("PolicyDocument", &trust),
        ];
        self.iam(account, "UpdateAssumeRolePolicy", &changed).await;
    }

    /// Twelve digits are an access key of the account's owner in the simulator; moto is told the account.
    async fn iam(&self, account: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        self.aws_call_as(account, "iam", "us-east-1", action, parameters)
            .await
    }
}
