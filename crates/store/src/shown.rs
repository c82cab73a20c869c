//! What the accounts of links show of AWS: their regions, zones, and the node types that these offer.
//!
//! It is read again daily by whichever worker claims it, and what could not be read stays as it was.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    catalogue::{Figures, ShownRegion, ShownZone, Survey, Surveyed},
    ids::{LinkId, NamespaceId},
};
use sqlx::PgConnection;

use crate::{
    Result,
    link::{self, Link},
    signed,
};

/// How often it is read again.
const REFRESHED_EVERY_S: f64 = 24.0 * 3600.0;
/// How soon, the first time, where something could not be read; each time in a row it is twice as long, up to the above.
const RETRIED_AFTER_S: f64 = 60.0;
/// How long a reading that somebody has begun is left alone; longer than one takes.
const REFRESH_TAKES_S: f64 = 300.0;

/// Whose account a namespace uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The namespace's name.
    pub namespace: String,
    /// The link.
    pub link: LinkId,
    /// Whether that is the server's own.
    pub is_ambient: bool,
    /// Grows whenever what it shows is other than before.
    pub version: i64,
}

/// Whose account the namespace uses.
///
/// # Errors
/// Postgres' own.
pub async fn source(conn: &mut PgConnection, namespace: NamespaceId) -> Result<Source> {
    let row = sqlx::query!(
        r#"SELECT namespace.name, link.id, link.kind = 'ambient' AS "is_ambient!", shown_version
           FROM namespace JOIN account_link link ON link.id = account_link_id
           WHERE namespace.id = $1"#,
        namespace.0
    )
    .fetch_one(conn)
    .await?;
    Ok(Source {
        namespace: row.name,
        link: row.id.into(),
        is_ambient: row.is_ambient,
        version: row.shown_version,
    })
}

/// What the link's account has shown, by name; nothing where it was never read.
///
/// # Errors
/// Postgres' own.
pub async fn regions(conn: &mut PgConnection, link: LinkId) -> Result<Vec<ShownRegion>> {
    let zones = sqlx::query!(
        "SELECT region, zone, is_available, node_types FROM link_zone WHERE link_id = $1 ORDER BY zone",
        link.0
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut of_region: BTreeMap<String, Vec<ShownZone>> = BTreeMap::new();
    for row in zones {
        of_region.entry(row.region).or_default().push(ShownZone {
            name: row.zone,
            is_available: row.is_available,
            node_types: row.node_types,
        });
    }
    let regions = sqlx::query!(
        "SELECT region, is_on, is_read FROM link_region WHERE link_id = $1 ORDER BY region",
        link.0
    )
    .fetch_all(conn)
    .await?
    .into_iter();
    Ok(regions
        .map(|row| ShownRegion {
            is_on: row.is_on,
            zones: row
                .is_read
                .then(|| of_region.remove(&row.region).unwrap_or_default()),
            name: row.region,
        })
        .collect())
}

/// What there is to tell of the last reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// When something was last read.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// The regions of which something could not be read the last time, and AWS's words.
    pub refused: Vec<(String, String)>,
}

/// What there is to tell of the last reading of a link's account.
///
/// # Errors
/// Postgres' own.
pub async fn told(conn: &mut PgConnection, link: LinkId) -> Result<Told> {
    let refreshed_at = sqlx::query_scalar!(
        "SELECT refreshed_at FROM account_link WHERE id = $1",
        link.0
    )
    .fetch_one(&mut *conn)
    .await?;
    let refused = sqlx::query!(
        r#"SELECT region, refusal AS "refusal!" FROM link_region
           WHERE link_id = $1 AND refusal IS NOT NULL ORDER BY region"#,
        link.0
    )
    .fetch_all(conn)
    .await?
    .into_iter();
    Ok(Told {
        refreshed_at,
        refused: refused.map(|row| (row.region, row.refusal)).collect(),
    })
}

/// Whose it is to read the account of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    link: LinkId,
    /// That of the link's credentials.
    version: i64,
    /// From then on somebody else may.
    until: DateTime<Utc>,
}

/// One link whose account is to be read; nobody else is given it for a while, and longer each time in a row that nothing was
/// written down after it. The server's own is one of them only where somebody may use it.
///
/// # Errors
/// Postgres' own.
pub async fn claim_due(
    conn: &mut PgConnection,
    with_ambient: bool,
) -> Result<Option<(Link, Claim)>> {
    let claimed = sqlx::query!(
        r#"UPDATE account_link
           SET refresh_failures = refresh_failures + 1,
               refresh_at = now() + make_interval(secs =>
                   greatest($1::float8, least($3::float8 * 2 ^ least(refresh_failures, 20), $4::float8)))
           WHERE id = (SELECT id FROM account_link
                       WHERE kind <> 'none' AND (kind <> 'ambient' OR $2) AND invalid IS NULL AND refresh_at <= now()
                       ORDER BY refresh_at FOR UPDATE SKIP LOCKED LIMIT 1)
           RETURNING id, refresh_at"#,
        REFRESH_TAKES_S,
        with_ambient,
        RETRIED_AFTER_S,
        REFRESHED_EVERY_S
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(claimed) = claimed else {
        return Ok(None);
    };
    let link = link::get(conn, claimed.id.into()).await?;
    Ok(link.map(|link| {
        let claim = Claim {
            link: link.id,
            version: link.version,
            until: claimed.refresh_at,
        };
        (link, claim)
    }))
}

/// Writes down what was read, as far as it is news; nothing where the link has other credentials by now, or is to be read by
/// somebody else.
///
/// # Errors
/// Postgres' own.
pub async fn record(conn: &mut PgConnection, claim: Claim, survey: &Survey) -> Result<()> {
    let link = claim.link;
    let is_current = sqlx::query_scalar!(
        r#"SELECT id FROM account_link
           WHERE id = $1 AND version = $2 AND refresh_at = $3 AND kind <> 'none' FOR NO KEY UPDATE"#,
        link.0,
        claim.version,
        claim.until
    )
    .fetch_optional(&mut *conn)
    .await?;
    if is_current.is_none() {
        return Ok(());
    }
    let mut news = add_types(conn, &survey.node_types).await?;
    add_regions(conn, &survey.regions).await?;
    for surveyed in &survey.regions {
        news += write_region(conn, link, surveyed).await?;
    }
    let has_read = survey.regions.iter().any(|it| it.region.zones.is_some());
    let is_whole = survey.regions.iter().all(|it| it.refusal.is_none());
    sqlx::query!(
        r#"UPDATE account_link
           SET refreshed_at = CASE WHEN $2 THEN now() ELSE refreshed_at END,
               refresh_failures = CASE WHEN $3 THEN 0 ELSE refresh_failures END,
               refresh_at = now() + make_interval(secs => CASE WHEN $3 THEN $5::float8
                   ELSE least($6::float8 * 2 ^ least(refresh_failures - 1, 20), $5::float8) END),
               shown_version = shown_version + CASE WHEN $4 THEN 1 ELSE 0 END
           WHERE id = $1"#,
        link.0,
        has_read,
        is_whole,
        news > 0,
        REFRESHED_EVERY_S,
        RETRIED_AFTER_S
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds node types, and corrects those that are other than was known. Sorted, so that two that do it at once do not wait for
/// each other.
async fn add_types(conn: &mut PgConnection, node_types: &[Figures]) -> Result<u64> {
    let mut sorted: Vec<&Figures> = node_types.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted.dedup_by(|a, b| a.name == b.name);
    let names: Vec<String> = sorted.iter().map(|it| it.name.clone()).collect();
    let labels: Vec<String> = sorted.iter().map(|it| it.label()).collect();
    let vcpus: Vec<i32> = sorted.iter().map(|it| signed(it.vcpus)).collect();
    let memory: Vec<i32> = sorted.iter().map(|it| signed(it.memory_mb)).collect();
    let architectures: Vec<String> = sorted
        .iter()
        .map(|it| it.architecture.as_str().to_owned())
        .collect();
    let written = sqlx::query!(
        r#"INSERT INTO node_type AS known (name, label, vcpus, memory_mb, architecture, is_packaged)
           SELECT *, false
           FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[])
           ON CONFLICT (name) DO UPDATE
           SET label = excluded.label, vcpus = excluded.vcpus, memory_mb = excluded.memory_mb,
               architecture = excluded.architecture
           WHERE (known.label, known.vcpus, known.memory_mb, known.architecture)
               IS DISTINCT FROM (excluded.label, excluded.vcpus, excluded.memory_mb, excluded.architecture)"#,
        &names,
        &labels,
        &vcpus,
        &memory,
        &architectures
    )
    .execute(conn)
    .await?;
    Ok(written.rows_affected())
}

/// Adds the names of regions; AWS has no other words for a new one.
async fn add_regions(conn: &mut PgConnection, regions: &[Surveyed]) -> Result<()> {
    let names: Vec<String> = regions.iter().map(|it| it.region.name.clone()).collect();
    sqlx::query!(
        r#"INSERT INTO region (name, label, is_packaged)
           SELECT name, name, false FROM unnest($1::text[]) AS name ORDER BY name
           ON CONFLICT (name) DO NOTHING"#,
        &names
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a region as the account has it; answers with how much of that is news.
async fn write_region(conn: &mut PgConnection, link: LinkId, surveyed: &Surveyed) -> Result<u64> {
    let region = &surveyed.region;
    let mut news = sqlx::query!(
        r#"INSERT INTO link_region AS known (link_id, region, is_on, is_read, refusal)
           VALUES ($1, $2, $3, $4 AND $3, $5)
           ON CONFLICT (link_id, region) DO UPDATE
           SET is_on = excluded.is_on, is_read = excluded.is_on AND (known.is_read OR excluded.is_read),
               refusal = excluded.refusal
           WHERE (known.is_on, known.is_read, known.refusal) IS DISTINCT FROM
               (excluded.is_on, excluded.is_on AND (known.is_read OR excluded.is_read), excluded.refusal)"#,
        link.0,
        region.name,
        region.is_on,
        region.zones.is_some(),
        surveyed.refusal
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let zones = match &region.zones {
        Some(zones) => zones.as_slice(),
        None if region.is_on => return Ok(news),
        None => &[],
    };
    let names: Vec<String> = zones.iter().map(|zone| zone.name.clone()).collect();
    news += sqlx::query!(
        "DELETE FROM link_zone WHERE link_id = $1 AND region = $2 AND zone <> ALL($3)",
        link.0,
        region.name,
        &names
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    for zone in zones {
        news += sqlx::query!(
            r#"INSERT INTO link_zone AS known (link_id, region, zone, is_available, node_types)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (link_id, zone) DO UPDATE
               SET region = excluded.region, is_available = excluded.is_available, node_types = excluded.node_types
               WHERE (known.region, known.is_available, known.node_types)
                   IS DISTINCT FROM (excluded.region, excluded.is_available, excluded.node_types)"#,
            link.0,
            region.name,
            zone.name,
            zone.is_available,
            &zone.node_types
        )
        .execute(&mut *conn)
        .await?
        .rows_affected();
    }
    Ok(news)
}

/// Forgets what was read with links of the namespace that have no credentials any more.
///
/// # Errors
/// Postgres' own.
pub async fn forget_unlinked(conn: &mut PgConnection, namespace: NamespaceId) -> Result<()> {
    sqlx::query!(
        r#"DELETE FROM link_region USING account_link link
           WHERE link.id = link_region.link_id AND link.namespace_id = $1 AND link.kind = 'none'"#,
        namespace.0
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        r#"UPDATE account_link SET refreshed_at = NULL, shown_version = shown_version + 1
           WHERE namespace_id = $1 AND kind = 'none'"#,
        namespace.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
