//! What the machine has: cores, memory, disk.

use std::{
    fmt::Debug,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use crate::{
    addresses,
    engine::{Engine, Info},
    files::Disk,
};

const GIB: u64 = 1 << 30;

/// The machine that an agent lives on.
#[derive(Debug, Clone, Default)]
pub enum Machine {
    /// The one on which it runs.
    #[default]
    This,
    /// One that somebody plays.
    Played(Arc<dyn Played>),
}

/// A machine that somebody plays, to whom it is no more than its agent can tell of it.
pub trait Played: Debug + Send + Sync {
    /// The disk with the agent's files.
    fn disk(&self) -> Disk;
    /// What it has.
    fn hardware(&self) -> Hardware;
    /// Its interfaces with their names, addresses and the lengths of their networks' prefixes.
    fn interfaces(&self) -> Vec<(String, Ipv4Addr, u8)>;
    /// What its Docker engine says of itself; `None` while it does not run.
    fn engine(&self) -> Option<Info>;
    /// Upgrades its Docker engine.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn upgrade_engine(&self) -> Result<(), String>;
}

/// What a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// How many cores.
    pub cpu: u64,
    /// How much memory, in kB.
    pub memory_kb: u64,
    /// How large the file system of Docker's data is, in GB.
    pub disk_gb: u64,
}

impl Machine {
    pub(crate) fn disk(&self) -> Disk {
        match self {
            Self::This => Disk::Real,
            Self::Played(machine) => machine.disk(),
        }
    }

    pub(crate) fn engine(&self, socket: PathBuf) -> Engine {
        match self {
            Self::This => Engine::new(socket),
            Self::Played(machine) => Engine::played(machine.clone()),
        }
    }

    pub(crate) fn interfaces(&self) -> Vec<(String, Ipv4Addr, u8)> {
        match self {
            Self::This => addresses::interfaces(),
            Self::Played(machine) => machine.interfaces(),
        }
    }

    /// Docker keeps its data below `docker_root`.
    pub(crate) fn hardware(&self, docker_root: &Path) -> Hardware {
        match self {
            Self::This => Hardware {
                cpu: cpu(),
                memory_kb: memory_kb(),
                disk_gb: disk_gb(docker_root),
            },
            Self::Played(machine) => machine.hardware(),
        }
    }
}

/// How many cores.
pub fn cpu() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// How much memory, in kB; 0 where it can't be told.
pub fn memory_kb() -> u64 {
    fs::read_to_string("/proc/meminfo").map_or(0, |text| total_memory_kb(&text))
}

/// How large the file system of a folder is, or of the nearest one above it that is there, in GB as EC2 counts them;
/// 0 where it can't be told.
pub fn disk_gb(folder: &Path) -> u64 {
    let found = folder
        .ancestors()
        .find_map(|folder| rustix::fs::statvfs(folder).ok());
    found.map_or(0, |it| {
        // What the file system keeps for itself is a small part of a GB.
        (it.f_blocks
            .saturating_mul(it.f_frsize)
            .saturating_add(GIB / 2))
            / GIB
    })
}

/// Whether systemd runs this machine, as sd_booted(3) tells it.
pub fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether a hypervisor of EC2's says so, on instances of every generation.
pub fn is_on_ec2() -> bool {
    let says = |path, what: &str| {
        fs::read_to_string(path).is_ok_and(|text| text.to_lowercase().starts_with(what))
    };
    says("/sys/class/dmi/id/board_vendor", "amazon ec2")
        || says("/sys/class/dmi/id/sys_vendor", "amazon ec2")
        || says("/sys/hypervisor/uuid", "ec2")
}

fn total_memory_kb(meminfo: &str) -> u64 {
    meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_kb() {
        let text = "MemTotal:         984312 kB\nMemFree:           93712 kB\n";
        assert_eq!(total_memory_kb(text), 984_312);
        assert_eq!(total_memory_kb("garbage"), 0);
    }

    #[test]
    fn this_machine_has_something_of_everything() {
        assert!(cpu() > 0 && memory_kb() > 0);
        assert_eq!(
            disk_gb(Path::new("/no/such/folder")),
            disk_gb(Path::new("/"))
        );
    }
}
