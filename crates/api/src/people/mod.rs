//! Berth's own part of the API: users, organizations and their members, API keys, and how much a namespace may have.
//! Each mutation is an action, as everywhere, in the namespace that it is about.

pub(crate) mod key;
pub(crate) mod member;
pub(crate) mod organization;
pub(crate) mod quota;
pub(crate) mod user;

use domain::{
    action::ActionKind,
    ids::{ActionId, NamespaceId},
    state::ActionState,
};
use store::{
    PgConnection,
    action::{self, ObjectType},
    people::{self, User},
};
use utoipa::openapi::path::{Parameter, ParameterIn};
use uuid::Uuid;

use crate::{auth::Caller, error::ApiError, list};

/// The lists here have no filters.
pub(crate) struct Page;

impl utoipa::IntoParams for Page {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        list::parameters(&[])
    }
}

/// Records what is done with its request, in the namespace that it is about.
async fn record(
    conn: &mut PgConnection,
    caller: &Caller,
    namespace_id: NamespaceId,
    body: &str,
    (kind, object_type, object_id): (ActionKind, ObjectType, Uuid),
) -> Result<ActionId, ApiError> {
    let request = action::Request {
        namespace_id,
        ..caller.record(body)
    };
    let new = action::New {
        kind,
        object_type,
        object_id,
        target_num_nodes: None,
        state: ActionState::Success,
    };
    Ok(action::insert(conn, &request, new).await?)
}

async fn user(conn: &mut PgConnection, name: &str) -> Result<User, ApiError> {
    people::user(conn, name)
        .await?
        .ok_or_else(|| ApiError::no_such("user", format!("{name:?}")))
}

/// The one name in a path.
fn one(names: Vec<String>) -> Result<String, ApiError> {
    // Postgres' text has no place for U+0000, so nothing has such a name.
    let name = names.into_iter().next().filter(|name| !name.contains('\0'));
    name.ok_or_else(|| ApiError::no_such("object", "of such a name"))
}
