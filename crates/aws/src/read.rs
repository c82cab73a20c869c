//! The SDK's types, read into Berth's own.

use aws_sdk_ec2::types;
use domain::{
    catalogue::{Architecture, Figures},
    node::InstanceState,
};

use crate::{Gateway, Image, Instance, RouteTable, SecurityGroup, Subnet, Tags, Vpc};

fn tags(tags: Option<Vec<types::Tag>>) -> Tags {
    Tags(
        tags.unwrap_or_default()
            .into_iter()
            .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
            .collect(),
    )
}

pub(crate) fn vpc(vpc: types::Vpc) -> Option<Vpc> {
    Some(Vpc {
        id: vpc.vpc_id?,
        cidr: vpc.cidr_block.unwrap_or_default(),
        tags: tags(vpc.tags),
    })
}

pub(crate) fn subnet(subnet: types::Subnet) -> Option<Subnet> {
    Some(Subnet {
        id: subnet.subnet_id?,
        vpc_id: subnet.vpc_id?,
        zone: subnet.availability_zone?,
        cidr: subnet.cidr_block.unwrap_or_default(),
        free_addresses: subnet
            .available_ip_address_count
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
        tags: tags(subnet.tags),
    })
}

pub(crate) fn gateway(gateway: types::InternetGateway) -> Option<Gateway> {
    let attachment = gateway.attachments.unwrap_or_default().into_iter().next();
    Some(Gateway {
        id: gateway.internet_gateway_id?,
        vpc_id: attachment.and_then(|attachment| attachment.vpc_id),
        tags: tags(gateway.tags),
    })
}

pub(crate) fn route_table(table: types::RouteTable) -> Option<RouteTable> {
    // A route whose gateway was detached is a black hole until it is attached again.
    let is_default = |route: &types::Route| {
        route.destination_cidr_block.as_deref() == Some("0.0.0.0/0")
            && route.state != Some(types::RouteState::Blackhole)
    };
    Some(RouteTable {
        id: table.route_table_id?,
        vpc_id: table.vpc_id?,
        has_default_route: table.routes.unwrap_or_default().iter().any(is_default),
        subnet_ids: table
            .associations
            .unwrap_or_default()
            .into_iter()
            .filter_map(|a| a.subnet_id)
            .collect(),
        tags: tags(table.tags),
    })
}

pub(crate) fn security_group(group: types::SecurityGroup) -> Option<SecurityGroup> {
    let permissions = group.ip_permissions.unwrap_or_default();
    Some(SecurityGroup {
        id: group.group_id?,
        vpc_id: group.vpc_id?,
        name: group.group_name.unwrap_or_default(),
        has_ingress: !permissions.is_empty(),
        open_tcp: permissions.iter().filter_map(open_tcp).collect(),
        tags: tags(group.tags),
    })
}

/// The TCP ports that a rule opens to addresses; one that lets only other groups in opens none (EC2 API reference,
/// `IpPermission`: protocol -1 is every one, and then all ports are open).
fn open_tcp(rule: &types::IpPermission) -> Option<(u16, u16)> {
    let lets_addresses_in = !rule.ip_ranges().is_empty()
        || !rule.ipv6_ranges().is_empty()
        || !rule.prefix_list_ids().is_empty();
    if !lets_addresses_in {
        return None;
    }
    match rule.ip_protocol() {
        Some("-1") => Some((0, u16::MAX)),
        Some("tcp" | "6") => {
            let from = u16::try_from(rule.from_port()?).ok()?;
            Some((from, u16::try_from(rule.to_port()?).ok()?))
        }
        _ => None,
    }
}

pub(crate) fn image(image: types::Image) -> Option<Image> {
    Some(Image {
        id: image.image_id?,
        name: image.name.unwrap_or_default(),
        root_device: image
            .root_device_name
            .unwrap_or_else(|| "/dev/sda1".to_owned()),
    })
}

pub(crate) fn instance(instance: types::Instance) -> Option<Instance> {
    let not_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
    let public_dns = not_empty(instance.public_dns_name);
    Some(Instance {
        id: instance.instance_id?,
        state: state(&instance.state?.name?)?,
        state_reason: instance
            .state_reason
            .and_then(|reason| not_empty(reason.message)),
        public_ip: instance.public_ip_address.and_then(|ip| ip.parse().ok()),
        private_ip: instance.private_ip_address.and_then(|ip| ip.parse().ok()),
        subnet_id: not_empty(instance.subnet_id),
        tags: tags(instance.tags),
        public_dns,
    })
}

/// A state that EC2 may add one day says nothing that could be acted on.
fn state(name: &types::InstanceStateName) -> Option<InstanceState> {
    name.as_str().parse().ok()
}

/// Local and wavelength zones are no availability zones of the region.
pub(crate) fn is_availability_zone(zone: &types::AvailabilityZone) -> bool {
    zone.zone_type
        .as_deref()
        .is_none_or(|kind| kind == "availability-zone")
}

/// An instance type that can be a node; none where it can't. A node has a root volume of EBS's and an image of Ubuntu's, is
/// paid on demand, and is no whole machine: those take a quarter of an hour to boot.
pub(crate) fn node_type(info: types::InstanceTypeInfo) -> Option<Figures> {
    let architectures = info.processor_info?.supported_architectures?;
    let has = |wanted| architectures.contains(&wanted);
    let architecture = if has(types::ArchitectureType::X8664) {
        Architecture::Amd64
    } else if has(types::ArchitectureType::Arm64) {
        Architecture::Arm64
    } else {
        return None;
    };
    let is_virtual = info.bare_metal != Some(true)
        && info
            .supported_virtualization_types?
            .contains(&types::VirtualizationType::Hvm);
    let is_on_demand = info
        .supported_usage_classes?
        .contains(&types::UsageClassType::OnDemand);
    let has_volumes = info
        .supported_root_device_types?
        .contains(&types::RootDeviceType::Ebs);
    if !(is_virtual && is_on_demand && has_volumes) {
        return None;
    }
    let vcpus = info.v_cpu_info?.default_v_cpus?;
    let memory_mb = info.memory_info?.size_in_mib?;
    Some(Figures {
        name: info.instance_type?.as_str().to_owned(),
        vcpus: u32::try_from(vcpus).ok().filter(|n| *n > 0)?,
        memory_mb: u32::try_from(memory_mb).ok().filter(|n| *n > 0)?,
        architecture,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        ArchitectureType, AvailabilityZone, InstanceType, InstanceTypeInfo, MemoryInfo,
        ProcessorInfo, RootDeviceType, UsageClassType, VCpuInfo, VirtualizationType,
        builders::InstanceTypeInfoBuilder,
    };

    use super::*;

    fn described(architectures: &[ArchitectureType]) -> InstanceTypeInfoBuilder {
        let processor = ProcessorInfo::builder();
        let processor = processor.set_supported_architectures(Some(architectures.to_vec()));
        InstanceTypeInfo::builder()
            .instance_type(InstanceType::from("x9.large"))
            .bare_metal(false)
            .processor_info(processor.build())
            .v_cpu_info(VCpuInfo::builder().default_v_cpus(2).build())
            .memory_info(MemoryInfo::builder().size_in_mib(8192).build())
            .supported_root_device_types(RootDeviceType::Ebs)
            .supported_usage_classes(UsageClassType::Spot)
            .supported_usage_classes(UsageClassType::OnDemand)
            .supported_virtualization_types(VirtualizationType::Hvm)
    }

    #[test]
    fn local_zones_are_nobodys() {
        let of_kind = |kind: &str| AvailabilityZone::builder().zone_type(kind).build();
        assert!(is_availability_zone(&of_kind("availability-zone")));
        assert!(!is_availability_zone(&of_kind("local-zone")));
        assert!(!is_availability_zone(&of_kind("wavelength-zone")));
        assert!(is_availability_zone(&AvailabilityZone::builder().build()));
    }

    #[test]
    fn virtual_types_of_both_architectures_can_be_nodes() {
        let intel = [ArchitectureType::I386, ArchitectureType::X8664];
        let figures = node_type(described(&intel).build()).unwrap();
        assert_eq!(figures.architecture, Architecture::Amd64);
        assert_eq!(figures.label(), "x9.large [2 vCPU, 8 GB]");
        let figures = node_type(described(&[ArchitectureType::Arm64]).build()).unwrap();
        assert_eq!(figures.architecture, Architecture::Arm64);
    }

    #[test]
    fn what_no_image_of_ubuntus_boots_on_in_time_is_no_node_type() {
        let arm = [ArchitectureType::Arm64];
        let none = [
            described(&[ArchitectureType::I386]).build(),
            described(&[ArchitectureType::Arm64Mac]).build(),
            described(&arm).bare_metal(true).build(),
            described(&arm)
                .set_supported_usage_classes(Some(vec![UsageClassType::Spot]))
                .build(),
            described(&arm)
                .set_supported_root_device_types(Some(vec![RootDeviceType::InstanceStore]))
                .build(),
            described(&arm)
                .set_supported_virtualization_types(Some(vec![VirtualizationType::Paravirtual]))
                .build(),
            described(&arm).set_memory_info(None).build(),
        ];
        for info in none {
            assert_eq!(node_type(info), None);
        }
    }
}
