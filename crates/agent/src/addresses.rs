//! The machine's addresses.

use std::net::{IpAddr, Ipv4Addr};

use if_addrs::{IfAddr, get_if_addrs};
use ipnet::Ipv4Net;

use crate::{http::Transport, machine::Machine, metadata::Metadata, wire::PrivateIp};

/// Interfaces of containers and virtual machines: not the machine's own.
const OF_CONTAINERS: [&str; 8] = [
    "docker", "br-", "veth", "virbr", "cni", "flannel", "weave", "cali",
];

/// As many addresses as are told: more than any instance has, and less than the server takes.
const MOST: usize = 128;

/// The addresses by which a machine can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The public one: on EC2 that of the metadata service, elsewhere that of an interface. A machine behind a NAT knows
    /// of none; the server sees where its calls come from.
    pub public_ip: Option<IpAddr>,
    /// Those of the interfaces.
    pub private_ips: Vec<PrivateIp>,
}

/// The addresses at this moment.
pub async fn look<T: Transport>(metadata: &mut Metadata<T>, machine: &Machine) -> Addresses {
    metadata.look().await;
    choose(machine.interfaces(), metadata.public_ip())
}

/// The interfaces of this machine with their names, addresses and the lengths of their networks' prefixes.
pub(crate) fn interfaces() -> Vec<(String, Ipv4Addr, u8)> {
    let interfaces = get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!("the interfaces' addresses can't be read: {error}");
        Vec::new()
    });
    let found = interfaces
        .into_iter()
        .filter_map(|interface| match interface.addr {
            IfAddr::V4(v4) => Some((interface.name, v4.ip, v4.prefixlen)),
            IfAddr::V6(_) => None,
        });
    found.collect()
}

fn choose(
    interfaces: impl IntoIterator<Item = (String, Ipv4Addr, u8)>,
    of_metadata: Option<Option<IpAddr>>,
) -> Addresses {
    let mut own: Vec<_> = interfaces
        .into_iter()
        .filter(|(name, ip, _)| {
            let is_of_containers = OF_CONTAINERS.iter().any(|prefix| name.starts_with(prefix));
            let is_own = !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified());
            is_own && !is_of_containers
        })
        .collect();
    own.sort();
    let of_interface = own
        .iter()
        .find_map(|(_, ip, _)| (!is_private(*ip)).then_some(IpAddr::V4(*ip)));
    let private_ips = own.into_iter().filter(|(_, ip, _)| is_private(*ip));
    Addresses {
        public_ip: of_metadata.unwrap_or(of_interface),
        private_ips: private_ips
            .filter_map(|(name, ip, prefix)| {
                let cidr = Ipv4Net::new(ip, prefix).ok()?;
                Some(PrivateIp { name, cidr })
            })
            .take(MOST)
            .collect(),
    }
}

/// Of RFC 1918, or shared behind a carrier's NAT (RFC 6598).
fn is_private(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    ip.is_private() || first == 100 && (64..128).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, ip: &str, prefix: u8) -> (String, Ipv4Addr, u8) {
        (name.to_owned(), ip.parse().unwrap(), prefix)
    }

    #[test]
    fn only_the_machines_own_interfaces_count() {
        let addresses = choose(
            [
                interface("lo", "127.0.0.1", 8),
                interface("docker0", "172.17.0.1", 16),
                interface("br-3f2a9c0d1e2f", "172.18.0.1", 16),
                interface("eth1", "169.254.3.4", 16),
                interface("eth0", "10.78.112.4", 18),
            ],
            None,
        );
        let [only] = addresses.private_ips.as_slice() else {
            panic!("{addresses:?}");
        };
        assert_eq!(
            (only.name.as_str(), only.cidr.to_string().as_str()),
            ("eth0", "10.78.112.4/18")
        );
        assert_eq!(addresses.public_ip, None);
    }

    #[test]
    fn a_public_address_on_an_interface_is_the_machines_away_from_ec2() {
        let interfaces = || {
            [
                interface("eth0", "203.0.113.9", 24),
                interface("eth1", "100.64.0.9", 10),
            ]
        };
        let away = choose(interfaces(), None);
        assert_eq!(away.public_ip, Some("203.0.113.9".parse().unwrap()));
        assert_eq!(away.private_ips.len(), 1);
        assert_eq!(choose(interfaces(), Some(None)).public_ip, None);
    }

    #[test]
    fn a_machine_with_very_many_addresses_tells_the_first_of_them() {
        let many = (0..=255).map(|last| interface("eth0", &format!("10.0.0.{last}"), 24));
        assert_eq!(choose(many, None).private_ips.len(), MOST);
    }

    #[test]
    fn the_order_of_the_interfaces_is_no_change() {
        let (a, b) = (
            interface("eth0", "10.0.0.1", 24),
            interface("eth1", "10.0.1.1", 24),
        );
        assert_eq!(choose([a.clone(), b.clone()], None), choose([b, a], None));
    }
}
