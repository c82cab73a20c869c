//! Reads what an account has of AWS: its regions, their zones, and what these offer.
//!
//! A region that hangs or refuses keeps nobody from being read but itself. What a type is is the same everywhere, so one
//! region that has nearly all of them tells it of all; the others are asked only for those that nobody knows yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use domain::catalogue::{Figures, ShownRegion, ShownZone, Survey, Surveyed};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    Account, Cloud, Clouds, Link, Result,
    validate::{NEVER_OFF, words},
};

/// How long AWS may take to tell the regions, and the offers of one. Home and the others come one after the other; a claim of
/// `store::shown` is longer than all of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to tell what the types are: a dozen calls for all of them.
const PATIENCE_WITH_TYPES: Duration = Duration::from_secs(60);

/// What came of reading one region.
#[derive(Debug, Default)]
struct Reading {
    zones: Option<Vec<ShownZone>>,
    figures: Vec<Figures>,
    /// The types that were asked for, those that can't be nodes among them.
    asked: BTreeSet<String>,
    refusals: Vec<String>,
}

/// Reads what the link's account has. Of the regions that are known it says what has become of them; `is_on` of those counts
/// where the account may not say which regions it has. `types` are the node types that are known.
pub async fn survey(
    clouds: &dyn Clouds,
    link: &Link,
    known: BTreeMap<String, bool>,
    types: BTreeSet<String>,
) -> Survey {
    let home = clouds.cloud(link, NEVER_OFF).await;
    let (mut regions, refusal) = match in_time(PATIENCE, Account::regions(&*home)).await {
        Ok(listed) => {
            // One that AWS does not list is none for this account.
            let known = known.into_keys().map(|name| (name, false));
            let listed = listed.into_iter().map(|it| (it.name, it.is_on));
            (known.chain(listed).collect(), None)
        }
        // Each further call would be refused alike, and for a role costs the server's own account one of STS as well.
        Err(refusal) if refusal.knows_nobody => return of_nobody(refusal),
        Err(refusal) => (known, Some(refusal.why)),
    };
    regions.insert(NEVER_OFF.to_owned(), true);

    let mut at_home = read(home, None).await;
    at_home.refusals.splice(0..0, refusal);
    let settled = Arc::new(&types | &at_home.asked);
    let mut readings = BTreeMap::from([(NEVER_OFF.to_owned(), at_home)]);
    let elsewhere = regions
        .iter()
        .filter(|(name, is_on)| **is_on && *name != NEVER_OFF);
    let elsewhere: Vec<String> = elsewhere.map(|(name, _)| name.clone()).collect();
    let others = clouds.clouds(link, &elsewhere).await;
    let mut reading: JoinSet<_> = elsewhere
        .into_iter()
        .zip(others)
        .map(|(name, cloud)| {
            let settled = Arc::clone(&settled);
            async move { (name, read(cloud, Some(&settled)).await) }
        })
        .collect();
    while let Some(answer) = reading.join_next().await {
        readings.extend(answer);
    }
    put_together(regions, readings, types)
}

/// What one region has. It is asked for the types that are not settled, and for all where nothing is.
async fn read(cloud: Arc<dyn Cloud>, settled: Option<&BTreeSet<String>>) -> Reading {
    let zones = match in_time(PATIENCE, cloud.offers()).await {
        Ok(zones) => zones,
        Err(refusal) => {
            return Reading {
                refusals: vec![refusal.why],
                ..Reading::default()
            };
        }
    };
    let offered = zones.iter().flat_map(|zone| &zone.node_types);
    let asked: BTreeSet<String> = offered
        .filter(|name| settled.is_none_or(|settled| !settled.contains(*name)))
        .cloned()
        .collect();
    let names: Vec<String> = asked.iter().cloned().collect();
    let mut reading = Reading {
        zones: Some(zones),
        ..Reading::default()
    };
    match in_time(PATIENCE_WITH_TYPES, cloud.node_types(&names)).await {
        Ok(figures) => {
            reading.figures = figures;
            reading.asked = asked;
        }
        Err(refusal) => reading.refusals.push(refusal.why),
    }
    reading
}

/// Of the types that zones offer those count that can be nodes: the ones that are known, and the new ones.
fn put_together(
    regions: BTreeMap<String, bool>,
    mut readings: BTreeMap<String, Reading>,
    mut types: BTreeSet<String>,
) -> Survey {
    let mut node_types: Vec<Figures> = Vec::new();
    for reading in readings.values_mut() {
        node_types.append(&mut reading.figures);
    }
    node_types.sort_by(|a, b| a.name.cmp(&b.name));
    node_types.dedup_by(|a, b| a.name == b.name);
    types.extend(node_types.iter().map(|it| it.name.clone()));
    let regions = regions.into_iter().map(|(name, is_on)| {
        let mut reading = readings.remove(&name).unwrap_or_default();
        if is_on && reading.zones.is_none() && reading.refusals.is_empty() {
            reading.refusals.push("it was not read".to_owned());
        }
        let mut zones = reading.zones;
        for zone in zones.iter_mut().flatten() {
            zone.node_types.retain(|name| types.contains(name));
        }
        let words = reading.refusals.join("; ");
        Surveyed {
            region: ShownRegion { name, is_on, zones },
            refusal: Some(words).filter(|words| !words.is_empty()),
        }
    });
    Survey {
        regions: regions.collect(),
        node_types,
        knows_nobody: false,
    }
}

/// Why something could not be read.
#[derive(Debug)]
struct Refusal {
    /// In AWS's words.
    why: String,
    /// Whether AWS does not take the credentials.
    knows_nobody: bool,
}

/// With credentials that AWS does not take there is nothing to be read.
fn of_nobody(refusal: Refusal) -> Survey {
    let region = ShownRegion {
        name: NEVER_OFF.to_owned(),
        is_on: true,
        zones: None,
    };
    Survey {
        regions: vec![Surveyed {
            region,
            refusal: Some(refusal.why),
        }],
        node_types: Vec::new(),
        knows_nobody: true,
    }
}

/// What AWS answers, or why it does not.
async fn in_time<T>(
    patience: Duration,
    call: impl Future<Output = Result<T>>,
) -> std::result::Result<T, Refusal> {
    match timeout(patience, call).await {
        Ok(answer) => answer.map_err(|error| Refusal {
            why: words(&error),
            knows_nobody: error.is_about_credentials(),
        }),
        Err(_) => Err(Refusal {
            why: "no answer in time".to_owned(),
            knows_nobody: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use domain::catalogue::Architecture;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn zone(name: &str, types: &[&str]) -> ShownZone {
        ShownZone {
            name: name.to_owned(),
            is_available: true,
            node_types: names(types),
        }
    }

    fn figures(name: &str) -> Figures {
        Figures {
            name: name.to_owned(),
            vcpus: 1,
            memory_mb: 1024,
            architecture: Architecture::Amd64,
        }
    }

    #[test]
    fn zones_keep_what_can_be_a_node_and_regions_what_was_refused() {
        let regions = [("a", true), ("b", true), ("c", false), ("d", true)];
        let regions = regions.map(|(name, is_on)| (name.to_owned(), is_on));
        let read = Reading {
            zones: Some(vec![zone("a-1", &["known", "metal", "new"])]),
            figures: vec![figures("new")],
            ..Reading::default()
        };
        let refused = Reading {
            refusals: names(&["one", "two"]),
            ..Reading::default()
        };
        let readings = [("a".to_owned(), read), ("b".to_owned(), refused)];
        let types = BTreeSet::from(["known".to_owned()]);
        let survey = put_together(regions.into(), readings.into(), types);
        let [a, b, c, d] = survey.regions.as_slice() else {
            panic!("{survey:?}");
        };
        assert_eq!(a.region.zones, Some(vec![zone("a-1", &["known", "new"])]));
        assert_eq!(a.refusal, None);
        assert_eq!(b.region.zones, None);
        assert_eq!(b.refusal.as_deref(), Some("one; two"));
        assert_eq!((c.region.is_on, &c.region.zones), (false, &None));
        assert_eq!(d.refusal.as_deref(), Some("it was not read"));
        assert_eq!(survey.node_types, [figures("new")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_given_up() {
        let hanging = std::future::pending::<Result<()>>();
        let refusal = in_time(PATIENCE, hanging).await.unwrap_err();
        assert_eq!(refusal.why, "no answer in time");
    }
}
