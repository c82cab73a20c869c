//! One machine: what its agent and its engine find on it.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use agent::engine::{Info, Swarm};
use agent::files::Disk;
use agent::keys::Keys;
use agent::machine::{Hardware, Played};
use agent::state::StateFile;
use tokio::sync::watch;

use super::console_log::ConsoleLog;
use super::containers::Containers;
use super::locked;
use crate::state::PhaseKind;

/// Docker's version when a machine is new; upgrades count its last part up.
const DOCKER: (&str, u32) = ("26.1", 5);

/// What the simulator knows of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    pub phase: PhaseKind,
    pub public_ip: Option<Ipv4Addr>,
    pub private_ip: Option<Ipv4Addr>,
    /// The length of the subnet's prefix.
    pub prefix: u8,
    /// Whether there is a way from its subnet to the internet.
    pub leads_out: bool,
    /// Whether its security groups let everybody in at the engine's port.
    pub is_open: bool,
    /// Whether its metadata service is enabled.
    pub has_metadata: bool,
}

/// What has become of a machine's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// The user data wants none.
    None,
    /// The machine is off, or boots.
    Waiting,
    Runs,
    /// It was killed.
    Killed,
    /// It was ordered that it never starts.
    DeadOnArrival,
    /// It ended by itself, with these words.
    Ended(String),
}

/// A machine; it lives as long as its instance.
#[derive(Debug)]
pub(super) struct Machine {
    pub instance: String,
    pub account: String,
    pub region: String,
    pub disk: Disk,
    pub log: ConsoleLog,
    hardware: Hardware,
    containers: Mutex<Containers>,
    changing: Mutex<Changing>,
}

#[derive(Debug)]
struct Changing {
    situation: Situation,
    agent: Agent,
    is_on: bool,
    has_network: bool,
    upgrades: u32,
    /// While the machine is on and has its network; who holds a receiver learns the end of it.
    link: Option<watch::Sender<()>>,
}

impl Changing {
    fn relink(&mut self) {
        if !(self.is_on && self.has_network) {
            self.link = None;
        } else if self.link.is_none() {
            self.link = Some(watch::Sender::new(()));
        }
    }
}

impl Machine {
    pub(super) fn new(
        (account, region, instance): (&str, &str, &str),
        log: ConsoleLog,
        hardware: Hardware,
        agent: Agent,
        situation: Situation,
    ) -> Self {
        Self {
            instance: instance.to_owned(),
            account: account.to_owned(),
            region: region.to_owned(),
            disk: Disk::in_memory(),
            log,
            hardware,
            containers: Mutex::default(),
            changing: Mutex::new(Changing {
                situation,
                agent,
                is_on: false,
                has_network: true,
                upgrades: 0,
                link: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Changing> {
        locked(&self.changing)
    }

    pub(super) fn situation(&self) -> Situation {
        self.lock().situation
    }

    pub(super) fn set_situation(&self, situation: Situation) {
        self.lock().situation = situation;
    }

    pub(super) fn agent(&self) -> Agent {
        self.lock().agent.clone()
    }

    pub(super) fn set_agent(&self, agent: Agent) {
        self.lock().agent = agent;
    }

    pub(super) fn is_on(&self) -> bool {
        self.lock().is_on
    }

    pub(super) fn switch(&self, on: bool) {
        let mut changing = self.lock();
        changing.is_on = on;
        changing.relink();
    }

    pub(super) fn has_network(&self) -> bool {
        self.lock().has_network
    }

    pub(super) fn set_network(&self, there: bool) {
        let mut changing = self.lock();
        changing.has_network = there;
        changing.relink();
    }

    /// The end of this is the end of every connection; none while the machine is off or cut off.
    pub(super) fn link(&self) -> Option<watch::Receiver<()>> {
        self.lock().link.as_ref().map(watch::Sender::subscribe)
    }

    /// Whether it can call others: it is on, and has a public address and a way to the internet.
    pub(super) fn can_call(&self) -> bool {
        let changing = self.lock();
        let situation = &changing.situation;
        changing.link.is_some() && situation.leads_out && situation.public_ip.is_some()
    }

    pub(super) fn docker_version(&self) -> String {
        format!("{}.{}", DOCKER.0, DOCKER.1 + self.lock().upgrades)
    }

    pub(super) fn containers(&self) -> MutexGuard<'_, Containers> {
        locked(&self.containers)
    }

    /// The key, the certificate and the authority that the agent has made or been given, each in PEM.
    pub(super) fn engine_files(&self) -> Option<[String; 3]> {
        let Keys { key, cert, ca, .. } = Keys::of(home().as_path());
        let read = |path: &PathBuf| self.disk.read(path).ok().flatten();
        Some([read(&key)?, read(&cert)?, read(&ca)?])
    }

    /// The node that its agent has become.
    pub(super) fn node(&self) -> Option<String> {
        let state = StateFile::open_on(self.disk.clone(), &home()).ok()?;
        state.get().uuid.map(|uuid| uuid.to_string())
    }

    pub(super) fn say(&self, who: &str, line: &str) {
        let mut text = String::with_capacity(who.len() + line.len() + 2);
        // Writing to a string does not fail.
        write!(text, "{who}: {line}").ok();
        self.log.say(&text);
    }
}

/// The agent's folder.
pub(super) fn home() -> PathBuf {
    PathBuf::from(agent::config::HOME)
}

impl Played for Machine {
    fn disk(&self) -> Disk {
        self.disk.clone()
    }

    fn hardware(&self) -> Hardware {
        self.hardware
    }

    fn interfaces(&self) -> Vec<(String, Ipv4Addr, u8)> {
        let situation = self.situation();
        let own = situation
            .private_ip
            .map(|ip| ("ens5".to_owned(), ip, situation.prefix));
        own.into_iter().collect()
    }

    fn engine(&self) -> Option<Info> {
        self.is_on().then(|| Info {
            server_version: self.docker_version(),
            driver: "overlay2".to_owned(),
            default_runtime: "runc".to_owned(),
            containers_running: 0,
            live_restore_enabled: false,
            docker_root_dir: "/var/lib/docker".into(),
            swarm: Swarm {
                local_node_state: "inactive".to_owned(),
            },
        })
    }

    fn upgrade_engine(&self) -> Result<(), String> {
        self.lock().upgrades += 1;
        let version = self.docker_version();
        self.say("apt-get[1893]", &format!("Docker {version} is installed"));
        Ok(())
    }
}
