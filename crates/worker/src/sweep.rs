//! The sweep: one look at all of the site's instances serves all of its clusters.
//!
//! It lists the cloud first and the rows second, so that an instance whose row is written in between is never taken
//! for a stranger, and it leaves alone what is too young to be known everywhere.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use aws::Instance;
use chrono::TimeDelta;
use domain::{
    ids::NodeId,
    node::{self, InstanceState, Readiness},
    state::NodeState,
    tags,
};
use store::node::{Addresses, PrivateIp, Seen, Watched};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Error, delta, hosts::Hosts, site::Site, strangers::Strangers};

/// A change that takes longer than this (an instance that is protected from its termination, say) is looked at as seldom
/// as a site at rest.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The nodes that are changing, each with its state, and with the address that its agent tells where that is another one.
type Changing = BTreeMap<NodeId, (NodeState, Option<IpAddr>)>;

/// What one sweep remembers of those before it.
#[derive(Default)]
struct Memory {
    strangers: Strangers,
    /// Nodes whose instance EC2 does not show, and since when.
    missing: HashMap<NodeId, Instant>,
    /// The nodes that were changing, and since when they have been these.
    changing: Changing,
    changing_since: Option<Instant>,
}

impl Memory {
    /// Notes which nodes are changing; answers whether a change can be expected soon.
    fn expects_change(&mut self, nodes: &[Watched]) -> bool {
        let changing = changing(nodes);
        if changing != self.changing {
            self.changing = changing;
            self.changing_since = Some(Instant::now());
        }
        let is_recent = self
            .changing_since
            .is_some_and(|since| since.elapsed() < PATIENCE);
        (!self.changing.is_empty() && is_recent) || self.strangers.are_going()
    }
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
            let mut waited = Duration::ZERO;
            while waited < pause {
                let part = self.site.config.sweep_interval.min(pause - waited);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(part) => {}
                }
                waited += part;
                if pause > self.site.config.sweep_interval && self.has_news(&memory).await {
                    break;
                }
            }
        }
    }

    /// Whether other nodes are changing than when they were last swept.
    async fn has_news(&self, memory: &Memory) -> bool {
        match self.watched().await {
            Ok(nodes) => changing(&nodes) != memory.changing,
            Err(_) => false,
        }
    }

    async fn watched(&self) -> Result<Vec<Watched>, Error> {
        let mut conn = self.site.pool.acquire().await?;
        Ok(store::node::watched(&mut conn, self.site.lease.site_id).await?)
    }

    /// One sweep; answers whether a change can be expected soon.
    async fn sweep(&self, memory: &mut Memory) -> Result<bool, Error> {
        let any = {
            let mut conn = self.site.pool.acquire().await?;
            store::node::any_watched(&mut conn, self.site.lease.site_id).await?
        };
        if !any && !memory.strangers.are_there() {
            return Ok(false);
        }
        let installation = self.site.installation.to_string();
        let instances = self
            .site
            .cloud
            .instances_tagged(tags::INSTALLATION, &installation)
            .await?;
        let nodes = self.watched().await?;
        let hidden = self.look_for_missing(&instances, &nodes, memory).await?;
        let by_id: HashMap<&str, &Instance> = instances
            .iter()
            .chain(&hidden)
            .map(|i| (i.id.as_str(), i))
            .collect();
        let mut seen = Vec::new();
        for node in &nodes {
            match by_id.get(node.instance_id.as_str()) {
                Some(instance) => {
                    memory.missing.remove(&node.id);
                    let state = node::observe(node.state, instance.state, node.readiness);
                    let addresses = addresses(node, instance, state);
                    let is_awaited = node.readiness == Readiness::Agent;
                    let is_news = is_awaited && node.instance_state != Some(instance.state);
                    if is_news || state != node.state || addresses != node.addresses {
                        apply(&self.site, node, state, &addresses, Some(instance)).await?;
                    } else if state == NodeState::Deployed && !is_awaited {
                        seen.push(node.id);
                    }
                }
                None if self.is_overdue(node, memory) => {
                    let gone = NodeState::Terminated;
                    apply(&self.site, node, gone, &node.addresses, None).await?;
                }
                None => {}
            }
        }
        self.mark_seen(&seen).await?;
        memory.strangers.end(&self.site, &instances).await?;
        Ok(memory.expects_change(&self.watched().await?))
    }

    /// Notes which nodes' instances the listing misses. Those that it has missed for long are asked for by their ids: it
    /// goes by a tag, which somebody may have removed.
    async fn look_for_missing(
        &self,
        instances: &[Instance],
        nodes: &[Watched],
        memory: &mut Memory,
    ) -> Result<Vec<Instance>, Error> {
        let listed: HashMap<&str, &Instance> = instances
            .iter()
            .map(|instance| (instance.id.as_str(), instance))
            .collect();
        let missing = || {
            nodes
                .iter()
                .filter(|node| !listed.contains_key(node.instance_id.as_str()))
        };
        let now = Instant::now();
        memory.missing = missing()
            .map(|node| (node.id, *memory.missing.get(&node.id).unwrap_or(&now)))
            .collect();
        let overdue: Vec<String> = missing()
            .filter(|node| self.is_overdue(node, memory))
            .map(|node| node.instance_id.clone())
            .collect();
        if overdue.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.site.cloud.instances_by_id(&overdue).await?)
    }

    /// Not found means unknown while young. An older one is gone once it has been missing for as long: a single listing
    /// may be incomplete.
    fn is_overdue(&self, node: &Watched, memory: &Memory) -> bool {
        node.known_for > self.grace()
            && memory
                .missing
                .get(&node.id)
                .is_some_and(|since| since.elapsed() > self.site.config.grace)
    }

    fn grace(&self) -> TimeDelta {
        delta(self.site.config.grace)
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
    } else if !see(&mut tx, node, state, addresses, instance).await? {
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
    // Where an agent is awaited, it may have called before this was seen.
    if node.readiness == Readiness::Agent {
        Hosts::new(site.pool.clone(), &site.config)
            .settle(node.id)
            .await?;
    }
    site.stir(node.cluster_id);
    Ok(())
}

/// Writes down what was seen of a node that lives.
async fn see(
    tx: &mut store::PgConnection,
    node: &Watched,
    state: NodeState,
    addresses: &Addresses,
    instance: Option<&Instance>,
) -> Result<bool, Error> {
    let seen = Seen {
        state,
        addresses,
        instance: instance.map_or(InstanceState::Terminated, |instance| instance.state),
    };
    Ok(store::node::observe(tx, node, &seen).await?)
}

/// The nodes that are on their way from one state to another, and those whose agents tell something else than EC2 has
/// shown: that they are elsewhere, or that they run.
fn changing(nodes: &[Watched]) -> Changing {
    let is_elsewhere =
        |node: &Watched| node.told_ip.is_some() && node.told_ip != node.addresses.public_ip;
    let has_come_back =
        |node: &Watched| node.is_heard && node.instance_state != Some(InstanceState::Running);
    let is_changing = |node: &&Watched| match node.state {
        NodeState::Deploying | NodeState::Terminating => true,
        _ => is_elsewhere(node) || has_come_back(node),
    };
    nodes
        .iter()
        .filter(is_changing)
        .map(|node| (node.id, (node.state, node.told_ip)))
        .collect()
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
