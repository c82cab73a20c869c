//! What the commands about users, organizations, keys and quotas have in common: one transaction each, recorded as an action
//! in the namespace that it is about, as if it had been asked of the API.

use domain::{action::ActionKind, ids::NamespaceId, state::ActionState};
use store::{
    PgConnection, PgPool,
    action::{self, ObjectType, Request},
    people::{self, User},
};
use uuid::Uuid;

use crate::{Error, cli::Database};

/// Whom an action names that was asked for by a command; no user has such a name.
const WHO: &str = "(command line)";

/// The database, which must be up to date.
pub(crate) async fn reach(database: &Database) -> Result<PgPool, Error> {
    let pool = store::reach(&database.database_url, 1).await?;
    match store::is_migrated(&pool).await? {
        true => Ok(pool),
        false => Err(Error::NotMigrated),
    }
}

/// Records what a command has done.
pub(crate) async fn record(
    conn: &mut PgConnection,
    namespace_id: NamespaceId,
    command: &str,
    (kind, object_type, object_id): (ActionKind, ObjectType, Uuid),
) -> Result<(), Error> {
    let request = Request {
        namespace_id,
        method: String::new(),
        path: command.to_owned(),
        body: String::new(),
        user_name: WHO.to_owned(),
        user_agent: format!("berth/{}", env!("CARGO_PKG_VERSION")),
        ip: String::new(),
    };
    let new = action::New {
        kind,
        object_type,
        object_id,
        target_num_nodes: None,
        state: ActionState::Success,
    };
    action::insert(conn, &request, new).await?;
    Ok(())
}

/// The user of this name.
pub(crate) async fn user(conn: &mut PgConnection, name: &str) -> Result<User, Error> {
    people::user(conn, name).await?.ok_or_else(|| {
        Error::Usage(format!(
            "there is no user {name:?}; `berth user list` lists them"
        ))
    })
}

/// The organization of this name, locked.
pub(crate) async fn organization(
    conn: &mut PgConnection,
    name: &str,
) -> Result<NamespaceId, Error> {
    let found = people::organization(conn, name).await?;
    let id = found.ok_or_else(|| {
        Error::Usage(format!(
            "there is no organization {name:?}; `berth org list` lists them"
        ))
    })?;
    people::lock_organization(conn, id).await?;
    Ok(id)
}

/// What can't be taken, as an error of usage.
pub(crate) fn taken<T>(checked: Result<T, domain::cluster::Invalid>) -> Result<T, Error> {
    checked.map_err(|invalid| Error::Usage(invalid.to_string()))
}
