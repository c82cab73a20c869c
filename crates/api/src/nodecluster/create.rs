//! `POST /api/infra/v1/nodecluster/`: a new cluster, nothing deployed yet.

use axum::{extract::State, http::StatusCode};
use domain::{
    action::ActionKind,
    catalogue::View,
    cluster::{
        DEFAULT_DISK_GB, Invalid, NewCluster, validate_disk, validate_name, validate_nickname,
        validate_target,
    },
    node::{READINESS, Readiness},
    ssh,
    state::ActionState,
    tags, user_data,
};
use store::{
    action::{self, ObjectType},
    cluster, quota,
};
use utoipa::{ToSchema, openapi::Object};

use crate::{
    Agents, App,
    answer::Acted,
    auth::Caller,
    body::{JsonBody, Members},
    catalogue::choose,
    docs,
    error::{ApiError, ErrorBody},
    nodecluster::wire::{self, NodeCluster, ProviderOptions},
    tag::{self, NewTag},
    uri,
};

/// A wish for a new node cluster.
// Only there for the specification: `read` takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({
    "name": "my-cluster",
    "region": "/api/infra/v1/region/aws/us-east-1/",
    "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    "target_num_nodes": 2,
    "disk": 60,
    "tags": [{"name": "web"}]
}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct NewNodeCluster {
    /// The name: letters, digits, `-` and `_`. A live cluster of the namespace may not have it already.
    #[schema(example = "my-cluster", pattern = "^[A-Za-z0-9_-]{1,128}$")]
    name: String,
    #[schema(schema_with = region_uri)]
    region: String,
    #[schema(schema_with = node_type_uri)]
    node_type: String,
    /// How many nodes are wanted; 1 where nothing is said. A string of digits is taken too.
    #[schema(example = 2, minimum = 0, maximum = 1000)]
    target_num_nodes: Option<i64>,
    /// The disk of each node in GB; 60 where nothing is said. A string of digits is taken too.
    #[schema(example = 60, minimum = 8, maximum = 16384)]
    disk: Option<i64>,
    /// A name for people; the name itself where nothing is said.
    #[schema(
        example = "My cluster",
        max_length = 128,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$"
    )]
    nickname: Option<String>,
    /// The user's own tags.
    tags: Option<Vec<NewTag>>,
    /// The AWS side. Empty objects and empty strings mean absent.
    provider_options: Option<ProviderOptions>,
    /// The public keys that may log in to the nodes as the image's own user, each as the line of a `.pub` file; none where
    /// nothing is said. All of them must fit into EC2's 16 KB of user data.
    #[schema(example = json!([
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH anna@example.com"
    ]))]
    ssh_authorized_keys: Option<Vec<String>>,
    /// What makes the nodes `Deployed`: `agent`, that their agent has called home and their Docker engine answers; or
    /// `instance`, that their instance runs, for images without an agent. What the installation has as its default where
    /// nothing is said.
    #[schema(example = json!(null), pattern = "^(agent|instance)$")]
    readiness: Option<String>,
}

fn region_uri() -> Object {
    docs::text(uri::REGION, "The URI of the region to deploy to.")
}

fn node_type_uri() -> Object {
    let about = "The URI of the type of the nodes. Some zone of the region must offer it.";
    docs::text(uri::NODE_TYPE, about)
}

/// Create a node cluster
///
/// The new cluster is in state `Init`: nothing is deployed until it is asked for with `deploy/`.
#[utoipa::path(
    post,
    path = "/api/infra/v1/nodecluster/",
    operation_id = "create_node_cluster",
    tag = "Node clusters",
    request_body = NewNodeCluster,
    responses(
        (
            status = 201, description = "The new node cluster.", body = NodeCluster,
            headers(("X-DockerCloud-Action-URI" = String, description = "The URI of the action that records it."))
        ),
        (status = 400, description = "A member is missing or can't be taken; the error names it.", body = ErrorBody),
        (status = 403, description = "The namespace may have no more, or the role does not allow it.", body = ErrorBody),
        (status = 409, description = "A live node cluster has the name already.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    body: JsonBody,
) -> Result<Acted<NodeCluster>, ApiError> {
    let view = app.catalogue(&caller).await?;
    let (new, automatic) = read(body.members, &view, &app.agents)?;

    let mut tx = app.pool.begin().await?;
    let had = quota::begin(&mut tx, caller.namespace()).await?;
    let id = cluster::insert(&mut tx, caller.namespace(), &new, &automatic).await?;
    let action = action::insert(
        &mut tx,
        &caller.record(&body.text),
        action::New {
            kind: ActionKind::CreateCluster,
            object_type: ObjectType::NodeCluster,
            object_id: id.0,
            target_num_nodes: None,
            state: ActionState::Success,
        },
    )
    .await?;
    quota::check(&mut tx, caller.namespace(), app.quota, had).await?;
    let line = format!(
        "Created node cluster {} of {} {} in {}; nothing is deployed yet",
        new.name, new.target_num_nodes, new.node_type, new.region
    );
    action::log(&mut tx, action, &line).await?;
    let created = super::reread(&mut tx, &caller, id).await?;
    tx.commit().await?;

    tracing::info!(cluster = %id, "node cluster {id} was created");
    Ok(Acted {
        status: StatusCode::CREATED,
        action,
        object: NodeCluster::new(&caller.uris, created),
    })
}

/// The cluster that a body wishes for, and the tags that it gets by itself.
fn read(
    mut body: Members,
    view: &View,
    agents: &Agents,
) -> Result<(NewCluster, Vec<String>), Invalid> {
    let name = body.text("name")?.unwrap_or_default();
    validate_name(&name)?;
    let region = required(&mut body, "region")?;
    let node_type = required(&mut body, "node_type")?;
    let (region, node_type) = choose(view, &region, &node_type)?;
    let nickname = body.text("nickname")?.filter(|text| !text.is_empty());
    let nickname = nickname.unwrap_or_else(|| name.clone());
    validate_nickname(&nickname)?;
    let disk_gb = body.integer("disk")?.unwrap_or(DEFAULT_DISK_GB.into());
    let target = body.integer("target_num_nodes")?.unwrap_or(1);
    let automatic = tags::automatic(&region, &name);
    let new = NewCluster {
        nickname,
        region,
        node_type,
        disk_gb: validate_disk(disk_gb)?,
        target_num_nodes: validate_target(target)?,
        tags: tag::read(&mut body, &automatic)?.unwrap_or_default(),
        provider_options: wire::read_options(&mut body)?,
        ssh_authorized_keys: read_keys(&mut body)?,
        readiness: read_readiness(&mut body, agents)?,
        name,
    };
    Ok((new, automatic))
}

fn read_keys(body: &mut Members) -> Result<Vec<String>, Invalid> {
    let keys = ssh::validate_keys(&body.texts(ssh::FIELD)?)?;
    user_data::check_size(&keys)?;
    Ok(keys)
}

fn read_readiness(body: &mut Members, agents: &Agents) -> Result<Readiness, Invalid> {
    let readiness = match body.text(READINESS)?.filter(|text| !text.is_empty()) {
        None => return Ok(agents.readiness),
        Some(text) => text.parse().map_err(|_| {
            let reason = format!("{text:?} is neither \"agent\" nor \"instance\"");
            Invalid::new(READINESS, reason)
        })?,
    };
    if readiness == Readiness::Agent && agents.public_url.is_none() {
        let reason = "agents do not know where to call home; ask the operator of Berth to set BERTH_PUBLIC_URL, or say \
                      \"instance\"";
        return Err(Invalid::new(READINESS, reason));
    }
    Ok(readiness)
}

fn required(body: &mut Members, name: &str) -> Result<String, Invalid> {
    body.text(name)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Invalid::new(name, "is required"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::tests::small;

    fn wish(text: &str) -> Result<NewCluster, String> {
        let body = JsonBody::parse(text.as_bytes()).unwrap();
        read(body.members, &small(), &Agents::default())
            .map(|(new, _)| new)
            .map_err(|error| error.to_string())
    }

    const FRONT: &str = r#"{"name": "web", "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/""#;

    #[test]
    fn what_is_not_said_has_docker_clouds_defaults() {
        let new = wish(&format!("{FRONT}}}")).unwrap();
        assert_eq!(
            (new.nickname.as_str(), new.disk_gb, new.target_num_nodes),
            ("web", 60, 1)
        );
        assert_eq!(new.provider_options, Default::default());
        assert!(new.tags.is_empty());
    }

    #[test]
    fn the_original_clients_bodies_are_taken() {
        let cli = wish(&format!(
            r#"{FRONT}, "disk": "80", "target_num_nodes": 3, "tags": [{{"name": "a"}}]}}"#
        ))
        .unwrap();
        assert_eq!((cli.disk_gb, cli.target_num_nodes), (80, 3));
        assert_eq!(cli.tags, ["a"]);

        let go = |options: &str| wish(&format!(r#"{FRONT}, "provider_options": {options}}}"#));
        let vpc_only = go(r#"{"vpc":{"id":"vpc-0a1b2c3d"},"iam":{}}"#).unwrap();
        assert_eq!(vpc_only.provider_options.vpc.unwrap().id, "vpc-0a1b2c3d");
        let iam_only = go(r#"{"vpc":{"id":""},"iam":{"instance_profile_name":"p"}}"#).unwrap();
        assert!(iam_only.provider_options.vpc.is_none());
        assert_eq!(iam_only.provider_options.instance_profile(), Some("p"));
        for nothing in [
            "{}",
            "null",
            r#"{"vpc": null, "iam": null}"#,
            r#"{"vpc": {}}"#,
        ] {
            assert_eq!(go(nothing).unwrap().provider_options, Default::default());
        }
    }

    #[test]
    fn what_can_not_be_taken_is_named() {
        let cases = [
            ("{}".to_owned(), "name: is required"),
            (r#"{"name": "web"}"#.to_owned(), "region: is required"),
            (
                format!(r#"{FRONT}, "disk": 3}}"#),
                "disk: 3 is out of range",
            ),
            (
                format!(r#"{FRONT}, "target_num_nodes": 1001}}"#),
                "target_num_nodes: 1001 is out of range",
            ),
            (
                format!(r#"{FRONT}, "ssh_authorized_keys": ["ssh-rsa"]}}"#),
                "ssh_authorized_keys[0]: has nothing behind ssh-rsa",
            ),
            (
                format!(r#"{FRONT}, "ssh_authorized_keys": "ssh-rsa"}}"#),
                "ssh_authorized_keys: \"ssh-rsa\" is not a list",
            ),
            (
                format!(r#"{FRONT}, "readiness": "soon"}}"#),
                "readiness: \"soon\" is neither \"agent\" nor \"instance\"",
            ),
            (
                format!(r#"{FRONT}, "readiness": "agent"}}"#),
                "readiness: agents do not know where to call home",
            ),
            (
                format!(r#"{FRONT}, "tags": ["a"]}}"#),
                "tags[0]: \"a\" is not an object",
            ),
            (
                format!(r#"{FRONT}, "tags": [{{}}]}}"#),
                "tags[0].name: is required",
            ),
            (
                format!(
                    r#"{FRONT}, "provider_options": {{"vpc": {{"subnets": ["subnet-0a1b2c3d"]}}}}}}"#
                ),
                "provider_options.vpc.id: is required",
            ),
        ];
        for (body, expected) in cases {
            let message = wish(&body).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
