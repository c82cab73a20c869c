//! One region of one account: its resources, the default VPC that every account starts with, and the passing of time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ipnet::Ipv4Net;

use super::capacity::Place;
use super::instance::Launches;
use super::network::LOCAL;
use super::{
    Address, Gateway, Group, Ids, Instance, Kind, Millis, Route, RouteTable, Rule, Source, Subnet,
    TableAssociation, Volume, Vpc,
};
use crate::catalogue;
use crate::consistency::Shelf;
use crate::hiding::Hiding;
use crate::protocol::filter::Tags;

/// The first address of the pool of public addresses. 198.18.0.0/15 is set aside for benchmarks (RFC 2544), so no
/// simulated node has the address of somebody's machine.
const PUBLIC_POOL: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const PUBLIC_POOL_SIZE: u32 = 1 << 17;

/// The pool of public addresses, which all accounts and regions share. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublicAddresses(Arc<AtomicU32>);

impl PublicAddresses {
    /// Which address of the pool is the next; greater than the pool when it was gone through once.
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A region of an account.
#[derive(Debug)]
pub(crate) struct Region {
    pub account: String,
    pub name: String,
    pub ids: Ids,
    /// The time to which it was brought.
    pub now: Millis,
    /// How long what is made now is not seen.
    pub consistency_ms: Range<u64>,
    /// What describe calls do not show.
    pub hiding: Hiding,
    pub vpcs: Shelf<Vpc>,
    pub subnets: Shelf<Subnet>,
    pub gateways: Shelf<Gateway>,
    pub route_tables: Shelf<RouteTable>,
    pub groups: Shelf<Group>,
    pub instances: Shelf<Instance>,
    pub volumes: Shelf<Volume>,
    pub addresses: BTreeMap<String, Address>,
    pub launches: Launches,
    /// Route tables by client token, with the request that made them.
    pub table_tokens: BTreeMap<String, (String, String)>,
    /// How many instances there is room for, where that is limited.
    pub capacity: BTreeMap<Place, u32>,
    /// What the region's zones do not offer to this account, although they do to others.
    pub withdrawn: BTreeSet<Place>,
    /// The zones that are in another state than `available`.
    pub zone_states: BTreeMap<String, String>,
    pub launch_count: u64,
    pub(super) tags: BTreeMap<String, Tags>,
    public_addresses: PublicAddresses,
}

static NO_TAGS: Tags = Tags::new();

impl Region {
    pub(crate) fn new(
        account: &str,
        name: &str,
        ids: Ids,
        public_addresses: PublicAddresses,
    ) -> Self {
        let mut region = Self {
            account: account.to_owned(),
            name: name.to_owned(),
            ids,
            now: 0,
            consistency_ms: 0..0,
            hiding: Hiding::default(),
            vpcs: Shelf::default(),
            subnets: Shelf::default(),
            gateways: Shelf::default(),
            route_tables: Shelf::default(),
            groups: Shelf::default(),
            instances: Shelf::default(),
            volumes: Shelf::default(),
            addresses: BTreeMap::new(),
            launches: BTreeMap::new(),
            table_tokens: BTreeMap::new(),
            capacity: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            zone_states: BTreeMap::new(),
            launch_count: 0,
            tags: BTreeMap::new(),
            public_addresses,
        };
        region.add_default_vpc();
        region
    }

    /// "Default VPCs": 172.31.0.0/16, a /20 per zone with public addresses, a gateway and a route to it.
    fn add_default_vpc(&mut self) {
        let cidr = Ipv4Net::new_assert(Ipv4Addr::new(172, 31, 0, 0), 16);
        let vpc = self.add_vpc(cidr, "default", true);
        let blocks = cidr.subnets(20).into_iter().flatten();
        let zones = catalogue::region(&self.name)
            .map(|region| region.zones.as_slice())
            .unwrap_or_default();
        for (zone, cidr) in zones.iter().zip(blocks) {
            let id = self.ids.next(Kind::Subnet.prefix());
            let subnet = Subnet {
                id: id.clone(),
                vpc: vpc.clone(),
                cidr,
                zone: zone.name.clone(),
                zone_id: zone.id.clone(),
                default_for_zone: true,
                map_public_ip: true,
            };
            self.subnets.insert(id, subnet, None);
        }
        let id = self.ids.next(Kind::Gateway.prefix());
        self.gateways.insert(
            id.clone(),
            Gateway {
                id: id.clone(),
                vpc: Some(vpc.clone()),
            },
            None,
        );
        if let Some(table) = self.route_tables.all_mut().find(|table| table.vpc == vpc) {
            table.routes.push(Route {
                destination: Ipv4Net::default(),
                gateway: id,
            });
        }
    }

    /// A VPC comes with its main route table and its default security group.
    pub(crate) fn add_vpc(
        &mut self,
        cidr: Ipv4Net,
        tenancy: &'static str,
        is_default: bool,
    ) -> String {
        let vpc = Vpc {
            id: self.ids.next(Kind::Vpc.prefix()),
            cidr,
            cidr_association: self.ids.next("vpc-cidr-assoc"),
            dhcp_options: format!(
                "dopt-0{:016x}",
                Ids::new(&[&self.account, &self.name, "dopt"]).number()
            ),
            tenancy,
            is_default,
            dns_support: true,
            dns_hostnames: is_default,
            usage_metrics: false,
        };
        let mut table = RouteTable::new(self.ids.next(Kind::RouteTable.prefix()), &vpc);
        table.associations.push(TableAssociation {
            id: self.ids.next("rtbassoc"),
            subnet: None,
        });
        let from = self.appears(Kind::RouteTable, &table.id);
        self.route_tables.insert(table.id.clone(), table, from);
        let group = self.add_group("default", "default VPC security group", &vpc.id);
        let rule = Rule {
            id: self.ids.next("sgr"),
            protocol: "-1".to_owned(),
            ports: None,
            source: Source::Group(group.clone()),
            description: None,
        };
        if let Some(group) = self.groups.any_mut(&group) {
            group.ingress.push(rule);
        }
        let id = vpc.id.clone();
        let from = self.appears(Kind::Vpc, &id);
        self.vpcs.insert(id.clone(), vpc, from);
        id
    }

    /// A security group starts with all traffic out allowed and none in.
    pub(crate) fn add_group(&mut self, name: &str, description: &str, vpc: &str) -> String {
        let id = self.ids.next(Kind::Group.prefix());
        let all_out = Rule {
            id: self.ids.next("sgr"),
            protocol: "-1".to_owned(),
            ports: None,
            source: Source::V4(Ipv4Net::default()),
            description: None,
        };
        let group = Group {
            id: id.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            vpc: vpc.to_owned(),
            ingress: Vec::new(),
            egress: vec![all_out],
        };
        let from = self.appears(Kind::Group, &id);
        self.groups.insert(id.clone(), group, from);
        id
    }

    /// An address of the public pool that is not in use.
    pub(crate) fn new_public_ip(&mut self) -> Ipv4Addr {
        let nth = |number: u32| Ipv4Addr::from(PUBLIC_POOL + number % PUBLIC_POOL_SIZE);
        let next = self.public_addresses.next();
        // Before the pool was gone through once no address can be in use.
        if next < PUBLIC_POOL_SIZE {
            return nth(next);
        }
        let used: BTreeSet<Ipv4Addr> = self.public_ips().collect();
        let mut all = (1..PUBLIC_POOL_SIZE).map(|_| nth(self.public_addresses.next()));
        let free = Some(nth(next)).filter(|ip| !used.contains(ip));
        let free = free.or_else(|| all.find(|ip| !used.contains(ip)));
        // With more public addresses than the pool has, one is given twice.
        free.unwrap_or(nth(next))
    }

    fn public_ips(&self) -> impl Iterator<Item = Ipv4Addr> {
        let of_instances = self
            .instances
            .all()
            .filter_map(|it| it.public.as_ref().map(|public| public.ip));
        of_instances.chain(self.addresses.values().map(|address| address.ip))
    }

    /// The private addresses in use in a subnet.
    pub(crate) fn private_ips(&self, subnet: &str) -> BTreeSet<Ipv4Addr> {
        self.instances
            .all()
            .filter(|it| it.subnet == subnet)
            .filter_map(|it| it.private_ip)
            .collect()
    }

    /// The instances in a subnet or VPC that are not terminated, as something that keeps it from being deleted.
    pub(crate) fn is_in_use(&self, by: impl Fn(&Instance) -> bool) -> bool {
        self.instances
            .all()
            .any(|it| it.private_ip.is_some() && by(it))
    }

    pub(crate) fn default_vpc(&self) -> Option<&Vpc> {
        self.vpcs.values().find(|vpc| vpc.is_default)
    }

    pub(crate) fn default_group(&self, vpc: &str) -> Option<&Group> {
        self.groups
            .all()
            .find(|group| group.vpc == vpc && group.name == "default")
    }

    /// A route is a black hole when its gateway is gone or belongs to another VPC.
    pub(crate) fn route_is_active(&self, table: &RouteTable, route: &Route) -> bool {
        let attached = |gateway: &Gateway| gateway.vpc.as_ref() == Some(&table.vpc);
        route.gateway == LOCAL || self.gateways.any(&route.gateway).is_some_and(attached)
    }

    /// Whether there is a route to the internet from a subnet, by its own route table or the main one.
    pub(crate) fn leads_out(&self, subnet: &str, vpc: &str) -> bool {
        let uses = |table: &&RouteTable| {
            let mut uses = table.associations.iter();
            uses.any(|it| it.subnet.as_deref() == Some(subnet))
        };
        let own = self.route_tables.all().find(uses);
        let is_main = |table: &&RouteTable| table.vpc == vpc && table.is_main();
        let table = own.or_else(|| self.route_tables.all().find(is_main));
        table.is_some_and(|table| {
            table.routes.iter().any(|route| {
                route.destination == Ipv4Net::default()
                    && route.gateway != LOCAL
                    && self.route_is_active(table, route)
            })
        })
    }

    pub(crate) fn tags(&self, id: &str) -> &Tags {
        self.tags.get(id).unwrap_or(&NO_TAGS)
    }

    /// The tags of all that is listed.
    pub(crate) fn all_tags(&self) -> impl Iterator<Item = (&String, &Tags)> {
        let is_seen = |kind, id: &str| self.exists(kind, id) && self.is_listed(kind, id);
        let seen = move |id: &str| Kind::of_id(id).is_some_and(|kind| is_seen(kind, id));
        self.tags.iter().filter(move |(id, _)| seen(id))
    }

    /// Adds tags; those with the same key are replaced.
    pub(crate) fn add_tags(&mut self, id: &str, tags: &Tags) {
        if !tags.is_empty() {
            self.tags
                .entry(id.to_owned())
                .or_default()
                .extend(tags.clone());
        }
    }

    pub(crate) fn remove_tags(&mut self, id: &str, which: impl Fn(&str, &str) -> bool) {
        if let Some(tags) = self.tags.get_mut(id) {
            tags.retain(|key, value| !which(key, value));
        }
    }

    /// Tags do not outlive their resource.
    pub(crate) fn forget_tags(&mut self, id: &str) {
        self.tags.remove(id);
    }

    pub(crate) fn exists(&self, kind: Kind, id: &str) -> bool {
        match kind {
            Kind::Address => self.addresses.contains_key(id),
            Kind::Group => self.groups.contains_key(id),
            Kind::Image => catalogue::image(&self.name, id).is_some(),
            Kind::Instance => self.instances.contains_key(id),
            Kind::Interface => self
                .instances
                .values()
                .any(|it| it.private_ip.is_some() && it.interface == id),
            Kind::Gateway => self.gateways.contains_key(id),
            Kind::RouteTable => self.route_tables.contains_key(id),
            Kind::Subnet => self.subnets.contains_key(id),
            Kind::Volume => self.volumes.contains_key(id),
            Kind::Vpc => self.vpcs.contains_key(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_again_only_when_nobody_has_it_any_more() {
        let mut region = Region::new("1", "us-east-1", Ids::new(&[]), PublicAddresses::default());
        let first = region.new_public_ip();
        let kept = Address {
            id: "eipalloc-1".to_owned(),
            ip: first,
            used: None,
        };
        region.addresses.insert(kept.id.clone(), kept);
        let others: BTreeSet<Ipv4Addr> = (2..=PUBLIC_POOL_SIZE)
            .map(|_| region.new_public_ip())
            .collect();
        assert_eq!(others.len() + 1, PUBLIC_POOL_SIZE as usize, "one lap");
        assert!(!others.contains(&first));
        let again: Vec<Ipv4Addr> = (0..4).map(|_| region.new_public_ip()).collect();
        assert!(!again.contains(&first) && again.iter().all(|ip| others.contains(ip)));
    }
}
