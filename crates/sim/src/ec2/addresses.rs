//! Elastic IP addresses.

use super::tags;
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Address, AddressUse, Association, Kind, Phase, Region};

const FILTERS: Fields<Address> = &[
    ("allocation-id", |it| vec![it.id.clone()]),
    ("association-id", |it| {
        it.used
            .iter()
            .map(|used| used.association.clone())
            .collect()
    }),
    ("domain", |_| vec!["vpc".to_owned()]),
    ("instance-id", |it| {
        it.used.iter().map(|used| used.instance.clone()).collect()
    }),
    ("public-ip", |it| vec![it.ip.to_string()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("AllocationId", Kind::Address)?;
    let ips = call.params.values("PublicIp");
    let filters = Filters::read(&call.params, FILTERS)?;
    let region = call.read()?.region;
    region.all_exist(Kind::Address, &ids)?;
    if let Some(unknown) = ips.iter().find(|ip| {
        !region
            .addresses
            .values()
            .any(|it| it.ip.to_string() == **ip)
    }) {
        return Err(ApiError::bad(
            "InvalidAddress.NotFound",
            format!("Address '{unknown}' not found."),
        ));
    }
    let wanted = |it: &&Address| {
        (ids.is_empty() || ids.contains(&it.id.as_str()))
            && (ips.is_empty() || ips.contains(&it.ip.to_string().as_str()))
            && filters.matches(it, region.tags(&it.id))
    };
    let items = region
        .addresses
        .values()
        .filter(wanted)
        .map(|it| shown(region, it));
    Ok(Element::answer().list("addressesSet", items))
}

fn shown(region: &Region, it: &Address) -> Element {
    let instance = it
        .used
        .as_ref()
        .and_then(|used| region.instances.any(&used.instance));
    el("item")
        .text("publicIp", it.ip)
        .text("allocationId", &it.id)
        .text("domain", "vpc")
        .opt("instanceId", instance.map(|it| &it.id))
        .opt(
            "associationId",
            it.used.as_ref().map(|used| &used.association),
        )
        .opt("networkInterfaceId", instance.map(|it| &it.interface))
        .opt("privateIpAddress", instance.and_then(|it| it.private_ip))
        .text("publicIpv4Pool", "amazon")
        .text("networkBorderGroup", &region.name)
        .list("tagSet", tags::set(region.tags(&it.id)))
}

pub(crate) fn allocate(call: &mut Call<'_>) -> Outcome {
    call.params.word("Domain", &["vpc"])?;
    let [tags] = tags::specifications(&call.params, [Kind::Address])?;
    let most = call.quotas.elastic_ips;
    let region = call.change()?.region;
    if region.addresses.len() >= most {
        let message = "The maximum number of addresses has been reached.";
        return Err(ApiError::bad("AddressLimitExceeded", message));
    }
    let address = Address {
        id: region.ids.next(Kind::Address.prefix()),
        ip: region.new_public_ip(),
        used: None,
    };
    region.add_tags(&address.id, &tags);
    let answer = Element::answer()
        .text("publicIp", address.ip)
        .text("allocationId", &address.id)
        .text("domain", "vpc")
        .text("publicIpv4Pool", "amazon")
        .text("networkBorderGroup", &region.name);
    region.addresses.insert(address.id.clone(), address);
    Ok(answer)
}

pub(crate) fn associate(call: &mut Call<'_>) -> Outcome {
    let id = call.id("AllocationId", Kind::Address)?;
    let instance = call.id("InstanceId", Kind::Instance)?;
    let again = call.params.flag("AllowReassociation")?.unwrap_or(true);
    let region = call.look()?.region;
    let address = region
        .addresses
        .get(id)
        .ok_or_else(|| Kind::Address.not_found(id))?;
    let target = region
        .instances
        .get(instance)
        .ok_or_else(|| Kind::Instance.not_found(instance))?;
    let ip = address.ip;
    if let Some(used) = address
        .used
        .as_ref()
        .filter(|used| !again && used.instance != instance)
    {
        let message = format!("resource {id} is already associated with {}", used.instance);
        return Err(ApiError::bad("Resource.AlreadyAssociated", message));
    }
    if !matches!(
        target.phase,
        Phase::Running | Phase::Stopped | Phase::Stopping { .. }
    ) {
        let message = format!(
            "The pending or terminated instance '{instance}' is not in a valid state for this operation."
        );
        return Err(ApiError::bad("InvalidInstanceID", message));
    }
    if !region
        .gateways
        .all()
        .any(|it| it.vpc.as_ref() == Some(&target.vpc))
    {
        let message = format!(
            "Network {} is not attached to any internet gateway",
            target.vpc
        );
        return Err(ApiError::bad("Gateway.NotAttached", message));
    }
    let region = call.change()?.region;
    take_off(region, |it| {
        it.id == id
            || it
                .used
                .as_ref()
                .is_some_and(|used| used.instance == instance)
    });
    let association = region.ids.next("eipassoc");
    if let Some(address) = region.addresses.get_mut(id) {
        address.used = Some(AddressUse {
            association: association.clone(),
            instance: instance.to_owned(),
        });
    }
    if let Some(target) = region.instances.get_mut(instance) {
        target.public = Some(Association {
            ip,
            allocation: Some(id.to_owned()),
        });
    }
    Ok(Element::done().text("associationId", association))
}

/// Takes addresses off their instances. A running one gets an address of the pool again if it is to have one.
fn take_off(region: &mut Region, which: impl Fn(&Address) -> bool) {
    let used: Vec<AddressUse> = region
        .addresses
        .values_mut()
        .filter(|it| which(it))
        .filter_map(|it| it.used.take())
        .collect();
    for AddressUse { instance, .. } in used {
        let fresh = region.new_public_ip();
        if let Some(it) = region.instances.any_mut(&instance) {
            let wants = it.wants_public_ip && it.phase == Phase::Running;
            it.public = wants.then_some(Association {
                ip: fresh,
                allocation: None,
            });
        }
    }
}

pub(crate) fn disassociate(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("AssociationId")?;
    let of = |it: &Address| it.used.as_ref().is_some_and(|used| used.association == id);
    if !call.look()?.region.addresses.values().any(of) {
        let message = format!("The association ID '{id}' does not exist");
        return Err(ApiError::bad("InvalidAssociationID.NotFound", message));
    }
    take_off(call.change()?.region, of);
    Ok(Element::done())
}

pub(crate) fn release(call: &mut Call<'_>) -> Outcome {
    let id = call.id("AllocationId", Kind::Address)?;
    let region = call.look()?.region;
    let address = region
        .addresses
        .get(id)
        .ok_or_else(|| Kind::Address.not_found(id))?;
    if address.used.is_some() {
        let message = format!("Address {} is in use.", address.ip);
        return Err(ApiError::bad("InvalidIPAddress.InUse", message));
    }
    let region = call.change()?.region;
    region.addresses.remove(id);
    region.forget_tags(id);
    Ok(Element::done())
}
