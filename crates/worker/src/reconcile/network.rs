//! The network of a cluster: found, and made where it is missing.
//!
//! None of these calls but CreateRouteTable has a client token. So each object is tagged in the call that makes it and
//! looked up by its tag before one is made, and only one task per site makes any ([`super::creation`]).

use std::collections::BTreeSet;

use aws::{Subnet, Tags, Vpc};
use domain::{
    ids::NetworkId,
    network::{self, Found, LeftOut, Network, ObjectKind, VPC_CIDR},
    placement, provider_options, tags,
};

use super::{
    Look, Stop,
    creation::{self, Asked},
    gateway, security_group, subnets,
};
use crate::site::Site;

/// The choice of a cluster that leaves the VPC to Berth.
const AUTO: &str = "auto";

/// Finds the cluster's network, and makes what is missing of it.
pub(crate) async fn prepare(site: &Site, look: &Look) -> Result<Network, Stop> {
    let found = match &look.cluster.provider_options.vpc {
        Some(vpc) => {
            let _one_maker = site.makers.of(&vpc.id).await;
            if vpc.subnets.is_empty() {
                let vpc = given_vpc(site, look, &vpc.id).await?;
                managed_subnets(site, look, &vpc, false).await?
            } else {
                given_subnets(site, look, vpc).await?
            }
        }
        None => {
            let one_maker = site.makers.of(AUTO).await;
            let (vpc, is_ours) = dc_vpc(site, look).await?;
            drop(one_maker);
            // A cluster may name the same VPC by its id.
            let _one_maker = site.makers.of(&vpc.id).await;
            managed_subnets(site, look, &vpc, is_ours).await?
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
        given_vpc(site, look, &wanted.id),
        async { Ok(look.cloud.subnets_by_id(&wanted.subnets).await?) },
        offering(look),
    )?;
    for id in &wanted.subnets {
        let subnet = found.iter().find(|subnet| subnet.id == *id);
        let subnet = given(site, look, "provider_options.vpc.subnets", id, subnet)?;
        if subnet.vpc_id != vpc.id {
            return Err(Stop::Fail(format!(
                "provider_options.vpc.subnets: {id} is in {}, not in {}",
                subnet.vpc_id, vpc.id
            )));
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

async fn given_vpc(site: &Site, look: &Look, vpc_id: &str) -> Result<Vpc, Stop> {
    let found = look.cloud.vpc(vpc_id).await?;
    given(site, look, "provider_options.vpc.id", vpc_id, found)
}

/// An object that the user names in `field`, as it was found. One that was made a moment ago may not be listed yet.
pub(crate) fn given<T>(
    site: &Site,
    look: &Look,
    field: &str,
    id: &str,
    found: Option<T>,
) -> Result<T, Stop> {
    match found {
        Some(found) => {
            site.sightings.seen(id);
            Ok(found)
        }
        None if site.sightings.missed(id) => Err(Stop::Fail(format!(
            "{field}: {id} does not exist in {}",
            look.cluster.region
        ))),
        None => Err(Stop::NotYet(format!("{id} exists"))),
    }
}

/// The zones that offer the cluster's node type.
async fn offering(look: &Look) -> Result<BTreeSet<String>, Stop> {
    Ok(look.cloud.zones_offering(&look.cluster.node_type).await?)
}

/// `dc-vpc`, and whether this installation made it.
async fn dc_vpc(site: &Site, look: &Look) -> Result<(Vpc, bool), Stop> {
    let kind = ObjectKind::Vpc;
    let mut tx = site.fence().await?;
    let network_id = store::network::ensure(&mut tx, site.lease.site_id, AUTO).await?;
    tx.commit().await?;
    let installation = site.installation.to_string();
    let mut there = look.cloud.vpcs_named(tags::VPC_NAME).await?;
    let candidates = there.iter().map(|vpc| Found {
        id: &vpc.id,
        installation: vpc.tags.installation(),
    });
    let known = creation::written_down(site, network_id, kind).await?;
    let chosen = network::choose(candidates, &installation, known.as_deref()).map(str::to_owned);
    // Where the one in use is not listed for a moment, another one is no better.
    if let Some(known) = known.filter(|known| Some(known) != chosen.as_ref())
        && !site.sightings.missed(&known)
    {
        return Ok((vpc_in_use(site, known), true));
    }
    if let Some(id) = chosen {
        let index = there
            .iter()
            .position(|vpc| vpc.id == id)
            .unwrap_or_default();
        let vpc = there.swap_remove(index);
        let is_ours = vpc.tags.installation().is_some();
        if is_ours {
            creation::know(site, network_id, kind, &vpc.id).await?;
        }
        return Ok((vpc, is_ours));
    }
    if let Asked::Made(id) = creation::asked(site, network_id, kind).await? {
        return Ok((vpc_in_use(site, id), true));
    }
    let wanted = tags::network(site.installation, tags::VPC_NAME);
    let call = look.cloud.create_vpc(VPC_CIDR, &wanted);
    let vpc = creation::create(site, look, network_id, kind, call, |vpc| {
        let line = format!("Created VPC {} ({}, {VPC_CIDR})", vpc.id, tags::VPC_NAME);
        (vpc.id.clone(), line)
    })
    .await?;
    Ok((vpc, true))
}

/// The `dc-vpc` of this installation as it was made.
fn vpc_in_use(site: &Site, id: String) -> Vpc {
    let tags = tags::network(site.installation, tags::VPC_NAME);
    Vpc {
        id,
        cidr: VPC_CIDR.to_owned(),
        tags: Tags(tags.into_iter().collect()),
    }
}

/// A VPC in which Berth makes the subnets that are missing: one per zone that can run the node type.
async fn managed_subnets(
    site: &Site,
    look: &Look,
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
    connect(site, look, network_id, &vpc.id, &there.subnets).await?;
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
    let known = creation::written_down(site, network_id, ObjectKind::RouteTable).await?;
    let chosen = network::choose(candidates, &installation, known.as_deref());
    let table = tables
        .iter()
        .find(|table| Some(table.id.as_str()) == chosen)
        .cloned();
    if let Some(known) = known.filter(|known| Some(known.as_str()) != chosen)
        && !site.sightings.missed(&known)
    {
        return Err(Stop::NotYet(format!("the route table {known} is there")));
    }
    if let Some(table) = &table {
        // It is listed, so that one that is missing later is another one, with another token.
        let mut tx = site.fence().await?;
        store::network::forget_route_table_token(&mut tx, network_id).await?;
        tx.commit().await?;
        if table.tags.installation().is_some() {
            creation::know(site, network_id, ObjectKind::RouteTable, &table.id).await?;
        }
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
    let gateway_id = gateway::of_vpc(site, look, network_id, vpc_id).await?;
    let table = match table {
        Some(table) => table,
        None => route_table(site, look, network_id, vpc_id).await?,
    };
    if !table.has_default_route {
        let routed = look
            .cloud
            .create_default_route(&table.id, &gateway_id)
            .await;
        if let Err(error) = routed {
            // Somebody may have detached it since the look; then the next look finds the network as it is now.
            let attached = look.cloud.gateway_of(vpc_id).await?;
            return Err(match attached {
                Some(gateway) if gateway.id == gateway_id => error.into(),
                _ => Stop::Later(error.into()),
            });
        }
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
    let call = look.cloud.create_route_table(vpc_id, &token, &wanted);
    let kind = ObjectKind::RouteTable;
    Ok(
        creation::create(site, look, network_id, kind, call, |table| {
            let line = format!(
                "Created route table {} ({})",
                table.id,
                tags::ROUTE_TABLE_NAME
            );
            (table.id.clone(), line)
        })
        .await?,
    )
}
