//! The event log: each state change of a cluster, node or action, written by a trigger in the commit that made it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log.
    pub seq: i64,
    /// Its id on the wire.
    pub id: Uuid,
    /// `nodecluster`, `node` or `action`.
    pub object_type: String,
    /// `create`, `update` or `delete`.
    pub change: String,
    /// The object.
    pub object_id: Uuid,
    /// The object's state from then on.
    pub state: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// The log of one object, in order.
///
/// # Errors
/// Postgres' own.
pub async fn of_object(conn: &mut PgConnection, object_id: Uuid) -> Result<Vec<Event>> {
    Ok(sqlx::query_as!(
        Event,
        r#"SELECT seq, id, type AS object_type, change, object_id, state, created_at
           FROM event WHERE object_id = $1 ORDER BY seq"#,
        object_id
    )
    .fetch_all(conn)
    .await?)
}
