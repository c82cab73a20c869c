//! A worker that works for a while, in a world that has none of its own.

use std::sync::Arc;

use aws::{Clouds, Connector};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{World, fast_worker};

/// A worker between its beginning and its end.
pub struct Shift {
    shutdown: CancellationToken,
    worker: JoinHandle<()>,
}

impl Shift {
    /// A worker begins to work.
    pub fn begin(world: &World) -> Self {
        Self::begin_with(world, fast_worker())
    }

    /// A worker that paces itself in another way begins to work.
    pub fn begin_with(world: &World, config: worker::Config) -> Self {
        let shutdown = CancellationToken::new();
        let connector = Connector::to(world.endpoint.clone());
        // As in the product: a call has ended long before anybody concludes that it had no effect.
        let clouds: Arc<dyn Clouds> = Arc::new(connector.with_call_timeout(config.grace / 2));
        let config = worker::Config {
            names: world.zone.clone(),
            public_url: world.public_url.clone(),
            engines: world.way_to_engines(),
            ..config
        };
        let worker = worker::Worker::new(world.pool.clone(), clouds, config);
        Self {
            worker: tokio::spawn(worker.run(shutdown.clone())),
            shutdown,
        }
    }

    /// It ends what it is at, and gives its sites back.
    ///
    /// # Panics
    /// Where the worker did.
    pub async fn end(self) {
        self.shutdown.cancel();
        self.worker.await.expect("the worker ends well");
    }
}
