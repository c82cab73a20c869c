//! What AWS offers, the same for every account: regions, zones, instance types, where they are offered, and images.
//!
//! The data comes from `data/`, see `data/generate.py` and `data/NOTICE`.

mod images;
mod instance_types;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

pub(crate) use images::{CANONICAL, Image, image, images};
pub(crate) use instance_types::{InstanceType, instance_type, instance_types};

/// A region with its zones in name order.
#[derive(Debug, Deserialize)]
pub(crate) struct RegionInfo {
    pub name: String,
    pub opt_in: String,
    pub zones: Vec<Zone>,
}

/// An availability zone: its name in this account and its id, the same in all accounts.
#[derive(Debug, Deserialize)]
pub(crate) struct Zone {
    pub name: String,
    pub id: String,
}

static REGIONS: LazyLock<Vec<RegionInfo>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/regions.json"))
        .expect("the packaged regions are read by a test")
});

/// Region -> instance type -> the letters of the zones that offer it.
static OFFERINGS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../data/offerings.json"))
        .expect("the packaged offerings are read by a test")
});

pub(crate) fn regions() -> &'static [RegionInfo] {
    &REGIONS
}

pub(crate) fn region(name: &str) -> Option<&'static RegionInfo> {
    REGIONS.iter().find(|region| region.name == name)
}

/// The instance types that a region offers, each with its zones in name order.
pub(crate) fn offerings(
    region: &'static RegionInfo,
) -> impl Iterator<Item = (&'static str, Vec<&'static Zone>)> {
    let offered = OFFERINGS.get(&region.name).into_iter().flatten();
    offered.map(move |(name, letters)| {
        let offers = |zone: &&Zone| {
            zone.name
                .strip_prefix(&region.name)
                .is_some_and(|letter| letters.contains(letter))
        };
        (name.as_str(), region.zones.iter().filter(offers).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t2_micro_is_not_offered_in_sa_east_1b() {
        let mut offerings = offerings(region("sa-east-1").unwrap());
        let (_, zones) = offerings.find(|(name, _)| *name == "t2.micro").unwrap();
        assert_eq!(
            zones.iter().map(|z| z.name.as_str()).collect::<Vec<_>>(),
            ["sa-east-1a", "sa-east-1c"]
        );
        assert_eq!(region("sa-east-1").unwrap().zones.len(), 3);
    }

    #[test]
    fn every_offered_type_is_described_and_every_region_offers_some() {
        for region in regions() {
            assert!(!region.zones.is_empty(), "{}", region.name);
            assert!(offerings(region).count() > 5, "{}", region.name);
            for (name, zones) in offerings(region) {
                assert!(instance_type(name).is_some(), "{name}");
                assert!(!zones.is_empty(), "{name} in {}", region.name);
            }
        }
    }

    #[test]
    fn the_trusty_image_is_in_sa_east_1_only_and_ids_differ_by_region() {
        assert!(image("sa-east-1", "ami-4d883350").is_some());
        assert!(image("us-east-1", "ami-4d883350").is_none());
        let first = &images("us-east-1")[0];
        assert!(image("us-east-2", &first.id).is_none());
        assert_eq!(first.id.len(), "ami-".len() + 17);
    }
}
