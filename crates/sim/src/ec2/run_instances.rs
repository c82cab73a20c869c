//! RunInstances: the client token, the checks that a dry run makes too, and the launch.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::describe_instances::reservation;
use super::launch::{self, Request};
use super::launch_plan::Plan;
use super::subnets;
use crate::call::Call;
use crate::hosts::ConsoleLog;
use crate::protocol::{ApiError, Element, Outcome};
use crate::state::{Association, Boot, Instance, Kind, Launch, Millis, Phase, Region, Volume};

pub(crate) fn run(call: &mut Call<'_>) -> Outcome {
    let request = Request::read(call)?;
    let region = call.look()?.region;
    let key = request
        .token
        .map(|token| (token_zone(region, &request), token.to_owned()));
    if let Some(launch) = key.as_ref().and_then(|key| region.launches.get(key)) {
        let answer = again(region, launch, &request);
        // A dry run of a launch that is done finds nothing wrong with it.
        call.change()?;
        return answer;
    }
    let groups_most = call.quotas.groups_per_interface;
    let looked = call.look()?;
    let plan = Plan::new(looked.region, looked.iam, &request, groups_most)?;
    if let Some(profile) = &plan.profile {
        let role = profile
            .role
            .as_ref()
            .and_then(|name| looked.iam.roles.get(name));
        let resource = role.map_or(&profile.arn, |role| &role.arn).clone();
        call.may_pass_role(&resource)?;
    }
    let (now, vcpus, timings) = (call.now, call.quotas.vcpus, call.config.timings());
    let region = call.change()?.region;
    // A dry run promises neither capacity nor quota, so these come after its end.
    let count = count(region, &plan, &request, vcpus)?;
    let addresses: Vec<Ipv4Addr> = {
        let used = region.private_ips(&plan.subnet.id);
        plan.subnet
            .assignable()
            .filter(|ip| !used.contains(ip))
            .take(count)
            .collect()
    };
    let reservation_id = region.ids.next("r");
    region.launch_count += 1;
    let mut ids = Vec::with_capacity(addresses.len());
    for (at, ip) in (0u32..).zip(addresses) {
        let boot = region.ids.within(&timings.boot_ms);
        let order = (region.launch_count, at);
        ids.push(start(
            region,
            &plan,
            &request,
            &reservation_id,
            order,
            ip,
            &Start {
                now,
                boot,
                system_ms: &timings.system_ms,
            },
        ));
    }
    if let Some(key) = key {
        let launch = Launch {
            fingerprint: request.fingerprint,
            reservation: reservation_id.clone(),
            instances: ids.clone(),
        };
        region.launches.insert(key, launch);
    }
    Ok(answer(region, &reservation_id, &ids))
}

/// A token is zonal when the launch names a subnet or a zone, and else regional.
fn token_zone(region: &Region, request: &Request<'_>) -> Option<String> {
    let of_subnet = request
        .subnet
        .and_then(|id| region.subnets.any(id))
        .map(|subnet| subnet.zone.clone());
    of_subnet.or_else(|| request.zone.map(str::to_owned))
}

/// "Ensuring idempotency": the same request again is the same reservation, as it is by now.
fn again(region: &Region, launch: &Launch, request: &Request<'_>) -> Outcome {
    if launch.fingerprint != request.fingerprint {
        return Err(launch::parameter_mismatch());
    }
    let lives = |id: &String| {
        region
            .instances
            .any(id)
            .is_some_and(|it| !matches!(it.phase, Phase::Terminated { .. }))
    };
    if !launch.instances.iter().any(lives) {
        let message = format!(
            "The instances that were launched with the client token '{}' are terminated.",
            request.token.unwrap_or_default()
        );
        return Err(ApiError::bad("IdempotentInstanceTerminated", message));
    }
    Ok(answer(region, &launch.reservation, &launch.instances))
}

fn answer(region: &Region, reservation_id: &str, ids: &[String]) -> Element {
    let instances: Vec<&Instance> = ids
        .iter()
        .filter_map(|id| region.instances.any(id))
        .collect();
    reservation(Element::answer(), region, reservation_id, &instances)
}

/// How many instances there will be: as many as possible up to the maximum, and none below the minimum.
fn count(
    region: &Region,
    plan: &Plan,
    request: &Request<'_>,
    vcpus: Option<u32>,
) -> Result<usize, ApiError> {
    let zone = &plan.subnet.zone;
    let refusals = [
        (
            vcpus.map(|most| {
                (most.saturating_sub(region.vcpus()) / plan.kind.vcpus.max(1)) as usize
            }),
            too_many_vcpus(vcpus.unwrap_or_default()),
        ),
        (
            Some(subnets::free(region, &plan.subnet)),
            ApiError::bad(
                "InsufficientFreeAddressesInSubnet",
                "The specified subnet does not have enough free addresses to satisfy the request.",
            ),
        ),
        (
            region.room(zone, &plan.kind.name),
            insufficient_capacity(&plan.kind.name, zone),
        ),
    ];
    let mut count = request.max;
    for (possible, refusal) in refusals {
        count = count.min(possible.unwrap_or(count));
        if count < request.min {
            return Err(refusal);
        }
    }
    Ok(count)
}

pub(crate) fn too_many_vcpus(most: u32) -> ApiError {
    ApiError::bad(
        "VcpuLimitExceeded",
        format!(
            "You have requested more vCPU capacity than your current vCPU limit of {most} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
        ),
    )
}

pub(crate) fn insufficient_capacity(kind: &str, zone: &str) -> ApiError {
    ApiError::new(
        500,
        "InsufficientInstanceCapacity",
        format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity."
        ),
    )
}

struct Start<'a> {
    now: Millis,
    boot: u64,
    system_ms: &'a Range<u64>,
}

/// Makes one instance with its root volume and its tags.
fn start(
    region: &mut Region,
    plan: &Plan,
    request: &Request<'_>,
    reservation: &str,
    order: (u64, u32),
    ip: Ipv4Addr,
    &Start {
        now,
        boot,
        system_ms,
    }: &Start<'_>,
) -> String {
    let id = region.ids.next(Kind::Instance.prefix());
    let wants_public_ip = request.public_ip.unwrap_or(plan.subnet.map_public_ip);
    let public = wants_public_ip.then(|| Association {
        ip: region.new_public_ip(),
        allocation: None,
    });
    let volume = volume(region, plan, request, &id, now);
    let running = now.saturating_add(boot);
    let mac = region.ids.number().to_be_bytes();
    let instance = Instance {
        id: id.clone(),
        reservation: reservation.to_owned(),
        owner: region.account.clone(),
        order,
        image: plan.image.id.clone(),
        instance_type: &plan.kind.name,
        architecture: plan.image.architecture.clone(),
        subnet: plan.subnet.id.clone(),
        vpc: plan.subnet.vpc.clone(),
        zone: plan.subnet.zone.clone(),
        zone_id: plan.subnet.zone_id.clone(),
        phase: Phase::Pending { until: running },
        boot: Boot::new(&id, 1, running, system_ms),
        console: ConsoleLog::default(),
        launched: now,
        reason: None,
        interface: region.ids.next(Kind::Interface.prefix()),
        attachment: region.ids.next("eni-attach"),
        // The bit that marks an address as locally administered, as EC2's are.
        mac: format!(
            "0a:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            mac[0], mac[1], mac[2], mac[3], mac[4]
        ),
        private_ip: Some(ip),
        wants_public_ip,
        public,
        groups: plan.groups.clone(),
        profile: plan
            .profile
            .as_ref()
            .map(|it| (it.arn.clone(), it.id.clone())),
        profile_association: plan.profile.as_ref().map(|_| region.ids.next("iip-assoc")),
        root_device: plan.image.root_device,
        volume: Some(volume.id.clone()),
        user_data: request.user_data.map(str::to_owned),
        client_token: request.token.map(str::to_owned),
        monitoring: request.monitoring,
        ebs_optimized: request.ebs_optimized,
        metadata: request.metadata.clone(),
        termination_disabled: request.termination_disabled,
        cores: plan.kind.cores,
        threads_per_core: plan.kind.threads_per_core,
    };
    region.add_tags(&id, &request.instance_tags);
    region.add_tags(&volume.id, &request.volume_tags);
    region.add_tags(&instance.interface, &request.interface_tags);
    let from = region.appears(Kind::Instance, &id);
    region.volumes.insert(volume.id.clone(), volume, from);
    region.instances.insert(id.clone(), instance, from);
    id
}

fn volume(
    region: &mut Region,
    plan: &Plan,
    request: &Request<'_>,
    instance: &str,
    now: Millis,
) -> Volume {
    let root = request.root.as_ref();
    let size_gb = root
        .and_then(|it| it.size_gb)
        .unwrap_or(plan.image.volume_gb);
    let volume_type = root
        .and_then(|it| it.volume_type)
        .unwrap_or(&plan.image.volume_type);
    let iops = match volume_type {
        "gp2" => Some(i64::from(size_gb * 3).clamp(100, 16_000)),
        "gp3" => Some(root.and_then(|it| it.iops).unwrap_or(3_000)),
        _ => root.and_then(|it| it.iops),
    };
    let throughput =
        (volume_type == "gp3").then(|| root.and_then(|it| it.throughput).unwrap_or(125));
    Volume {
        id: region.ids.next(Kind::Volume.prefix()),
        size_gb,
        volume_type,
        encrypted: root.is_some_and(|it| it.encrypted),
        iops,
        throughput,
        snapshot: plan.image.snapshot.clone(),
        zone: plan.subnet.zone.clone(),
        zone_id: plan.subnet.zone_id.clone(),
        created: now,
        attached: Some((instance.to_owned(), plan.image.root_device)),
        delete_on_termination: root.is_none_or(|it| it.delete_on_termination),
    }
}
