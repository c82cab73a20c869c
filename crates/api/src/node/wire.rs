//! A node as it stands on the wire.

use domain::state::NodeState;
use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use crate::{
    docs,
    tag::{self, Tag},
    time,
    uri::{self, Uris},
};

/// A host of a node cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// The URI of its availability zone; null until it is decided.
    #[schema(
        required = true,
        example = "/api/infra/v1/az/aws/us-east-1/us-east-1a/"
    )]
    availability_zone: Option<String>,
    /// How many virtual CPUs it has.
    #[schema(required = true, example = 2)]
    cpu: Option<u32>,
    /// How many containers run on it.
    #[schema(example = 0)]
    current_num_containers: u32,
    /// When it was deployed.
    #[schema(required = true, example = "Tue, 16 Sep 2014 17:01:15 +0000")]
    deployed_datetime: Option<String>,
    /// When it was terminated.
    #[schema(required = true, example = json!(null))]
    destroyed_datetime: Option<String>,
    /// Its disk in GB.
    #[schema(required = true, example = 60)]
    disk: Option<u32>,
    /// The execution driver of its Docker engine, once known.
    #[schema(required = true, example = json!(null))]
    docker_execdriver: Option<String>,
    /// The storage driver of its Docker engine, once known.
    #[schema(required = true, example = json!(null))]
    docker_graphdriver: Option<String>,
    /// The version of its Docker engine, once known.
    #[schema(required = true, example = json!(null))]
    docker_version: Option<String>,
    /// The name under which it can be reached: in the hosted zone where the installation has one, else EC2's; that is empty
    /// until there is one.
    #[schema(example = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf.node.example.com")]
    external_fqdn: String,
    /// When it was last seen.
    #[schema(required = true, example = "Tue, 16 Sep 2014 17:04:00 +0000")]
    last_seen: Option<String>,
    /// Its memory in MB.
    #[schema(required = true, example = 1024)]
    memory: Option<u32>,
    /// The name for people; its external name where none was given.
    #[schema(example = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf.node.example.com")]
    nickname: String,
    /// The URI of its node cluster; null for one that its owner brought.
    #[schema(
        required = true,
        example = "/api/infra/v1/nodecluster/5516df0b-721e-4470-b350-741ff22e63a0/"
    )]
    node_cluster: Option<String>,
    /// The URI of its type.
    #[schema(required = true, example = "/api/infra/v1/nodetype/aws/t3.micro/")]
    node_type: Option<String>,
    /// Its addresses inside its VPC.
    private_ips: Vec<PrivateIp>,
    /// Its address on the internet.
    #[schema(required = true, example = "203.0.113.25")]
    public_ip: Option<String>,
    /// The URI of its region.
    #[schema(required = true, example = "/api/infra/v1/region/aws/us-east-1/")]
    region: Option<String>,
    /// Its own URI.
    #[schema(example = "/api/infra/v1/node/75d20367-0948-4f10-8ba4-ffb4d16ed3c6/")]
    resource_uri: String,
    #[schema(schema_with = states)]
    state: &'static str,
    /// The tags that its cluster got by itself, then its user's.
    tags: Vec<Tag>,
    /// The address of its tunnel, where it can't be reached directly.
    #[schema(required = true, example = json!(null))]
    tunnel: Option<String>,
    /// Its id.
    uuid: Uuid,
}

fn states() -> Object {
    let all = NodeState::ALL.iter().map(|state| state.as_str());
    docs::state(all, "How far it is.")
}

/// An address of a node inside its VPC.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PrivateIp {
    /// The address with the length of its network's prefix.
    #[schema(example = "10.78.112.4/18")]
    cidr: String,
    /// The network interface.
    #[schema(example = "eth0")]
    name: String,
}

impl Node {
    pub(super) fn new(uris: &Uris, node: store::node::Node) -> Self {
        let zone = node.region.as_deref().zip(node.zone.as_deref());
        let nickname = node.nickname.filter(|nickname| !nickname.is_empty());
        Self {
            availability_zone: zone.map(|(region, zone)| uri::zone(region, zone)),
            cpu: node.vcpus,
            docker_version: node.docker_version,
            current_num_containers: node.containers,
            docker_execdriver: node.docker_execdriver,
            docker_graphdriver: node.docker_graphdriver,
            tunnel: node.tunnel,
            deployed_datetime: node.deployed_at.map(time::wire),
            destroyed_datetime: node.destroyed_at.map(time::wire),
            disk: node.disk_gb,
            last_seen: node.last_seen_at.map(time::wire),
            memory: node.memory_mb,
            nickname: nickname.unwrap_or_else(|| node.external_fqdn.clone()),
            external_fqdn: node.external_fqdn,
            node_cluster: node.cluster_id.map(|id| uris.cluster(id)),
            node_type: node.node_type.as_deref().map(uri::node_type),
            private_ips: node
                .private_ips
                .into_iter()
                .map(|ip| PrivateIp {
                    cidr: ip.cidr,
                    name: ip.name,
                })
                .collect(),
            public_ip: node.public_ip,
            region: node.region.as_deref().map(uri::region),
            resource_uri: uris.node(node.id),
            state: node.state.as_str(),
            tags: tag::wire(node.automatic_tags, node.tags),
            uuid: node.id.0,
        }
    }
}
