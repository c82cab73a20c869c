//! Steps that only write rows, and the nodes' own tags.

use domain::{action::End, ids::NodeId, state::ClusterState, tags};
use futures::{TryStreamExt, stream};
use tracing::{info, warn};

use super::{Look, fence_unchanged};
use crate::{Error, site::Site};

/// How many CreateTags calls are under way at once: they are the least urgent of all.
const TAGGING_AT_ONCE: usize = 4;

/// Begins the termination of nodes that are no longer wanted.
pub(crate) async fn retire(site: &Site, look: &Look, nodes: &[NodeId]) -> Result<(), Error> {
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    store::node::retire(&mut tx, nodes).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes that nodes without an instance are gone.
pub(crate) async fn bury(site: &Site, look: &Look, nodes: &[NodeId]) -> Result<(), Error> {
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    store::node::bury(&mut tx, nodes).await?;
    tx.commit().await?;
    Ok(())
}

/// Lets the cluster come to rest and ends its operation.
pub(crate) async fn settle(
    site: &Site,
    look: &Look,
    state: ClusterState,
    target: u32,
    end: &End,
) -> Result<(), Error> {
    let Some(mut tx) = fence_unchanged(site, look).await? else {
        return Ok(());
    };
    store::cluster::settle(&mut tx, look.cluster.id, state, target).await?;
    if let Some(action) = look.cluster.action_id {
        if let End::Failed(reason) = end {
            store::action::log_if_new(&mut tx, action, reason).await?;
        }
        let line = format!("Node cluster {} is {state}", look.cluster.name);
        store::action::log(&mut tx, action, &line).await?;
        store::action::finish(&mut tx, action, end).await?;
    }
    tx.commit().await?;
    if !matches!(end, End::Success) {
        site.look_for_leftovers();
    }
    info!(%state, ?end, "the cluster has come to rest");
    Ok(())
}

/// Writes the tags that are each node's own on its instance.
pub(crate) async fn tag(site: &Site, look: &Look, nodes: &[NodeId]) -> Result<(), Error> {
    let ids: Vec<_> = nodes.iter().map(|node| node.0).collect();
    let mut conn = site.pool.acquire().await?;
    let nodes = store::node::by_ids(&mut conn, &ids).await?;
    drop(conn);
    stream::iter(nodes.into_iter().map(Ok))
        .try_for_each_concurrent(TAGGING_AT_ONCE, |node| async move {
            let Some(instance_id) = &node.instance_id else {
                return Ok(());
            };
            let id = node.id.to_string();
            let name = if node.external_fqdn.is_empty() {
                id.clone()
            } else {
                node.external_fqdn
            };
            let own = [(tags::NAME.to_owned(), name), (tags::UUID.to_owned(), id)];
            match look.cloud.create_tags(instance_id, &own).await {
                Ok(()) => {}
                Err(error) if error.may_pass() => return Err(error.into()),
                // The node works without them; asking for ever would not help.
                Err(error) => {
                    warn!(cluster = %look.cluster.id, %error, "the node's tags can't be written")
                }
            }
            let mut tx = site.fence().await?;
            store::node::mark_tagged(&mut tx, node.id).await?;
            tx.commit().await?;
            Ok::<(), Error>(())
        })
        .await
}
