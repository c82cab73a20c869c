//! Setting the Docker engine up to listen with mutual TLS, and setting it back.
//!
//! The change is on trial until the engine answers again: an engine that does not come back with it gets its old
//! configuration back, also when the agent died in between.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use crate::{
    Error,
    command::{CommandError, run},
    config::Config,
    daemon_json::{self, Object},
    drop_in::{self, CommandLine},
    engine::{Engine, EngineError, Info},
    files,
    keys::Keys,
    machine,
    state::{StateFile, fingerprint},
};

/// How long a command of systemd's may take.
const COMMAND_PATIENCE: Duration = Duration::from_secs(180);

/// Docker as far as the agent changes it.
pub struct Docker {
    engine: Engine,
    keys: Keys,
    daemon_json: PathBuf,
    docker_host: String,
    docker_opts: String,
    restart_command: Option<String>,
    systemd: Option<Systemd>,
    /// How long the engine may take to come back.
    patience: Duration,
    /// A configuration with which the engine did not start: it is not tried again.
    given_up: Option<String>,
}

/// Where systemd runs Docker.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// The program that talks to it.
    pub systemctl: String,
    /// The drop-in for Docker's unit.
    pub drop_in: PathBuf,
}

impl Systemd {
    /// That of this machine, if it has one.
    pub fn of_this_machine() -> Option<Self> {
        machine::has_systemd().then(|| Self {
            systemctl: "systemctl".to_owned(),
            drop_in: PathBuf::from("/etc/systemd/system/docker.service.d").join(drop_in::NAME),
        })
    }
}

/// Why Docker is not set up, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The server has none.
    #[error(
        "the server has sent no authority for clients (user_ca_cert), so Docker is left as it is"
    )]
    NoAuthority,
    /// It would harm somebody.
    #[error(
        "{0} containers run and would be stopped by a restart of Docker, so it is not set up yet. Put \
         \"live-restore\": true into daemon.json and run `systemctl reload docker`, or stop them"
    )]
    ContainersRun(u64),
    /// There is no way to restart it.
    #[error(
        "there is no systemd on this machine to restart Docker with: set RestartCommand to the command that does, or \
         ConfigureDocker to false and set Docker up yourself"
    )]
    NoSystemd,
    /// It is run in a way that is not known.
    #[error(
        "`systemctl cat docker.service` shows no ExecStart; is Docker not installed as a package? Set ConfigureDocker to false and set Docker up yourself"
    )]
    NoUnit,
    /// Its file can't be changed.
    #[error("{} is no JSON object ({reason}), so Docker is left as it is", file.display())]
    DaemonJson {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The engine does not come back.
    #[error("after its restart, {0}")]
    Engine(#[from] EngineError),
    /// A file.
    #[error(transparent)]
    File(#[from] Error),
    /// It was tried.
    #[error("Docker does not start with mutual TLS, so it has its old configuration back: {0}")]
    Reverted(Box<Self>),
}

/// What is to be in Docker's files.
struct Wanted {
    daemon_json: Object,
    drop_in: Option<String>,
    fingerprint: String,
}

impl Docker {
    /// The engine that this configuration speaks of.
    pub fn new(
        config: &Config,
        engine: Engine,
        systemd: Option<Systemd>,
        patience: Duration,
    ) -> Self {
        Self {
            engine,
            keys: Keys::of(&config.home),
            daemon_json: config.daemon_json.clone(),
            docker_host: config.docker_host.clone(),
            docker_opts: config.docker_opts.clone(),
            restart_command: config.restart_command.clone(),
            systemd,
            patience,
            given_up: None,
        }
    }

    /// Ends a trial that the agent's end has interrupted.
    pub async fn settle(&mut self, state: &mut StateFile) -> Result<(), DockerError> {
        if !state.get().docker_on_trial {
            return Ok(());
        }
        if let Err(error) = self.engine.info_within(self.patience).await {
            self.set_back(state).await?;
            return Err(DockerError::Reverted(Box::new(error.into())));
        }
        state.change(|state| state.docker_on_trial = false)?;
        Ok(())
    }

    /// Sets the engine up, if it isn't already. `true` when that took a restart.
    pub async fn configure(
        &mut self,
        state: &mut StateFile,
        info: &Info,
    ) -> Result<bool, DockerError> {
        if !self.keys.are_whole() {
            return Err(DockerError::NoAuthority);
        }
        let current = self.read()?;
        let before = match &state.get().docker_before {
            Some(before) => before.clone(),
            None => daemon_json::remember(&current),
        };
        let wanted = self.wanted(&current, &before, info).await?;
        let is_there = current == wanted.daemon_json && self.drop_in()? == wanted.drop_in;
        if is_there && state.get().docker_applied.as_ref() == Some(&wanted.fingerprint)
            || self.given_up.as_ref() == Some(&wanted.fingerprint)
        {
            return Ok(false);
        }
        if self.systemd.is_none() && self.restart_command.is_none() {
            return Err(DockerError::NoSystemd);
        }
        if info.would_lose_containers() {
            return Err(DockerError::ContainersRun(info.containers_running));
        }
        tracing::info!(
            "Docker is restarted to listen at {} with mutual TLS",
            self.docker_host
        );
        state.change(|state| {
            state.docker_before = Some(before);
            state.docker_applied = None;
            state.docker_on_trial = true;
        })?;
        if let Err(error) = self.try_out(&wanted).await {
            self.given_up = Some(wanted.fingerprint);
            self.set_back(state).await?;
            return Err(DockerError::Reverted(Box::new(error)));
        }
        state.change(|state| {
            state.docker_applied = Some(wanted.fingerprint);
            state.docker_on_trial = false;
        })?;
        Ok(true)
    }

    /// Sets the engine back to how it was found. While containers run that a restart would stop, only its files.
    pub async fn withdraw(&mut self, state: &mut StateFile) -> Result<(), DockerError> {
        if state.get().docker_before.is_none() {
            return Ok(());
        }
        let info = self.engine.info().await;
        if info.is_ok_and(|info| info.would_lose_containers()) {
            tracing::warn!(
                "Docker goes on listening at {} until its next restart",
                self.docker_host
            );
            return self.restore(state);
        }
        self.set_back(state).await
    }

    async fn wanted(
        &self,
        current: &Object,
        before: &Object,
        info: &Info,
    ) -> Result<Wanted, DockerError> {
        let line = match &self.systemd {
            Some(systemd) => {
                let unit = run(
                    &systemd.systemctl,
                    &["cat", "docker.service"],
                    COMMAND_PATIENCE,
                );
                Some(CommandLine::read(&unit.await?).ok_or(DockerError::NoUnit)?)
            }
            None => None,
        };
        let hosts = line.as_ref().map_or(&[][..], |line| &line.hosts);
        let daemon_json = daemon_json::configure(
            current,
            before,
            hosts,
            &self.docker_host,
            &self.keys,
            info.is_in_swarm(),
        );
        let drop_in = line.map(|line| line.drop_in(&self.docker_opts));
        let text = pretty(&daemon_json);
        let mut parts = vec![
            text.into_bytes(),
            drop_in.clone().unwrap_or_default().into(),
        ];
        for path in [&self.keys.key, &self.keys.cert, &self.keys.ca] {
            parts.push(fs::read(path).map_err(Error::io("read", path))?);
        }
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        Ok(Wanted {
            fingerprint: fingerprint(&parts),
            daemon_json,
            drop_in,
        })
    }

    async fn try_out(&self, wanted: &Wanted) -> Result<(), DockerError> {
        self.write(&wanted.daemon_json)?;
        if let (Some(systemd), Some(text)) = (&self.systemd, &wanted.drop_in) {
            let path = &systemd.drop_in;
            files::write(path, text.as_bytes(), files::PUBLIC).map_err(Error::io("write", path))?;
        }
        self.restart().await?;
        self.engine.info_within(self.patience).await?;
        Ok(())
    }

    async fn set_back(&self, state: &mut StateFile) -> Result<(), DockerError> {
        self.restore(state)?;
        self.restart().await
    }

    fn restore(&self, state: &mut StateFile) -> Result<(), DockerError> {
        if let Some(before) = &state.get().docker_before {
            self.write(&daemon_json::restore(&self.read()?, before))?;
        }
        if let Some(systemd) = &self.systemd {
            let path = &systemd.drop_in;
            files::remove(path).map_err(Error::io("remove", path))?;
        }
        state.change(|state| {
            state.docker_before = None;
            state.docker_applied = None;
            state.docker_on_trial = false;
        })?;
        Ok(())
    }

    async fn restart(&self) -> Result<(), DockerError> {
        if let Some(systemd) = &self.systemd {
            run(&systemd.systemctl, &["daemon-reload"], COMMAND_PATIENCE).await?;
        }
        match (&self.restart_command, &self.systemd) {
            (Some(command), _) => run("sh", &["-c", command], COMMAND_PATIENCE).await?,
            (None, Some(systemd)) => {
                // systemd counts failed starts and soon refuses further ones, that with the old configuration as well.
                let forgive = run(
                    &systemd.systemctl,
                    &["reset-failed", "docker"],
                    COMMAND_PATIENCE,
                );
                forgive.await.ok();
                run(&systemd.systemctl, &["restart", "docker"], COMMAND_PATIENCE).await?
            }
            (None, None) => return Err(DockerError::NoSystemd),
        };
        Ok(())
    }

    fn read(&self) -> Result<Object, DockerError> {
        let path = &self.daemon_json;
        let text = files::read(path).map_err(Error::io("read", path))?;
        match text.as_deref().map(str::trim) {
            None | Some("") => Ok(Object::new()),
            Some(text) => serde_json::from_str(text).map_err(|error| DockerError::DaemonJson {
                file: path.clone(),
                reason: error.to_string(),
            }),
        }
    }

    fn write(&self, content: &Object) -> Result<(), DockerError> {
        let path = &self.daemon_json;
        // Its owner may have made it private.
        let mode = fs::metadata(path).map_or(files::PUBLIC, |it| it.permissions().mode() & 0o777);
        files::write(path, pretty(content).as_bytes(), mode).map_err(Error::io("write", path))?;
        Ok(())
    }

    fn drop_in(&self) -> Result<Option<String>, Error> {
        self.systemd.as_ref().map_or(Ok(None), |systemd| {
            let path = &systemd.drop_in;
            files::read(path).map_err(Error::io("read", path))
        })
    }
}

fn pretty(object: &Object) -> String {
    format!("{:#}\n", serde_json::Value::from(object.clone()))
}

#[cfg(test)]
mod tests;
