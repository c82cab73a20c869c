//! Where EC2 had no room for a node type, remembered for a while.

use chrono::TimeDelta;
use domain::{ids::SiteId, plan::Outage};
use sqlx::PgConnection;

use crate::Result;

/// Remembers that `zone`, or one subnet of it, has no room for `node_type`.
///
/// # Errors
/// Postgres' own.
pub async fn remember(
    conn: &mut PgConnection,
    site: SiteId,
    node_type: &str,
    zone: &str,
    subnet_id: Option<&str>,
    for_how_long: TimeDelta,
    reason: &str,
) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO outage (site_id, node_type, zone, subnet_id, until, reason)
           VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), $6)
           ON CONFLICT (site_id, node_type, zone, subnet_id)
           DO UPDATE SET until = EXCLUDED.until, reason = EXCLUDED.reason"#,
        site.0,
        node_type,
        zone,
        subnet_id.unwrap_or_default(),
        for_how_long.as_seconds_f64(),
        reason,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What is remembered for `node_type`, outages that are over included: their reasons explain a failure.
///
/// # Errors
/// Postgres' own.
pub async fn of_node_type(
    conn: &mut PgConnection,
    site: SiteId,
    node_type: &str,
) -> Result<Vec<Outage>> {
    let rows = sqlx::query!(
        "SELECT zone, subnet_id, until, reason FROM outage WHERE site_id = $1 AND node_type = $2",
        site.0,
        node_type
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Outage {
            zone: row.zone,
            subnet_id: Some(row.subnet_id).filter(|id| !id.is_empty()),
            until: row.until,
            reason: row.reason,
        })
        .collect())
}
