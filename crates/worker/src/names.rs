//! The names of nodes, kept right in Route 53 by one worker at a time.
//!
//! It looks which names are not as they should be, writes down what it is about to ask for, asks for as many as fit into
//! one call, and writes down what came of it. So a record is never there without a row that knows of it, whenever this
//! worker dies, and its call is finished by the next one. What somebody else did to a record, and what a call did that
//! came later than its worker thought, is found by comparing the zone with the rows now and then.
//!
//! Nothing here touches a node: a name that can't be made is told in the log, and tried again.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use aws::Names;
use domain::ids::{NodeId, WorkerId};
use store::{
    PgPool,
    naming::{self, Due, Lease},
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Config, Error};

mod batch;

use batch::Step;

/// The first pause after a call that AWS was too busy for, or whose answer is lost; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A worker's part in the keeping of names.
pub(crate) struct Namer {
    pub(crate) worker: WorkerId,
    pub(crate) pool: PgPool,
    pub(crate) config: Arc<Config>,
    pub(crate) names: Arc<dyn Names>,
    /// Something may be due.
    pub(crate) wake: Arc<Notify>,
}

/// How long something is left alone.
struct Pause {
    until: Instant,
    length: Duration,
}

impl Pause {
    fn of(length: Duration) -> Self {
        Self {
            until: Instant::now() + length,
            length,
        }
    }

    fn is_over(&self) -> bool {
        self.until <= Instant::now()
    }
}

/// What is remembered from one call to the next.
#[derive(Default)]
struct Memory {
    /// By hosted zone: calls that failed.
    zones: HashMap<String, Pause>,
    /// By hosted zone and name: what Route 53 refused.
    names: HashMap<(String, String), Pause>,
    /// The most names in a call, while the one is looked for for which Route 53 refuses a batch without saying so.
    most: Option<usize>,
}

/// What is to be done about a name.
struct Task {
    due: Due,
    step: Step,
}

impl Namer {
    /// Keeps the names while it has the right to, and tries to get it, until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut is_configured = false;
        while !shutdown.is_cancelled() {
            match self.take(&mut is_configured).await {
                Ok(Some(lease)) => {
                    self.hold(lease, shutdown.child_token()).await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => warn!(%error, "the names can't be looked for; trying again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.config.lease_interval) => {}
            }
        }
    }

    async fn take(&self, is_configured: &mut bool) -> Result<Option<Lease>, Error> {
        let mut conn = self.pool.acquire().await?;
        if !*is_configured {
            naming::configure(&mut conn, self.config.names.as_ref()).await?;
            *is_configured = true;
        }
        Ok(naming::acquire(&mut conn, self.worker, self.config.lease_ttl).await?)
    }

    async fn hold(&self, lease: Lease, stop: CancellationToken) {
        // The lease is kept until the call under way has ended.
        let drained = CancellationToken::new();
        let work = async {
            tokio::join!(
                self.work(lease, &stop),
                self.check_now_and_then(lease, &stop)
            );
            drained.cancel();
        };
        tokio::join!(self.keep_lease(lease, &stop, &drained), work);
        let released = async {
            let mut conn = self.pool.acquire().await?;
            naming::release(&mut conn, lease).await
        };
        if let Err(error) = released.await {
            warn!(%error, "the names could not be given back; their lease runs out by itself");
        }
    }

    async fn keep_lease(
        &self,
        lease: Lease,
        stop: &CancellationToken,
        drained: &CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = drained.cancelled() => return,
                () = tokio::time::sleep(self.config.lease_interval) => {}
            }
            let renewed = async {
                let mut conn = self.pool.acquire().await?;
                naming::renew(&mut conn, lease, self.config.lease_ttl).await
            };
            match renewed.await {
                Ok(()) => {}
                Err(store::Error::LeaseLost) => {
                    warn!("another worker keeps the names by now");
                    stop.cancel();
                    return;
                }
                // Every write checks the fencing token, so going on is safe.
                Err(error) => {
                    warn!(%error, "the lease on the names could not be renewed; trying again")
                }
            }
        }
    }

    async fn work(&self, lease: Lease, stop: &CancellationToken) {
        let mut memory = Memory::default();
        while !stop.is_cancelled() {
            match self.pass(lease, &mut memory).await {
                // There may be more.
                Ok(true) => continue,
                Ok(false) => {}
                Err(Error::Store(store::Error::LeaseLost)) => return stop.cancel(),
                Err(error) => warn!(%error, "the names can't be looked at; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.config.look_interval) => {}
            }
        }
    }

    /// One call, where one is due.
    async fn pass(&self, lease: Lease, memory: &mut Memory) -> Result<bool, Error> {
        let mut conn = self.pool.acquire().await?;
        let due = naming::due(&mut conn).await?;
        drop(conn);
        memory.names.retain(|_, pause| !pause.is_over());
        let is_paused = |due: &Due| {
            let pause = memory.zones.get(&due.hosted_zone_id);
            let key = (due.hosted_zone_id.clone(), due.name.clone());
            pause.is_some_and(|pause| !pause.is_over()) || memory.names.contains_key(&key)
        };
        let mut tasks: Vec<Task> = due
            .into_iter()
            .filter(|due| !is_paused(due))
            .filter_map(|due| batch::step(&due).map(|step| Task { due, step }))
            .collect();
        let Some(zone_id) = tasks.first().map(|task| task.due.hosted_zone_id.clone()) else {
            memory.most = None;
            return Ok(false);
        };
        tasks.retain(|task| task.due.hosted_zone_id == zone_id);
        let fitting = batch::fitting(tasks.iter().map(|task| task.step));
        tasks.truncate(memory.most.unwrap_or(fitting).min(fitting));
        self.change(lease, &zone_id, &tasks, memory).await?;
        Ok(true)
    }

    /// Asks for a batch, and writes down what came of it.
    async fn change(
        &self,
        lease: Lease,
        zone_id: &str,
        tasks: &[Task],
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let asked: Vec<(&str, NodeId, IpAddr)> = tasks.iter().filter_map(Task::asked).collect();
        let mut tx = naming::fence(&self.pool, lease).await?;
        naming::ask(&mut tx, zone_id, &asked).await?;
        tx.commit().await?;
        let changes: Vec<_> = tasks
            .iter()
            .flat_map(|task| task.step.changes(&task.due.name))
            .collect();
        let outcome = self.names.change_records(zone_id, &changes).await;
        let error = match outcome {
            Ok(()) => {
                memory.zones.remove(zone_id);
                return self.settle(lease, zone_id, tasks).await;
            }
            Err(error) => error,
        };
        if !error.may_have_taken_effect() {
            // What an earlier call has left in doubt, stays so.
            let names = tasks.iter().filter(|task| task.due.asked.is_none());
            let names: Vec<&str> = names
                .filter_map(Task::asked)
                .map(|(name, ..)| name)
                .collect();
            let mut tx = naming::fence(&self.pool, lease).await?;
            naming::withdraw(&mut tx, zone_id, &names).await?;
            tx.commit().await?;
        }
        if let aws::Error::BadBatch(said) = &error {
            return self.refused(lease, zone_id, tasks, said, memory).await;
        }
        let length = match &error {
            aws::Error::Throttled(_) | aws::Error::OutcomeUnknown(_) => {
                let last = memory.zones.get(zone_id).map(|last| last.length * 2);
                last.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE)
            }
            // Somebody has to do something about it.
            _ => self.config.names_retry_interval,
        };
        warn!(
            zone = zone_id, names = tasks.len(), %error, pause_ms = length.as_millis(),
            "the names of nodes can't be changed; trying again"
        );
        memory.zones.insert(zone_id.to_owned(), Pause::of(length));
        Ok(())
    }

    async fn settle(&self, lease: Lease, zone_id: &str, tasks: &[Task]) -> Result<(), Error> {
        let confirmed: Vec<(&str, IpAddr)> = tasks
            .iter()
            .filter_map(Task::asked)
            .map(|(name, _, address)| (name, address))
            .collect();
        let gone: Vec<&str> = tasks
            .iter()
            .filter_map(Task::deleted)
            .map(|(name, _)| name)
            .collect();
        let mut tx = naming::fence(&self.pool, lease).await?;
        naming::confirm(&mut tx, zone_id, &confirmed).await?;
        naming::forget(&mut tx, zone_id, &gone).await?;
        tx.commit().await?;
        info!(
            zone = zone_id,
            changed = confirmed.len(),
            removed = gone.len(),
            "names of nodes changed"
        );
        Ok(())
    }

    /// Leaves those names alone for a while for which Route 53 refused the whole batch.
    async fn refused(
        &self,
        lease: Lease,
        zone_id: &str,
        tasks: &[Task],
        said: &aws::Said,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let mut blamed: Vec<&Task> = tasks
            .iter()
            .filter(|task| said.message.contains(&task.due.name))
            .collect();
        if blamed.is_empty() {
            if tasks.len() > 1 {
                memory.most = Some(tasks.len() / 2);
                return Ok(());
            }
            blamed = tasks.iter().collect();
        }
        memory.most = None;
        // A record that is not what it was is not known: it is written anew, and removed then.
        let doubted: Vec<(&str, IpAddr)> =
            blamed.iter().filter_map(|task| task.deleted()).collect();
        let mut tx = naming::fence(&self.pool, lease).await?;
        naming::doubt(&mut tx, zone_id, &doubted).await?;
        tx.commit().await?;
        for task in blamed {
            let name = &task.due.name;
            warn!(zone = zone_id, name, error = %said, "Route 53 refuses what is to become of a name");
            if task.deleted().is_none() {
                let key = (zone_id.to_owned(), name.clone());
                let pause = Pause::of(self.config.names_retry_interval);
                memory.names.insert(key, pause);
            }
        }
        Ok(())
    }

    async fn check_now_and_then(&self, lease: Lease, stop: &CancellationToken) {
        let mut strangers = BTreeSet::new();
        while !stop.is_cancelled() {
            match self.check(lease, &mut strangers).await {
                Ok(()) => {}
                Err(Error::Store(store::Error::LeaseLost)) => return stop.cancel(),
                Err(error) => {
                    warn!(%error, "the names can't be compared with Route 53's; trying again later");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.config.names_check_interval) => {}
            }
        }
    }

    /// Compares the zone with the rows. What differs is doubted, and so written anew. What no row knows is taken up at the
    /// second sight, since it may have been removed while the zone was listed.
    async fn check(&self, lease: Lease, strangers: &mut BTreeSet<String>) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await?;
        let zone = naming::zone(&mut conn).await?;
        let Some(zone) = zone else { return Ok(()) };
        let zone_id = &zone.hosted_zone_id;
        let before = naming::known(&mut conn, zone_id).await?;
        drop(conn);
        let listed = self.names.records(zone_id, &zone.nodes()).await?;
        let mut conn = self.pool.acquire().await?;
        let after = naming::known(&mut conn, zone_id).await?;
        drop(conn);
        let wrong = batch::wrong(&before, &listed);
        let strange = batch::strange(&after, &listed, &zone.nodes());
        let again: Vec<_> = strange
            .iter()
            .copied()
            .filter(|(name, ..)| strangers.contains(*name))
            .collect();
        if !wrong.is_empty() || !again.is_empty() {
            warn!(
                zone = zone_id,
                wrong = wrong.len(),
                strange = again.len(),
                "the zone is not as it was made: putting it right"
            );
        }
        let mut tx = naming::fence(&self.pool, lease).await?;
        naming::doubt(&mut tx, zone_id, &wrong).await?;
        naming::adopt(&mut tx, zone_id, &again).await?;
        tx.commit().await?;
        *strangers = strange
            .iter()
            .map(|(name, ..)| (*name).to_owned())
            .collect();
        self.wake.notify_one();
        Ok(())
    }
}

impl Task {
    /// The address that is asked for.
    fn asked(&self) -> Option<(&str, NodeId, IpAddr)> {
        match self.step {
            Step::Upsert(address) => Some((&self.due.name, self.due.node_id, address)),
            Step::Delete(_) => None,
        }
    }

    /// The address that is removed.
    fn deleted(&self) -> Option<(&str, IpAddr)> {
        match self.step {
            Step::Upsert(_) => None,
            Step::Delete(address) => Some((&self.due.name, address)),
        }
    }
}
