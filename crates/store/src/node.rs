//! Nodes: the hosts of a cluster.

use chrono::{DateTime, Utc};
use domain::{
    ids::{ClusterId, NamespaceId, NodeId},
    state::NodeState,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    Error, Result, host,
    page::{Listed, Page, TERMINATED_LISTED_HOURS},
    signed, unsigned,
};

mod watch;
mod work;

pub use watch::{
    Addresses, Seen, Watched, any_watched, bury_observed, known_instances, mark_seen, observe,
    watched,
};
pub use work::{
    bury, for_plan, keep_console_output, mark_tagged, mark_terminate_requested, retire, set_state,
};

/// An address of a node inside its VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateIp {
    /// `eth0`
    pub name: String,
    /// `10.78.112.4/18`
    pub cidr: String,
}

/// A node as it is read.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The namespace it is in.
    pub namespace_id: NamespaceId,
    /// Its cluster; none for one that its owner brought.
    pub cluster_id: Option<ClusterId>,
    /// Its state.
    pub state: NodeState,
    /// For people, where one was given.
    pub nickname: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Its node type.
    pub node_type: Option<String>,
    /// Virtual CPUs of its type, or the cores that its host told.
    pub vcpus: Option<u32>,
    /// Memory of its type in MB, or what its host told.
    pub memory_mb: Option<u32>,
    /// Root volume in GB, or the disk that its host told.
    pub disk_gb: Option<u32>,
    /// Its availability zone, once decided.
    pub zone: Option<String>,
    /// Its subnet, once decided.
    pub subnet_id: Option<String>,
    /// Its instance.
    pub instance_id: Option<String>,
    /// The name under which it can be reached: in the operator's zone, else EC2's; empty where there is none.
    pub external_fqdn: String,
    /// Its address on the internet.
    pub public_ip: Option<String>,
    /// Its addresses in the VPC.
    pub private_ips: Vec<PrivateIp>,
    /// The version of its Docker engine, once known.
    pub docker_version: Option<String>,
    /// The execution driver of its Docker engine, once known.
    pub docker_execdriver: Option<String>,
    /// The storage driver of its Docker engine, once known.
    pub docker_graphdriver: Option<String>,
    /// How many containers run on it, as far as is known.
    pub containers: u32,
    /// The address of its tunnel, where its agent opened one.
    pub tunnel: Option<String>,
    /// Its user's tags.
    pub tags: Vec<String>,
    /// The tags that its cluster got at launch.
    pub automatic_tags: Vec<String>,
    /// When it was last seen.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When it was deployed.
    pub deployed_at: Option<DateTime<Utc>>,
    /// When it was terminated.
    pub destroyed_at: Option<DateTime<Utc>>,
}

struct Row {
    id: Uuid,
    namespace_id: Uuid,
    cluster_id: Option<Uuid>,
    state: String,
    nickname: Option<String>,
    region: Option<String>,
    node_type: Option<String>,
    vcpus: Option<i32>,
    memory_mb: Option<i32>,
    disk_gb: Option<i32>,
    zone: Option<String>,
    subnet_id: Option<String>,
    instance_id: Option<String>,
    external_fqdn: String,
    public_ip: Option<String>,
    private_ips: Json<Vec<PrivateIp>>,
    docker_version: Option<String>,
    docker_execdriver: Option<String>,
    docker_graphdriver: Option<String>,
    containers: i32,
    tunnel: Option<String>,
    tags: Vec<String>,
    automatic_tags: Vec<String>,
    last_seen_at: Option<DateTime<Utc>>,
    deployed_at: Option<DateTime<Utc>>,
    destroyed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Node {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            namespace_id: row.namespace_id.into(),
            cluster_id: row.cluster_id.map(Into::into),
            state: row.state.parse()?,
            nickname: row.nickname,
            region: row.region,
            node_type: row.node_type,
            vcpus: row.vcpus.map(unsigned),
            memory_mb: row.memory_mb.map(unsigned),
            disk_gb: row.disk_gb.map(unsigned),
            zone: row.zone,
            subnet_id: row.subnet_id,
            instance_id: row.instance_id,
            external_fqdn: row.external_fqdn,
            public_ip: row.public_ip,
            private_ips: row.private_ips.0,
            docker_version: row.docker_version,
            docker_execdriver: row.docker_execdriver,
            docker_graphdriver: row.docker_graphdriver,
            containers: unsigned(row.containers),
            tunnel: row.tunnel,
            tags: row.tags,
            automatic_tags: row.automatic_tags,
            last_seen_at: row.last_seen_at,
            deployed_at: row.deployed_at,
            destroyed_at: row.destroyed_at,
        })
    }
}

/// Adds `count` nodes to a cluster, to be deployed; they inherit its tags.
///
/// # Errors
/// Postgres' own.
pub async fn insert_many(conn: &mut PgConnection, cluster: ClusterId, count: u32) -> Result<()> {
    sqlx::query!(
        r#"INSERT INTO node (id, namespace_id, cluster_id, state, tags)
           SELECT gen_random_uuid(), cluster.namespace_id, cluster.id, 'Deploying', cluster.tags
           FROM cluster, generate_series(1, $2)
           WHERE cluster.id = $1"#,
        cluster.0,
        signed(count)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many nodes of the cluster are, or are going to be, among those it was asked for.
///
/// # Errors
/// Postgres' own.
pub async fn count_live(conn: &mut PgConnection, cluster: ClusterId) -> Result<u32> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*)::integer AS "count!" FROM node
           WHERE cluster_id = $1 AND state IN ('Deploying', 'Deployed', 'Unreachable', 'Upgrading')"#,
        cluster.0
    )
    .fetch_one(conn)
    .await?;
    Ok(unsigned(count))
}

/// Which nodes are wanted; none of a field means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The node itself; terminated ones are found however long ago.
    pub id: Option<Uuid>,
    /// What its id begins with.
    pub id_prefix: Option<String>,
    /// Its state.
    pub state: Option<String>,
    /// Its cluster.
    pub cluster_id: Option<Uuid>,
    /// Its node type.
    pub node_type: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The version of its Docker engine.
    pub docker_version: Option<String>,
}

/// The nodes of a namespace, oldest first: the live ones, and those terminated within the last hour.
///
/// # Errors
/// Postgres' own.
pub async fn list(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    filter: &Filter,
    page: Page,
) -> Result<Listed<Node>> {
    let ids = sqlx::query!(
        r#"SELECT node.id, count(*) OVER () AS "total!"
           FROM node LEFT JOIN cluster ON cluster.id = node.cluster_id
           WHERE node.namespace_id = $1
             AND ($2::uuid IS NULL OR node.id = $2)
             AND ($3::text IS NULL OR starts_with(node.id::text, $3))
             AND ($4::text IS NULL OR node.state = $4)
             AND ($5::uuid IS NULL OR node.cluster_id = $5)
             AND ($6::text IS NULL OR cluster.node_type = $6)
             AND ($7::text IS NULL OR cluster.region = $7)
             AND ($8::text IS NULL OR node.docker_version = $8)
             AND ($2 IS NOT NULL OR node.destroyed_at IS NULL
                  OR node.destroyed_at > now() - make_interval(hours => $9))
           ORDER BY node.created_at, node.id
           LIMIT $10 OFFSET $11"#,
        namespace.0,
        filter.id,
        filter.id_prefix,
        filter.state,
        filter.cluster_id,
        filter.node_type,
        filter.region,
        filter.docker_version,
        TERMINATED_LISTED_HOURS,
        i64::from(page.limit),
        i64::from(page.offset),
    )
    .fetch_all(&mut *conn)
    .await?;
    let total = match ids.first() {
        Some(row) => row.total,
        // A page behind the end has no row to carry the total.
        None if page.offset > 0 => {
            return Box::pin(list(conn, namespace, filter, Page::FIRST))
                .await
                .map(|l| Listed { items: vec![], ..l });
        }
        None => 0,
    };
    let ids: Vec<Uuid> = ids.into_iter().map(|row| row.id).collect();
    Ok(Listed::new(by_ids(conn, &ids).await?, Some(total)))
}

/// One node of the namespace.
///
/// # Errors
/// Postgres' own.
pub async fn get(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: NodeId,
) -> Result<Option<Node>> {
    let found = by_ids(conn, &[id.0]).await?.pop();
    Ok(found.filter(|node| node.namespace_id == namespace))
}

/// One node of the namespace, locked until the transaction's end. Lock its cluster first.
///
/// # Errors
/// Postgres' own.
pub async fn lock(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: NodeId,
) -> Result<Option<Node>> {
    let found = lock_any(conn, id).await?;
    Ok(found.filter(|node| node.namespace_id == namespace))
}

/// One node of whatever namespace, locked until the transaction's end. Lock its cluster first.
///
/// # Errors
/// Postgres' own.
pub async fn lock_any(conn: &mut PgConnection, id: NodeId) -> Result<Option<Node>> {
    sqlx::query!(
        "SELECT 1 AS locked FROM node WHERE id = $1 FOR UPDATE",
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    Ok(by_ids(conn, &[id.0]).await?.pop())
}

/// The tags and places of nodes, by their ids.
///
/// # Errors
/// Postgres' own.
pub async fn by_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Node>> {
    sqlx::query_as!(
        Row,
        r#"SELECT node.id, node.namespace_id, node.cluster_id, node.state, node.nickname,
                  cluster.region AS "region?", cluster.node_type AS "node_type?", coalesce(node_type.vcpus, cpu_cores) AS "vcpus?",
                  coalesce(node_type.memory_mb, (memory_kb / 1024)::integer) AS "memory_mb?",
                  coalesce(cluster.disk_gb, host_disk_gb) AS "disk_gb?", node.zone, node.subnet_id,
                  node.instance_id, coalesce(node.id || '.node.' || naming.domain, node.external_fqdn) AS "external_fqdn!",
                  node.public_ip,
                  node.private_ips AS "private_ips: Json<Vec<PrivateIp>>", node.docker_version, docker_execdriver,
                  docker_graphdriver, containers, node.tunnel, node.tags,
                  coalesce(cluster.automatic_tags, $2) AS "automatic_tags!",
                  node.last_seen_at, node.deployed_at, node.destroyed_at
           FROM node
           LEFT JOIN cluster ON cluster.id = node.cluster_id
           LEFT JOIN node_type ON node_type.name = cluster.node_type
           CROSS JOIN naming
           WHERE node.id = ANY ($1) ORDER BY node.created_at, node.id"#,
        ids,
        &host::automatic_tags()
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Node::try_from)
    .collect()
}

/// Replaces the user's tags.
///
/// # Errors
/// Postgres' own.
pub async fn set_tags(conn: &mut PgConnection, id: NodeId, tags: &[String]) -> Result<()> {
    sqlx::query!("UPDATE node SET tags = $2 WHERE id = $1", id.0, tags)
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes the name for people.
///
/// # Errors
/// Postgres' own.
pub async fn set_nickname(conn: &mut PgConnection, id: NodeId, nickname: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE node SET nickname = $2 WHERE id = $1",
        id.0,
        nickname
    )
    .execute(conn)
    .await?;
    Ok(())
}
