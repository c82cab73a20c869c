//! What the machine has: cores, memory, disk.

use std::{fs, path::Path, thread};

const GIB: u64 = 1 << 30;

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
