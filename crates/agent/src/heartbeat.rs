//! Living as a node: a heartbeat at the interval that the server tells, and at once when something has changed.

use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use crate::{
    Error, addresses,
    agent::Agent,
    config::port,
    docker::DockerError,
    engine::Info,
    http::Transport,
    upgrade::{Outcome, Upgrade, is_order},
    wire::{Heartbeat, HeartbeatAnswer, VERSION},
};

/// The interval is the server's to tell, within reason.
const SHORTEST: u64 = 1;
const LONGEST: u64 = 3600;

/// What is known of the node while it lives.
struct Life {
    node: Uuid,
    interval: Duration,
    /// The state that the server told last.
    told: Option<String>,
    /// The node's name that the server told last.
    name: Option<String>,
    /// Whether Docker's setup needs no further look.
    is_set_up: bool,
    /// What went wrong with the engine, as it was logged last.
    trouble: Option<String>,
    /// What came of the last ping.
    reachable: Option<bool>,
}

impl<T: Transport> Agent<T> {
    /// Sends heartbeats until the server does not know the node any more.
    pub(crate) async fn live(&mut self, node: Uuid) -> Result<(), Error> {
        let mut life = Life {
            node,
            interval: self.pace.heartbeat,
            told: None,
            name: None,
            is_set_up: !self.config.configure_docker,
            trouble: None,
            reachable: None,
        };
        let mut backoff = self.backoff();
        self.resume_upgrade();
        loop {
            self.look_at_addresses(&mut life).await;
            let engine = self.look_at_engine(&mut life).await?;
            let pause = match self
                .api
                .heartbeat(node, &self.heartbeat(engine.as_ref()))
                .await
            {
                Ok(answer) => {
                    backoff.reset();
                    self.hear(&mut life, answer)?;
                    // Agents that began together drift apart.
                    life.interval.mul_f64(self.random.random_range(0.9..=1.0))
                }
                Err(error) if error.is_forgotten() => return Ok(()),
                Err(error) => {
                    // After an outage, a node is back as soon as it would have noticed one.
                    let pause = backoff.pause(&mut self.random).min(life.interval);
                    tracing::warn!("no heartbeat (the next in {pause:.0?}): {error}");
                    pause
                }
            };
            if engine.is_some() {
                self.ask_for_reachability(&mut life).await;
            }
            self.wait(pause, engine.is_some(), &mut life).await?;
        }
    }

    /// Waits for this long, or until there is something to tell.
    async fn wait(
        &mut self,
        pause: Duration,
        engine_runs: bool,
        life: &mut Life,
    ) -> Result<(), Error> {
        let next = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(next) => return Ok(()),
                upgrade = self.upgrader.ended() => {
                    tracing::info!("the engine's upgrade: {:?}, {}", upgrade.outcome, upgrade.message);
                    // The package may have brought another command line.
                    life.is_set_up = !self.config.configure_docker;
                    return self.state.change(|state| state.upgrade = Some(upgrade));
                }
                () = sleep(self.config.address_interval) => {
                    if self.look_at_addresses(life).await {
                        return Ok(());
                    }
                    if !engine_runs && self.engine.info().await.is_ok() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether the addresses have changed.
    async fn look_at_addresses(&mut self, life: &mut Life) -> bool {
        let addresses = addresses::look(&mut self.metadata, &self.machine).await;
        let have_changed = addresses != self.addresses;
        if have_changed {
            tracing::info!("this machine's addresses have changed: {addresses:?}");
            self.addresses = addresses;
            life.reachable = None;
        }
        have_changed
    }

    /// Looks whether the engine runs, and sets it up when it is time.
    async fn look_at_engine(&mut self, life: &mut Life) -> Result<Option<Info>, Error> {
        let mut info = match self.engine.info().await {
            Ok(info) => info,
            Err(error) => {
                // It comes and goes while it is upgraded.
                if !self.upgrader.is_running() {
                    life.complain(&error.to_string());
                }
                return Ok(None);
            }
        };
        if life.is_set_up || self.upgrader.is_running() {
            return Ok(Some(info));
        }
        match self.docker.configure(&mut self.state, &info).await {
            Ok(restarted) => {
                life.is_set_up = true;
                life.trouble = None;
                if restarted && let Ok(new) = self.engine.info().await {
                    info = new;
                }
            }
            // It is tried again with the next heartbeat: somebody may have helped meanwhile.
            Err(error) => {
                life.complain(&error.to_string());
                if matches!(error, DockerError::NoAuthority)
                    && let Ok(form) = self.api.node(life.node).await
                    && let Some(pem) = form.user_ca_cert
                {
                    self.keys.keep_authority(&pem)?;
                }
            }
        }
        Ok(Some(info))
    }

    fn heartbeat(&self, engine: Option<&Info>) -> Heartbeat {
        let word = |word: fn(&Info) -> &String| engine.map(word).cloned();
        let root = engine.map(|info| info.docker_root_dir.as_path());
        let root = root.filter(|root| root.is_absolute());
        let has = self
            .machine
            .hardware(root.unwrap_or("/var/lib/docker".as_ref()));
        Heartbeat {
            agent_version: VERSION.to_owned(),
            docker_version: word(|info| &info.server_version),
            docker_execdriver: word(|info| &info.default_runtime),
            docker_graphdriver: word(|info| &info.driver),
            cpu: has.cpu,
            memory: has.memory_kb,
            disk: has.disk_gb,
            containers: engine.map_or(0, |info| info.containers_running),
            private_ips: self.addresses.private_ips.clone(),
            public_ip: self.addresses.public_ip,
            instance_id: self.metadata.instance_id().map(str::to_owned),
            upgrade: self.state.get().upgrade.clone(),
        }
    }

    /// Does what the server's answer says.
    fn hear(&mut self, life: &mut Life, answer: HeartbeatAnswer) -> Result<(), Error> {
        let order = answer.order().map(str::to_owned);
        if let Some(seconds) = answer.heartbeat_seconds {
            life.interval = Duration::from_secs(seconds.clamp(SHORTEST, LONGEST));
        }
        if answer.state.is_some() && answer.state != life.told {
            tracing::info!(
                "node {} is {:?}",
                life.node,
                answer.state.as_deref().unwrap_or_default()
            );
            life.told = answer.state;
        }
        if answer.external_fqdn.is_some() && answer.external_fqdn != life.name {
            tracing::info!(
                "node {} is called {:?}",
                life.node,
                answer.external_fqdn.as_deref().unwrap_or_default()
            );
            life.name = answer.external_fqdn;
        }
        self.obey(order.as_deref())
    }

    fn obey(&mut self, order: Option<&str>) -> Result<(), Error> {
        if self.upgrader.is_running() {
            return Ok(());
        }
        let Some(order) = order else {
            return self.state.change(|state| state.upgrade = None);
        };
        let last = &self.state.get().upgrade;
        if last.as_ref().is_some_and(|last| last.order == order) {
            return Ok(());
        }
        if !is_order(order) {
            tracing::warn!("the server orders an upgrade by an id that is none: {order:?}");
            return Ok(());
        }
        tracing::info!("the server orders an upgrade of the engine ({order})");
        let upgrade = Upgrade::begin(order);
        self.state
            .change(|state| state.upgrade = Some(upgrade.clone()))?;
        self.upgrader.start(upgrade);
        Ok(())
    }

    /// An upgrade that the agent's end has interrupted begins again: package managers go on where they were.
    fn resume_upgrade(&mut self) {
        let last = self.state.get().upgrade.clone();
        if let Some(last) = last.filter(|last| last.outcome == Outcome::Running)
            && !self.upgrader.is_running()
        {
            self.upgrader.start(last);
        }
    }

    /// Asks the server to reach the engine: once, after a change of address, and as long as the node is not deployed.
    async fn ask_for_reachability(&mut self, life: &mut Life) {
        let is_wanted = matches!(life.told.as_deref(), Some("Deploying" | "Unreachable"));
        if !life.is_set_up || self.upgrader.is_running() || life.reachable.is_some() && !is_wanted {
            return;
        }
        match self.api.ping(life.node).await {
            Ok(ping) => {
                if life.reachable != Some(ping.reachable) && !ping.reachable {
                    tracing::warn!(
                        "{} cannot reach Docker on this machine: open TCP port {} to it, in the security group or firewall",
                        self.config.host,
                        port(&self.config.docker_host).unwrap_or_default()
                    );
                }
                life.reachable = Some(ping.reachable);
            }
            Err(error) => {
                tracing::debug!("the server does not say whether Docker can be reached: {error}")
            }
        }
    }
}

impl Life {
    /// Logs what is wrong, once.
    fn complain(&mut self, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            tracing::warn!("{trouble}");
            self.trouble = Some(trouble.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
