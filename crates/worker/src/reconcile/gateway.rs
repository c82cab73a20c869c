//! The internet gateway of a VPC: the one that is attached, else `dc-gateway`, made and attached.

use domain::{
    ids::NetworkId,
    network::{self, Found, ObjectKind},
    tags,
};

use super::{
    Look, Stop,
    creation::{self, Asked},
};
use crate::site::Site;

const KIND: ObjectKind = ObjectKind::InternetGateway;

/// Finds the gateway of the VPC, or makes it; answers with its id once it is attached.
pub(crate) async fn of_vpc(
    site: &Site,
    look: &Look,
    network_id: NetworkId,
    vpc_id: &str,
) -> Result<String, Stop> {
    if let Some(attached) = attached(site, look, network_id, vpc_id).await? {
        return Ok(attached);
    }
    let gateway_id = match claim(site, look, network_id, vpc_id).await? {
        Claimed::Attached(id) => return Ok(id),
        Claimed::Unattached(id) => id,
        Claimed::Nothing => match creation::asked(site, network_id, KIND).await? {
            Asked::Made(id) => id,
            Asked::Nothing => make(site, look, network_id).await?,
        },
    };
    match look.cloud.attach_gateway(&gateway_id, vpc_id).await {
        Ok(()) => {
            let line = format!("Attached internet gateway {gateway_id} to {vpc_id}");
            site.log(look.cluster.action_id, &line).await?;
            Ok(gateway_id)
        }
        Err(error) if error.may_pass() => Err(error.into()),
        Err(error) => match attached(site, look, network_id, vpc_id).await? {
            // One that was attached since the look is as good.
            Some(attached) => Ok(attached),
            // It is attached, here or elsewhere: the next look sees where.
            None if matches!(error, aws::Error::AlreadyThere(_)) => Err(Stop::Later(error.into())),
            None => {
                give_up(site, network_id).await?;
                Err(error.into())
            }
        },
    }
}

/// The gateway that is attached to the VPC. A VPC has one: where it is another one than ours, ours is of no use.
async fn attached(
    site: &Site,
    look: &Look,
    network_id: NetworkId,
    vpc_id: &str,
) -> Result<Option<String>, Stop> {
    let Some(gateway) = look.cloud.gateway_of(vpc_id).await? else {
        return Ok(None);
    };
    let known = creation::written_down(site, network_id, KIND).await?;
    if known.is_some_and(|known| known != gateway.id) {
        give_up(site, network_id).await?;
    }
    Ok(Some(gateway.id))
}

/// A gateway of this installation that the network may take.
enum Claimed {
    Attached(String),
    Unattached(String),
    Nothing,
}

/// Looks for a gateway that was made but not attached, as a worker leaves it that dies in between, and writes it down.
/// One that another network has written down is that network's.
async fn claim(
    site: &Site,
    look: &Look,
    network_id: NetworkId,
    vpc_id: &str,
) -> Result<Claimed, Stop> {
    let there = look.cloud.gateways_named(tags::GATEWAY_NAME).await?;
    // Two networks may look at the same moment, and only one of them may take what no row names.
    let _one_at_a_time = site.gateways.lock().await;
    let known = creation::written_down(site, network_id, KIND).await?;
    let ours = there
        .iter()
        .find(|gateway| Some(&gateway.id) == known.as_ref());
    match ours.and_then(|gateway| gateway.vpc_id.as_deref()) {
        Some(attached_to) if attached_to == vpc_id => {
            return Ok(known.map_or(Claimed::Nothing, Claimed::Attached));
        }
        // Somebody has given it to another VPC.
        Some(_) => give_up(site, network_id).await?,
        None => {}
    }
    let mut conn = site.pool.acquire().await?;
    let of_others = store::network::creation::of_others(&mut conn, network_id, KIND).await?;
    drop(conn);
    let candidates = there
        .iter()
        .filter(|gateway| gateway.vpc_id.is_none() && gateway.tags.installation().is_some())
        .filter(|gateway| !of_others.contains(&gateway.id))
        .map(|gateway| Found {
            id: &gateway.id,
            installation: gateway.tags.installation(),
        });
    let installation = site.installation.to_string();
    match network::choose(candidates, &installation, known.as_deref()) {
        Some(id) => {
            creation::know(site, network_id, KIND, id).await?;
            Ok(Claimed::Unattached(id.to_owned()))
        }
        None => Ok(Claimed::Nothing),
    }
}

async fn make(site: &Site, look: &Look, network_id: NetworkId) -> Result<String, Stop> {
    let wanted = tags::network(site.installation, tags::GATEWAY_NAME);
    let call = look.cloud.create_gateway(&wanted);
    let gateway = creation::create(site, look, network_id, KIND, call, |gateway| {
        let (id, name) = (&gateway.id, tags::GATEWAY_NAME);
        (
            id.clone(),
            format!("Created internet gateway {id} ({name})"),
        )
    })
    .await?;
    Ok(gateway.id)
}

/// Forgets our gateway: it is left over, unless it is found again.
async fn give_up(site: &Site, network_id: NetworkId) -> Result<(), Stop> {
    let mut tx = site.fence().await?;
    store::network::creation::forget(&mut tx, network_id, KIND).await?;
    tx.commit().await?;
    site.look_for_leftovers();
    Ok(())
}
