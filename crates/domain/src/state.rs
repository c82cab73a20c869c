//! The states of clusters, nodes and actions, spelled as Docker Cloud spelled them, and what each allows.
//!
//! Source: the Docker Cloud API reference, "Node Cluster states", "Node states" and "Action states".

use serde::{Deserialize, Serialize};

macro_rules! states {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every state, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The state as it stands on the wire and in the database.
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
            type Err = UnknownState;

            fn from_str(text: &str) -> Result<Self, UnknownState> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(UnknownState { kind: stringify!($name), text: other.to_owned() }),
                }
            }
        }
    };
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {kind}")]
pub struct UnknownState {
    kind: &'static str,
    text: String,
}

states! {
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

states! {
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

states! {
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

/// What a user may ask of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterOperation {
    /// `POST …/deploy/`
    Deploy,
    /// `PATCH` with `target_num_nodes`
    Scale,
    /// `DELETE`
    Terminate,
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

impl ClusterState {
    /// The state in which `operation` leaves a cluster that is in this one.
    ///
    /// # Errors
    /// [`Forbidden`] where the reference lists no such operation for the state.
    pub fn after(self, operation: ClusterOperation) -> Result<Self, Forbidden> {
        use ClusterOperation as Op;
        match (self, operation) {
            (Self::Init, Op::Deploy) => Ok(Self::Deploying),
            // Nothing runs yet: the new target takes effect at deploy.
            (Self::Init, Op::Scale) => Ok(Self::Init),
            (Self::Init, Op::Terminate) => Ok(Self::Terminated),
            (Self::Deployed | Self::PartlyDeployed | Self::EmptyCluster, Op::Scale) => {
                Ok(Self::Scaling)
            }
            (Self::Deployed | Self::PartlyDeployed | Self::EmptyCluster, Op::Terminate) => {
                Ok(Self::Terminating)
            }
            _ => Err(Forbidden {
                object: "the node cluster",
                state: self.as_str(),
                operation: match operation {
                    Op::Deploy => "deployed",
                    Op::Scale => "scaled",
                    Op::Terminate => "terminated",
                },
                way_out: match (self, operation) {
                    (Self::Terminated, _) => "create a new one",
                    (Self::Terminating, _) => "it is on its way out",
                    (Self::Deployed | Self::PartlyDeployed | Self::EmptyCluster, Op::Deploy) => {
                        "change its size with PATCH target_num_nodes"
                    }
                    _ => "wait until its running action has ended",
                },
            }),
        }
    }

    /// The state of a cluster at rest that has `existing` nodes of `target` wanted ones.
    pub fn at_rest(existing: u32, target: u32) -> Self {
        match existing {
            0 => Self::EmptyCluster,
            n if n < target => Self::PartlyDeployed,
            _ => Self::Deployed,
        }
    }

    /// Whether work on the cluster is under way.
    pub fn is_moving(self) -> bool {
        matches!(self, Self::Deploying | Self::Scaling | Self::Terminating)
    }
}

impl NodeState {
    /// Whether a node in this state may be terminated by its user.
    ///
    /// # Errors
    /// [`Forbidden`] in every other state than `Deployed` and `Unreachable`, as the reference has it.
    pub fn after_terminate(self) -> Result<Self, Forbidden> {
        match self {
            Self::Deployed | Self::Unreachable => Ok(Self::Terminating),
            _ => Err(Forbidden {
                object: "the node",
                state: self.as_str(),
                operation: "terminated",
                way_out: match self {
                    Self::Terminated => "it is gone already",
                    Self::Terminating => "it is on its way out",
                    _ => "wait until its running action has ended",
                },
            }),
        }
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
            (S::Deployed, Op::Scale, S::Scaling),
            (S::Deployed, Op::Terminate, S::Terminating),
            (S::PartlyDeployed, Op::Scale, S::Scaling),
            (S::PartlyDeployed, Op::Terminate, S::Terminating),
            (S::EmptyCluster, Op::Scale, S::Scaling),
            (S::EmptyCluster, Op::Terminate, S::Terminating),
        ];
        for &from in S::ALL {
            for op in [Op::Deploy, Op::Scale, Op::Terminate] {
                let expected = allowed
                    .iter()
                    .find(|(s, o, _)| *s == from && *o == op)
                    .map(|(_, _, to)| *to);
                match (from.after(op), expected) {
                    (Ok(to), Some(expected)) => assert_eq!(to, expected),
                    (Err(refusal), None) => {
                        assert!(refusal.to_string().contains(from.as_str()), "{refusal}")
                    }
                    (got, _) => panic!("{from} {op:?}: {got:?}"),
                }
            }
        }
    }

    #[test]
    fn a_node_is_terminated_only_from_deployed_or_unreachable() {
        for &state in NodeState::ALL {
            let allowed = matches!(state, NodeState::Deployed | NodeState::Unreachable);
            assert_eq!(state.after_terminate().is_ok(), allowed, "{state}");
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
