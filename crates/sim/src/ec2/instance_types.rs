//! Instance types and where they are offered.

use crate::call::Call;
use crate::catalogue::{self, InstanceType};
use crate::protocol::filter::{Fields, Filters, Tags};
use crate::protocol::page::Page;
use crate::protocol::{ApiError, Element, Outcome, el};

const FILTERS: Fields<&'static InstanceType> = &[
    ("bare-metal", |it| vec![it.bare_metal.to_string()]),
    ("burstable-performance-supported", |it| {
        vec![it.burstable.to_string()]
    }),
    ("current-generation", |it| {
        vec![it.current_generation.to_string()]
    }),
    ("free-tier-eligible", |it| vec![it.free_tier.to_string()]),
    ("hypervisor", |it| vec![it.hypervisor.clone()]),
    ("instance-storage-supported", |it| {
        vec![it.instance_storage.to_string()]
    }),
    ("instance-type", |it| vec![it.name.clone()]),
    ("memory-info.size-in-mib", |it| {
        vec![it.memory_mib.to_string()]
    }),
    ("processor-info.supported-architecture", |it| {
        it.architectures.clone()
    }),
    ("supported-root-device-type", |_| vec!["ebs".to_owned()]),
    ("supported-usage-class", |_| vec!["on-demand".to_owned()]),
    ("supported-virtualization-type", |_| vec!["hvm".to_owned()]),
    ("vcpu-info.default-cores", |it| vec![it.cores.to_string()]),
    ("vcpu-info.default-vcpus", |it| vec![it.vcpus.to_string()]),
];

/// "The instance types": up to a hundred.
const MOST_NAMES: usize = 100;

pub(crate) fn describe(call: &mut Call<'_>) -> Outcome {
    let names = call.params.values("InstanceType");
    if names.len() > MOST_NAMES {
        return Err(ApiError::value(format!(
            "The maximum number of instance types specified on a single call is {MOST_NAMES}"
        )));
    }
    let filters = Filters::read(&call.params, FILTERS)?;
    let page = Page::read(&call.params, 5, 100)?.of_at_most(call.config.most_per_page);
    if !names.is_empty() && call.params.text("MaxResults").is_some() {
        return Err(ApiError::combination(
            "The parameter InstanceTypes cannot be used with the parameter MaxResults",
        ));
    }
    let region = call.read()?.region;
    let offered: Vec<&str> = region.offerings().map(|(name, _)| name).collect();
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !offered.contains(name))
        .collect();
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        let message = format!("The following supplied instance types do not exist: [{list}]");
        return Err(ApiError::bad("InvalidInstanceType", message));
    }
    let wanted = |it: &&InstanceType| {
        offered.contains(&it.name.as_str())
            && (names.is_empty() || names.contains(&it.name.as_str()))
    };
    let types = catalogue::instance_types()
        .iter()
        .filter(wanted)
        .filter(|it| filters.matches(it, &Tags::new()));
    let cut = page.cut(types.collect(), |it| it.name.clone());
    Ok(Element::answer()
        .list("instanceTypeSet", cut.items.into_iter().map(shown))
        .next_token(cut.next))
}

fn shown(it: &InstanceType) -> Element {
    let vcpu = el("vCpuInfo")
        .text("defaultVCpus", it.vcpus)
        .text("defaultCores", it.cores)
        .text("defaultThreadsPerCore", it.threads_per_core);
    let processor = el("processorInfo")
        .values("supportedArchitectures", &it.architectures)
        .text("sustainedClockSpeedInGhz", it.clock_ghz)
        .text("manufacturer", &it.manufacturer);
    let ebs = el("ebsInfo")
        .text("ebsOptimizedSupport", &it.ebs_optimized)
        .text("encryptionSupport", "supported")
        .text("nvmeSupport", &it.nvme);
    let network = el("networkInfo")
        .text("networkPerformance", &it.network_performance)
        .text("maximumNetworkInterfaces", it.max_interfaces)
        .text("ipv4AddressesPerInterface", it.ipv4_per_interface)
        .text("enaSupport", &it.ena);
    let storage = it
        .instance_storage
        .then(|| el("instanceStorageInfo").text("totalSizeInGB", it.storage_gb));
    el("item")
        .text("instanceType", &it.name)
        .text("currentGeneration", it.current_generation)
        .text("freeTierEligible", it.free_tier)
        .values("supportedUsageClasses", ["on-demand"])
        .values("supportedRootDeviceTypes", ["ebs"])
        .values("supportedVirtualizationTypes", ["hvm"])
        .text("bareMetal", it.bare_metal)
        .text("hypervisor", &it.hypervisor)
        .child(processor)
        .child(vcpu)
        .child(el("memoryInfo").text("sizeInMiB", it.memory_mib))
        .text("instanceStorageSupported", it.instance_storage)
        .maybe(storage)
        .child(ebs)
        .child(network)
        .text("burstablePerformanceSupported", it.burstable)
}

struct Offering {
    instance_type: &'static str,
    location: &'static str,
}

const OFFERING_FILTERS: Fields<Offering> = &[
    ("instance-type", |it| vec![it.instance_type.to_owned()]),
    ("location", |it| vec![it.location.to_owned()]),
];

pub(crate) fn describe_offerings(call: &mut Call<'_>) -> Outcome {
    let words = &["region", "availability-zone", "availability-zone-id"];
    let kind = call.params.word("LocationType", words)?.unwrap_or("region");
    let filters = Filters::read(&call.params, OFFERING_FILTERS)?;
    let page = Page::read(&call.params, 5, 1000)?.of_at_most(call.config.most_per_page);
    let here = catalogue::region(&call.caller.region).ok_or_else(ApiError::auth_failure)?;
    let region = call.read()?.region;
    let mut offerings = Vec::new();
    for (instance_type, zones) in region.offerings() {
        let mut push = |location| {
            offerings.push(Offering {
                instance_type,
                location,
            });
        };
        match kind {
            "availability-zone" => zones.iter().for_each(|zone| push(&zone.name)),
            "availability-zone-id" => zones.iter().for_each(|zone| push(&zone.id)),
            _ => push(&here.name),
        }
    }
    offerings.retain(|it| filters.matches(it, &Tags::new()));
    let cut = page.cut(offerings, |it| {
        format!("{} {}", it.instance_type, it.location)
    });
    let items = cut.items.into_iter().map(|it| {
        el("item")
            .text("instanceType", it.instance_type)
            .text("locationType", kind)
            .text("location", it.location)
    });
    Ok(Element::answer()
        .list("instanceTypeOfferingSet", items)
        .next_token(cut.next))
}
