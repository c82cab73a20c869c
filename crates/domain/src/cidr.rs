//! How a VPC's address block is cut into one subnet per availability zone.
//!
//! The seed: "For every availability zone (AZ), Docker Cloud splits the VPC CIDR IP space in (# of AZs + 1) blocks and
//! tries to create (# of AZs) subnets. Remember, we left space for custom subnets."

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

/// The smallest subnet that EC2 makes (Amazon VPC user guide, "Subnet sizing": between /28 and /16).
const SMALLEST_PREFIX: u8 = 28;
/// The largest subnet that EC2 makes.
const LARGEST_PREFIX: u8 = 16;

/// The VPC's block can't be cut into one usable subnet per zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The blocks would be smaller than EC2's smallest subnet.
    #[error(
        "{vpc} is too small to be split into {blocks} subnets: EC2 makes none smaller than a /28"
    )]
    TooSmall {
        /// The VPC's block.
        vpc: Ipv4Net,
        /// Into how many it was to be split.
        blocks: usize,
    },
}

/// Splits `vpc` into (`zones` + 1) blocks, rounded up to a power of two since CIDR blocks halve.
///
/// # Errors
/// [`CidrError::TooSmall`] where a block would be smaller than a /28.
pub fn split(vpc: Ipv4Net, zones: usize) -> Result<Vec<Ipv4Net>, CidrError> {
    let blocks = (zones + 1).next_power_of_two();
    let too_small = CidrError::TooSmall { vpc, blocks };
    let Ok(bits) = u8::try_from(blocks.trailing_zeros()) else {
        return Err(too_small);
    };
    let prefix = (vpc.prefix_len() + bits).max(LARGEST_PREFIX);
    if prefix > SMALLEST_PREFIX {
        return Err(too_small);
    }
    Ok(vpc
        .subnets(prefix)
        .map(|subnets| subnets.take(blocks).collect())
        .unwrap_or_default())
}

/// The block for each zone in `missing`.
///
/// Each of `zones` (all zones of the region, in any order) has its home block by its place in the order of names, so
/// that the cut does not depend on which zones could be used first. A zone whose home overlaps a block in `existing`
/// takes the first free block that is no other missing zone's home. A zone for which nothing is left gets none.
///
/// # Errors
/// [`CidrError::TooSmall`] as [`split`].
pub fn blocks_for(
    vpc: Ipv4Net,
    zones: &[String],
    missing: &[String],
    existing: &[Ipv4Net],
) -> Result<BTreeMap<String, Ipv4Net>, CidrError> {
    let blocks = split(vpc, zones.len())?;
    let mut names: Vec<&String> = zones.iter().collect();
    names.sort();
    let is_free = |block: &Ipv4Net, taken: &BTreeMap<String, Ipv4Net>| {
        let overlaps = |other: &Ipv4Net| block.contains(other) || other.contains(block);
        !existing.iter().any(overlaps) && !taken.values().any(overlaps)
    };
    let mut taken = BTreeMap::new();
    let homes = names
        .into_iter()
        .zip(&blocks)
        .filter(|(zone, _)| missing.contains(zone));
    for (zone, home) in homes {
        if is_free(home, &taken) {
            taken.insert(zone.clone(), *home);
        }
    }
    let mut homeless: Vec<&String> = missing
        .iter()
        .filter(|zone| !taken.contains_key(*zone))
        .collect();
    homeless.sort();
    for zone in homeless {
        if let Some(block) = blocks.iter().find(|block| is_free(block, &taken)) {
            taken.insert(zone.clone(), *block);
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn names(zones: &[&str]) -> Vec<String> {
        zones.iter().map(|z| (*z).to_owned()).collect()
    }

    #[test]
    fn seed_the_vpc_is_split_into_zones_plus_one_blocks_and_the_rest_stays_free() {
        let zones = names(&["sa-east-1c", "sa-east-1a", "sa-east-1b"]);
        let blocks = blocks_for(net("10.78.0.0/16"), &zones, &zones, &[]).unwrap();
        let expected = [
            ("sa-east-1a", "10.78.0.0/18"),
            ("sa-east-1b", "10.78.64.0/18"),
            ("sa-east-1c", "10.78.128.0/18"),
        ];
        assert_eq!(
            blocks,
            expected
                .into_iter()
                .map(|(z, c)| (z.to_owned(), net(c)))
                .collect()
        );
        assert_eq!(
            split(net("10.78.0.0/16"), 3).unwrap().last(),
            Some(&net("10.78.192.0/18"))
        );
    }

    #[test]
    fn six_zones_make_eight_blocks() {
        assert_eq!(split(net("10.78.0.0/16"), 6).unwrap().len(), 8);
    }

    #[test]
    fn a_zone_keeps_its_home_block_when_another_drops_out() {
        let zones = names(&["a", "b", "c"]);
        let blocks = blocks_for(net("10.78.0.0/16"), &zones, &names(&["a", "c"]), &[]).unwrap();
        assert_eq!(blocks["c"], net("10.78.128.0/18"));
    }

    #[test]
    fn blocks_that_overlap_existing_subnets_are_skipped() {
        let zones = names(&["a", "b"]);
        let existing = [net("10.0.0.0/24"), net("10.0.130.0/24")];
        let blocks = blocks_for(net("10.0.0.0/16"), &zones, &zones, &existing).unwrap();
        assert_eq!(blocks["b"], net("10.0.64.0/18"));
        assert_eq!(blocks["a"], net("10.0.192.0/18"));
    }

    #[test]
    fn a_zone_for_which_nothing_is_left_gets_none() {
        let zones = names(&["a", "b"]);
        let blocks = blocks_for(net("10.0.0.0/16"), &zones, &zones, &[net("10.0.0.0/16")]).unwrap();
        assert!(blocks.is_empty());
    }

    #[test]
    fn a_vpc_too_small_is_refused_with_its_block() {
        let refusal = split(net("10.0.0.0/27"), 3).unwrap_err();
        assert!(refusal.to_string().contains("10.0.0.0/27"), "{refusal}");
    }

    proptest! {
        #[test]
        fn blocks_lie_in_the_vpc_and_never_overlap(
            prefix in 16u8..=24,
            zones in 1usize..=6,
            taken in proptest::collection::vec((0u8..=255, 24u8..=28), 0..5),
        ) {
            let vpc = Ipv4Net::new("10.9.0.0".parse().unwrap(), prefix).unwrap();
            let zones: Vec<String> = (0..zones).map(|n| format!("zone-{n}")).collect();
            let existing: Vec<Ipv4Net> = taken
                .into_iter()
                .map(|(third, prefix)| Ipv4Net::new([10, 9, third, 0].into(), prefix).unwrap().trunc())
                .collect();
            let Ok(blocks) = blocks_for(vpc, &zones, &zones, &existing) else { return Ok(()) };
            let chosen: Vec<&Ipv4Net> = blocks.values().collect();
            for (i, block) in chosen.iter().enumerate() {
                prop_assert!(vpc.contains(*block));
                for other in existing.iter().chain(chosen[i + 1..].iter().copied()) {
                    prop_assert!(!block.contains(other) && !other.contains(*block));
                }
            }
        }
    }
}
