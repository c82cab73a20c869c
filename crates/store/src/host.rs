//! Hosts: the machines behind nodes, as their agents tell of them.

use chrono::{DateTime, Utc};
use domain::{
    host::{BROUGHT_TAG, Contact, Limits, follow},
    ids::{ClusterId, NamespaceId, NodeId},
    state::NodeState,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Result, operation};

mod heartbeat;
mod launched;
mod probe;
mod registration;

pub use heartbeat::{Answer, Beat, Heard, hear, hear_alone};
pub use launched::{LaunchToken, Launched, News, give_token, launch_token, lock_launched};
pub use probe::{Due, claim_due, record_probe, release};
pub use registration::{Token, Use, lock_token, register, token};

/// A host as it is read.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its node.
    pub id: NodeId,
    /// The namespace it is in.
    pub namespace_id: NamespaceId,
    /// Its node's state.
    pub state: NodeState,
    /// Its cluster; none for one that its owner brought.
    pub cluster_id: Option<ClusterId>,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// The name under which it can be reached.
    pub external_fqdn: String,
    /// Its address.
    pub public_ip: Option<String>,
    /// Where its engine is asked.
    pub engine_address: Option<String>,
    /// The certificate that its engine shows, in PEM.
    pub public_cert: Option<String>,
    /// The address of its tunnel.
    pub tunnel: Option<String>,
    /// The certificate of its namespace's authority, in PEM.
    pub authority: Option<String>,
    /// What is known of it.
    pub contact: Contact,
    /// The database's time of this look.
    pub now: DateTime<Utc>,
}

/// The host of a node, locked until the transaction's end.
///
/// # Errors
/// Postgres' own.
pub async fn lock(conn: &mut PgConnection, id: NodeId) -> Result<Option<Host>> {
    sqlx::query!(
        "SELECT 1 AS locked FROM node WHERE id = $1 FOR NO KEY UPDATE",
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, id).await
}

/// The host of a node.
///
/// # Errors
/// Postgres' own.
pub async fn get(conn: &mut PgConnection, id: NodeId) -> Result<Option<Host>> {
    let row = sqlx::query!(
        r#"SELECT id, node.namespace_id, cluster_id, state, agent_version, public_ip, engine_address,
                  coalesce(node.id || '.node.' || naming.domain, external_fqdn) AS "external_fqdn!",
                  public_cert, tunnel, is_reachable, heartbeat_at, deployed_at, now() AS "now!",
                  coalesce(launched_at, node.created_at) AS "began_at!",
                  coalesce(brought_by_owner OR instance_state = 'running', false) AS "runs!",
                  authority.certificate AS "authority?"
           FROM node LEFT JOIN authority ON authority.namespace_id = node.namespace_id
           CROSS JOIN naming
           WHERE id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Host {
            id: row.id.into(),
            namespace_id: row.namespace_id.into(),
            state: row.state.parse()?,
            cluster_id: row.cluster_id.map(Into::into),
            agent_version: row.agent_version,
            external_fqdn: row.external_fqdn,
            public_ip: row.public_ip,
            engine_address: row.engine_address,
            public_cert: row.public_cert,
            tunnel: row.tunnel,
            authority: row.authority,
            contact: Contact {
                engine: row.is_reachable,
                heartbeat_at: row.heartbeat_at,
                began_at: row.began_at,
                was_deployed: row.deployed_at.is_some(),
                runs: row.runs,
            },
            now: row.now,
        })
    })
    .transpose()
}

/// What an agent announces when it starts, or when it has opened a tunnel; what it does not say stays.
#[derive(Debug, Clone, Default)]
pub struct Announcement {
    /// Its version.
    pub agent_version: Option<String>,
    /// The version of its engine.
    pub docker_version: Option<String>,
    /// The certificate of its engine, in PEM.
    pub public_cert: Option<String>,
    /// The address of its tunnel.
    pub tunnel: Option<String>,
}

/// Writes an announcement down, for a node that is locked.
///
/// # Errors
/// Postgres' own.
pub async fn announce(
    conn: &mut PgConnection,
    id: NodeId,
    announcement: &Announcement,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE node
           SET agent_version = coalesce($2, agent_version), docker_version = coalesce($3, docker_version),
               public_cert = coalesce($4, public_cert), tunnel = coalesce($5, tunnel), last_seen_at = now()
           WHERE id = $1"#,
        id.0,
        announcement.agent_version,
        announcement.docker_version,
        announcement.public_cert,
        announcement.tunnel
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes over the address from which a brought host was heard, unless it tells its address itself: its engine was not asked
/// there yet. The addresses of the others are EC2's to tell.
///
/// # Errors
/// Postgres' own.
pub async fn take_address(conn: &mut PgConnection, id: NodeId, address: &str) -> Result<bool> {
    let taken = sqlx::query!(
        r#"UPDATE node
           SET public_ip = $2, is_reachable = NULL,
               external_fqdn = CASE WHEN external_fqdn = coalesce(public_ip, '') THEN $2 ELSE external_fqdn END
           WHERE id = $1 AND brought_by_owner AND NOT is_address_told AND public_ip IS DISTINCT FROM $2"#,
        id.0,
        address
    )
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives the node the state that follows from what is known of its host. Answers with the states before and after, where
/// they differ.
///
/// # Errors
/// Postgres' own.
pub async fn settle(conn: &mut PgConnection, id: NodeId, limits: Limits) -> Result<Option<Change>> {
    let Some(host) = lock(conn, id).await? else {
        return Ok(None);
    };
    let state = follow(host.state, host.contact.reach(host.now, limits));
    if state == host.state {
        return Ok(None);
    }
    sqlx::query!(
        r#"UPDATE node
           SET state = $2,
               deployed_at = CASE WHEN $2 = 'Deployed' THEN coalesce(deployed_at, now()) ELSE deployed_at END
           WHERE id = $1"#,
        id.0,
        state.as_str()
    )
    .execute(&mut *conn)
    .await?;
    let mut news = None;
    if let Some(cluster) = host.cluster_id {
        news = launched::has_become(conn, id, state).await?;
        operation::wake(conn, cluster).await?;
    }
    Ok(Some(Change {
        from: host.state,
        to: state,
        news,
    }))
}

/// A change of a node's state.
#[derive(Debug)]
pub struct Change {
    /// The state before.
    pub from: NodeState,
    /// The state after.
    pub to: NodeState,
    /// What is to be told of it once it is committed.
    pub news: Option<News>,
}

/// The certificates (PEM) that the engines of this node, or of this cluster's nodes, show.
///
/// # Errors
/// Postgres' own.
pub async fn certificates(conn: &mut PgConnection, object: Uuid) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"SELECT public_cert AS "public_cert!" FROM node
           WHERE (id = $1 OR cluster_id = $1) AND public_cert IS NOT NULL AND state <> 'Terminated'
           ORDER BY created_at, id"#,
        object
    )
    .fetch_all(conn)
    .await?)
}

/// The nodes whose state may follow from how late it is by now; [`settle`] decides.
///
/// # Errors
/// Postgres' own.
pub async fn overdue(conn: &mut PgConnection, limits: Limits) -> Result<Vec<NodeId>> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id FROM node
           WHERE (brought_by_owner OR instance_state = 'running') AND state = 'Deploying'
                 AND coalesce(launched_at, created_at) < now() - make_interval(secs => $1)
              OR heartbeat_at < now() - make_interval(secs => $2) AND state IN ('Deploying', 'Deployed', 'Upgrading')
           ORDER BY id"#,
        limits.deployment.as_seconds_f64(),
        limits.silence.as_seconds_f64()
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// The tags that a brought node got by itself.
pub(crate) fn automatic_tags() -> Vec<String> {
    vec![BROUGHT_TAG.to_owned()]
}
