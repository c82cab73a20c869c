//! Regions and zones.

use crate::call::Call;
use crate::catalogue::{self, RegionInfo, Zone};
use crate::protocol::filter::{Fields, Filters, Tags};
use crate::protocol::{ApiError, Element, Outcome, el};

fn endpoint(region: &RegionInfo) -> String {
    format!("ec2.{}.amazonaws.com", region.name)
}

struct RegionView {
    region: &'static RegionInfo,
    opt_in: &'static str,
}

const REGION_FILTERS: Fields<RegionView> = &[
    ("endpoint", |it| vec![endpoint(it.region)]),
    ("opt-in-status", |it| vec![it.opt_in.to_owned()]),
    ("region-name", |it| vec![it.region.name.clone()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let names = call.params.values("RegionName");
    let all = call.params.flag("AllRegions")?.unwrap_or(false);
    let filters = Filters::read(&call.params, REGION_FILTERS)?;
    call.read()?;
    if let Some(unknown) = names.iter().find(|name| catalogue::region(name).is_none()) {
        return Err(ApiError::value(format!(
            "Invalid region provided: {unknown}"
        )));
    }
    let wanted = |region: &&RegionInfo| names.is_empty() || names.contains(&region.name.as_str());
    let shown = catalogue::regions()
        .iter()
        .filter(wanted)
        .filter(|it| all || !call.is_off(&it.name))
        .map(|region| RegionView {
            region,
            opt_in: match call.is_off(&region.name) {
                true => "not-opted-in",
                false => &region.opt_in,
            },
        })
        .filter(|it| filters.matches(it, &Tags::new()));
    let items = shown.map(|it| {
        el("item")
            .text("regionName", &it.region.name)
            .text("regionEndpoint", endpoint(it.region))
            .text("optInStatus", it.opt_in)
    });
    Ok(Element::answer().list("regionInfo", items))
}

struct ZoneView {
    region: &'static RegionInfo,
    zone: &'static Zone,
    state: String,
}

const ZONE_FILTERS: Fields<ZoneView> = &[
    ("group-name", |it| vec![it.region.name.clone()]),
    ("opt-in-status", |_| vec!["opt-in-not-required".to_owned()]),
    ("region-name", |it| vec![it.region.name.clone()]),
    ("state", |it| vec![it.state.clone()]),
    ("zone-id", |it| vec![it.zone.id.clone()]),
    ("zone-name", |it| vec![it.zone.name.clone()]),
    ("zone-type", |_| vec!["availability-zone".to_owned()]),
];

pub(crate) fn describe_zones(call: &mut Call<'_>) -> Outcome {
    let names = call.params.values("ZoneName");
    let ids = call.params.values("ZoneId");
    call.params.flag("AllAvailabilityZones")?;
    let filters = Filters::read(&call.params, ZONE_FILTERS)?;
    let region = catalogue::region(&call.caller.region).ok_or_else(ApiError::auth_failure)?;
    let here = call.read()?.region;
    for (given, what, known) in [
        (
            &names,
            "availability zone",
            region
                .zones
                .iter()
                .map(|z| z.name.as_str())
                .collect::<Vec<_>>(),
        ),
        (
            &ids,
            "availability zone-id",
            region.zones.iter().map(|z| z.id.as_str()).collect(),
        ),
    ] {
        if let Some(unknown) = given.iter().find(|it| !known.contains(it)) {
            return Err(ApiError::value(format!("Invalid {what}: [{unknown}]")));
        }
    }
    let views = region.zones.iter().map(|zone| ZoneView {
        region,
        zone,
        state: here.zone_state(&zone.name).to_owned(),
    });
    let shown = views.filter(|it| {
        (names.is_empty() || names.contains(&it.zone.name.as_str()))
            && (ids.is_empty() || ids.contains(&it.zone.id.as_str()))
            && filters.matches(it, &Tags::new())
    });
    let items = shown.map(|it| {
        el("item")
            .text("zoneName", &it.zone.name)
            .text("zoneState", &it.state)
            .text("regionName", &it.region.name)
            .list("messageSet", [])
            .text("zoneId", &it.zone.id)
            .text("groupName", &it.region.name)
            .text("networkBorderGroup", &it.region.name)
            .text("optInStatus", "opt-in-not-required")
            .text("zoneType", "availability-zone")
    });
    Ok(Element::answer().list("availabilityZoneInfo", items))
}
