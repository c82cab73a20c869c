//! Actions: what was asked for, by whom, and how it went.

use chrono::{DateTime, Utc};
use domain::{
    action::{ActionKind, End},
    ids::{ActionId, NamespaceId},
    state::ActionState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Error, Result,
    page::{Listed, Page},
    signed, unsigned,
};

mod log;

pub use log::{CHANNEL as LOG_CHANNEL, Line, log, log_after, log_if_new, log_on_nodes, log_tail};

/// What an action, an event or a log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// A node cluster.
    NodeCluster,
    /// A node.
    Node,
    /// A registration token.
    Token,
    /// The credentials for a provider.
    Credentials,
    /// A user.
    User,
    /// An organization.
    Organization,
    /// A user as a member of an organization.
    Member,
    /// An API key.
    Key,
    /// How much a namespace may have.
    Quota,
}

impl ObjectType {
    const ALL: [Self; 9] = [
        Self::NodeCluster,
        Self::Node,
        Self::Token,
        Self::Credentials,
        Self::User,
        Self::Organization,
        Self::Member,
        Self::Key,
        Self::Quota,
    ];

    /// The type as it stands in URIs and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeCluster => "nodecluster",
            Self::Node => "node",
            Self::Token => "token",
            Self::Credentials => "credentials",
            Self::User => "user",
            Self::Organization => "org",
            Self::Member => "member",
            Self::Key => "key",
            Self::Quota => "quota",
        }
    }
}

impl std::str::FromStr for ObjectType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|object_type| object_type.as_str() == text)
            .ok_or_else(|| Error::Unreadable(format!("{text:?} is no type of an object")))
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
    /// What it does.
    pub kind: ActionKind,
    /// What kind of object it is about.
    pub object_type: ObjectType,
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
    /// The size that a scale asks for.
    pub target_num_nodes: Option<u32>,
    /// When it was asked for.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its log, one line each.
    pub log: String,
}

/// A new action.
#[derive(Debug, Clone, Copy)]
pub struct New {
    /// What it does.
    pub kind: ActionKind,
    /// What kind of object it is about.
    pub object_type: ObjectType,
    /// The object.
    pub object_id: Uuid,
    /// The size that a scale asks for.
    pub target_num_nodes: Option<u32>,
    /// `Pending`, `In progress`, or `Success` where it is done with the request that asks for it.
    pub state: ActionState,
}

/// Records an action.
///
/// # Errors
/// Postgres' own, among them its refusal of a second action under way on one object.
pub async fn insert(conn: &mut PgConnection, request: &Request, new: New) -> Result<ActionId> {
    let id = Uuid::new_v4();
    sqlx::query!(
        r#"INSERT INTO action (id, namespace_id, name, object_type, object_id, state, method, path, body, user_name,
                               user_agent, ip, target_num_nodes, began_at, ended_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
                   CASE WHEN $6 <> 'Pending' THEN now() END, CASE WHEN $14 THEN now() END)"#,
        id,
        request.namespace_id.0,
        new.kind.as_str(),
        new.object_type.as_str(),
        new.object_id,
        new.state.as_str(),
        request.method,
        request.path,
        request.body,
        request.user_name,
        request.user_agent,
        request.ip,
        new.target_num_nodes.map(signed),
        new.state.is_over(),
    )
    .execute(conn)
    .await?;
    Ok(id.into())
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

/// Lets an action begin that has waited.
///
/// # Errors
/// Postgres' own.
pub async fn begin(conn: &mut PgConnection, action: ActionId) -> Result<()> {
    match lock_state(conn, action).await?.begun() {
        Some(begun) => set_state(conn, action, begun).await,
        None => Ok(()),
    }
}

/// Writes down that the cancellation of an action was asked for, and the state that this leaves it in.
///
/// # Errors
/// Postgres' own.
pub async fn cancel(conn: &mut PgConnection, action: ActionId, after: ActionState) -> Result<()> {
    if after.is_over() {
        finish(conn, action, &End::Canceled).await
    } else {
        set_state(conn, action, after).await
    }
}

async fn set_state(conn: &mut PgConnection, action: ActionId, state: ActionState) -> Result<()> {
    sqlx::query!(
        "UPDATE action SET state = $2, began_at = coalesce(began_at, now()) WHERE id = $1",
        action.0,
        state.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the action, unless it has ended before.
///
/// # Errors
/// Postgres' own.
pub async fn finish(conn: &mut PgConnection, action: ActionId, end: &End) -> Result<()> {
    let Some(ended) = lock_state(conn, action).await?.ended(end) else {
        return Ok(());
    };
    sqlx::query!(
        "UPDATE action SET state = $2, failure = $3, ended_at = now() WHERE id = $1",
        action.0,
        ended.as_str(),
        end.failure(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends everything that is open on these objects: actions of kind `done` have reached their aim, the others failed for
/// this reason.
pub(crate) async fn finish_all(
    conn: &mut PgConnection,
    objects: &[Uuid],
    done: ActionKind,
    reason: &str,
) -> Result<()> {
    let open = sqlx::query!(
        "SELECT id, name FROM action WHERE object_id = ANY ($1) AND ended_at IS NULL ORDER BY id",
        objects
    )
    .fetch_all(&mut *conn)
    .await?;
    for action in open {
        let end = match action.name == done.as_str() {
            true => End::Success,
            false => End::Failed(reason.to_owned()),
        };
        finish(conn, action.id.into(), &end).await?;
    }
    Ok(())
}

async fn lock_state(conn: &mut PgConnection, action: ActionId) -> Result<ActionState> {
    let state = sqlx::query_scalar!(
        "SELECT state FROM action WHERE id = $1 FOR UPDATE",
        action.0
    )
    .fetch_one(conn)
    .await?;
    Ok(state.parse()?)
}

/// One action of the namespace.
///
/// # Errors
/// Postgres' own.
pub async fn get(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: Uuid,
) -> Result<Option<Action>> {
    let only = Filter {
        id: Some(id),
        ..Filter::default()
    };
    Ok(list(conn, namespace, &only, Page::FIRST).await?.items.pop())
}

/// One action of the namespace, locked until the transaction's end. Lock its object first.
///
/// # Errors
/// Postgres' own.
pub async fn lock(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: Uuid,
) -> Result<Option<Action>> {
    sqlx::query!(
        "SELECT 1 AS locked FROM action WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, namespace, id).await
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
    /// With the actions of the object's nodes, if it is a cluster, or of its cluster, if it is a node.
    pub with_related: bool,
    /// Started at this time or later.
    pub started_from: Option<DateTime<Utc>>,
    /// Started at this time or earlier.
    pub started_to: Option<DateTime<Utc>>,
    /// Ended at this time or later.
    pub ended_from: Option<DateTime<Utc>>,
    /// Ended at this time or earlier.
    pub ended_to: Option<DateTime<Utc>>,
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
    // The wire has whole seconds, so what is compared with a time of the wire is cut to one.
    let ids = sqlx::query!(
        r#"SELECT id, count(*) OVER () AS "total!"
           FROM action
           WHERE namespace_id = $1
             AND ($2::uuid IS NULL OR id = $2)
             AND ($3::text IS NULL OR starts_with(id::text, $3))
             AND ($4::text IS NULL OR state = $4)
             AND ($5::uuid IS NULL OR object_id = $5
                  OR ($6 AND object_id IN (SELECT id FROM node WHERE cluster_id = $5
                                           UNION SELECT cluster_id FROM node WHERE id = $5)))
             AND ($7::timestamptz IS NULL OR date_trunc('second', started_at) >= $7)
             AND ($8::timestamptz IS NULL OR date_trunc('second', started_at) <= $8)
             AND ($9::timestamptz IS NULL OR date_trunc('second', ended_at) >= $9)
             AND ($10::timestamptz IS NULL OR date_trunc('second', ended_at) <= $10)
           ORDER BY started_at DESC, id DESC
           LIMIT $11 OFFSET $12"#,
        namespace.0,
        filter.id,
        filter.id_prefix,
        filter.state,
        filter.object_id,
        filter.with_related,
        filter.started_from,
        filter.started_to,
        filter.ended_from,
        filter.ended_to,
        i64::from(page.limit),
        i64::from(page.offset),
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = match ids.first() {
        Some(row) => row.total,
        // A page behind the end has no row to carry the total.
        None if page.offset > 0 => {
            return Box::pin(list(conn, namespace, filter, Page::FIRST))
                .await
                .map(|l| Listed { items: vec![], ..l });
        }
        None => 0,
    };
    let ids: Vec<Uuid> = ids.into_iter().map(|row| row.id).collect();
    Ok(Listed::new(by_ids(conn, &ids).await?, Some(total)))
}

async fn by_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Action>> {
    let rows = sqlx::query!(
        r#"SELECT id, name, object_type, object_id, state, method, path, body, user_name, user_agent, ip,
                  target_num_nodes, started_at, ended_at,
                  coalesce((SELECT string_agg(line, E'\n' ORDER BY action_log.id)
                            FROM action_log WHERE action_id = action.id), '') AS "log!"
           FROM action WHERE id = ANY ($1) ORDER BY started_at DESC, id DESC"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Action {
                id: row.id.into(),
                kind: row.name.parse()?,
                object_type: row.object_type.parse()?,
                object_id: row.object_id,
                state: row.state.parse()?,
                method: row.method,
                path: row.path,
                body: row.body,
                user_name: row.user_name,
                user_agent: row.user_agent,
                ip: row.ip,
                target_num_nodes: row.target_num_nodes.map(unsigned),
                started_at: row.started_at,
                ended_at: row.ended_at,
                log: row.log,
            })
        })
        .collect()
}
