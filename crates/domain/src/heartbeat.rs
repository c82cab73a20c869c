//! Heartbeats: what an agent tells of its machine every now and then.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{cluster::Invalid, host::validate_word, upgrade::Report};

/// More cores than any machine has.
const MOST_CORES: i64 = 100_000;
/// 1 PB in kB.
const MOST_MEMORY_KB: i64 = 1 << 40;
/// 1 EB in GB.
const MOST_DISK_GB: i64 = 1 << 30;
const MOST_CONTAINERS: i64 = 1_000_000;
const MOST_ADDRESSES: usize = 256;

/// What is told, as it comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The engine's version; none where no engine answers the agent.
    pub docker_version: Option<String>,
    /// The engine's execution driver.
    pub docker_execdriver: Option<String>,
    /// The engine's storage driver.
    pub docker_graphdriver: Option<String>,
    /// Cores.
    pub cpu: Option<i64>,
    /// Memory in kB.
    pub memory: Option<i64>,
    /// The disk in GB.
    pub disk: Option<i64>,
    /// How many containers run.
    pub containers: Option<i64>,
    /// The addresses of its interfaces, by the interfaces' names.
    pub private_ips: Option<Vec<(String, String)>>,
    /// Its address on the internet, where it knows it.
    pub public_ip: Option<String>,
    /// The EC2 instance that it is, where it is one.
    pub instance_id: Option<String>,
    /// What has become of the upgrade that was ordered.
    pub upgrade: Option<Report>,
}

/// What an agent tells of its machine, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The agent's version.
    pub agent_version: String,
    /// The engine's version; none where no engine answers the agent.
    pub docker_version: Option<String>,
    /// The engine's execution driver.
    pub docker_execdriver: Option<String>,
    /// The engine's storage driver.
    pub docker_graphdriver: Option<String>,
    /// Cores.
    pub cpu_cores: u32,
    /// Memory in kB.
    pub memory_kb: u64,
    /// The disk in GB.
    pub disk_gb: u32,
    /// How many containers run.
    pub containers: u32,
    /// The addresses of its interfaces, by the interfaces' names.
    pub private_ips: Vec<(String, IpNet)>,
    /// Its address on the internet, where it knows it.
    pub public_ip: Option<IpAddr>,
    /// The EC2 instance that it is, where it is one.
    pub instance_id: Option<String>,
    /// What has become of the upgrade that was ordered.
    pub upgrade: Option<Report>,
}

impl Facts {
    /// Validates what was told.
    ///
    /// # Errors
    /// [`Invalid`] naming the member that is missing or can't be taken.
    pub fn new(told: Told) -> Result<Self, Invalid> {
        let version = told.agent_version.as_ref();
        for (field, word) in [
            ("agent_version", version),
            ("docker_version", told.docker_version.as_ref()),
            ("docker_execdriver", told.docker_execdriver.as_ref()),
            ("docker_graphdriver", told.docker_graphdriver.as_ref()),
        ] {
            if let Some(word) = word {
                validate_word(field, word)?;
            }
        }
        if let Some(id) = &told.instance_id {
            check_instance_id(id)?;
        }
        Ok(Self {
            agent_version: required("agent_version", told.agent_version)?,
            docker_version: told.docker_version,
            docker_execdriver: told.docker_execdriver,
            docker_graphdriver: told.docker_graphdriver,
            cpu_cores: number("cpu", told.cpu, MOST_CORES)?,
            memory_kb: number("memory", told.memory, MOST_MEMORY_KB)?,
            disk_gb: number("disk", told.disk, MOST_DISK_GB)?,
            containers: number("containers", told.containers, MOST_CONTAINERS)?,
            private_ips: addresses(required("private_ips", told.private_ips)?)?,
            public_ip: told.public_ip.as_deref().map(address).transpose()?,
            instance_id: told.instance_id,
            upgrade: told.upgrade,
        })
    }
}

fn required<T>(field: &str, told: Option<T>) -> Result<T, Invalid> {
    told.ok_or_else(|| Invalid::new(field, "is required"))
}

fn number<T: TryFrom<i64>>(field: &str, told: Option<i64>, most: i64) -> Result<T, Invalid> {
    let told = required(field, told)?;
    let out_of_range = || {
        let reason = format!("{told} is out of range; it must be from 0 to {most}");
        Invalid::new(field, reason)
    };
    if !(0..=most).contains(&told) {
        return Err(out_of_range());
    }
    T::try_from(told).map_err(|_| out_of_range())
}

fn addresses(told: Vec<(String, String)>) -> Result<Vec<(String, IpNet)>, Invalid> {
    if told.len() > MOST_ADDRESSES {
        let reason = format!("{} are more than {MOST_ADDRESSES}", told.len());
        return Err(Invalid::new("private_ips", reason));
    }
    let read = |(at, (name, cidr)): (usize, (String, String))| {
        validate_word(&format!("private_ips[{at}].name"), &name)?;
        let cidr: IpNet = cidr.parse().map_err(|_| {
            let reason =
                format!("{cidr:?} is no address with its prefix's length, as 10.78.112.4/18");
            Invalid::new(format!("private_ips[{at}].CIDR"), reason)
        })?;
        Ok((name, cidr))
    };
    told.into_iter().enumerate().map(read).collect()
}

/// Berth asks the engine there, so that an address of its own machine or link is none.
fn address(told: &str) -> Result<IpAddr, Invalid> {
    let refused = |why: &str| Invalid::new("public_ip", format!("{told:?} is {why}"));
    let address: IpAddr = told.parse().map_err(|_| refused("no IP address"))?;
    let is_link_local = match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let own = address.to_canonical();
    if is_link_local || own.is_loopback() || own.is_unspecified() || own.is_multicast() {
        return Err(refused("no address at which others reach the machine"));
    }
    Ok(address)
}

/// EC2's ids are a prefix and 8 (older) or 17 hexadecimal digits (EC2 user guide, "Resource IDs").
fn check_instance_id(id: &str) -> Result<(), Invalid> {
    let is_id = id.strip_prefix("i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    match is_id {
        true => Ok(()),
        false => Err(Invalid::new(
            "instance_id",
            format!("{id:?} is no id of an instance, as i-0123456789abcdef0"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            agent_version: Some("1.0".into()),
            cpu: Some(2),
            memory: Some(1_015_000),
            disk: Some(60),
            containers: Some(0),
            private_ips: Some(vec![("eth0".into(), "10.78.112.4/18".into())]),
            ..Told::default()
        }
    }

    #[test]
    fn what_a_machine_tells_is_kept_as_it_is() {
        let facts = Facts::new(Told {
            public_ip: Some("203.0.113.25".into()),
            instance_id: Some("i-0123456789abcdef0".into()),
            ..told()
        })
        .unwrap();
        assert_eq!(facts.private_ips[0].1.to_string(), "10.78.112.4/18");
        assert_eq!(facts.public_ip, "203.0.113.25".parse().ok());
        assert_eq!((facts.cpu_cores, facts.memory_kb), (2, 1_015_000));
    }

    #[test]
    fn what_is_missing_or_impossible_is_named() {
        type Spoil = fn(&mut Told);
        let cases: [(&str, Spoil); 14] = [
            ("agent_version", |told| told.agent_version = None),
            ("agent_version", |told| {
                told.agent_version = Some("\n".into())
            }),
            ("docker_version", |told| {
                told.docker_version = Some("x".repeat(129))
            }),
            ("cpu", |told| told.cpu = None),
            ("cpu", |told| told.cpu = Some(-1)),
            ("memory", |told| told.memory = Some(i64::MAX)),
            ("disk", |told| told.disk = Some(i64::MIN)),
            ("containers", |told| told.containers = Some(1 << 40)),
            ("private_ips", |told| told.private_ips = None),
            ("private_ips[0].CIDR", |told| {
                told.private_ips = Some(vec![("eth0".into(), "10.78.112.4".into())]);
            }),
            ("public_ip", |told| {
                told.public_ip = Some("127.0.0.1".into());
            }),
            ("public_ip", |told| {
                told.public_ip = Some("::ffff:169.254.169.254".into());
            }),
            ("public_ip", |told| {
                told.public_ip = Some("203.0.113".into())
            }),
            ("instance_id", |told| told.instance_id = Some("i-x".into())),
        ];
        for (field, spoil) in cases {
            let mut told = told();
            spoil(&mut told);
            assert_eq!(Facts::new(told).unwrap_err().field, field);
        }
        let many = vec![("eth0".to_owned(), "10.0.0.1/8".to_owned()); MOST_ADDRESSES + 1];
        let told = Told {
            private_ips: Some(many),
            ..told()
        };
        assert_eq!(Facts::new(told).unwrap_err().field, "private_ips");
    }
}
