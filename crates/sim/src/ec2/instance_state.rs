//! Stopping, starting, rebooting and terminating instances.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::describe_instances::state;
use super::run_instances::{insufficient_capacity, too_many_vcpus};
use crate::call::Call;
use crate::clock::iso;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Instance, Kind, Phase, PhaseKind, Region, Timings};

/// The ids that the call names; each once, all well-formed.
fn instance_ids<'a>(call: &Call<'a>) -> Result<Vec<&'a str>, ApiError> {
    let mut ids = call.ids("InstanceId", Kind::Instance)?;
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    let mut seen = Vec::new();
    ids.retain(|id| {
        let new = !seen.contains(id);
        seen.push(*id);
        new
    });
    Ok(ids)
}

fn phase(region: &Region, id: &str) -> Option<Phase> {
    region.instances.get(id).map(|it| it.phase)
}

/// Refuses the whole call when one id is unknown, or in a phase in which EC2 does not do this.
fn check(
    region: &Region,
    ids: &[&str],
    verb: &str,
    allowed: fn(Phase) -> bool,
) -> Result<(), ApiError> {
    region.all_exist(Kind::Instance, ids)?;
    match ids
        .iter()
        .find(|id| !phase(region, id).is_some_and(allowed))
    {
        None => Ok(()),
        Some(id) => {
            let message =
                format!("The instance '{id}' is not in a state from which it can be {verb}.");
            Err(ApiError::bad("IncorrectInstanceState", message))
        }
    }
}

/// Changes each instance and shows its state before and after.
fn changes(region: &mut Region, ids: &[&str], mut act: impl FnMut(&mut Region, &str)) -> Element {
    let mut items = Vec::new();
    for id in ids {
        let before = phase(region, id).map_or(PhaseKind::Terminated, Phase::kind);
        act(region, id);
        let after = phase(region, id).map_or(PhaseKind::Terminated, Phase::kind);
        let item = el("item").text("instanceId", id);
        items.push(
            item.child(state("currentState", after))
                .child(state("previousState", before)),
        );
    }
    Element::answer().list("instancesSet", items)
}

fn timings(call: &Call<'_>) -> Timings {
    call.config.timings()
}

pub(crate) fn terminate(call: &mut Call<'_>) -> Outcome {
    let ids = instance_ids(call)?;
    call.params.flag("SkipOsShutdown")?;
    call.params.flag("Force")?;
    let (now, timings) = (call.now, timings(call));
    let region = call.look()?.region;
    check(region, &ids, "terminated", |_| true)?;
    let protected = |id: &&&str| {
        region
            .instances
            .get(id)
            .is_some_and(|it| it.termination_disabled && !it.phase.is_leaving())
    };
    if let Some(id) = ids.iter().find(protected) {
        let message = format!(
            "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again."
        );
        return Err(ApiError::bad("OperationNotPermitted", message));
    }
    let region = call.change()?.region;
    Ok(changes(region, &ids, |region, id| {
        region.terminate(id, now, &timings);
    }))
}

pub(crate) fn stop(call: &mut Call<'_>) -> Outcome {
    let ids = instance_ids(call)?;
    call.params.flag("Force")?;
    call.params.flag("SkipOsShutdown")?;
    let (now, timings) = (call.now, timings(call));
    // A pending instance cannot be stopped yet; one that is stopped or stopping stays so.
    check(call.look()?.region, &ids, "stopped", |it| {
        !it.is_leaving() && it.kind() != PhaseKind::Pending
    })?;
    let region = call.change()?.region;
    Ok(changes(region, &ids, |region, id| {
        region.stop(id, now, &timings);
    }))
}

pub(crate) fn start(call: &mut Call<'_>) -> Outcome {
    let ids = instance_ids(call)?;
    let (now, timings) = (call.now, timings(call));
    let startable =
        |it: Phase| matches!(it, Phase::Stopped | Phase::Running | Phase::Pending { .. });
    check(call.look()?.region, &ids, "started", startable)?;
    let quota = call.quotas.vcpus;
    let region = call.change()?.region;
    let stopped: Vec<&Instance> = ids
        .iter()
        .filter_map(|id| region.instances.get(id))
        .filter(|it| it.phase == Phase::Stopped)
        .collect();
    let vcpus = region.vcpus() + stopped.iter().map(|it| it.vcpus()).sum::<u32>();
    if let Some(most) = quota.filter(|most| vcpus > *most && !stopped.is_empty()) {
        return Err(too_many_vcpus(most));
    }
    if let Some(it) = region.without_room(&stopped) {
        return Err(insufficient_capacity(it.instance_type, &it.zone));
    }
    Ok(changes(region, &ids, |region, id| {
        region.start(id, now, &timings);
    }))
}

pub(crate) fn reboot(call: &mut Call<'_>) -> Outcome {
    let ids = instance_ids(call)?;
    check(call.look()?.region, &ids, "rebooted", |it| {
        it == Phase::Running
    })?;
    let (now, timings) = (call.now, timings(call));
    let region = call.change()?.region;
    for id in ids {
        region.reboot(id, now, &timings);
    }
    Ok(Element::done())
}

pub(crate) fn console_output(call: &mut Call<'_>) -> Outcome {
    let id = call.id("InstanceId", Kind::Instance)?;
    call.params.flag("Latest")?;
    let now = iso(call.now);
    let region = call.read()?.region;
    region.all_exist(Kind::Instance, &[id])?;
    // What virtual hosts write is posted at once, as `Latest` has it on Nitro instances; without them there is nothing.
    let console = region.instances.get(id).map(|it| it.console.text());
    Ok(Element::answer()
        .text("instanceId", id)
        .text("timestamp", now)
        .text("output", STANDARD.encode(console.unwrap_or_default())))
}
