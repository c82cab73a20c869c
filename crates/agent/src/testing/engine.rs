use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::State};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;

use super::{Task, locked};

/// A Docker engine's socket.
pub(crate) struct FakeEngine {
    pub(crate) socket: PathBuf,
    answer: Arc<Mutex<String>>,
    _task: Task,
    _folder: TempDir,
}

impl FakeEngine {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        Self::start_at(socket, folder).await
    }

    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as its siblings do"
    )]
    pub(crate) async fn start_at(socket: PathBuf, folder: TempDir) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = Arc::new(Mutex::new(String::new()));
        let app = Router::new()
            .fallback(
                |State(answer): State<Arc<Mutex<String>>>| async move { locked(&answer).clone() },
            )
            .with_state(answer.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let engine = Self {
            socket,
            answer,
            _task: Task(task),
            _folder: folder,
        };
        engine.set(|_| ());
        engine
    }

    /// Answers as an engine of which something is different.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Value)) {
        let mut info = json!({
            "ServerVersion": "26.1.5", "Driver": "overlay2", "DefaultRuntime": "runc", "Containers": 3,
            "ContainersRunning": 0, "LiveRestoreEnabled": false, "DockerRootDir": "/var/lib/docker",
            "Swarm": {"LocalNodeState": "inactive"}, "NCPU": 2,
        });
        change(&mut info);
        self.answer(&info.to_string());
    }

    pub(crate) fn answer(&self, text: &str) {
        text.clone_into(&mut locked(&self.answer));
    }
}
