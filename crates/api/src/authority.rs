//! The authority of a namespace: whose clients the engines of its nodes let in.

use domain::ids::NamespaceId;
use pki::{Authority, Identity};
use serde::Serialize;
use store::{PgConnection, authority, host};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{App, error::ApiError};

/// How long a user's certificate is good.
const DAYS_OF_USERS: u32 = 90;
/// How long one is good that Berth makes for one question of its own.
const DAYS_OF_PROBES: u32 = 1;

/// What lets a Docker client into an engine, each in PEM: the files of `docker --tlsverify --tlscacert … --tlscert …
/// --tlskey …`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientBundle {
    /// Whom the client is to trust: the certificates that the engines show, and that of the authority.
    #[schema(example = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n")]
    ca: String,
    /// The client's certificate; it is good for 90 days.
    #[schema(example = "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n")]
    cert: String,
    /// The client's key, which is kept nowhere else.
    #[schema(example = "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n")]
    key: String,
}

/// The certificate of the namespace's authority, which is made where there is none yet.
pub(crate) async fn ensure(
    app: &App,
    conn: &mut PgConnection,
    namespace: NamespaceId,
) -> Result<authority::Authority, ApiError> {
    let secret = app.secret_key.as_ref().ok_or(ApiError::NoSecretKey)?;
    if let Some(kept) = authority::get(conn, namespace).await? {
        return Ok(kept);
    }
    let now = authority::now(conn).await?;
    let made = Authority::make(&namespace.to_string(), now, secret)?;
    Ok(authority::keep(conn, namespace, &made.certificate, &made.sealed_key).await?)
}

/// A certificate for Berth itself, to ask an engine of the namespace.
pub(crate) async fn for_a_probe(
    app: &App,
    conn: &mut PgConnection,
    namespace: NamespaceId,
) -> Result<Identity, ApiError> {
    Ok(issue(app, conn, namespace, "Berth", DAYS_OF_PROBES)
        .await?
        .1)
}

/// What lets a user into the engine of this node, or into those of this cluster's nodes.
pub(crate) async fn for_a_user(
    app: &App,
    conn: &mut PgConnection,
    namespace: NamespaceId,
    user: &str,
    object: Uuid,
) -> Result<ClientBundle, ApiError> {
    let (authority, identity) = issue(app, conn, namespace, user, DAYS_OF_USERS).await?;
    // An engine shows a certificate of its own making, so it is trusted by itself.
    let mut trusted = host::certificates(conn, object).await?;
    trusted.push(authority);
    let ca = trusted.iter().map(|pem| format!("{}\n", pem.trim_end()));
    Ok(ClientBundle {
        ca: ca.collect(),
        cert: identity.certificate_pem(),
        key: identity.key_pem(),
    })
}

async fn issue(
    app: &App,
    conn: &mut PgConnection,
    namespace: NamespaceId,
    client: &str,
    days: u32,
) -> Result<(String, Identity), ApiError> {
    let kept = ensure(app, conn, namespace).await?;
    let secret = app.secret_key.as_ref().ok_or(ApiError::NoSecretKey)?;
    let authority = Authority::open(&namespace.to_string(), &kept.sealed_key, secret)?;
    let now = authority::now(conn).await?;
    Ok((kept.certificate, authority.issue(client, now, days)?))
}
