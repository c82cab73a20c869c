//! Instances of this installation that no node and no open launch knows are terminated, at the second sight.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws::Instance;
use domain::{ids::LaunchId, node::InstanceState, tags};
use tokio::time::Instant;
use tracing::warn;

use crate::{Error, site::Site, termination};

/// The pauses between two attempts at an instance that EC2 does not let be terminated.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What earlier sweeps have seen of them.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    seen: HashSet<String>,
    /// Those that EC2 refuses to terminate: when the next attempt is due, and how long it was waited for.
    refused: HashMap<String, (Instant, Duration)>,
}

impl Strangers {
    /// Whether there is any.
    pub(crate) fn are_there(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Whether there is one that can be expected to go.
    pub(crate) fn are_going(&self) -> bool {
        self.seen.iter().any(|id| !self.refused.contains_key(id))
    }

    /// Terminates those among the instances that the sweep before this one has seen, too. The instances were listed
    /// before the rows are read here.
    pub(crate) async fn end(&mut self, site: &Site, instances: &[Instance]) -> Result<(), Error> {
        let strangers = find(site, instances).await?;
        self.refused.retain(|id, _| strangers.contains(id));
        let is_due = |id: &&String| {
            self.refused
                .get(*id)
                .is_none_or(|(due, _)| *due <= Instant::now())
        };
        let again: Vec<String> = strangers
            .intersection(&self.seen)
            .filter(is_due)
            .cloned()
            .collect();
        self.seen = strangers;
        if again.is_empty() {
            return Ok(());
        }
        warn!(instances = ?again, "terminating instances of this installation that no node knows");
        let asked = termination::ask(&*site.cloud, &again).await;
        if let Some(error) = &asked.error {
            warn!(instances = ?asked.refused, %error, "they can't be terminated; trying again");
        }
        for id in asked.refused {
            let pause = self
                .refused
                .get(&id)
                .map_or(FIRST_PAUSE, |(_, last)| (*last * 2).min(LONGEST_PAUSE));
            self.refused.insert(id, (Instant::now() + pause, pause));
        }
        Ok(())
    }
}

async fn find(site: &Site, instances: &[Instance]) -> Result<HashSet<String>, Error> {
    let ours: Vec<&Instance> = instances
        .iter()
        .filter(|instance| instance.state != InstanceState::Terminated)
        .collect();
    let ids: Vec<String> = ours.iter().map(|instance| instance.id.clone()).collect();
    let mut conn = site.pool.acquire().await?;
    let known: HashSet<String> = store::node::known_instances(&mut conn, &ids)
        .await?
        .into_iter()
        .collect();
    let open: HashSet<LaunchId> = store::launch::all_open(&mut conn)
        .await?
        .into_iter()
        .collect();
    drop(conn);
    let is_awaited = |instance: &Instance| {
        instance
            .tags
            .get(tags::LAUNCH)
            .and_then(|id| id.parse().ok())
            .is_some_and(|id| open.contains(&LaunchId(id)))
    };
    Ok(ours
        .into_iter()
        .filter(|instance| !known.contains(&instance.id) && !is_awaited(instance))
        .filter(|instance| instance.state != InstanceState::ShuttingDown)
        .map(|instance| instance.id.clone())
        .collect())
}
