//! A real Docker engine (`dockerd`) on this machine, with folders of its own, beside any other that runs.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running engine without networks, which needs no privileges but root's. It is stopped when it is dropped.
pub struct RealEngine {
    folder: PathBuf,
}

impl RealEngine {
    /// One that keeps what it has below this folder, and can be restarted by [`Self::restart_command`]. None where none can
    /// run: there is no `dockerd`, this is not root, or what encloses the machine forbids it.
    ///
    /// # Panics
    /// Where the folder can't be written.
    #[expect(
        clippy::print_stderr,
        reason = "who reads the test's output sees what it left out"
    )]
    pub async fn start(folder: &Path) -> Option<Self> {
        if Command::new("dockerd").arg("--version").output().is_err() {
            eprintln!("there is no dockerd here");
            return None;
        }
        let engine = Self {
            folder: folder.to_owned(),
        };
        let configuration = json!({
            "hosts": [format!("unix://{}", engine.socket().display())],
            "data-root": folder.join("data"),
            "exec-root": folder.join("exec"),
            "pidfile": folder.join("pid"),
            "storage-driver": "vfs",
            "bridge": "none",
            "iptables": false,
            "ip6tables": false,
            "ip-forward": false,
            // Where containerd runs on this machine it is shared with others.
            "containerd-namespace": "berth-tests",
            "containerd-plugin-namespace": "berth-tests-plugins",
        });
        fs::write(engine.daemon_json(), configuration.to_string()).expect("a file");
        let folder = folder.display();
        // As an init system would: the new one is started when the old one has gone.
        let restart = format!(
            "set -e\n\
             cd '{folder}'\n\
             ./stop\n\
             setsid dockerd --config-file daemon.json >>log 2>&1 </dev/null &\n"
        );
        let stop = format!(
            "cd '{folder}'\n\
             pid=$(cat pid 2>/dev/null) || exit 0\n\
             kill \"$pid\"\n\
             for _ in $(seq 300); do kill -0 \"$pid\" 2>/dev/null || exit 0; sleep 0.1; done\n\
             kill -9 \"$pid\"\n"
        );
        for (name, script) in [("restart", restart), ("stop", stop)] {
            let path = engine.folder.join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a file");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a file");
        }
        let started = Command::new(engine.folder.join("restart")).status();
        if !started.is_ok_and(|started| started.success()) {
            return None;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !engine.answers() {
            let log = fs::read_to_string(engine.folder.join("log")).unwrap_or_default();
            let has_ended = log.contains("failed to start daemon")
                || log.contains("needs to be started with root privileges");
            if has_ended || tokio::time::Instant::now() > deadline {
                eprintln!("no Docker engine can run here: {log}");
                return None;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(engine)
    }

    /// Its own socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Its configuration.
    pub fn daemon_json(&self) -> PathBuf {
        self.folder.join("daemon.json")
    }

    /// What starts it anew, with the configuration as it is then.
    pub fn restart_command(&self) -> String {
        self.folder.join("restart").display().to_string()
    }

    /// Whether it answers at its own socket.
    ///
    /// # Panics
    /// Where there is no `docker`.
    pub fn answers(&self) -> bool {
        let asked = Command::new("docker")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .arg("info")
            .output();
        let said = asked.expect("there is Docker's client: `./test` installs it");
        said.status.success()
    }
}

impl Drop for RealEngine {
    fn drop(&mut self) {
        Command::new(self.folder.join("stop")).status().ok();
    }
}
