//! Launches: RunInstances requests, decided and committed before they are sent.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{ClusterId, LaunchId, NodeId, SiteId},
    launch::LaunchRequest,
    placement::Subnet,
};
use ipnet::IpNet;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{Result, signed, unsigned};

/// A launch whose outcome is not known.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its id.
    pub id: LaunchId,
    /// Makes sending it twice launch once.
    pub client_token: String,
    /// The zone of the subnet.
    pub zone: String,
    /// How many instances.
    pub count: u32,
    /// The exact request.
    pub request: LaunchRequest,
    /// The token that goes into its user data, sealed; none where no agent is awaited.
    pub sealed_token: Option<Vec<u8>>,
    /// How often it was sent.
    pub attempts: u32,
    /// Not to be sent again before.
    pub retry_at: DateTime<Utc>,
    /// How long ago it was first sent; none if it was not.
    pub sent_ago: Option<TimeDelta>,
    /// How long ago it was last sent; none if it was not.
    pub last_sent_ago: Option<TimeDelta>,
}

/// The token with which a launch's instances register, as it is kept.
#[derive(Debug, Clone)]
pub struct Token {
    /// By which it is known again.
    pub sha256: [u8; 32],
    /// From which it is put into the launch's user data.
    pub sealed: Vec<u8>,
}

/// A launch that is decided.
#[derive(Debug)]
pub struct Decision {
    /// Its id.
    pub id: LaunchId,
    /// Where its instances go.
    pub subnet: Subnet,
    /// The exact request.
    pub request: LaunchRequest,
    /// The token of its instances; none where no agent is awaited.
    pub token: Option<Token>,
    /// Its nodes.
    pub nodes: Vec<NodeId>,
}

/// Writes down a decided launch, and gives each of its nodes its seat.
///
/// # Errors
/// Postgres' own.
pub async fn decide(
    conn: &mut PgConnection,
    cluster: ClusterId,
    site: SiteId,
    decision: &Decision,
) -> Result<()> {
    let Decision {
        id,
        subnet,
        request,
        token,
        nodes,
    } = decision;
    let node_ids: Vec<Uuid> = nodes.iter().map(|node| node.0).collect();
    sqlx::query!(
        r#"INSERT INTO launch (id, cluster_id, site_id, client_token, zone, subnet_id, subnet_cidr, count, request,
                               token_sha256, sealed_token, state)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'decided')"#,
        id.0,
        cluster.0,
        site.0,
        format!("berth-{id}"),
        subnet.zone,
        subnet.subnet_id,
        IpNet::V4(subnet.cidr) as _,
        signed(u32::try_from(nodes.len()).unwrap_or(u32::MAX)),
        Json(request) as _,
        token.as_ref().map(|token| &token.sha256[..]),
        token.as_ref().map(|token| &token.sealed[..]),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE node SET launch_id = $2, zone = $3, subnet_id = $4 WHERE id = ANY ($1)",
        &node_ids,
        id.0,
        subnet.zone,
        subnet.subnet_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The launches of a cluster whose outcome is not known, oldest first.
///
/// # Errors
/// Postgres' own.
pub async fn open(conn: &mut PgConnection, cluster: ClusterId) -> Result<Vec<Launch>> {
    let rows = sqlx::query!(
        r#"SELECT id, client_token, zone, count, request AS "request: Json<LaunchRequest>", sealed_token,
                  attempts, retry_at,
                  extract(epoch FROM now() - sent_at)::float8 AS sent_seconds_ago,
                  extract(epoch FROM now() - last_sent_at)::float8 AS last_sent_seconds_ago
           FROM launch WHERE cluster_id = $1 AND state IN ('decided', 'sent')
           ORDER BY created_at, id"#,
        cluster.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Launch {
            id: row.id.into(),
            client_token: row.client_token,
            zone: row.zone,
            count: unsigned(row.count),
            request: row.request.0,
            sealed_token: row.sealed_token,
            attempts: unsigned(row.attempts),
            retry_at: row.retry_at,
            sent_ago: row.sent_seconds_ago.map(seconds),
            last_sent_ago: row.last_sent_seconds_ago.map(seconds),
        })
        .collect())
}

/// The launches of a site that were sent within this time: how long ago each was last, and for how many instances;
/// oldest first.
///
/// # Errors
/// Postgres' own.
pub async fn recent(
    conn: &mut PgConnection,
    site: SiteId,
    within: Duration,
) -> Result<Vec<(Duration, u32)>> {
    let rows = sqlx::query!(
        r#"SELECT count, greatest(extract(epoch FROM now() - last_sent_at), 0)::float8 AS "seconds_ago!"
           FROM launch WHERE site_id = $1 AND last_sent_at > now() - make_interval(secs => $2)
           ORDER BY last_sent_at"#,
        site.0,
        within.as_secs_f64()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                Duration::from_secs_f64(row.seconds_ago),
                unsigned(row.count),
            )
        })
        .collect())
}

fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1e3) as i64)
}

/// How many instances are on their way into each subnet of a site.
///
/// # Errors
/// Postgres' own.
pub async fn in_flight(conn: &mut PgConnection, site: SiteId) -> Result<Vec<(String, u32)>> {
    let rows = sqlx::query!(
        r#"SELECT subnet_id, sum(count)::integer AS "count!" FROM launch
           WHERE site_id = $1 AND state IN ('decided', 'sent') GROUP BY subnet_id"#,
        site.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.subnet_id, unsigned(row.count)))
        .collect())
}

/// Notes that a launch which was never sent never will be. Its nodes are free again. One that was sent meanwhile stays
/// as it is.
///
/// # Errors
/// Postgres' own.
pub async fn withdraw(conn: &mut PgConnection, id: LaunchId) -> Result<()> {
    end_without_instances(conn, id, "decided").await
}

/// Notes that nothing has come of a launch that was sent, and that it is not sent again. Its nodes are free again.
///
/// # Errors
/// Postgres' own.
pub async fn abandon(conn: &mut PgConnection, id: LaunchId) -> Result<()> {
    end_without_instances(conn, id, "sent").await
}

async fn end_without_instances(conn: &mut PgConnection, id: LaunchId, state: &str) -> Result<()> {
    let ended = sqlx::query!(
        "UPDATE launch SET state = 'withdrawn', ended_at = now(), sealed_token = NULL WHERE id = $1 AND state = $2",
        id.0,
        state
    )
    .execute(&mut *conn)
    .await?;
    if ended.rows_affected() == 1 {
        release_nodes(conn, id).await?;
    }
    Ok(())
}

/// Leaves a launch alone until `pause` has passed.
///
/// # Errors
/// Postgres' own.
pub async fn look_later(conn: &mut PgConnection, id: LaunchId, pause: TimeDelta) -> Result<()> {
    sqlx::query!(
        "UPDATE launch SET retry_at = now() + make_interval(secs => $2) WHERE id = $1",
        id.0,
        pause.as_seconds_f64()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes, before the call, that it is about to be sent; not to be sent again before `retry_after` has passed. Answers
/// whether it may be sent: its outcome may be known by now, and from `deadline` on nothing is sent any more.
///
/// # Errors
/// Postgres' own.
pub async fn mark_sent(
    conn: &mut PgConnection,
    id: LaunchId,
    retry_after: TimeDelta,
    deadline: Option<DateTime<Utc>>,
) -> Result<bool> {
    let marked = sqlx::query!(
        r#"UPDATE launch
           SET state = 'sent', attempts = attempts + 1, sent_at = coalesce(sent_at, now()), last_sent_at = now(),
               retry_at = now() + make_interval(secs => $2)
           WHERE id = $1 AND state IN ('decided', 'sent') AND ($3::timestamptz IS NULL OR now() < $3)"#,
        id.0,
        retry_after.as_seconds_f64(),
        deadline
    )
    .execute(conn)
    .await?;
    Ok(marked.rows_affected() == 1)
}

/// Writes down the instances that a launch made: each goes to one of its nodes. Nodes for which there is none are
/// free to be placed again. Answers with the instances that no node was left for.
///
/// # Errors
/// Postgres' own.
pub async fn succeed(
    conn: &mut PgConnection,
    id: LaunchId,
    instance_ids: &[String],
) -> Result<Vec<String>> {
    let taken = sqlx::query_scalar!(
        r#"WITH fresh AS (
               SELECT instance_id, row_number() OVER (ORDER BY place) AS n
               FROM unnest($2::text[]) WITH ORDINALITY AS given (instance_id, place)
               WHERE NOT EXISTS (SELECT 1 FROM node WHERE node.instance_id = given.instance_id)
           ), waiting AS (
               SELECT id, row_number() OVER (ORDER BY created_at, id) AS n
               FROM node WHERE launch_id = $1 AND instance_id IS NULL AND state <> 'Terminated'
           )
           UPDATE node SET instance_id = fresh.instance_id, launched_at = now()
           FROM waiting JOIN fresh USING (n)
           WHERE node.id = waiting.id
           RETURNING node.instance_id AS "instance_id!""#,
        id.0,
        instance_ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let known = sqlx::query_scalar!(
        r#"SELECT instance_id AS "instance_id!" FROM node WHERE instance_id = ANY ($1)"#,
        instance_ids
    )
    .fetch_all(&mut *conn)
    .await?;
    release_nodes(conn, id).await?;
    sqlx::query!(
        "UPDATE launch SET state = 'launched', ended_at = now(), sealed_token = NULL WHERE id = $1",
        id.0
    )
    .execute(conn)
    .await?;
    Ok(instance_ids
        .iter()
        .filter(|id| !taken.contains(id) && !known.contains(id))
        .cloned()
        .collect())
}

/// Writes down that EC2 refused the launch for good: its nodes are free to be placed again.
///
/// # Errors
/// Postgres' own.
pub async fn refuse(conn: &mut PgConnection, id: LaunchId, refusal: &str) -> Result<()> {
    release_nodes(conn, id).await?;
    sqlx::query!(
        "UPDATE launch SET state = 'refused', refusal = $2, ended_at = now(), sealed_token = NULL WHERE id = $1",
        id.0,
        refusal
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn release_nodes(conn: &mut PgConnection, id: LaunchId) -> Result<()> {
    sqlx::query!(
        r#"UPDATE node SET launch_id = NULL, zone = NULL, subnet_id = NULL
           WHERE launch_id = $1 AND instance_id IS NULL"#,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The launches that may have to be sent again, locked, each with its sealed token.
///
/// # Errors
/// Postgres' own.
pub async fn sealed(conn: &mut PgConnection) -> Result<Vec<(LaunchId, Vec<u8>)>> {
    let rows = sqlx::query!(
        r#"SELECT id, sealed_token AS "sealed_token!" FROM launch WHERE sealed_token IS NOT NULL ORDER BY id FOR UPDATE"#
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    Ok(rows.map(|row| (row.id.into(), row.sealed_token)).collect())
}

/// Keeps the same token, sealed anew.
///
/// # Errors
/// Postgres' own.
pub async fn reseal(conn: &mut PgConnection, id: LaunchId, sealed: &[u8]) -> Result<()> {
    sqlx::query!(
        "UPDATE launch SET sealed_token = $2 WHERE id = $1",
        id.0,
        sealed
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every launch whose outcome is not known, whatever its site: two sites may be in one account.
///
/// # Errors
/// Postgres' own.
pub async fn all_open(conn: &mut PgConnection) -> Result<Vec<LaunchId>> {
    let ids = sqlx::query_scalar!("SELECT id FROM launch WHERE state IN ('decided', 'sent')")
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}
