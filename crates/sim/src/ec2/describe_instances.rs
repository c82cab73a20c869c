//! How instances are shown.

use std::net::Ipv4Addr;

use super::tags;
use crate::call::Call;
use crate::clock::{iso, spoken};
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Instance, Kind, PhaseKind, Region, public_dns_name};

fn addresses(ip: Option<Ipv4Addr>) -> Vec<String> {
    ip.iter().map(ToString::to_string).collect()
}

/// A terminated instance is in no subnet any more, so no filter finds it there.
fn in_network(it: &Instance, id: &str) -> Vec<String> {
    it.private_ip.iter().map(|_| id.to_owned()).collect()
}

const FILTERS: Fields<Instance> = &[
    ("affinity", |_| vec!["default".to_owned()]),
    ("architecture", |it| vec![it.architecture.clone()]),
    ("availability-zone", |it| vec![it.zone.clone()]),
    ("availability-zone-id", |it| vec![it.zone_id.clone()]),
    ("block-device-mapping.volume-id", |it| {
        it.volume.iter().cloned().collect()
    }),
    ("client-token", |it| {
        it.client_token.iter().cloned().collect()
    }),
    ("group-id", |it| {
        it.groups.iter().map(|(id, _)| id.clone()).collect()
    }),
    ("group-name", |it| {
        it.groups.iter().map(|(_, name)| name.clone()).collect()
    }),
    ("hypervisor", |_| vec!["xen".to_owned()]),
    ("iam-instance-profile.arn", |it| {
        it.profile.iter().map(|(arn, _)| arn.clone()).collect()
    }),
    ("iam-instance-profile.id", |it| {
        it.profile.iter().map(|(_, id)| id.clone()).collect()
    }),
    ("image-id", |it| vec![it.image.clone()]),
    ("instance-id", |it| vec![it.id.clone()]),
    ("instance-state-code", |it| {
        vec![it.phase.kind().code().to_string()]
    }),
    ("instance-state-name", |it| {
        vec![it.phase.kind().name().to_owned()]
    }),
    ("instance-type", |it| vec![it.instance_type.to_owned()]),
    ("instance.group-id", |it| {
        it.groups.iter().map(|(id, _)| id.clone()).collect()
    }),
    ("instance.group-name", |it| {
        it.groups.iter().map(|(_, name)| name.clone()).collect()
    }),
    ("ip-address", |it| {
        addresses(it.public.as_ref().map(|public| public.ip))
    }),
    ("launch-index", |it| vec![it.order.1.to_string()]),
    ("launch-time", |it| vec![iso(it.launched)]),
    ("network-interface.network-interface-id", |it| {
        vec![it.interface.clone()]
    }),
    ("network-interface.subnet-id", |it| vec![it.subnet.clone()]),
    ("network-interface.vpc-id", |it| vec![it.vpc.clone()]),
    ("owner-id", |it| vec![it.owner.clone()]),
    ("private-ip-address", |it| addresses(it.private_ip)),
    ("requester-id", |_| Vec::new()),
    ("reservation-id", |it| vec![it.reservation.clone()]),
    ("root-device-name", |it| vec![it.root_device.to_owned()]),
    ("root-device-type", |_| vec!["ebs".to_owned()]),
    ("subnet-id", |it| in_network(it, &it.subnet)),
    ("tenancy", |_| vec!["default".to_owned()]),
    ("virtualization-type", |_| vec!["hvm".to_owned()]),
    ("vpc-id", |it| in_network(it, &it.vpc)),
];

/// Sorts instances by their launch; that of a page goes on after the last one shown.
pub(super) fn key(it: &Instance) -> String {
    format!("{:012}.{:06}.{}", it.order.0, it.order.1, it.id)
}

/// The instances that ids and filters choose, by ids first: EC2 refuses unknown ones whatever the filters are.
pub(super) fn chosen<'r>(
    region: &'r Region,
    ids: &[&str],
    filters: &Filters<Instance>,
) -> Result<Vec<&'r Instance>, ApiError> {
    let mut instances = region.described(Kind::Instance, &region.instances, ids)?;
    instances.retain(|it| filters.matches(it, region.tags(&it.id)));
    Ok(instances)
}

pub(super) fn page(call: &Call<'_>, ids: &[&str]) -> Result<Page, ApiError> {
    let page = Page::read(&call.params, 5, 1000)?;
    if page.is_asked_for() && !ids.is_empty() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(ApiError::combination(message));
    }
    Ok(page)
}

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("InstanceId", Kind::Instance)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = page(call, &ids)?;
    let region = call.read()?.region;
    let cut = page.cut(chosen(region, &ids, &filters)?, |it| key(it));
    // In the order of launches the instances of a reservation lie together.
    let reservations = cut.items.chunk_by(|a, b| a.reservation == b.reservation);
    let items = reservations.map(|these| {
        let id = these
            .first()
            .map(|it| it.reservation.as_str())
            .unwrap_or_default();
        reservation(el("item"), region, id, these)
    });
    Ok(Element::answer()
        .list("reservationSet", items)
        .next_token(cut.next))
}

/// A reservation: what one launch made.
pub(crate) fn reservation(
    into: Element,
    region: &Region,
    id: &str,
    instances: &[&Instance],
) -> Element {
    into.text("reservationId", id)
        .text("ownerId", &region.account)
        .list("groupSet", [])
        .list("instancesSet", instances.iter().map(|it| shown(region, it)))
}

pub(crate) fn state(name: &'static str, kind: PhaseKind) -> Element {
    el(name).text("code", kind.code()).text("name", kind.name())
}

/// The DNS name of the public address; there is one only in a VPC that gives names.
fn dns_name(region: &Region, it: &Instance) -> String {
    let named = region
        .vpcs
        .any(&it.vpc)
        .is_some_and(|vpc| vpc.dns_hostnames && vpc.dns_support);
    match &it.public {
        Some(public) if named => public_dns_name(&region.name, public.ip),
        _ => String::new(),
    }
}

fn private_dns_name(region: &Region, ip: Ipv4Addr) -> String {
    let domain = if region.name == "us-east-1" {
        "ec2".to_owned()
    } else {
        format!("{}.compute", region.name)
    };
    format!("ip-{}.{domain}.internal", ip.to_string().replace('.', "-"))
}

fn group_set(it: &Instance) -> Vec<Element> {
    it.groups
        .iter()
        .map(|(id, name)| el("item").text("groupId", id).text("groupName", name))
        .collect()
}

fn shown(region: &Region, it: &Instance) -> Element {
    let here = it.private_ip.is_some();
    let private_name = it
        .private_ip
        .map(|ip| private_dns_name(region, ip))
        .unwrap_or_default();
    let reason = it
        .reason
        .map(|(_, message, at)| format!("{message} ({})", spoken(at)))
        .unwrap_or_default();
    let state_reason = it.reason.map(|(code, message, _)| {
        el("stateReason")
            .text("code", code)
            .text("message", format!("{code}: {message}"))
    });
    let profile = it
        .profile
        .as_ref()
        .map(|(arn, id)| el("iamInstanceProfile").text("arn", arn).text("id", id));
    let placement = el("placement")
        .text("availabilityZone", &it.zone)
        .text("availabilityZoneId", &it.zone_id)
        .text("groupName", "")
        .text("tenancy", "default");
    let metadata = el("metadataOptions")
        .text("state", "applied")
        .text("httpTokens", it.metadata.tokens)
        .text("httpPutResponseHopLimit", it.metadata.hop_limit)
        .text("httpEndpoint", it.metadata.endpoint)
        .text("httpProtocolIpv6", "disabled")
        .text("instanceMetadataTags", it.metadata.tags);
    el("item")
        .text("instanceId", &it.id)
        .text("imageId", &it.image)
        .child(state("instanceState", it.phase.kind()))
        .text("privateDnsName", private_name)
        .text("dnsName", dns_name(region, it))
        .text("reason", reason)
        .text("amiLaunchIndex", it.order.1)
        .list("productCodes", [])
        .text("instanceType", it.instance_type)
        .text("launchTime", iso(it.launched))
        .child(placement)
        .child(el("monitoring").text("state", if it.monitoring { "enabled" } else { "disabled" }))
        .opt("subnetId", here.then_some(&it.subnet))
        .opt("vpcId", here.then_some(&it.vpc))
        .opt("privateIpAddress", it.private_ip)
        .opt("ipAddress", it.public.as_ref().map(|public| public.ip))
        .text("sourceDestCheck", true)
        .list("groupSet", if here { group_set(it) } else { Vec::new() })
        .maybe(state_reason)
        .text("architecture", &it.architecture)
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", it.root_device)
        .list("blockDeviceMapping", device(region, it))
        .text("virtualizationType", "hvm")
        .text(
            "clientToken",
            it.client_token.as_deref().unwrap_or_default(),
        )
        .list("tagSet", tags::set(region.tags(&it.id)))
        .text("hypervisor", "xen")
        .list("networkInterfaceSet", interface(region, it))
        .maybe(profile)
        .text("ebsOptimized", it.ebs_optimized)
        .text("enaSupport", true)
        .child(
            el("cpuOptions")
                .text("coreCount", it.cores)
                .text("threadsPerCore", it.threads_per_core),
        )
        .child(el("capacityReservationSpecification").text("capacityReservationPreference", "open"))
        .child(el("hibernationOptions").text("configured", false))
        .child(metadata)
        .child(el("enclaveOptions").text("enabled", false))
        .text("bootMode", "uefi-preferred")
        .text("platformDetails", "Linux/UNIX")
        .text("usageOperation", "RunInstances")
}

fn device(region: &Region, it: &Instance) -> Option<Element> {
    let volume = region.volumes.any(it.volume.as_ref()?)?;
    let ebs = el("ebs")
        .text("volumeId", &volume.id)
        .text(
            "status",
            if it.phase.kind() == PhaseKind::Pending {
                "attaching"
            } else {
                "attached"
            },
        )
        .text("attachTime", iso(volume.created))
        .text("deleteOnTermination", volume.delete_on_termination);
    Some(el("item").text("deviceName", it.root_device).child(ebs))
}

fn interface(region: &Region, it: &Instance) -> Option<Element> {
    let ip = it.private_ip?;
    let association = it.public.as_ref().map(|public| {
        el("association")
            .text("publicIp", public.ip)
            .text("publicDnsName", dns_name(region, it))
            .text(
                "ipOwnerId",
                if public.allocation.is_some() {
                    &region.account
                } else {
                    "amazon"
                },
            )
    });
    let attachment = el("attachment")
        .text("attachmentId", &it.attachment)
        .text("deviceIndex", 0)
        .text("status", "attached")
        .text("attachTime", iso(it.launched))
        .text("deleteOnTermination", true)
        .text("networkCardIndex", 0);
    let address = el("item")
        .text("privateIpAddress", ip)
        .text("privateDnsName", private_dns_name(region, ip))
        .text("primary", true)
        .maybe(association.clone());
    Some(
        el("item")
            .text("networkInterfaceId", &it.interface)
            .text("subnetId", &it.subnet)
            .text("vpcId", &it.vpc)
            .text("description", "")
            .text("ownerId", &region.account)
            .text("status", "in-use")
            .text("macAddress", &it.mac)
            .text("privateIpAddress", ip)
            .text("privateDnsName", private_dns_name(region, ip))
            .text("sourceDestCheck", true)
            .list("groupSet", group_set(it))
            .child(attachment)
            .maybe(association)
            .list("privateIpAddressesSet", [address])
            .text("interfaceType", "interface"),
    )
}
