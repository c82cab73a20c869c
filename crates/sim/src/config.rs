//! How the simulator behaves.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::hosts::HostConfig;
use crate::state::Timings;

/// How a simulator begins; [`crate::Simulator`] says what can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an instance is `pending`. Published measurements of EC2 say 4.9 to 16.6 s.
    pub boot_ms: Range<u64>,
    /// How long an instance is `stopping`.
    pub stop_ms: u64,
    /// How long an instance is `shutting-down`.
    pub terminate_ms: u64,
    /// Chooses all ids, addresses and durations.
    pub seed: u64,
    /// Keep every request's parameters in memory, for [`crate::Simulator::recorded`].
    pub record: bool,
    /// The account of an access key. A key that is not listed belongs to the account that it spells with 12 digits, and
    /// otherwise to [`crate::default_account`].
    pub accounts: BTreeMap<String, String>,
    /// How many resources an account may have, at first.
    pub quotas: Quotas,
    /// Whether calls take tokens from EC2's buckets.
    pub throttling: bool,
    /// How long, in milliseconds, an object that was made is not seen by any call, as in EC2's eventual consistency.
    pub consistency_ms: Range<u64>,
    /// Simulated time moves by [`crate::Simulator::advance`] only.
    pub manual_clock: bool,
    /// Whether instances that run act out their user data, with Berth's agent, and how. Their agents are tasks of tokio's:
    /// what looks at them or serves them must be in a runtime.
    pub hosts: Option<HostConfig>,
    /// How many items a page of instance types or offerings has at most, whatever is asked for.
    pub most_per_page: Option<usize>,
    /// How long the sessions of assumed roles last, in milliseconds; none is as long as they are asked for.
    pub session_ms: Option<u64>,
}

/// The quotas of every account, per region unless the name says otherwise; the defaults are those of a new account
/// ("Amazon VPC quotas").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// VPCs, the default VPC among them.
    pub vpcs: usize,
    /// Internet gateways.
    pub internet_gateways: usize,
    /// Subnets per VPC.
    pub subnets_per_vpc: usize,
    /// Route tables per VPC, the main one among them.
    pub route_tables_per_vpc: usize,
    /// Routes per route table, the local one not among them.
    pub routes_per_table: usize,
    /// Security groups.
    pub groups: usize,
    /// Rules per security group and direction.
    pub rules_per_group: usize,
    /// Security groups per network interface.
    pub groups_per_interface: usize,
    /// Elastic IP addresses.
    pub elastic_ips: usize,
    /// vCPUs of running on-demand instances; None is no limit. A new AWS account has 5, and one in use far more.
    pub vcpus: Option<u32>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vpcs: 5,
            internet_gateways: 5,
            subnets_per_vpc: 200,
            route_tables_per_vpc: 200,
            routes_per_table: 50,
            groups: 2500,
            rules_per_group: 60,
            groups_per_interface: 5,
            elastic_ips: 5,
            vcpus: None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            boot_ms: 4_900..16_600,
            stop_ms: 6_000,
            terminate_ms: 4_000,
            seed: 1,
            record: false,
            accounts: BTreeMap::new(),
            quotas: Quotas::default(),
            throttling: false,
            consistency_ms: 0..0,
            manual_clock: false,
            hosts: None,
            most_per_page: None,
            session_ms: None,
        }
    }
}

impl Config {
    /// Phases of tens of milliseconds, and all requests recorded: for tests.
    pub fn fast() -> Self {
        Self {
            boot_ms: 30..60,
            stop_ms: 40,
            terminate_ms: 40,
            record: true,
            ..Self::default()
        }
    }

    pub(crate) fn timings(&self) -> Timings {
        Timings {
            boot_ms: self.boot_ms.clone(),
            stop_ms: self.stop_ms,
            terminate_ms: self.terminate_ms,
            system_ms: self.hosts.as_ref().map_or(0..0, |it| it.boot_ms.clone()),
        }
    }
}
