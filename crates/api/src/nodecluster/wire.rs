//! A node cluster as it stands on the wire.

use domain::{cluster::Invalid, provider_options as options, state::ClusterState};
use serde::Serialize;
use serde_json::json;
use store::cluster::Cluster;
use utoipa::{
    ToSchema,
    openapi::{
        Array, Object, ObjectBuilder,
        schema::{ArrayBuilder, Type},
    },
};
use uuid::Uuid;

use crate::{
    body::Members,
    docs,
    tag::{self, Tag},
    time,
    uri::{self, Uris},
};

/// A group of nodes of one type in one region.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeCluster {
    /// How many of its nodes exist.
    #[schema(example = 2)]
    current_num_nodes: u32,
    /// When it was first deployed.
    #[schema(required = true, example = "Tue, 16 Sep 2014 17:01:15 +0000")]
    deployed_datetime: Option<String>,
    /// When it was terminated.
    #[schema(required = true, example = json!(null))]
    destroyed_datetime: Option<String>,
    /// The disk of each node in GB.
    #[schema(example = 60)]
    disk: u32,
    /// The name, unique among the live clusters of the namespace.
    #[schema(example = "my-cluster")]
    name: String,
    /// The name for people.
    #[schema(example = "My cluster")]
    nickname: String,
    /// The URI of the type of its nodes.
    #[schema(example = "/api/infra/v1/nodetype/aws/t3.micro/")]
    node_type: String,
    /// The URIs of its nodes, but those that are terminated.
    #[schema(example = json!(["/api/infra/v1/node/75d20367-0948-4f10-8ba4-ffb4d16ed3c6/"]))]
    nodes: Vec<String>,
    /// The AWS side; empty where everything is left to Berth.
    provider_options: ProviderOptions,
    /// The URI of its region.
    #[schema(example = "/api/infra/v1/region/aws/us-east-1/")]
    region: String,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/nodecluster/5516df0b-721e-4470-b350-741ff22e63a0/")]
    resource_uri: String,
    #[schema(schema_with = states)]
    state: &'static str,
    /// The tags that it got by itself, then its user's.
    tags: Vec<Tag>,
    /// How many nodes are wanted.
    #[schema(example = 2)]
    target_num_nodes: u32,
    /// Its id.
    uuid: Uuid,
}

impl NodeCluster {
    pub(super) fn new(uris: &Uris, cluster: Cluster) -> Self {
        Self {
            current_num_nodes: cluster.current_num_nodes,
            deployed_datetime: cluster.deployed_at.map(time::wire),
            destroyed_datetime: cluster.destroyed_at.map(time::wire),
            disk: cluster.disk_gb,
            nickname: cluster.nickname,
            name: cluster.name,
            node_type: uri::node_type(&cluster.node_type),
            nodes: cluster.nodes.into_iter().map(|id| uris.node(id)).collect(),
            provider_options: cluster.provider_options.into(),
            region: uri::region(&cluster.region),
            resource_uri: uris.cluster(cluster.id),
            state: cluster.state.as_str(),
            tags: tag::wire(cluster.automatic_tags, cluster.tags),
            target_num_nodes: cluster.target_num_nodes,
            uuid: cluster.id.0,
        }
    }
}

fn states() -> Object {
    let all = ClusterState::ALL.iter().map(|state| state.as_str());
    docs::state(all, "How far it is.")
}

/// What its user fixes about the AWS side.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(example = json!({
    "vpc": {
        "id": "vpc-0a1b2c3d",
        "subnets": ["subnet-0a1b2c3d", "subnet-4a1b2c3d"],
        "security_groups": ["sg-0a1b2c3d"]
    },
    "iam": {"instance_profile_name": "my_instance_profile_name"}
}))]
pub(crate) struct ProviderOptions {
    /// A VPC of the user's; absent means that Berth manages one.
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc: Option<Vpc>,
    /// What the nodes may do in AWS; absent means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    iam: Option<Iam>,
}

/// A VPC of the user's and what in it to use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Vpc {
    /// Its id; required with `subnets` or `security_groups`.
    #[schema(example = "vpc-0a1b2c3d", pattern = "^vpc-([0-9a-f]{8}|[0-9a-f]{17})$")]
    id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = subnets, required = false)]
    subnets: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = security_groups, required = false)]
    security_groups: Vec<String>,
}

fn subnets() -> Array {
    ids(
        "subnet",
        "The subnets to spread the nodes over; absent means that Berth makes what is missing.",
    )
    .build()
}

fn security_groups() -> Array {
    ids(
        "sg",
        "The security groups of every node, at most five; absent means Berth's own.",
    )
    .max_items(Some(options::MAX_SECURITY_GROUPS))
    .build()
}

/// The schema of a list of ids of AWS's of one kind.
fn ids(kind: &str, about: &str) -> ArrayBuilder {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(format!("^{kind}-([0-9a-f]{{8}}|[0-9a-f]{{17}})$")));
    ArrayBuilder::new()
        .items(id)
        .description(Some(about))
        .examples([json!([format!("{kind}-0a1b2c3d")])])
}

/// What the nodes may do in AWS.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Iam {
    /// The name, not the ARN, of an instance profile.
    #[schema(
        example = "my_instance_profile_name",
        pattern = "^[A-Za-z0-9_+=,.@-]{1,128}$"
    )]
    instance_profile_name: String,
}

impl From<options::ProviderOptions> for ProviderOptions {
    fn from(options: options::ProviderOptions) -> Self {
        Self {
            vpc: options.vpc.map(|vpc| Vpc {
                id: vpc.id,
                subnets: vpc.subnets,
                security_groups: vpc.security_groups,
            }),
            iam: options.iam.map(|iam| Iam {
                instance_profile_name: iam.instance_profile_name,
            }),
        }
    }
}

/// The `provider_options` of a body. Empty objects and empty strings mean absent, as the original Go client sends them.
pub(super) fn read_options(body: &mut Members) -> Result<options::ProviderOptions, Invalid> {
    let mut options = body.object("provider_options")?;
    let mut vpc = options.object("vpc")?;
    let mut iam = options.object("iam")?;
    options::ProviderOptions::new(
        &vpc.text("id")?.unwrap_or_default(),
        vpc.texts("subnets")?,
        vpc.texts("security_groups")?,
        &iam.text("instance_profile_name")?.unwrap_or_default(),
    )
}
