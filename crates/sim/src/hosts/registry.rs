//! All machines, and how they follow the instances.

use std::collections::BTreeMap;
use std::path::Path;

use agent::config::FILE;
use agent::machine::Hardware;

use super::Hosts;
use super::host::Host;
use super::machine::{Agent, Machine, Situation, home};
use super::orders::DeadOnArrival;
use super::user_data::UserData;
use crate::catalogue;
use crate::state::{Instance, Millis, Phase, Region, World};

/// Where engines listen with TLS.
pub(super) const PORT: u16 = 2376;

/// All machines by their instances' ids, which no two accounts or regions share.
#[derive(Default)]
pub(super) struct Registry {
    pub hosts: BTreeMap<String, Host>,
    pub dead_on_arrival: Vec<DeadOnArrival>,
    has_ended: bool,
}

impl Registry {
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        for host in self.hosts.values_mut() {
            host.switch_off();
        }
        self.hosts.clear();
    }

    /// Switches every machine on or off as its instance has it. Answers with when the next one changes by itself.
    pub(super) fn settle(
        &mut self,
        hosts: &Hosts,
        world: &mut World,
        now: Millis,
    ) -> Option<Millis> {
        if self.has_ended {
            return None;
        }
        let mut next = None;
        world.each_region(now, |region| {
            let mut network = Network::new(region);
            for instance in region.instances.all() {
                if let Some(at) = self.follow(hosts, region, instance, &mut network, now) {
                    next = Some(next.map_or(at, |next: Millis| next.min(at)));
                }
            }
        });
        next
    }

    fn follow<'a>(
        &mut self,
        hosts: &Hosts,
        region: &'a Region,
        instance: &'a Instance,
        network: &mut Network<'a>,
        now: Millis,
    ) -> Option<Millis> {
        if instance.phase.is_leaving() {
            // Its disk goes with it.
            if let Some(mut host) = self.hosts.remove(&instance.id) {
                host.switch_off();
            }
            return None;
        }
        let situation = network.situation(instance);
        let host = self
            .hosts
            .entry(instance.id.clone())
            .or_insert_with(|| Host::new(machine(region, instance, situation)));
        host.machine.set_situation(situation);
        let is_running = instance.phase == Phase::Running;
        if !is_running || host.boot != instance.boot.number {
            host.switch_off();
        }
        match instance.phase {
            Phase::Pending { until } => Some(until),
            Phase::Running if host.boot == instance.boot.number => None,
            Phase::Running if now < instance.boot.until => Some(instance.boot.until),
            Phase::Running => {
                let mut rules = self.dead_on_arrival.iter();
                let is_dead = rules.any(|rule| rule.matches(region, instance));
                host.switch_on(instance.boot.number, hosts, is_dead);
                None
            }
            _ => None,
        }
    }
}

/// A machine as cloud-init leaves it at its first boot.
fn machine(region: &Region, instance: &Instance, situation: Situation) -> Machine {
    let user_data = UserData::read(instance.user_data.as_deref());
    let config = home().join(FILE);
    let has_agent = user_data
        .write_files
        .iter()
        .any(|file| Path::new(&file.path) == config);
    let kind = catalogue::instance_type(instance.instance_type);
    let volume = instance
        .volume
        .as_ref()
        .and_then(|id| region.volumes.any(id));
    let hardware = Hardware {
        cpu: instance.vcpus().into(),
        memory_kb: kind.map_or(0, |kind| kind.memory_mib * 1024),
        disk_gb: volume.map_or(0, |volume| volume.size_gb.into()),
    };
    let machine = Machine::new(
        (&region.account, &region.name, &instance.id),
        instance.console.clone(),
        hardware,
        if has_agent {
            Agent::Waiting
        } else {
            Agent::None
        },
        situation,
    );
    for file in user_data.write_files {
        // A disk in memory takes everything.
        machine
            .disk
            .write(Path::new(&file.path), &file.content, 0)
            .ok();
    }
    machine
}

/// What the network of a region lets through, each looked up once.
struct Network<'a> {
    region: &'a Region,
    subnets: BTreeMap<&'a str, (u8, bool)>,
    groups: BTreeMap<&'a str, bool>,
}

impl<'a> Network<'a> {
    fn new(region: &'a Region) -> Self {
        Self {
            region,
            subnets: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    fn situation(&mut self, instance: &'a Instance) -> Situation {
        let region = self.region;
        let (prefix, leads_out) = *self.subnets.entry(&instance.subnet).or_insert_with(|| {
            let subnet = region.subnets.any(&instance.subnet);
            let prefix = subnet.map_or(32, |subnet| subnet.cidr.prefix_len());
            (prefix, region.leads_out(&instance.subnet, &instance.vpc))
        });
        let groups = &mut self.groups;
        let is_open = instance.groups.iter().any(|(id, _)| {
            *groups.entry(id).or_insert_with(|| {
                region
                    .groups
                    .any(id)
                    .is_some_and(|it| it.lets_everybody_in(PORT))
            })
        });
        Situation {
            phase: instance.phase.kind(),
            public_ip: instance.public.as_ref().map(|public| public.ip),
            private_ip: instance.private_ip,
            prefix,
            leads_out,
            is_open,
            has_metadata: instance.metadata.endpoint == "enabled",
        }
    }
}
