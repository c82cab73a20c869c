//! The names of nodes in Route 53: which zone they are in, who keeps them, and what is known of the records.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use domain::ids::{NodeId, WorkerId};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::{Error, Result};

/// The channel on which it is notified that a node's address has changed, or a node is going.
pub const WAKE_CHANNEL: &str = "berth_naming";

/// Where names are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// `Z0123456789ABCDEFGHIJ`
    pub hosted_zone_id: String,
    /// `example.com`; a node is `<uuid>.node.example.com`.
    pub domain: String,
}

impl Zone {
    /// What the names of all nodes are directly below of.
    pub fn nodes(&self) -> String {
        format!("node.{}", self.domain)
    }
}

/// The right to keep the names, as a worker has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Grows with every acquisition.
    pub fencing_token: i64,
}

/// A name whose records are not, or may not be, as they should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The hosted zone.
    pub hosted_zone_id: String,
    /// `<uuid>.node.<domain>`
    pub name: String,
    /// Whose it is.
    pub node_id: NodeId,
    /// The address that the node has; none where the name is to go.
    pub wanted: Option<IpAddr>,
    /// The address that was asked for by a call whose outcome is not known.
    pub asked: Option<IpAddr>,
    /// The address that was confirmed last.
    pub confirmed: Option<IpAddr>,
}

/// Writes down which zone the names are in.
///
/// # Errors
/// Postgres' own.
pub async fn configure(conn: &mut PgConnection, zone: Option<&Zone>) -> Result<()> {
    sqlx::query!(
        "UPDATE naming SET hosted_zone_id = $1, domain = $2",
        zone.map(|zone| zone.hosted_zone_id.as_str()),
        zone.map(|zone| zone.domain.as_str())
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}

/// The zone that the names are in, where there is one.
///
/// # Errors
/// Postgres' own.
pub async fn zone(conn: &mut PgConnection) -> Result<Option<Zone>> {
    let row = sqlx::query!(r#"SELECT hosted_zone_id, domain FROM naming"#)
        .fetch_one(conn)
        .await?;
    let zone = row.hosted_zone_id.zip(row.domain);
    Ok(zone.map(|(hosted_zone_id, domain)| Zone {
        hosted_zone_id,
        domain,
    }))
}

/// Takes the right to keep the names, where nobody has it or the lease has run out.
///
/// # Errors
/// Postgres' own.
pub async fn acquire(
    conn: &mut PgConnection,
    owner: WorkerId,
    ttl: Duration,
) -> Result<Option<Lease>> {
    let fencing_token = sqlx::query_scalar!(
        r#"UPDATE naming
           SET lease_owner = $1, lease_expires_at = now() + make_interval(secs => $2), fencing_token = fencing_token + 1
           WHERE lease_expires_at IS NULL OR lease_expires_at < now()
           RETURNING fencing_token"#,
        owner.0,
        ttl.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(fencing_token.map(|fencing_token| Lease { fencing_token }))
}

/// Prolongs the lease.
///
/// # Errors
/// [`Error::LeaseLost`] where another worker has it by now.
pub async fn renew(conn: &mut PgConnection, lease: Lease, ttl: Duration) -> Result<()> {
    let renewed = sqlx::query!(
        r#"UPDATE naming SET lease_expires_at = now() + make_interval(secs => $2)
           WHERE fencing_token = $1 AND lease_owner IS NOT NULL"#,
        lease.fencing_token,
        ttl.as_secs_f64()
    )
    .execute(conn)
    .await?;
    if renewed.rows_affected() == 1 {
        Ok(())
    } else {
        Err(Error::LeaseLost)
    }
}

/// Gives the right back, and tells the other workers, so that one of them takes it at once.
///
/// # Errors
/// Postgres' own. A lease that is lost already is not an error.
pub async fn release(conn: &mut PgConnection, lease: Lease) -> Result<()> {
    sqlx::query!(
        "UPDATE naming SET lease_owner = NULL, lease_expires_at = NULL WHERE fencing_token = $1",
        lease.fencing_token
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", WAKE_CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}

/// Begins a transaction of the lease's holder, as [`crate::site::fence`] does.
///
/// # Errors
/// [`Error::LeaseLost`] where another worker has it by now.
pub async fn fence(pool: &PgPool, lease: Lease) -> Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    let held = sqlx::query_scalar!(
        r#"SELECT 1 AS "held!" FROM naming
           WHERE fencing_token = $1 AND lease_owner IS NOT NULL FOR SHARE"#,
        lease.fencing_token
    )
    .fetch_optional(&mut *tx)
    .await?;
    if held.is_some() {
        Ok(tx)
    } else {
        Err(Error::LeaseLost)
    }
}

/// The names whose records are not, or may not be, as they should: of nodes whose address is another one by now, of
/// nodes that are gone or have none, of another zone than today's, and of calls whose outcome is not known. A node that is
/// being terminated has no name any more: its address is going to be somebody else's.
///
/// # Errors
/// Postgres' own.
pub async fn due(conn: &mut PgConnection) -> Result<Vec<Due>> {
    let is_used = sqlx::query_scalar!(
        r#"SELECT domain IS NOT NULL OR EXISTS (SELECT FROM node_name) AS "is_used!" FROM naming"#
    )
    .fetch_one(&mut *conn)
    .await?;
    if !is_used {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"SELECT hosted_zone_id AS "hosted_zone_id!", name AS "name!",
                  coalesce(wanted.node_id, node_name.node_id) AS "node_id!",
                  wanted.address AS "wanted?", node_name.asked AS "asked?", node_name.confirmed AS "confirmed?"
           FROM (
               SELECT naming.hosted_zone_id, node.id || '.node.' || naming.domain AS name, node.id AS node_id,
                      node.public_ip AS address
               FROM node CROSS JOIN naming
               WHERE naming.domain IS NOT NULL AND node.public_ip IS NOT NULL
                 AND node.state NOT IN ('Terminating', 'Terminated')
           ) AS wanted
           FULL JOIN node_name USING (hosted_zone_id, name)
           WHERE wanted.address IS DISTINCT FROM node_name.confirmed OR node_name.asked IS NOT NULL
           ORDER BY hosted_zone_id, name"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Due {
                hosted_zone_id: row.hosted_zone_id,
                name: row.name,
                node_id: row.node_id.into(),
                wanted: row.wanted.as_deref().map(address).transpose()?,
                asked: row.asked.as_deref().map(address).transpose()?,
                confirmed: row.confirmed.as_deref().map(address).transpose()?,
            })
        })
        .collect()
}

fn address(text: &str) -> Result<IpAddr> {
    text.parse()
        .map_err(|_| Error::Unreadable(format!("the address {text:?} of a node")))
}

/// Notes that these addresses are about to be asked for.
///
/// # Errors
/// Postgres' own.
pub async fn ask(
    conn: &mut PgConnection,
    hosted_zone_id: &str,
    names: &[(&str, NodeId, IpAddr)],
) -> Result<()> {
    let (texts, addresses) = columns(names.iter().map(|(name, _, address)| (*name, *address)));
    let nodes: Vec<Uuid> = names.iter().map(|(_, node, _)| node.0).collect();
    sqlx::query!(
        r#"INSERT INTO node_name (hosted_zone_id, name, node_id, asked, asked_at)
           SELECT $1, name, node_id, asked, now() FROM unnest($2::text[], $3::uuid[], $4::text[]) AS it (name, node_id, asked)
           ON CONFLICT (hosted_zone_id, name) DO UPDATE SET asked = EXCLUDED.asked, asked_at = EXCLUDED.asked_at"#,
        hosted_zone_id,
        &texts,
        &nodes,
        &addresses
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that Route 53 has these addresses.
///
/// # Errors
/// Postgres' own.
pub async fn confirm(
    conn: &mut PgConnection,
    hosted_zone_id: &str,
    names: &[(&str, IpAddr)],
) -> Result<()> {
    let (texts, addresses) = columns(names.iter().copied());
    sqlx::query!(
        r#"UPDATE node_name SET confirmed = it.address, asked = NULL, asked_at = NULL
           FROM unnest($2::text[], $3::text[]) AS it (name, address)
           WHERE hosted_zone_id = $1 AND node_name.name = it.name"#,
        hosted_zone_id,
        &texts,
        &addresses
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that Route 53 has nothing of these names any more.
///
/// # Errors
/// Postgres' own.
pub async fn forget(conn: &mut PgConnection, hosted_zone_id: &str, names: &[&str]) -> Result<()> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    sqlx::query!(
        "DELETE FROM node_name WHERE hosted_zone_id = $1 AND name = ANY ($2)",
        hosted_zone_id,
        &names
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that what was asked for was refused: Route 53 has what it had before.
///
/// # Errors
/// Postgres' own.
pub async fn withdraw(conn: &mut PgConnection, hosted_zone_id: &str, names: &[&str]) -> Result<()> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    sqlx::query!(
        "DELETE FROM node_name WHERE hosted_zone_id = $1 AND name = ANY ($2) AND confirmed IS NULL",
        hosted_zone_id,
        &names
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE node_name SET asked = NULL, asked_at = NULL WHERE hosted_zone_id = $1 AND name = ANY ($2)",
        hosted_zone_id,
        &names
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that nobody knows what Route 53 has of these names, where the given addresses are what was confirmed.
///
/// # Errors
/// Postgres' own.
pub async fn doubt(
    conn: &mut PgConnection,
    hosted_zone_id: &str,
    names: &[(&str, IpAddr)],
) -> Result<()> {
    let (texts, addresses) = columns(names.iter().copied());
    sqlx::query!(
        r#"UPDATE node_name SET asked = confirmed, asked_at = now()
           FROM unnest($2::text[], $3::text[]) AS it (name, address)
           WHERE hosted_zone_id = $1 AND node_name.name = it.name AND asked IS NULL AND confirmed = it.address"#,
        hosted_zone_id,
        &texts,
        &addresses
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes up records that no row knows, of nodes that there are or were: a call that came late has made them.
///
/// # Errors
/// Postgres' own.
pub async fn adopt(
    conn: &mut PgConnection,
    hosted_zone_id: &str,
    names: &[(&str, NodeId, IpAddr)],
) -> Result<()> {
    let (texts, addresses) = columns(names.iter().map(|(name, _, address)| (*name, *address)));
    let nodes: Vec<Uuid> = names.iter().map(|(_, node, _)| node.0).collect();
    sqlx::query!(
        r#"INSERT INTO node_name (hosted_zone_id, name, node_id, asked, asked_at)
           SELECT $1, name, node_id, asked, now() FROM unnest($2::text[], $3::uuid[], $4::text[]) AS it (name, node_id, asked)
           WHERE EXISTS (SELECT FROM node WHERE id = node_id)
           ON CONFLICT (hosted_zone_id, name) DO NOTHING"#,
        hosted_zone_id,
        &texts,
        &nodes,
        &addresses
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The names of the zone that there are rows of, each with the address that Route 53 should have; none where a call's
/// outcome is not known.
///
/// # Errors
/// Postgres' own.
pub async fn known(
    conn: &mut PgConnection,
    hosted_zone_id: &str,
) -> Result<BTreeMap<String, Option<IpAddr>>> {
    let rows = sqlx::query!(
        r#"SELECT name, CASE WHEN asked IS NULL THEN confirmed END AS address FROM node_name WHERE hosted_zone_id = $1"#,
        hosted_zone_id
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.name, row.address.as_deref().map(address).transpose()?)))
        .collect()
}

fn columns<'a>(names: impl Iterator<Item = (&'a str, IpAddr)>) -> (Vec<String>, Vec<String>) {
    names
        .map(|(name, address)| (name.to_owned(), address.to_string()))
        .unzip()
}
