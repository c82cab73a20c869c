//! What is known of a cluster: its rows, read in one go, without a transaction left open.

use std::sync::Arc;

use aws::Cloud;
use domain::{
    ids::ClusterId,
    network::Network,
    plan::{self, View},
};
use store::{cluster::Cluster, launch::Launch};

use crate::{Error, delta, site::Site};

/// A cluster as its worker sees it.
pub(crate) struct Look {
    /// EC2, on behalf of this cluster.
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) cluster: Cluster,
    pub(crate) user_name: String,
    /// The launches whose outcome is not known.
    pub(crate) launches: Vec<Launch>,
    /// The same as the plan needs it.
    pub(crate) view: View,
}

/// Looks at the cluster; none if it is gone.
pub(crate) async fn look(
    site: &Site,
    id: ClusterId,
    network: Option<Network>,
) -> Result<Option<Look>, Error> {
    let mut conn = site.pool.acquire().await?;
    let Some(running) = store::cluster::running(&mut conn, id).await? else {
        return Ok(None);
    };
    let cluster = running.cluster;
    let launches = store::launch::open(&mut conn, id).await?;
    let deadline = delta(site.config.launch_deadline);
    let view = View {
        now: running.now,
        state: cluster.state,
        target: cluster.target_num_nodes,
        readiness: cluster.readiness,
        began_at: running.action_began_at,
        failure: running.failure,
        is_canceling: running.is_canceling,
        deadline: running.action_began_at.map(|began| began + deadline),
        nodes: store::node::for_plan(&mut conn, id).await?,
        launches: launches
            .iter()
            .map(|launch| plan::Launch {
                id: launch.id,
                is_sent: launch.sent_ago.is_some(),
                is_followed: site.is_followed(launch.id),
                retry_at: launch.retry_at,
            })
            .collect(),
        outages: store::outage::of_node_type(&mut conn, site.lease.site_id, &cluster.node_type)
            .await?,
        network,
    };
    Ok(Some(Look {
        cloud: site.cloud.on_behalf_of(id),
        cluster,
        user_name: running.user_name,
        launches,
        view,
    }))
}
