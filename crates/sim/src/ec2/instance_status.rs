//! The health of instances, and their instance profiles.

use super::describe_instances::{chosen, key, page, state};
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters, Tags};
use crate::protocol::page::Page;
use crate::protocol::{Element, Outcome, el};
use crate::state::{Instance, Kind, PhaseKind};

const STATUS_FILTERS: Fields<Instance> = &[
    ("availability-zone", |it| vec![it.zone.clone()]),
    ("instance-state-code", |it| {
        vec![it.phase.kind().code().to_string()]
    }),
    ("instance-state-name", |it| {
        vec![it.phase.kind().name().to_owned()]
    }),
    ("instance-status.status", |it| vec![check_of(it).to_owned()]),
    ("system-status.status", |it| vec![check_of(it).to_owned()]),
];

fn check_of(it: &Instance) -> &'static str {
    match it.phase.kind() {
        PhaseKind::Running => "ok",
        PhaseKind::Pending => "initializing",
        PhaseKind::ShuttingDown
        | PhaseKind::Terminated
        | PhaseKind::Stopping
        | PhaseKind::Stopped => "not-applicable",
    }
}

pub(crate) fn status(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("InstanceId", Kind::Instance)?;
    let all = call.params.flag("IncludeAllInstances")?.unwrap_or(false);
    let filters = Filters::read(&call.params, STATUS_FILTERS)?;
    let page = page(call, &ids)?;
    let region = call.read()?.region;
    let mut instances = chosen(region, &ids, &filters)?;
    // "By default, only running instances are described".
    instances.retain(|it| all || it.phase.kind() == PhaseKind::Running);
    let cut = page.cut(instances, |it| key(it));
    let items = cut.items.into_iter().map(|it| {
        let status = |name| {
            let detail = el("item")
                .text("name", "reachability")
                .text("status", reachability(it));
            el(name)
                .text("status", check_of(it))
                .list("details", [detail])
        };
        el("item")
            .text("instanceId", &it.id)
            .text("availabilityZone", &it.zone)
            .text("availabilityZoneId", &it.zone_id)
            .child(state("instanceState", it.phase.kind()))
            .child(status("systemStatus"))
            .child(status("instanceStatus"))
    });
    Ok(Element::answer()
        .list("instanceStatusSet", items)
        .next_token(cut.next))
}

fn reachability(it: &Instance) -> &'static str {
    match check_of(it) {
        "ok" => "passed",
        "initializing" => "initializing",
        _ => "insufficient-data",
    }
}

const PROFILE_FILTERS: Fields<Instance> = &[
    ("instance-id", |it| vec![it.id.clone()]),
    ("state", |_| vec!["associated".to_owned()]),
];

pub(crate) fn profile_associations(call: &mut Call<'_>) -> Outcome {
    let ids = call.params.values("AssociationId");
    let filters = Filters::read(&call.params, PROFILE_FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let mut instances: Vec<&Instance> = region.instances.values().collect();
    instances.retain(|it| {
        let association = it
            .profile_association
            .as_deref()
            .filter(|_| it.private_ip.is_some());
        let wanted = |id| ids.is_empty() || ids.contains(&id);
        association.is_some_and(wanted) && filters.matches(it, &Tags::new())
    });
    let cut = page.cut(instances, |it| key(it));
    let items = cut.items.into_iter().map(|it| {
        let profile = it
            .profile
            .as_ref()
            .map(|(arn, id)| el("iamInstanceProfile").text("arn", arn).text("id", id));
        el("item")
            .opt("associationId", it.profile_association.as_ref())
            .text("instanceId", &it.id)
            .maybe(profile)
            .text("state", "associated")
    });
    let items: Vec<Element> = items.collect();
    Ok(Element::answer()
        .list("iamInstanceProfileAssociationSet", items)
        .next_token(cut.next))
}
