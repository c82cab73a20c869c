//! What a caller may do.
//!
//! An access key without a policy may do everything but what [`crate::Simulator::deny`] denies to it. One with a policy
//! may do what the policy allows ([`crate::Simulator::set_policy`]). A call is allowed when its action is allowed on each
//! of the resources that it is about, and where it gives tags to what it creates, `ec2:CreateTags` on that as well
//! ("Grant permission to tag Amazon EC2 resources during creation").

mod condition;
mod policy;
mod subject;
mod trust;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::protocol::auth::{Caller, Service};
use crate::protocol::filter::{Tags, wildcard};
use crate::protocol::{ApiError, Params};
use crate::state::Region;
use condition::Context;
use policy::Decision;
pub(crate) use policy::Policy;
pub(crate) use trust::Trust;

/// What is allowed and denied to all access keys.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    /// Explicit denials by (access key, action).
    pub denials: BTreeSet<(String, String)>,
    /// By access key.
    pub policies: BTreeMap<String, Policy>,
    /// Access keys that there are no longer.
    pub revoked: BTreeSet<String>,
}

static NO_TAGS: Tags = Tags::new();

impl Permissions {
    /// Refuses a call that is not allowed.
    pub(crate) fn check_call(
        &self,
        caller: &Caller,
        action: &str,
        params: &Params,
        region: &Region,
    ) -> Result<(), ApiError> {
        if !self.knows(caller) {
            return Ok(());
        }
        let name = format!("{}:{action}", caller.service.name());
        let specifications = subject::tagged(caller, params);
        let own = subject::tags(&params.root());
        let plain = Context {
            region: &caller.region,
            create_action: None,
            passed_to_service: None,
            external_id: None,
            request_tags: &own,
            resource_tags: Some(&NO_TAGS),
        };
        for it in subject::subjects(caller, action, params, region) {
            let given = specifications.iter().find(|(arn, _)| *arn == it.arn);
            let context = Context {
                request_tags: given.map_or(&own, |(_, tags)| tags),
                resource_tags: it.tags.as_ref(),
                ..plain
            };
            self.check(caller, &name, &it.arn, &context)?;
        }
        for (arn, tags) in &specifications {
            let context = Context {
                create_action: Some(action),
                request_tags: tags,
                ..plain
            };
            self.check(caller, "ec2:CreateTags", arn, &context)?;
        }
        Ok(())
    }

    /// Refuses to hand a role to EC2 ("Grant a user permissions to pass a role to an AWS service").
    pub(crate) fn check_pass_role(&self, caller: &Caller, role: &str) -> Result<(), ApiError> {
        let context = Context {
            region: &caller.region,
            create_action: None,
            passed_to_service: Some("ec2.amazonaws.com"),
            external_id: None,
            request_tags: &NO_TAGS,
            resource_tags: Some(&NO_TAGS),
        };
        self.check(caller, "iam:PassRole", role, &context)
    }

    /// Refuses to let the caller assume a role whose trust policy does not name them, or under another external id.
    pub(crate) fn check_trust(
        &self,
        caller: &Caller,
        role: &str,
        trust: Option<&Trust>,
        external_id: Option<&str>,
    ) -> Result<(), ApiError> {
        let context = Context {
            region: &caller.region,
            create_action: None,
            passed_to_service: None,
            external_id,
            request_tags: &NO_TAGS,
            resource_tags: Some(&NO_TAGS),
        };
        if trust.is_some_and(|it| it.lets(caller, &context)) {
            return Ok(());
        }
        let who = caller.arn();
        Err(ApiError::new(
            403,
            "AccessDenied",
            format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}"),
        ))
    }

    /// Whether anything at all is said about the caller.
    fn knows(&self, caller: &Caller) -> bool {
        let key = caller.principal();
        caller.assumed.is_some()
            || self.policies.contains_key(key)
            || self.denials.iter().any(|(denied, _)| denied == key)
    }

    fn check(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
        context: &Context<'_>,
    ) -> Result<(), ApiError> {
        let key = caller.principal();
        let denied = |(of, pattern): &(String, String)| of == key && wildcard(pattern, action);
        let decision = if self.denials.iter().any(denied) {
            Decision::ExplicitDeny
        } else {
            match &caller.assumed {
                // A role may do what one of its policies allows and none denies, and nothing without one.
                Some(assumed) => policy::decide_all(&assumed.policies, action, resource, context),
                None => {
                    let policy = self.policies.get(key);
                    policy.map_or(Decision::Allow, |it| it.decide(action, resource, context))
                }
            }
        };
        // The sentences are those of "Troubleshoot access denied error messages".
        let because = match decision {
            Decision::Allow => return Ok(()),
            Decision::ExplicitDeny => {
                "with an explicit deny in an identity-based policy".to_owned()
            }
            Decision::ImplicitDeny => {
                format!("because no identity-based policy allows the {action} action")
            }
        };
        let who = caller.arn();
        let sentence = format!(
            "User: {who} is not authorized to perform: {action} on resource: {resource} {because}"
        );
        if caller.service != Service::Ec2 {
            return Err(ApiError::new(403, "AccessDenied", sentence));
        }
        let encoded = encode(caller, action, resource, decision);
        Err(ApiError::new(
            403,
            "UnauthorizedOperation",
            format!(
                "You are not authorized to perform this operation. {sentence}. Encoded authorization failure message: {encoded}"
            ),
        ))
    }
}

/// The message that sts:DecodeAuthorizationMessage reads again. AWS's is encrypted; this one is Base64 of the same JSON.
fn encode(caller: &Caller, action: &str, resource: &str, decision: Decision) -> String {
    let message = json!({
        "allowed": false,
        "explicitDeny": decision == Decision::ExplicitDeny,
        "matchedStatements": {"items": []},
        "failures": {"items": []},
        "context": {
            "principal": {"id": caller.access_key, "name": caller.access_key, "arn": caller.arn()},
            "action": action,
            "resource": resource,
            "conditions": {"items": []},
        },
    });
    STANDARD.encode(message.to_string())
}

/// The JSON text of an encoded message.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value.get("context").map(|_| text)
}
