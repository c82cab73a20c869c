//! Links: whose credentials a call is made with.

use std::{fmt, time::SystemTime};

use aws_config::{Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::{
    Credentials as SdkCredentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sdk_sts::Client;
use domain::ids::LinkId;

use crate::{
    Error, Result, Said,
    error::{self, from_sdk as said},
};

/// The name of Berth's sessions of roles: it stands in the user's CloudTrail.
const SESSION: &str = "berth";
/// Where STS is asked when nothing says otherwise.
const STS_REGION: Region = Region::from_static("us-east-1");

/// Whose credentials calls are made with, and into which account they lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id; none as long as it is only tried.
    pub id: Option<LinkId>,
    /// The account, where it is known: its limits are shared by all links into it.
    pub account: Option<String>,
    /// The credentials.
    pub credentials: Credentials,
}

impl Link {
    /// The process's own credentials.
    pub const AMBIENT: Self = Self {
        id: None,
        account: None,
        credentials: Credentials::Ambient,
    };
}

/// Credentials for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The process's own.
    Ambient,
    /// An access key.
    Key {
        /// Its id.
        access_key_id: String,
        /// Its secret.
        secret: Secret,
    },
    /// A role that is assumed with the process's own credentials ("How to use an external ID when granting access to your
    /// AWS resources to a third party").
    Role {
        /// Its ARN.
        arn: String,
        /// What its trust policy asks for.
        external_id: String,
    },
    /// They can't be used, for this reason: every call is refused with it.
    Unusable(String),
}

impl Credentials {
    /// How the user asks AWS whom the credentials are of, and sees the same refusal. A role is assumed with Berth's own,
    /// which the user does not have.
    pub fn command(&self) -> String {
        match self {
            Self::Role { arn, external_id } => format!(
                "aws sts assume-role --role-arn {arn} --role-session-name {SESSION} --external-id {external_id}\n\
                 (with Berth's credentials, not with yours; the role's trust policy must name Berth's account and ask \
                 for this external id)"
            ),
            Self::Ambient | Self::Key { .. } | Self::Unusable(_) => {
                "aws sts get-caller-identity".to_owned()
            }
        }
    }
}

/// A secret, which shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whom credentials are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account's id.
    pub account: String,
    /// The user's or the role's session's ARN.
    pub arn: String,
}

/// The configuration of clients that use the credentials, made of that of the process's own.
pub(crate) fn configure(ambient: &SdkConfig, credentials: &Credentials) -> SdkConfig {
    let config = ambient.clone().into_builder();
    // A cache of its own, or many links would throw each other out of a common one.
    let config = config.identity_cache(IdentityCache::lazy().build());
    match credentials {
        Credentials::Ambient => return ambient.clone(),
        Credentials::Key {
            access_key_id,
            secret,
        } => config.credentials_provider(SharedCredentialsProvider::new(SdkCredentials::new(
            access_key_id,
            &secret.0,
            None,
            None,
            "access key",
        ))),
        Credentials::Role { arn, external_id } => {
            let role = AssumedRole {
                sts: sts(ambient),
                arn: arn.clone(),
                external_id: external_id.clone(),
            };
            config.credentials_provider(SharedCredentialsProvider::new(role))
        }
        Credentials::Unusable(why) => {
            config.credentials_provider(SharedCredentialsProvider::new(Unusable(why.clone())))
        }
    }
    .build()
}

/// Whom the credentials of a configuration are of. Nobody needs a permission to ask this.
pub(crate) async fn identity(config: &SdkConfig) -> Result<Identity> {
    let answer = sts(config)
        .get_caller_identity()
        .send()
        .await
        .map_err(said("GetCallerIdentity"))?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Identity { account, arn }),
        _ => Err(empty("GetCallerIdentity")),
    }
}

/// An answer without what was asked for.
fn empty(action: &'static str) -> Error {
    Error::OutcomeUnknown(Said {
        action,
        code: "EmptyAnswer".to_owned(),
        message: "the answer does not have what was asked for".to_owned(),
    })
}

fn sts(config: &SdkConfig) -> Client {
    let builder = aws_sdk_sts::config::Builder::from(config);
    Client::from_conf(match config.region() {
        Some(_) => builder.build(),
        None => builder.region(STS_REGION).build(),
    })
}

/// Assumes a role again whenever its temporary credentials are about to end: the SDK asks for new ones before they do.
#[derive(Debug)]
struct AssumedRole {
    sts: Client,
    arn: String,
    external_id: String,
}

impl AssumedRole {
    async fn assume(&self) -> Result<SdkCredentials> {
        let answer = self
            .sts
            .assume_role()
            .role_arn(&self.arn)
            .external_id(&self.external_id)
            .role_session_name(SESSION)
            .send()
            .await
            .map_err(said("AssumeRole"))?;
        let given = answer.credentials.and_then(|given| {
            let ends = SystemTime::try_from(given.expiration).ok()?;
            Some(SdkCredentials::new(
                given.access_key_id,
                given.secret_access_key,
                Some(given.session_token),
                Some(ends),
                "assumed role",
            ))
        });
        given.ok_or_else(|| empty("AssumeRole"))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.assume().await.map_err(refused) })
    }
}

/// Credentials that can't be used.
#[derive(Debug)]
struct Unusable(String);

impl ProvideCredentials for Unusable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = Error::NotAllowed(Said {
            action: "Credentials",
            code: error::UNUSABLE.to_owned(),
            message: self.0.clone(),
        });
        future::ProvideCredentials::ready(Err(refused(error)))
    }
}

/// Carries an error through the SDK; [`error::from_sdk`] finds it again.
fn refused(error: Error) -> CredentialsError {
    CredentialsError::provider_error(error)
}
