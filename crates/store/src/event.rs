//! The event log: each state change of a cluster, node or action, written by a trigger in the commit that made it.
//!
//! The order of the log is the order of the commits, so that a reader who remembers the last entry it has seen misses
//! none that comes later.

use chrono::{DateTime, Utc};
use domain::ids::NamespaceId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, action::ObjectType};

/// The channel that is notified when the log has grown.
pub const CHANNEL: &str = "berth_event";

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log.
    pub seq: i64,
    /// Its id on the wire.
    pub id: Uuid,
    /// Whose it is.
    pub namespace_id: NamespaceId,
    /// `nodecluster`, `node` or `action`.
    pub object_type: String,
    /// `create`, `update` or `delete`.
    pub change: String,
    /// The object.
    pub object_id: Uuid,
    /// What the object belongs to: a node to its cluster, an action to what it acts on.
    pub parent: Option<(ObjectType, Uuid)>,
    /// The object's state from then on.
    pub state: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The place of the last entry; 0 where there is none yet.
///
/// # Errors
/// Postgres' own.
pub async fn last_seq(conn: &mut PgConnection) -> Result<i64> {
    Ok(
        sqlx::query_scalar!(r#"SELECT coalesce(max(seq), 0) AS "seq!" FROM event"#)
            .fetch_one(conn)
            .await?,
    )
}

/// The place of a namespace's entry with this id.
///
/// # Errors
/// Postgres' own.
pub async fn seq_of(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: Uuid,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar!(
        "SELECT seq FROM event WHERE id = $1 AND namespace_id = $2",
        id,
        namespace.0
    )
    .fetch_optional(conn)
    .await?)
}

/// The entries behind a place, of one namespace or of all, in order, at most `limit`.
///
/// # Errors
/// Postgres' own.
pub async fn after(
    conn: &mut PgConnection,
    namespace: Option<NamespaceId>,
    seq: i64,
    limit: u32,
) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        r#"SELECT seq, id, namespace_id, type AS object_type, change, object_id, parent_type, parent_id, state,
                  created_at
           FROM event WHERE seq > $2 AND ($1::uuid IS NULL OR namespace_id = $1)
           ORDER BY seq LIMIT $3"#,
        namespace.map(|namespace| namespace.0),
        seq,
        i64::from(limit)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let parent = match (row.parent_type, row.parent_id) {
                (Some(object_type), Some(id)) => Some((object_type.parse()?, id)),
                _ => None,
            };
            Ok(Event {
                seq: row.seq,
                id: row.id,
                namespace_id: row.namespace_id.into(),
                object_type: row.object_type,
                change: row.change,
                object_id: row.object_id,
                parent,
                state: row.state,
                created_at: row.created_at,
            })
        })
        .collect()
}
