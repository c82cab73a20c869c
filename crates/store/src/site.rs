//! Sites and who works on them: leases with fencing tokens.

use std::time::Duration;

use domain::ids::{LinkId, NamespaceId, SiteId, WorkerId};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use crate::{Error, Result};

/// The channel on which a site's id is notified when there is work for it.
pub const WAKE_CHANNEL: &str = "berth_site";

/// A site as a worker holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The site.
    pub site_id: SiteId,
    /// Whose account it is in.
    pub link_id: LinkId,
    /// Its region.
    pub region: String,
    /// The worker that holds it.
    pub owner: WorkerId,
    /// Grows with every acquisition.
    pub fencing_token: i64,
}

/// The site of the namespace's account link in `region`, made where there is none yet.
///
/// # Errors
/// Postgres' own.
pub async fn ensure(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    region: &str,
) -> Result<SiteId> {
    sqlx::query!(
        r#"INSERT INTO site (account_link_id, region)
           SELECT account_link_id, $2 FROM namespace WHERE id = $1
           ON CONFLICT (account_link_id, region) DO NOTHING"#,
        namespace.0,
        region
    )
    .execute(&mut *conn)
    .await?;
    // A statement of its own: the one above does not see a site that another transaction made while it waited for it.
    Ok(sqlx::query_scalar!(
        r#"SELECT site.id FROM site JOIN namespace USING (account_link_id)
           WHERE namespace.id = $1 AND site.region = $2"#,
        namespace.0,
        region
    )
    .fetch_one(conn)
    .await?
    .into())
}

/// Tells the site's worker, when the transaction commits, that there is work.
///
/// # Errors
/// Postgres' own.
pub async fn wake(conn: &mut PgConnection, site: SiteId) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, $2)", WAKE_CHANNEL, site.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes one site that nobody holds, or whose lease has run out; none where there is none. A site whose link has no
/// credentials any more is left alone: there is nothing to do it with.
///
/// # Errors
/// Postgres' own.
pub async fn acquire(
    conn: &mut PgConnection,
    owner: WorkerId,
    ttl: Duration,
) -> Result<Option<Lease>> {
    let row = sqlx::query!(
        r#"UPDATE site
           SET lease_owner = $1,
               lease_expires_at = now() + make_interval(secs => $2),
               fencing_token = fencing_token + 1
           WHERE id = (
               SELECT site.id FROM site JOIN account_link ON account_link.id = site.account_link_id
               WHERE (lease_expires_at IS NULL OR lease_expires_at < now()) AND account_link.kind <> 'none'
               ORDER BY lease_expires_at NULLS FIRST
               -- Two workers that look at the same moment take different sites.
               FOR UPDATE OF site SKIP LOCKED
               LIMIT 1
           )
           RETURNING id, account_link_id, region, fencing_token"#,
        owner.0,
        ttl.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Lease {
        site_id: row.id.into(),
        link_id: row.account_link_id.into(),
        region: row.region,
        owner,
        fencing_token: row.fencing_token,
    }))
}

/// Prolongs the lease.
///
/// # Errors
/// [`Error::LeaseLost`] where another worker has it by now.
pub async fn renew(conn: &mut PgConnection, lease: &Lease, ttl: Duration) -> Result<()> {
    let renewed = sqlx::query!(
        r#"UPDATE site SET lease_expires_at = now() + make_interval(secs => $3)
           WHERE id = $1 AND fencing_token = $2 AND lease_owner IS NOT NULL"#,
        lease.site_id.0,
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

/// Gives the site back, and tells the other workers, so that one of them takes it at once.
///
/// # Errors
/// Postgres' own. A lease that is lost already is not an error.
pub async fn release(conn: &mut PgConnection, lease: &Lease) -> Result<()> {
    let released = sqlx::query!(
        r#"UPDATE site SET lease_owner = NULL, lease_expires_at = NULL WHERE id = $1 AND fencing_token = $2"#,
        lease.site_id.0,
        lease.fencing_token
    )
    .execute(&mut *conn)
    .await?;
    if released.rows_affected() == 1 {
        wake(conn, lease.site_id).await?;
    }
    Ok(())
}

/// Takes the sites of a link away from whoever holds them, so that they are worked on with the link's new credentials, if
/// it has any.
///
/// # Errors
/// Postgres' own.
pub async fn take_away(conn: &mut PgConnection, link: LinkId) -> Result<()> {
    let taken = sqlx::query_scalar!(
        r#"UPDATE site SET lease_owner = NULL, lease_expires_at = NULL, fencing_token = fencing_token + 1
           WHERE account_link_id = $1 RETURNING id"#,
        link.0
    )
    .fetch_all(&mut *conn)
    .await?;
    for site in taken {
        wake(conn, site.into()).await?;
    }
    Ok(())
}

/// Begins a transaction of the lease's holder.
///
/// The lock on the site's row is held to the end of the transaction, so that nobody can take the site over between
/// this check and the commit. A lease that has run out but that nobody has taken is still good: its token is the
/// newest.
///
/// # Errors
/// [`Error::LeaseLost`] where another worker has the site by now.
pub async fn fence(pool: &PgPool, lease: &Lease) -> Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin().await?;
    let held = sqlx::query_scalar!(
        r#"SELECT 1 AS "held!" FROM site
           WHERE id = $1 AND fencing_token = $2 AND lease_owner IS NOT NULL FOR SHARE"#,
        lease.site_id.0,
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
