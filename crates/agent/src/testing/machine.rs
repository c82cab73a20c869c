use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use super::{DEADLINE, FakeEngine, FakeServer, TOKEN, web};
use crate::{
    Error,
    agent::{Agent, Pace, Surroundings},
    config::{Config, Settings},
    http::Web,
};

/// A machine for an agent to live on.
pub(crate) struct Machine {
    pub(crate) home: TempDir,
    pub(crate) settings: Settings,
}

impl Machine {
    /// One without Docker and away from EC2.
    pub(crate) fn new(server: &FakeServer) -> Self {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings {
            host: Some(server.url.clone()),
            token: Some(TOKEN.to_owned()),
            docker_socket: Some(home.path().join("docker.sock")),
            daemon_json: Some(home.path().join("daemon.json")),
            configure_docker: Some(false),
            metadata_url: Some("off".to_owned()),
            address_seconds: Some(1),
            ..Settings::default()
        };
        Self { home, settings }
    }

    /// Starts Docker, which the agent may restart: each restart is a line in the file `restarts`.
    pub(crate) async fn start_docker(&mut self) -> FakeEngine {
        let engine = FakeEngine::start().await;
        self.settings.docker_socket = Some(engine.socket.clone());
        engine
    }

    pub(crate) fn let_docker_be_configured(&mut self) {
        self.settings.configure_docker = Some(true);
        let restarts = self.path("restarts");
        self.settings.restart_command = Some(format!("echo >> '{}'", restarts.display()));
    }

    pub(crate) fn restarts(&self) -> usize {
        fs::read_to_string(self.path("restarts")).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.path(name))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name).unwrap()).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(self.home.path(), self.settings.clone()).unwrap()
    }

    /// The agent, as it is after a boot.
    pub(crate) fn agent(&self) -> Agent<Web> {
        let surroundings = Surroundings {
            pace: Pace {
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(20),
                call: DEADLINE,
                metadata: Duration::from_secs(20),
                engine: Duration::from_millis(500),
                heartbeat: Duration::from_secs(3600),
            },
            web: web(),
            machine: crate::machine::Machine::This,
            systemd: None,
            seed: 1,
        };
        Agent::new(self.config(), web(), surroundings).unwrap()
    }

    /// Boots: the agent lives until this is dropped.
    pub(crate) fn boot(&self) -> Alive {
        let mut agent = self.agent();
        Alive(tokio::spawn(async move {
            match agent.run().await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        }))
    }

    /// Boots, and waits for the server's heartbeat of this number.
    pub(crate) async fn boot_until_heartbeat(&self, server: &FakeServer, number: usize) -> Alive {
        let agent = self.boot();
        server.wait_for_number("heartbeat", number).await;
        agent
    }
}

/// An agent that lives.
pub(crate) struct Alive(JoinHandle<Error>);

impl Alive {
    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Error {
        let ended = timeout(DEADLINE, &mut self.0).await;
        ended.expect("the agent has not ended").unwrap()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abort();
    }
}
