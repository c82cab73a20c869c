//! What a region has to offer to one account: the state of its zones, and the instance types in them.

use super::Region;
use super::capacity::covers;
use crate::catalogue::{self, Zone};

const AVAILABLE: &str = "available";

impl Region {
    /// The state of a zone, as DescribeAvailabilityZones has it.
    pub(crate) fn zone_state(&self, zone: &str) -> &str {
        self.zone_states.get(zone).map_or(AVAILABLE, String::as_str)
    }

    /// Whether something can be made in a zone.
    pub(crate) fn is_usable(&self, zone: &str) -> bool {
        self.zone_state(zone) == AVAILABLE
    }

    /// The instance types that are offered, with the zones that offer each.
    pub(crate) fn offerings(&self) -> impl Iterator<Item = (&'static str, Vec<&'static Zone>)> {
        let here = catalogue::region(&self.name).into_iter();
        here.flat_map(catalogue::offerings)
            .filter_map(|(name, mut zones)| {
                zones.retain(|zone| {
                    let place = (zone.name.as_str(), name);
                    !self.withdrawn.iter().any(|it| covers(it, place))
                });
                (!zones.is_empty()).then_some((name, zones))
            })
    }

    /// The zones that offer an instance type.
    pub(crate) fn zones_offering(&self, instance_type: &str) -> Vec<&'static Zone> {
        let mut offerings = self.offerings();
        let found = offerings.find(|(name, _)| *name == instance_type);
        found.map(|(_, zones)| zones).unwrap_or_default()
    }
}
