//! `DELETE /api/infra/v1/node/{uuid}/`: this one node is to go, and is not to be replaced.

use axum::{extract::State, http::StatusCode};
use domain::{ids::NodeId, state::ActionState};
use store::{
    action::{self, ObjectType},
    cluster, node, site,
};

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    node::wire::Node,
};

/// Terminate a node
///
/// Allowed in the states `Deployed` and `Unreachable`; this can't be undone. Its node cluster wants one node less from
/// then on. A body is ignored.
#[utoipa::path(
    delete,
    path = "/api/infra/v1/node/{uuid}/",
    operation_id = "terminate_node",
    tag = "Nodes",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    responses(
        (
            status = 202, description = "The node, in state `Terminating`.", body = Node,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (status = 400, description = "The node's state forbids it.", body = ErrorBody),
        (status = 404, description = "There is no such node in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Node>, ApiError> {
    let id = NodeId(id);
    let mut tx = app.pool.begin().await?;
    // Everybody who locks both locks the cluster first. Which one that is never changes.
    let found = super::read(&mut tx, &caller, id).await?;
    let of_cluster = match found.cluster_id {
        Some(cluster_id) => cluster::lock(&mut tx, caller.namespace(), cluster_id).await?,
        None => None,
    };
    let before = super::lock(&mut tx, &caller, id).await?;
    before.state.after_terminate()?;
    let action = action::insert(
        &mut tx,
        &caller.record(""),
        "Node Terminate",
        ObjectType::Node,
        id.0,
        ActionState::InProgress,
    )
    .await?;
    node::retire(&mut tx, &[id], Some(action)).await?;
    if let Some(of_cluster) = of_cluster {
        cluster::want_one_less(&mut tx, of_cluster.id).await?;
        if let Some(site) = of_cluster.site_id {
            site::wake(&mut tx, site).await?;
        }
    }
    let after = super::read(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(node = %id, %action, "node {id} is to be terminated");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: Node::new(&caller.uris, after),
    })
}
