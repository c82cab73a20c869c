//! Upgrading the Docker engine when the server orders it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, task::JoinHandle, time::timeout};

use crate::{engine::Engine, files};

/// What upgrades Docker where nothing else is configured.
const DEFAULT_COMMAND: &str = include_str!("upgrade.sh");
/// The longest that an upgrade may take.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// As much of what the command said as is reported.
const TAIL: usize = 2000;
/// The longest id of an order.
const LONGEST_ORDER: usize = 128;

/// An ordered upgrade, and what has become of it. It is reported with each heartbeat until the server orders it no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The order's id, or the state `Upgrading` where the server gave none.
    pub order: String,
    /// How far it is.
    pub outcome: Outcome,
    /// The engine's new version, or what went wrong.
    pub message: String,
}

/// How far an upgrade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is under way.
    Running,
    /// The engine runs again.
    Success,
    /// The command failed, or the engine does not run.
    Failed,
}

impl Upgrade {
    /// One that has just begun.
    pub fn begin(order: &str) -> Self {
        Self {
            order: order.to_owned(),
            outcome: Outcome::Running,
            message: String::new(),
        }
    }

    fn end(self, outcome: Result<String, String>) -> Self {
        let (outcome, message) = match outcome {
            Ok(message) => (Outcome::Success, message),
            Err(message) => (Outcome::Failed, message),
        };
        Self {
            outcome,
            message,
            ..self
        }
    }
}

/// Whether an order can be carried out and reported back.
pub fn is_order(order: &str) -> bool {
    !order.is_empty() && order.len() <= LONGEST_ORDER && !order.chars().any(char::is_control)
}

/// Carries upgrades out, one at a time, beside everything else.
pub struct Upgrader {
    command: String,
    /// What the command prints goes to a file, so that it goes on when the agent ends.
    log: PathBuf,
    engine: Engine,
    patience: Duration,
    running: Option<JoinHandle<Upgrade>>,
}

impl Upgrader {
    /// With the configured command; the engine must answer within `patience` afterwards.
    pub fn new(command: Option<String>, home: &Path, engine: Engine, patience: Duration) -> Self {
        Self {
            command: command.unwrap_or_else(|| DEFAULT_COMMAND.to_owned()),
            log: home.join("upgrade.log"),
            engine,
            patience,
            running: None,
        }
    }

    /// Whether one is under way.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Begins one.
    pub fn start(&mut self, upgrade: Upgrade) {
        let (command, log) = (self.command.clone(), self.log.clone());
        let (engine, patience) = (self.engine.clone(), self.patience);
        self.running = Some(tokio::spawn(async move {
            let outcome = async {
                match engine.player() {
                    Some(machine) => machine.upgrade_engine()?,
                    None => execute(&command, &log).await?,
                }
                let info = engine.info_within(patience).await;
                info.map(|info| info.server_version)
                    .map_err(|error| format!("after the upgrade, {error}"))
            };
            upgrade.end(outcome.await)
        }));
    }

    /// Waits for the end of the one that is under way; for ever when there is none.
    pub async fn ended(&mut self) -> Upgrade {
        loop {
            match &mut self.running {
                None => std::future::pending().await,
                Some(running) => {
                    let ended = running.await;
                    self.running = None;
                    if let Ok(upgrade) = ended {
                        return upgrade;
                    }
                }
            }
        }
    }
}

async fn execute(command: &str, log: &Path) -> Result<(), String> {
    let open = || -> io::Result<(File, File)> {
        files::write(log, b"", files::PRIVATE)?;
        let file = File::options().append(true).open(log)?;
        Ok((file.try_clone()?, file))
    };
    let (out, err) = open().map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|error| format!("cannot run sh: {error}"))?;
    let status = match timeout(LONGEST, child.wait()).await {
        Ok(status) => status.map_err(|error| format!("cannot wait for the upgrade: {error}"))?,
        Err(_) => {
            child.start_kill().ok();
            return Err(format!(
                "the upgrade has not ended within {} s",
                LONGEST.as_secs()
            ));
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = files::read(log).ok().flatten().unwrap_or_default();
    // No server has a place for U+0000 in a text.
    let said = said.replace('\0', "");
    Err(format!("the upgrade ends with {status}: {}", tail(&said)))
}

/// The end of a text.
fn tail(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(TAIL);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process};

    use super::*;
    use crate::testing::FakeEngine;

    async fn upgrade(command: &str, engine: &FakeEngine) -> Upgrade {
        let home = tempfile::tempdir().unwrap();
        let mut upgrader = Upgrader::new(
            Some(command.to_owned()),
            home.path(),
            Engine::new(engine.socket.clone()),
            Duration::from_millis(300),
        );
        assert!(!upgrader.is_running());
        upgrader.start(Upgrade::begin("7"));
        assert!(upgrader.is_running());
        upgrader.ended().await
    }

    #[tokio::test]
    async fn an_upgrade_reports_the_engines_version() {
        let engine = FakeEngine::start().await;
        let done = upgrade("true", &engine).await;
        assert_eq!(done, Upgrade::begin("7").end(Ok("26.1.5".to_owned())));
    }

    #[tokio::test]
    async fn a_failed_upgrade_reports_what_the_command_said() {
        let engine = FakeEngine::start().await;
        let done = upgrade("echo no space left; exit 100", &engine).await;
        assert_eq!(done.outcome, Outcome::Failed);
        assert!(done.message.ends_with("no space left"), "{}", done.message);
        assert!(done.message.contains("100"), "{}", done.message);
    }

    #[tokio::test]
    async fn an_engine_that_does_not_come_back_is_a_failed_upgrade() {
        let engine = FakeEngine::start().await;
        engine.answer("{");
        let done = upgrade("true", &engine).await;
        assert_eq!(done.outcome, Outcome::Failed);
        assert!(
            done.message.starts_with("after the upgrade"),
            "{}",
            done.message
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(tail(" a\n"), "a");
        let long = "ä".repeat(TAIL);
        assert_eq!(tail(&format!("x{long}")).chars().count(), TAIL / 2);
    }

    #[test]
    fn an_order_is_a_short_word() {
        assert!(is_order("Upgrading"));
        assert!(!is_order("") && !is_order("a\nb") && !is_order(&"a".repeat(129)));
    }

    /// Runs the default command with these programs and no others, each a script's text.
    fn default_command(programs: &[(&str, &str)]) -> process::Output {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in programs {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        process::Command::new("/bin/sh")
            .args(["-c", DEFAULT_COMMAND])
            .env_clear()
            .env("PATH", folder.path())
            .output()
            .unwrap()
    }

    #[test]
    fn only_installed_packages_are_upgraded_by_apt() {
        let output = default_command(&[
            ("apt-get", "echo apt-get $@"),
            (
                "dpkg-query",
                "case $4 in docker-ce|containerd.io) echo installed;; *) exit 1;; esac",
            ),
        ]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(
            said.trim()
                .ends_with("install --only-upgrade docker-ce containerd.io"),
            "{said}"
        );
    }

    #[test]
    fn where_rpm_rules_the_engine_is_restarted_as_well() {
        let output = default_command(&[
            ("rpm", "test $2 = docker"),
            ("dnf", "echo dnf $@"),
            ("systemctl", "echo systemctl $@"),
        ]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said,
            "dnf -y upgrade docker\nsystemctl try-restart docker\n"
        );
    }

    #[test]
    fn a_docker_of_another_origin_needs_a_command() {
        let output = default_command(&[]);
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("UpgradeCommand"), "{said}");
    }
}
