//! An action as it stands on the wire.

use domain::state::ActionState;
use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use crate::{
    docs, time,
    uri::{self, Uris},
};

/// One recorded operation on an object.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Action {
    /// What was done.
    #[schema(example = "Node Cluster Deploy")]
    action: &'static str,
    /// The body of the request as it came.
    #[schema(example = "")]
    body: String,
    /// Whether it can be canceled: what waits, and what may still launch.
    can_be_canceled: bool,
    /// Whether it can be tried again: what has ended, unless it was done with its request.
    can_be_retried: bool,
    /// When it ended; null while it is under way.
    #[schema(required = true, example = "Tue, 16 Sep 2014 17:01:15 +0000")]
    end_date: Option<String>,
    /// The address that the request came from.
    #[schema(example = "198.51.100.7")]
    ip: String,
    /// Whether a user asked for it.
    is_user_action: bool,
    /// Where the request came from, in words; not known.
    #[schema(example = "")]
    location: String,
    /// What was done step by step, one line each.
    #[schema(example = "10.78.0.0/16 was made as vpc-0a1b2c3d")]
    log: String,
    /// The method of the request.
    #[schema(example = "POST")]
    method: String,
    /// The URI of the object that it is about.
    #[schema(example = "/api/infra/v1/nodecluster/5516df0b-721e-4470-b350-741ff22e63a0/")]
    object: String,
    /// The path of the request.
    #[schema(example = "/api/infra/v1/nodecluster/5516df0b-721e-4470-b350-741ff22e63a0/deploy/")]
    path: String,
    /// Its own URI.
    #[schema(example = "/api/audit/v1/action/7ba98e5a-3b6b-4b0e-9d3d-3c1ac0a8b1a2/")]
    resource_uri: String,
    /// When it began.
    #[schema(example = "Tue, 16 Sep 2014 17:00:05 +0000")]
    start_date: String,
    #[schema(schema_with = states)]
    state: &'static str,
    /// Who asked for it.
    #[schema(example = "dev")]
    user: String,
    /// With which program.
    #[schema(example = "python-dockercloud/1.0.12")]
    user_agent: String,
    /// Its id.
    uuid: Uuid,
}

fn states() -> Object {
    let all = ActionState::ALL.iter().map(|state| state.as_str());
    docs::state(all, "How far it is.")
}

impl Action {
    pub(super) fn new(uris: &Uris, action: store::action::Action) -> Self {
        Self {
            action: action.kind.as_str(),
            body: action.body,
            can_be_canceled: action.kind.after_cancel(action.state).is_ok(),
            can_be_retried: action.kind.after_retry(action.state).is_ok(),
            end_date: action.ended_at.map(time::wire),
            ip: action.ip,
            is_user_action: true,
            location: String::new(),
            log: action.log,
            method: action.method,
            object: uris.object(action.object_type, action.object_id),
            path: action.path,
            resource_uri: uri::action(action.id),
            start_date: time::wire(action.started_at),
            state: action.state.as_str(),
            user: action.user_name,
            user_agent: action.user_agent,
            uuid: action.id.0,
        }
    }
}
