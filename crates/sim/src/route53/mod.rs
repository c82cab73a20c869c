//! Route 53's actions: public hosted zones and what is in them ("Amazon Route 53 API Reference").
//!
//! The protocol is another one than EC2's: the path names the action, and bodies are XML. [`request`] reads a request
//! into the same flat parameters as those of the Query protocol, so that everything else works as for every service.

mod change;
mod hosted_zones;
mod record_sets;
mod request;
mod zones;

use crate::call::Call;
use crate::protocol::{ApiError, Outcome};

pub(crate) use request::{is_asked, read};
pub(crate) use zones::Zones;

type Action = fn(&mut Call<'_>) -> Outcome;

const ACTIONS: &[(&str, Action)] = &[
    (
        "ChangeResourceRecordSets",
        change::change_resource_record_sets,
    ),
    ("CreateHostedZone", hosted_zones::create_hosted_zone),
    ("GetChange", change::get_change),
    ("GetHostedZone", hosted_zones::get_hosted_zone),
    ("ListHostedZones", hosted_zones::list_hosted_zones),
    (
        "ListResourceRecordSets",
        record_sets::list_resource_record_sets,
    ),
];

pub(crate) fn run(call: &mut Call<'_>, name: &str) -> Outcome {
    match ACTIONS.iter().find(|(known, _)| *known == name) {
        Some((_, action)) => action(call),
        None => Err(ApiError::bad(
            "InvalidAction",
            format!("Could not find operation {name} for version 2013-04-01"),
        )),
    }
}

pub(crate) fn names() -> Vec<&'static str> {
    ACTIONS.iter().map(|(name, _)| *name).collect()
}

fn invalid_input(message: impl Into<String>) -> ApiError {
    ApiError::bad("InvalidInput", message)
}

/// A page's size, of which there are at most `most`.
fn max_items(call: &Call<'_>, most: usize) -> Result<usize, ApiError> {
    match call.params.number("maxitems")? {
        None => Ok(most),
        Some(wanted) => usize::try_from(wanted)
            .ok()
            .filter(|wanted| (1..=most).contains(wanted))
            .ok_or_else(|| {
                invalid_input(format!("maxitems: {wanted} is not between 1 and {most}"))
            }),
    }
}
