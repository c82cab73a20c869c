//! Volumes: the roots of instances, and those that outlived them.

use super::tags;
use crate::call::Call;
use crate::clock::iso;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Kind, Region, Volume};

const FILTERS: Fields<Volume> = &[
    ("attachment.delete-on-termination", |it| {
        vec![it.delete_on_termination.to_string()]
    }),
    ("attachment.device", |it| {
        it.attached
            .iter()
            .map(|(_, device)| (*device).to_owned())
            .collect()
    }),
    ("attachment.instance-id", |it| {
        it.attached.iter().map(|(id, _)| id.clone()).collect()
    }),
    ("availability-zone", |it| vec![it.zone.clone()]),
    ("encrypted", |it| vec![it.encrypted.to_string()]),
    ("size", |it| vec![it.size_gb.to_string()]),
    ("snapshot-id", |it| vec![it.snapshot.clone()]),
    ("status", |it| vec![status(it).to_owned()]),
    ("volume-id", |it| vec![it.id.clone()]),
    ("volume-type", |it| vec![it.volume_type.to_owned()]),
];

fn status(it: &Volume) -> &'static str {
    if it.attached.is_some() {
        "in-use"
    } else {
        "available"
    }
}

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("VolumeId", Kind::Volume)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    if page.is_asked_for() && !ids.is_empty() {
        return Err(ApiError::combination(
            "The parameter volumeSet cannot be used with the parameter maxResults",
        ));
    }
    let region = call.read()?.region;
    let mut volumes = region.described(Kind::Volume, &region.volumes, &ids)?;
    volumes.retain(|it| filters.matches(it, region.tags(&it.id)));
    let cut = page.cut(volumes, |it| it.id.clone());
    let items = cut.items.into_iter().map(|it| shown(region, it));
    Ok(Element::answer()
        .list("volumeSet", items)
        .next_token(cut.next))
}

fn shown(region: &Region, it: &Volume) -> Element {
    let attachments = it.attached.iter().map(|(instance, device)| {
        el("item")
            .text("volumeId", &it.id)
            .text("instanceId", instance)
            .text("device", device)
            .text("status", "attached")
            .text("attachTime", iso(it.created))
            .text("deleteOnTermination", it.delete_on_termination)
    });
    el("item")
        .text("volumeId", &it.id)
        .text("size", it.size_gb)
        .text("snapshotId", &it.snapshot)
        .text("availabilityZone", &it.zone)
        .text("availabilityZoneId", &it.zone_id)
        .text("status", status(it))
        .text("createTime", iso(it.created))
        .list("attachmentSet", attachments)
        .list("tagSet", tags::set(region.tags(&it.id)))
        .text("volumeType", it.volume_type)
        .opt("iops", it.iops)
        .opt("throughput", it.throughput)
        .text("encrypted", it.encrypted)
        .text("multiAttachEnabled", false)
}
