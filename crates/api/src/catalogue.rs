//! The catalogue as requests need it: read once a minute, with the relations between its parts worked out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::{
    catalogue::{NodeType, Region},
    cluster::Invalid,
};
use store::PgPool;
use tokio::{sync::RwLock, time::Instant};

use crate::{error::ApiError, uri};

/// How long a read catalogue is used. It changes when an operator changes it, which is seldom.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How many names an error suggests at most.
const MAX_SUGGESTIONS: usize = 6;

/// Regions, zones and node types, and which of them go together.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// By name.
    pub(crate) regions: Vec<Region>,
    /// By name.
    pub(crate) node_types: Vec<NodeType>,
    region_of_zone: BTreeMap<String, String>,
    types_in_region: BTreeMap<String, Vec<String>>,
}

impl Catalogue {
    fn new(read: store::catalogue::Catalogue) -> Self {
        let region_of_zone: BTreeMap<String, String> = read
            .regions
            .iter()
            .flat_map(|region| {
                let name = &region.name;
                region
                    .zones
                    .iter()
                    .map(move |zone| (zone.clone(), name.clone()))
            })
            .collect();
        let mut types_in_region: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for node_type in &read.node_types {
            for region in regions_of(&region_of_zone, node_type) {
                types_in_region
                    .entry(region.to_owned())
                    .or_default()
                    .push(node_type.name.clone());
            }
        }
        Self {
            regions: read.regions,
            node_types: read.node_types,
            region_of_zone,
            types_in_region,
        }
    }

    /// The region of this name.
    pub(crate) fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The node type of this name.
    pub(crate) fn node_type(&self, name: &str) -> Option<&NodeType> {
        self.node_types.iter().find(|ty| ty.name == name)
    }

    /// The region that a zone is in.
    pub(crate) fn region_of_zone(&self, zone: &str) -> Option<&str> {
        self.region_of_zone.get(zone).map(String::as_str)
    }

    /// The regions in some zone of which the node type is offered.
    pub(crate) fn regions_of(&self, node_type: &NodeType) -> BTreeSet<&str> {
        regions_of(&self.region_of_zone, node_type)
    }

    /// The names of the node types that are offered in some zone of the region.
    pub(crate) fn types_in(&self, region: &str) -> &[String] {
        self.types_in_region.get(region).map_or(&[], Vec::as_slice)
    }

    /// The names of the region and the node type that two URIs name, if nodes of the type can be in the region.
    pub(crate) fn choose(
        &self,
        region: &str,
        node_type: &str,
    ) -> Result<(String, String), Invalid> {
        let region_name =
            uri::parse_region(region).map_err(|reason| Invalid::new("region", reason))?;
        let type_name =
            uri::parse_node_type(node_type).map_err(|reason| Invalid::new("node_type", reason))?;
        let Some(region) = self.region(&region_name) else {
            let names = self.regions.iter().map(|region| region.name.as_str());
            let alike = suggest(names, prefix(&region_name, '-'));
            return Err(Invalid::new(
                "region",
                format!("there is no region {region_name:?}; {alike}see GET /api/infra/v1/region/"),
            ));
        };
        let offered = self.types_in(&region.name);
        let alike = suggest(offered.iter().map(String::as_str), prefix(&type_name, '.'));
        if self.node_type(&type_name).is_none() {
            return Err(Invalid::new(
                "node_type",
                format!(
                    "there is no node type {type_name:?}; {alike}see GET /api/infra/v1/nodetype/"
                ),
            ));
        }
        if !offered.contains(&type_name) {
            return Err(Invalid::new(
                "node_type",
                format!(
                    "{type_name:?} is offered in no zone of {region_name}; {alike}see GET \
                     /api/infra/v1/nodetype/?regions={}",
                    uri::region(&region_name)
                ),
            ));
        }
        Ok((region_name, type_name))
    }
}

fn regions_of<'a>(
    region_of_zone: &'a BTreeMap<String, String>,
    node_type: &NodeType,
) -> BTreeSet<&'a str> {
    node_type
        .zones
        .iter()
        .filter_map(|zone| region_of_zone.get(zone).map(String::as_str))
        .collect()
}

/// What a name has before `end`: `t3` of `t3.micro`, `us` of `us-east-1`.
fn prefix(name: &str, end: char) -> &str {
    name.split(end).next().unwrap_or(name)
}

/// The names of the same family, else the first ones, as part of a sentence.
fn suggest<'a>(names: impl Iterator<Item = &'a str>, family: &str) -> String {
    let names: Vec<&str> = names.collect();
    let mut alike: Vec<&str> = names
        .iter()
        .filter(|name| {
            name.strip_prefix(family)
                .is_some_and(|rest| rest.starts_with(['.', '-']))
        })
        .copied()
        .collect();
    if alike.is_empty() {
        alike = names;
    }
    alike.truncate(MAX_SUGGESTIONS);
    if alike.is_empty() {
        String::new()
    } else {
        format!("there are for example {}; ", alike.join(", "))
    }
}

/// The last reading of the catalogue.
#[derive(Debug, Default)]
pub(crate) struct Cache(RwLock<Option<(Instant, Arc<Catalogue>)>>);

impl Cache {
    /// The catalogue, at most [`KEPT_FOR`] old.
    pub(crate) async fn get(&self, pool: &PgPool) -> Result<Arc<Catalogue>, ApiError> {
        if let Some(kept) = fresh(&*self.0.read().await) {
            return Ok(kept);
        }
        // Held while reading, so that many requests at once make one reading.
        let mut slot = self.0.write().await;
        if let Some(kept) = fresh(&slot) {
            return Ok(kept);
        }
        let mut connection = pool.acquire().await?;
        let read = Arc::new(Catalogue::new(
            store::catalogue::load(&mut connection).await?,
        ));
        // An empty one is about to be filled.
        if !read.regions.is_empty() {
            *slot = Some((Instant::now(), Arc::clone(&read)));
        }
        Ok(read)
    }
}

fn fresh(slot: &Option<(Instant, Arc<Catalogue>)>) -> Option<Arc<Catalogue>> {
    slot.as_ref()
        .filter(|(read_at, _)| read_at.elapsed() < KEPT_FOR)
        .map(|(_, catalogue)| Arc::clone(catalogue))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::catalogue::Architecture;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Two regions; `t2.micro` is only in the first, and not in all of its zones.
    pub(crate) fn small() -> Catalogue {
        let region = |name: &str, zones| Region {
            name: name.to_owned(),
            label: name.to_uppercase(),
            zones: names(zones),
        };
        let node_type = |name: &str, zones| NodeType {
            name: name.to_owned(),
            label: name.to_uppercase(),
            vcpus: 1,
            memory_mb: 1024,
            architecture: Architecture::Amd64,
            zones: names(zones),
        };
        Catalogue::new(store::catalogue::Catalogue {
            regions: vec![
                region("sa-east-1", &["sa-east-1a", "sa-east-1b"]),
                region("us-east-1", &["us-east-1a"]),
            ],
            node_types: vec![
                node_type("t2.micro", &["sa-east-1a"]),
                node_type("t3.micro", &["sa-east-1a", "sa-east-1b", "us-east-1a"]),
                node_type("t3.small", &["us-east-1a"]),
            ],
        })
    }

    #[test]
    fn a_region_and_a_node_type_that_go_together_are_chosen() {
        let chosen = small().choose("/api/infra/v1/region/aws/sa-east-1/", "aws/t2.micro");
        assert_eq!(chosen, Ok(("sa-east-1".to_owned(), "t2.micro".to_owned())));
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_would() {
        let refusal =
            |region, node_type| small().choose(region, node_type).unwrap_err().to_string();
        let cases = [
            (
                "sa-east-9",
                "t3.micro",
                "region: there is no region \"sa-east-9\"; there are for example sa-east-1;",
            ),
            (
                "sa-east-1",
                "t3.huge",
                "node_type: there is no node type \"t3.huge\"; there are for example t3.micro;",
            ),
            (
                "us-east-1",
                "t2.micro",
                "node_type: \"t2.micro\" is offered in no zone of us-east-1;",
            ),
            (
                "a/b",
                "t2.micro",
                "region: \"a/b\" is no URI of this kind: a region is /api/infra/v1/region/aws/us-east-1/",
            ),
            ("sa-east-1", "", "node_type: \"\" is no URI of this kind"),
        ];
        for (region, node_type, expected) in cases {
            let message = refusal(region, node_type);
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
