//! Docker's own client, the program `docker`, which needs no engine on this machine.

use std::{env, fs};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Ended, Process, World};

/// The files of `docker --tlsverify`, each with its flag and its name in a bundle.
const FILES: [(&str, &str); 3] = [
    ("--tlscacert", "ca"),
    ("--tlscert", "cert"),
    ("--tlskey", "key"),
];

/// What a machine may have set and would change what the client does.
const FOREIGN: &[&str] = &[
    "ALL_PROXY",
    "DOCKER_API_VERSION",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "NO_PROXY",
    "all_proxy",
    "no_proxy",
];

/// The client of somebody who has the files of a bundle.
pub struct Docker {
    home: TempDir,
    proxy: Option<String>,
}

impl Docker {
    /// One with these files; engines are reached through the world's simulator. What the bundle does not have, the client
    /// does without.
    ///
    /// # Panics
    /// Where the files can't be written.
    pub fn new(world: &World, bundle: &Value) -> Self {
        Self {
            proxy: Some(world.endpoint.url.clone()),
            ..Self::without_proxy(bundle)
        }
    }

    /// The same for engines that are really there.
    ///
    /// # Panics
    /// Where the files can't be written.
    pub fn without_proxy(bundle: &Value) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        for (_, name) in FILES {
            if let Some(pem) = bundle[name].as_str() {
                let file = home.path().join(format!("{name}.pem"));
                fs::write(file, pem).expect("a file");
            }
        }
        Self { home, proxy: None }
    }

    /// Runs `docker --tlsverify … -H tcp://<name>:2376` with these arguments, to its end.
    ///
    /// # Panics
    /// Where there is no `docker` on this machine.
    pub async fn run(&self, name: &str, arguments: &[&str]) -> Ended {
        let path = env::var_os("PATH").unwrap_or_default();
        assert!(
            env::split_paths(&path).any(|folder| folder.join("docker").is_file()),
            "there is no docker: ./test tells how to get one"
        );
        let path = |name: &str| {
            let file = self.home.path().join(format!("{name}.pem"));
            file.exists().then(|| file.display().to_string())
        };
        let mut all = vec!["--tlsverify".to_owned()];
        for (flag, name) in FILES {
            all.extend(path(name).into_iter().flat_map(|it| [flag.to_owned(), it]));
        }
        all.extend(["-H".to_owned(), format!("tcp://{name}:2376")]);
        all.extend(arguments.iter().map(|it| (*it).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let home = self.home.path().display().to_string();
        let mut environment: Vec<(&str, &str)> = FOREIGN.iter().map(|name| (*name, "")).collect();
        environment.extend([("HOME", home.as_str()), ("DOCKER_CONFIG", &home)]);
        let proxy = self.proxy.as_deref().unwrap_or_default();
        environment.extend([("HTTPS_PROXY", proxy), ("https_proxy", proxy)]);
        Process::start("docker", &all, &environment).ended().await
    }
}
