//! STS: who am I, and what does this refusal say.

use crate::call::Call;
use crate::permissions;
use crate::protocol::{ApiError, Element, Outcome};

type Action = fn(&mut Call<'_>) -> Outcome;

const ACTIONS: &[(&str, Action)] = &[
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
        .text("UserId", &caller.access_key)
        .text("Account", &caller.account))
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
