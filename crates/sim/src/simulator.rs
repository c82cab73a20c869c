//! The handle on a simulator: serving, counting, looking inside, and changing how it behaves.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Config, Quotas};
use crate::faults::{Fault, FaultRule, FaultState, Faults, PlayedFault};
use crate::hosts::{self, Hosts};
use crate::limits::{Buckets, Limits};
use crate::network_view::NetworkView;
use crate::permissions::{Permissions, Policy};
use crate::state::{Ids, Region, World};
use crate::view::{InstanceView, RecordedCall};
use crate::{control, server};

/// A simulated AWS. Clones are handles on the same one.
#[derive(Clone, Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    clock: Clock,
    inner: Mutex<Inner>,
    hosts: Option<Arc<Hosts>>,
}

/// The task that keeps virtual hosts in agreement with the instances; it ends with this.
struct Conductor(JoinHandle<()>);

impl Drop for Conductor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All that changes, behind one lock: calls take microseconds, and their effects come one after another as in EC2.
#[derive(Debug)]
pub(crate) struct Inner {
    pub world: World,
    pub faults: Faults,
    pub limits: Limits,
    pub quotas: Quotas,
    pub permissions: Permissions,
    pub calls: BTreeMap<String, u64>,
    pub recorded: Vec<RecordedCall>,
    pub request_ids: Ids,
}

impl Simulator {
    /// A simulator in which nothing has happened yet.
    pub fn new(config: Config) -> Self {
        let inner = Inner {
            world: World::new(config.seed, config.consistency_ms.clone()),
            faults: Faults::new(config.seed),
            limits: Limits::new(config.throttling),
            quotas: config.quotas.clone(),
            permissions: Permissions::default(),
            calls: BTreeMap::new(),
            recorded: Vec::new(),
            request_ids: Ids::new(&[&config.seed.to_string(), "requests"]),
        };
        let clock = Clock::new(config.manual_clock);
        let hosts = config.hosts.clone();
        let hosts = hosts.map(|hosts| Arc::new(Hosts::new(hosts, config.seed)));
        Self {
            shared: Arc::new(Shared {
                config,
                clock,
                inner: Mutex::new(inner),
                hosts,
            }),
        }
    }

    /// The HTTP service: AWS at every path, the control API below `/_sim/`.
    pub fn router(&self) -> Router {
        server::router(self.clone()).nest("/_sim", control::router(self.clone()))
    }

    /// Serves until the shutdown, which clears the faults: a call that hangs would keep it from ending. Virtual hosts live
    /// as long as this.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let simulator = self.clone();
        let shutdown = async move {
            shutdown.await;
            simulator.end_hosts();
            simulator.clear_faults();
        };
        let hosts = self.virtual_hosts().cloned();
        let hosts = hosts.map(|it| Conductor(tokio::spawn(hosts::conduct(self.clone(), it))));
        let served = axum::serve(listener, self.router())
            .with_graceful_shutdown(shutdown)
            .await;
        drop(hosts);
        served
    }

    /// How often each action was called. A launch with `DryRun` counts as `RunInstances (dry run)`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.lock().calls.clone()
    }

    /// How often each action was refused because a token bucket was empty. Such calls are in [`Self::calls`] as well.
    pub fn throttled(&self) -> BTreeMap<String, u64> {
        self.lock().limits.throttled.clone()
    }

    /// Forgets the counts and the recorded requests.
    pub fn reset_calls(&self) {
        let mut inner = self.lock();
        inner.calls.clear();
        inner.limits.throttled.clear();
        inner.recorded.clear();
    }

    /// Every request so far, if [`Config::record`] is set.
    pub fn recorded(&self) -> Vec<RecordedCall> {
        self.lock().recorded.clone()
    }

    /// What is secret of the sessions of assumed roles, to be looked for where it should not be.
    pub fn session_secrets(&self) -> Vec<String> {
        let inner = self.lock();
        let sessions = inner.world.sessions.values();
        sessions
            .flat_map(|session| [session.secret.clone(), session.token.clone()])
            .collect()
    }

    /// The instances of a region in the order of their launch, the terminated ones among them while EC2 shows them.
    pub fn instances(&self, account: &str, region: &str) -> Vec<InstanceView> {
        self.in_region(account, region, |region| {
            let mut instances: Vec<_> = region.instances.all().collect();
            instances.sort_by_key(|it| it.order);
            instances
                .into_iter()
                .map(|it| InstanceView::new(region, it))
                .collect()
        })
        .unwrap_or_default()
    }

    /// The networks of a region.
    pub fn network(&self, account: &str, region: &str) -> NetworkView {
        self.in_region(account, region, |region| NetworkView::new(region))
            .unwrap_or_default()
    }

    /// Denies an action such as `ec2:CreateVpc` or `iam:PassRole` to an access key; wildcards as in policies.
    pub fn deny(&self, access_key: &str, action: &str) {
        self.lock()
            .permissions
            .denials
            .insert((access_key.to_owned(), action.to_owned()));
    }

    /// Takes an access key away: there is no such key any more.
    pub fn revoke(&self, access_key: &str) {
        let revoked = &mut self.lock().permissions.revoked;
        revoked.insert(access_key.to_owned());
    }

    /// Whether an account has opted in to a region; EC2 knows no credentials in one that is off.
    pub fn set_opted_in(&self, account: &str, region: &str, is_on: bool) {
        let off = &mut self.lock().world.off;
        let place = (account.to_owned(), region.to_owned());
        if is_on {
            off.remove(&place);
        } else {
            off.insert(place);
        }
    }

    /// Gives an access key a policy, in place of the one that it has; None lets it do everything. Denials stay.
    ///
    /// # Errors
    /// When the document is malformed or has what is not simulated; the error names the place, and nothing has changed.
    pub fn set_policy(
        &self,
        access_key: &str,
        document: Option<&serde_json::Value>,
    ) -> Result<(), String> {
        let policy = document.map(Policy::read).transpose()?;
        let policies = &mut self.lock().permissions.policies;
        match policy {
            Some(policy) => policies.insert(access_key.to_owned(), policy),
            None => policies.remove(access_key),
        };
        Ok(())
    }

    /// Makes the next call of an action (`RunInstances`) go wrong; several wait in their order.
    pub fn fail_next(&self, action: &str, fault: Fault) {
        self.add_fault(FaultRule::next(action, fault));
    }

    /// Makes calls go wrong as the rule says. Answers with the rule's id.
    pub fn add_fault(&self, rule: FaultRule) -> u64 {
        self.lock().faults.add(rule)
    }

    /// What a rule has played so far; nothing when there is no such rule (any more).
    pub fn played(&self, id: u64) -> Vec<PlayedFault> {
        let inner = self.lock();
        let found = inner.faults.all().iter().find(|it| it.id == id);
        found.map(|it| it.played.clone()).unwrap_or_default()
    }

    /// All rules since the faults were last cleared, those that are done with among them.
    pub fn faults(&self) -> Vec<FaultState> {
        self.lock().faults.all().to_vec()
    }

    /// Forgets all faults. Calls that hang end, and slow ones are answered.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// How many resources an account may have from now on.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.lock().quotas = quotas;
    }

    /// How many instances of a type a zone has room for, those that are there included; None is no limit. A launch takes
    /// what it gets, down to its `MinCount`. With wildcards in the zone or the type it is the room for all that match.
    pub fn set_capacity(
        &self,
        account: &str,
        region: &str,
        zone: &str,
        instance_type: &str,
        limit: Option<u32>,
    ) {
        self.in_region(account, region, |region| {
            let key = (zone.to_owned(), instance_type.to_owned());
            match limit {
                Some(limit) => region.capacity.insert(key, limit),
                None => region.capacity.remove(&key),
            }
        });
    }

    /// Whether a zone offers a type to an account, where it offers it at all; both may have wildcards. What was withdrawn by a
    /// pattern is offered again by the same one.
    pub fn set_offering(
        &self,
        account: &str,
        region: &str,
        zone: &str,
        instance_type: &str,
        is_on: bool,
    ) {
        self.in_region(account, region, |region| {
            let place = (zone.to_owned(), instance_type.to_owned());
            match is_on {
                true => region.withdrawn.remove(&place),
                false => region.withdrawn.insert(place),
            }
        });
    }

    /// In which state an account sees a zone; nothing is made in one that is not `available`.
    pub fn set_zone_state(&self, account: &str, region: &str, zone: &str, state: &str) {
        self.in_region(account, region, |region| {
            let states = &mut region.zone_states;
            states.insert(zone.to_owned(), state.to_owned())
        });
    }

    /// Whether calls take tokens from EC2's buckets, which are full now.
    pub fn set_throttling(&self, on: bool) {
        self.lock().limits.switch(on);
    }

    /// Gives an account other token buckets for an action than the documented ones, full ones, while throttling is on. A
    /// bucket that is None stays as it is. The calls of a describe action that have a smaller bucket because they have
    /// neither a filter nor a page size are called `DescribeInstances (unfiltered)`.
    pub fn set_bucket(&self, account: &str, action: &str, buckets: Buckets) {
        self.lock().limits.set(account, action, buckets);
    }

    /// How long, in milliseconds, what is made from now on is not seen: each object for a time in the range, of which an
    /// empty one stands for its start.
    pub fn set_consistency_ms(&self, range: Range<u64>) {
        self.lock().world.consistency_ms = range;
    }

    /// Moves simulated time on.
    pub fn advance(&self, ms: u64) {
        self.shared.clock.advance(ms);
        self.stir();
    }

    pub(crate) fn virtual_hosts(&self) -> Option<&Arc<Hosts>> {
        self.shared.hosts.as_ref()
    }

    /// Something may have changed for instances: virtual hosts follow.
    pub(crate) fn stir(&self) {
        if let Some(hosts) = self.virtual_hosts() {
            hosts.stir();
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn now(&self) -> u64 {
        self.shared.clock.now()
    }

    /// A panic while the lock was held would be a bug of ours; one request's bug must not end the others.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// None when there is no such region; it must not come into being by a misspelt name.
    pub(crate) fn in_region<T>(
        &self,
        account: &str,
        region: &str,
        act: impl FnOnce(&mut Region) -> T,
    ) -> Option<T> {
        crate::catalogue::region(region)?;
        let now = self.now();
        let mut inner = self.lock();
        let (_, _, region) = inner.world.enter(account, region, now);
        Some(act(region))
    }
}

impl Inner {
    pub(crate) fn count(&mut self, name: &str) {
        match self.calls.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.calls.insert(name.to_owned(), 1);
            }
        }
    }
}
