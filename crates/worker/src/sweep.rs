//! The sweep: one look at all of the site's instances serves all of its clusters.
//!
//! It lists the cloud first and the rows second, so that an instance whose row is written in between is never taken
//! for a stranger, and it leaves alone what is too young to be known everywhere.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use aws::Instance;
use chrono::TimeDelta;
use domain::{
    ids::{LaunchId, NodeId},
    node,
    state::NodeState,
    tags,
};
use store::node::{Addresses, PrivateIp, Watched};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Error, site::Site};

/// What one sweep remembers of those before it.
#[derive(Default)]
struct Memory {
    /// Instances without a node that the last sweep saw.
    strangers: HashSet<String>,
    /// Nodes whose instance EC2 does not show, and since when.
    missing: HashMap<NodeId, Instant>,
}

/// Looks at the site's instances again and again.
pub(crate) struct Sweeper {
    site: Arc<Site>,
}

impl Sweeper {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site }
    }

    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut memory = Memory::default();
        loop {
            let pause = match self.sweep(&mut memory).await {
                Ok(true) => self.site.config.sweep_interval,
                Ok(false) => self.site.config.sweep_interval_at_rest,
                Err(Error::Store(store::Error::LeaseLost)) => {
                    stop.cancel();
                    return;
                }
                Err(Error::Cloud(aws::Error::Stopped(_))) => return,
                Err(error) => {
                    warn!(%error, "the sweep failed; trying again");
                    self.site.config.sweep_interval
                }
            };
            // At rest the rows are looked at all the same: a new launch ends the rest.
            let mut waited = std::time::Duration::ZERO;
            while waited < pause {
                let part = self.site.config.sweep_interval.min(pause - waited);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(part) => {}
                }
                waited += part;
                if pause > self.site.config.sweep_interval && self.is_changing().await {
                    break;
                }
            }
        }
    }

    async fn is_changing(&self) -> bool {
        match self.watched().await {
            Ok(nodes) => nodes.iter().any(is_changing),
            Err(_) => false,
        }
    }

    async fn watched(&self) -> Result<Vec<Watched>, Error> {
        let mut conn = self.site.pool.acquire().await?;
        Ok(store::node::watched(&mut conn, self.site.lease.site_id).await?)
    }

    /// One sweep; answers whether nodes are changing.
    async fn sweep(&self, memory: &mut Memory) -> Result<bool, Error> {
        let any = {
            let mut conn = self.site.pool.acquire().await?;
            store::node::any_watched(&mut conn, self.site.lease.site_id).await?
        };
        if !any && memory.strangers.is_empty() {
            return Ok(false);
        }
        let installation = self.site.installation.to_string();
        let instances = self
            .site
            .cloud
            .instances_tagged(tags::INSTALLATION, &installation)
            .await?;
        let nodes = self.watched().await?;
        let by_id: HashMap<&str, &Instance> =
            instances.iter().map(|i| (i.id.as_str(), i)).collect();
        let mut seen = Vec::new();
        for node in &nodes {
            match by_id.get(node.instance_id.as_str()) {
                Some(instance) => {
                    memory.missing.remove(&node.id);
                    let state = node::observe(node.state, instance.state);
                    let addresses = addresses(node, instance, state);
                    if state != node.state || addresses != node.addresses {
                        apply(&self.site, node, state, &addresses, Some(instance)).await?;
                    } else if state == NodeState::Deployed {
                        seen.push(node.id);
                    }
                }
                // Not found means unknown while young. An older one is gone once it has been missing for as long: a
                // single listing may be incomplete.
                None => {
                    let since = *memory.missing.entry(node.id).or_insert_with(Instant::now);
                    if node.known_for > self.grace() && since.elapsed() > self.site.config.grace {
                        let gone = NodeState::Terminated;
                        apply(&self.site, node, gone, &node.addresses, None).await?;
                    }
                }
            }
        }
        memory
            .missing
            .retain(|id, _| nodes.iter().any(|node| node.id == *id));
        self.mark_seen(&seen).await?;
        self.end_strangers(&instances, &mut memory.strangers)
            .await?;
        Ok(self.watched().await?.iter().any(is_changing) || !memory.strangers.is_empty())
    }

    fn grace(&self) -> TimeDelta {
        TimeDelta::from_std(self.site.config.grace).unwrap_or(TimeDelta::MAX)
    }

    async fn mark_seen(&self, nodes: &[NodeId]) -> Result<(), Error> {
        if nodes.is_empty() {
            return Ok(());
        }
        let mut tx = self.site.fence().await?;
        store::node::mark_seen(&mut tx, nodes).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Terminates instances of this installation that no node and no open launch knows, at the second sight.
    async fn end_strangers(
        &self,
        instances: &[Instance],
        last_seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let ours: Vec<&Instance> = instances
            .iter()
            .filter(|i| i.state != node::InstanceState::Terminated)
            .collect();
        let ids: Vec<String> = ours.iter().map(|instance| instance.id.clone()).collect();
        let mut conn = self.site.pool.acquire().await?;
        let known: HashSet<String> = store::node::known_instances(&mut conn, &ids)
            .await?
            .into_iter()
            .collect();
        let open: HashSet<LaunchId> = store::launch::all_open(&mut conn)
            .await?
            .into_iter()
            .collect();
        drop(conn);
        let is_awaited = |instance: &Instance| {
            instance
                .tags
                .get(tags::LAUNCH)
                .and_then(|id| id.parse().ok())
                .is_some_and(|id| open.contains(&LaunchId(id)))
        };
        let strangers: HashSet<String> = ours
            .iter()
            .filter(|instance| !known.contains(&instance.id) && !is_awaited(instance))
            .filter(|instance| instance.state != node::InstanceState::ShuttingDown)
            .map(|instance| instance.id.clone())
            .collect();
        let again: Vec<String> = strangers.intersection(last_seen).cloned().collect();
        *last_seen = strangers;
        if !again.is_empty() {
            warn!(instances = ?again, "terminating instances of this installation that no node knows");
            for instance in &again {
                // One by one: one that is protected must not keep the others running.
                let ended = self
                    .site
                    .cloud
                    .terminate_instances(std::slice::from_ref(instance))
                    .await;
                if let Err(error) = ended {
                    warn!(instance, %error, "it can't be terminated; trying again");
                }
            }
        }
        Ok(())
    }
}

/// Writes down what was seen of a node, unless it has changed since it was read.
pub(crate) async fn apply(
    site: &Site,
    node: &Watched,
    state: NodeState,
    addresses: &Addresses,
    instance: Option<&Instance>,
) -> Result<(), Error> {
    let mut tx = site.fence().await?;
    // The cluster before its node, as everybody locks them.
    let (cluster_state, action) = store::cluster::lock_under_way(&mut tx, node.cluster_id).await?;
    if state == NodeState::Terminated {
        let why = instance
            .and_then(|i| i.state_reason.as_deref())
            .unwrap_or("EC2 does not show it any more");
        let line = format!("Instance {} is terminated: {why}", node.instance_id);
        store::action::log_on_nodes(&mut tx, &[(node.id, line)]).await?;
        if !store::node::bury_observed(&mut tx, node).await? {
            return Ok(());
        }
        let was_unasked = node.state != NodeState::Terminating;
        info!(node = %node.id, instance = node.instance_id, why, unasked = was_unasked, "node terminated");
        if was_unasked {
            if let Some(action) = action {
                let line = format!(
                    "Instance {} is gone without having been asked to: {why}",
                    node.instance_id
                );
                store::action::log(&mut tx, action, &line).await?;
            }
            if cluster_state.is_moving() {
                store::cluster::outdate(&mut tx, node.cluster_id).await?;
            } else {
                // At rest, a node that was terminated elsewhere is not replaced.
                store::cluster::want_one_less(&mut tx, node.cluster_id).await?;
            }
        }
    } else if !store::node::observe(&mut tx, node, state, addresses).await? {
        return Ok(());
    } else if state != node.state {
        info!(node = %node.id, instance = node.instance_id, from = %node.state, to = %state, "node changed");
        if let Some(action) = action {
            let line = match &addresses.public_ip {
                Some(ip) => format!("Node {} ({}) is {state} at {ip}", node.id, node.instance_id),
                None => format!("Node {} ({}) is {state}", node.id, node.instance_id),
            };
            store::action::log(&mut tx, action, &line).await?;
        }
    }
    tx.commit().await?;
    site.stir(node.cluster_id);
    Ok(())
}

fn is_changing(node: &Watched) -> bool {
    matches!(node.state, NodeState::Deploying | NodeState::Terminating)
}

/// Where the node can be reached, by what EC2 shows; a stopped instance has lost its public address.
pub(crate) fn addresses(node: &Watched, instance: &Instance, state: NodeState) -> Addresses {
    if matches!(state, NodeState::Terminating | NodeState::Terminated) {
        return node.addresses.clone();
    }
    let private_ips = instance
        .private_ip
        .map(|ip| PrivateIp {
            name: "eth0".to_owned(),
            cidr: format!("{ip}/{}", node.subnet_prefix),
        })
        .into_iter()
        .collect();
    Addresses {
        external_fqdn: instance.public_dns.clone().unwrap_or_default(),
        public_ip: instance.public_ip,
        private_ips,
    }
}
