//! Instance types.

use std::sync::LazyLock;

use serde::Deserialize;

/// An instance type as DescribeInstanceTypes shows it, reduced.
#[derive(Debug, Deserialize)]
pub(crate) struct InstanceType {
    pub name: String,
    pub vcpus: u32,
    pub cores: u32,
    pub threads_per_core: u32,
    pub memory_mib: u64,
    pub architectures: Vec<String>,
    pub manufacturer: String,
    pub clock_ghz: f64,
    pub hypervisor: String,
    pub bare_metal: bool,
    pub current_generation: bool,
    pub burstable: bool,
    pub free_tier: bool,
    pub instance_storage: bool,
    pub storage_gb: u64,
    pub ebs_optimized: String,
    pub nvme: String,
    pub network_performance: String,
    pub max_interfaces: u32,
    pub ipv4_per_interface: u32,
    pub ena: String,
}

static TYPES: LazyLock<Vec<InstanceType>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/instance_types.json"))
        .expect("the packaged types are read by a test")
});

pub(crate) fn instance_types() -> &'static [InstanceType] {
    &TYPES
}

pub(crate) fn instance_type(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|it| it.name == name)
}
