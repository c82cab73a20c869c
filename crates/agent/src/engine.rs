//! The Docker engine, over its own socket.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::{
    http::{HttpError, UnixSocket},
    machine::Played,
};

const PATIENCE: Duration = Duration::from_secs(10);
/// As much of a version or a name as the server takes.
const LONGEST_WORD: usize = 128;
/// How often an engine that is starting is asked.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Docker's engine.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: UnixSocket,
    /// Who plays it, where nobody is behind the socket.
    played: Option<Arc<dyn Played>>,
}

/// What the engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Info {
    /// Its version.
    pub server_version: String,
    /// Its storage driver.
    pub driver: String,
    /// The runtime of its containers.
    pub default_runtime: String,
    /// How many containers run.
    pub containers_running: u64,
    /// Whether containers outlive a restart of the engine.
    pub live_restore_enabled: bool,
    /// Where its data is.
    pub docker_root_dir: PathBuf,
    /// Its part in a swarm.
    pub swarm: Swarm,
}

/// The engine's part in a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Swarm {
    /// "inactive" where it has none.
    pub local_node_state: String,
}

impl Info {
    /// Whether a restart of the engine would stop containers.
    pub fn would_lose_containers(&self) -> bool {
        self.containers_running > 0 && !self.live_restore_enabled
    }

    /// Whether it is in a swarm, where containers can't outlive a restart.
    pub fn is_in_swarm(&self) -> bool {
        !matches!(self.swarm.local_node_state.as_str(), "" | "inactive")
    }
}

/// Why the engine says nothing, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no socket.
    #[error(
        "there is no Docker engine: {} does not exist. Install Docker (Debian, Ubuntu: `apt-get install docker.io`; \
         Amazon Linux, Fedora: `dnf install docker`) and start it, or set DockerSocket to its socket",
        .0.display()
    )]
    NotInstalled(PathBuf),
    /// There is a socket with nobody behind it.
    #[error("the Docker engine does not run: {} refuses connections. `systemctl status docker` tells why", .0.display())]
    NotRunning(PathBuf),
    /// It is not for this user.
    #[error("the agent may not open {}: run it as root", .0.display())]
    NotAllowed(PathBuf),
    /// It does not answer as an engine does.
    #[error("the Docker engine at {} does not answer as one: {reason}", socket.display())]
    NotAnEngine {
        /// Its socket.
        socket: PathBuf,
        /// What it did.
        reason: String,
    },
}

impl Engine {
    /// The engine with this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket: UnixSocket {
                path: socket,
                patience: PATIENCE,
            },
            played: None,
        }
    }

    /// That of a machine which somebody plays.
    pub fn played(machine: Arc<dyn Played>) -> Self {
        Self {
            played: Some(machine),
            ..Self::new("/var/run/docker.sock".into())
        }
    }

    /// The machine that is played, if it is one of those.
    pub(crate) fn player(&self) -> Option<&Arc<dyn Played>> {
        self.played.as_ref()
    }

    /// What it says of itself.
    pub async fn info(&self) -> Result<Info, EngineError> {
        let socket = || self.socket.path.clone();
        if let Some(machine) = &self.played {
            return machine
                .engine()
                .ok_or_else(|| EngineError::NotRunning(socket()));
        }
        let answer = self
            .socket
            .get("/info")
            .await
            .map_err(|error| match &error {
                HttpError::Connect(_, io) => match io.kind() {
                    io::ErrorKind::NotFound => EngineError::NotInstalled(socket()),
                    io::ErrorKind::PermissionDenied => EngineError::NotAllowed(socket()),
                    _ => EngineError::NotRunning(socket()),
                },
                _ => self.strange(&error),
            })?;
        if answer.status() != http::StatusCode::OK {
            return Err(self.strange(&answer.status()));
        }
        let mut info: Info =
            serde_json::from_slice(answer.body()).map_err(|error| self.strange(&error))?;
        if info.server_version.is_empty() {
            return Err(self.strange(&"it tells no version"));
        }
        for word in [
            &mut info.server_version,
            &mut info.driver,
            &mut info.default_runtime,
        ] {
            let shown = word.chars().filter(|char| !char.is_control());
            *word = shown.take(LONGEST_WORD).collect();
        }
        Ok(info)
    }

    /// The same, of an engine that is starting, for this long at most.
    pub async fn info_within(&self, longest: Duration) -> Result<Info, EngineError> {
        let deadline = Instant::now() + longest;
        loop {
            match self.info().await {
                Err(_) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
                outcome => return outcome,
            }
        }
    }

    fn strange(&self, reason: &dyn std::fmt::Display) -> EngineError {
        EngineError::NotAnEngine {
            socket: self.socket.path.clone(),
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener};

    use super::*;
    use crate::testing::FakeEngine;

    #[tokio::test]
    async fn an_engine_tells_of_itself() {
        let fake = FakeEngine::start().await;
        let info = Engine::new(fake.socket.clone()).info().await.unwrap();
        assert_eq!(info.server_version, "26.1.5");
        assert_eq!(
            (info.driver.as_str(), info.default_runtime.as_str()),
            ("overlay2", "runc")
        );
        assert_eq!(info.containers_running, 0);
        assert!(!info.is_in_swarm() && !info.would_lose_containers());
    }

    #[tokio::test]
    async fn what_an_engine_says_is_cut_to_what_a_server_takes() {
        let fake = FakeEngine::start().await;
        fake.set(|info| info["Driver"] = format!("zfs\n{}", "s".repeat(500)).into());
        let info = Engine::new(fake.socket.clone()).info().await.unwrap();
        assert_eq!(info.driver, format!("zfs{}", "s".repeat(125)));
    }

    #[tokio::test]
    async fn a_machine_without_docker_is_told_to_install_it() {
        let error = Engine::new("/no/docker.sock".into())
            .info()
            .await
            .unwrap_err();
        assert!(matches!(error, EngineError::NotInstalled(_)));
        let words = error.to_string();
        assert!(
            words.contains("/no/docker.sock") && words.contains("Install Docker"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn a_socket_that_is_left_over_is_no_engine_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        drop(UnixListener::bind(&path).unwrap());
        let error = Engine::new(path.clone()).info().await.unwrap_err();
        assert!(matches!(error, EngineError::NotRunning(_)), "{error}");
        fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn what_answers_something_else_is_no_engine() {
        let fake = FakeEngine::start().await;
        for garbage in ["", "{", "[]", "{}", r#"{"ServerVersion": 7}"#] {
            fake.answer(garbage);
            let error = Engine::new(fake.socket.clone()).info().await.unwrap_err();
            assert!(
                matches!(error, EngineError::NotAnEngine { .. }),
                "{garbage}: {error}"
            );
        }
    }

    #[test]
    fn running_containers_are_lost_only_without_live_restore() {
        let mut info = Info {
            containers_running: 1,
            ..Info::default()
        };
        assert!(info.would_lose_containers());
        info.live_restore_enabled = true;
        assert!(!info.would_lose_containers());
    }
}
