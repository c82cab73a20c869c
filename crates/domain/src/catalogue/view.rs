//! The catalogue as one caller sees it: what is packaged, and over it what the account shows that the caller uses.
//!
//! What an account has shown is for those alone who use it: one's regions, zones and types are nobody else's business.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{NodeType, Region, ShownRegion};

/// Regions, zones and node types, which of them go together, and which can be used.
///
/// Zones are named by their number: there are up to a thousand types in each of a hundred zones.
#[derive(Debug, Default)]
pub struct View {
    places: Vec<Place>,
    zones: Vec<Zone>,
    offers: Vec<Offer>,
}

/// A region.
#[derive(Debug)]
pub struct Place {
    /// `us-east-1`
    pub name: String,
    /// `US East (N. Virginia)`
    pub label: String,
    /// Whether new node clusters can be deployed there: some zone of it is available.
    pub is_available: bool,
    zones: Vec<u16>,
}

/// An availability zone.
#[derive(Debug)]
pub struct Zone {
    /// `us-east-1a`
    pub name: String,
    /// Whether new nodes can be deployed there.
    pub is_available: bool,
    place: usize,
}

/// A node type.
#[derive(Debug)]
pub struct Offer {
    /// `t3.medium`
    pub name: String,
    /// `t3.medium [2 vCPU, 4 GB]`
    pub label: String,
    /// Whether some available zone offers it.
    pub is_available: bool,
    zones: BTreeSet<u16>,
    /// Those that are said to offer it by what is packaged.
    packaged: BTreeSet<u16>,
}

impl View {
    /// What is packaged and known by name, as the account has it that shows this; nothing is shown where no account has been
    /// read.
    ///
    /// Where the account's zones of a region are known, they decide what is available and what they offer, and a packaged
    /// zone that is not among them is not available. Where they are not, the packaged ones stand, unless the region is off.
    pub fn new(regions: Vec<Region>, node_types: Vec<NodeType>, shown: &[ShownRegion]) -> Self {
        let shown: HashMap<&str, &ShownRegion> =
            shown.iter().map(|it| (it.name.as_str(), it)).collect();
        let mut view = Self::default();
        for region in regions {
            view.add_region(region, &shown);
        }
        view.add_types(node_types, &shown);
        view
    }

    fn add_region(&mut self, region: Region, shown: &HashMap<&str, &ShownRegion>) {
        let place = self.places.len();
        let shown = shown.get(region.name.as_str());
        let read = shown.and_then(|it| it.zones.as_ref());
        let is_on = shown.is_none_or(|it| it.is_on);
        let mut zones: BTreeMap<String, bool> = region
            .zones
            .into_iter()
            .map(|name| (name, is_on && read.is_none()))
            .collect();
        for zone in read.into_iter().flatten() {
            zones.insert(zone.name.clone(), zone.is_available);
        }
        let mut numbers = Vec::new();
        for (name, is_available) in zones {
            numbers.push(number(self.zones.len()));
            self.zones.push(Zone {
                name,
                is_available,
                place,
            });
        }
        let is_available = |number: &u16| self.zones[usize::from(*number)].is_available;
        self.places.push(Place {
            name: region.name,
            label: region.label,
            is_available: numbers.iter().any(is_available),
            zones: numbers,
        });
    }

    fn add_types(&mut self, node_types: Vec<NodeType>, shown: &HashMap<&str, &ShownRegion>) {
        let numbers: HashMap<&str, u16> = self
            .zones
            .iter()
            .enumerate()
            .map(|(n, zone)| (zone.name.as_str(), number(n)))
            .collect();
        let mut offered: HashMap<&str, BTreeSet<u16>> = HashMap::new();
        let mut is_read = BTreeSet::new();
        for place in &self.places {
            let read = shown.get(place.name.as_str());
            let Some(zones) = read.and_then(|it| it.zones.as_ref()) else {
                continue;
            };
            is_read.extend(&place.zones);
            for zone in zones {
                let Some(zone_number) = numbers.get(zone.name.as_str()) else {
                    continue;
                };
                for name in &zone.node_types {
                    offered.entry(name).or_default().insert(*zone_number);
                }
            }
        }
        for node_type in node_types {
            let packaged: BTreeSet<u16> = node_type
                .zones
                .iter()
                .filter_map(|zone| numbers.get(zone.as_str()).copied())
                .collect();
            let mut zones: BTreeSet<u16> = packaged.difference(&is_read).copied().collect();
            zones.extend(offered.get(node_type.name.as_str()).into_iter().flatten());
            let is_available = |number: &u16| self.zones[usize::from(*number)].is_available;
            self.offers.push(Offer {
                name: node_type.name,
                label: node_type.label,
                is_available: zones.iter().any(is_available),
                zones,
                packaged,
            });
        }
    }

    /// The regions, by name.
    pub fn regions(&self) -> &[Place] {
        &self.places
    }

    /// The region of this name.
    pub fn region(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| place.name == name)
    }

    /// The zones of a region, by name.
    pub fn zones_of<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a Zone> {
        place.zones.iter().map(|number| self.at(*number))
    }

    /// The zone of this name.
    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// The region of a zone.
    pub fn region_of(&self, zone: &Zone) -> &Place {
        &self.places[zone.place]
    }

    /// The node types, by name.
    pub fn node_types(&self) -> &[Offer] {
        &self.offers
    }

    /// The node type of this name.
    pub fn node_type(&self, name: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.name == name)
    }

    /// The zones that offer a node type.
    pub fn zones_offering<'a>(&'a self, offer: &'a Offer) -> impl Iterator<Item = &'a Zone> {
        offer.zones.iter().map(|number| self.at(*number))
    }

    /// The regions of which some zone offers a node type, each once.
    pub fn regions_offering<'a>(&'a self, offer: &'a Offer) -> impl Iterator<Item = &'a Place> {
        let places: BTreeSet<usize> = self.zones_offering(offer).map(|it| it.place).collect();
        places.into_iter().map(|place| &self.places[place])
    }

    /// Whether some zone of a region offers a node type.
    pub fn is_offered(&self, offer: &Offer, place: &Place) -> bool {
        place.zones.iter().any(|zone| offer.zones.contains(zone))
    }

    /// The same, or it was packaged so: what the account shows may be a day old, and AWS has the last word.
    pub fn may_be_offered(&self, offer: &Offer, place: &Place) -> bool {
        let is_packaged = |zone| offer.packaged.contains(zone);
        self.is_offered(offer, place) || place.zones.iter().any(is_packaged)
    }

    fn at(&self, number: u16) -> &Zone {
        &self.zones[usize::from(number)]
    }
}

/// AWS has about a hundred and twenty zones.
fn number(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Architecture, ShownZone};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn region(name: &str, zones: &[&str]) -> Region {
        Region {
            name: name.to_owned(),
            label: name.to_uppercase(),
            zones: names(zones),
        }
    }

    fn node_type(name: &str, zones: &[&str]) -> NodeType {
        NodeType {
            name: name.to_owned(),
            label: name.to_uppercase(),
            vcpus: 1,
            memory_mb: 1024,
            architecture: Architecture::Amd64,
            zones: names(zones),
        }
    }

    fn shown(name: &str, is_on: bool, zones: Option<&[(&str, bool, &[&str])]>) -> ShownRegion {
        let zone = |(name, is_available, node_types): &(&str, bool, &[&str])| ShownZone {
            name: (*name).to_owned(),
            is_available: *is_available,
            node_types: names(node_types),
        };
        ShownRegion {
            name: name.to_owned(),
            is_on,
            zones: zones.map(|zones| zones.iter().map(zone).collect()),
        }
    }

    /// Two packaged regions and a third one that only accounts know, as is the type `new`.
    fn view(shown: &[ShownRegion]) -> View {
        View::new(
            vec![
                region("eu", &["eu-a", "eu-b"]),
                region("mars", &[]),
                region("us", &["us-a"]),
            ],
            vec![
                node_type("big", &["eu-a", "eu-b"]),
                node_type("new", &[]),
                node_type("small", &["eu-a", "us-a"]),
            ],
            shown,
        )
    }

    fn zones(view: &View, region: &str) -> Vec<(String, bool)> {
        let place = view.region(region).unwrap();
        let zones = view.zones_of(place);
        zones.map(|it| (it.name.clone(), it.is_available)).collect()
    }

    fn offering(view: &View, node_type: &str) -> Vec<String> {
        let offer = view.node_type(node_type).unwrap();
        let zones = view.zones_offering(offer);
        zones.map(|it| it.name.clone()).collect()
    }

    #[test]
    fn before_an_account_was_read_what_is_packaged_is_available_and_nothing_else() {
        let view = view(&[]);
        let available = |name| view.region(name).unwrap().is_available;
        assert!(available("eu") && available("us") && !available("mars"));
        assert_eq!(
            zones(&view, "eu"),
            [("eu-a".to_owned(), true), ("eu-b".to_owned(), true)]
        );
        assert!(view.node_type("big").unwrap().is_available);
        assert!(!view.node_type("new").unwrap().is_available);
    }

    #[test]
    fn an_accounts_own_zones_decide_where_they_were_read() {
        let view = view(&[
            shown(
                "eu",
                true,
                Some(&[("eu-b", false, &["big"]), ("eu-c", true, &["new", "small"])]),
            ),
            shown("mars", true, Some(&[("mars-a", true, &["new"])])),
            shown("us", true, None),
        ]);
        let expected = [("eu-a", false), ("eu-b", false), ("eu-c", true)];
        let expected = expected.map(|(name, is_available)| (name.to_owned(), is_available));
        assert_eq!(zones(&view, "eu"), expected);
        assert!(view.region("mars").unwrap().is_available);
        assert!(view.region("us").unwrap().is_available);
        assert_eq!(offering(&view, "big"), ["eu-b"]);
        assert!(!view.node_type("big").unwrap().is_available);
        assert_eq!(offering(&view, "new"), ["eu-c", "mars-a"]);
        assert_eq!(offering(&view, "small"), ["eu-c", "us-a"]);
        let new = view.node_type("new").unwrap();
        assert!(new.is_available);
        let regions = view.regions_offering(new);
        assert_eq!(
            regions.map(|it| &it.name).collect::<Vec<_>>(),
            ["eu", "mars"]
        );
        let zone = view.zone("mars-a").unwrap();
        assert_eq!(view.region_of(zone).name, "mars");
    }

    #[test]
    fn nothing_is_available_in_a_region_that_is_off_and_its_names_stay() {
        let view = view(&[shown("eu", false, None), shown("us", false, None)]);
        assert!(!view.region("eu").unwrap().is_available);
        assert!(
            zones(&view, "eu")
                .iter()
                .all(|(_, is_available)| !is_available)
        );
        assert_eq!(offering(&view, "big"), ["eu-a", "eu-b"]);
        assert!(!view.node_type("small").unwrap().is_available);
    }

    #[test]
    fn what_was_packaged_as_offered_may_be_so_whatever_was_read() {
        let view = view(&[shown("eu", true, Some(&[("eu-a", true, &["small"])]))]);
        let (eu, us) = (view.region("eu").unwrap(), view.region("us").unwrap());
        let big = view.node_type("big").unwrap();
        assert!(!view.is_offered(big, eu) && view.may_be_offered(big, eu));
        assert!(!view.may_be_offered(big, us));
    }
}
