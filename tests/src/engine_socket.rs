//! A stand-in for a Docker engine's own socket: what the agent on its machine asks.

use std::{fs, path::Path};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

/// A running engine, of the version that the file `engine-version` beside it holds: whoever writes that has upgraded it. It
/// ends when it is dropped.
pub struct EngineSocket(JoinHandle<()>);

impl EngineSocket {
    /// One that listens at `docker.sock` in this folder.
    ///
    /// # Panics
    /// Where the folder can't be written.
    pub fn start(folder: &Path, version: &str) -> Self {
        let file = folder.join("engine-version");
        fs::write(&file, version).expect("a file");
        let listener = UnixListener::bind(folder.join("docker.sock")).expect("a socket");
        Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answer(stream, &file).await;
            }
        }))
    }
}

impl Drop for EngineSocket {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers one request as an engine answers `GET /info`. Whoever leaves before is let go.
async fn answer(mut stream: UnixStream, version: &Path) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let version = fs::read_to_string(version).unwrap_or_default();
    let info = json!({
        "ServerVersion": version.trim(), "Driver": "overlay2", "DefaultRuntime": "runc",
        "DockerRootDir": "/var/lib/docker", "Swarm": {"LocalNodeState": "inactive"},
    })
    .to_string();
    let said = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{info}",
        info.len()
    );
    if stream.write_all(said.as_bytes()).await.is_ok() {
        drop(stream.shutdown().await);
    }
}
