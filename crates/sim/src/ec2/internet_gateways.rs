//! Internet gateways.

use super::tags;
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Gateway, Kind, Region};

const FILTERS: Fields<Gateway> = &[
    ("attachment.state", |it| {
        it.vpc.iter().map(|_| "available".to_owned()).collect()
    }),
    ("attachment.vpc-id", |it| it.vpc.iter().cloned().collect()),
    ("internet-gateway-id", |it| vec![it.id.clone()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("InternetGatewayId", Kind::Gateway)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?;
    let region = call.read()?.region;
    let mut gateways = region.described(Kind::Gateway, &region.gateways, &ids)?;
    gateways.retain(|it| filters.matches(it, region.tags(&it.id)));
    let cut = page.cut(gateways, |it| it.id.clone());
    let items = cut.items.into_iter().map(|it| shown("item", region, it));
    Ok(Element::answer()
        .list("internetGatewaySet", items)
        .next_token(cut.next))
}

fn shown(name: &'static str, region: &Region, gateway: &Gateway) -> Element {
    // A gateway's attachment is `available` where the enumeration of the interface says `attached`; EC2 does so too.
    let attachments = gateway
        .vpc
        .iter()
        .map(|vpc| el("item").text("vpcId", vpc).text("state", "available"));
    el(name)
        .text("internetGatewayId", &gateway.id)
        .text("ownerId", &region.account)
        .list("attachmentSet", attachments)
        .list("tagSet", tags::set(region.tags(&gateway.id)))
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let [tags] = tags::specifications(&call.params, [Kind::Gateway])?;
    let most = call.quotas.internet_gateways;
    let region = call.change()?.region;
    if region.gateways.count() >= most {
        let message = "The maximum number of internet gateways has been reached.";
        return Err(ApiError::bad("InternetGatewayLimitExceeded", message));
    }
    let gateway = Gateway {
        id: region.ids.next(Kind::Gateway.prefix()),
        vpc: None,
    };
    region.add_tags(&gateway.id, &tags);
    let from = region.appears(Kind::Gateway, &gateway.id);
    region
        .gateways
        .insert(gateway.id.clone(), gateway.clone(), from);
    Ok(Element::answer().child(shown("internetGateway", region, &gateway)))
}

pub(crate) fn attach(call: &mut Call<'_>) -> Outcome {
    let id = call.id("InternetGatewayId", Kind::Gateway)?;
    let vpc = call.id("VpcId", Kind::Vpc)?;
    let region = call.look()?.region;
    let gateway = region
        .gateways
        .get(id)
        .ok_or_else(|| Kind::Gateway.not_found(id))?;
    region.all_exist(Kind::Vpc, &[vpc])?;
    if let Some(already) = &gateway.vpc {
        let message = format!("resource {id} is already attached to network {already}");
        return Err(ApiError::bad("Resource.AlreadyAssociated", message));
    }
    if region
        .gateways
        .all()
        .any(|it| it.vpc.as_deref() == Some(vpc))
    {
        let message = format!("Network {vpc} already has an internet gateway attached");
        return Err(ApiError::bad("InvalidParameterValue", message));
    }
    let region = call.change()?.region;
    if let Some(gateway) = region.gateways.get_mut(id) {
        gateway.vpc = Some(vpc.to_owned());
    }
    Ok(Element::done())
}

pub(crate) fn detach(call: &mut Call<'_>) -> Outcome {
    let id = call.id("InternetGatewayId", Kind::Gateway)?;
    let vpc = call.id("VpcId", Kind::Vpc)?;
    let region = call.look()?.region;
    let gateway = region
        .gateways
        .get(id)
        .ok_or_else(|| Kind::Gateway.not_found(id))?;
    region.all_exist(Kind::Vpc, &[vpc])?;
    if gateway.vpc.as_deref() != Some(vpc) {
        let message = format!("resource {id} is not attached to network {vpc}");
        return Err(ApiError::bad("Gateway.NotAttached", message));
    }
    if region
        .instances
        .all()
        .any(|it| it.vpc == vpc && it.public.is_some())
    {
        return Err(ApiError::dependency(format!(
            "Network {vpc} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
        )));
    }
    let region = call.change()?.region;
    if let Some(gateway) = region.gateways.get_mut(id) {
        gateway.vpc = None;
    }
    Ok(Element::done())
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.id("InternetGatewayId", Kind::Gateway)?;
    let region = call.look()?.region;
    let gateway = region
        .gateways
        .get(id)
        .ok_or_else(|| Kind::Gateway.not_found(id))?;
    if gateway.vpc.is_some() {
        let message = format!("The internetGateway '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::dependency(message));
    }
    let region = call.change()?.region;
    region.gateways.remove(id);
    region.forget_tags(id);
    Ok(Element::done())
}
