//! Actions: what was asked for, by whom, and how it went.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ActionId, NamespaceId},
    state::ActionState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Result,
    page::{Listed, Page},
};

/// What an action, an event or a log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// A node cluster.
    NodeCluster,
    /// A node.
    Node,
}

impl ObjectType {
    /// The type as it stands in URIs and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeCluster => "nodecluster",
            Self::Node => "node",
        }
    }
}

/// The request that an action records.
#[derive(Debug, Clone)]
pub struct Request {
    /// The namespace of the object.
    pub namespace_id: NamespaceId,
    /// `POST`
    pub method: String,
    /// The path as it was asked for.
    pub path: String,
    /// The body as it came.
    pub body: String,
    /// Who asked.
    pub user_name: String,
    /// With which program.
    pub user_agent: String,
    /// From where.
    pub ip: String,
}

/// An action as it is read.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// `Node Cluster Deploy`
    pub name: String,
    /// `nodecluster` or `node`.
    pub object_type: String,
    /// What it is about.
    pub object_id: Uuid,
    /// How far it is.
    pub state: ActionState,
    /// `POST`
    pub method: String,
    /// The path as it was asked for.
    pub path: String,
    /// The body as it came.
    pub body: String,
    /// Who asked.
    pub user_name: String,
    /// With which program.
    pub user_agent: String,
    /// From where.
    pub ip: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its log, one line each.
    pub logs: String,
}

/// Records an action: one that is under way, or one that was done with the request that asked for it.
///
/// # Errors
/// Postgres' own.
pub async fn insert(
    conn: &mut PgConnection,
    request: &Request,
    name: &str,
    object_type: ObjectType,
    object_id: Uuid,
    state: ActionState,
) -> Result<ActionId> {
    let id = Uuid::new_v4();
    sqlx::query!(
        r#"INSERT INTO action (id, namespace_id, name, object_type, object_id, state, method, path, body, user_name,
                               user_agent, ip, ended_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, CASE WHEN $13 THEN now() END)"#,
        id,
        request.namespace_id.0,
        name,
        object_type.as_str(),
        object_id,
        state.as_str(),
        request.method,
        request.path,
        request.body,
        request.user_name,
        request.user_agent,
        request.ip,
        state.is_over(),
    )
    .execute(conn)
    .await?;
    Ok(id.into())
}

/// Adds a line to the log.
///
/// # Errors
/// Postgres' own.
pub async fn log(conn: &mut PgConnection, action: ActionId, line: &str) -> Result<()> {
    sqlx::query!(
        "INSERT INTO action_log (action_id, line) VALUES ($1, $2)",
        action.0,
        line
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a line to the log, unless it would only repeat the last one.
///
/// # Errors
/// Postgres' own.
pub async fn log_if_new(conn: &mut PgConnection, action: ActionId, line: &str) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO action_log (action_id, line)
           SELECT $1, $2
           WHERE $2 IS DISTINCT FROM (SELECT line FROM action_log WHERE action_id = $1 ORDER BY id DESC LIMIT 1)"#,
        action.0,
        line
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes why the action can't reach its aim; the first reason stays.
///
/// # Errors
/// Postgres' own.
pub async fn fail(conn: &mut PgConnection, action: ActionId, reason: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE action SET failure = coalesce(failure, $2) WHERE id = $1",
        action.0,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the action: failed for this reason, or done.
///
/// # Errors
/// Postgres' own.
pub async fn finish(
    conn: &mut PgConnection,
    action: ActionId,
    failure: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE action
           SET state = CASE WHEN $2::text IS NULL THEN 'Success' ELSE 'Failed' END,
               failure = $2, ended_at = now()
           WHERE id = $1 AND ended_at IS NULL"#,
        action.0,
        failure
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which actions are wanted; none of a field means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The action itself.
    pub id: Option<Uuid>,
    /// What its id begins with.
    pub id_prefix: Option<String>,
    /// Its state.
    pub state: Option<String>,
    /// What it is about.
    pub object_id: Option<Uuid>,
}

/// The actions of a namespace, newest first.
///
/// # Errors
/// Postgres' own.
pub async fn list(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    filter: &Filter,
    page: Page,
) -> Result<Listed<Action>> {
    let rows = sqlx::query!(
        r#"SELECT id, name, object_type, object_id, state, method, path, body, user_name, user_agent, ip, started_at,
                  ended_at,
                  coalesce((SELECT string_agg(line, E'\n' ORDER BY action_log.id)
                            FROM action_log WHERE action_id = action.id), '') AS "logs!"
           FROM action
           WHERE namespace_id = $1
             AND ($2::uuid IS NULL OR id = $2)
             AND ($3::text IS NULL OR starts_with(id::text, $3))
             AND ($4::text IS NULL OR state = $4)
             AND ($5::uuid IS NULL OR object_id = $5)
           ORDER BY started_at DESC, id DESC
           LIMIT $6 OFFSET $7"#,
        namespace.0,
        filter.id,
        filter.id_prefix,
        filter.state,
        filter.object_id,
        i64::from(page.limit),
        i64::from(page.offset),
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = sqlx::query_scalar!(
        r#"SELECT count(*) FROM action
           WHERE namespace_id = $1
             AND ($2::uuid IS NULL OR id = $2)
             AND ($3::text IS NULL OR starts_with(id::text, $3))
             AND ($4::text IS NULL OR state = $4)
             AND ($5::uuid IS NULL OR object_id = $5)"#,
        namespace.0,
        filter.id,
        filter.id_prefix,
        filter.state,
        filter.object_id,
    )
    .fetch_one(conn)
    .await?;
    let actions = rows
        .into_iter()
        .map(|row| {
            Ok(Action {
                id: row.id.into(),
                name: row.name,
                object_type: row.object_type,
                object_id: row.object_id,
                state: row.state.parse()?,
                method: row.method,
                path: row.path,
                body: row.body,
                user_name: row.user_name,
                user_agent: row.user_agent,
                ip: row.ip,
                started_at: row.started_at,
                ended_at: row.ended_at,
                logs: row.logs,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Listed::new(actions, total))
}
