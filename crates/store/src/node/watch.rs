//! What the sweep reads and writes of nodes.

use std::net::IpAddr;

use chrono::TimeDelta;
use domain::{
    ids::{ClusterId, NodeId, SiteId},
    node::{InstanceState, Readiness},
    state::NodeState,
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{PrivateIp, bury};
use crate::Result;

/// A node with an instance, as the sweep compares it with what EC2 shows.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The node.
    pub id: NodeId,
    /// Its cluster.
    pub cluster_id: ClusterId,
    /// Its state.
    pub state: NodeState,
    /// Its instance.
    pub instance_id: String,
    /// The length of its subnet's prefix.
    pub subnet_prefix: u8,
    /// How long ago the instance's id was learned.
    pub known_for: TimeDelta,
    /// The addresses as they were last seen.
    pub addresses: Addresses,
    /// What makes it usable.
    pub readiness: Readiness,
    /// Its instance's state as it was last seen; kept where an agent is awaited.
    pub instance_state: Option<InstanceState>,
    /// The address that its agent tells.
    pub told_ip: Option<IpAddr>,
    /// Whether its agent was heard since its instance was last seen not to run.
    pub is_heard: bool,
}

/// Where a node can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The name; empty where there is none.
    pub external_fqdn: String,
    /// The address on the internet.
    pub public_ip: Option<IpAddr>,
    /// The addresses in the VPC.
    pub private_ips: Vec<PrivateIp>,
}

/// What was seen of a node.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The state that follows.
    pub state: NodeState,
    /// Where it can be reached.
    pub addresses: &'a Addresses,
    /// Its instance's state.
    pub instance: InstanceState,
}

/// The nodes of a site whose instances are to be watched.
///
/// # Errors
/// Postgres' own.
pub async fn watched(conn: &mut PgConnection, site: SiteId) -> Result<Vec<Watched>> {
    let rows = sqlx::query!(
        r#"SELECT node.id, node.cluster_id AS "cluster_id!", node.state, instance_id AS "instance_id!", external_fqdn,
                  public_ip, private_ips AS "private_ips: Json<Vec<PrivateIp>>",
                  cluster.readiness, instance_state, told_ip, heartbeat_at IS NOT NULL AS "is_heard!",
                  masklen(launch.subnet_cidr) AS "subnet_prefix!",
                  extract(epoch FROM now() - coalesce(launched_at, node.created_at))::bigint AS "known_for!"
           FROM node
           JOIN cluster ON cluster.id = node.cluster_id
           JOIN launch ON launch.id = node.launch_id
           WHERE cluster.site_id = $1 AND node.state <> 'Terminated' AND instance_id IS NOT NULL"#,
        site.0
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Watched {
                id: row.id.into(),
                cluster_id: row.cluster_id.into(),
                state: row.state.parse()?,
                instance_id: row.instance_id,
                subnet_prefix: u8::try_from(row.subnet_prefix).unwrap_or(32),
                known_for: TimeDelta::seconds(row.known_for),
                addresses: Addresses {
                    external_fqdn: row.external_fqdn,
                    public_ip: row.public_ip.and_then(|ip| ip.parse().ok()),
                    private_ips: row.private_ips.0,
                },
                readiness: row.readiness.parse()?,
                instance_state: row.instance_state.as_deref().map(str::parse).transpose()?,
                told_ip: row.told_ip.and_then(|ip| ip.parse().ok()),
                is_heard: row.is_heard,
            })
        })
        .collect()
}

/// Whether any node of the site has an instance, or one may have been launched within the last hour: if not, there is
/// nothing to sweep for.
///
/// # Errors
/// Postgres' own.
pub async fn any_watched(conn: &mut PgConnection, site: SiteId) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM node JOIN cluster ON cluster.id = node.cluster_id
               WHERE cluster.site_id = $1 AND node.state <> 'Terminated' AND instance_id IS NOT NULL
           ) OR EXISTS (
               SELECT 1 FROM launch
               WHERE site_id = $1 AND sent_at IS NOT NULL AND coalesce(ended_at, now()) > now() - interval '1 hour'
           ) AS "any!""#,
        site.0
    )
    .fetch_one(conn)
    .await?)
}

/// Of these instances, those that some node has; a node that was given up for gone has none.
///
/// # Errors
/// Postgres' own.
pub async fn known_instances(
    conn: &mut PgConnection,
    instance_ids: &[String],
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT instance_id AS "instance_id!" FROM node WHERE instance_id = ANY ($1) AND state <> 'Terminated'"#,
        instance_ids
    )
    .fetch_all(conn)
    .await?)
}

/// Writes down what was seen of a node, unless its state has changed since it was read. At another address its engine is
/// asked anew, and so it is after its instance did not run; what was heard from it before does not count then.
///
/// # Errors
/// Postgres' own.
pub async fn observe(conn: &mut PgConnection, node: &Watched, seen: &Seen<'_>) -> Result<bool> {
    let Seen {
        state,
        addresses,
        instance,
    } = seen;
    let (runs, moved) = (
        *instance == InstanceState::Running,
        **addresses != node.addresses,
    );
    let is_awaited = node.readiness == Readiness::Agent;
    let written = sqlx::query!(
        r#"UPDATE node
           SET state = $3, external_fqdn = $4, public_ip = $5, private_ips = $6,
               instance_state = CASE WHEN $7 THEN $8 END,
               is_reachable = CASE WHEN $9 AND NOT $10 THEN is_reachable END,
               heartbeat_at = CASE WHEN $9 THEN heartbeat_at END,
               deployed_at = CASE WHEN $3 = 'Deployed' THEN coalesce(deployed_at, now()) ELSE deployed_at END,
               last_seen_at = CASE WHEN $3 = 'Deployed' THEN now() ELSE last_seen_at END
           WHERE id = $1 AND state = $2"#,
        node.id.0,
        node.state.as_str(),
        state.as_str(),
        addresses.external_fqdn,
        addresses.public_ip.map(|ip| ip.to_string()),
        Json(&addresses.private_ips) as _,
        is_awaited,
        instance.as_str(),
        runs,
        moved,
    )
    .execute(conn)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// Writes down when deployed nodes were last seen running.
///
/// # Errors
/// Postgres' own.
pub async fn mark_seen(conn: &mut PgConnection, ids: &[NodeId]) -> Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        // What somebody else is changing at the moment is seen again by the next sweep.
        r#"UPDATE node SET last_seen_at = now()
           WHERE id IN (SELECT id FROM node WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED)"#,
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a node's instance was seen to be gone, unless its state has changed since it was read.
///
/// # Errors
/// Postgres' own.
pub async fn bury_observed(conn: &mut PgConnection, node: &Watched) -> Result<bool> {
    let unchanged = sqlx::query_scalar!(
        "SELECT 1 AS unchanged FROM node WHERE id = $1 AND state = $2 FOR UPDATE",
        node.id.0,
        node.state.as_str()
    )
    .fetch_optional(&mut *conn)
    .await?;
    if unchanged.is_none() {
        return Ok(false);
    }
    bury(conn, &[node.id]).await?;
    Ok(true)
}
