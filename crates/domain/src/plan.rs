//! The next step of a cluster, as a pure function of what is known of it.
//!
//! A worker loads a [`View`], asks [`next_step`], carries the step out, applies its outcome and looks again, until the
//! answer is [`Step::Wait`] or [`Step::Rest`]. It takes no other input, so that the recovery after a crash and the
//! happy path are one path.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    action::End,
    ids::{LaunchId, NodeId},
    network::Network,
    node::Readiness,
    placement::{self, Candidate, Seat, Subnet},
    state::{ClusterState, NodeState},
};

mod agents;

pub use agents::Call;

/// A TerminateInstances call whose effect does not show is sent again after this time; it is idempotent.
const RESEND_TERMINATE_AFTER: TimeDelta = TimeDelta::seconds(60);

/// At the deadline the network is looked at once more, to say for each zone why no node could be there. If even that
/// takes longer than this, it is the network that is the reason.
const LAST_LOOK: TimeDelta = TimeDelta::seconds(60);

/// How long after its end an outage is still the reason that a deadline was missed.
const REASON_HOLDS: TimeDelta = TimeDelta::minutes(3);

/// Tags are the least urgent: between so many of them there is a look whether anything else is to be done.
const TAGGED_AT_A_TIME: usize = 20;

/// All that is known of a cluster at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// The database's time of the look.
    pub now: DateTime<Utc>,
    /// The cluster's state.
    pub state: ClusterState,
    /// How many nodes are wanted.
    pub target: u32,
    /// What makes its nodes usable.
    pub readiness: Readiness,
    /// When the running operation began.
    pub began_at: Option<DateTime<Utc>>,
    /// Why the running operation can't go on, once that is known.
    pub failure: Option<String>,
    /// Whether its user has canceled the running operation.
    pub is_canceling: bool,
    /// When to give up launching what could not be launched.
    pub deadline: Option<DateTime<Utc>>,
    /// Its nodes but the terminated ones.
    pub nodes: Vec<Node>,
    /// Its launches whose outcome is not known.
    pub launches: Vec<Launch>,
    /// Where there is no room for the node type for the time being.
    pub outages: Vec<Outage>,
    /// The network, once prepared in this pass.
    pub network: Option<Network>,
}

/// A node of the cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its state.
    pub state: NodeState,
    /// Where it is or is going to be; known once its launch is decided.
    pub seat: Option<Seat>,
    /// The launch that is to make, or has made, its instance.
    pub launch_id: Option<LaunchId>,
    /// Its instance.
    pub instance_id: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its termination was last asked of EC2.
    pub terminate_requested_at: Option<DateTime<Utc>>,
    /// Whether its instance bears the tags that are the node's own.
    pub is_tagged: bool,
    /// What is known of its agent.
    pub call: Call,
}

/// A launch whose outcome is not known.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its id.
    pub id: LaunchId,
    /// Whether it was sent at least once.
    pub is_sent: bool,
    /// Whether it waits for its turn or its answer at this moment.
    pub is_followed: bool,
    /// Not to be sent again before.
    pub retry_at: DateTime<Utc>,
}

/// A zone, or one subnet of it, that refused the node type for lack of room.
#[derive(Debug, Clone)]
pub struct Outage {
    /// The zone.
    pub zone: String,
    /// The one subnet; none means the whole zone.
    pub subnet_id: Option<String>,
    /// Worth another try from then on.
    pub until: DateTime<Utc>,
    /// EC2's words.
    pub reason: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these launches, or send them again.
    Launch(Vec<LaunchId>),
    /// These launches were never sent, and never will be.
    Withdraw(Vec<LaunchId>),
    /// Find out what came of these launches without sending them again.
    Find(Vec<LaunchId>),
    /// Find or make the network.
    PrepareNetwork,
    /// Decide launches: for each subnet its nodes.
    Place(Vec<(Subnet, Vec<NodeId>)>),
    /// Nothing can be launched, and time will not help: the operation fails for this reason.
    GiveUp(String),
    /// These nodes are no longer wanted: their termination begins.
    Retire(Vec<NodeId>),
    /// Ask EC2 to terminate the instances of these nodes.
    Terminate(Vec<NodeId>),
    /// These nodes have, and will have, no instance: they are gone.
    Bury(Vec<NodeId>),
    /// Look into why these nodes can't be used.
    Examine(Vec<NodeId>),
    /// The cluster has come to rest.
    Settle {
        /// Its state from now on.
        state: ClusterState,
        /// How many nodes are wanted from now on.
        target: u32,
        /// How the operation ended.
        end: End,
    },
    /// Write the tags that are each node's own.
    Tag(Vec<NodeId>),
    /// Nothing to do before the next sweep, or before this time.
    Wait(Option<DateTime<Utc>>),
    /// Nothing to do.
    Rest,
}

/// The next step of the cluster.
pub fn next_step(view: &View) -> Step {
    if let Some(step) = settle_launches(view) {
        return step;
    }
    let unwanted = unwanted(view);
    if !unwanted.is_empty() {
        return Step::Retire(unwanted);
    }
    let unplaced: Vec<NodeId> = view
        .nodes
        .iter()
        .filter(|node| is_unplaced(node))
        .map(|node| node.id)
        .collect();
    let mut wait_until = view.launches.iter().map(|launch| launch.retry_at).min();
    if !unplaced.is_empty() {
        if view.failure.is_some() || view.is_canceling {
            return Step::Bury(unplaced);
        }
        match place(view, &unplaced) {
            Step::Wait(until) => wait_until = wait_until.into_iter().chain(until).min(),
            step => return step,
        }
    }
    if let Some(step) = terminations(view) {
        return step;
    }
    let is_busy = view
        .nodes
        .iter()
        .filter(|node| !agents::is_kept(view, node))
        .any(|node| matches!(node.state, NodeState::Deploying | NodeState::Terminating));
    if is_busy || !view.launches.is_empty() {
        return Step::Wait(wait_until);
    }
    let to_examine = agents::to_examine(view);
    if !to_examine.is_empty() {
        return Step::Examine(to_examine);
    }
    if let Some(step) = settle(view) {
        return step;
    }
    let untagged: Vec<NodeId> = view
        .nodes
        .iter()
        .filter(|node| node.state.exists() && !node.is_tagged)
        .map(|node| node.id)
        .take(TAGGED_AT_A_TIME)
        .collect();
    if untagged.is_empty() {
        Step::Rest
    } else {
        Step::Tag(untagged)
    }
}

/// An unknown outcome comes first: until it is known, nobody can say how many instances there are. Of what is canceled,
/// or too late, nothing is sent any more.
fn settle_launches(view: &View) -> Option<Step> {
    let is_over = view.is_canceling || is_too_late(view);
    if is_over {
        let unsent: Vec<LaunchId> = view
            .launches
            .iter()
            .filter(|launch| !launch.is_sent)
            .map(|launch| launch.id)
            .collect();
        if !unsent.is_empty() {
            return Some(Step::Withdraw(unsent));
        }
    }
    let due: Vec<LaunchId> = view
        .launches
        .iter()
        .filter(|launch| launch.retry_at <= view.now && !launch.is_followed)
        .map(|launch| launch.id)
        .collect();
    match is_over {
        _ if due.is_empty() => None,
        true => Some(Step::Find(due)),
        false => Some(Step::Launch(due)),
    }
}

/// Whether the time to launch is up.
fn is_too_late(view: &View) -> bool {
    view.deadline.is_some_and(|deadline| deadline <= view.now)
}

fn is_unplaced(node: &Node) -> bool {
    node.state == NodeState::Deploying && node.launch_id.is_none() && node.instance_id.is_none()
}

/// Whether the outcome of the node's launch is known, so that it may be terminated without leaving an instance behind.
fn is_settled(view: &View, node: &Node) -> bool {
    node.launch_id
        .is_none_or(|id| view.launches.iter().all(|launch| launch.id != id))
}

fn unwanted(view: &View) -> Vec<NodeId> {
    let live = || view.nodes.iter().filter(|node| node.state.is_live());
    match view.state {
        ClusterState::Terminating => live()
            .filter(|node| is_settled(view, node))
            .map(|node| node.id)
            .collect(),
        ClusterState::Scaling if !view.is_canceling => {
            let surplus = live().count().saturating_sub(view.target as usize);
            let candidates: Vec<Candidate> = live()
                .filter(|node| is_settled(view, node))
                .map(|node| Candidate {
                    id: node.id,
                    state: node.state,
                    zone: node.seat.as_ref().map(|seat| seat.zone.clone()),
                    created_at: node.created_at,
                })
                .collect();
            placement::choose_victims(surplus, &candidates)
        }
        _ => Vec::new(),
    }
}

fn place(view: &View, unplaced: &[NodeId]) -> Step {
    let Some(network) = &view.network else {
        let too_late = |deadline| deadline + LAST_LOOK <= view.now;
        return if view.deadline.is_some_and(too_late) {
            Step::GiveUp("the network could not be made ready in time".into())
        } else {
            Step::PrepareNetwork
        };
    };
    let outage = |subnet: &Subnet| {
        view.outages.iter().find(|outage| {
            outage.until > view.now
                && outage.zone == subnet.zone
                && outage
                    .subnet_id
                    .as_ref()
                    .is_none_or(|id| *id == subnet.subnet_id)
        })
    };
    let open: Vec<Subnet> = network
        .subnets
        .iter()
        .filter(|subnet| outage(subnet).is_none())
        .cloned()
        .collect();
    let seats: Vec<Seat> = view
        .nodes
        .iter()
        .filter(|node| node.state.is_live())
        .filter_map(|node| node.seat.clone())
        .collect();
    let chosen = placement::place(unplaced.len(), &open, &seats);
    if is_too_late(view) {
        return Step::GiveUp(why_nowhere(view, network));
    }
    if chosen.is_empty() {
        let retry_at = network
            .subnets
            .iter()
            .filter_map(outage)
            .map(|outage| outage.until)
            .min();
        return match retry_at {
            Some(until) => Step::Wait(Some(until)),
            None => Step::GiveUp(why_nowhere(view, network)),
        };
    }
    let mut by_subnet: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
    for (node, index) in unplaced.iter().zip(chosen) {
        by_subnet.entry(index).or_default().push(*node);
    }
    Step::Place(
        by_subnet
            .into_iter()
            .map(|(index, nodes)| (open[index].clone(), nodes))
            .collect(),
    )
}

fn why_nowhere(view: &View, network: &Network) -> String {
    let mut reasons: Vec<String> = network
        .left_out
        .iter()
        .map(|left_out| format!("{}: {}", left_out.zone, left_out.reason))
        .collect();
    for subnet in &network.subnets {
        let outage = view.outages.iter().find(|outage| {
            outage.until + REASON_HOLDS > view.now
                && outage.zone == subnet.zone
                && outage
                    .subnet_id
                    .as_ref()
                    .is_none_or(|id| *id == subnet.subnet_id)
        });
        reasons.push(match outage {
            Some(outage) => format!("{} ({}): {}", subnet.zone, subnet.subnet_id, outage.reason),
            None if subnet.free_addresses == 0 => {
                format!("{} ({}): no free addresses", subnet.zone, subnet.subnet_id)
            }
            None => format!(
                "{} ({}): AWS did not take the launch in time",
                subnet.zone, subnet.subnet_id
            ),
        });
    }
    if reasons.is_empty() {
        return "no zone can take a node: there is no subnet".to_owned();
    }
    format!("no zone can take a node: {}", reasons.join("; "))
}

fn terminations(view: &View) -> Option<Step> {
    let terminating = || {
        view.nodes
            .iter()
            .filter(|node| node.state == NodeState::Terminating)
            .filter(|node| is_settled(view, node))
    };
    let never_ran: Vec<NodeId> = terminating()
        .filter(|node| node.instance_id.is_none())
        .map(|node| node.id)
        .collect();
    if !never_ran.is_empty() {
        return Some(Step::Bury(never_ran));
    }
    let due = |node: &&Node| {
        node.terminate_requested_at
            .is_none_or(|requested| requested + RESEND_TERMINATE_AFTER <= view.now)
    };
    let to_ask: Vec<NodeId> = terminating().filter(due).map(|node| node.id).collect();
    (!to_ask.is_empty()).then_some(Step::Terminate(to_ask))
}

fn settle(view: &View) -> Option<Step> {
    let exists = |node: &&Node| node.state.exists() || agents::is_kept(view, node);
    let existing = as_u32(view.nodes.iter().filter(exists).count());
    let missed = as_u32(agents::missed(view).count());
    // A cluster is deployed when all its nodes can be used: those that never could are wanted still.
    let state = view
        .state
        .settled(existing, view.target.saturating_add(missed))?;
    let are_missing =
        view.state.is_moving() && view.state != ClusterState::Terminating && existing < view.target;
    let end = if view.is_canceling {
        End::Canceled
    } else if are_missing {
        End::Failed(view.failure.clone().unwrap_or_else(|| {
            format!(
                "{existing} of {} nodes are deployed; the others were lost",
                view.target
            )
        }))
    } else if let Some(reason) = agents::failure(view) {
        End::Failed(reason)
    } else {
        End::Success
    };
    let target = match end {
        // What a canceled scale-down has not taken is kept.
        End::Canceled => view.target.max(existing),
        _ => view.target,
    };
    Some(Step::Settle { state, target, end })
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
