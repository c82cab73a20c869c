//! Route tables and their associations with subnets.

use super::{launch, tags};
use crate::call::Call;
use crate::protocol::filter::{Fields, Filters};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};
use crate::state::{Kind, Region, RouteTable, TableAssociation};

const FILTERS: Fields<RouteTable> = &[
    ("association.main", |it| {
        it.associations
            .iter()
            .map(|a| a.subnet.is_none().to_string())
            .collect()
    }),
    ("association.route-table-association-id", |it| {
        it.associations.iter().map(|a| a.id.clone()).collect()
    }),
    ("association.route-table-id", |it| {
        it.associations.iter().map(|_| it.id.clone()).collect()
    }),
    ("association.subnet-id", |it| {
        it.associations
            .iter()
            .filter_map(|a| a.subnet.clone())
            .collect()
    }),
    ("route.destination-cidr-block", |it| {
        it.routes
            .iter()
            .map(|r| r.destination.to_string())
            .collect()
    }),
    ("route.gateway-id", |it| {
        it.routes.iter().map(|r| r.gateway.clone()).collect()
    }),
    ("route-table-id", |it| vec![it.id.clone()]),
    ("vpc-id", |it| vec![it.vpc.clone()]),
];

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let ids = call.ids("RouteTableId", Kind::RouteTable)?;
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 100)?;
    let region = call.read()?.region;
    let mut tables = region.described(Kind::RouteTable, &region.route_tables, &ids)?;
    tables.retain(|it| filters.matches(it, region.tags(&it.id)));
    let cut = page.cut(tables, |it| it.id.clone());
    let items = cut.items.into_iter().map(|it| shown("item", region, it));
    Ok(Element::answer()
        .list("routeTableSet", items)
        .next_token(cut.next))
}

fn shown(name: &'static str, region: &Region, table: &RouteTable) -> Element {
    let routes = table.routes.iter().enumerate().map(|(at, route)| {
        el("item")
            .text("destinationCidrBlock", route.destination)
            .text("gatewayId", &route.gateway)
            .text(
                "state",
                if region.route_is_active(table, route) {
                    "active"
                } else {
                    "blackhole"
                },
            )
            .text(
                "origin",
                if at == 0 {
                    "CreateRouteTable"
                } else {
                    "CreateRoute"
                },
            )
    });
    let associations = table.associations.iter().map(|it| {
        el("item")
            .text("routeTableAssociationId", &it.id)
            .text("routeTableId", &table.id)
            .opt("subnetId", it.subnet.as_ref())
            .text("main", it.subnet.is_none())
            .child(el("associationState").text("state", "associated"))
    });
    el(name)
        .text("routeTableId", &table.id)
        .text("vpcId", &table.vpc)
        .text("ownerId", &region.account)
        .list("routeSet", routes)
        .list("associationSet", associations)
        .list("propagatingVgwSet", [])
        .list("tagSet", tags::set(region.tags(&table.id)))
}

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let vpc = call.id("VpcId", Kind::Vpc)?;
    let token = launch::client_token(&call.params)?;
    let [tags] = tags::specifications(&call.params, [Kind::RouteTable])?;
    let fingerprint = call.params.fingerprint(&["ClientToken", "DryRun"]);
    let most = call.quotas.route_tables_per_vpc;
    let region = call.look()?.region;
    region.all_exist(Kind::Vpc, &[vpc])?;
    if let Some((known, id)) = token.and_then(|token| region.table_tokens.get(token))
        && let Some(table) = region.route_tables.any(id)
    {
        if *known != fingerprint {
            return Err(launch::parameter_mismatch());
        }
        let answer = Element::answer()
            .child(shown("routeTable", region, table))
            .opt("clientToken", token);
        call.change()?;
        return Ok(answer);
    }
    let full = region.route_tables.all().filter(|it| it.vpc == vpc).count() >= most;
    let region = call.change()?.region;
    if full {
        let message = "The maximum number of route tables for this VPC has been reached.";
        return Err(ApiError::bad("RouteTableLimitExceeded", message));
    }
    let id = region.ids.next(Kind::RouteTable.prefix());
    let inside = region
        .vpcs
        .get(vpc)
        .ok_or_else(|| Kind::Vpc.not_found(vpc))?;
    let table = RouteTable::new(id, inside);
    region.add_tags(&table.id, &tags);
    let from = region.appears(Kind::RouteTable, &table.id);
    region
        .route_tables
        .insert(table.id.clone(), table.clone(), from);
    if let Some(token) = token {
        region
            .table_tokens
            .insert(token.to_owned(), (fingerprint, table.id.clone()));
    }
    Ok(Element::answer()
        .child(shown("routeTable", region, &table))
        .opt("clientToken", token))
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.id("RouteTableId", Kind::RouteTable)?;
    let region = call.look()?.region;
    let table = region
        .route_tables
        .get(id)
        .ok_or_else(|| Kind::RouteTable.not_found(id))?;
    if !table.associations.is_empty() {
        let message = format!("The routeTable '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::dependency(message));
    }
    let region = call.change()?.region;
    region.route_tables.remove(id);
    region.forget_tags(id);
    Ok(Element::done())
}

pub(crate) fn associate(call: &mut Call<'_>) -> Outcome {
    let id = call.id("RouteTableId", Kind::RouteTable)?;
    let subnet = call.id("SubnetId", Kind::Subnet)?;
    let region = call.look()?.region;
    let table = region
        .route_tables
        .get(id)
        .ok_or_else(|| Kind::RouteTable.not_found(id))?;
    let vpc = &region
        .subnets
        .get(subnet)
        .ok_or_else(|| Kind::Subnet.not_found(subnet))?
        .vpc;
    if table.vpc != *vpc {
        let message = format!("Route table {id} and subnet {subnet} belong to different networks");
        return Err(ApiError::bad("InvalidParameterValue", message));
    }
    let is_there = |it: &RouteTable| {
        let mut subnets = it.associations.iter().map(|it| it.subnet.as_deref());
        subnets.any(|it| it == Some(subnet))
    };
    if region.route_tables.all().any(is_there) {
        let message = format!(
            "the specified association for route table {id} conflicts with an existing association"
        );
        return Err(ApiError::bad("Resource.AlreadyAssociated", message));
    }
    let region = call.change()?.region;
    let new = TableAssociation {
        id: region.ids.next("rtbassoc"),
        subnet: Some(subnet.to_owned()),
    };
    let state = el("associationState").text("state", "associated");
    let answer = Element::answer()
        .text("associationId", &new.id)
        .child(state);
    if let Some(table) = region.route_tables.get_mut(id) {
        table.associations.push(new);
    }
    Ok(answer)
}

pub(crate) fn disassociate(call: &mut Call<'_>) -> Outcome {
    let id = call.params.required("AssociationId")?;
    let region = call.look()?.region;
    let found = region
        .route_tables
        .all()
        .flat_map(|it| &it.associations)
        .find(|it| it.id == id);
    match found {
        None => {
            let message = format!("The association ID '{id}' does not exist");
            return Err(ApiError::bad("InvalidAssociationID.NotFound", message));
        }
        Some(it) if it.subnet.is_none() => {
            let message = format!("cannot disassociate the main route table association {id}");
            return Err(ApiError::bad("InvalidParameterValue", message));
        }
        Some(_) => {}
    }
    let region = call.change()?.region;
    for table in region.route_tables.all_mut() {
        table.associations.retain(|it| it.id != id);
    }
    Ok(Element::done())
}
