//! Instances are terminated. The decision is in the rows (the node is `Terminating`); the call may be sent again.

use domain::ids::NodeId;

use super::Look;
use crate::{Error, site::Site};

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
        let ids: Vec<String> = batch.iter().map(|(_, instance)| instance.clone()).collect();
        match site.cloud.terminate_instances(&ids).await {
            Ok(()) => {
                site.log(
                    look.cluster.action_id,
                    &format!("Terminating {}", ids.join(", ")),
                )
                .await?
            }
            // One unknown id refuses the whole call. One by one, the known ones go; the sweep decides on the others.
            Err(aws::Error::NotThere(_)) => {
                for id in &ids {
                    match site
                        .cloud
                        .terminate_instances(std::slice::from_ref(id))
                        .await
                    {
                        Ok(()) => {
                            site.log(look.cluster.action_id, &format!("Terminating {id}"))
                                .await?
                        }
                        Err(error @ aws::Error::NotThere(_)) => {
                            site.log(look.cluster.action_id, &error.to_string()).await?;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(error.into()),
        }
        let asked: Vec<NodeId> = batch.iter().map(|(node, _)| *node).collect();
        let mut tx = site.fence().await?;
        store::node::mark_terminate_requested(&mut tx, &asked).await?;
        tx.commit().await?;
    }
    Ok(())
}
