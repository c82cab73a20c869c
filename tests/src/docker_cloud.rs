//! The original `docker-cloud` command line as a client, in a virtual environment that the test command makes.

use std::path::Path;

use tempfile::TempDir;

use crate::{Client, Ended, Process};

/// What a machine may have set and would change what the command line does, with the value that stands for none.
const NEUTRAL: &[(&str, &str)] = &[
    ("DOCKERCLOUD_AUTH", ""),
    ("DOCKERCLOUD_PASS", ""),
    ("DOCKERCLOUD_NAMESPACE", ""),
    ("DOCKERCLOUD_RECONNECTION_INTERVAL", "-1"),
    ("NO_PROXY", "*"),
    ("no_proxy", "*"),
    // The width to which a help is wrapped.
    ("COLUMNS", "100"),
    // The service speaks UTC; a user elsewhere must see the same ages.
    ("TZ", "JST-9"),
];

/// The command line of one user on a machine of their own.
pub struct DockerCloud {
    home: TempDir,
    environment: Vec<(String, String)>,
}

impl DockerCloud {
    /// The command line of the user `dev`, for the service that the client calls.
    ///
    /// # Panics
    /// Where no folder can be made for the user's home.
    pub fn new(client: &Client) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let stream = client.base.replacen("http", "ws", 1);
        let mut it = Self {
            home,
            environment: Vec::new(),
        };
        for (name, value) in NEUTRAL {
            it = it.with(name, value);
        }
        it.with("DOCKERCLOUD_REST_HOST", &client.base)
            .with("DOCKERCLOUD_STREAM_HOST", &stream)
            .with("DOCKERCLOUD_USER", "dev")
            .with("DOCKERCLOUD_APIKEY", "dev")
    }

    /// The same with a variable of the environment, in place of the one that it had.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a command: to read its lines as they come, and to kill it by dropping it.
    ///
    /// # Panics
    /// Where the virtual environment is missing.
    pub fn start(&self, arguments: &[&str]) -> Process {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = folder.join(".venv-docker-cloud/bin/python");
        assert!(
            python.exists(),
            "{} is missing: run ./test once, which makes the environment",
            python.display()
        );
        let script = folder.join("clients/docker-cloud/run_on_python3.py");
        let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
        let (python, script, home) = (text(&python), text(&script), text(self.home.path()));
        // Isolated from the machine's own Python; and what is old is full of what newer Pythons warn of.
        let mut all = vec!["-I", "-W", "ignore", &script];
        all.extend(arguments);
        let mut environment = vec![("HOME", home.as_str())];
        environment.extend(
            self.environment
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str())),
        );
        Process::start(&python, &all, &environment)
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it does not come to one: it is killed, and what it has printed is told.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended().await
    }
}
