//! Links as they are kept, made into what calls AWS, and tried: what the API and the workers do alike.

use aws::{Clouds, INVALID, Secret};
use domain::ids::InstallationId;
use pki::SecretKey;
use store::link::{Credentials, Link};

/// Why the credentials of a link can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// They are not good, in words for the user.
    Invalid {
        /// What AWS said.
        why: String,
        /// Whether that is enough to say so of credentials that were good: no region is without an answer, or they are
        /// not known at all.
        is_final: bool,
    },
    /// AWS does not say, in words for the user: to be tried again.
    NoAnswer(String),
}

/// What calls AWS for a link. Credentials that do not open are refused with the reason at each call.
pub fn open(link: &Link, secret_key: Option<&SecretKey>) -> aws::Link {
    let credentials = match &link.credentials {
        Credentials::Ambient => aws::Credentials::Ambient,
        Credentials::None => {
            aws::Credentials::Unusable("the credentials of this link were deleted".to_owned())
        }
        Credentials::Role { arn } => aws::Credentials::Role {
            arn: arn.clone(),
            external_id: link.external_id.clone(),
        },
        Credentials::Key {
            access_key_id,
            sealed_secret,
        } => match opened(link, access_key_id, sealed_secret, secret_key) {
            Ok(secret) => aws::Credentials::Key {
                access_key_id: access_key_id.clone(),
                secret: Secret(secret),
            },
            Err(why) => aws::Credentials::Unusable(why),
        },
    };
    let is_ambient = credentials == aws::Credentials::Ambient;
    aws::Link {
        id: (!is_ambient).then_some(link.id),
        account: link.account.clone(),
        credentials,
    }
}

fn opened(
    link: &Link,
    access_key_id: &str,
    sealed: &[u8],
    secret_key: Option<&SecretKey>,
) -> Result<String, String> {
    let key = secret_key.ok_or(
        "the secret of the access key is sealed, and this process has no secret key; start it with BERTH_SECRET_KEY",
    )?;
    pki::open_access_key(&link.id.to_string(), access_key_id, sealed, key)
        .map_err(|error| error.to_string())
}

/// What the objects that are made for a link are tagged with as their installation's. Two links may lead into one account,
/// and each must take only what is its own for that.
pub fn mark(link: &aws::Link, installation: InstallationId) -> InstallationId {
    link.id.map_or(installation, |id| InstallationId(id.0))
}

/// Tries the credentials in each of the regions.
///
/// # Errors
/// [`Refusal`], where they may launch nowhere.
pub async fn check(
    clouds: &dyn Clouds,
    link: &aws::Link,
    regions: &[String],
) -> Result<(), Refusal> {
    if let aws::Credentials::Unusable(why) = &link.credentials {
        // AWS was not asked. Another process may have the key that opens them.
        return Err(Refusal::NoAnswer(why.clone()));
    }
    let report = aws::validate(clouds, link, regions).await;
    if report.is_good() {
        Ok(())
    } else if report.is_silent() {
        Err(Refusal::NoAnswer(format!(
            "AWS does not say whether the credentials are good; try again shortly\n{report}"
        )))
    } else {
        Err(Refusal::Invalid {
            why: format!("{INVALID}\n{report}"),
            is_final: report.is_final(),
        })
    }
}
