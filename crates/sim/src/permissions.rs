//! What a caller may do.
//!
//! Everything is allowed that was not denied to the access key by [`crate::Simulator::deny`]. Policy documents will be
//! evaluated in [`check`], the only place that is asked.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::protocol::ApiError;
use crate::protocol::auth::{Caller, Service};
use crate::protocol::filter::wildcard;

/// Refuses an action such as `ec2:CreateVpc` on a resource, in the words of the service that was asked.
pub(crate) fn check(
    denials: &BTreeSet<(String, String)>,
    caller: &Caller,
    action: &str,
    resource: &str,
) -> Result<(), ApiError> {
    let denied =
        |(key, pattern): &(String, String)| *key == caller.access_key && wildcard(pattern, action);
    if !denials.iter().any(denied) {
        return Ok(());
    }
    let who = caller.arn();
    let sentence = format!(
        "User: {who} is not authorized to perform: {action} on resource: {resource} with an explicit deny in an identity-based policy"
    );
    if caller.service != Service::Ec2 {
        return Err(ApiError::new(403, "AccessDenied", sentence));
    }
    let encoded = encode(caller, action, resource);
    Err(ApiError::new(
        403,
        "UnauthorizedOperation",
        format!(
            "You are not authorized to perform this operation. {sentence}. Encoded authorization failure message: {encoded}"
        ),
    ))
}

/// The message that sts:DecodeAuthorizationMessage reads again. AWS's is encrypted; this one is Base64 of the same JSON.
fn encode(caller: &Caller, action: &str, resource: &str) -> String {
    let message = json!({
        "allowed": false,
        "explicitDeny": true,
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
