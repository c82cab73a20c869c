//! Whose engine is to be asked, and whether it answered.

use domain::{
    host::Settings,
    ids::{NamespaceId, NodeId},
};
use sqlx::PgConnection;

use crate::Result;

/// A host whose engine is to be asked.
#[derive(Debug, Clone)]
pub struct Due {
    /// Its node.
    pub id: NodeId,
    /// The namespace it is in.
    pub namespace_id: NamespaceId,
    /// Its address.
    pub address: String,
    /// The certificate that its engine shows, in PEM.
    pub public_cert: String,
}

/// Takes some of the hosts whose engine is to be asked, for so long as asking takes: the other replicas take others
/// meanwhile. Asked is at a new address, where the engine did not answer the last time, and now and then where no
/// heartbeats come.
///
/// # Errors
/// Postgres' own.
pub async fn claim_due(conn: &mut PgConnection, settings: &Settings) -> Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"UPDATE node SET probe_claimed_until = now() + make_interval(secs => $1)
           WHERE id IN (
               SELECT id FROM node
               WHERE (brought_by_owner OR instance_state = 'running')
                 AND state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading')
                 AND engine_address IS NOT NULL AND public_cert IS NOT NULL
                 AND (probe_claimed_until IS NULL OR probe_claimed_until < now())
                 -- An engine that is being upgraded comes and goes.
                 AND (state <> 'Upgrading' OR EXISTS (
                          SELECT 1 FROM upgrade
                          WHERE node_id = node.id AND ordered_at IS NOT NULL AND ended_at IS NULL
                            AND outcome IS NOT NULL))
                 AND (is_reachable IS NULL
                      OR NOT is_reachable AND probed_at < now() - make_interval(secs => $2)
                      OR is_reachable AND heartbeat_at IS NULL AND probed_at < now() - make_interval(secs => $3))
               ORDER BY probed_at NULLS FIRST
               FOR UPDATE SKIP LOCKED
               LIMIT 50
           )
           RETURNING id, namespace_id, engine_address AS "engine_address!", public_cert AS "public_cert!""#,
        settings.claim_seconds(),
        settings.probe_again.as_secs_f64(),
        settings.limits.silence.as_seconds_f64()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due {
            id: row.id.into(),
            namespace_id: row.namespace_id.into(),
            address: row.engine_address,
            public_cert: row.public_cert,
        })
        .collect())
}

/// Lets the others deal with a host again.
///
/// # Errors
/// Postgres' own.
pub async fn release(conn: &mut PgConnection, id: NodeId) -> Result<()> {
    sqlx::query!(
        "UPDATE node SET probe_claimed_until = NULL WHERE id = $1",
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down whether the engine answered at this address, unless the node has another one by now.
///
/// # Errors
/// Postgres' own.
pub async fn record_probe(
    conn: &mut PgConnection,
    id: NodeId,
    address: &str,
    is_reachable: bool,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE node
           SET is_reachable = $3, probed_at = now(), probe_claimed_until = NULL,
               last_seen_at = CASE WHEN $3 THEN now() ELSE last_seen_at END
           WHERE id = $1 AND engine_address = $2"#,
        id.0,
        address,
        is_reachable
    )
    .execute(conn)
    .await?;
    Ok(())
}
