//! `PATCH /api/infra/v1/nodecluster/{uuid}/`: another size, other tags, another nickname.

use axum::{extract::State, http::StatusCode};
use domain::{
    action::ActionKind,
    cluster::{Invalid, validate_nickname, validate_target},
    ids::ClusterId,
    state::{ActionState, ClusterOperation},
};
use store::{
    action::{self, ObjectType},
    cluster, operation, quota,
};
use utoipa::ToSchema;

use crate::{
    App,
    answer::{Acted, Id},
    auth::Caller,
    body::{JsonBody, Members},
    error::{ApiError, ErrorBody},
    nodecluster::wire::NodeCluster,
    provider::credentials::MayLaunch,
    tag::{self, NewTag},
};

/// What to change of a node cluster; what is left out stays.
// Only there for the specification: `Change` is what is read.
#[derive(ToSchema)]
#[schema(example = json!({"target_num_nodes": 4}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct NodeClusterChange {
    /// How many nodes are wanted. A string of digits is taken too.
    #[schema(example = 4, minimum = 0, maximum = 1000)]
    target_num_nodes: Option<i64>,
    /// The user's own tags, on the cluster and on its nodes: they replace those that there were.
    tags: Option<Vec<NewTag>>,
    /// The name for people; an empty one stands for the name itself.
    #[schema(
        example = "My cluster",
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"
    )]
    nickname: Option<String>,
}

/// What a body asks to change; what it leaves out stays.
#[derive(Debug)]
struct Change {
    target: Option<u32>,
    tags: Option<Vec<String>>,
    nickname: Option<String>,
}

impl Change {
    fn read(mut body: Members, automatic_tags: &[String]) -> Result<Self, Invalid> {
        let target = body.integer("target_num_nodes")?;
        let nickname = body.text("nickname")?;
        if let Some(nickname) = &nickname {
            validate_nickname(nickname)?;
        }
        Ok(Self {
            target: target.map(validate_target).transpose()?,
            tags: tag::read(&mut body, automatic_tags)?,
            nickname,
        })
    }

    /// Whoever may scale may not change the rest.
    fn is_more_than_a_scale(&self) -> bool {
        self.target.is_none() || self.tags.is_some() || self.nickname.is_some()
    }
}

/// Change a node cluster
///
/// A new `target_num_nodes` is applied at once: the cluster is `Scaling` until it has that many nodes. That is allowed
/// in the states `Deployed`, `Partly deployed` and `Empty cluster`, and in `Init`, where it takes effect at deploy;
/// behind an upgrade that is under way it waits: its action is `Pending`.
/// The tags and the nickname may be changed in every state but `Terminating` and `Terminated`.
/// Members that are unknown or can't be changed are ignored. Either all of the change is made or none.
#[utoipa::path(
    patch,
    path = "/api/infra/v1/nodecluster/{uuid}/",
    operation_id = "update_node_cluster",
    tag = "Node clusters",
    params(("uuid" = Uuid, Path, description = "The node cluster's id.")),
    request_body = Option<NodeClusterChange>,
    responses(
        (
            status = 202, description = "The node cluster as it is from now on.", body = NodeCluster,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action to watch."))
        ),
        (
            status = 400, description = "A member can't be taken, or the node cluster's state forbids it.",
            body = ErrorBody
        ),
        (status = 403, description = "The namespace may have no more, or the role does not allow it.", body = ErrorBody),
        (status = 404, description = "There is no such node cluster in the namespace.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn update(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody,
) -> Result<Acted<NodeCluster>, ApiError> {
    let id = ClusterId(id);
    let mut tx = app.pool.begin().await?;
    // The stronger lock of the namespace first: two who have the weaker one would wait for each other.
    let had = quota::begin(&mut tx, caller.namespace()).await?;
    let may_launch = MayLaunch::keep(&app, &mut tx, &caller).await?;
    let before = super::lock(&mut tx, &caller, id).await?;
    let change = Change::read(body.members, &before.automatic_tags)?;
    if change.is_more_than_a_scale() {
        caller.may(ActionKind::UpdateCluster.needs())?;
    }
    if change.target.is_none() {
        before.state.check_change()?;
    }
    // The tags first: new nodes inherit them.
    if let Some(tags) = &change.tags {
        cluster::set_tags(&mut tx, id, tags).await?;
    }
    if let Some(nickname) = &change.nickname {
        let nickname = match nickname.as_str() {
            "" => &before.name,
            given => given,
        };
        cluster::set_nickname(&mut tx, id, nickname).await?;
    }
    let request = caller.record(&body.text);
    let action = match change.target {
        Some(target) => {
            let scale = ClusterOperation::Scale;
            super::check_launch(may_launch, &before, scale, Some(target))?;
            operation::ask_of_cluster(&mut tx, &request, &before, scale, Some(target)).await?
        }
        None => {
            let update = action::New {
                kind: ActionKind::UpdateCluster,
                object_type: ObjectType::NodeCluster,
                object_id: id.0,
                target_num_nodes: None,
                state: ActionState::Success,
            };
            action::insert(&mut tx, &request, update).await?
        }
    };
    quota::check(&mut tx, caller.namespace(), app.quota, had).await?;
    let after = super::reread(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(cluster = %id, %action, ?change, "node cluster {id} was changed");
    Ok(Acted {
        status: StatusCode::ACCEPTED,
        action,
        object: NodeCluster::new(&caller.uris, after),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Result<Change, String> {
        let body = JsonBody::parse(text.as_bytes()).unwrap();
        Change::read(body.members, &["aws".to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_stays() {
        let nothing = change(r#"{"state": "Deployed", "tags": null}"#).unwrap();
        assert_eq!(
            (nothing.target, nothing.tags, nothing.nickname),
            (None, None, None)
        );
        assert_eq!(
            change(r#"{"target_num_nodes": 0}"#).unwrap().target,
            Some(0)
        );
        assert_eq!(change(r#"{"tags": []}"#).unwrap().tags, Some(vec![]));
    }

    #[test]
    fn automatic_tags_that_are_sent_back_do_not_become_the_users() {
        let sent = change(r#"{"tags": [{"name": "aws", "origin": "tutum"}, {"name": "web"}]}"#);
        assert_eq!(sent.unwrap().tags, Some(vec!["web".to_owned()]));
    }

    #[test]
    fn what_can_not_be_taken_is_named() {
        for (body, field) in [
            (r#"{"target_num_nodes": -1}"#, "target_num_nodes: "),
            (r#"{"target_num_nodes": "many"}"#, "target_num_nodes: "),
            (r#"{"nickname": "a\nb"}"#, "nickname: "),
            (r#"{"tags": "web"}"#, "tags: "),
        ] {
            let message = change(body).unwrap_err();
            assert!(message.starts_with(field), "{message}");
        }
    }
}
