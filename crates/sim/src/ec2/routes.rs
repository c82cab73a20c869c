//! Routes to internet gateways, the only targets that are simulated.

use super::cidr;
use crate::call::Call;
use crate::protocol::{ApiError, Element, Outcome};
use crate::state::{Kind, Route};

pub(crate) fn create(call: &mut Call<'_>) -> Outcome {
    let id = call.id("RouteTableId", Kind::RouteTable)?;
    let destination = cidr::parameter(
        "destinationCidrBlock",
        call.params.required("DestinationCidrBlock")?,
    )?;
    let gateway = call.id("GatewayId", Kind::Gateway)?;
    let most = call.quotas.routes_per_table;
    let region = call.look()?.region;
    let table = region
        .route_tables
        .get(id)
        .ok_or_else(|| Kind::RouteTable.not_found(id))?;
    let target = region
        .gateways
        .get(gateway)
        .ok_or_else(|| Kind::Gateway.not_found(gateway))?;
    if target.vpc.as_ref() != Some(&table.vpc) {
        let message =
            format!("route table {id} and network gateway {gateway} belong to different networks");
        return Err(ApiError::bad("InvalidParameterValue", message));
    }
    if table.routes.iter().any(|it| it.destination == destination) {
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::bad("RouteAlreadyExists", message));
    }
    // "You cannot add a route that is more specific than the local route" to a gateway.
    if table
        .routes
        .first()
        .is_some_and(|local| local.destination.contains(&destination))
    {
        let message = format!(
            "The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance."
        );
        return Err(ApiError::bad("InvalidParameterValue", message));
    }
    let full = table.routes.len() > most;
    let region = call.change()?.region;
    if full {
        let message = "The maximum number of routes has been reached.";
        return Err(ApiError::bad("RouteLimitExceeded", message));
    }
    if let Some(table) = region.route_tables.get_mut(id) {
        table.routes.push(Route {
            destination,
            gateway: gateway.to_owned(),
        });
    }
    Ok(Element::done())
}

pub(crate) fn delete(call: &mut Call<'_>) -> Outcome {
    let id = call.id("RouteTableId", Kind::RouteTable)?;
    let destination = cidr::parameter(
        "destinationCidrBlock",
        call.params.required("DestinationCidrBlock")?,
    )?;
    let region = call.look()?.region;
    let table = region
        .route_tables
        .get(id)
        .ok_or_else(|| Kind::RouteTable.not_found(id))?;
    match table
        .routes
        .iter()
        .position(|it| it.destination == destination)
    {
        None => {
            let message =
                format!("no route with destination-cidr-block {destination} in route table {id}");
            return Err(ApiError::bad("InvalidRoute.NotFound", message));
        }
        Some(0) => {
            let message = format!("cannot remove local route {destination} in route table {id}");
            return Err(ApiError::bad("InvalidParameterValue", message));
        }
        Some(_) => {}
    }
    let region = call.change()?.region;
    if let Some(table) = region.route_tables.get_mut(id) {
        table.routes.retain(|it| it.destination != destination);
    }
    Ok(Element::done())
}
