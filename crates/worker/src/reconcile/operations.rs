//! Operations on single nodes, upgrades, and what waits behind them.
//!
//! They launch nothing, so they need no plan: each is carried out and ended here, and what has waited behind it begins.

use aws::Instance;
use domain::{
    action::End,
    ids::{ActionId, ClusterId},
    node::{self, Readiness},
    state::{NodeOperation, NodeState},
    tags,
};
use store::{
    node::Watched,
    operation::{Free, OnNode},
};

use crate::{Error, hosts::Hosts, site::Site, sweep, upgrade};

/// Carries on every operation that is under way on a node of the cluster by itself, and the upgrade of the cluster; then
/// begins what waited and need not wait any more. Answers whether anything is under way or waits still.
pub(crate) async fn carry_on(site: &Site, cluster: ClusterId) -> Result<bool, Error> {
    let mut conn = site.pool.acquire().await?;
    let under_way = store::operation::under_way_on_nodes(&mut conn, cluster).await?;
    drop(conn);
    for operation in &under_way {
        carry_on_one(site, cluster, operation).await?;
    }
    carry_on_upgrade(site, cluster).await?;
    let mut conn = site.pool.acquire().await?;
    let free = store::operation::free_with_waiting(&mut conn, cluster).await?;
    drop(conn);
    for object in free {
        begin(site, cluster, object).await?;
    }
    let mut conn = site.pool.acquire().await?;
    Ok(store::operation::is_anything_asked(&mut conn, cluster).await?)
}

async fn begin(site: &Site, cluster: ClusterId, object: Free) -> Result<(), Error> {
    let mut tx = site.fence().await?;
    store::operation::begin_next(&mut tx, cluster, object).await?;
    tx.commit().await?;
    Ok(())
}

async fn carry_on_one(site: &Site, cluster: ClusterId, on: &OnNode) -> Result<(), Error> {
    if on.operation == NodeOperation::DockerUpgrade {
        return carry_on_upgrade_of_one(site, cluster, on).await;
    }
    let is_ready = match on.operation {
        // Its end comes with the node's.
        NodeOperation::Terminate | NodeOperation::DockerUpgrade => false,
        NodeOperation::Deploy => on.state != NodeState::Deploying,
        NodeOperation::HealthCheck => true,
    };
    if !is_ready {
        return Ok(());
    }
    let (line, end) = match (on.operation, on.state) {
        _ if on.is_canceling => ("Canceled".to_owned(), End::Canceled),
        (_, NodeState::Terminating | NodeState::Terminated) => {
            let why = format!("node {} is being terminated", on.node);
            (why.clone(), End::Failed(why))
        }
        (NodeOperation::HealthCheck, _) => check(site, cluster, on).await?,
        (_, NodeState::Deployed) => (format!("Node {} is Deployed", on.node), End::Success),
        (_, state) => {
            let why = format!("node {} is {state}", on.node);
            (why.clone(), End::Failed(why))
        }
    };
    let mut tx = site.fence().await?;
    // The cluster before its node, as everybody locks them.
    store::cluster::lock_under_way(&mut tx, cluster).await?;
    finish(&mut tx, on.action, &line, &end).await?;
    tx.commit().await?;
    Ok(())
}

/// Looks at the node's instance in EC2 and asks its engine, and writes down what it sees. Without an agent nobody knows the
/// engine.
async fn check(site: &Site, cluster: ClusterId, on: &OnNode) -> Result<(String, End), Error> {
    let of_cluster = site
        .cloud
        .on_behalf_of(cluster)
        .instances_tagged(tags::CLUSTER, &cluster.to_string())
        .await;
    let instances = match of_cluster {
        Ok(instances) => instances,
        Err(error @ aws::Error::Stopped(_)) => return Err(error.into()),
        Err(error) if error.may_pass() => {
            let mut tx = site.fence().await?;
            let line = format!("{error}; trying again");
            store::action::log_if_new(&mut tx, on.action, &line).await?;
            tx.commit().await?;
            return Err(error.into());
        }
        Err(error) => return Ok((error.to_string(), End::Failed(error.to_string()))),
    };
    let mut conn = site.pool.acquire().await?;
    let watched = store::node::watched(&mut conn, site.lease.site_id).await?;
    drop(conn);
    let Some(node) = watched.iter().find(|watched| watched.id == on.node) else {
        let why = format!("node {} has no instance", on.node);
        return Ok((why.clone(), End::Failed(why)));
    };
    let instance = instances
        .iter()
        .find(|instance| instance.id == node.instance_id);
    let line = match instance {
        Some(instance) => see(site, node, instance).await?,
        // Whether it is gone the sweep decides, which knows for how long.
        None => format!(
            "EC2 does not show instance {}: the node is {}",
            node.instance_id, node.state
        ),
    };
    let asked = match node.readiness {
        Readiness::Instance => {
            "Its Docker engine was not asked: its cluster has no agents".to_owned()
        }
        Readiness::Agent => {
            let hosts = Hosts::new(site.pool.clone(), &site.config);
            let said = hosts.ask(on.node).await?.unwrap_or_else(|| {
                "Its Docker engine was not asked: its agent has not called home".to_owned()
            });
            let state = hosts.state(on.node).await?.unwrap_or(on.state);
            format!("{said}: the node is {state}")
        }
    };
    Ok((format!("{line}. {asked}"), End::Success))
}

async fn see(site: &Site, node: &Watched, instance: &Instance) -> Result<String, Error> {
    let state = node::observe(node.state, instance.state, node.readiness);
    let addresses = sweep::addresses(node, instance, state);
    if state != node.state || addresses != node.addresses {
        sweep::apply(site, node, state, &addresses, Some(instance)).await?;
    }
    let line = format!(
        "Instance {} is {}",
        node.instance_id,
        instance.state.as_str()
    );
    Ok(match node.readiness {
        Readiness::Instance => format!("{line}: the node is {state}"),
        Readiness::Agent => line,
    })
}

/// Carries the upgrade of one node on, which its action is about.
async fn carry_on_upgrade_of_one(
    site: &Site,
    cluster: ClusterId,
    on: &OnNode,
) -> Result<(), Error> {
    let mut tx = site.fence().await?;
    // The cluster before its node, as everybody locks them.
    store::cluster::lock_under_way(&mut tx, cluster).await?;
    let settings = &site.config.hosts;
    let ended = upgrade::carry_on(&mut tx, on.action, on.node, on.is_canceling, settings).await?;
    if let Some((line, end)) = ended {
        finish(&mut tx, on.action, &line, &end).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Carries the upgrade of the cluster on, if there is one under way.
async fn carry_on_upgrade(site: &Site, cluster: ClusterId) -> Result<(), Error> {
    let mut conn = site.pool.acquire().await?;
    let running = store::cluster::running(&mut conn, cluster).await?;
    drop(conn);
    // Every other operation on a cluster has a state of its own.
    let is_upgrade = |running: &store::cluster::Running| {
        !running.cluster.state.is_moving() && running.cluster.action_id.is_some()
    };
    if !running.as_ref().is_some_and(is_upgrade) {
        return Ok(());
    }
    let mut tx = site.fence().await?;
    let (state, action) = store::cluster::lock_under_way(&mut tx, cluster).await?;
    let Some(action) = action.filter(|_| !state.is_moving()) else {
        return Ok(());
    };
    let is_canceling = running.is_some_and(|running| running.is_canceling);
    let settings = &site.config.hosts;
    let ended = upgrade::carry_on_cluster(&mut tx, action, cluster, is_canceling, settings).await?;
    if let Some((line, end)) = ended {
        store::cluster::release(&mut tx, cluster).await?;
        finish(&mut tx, action, &line, &end).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn finish(
    tx: &mut store::PgConnection,
    action: ActionId,
    line: &str,
    end: &End,
) -> Result<(), Error> {
    store::action::log(tx, action, line).await?;
    store::action::finish(tx, action, end).await?;
    Ok(())
}
