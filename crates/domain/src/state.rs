//! The states of clusters, nodes and actions, spelled as Docker Cloud spelled them, and what each allows.
//!
//! Source: the Docker Cloud API reference, "Node Cluster states", "Node states" and "Action states".

/// Values that are texts on the wire and in the database.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every one, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text as it stands on the wire and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::state::UnknownText;

            fn from_str(text: &str) -> Result<Self, $crate::state::UnknownText> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err($crate::state::UnknownText::new(stringify!($name), other)),
                }
            }
        }
    };
}

pub(crate) use texts;

/// A text that names none of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {kind}")]
pub struct UnknownText {
    kind: &'static str,
    text: String,
}

impl UnknownText {
    pub(crate) fn new(kind: &'static str, text: &str) -> Self {
        Self {
            kind,
            text: text.to_owned(),
        }
    }
}

texts! {
    /// The state of a node cluster.
    ClusterState {
        /// Created, nothing deployed yet.
        Init = "Init",
        /// Every node is deployed or being deployed.
        Deploying = "Deploying",
        /// Every node is deployed.
        Deployed = "Deployed",
        /// One or more nodes are deployed, but not all that were asked for.
        PartlyDeployed = "Partly deployed",
        /// Nodes are being added or removed after a PATCH.
        Scaling = "Scaling",
        /// Every node is being terminated.
        Terminating = "Terminating",
        /// Every node is gone; the object stays readable.
        Terminated = "Terminated",
        /// There are no nodes.
        EmptyCluster = "Empty cluster",
    }
}

texts! {
    /// The state of a node.
    NodeState {
        /// Being created and provisioned.
        Deploying = "Deploying",
        /// Usable.
        Deployed = "Deployed",
        /// It exists but can't be reached.
        Unreachable = "Unreachable",
        /// Its engine is being upgraded.
        Upgrading = "Upgrading",
        /// Being terminated.
        Terminating = "Terminating",
        /// Gone at the provider.
        Terminated = "Terminated",
    }
}

texts! {
    /// The state of an action.
    ActionState {
        /// Waiting behind another action on the same object.
        Pending = "Pending",
        /// Being worked on.
        InProgress = "In progress",
        /// Cancellation was asked for.
        Canceling = "Canceling",
        /// Canceled by its user.
        Canceled = "Canceled",
        /// Done.
        Success = "Success",
        /// Not done; its log says why.
        Failed = "Failed",
    }
}

/// What may be asked of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterOperation {
    /// `POST …/deploy/`
    Deploy,
    /// The retry of a deploy: the nodes that are missing.
    Redeploy,
    /// `PATCH` with `target_num_nodes`
    Scale,
    /// `POST …/docker-upgrade/`
    DockerUpgrade,
    /// `DELETE`
    Terminate,
}

impl ClusterOperation {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::Deploy,
        Self::Redeploy,
        Self::Scale,
        Self::DockerUpgrade,
        Self::Terminate,
    ];
}

/// What may be asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeOperation {
    /// `POST …/deploy/`
    Deploy,
    /// `POST …/health-check/`
    HealthCheck,
    /// `POST …/docker-upgrade/`
    DockerUpgrade,
    /// `DELETE`
    Terminate,
}

impl NodeOperation {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::Deploy,
        Self::HealthCheck,
        Self::DockerUpgrade,
        Self::Terminate,
    ];
}

/// An operation that the object's present state forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object} is in state \"{state}\", in which it can't be {operation}; {way_out}")]
pub struct Forbidden {
    object: &'static str,
    state: &'static str,
    operation: &'static str,
    way_out: &'static str,
}

impl Forbidden {
    pub(crate) fn of_action(
        state: ActionState,
        operation: &'static str,
        way_out: &'static str,
    ) -> Self {
        Self {
            object: "the action",
            state: state.as_str(),
            operation,
            way_out,
        }
    }
}

fn check_change(
    object: &'static str,
    state: &'static str,
    is_going: bool,
) -> Result<(), Forbidden> {
    if !is_going {
        return Ok(());
    }
    Err(Forbidden {
        object,
        state,
        operation: "changed",
        way_out: "it stays as it was",
    })
}

const WAIT_OR_CANCEL: &str = "wait until its running action has ended, or cancel that";

impl ClusterState {
    /// The state in which `operation` leaves a cluster that is in this one.
    ///
    /// # Errors
    /// [`Forbidden`] where the reference lists no such operation for the state.
    pub fn after(self, operation: ClusterOperation) -> Result<Self, Forbidden> {
        use ClusterOperation as Op;
        let is_at_rest = matches!(
            self,
            Self::Deployed | Self::PartlyDeployed | Self::EmptyCluster
        );
        match (self, operation) {
            (Self::Init, Op::Deploy) => Ok(Self::Deploying),
            // Nothing runs yet: the new target takes effect at deploy.
            (Self::Init, Op::Scale) => Ok(Self::Init),
            (Self::Init, Op::Terminate) => Ok(Self::Terminated),
            (_, Op::Redeploy) if is_at_rest => Ok(Self::Deploying),
            (_, Op::Scale) if is_at_rest => Ok(Self::Scaling),
            (_, Op::Terminate) if is_at_rest => Ok(Self::Terminating),
            // The reference has no state for a cluster whose engines are being upgraded.
            (Self::Deployed | Self::PartlyDeployed, Op::DockerUpgrade) => Ok(self),
            _ => Err(Forbidden {
                object: "the node cluster",
                state: self.as_str(),
                operation: match operation {
                    Op::Deploy | Op::Redeploy => "deployed",
                    Op::Scale => "scaled",
                    Op::DockerUpgrade => "upgraded",
                    Op::Terminate => "terminated",
                },
                way_out: match (self, operation) {
                    (Self::Terminated, _) => "create a new one",
                    (Self::Terminating, _) => "it is on its way out",
                    (Self::Deployed | Self::PartlyDeployed | Self::EmptyCluster, Op::Deploy) => {
                        "change its size with PATCH target_num_nodes"
                    }
                    (Self::EmptyCluster, _) => "it has no nodes",
                    (Self::Init, _) => "deploy it first",
                    _ => WAIT_OR_CANCEL,
                },
            }),
        }
    }

    /// Whether the tags and the nickname of a cluster may be changed: while it lives.
    ///
    /// # Errors
    /// [`Forbidden`] where it is on its way out or gone.
    pub fn check_change(self) -> Result<(), Forbidden> {
        check_change(
            "the node cluster",
            self.as_str(),
            matches!(self, Self::Terminating | Self::Terminated),
        )
    }

    /// The state of a cluster at rest that has `existing` nodes of `target` wanted ones.
    pub fn at_rest(existing: u32, target: u32) -> Self {
        match existing {
            0 => Self::EmptyCluster,
            n if n < target => Self::PartlyDeployed,
            _ => Self::Deployed,
        }
    }

    /// The state in which a cluster comes to rest on whose nodes nothing is under way any more; none where it is at
    /// rest already.
    pub fn settled(self, existing: u32, target: u32) -> Option<Self> {
        let settled = match self {
            Self::Init | Self::Terminated => return None,
            Self::Terminating => Self::Terminated,
            _ => Self::at_rest(existing, target),
        };
        (settled != self).then_some(settled)
    }

    /// Whether work on the cluster is under way.
    pub fn is_moving(self) -> bool {
        matches!(self, Self::Deploying | Self::Scaling | Self::Terminating)
    }
}

impl NodeState {
    /// The state in which `operation` leaves a node that is in this one.
    ///
    /// # Errors
    /// [`Forbidden`] where the reference lists no such operation for the state. It no longer documents the deployment of
    /// a single node, whose state `Init` is gone: what is left of it is to watch one that is being deployed.
    pub fn after(self, operation: NodeOperation) -> Result<Self, Forbidden> {
        use NodeOperation as Op;
        match (self, operation) {
            (Self::Deploying, Op::Deploy) => Ok(self),
            (Self::Unreachable, Op::HealthCheck) => Ok(self),
            (Self::Deployed, Op::DockerUpgrade) => Ok(Self::Upgrading),
            (Self::Deployed | Self::Unreachable, Op::Terminate) => Ok(Self::Terminating),
            _ => Err(Forbidden {
                object: "the node",
                state: self.as_str(),
                operation: match operation {
                    Op::Deploy => "deployed",
                    Op::HealthCheck => "checked",
                    Op::DockerUpgrade => "upgraded",
                    Op::Terminate => "terminated",
                },
                way_out: match (self, operation) {
                    (Self::Terminated, _) => "it is gone already",
                    (Self::Terminating, _) => "it is on its way out",
                    (Self::Deployed | Self::Unreachable | Self::Upgrading, Op::Deploy) => {
                        "it is deployed already"
                    }
                    (Self::Deployed, _) => "it can be reached",
                    (Self::Unreachable, _) => "check its health first",
                    _ => WAIT_OR_CANCEL,
                },
            }),
        }
    }

    /// Whether the tags and the nickname of a node may be changed: while it lives.
    ///
    /// # Errors
    /// [`Forbidden`] where it is on its way out or gone.
    pub fn check_change(self) -> Result<(), Forbidden> {
        check_change("the node", self.as_str(), !self.is_live())
    }

    /// The state of a node that its cluster no longer wants: a scale-down or its termination takes every live one.
    pub fn retired(self) -> Option<Self> {
        self.is_live().then_some(Self::Terminating)
    }

    /// The state of a node when the upgrade of its engine has ended, however it went.
    pub fn upgraded(self) -> Option<Self> {
        (self == Self::Upgrading).then_some(Self::Deployed)
    }

    /// The state of a node of which there is, and will be, no instance.
    pub fn buried(self) -> Option<Self> {
        (self != Self::Terminated).then_some(Self::Terminated)
    }

    /// Whether the node is, or is going to be, one of the nodes its cluster was asked for.
    pub fn is_live(self) -> bool {
        matches!(
            self,
            Self::Deploying | Self::Deployed | Self::Unreachable | Self::Upgrading
        )
    }

    /// Whether the node's deployment is behind it and its termination has not begun.
    pub fn exists(self) -> bool {
        matches!(self, Self::Deployed | Self::Unreachable | Self::Upgrading)
    }
}

impl ActionState {
    /// Whether the action has come to its end.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Canceled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_operation_is_allowed_in_exactly_the_documented_states() {
        use ClusterOperation as Op;
        use ClusterState as S;
        let allowed: Vec<(S, Op, S)> = vec![
            (S::Init, Op::Deploy, S::Deploying),
            (S::Init, Op::Scale, S::Init),
            (S::Init, Op::Terminate, S::Terminated),
            (S::Deployed, Op::Redeploy, S::Deploying),
            (S::Deployed, Op::Scale, S::Scaling),
            (S::Deployed, Op::DockerUpgrade, S::Deployed),
            (S::Deployed, Op::Terminate, S::Terminating),
            (S::PartlyDeployed, Op::Redeploy, S::Deploying),
            (S::PartlyDeployed, Op::Scale, S::Scaling),
            (S::PartlyDeployed, Op::DockerUpgrade, S::PartlyDeployed),
            (S::PartlyDeployed, Op::Terminate, S::Terminating),
            (S::EmptyCluster, Op::Redeploy, S::Deploying),
            (S::EmptyCluster, Op::Scale, S::Scaling),
            (S::EmptyCluster, Op::Terminate, S::Terminating),
        ];
        walk(S::ALL, Op::ALL, &allowed, S::after);
    }

    #[test]
    fn every_node_operation_is_allowed_in_exactly_the_documented_states() {
        use NodeOperation as Op;
        use NodeState as S;
        let allowed: Vec<(S, Op, S)> = vec![
            (S::Deploying, Op::Deploy, S::Deploying),
            (S::Deployed, Op::DockerUpgrade, S::Upgrading),
            (S::Deployed, Op::Terminate, S::Terminating),
            (S::Unreachable, Op::HealthCheck, S::Unreachable),
            (S::Unreachable, Op::Terminate, S::Terminating),
        ];
        walk(S::ALL, Op::ALL, &allowed, S::after);
    }

    /// Walks every operation in every state; what is not allowed is refused by the name of the state.
    fn walk<S, Op>(
        states: &[S],
        operations: &[Op],
        allowed: &[(S, Op, S)],
        after: fn(S, Op) -> Result<S, Forbidden>,
    ) where
        S: Copy + PartialEq + std::fmt::Debug + std::fmt::Display,
        Op: Copy + PartialEq + std::fmt::Debug,
    {
        for &from in states {
            for &operation in operations {
                let expected = allowed
                    .iter()
                    .find(|(state, op, _)| *state == from && *op == operation)
                    .map(|(_, _, to)| *to);
                match (after(from, operation), expected) {
                    (Ok(to), Some(expected)) => assert_eq!(to, expected),
                    (Err(refusal), None) => {
                        let words = refusal.to_string();
                        assert!(words.contains(&format!("\"{from}\"")), "{words}");
                    }
                    (got, _) => panic!("{from} {operation:?}: {got:?}"),
                }
            }
        }
    }

    #[test]
    fn what_lives_may_be_changed_and_nothing_else() {
        for &state in ClusterState::ALL {
            let is_going = matches!(state, ClusterState::Terminating | ClusterState::Terminated);
            assert_eq!(state.check_change().is_err(), is_going, "{state}");
        }
        for &state in NodeState::ALL {
            let is_going = matches!(state, NodeState::Terminating | NodeState::Terminated);
            assert_eq!(state.check_change().is_err(), is_going, "{state}");
        }
        let words = NodeState::Terminated
            .check_change()
            .unwrap_err()
            .to_string();
        assert!(words.contains("\"Terminated\""), "{words}");
    }

    #[test]
    fn a_cluster_settles_only_where_something_was_under_way_or_its_nodes_went() {
        use ClusterState as S;
        for &from in S::ALL {
            for (existing, target) in [(0, 0), (0, 2), (1, 2), (2, 2), (3, 2)] {
                let at_rest = S::at_rest(existing, target);
                let expected = match from {
                    S::Init | S::Terminated => None,
                    S::Terminating => Some(S::Terminated),
                    _ if from == at_rest => None,
                    _ => Some(at_rest),
                };
                assert_eq!(from.settled(existing, target), expected, "{from}");
            }
        }
    }

    #[test]
    fn a_node_is_retired_while_it_lives_buried_once_and_upgraded_only_from_upgrading() {
        use NodeState as S;
        for &state in S::ALL {
            let retired =
                (!matches!(state, S::Terminating | S::Terminated)).then_some(S::Terminating);
            assert_eq!(state.retired(), retired, "{state}");
            assert_eq!(state.buried().is_some(), state != S::Terminated, "{state}");
            let upgraded = (state == S::Upgrading).then_some(S::Deployed);
            assert_eq!(state.upgraded(), upgraded, "{state}");
        }
    }

    #[test]
    fn a_cluster_at_rest_is_named_by_how_many_of_its_nodes_exist() {
        assert_eq!(ClusterState::at_rest(0, 3), ClusterState::EmptyCluster);
        assert_eq!(ClusterState::at_rest(2, 3), ClusterState::PartlyDeployed);
        assert_eq!(ClusterState::at_rest(3, 3), ClusterState::Deployed);
        assert_eq!(ClusterState::at_rest(0, 0), ClusterState::EmptyCluster);
    }

    #[test]
    fn states_survive_their_wire_form() {
        for &state in ClusterState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for &state in NodeState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for &state in ActionState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("Running".parse::<ClusterState>().is_err());
    }
}
