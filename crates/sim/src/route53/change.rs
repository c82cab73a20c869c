//! Changes of what is in a hosted zone: all of a batch or nothing ("ChangeResourceRecordSets").
//!
//! Only plain A, AAAA, CNAME and TXT records are simulated. Where the reference leaves open what becomes of two changes
//! of one record set in one batch, they are refused.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::invalid_input;
use super::zones::{Change, RecordSet, Zone, canonical};
use crate::call::Call;
use crate::protocol::{ApiError, Element, Outcome, Scope, el};
use crate::state::Millis;

/// "A request cannot contain more than 1,000 ResourceRecord elements. When the value of the Action element is UPSERT,
/// each ResourceRecord element is counted twice."
const MOST_RECORDS: usize = 1_000;
/// "The sum of the number of characters (including spaces) in all Value elements in a request cannot exceed 32,000
/// characters. When the value of the Action element is UPSERT, each character in a Value element is counted twice."
const MOST_CHARACTERS: usize = 32_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    Delete,
    Upsert,
}

pub(super) fn change_resource_record_sets(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("Id")?;
    let batch = call.params.structure("ChangeBatch");
    let batch = batch.ok_or_else(|| invalid_input("ChangeBatch: is missing"))?;
    // For people; it is kept nowhere.
    batch.text("Comment");
    let changes = batch.items("Changes.Change");
    let changes: Vec<(Verb, RecordSet)> = changes.iter().map(read).collect::<Result<_, _>>()?;
    if changes.is_empty() {
        return Err(invalid_input(
            "ChangeBatch.Changes: must have at least one change",
        ));
    }
    let now = call.now;
    let zone = call.look()?.zones.zone(id)?;
    let changed = apply(zone, changes).map_err(|wrong| {
        // One line for each message of the answer.
        ApiError::bad("InvalidChangeBatch", wrong.join("\n"))
    })?;
    let zones = call.change()?.zones;
    zones.zones.insert(changed.id.clone(), changed);
    let change = zones.note_change(now);
    Ok(Element::answer().child(shown(&change, now)))
}

pub(super) fn get_change(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("Id")?;
    let now = call.now;
    let change = call.read()?.zones.changes.get(id);
    let change = change.ok_or_else(|| {
        let message = format!("Could not find resource with ID: {id}");
        ApiError::new(404, "NoSuchChange", message)
    })?;
    Ok(Element::answer().child(shown(change, now)))
}

pub(super) fn shown(change: &Change, now: Millis) -> Element {
    el("ChangeInfo")
        .text("Id", format!("/change/{}", change.id))
        .text("Status", change.status(now))
        .text("SubmittedAt", crate::clock::iso(change.at))
}

fn read(change: &Scope<'_>) -> Result<(Verb, RecordSet), ApiError> {
    let verb = match change.required("Action")? {
        "CREATE" => Verb::Create,
        "DELETE" => Verb::Delete,
        "UPSERT" => Verb::Upsert,
        other => {
            return Err(invalid_input(format!(
                "Action: {other} is none of CREATE, DELETE, UPSERT"
            )));
        }
    };
    let set = change.structure("ResourceRecordSet");
    let set = set.ok_or_else(|| invalid_input("ResourceRecordSet: is missing"))?;
    let name = set.required("Name")?;
    let kind = set.required("Type")?;
    if !["A", "AAAA", "CNAME", "TXT"].contains(&kind) {
        return Err(invalid_input(format!("Type: {kind} is not simulated")));
    }
    let ttl = set.required_number("TTL")?;
    let ttl = u32::try_from(ttl)
        .ok()
        .filter(|ttl| *ttl <= i32::MAX as u32);
    let records = set.items("ResourceRecords.ResourceRecord");
    let values: Vec<&str> = records
        .iter()
        .map(|it| it.required("Value"))
        .collect::<Result<_, _>>()?;
    if values.is_empty() {
        return Err(invalid_input(format!(
            "{name}: must have at least one ResourceRecord"
        )));
    }
    let set = RecordSet {
        name: canonical(name).ok_or_else(|| invalid_input(format!("Name: {name} is none")))?,
        kind: kind.to_owned(),
        ttl: ttl.ok_or_else(|| invalid_input("TTL: must be between 0 and 2147483647"))?,
        values: values.into_iter().map(str::to_owned).collect(),
    };
    Ok((verb, set))
}

/// The zone after all of the changes, or everything that is wrong with them.
fn apply(zone: &Zone, changes: Vec<(Verb, RecordSet)>) -> Result<Zone, Vec<String>> {
    let twice = |verb: Verb| if verb == Verb::Upsert { 2 } else { 1 };
    let counted = |of: fn(&RecordSet) -> usize| -> usize {
        changes
            .iter()
            .map(|(verb, set)| of(set) * twice(*verb))
            .sum()
    };
    let mut wrong = Vec::new();
    if counted(|set| set.values.len()) > MOST_RECORDS {
        wrong.push(format!(
            "Number of records limit of {MOST_RECORDS} exceeded."
        ));
    }
    if counted(|set| set.values.iter().map(|it| it.chars().count()).sum()) > MOST_CHARACTERS {
        wrong.push(format!(
            "Number of characters limit of {MOST_CHARACTERS} exceeded."
        ));
    }
    let mut seen = BTreeSet::new();
    let mut changed = zone.clone();
    for (verb, set) in changes {
        if !seen.insert(set.key()) {
            wrong.push(format!(
                "The request contains an invalid set of changes for a resource record set '{} {}'",
                set.kind, set.name
            ));
        } else if let Err(why) = apply_one(&mut changed, verb, set) {
            wrong.push(why);
        }
    }
    if wrong.is_empty() {
        Ok(changed)
    } else {
        Err(wrong)
    }
}

fn apply_one(zone: &mut Zone, verb: Verb, set: RecordSet) -> Result<(), String> {
    let (name, kind) = (&set.name, &set.kind);
    if *name != zone.name && !name.ends_with(&format!(".{}", zone.name)) {
        return Err(format!(
            "RRSet with DNS name {name} is not permitted in zone {}",
            zone.name
        ));
    }
    for value in &set.values {
        let is_sound = match kind.as_str() {
            "A" => value.parse::<Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
            "CNAME" => canonical(value).is_some(),
            _ => value.len() >= 2 && value.starts_with('"') && value.ends_with('"'),
        };
        if !is_sound {
            return Err(format!(
                "Invalid Resource Record: '{value}' of {kind} {name}"
            ));
        }
    }
    let key = set.key();
    let found = zone.records.get(&key);
    let tried = |verb: &str| {
        format!("Tried to {verb} resource record set [name='{name}', type='{kind}'] but ")
    };
    match (verb, found) {
        (Verb::Create, Some(_)) => return Err(tried("create") + "it already exists"),
        (Verb::Delete, None) => return Err(tried("delete") + "it was not found"),
        (Verb::Delete, Some(found)) if *found != set => {
            return Err(tried("delete") + "the values provided do not match the current values");
        }
        (Verb::Delete, Some(_)) => {
            zone.records.remove(&key);
            return Ok(());
        }
        (Verb::Create | Verb::Upsert, _) => {}
    }
    let conflicts = |other: &&super::zones::Key| {
        other.is_beside(&key) && (kind == "CNAME" || other.kind() == "CNAME")
    };
    if let Some(other) = zone.records.keys().find(conflicts) {
        return Err(format!(
            "RRSet of type {kind} with DNS name {name} is not permitted because a conflicting RRSet of type {} with the \
             same DNS name already exists in zone {}",
            other.kind(),
            zone.name
        ));
    }
    zone.records.insert(key, set);
    Ok(())
}
