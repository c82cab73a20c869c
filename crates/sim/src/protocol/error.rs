//! A refusal in AWS's words. The code is what clients act on, so each constructor names one code.

use std::borrow::Cow;
use std::fmt::Display;

use super::xml::{Element, el};
use crate::protocol::auth::Service;

/// What a handler answers.
pub(crate) type Outcome = Result<Element, ApiError>;

/// A refused request: HTTP status, AWS error code and sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: u16,
    pub code: Cow<'static, str>,
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    /// Client errors are HTTP 400 unless AWS says otherwise.
    pub(crate) fn bad(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    pub(crate) fn value(message: impl Into<String>) -> Self {
        Self::bad("InvalidParameterValue", message)
    }

    /// EC2's usual sentence for a value that it cannot use.
    pub(crate) fn invalid(parameter: &str, value: impl Display) -> Self {
        Self::value(format!(
            "Value ({value}) for parameter {parameter} is invalid."
        ))
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::bad("InvalidParameterCombination", message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::bad(
            "MissingParameter",
            format!("The request must contain the parameter {parameter}"),
        )
    }

    pub(crate) fn dependency(message: impl Into<String>) -> Self {
        Self::bad("DependencyViolation", message)
    }

    pub(crate) fn auth_failure() -> Self {
        Self::new(
            401,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        )
    }

    /// The body of the answer, in the shape of the service that was asked.
    pub(crate) fn body(&self, service: Service, request_id: &str) -> String {
        let error = el("Error")
            .text("Code", &self.code)
            .text("Message", &self.message);
        let root = match service {
            Service::Ec2 => el("Response")
                .child(el("Errors").child(error))
                .text("RequestID", request_id),
            // "The InvalidChangeBatch element is the root", with a message for each change that is wrong.
            Service::Route53 if self.code == "InvalidChangeBatch" => {
                let messages = self.message.lines();
                let messages = messages.map(|it| Element::leaf("Message", it));
                el("InvalidChangeBatch")
                    .namespace(service.namespace())
                    .list("Messages", messages)
                    .text("RequestId", request_id)
            }
            Service::Iam | Service::Route53 | Service::Sts => {
                let kind = if self.status >= 500 {
                    "Receiver"
                } else {
                    "Sender"
                };
                let error = el("Error")
                    .text("Type", kind)
                    .text("Code", &self.code)
                    .text("Message", &self.message);
                el("ErrorResponse")
                    .namespace(service.namespace())
                    .child(error)
                    .text("RequestId", request_id)
            }
        };
        root.document()
    }
}
