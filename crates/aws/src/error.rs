//! EC2's errors, named by what the caller should do.
//!
//! Source of the codes: EC2 API reference, "Error codes for the Amazon EC2 API".

use std::fmt;

use aws_sdk_ec2::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// The code of credentials that can't be used at all; Berth's own, since AWS was never asked.
pub(crate) const UNUSABLE: &str = "UnusableCredentials";

/// The code of an answer that did not come; Berth's own.
const NO_ANSWER: &str = "NoAnswer";

/// The calls of STS.
const ASSUME_ROLE: &str = "AssumeRole";
const GET_CALLER_IDENTITY: &str = "GetCallerIdentity";

/// What AWS said, word by word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The call.
    pub action: &'static str,
    /// AWS's code.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.action, self.message)
    }
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Slow down and send the same call again. Never a lack of capacity.
    #[error("{0}")]
    Throttled(Said),
    /// The answer is lost or AWS is in trouble: nobody knows whether the call took effect. Send the same call again.
    #[error("{0}")]
    OutcomeUnknown(Said),
    /// No capacity in this zone: another one may have it.
    #[error("{0}")]
    NoCapacity(Said),
    /// This subnet has no free address.
    #[error("{0}")]
    SubnetFull(Said),
    /// A limit of the account: no other zone will help.
    #[error("{0}")]
    AccountLimit(Said),
    /// The credentials may not do this.
    #[error("{0}")]
    NotAllowed(Said),
    /// It is not there, or not yet.
    #[error("{0}")]
    NotThere(Said),
    /// It is there already.
    #[error("{0}")]
    AlreadyThere(Said),
    /// Something still hangs on it.
    #[error("{0}")]
    InUse(Said),
    /// The token was sent with another request before.
    #[error("{0}")]
    TokenMismatch(Said),
    /// What this token launched has been terminated since.
    #[error("{0}")]
    TokenSpent(Said),
    /// Something in a batch is wrong, and nothing of the batch was done.
    #[error("{0}")]
    BadBatch(Said),
    /// The request itself is wrong.
    #[error("{0}")]
    Rejected(Said),
    /// It was not sent: whoever wanted it has been told to stop.
    #[error("{0}")]
    Stopped(Said),
}

impl Error {
    /// Names what AWS said.
    pub fn from_said(said: Said) -> Self {
        match said.code.as_str() {
            "RequestLimitExceeded"
            | "PriorRequestNotComplete"
            | "Throttling"
            | "ThrottlingException"
            | "EC2ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException" => Self::Throttled(said),
            "Unavailable" | "ServiceUnavailable" | "InternalError" | "InternalFailure"
            | "RequestTimeout" => Self::OutcomeUnknown(said),
            "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientCapacity"
            | "Unsupported" => Self::NoCapacity(said),
            "InsufficientFreeAddressesInSubnet" => Self::SubnetFull(said),
            "UnauthorizedOperation"
            | "AuthFailure"
            | "AccessDenied"
            | "AccessDeniedException"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "RequestExpired"
            | "UnrecognizedClientException"
            | "OptInRequired"
            | "Blocked"
            | "PendingVerification" => Self::NotAllowed(said),
            "InvalidSubnet.Conflict"
            | "InvalidGroup.Duplicate"
            | "InvalidPermission.Duplicate"
            | "RouteAlreadyExists"
            | "Resource.AlreadyAssociated" => Self::AlreadyThere(said),
            "DependencyViolation" => Self::InUse(said),
            "IdempotentParameterMismatch" => Self::TokenMismatch(said),
            "InvalidChangeBatch" => Self::BadBatch(said),
            "NoSuchHostedZone" => Self::NotThere(said),
            "IdempotentInstanceTerminated" => Self::TokenSpent(said),
            code if code.ends_with("LimitExceeded") => Self::AccountLimit(said),
            code if code.ends_with(".NotFound") => Self::NotThere(said),
            _ => Self::Rejected(said),
        }
    }

    /// The same for an answer whose status may be a 5xx: with a code that is not known it is trouble of AWS's ("Error
    /// codes for the Amazon EC2 API", "Server error codes"), and the call may have taken effect all the same.
    fn from_answer(said: Said, is_server_error: bool) -> Self {
        match Self::from_said(said) {
            Self::Rejected(said) if is_server_error => Self::OutcomeUnknown(said),
            named => named,
        }
    }

    /// What AWS said.
    pub fn said(&self) -> &Said {
        match self {
            Self::Throttled(said)
            | Self::OutcomeUnknown(said)
            | Self::NoCapacity(said)
            | Self::SubnetFull(said)
            | Self::AccountLimit(said)
            | Self::NotAllowed(said)
            | Self::NotThere(said)
            | Self::AlreadyThere(said)
            | Self::InUse(said)
            | Self::TokenMismatch(said)
            | Self::TokenSpent(said)
            | Self::BadBatch(said)
            | Self::Rejected(said)
            | Self::Stopped(said) => said,
        }
    }

    /// Whether the same call may succeed a little later without anybody doing anything: a throttle, trouble of AWS's,
    /// and an object that is too young to be known everywhere.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Throttled(_) | Self::OutcomeUnknown(_) | Self::NotThere(_) | Self::Stopped(_)
        )
    }

    /// Whether a launch named a subnet or a security group that is not there: a new look at the network helps.
    pub fn is_about_the_network(&self) -> bool {
        matches!(self, Self::NotThere(said) if matches!(
            said.code.as_str(),
            "InvalidSubnetID.NotFound" | "InvalidGroup.NotFound" | "InvalidSecurityGroupID.NotFound"
        ))
    }

    /// Whether AWS does not know the credentials, or does not let the role be assumed: no call will succeed with them. A
    /// region that the account has not opted in to knows none, either.
    pub fn is_about_credentials(&self) -> bool {
        matches!(self, Self::NotAllowed(said) if said.action == ASSUME_ROLE || matches!(
            said.code.as_str(),
            "AuthFailure" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "ExpiredToken" | "RequestExpired"
                | "UnrecognizedClientException" | "OptInRequired" | UNUSABLE
        ))
    }

    /// Whether it is STS that has refused, before the call itself was sent.
    pub(crate) fn is_of_sts(&self) -> bool {
        matches!(self.said().action, ASSUME_ROLE | GET_CALLER_IDENTITY)
    }

    /// Whether AWS has said nothing.
    pub fn is_silence(&self) -> bool {
        self.said().code == NO_ANSWER
    }

    /// Whether the call may have taken effect although it did not succeed.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    pub(crate) fn no_answer(action: &'static str, message: &str) -> Self {
        Self::OutcomeUnknown(Said {
            action,
            code: NO_ANSWER.to_owned(),
            message: message.to_owned(),
        })
    }

    pub(crate) fn stopped(action: &'static str) -> Self {
        Self::Stopped(Said {
            action,
            code: "Stopped".to_owned(),
            message: "the worker stops; the call was not sent".to_owned(),
        })
    }
}

/// Turns what the SDK answers with into an [`Error`].
pub(crate) fn from_sdk<E>(action: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| match &error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let said = Said {
                action,
                // A body that is no EC2 error (a proxy's page, say) has no code: nobody knows what happened.
                code: meta.code().unwrap_or("InternalFailure").to_owned(),
                message: meta.message().unwrap_or("AWS gave no message").to_owned(),
            };
            Error::from_answer(said, service.raw().status().is_server_error())
        }
        other => match of_credentials(other) {
            // The call itself was not sent.
            Some(refused) => refused,
            None => unsent_or_lost(action, other),
        },
    }
}

fn unsent_or_lost<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + 'static,
{
    let said = |code: &str| Said {
        action,
        code: code.to_owned(),
        message: chain(error),
    };
    match error {
        SdkError::ConstructionFailure(_) => Error::Rejected(said("ConstructionFailure")),
        _ => Error::OutcomeUnknown(said(NO_ANSWER)),
    }
}

/// The error of a provider of credentials, which the SDK wraps in its own.
pub(crate) fn of_credentials(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Error>() {
            return Some(refused.clone());
        }
        source = cause.source();
    }
    None
}

/// The message of an error and of what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(code: &str) -> Error {
        Error::from_said(Said {
            action: "RunInstances",
            code: code.into(),
            message: "m".into(),
        })
    }

    #[test]
    fn i9_a_throttle_or_an_account_limit_is_never_a_lack_of_capacity() {
        for code in ["RequestLimitExceeded", "Throttling", "ThrottlingException"] {
            assert!(matches!(named(code), Error::Throttled(_)), "{code}");
        }
        for code in [
            "VcpuLimitExceeded",
            "InstanceLimitExceeded",
            "VpcLimitExceeded",
            "SubnetLimitExceeded",
        ] {
            assert!(matches!(named(code), Error::AccountLimit(_)), "{code}");
        }
        for code in [
            "InsufficientInstanceCapacity",
            "InsufficientHostCapacity",
            "Unsupported",
        ] {
            assert!(matches!(named(code), Error::NoCapacity(_)), "{code}");
        }
    }

    #[test]
    fn trouble_of_awss_leaves_the_outcome_unknown() {
        for code in [
            "InternalError",
            "InternalFailure",
            "ServiceUnavailable",
            "Unavailable",
        ] {
            assert!(matches!(named(code), Error::OutcomeUnknown(_)), "{code}");
        }
    }

    #[test]
    fn a_server_error_whose_code_is_not_known_leaves_the_outcome_unknown() {
        let said = |code: &str| Said {
            action: "CreateVpc",
            code: code.into(),
            message: "m".into(),
        };
        let unknown = Error::from_answer(said("SomethingNew"), true);
        assert!(unknown.may_have_taken_effect() && unknown.may_pass());
        let refused = Error::from_answer(said("SomethingNew"), false);
        assert!(matches!(refused, Error::Rejected(_)));
        // EC2 answers these with 5xx, too, and says what they are.
        let full = Error::from_answer(said("InsufficientInstanceCapacity"), true);
        assert!(matches!(full, Error::NoCapacity(_)));
        let throttled = Error::from_answer(said("RequestLimitExceeded"), true);
        assert!(matches!(throttled, Error::Throttled(_)));
    }

    #[test]
    fn awss_own_words_are_kept() {
        assert_eq!(
            named("InvalidAMIID.NotFound").to_string(),
            "InvalidAMIID.NotFound (RunInstances): m"
        );
        assert!(matches!(named("InvalidAMIID.NotFound"), Error::NotThere(_)));
        assert!(matches!(named("InvalidParameterValue"), Error::Rejected(_)));
    }
}
