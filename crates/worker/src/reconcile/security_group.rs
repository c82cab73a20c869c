//! The security groups of a cluster: exactly those that were given, else `dc-vpc-default`.

use aws::{Ingress, SecurityGroup};
use domain::{
    ids::NetworkId,
    network::{self, Found, ObjectKind},
    tags,
};

use super::{Look, Stop, creation, log_once, network::given};
use crate::{Error, site::Site};

/// SSH, the Docker engine's TLS port, and everything between the nodes.
const RULES: [Ingress; 3] = [Ingress::Tcp(22), Ingress::Tcp(2376), Ingress::Itself];

/// What goes over the ports that [`RULES`] opens.
const USED_PORTS: [(u16, &str); 2] = [
    (22, "nobody can log in to the nodes by SSH"),
    (2376, "their Docker engines can't be reached"),
];

/// The ids of the groups that every node gets. `network_id` is the network that Berth manages in the VPC, if it does.
pub(crate) async fn of_cluster(
    site: &Site,
    look: &Look,
    vpc_id: &str,
    network_id: Option<NetworkId>,
) -> Result<Vec<String>, Stop> {
    let of_user = look
        .cluster
        .provider_options
        .vpc
        .as_ref()
        .map(|vpc| vpc.security_groups.as_slice());
    match of_user {
        Some(wanted) if !wanted.is_empty() => check(site, look, vpc_id, wanted).await,
        _ => {
            let network_id = match network_id {
                Some(id) => id,
                None => {
                    let mut tx = site.fence().await?;
                    let id = store::network::ensure(&mut tx, site.lease.site_id, vpc_id).await?;
                    store::network::set_vpc(&mut tx, id, vpc_id).await?;
                    tx.commit().await?;
                    id
                }
            };
            Ok(vec![default_group(site, look, vpc_id, network_id).await?])
        }
    }
}

async fn check(
    site: &Site,
    look: &Look,
    vpc_id: &str,
    wanted: &[String],
) -> Result<Vec<String>, Stop> {
    let found = look.cloud.security_groups_by_id(wanted).await?;
    for id in wanted {
        let group = found.iter().find(|group| group.id == *id);
        let group = given(
            site,
            look,
            "provider_options.vpc.security_groups",
            id,
            group,
        )?;
        if group.vpc_id != vpc_id {
            return Err(Stop::Fail(format!(
                "provider_options.vpc.security_groups: {id} belongs to {}, not to {vpc_id}",
                group.vpc_id
            )));
        }
    }
    if let Some(line) = closed(&found) {
        log_once(site, look, &line).await?;
    }
    Ok(wanted.to_vec())
}

/// What of a node's ports no group of the user's opens, in words. It is the user's to decide, so it is told and not
/// refused.
fn closed(groups: &[SecurityGroup]) -> Option<String> {
    let is_open = |port: u16| {
        let mut ranges = groups.iter().flat_map(|group| &group.open_tcp);
        ranges.any(|(from, to)| (*from..=*to).contains(&port))
    };
    let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    let lines: Vec<String> = USED_PORTS
        .iter()
        .filter(|(port, _)| !is_open(*port))
        .map(|(port, used)| format!("port {port} is not open in {}: {used}", ids.join(", ")))
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

async fn default_group(
    site: &Site,
    look: &Look,
    vpc_id: &str,
    network_id: NetworkId,
) -> Result<String, Stop> {
    let installation = site.installation.to_string();
    let (name, there) = match find(look, vpc_id, tags::SECURITY_GROUP_NAME, &installation).await? {
        Place::Taken => {
            // Another installation has the name in this VPC, where names are unique, and its group is not ours to use.
            let name = format!("{}-{}", tags::SECURITY_GROUP_NAME, &installation[..8]);
            match find(look, vpc_id, &name, &installation).await? {
                Place::There(group) => (name, Some(group)),
                Place::Free | Place::Taken => (name, None),
            }
        }
        Place::There(group) => (tags::SECURITY_GROUP_NAME.to_owned(), Some(group)),
        Place::Free => (tags::SECURITY_GROUP_NAME.to_owned(), None),
    };
    let group = match there {
        Some(group) if group.tags.installation().is_none() => return Ok(group.id),
        Some(group) => group,
        None => {
            // Names are unique in a VPC, so that a second call makes no second group.
            let wanted = tags::network(site.installation, &name);
            let call = look.cloud.create_security_group(vpc_id, &name, &wanted);
            let kind = ObjectKind::SecurityGroup;
            creation::create(site, look, network_id, kind, call, |group| {
                let line = format!("Created security group {} ({name})", group.id);
                (group.id.clone(), line)
            })
            .await
            .map_err(|error| match error {
                // It was made a moment ago and is not listed yet.
                Error::Cloud(aws::Error::AlreadyThere(_)) => Stop::Later(error),
                other => other.into(),
            })?
        }
    };
    let mut conn = site.pool.acquire().await?;
    let written = store::network::get(&mut conn, network_id)
        .await?
        .security_group_id;
    drop(conn);
    creation::know(site, network_id, ObjectKind::SecurityGroup, &group.id).await?;
    // Once written, the rules are the user's to narrow: they are never written again.
    if written.as_ref() != Some(&group.id) {
        if !group.has_ingress {
            look.cloud.authorize_ingress(&group.id, &RULES).await?;
        }
        let mut tx = site.fence().await?;
        store::network::set_security_group(&mut tx, network_id, &group.id).await?;
        tx.commit().await?;
    }
    Ok(group.id)
}

/// What stands under a name in a VPC.
enum Place {
    Free,
    There(SecurityGroup),
    Taken,
}

async fn find(look: &Look, vpc_id: &str, name: &str, installation: &str) -> Result<Place, Stop> {
    let groups = look.cloud.security_groups_named(vpc_id, name).await?;
    let candidates = groups.iter().map(|group| Found {
        id: &group.id,
        installation: group.tags.installation(),
    });
    let chosen = network::choose(candidates, installation, None).map(str::to_owned);
    Ok(match chosen {
        Some(id) => groups
            .into_iter()
            .find(|group| group.id == id)
            .map_or(Place::Free, Place::There),
        None if groups.is_empty() => Place::Free,
        None => Place::Taken,
    })
}
