//! `POST /api/audit/v1/action/{uuid}/retry/`: the same once more, from where things stand.

use axum::{extract::State, http::StatusCode};
use store::{operation, quota};

use super::{Object, lock_with_object, reread};
use crate::{
    App,
    action::wire::Action,
    answer::{Acted, Id},
    auth::Caller,
    error::{ApiError, ErrorBody},
    nodecluster,
    provider::credentials::MayLaunch,
};

/// Retry an action
///
/// What an ended action was to do is done again from where things stand, by a new action, which is answered: a deploy
/// adds the nodes that are missing, a scale takes the node cluster to the size that it asked for. An action that was done
/// with its request (a create, an update) can't be retried: send that request again. A body is ignored.
#[utoipa::path(
    post,
    path = "/api/audit/v1/action/{uuid}/retry/",
    operation_id = "retry_action",
    tag = "Actions",
    params(("uuid" = Uuid, Path, description = "The action's id.")),
    responses(
        (
            status = 202, description = "The new action, in state `In progress` or `Pending`.", body = Action,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the new action."))
        ),
        (status = 400, description = "The state of the action or of its object forbids it.", body = ErrorBody),
        (status = 403, description = "The namespace may have no more, or the role does not allow it.", body = ErrorBody),
        (status = 404, description = "There is no such action in the namespace.", body = ErrorBody),
    )
)]
pub(crate) async fn retry(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Acted<Action>, ApiError> {
    let mut tx = app.pool.begin().await?;
    // The stronger lock of the namespace first: two who have the weaker one would wait for each other.
    let had = quota::begin(&mut tx, caller.namespace()).await?;
    let may_launch = MayLaunch::keep(&app, &mut tx, &caller).await?;
    let (found, object) = lock_with_object(&mut tx, &caller, id).await?;
    caller.may(found.kind.needs())?;
    found.kind.after_retry(found.state)?;
    let request = caller.record("");
    let again = match (
        &object,
        found.kind.cluster_operation(),
        found.kind.node_operation(),
    ) {
        (Object::Cluster(cluster), Some(asked), _) => {
            let target = found.target_num_nodes;
            nodecluster::check_launch(may_launch, cluster, asked, target)?;
            operation::ask_of_cluster(&mut tx, &request, cluster, asked, target).await?
        }
        (Object::Node(node), _, Some(asked)) => {
            operation::ask_of_node(&mut tx, &request, node, asked).await?
        }
        // Whatever can be retried is an operation on one of these.
        _ => return Err(ApiError::no_such("action that can be retried", id)),
    };
    quota::check(&mut tx, caller.namespace(), app.quota, had).await?;
    let action = reread(&mut tx, &caller, again.0).await?;
    tx.commit().await?;

    tracing::info!(action = %id, %again, "action {id} is retried as {again}");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action: again,
        object: Action::new(&caller.uris, action),
    })
}
