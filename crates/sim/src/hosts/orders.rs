//! What can be done to virtual hosts.

use crate::protocol::filter::wildcard;
use crate::simulator::Simulator;
use crate::state::{Instance, Region};

use super::Hosts;
use super::host::Host;
use super::view::HostView;

/// Agents of what boots there never start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadOnArrival {
    pub account: String,
    pub region: String,
    /// May have wildcards.
    pub instance_type: String,
}

impl DeadOnArrival {
    pub(super) fn matches(&self, region: &Region, instance: &Instance) -> bool {
        self.account == region.account
            && self.region == region.name
            && wildcard(&self.instance_type, instance.instance_type)
    }
}

const NO_HOSTS: &str = "this simulator has no virtual hosts";

impl Simulator {
    /// The virtual hosts of a region, by their instances' ids; none where they are off.
    pub fn hosts(&self, account: &str, region: &str) -> Vec<HostView> {
        let Some(hosts) = self.virtual_hosts() else {
            return Vec::new();
        };
        hosts.catch_up(self);
        let registry = hosts.lock();
        let machines = registry.hosts.values().map(|host| &host.machine);
        machines
            .filter(|it| it.account == account && it.region == region)
            .map(|it| HostView::new(it))
            .collect()
    }

    /// Cuts virtual hosts off from the network, or connects them again.
    ///
    /// # Errors
    /// When one of them is none; then nothing has changed.
    pub fn set_network(
        &self,
        account: &str,
        region: &str,
        ids: &[&str],
        there: bool,
    ) -> Result<(), String> {
        let act = |_: &Hosts, host: &mut Host| host.machine.set_network(there);
        self.each_host(account, region, ids, |_| Ok(()), act)
    }

    /// Kills the agents of virtual hosts; they come back with the next boot, or by [`Self::restart_agent`].
    ///
    /// # Errors
    /// When one of them is none; then nothing has changed.
    pub fn kill_agent(&self, account: &str, region: &str, ids: &[&str]) -> Result<(), String> {
        self.each_host(
            account,
            region,
            ids,
            |_| Ok(()),
            |_, host| host.kill_agent(),
        )
    }

    /// Starts the agents of virtual hosts anew, whether they run or not.
    ///
    /// # Errors
    /// When one of them is none, has no agent or is off; then nothing has changed.
    pub fn restart_agent(&self, account: &str, region: &str, ids: &[&str]) -> Result<(), String> {
        let act = |hosts: &Hosts, host: &mut Host| {
            host.kill_agent();
            host.start_agent(hosts);
        };
        self.each_host(account, region, ids, Host::may_start_agent, act)
    }

    /// Whether the agents of instances of a type, which may have wildcards, never start when they boot from now on.
    ///
    /// # Errors
    /// Where the virtual hosts are off.
    pub fn set_dead_on_arrival(
        &self,
        account: &str,
        region: &str,
        instance_type: &str,
        on: bool,
    ) -> Result<(), String> {
        let hosts = self.virtual_hosts().ok_or(NO_HOSTS)?;
        let rule = DeadOnArrival {
            account: account.to_owned(),
            region: region.to_owned(),
            instance_type: instance_type.to_owned(),
        };
        let rules = &mut hosts.lock().dead_on_arrival;
        rules.retain(|known| *known != rule);
        if on {
            rules.push(rule);
        }
        Ok(())
    }

    /// Switches all virtual hosts off for good, before what they call comes to its end.
    pub fn end_hosts(&self) {
        if let Some(hosts) = self.virtual_hosts() {
            hosts.end();
        }
    }

    fn each_host(
        &self,
        account: &str,
        region: &str,
        ids: &[&str],
        check: impl Fn(&Host) -> Result<(), String>,
        act: impl Fn(&Hosts, &mut Host),
    ) -> Result<(), String> {
        let hosts = self.virtual_hosts().ok_or(NO_HOSTS)?;
        hosts.catch_up(self);
        let mut registry = hosts.lock();
        for id in ids {
            let found = registry.hosts.get(*id).filter(|host| {
                let machine = &host.machine;
                machine.account == account && machine.region == region
            });
            check(found.ok_or_else(|| format!("there is no virtual host '{id}' in {region}"))?)?;
        }
        for id in ids {
            if let Some(host) = registry.hosts.get_mut(*id) {
                act(hosts, host);
            }
        }
        Ok(())
    }
}
