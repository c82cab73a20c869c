//! Which host is calling: the one that registered with the token that it presents.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use domain::{ids::NodeId, state::NodeState};
use store::host;
use uuid::Uuid;

use crate::{App, answer::Id, auth, edge::origin, error::ApiError};

/// The scheme of agents; it kept its name when Tutum became Docker Cloud.
pub(crate) const SCHEME: &str = "TutumAgentToken";

/// A token as it was presented, whatever it is worth.
#[derive(Debug)]
pub(crate) struct Presented {
    /// What is kept of it.
    pub(crate) sha256: [u8; 32],
    /// The address of whoever presents it.
    pub(crate) from: String,
    origin: Option<IpAddr>,
}

impl Presented {
    /// The token is worth nothing.
    pub(crate) fn is_wrong(&self, app: &App) {
        app.logins.were_wrong(self.origin, &self.sha256);
    }

    /// The token is worth something.
    pub(crate) fn is_right(&self, app: &App) {
        app.logins.were_right(self.sha256);
    }
}

/// A host, known by its token, that calls for its own node.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its node.
    pub(crate) node: NodeId,
    /// The address that it calls from.
    pub(crate) from: String,
}

impl FromRequestParts<App> for Presented {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let token = token(&parts.headers).ok_or(ApiError::UnknownAgent(
            "a token is needed: Authorization: TutumAgentToken <token>, as POST /api/infra/v1/token/ gives one",
        ))?;
        let (sha256, origin) = (auth::key_digest(token), origin::of(parts));
        app.logins.may_try(origin, &sha256)?;
        Ok(Self {
            sha256,
            from: auth::ip(parts),
            origin,
        })
    }
}

impl FromRequestParts<App> for Agent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let presented = Presented::from_request_parts(parts, app).await?;
        let id = Id::from_request_parts(parts, app).await?;
        Self::check(app, presented, id).await
    }
}

impl Agent {
    /// The host that presents this token for this node.
    pub(crate) async fn check(
        app: &App,
        presented: Presented,
        Id(id): Id,
    ) -> Result<Self, ApiError> {
        let mut connection = app.pool.acquire().await?;
        let token = host::token(&mut connection, &presented.sha256)
            .await?
            .ok_or_else(|| {
                presented.is_wrong(app);
                UNKNOWN
            })?;
        let used = token
            .used
            .filter(|used| used.node.0 == id)
            .ok_or_else(|| not_its_node(id))?;
        if is_gone(used.state) {
            return Err(REMOVED);
        }
        presented.is_right(app);
        Ok(Self {
            node: used.node,
            from: presented.from,
        })
    }
}

/// Whose node it is otherwise is nobody's business.
pub(crate) fn not_its_node(id: Uuid) -> ApiError {
    ApiError::no_such("node", id)
}

/// Nobody gave such a token.
pub(crate) const UNKNOWN: ApiError =
    ApiError::UnknownAgent("the token is not known; POST /api/infra/v1/token/ gives a new one");

/// The node was removed, and its token with it.
pub(crate) const REMOVED: ApiError = ApiError::UnknownAgent(
    "the node was removed, and its token is worth nothing any more; POST /api/infra/v1/token/ gives a new one",
);

/// Whether the hosts of nodes in this state are not listened to any more.
pub(crate) fn is_gone(state: NodeState) -> bool {
    !state.is_live()
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_as_the_original_agent_sends_it() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token(&headers).map(str::to_owned)
        };
        let some = Some("21268a001bcf40acb5c0884679d4fd1f".to_owned());
        assert_eq!(
            read("TutumAgentToken 21268a001bcf40acb5c0884679d4fd1f"),
            some
        );
        assert_eq!(
            read(" tutumagenttoken  21268a001bcf40acb5c0884679d4fd1f "),
            some
        );
        for bad in [
            "",
            "TutumAgentToken",
            "TutumAgentToken ",
            "Basic ZGV2OmE6Yg==",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(token(&HeaderMap::new()), None);
    }
}
