//! The catalogue as requests need it: what is packaged, and over it what the account has that the namespace uses.
//!
//! The account is that of the namespace that the request is about, as with everything else: the one in the path, or the
//! caller's own. What is read is kept for each link by itself, so that nobody sees what only somebody else's account has.

use std::{collections::HashMap, sync::Arc, time::Duration};

use domain::{catalogue::View, cluster::Invalid, ids::LinkId};
use store::shown;
use tokio::{sync::Mutex, time::Instant};

use crate::{App, auth::Caller, error::ApiError, uri};

/// How long a read catalogue is used while nobody has written down that the link's account has something else: an operator
/// may change what is packaged.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Of how many links it is kept; each takes half a megabyte.
const KEPT: usize = 50;
/// How many names an error suggests at most.
const MAX_SUGGESTIONS: usize = 6;

/// The names of the region and the node type that two URIs name, if nodes of the type may be had in the region. Whether the
/// account has them there at this moment is AWS's to say, at the deploy: what was read may be a day old.
pub(crate) fn choose(
    view: &View,
    region: &str,
    node_type: &str,
) -> Result<(String, String), Invalid> {
    let region_name = uri::parse_region(region).map_err(|reason| Invalid::new("region", reason))?;
    let type_name =
        uri::parse_node_type(node_type).map_err(|reason| Invalid::new("node_type", reason))?;
    let Some(region) = view.region(&region_name) else {
        let names = view.regions().iter().map(|region| region.name.as_str());
        let alike = suggest(names, prefix(&region_name, '-'));
        return Err(Invalid::new(
            "region",
            format!("there is no region {region_name:?}; {alike}see GET /api/infra/v1/region/"),
        ));
    };
    let offered = view.node_types().iter();
    let offered = offered.filter(|offer| view.is_offered(offer, region));
    let offered = offered.map(|offer| offer.name.as_str());
    let alike = suggest(offered, prefix(&type_name, '.'));
    let Some(offer) = view.node_type(&type_name) else {
        return Err(Invalid::new(
            "node_type",
            format!("there is no node type {type_name:?}; {alike}see GET /api/infra/v1/nodetype/"),
        ));
    };
    if !view.may_be_offered(offer, region) {
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

/// What was read for a link.
#[derive(Debug)]
struct Kept {
    read_at: Instant,
    /// Of what the link's account has.
    version: i64,
    view: Arc<View>,
}

/// The place of what was read for a link. It is locked while that is read, so that many requests at once make one reading.
type Slot = Arc<Mutex<Option<Kept>>>;

/// The last readings of the catalogue: for each link, with the time at which it was last used, and for those who use none.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<HashMap<Option<LinkId>, (Instant, Slot)>>);

impl Cache {
    async fn slot(&self, link: Option<LinkId>) -> Slot {
        let mut slots = self.0.lock().await;
        let unused = slots.iter().min_by_key(|(_, (used_at, _))| *used_at);
        let unused = unused.map(|(link, _)| *link);
        if slots.len() >= KEPT
            && !slots.contains_key(&link)
            && let Some(unused) = unused
        {
            slots.remove(&unused);
        }
        let (used_at, slot) = slots
            .entry(link)
            .or_insert_with(|| (Instant::now(), Slot::default()));
        *used_at = Instant::now();
        Arc::clone(slot)
    }
}

fn fresh(slot: &Option<Kept>, version: i64) -> Option<Arc<View>> {
    slot.as_ref()
        // It only grows, and what was read is never older than it says.
        .filter(|kept| kept.version >= version && kept.read_at.elapsed() < KEPT_FOR)
        .map(|kept| Arc::clone(&kept.view))
}

impl App {
    /// The catalogue as the namespace sees it that the caller's request is about.
    pub(crate) async fn catalogue(&self, caller: &Caller) -> Result<Arc<View>, ApiError> {
        let mut conn = self.pool.acquire().await?;
        let source = shown::source(&mut conn, caller.namespace()).await?;
        // Those who wait for somebody's reading keep no connection from others.
        drop(conn);
        let may_use = !source.is_ambient || self.ambient.lets(&source.namespace);
        let (link, version) = match may_use {
            true => (Some(source.link), source.version),
            false => (None, 0),
        };
        let slot = self.catalogue.slot(link).await;
        let mut slot = slot.lock().await;
        if let Some(view) = fresh(&slot, version) {
            return Ok(view);
        }
        let mut conn = self.pool.acquire().await?;
        let read = store::catalogue::load(&mut conn, link).await?;
        let shown = match link {
            Some(link) => shown::regions(&mut conn, link).await?,
            None => Vec::new(),
        };
        drop(conn);
        let view = Arc::new(View::new(read.regions, read.node_types, &shown));
        // An empty one is about to be filled.
        if !view.regions().is_empty() {
            *slot = Some(Kept {
                read_at: Instant::now(),
                version,
                view: Arc::clone(&view),
            });
        }
        Ok(view)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::catalogue::{Architecture, NodeType, Region, ShownRegion, ShownZone};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Two regions; `t2.micro` is only in the first, and not in all of its zones.
    pub(crate) fn small() -> View {
        small_as(&[])
    }

    fn small_as(shown: &[ShownRegion]) -> View {
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
        View::new(
            vec![
                region("sa-east-1", &["sa-east-1a", "sa-east-1b"]),
                region("us-east-1", &["us-east-1a"]),
            ],
            vec![
                node_type("t2.micro", &["sa-east-1a"]),
                node_type("t3.micro", &["sa-east-1a", "sa-east-1b", "us-east-1a"]),
                node_type("t3.small", &["us-east-1a"]),
            ],
            shown,
        )
    }

    #[test]
    fn a_region_and_a_node_type_that_go_together_are_chosen() {
        let chosen = choose(
            &small(),
            "/api/infra/v1/region/aws/sa-east-1/",
            "aws/t2.micro",
        );
        assert_eq!(chosen, Ok(("sa-east-1".to_owned(), "t2.micro".to_owned())));
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_would() {
        let refusal =
            |region, node_type| choose(&small(), region, node_type).unwrap_err().to_string();
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

    #[test]
    fn what_an_account_shows_is_chosen_and_what_it_lacks_is_left_to_aws() {
        let shown = |name: &str, is_on, zones| ShownRegion {
            name: name.to_owned(),
            is_on,
            zones,
        };
        let zone = ShownZone {
            name: "us-east-1f".to_owned(),
            is_available: true,
            node_types: names(&["t2.micro"]),
        };
        let view = small_as(&[
            shown("sa-east-1", false, None),
            shown("us-east-1", true, Some(vec![zone])),
        ]);
        for (region, node_type) in [
            ("us-east-1", "t2.micro"),
            ("us-east-1", "t3.micro"),
            ("sa-east-1", "t3.micro"),
        ] {
            assert!(
                choose(&view, region, node_type).is_ok(),
                "{region} {node_type}"
            );
        }
        assert!(choose(&view, "sa-east-1", "t3.small").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_of_one_version_and_not_for_ever() {
        let kept = Some(Kept {
            read_at: Instant::now(),
            version: 1,
            view: Arc::new(small()),
        });
        assert!(fresh(&kept, 1).is_some());
        assert!(fresh(&kept, 0).is_some());
        assert!(fresh(&kept, 2).is_none());
        tokio::time::advance(KEPT_FOR).await;
        assert!(fresh(&kept, 1).is_none());
        assert!(fresh(&None, 0).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn each_link_has_its_own_and_of_too_many_the_longest_unused_goes() {
        let cache = Cache::default();
        let link = |n: usize| Some(LinkId(uuid::Uuid::from_u128(n as u128)));
        let first = cache.slot(link(0)).await;
        assert!(Arc::ptr_eq(&first, &cache.slot(link(0)).await));
        assert!(!Arc::ptr_eq(&first, &cache.slot(None).await));
        for n in 1..KEPT {
            tokio::time::advance(Duration::from_millis(1)).await;
            cache.slot(link(n)).await;
            cache.slot(None).await;
        }
        assert_eq!(cache.0.lock().await.len(), KEPT);
        assert!(!Arc::ptr_eq(&first, &cache.slot(link(0)).await));
    }
}
