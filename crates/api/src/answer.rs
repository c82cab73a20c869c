//! The answer to a mutation: the object, and where its action can be read.

use axum::{
    Json,
    extract::{FromRequestParts, Path},
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use domain::ids::ActionId;
use serde::Serialize;
use uuid::Uuid;

use crate::{error::ApiError, uri};

/// The header that names the action of a mutation.
pub(crate) const ACTION_URI: HeaderName = HeaderName::from_static("x-dockercloud-action-uri");

/// What a mutation answers with.
#[derive(Debug)]
pub(crate) struct Acted<T> {
    /// 201 where something was made, else 202.
    pub(crate) status: StatusCode,
    /// The action that records the operation.
    pub(crate) action: ActionId,
    /// The object as it is from now on.
    pub(crate) object: T,
}

impl<T: Serialize> IntoResponse for Acted<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.object)).into_response();
        if let Ok(uri) = HeaderValue::try_from(uri::action(self.action)) {
            response.headers_mut().insert(ACTION_URI, uri);
        }
        response
    }
}

/// The id in a path. Nothing has a malformed id, so one is answered like an unknown one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(ApiError::no_such("object", parts.uri.path()));
        };
        uri::parse_uuid(&text)
            .map(Self)
            .ok_or_else(|| ApiError::no_such("object", format!("{text:?}; an id is a uuid")))
    }
}

/// The texts in a path, in order. What is no UTF-8 names nothing.
#[derive(Debug)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map(|Path(pairs)| Self(pairs.into_iter().map(|(_, value)| value).collect()))
            .map_err(|_| ApiError::no_such("object", parts.uri.path()))
    }
}
