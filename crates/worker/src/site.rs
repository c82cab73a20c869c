//! One site while this worker holds it.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex as SyncMutex},
    time::Duration,
};

use aws::{Cloud, Image};
use domain::{
    catalogue::Architecture,
    ids::{ActionId, ClusterId, InstallationId, LaunchId},
    network::Network,
};
use store::{PgPool, site::Lease};
use tokio::{
    sync::{Mutex, Notify},
    task::{Id, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    Config, Error, leftovers, locked,
    makers::Makers,
    reconcile::{self, Rest},
    sightings::Sightings,
    sweep::Sweeper,
};

mod launches;
mod pause;

use pause::{LONGEST_PAUSE, Pause};

/// How long a worker that stops waits for the steps under way: its sites must be taken over within a second. What was not
/// written down by then the next worker finds out, as after a crash.
const STOP_WITHIN: Duration = Duration::from_millis(800);
/// How long the database may take for an answer; longer than anybody waits for a lock.
const DATABASE_ANSWERS_WITHIN: Duration = Duration::from_secs(12);
/// How long ago a launch may have been sent and still count: EC2's instance bucket is full again after this time (1000
/// instances at 2 a second, "Request throttling for the Amazon EC2 API").
const LAUNCHES_COUNT_FOR: Duration = Duration::from_secs(500);
/// How long an image that was looked up is used for further launches.
const IMAGE_KEPT_FOR: Duration = Duration::from_secs(3600);

/// A site, and what the work on it needs.
pub(crate) struct Site {
    pub(crate) lease: Lease,
    pub(crate) installation: InstallationId,
    pub(crate) pool: PgPool,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) config: Arc<Config>,
    /// One creator of network objects per VPC: they have no client token.
    pub(crate) makers: Makers,
    /// Held while a gateway that no row names is taken for a network.
    pub(crate) gateways: Mutex<()>,
    /// The network objects that listings miss.
    pub(crate) sightings: Sightings,
    /// The networks of clusters that wait, so that waiting asks EC2 nothing.
    pub(crate) prepared: Mutex<HashMap<ClusterId, (Instant, Network)>>,
    /// No new step is begun any more: the worker stops, or has lost the site.
    pub(crate) stop: CancellationToken,
    images: Mutex<HashMap<&'static str, (Instant, Image)>>,
    wake: Arc<Notify>,
    /// Launches that wait for their turn or their answer, each as a task of its own.
    launches: TaskTracker,
    launching: SyncMutex<HashSet<LaunchId>>,
    /// Nothing more is waited for.
    cut: CancellationToken,
    /// Clusters of which there is news.
    stirred: SyncMutex<HashSet<ClusterId>>,
    suspicion: Notify,
}

impl Site {
    pub(crate) fn new(
        lease: Lease,
        installation: InstallationId,
        pool: PgPool,
        cloud: &dyn Cloud,
        config: Arc<Config>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            lease,
            installation,
            pool,
            cloud: cloud.until(stop.clone()),
            makers: Makers::default(),
            gateways: Mutex::default(),
            sightings: Sightings::new(config.new_objects_show_within),
            config,
            prepared: Mutex::default(),
            stop,
            images: Mutex::new(HashMap::new()),
            wake,
            launches: TaskTracker::new(),
            launching: SyncMutex::default(),
            cut: CancellationToken::new(),
            stirred: SyncMutex::default(),
            suspicion: Notify::new(),
        })
    }

    /// Works on the site until it is stopped, or until the lease is lost.
    pub(crate) async fn run(self: Arc<Self>) {
        let span = info_span!("site", site = %self.lease.site_id, region = self.lease.region);
        async {
            let stop = self.stop.clone();
            self.count_recent_launches().await;
            let sweeper = Sweeper::new(Arc::clone(&self));
            let work = async {
                let leftovers = leftovers::run(Arc::clone(&self), &stop);
                tokio::join!(
                    sweeper.run(&stop),
                    self.dispatch(&stop),
                    leftovers,
                    self.watch_credentials(&stop)
                );
            };
            let patience = async {
                stop.cancelled().await;
                tokio::time::sleep(STOP_WITHIN).await;
            };
            // The lease is kept until the last step under way has ended, so that nobody else makes the same things.
            tokio::select! {
                () = work => {}
                () = patience => warn!("steps under way are left to the next worker"),
                () = self.keep_lease(&stop) => {}
            }
            self.cut.cancel();
            self.launches.close();
            self.launches.wait().await;
            let released = async {
                let mut conn = self.pool.acquire().await?;
                store::site::release(&mut conn, &self.lease).await
            };
            match in_time(released).await {
                Ok(()) => info!("site given back"),
                Err(error) => {
                    warn!(%error, "the site could not be given back; its lease runs out by itself")
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Has the link's credentials tried soon whenever AWS does not know them.
    async fn watch_credentials(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.cloud.credentials_refused() => {}
            }
            let noted = async {
                let mut conn = self.pool.acquire().await?;
                store::link::suspect(&mut conn, self.lease.link_id).await
            };
            if let Err(error) = in_time(noted).await {
                warn!(%error, "refused credentials can't be noted; the next refusal tries again");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.config.look_interval) => {}
            }
        }
    }

    /// What the worker before this one has launched, EC2 has counted.
    async fn count_recent_launches(&self) {
        let recent = async {
            let mut conn = self.pool.acquire().await?;
            store::launch::recent(&mut conn, self.lease.site_id, LAUNCHES_COUNT_FOR).await
        };
        match in_time(recent).await {
            Ok(launches) => self.cloud.launched_before(&launches),
            Err(error) => warn!(%error, "recent launches can't be read; EC2 may throttle the next"),
        }
    }

    /// Renews the lease, until what is to be awaited beside it has ended.
    async fn keep_lease(&self, stop: &CancellationToken) {
        loop {
            tokio::time::sleep(self.config.lease_interval).await;
            let renewed = async {
                let mut conn = self.pool.acquire().await?;
                store::site::renew(&mut conn, &self.lease, self.config.lease_ttl).await
            };
            match in_time(renewed).await {
                Ok(()) => {}
                Err(Error::Store(store::Error::LeaseLost)) => {
                    warn!("another worker has the site by now");
                    stop.cancel();
                    return std::future::pending().await;
                }
                // Every write checks the fencing token, so going on is safe.
                Err(error) => warn!(%error, "the lease could not be renewed; trying again"),
            }
        }
    }

    /// Runs one reconciliation per cluster that needs it, all clusters at once.
    async fn dispatch(self: &Arc<Self>, stop: &CancellationToken) {
        let mut running: JoinSet<(ClusterId, Result<Rest, Error>)> = JoinSet::new();
        let mut busy: HashSet<ClusterId> = HashSet::new();
        let mut tasks: HashMap<Id, ClusterId> = HashMap::new();
        let mut pauses: HashMap<ClusterId, Pause> = HashMap::new();
        loop {
            match self.working().await {
                Ok(clusters) => {
                    let stirred = self.take_stirred(&busy);
                    pauses.retain(|cluster, pause| {
                        let has_news = pause.is_waiting() && stirred.contains(cluster);
                        clusters.contains(cluster) && !has_news
                    });
                    for cluster in clusters {
                        let is_paused = pauses
                            .get(&cluster)
                            .is_some_and(|pause| pause.until > Instant::now());
                        if !is_paused && busy.insert(cluster) {
                            let site = Arc::clone(self);
                            let span = info_span!("cluster", %cluster);
                            let work =
                                async move { (cluster, reconcile::run(&site, cluster).await) };
                            let handle = running.spawn(work.instrument(span));
                            tasks.insert(handle.id(), cluster);
                        }
                    }
                }
                Err(error) => warn!(%error, "the clusters can't be read; trying again"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.config.look_interval) => {}
                Some(ended) = running.join_next_with_id() => match ended {
                    Ok((task, (cluster, outcome))) => {
                        tasks.remove(&task);
                        busy.remove(&cluster);
                        match outcome {
                            Ok(Rest::Quiet) => { pauses.remove(&cluster); }
                            Ok(Rest::Waiting) => {
                                pauses.insert(cluster, Pause::of(self.config.look_interval, ""));
                            }
                            Err(Error::Store(store::Error::LeaseLost)) => stop.cancel(),
                            // The loop ends with the stop itself.
                            Err(Error::Cloud(aws::Error::Stopped(_))) => {}
                            Err(error) => {
                                let pause = Pause::after(pauses.get(&cluster), &error);
                                warn!(%cluster, %error, pause_ms = pause.length.as_millis(), "paused");
                                pauses.insert(cluster, pause);
                            }
                        }
                    }
                    Err(error) => {
                        warn!(%error, "a reconciliation ended badly");
                        if let Some(cluster) = tasks.remove(&error.id()) {
                            busy.remove(&cluster);
                            pauses.insert(cluster, Pause::of(LONGEST_PAUSE, ""));
                        }
                    }
                },
            }
        }
        // A step under way is let come to its end: what it has asked of EC2 is written down.
        while running.join_next().await.is_some() {}
        self.launches.close();
        self.launches.wait().await;
    }

    /// The clusters of which there is news, but those that are being reconciled: their pass may have looked before.
    fn take_stirred(&self, busy: &HashSet<ClusterId>) -> HashSet<ClusterId> {
        let mut all = locked(&self.stirred);
        let (kept, taken) = all.drain().partition(|cluster| busy.contains(cluster));
        *all = kept;
        taken
    }

    /// Lets a cluster be looked at now, although it waits.
    pub(crate) fn stir(&self, cluster: ClusterId) {
        locked(&self.stirred).insert(cluster);
        self.wake.notify_one();
    }

    /// The network that was kept for a cluster that waits is not as it was.
    pub(crate) async fn forget_network(&self, cluster: ClusterId) {
        self.prepared.lock().await.remove(&cluster);
    }

    /// Something may exist that no row will know.
    pub(crate) fn look_for_leftovers(&self) {
        self.suspicion.notify_one();
    }

    pub(crate) async fn leftovers_suspected(&self) {
        self.suspicion.notified().await;
    }

    async fn working(&self) -> Result<Vec<ClusterId>, Error> {
        let working = async {
            let mut conn = self.pool.acquire().await?;
            store::cluster::working(&mut conn, self.lease.site_id).await
        };
        in_time(working).await
    }

    /// Begins a transaction of this site's holder.
    pub(crate) async fn fence(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
        in_time(store::site::fence(&self.pool, &self.lease)).await
    }

    /// Adds a line to the log of the operation that is under way.
    pub(crate) async fn log(&self, action: Option<ActionId>, line: &str) -> Result<(), Error> {
        info!("{line}");
        let Some(action) = action else { return Ok(()) };
        let mut tx = self.fence().await?;
        store::action::log(&mut tx, action, line).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The image for new nodes; looked up at most once an hour.
    pub(crate) async fn image(&self, architecture: Architecture) -> aws::Result<Option<Image>> {
        let mut images = self.images.lock().await;
        if let Some((at, image)) = images.get(architecture.as_str())
            && at.elapsed() < IMAGE_KEPT_FOR
        {
            return Ok(Some(image.clone()));
        }
        let found = match &self.config.image {
            Some(image_id) => self.cloud.image(image_id).await?,
            None => self.cloud.newest_image(architecture).await?,
        };
        if let Some(image) = &found {
            images.insert(architecture.as_str(), (Instant::now(), image.clone()));
        }
        Ok(found)
    }
}

/// The database's answer. One that does not come is not waited for: the connection may lead nowhere.
pub(crate) async fn in_time<T>(
    answer: impl Future<Output = Result<T, store::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(DATABASE_ANSWERS_WITHIN, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(store::Error::NoAnswer.into()),
    }
}
