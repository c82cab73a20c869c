//! The network of a cluster: found, and made where it is missing.
//!
//! None of these calls but CreateRouteTable has a client token. So each object is tagged in the call that makes it and
//! looked up by its tag before one is made, and only one task per site makes any.

use std::{collections::BTreeSet, time::Duration};

use aws::{Subnet, Vpc};
use domain::{
    ids::NetworkId,
    network::{self, Found, LeftOut, Network, VPC_CIDR},
    placement, provider_options, tags,
};

use tokio::time::Instant;

use super::{Look, Stop, security_group, subnets};
use crate::site::{Made, Site};

/// After this time a new object is in every listing (EC2 API guide, "Eventual consistency", speaks of seconds).
const LISTED_WITHIN: Duration = Duration::from_secs(120);

/// The choice of a cluster that leaves the VPC to Berth.
const AUTO: &str = "auto";

/// Finds the cluster's network, and makes what is missing of it.
pub(crate) async fn prepare(site: &Site, look: &Look) -> Result<Network, Stop> {
    let mut made = site.network.lock().await;
    let found = match &look.cluster.provider_options.vpc {
        Some(vpc) if !vpc.subnets.is_empty() => given_subnets(site, look, vpc).await?,
        Some(vpc) => {
            let vpc = given_vpc(look, &vpc.id).await?;
            managed_subnets(site, look, &mut made, &vpc, false).await?
        }
        None => {
            let (vpc, is_ours) = dc_vpc(site, look, &mut made).await?;
            managed_subnets(site, look, &mut made, &vpc, is_ours).await?
        }
    };
    take_off_in_flight(site, found).await
}

/// Free addresses that launches on their way will take are not free.
async fn take_off_in_flight(site: &Site, mut network: Network) -> Result<Network, Stop> {
    let mut conn = site.pool.acquire().await?;
    for (subnet_id, count) in store::launch::in_flight(&mut conn, site.lease.site_id).await? {
        for subnet in network
            .subnets
            .iter_mut()
            .filter(|subnet| subnet.subnet_id == subnet_id)
        {
            subnet.free_addresses = subnet.free_addresses.saturating_sub(count);
        }
    }
    Ok(network)
}

/// The subnets that the user names, all of them in the VPC that the user names.
async fn given_subnets(
    site: &Site,
    look: &Look,
    wanted: &provider_options::Vpc,
) -> Result<Network, Stop> {
    let (vpc, found, offering) = tokio::try_join!(
        given_vpc(look, &wanted.id),
        async { Ok(look.cloud.subnets_by_id(&wanted.subnets).await?) },
        offering(look),
    )?;
    for id in &wanted.subnets {
        match found.iter().find(|subnet| subnet.id == *id) {
            None => {
                return Err(Stop::Fail(format!(
                    "provider_options.vpc.subnets: {id} does not exist in {}",
                    look.cluster.region
                )));
            }
            Some(subnet) if subnet.vpc_id != vpc.id => {
                return Err(Stop::Fail(format!(
                    "provider_options.vpc.subnets: {id} is in {}, not in {}",
                    subnet.vpc_id, vpc.id
                )));
            }
            Some(_) => {}
        }
    }
    let security_group_ids = security_group::of_cluster(site, look, &vpc.id, None).await?;
    let (subnets, left_out) = usable(look, found, &offering);
    Ok(Network {
        vpc_id: vpc.id,
        security_group_ids,
        subnets,
        left_out,
    })
}

async fn given_vpc(look: &Look, vpc_id: &str) -> Result<Vpc, Stop> {
    look.cloud.vpc(vpc_id).await?.ok_or_else(|| {
        Stop::Fail(format!(
            "provider_options.vpc.id: {vpc_id} does not exist in {}",
            look.cluster.region
        ))
    })
}

/// The zones that offer the cluster's node type.
async fn offering(look: &Look) -> Result<BTreeSet<String>, Stop> {
    Ok(look.cloud.zones_offering(&look.cluster.node_type).await?)
}

/// `dc-vpc`, and whether this installation made it.
async fn dc_vpc(site: &Site, look: &Look, made: &mut Made) -> Result<(Vpc, bool), Stop> {
    let installation = site.installation.to_string();
    let mut there = look.cloud.vpcs_named(tags::VPC_NAME).await?;
    let candidates = there.iter().map(|vpc| Found {
        id: &vpc.id,
        installation: vpc.tags.installation(),
    });
    if let Some(id) = network::choose(candidates, &installation).map(str::to_owned) {
        let index = there
            .iter()
            .position(|vpc| vpc.id == id)
            .unwrap_or_default();
        let vpc = there.swap_remove(index);
        let is_ours = vpc.tags.installation().is_some();
        return Ok((vpc, is_ours));
    }
    if let Some((at, vpc)) = &made.vpc
        && at.elapsed() < LISTED_WITHIN
    {
        return Ok((vpc.clone(), true));
    }
    let vpc = look
        .cloud
        .create_vpc(VPC_CIDR, &tags::network(site.installation, tags::VPC_NAME))
        .await?;
    made.vpc = Some((Instant::now(), vpc.clone()));
    let line = format!("Created VPC {} ({}, {VPC_CIDR})", vpc.id, tags::VPC_NAME);
    site.log(look.cluster.action_id, &line).await?;
    Ok((vpc, true))
}

/// A VPC in which Berth makes the subnets that are missing: one per zone that can run the node type.
async fn managed_subnets(
    site: &Site,
    look: &Look,
    made: &mut Made,
    vpc: &Vpc,
    is_ours: bool,
) -> Result<Network, Stop> {
    let choice = look
        .cluster
        .provider_options
        .vpc
        .as_ref()
        .map_or(AUTO, |vpc| vpc.id.as_str());
    let mut tx = site.fence().await?;
    let network_id = store::network::ensure(&mut tx, site.lease.site_id, choice).await?;
    let before = store::network::get(&mut tx, network_id).await?;
    tx.commit().await?;
    if before.vpc_id.as_deref() != Some(&vpc.id) {
        if is_ours {
            look.cloud.enable_dns_hostnames(&vpc.id).await?;
        }
        let mut tx = site.fence().await?;
        store::network::set_vpc(&mut tx, network_id, &vpc.id).await?;
        tx.commit().await?;
    }
    let (zones, offering, existing) = tokio::try_join!(
        async { Ok(look.cloud.zones().await?) },
        offering(look),
        async { Ok(look.cloud.subnets(&vpc.id).await?) },
    )?;
    let security_group_ids =
        security_group::of_cluster(site, look, &vpc.id, Some(network_id)).await?;
    let base = subnets::Base {
        network_id,
        vpc,
        security_group_ids: &security_group_ids,
    };
    let there = subnets::ensure(site, look, &base, &zones, &offering, existing).await?;
    connect(site, look, made, network_id, &vpc.id, &there.subnets).await?;
    let (usable, mut left_out) = usable(look, there.subnets, &offering);
    let has_subnet = |zone: &String| usable.iter().any(|subnet| subnet.zone == *zone);
    left_out.extend(there.refused);
    left_out.extend(
        zones
            .iter()
            .filter(|zone| !offering.contains(*zone) && !has_subnet(zone))
            .map(|zone| LeftOut {
                zone: zone.clone(),
                reason: not_offered(look),
            }),
    );
    left_out.sort_by(|a, b| a.zone.cmp(&b.zone));
    left_out.dedup_by(|a, b| a.zone == b.zone);
    if let (false, Some(action)) = (left_out.is_empty(), look.cluster.action_id) {
        let lines = left_out
            .iter()
            .map(|out| format!("{} is left out: {}", out.zone, out.reason));
        let mut tx = site.fence().await?;
        store::action::log_if_new(&mut tx, action, &lines.collect::<Vec<_>>().join("; ")).await?;
        tx.commit().await?;
    }
    Ok(Network {
        vpc_id: vpc.id.clone(),
        security_group_ids,
        subnets: usable,
        left_out,
    })
}

fn not_offered(look: &Look) -> String {
    format!("EC2 does not offer {} there", look.cluster.node_type)
}

/// The subnets as places for nodes; those in zones that do not offer the node type are left out.
fn usable(
    look: &Look,
    found: Vec<Subnet>,
    offering: &BTreeSet<String>,
) -> (Vec<placement::Subnet>, Vec<LeftOut>) {
    let (here, elsewhere): (Vec<Subnet>, Vec<Subnet>) = found
        .into_iter()
        .partition(|subnet| offering.contains(&subnet.zone));
    let left_out = elsewhere
        .into_iter()
        .map(|subnet| LeftOut {
            zone: subnet.zone,
            reason: not_offered(look),
        })
        .collect();
    let places = here
        .into_iter()
        .map(|subnet| placement::Subnet {
            cidr: subnet.cidr.parse().unwrap_or_default(),
            subnet_id: subnet.id,
            zone: subnet.zone,
            free_addresses: subnet.free_addresses,
        })
        .collect();
    (places, left_out)
}

/// Connects the subnets that this installation made to the internet: gateway, route table, default route.
async fn connect(
    site: &Site,
    look: &Look,
    made: &mut Made,
    network_id: NetworkId,
    vpc_id: &str,
    subnets: &[Subnet],
) -> Result<(), Stop> {
    let installation = site.installation.to_string();
    let ours: Vec<&Subnet> = subnets
        .iter()
        .filter(|subnet| subnet.tags.installation() == Some(&installation))
        .collect();
    if ours.is_empty() {
        return Ok(());
    }
    let tables = look.cloud.route_tables(vpc_id).await?;
    let named = tables
        .iter()
        .filter(|table| table.tags.name() == Some(tags::ROUTE_TABLE_NAME));
    let candidates = named.map(|table| Found {
        id: &table.id,
        installation: table.tags.installation(),
    });
    let table = match network::choose(candidates, &installation) {
        Some(id) => tables.iter().find(|table| table.id == id).cloned(),
        None => None,
    };
    if table.is_some() {
        // It is listed, so that one that is missing later is another one, with another token.
        let mut tx = site.fence().await?;
        store::network::forget_route_table_token(&mut tx, network_id).await?;
        tx.commit().await?;
    }
    let is_complete = |table: &aws::RouteTable| {
        table.has_default_route
            && ours
                .iter()
                .all(|subnet| table.subnet_ids.contains(&subnet.id))
    };
    if table.as_ref().is_some_and(is_complete) {
        return Ok(());
    }
    let gateway_id = gateway(site, look, made, vpc_id).await?;
    let table = match table {
        Some(table) => table,
        None => route_table(site, look, network_id, vpc_id).await?,
    };
    if !table.has_default_route {
        look.cloud
            .create_default_route(&table.id, &gateway_id)
            .await?;
        let line = format!("Routed 0.0.0.0/0 to {gateway_id} in {}", table.id);
        site.log(look.cluster.action_id, &line).await?;
    }
    for subnet in ours {
        if !table.subnet_ids.contains(&subnet.id) {
            look.cloud
                .associate_route_table(&table.id, &subnet.id)
                .await?;
            let line = format!("Associated {} with {}", subnet.id, table.id);
            site.log(look.cluster.action_id, &line).await?;
        }
    }
    Ok(())
}

async fn route_table(
    site: &Site,
    look: &Look,
    network_id: NetworkId,
    vpc_id: &str,
) -> Result<aws::RouteTable, Stop> {
    let mut tx = site.fence().await?;
    let token = store::network::route_table_token(&mut tx, network_id).await?;
    tx.commit().await?;
    let wanted = tags::network(site.installation, tags::ROUTE_TABLE_NAME);
    let table = look
        .cloud
        .create_route_table(vpc_id, &token, &wanted)
        .await?;
    let line = format!(
        "Created route table {} ({})",
        table.id,
        tags::ROUTE_TABLE_NAME
    );
    site.log(look.cluster.action_id, &line).await?;
    Ok(table)
}

/// The VPC's internet gateway: the one that is attached, else `dc-gateway`.
async fn gateway(site: &Site, look: &Look, made: &mut Made, vpc_id: &str) -> Result<String, Stop> {
    if let Some(gateway) = look.cloud.gateway_of(vpc_id).await? {
        return Ok(gateway.id);
    }
    let installation = site.installation.to_string();
    // One that was made but not attached is what a worker left that died in between; only our own is taken for it.
    let left_over = look
        .cloud
        .gateways_named(tags::GATEWAY_NAME)
        .await?
        .into_iter()
        .find(|gateway| {
            gateway.vpc_id.is_none() && gateway.tags.installation() == Some(&installation)
        });
    let just_made = made
        .gateway
        .as_ref()
        .filter(|(at, of, _)| of == vpc_id && at.elapsed() < LISTED_WITHIN);
    let gateway = match (left_over, just_made) {
        (Some(gateway), _) => gateway,
        (None, Some((_, _, gateway))) => gateway.clone(),
        (None, None) => {
            let wanted = tags::network(site.installation, tags::GATEWAY_NAME);
            let gateway = look.cloud.create_gateway(&wanted).await?;
            made.gateway = Some((Instant::now(), vpc_id.to_owned(), gateway.clone()));
            gateway
        }
    };
    look.cloud.attach_gateway(&gateway.id, vpc_id).await?;
    let line = format!(
        "Attached internet gateway {} ({}) to {vpc_id}",
        gateway.id,
        tags::GATEWAY_NAME
    );
    site.log(look.cluster.action_id, &line).await?;
    Ok(gateway.id)
}
