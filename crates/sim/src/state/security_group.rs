//! Security groups and their rules.

use std::fmt;

use ipnet::{Ipv4Net, Ipv6Net};

/// A security group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub id: String,
    pub name: String,
    pub description: String,
    pub vpc: String,
    pub ingress: Vec<Rule>,
    pub egress: Vec<Rule>,
}

impl Group {
    /// Whether a rule opens a TCP port to every address of IPv4.
    pub(crate) fn lets_everybody_in(&self, port: u16) -> bool {
        self.ingress.iter().any(|rule| {
            let is_tcp = matches!(&*rule.protocol, "-1" | "tcp" | "6");
            // No ports are all of them, and so is -1.
            let is_open = rule
                .ports
                .is_none_or(|(from, to)| from == -1 || (from..=to).contains(&i64::from(port)));
            is_tcp && is_open && rule.source == Source::V4(Ipv4Net::default())
        })
    }
}

/// One rule: EC2 counts and compares them per source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub id: String,
    /// `tcp`, `udp`, `icmp`, a number, or `-1` for all.
    pub protocol: String,
    /// None when the protocol is all.
    pub ports: Option<(i64, i64)>,
    pub source: Source,
    pub description: Option<String>,
}

/// Where a rule lets traffic come from (or go to).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    V4(Ipv4Net),
    V6(Ipv6Net),
    Group(String),
}

impl Rule {
    /// Two rules are the same to EC2 when they differ in description only.
    pub(crate) fn same(&self, other: &Self) -> bool {
        (&self.protocol, &self.ports, &self.source)
            == (&other.protocol, &other.ports, &other.source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(net) => net.fmt(f),
            Self::V6(net) => net.fmt(f),
            Self::Group(id) => f.write_str(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_open_when_a_rule_opens_it_to_everybody() {
        let everybody = Source::V4(Ipv4Net::default());
        let lets_in = |protocol: &str, ports, source: &Source| {
            let rule = Rule {
                id: "sgr-1".to_owned(),
                protocol: protocol.to_owned(),
                ports,
                source: source.clone(),
                description: None,
            };
            let group = Group {
                id: "sg-1".to_owned(),
                name: "a".to_owned(),
                description: "a".to_owned(),
                vpc: "vpc-1".to_owned(),
                ingress: vec![rule],
                egress: Vec::new(),
            };
            group.lets_everybody_in(2376)
        };
        for (protocol, ports) in [
            ("-1", None),
            ("tcp", Some((2376, 2376))),
            ("6", Some((1, 65535))),
            ("tcp", Some((-1, -1))),
        ] {
            assert!(lets_in(protocol, ports, &everybody), "{protocol} {ports:?}");
        }
        for (protocol, ports) in [("udp", Some((2376, 2376))), ("tcp", Some((22, 2375)))] {
            assert!(
                !lets_in(protocol, ports, &everybody),
                "{protocol} {ports:?}"
            );
        }
        let some = Source::V4(Ipv4Net::new_assert([10, 0, 0, 0].into(), 8));
        for source in [some, Source::Group("sg-1".to_owned())] {
            assert!(!lets_in("-1", None, &source), "{source}");
        }
    }
}
