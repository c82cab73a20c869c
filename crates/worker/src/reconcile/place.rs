//! Launches are decided: which nodes go where, with exactly which request. Nothing is chosen at call time.

use domain::{
    ids::{LaunchId, NodeId},
    launch::{self, LaunchRequest},
    network::Network,
    node::Readiness,
    placement::Subnet,
    tags,
    user_data::{self, PublicUrl},
};
use store::launch::Decision;
use uuid::Uuid;

use super::{Look, Stop, fence_unchanged, token};
use crate::site::Site;

/// Writes down one launch for each batch of nodes of one subnet.
pub(crate) async fn decide(
    site: &Site,
    look: &Look,
    placed: &[(Subnet, Vec<NodeId>)],
) -> Result<(), Stop> {
    let groups = look
        .view
        .network
        .as_ref()
        .map_or(&[][..], |network| &network.security_group_ids);
    let mut launches = Vec::new();
    for (subnet, nodes) in placed {
        for batch in launch::batches(nodes) {
            let id = LaunchId(Uuid::new_v4());
            launches.push(Decision {
                id,
                subnet: subnet.clone(),
                request: request(site, look, groups, &subnet.subnet_id, Some(id)).await?,
                token: token::make(site, look.cluster.readiness, id)?,
                nodes: batch,
            });
        }
    }
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    for decision in &launches {
        let (cluster, site_id) = (look.cluster.id, site.lease.site_id);
        store::launch::decide(&mut tx, cluster, site_id, decision).await?;
    }
    if let Some(action) = look.cluster.action_id {
        for (subnet, nodes) in placed {
            let nodes = nodes.len();
            let line = format!(
                "Placed {nodes} of the nodes in {} ({})",
                subnet.zone, subnet.subnet_id
            );
            store::action::log(&mut tx, action, &line).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Takes the addresses that the decided launches will need off what the network has free.
pub(crate) fn take_seats(network: &mut Network, placed: &[(Subnet, Vec<NodeId>)]) {
    for (taken, nodes) in placed {
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        for subnet in network
            .subnets
            .iter_mut()
            .filter(|subnet| subnet.subnet_id == taken.subnet_id)
        {
            subnet.free_addresses = subnet.free_addresses.saturating_sub(count);
        }
    }
}

/// The request for nodes of the cluster in a subnet; without a launch it is the one of a dry run.
pub(crate) async fn request(
    site: &Site,
    look: &Look,
    security_group_ids: &[String],
    subnet_id: &str,
    launch: Option<LaunchId>,
) -> Result<LaunchRequest, Stop> {
    let cluster = &look.cluster;
    let mut conn = site.pool.acquire().await?;
    let architecture = store::catalogue::architecture_of(&mut conn, &cluster.node_type).await?;
    drop(conn);
    let image = site.image(architecture).await?.ok_or_else(|| {
        Stop::Fail(match &site.config.image {
            Some(image_id) => format!("the image {image_id} does not exist in {}", cluster.region),
            None => format!(
                "there is no image of an Ubuntu LTS for {} in {}",
                architecture.as_str(),
                cluster.region
            ),
        })
    })?;
    let launch = launch.unwrap_or(LaunchId(Uuid::nil()));
    Ok(LaunchRequest {
        image_id: image.id,
        root_device: image.root_device,
        instance_type: cluster.node_type.clone(),
        subnet_id: subnet_id.to_owned(),
        security_group_ids: security_group_ids.to_vec(),
        instance_profile: cluster
            .provider_options
            .instance_profile()
            .map(str::to_owned),
        disk_gb: cluster.disk_gb,
        user_data: user_data::cloud_config(
            &cluster.ssh_authorized_keys,
            agents_call(site, cluster.readiness)?,
        ),
        tags: tags::instance(
            site.installation,
            &look.user_name,
            cluster.id,
            &cluster.name,
            launch,
        ),
    })
}

/// Where the agents of nodes call; none where none is awaited.
fn agents_call(site: &Site, readiness: Readiness) -> Result<Option<&PublicUrl>, Stop> {
    match (readiness, &site.config.public_url) {
        (Readiness::Instance, _) => Ok(None),
        (Readiness::Agent, Some(url)) => Ok(Some(url)),
        (Readiness::Agent, None) => Err(Stop::Fail(
            "the nodes are to call home, and the worker does not know where: its operator must start it with \
             BERTH_PUBLIC_URL"
                .to_owned(),
        )),
    }
}

/// A refusal in words for the user: AWS's own, and the way out where AWS does not name it.
pub(crate) fn explain(error: &aws::Error, request: &LaunchRequest) -> String {
    match (error, &request.instance_profile) {
        // The seed: "This error occurs when you are using an instance profile that has more permissions than the IAM
        // user ... You can fix this by adding the "Action":"iam:PassRole" permission".
        (aws::Error::NotAllowed(_), Some(profile)) => format!(
            "AWS returned an error: unauthorized operation. {error}. If the credentials may launch instances without \
             the instance profile {profile}, add the \"Action\":\"iam:PassRole\" permission for its role to their IAM \
             policy"
        ),
        _ => error.to_string(),
    }
}
