//! A machine that Berth has launched becomes its node: it shows the token of its launch, and says which instance it is.
//!
//! The token is that of all instances of the launch, so each node is given one of its own, and nobody but the first machine
//! that has registered as an instance is taken for it.

use domain::{cluster::Invalid, host::validate_word};
use store::{
    PgConnection,
    host::{self, LaunchToken, News},
};

use super::{
    auth::{Presented, REMOVED, is_gone},
    wire::AgentNode,
};
use crate::{App, authority, error::ApiError};

/// The member of the body that names the instance.
pub(super) const INSTANCE_ID: &str = "instance_id";

/// Registers the machine as the node of this instance, which must be of the token's launch. Answers also with what is to
/// be told of it once it is committed.
///
/// # Errors
/// 401 where it is not, or where another machine has registered as it; 503 as long as nobody can say; 400 where the
/// machine does not say which instance it is.
pub(super) async fn register(
    app: &App,
    conn: &mut PgConnection,
    token: &LaunchToken,
    presented: &Presented,
    instance_id: Option<String>,
    agent_version: &str,
) -> Result<(AgentNode, Option<News>), ApiError> {
    let instance_id = instance_id.ok_or_else(|| {
        Invalid::new(
            INSTANCE_ID,
            "is required with the token of a launch: the agent reads it from the instance metadata service",
        )
    })?;
    validate_word(INSTANCE_ID, &instance_id)?;
    let found = host::lock_launched(conn, token.launch, &instance_id).await?;
    let Some(launched) = found else {
        return Err(match token.is_settled {
            true => ApiError::UnknownAgent(
                "the token is that of a launch of Berth's, and the machine is none of its instances",
            ),
            false => ApiError::NotYetLaunched,
        });
    };
    if is_gone(launched.state) {
        return Err(REMOVED);
    }
    if !launched.runs {
        return Err(ApiError::NotYetLaunched);
    }
    let is_another = |from: &String| *from != presented.from;
    if launched.is_announced || launched.registered_from.as_ref().is_some_and(is_another) {
        return Err(ApiError::UnknownAgent(
            "another machine has registered as this instance, or it has lost its key; DELETE its node",
        ));
    }
    authority::ensure(app, conn, token.namespace_id).await?;
    let own = pki::fresh_token().map_err(|error| ApiError::Authority(error.into()))?;
    let news = host::give_token(
        conn,
        launched.node,
        token.namespace_id,
        &pki::token_digest(&own),
        &presented.from,
        agent_version,
    )
    .await?;
    tracing::info!(node = %launched.node, instance_id, from = presented.from, "a launched node has called home");
    let node = super::read(conn, launched.node).await?;
    Ok((node.with_token(own), news))
}
