//! What follows for a cluster whose nodes are to call home by their agents.
//!
//! A node that has not done so by its deadline is `Unreachable`, as [`crate::host`] has it, without ever having been
//! deployed: it exists, and nobody can use it. It may still call home, and counts as soon as it has.

use super::{Node, View};
use crate::{
    ids::NodeId,
    node::Readiness,
    state::{ClusterState, NodeState},
};

/// What is known of a node's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Call {
    /// Whether its node was ever deployed.
    pub was_deployed: bool,
    /// Whether it has registered.
    pub has_registered: bool,
    /// Whether it was looked into why its node can't be used.
    pub is_examined: bool,
}

/// The nodes that could never be used.
pub(super) fn missed(view: &View) -> impl Iterator<Item = &Node> {
    let awaited = view.readiness == Readiness::Agent;
    view.nodes.iter().filter(move |node| {
        awaited && node.state == NodeState::Unreachable && !node.call.was_deployed
    })
}

/// Those of them for which the operation under way is to blame: a scaling has nothing to do with older ones.
fn to_blame(view: &View) -> impl Iterator<Item = &Node> {
    missed(view).filter(|node| match view.state {
        ClusterState::Deploying => true,
        ClusterState::Scaling => view.began_at.is_some_and(|began| node.created_at >= began),
        _ => false,
    })
}

/// The nodes that are to be looked into before the operation ends.
pub(super) fn to_examine(view: &View) -> Vec<NodeId> {
    to_blame(view)
        .filter(|node| !node.call.is_examined)
        .map(|node| node.id)
        .collect()
}

/// Why the operation has failed, where nodes can't be used.
pub(super) fn failure(view: &View) -> Option<String> {
    let words: Vec<String> = to_blame(view).map(in_words).collect();
    (!words.is_empty()).then(|| {
        format!(
            "{}. The action's log has what is known. They may still call home; if not, DELETE them and retry",
            words.join("; ")
        )
    })
}

fn in_words(node: &Node) -> String {
    let instance = node.instance_id.as_deref().unwrap_or("no instance");
    match node.call.has_registered {
        false => format!("node {} ({instance}) has not called home in time", node.id),
        true => format!(
            "node {} ({instance}) has called home, but its Docker engine could not be reached in time",
            node.id
        ),
    }
}

/// Whether a canceled operation waits for this node no longer: its instance is there, and is kept.
pub(super) fn is_kept(view: &View, node: &Node) -> bool {
    view.is_canceling
        && view.readiness == Readiness::Agent
        && node.state == NodeState::Deploying
        && node.instance_id.is_some()
}
