//! What the agent of a host talks to: Docker Cloud's protocol of agent 1.1.0, and what Berth's own agent adds to it.
//!
//! A host registers with a token and is a node from then on; the token stays its only credential. It announces the
//! certificate of its engine at every start, and asks whether the engine can be reached. A host that is told 401 or 404
//! knows that it was forgotten.

pub(crate) mod announce;
pub(crate) mod auth;
pub(crate) mod get;
pub(crate) mod heartbeat;
pub(crate) mod heartbeats;
mod launched;
pub(crate) mod ping;
pub(crate) mod register;
mod wire;

use domain::ids::NodeId;
use store::{
    PgConnection,
    host::{self, News},
};

use crate::{App, error::ApiError};

/// Tells the log of a cluster's action what has become of its node, once that is committed.
async fn tell(app: &App, news: Option<News>) -> Result<(), ApiError> {
    if let Some(news) = news {
        let mut connection = app.pool.acquire().await?;
        news.tell(&mut connection).await?;
    }
    Ok(())
}

/// The host of a node.
async fn read(conn: &mut PgConnection, id: NodeId) -> Result<wire::AgentNode, ApiError> {
    host::get(conn, id)
        .await?
        .map(wire::AgentNode::new)
        .ok_or_else(|| ApiError::no_such("node", id))
}
