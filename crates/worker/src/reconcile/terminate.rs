//! Instances are terminated. The decision is in the rows (the node is `Terminating`); the call may be sent again.

use domain::ids::NodeId;

use super::Look;
use crate::{Error, site::Site, termination};

/// The most instances in one call.
const MAX_BATCH: usize = 1000;

/// Asks EC2 to terminate the instances of these nodes.
pub(crate) async fn ask(site: &Site, look: &Look, nodes: &[NodeId]) -> Result<(), Error> {
    let wanted: Vec<(NodeId, String)> = look
        .view
        .nodes
        .iter()
        .filter(|node| nodes.contains(&node.id))
        .filter_map(|node| Some((node.id, node.instance_id.clone()?)))
        .collect();
    for batch in wanted.chunks(MAX_BATCH) {
        let instances: Vec<String> = batch.iter().map(|(_, instance)| instance.clone()).collect();
        let asked = termination::ask(&*look.cloud, &instances).await;
        if !asked.taken.is_empty() {
            let taken: Vec<&(NodeId, String)> = batch
                .iter()
                .filter(|(_, instance)| asked.taken.contains(instance))
                .collect();
            let nodes: Vec<NodeId> = taken.iter().map(|(node, _)| *node).collect();
            let mut tx = site.fence().await?;
            // The cluster before its nodes, as everybody locks them.
            store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
            store::node::mark_terminate_requested(&mut tx, &nodes).await?;
            let lines: Vec<(NodeId, String)> = taken
                .iter()
                .map(|(node, instance)| (*node, format!("Terminating {instance}")))
                .collect();
            store::action::log_on_nodes(&mut tx, &lines).await?;
            if let Some(action) = look.cluster.action_id {
                let line = format!("Terminating {}", asked.taken.join(", "));
                store::action::log(&mut tx, action, &line).await?;
            }
            tx.commit().await?;
        }
        if let Some(error) = asked.error {
            return Err(error.into());
        }
    }
    Ok(())
}
