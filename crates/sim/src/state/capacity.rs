//! How many instances a region takes: the room in its zones, and the vCPUs of the account.

use super::{Instance, Region};
use crate::protocol::filter::wildcard;

/// A zone and an instance type, each a name or a pattern with wildcards.
pub(crate) type Place = (String, String);

pub(super) fn covers((zone, kind): &Place, it: (&str, &str)) -> bool {
    wildcard(zone, it.0) && wildcard(kind, it.1)
}

impl Region {
    /// The instances that a place's limit is about, while they take a host.
    fn there(&self, place: &Place) -> usize {
        let there = self.instances.all().filter(|it| it.phase.takes_capacity());
        there
            .filter(|it| covers(place, (&it.zone, it.instance_type)))
            .count()
    }

    /// How many more instances of a type a zone takes; None is no limit.
    pub(crate) fn room(&self, zone: &str, instance_type: &str) -> Option<usize> {
        // What EC2 answers there its reference does not say: a lack of capacity is what it comes to.
        if !self.is_usable(zone) {
            return Some(0);
        }
        let limits = self.capacity.iter();
        let limits = limits.filter(|(place, _)| covers(place, (zone, instance_type)));
        limits
            .map(|(place, limit)| (*limit as usize).saturating_sub(self.there(place)))
            .min()
    }

    /// The first of the instances that wait for a host for which there is no room, if they all come at once.
    pub(crate) fn without_room<'r>(&'r self, waiting: &[&'r Instance]) -> Option<&'r Instance> {
        self.capacity.iter().find_map(|(place, limit)| {
            let these = waiting.iter().copied();
            let mut these = these.filter(|it| covers(place, (&it.zone, it.instance_type)));
            let room = (*limit as usize).saturating_sub(self.there(place));
            these.nth(room)
        })
    }

    /// The vCPUs of the instances that count against the quota.
    pub(crate) fn vcpus(&self) -> u32 {
        let running = self.instances.all().filter(|it| it.phase.takes_capacity());
        running.map(Instance::vcpus).sum()
    }
}
