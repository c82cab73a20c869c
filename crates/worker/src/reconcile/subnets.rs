//! `dc-subnet`s: one in each zone that can run the node type, made around what exists.
//!
//! The seed: "For every subnet, Docker Cloud tries to dry-run an instance of the selected type and creates it if the
//! operation succeeds". EC2 can only dry-run in a subnet that exists, so the subnet is made first and goes again where
//! the dry run is refused.

use std::collections::BTreeSet;

use aws::{Subnet, Vpc};
use domain::{cidr, ids::NetworkId, network::LeftOut, tags};
use ipnet::{IpNet, Ipv4Net};
use store::network::Block;

use super::{Look, Stop, place};
use crate::site::Site;

/// What the subnets are made in.
pub(crate) struct Base<'a> {
    pub(crate) network_id: NetworkId,
    pub(crate) vpc: &'a Vpc,
    pub(crate) security_group_ids: &'a [String],
}

/// The subnets that there are, and the zones that refused.
pub(crate) struct Made {
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) refused: Vec<LeftOut>,
}

/// Finds the `dc-subnet`s among `existing` and makes the missing ones.
pub(crate) async fn ensure(
    site: &Site,
    look: &Look,
    base: &Base<'_>,
    zones: &[String],
    offering: &BTreeSet<String>,
    existing: Vec<Subnet>,
) -> Result<Made, Stop> {
    let installation = site.installation.to_string();
    let taken: Vec<Ipv4Net> = existing
        .iter()
        .filter_map(|subnet| subnet.cidr.parse().ok())
        .collect();
    let mut conn = site.pool.acquire().await?;
    let decided = store::network::blocks(&mut conn, base.network_id).await?;
    drop(conn);
    let is_unfinished = |subnet: &Subnet| {
        subnet.tags.installation() == Some(&installation)
            && decided.iter().any(|block| {
                block.subnet_id.is_none()
                    && block.zone == subnet.zone
                    && block.cidr.to_string() == subnet.cidr
            })
    };
    let (unfinished, there): (Vec<Subnet>, Vec<Subnet>) = existing
        .into_iter()
        .filter(|subnet| subnet.tags.name() == Some(tags::SUBNET_NAME))
        .filter(|subnet| {
            subnet
                .tags
                .installation()
                .is_none_or(|tag| tag == installation)
        })
        .partition(is_unfinished);
    adopt(site, base, &decided, &there).await?;
    wait_for_listing(site, &decided, &there)?;
    let missing: Vec<String> = zones
        .iter()
        .filter(|zone| offering.contains(*zone))
        .filter(|zone| {
            !there
                .iter()
                .chain(&unfinished)
                .any(|subnet| subnet.zone == **zone)
        })
        .cloned()
        .collect();
    let mut made = Made {
        subnets: there,
        refused: Vec::new(),
    };
    for subnet in unfinished {
        finish(site, look, base, subnet, &mut made).await?;
    }
    if missing.is_empty() {
        return Ok(made);
    }
    let blocks = decide(site, base, zones, &missing, &taken, &decided).await?;
    // Zone by zone: what refuses the whole operation leaves nothing behind in the zones after it.
    for zone in &missing {
        match blocks.iter().find(|(name, _)| name == zone) {
            Some((_, block)) => {
                let subnet = create(site, look, base, zone, *block).await?;
                finish(site, look, base, subnet, &mut made).await?;
            }
            None => made.refused.push(LeftOut {
                zone: zone.clone(),
                reason: format!(
                    "{} ({}) has no free block left for a subnet",
                    base.vpc.id, base.vpc.cidr
                ),
            }),
        }
    }
    Ok(made)
}

/// A finished subnet that is not listed for a moment is no reason to make another one, nor to take its place for one
/// that was never finished: launches may be on their way into it.
fn wait_for_listing(site: &Site, decided: &[Block], there: &[Subnet]) -> Result<(), Stop> {
    for id in decided.iter().filter_map(|block| block.subnet_id.as_ref()) {
        if there.iter().any(|subnet| subnet.id == *id) {
            site.sightings.seen(id);
        } else if !site.sightings.missed(id) {
            return Err(Stop::NotYet(format!("the subnet {id} is there")));
        }
    }
    Ok(())
}

/// Writes down the finished subnets of this installation that no row knows.
async fn adopt(
    site: &Site,
    base: &Base<'_>,
    decided: &[Block],
    there: &[Subnet],
) -> Result<(), Stop> {
    let is_known = |subnet: &Subnet| {
        decided
            .iter()
            .any(|block| block.subnet_id.as_ref() == Some(&subnet.id))
    };
    let unknown: Vec<(&Subnet, IpNet)> = there
        .iter()
        .filter(|subnet| subnet.tags.installation().is_some() && !is_known(subnet))
        .filter_map(|subnet| Some((subnet, subnet.cidr.parse().ok()?)))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let mut tx = site.fence().await?;
    for (subnet, cidr) in unknown {
        let (zone, id) = (&subnet.zone, &subnet.id);
        store::network::adopt_subnet(&mut tx, base.network_id, zone, cidr, id).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Decides a block for each missing zone and commits it before the call that uses it. A block that was decided before
/// a crash is kept where it is still free.
async fn decide(
    site: &Site,
    base: &Base<'_>,
    zones: &[String],
    missing: &[String],
    taken: &[Ipv4Net],
    decided: &[Block],
) -> Result<Vec<(String, Ipv4Net)>, Stop> {
    let vpc: Ipv4Net = base.vpc.cidr.parse().map_err(|_| {
        Stop::Fail(format!(
            "{} has the unreadable block {:?}",
            base.vpc.id, base.vpc.cidr
        ))
    })?;
    let is_free = |block: &Ipv4Net| {
        !taken
            .iter()
            .any(|other| block.contains(other) || other.contains(block))
    };
    let kept: Vec<(String, Ipv4Net)> = decided
        .iter()
        .filter(|block| missing.contains(&block.zone))
        .filter_map(|block| match block.cidr {
            IpNet::V4(cidr) if vpc.contains(&cidr) && is_free(&cidr) => {
                Some((block.zone.clone(), cidr))
            }
            _ => None,
        })
        .collect();
    let open: Vec<String> = missing
        .iter()
        .filter(|zone| !kept.iter().any(|(name, _)| name == *zone))
        .cloned()
        .collect();
    let occupied: Vec<Ipv4Net> = taken
        .iter()
        .copied()
        .chain(kept.iter().map(|(_, block)| *block))
        .collect();
    let chosen = cidr::blocks_for(vpc, zones, &open, &occupied)
        .map_err(|error| Stop::Fail(error.to_string()))?;
    let mut tx = site.fence().await?;
    // Also a kept one: what is made of it now is not finished, whatever was made of it before.
    for (zone, block) in kept
        .iter()
        .map(|(zone, block)| (zone, block))
        .chain(&chosen)
    {
        store::network::decide_block(&mut tx, base.network_id, zone, IpNet::V4(*block)).await?;
    }
    tx.commit().await?;
    Ok(kept.into_iter().chain(chosen).collect())
}

async fn create(
    site: &Site,
    look: &Look,
    base: &Base<'_>,
    zone: &str,
    block: Ipv4Net,
) -> Result<Subnet, Stop> {
    let wanted = tags::network(site.installation, tags::SUBNET_NAME);
    let subnet = look
        .cloud
        .create_subnet(&base.vpc.id, zone, &block.to_string(), &wanted)
        .await
        .map_err(|error| {
            if error.may_have_taken_effect() {
                site.look_for_leftovers();
            }
            // Somebody else took the block since the look: the next look sees it and decides anew.
            match error {
                aws::Error::AlreadyThere(_) => Stop::Later(error.into()),
                other => other.into(),
            }
        })?;
    let line = format!(
        "Created subnet {} ({}) in {zone}: {block}",
        subnet.id,
        tags::SUBNET_NAME
    );
    site.log(look.cluster.action_id, &line).await?;
    Ok(subnet)
}

/// Makes a new subnet ready and dry-runs the launch in it; where that is refused, the subnet goes again.
async fn finish(
    site: &Site,
    look: &Look,
    base: &Base<'_>,
    subnet: Subnet,
    made: &mut Made,
) -> Result<(), Stop> {
    look.cloud.map_public_ips(&subnet.id).await?;
    let request = place::request(site, look, base.security_group_ids, &subnet.id, None).await?;
    match look.cloud.dry_run(&request).await {
        Ok(()) => {
            let mut tx = site.fence().await?;
            store::network::set_subnet(&mut tx, base.network_id, &subnet.zone, &subnet.id).await?;
            tx.commit().await?;
            made.subnets.push(subnet);
            Ok(())
        }
        // Only what is about this zone makes the zone drop out.
        Err(error @ (aws::Error::NoCapacity(_) | aws::Error::SubnetFull(_))) => {
            remove(site, look, base, &subnet).await?;
            made.refused.push(LeftOut {
                zone: subnet.zone,
                reason: error.to_string(),
            });
            Ok(())
        }
        Err(error) if error.may_pass() => Err(error.into()),
        // What is about the account or the request fails the operation. The subnet must not stay behind for it.
        Err(error) => {
            remove(site, look, base, &subnet).await?;
            Err(Stop::Fail(place::explain(&error, &request)))
        }
    }
}

async fn remove(site: &Site, look: &Look, base: &Base<'_>, subnet: &Subnet) -> Result<(), Stop> {
    look.cloud.delete_subnet(&subnet.id).await?;
    let mut tx = site.fence().await?;
    store::network::forget_block(&mut tx, base.network_id, &subnet.zone).await?;
    tx.commit().await?;
    let line = format!(
        "Deleted subnet {} again: the dry run in {} was refused",
        subnet.id, subnet.zone
    );
    site.log(look.cluster.action_id, &line).await?;
    Ok(())
}
