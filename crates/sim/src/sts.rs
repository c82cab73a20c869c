//! STS: who am I, in which role, and what does this refusal say.

use crate::call::Call;
use crate::clock::iso;
use crate::permissions::{self, Trust};
use crate::protocol::auth::TEMPORARY;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::Session;

type Action = fn(&mut Call<'_>) -> Outcome;

const ACTIONS: &[(&str, Action)] = &[
    ("AssumeRole", assume_role),
    ("DecodeAuthorizationMessage", decode_authorization_message),
    ("GetCallerIdentity", get_caller_identity),
];

pub(crate) fn run(call: &mut Call<'_>, name: &str) -> Outcome {
    match ACTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, action)) => action(call),
        None => Err(ApiError::bad(
            "InvalidAction",
            format!("Could not find operation {name} for version 2011-06-15"),
        )),
    }
}

pub(crate) fn names() -> Vec<&'static str> {
    ACTIONS.iter().map(|(name, _)| *name).collect()
}

fn get_caller_identity(call: &mut Call<'_>) -> Outcome {
    let caller = call.caller;
    call.read()?;
    Ok(Element::answer()
        .text("Arn", caller.arn())
        .text("UserId", caller.user_id())
        .text("Account", &caller.account))
}

/// How long a session may last, in seconds, and how long it lasts by default (API reference, "AssumeRole").
const DURATIONS_S: (i64, i64, i64) = (900, 3600, 43_200);

fn assume_role(call: &mut Call<'_>) -> Outcome {
    let arn = call.params.required("RoleArn")?;
    let name = call.params.required("RoleSessionName")?;
    let external_id = call.params.text("ExternalId");
    let duration_s = call.params.number("DurationSeconds")?;
    let (least, usual, most) = DURATIONS_S;
    let duration_s = duration_s.unwrap_or(usual);
    let of_role = arn.strip_prefix("arn:aws:iam::").and_then(|rest| {
        let (account, path) = rest.split_once(":role/")?;
        Some((account, path.rsplit('/').next()?))
    });
    let sound = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let (Some((account, role_name)), true, true) = (
        of_role,
        (2..=64).contains(&name.len()) && name.chars().all(sound),
        (least..=most).contains(&duration_s),
    ) else {
        let message = "1 validation error detected: the ARN, the session's name or its duration";
        return Err(ApiError::bad("ValidationError", message));
    };
    call.look()?;
    // A role that there is not is denied in the same words as one that does not trust the caller.
    let role = call.role(account, role_name).filter(|it| it.arn == arn);
    let trust = role.and_then(|it| Trust::read(&it.trust).ok());
    let role_id = role.map(|it| it.id.clone()).unwrap_or_default();
    call.is_trusted(arn, trust.as_ref(), external_id)?;
    let lasts_s = u64::try_from(duration_s).unwrap_or_default();
    let lasts_ms = call.config.session_ms.unwrap_or(lasts_s * 1000);
    let expires = call.now + lasts_ms;
    let iam = call.change()?.iam;
    let access_key = iam.ids.iam(TEMPORARY);
    let (secret, token) = (iam.ids.uuid(), iam.ids.uuid());
    let session = Session {
        account: account.to_owned(),
        role_name: role_name.to_owned(),
        role_arn: arn.to_owned(),
        role_id,
        name: name.to_owned(),
        secret: secret.clone(),
        token: token.clone(),
        expires,
    };
    let user = el("AssumedRoleUser")
        .text("AssumedRoleId", format!("{}:{name}", session.role_id))
        .text("Arn", session.arn());
    let credentials = el("Credentials")
        .text("AccessKeyId", &access_key)
        .text("SecretAccessKey", secret)
        .text("SessionToken", token)
        .text("Expiration", iso(expires));
    call.begin_session(access_key, session);
    Ok(Element::answer().child(credentials).child(user))
}

fn decode_authorization_message(call: &mut Call<'_>) -> Outcome {
    let encoded = call.params.required("EncodedMessage")?;
    call.read()?;
    let message = permissions::decode(encoded).ok_or_else(|| {
        ApiError::bad(
            "InvalidAuthorizationMessageException",
            "Message is not valid",
        )
    })?;
    Ok(Element::answer().text("DecodedMessage", message))
}
