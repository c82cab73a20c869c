//! Node clusters: what is wanted, and how far it has come.

use chrono::{DateTime, Utc};
use domain::{
    cluster::NewCluster,
    ids::{ActionId, ClusterId, NamespaceId, NodeId, SiteId},
    node::Readiness,
    provider_options::ProviderOptions,
    state::ClusterState,
};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    Error, Result,
    page::{Listed, Page, TERMINATED_LISTED_HOURS},
    signed, unsigned,
};

mod work;

pub use work::{
    Running, lock_any, lock_unchanged, lock_under_way, outdate, release, running, settle, working,
};

/// A cluster as it is read.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// The namespace it is in.
    pub namespace_id: NamespaceId,
    /// The site that its nodes are deployed to; known from its first deploy on.
    pub site_id: Option<SiteId>,
    /// Unique among the live clusters of the namespace.
    pub name: String,
    /// For people.
    pub nickname: String,
    /// Its state.
    pub state: ClusterState,
    /// `us-east-1`
    pub region: String,
    /// `t3.micro`
    pub node_type: String,
    /// Root volume of each node in GB.
    pub disk_gb: u32,
    /// How many nodes are wanted.
    pub target_num_nodes: u32,
    /// How many nodes exist: deployed ones, and those of them that can't be reached at the moment.
    pub current_num_nodes: u32,
    /// Its nodes but the terminated ones, oldest first.
    pub nodes: Vec<NodeId>,
    /// The user's tags.
    pub tags: Vec<String>,
    /// The tags it got at launch.
    pub automatic_tags: Vec<String>,
    /// The AWS side.
    pub provider_options: ProviderOptions,
    /// The public keys that may log in to its nodes.
    pub ssh_authorized_keys: Vec<String>,
    /// What makes its nodes usable.
    pub readiness: Readiness,
    /// The operation that is under way.
    pub action_id: Option<ActionId>,
    /// Grows with every change of what is wanted.
    pub revision: i64,
    /// When it was first deployed.
    pub deployed_at: Option<DateTime<Utc>>,
    /// When it was terminated.
    pub destroyed_at: Option<DateTime<Utc>>,
}

/// A row as the queries here select it; the macros check it against each of them.
struct Row {
    id: Uuid,
    namespace_id: Uuid,
    site_id: Option<Uuid>,
    name: String,
    nickname: String,
    state: String,
    region: String,
    node_type: String,
    disk_gb: i32,
    target_num_nodes: i32,
    current_num_nodes: i32,
    nodes: Vec<Uuid>,
    tags: Vec<String>,
    automatic_tags: Vec<String>,
    provider_options: Json<ProviderOptions>,
    ssh_authorized_keys: Vec<String>,
    readiness: String,
    action_id: Option<Uuid>,
    revision: i64,
    deployed_at: Option<DateTime<Utc>>,
    destroyed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Cluster {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id.into(),
            namespace_id: row.namespace_id.into(),
            site_id: row.site_id.map(Into::into),
            name: row.name,
            nickname: row.nickname,
            state: row.state.parse()?,
            region: row.region,
            node_type: row.node_type,
            disk_gb: unsigned(row.disk_gb),
            target_num_nodes: unsigned(row.target_num_nodes),
            current_num_nodes: unsigned(row.current_num_nodes),
            nodes: row.nodes.into_iter().map(Into::into).collect(),
            tags: row.tags,
            automatic_tags: row.automatic_tags,
            provider_options: row.provider_options.0,
            ssh_authorized_keys: row.ssh_authorized_keys,
            readiness: row.readiness.parse()?,
            action_id: row.action_id.map(Into::into),
            revision: row.revision,
            deployed_at: row.deployed_at,
            destroyed_at: row.destroyed_at,
        })
    }
}

/// Writes a new cluster, in state `Init` and without nodes.
///
/// # Errors
/// [`Error::NameTaken`] where a live cluster of the namespace has the name.
pub async fn insert(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    new: &NewCluster,
    automatic_tags: &[String],
) -> Result<ClusterId> {
    let id = Uuid::new_v4();
    let inserted = sqlx::query!(
        r#"INSERT INTO cluster (id, namespace_id, name, nickname, state, region, node_type, disk_gb, target_num_nodes,
                                tags, automatic_tags, provider_options, ssh_authorized_keys, readiness)
           VALUES ($1, $2, $3, $4, 'Init', $5, $6, $7, $8, $9, $10, $11, $12, $13)
           ON CONFLICT (namespace_id, name) WHERE state <> 'Terminated' DO NOTHING"#,
        id,
        namespace.0,
        new.name,
        new.nickname,
        new.region,
        new.node_type,
        signed(new.disk_gb),
        signed(new.target_num_nodes),
        &new.tags,
        automatic_tags,
        Json(&new.provider_options) as _,
        &new.ssh_authorized_keys,
        new.readiness.as_str(),
    )
    .execute(conn)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Error::NameTaken(new.name.clone()));
    }
    Ok(id.into())
}

/// Which clusters are wanted; none of a field means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The cluster itself; terminated ones are found however long ago.
    pub id: Option<Uuid>,
    /// What its id begins with.
    pub id_prefix: Option<String>,
    /// Its name. At most one is found: the live one, else the one that lived last.
    pub name: Option<String>,
    /// Its state.
    pub state: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Its node type.
    pub node_type: Option<String>,
}

/// The clusters of a namespace, oldest first: the live ones, and those terminated within the last hour.
///
/// # Errors
/// Postgres' own.
pub async fn list(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    filter: &Filter,
    page: Page,
) -> Result<Listed<Cluster>> {
    let ids = sqlx::query!(
        r#"SELECT id, count(*) OVER () AS "total!"
           FROM cluster
           WHERE namespace_id = $1
             AND ($2::uuid IS NULL OR id = $2)
             AND ($3::text IS NULL OR starts_with(id::text, $3))
             AND ($4::text IS NULL OR (name = $4 AND NOT EXISTS (
                     SELECT 1 FROM cluster other
                     WHERE other.namespace_id = cluster.namespace_id AND other.name = $4
                       AND cluster.state = 'Terminated'
                       AND (other.state <> 'Terminated' OR other.destroyed_at > cluster.destroyed_at))))
             AND ($5::text IS NULL OR state = $5)
             AND ($6::text IS NULL OR region = $6)
             AND ($7::text IS NULL OR node_type = $7)
             AND ($2 IS NOT NULL OR destroyed_at IS NULL OR destroyed_at > now() - make_interval(hours => $8))
           ORDER BY created_at, id
           LIMIT $9 OFFSET $10"#,
        namespace.0,
        filter.id,
        filter.id_prefix,
        filter.name,
        filter.state,
        filter.region,
        filter.node_type,
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

/// One cluster of the namespace.
///
/// # Errors
/// Postgres' own.
pub async fn get(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: ClusterId,
) -> Result<Option<Cluster>> {
    let found = by_ids(conn, &[id.0]).await?.pop();
    Ok(found.filter(|cluster| cluster.namespace_id == namespace))
}

/// One cluster of the namespace, locked until the transaction's end against every other change.
///
/// # Errors
/// Postgres' own.
pub async fn lock(
    conn: &mut PgConnection,
    namespace: NamespaceId,
    id: ClusterId,
) -> Result<Option<Cluster>> {
    let found = lock_any(conn, id).await?;
    Ok(found.filter(|cluster| cluster.namespace_id == namespace))
}

async fn by_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Cluster>> {
    sqlx::query_as!(
        Row,
        r#"SELECT cluster.id, namespace_id, site_id, name, nickname, state, region, node_type, disk_gb,
                  target_num_nodes,
                  (SELECT count(*)::integer FROM node
                   WHERE cluster_id = cluster.id AND node.state IN ('Deployed', 'Unreachable', 'Upgrading'))
                      AS "current_num_nodes!",
                  ARRAY (SELECT node.id FROM node
                         WHERE cluster_id = cluster.id AND node.state <> 'Terminated'
                         ORDER BY created_at, id) AS "nodes!",
                  tags, automatic_tags, provider_options AS "provider_options: Json<ProviderOptions>",
                  ssh_authorized_keys, readiness, action_id, revision, deployed_at, destroyed_at
           FROM cluster WHERE id = ANY ($1) ORDER BY created_at, id"#,
        ids
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Cluster::try_from)
    .collect()
}

/// Puts an operation under way: its state, its target, its action and its site, in one write.
///
/// # Errors
/// Postgres' own.
pub async fn begin(
    conn: &mut PgConnection,
    id: ClusterId,
    state: ClusterState,
    target_num_nodes: u32,
    action: ActionId,
    site: SiteId,
) -> Result<()> {
    sqlx::query!(
        r#"UPDATE cluster
           SET state = $2, target_num_nodes = $3, action_id = $4, site_id = $5, revision = revision + 1
           WHERE id = $1"#,
        id.0,
        state.as_str(),
        signed(target_num_nodes),
        action.0,
        site.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes how many nodes are wanted.
///
/// # Errors
/// Postgres' own.
pub async fn set_target(
    conn: &mut PgConnection,
    id: ClusterId,
    target_num_nodes: u32,
) -> Result<()> {
    sqlx::query!(
        "UPDATE cluster SET target_num_nodes = $2, revision = revision + 1 WHERE id = $1",
        id.0,
        signed(target_num_nodes)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lowers the target by one: a single node has gone, or is going, and is not to be replaced.
///
/// # Errors
/// Postgres' own.
pub async fn want_one_less(conn: &mut PgConnection, id: ClusterId) -> Result<()> {
    sqlx::query!(
        r#"UPDATE cluster SET target_num_nodes = greatest(target_num_nodes - 1, 0), revision = revision + 1
           WHERE id = $1"#,
        id.0
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the user's tags, on the cluster and on its nodes.
///
/// # Errors
/// Postgres' own.
pub async fn set_tags(conn: &mut PgConnection, id: ClusterId, tags: &[String]) -> Result<()> {
    sqlx::query!(
        "UPDATE node SET tags = $2 WHERE cluster_id = $1 AND state <> 'Terminated'",
        id.0,
        tags
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("UPDATE cluster SET tags = $2 WHERE id = $1", id.0, tags)
        .execute(conn)
        .await?;
    Ok(())
}

/// Changes the name for people.
///
/// # Errors
/// Postgres' own.
pub async fn set_nickname(conn: &mut PgConnection, id: ClusterId, nickname: &str) -> Result<()> {
    sqlx::query!(
        "UPDATE cluster SET nickname = $2 WHERE id = $1",
        id.0,
        nickname
    )
    .execute(conn)
    .await?;
    Ok(())
}
