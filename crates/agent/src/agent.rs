//! The agent's life: it becomes a node, lives as one until it is forgotten, and begins anew.

use std::{convert::Infallible, time::Duration};

use rand::{SeedableRng, rngs::StdRng};

use crate::{
    Error,
    addresses::Addresses,
    api::Api,
    backoff::Backoff,
    config::Config,
    docker::{Docker, Systemd},
    engine::Engine,
    http::{Transport, Web},
    keys::Keys,
    machine,
    metadata::Metadata,
    state::StateFile,
    upgrade::Upgrader,
};

/// How patient the agent is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The first pause after a failed call.
    pub first_pause: Duration,
    /// The longest one.
    pub longest_pause: Duration,
    /// How long a call may take.
    pub call: Duration,
    /// How long the metadata service may take to come up after a boot, on an instance.
    pub metadata: Duration,
    /// How long the engine may take to start.
    pub engine: Duration,
    /// The time between heartbeats until the server tells it.
    pub heartbeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(128),
            call: Duration::from_secs(30),
            metadata: if machine::is_on_ec2() {
                Duration::from_secs(300)
            } else {
                Duration::from_secs(3)
            },
            engine: Duration::from_secs(60),
            heartbeat: Duration::from_secs(30),
        }
    }
}

/// What an agent finds around it.
pub struct Surroundings {
    /// How patient it is.
    pub pace: Pace,
    /// The way to the metadata service.
    pub web: Web,
    /// What restarts Docker.
    pub systemd: Option<Systemd>,
    /// Where the jitter of its pauses begins.
    pub seed: u64,
}

/// The agent of this machine, talking to the server by `T`.
pub struct Agent<T> {
    pub(crate) config: Config,
    pub(crate) pace: Pace,
    pub(crate) api: Api<T>,
    pub(crate) metadata: Metadata,
    pub(crate) engine: Engine,
    pub(crate) docker: Docker,
    pub(crate) upgrader: Upgrader,
    pub(crate) keys: Keys,
    pub(crate) state: StateFile,
    pub(crate) addresses: Addresses,
    pub(crate) random: StdRng,
}

impl<T: Transport> Agent<T> {
    /// The agent with this configuration.
    pub fn new(config: Config, transport: T, surroundings: Surroundings) -> Result<Self, Error> {
        let Surroundings {
            pace,
            web,
            systemd,
            seed,
        } = surroundings;
        let engine = Engine::new(config.docker_socket.clone());
        Ok(Self {
            pace,
            api: Api::new(transport, &config.host, config.token.clone()),
            metadata: Metadata::new(web, config.metadata_url.clone()),
            docker: Docker::new(&config, engine.clone(), systemd, pace.engine),
            upgrader: Upgrader::new(
                config.upgrade_command.clone(),
                &config.home,
                engine.clone(),
                pace.engine,
            ),
            engine,
            keys: Keys::of(&config.home),
            state: StateFile::open(&config.home)?,
            addresses: Addresses::default(),
            random: StdRng::seed_from_u64(seed),
            config,
        })
    }

    /// Lives until the server refuses the token, or the machine fails it. It may be dropped at any moment.
    pub async fn run(&mut self) -> Result<Infallible, Error> {
        if let Err(error) = self.docker.settle(&mut self.state).await {
            tracing::error!("{error}");
        }
        loop {
            let node = self.connect().await?;
            self.live(node).await?;
            tracing::warn!("node {node} is not known to {} any more", self.config.host);
            self.forget()?;
        }
    }

    /// What the node was is no more. Its key and certificates are replaced with the next node's: Docker reads them.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        self.state.change(|state| {
            state.uuid = None;
            state.token = None;
            state.instance_id = None;
            state.certified = None;
            state.upgrade = None;
        })
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.pace.first_pause, self.pace.longest_pause)
    }
}
