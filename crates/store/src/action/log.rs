//! The logs of actions: what was done, line by line.

use chrono::{DateTime, Utc};
use domain::ids::{ActionId, NodeId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Result;

/// The channel on which an action's id is notified when its log has grown.
pub const CHANNEL: &str = "berth_action_log";

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place: the lines of one action become visible in this order.
    pub id: i64,
    /// What it says.
    pub line: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// Adds a line to the log.
///
/// # Errors
/// Postgres' own.
pub async fn log(conn: &mut PgConnection, action: ActionId, line: &str) -> Result<()> {
    // The action is locked before the line gets its place, so that a reader who follows the places misses none.
    sqlx::query!(
        r#"WITH written AS (SELECT id FROM action WHERE id = $1 FOR NO KEY UPDATE)
           INSERT INTO action_log (action_id, line) SELECT id, $2 FROM written"#,
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
        r#"WITH written AS (SELECT id FROM action WHERE id = $1 FOR NO KEY UPDATE)
           INSERT INTO action_log (action_id, line)
           SELECT id, $2 FROM written
           WHERE $2 IS DISTINCT FROM (SELECT line FROM action_log WHERE action_id = $1 ORDER BY id DESC LIMIT 1)"#,
        action.0,
        line
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a line to the log of whatever is under way on each of these nodes by itself.
///
/// # Errors
/// Postgres' own.
pub async fn log_on_nodes(conn: &mut PgConnection, lines: &[(NodeId, String)]) -> Result<()> {
    let nodes: Vec<Uuid> = lines.iter().map(|(node, _)| node.0).collect();
    let lines: Vec<String> = lines.iter().map(|(_, line)| line.clone()).collect();
    sqlx::query!(
        r#"WITH written AS (
               SELECT action.id, said.line
               FROM unnest($1::uuid[], $2::text[]) AS said (node_id, line)
               JOIN action ON action.object_id = said.node_id AND action.state IN ('In progress', 'Canceling')
               ORDER BY action.id FOR NO KEY UPDATE OF action
           )
           INSERT INTO action_log (action_id, line) SELECT id, line FROM written"#,
        &nodes,
        &lines
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The last lines of a log, oldest first.
///
/// # Errors
/// Postgres' own.
pub async fn log_tail(conn: &mut PgConnection, action: ActionId, lines: u32) -> Result<Vec<Line>> {
    let mut last = sqlx::query_as!(
        Line,
        "SELECT id, line, created_at FROM action_log WHERE action_id = $1 ORDER BY id DESC LIMIT $2",
        action.0,
        i64::from(lines)
    )
    .fetch_all(conn)
    .await?;
    last.reverse();
    Ok(last)
}

/// The lines of a log behind one of them, oldest first.
///
/// # Errors
/// Postgres' own.
pub async fn log_after(conn: &mut PgConnection, action: ActionId, id: i64) -> Result<Vec<Line>> {
    Ok(sqlx::query_as!(
        Line,
        "SELECT id, line, created_at FROM action_log WHERE action_id = $1 AND id > $2 ORDER BY id",
        action.0,
        id
    )
    .fetch_all(conn)
    .await?)
}
