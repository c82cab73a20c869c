//! Switching a machine on and off, and its agent with it.

use std::sync::Arc;

use agent::agent::{Agent as Program, Surroundings};
use agent::config::{Config, Settings};
use agent::machine::Machine as Around;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::Hosts;
use super::machine::{Agent, Machine, home};
use super::wire::Wire;
use crate::state::Ids;

/// A machine and what runs on it.
pub(super) struct Host {
    pub machine: Arc<Machine>,
    /// The boot that was acted out last.
    pub boot: u32,
    agent: Option<Running>,
}

/// An agent that ends with this.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Host {
    /// One that has not booted yet.
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine: Arc::new(machine),
            boot: 0,
            agent: None,
        }
    }

    /// The system is up: Docker runs, and the agent starts where there is one.
    pub(super) fn switch_on(&mut self, boot: u32, hosts: &Hosts, is_dead_on_arrival: bool) {
        let machine = &self.machine;
        machine.switch(true);
        let first = self.boot == 0;
        self.boot = boot;
        self.print_boot(first);
        match machine.agent() {
            Agent::None => {}
            _ if is_dead_on_arrival => {
                let said = "Failed to start berth-agent.service: dead on arrival";
                machine.say("systemd[1]", said);
                machine.set_agent(Agent::DeadOnArrival);
            }
            _ => self.start_agent(hosts),
        }
    }

    pub(super) fn switch_off(&mut self) {
        self.agent = None;
        if !self.machine.is_on() {
            return;
        }
        self.machine.switch(false);
        self.machine.say("systemd[1]", "Shutting down");
        if self.machine.agent() != Agent::None {
            self.machine.set_agent(Agent::Waiting);
        }
    }

    /// Refuses where there is nothing to start.
    pub(super) fn may_start_agent(&self) -> Result<(), String> {
        let machine = &self.machine;
        let why = match machine.agent() {
            Agent::None => "was launched without an agent",
            _ if !machine.is_on() => "is not up",
            _ => return Ok(()),
        };
        Err(format!("'{}' {why}", machine.instance))
    }

    /// As `systemctl start` does: one that runs stays.
    pub(super) fn start_agent(&mut self, hosts: &Hosts) {
        if self.machine.agent() == Agent::Runs {
            return;
        }
        match self.program(hosts) {
            Ok(mut program) => {
                let machine = Arc::clone(&self.machine);
                machine.say("systemd[1]", "Started berth-agent.service");
                machine.set_agent(Agent::Runs);
                let span = tracing::error_span!("host", instance = %machine.instance);
                let life = async move {
                    let Err(error) = program.run().await;
                    machine.say("berth-agent[1042]", &error.to_string());
                    machine.set_agent(Agent::Ended(error.to_string()));
                };
                self.agent = Some(Running(tokio::spawn(life.instrument(span))));
            }
            Err(error) => {
                self.machine.say("berth-agent[1042]", &error);
                self.machine.set_agent(Agent::Ended(error));
            }
        }
    }

    pub(super) fn kill_agent(&mut self) {
        if self.machine.agent() == Agent::Runs {
            self.agent = None;
            self.machine.set_agent(Agent::Killed);
            let said = "berth-agent.service: Main process exited, code=killed, status=9/KILL";
            self.machine.say("systemd[1]", said);
        }
    }

    fn program(&self, hosts: &Hosts) -> Result<Program<Wire>, String> {
        let machine = &self.machine;
        let flags = Settings {
            // The engine takes the files that the agent writes, as the image of such a machine would have it.
            configure_docker: Some(false),
            address_seconds: Some(hosts.config.address_seconds),
            ..Settings::default()
        };
        let config = Config::load_from(&machine.disk, &home(), flags);
        let config = config.map_err(|error| error.to_string())?;
        let wire = Wire::new(Arc::clone(machine), hosts.roads.clone());
        let seed = [
            &hosts.seed.to_string(),
            &machine.instance,
            &self.boot.to_string(),
        ];
        let surroundings = Surroundings {
            pace: hosts.config.pace,
            web: wire.clone(),
            machine: Around::Played(Arc::clone(machine) as _),
            systemd: None,
            seed: Ids::new(&seed.map(String::as_str)).number(),
        };
        Program::new(config, wire, surroundings).map_err(|error| error.to_string())
    }

    fn print_boot(&self, first: bool) {
        let machine = &self.machine;
        let ip = machine.situation().private_ip;
        let name = ip.map(|ip| format!("ip-{}", ip.to_string().replace('.', "-")));
        let name = name.unwrap_or_default();
        machine.log.say(
            "[    0.000000] Linux version 6.8.0-1021-aws (buildd@lcy02-amd64-081) #23-Ubuntu SMP",
        );
        machine.log.say(&format!(
            "[    0.004213] smpboot: Total of {} processors activated",
            machine_cpus(machine)
        ));
        machine.say("systemd[1]", &format!("Hostname set to <{name}>."));
        if first {
            machine.say("cloud-init[612]", "running 'modules:config'");
            if machine.agent() == Agent::None {
                machine.say("cloud-init[612]", "the user data wants no agent of Berth's");
            } else {
                let file = home().join(agent::config::FILE);
                machine.say("cloud-init[612]", &format!("wrote {}", file.display()));
            }
            machine.say(
                "cloud-init[612]",
                "Cloud-init finished. Datasource DataSourceEc2Local",
            );
        }
        let version = machine.docker_version();
        machine.say(
            "dockerd[894]",
            &format!("Docker daemon {version} has started"),
        );
        machine.log.say(&format!("{name} login:"));
    }
}

fn machine_cpus(machine: &Machine) -> u64 {
    agent::machine::Played::hardware(machine).cpu
}
