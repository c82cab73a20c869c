//! Upgrades of Docker engines: an order is told to the node's agent in the answers to its heartbeats, and the agent
//! reports by the heartbeats that follow.

use chrono::{DateTime, Utc};

use crate::{
    cluster::Invalid,
    host::{Contact, Reach, Settings, follow},
    ids::NodeId,
    state::{NodeState, texts},
};

/// As much of an agent's message as is kept.
const LONGEST_MESSAGE: usize = 2500;

texts! {
    /// How far an agent says that it is.
    Outcome {
        /// It is under way.
        Running = "Running",
        /// The new engine runs.
        Success = "Success",
        /// The engine was not upgraded, or does not run.
        Failed = "Failed",
    }
}

/// What an agent reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Of which order, by its id.
    pub order: String,
    /// How far it is.
    pub outcome: Outcome,
    /// The engine's new version, or what went wrong; one line.
    pub message: String,
}

impl Report {
    /// Validates a report. Its message comes from a package manager, so it is made fit to be shown rather than refused:
    /// without control characters, and only the end of it, where the reason is.
    ///
    /// # Errors
    /// [`Invalid`] naming the member that is missing or can't be taken.
    pub fn new(
        order: Option<String>,
        outcome: Option<&str>,
        message: Option<&str>,
    ) -> Result<Self, Invalid> {
        let order = order.ok_or_else(|| Invalid::new("upgrade.order", "is required"))?;
        let outcome = outcome.ok_or_else(|| Invalid::new("upgrade.outcome", "is required"))?;
        let outcome = outcome.parse().map_err(|_| {
            let reason = format!("{outcome:?} is none of Running, Success and Failed");
            Invalid::new("upgrade.outcome", reason)
        })?;
        Ok(Self {
            order,
            outcome,
            message: one_line(message.unwrap_or_default()),
        })
    }
}

fn one_line(text: &str) -> String {
    let is_gap = |character: char| character.is_whitespace() || character.is_control();
    let words: Vec<&str> = text.split(is_gap).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let surplus = line.chars().count().saturating_sub(LONGEST_MESSAGE);
    line.chars().skip(surplus).collect()
}

/// An order that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Since when.
    pub ordered_at: DateTime<Utc>,
    /// Whether an answer to a heartbeat has carried it.
    pub is_told: bool,
    /// What the agent has reported at its end: the new version, or why it failed.
    pub report: Option<Result<String, String>>,
}

/// What is known of the node whose engine is to be upgraded.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Its state.
    pub state: NodeState,
    /// What is known of its host.
    pub contact: Contact,
    /// Whether Berth can ask its engine: it has an address and an announced certificate.
    pub can_be_asked: bool,
    /// Its agent's version; none where no agent has called.
    pub agent_version: Option<&'a str>,
    /// Whether its end, or that of its cluster, waits until the order has ended.
    pub is_to_end: bool,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// What is to become of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It remains to be seen.
    Wait,
    /// Nobody has heard of it, and nobody wants it any more.
    Withdraw,
    /// The node is back with this version.
    Done(String),
    /// It came to nothing; in words that go on after "the engine of node …".
    Failed(String),
}

/// What is to become of an order under way.
pub fn next(order: &Order, node: Situation<'_>, is_canceling: bool, settings: &Settings) -> Next {
    let failed = |why: String| Next::Failed(format!("was not upgraded: {why}"));
    if !node.state.is_live() {
        return failed("the node was terminated".to_owned());
    }
    let minutes = settings.upgrade.num_minutes();
    let is_late = node.now - order.ordered_at > settings.upgrade;
    let silence = silence(node, settings);
    match &order.report {
        Some(Err(why)) if why.is_empty() => {
            failed("its agent could not, and gave no reason".to_owned())
        }
        Some(Err(why)) => failed(why.clone()),
        Some(Ok(version)) if silence.is_none() && is_back(node) => Next::Done(version.clone()),
        Some(Ok(version)) if is_late => Next::Failed(format!(
            "was upgraded to {version}, says its agent, but Berth could not reach it within {minutes} minutes; \
             see whether its port is open"
        )),
        Some(Ok(_)) => Next::Wait,
        None if !order.is_told && is_canceling => Next::Withdraw,
        None => {
            // One that was told may be silent: it may be restarting its machine.
            let is_unheard = silence.filter(|_| !order.is_told);
            // Nobody needs what comes of it any more, and the node costs money.
            let ends = node
                .is_to_end
                .then(|| "the node is to be terminated".to_owned());
            let takes_too_long = is_late.then(|| {
                format!("its agent has not reported an end within {minutes} minutes; upgrade.log on the node may say why")
            });
            let why = is_unheard.or(ends).or(takes_too_long);
            why.map_or(Next::Wait, failed)
        }
    }
}

/// Why no heartbeat will carry the order, or has brought the report lately.
fn silence(node: Situation<'_>, settings: &Settings) -> Option<String> {
    let Some(heard) = node.contact.heartbeat_at else {
        return Some(match node.agent_version {
            None => "there is no agent on the node that could do it".to_owned(),
            Some(version) => format!(
                "no agent that could do it is on the node: the one there ({version}) sends no heartbeats; Berth's own \
                 does"
            ),
        });
    };
    (node.now - heard > settings.limits.silence).then(|| {
        format!(
            "its agent was last heard at {}; see that berth-agent runs on the node",
            heard.format("%Y-%m-%d %H:%M:%S UTC")
        )
    })
}

/// Whether the node can be used again. The report itself is a heartbeat after the upgrade, and from then on the engine
/// counts as not asked.
fn is_back(node: Situation<'_>) -> bool {
    let has_answered = match node.contact.engine {
        Some(answers) => answers,
        None => !node.can_be_asked,
    };
    has_answered && matches!(node.state, NodeState::Upgrading | NodeState::Deployed)
}

/// The state of a node when an order for it has ended, however it went.
pub fn after(state: NodeState, reach: Reach) -> NodeState {
    let state = follow(state, reach);
    state.upgraded().unwrap_or(state)
}

/// A node's part in the upgrade of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The node.
    pub node: NodeId,
    /// Its state.
    pub state: NodeState,
    /// How far its turn is.
    pub stage: Stage,
}

/// How far a node's turn is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It has not come.
    Waiting,
    /// The order is under way.
    Ordered,
    /// The engine was upgraded.
    Upgraded,
    /// It was not.
    Failed,
    /// There was nothing to be done: the node was gone, or the order was withdrawn.
    Left,
}

/// What is to be done next about the upgrade of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Carry the order of this node on.
    CarryOn(NodeId),
    /// This node's turn has come.
    Begin(NodeId),
    /// This node is gone: its turn is over.
    Leave(NodeId),
    /// This node can't be upgraded in its state.
    Refuse(NodeId, NodeState),
    /// This node is being upgraded by itself.
    Wait,
    /// All turns are over, or there will be no more.
    End,
}

/// What is to be done next: one node at a time, and none after the first that failed. `turns` are in their order.
pub fn next_move(turns: &[Turn], is_canceling: bool) -> Move {
    if let Some(ordered) = turns.iter().find(|turn| turn.stage == Stage::Ordered) {
        return Move::CarryOn(ordered.node);
    }
    if is_canceling || turns.iter().any(|turn| turn.stage == Stage::Failed) {
        return Move::End;
    }
    let Some(next) = turns.iter().find(|turn| turn.stage == Stage::Waiting) else {
        return Move::End;
    };
    match next.state {
        NodeState::Deployed => Move::Begin(next.node),
        NodeState::Upgrading => Move::Wait,
        state if !state.is_live() => Move::Leave(next.node),
        state => Move::Refuse(next.node, state),
    }
}

/// How the upgrade of a cluster went, in words.
pub fn summary(turns: &[Turn]) -> String {
    let named = |stage: &Stage, verb: &str| {
        let nodes: Vec<String> = turns
            .iter()
            .filter(|turn| turn.stage == *stage)
            .map(|turn| turn.node.to_string())
            .collect();
        let count = nodes.len();
        match count {
            0 => format!("{verb}: none"),
            _ => format!("{verb}: {count} ({})", nodes.join(", ")),
        }
    };
    [
        named(&Stage::Upgraded, "upgraded"),
        named(&Stage::Failed, "failed"),
        named(&Stage::Waiting, "not begun"),
    ]
    .join("; ")
}

#[cfg(test)]
mod tests;
