//! What can be answered instead of the thing that was asked for.
//!
//! An error says what it means; only here does it become a status. The cause of a failure on our side is logged where
//! the answer is made and never shown: it may name hosts and tables.

use std::time::Duration;

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use domain::{cluster::Invalid, role::Denied, state::Forbidden};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"error": "disk: 3 is out of range; it must be from 8 to 16384"}))]
pub(crate) struct ErrorBody {
    /// What was wrong, and where there is one, the way out.
    pub(crate) error: String,
}

/// An answer that is not a success, by its meaning.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Something in the request can't be taken, or the object's state forbids it.
    #[error("{0}")]
    Invalid(String),
    /// Nobody, or somebody with a wrong key.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// A host with a token that is worth nothing (any more): its agent is to forget what it is.
    #[error("{0}")]
    UnknownAgent(&'static str),
    /// The caller's role does not allow it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is for those who manage the installation.
    #[error("this is for operators of this installation; `berth user add --operator` makes one")]
    NotOperator,
    /// It would be more than there may be, or what there is forbids it.
    #[error("{0}")]
    Enough(String),
    /// It is not there, or not for this caller to see.
    #[error("{0}")]
    NotFound(String),
    /// The resource is there, but not for this method.
    #[error("{0} is not allowed on this resource")]
    MethodNotAllowed(http::Method),
    /// Something that must be unique is taken.
    #[error("{0}")]
    Conflict(String),
    /// The body is larger than any that makes sense.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// What is taken at most.
        limit: usize,
    },
    /// There were more of the kind than there may be for the time being.
    #[error("{what}: try again in {} s", seconds(*wait))]
    TooMany {
        /// What there were too many of.
        what: &'static str,
        /// How long until the next one is taken.
        wait: Duration,
    },
    /// A stream was asked for, but not by a WebSocket's handshake.
    #[error(
        "this is a stream: connect to it as a WebSocket, with ws:// instead of http:// (or wss:// instead of https://)"
    )]
    UpgradeRequired,
    /// The database can't be asked at the moment.
    #[error("the service can't reach its database at the moment; try again shortly")]
    Unavailable(#[source] store::Error),
    /// A machine has called home before its launch was answered.
    #[error("the launch that the token is of is not settled yet; try again shortly")]
    NotYetLaunched,
    /// AWS has to be asked for this, and does not answer at the moment.
    #[error("{0}")]
    NoAnswerOfAws(String),
    /// There is no key under which an authority's, or one of AWS's, could be sealed.
    #[error(
        "this installation has no secret key, so there are no certificates, and no access key can be kept; start it with BERTH_SECRET_KEY or \
         BERTH_SECRET_KEY_FILE, 32 random bytes in base64"
    )]
    NoSecretKey,
    /// A certificate can't be made, or the authority's key not be opened.
    #[error("an internal error; the log has the details under this answer's x-request-id")]
    Authority(#[from] pki::AuthorityError),
    /// It took too long.
    #[error("the request took too long and was given up; try again shortly")]
    TimedOut,
    /// A fault of ours.
    #[error("an internal error; the log has the details under this answer's x-request-id")]
    Internal(#[source] store::Error),
    /// A bug: a handler panicked.
    #[error("an internal error; the log has the details under this answer's x-request-id")]
    Panicked,
}

/// Whole seconds after which the time is over.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

impl ApiError {
    /// There is no such object in the caller's namespace.
    pub(crate) fn no_such(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("there is no {kind} {id}"))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::UnknownAgent(_) => StatusCode::UNAUTHORIZED,
            Self::Denied(_) | Self::NotOperator | Self::Enough(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::Internal(_) | Self::Authority(_) | Self::Panicked => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Unavailable(_)
            | Self::NotYetLaunched
            | Self::NoSecretKey
            | Self::NoAnswerOfAws(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl From<Forbidden> for ApiError {
    fn from(forbidden: Forbidden) -> Self {
        Self::Invalid(forbidden.to_string())
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        store::Error::from(error).into()
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NameTaken(_) | store::Error::Taken(_) => {
                Self::Conflict(error.to_string())
            }
            store::Error::OverQuota(_) | store::Error::Enough(_) => Self::Enough(error.to_string()),
            store::Error::Forbidden(forbidden) => forbidden.into(),
            store::Error::Database(ref cause) if is_unavailable(cause) => Self::Unavailable(error),
            store::Error::Unreachable { .. } | store::Error::NoAnswer => Self::Unavailable(error),
            store::Error::Database(_)
            | store::Error::LeaseLost
            | store::Error::NoPostgresUrl
            | store::Error::Unreadable(_) => Self::Internal(error),
        }
    }
}

/// Whether the same request may well succeed later, with nothing changed in Berth.
fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL's "Error Codes": 08 connection, 28 credentials, 3D no such database, 40 rolled back because of
        // others, 53 out of resources, 57 shut down or starting, 42P01 not migrated yet.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // 25006 is a replica that has not been promoted yet, 55000 a database that takes no connections, 25P03 and
            // 55P03 that something held a transaction or a lock for too long.
            [
                "08", "25006", "25P03", "28", "3D", "40", "53", "55000", "55P03", "57", "42P01",
            ]
            .iter()
            .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match &self {
            Self::Unavailable(cause) => tracing::error!(%cause, "the database can't be reached"),
            Self::Authority(cause) => tracing::error!(%cause, "a certificate can't be made"),
            Self::NoSecretKey => {
                tracing::error!("something is to be sealed, and there is no secret key")
            }
            Self::Internal(cause) => tracing::error!(%cause, "a request failed"),
            _ => {}
        }
        let body = Json(ErrorBody {
            error: self.to_string(),
        });
        let mut response = (self.status(), body).into_response();
        if let Self::TooMany { wait, .. } = self {
            let seconds = HeaderValue::from(seconds(wait));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        let needed: &[_] = match self {
            Self::Unauthorized(_) => {
                &[(WWW_AUTHENTICATE, "Basic realm=\"berth\", charset=\"UTF-8\"")]
            }
            Self::UnknownAgent(_) => &[(WWW_AUTHENTICATE, "TutumAgentToken realm=\"berth\"")],
            Self::UpgradeRequired => &[(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")],
            _ => &[],
        };
        for (name, value) in needed {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_ours_does_not_show_its_cause() {
        let cause = store::Error::Unreadable("secret.host".to_owned());
        let error = ApiError::from(cause);
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.to_string().contains("secret.host"));
        let down = ApiError::from(sqlx::Error::PoolTimedOut);
        assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_taken_name_is_a_conflict_that_names_it() {
        let error = ApiError::from(store::Error::NameTaken("web".to_owned()));
        assert_eq!(error.status(), StatusCode::CONFLICT);
        assert!(error.to_string().contains("\"web\""));
    }
}
