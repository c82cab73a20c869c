//! `PUT /api/infra/v1/provider/aws/credentials/`

use std::time::Duration;

use aws::{Clouds, INVALID, Identity, Secret};
use axum::{extract::State, http::StatusCode};
use domain::{
    action::ActionKind,
    cluster::Invalid,
    ids::LinkId,
    link::{validate_access_key_id, validate_role_arn, validate_secret},
    state::ActionState,
};
use links::Refusal;
use store::{
    action::{self, ObjectType},
    link::{self, Credentials, OfNamespace},
};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ProviderCredentials;
use crate::{
    App,
    answer::Acted,
    auth::Caller,
    body::{JsonBody, Members},
    error::{ApiError, ErrorBody},
};

/// How long AWS may take to tell whom credentials are of. With the tries in all regions, which follow, it is under 10 s.
const IDENTITY_PATIENCE: Duration = Duration::from_millis(3500);

/// Either a role or an access key.
// Only there for the specification: `Wanted` is what is read.
#[derive(ToSchema)]
#[schema(example = json!({"role_arn": "arn:aws:iam::123456789012:role/berth"}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct NewCredentials {
    /// A role that Berth assumes, the recommended way. Its trust policy must ask for the namespace's external id.
    #[schema(example = "arn:aws:iam::123456789012:role/berth", max_length = 2048)]
    role_arn: Option<String>,
    /// The id of an access key.
    #[schema(example = "AKIAIOSFODNN7EXAMPLE", max_length = 128)]
    access_key_id: Option<String>,
    /// The access key's secret. It can't be read again.
    #[schema(
        example = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        max_length = 256,
        write_only
    )]
    secret_access_key: Option<String>,
}

/// What a body asks to link.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Role(String),
    Key { id: String, secret: Secret },
}

impl Wanted {
    fn read(mut body: Members) -> Result<Self, Invalid> {
        let role = super::secret(&mut body, "role_arn")?;
        let id = super::secret(&mut body, "access_key_id")?;
        let secret = super::secret(&mut body, "secret_access_key")?;
        match (role, id, secret) {
            (Some(arn), None, None) => {
                validate_role_arn("role_arn", &arn)?;
                Ok(Self::Role(arn))
            }
            (None, Some(id), Some(secret)) => {
                validate_access_key_id("access_key_id", &id)?;
                validate_secret("secret_access_key", &secret)?;
                let secret = Secret(secret);
                Ok(Self::Key { id, secret })
            }
            (Some(_), _, _) => Err(Invalid::new(
                "role_arn",
                "give either a role or an access key, not both",
            )),
            (None, Some(_), None) => Err(Invalid::new(
                "secret_access_key",
                "it is missing: an access key has an id and a secret",
            )),
            (None, None, _) => Err(Invalid::new(
                "role_arn",
                "it is missing: give role_arn, or access_key_id and secret_access_key",
            )),
        }
    }

    /// To be tried.
    fn candidate(&self, external_id: &str) -> aws::Link {
        let credentials = match self {
            Self::Role(arn) => aws::Credentials::Role {
                arn: arn.clone(),
                external_id: external_id.to_owned(),
            },
            Self::Key { id, secret } => aws::Credentials::Key {
                access_key_id: id.clone(),
                secret: secret.clone(),
            },
        };
        aws::Link {
            id: None,
            account: None,
            credentials,
        }
    }

    /// To be kept as those of this link.
    fn kept(self, app: &App, link: LinkId) -> Result<Credentials, ApiError> {
        match self {
            Self::Role(arn) => Ok(Credentials::Role { arn }),
            Self::Key { id, secret } => {
                let key = app.secret_key.as_ref().ok_or(ApiError::NoSecretKey)?;
                let sealed = pki::seal_access_key(&link.to_string(), &id, &secret.0, key);
                Ok(Credentials::Key {
                    access_key_id: id,
                    sealed_secret: sealed.map_err(pki::AuthorityError::from)?,
                })
            }
        }
    }
}

/// Link AWS credentials
///
/// A role (recommended) or an access key, in place of what there is. They are tried before they are taken: by a dry run of
/// a launch in every region, which must succeed in at least one. Credentials of another account are refused while there
/// are live node clusters; other ones of the same account are used at once.
#[utoipa::path(
    put,
    path = "/api/infra/v1/provider/aws/credentials/",
    operation_id = "put_credentials",
    tag = "Providers",
    request_body = NewCredentials,
    responses(
        (
            status = 201, description = "The credentials, where the namespace had none of its own.",
            body = ProviderCredentials,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (
            status = 202, description = "The credentials, in place of others.", body = ProviderCredentials,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (
            status = 400, description = "A member can't be taken, or nothing can be launched with the credentials: what \
                AWS said in each region, and a command with which to see the same.",
            body = ErrorBody
        ),
        (
            status = 409, description = "They are of another account than live node clusters.", body = ErrorBody
        ),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
        (
            status = 503, description = "AWS or the database does not answer at the moment, or the installation has no \
                secret key to seal an access key with.",
            body = ErrorBody
        ),
    )
)]
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    body: JsonBody,
) -> Result<Acted<ProviderCredentials>, ApiError> {
    let wanted = Wanted::read(body.members)?;
    if matches!(wanted, Wanted::Key { .. }) && app.secret_key.is_none() {
        return Err(ApiError::NoSecretKey);
    }
    let clouds = app.clouds()?;
    app.trials.count(caller.user())?;
    let external_id = {
        let mut connection = app.pool.acquire().await?;
        link::keep(&mut connection, caller.namespace())
            .await?
            .external_id
    };
    let view = app.catalogue(&caller).await?;
    let regions: Vec<_> = view.regions().iter().map(|it| it.name.clone()).collect();
    let account = try_out(clouds, &wanted, &external_id, &regions).await?;

    let mut tx = app.pool.begin().await?;
    let before = link::lock(&mut tx, caller.namespace()).await?;
    let live = link::live_clusters(&mut tx, caller.namespace(), before.link.id).await?;
    check_account(&before, &account, live)?;
    let link = link::ensure(&mut tx, caller.namespace(), &account).await?;
    let credentials = wanted.kept(&app, link)?;
    link::put(&mut tx, caller.namespace(), link, &credentials).await?;
    let new = action::New {
        kind: ActionKind::LinkProvider,
        object_type: ObjectType::Credentials,
        object_id: link.0,
        target_num_nodes: None,
        state: ActionState::Success,
    };
    // Without the body: it has what is secret.
    let action = action::insert(&mut tx, &caller.record(""), new).await?;
    let after = ProviderCredentials::read(&app, &mut tx, &caller).await?;
    tx.commit().await?;

    tracing::info!(%action, %link, account, "account {account} was linked");
    Ok(Acted {
        status: match before.link.credentials {
            Credentials::Ambient | Credentials::None => StatusCode::CREATED,
            Credentials::Key { .. } | Credentials::Role { .. } => StatusCode::ACCEPTED,
        },
        action,
        object: after,
    })
}

/// The account that the credentials lead into, once they are found good.
async fn try_out(
    clouds: &dyn Clouds,
    wanted: &Wanted,
    external_id: &str,
    regions: &[String],
) -> Result<String, ApiError> {
    let mut candidate = wanted.candidate(external_id);
    let (identity, ()) = tokio::try_join!(
        identity(clouds, &candidate),
        asks_for_its_external_id(clouds, wanted),
    )?;
    candidate.account = Some(identity.account.clone());
    match links::check(clouds, &candidate, regions).await {
        Ok(()) => Ok(identity.account),
        Err(Refusal::Invalid { why, .. }) => Err(ApiError::Invalid(why)),
        Err(Refusal::NoAnswer(why)) => Err(ApiError::NoAnswerOfAws(why)),
    }
}

/// Whom the credentials are of.
async fn identity(clouds: &dyn Clouds, candidate: &aws::Link) -> Result<Identity, ApiError> {
    match asked(clouds, candidate).await? {
        Ok(identity) => Ok(identity),
        Err(error) => Err(ApiError::Invalid(format!(
            "{INVALID}\n{error}\nTo see the same: {}",
            candidate.credentials.command()
        ))),
    }
}

/// Refuses a role that lets Berth in under an external id that nobody has: anybody who knows its ARN could link it from a
/// namespace of theirs ("The confused deputy problem": test that the role can't be assumed without the external id).
async fn asks_for_its_external_id(clouds: &dyn Clouds, wanted: &Wanted) -> Result<(), ApiError> {
    let Wanted::Role(arn) = wanted else {
        return Ok(());
    };
    let stranger = wanted.candidate(&Uuid::new_v4().to_string());
    match asked(clouds, &stranger).await? {
        Ok(_) => Err(ApiError::Invalid(format!(
            "the role's trust policy does not ask for the external id of the namespace, so that everybody who uses this \
             Berth could link {arn}: add \"Condition\": {{\"StringEquals\": {{\"sts:ExternalId\": \"…\"}}}} to it, as \
             `berth aws policy` prints it, with the external_id that GET on this path shows"
        ))),
        Err(_) => Ok(()),
    }
}

/// What AWS says to whom credentials are of, where it says something that lasts.
async fn asked(
    clouds: &dyn Clouds,
    candidate: &aws::Link,
) -> Result<aws::Result<Identity>, ApiError> {
    let no_answer = |why: String| {
        Err(ApiError::NoAnswerOfAws(format!(
            "AWS does not say whose the credentials are; try again shortly: {why}"
        )))
    };
    match tokio::time::timeout(IDENTITY_PATIENCE, clouds.identity(candidate)).await {
        Ok(Err(error)) if error.may_pass() => no_answer(error.to_string()),
        Ok(said) => Ok(said),
        Err(_) => no_answer(format!("no answer within {IDENTITY_PATIENCE:?}")),
    }
}

/// Refuses another account than the one in which live node clusters are.
fn check_account(before: &OfNamespace, account: &str, live: i64) -> Result<(), ApiError> {
    let is_same = before.link.account.as_deref() == Some(account);
    if live == 0 || is_same {
        return Ok(());
    }
    let theirs = match &before.link.account {
        Some(theirs) => format!("in the account {theirs}"),
        None => "with the server's own credentials".to_owned(),
    };
    Err(ApiError::Conflict(format!(
        "the credentials are of the account {account}, and {live} node clusters are {theirs}: terminate them first"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Wanted, String> {
        let body = JsonBody::parse(body.as_bytes()).unwrap();
        Wanted::read(body.members).map_err(|error| error.to_string())
    }

    #[test]
    fn a_role_or_an_access_key_is_read() {
        let arn = "arn:aws:iam::123456789012:role/berth";
        assert_eq!(
            read(&format!("{{\"role_arn\": \"{arn}\"}}")),
            Ok(Wanted::Role(arn.to_owned()))
        );
        let key = r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "s3cr3t"}"#;
        let wanted = read(key).unwrap();
        assert!(!format!("{wanted:?}").contains("s3cr3t"));
    }

    #[test]
    fn what_can_not_be_taken_is_named_and_no_secret_repeated() {
        for (body, field) in [
            ("{}", "role_arn: "),
            (
                r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE"}"#,
                "secret_access_key: ",
            ),
            (r#"{"secret_access_key": "s3cr3t"}"#, "role_arn: "),
            (r#"{"role_arn": "s3cr3t"}"#, "role_arn: "),
            (r#"{"role_arn": ["s3cr3t"]}"#, "role_arn: "),
            (
                r#"{"access_key_id": "a/s3cr3t", "secret_access_key": "s3cr3t"}"#,
                "access_key_id: ",
            ),
            (
                r#"{"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": {"a": "s3cr3t"}}"#,
                "secret_access_key: ",
            ),
            (
                r#"{"role_arn": "arn:aws:iam::123456789012:role/berth", "secret_access_key": "s3cr3t"}"#,
                "role_arn: ",
            ),
        ] {
            let words = read(body).unwrap_err();
            assert!(words.starts_with(field), "{words}");
            assert!(!words.contains("s3cr3t"), "{words}");
        }
    }
}
