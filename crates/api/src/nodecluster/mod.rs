//! Node clusters. Each verb has its file; they all write in the same manner:
//!
//! one transaction that locks the cluster, asks `domain` whether its state allows the operation, records the action,
//! writes what is wanted and wakes the worker of the site. What was answered is in that commit, or nothing is.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod update;
pub(crate) mod wire;

use domain::ids::{ClusterId, SiteId};
use store::{
    PgConnection,
    cluster::{self, Cluster},
    site,
};

use crate::{auth::Caller, error::ApiError};

/// The caller's cluster of this id, locked against every other change until the transaction's end.
async fn lock(
    conn: &mut PgConnection,
    caller: &Caller,
    id: ClusterId,
) -> Result<Cluster, ApiError> {
    cluster::lock(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node cluster", id))
}

/// The cluster as this transaction leaves it.
async fn reread(
    conn: &mut PgConnection,
    caller: &Caller,
    id: ClusterId,
) -> Result<Cluster, ApiError> {
    cluster::get(conn, caller.namespace(), id)
        .await?
        .ok_or_else(|| ApiError::no_such("node cluster", id))
}

/// The site of the cluster: decided at its first deploy, kept from then on.
async fn site_of(conn: &mut PgConnection, cluster: &Cluster) -> Result<SiteId, ApiError> {
    match cluster.site_id {
        Some(site) => Ok(site),
        None => Ok(site::ensure(conn, cluster.namespace_id, &cluster.region).await?),
    }
}
