//! Actions: one for each mutation, by the name that it bears on the wire, and when one can be canceled or retried.
//!
//! Source: the Docker Cloud API reference, "Actions". Of the names, "Node Cluster Create", "Node Cluster Deploy" and
//! "Node Deploy" are documented; the others follow them.

use crate::state::{ActionState, ClusterOperation, Forbidden, NodeOperation, texts};

texts! {
    /// What an action does.
    ActionKind {
        /// `POST nodecluster/`
        CreateCluster = "Node Cluster Create",
        /// `PATCH nodecluster/…/` without a size
        UpdateCluster = "Node Cluster Update",
        /// `POST nodecluster/…/deploy/`
        DeployCluster = "Node Cluster Deploy",
        /// `PATCH nodecluster/…/` with a size
        ScaleCluster = "Node Cluster Scale",
        /// `POST nodecluster/…/docker-upgrade/`
        UpgradeCluster = "Node Cluster Docker Upgrade",
        /// `DELETE nodecluster/…/`
        TerminateCluster = "Node Cluster Terminate",
        /// `PATCH node/…/`
        UpdateNode = "Node Update",
        /// `POST node/…/deploy/`
        DeployNode = "Node Deploy",
        /// `POST node/…/health-check/`
        CheckNode = "Node Health Check",
        /// `POST node/…/docker-upgrade/`
        UpgradeNode = "Node Docker Upgrade",
        /// `DELETE node/…/`
        TerminateNode = "Node Terminate",
        /// `POST token/`
        CreateToken = "Token Create",
        /// `PUT provider/aws/credentials/`
        LinkProvider = "Provider Link",
        /// `DELETE provider/aws/credentials/`
        UnlinkProvider = "Provider Unlink",
        /// A user is made.
        CreateUser = "User Create",
        /// A user is removed.
        RemoveUser = "User Remove",
        /// An organization is made.
        CreateOrganization = "Organization Create",
        /// A user gets a role in an organization.
        SetMember = "Member Set",
        /// A user leaves an organization.
        RemoveMember = "Member Remove",
        /// An API key is made.
        CreateKey = "API Key Create",
        /// An API key is revoked.
        RevokeKey = "API Key Revoke",
        /// A namespace's limits are set.
        SetQuota = "Quota Set",
    }
}

impl From<ClusterOperation> for ActionKind {
    fn from(operation: ClusterOperation) -> Self {
        match operation {
            ClusterOperation::Deploy | ClusterOperation::Redeploy => Self::DeployCluster,
            ClusterOperation::Scale => Self::ScaleCluster,
            ClusterOperation::DockerUpgrade => Self::UpgradeCluster,
            ClusterOperation::Terminate => Self::TerminateCluster,
        }
    }
}

impl From<NodeOperation> for ActionKind {
    fn from(operation: NodeOperation) -> Self {
        match operation {
            NodeOperation::Deploy => Self::DeployNode,
            NodeOperation::HealthCheck => Self::CheckNode,
            NodeOperation::DockerUpgrade => Self::UpgradeNode,
            NodeOperation::Terminate => Self::TerminateNode,
        }
    }
}

impl ActionKind {
    /// What an action of this kind asks of a cluster when it begins after having waited, or is tried again.
    pub fn cluster_operation(self) -> Option<ClusterOperation> {
        match self {
            Self::DeployCluster => Some(ClusterOperation::Redeploy),
            Self::ScaleCluster => Some(ClusterOperation::Scale),
            Self::UpgradeCluster => Some(ClusterOperation::DockerUpgrade),
            Self::TerminateCluster => Some(ClusterOperation::Terminate),
            _ => None,
        }
    }

    /// The same of a node.
    pub fn node_operation(self) -> Option<NodeOperation> {
        match self {
            Self::DeployNode => Some(NodeOperation::Deploy),
            Self::CheckNode => Some(NodeOperation::HealthCheck),
            Self::UpgradeNode => Some(NodeOperation::DockerUpgrade),
            Self::TerminateNode => Some(NodeOperation::Terminate),
            _ => None,
        }
    }

    /// Whether it is done within the request that asks for it.
    fn is_done_at_once(self) -> bool {
        self.cluster_operation().is_none() && self.node_operation().is_none()
    }

    /// The state of an action of this kind once its cancellation was asked for.
    ///
    /// What waits is canceled without a trace. Of what is under way, that is stopped which has not been launched yet; a
    /// termination can't be undone, and a node is launched by its cluster's action.
    ///
    /// # Errors
    /// [`Forbidden`], with the state.
    pub fn after_cancel(self, state: ActionState) -> Result<ActionState, Forbidden> {
        let way_out = match (state, self) {
            (ActionState::Pending, _) => return Ok(ActionState::Canceled),
            (ActionState::InProgress, Self::TerminateCluster | Self::TerminateNode) => {
                "a termination that has begun can't be undone"
            }
            (ActionState::InProgress, Self::DeployNode) => {
                "cancel the action of its node cluster instead"
            }
            (ActionState::InProgress, _) => return Ok(ActionState::Canceling),
            (ActionState::Canceling, _) => "it is being canceled already",
            (ActionState::Canceled | ActionState::Success | ActionState::Failed, _) => "it is over",
        };
        Err(Forbidden::of_action(state, "canceled", way_out))
    }

    /// The state of the new action that tries an ended one of this kind again.
    ///
    /// # Errors
    /// [`Forbidden`], with the state.
    pub fn after_retry(self, state: ActionState) -> Result<ActionState, Forbidden> {
        let way_out = match state {
            ActionState::Pending | ActionState::InProgress | ActionState::Canceling => {
                "wait until it has ended, or cancel it"
            }
            _ if self.is_done_at_once() => "it was done with its request: send that again",
            ActionState::Success | ActionState::Failed | ActionState::Canceled => {
                return Ok(ActionState::InProgress);
            }
        };
        Err(Forbidden::of_action(state, "retried", way_out))
    }
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It reached its aim.
    Success,
    /// It did not, for this reason.
    Failed(String),
    /// Its user did not want it any more.
    Canceled,
}

impl End {
    /// The state of the action from then on.
    pub fn state(&self) -> ActionState {
        match self {
            Self::Success => ActionState::Success,
            Self::Failed(_) => ActionState::Failed,
            Self::Canceled => ActionState::Canceled,
        }
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed(reason) => Some(reason),
            Self::Success | Self::Canceled => None,
        }
    }
}

impl ActionState {
    /// The state of an action that has waited and begins now.
    pub fn begun(self) -> Option<Self> {
        (self == Self::Pending).then_some(Self::InProgress)
    }

    /// The state of an action that ends in this way; none where it has ended before. One whose cancellation was asked
    /// for ends as canceled, whatever else came of it.
    pub fn ended(self, end: &End) -> Option<Self> {
        match self {
            Self::Pending | Self::InProgress => Some(end.state()),
            Self::Canceling => Some(Self::Canceled),
            Self::Canceled | Self::Success | Self::Failed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ActionKind as K;
    use ActionState as S;

    #[test]
    fn an_action_begins_once_and_ends_once_and_a_canceled_one_ends_as_canceled() {
        let ends = [End::Success, End::Failed("no".into()), End::Canceled];
        for &state in S::ALL {
            let begun = (state == S::Pending).then_some(S::InProgress);
            assert_eq!(state.begun(), begun, "{state}");
            for end in &ends {
                let ended = match state {
                    S::Pending | S::InProgress => Some(end.state()),
                    S::Canceling => Some(S::Canceled),
                    _ => None,
                };
                assert_eq!(state.ended(end), ended, "{state} {end:?}");
            }
        }
    }

    #[test]
    fn an_action_is_canceled_and_retried_in_exactly_the_documented_states() {
        for &kind in K::ALL {
            for &state in S::ALL {
                let cancel = match (state, kind) {
                    (S::Pending, _) => Some(S::Canceled),
                    (S::InProgress, K::TerminateCluster | K::TerminateNode | K::DeployNode) => None,
                    (S::InProgress, _) => Some(S::Canceling),
                    _ => None,
                };
                let canceled = kind.after_cancel(state);
                assert_eq!(canceled.as_ref().ok(), cancel.as_ref(), "{kind} {state}");
                let is_async = kind.as_str().starts_with("Node")
                    && !matches!(kind, K::CreateCluster | K::UpdateCluster | K::UpdateNode);
                let retried = kind.after_retry(state);
                let may_retry = state.is_over() && is_async;
                assert_eq!(retried.is_ok(), may_retry, "{kind} {state}");
                for refusal in [canceled.err(), retried.err()].into_iter().flatten() {
                    let words = refusal.to_string();
                    assert!(words.contains(&format!("\"{state}\"")), "{words}");
                }
            }
        }
    }
}
