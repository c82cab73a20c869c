//! Links: whose credentials for AWS the clusters of a namespace are worked on with.
//!
//! A link is of one namespace and one AWS account, whatever credentials it has at the moment; the ambient one is the
//! server's own and everybody's who may use it. The site of a cluster is of a link, so a namespace's link changes only
//! while no live cluster is on it.

use chrono::{DateTime, Utc};
use domain::ids::{LinkId, NamespaceId};
use sqlx::PgConnection;

use crate::{Error, Result, shown, site};

/// What a link has of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The server's own.
    Ambient,
    /// An access key.
    Key {
        /// Its id.
        access_key_id: String,
        /// Its secret, sealed.
        sealed_secret: Vec<u8>,
    },
    /// A role that Berth assumes.
    Role {
        /// Its ARN.
        arn: String,
    },
    /// None: they were deleted.
    None,
}

/// A link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The account; not known of the ambient one.
    pub account: Option<String>,
    /// What it has of credentials.
    pub credentials: Credentials,
    /// What the namespace's role asks for; nobody's for the ambient one.
    pub external_id: String,
    /// Grows with every change of the credentials.
    pub version: i64,
    /// Since when it has had these.
    pub linked_at: Option<DateTime<Utc>>,
    /// When they were last tried.
    pub checked_at: Option<DateTime<Utc>>,
    /// Why they are not good.
    pub invalid: Option<String>,
}

/// A namespace, and the link that it uses.
#[derive(Debug, Clone)]
pub struct OfNamespace {
    /// The namespace's name.
    pub namespace: String,
    /// What its role has to ask for.
    pub external_id: String,
    /// Its link.
    pub link: Link,
}

struct Row {
    id: uuid::Uuid,
    kind: String,
    account: Option<String>,
    access_key_id: Option<String>,
    sealed_secret: Option<Vec<u8>>,
    role_arn: Option<String>,
    external_id: Option<uuid::Uuid>,
    version: i64,
    linked_at: Option<DateTime<Utc>>,
    checked_at: Option<DateTime<Utc>>,
    invalid: Option<String>,
}

impl TryFrom<Row> for Link {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let credentials = match (row.kind.as_str(), row.access_key_id, row.sealed_secret) {
            ("ambient", _, _) => Credentials::Ambient,
            ("none", _, _) => Credentials::None,
            ("key", Some(access_key_id), Some(sealed_secret)) => Credentials::Key {
                access_key_id,
                sealed_secret,
            },
            (kind, _, _) => match row.role_arn {
                Some(arn) => Credentials::Role { arn },
                None => return Err(Error::Unreadable(format!("a link of kind {kind:?}"))),
            },
        };
        Ok(Self {
            id: row.id.into(),
            account: row.account,
            credentials,
            external_id: row.external_id.map(|id| id.to_string()).unwrap_or_default(),
            version: row.version,
            linked_at: row.linked_at,
            checked_at: row.checked_at,
            invalid: row.invalid,
        })
    }
}

/// The link of this id.
///
/// # Errors
/// Postgres' own.
pub async fn get(conn: &mut PgConnection, id: LinkId) -> Result<Option<Link>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT link.id, link.kind, account, access_key_id, sealed_secret, role_arn,
                  namespace.external_id AS "external_id?", version, linked_at, checked_at, invalid
           FROM account_link link LEFT JOIN namespace ON namespace.id = link.namespace_id
           WHERE link.id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    row.map(Link::try_from).transpose()
}

/// The namespace's link. It stays that until the end of the transaction.
///
/// # Errors
/// Postgres' own.
pub async fn keep(conn: &mut PgConnection, namespace: NamespaceId) -> Result<OfNamespace> {
    let row = sqlx::query!(
        "SELECT name, external_id, account_link_id FROM namespace WHERE id = $1 FOR SHARE",
        namespace.0
    )
    .fetch_one(&mut *conn)
    .await?;
    of_namespace(conn, row.name, row.external_id, row.account_link_id.into()).await
}

/// The namespace's link, to be changed by this transaction alone.
///
/// # Errors
/// Postgres' own.
pub async fn lock(conn: &mut PgConnection, namespace: NamespaceId) -> Result<OfNamespace> {
    let row = sqlx::query!(
        "SELECT name, external_id, account_link_id FROM namespace WHERE id = $1 FOR NO KEY UPDATE",
        namespace.0
    )
    .fetch_one(&mut *conn)
    .await?;
    of_namespace(conn, row.name, row.external_id, row.account_link_id.into()).await
}

async fn of_namespace(
    conn: &mut PgConnection,
    namespace: String,
    external_id: uuid::Uuid,
    link: LinkId,
) -> Result<OfNamespace> {
    let link = get(conn, link).await?;
    Ok(OfNamespace {
        namespace,
        external_id: external_id.to_string(),
        link: link.ok_or_else(|| Error::Unreadable("a namespace without a link".to_owned()))?,
    })
}

/// What a namespace's role has to ask for; none where there is no such namespace.
///
/// # Errors
/// Postgres' own.
pub async fn external_id(conn: &mut PgConnection, namespace: &str) -> Result<Option<String>> {
    let found = sqlx::query_scalar!(
        "SELECT external_id FROM namespace WHERE name = $1",
        namespace
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|id| id.to_string()))
}

/// How many live clusters of the namespace are worked on with a link.
///
/// # Errors
/// Postgres' own.
pub async fn live_clusters(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    link: LinkId,
) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM cluster JOIN site ON site.id = cluster.site_id
           WHERE cluster.namespace_id = $1 AND site.account_link_id = $2 AND cluster.state <> 'Terminated'"#,
        namespace.0,
        link.0
    )
    .fetch_one(conn)
    .await?)
}

/// The link of the namespace, which is locked, to this account: the one that it has had before, or a new one, which has no
/// credentials yet.
///
/// # Errors
/// Postgres' own.
pub async fn ensure(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    account: &str,
) -> Result<LinkId> {
    sqlx::query!(
        r#"INSERT INTO account_link (kind, namespace_id, account) VALUES ('none', $1, $2)
           ON CONFLICT (namespace_id, account) DO NOTHING"#,
        namespace.0,
        account
    )
    .execute(&mut *conn)
    .await?;
    Ok(sqlx::query_scalar!(
        "SELECT id FROM account_link WHERE namespace_id = $1 AND account = $2",
        namespace.0,
        account
    )
    .fetch_one(conn)
    .await?
    .into())
}

/// Gives the link credentials that were just found good, and makes it the one that the namespace, which is locked, uses.
/// What its sites were worked on with is forgotten at once, and so are the credentials of the namespace's other links.
///
/// # Errors
/// Postgres' own.
pub async fn put(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    link: LinkId,
    credentials: &Credentials,
) -> Result<()> {
    let (kind, access_key_id, sealed_secret, role_arn) = match credentials {
        Credentials::Key {
            access_key_id,
            sealed_secret,
        } => ("key", Some(access_key_id), Some(sealed_secret), None),
        Credentials::Role { arn } => ("role", None, None, Some(arn)),
        Credentials::Ambient | Credentials::None => ("none", None, None, None),
    };
    forget(conn, namespace).await?;
    sqlx::query!(
        r#"UPDATE account_link
           SET kind = $2, access_key_id = $3, sealed_secret = $4, role_arn = $5, version = version + 1,
               linked_at = now(), checked_at = now(), check_at = now() + make_interval(secs => $6), invalid = NULL,
               refresh_at = now(), refresh_failures = 0
           WHERE id = $1"#,
        link.0,
        kind,
        access_key_id,
        sealed_secret,
        role_arn,
        CHECKED_EVERY_S
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE namespace SET account_link_id = $2 WHERE id = $1",
        namespace.0,
        link.0
    )
    .execute(&mut *conn)
    .await?;
    shown::forget_unlinked(conn, namespace).await?;
    site::take_away(conn, link).await
}

/// Deletes the credentials of the namespace, which is locked, and what was read with them: it uses the ambient ones from now
/// on, if it may.
///
/// # Errors
/// Postgres' own.
pub async fn delete(conn: &mut PgConnection, namespace: NamespaceId, link: LinkId) -> Result<()> {
    forget(conn, namespace).await?;
    shown::forget_unlinked(conn, namespace).await?;
    sqlx::query!(
        r#"UPDATE namespace SET account_link_id = (SELECT id FROM account_link WHERE kind = 'ambient')
           WHERE id = $1"#,
        namespace.0
    )
    .execute(&mut *conn)
    .await?;
    site::take_away(conn, link).await
}

async fn forget(conn: &mut PgConnection, namespace: NamespaceId) -> Result<()> {
    sqlx::query!(
        r#"UPDATE account_link
           SET kind = 'none', access_key_id = NULL, sealed_secret = NULL, role_arn = NULL, version = version + 1,
               linked_at = NULL, checked_at = NULL, check_at = NULL, invalid = NULL
           WHERE namespace_id = $1 AND kind <> 'none'"#,
        namespace.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How often credentials that are good are tried.
const CHECKED_EVERY_S: f64 = 24.0 * 3600.0;
/// How soon credentials that are not good are tried again: somebody may have mended them.
const MENDED_WITHIN_S: f64 = 600.0;
/// Who was found good so lately is not suspected: a single region may refuse what the others let pass.
const CHECKED_LATELY_S: f64 = 60.0;
/// How long a check that somebody has begun is left alone.
const CHECK_TAKES_S: f64 = 120.0;

/// AWS did not know the link's credentials any more: they are to be tried soon.
///
/// # Errors
/// Postgres' own.
pub async fn suspect(conn: &mut PgConnection, link: LinkId) -> Result<()> {
    sqlx::query!(
        // One that was found bad, or is being tried, is tried again by itself.
        r#"UPDATE account_link SET check_at = now()
           WHERE id = $1 AND kind IN ('key', 'role') AND invalid IS NULL AND check_at > now() + make_interval(secs => $2)
             AND checked_at < now() - make_interval(secs => $3)"#,
        link.0,
        CHECK_TAKES_S,
        CHECKED_LATELY_S
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One link whose credentials are to be tried; nobody else is given it for a while.
///
/// # Errors
/// Postgres' own.
pub async fn claim_due(conn: &mut PgConnection) -> Result<Option<Link>> {
    let id = sqlx::query_scalar!(
        r#"UPDATE account_link SET check_at = now() + make_interval(secs => $1)
           WHERE id = (SELECT id FROM account_link WHERE kind IN ('key', 'role') AND check_at <= now()
                       ORDER BY check_at FOR UPDATE SKIP LOCKED LIMIT 1)
           RETURNING id"#,
        CHECK_TAKES_S
    )
    .fetch_optional(&mut *conn)
    .await?;
    match id {
        Some(id) => get(conn, id.into()).await,
        None => Ok(None),
    }
}

/// Writes down whether the credentials of this version of a link are good, and if not, why.
///
/// # Errors
/// Postgres' own.
pub async fn record_check(
    conn: &mut PgConnection,
    link: LinkId,
    version: i64,
    invalid: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE account_link
           SET invalid = $3, checked_at = now(),
               check_at = now() + make_interval(secs => CASE WHEN $3::text IS NULL THEN $4::float8 ELSE $5::float8 END)
           WHERE id = $1 AND version = $2 AND kind IN ('key', 'role')"#,
        link.0,
        version,
        invalid,
        CHECKED_EVERY_S,
        MENDED_WITHIN_S
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The links with access keys, locked: each with the key's id and its sealed secret.
///
/// # Errors
/// Postgres' own.
pub async fn sealed(conn: &mut PgConnection) -> Result<Vec<(LinkId, String, Vec<u8>)>> {
    let rows = sqlx::query!(
        r#"SELECT id, access_key_id AS "access_key_id!", sealed_secret AS "sealed_secret!"
           FROM account_link WHERE kind = 'key' ORDER BY id FOR UPDATE"#
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|row| (row.id.into(), row.access_key_id, row.sealed_secret))
        .collect())
}

/// Keeps the same secret, sealed anew.
///
/// # Errors
/// Postgres' own.
pub async fn reseal(conn: &mut PgConnection, link: LinkId, sealed: &[u8]) -> Result<()> {
    sqlx::query!(
        "UPDATE account_link SET sealed_secret = $2 WHERE id = $1",
        link.0,
        sealed
    )
    .execute(conn)
    .await?;
    Ok(())
}
