//! VPCs.

use super::{cidr, tags};
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Kind, Region, Vpc};

const FILTERS: Fields<Vpc> = &[
    ("cidr", |it| vec![it.cidr.to_string()]),
    ("cidr-block-association.cidr-block", |it| {
        vec![it.cidr.to_string()]
    }),
    ("cidrBlock", |it| vec![it.cidr.to_string()]),
    ("cidr-block", |it| vec![it.cidr.to_string()]),
    ("dhcp-options-id", |it| vec![it.dhcp_options.clone()]),
    ("is-default", |it| vec![it.is_default.to_string()]),
    ("isDefault", |it| vec![it.is_default.to_string()]),
    ("state", |_| vec!["available".to_owned()]),
    ("vpc-id", |it| vec![it.id.clone()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("VpcId", Kind::Vpc)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let mut vpcs = region.described(Kind::Vpc, &region.vpcs, &ids)?;
    vpcs.retain(|it| filters.matches(it, region.tags(&it.id)));
    let cut = page.cut(vpcs, |it| it.id.clone());
    let items = cut.items.into_iter().map(|it| shown("item", region, it));
    Ok(Element::answer().list("vpcSet", items).next_token(cut.next))
}

fn shown(name: &'static str, region: &Region, vpc: &Vpc) -> Element {
    let association = el("item")
        .text("associationId", &vpc.cidr_association)
        .text("cidrBlock", vpc.cidr)
        .child(el("cidrBlockState").text("state", "associated"));
    el(name)
        .text("vpcId", &vpc.id)
        .text("ownerId", &region.account)
        .text("state", "available")
        .text("cidrBlock", vpc.cidr)
        .list("cidrBlockAssociationSet", [association])
        .text("dhcpOptionsId", &vpc.dhcp_options)
        .text("instanceTenancy", vpc.tenancy)
        .text("isDefault", vpc.is_default)
        .list("tagSet", tags::set(region.tags(&vpc.id)))
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let block = cidr::parameter("cidrBlock", call.params.required("CidrBlock")?)?;
    let tenancy = call
        .params
        .word("InstanceTenancy", &["default", "dedicated"])?
        .unwrap_or("default");
    // False is the default; a block of IPv6 addresses is not simulated.
    if call.params.flag("AmazonProvidedIpv6CidrBlock")? == Some(true) {
        return Err(ApiError::bad(
            "UnsupportedOperation",
            "IPv6 is not simulated",
        ));
    }
    let [tags] = tags::specifications(&call.params, [Kind::Vpc])?;
    let most = call.quotas.vpcs;
    let region = call.look()?.region;
    if !cidr::size_is_allowed(block) {
        return Err(ApiError::bad(
            "InvalidVpc.Range",
            format!("The CIDR '{block}' is invalid."),
        ));
    }
    let full = region.vpcs.count() >= most;
    let region = call.change()?.region;
    // A dry run promises no quota, so this comes after its end.
    if full {
        return Err(ApiError::bad(
            "VpcLimitExceeded",
            "The maximum number of VPCs has been reached.",
        ));
    }
    let id = region.add_vpc(block, tenancy, false);
    region.add_tags(&id, &tags);
    let vpc = region.vpcs.any(&id).map(|vpc| shown("vpc", region, vpc));
    Ok(Element::answer().maybe(vpc))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.id("VpcId", Kind::Vpc)?;
    let region = call.look()?.region;
    region.all_exist(Kind::Vpc, &[id])?;
    let in_the_way = region.subnets.all().any(|it| it.vpc == id)
        || region
            .gateways
            .all()
            .any(|it| it.vpc.as_deref() == Some(id))
        || region
            .route_tables
            .all()
            .any(|it| it.vpc == id && !it.is_main())
        || region
            .groups
            .all()
            .any(|it| it.vpc == id && it.name != "default");
    if in_the_way {
        return Err(ApiError::dependency(format!(
            "The vpc '{id}' has dependencies and cannot be deleted."
        )));
    }
    let region = call.change()?.region;
    region.vpcs.remove(id);
    let tables = region
        .route_tables
        .all()
        .filter(|it| it.vpc == id)
        .map(|it| it.id.clone());
    let groups = region
        .groups
        .all()
        .filter(|it| it.vpc == id)
        .map(|it| it.id.clone());
    let with_it: Vec<String> = tables.chain(groups).chain([id.to_owned()]).collect();
    region.route_tables.retain(|it| it.vpc != id);
    region.groups.retain(|it| it.vpc != id);
    with_it.iter().for_each(|id| region.forget_tags(id));
    Ok(Element::done())
}

pub(crate) fn modify_attribute(call: &mut Call<'_>) -> Outcome {
    let id = call.id("VpcId", Kind::Vpc)?;
    let support = call.params.flag("EnableDnsSupport.Value")?;
    let hostnames = call.params.flag("EnableDnsHostnames.Value")?;
    let metrics = call.params.flag("EnableNetworkAddressUsageMetrics.Value")?;
    // "You cannot modify the DNS resolution and DNS hostnames attributes in the same request."
    match [support, hostnames, metrics].iter().flatten().count() {
        0 => return Err(ApiError::missing("attribute")),
        1 => {}
        _ => {
            return Err(ApiError::combination(
                "Fields for multiple attribute types specified: only one is allowed",
            ));
        }
    }
    call.look()?.region.all_exist(Kind::Vpc, &[id])?;
    let region = call.change()?.region;
    if let Some(vpc) = region.vpcs.get_mut(id) {
        vpc.dns_support = support.unwrap_or(vpc.dns_support);
        vpc.dns_hostnames = hostnames.unwrap_or(vpc.dns_hostnames);
        vpc.usage_metrics = metrics.unwrap_or(vpc.usage_metrics);
    }
    Ok(Element::done())
}

pub(crate) fn describe_attribute(call: &mut Call<'_>) -> Outcome {
    let id = call.id("VpcId", Kind::Vpc)?;
    let words = &[
        "enableDnsSupport",
        "enableDnsHostnames",
        "enableNetworkAddressUsageMetrics",
    ];
    let attribute = call
        .params
        .word("Attribute", words)?
        .ok_or_else(|| ApiError::missing("attribute"))?;
    let region = call.read()?.region;
    let vpc = region.vpcs.get(id).ok_or_else(|| Kind::Vpc.not_found(id))?;
    let value = match attribute {
        "enableDnsSupport" => vpc.dns_support,
        "enableDnsHostnames" => vpc.dns_hostnames,
        _ => vpc.usage_metrics,
    };
    Ok(Element::answer()
        .text("vpcId", id)
        .child(el(attribute).text("value", value)))
}
