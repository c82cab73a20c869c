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
        let (asked, refusal) = ask_batch(look, batch).await;
        if !asked.is_empty() {
            let ids: Vec<&str> = asked
                .iter()
                .map(|(_, instance)| instance.as_str())
                .collect();
            let nodes: Vec<NodeId> = asked.iter().map(|(node, _)| *node).collect();
            let mut tx = site.fence().await?;
            // The cluster before its nodes, as everybody locks them.
            store::cluster::lock_under_way(&mut tx, look.cluster.id).await?;
            store::node::mark_terminate_requested(&mut tx, &nodes).await?;
            let lines: Vec<(NodeId, String)> = asked
                .iter()
                .map(|(node, instance)| (*node, format!("Terminating {instance}")))
                .collect();
            store::action::log_on_nodes(&mut tx, &lines).await?;
            if let Some(action) = look.cluster.action_id {
                let line = format!("Terminating {}", ids.join(", "));
                store::action::log(&mut tx, action, &line).await?;
            }
            tx.commit().await?;
        }
        if let Some(error) = refusal {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Asks for all at once. Where that is refused, it is because of one of them (one unknown id, or one that is protected,
/// refuses the whole call), so each is asked for by itself. Answers with those that EC2 took, and with a refusal.
async fn ask_batch(
    look: &Look,
    batch: &[(NodeId, String)],
) -> (Vec<(NodeId, String)>, Option<aws::Error>) {
    let ids: Vec<String> = batch.iter().map(|(_, instance)| instance.clone()).collect();
    match look.cloud.terminate_instances(&ids).await {
        Ok(()) => return (batch.to_vec(), None),
        Err(error @ (aws::Error::Throttled(_) | aws::Error::OutcomeUnknown(_))) => {
            return (Vec::new(), Some(error));
        }
        Err(_) => {}
    }
    let mut asked = Vec::new();
    let mut refusal = None;
    for (node, instance) in batch {
        match look
            .cloud
            .terminate_instances(std::slice::from_ref(instance))
            .await
        {
            // What EC2 does not know, the sweep decides on.
            Ok(()) | Err(aws::Error::NotThere(_)) => asked.push((*node, instance.clone())),
            Err(error) => refusal = Some(error),
        }
    }
    (asked, refusal)
}
