//! Calls that make a network object: written down before they are sent, and the object's id after the answer.

use chrono::TimeDelta;
use domain::{ids::NetworkId, network::ObjectKind};
use sqlx::PgConnection;

use crate::Result;

/// A call that makes an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// How long ago it was decided.
    pub asked_ago: TimeDelta,
    /// What it made; none while its outcome is not known.
    pub object_id: Option<String>,
}

/// The object that was last asked for, if any.
///
/// # Errors
/// Postgres' own.
pub async fn get(
    conn: &mut PgConnection,
    network: NetworkId,
    kind: ObjectKind,
) -> Result<Option<Creation>> {
    let row = sqlx::query!(
        r#"SELECT extract(epoch FROM now() - asked_at)::float8 AS "seconds_ago!", object_id
           FROM creation WHERE network_id = $1 AND kind = $2"#,
        network.0,
        name(kind)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Creation {
        asked_ago: TimeDelta::milliseconds((row.seconds_ago * 1e3) as i64),
        object_id: row.object_id,
    }))
}

/// Notes that an object is about to be asked for.
///
/// # Errors
/// Postgres' own.
pub async fn ask(conn: &mut PgConnection, network: NetworkId, kind: ObjectKind) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO creation (network_id, kind) VALUES ($1, $2)
           ON CONFLICT (network_id, kind) DO UPDATE SET asked_at = now(), object_id = NULL"#,
        network.0,
        name(kind)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes which object was made, or found where it had been asked for.
///
/// # Errors
/// Postgres' own.
pub async fn know(
    conn: &mut PgConnection,
    network: NetworkId,
    kind: ObjectKind,
    object_id: &str,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO creation (network_id, kind, object_id) VALUES ($1, $2, $3)
           ON CONFLICT (network_id, kind) DO UPDATE SET object_id = EXCLUDED.object_id"#,
        network.0,
        name(kind),
        object_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The objects of this kind that are written down for other networks.
///
/// # Errors
/// Postgres' own.
pub async fn of_others(
    conn: &mut PgConnection,
    network: NetworkId,
    kind: ObjectKind,
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT object_id AS "object_id!" FROM creation
           WHERE network_id <> $1 AND kind = $2 AND object_id IS NOT NULL"#,
        network.0,
        name(kind)
    )
    .fetch_all(conn)
    .await?)
}

/// Notes an object that was found in a VPC, where the rows of its network name none.
///
/// # Errors
/// Postgres' own.
pub async fn adopt(
    conn: &mut PgConnection,
    vpc_id: &str,
    kind: ObjectKind,
    object_id: &str,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO creation (network_id, kind, object_id)
           SELECT id, $2, $3 FROM network WHERE vpc_id = $1 ORDER BY vpc_choice LIMIT 1
           ON CONFLICT (network_id, kind) DO UPDATE SET object_id = EXCLUDED.object_id
           WHERE creation.object_id IS NULL"#,
        vpc_id,
        name(kind),
        object_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what was asked for: EC2 refused, or another object is used.
///
/// # Errors
/// Postgres' own.
pub async fn forget(conn: &mut PgConnection, network: NetworkId, kind: ObjectKind) -> Result<()> {
    sqlx::query!(
        "DELETE FROM creation WHERE network_id = $1 AND kind = $2",
        network.0,
        name(kind)
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Vpc => "vpc",
        other => other.as_str(),
    }
}
