//! What is in a hosted zone.

use super::zones::{Key, RecordSet, canonical};
use super::{invalid_input, max_items};
use crate::call::Call;
use crate::protocol::{Element, Outcome, el};

/// "The maximum number of resource records sets to include in the response body … 300".
const MOST_SETS: usize = 300;

pub(super) fn list_resource_record_sets(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("Id")?;
    let name = call.params.text("name");
    let kind = call.params.text("type");
    let most = max_items(call, MOST_SETS)?;
    let from = match (name, kind) {
        (None, Some(_)) => return Err(invalid_input("type: must come with a name")),
        (None, None) => None,
        (Some(name), kind) => {
            let name =
                canonical(name).ok_or_else(|| invalid_input(format!("name: {name} is none")))?;
            Some(Key::new(&name, kind.unwrap_or_default()))
        }
    };
    let zone = call.read()?.zones.zone(id)?;
    let sets = zone.records.iter();
    let sets = sets.filter(|(key, _)| from.as_ref().is_none_or(|from| *key >= from));
    let mut sets = sets.map(|(_, set)| set);
    let page: Vec<&RecordSet> = sets.by_ref().take(most).collect();
    let next = sets.next();
    Ok(Element::answer()
        .list("ResourceRecordSets", page.into_iter().map(shown))
        .text("IsTruncated", next.is_some())
        .opt("NextRecordName", next.map(|it| &it.name))
        .opt("NextRecordType", next.map(|it| &it.kind))
        .text("MaxItems", most))
}

fn shown(set: &RecordSet) -> Element {
    let record = |value| el("ResourceRecord").text("Value", value);
    el("ResourceRecordSet")
        .text("Name", &set.name)
        .text("Type", &set.kind)
        .text("TTL", set.ttl)
        .list("ResourceRecords", set.values.iter().map(record))
}
