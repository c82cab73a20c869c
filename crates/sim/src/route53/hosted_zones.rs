//! Hosted zones: made, shown and listed.

use super::zones::{RecordSet, Zone, canonical};
use super::{invalid_input, max_items};
use crate::call::Call;
use crate::protocol::{ApiError, Element, Outcome, el};

/// "maxitems: … 100".
const MOST_ZONES: usize = 100;

const NAME_SERVERS: [&str; 4] = [
    "ns-2048.awsdns-64.com",
    "ns-2049.awsdns-65.net",
    "ns-2050.awsdns-66.org",
    "ns-2051.awsdns-67.co.uk",
];

pub(super) fn create_hosted_zone(call: &mut Call<'_>) -> Outcome {
    let name = call.params.required("Name")?;
    let reference = call.params.required("CallerReference")?;
    let name = canonical(name)
        .filter(|name| !name.starts_with('\\'))
        .ok_or_else(|| {
            ApiError::bad(
                "InvalidDomainName",
                format!("{name} is not a valid domain name"),
            )
        })?;
    let zones = call.look()?.zones;
    if zones
        .zones
        .values()
        .any(|it| it.caller_reference == reference)
    {
        let message = format!(
            "A hosted zone has already been created with the specified caller reference {reference}"
        );
        return Err(ApiError::new(409, "HostedZoneAlreadyExists", message));
    }
    let now = call.now;
    let zones = call.change()?.zones;
    let servers = NAME_SERVERS.map(|it| format!("{it}."));
    let soa = format!(
        "{} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",
        servers[0]
    );
    let records = [("NS", 172_800, servers.to_vec()), ("SOA", 900, vec![soa])];
    let records = records.map(|(kind, ttl, values)| RecordSet {
        name: name.clone(),
        kind: kind.to_owned(),
        ttl,
        values,
    });
    let zone = Zone {
        id: zones.new_id('Z'),
        name,
        caller_reference: reference.to_owned(),
        records: records.into_iter().map(|set| (set.key(), set)).collect(),
    };
    zones.zones.insert(zone.id.clone(), zone.clone());
    let change = zones.note_change(now);
    Ok(Element::answer()
        .child(shown(&zone))
        .child(super::change::shown(&change, now))
        .child(delegation()))
}

pub(super) fn get_hosted_zone(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("Id")?;
    let zone = call.read()?.zones.zone(id)?;
    Ok(Element::answer().child(shown(zone)).child(delegation()))
}

pub(super) fn list_hosted_zones(call: &mut Call<'_>) -> Outcome {
    let marker = call.params.text("marker");
    let most = max_items(call, MOST_ZONES)?;
    let zones = &call.read()?.zones.zones;
    if let Some(marker) = marker
        && !zones.contains_key(marker)
    {
        return Err(invalid_input(format!(
            "marker: there is no hosted zone {marker}"
        )));
    }
    let mut from = zones
        .values()
        .skip_while(|it| marker.is_some_and(|marker| it.id != marker));
    let page: Vec<&Zone> = from.by_ref().take(most).collect();
    let next = from.next();
    Ok(Element::answer()
        .list("HostedZones", page.into_iter().map(shown))
        .opt("Marker", marker)
        .text("IsTruncated", next.is_some())
        .opt("NextMarker", next.map(|it| &it.id))
        .text("MaxItems", most))
}

fn shown(zone: &Zone) -> Element {
    el("HostedZone")
        .text("Id", format!("/hostedzone/{}", zone.id))
        .text("Name", &zone.name)
        .text("CallerReference", &zone.caller_reference)
        .child(el("Config").text("PrivateZone", false))
        .text("ResourceRecordSetCount", zone.records.len())
}

fn delegation() -> Element {
    let servers = NAME_SERVERS.into_iter();
    let servers = servers.map(|it| Element::leaf("NameServer", it));
    el("DelegationSet").list("NameServers", servers)
}
