//! What heartbeats leave in the rows.

use chrono::{DateTime, Utc};
use domain::{
    heartbeat::Facts,
    host::{Contact, Limits},
    ids::NodeId,
    state::NodeState,
};
use sqlx::{PgConnection, types::Json};

use crate::{Result, node::PrivateIp};

/// A node after a heartbeat of its host.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its state, which the heartbeat has not changed yet.
    pub state: NodeState,
    /// The name under which it can be reached.
    pub external_fqdn: String,
    /// What is known of its host by now.
    pub contact: Contact,
    /// The database's time of the heartbeat.
    pub now: DateTime<Utc>,
    /// Whether an upgrade of its engine is under way.
    pub is_upgraded: bool,
}

/// Writes a heartbeat down, in one statement; none where the node does not live any more. An engine that did not answer
/// while the host was silent is to be asked anew.
///
/// # Errors
/// Postgres' own.
pub async fn hear(
    conn: &mut PgConnection,
    id: NodeId,
    facts: &Facts,
    limits: Limits,
) -> Result<Option<Heard>> {
    let private_ips: Vec<PrivateIp> = facts
        .private_ips
        .iter()
        .map(|(name, cidr)| PrivateIp {
            name: name.clone(),
            cidr: cidr.to_string(),
        })
        .collect();
    let row = sqlx::query!(
        r#"UPDATE node
           SET heartbeat_at = now(), last_seen_at = now(), agent_version = $2,
               docker_version = coalesce($3, docker_version), docker_execdriver = coalesce($4, docker_execdriver),
               docker_graphdriver = coalesce($5, docker_graphdriver), cpu_cores = $6, memory_kb = $7,
               host_disk_gb = $8, containers = $9, told_instance_id = $10,
               private_ips = CASE WHEN brought_by_owner THEN $11 ELSE private_ips END,
               is_reachable = CASE WHEN NOT is_reachable AND heartbeat_at < now() - make_interval(secs => $12) THEN NULL
                                   ELSE is_reachable END
           WHERE id = $1 AND state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading')
           RETURNING state, external_fqdn, is_reachable, heartbeat_at, created_at, deployed_at, now() AS "now!",
                     state = 'Upgrading' OR EXISTS (
                         SELECT 1 FROM upgrade
                         WHERE node_id = node.id AND ordered_at IS NOT NULL AND ended_at IS NULL) AS "is_upgraded!""#,
        id.0,
        facts.agent_version,
        facts.docker_version,
        facts.docker_execdriver,
        facts.docker_graphdriver,
        crate::signed(facts.cpu_cores),
        i64::try_from(facts.memory_kb).unwrap_or(i64::MAX),
        crate::signed(facts.disk_gb),
        crate::signed(facts.containers),
        facts.instance_id,
        Json(private_ips) as _,
        limits.silence.as_seconds_f64()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Heard {
            state: row.state.parse()?,
            external_fqdn: row.external_fqdn,
            contact: Contact {
                engine: row.is_reachable,
                heartbeat_at: row.heartbeat_at,
                registered_at: row.created_at,
                was_deployed: row.deployed_at.is_some(),
            },
            now: row.now,
            is_upgraded: row.is_upgraded,
        })
    })
    .transpose()
}
