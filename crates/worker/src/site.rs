//! One site while this worker holds it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use aws::{Cloud, Gateway, Image, Vpc};
use domain::{
    catalogue::Architecture,
    ids::{ActionId, ClusterId, InstallationId},
    network::Network,
};
use store::{PgPool, site::Lease};
use tokio::{
    sync::{Mutex, Notify},
    task::{Id, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use crate::{
    Config, Error,
    reconcile::{self, Rest},
    sweep::Sweeper,
};

/// The first pause after a failed attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an image that was looked up is used for further launches.
const IMAGE_KEPT_FOR: Duration = Duration::from_secs(3600);

/// How long a cluster is left alone.
struct Pause {
    until: Instant,
    length: Duration,
    /// The call that failed, if one did.
    action: &'static str,
}

impl Pause {
    fn of(length: Duration, action: &'static str) -> Self {
        Self {
            until: Instant::now() + length,
            length,
            action,
        }
    }

    /// After a failed attempt. One that failed at the same call as the one before has got nowhere, and waits twice as
    /// long; one that got further begins anew.
    fn after(last: Option<&Self>, error: &Error) -> Self {
        let action = match error {
            Error::Cloud(said) => said.said().action,
            Error::Store(_) => "the database",
        };
        let length = match last {
            Some(last) if last.action == action => (last.length * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        Self::of(length, action)
    }
}

/// What was made a moment ago: a listing may not show it yet, and it must not be made twice.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) vpc: Option<(Instant, Vpc)>,
    /// With the VPC that it was made for.
    pub(crate) gateway: Option<(Instant, String, Gateway)>,
}

/// A site, and what the work on it needs.
pub(crate) struct Site {
    pub(crate) lease: Lease,
    pub(crate) installation: InstallationId,
    pub(crate) pool: PgPool,
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) config: Arc<Config>,
    /// One creator of network objects per site: they have no client token.
    pub(crate) network: Mutex<Made>,
    /// The networks of clusters that wait, so that waiting asks EC2 nothing.
    pub(crate) prepared: Mutex<HashMap<ClusterId, (Instant, Network)>>,
    images: Mutex<HashMap<&'static str, (Instant, Image)>>,
    wake: Arc<Notify>,
}

impl Site {
    pub(crate) fn new(
        lease: Lease,
        installation: InstallationId,
        pool: PgPool,
        cloud: Arc<dyn Cloud>,
        config: Arc<Config>,
        wake: Arc<Notify>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lease,
            installation,
            pool,
            cloud,
            config,
            network: Mutex::default(),
            prepared: Mutex::default(),
            images: Mutex::new(HashMap::new()),
            wake,
        })
    }

    /// Works on the site until `shutdown`, or until the lease is lost.
    pub(crate) async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        let span = info_span!("site", site = %self.lease.site_id, region = self.lease.region);
        async {
            let stop = shutdown.child_token();
            let sweeper = Sweeper::new(Arc::clone(&self));
            // The lease is kept until the last step under way has ended, so that nobody else makes the same things.
            let drained = CancellationToken::new();
            let work = async {
                tokio::join!(sweeper.run(&stop), self.dispatch(&stop));
                drained.cancel();
            };
            tokio::join!(self.keep_lease(&stop, &drained), work);
            let released = async {
                let mut conn = self.pool.acquire().await?;
                store::site::release(&mut conn, &self.lease).await
            };
            match released.await {
                Ok(()) => info!("site given back"),
                Err(error) => {
                    warn!(%error, "the site could not be given back; its lease runs out by itself")
                }
            }
        }
        .instrument(span)
        .await;
    }

    async fn keep_lease(&self, stop: &CancellationToken, drained: &CancellationToken) {
        loop {
            tokio::select! {
                () = drained.cancelled() => return,
                () = tokio::time::sleep(self.config.lease_interval) => {}
            }
            let renewed = async {
                let mut conn = self.pool.acquire().await?;
                store::site::renew(&mut conn, &self.lease, self.config.lease_ttl).await
            };
            match renewed.await {
                Ok(()) => {}
                Err(store::Error::LeaseLost) => {
                    warn!("another worker has the site by now");
                    stop.cancel();
                    return;
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
                    pauses.retain(|cluster, _| clusters.contains(cluster));
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
    }

    async fn working(&self) -> Result<Vec<ClusterId>, Error> {
        let mut conn = self.pool.acquire().await?;
        Ok(store::cluster::working(&mut conn, self.lease.site_id).await?)
    }

    /// Begins a transaction of this site's holder.
    pub(crate) async fn fence(&self) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, Error> {
        Ok(store::site::fence(&self.pool, &self.lease).await?)
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

    /// Lets the clusters be looked at now.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
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
