//! The agent endpoints, `/api/agent/v1/node/…`, as an agent calls them.

use http::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use hyper::body::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    config::Token,
    http::{HttpError, Transport},
    wire::{Announcement, Form, Heartbeat, HeartbeatAnswer, Ping, Registration, VERSION},
};

/// As much of a refusal as is worth a line in the log.
const EXCERPT: usize = 300;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The server can't be reached.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The server answered with another status than 200, 201 and 202.
    #[error("the server answers {status}{excerpt}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The beginning of the answer, for the log.
        excerpt: String,
        /// Whether the server said so itself: its errors are JSON objects, those of a proxy before it are not.
        is_its_own: bool,
    },
    /// The server answered something else.
    #[error("the server's answer can't be understood: {0}")]
    Garbage(#[source] serde_json::Error),
    /// The request can't be written.
    #[error("the request can't be written: {0}")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// Whether the token is worth nothing.
    pub fn is_unauthorized(&self) -> bool {
        self.has_status(StatusCode::UNAUTHORIZED)
    }

    /// Whether the server does not know the node any more: to the original agent, 401 and 404 are the same.
    pub fn is_forgotten(&self) -> bool {
        self.is_unauthorized() || self.has_status(StatusCode::NOT_FOUND)
    }

    fn has_status(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Status { status, is_its_own: true, .. } if *status == wanted)
    }
}

/// The server, to an agent with this token.
#[derive(Debug)]
pub struct Api<T> {
    transport: T,
    /// Ends with a slash, as every path below it does.
    base: String,
    /// With which machines register.
    token: Token,
    /// The node's own, where it has one.
    own_token: Option<Token>,
}

impl<T: Transport> Api<T> {
    /// The server at this URL.
    pub fn new(transport: T, host: &str, token: Token) -> Self {
        Self {
            transport,
            base: format!("{}/api/agent/v1/node/", host.trim_end_matches('/')),
            token,
            own_token: None,
        }
    }

    /// Speaks for a node with its own token from now on, or with the configured one again.
    pub fn use_own_token(&mut self, token: Option<Token>) {
        self.own_token = token;
    }

    /// Registers this machine as a node.
    pub async fn register(&self, registration: &Registration) -> Result<Form, ApiError> {
        self.call_with(&self.token, Method::POST, "", Some(registration))
            .await
    }

    /// Announces the node's certificate; an agent does so whenever it starts.
    pub async fn announce(
        &self,
        node: Uuid,
        announcement: &Announcement,
    ) -> Result<Form, ApiError> {
        self.call(Method::PATCH, &format!("{node}/"), Some(announcement))
            .await
    }

    /// Asks for the node.
    pub async fn node(&self, node: Uuid) -> Result<Form, ApiError> {
        self.call(Method::GET, &format!("{node}/"), NO_BODY).await
    }

    /// Asks the server whether it can reach the node's engine.
    pub async fn ping(&self, node: Uuid) -> Result<Ping, ApiError> {
        self.call(Method::POST, &format!("{node}/ping/"), NO_BODY)
            .await
    }

    /// Says that the node lives.
    pub async fn heartbeat(
        &self,
        node: Uuid,
        heartbeat: &Heartbeat,
    ) -> Result<HeartbeatAnswer, ApiError> {
        self.call(Method::POST, &format!("{node}/heartbeat/"), Some(heartbeat))
            .await
    }

    async fn call<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, ApiError> {
        let token = self.own_token.as_ref().unwrap_or(&self.token);
        self.call_with(token, method, path, body).await
    }

    async fn call_with<A: DeserializeOwned>(
        &self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<A, ApiError> {
        let body = match body {
            Some(body) => {
                serde_json::to_vec(body).map_err(|error| ApiError::Request(error.into()))?
            }
            None => Vec::new(),
        };
        let mut token = HeaderValue::try_from(format!("TutumAgentToken {}", token.0))
            .map_err(|error| ApiError::Request(error.into()))?;
        token.set_sensitive(true);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, token)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, format!("berth-agent/{VERSION}"))
            .body(Bytes::from(body))
            .map_err(|error| ApiError::Request(error.into()))?;
        let answer = self.transport.send(request).await?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => {
                serde_json::from_slice(answer.body()).map_err(ApiError::Garbage)
            }
            status => Err(ApiError::Status {
                status,
                excerpt: excerpt(answer.body()),
                is_its_own: serde_json::from_slice::<Map<String, Value>>(answer.body()).is_ok(),
            }),
        }
    }
}

const NO_BODY: Option<&()> = None;

/// The beginning of an answer, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut text: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(EXCERPT)
        .collect();
    if !text.is_empty() {
        text.insert_str(0, ": ");
    }
    text
}
