//! A replica: an API, a worker, or both, on one database.

use std::{net::SocketAddr, sync::Arc};

use aws::Clouds;
use store::PgPool;
use tokio::{net::TcpListener, signal, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::Error;

/// A running replica.
pub struct Replica {
    api: JoinHandle<std::io::Result<()>>,
    worker: Option<JoinHandle<()>>,
    shutdown: CancellationToken,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Which requests a replica answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// The whole API.
    Everything,
    /// `/healthz` and `/readyz`.
    Health,
}

/// Binds a socket, with an error that names the address.
///
/// # Errors
/// The system's own, for example that the address is in use.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::Io(format!("can't listen on {address}"), error))
}

impl Replica {
    /// Starts the API, or only its health checks, on `listener`, and a worker where one is asked for.
    ///
    /// # Errors
    /// A socket that has no address.
    pub fn start(
        listener: TcpListener,
        pool: PgPool,
        answers: Answers,
        config: api::Config,
        worker: Option<(Arc<dyn Clouds>, worker::Config)>,
    ) -> Result<Self, Error> {
        let shutdown = CancellationToken::new();
        let address = listener
            .local_addr()
            .map_err(|error| Error::Io("the socket has no address".into(), error))?;
        let app = api::App::new(pool.clone(), config);
        let worker = worker.map(|(clouds, config)| {
            tokio::spawn(worker::Worker::new(pool, clouds, config).run(shutdown.child_token()))
        });
        let stopped = shutdown.child_token().cancelled_owned();
        let api = match answers {
            Answers::Everything => tokio::spawn(api::serve(listener, app, stopped)),
            Answers::Health => tokio::spawn(api::serve_health(listener, app, stopped)),
        };
        info!(%address, "listening");
        Ok(Self {
            api,
            worker,
            shutdown,
            address,
        })
    }

    /// Lets the requests and steps under way end, and stops.
    pub async fn stop(self) {
        self.shutdown.cancel();
        match self.api.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the API ended badly"),
            Err(error) => error!(%error, "the API ended badly"),
        }
        if let Some(worker) = self.worker
            && let Err(error) = worker.await
        {
            error!(%error, "the worker ended badly");
        }
    }

    /// Ends at once, without a word to anybody, as a crash would.
    pub fn abort(self) {
        self.api.abort();
        if let Some(worker) = self.worker {
            worker.abort();
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
pub(crate) async fn asked_to_stop() {
    let interrupted = signal::ctrl_c();
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(error) => {
            error!(%error, "SIGTERM can't be waited for");
            if let Err(error) = interrupted.await {
                error!(%error, "Ctrl-C can't be waited for");
            }
        }
    }
    info!("stopping");
}
