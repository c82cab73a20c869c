//! The transitions of states that `domain` knows, held against those that the event log shows.

use std::{collections::HashMap, str::FromStr};

use domain::{
    action::{ActionKind, End},
    host::{Reach, follow},
    node::{InstanceState, Readiness, observe},
    state::{ActionState, ClusterOperation, ClusterState, NodeOperation, NodeState},
};
use store::event::Event;

/// Walks the whole log: each object's every change of state is one that some function of `domain` makes.
///
/// # Panics
/// With the first one that none makes.
pub(crate) fn assert_every_transition_is_allowed(events: &[Event]) {
    let mut last = HashMap::new();
    for event in events {
        let Some(from) = last.insert(event.object_id, event.state.as_str()) else {
            continue;
        };
        let is_allowed = match event.object_type.as_str() {
            "nodecluster" => cluster_may(state(from), state(&event.state)),
            "node" => node_may(state(from), state(&event.state)),
            _ => action_may(state(from), state(&event.state)),
        };
        assert!(
            is_allowed,
            "no rule leads {} {} from {from} to {}",
            event.object_type, event.object_id, event.state
        );
    }
}

fn state<S: FromStr>(text: &str) -> S {
    text.parse()
        .unwrap_or_else(|_| panic!("{text:?} is no state"))
}

fn cluster_may(from: ClusterState, to: ClusterState) -> bool {
    let asked = ClusterOperation::ALL
        .iter()
        .any(|operation| from.after(*operation) == Ok(to));
    // None of none, none of one, one of two, all of one.
    let settled = [(0, 0), (0, 1), (1, 2), (1, 1)]
        .iter()
        .any(|(existing, target)| from.settled(*existing, *target) == Some(to));
    asked || settled
}

fn node_may(from: NodeState, to: NodeState) -> bool {
    let asked = NodeOperation::ALL
        .iter()
        .any(|operation| from.after(*operation) == Ok(to));
    let seen = InstanceState::ALL
        .iter()
        .flat_map(|instance| Readiness::ALL.iter().map(|awaited| (*instance, *awaited)))
        .any(|(instance, awaited)| observe(from, instance, awaited) == to);
    let heard = Reach::ALL.iter().any(|reach| follow(from, *reach) == to);
    let done = [from.retired(), from.upgraded(), from.buried()].contains(&Some(to));
    asked || seen || heard || done
}

fn action_may(from: ActionState, to: ActionState) -> bool {
    let canceled = ActionKind::ALL
        .iter()
        .any(|kind| kind.after_cancel(from) == Ok(to));
    let ended = [End::Success, End::Failed(String::new()), End::Canceled]
        .iter()
        .any(|end| from.ended(end) == Some(to));
    canceled || ended || from.begun() == Some(to)
}
