//! `/api/infra/v1/provider/aws/credentials/`: whose AWS account the nodes of a namespace are launched in.
//!
//! What is secret goes in and never comes out again: it is sealed before it is written, no action records the body that it
//! came in, and no error repeats it.

pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod put;

use domain::cluster::Invalid;
use serde::Serialize;
use store::{
    PgConnection,
    link::{self, Credentials, OfNamespace},
    shown::{self, Told},
};
use utoipa::ToSchema;

use crate::{
    App,
    auth::Caller,
    body::Members,
    error::ApiError,
    time,
    uri::{self, Uris},
};

/// The credentials with which the nodes of a namespace are launched. What is secret of them can't be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderCredentials {
    /// The id of the access key, where there is one.
    #[schema(example = "AKIAIOSFODNN7EXAMPLE")]
    access_key_id: Option<String>,
    /// The AWS account that they lead into; null where they are the server's own, or there are none.
    #[schema(example = "123456789012")]
    account: Option<String>,
    /// What was read of the account's regions, zones and node types.
    catalogue: AccountCatalogue,
    /// When it was last tried whether they are good: daily, and after AWS has not known them.
    checked_at: Option<String>,
    /// What the trust policy of a role has to ask for, as `sts:ExternalId`. It is the namespace's own and never changes.
    #[schema(example = "6fc9d2d4-7f6e-4d4e-9a53-4a8b7d1f2c11")]
    external_id: String,
    /// Why nothing can be launched with them; null where it can.
    invalid_reason: Option<String>,
    /// `key` and `role` are the namespace's own, `ambient` are the server's, where the operator lets the namespace use them.
    #[schema(value_type = String, example = "role", pattern = "^(none|ambient|key|role)$")]
    kind: &'static str,
    /// Since when there are these.
    linked_at: Option<String>,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/provider/aws/credentials/")]
    resource_uri: String,
    /// The ARN of the role that is assumed, where there is one.
    #[schema(example = "arn:aws:iam::123456789012:role/berth")]
    role_arn: Option<String>,
    /// Whether nodes can be launched with them.
    valid: bool,
}

/// When it was read which regions, zones and node types the account has: after it is linked, daily, and soon again where
/// something of it could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountCatalogue {
    /// When it was last read; null where it never was, and the lists show what is packaged.
    refreshed_at: Option<String>,
    /// The regions of which something could not be read the last time; there the lists show what was read before. It is
    /// tried again by itself, and at once when the same credentials are put again.
    refused: Vec<CatalogueRefusal>,
}

/// What could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogueRefusal {
    /// Why, in AWS's words.
    #[schema(
        example = "UnauthorizedOperation (DescribeInstanceTypes): You are not authorized to perform this operation."
    )]
    reason: String,
    /// The URI of the region that was asked.
    #[schema(example = "/api/infra/v1/region/aws/us-east-1/")]
    region: String,
}

impl AccountCatalogue {
    fn new(told: Told) -> Self {
        let refused = told.refused.into_iter();
        Self {
            refreshed_at: told.refreshed_at.map(time::wire),
            refused: refused
                .map(|(region, reason)| CatalogueRefusal {
                    reason,
                    region: uri::region(&region),
                })
                .collect(),
        }
    }
}

impl ProviderCredentials {
    /// Those of the caller's namespace.
    async fn read(app: &App, conn: &mut PgConnection, caller: &Caller) -> Result<Self, ApiError> {
        let of = link::keep(&mut *conn, caller.namespace()).await?;
        let is_used = match of.link.credentials {
            Credentials::Ambient => app.ambient.lets(&of.namespace),
            Credentials::Key { .. } | Credentials::Role { .. } | Credentials::None => true,
        };
        let told = match is_used {
            true => shown::told(conn, of.link.id).await?,
            false => Told::default(),
        };
        Ok(Self::new(app, &caller.uris, of, told))
    }

    fn new(app: &App, uris: &Uris, of: OfNamespace, told: Told) -> Self {
        let invalid_reason = why_not(app, uris, &of);
        let link = of.link;
        let (kind, access_key_id, role_arn) = match link.credentials {
            Credentials::Key { access_key_id, .. } => ("key", Some(access_key_id), None),
            Credentials::Role { arn } => ("role", None, Some(arn)),
            Credentials::Ambient if app.ambient.lets(&of.namespace) => ("ambient", None, None),
            Credentials::Ambient | Credentials::None => ("none", None, None),
        };
        Self {
            access_key_id,
            account: link.account,
            catalogue: AccountCatalogue::new(told),
            checked_at: link.checked_at.map(time::wire),
            external_id: of.external_id,
            valid: invalid_reason.is_none(),
            invalid_reason,
            kind,
            linked_at: link.linked_at.map(time::wire),
            resource_uri: uris.credentials(),
            role_arn,
        }
    }
}

/// Why nothing can be launched in a namespace.
fn why_not(app: &App, uris: &Uris, of: &OfNamespace) -> Option<String> {
    match of.link.credentials {
        Credentials::Ambient if app.ambient.lets(&of.namespace) => None,
        Credentials::Ambient | Credentials::None => Some(format!(
            "no AWS credentials are linked to the namespace {}: PUT an access key or a role to {} first",
            of.namespace,
            uris.credentials()
        )),
        Credentials::Key { .. } | Credentials::Role { .. } => of.link.invalid.clone(),
    }
}

/// Whether nodes can be launched in the caller's namespace, and if not, why.
#[derive(Debug)]
pub(crate) struct MayLaunch(Option<String>);

impl MayLaunch {
    /// Reads it. It stays like that until the end of the transaction, which must not have locked a cluster yet: who
    /// changes a link locks the namespace before the sites, and a worker its site before the clusters.
    pub(crate) async fn keep(
        app: &App,
        conn: &mut PgConnection,
        caller: &Caller,
    ) -> Result<Self, ApiError> {
        let of = link::keep(conn, caller.namespace()).await?;
        Ok(Self(why_not(app, &caller.uris, &of)))
    }

    /// Refuses what would launch nodes.
    pub(crate) fn check(self) -> Result<(), ApiError> {
        match self.0 {
            None => Ok(()),
            Some(why) => Err(ApiError::Invalid(why)),
        }
    }
}

/// Refuses what asks AWS where there is nobody to ask it as.
pub(crate) fn are_there(app: &App, uris: &Uris, of: &OfNamespace) -> Result<(), ApiError> {
    match why_not(app, uris, of) {
        Some(why) if of.link.invalid.is_none() => Err(ApiError::Invalid(why)),
        _ => Ok(()),
    }
}

/// A secret of the body. Whatever stands there instead of a text is not repeated.
fn secret(body: &mut Members, name: &str) -> Result<Option<String>, Invalid> {
    let path = body.path_of(name);
    body.text(name)
        .map_err(|_| Invalid::new(path, "it is not a text"))
}
