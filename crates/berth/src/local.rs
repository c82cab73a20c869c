//! Everything on this machine: a Postgres, a simulated AWS, the API and a worker.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use api::Agents;
use aws::{Clouds, Connector, Endpoint};
use domain::{link::Ambient, node::Readiness, user_data::PublicUrl};
use embedded_postgres::{EmbeddedPostgres, Options as PostgresOptions};
use engine::Way;
use sim::{HostConfig, Simulator};
use store::PgPool;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use crate::{
    Error,
    replica::{self, Answers, Replica},
    secret_key,
    serve::own_folder,
    sim_flags,
};

/// The user of `dev` and `demo`, and the user's key.
pub const DEV_USER: &str = "dev";
/// The key of [`DEV_USER`].
pub const DEV_KEY: &str = "dev";
/// The credentials with which Berth calls the simulated AWS.
pub const SIM_ACCESS_KEY: &str = "berth";

/// The name of their database.
const DATABASE: &str = "berth";

/// What to start.
#[derive(Debug)]
pub struct Options {
    /// Where the API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the simulated AWS listens; port 0 takes a free one.
    pub sim_listen: SocketAddr,
    /// The database's folder.
    pub data_dir: PathBuf,
    /// Whether data must survive a crash of the machine.
    pub durable: bool,
    /// How the worker paces itself.
    pub worker: worker::Config,
    /// What becomes of the simulated AWS, at its start or later.
    pub scenario: Option<PathBuf>,
}

/// A running stack.
pub(crate) struct Local {
    postgres: EmbeddedPostgres,
    simulator: SimServer,
    scenario: Option<JoinHandle<()>>,
    replica: Replica,
    pool: PgPool,
}

/// A running simulator.
pub struct SimServer {
    /// To look into it and to act as the AWS console.
    pub simulator: Simulator,
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
    shutdown: CancellationToken,
}

impl SimServer {
    /// Serves the simulator on `listener`.
    ///
    /// # Errors
    /// A socket that has no address.
    pub fn start(simulator: Simulator, listener: TcpListener) -> Result<Self, Error> {
        let address = listener
            .local_addr()
            .map_err(|error| Error::Io("the socket has no address".into(), error))?;
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone().cancelled_owned();
        let served = simulator.clone();
        let task = tokio::spawn(async move { served.serve(listener, stopped).await });
        Ok(Self {
            simulator,
            address,
            task,
            shutdown,
        })
    }

    /// The way to it for Berth's own client.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: format!("http://{}", self.address),
            access_key_id: SIM_ACCESS_KEY.to_owned(),
            secret_access_key: SIM_ACCESS_KEY.to_owned(),
        }
    }

    /// The way to the engines of its virtual hosts, whose addresses exist nowhere else.
    pub fn way_to_engines(&self) -> Way {
        Way::Through(self.address.into())
    }

    /// Stops serving.
    pub async fn stop(self) {
        self.shutdown.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the simulator ended badly"),
            Err(error) => error!(%error, "the simulator ended badly"),
        }
    }
}

impl Local {
    /// Starts everything and makes the user.
    pub(crate) async fn start(options: Options) -> Result<Self, Error> {
        let data_dir = options.data_dir;
        // The sockets first: an address in use is told before a database is made.
        let listener = replica::bind(options.listen).await?;
        let sim_listener = replica::bind(options.sim_listen).await?;
        let simulator = fresh_simulator();
        let scenario = options.scenario.as_deref();
        let scenario = scenario
            .map(|file| sim_flags::scenario(file, &simulator))
            .transpose()?;
        let postgres = EmbeddedPostgres::start(PostgresOptions {
            data_dir: data_dir.clone(),
            durable: options.durable,
        })
        .await?;
        postgres.create_database(DATABASE).await?;
        let pool = store::connect(&postgres.url(DATABASE), 20)?;
        store::migrate(&pool).await?;
        add_dev_user(&pool).await?;
        let simulator = SimServer::start(simulator, sim_listener)?;
        let clouds: Arc<dyn Clouds> = Arc::new(Connector::to(simulator.endpoint()));
        let worker = worker::Config {
            secret_key: Some(secret_key::of_folder(&data_dir)?),
            engines: simulator.way_to_engines(),
            public_url: Some(public_url(&listener)?),
            // Nothing costs anything here.
            ambient: Ambient::Everybody,
            ..options.worker
        };
        let replica = Replica::start(
            listener,
            pool.clone(),
            Answers::Everything,
            api::Config {
                hosts: worker.hosts,
                secret_key: worker.secret_key.clone(),
                engines: worker.engines.clone(),
                agents: Agents {
                    public_url: worker.public_url.clone(),
                    readiness: Readiness::Agent,
                    folder: own_folder(),
                },
                clouds: Some(Arc::clone(&clouds)),
                ambient: worker.ambient.clone(),
                ..api::Config::default()
            },
            Some((clouds, worker)),
        )?;
        Ok(Self {
            postgres,
            simulator,
            scenario,
            replica,
            pool,
        })
    }

    /// Where the API listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.replica.address
    }

    /// Where the simulated AWS listens.
    pub(crate) fn sim(&self) -> SocketAddr {
        self.simulator.address
    }

    /// The database, for other commands.
    pub(crate) fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// Stops everything, the database last.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        if let Some(scenario) = self.scenario {
            scenario.abort();
        }
        // Before what they call comes to its end.
        self.simulator.simulator.end_hosts();
        self.replica.stop().await;
        self.simulator.stop().await;
        self.pool.close().await;
        self.postgres.stop().await?;
        Ok(())
    }
}

/// The URL of an API for whoever is on this machine, as virtual hosts are.
fn public_url(listener: &TcpListener) -> Result<PublicUrl, Error> {
    let mut address = listener
        .local_addr()
        .map_err(|error| Error::Io("the socket has no address".into(), error))?;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    PublicUrl::new("listen", &format!("http://{address}"))
        .map_err(|invalid| Error::Usage(invalid.to_string()))
}

/// A simulated AWS whose instances live as virtual hosts, and whose ids are its own: those of an earlier run may still stand in the database.
pub(crate) fn fresh_simulator() -> Simulator {
    let (seed, _) = Uuid::new_v4().as_u64_pair();
    Simulator::new(sim::Config {
        seed,
        hosts: Some(HostConfig::default()),
        ..sim::Config::default()
    })
}

/// Makes the user `dev` with the key `dev`.
///
/// # Errors
/// Postgres' own.
pub async fn add_dev_user(pool: &PgPool) -> Result<(), Error> {
    let mut tx = pool.begin().await.map_err(store::Error::from)?;
    store::access::add_key(&mut tx, DEV_USER, &api::auth::key_digest(DEV_KEY)).await?;
    tx.commit().await.map_err(store::Error::from)?;
    Ok(())
}
