//! What tests see of a region's network.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::Serialize;

use crate::state::Region;

/// All networks of a region, also what is too young to be seen by calls, each list in the order of the ids. What every account starts with is among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkView {
    /// The VPCs.
    pub vpcs: Vec<VpcView>,
    /// The subnets of all VPCs.
    pub subnets: Vec<SubnetView>,
    /// The internet gateways.
    pub internet_gateways: Vec<GatewayView>,
    /// The route tables of all VPCs.
    pub route_tables: Vec<RouteTableView>,
    /// The security groups of all VPCs.
    pub security_groups: Vec<GroupView>,
}

/// A VPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VpcView {
    /// `vpc-…`
    pub id: String,
    /// Its block of addresses.
    pub cidr: Ipv4Net,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is the default VPC, which every account starts with.
    pub is_default: bool,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubnetView {
    /// `subnet-…`
    pub id: String,
    /// The VPC's id.
    pub vpc_id: String,
    /// The availability zone.
    pub zone: String,
    /// Its block of addresses.
    pub cidr: Ipv4Net,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is its zone's subnet in the default VPC.
    pub is_default: bool,
}

/// An internet gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GatewayView {
    /// `igw-…`
    pub id: String,
    /// The VPC that it is attached to.
    pub vpc_id: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is attached to the default VPC.
    pub is_default: bool,
}

/// A route table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteTableView {
    /// `rtb-…`
    pub id: String,
    /// The VPC's id.
    pub vpc_id: String,
    /// The subnets that are associated with it.
    pub subnet_ids: Vec<String>,
    /// Where each block goes: `local` or a gateway's id.
    pub routes: BTreeMap<Ipv4Net, String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is its VPC's main table, which is made with the VPC.
    pub is_main: bool,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// `sg-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// The VPC's id.
    pub vpc_id: String,
    /// How many rules let traffic in.
    pub ingress_rules: usize,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Whether it is its VPC's group of the name `default`, which is made with the VPC.
    pub is_default: bool,
}

impl NetworkView {
    pub(crate) fn new(region: &Region) -> Self {
        let default_vpc = region.default_vpc().map(|vpc| &vpc.id);
        let tags = |id: &str| region.tags(id).clone();
        let vpcs = region.vpcs.all().map(|it| VpcView {
            id: it.id.clone(),
            cidr: it.cidr,
            tags: tags(&it.id),
            is_default: it.is_default,
        });
        let subnets = region.subnets.all().map(|it| SubnetView {
            id: it.id.clone(),
            vpc_id: it.vpc.clone(),
            zone: it.zone.clone(),
            cidr: it.cidr,
            tags: tags(&it.id),
            is_default: it.default_for_zone,
        });
        let gateways = region.gateways.all().map(|it| GatewayView {
            id: it.id.clone(),
            vpc_id: it.vpc.clone(),
            tags: tags(&it.id),
            is_default: it.vpc.is_some() && it.vpc.as_ref() == default_vpc,
        });
        let tables = region.route_tables.all().map(|it| RouteTableView {
            id: it.id.clone(),
            vpc_id: it.vpc.clone(),
            subnet_ids: it
                .associations
                .iter()
                .filter_map(|association| association.subnet.clone())
                .collect(),
            routes: it
                .routes
                .iter()
                .map(|route| (route.destination, route.gateway.clone()))
                .collect(),
            tags: tags(&it.id),
            is_main: it.is_main(),
        });
        let groups = region.groups.all().map(|it| GroupView {
            id: it.id.clone(),
            name: it.name.clone(),
            vpc_id: it.vpc.clone(),
            ingress_rules: it.ingress.len(),
            tags: tags(&it.id),
            is_default: it.name == "default",
        });
        Self {
            vpcs: sorted(vpcs, |it| &it.id),
            subnets: sorted(subnets, |it| &it.id),
            internet_gateways: sorted(gateways, |it| &it.id),
            route_tables: sorted(tables, |it| &it.id),
            security_groups: sorted(groups, |it| &it.id),
        }
    }
}

fn sorted<T>(items: impl Iterator<Item = T>, id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by(|a, b| id(a).cmp(id(b)));
    items
}
