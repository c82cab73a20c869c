//! VPCs and what lies in them.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// A virtual private cloud.
#[derive(Clone, Debug)]
pub(crate) struct Vpc {
    pub id: String,
    pub cidr: Ipv4Net,
    pub cidr_association: String,
    pub dhcp_options: String,
    pub tenancy: &'static str,
    pub is_default: bool,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub usage_metrics: bool,
}

/// A subnet; it never moves between VPCs or zones.
#[derive(Clone, Debug)]
pub(crate) struct Subnet {
    pub id: String,
    pub vpc: String,
    pub cidr: Ipv4Net,
    pub zone: String,
    pub zone_id: String,
    pub default_for_zone: bool,
    pub map_public_ip: bool,
}

impl Subnet {
    /// AWS keeps the first four addresses and the last ("Subnet sizing for IPv4").
    const RESERVED: usize = 5;

    /// How many addresses instances can have.
    pub(crate) fn capacity(&self) -> usize {
        let host_bits = 32 - u32::from(self.cidr.prefix_len());
        (1usize << host_bits).saturating_sub(Self::RESERVED)
    }

    /// The addresses that instances can have, lowest first.
    pub(crate) fn assignable(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let first = u32::from(self.cidr.network());
        (4..)
            .take(self.capacity())
            .map(move |offset: u32| Ipv4Addr::from(first + offset))
    }
}

/// An internet gateway, attached to at most one VPC.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    pub id: String,
    pub vpc: Option<String>,
}

/// A route table.
#[derive(Clone, Debug)]
pub(crate) struct RouteTable {
    pub id: String,
    pub vpc: String,
    pub routes: Vec<Route>,
    pub associations: Vec<TableAssociation>,
}

/// A route to a gateway, or to the VPC itself (`local`).
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub destination: Ipv4Net,
    pub gateway: String,
}

/// A table's use by one subnet, or by all that have no other (the main one).
#[derive(Clone, Debug)]
pub(crate) struct TableAssociation {
    pub id: String,
    pub subnet: Option<String>,
}

/// The gateway name of the route inside a VPC.
pub(crate) const LOCAL: &str = "local";

impl RouteTable {
    pub(crate) fn new(id: String, vpc: &Vpc) -> Self {
        let local = Route {
            destination: vpc.cidr,
            gateway: LOCAL.to_owned(),
        };
        Self {
            id,
            vpc: vpc.id.clone(),
            routes: vec![local],
            associations: Vec::new(),
        }
    }

    pub(crate) fn is_main(&self) -> bool {
        self.associations.iter().any(|it| it.subnet.is_none())
    }
}

/// An elastic IP address.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub id: String,
    pub ip: Ipv4Addr,
    pub used: Option<AddressUse>,
}

/// What an elastic IP address is attached to.
#[derive(Clone, Debug)]
pub(crate) struct AddressUse {
    pub association: String,
    pub instance: String,
}

/// The public DNS name of an address; us-east-1 is older than the rule.
pub(crate) fn public_dns_name(region: &str, ip: Ipv4Addr) -> String {
    let domain = if region == "us-east-1" {
        "compute-1".to_owned()
    } else {
        format!("{region}.compute")
    };
    format!(
        "ec2-{}.{domain}.amazonaws.com",
        ip.to_string().replace('.', "-")
    )
}
