//! Subnets.

use super::{cidr, tags};
use crate::call::Call;
use crate::catalogue::{self, Zone};
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Kind, Region, Subnet};

/// A subnet with the number of its free addresses.
type Row = (Subnet, usize);

const FILTERS: Fields<Row> = &[
    ("availability-zone", |(it, _)| vec![it.zone.clone()]),
    ("availabilityZone", |(it, _)| vec![it.zone.clone()]),
    ("availability-zone-id", |(it, _)| vec![it.zone_id.clone()]),
    ("available-ip-address-count", |(_, free)| {
        vec![free.to_string()]
    }),
    ("cidr-block", |(it, _)| vec![it.cidr.to_string()]),
    ("cidr", |(it, _)| vec![it.cidr.to_string()]),
    ("default-for-az", |(it, _)| {
        vec![it.default_for_zone.to_string()]
    }),
    ("defaultForAz", |(it, _)| {
        vec![it.default_for_zone.to_string()]
    }),
    ("map-public-ip-on-launch", |(it, _)| {
        vec![it.map_public_ip.to_string()]
    }),
    ("state", |_| vec!["available".to_owned()]),
    ("subnet-id", |(it, _)| vec![it.id.clone()]),
    ("vpc-id", |(it, _)| vec![it.vpc.clone()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("SubnetId", Kind::Subnet)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let subnets = region.described(Kind::Subnet, &region.subnets, &ids)?;
    let rows = subnets.into_iter().map(|it| (it.clone(), free(region, it)));
    let mut rows: Vec<Row> = rows.collect();
    rows.retain(|row| filters.matches(row, region.tags(&row.0.id)));
    let cut = page.cut(rows, |(it, _)| it.id.clone());
    let items = cut.items.iter().map(|row| shown("item", region, row));
    Ok(Element::answer()
        .list("subnetSet", items)
        .next_token(cut.next))
}

/// The addresses that nobody has.
pub(crate) fn free(region: &Region, subnet: &Subnet) -> usize {
    subnet
        .capacity()
        .saturating_sub(region.private_ips(&subnet.id).len())
}

fn shown(name: &'static str, region: &Region, (subnet, free): &Row) -> Element {
    let arn = format!(
        "arn:aws:ec2:{}:{}:subnet/{}",
        region.name, region.account, subnet.id
    );
    el(name)
        .text("subnetId", &subnet.id)
        .text("subnetArn", arn)
        .text("state", "available")
        .text("ownerId", &region.account)
        .text("vpcId", &subnet.vpc)
        .text("cidrBlock", subnet.cidr)
        .list("ipv6CidrBlockAssociationSet", [])
        .text("availableIpAddressCount", free)
        .text("availabilityZone", &subnet.zone)
        .text("availabilityZoneId", &subnet.zone_id)
        .text("defaultForAz", subnet.default_for_zone)
        .text("mapPublicIpOnLaunch", subnet.map_public_ip)
        .text("assignIpv6AddressOnCreation", false)
        .text("mapCustomerOwnedIpOnLaunch", false)
        .text("enableDns64", false)
        .text("ipv6Native", false)
        .list("tagSet", tags::set(region.tags(&subnet.id)))
}

fn no_subnet_in(parameter: &str, value: &str, others: &[&str]) -> ApiError {
    ApiError::value(format!(
        "Value ({value}) for parameter {parameter} is invalid. Subnets can currently only be created in the following availability zones: {}.",
        others.join(", ")
    ))
}

/// The zone that the request names, or none.
fn zone(call: &Call<'_>) -> Result<Option<&'static Zone>, ApiError> {
    let region = catalogue::region(&call.caller.region).ok_or_else(ApiError::auth_failure)?;
    let name = call
        .params
        .text("AvailabilityZone")
        .filter(|it| !it.is_empty());
    let id = call
        .params
        .text("AvailabilityZoneId")
        .filter(|it| !it.is_empty());
    let find = |parameter: &str, value: &str, found: Option<&'static Zone>| {
        let all: Vec<&str> = region.zones.iter().map(|zone| zone.name.as_str()).collect();
        found.ok_or_else(|| no_subnet_in(parameter, value, &all))
    };
    match (name, id) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(ApiError::combination(
            "The parameters availabilityZone and availabilityZoneId cannot be used together",
        )),
        (Some(name), None) => find(
            "availabilityZone",
            name,
            region.zones.iter().find(|it| it.name == name),
        )
        .map(Some),
        (None, Some(id)) => find(
            "availabilityZoneId",
            id,
            region.zones.iter().find(|it| it.id == id),
        )
        .map(Some),
    }
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let vpc = call.id("VpcId", Kind::Vpc)?;
    let block = cidr::parameter("cidrBlock", call.params.required("CidrBlock")?)?;
    let named = zone(call)?;
    let [tags] = tags::specifications(&call.params, [Kind::Subnet])?;
    let most = call.quotas.subnets_per_vpc;
    let here = catalogue::region(&call.caller.region).ok_or_else(ApiError::auth_failure)?;
    let region = call.look()?.region;
    let inside = region
        .vpcs
        .get(vpc)
        .ok_or_else(|| Kind::Vpc.not_found(vpc))?
        .cidr;
    if !cidr::size_is_allowed(block) || !inside.contains(&block) {
        return Err(ApiError::bad(
            "InvalidSubnet.Range",
            format!("The CIDR '{block}' is invalid."),
        ));
    }
    let siblings: Vec<&Subnet> = region.subnets.all().filter(|it| it.vpc == vpc).collect();
    if siblings.iter().any(|it| cidr::overlap(it.cidr, block)) {
        let message = format!("The CIDR '{block}' conflicts with another subnet");
        return Err(ApiError::bad("InvalidSubnet.Conflict", message));
    }
    let full = siblings.len() >= most;
    // Without a zone EC2 chooses one; here it is always the first that can be used.
    let mut usable = here.zones.iter().filter(|it| region.is_usable(&it.name));
    let zone = match named {
        Some(zone) if !region.is_usable(&zone.name) => {
            let usable: Vec<&str> = usable.map(|it| it.name.as_str()).collect();
            return Err(no_subnet_in("availabilityZone", &zone.name, &usable));
        }
        Some(zone) => zone,
        None => usable.next().ok_or_else(ApiError::auth_failure)?,
    };
    let region = call.change()?.region;
    if full {
        let message = "The maximum number of subnets for this VPC has been reached.";
        return Err(ApiError::bad("SubnetLimitExceeded", message));
    }
    let subnet = Subnet {
        id: region.ids.next(Kind::Subnet.prefix()),
        vpc: vpc.to_owned(),
        cidr: block,
        zone: zone.name.clone(),
        zone_id: zone.id.clone(),
        default_for_zone: false,
        map_public_ip: false,
    };
    region.add_tags(&subnet.id, &tags);
    let from = region.appears(Kind::Subnet, &subnet.id);
    region
        .subnets
        .insert(subnet.id.clone(), subnet.clone(), from);
    let free = subnet.capacity();
    Ok(Element::answer().child(shown("subnet", region, &(subnet, free))))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.id("SubnetId", Kind::Subnet)?;
    let region = call.look()?.region;
    region.all_exist(Kind::Subnet, &[id])?;
    if region.is_in_use(|instance| instance.subnet == id) {
        return Err(ApiError::dependency(format!(
            "The subnet '{id}' has dependencies and cannot be deleted."
        )));
    }
    let region = call.change()?.region;
    region.subnets.remove(id);
    region.forget_tags(id);
    for table in region.route_tables.all_mut() {
        table
            .associations
            .retain(|it| it.subnet.as_deref() != Some(id));
    }
    Ok(Element::done())
}

pub(crate) fn modify_attribute(call: &mut Call<'_>) -> Outcome {
    let id = call.id("SubnetId", Kind::Subnet)?;
    let map = call.params.flag("MapPublicIpOnLaunch.Value")?;
    call.look()?.region.all_exist(Kind::Subnet, &[id])?;
    let map = map.ok_or_else(|| ApiError::missing("attribute"))?;
    let region = call.change()?.region;
    if let Some(subnet) = region.subnets.get_mut(id) {
        subnet.map_public_ip = map;
    }
    Ok(Element::done())
}
