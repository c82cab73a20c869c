//! The only caller of AWS that changes anything.
//!
//! A worker takes sites (one account link in one region each) by leases. For a site that it holds it does three things
//! at once: it renews the lease, it sweeps (one look at all of the site's instances), and it reconciles every cluster
//! on which there is something to do. A reconciler takes no input but the cluster's id: it looks, asks the domain's
//! plan for the next step, carries it out, writes the outcome, and looks again. What a crash interrupts is found in
//! the rows by the next worker, on the same path.
//!
//! Besides, it tries whether the links' credentials are good, reads what their accounts have, and one worker at a time keeps the names of all nodes right in Route 53 ([`names`]).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws::Clouds;
use chrono::TimeDelta;
use domain::{
    ids::{InstallationId, SiteId, WorkerId},
    link::Ambient,
    user_data::PublicUrl,
};
use sqlx::postgres::PgListener;
use store::PgPool;
use tokio::sync::{Mutex, Notify, OnceCell};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use uuid::Uuid;

mod catalogue;
mod hosts;
mod leftovers;
mod links;
mod makers;
mod names;
mod reconcile;
mod sightings;
mod site;
mod strangers;
mod sweep;
mod termination;
mod upgrade;

use names::Namer;
use site::{Site, in_time};

/// How a worker paces itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a lease lasts without being renewed: how long a dead worker's site waits for the next one.
    pub lease_ttl: Duration,
    /// How often a lease is renewed, and free sites are looked for.
    pub lease_interval: Duration,
    /// How often the rows are looked at when no notification comes.
    pub look_interval: Duration,
    /// How often a site is swept while nodes are changing.
    pub sweep_interval: Duration,
    /// How often a site is swept at rest: how long a termination in the AWS console goes unnoticed.
    pub sweep_interval_at_rest: Duration,
    /// How long an instance that EC2 does not show counts as too young to be known everywhere.
    pub grace: Duration,
    /// How soon a new object is in EC2's listings ("Eventual consistency"): a call without a client token whose outcome
    /// is not known is not sent again before.
    pub new_objects_show_within: Duration,
    /// How long an operation tries to launch before it gives up.
    pub launch_deadline: Duration,
    /// How hosts are dealt with.
    pub hosts: domain::host::Settings,
    /// Under which the keys of the authorities are sealed; without it no engine is asked.
    pub secret_key: Option<pki::SecretKey>,
    /// How engines are reached.
    pub engines: engine::Way,
    /// Under which URL the agents of nodes reach Berth; none where no cluster's nodes have any.
    pub public_url: Option<PublicUrl>,
    /// The image of every node; none means Canonical's newest Ubuntu LTS.
    pub image: Option<String>,
    /// The zone that nodes get names in; none means EC2's names.
    pub names: Option<store::naming::Zone>,
    /// How soon a change of names is tried again that Route 53 has refused for a reason that does not pass by itself.
    pub names_retry_interval: Duration,
    /// How often the names are compared with those in Route 53.
    pub names_check_interval: Duration,
    /// Whether it reads what the linked accounts have of AWS.
    pub refreshes_catalogue: bool,
    /// The namespaces that may use the server's own credentials: where none may, nothing is read with them.
    pub ambient: Ambient,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(15),
            lease_interval: Duration::from_secs(3),
            look_interval: Duration::from_secs(1),
            sweep_interval: Duration::from_secs(2),
            sweep_interval_at_rest: Duration::from_secs(30),
            grace: Duration::from_secs(120),
            new_objects_show_within: Duration::from_secs(15),
            launch_deadline: Duration::from_secs(15 * 60),
            hosts: domain::host::Settings::default(),
            secret_key: None,
            engines: engine::Way::Straight,
            public_url: None,
            image: None,
            names: None,
            names_retry_interval: Duration::from_secs(60),
            names_check_interval: Duration::from_secs(15 * 60),
            refreshes_catalogue: true,
            ambient: Ambient::Nobody,
        }
    }
}

/// What can stop a piece of work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// AWS.
    #[error(transparent)]
    Cloud(#[from] aws::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A process that works on sites.
pub struct Worker {
    id: WorkerId,
    pool: PgPool,
    clouds: Arc<dyn Clouds>,
    config: Arc<Config>,
    /// The sites it holds, and how to wake each.
    held: Mutex<HashMap<SiteId, Arc<Notify>>>,
    look_for_sites: Notify,
    installation: OnceCell<InstallationId>,
    look_at_names: Arc<Notify>,
}

impl Worker {
    /// A worker that holds no site yet.
    pub fn new(pool: PgPool, clouds: Arc<dyn Clouds>, config: Config) -> Self {
        Self {
            id: Uuid::new_v4().into(),
            pool,
            clouds,
            config: Arc::new(config),
            held: Mutex::new(HashMap::new()),
            look_for_sites: Notify::new(),
            installation: OnceCell::new(),
            look_at_names: Arc::default(),
        }
    }

    /// Works until `shutdown`; then lets every step under way end, and gives the sites back.
    pub async fn run(self, shutdown: CancellationToken) {
        let worker = Arc::new(self);
        let sites = TaskTracker::new();
        info!(worker = %worker.id, "worker started");
        let listener = tokio::spawn(Arc::clone(&worker).listen(shutdown.clone()));
        let names = tokio::spawn(worker.namer().await.run(shutdown.clone()));
        let hosts = tokio::spawn(hosts::run(
            worker.pool.clone(),
            Arc::clone(&worker.config),
            shutdown.clone(),
        ));
        let links = tokio::spawn(links::run(
            worker.pool.clone(),
            Arc::clone(&worker.clouds),
            Arc::clone(&worker.config),
            shutdown.clone(),
        ));
        let catalogue = tokio::spawn(catalogue::run(
            worker.pool.clone(),
            Arc::clone(&worker.clouds),
            Arc::clone(&worker.config),
            shutdown.clone(),
        ));
        while !shutdown.is_cancelled() {
            match worker.take_site(&sites, &shutdown).await {
                // There may be more.
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => warn!(%error, "sites can't be looked for; trying again"),
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = worker.look_for_sites.notified() => {}
                () = tokio::time::sleep(worker.config.lease_interval) => {}
            }
        }
        sites.close();
        sites.wait().await;
        for task in [listener, names, hosts, links, catalogue] {
            if let Err(error) = task.await {
                error!(%error, "a part of the worker ended badly");
            }
        }
        info!(worker = %worker.id, "worker stopped");
    }

    async fn namer(&self) -> Namer {
        Namer {
            worker: self.id,
            pool: self.pool.clone(),
            config: Arc::clone(&self.config),
            names: self.clouds.names().await,
            wake: Arc::clone(&self.look_at_names),
        }
    }

    async fn take_site(
        self: &Arc<Self>,
        sites: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<bool, Error> {
        // Before the site is taken: what fails after that leaves a lease that nobody works on.
        let installation = self.installation().await?;
        let taken = async {
            let mut tx = self.pool.begin().await?;
            let lease = store::site::acquire(&mut tx, self.id, self.config.lease_ttl).await?;
            let link = match &lease {
                Some(lease) => store::link::get(&mut tx, lease.link_id).await?,
                None => None,
            };
            tx.commit().await?;
            Ok(lease.zip(link))
        };
        let Some((lease, link)) = in_time(taken).await? else {
            return Ok(false);
        };
        info!(site = %lease.site_id, region = lease.region, token = lease.fencing_token, "site taken");
        let wake = Arc::new(Notify::new());
        self.held
            .lock()
            .await
            .insert(lease.site_id, Arc::clone(&wake));
        let mine = Arc::clone(&wake);
        let link = ::links::open(&link, self.config.secret_key.as_ref());
        let cloud = self.clouds.cloud(&link, &lease.region).await;
        let installation = ::links::mark(&link, installation);
        let site_id = lease.site_id;
        let site = Site::new(
            lease,
            installation,
            self.pool.clone(),
            &*cloud,
            Arc::clone(&self.config),
            wake,
            shutdown.child_token(),
        );
        let worker = Arc::clone(self);
        sites.spawn(async move {
            site.run().await;
            let mut held = worker.held.lock().await;
            // This worker may have taken the site anew in the meantime.
            if held
                .get(&site_id)
                .is_some_and(|wake| Arc::ptr_eq(wake, &mine))
            {
                held.remove(&site_id);
            }
        });
        Ok(true)
    }

    /// The installation's id, which never changes.
    async fn installation(&self) -> Result<InstallationId, Error> {
        let read = async {
            let mut conn = self.pool.acquire().await?;
            store::installation::id(&mut conn).await
        };
        self.installation
            .get_or_try_init(|| in_time(read))
            .await
            .copied()
    }

    /// Passes notifications on to the sites that are held; one for another site means that there may be one to take.
    async fn listen(self: Arc<Self>, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let ended = tokio::select! {
                () = shutdown.cancelled() => return,
                ended = self.listen_until_disconnected() => ended,
            };
            if let Err(error) = ended {
                warn!(%error, "notifications can't be listened to; the timers go on");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.config.look_interval) => {}
            }
        }
    }

    async fn listen_until_disconnected(&self) -> Result<(), sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(store::naming::WAKE_CHANNEL).await?;
        listener.listen(store::site::WAKE_CHANNEL).await?;
        // What was notified before this moment was missed.
        self.wake_all().await;
        loop {
            match listener.try_recv().await? {
                Some(notification) if notification.channel() == store::naming::WAKE_CHANNEL => {
                    self.look_at_names.notify_one();
                }
                Some(notification) => {
                    let site = notification.payload().parse().map(SiteId);
                    match site
                        .ok()
                        .map(|site| async move { self.held.lock().await.get(&site).cloned() })
                    {
                        Some(wake) => match wake.await {
                            Some(wake) => wake.notify_one(),
                            None => self.look_for_sites.notify_one(),
                        },
                        None => warn!(
                            payload = notification.payload(),
                            "a notification names no site"
                        ),
                    }
                }
                // The connection was lost and made again: something may have been missed.
                None => self.wake_all().await,
            }
        }
    }

    async fn wake_all(&self) {
        self.look_for_sites.notify_one();
        self.look_at_names.notify_one();
        for wake in self.held.lock().await.values() {
            wake.notify_one();
        }
    }
}

/// A panic under the locks of this crate leaves what they hold whole.
fn locked<T>(mutex: &SyncMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time as it is reckoned with in rows; one that is longer than any is the longest.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
