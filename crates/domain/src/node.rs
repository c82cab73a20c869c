//! What an instance's condition means for its node.

use crate::state::{NodeState, texts};

texts! {
    /// The state of an EC2 instance (EC2 API reference, `InstanceState`).
    InstanceState {
        /// Being started.
        Pending = "pending",
        /// It runs.
        Running = "running",
        /// Being terminated.
        ShuttingDown = "shutting-down",
        /// Gone.
        Terminated = "terminated",
        /// Being stopped.
        Stopping = "stopping",
        /// Stopped.
        Stopped = "stopped",
    }
}

texts! {
    /// What makes the nodes of a cluster usable.
    Readiness {
        /// Their agent has called home and their engine answers.
        Agent = "agent",
        /// Their instance runs: for images without an agent.
        Instance = "instance",
    }
}

/// The member of a body that says so.
pub const READINESS: &str = "readiness";

/// The state that a node in `state` takes when its instance is seen in `instance`, or the same one. Where an agent is to
/// call home it is not enough that the instance runs: [`crate::host`] says the rest.
pub fn observe(state: NodeState, instance: InstanceState, readiness: Readiness) -> NodeState {
    let is_ready = instance == InstanceState::Running && readiness == Readiness::Instance;
    use InstanceState as I;
    use NodeState as S;
    match (state, instance) {
        (S::Terminated, _) | (_, I::Terminated) => S::Terminated,
        // Its end is seen when it has come: the addresses and the volume are freed only then.
        (_, I::ShuttingDown) | (S::Terminating, _) => state,
        (S::Deploying | S::Unreachable, _) if is_ready => S::Deployed,
        // Also one that was stopped before it was ever seen running: it exists, and its cluster must not wait for it.
        (S::Deploying | S::Deployed | S::Upgrading, I::Stopping | I::Stopped) => S::Unreachable,
        (state, _) => state,
    }
}

#[cfg(test)]
mod tests {
    use super::{observe as observe_with, *};

    fn observe(state: NodeState, instance: InstanceState) -> NodeState {
        observe_with(state, instance, Readiness::Instance)
    }

    #[test]
    fn a_node_is_deployed_when_its_instance_runs() {
        assert_eq!(
            observe(NodeState::Deploying, InstanceState::Pending),
            NodeState::Deploying
        );
        assert_eq!(
            observe(NodeState::Deploying, InstanceState::Running),
            NodeState::Deployed
        );
    }

    #[test]
    fn seed_a_restarted_node_goes_from_unreachable_to_deployed() {
        assert_eq!(
            observe(NodeState::Deployed, InstanceState::Stopped),
            NodeState::Unreachable
        );
        assert_eq!(
            observe(NodeState::Unreachable, InstanceState::Running),
            NodeState::Deployed
        );
    }

    #[test]
    fn a_node_stopped_before_it_was_seen_running_is_unreachable_and_not_waited_for() {
        assert_eq!(
            observe(NodeState::Deploying, InstanceState::Stopped),
            NodeState::Unreachable
        );
    }

    #[test]
    fn seed_a_node_terminated_in_the_console_is_terminated() {
        for &state in NodeState::ALL {
            assert_eq!(
                observe(state, InstanceState::Terminated),
                NodeState::Terminated
            );
        }
    }

    #[test]
    fn what_is_seen_of_the_instance_leads_to_exactly_these_states() {
        use InstanceState as I;
        use NodeState as S;
        let changes = [
            (S::Deploying, I::Running, S::Deployed),
            (S::Unreachable, I::Running, S::Deployed),
            (S::Deploying, I::Stopping, S::Unreachable),
            (S::Deploying, I::Stopped, S::Unreachable),
            (S::Deployed, I::Stopping, S::Unreachable),
            (S::Deployed, I::Stopped, S::Unreachable),
            (S::Upgrading, I::Stopping, S::Unreachable),
            (S::Upgrading, I::Stopped, S::Unreachable),
            (S::Deploying, I::Terminated, S::Terminated),
            (S::Deployed, I::Terminated, S::Terminated),
            (S::Unreachable, I::Terminated, S::Terminated),
            (S::Upgrading, I::Terminated, S::Terminated),
            (S::Terminating, I::Terminated, S::Terminated),
        ];
        for &state in S::ALL {
            for &instance in I::ALL {
                let is_it = |change: &&(S, I, S)| (change.0, change.1) == (state, instance);
                let expected = changes.iter().find(is_it).map_or(state, |change| change.2);
                assert_eq!(observe(state, instance), expected, "{state} {instance:?}");
            }
        }
    }

    #[test]
    fn that_the_instance_runs_is_not_enough_where_an_agent_is_to_call_home() {
        for &state in NodeState::ALL {
            for &instance in InstanceState::ALL {
                let expected = match observe(state, instance) {
                    NodeState::Deployed => state,
                    other => other,
                };
                let seen = observe_with(state, instance, Readiness::Agent);
                assert_eq!(seen, expected, "{state} {instance:?}");
            }
        }
    }

    #[test]
    fn a_terminating_or_terminated_node_never_comes_back() {
        for instance in [
            InstanceState::Pending,
            InstanceState::Running,
            InstanceState::Stopped,
        ] {
            assert_eq!(
                observe(NodeState::Terminating, instance),
                NodeState::Terminating
            );
            assert_eq!(
                observe(NodeState::Terminated, instance),
                NodeState::Terminated
            );
        }
    }
}
