//! What exists: accounts, their regions, and the resources in them. Rules of AWS's answers live with the actions.

mod capacity;
mod iam;
mod ids;
mod instance;
mod lifecycle;
mod network;
mod offers;
mod region;
mod resource;
mod security_group;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;

use crate::route53::Zones;

pub(crate) use iam::{Iam, Profile, Role};
pub(crate) use ids::Ids;
pub(crate) use instance::{
    Association, Boot, Instance, Launch, Metadata, Phase, PhaseKind, Timings, Volume,
};
pub(crate) use network::{
    Address, AddressUse, Gateway, Route, RouteTable, Subnet, TableAssociation, Vpc, public_dns_name,
};
pub(crate) use region::{PublicAddresses, Region};
pub(crate) use resource::Kind;
pub(crate) use security_group::{Group, Rule, Source};
pub(crate) use session::Session;

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = u64;

/// All accounts.
#[derive(Debug, Default)]
pub(crate) struct World {
    seed: u64,
    accounts: BTreeMap<String, Account>,
    /// By their access keys.
    pub sessions: BTreeMap<String, Session>,
    /// The regions that an account has not opted in to, by both.
    pub off: BTreeSet<(String, String)>,
    /// How long what is made from now on is not seen.
    pub consistency_ms: Range<u64>,
    public_addresses: PublicAddresses,
}

/// One account: its identities and hosted zones are global, everything else is per region.
#[derive(Debug)]
pub(crate) struct Account {
    pub iam: Iam,
    pub zones: Zones,
    regions: BTreeMap<String, Region>,
}

impl World {
    pub(crate) fn new(seed: u64, consistency_ms: Range<u64>) -> Self {
        Self {
            seed,
            consistency_ms,
            ..Self::default()
        }
    }

    /// The identities of an account, where it has any.
    pub(crate) fn iam(&self, account: &str) -> Option<&Iam> {
        self.accounts.get(account).map(|it| &it.iam)
    }

    /// Where a name in a hosted zone leads, whoever's the zone is.
    pub(crate) fn resolve(&self, name: &str) -> Option<Ipv4Addr> {
        let accounts = self.accounts.values();
        accounts
            .flat_map(|account| account.zones.zones.values())
            .find_map(|zone| zone.address_of(name))
    }

    /// The account and one of its regions, made on first use, with all changes that time has brought.
    pub(crate) fn enter(
        &mut self,
        account: &str,
        region: &str,
        now: Millis,
    ) -> (&mut Iam, &mut Zones, &mut Region) {
        let seed = self.seed.to_string();
        let found = self
            .accounts
            .entry(account.to_owned())
            .or_insert_with(|| Account {
                iam: Iam::new(account, Ids::new(&[&seed, account, "iam"])),
                zones: Zones::new(Ids::new(&[&seed, account, "route53"])),
                regions: BTreeMap::new(),
            });
        let pool = self.public_addresses.clone();
        let there = found.regions.entry(region.to_owned()).or_insert_with(|| {
            let ids = Ids::new(&[&seed, account, region]);
            Region::new(account, region, ids, pool)
        });
        there.consistency_ms = self.consistency_ms.clone();
        there.settle(now);
        (&mut found.iam, &mut found.zones, there)
    }

    /// Shows every region of every account, with all changes that time has brought.
    pub(crate) fn each_region(&mut self, now: Millis, mut show: impl FnMut(&Region)) {
        for account in self.accounts.values_mut() {
            for region in account.regions.values_mut() {
                region.settle(now);
                show(region);
            }
        }
    }
}
