//! What a listing does not show is not gone yet.
//!
//! EC2's listings are eventually consistent (EC2 API guide, "Eventual consistency"): one may miss what exists, also what
//! the one before has shown. An object counts as gone once listings have missed it for a while.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::locked;

/// The objects that were missed when they were last looked for, and since when.
#[derive(Debug)]
pub(crate) struct Sightings {
    missing: Mutex<HashMap<String, Instant>>,
    gone_after: Duration,
}

impl Sightings {
    /// What has been missed for `gone_after` is gone.
    pub(crate) fn new(gone_after: Duration) -> Self {
        Self {
            missing: Mutex::default(),
            gone_after,
        }
    }

    /// A listing shows the object.
    pub(crate) fn seen(&self, id: &str) {
        locked(&self.missing).remove(id);
    }

    /// A listing misses the object: answers whether it counts as gone.
    pub(crate) fn missed(&self, id: &str) -> bool {
        let mut missing = locked(&self.missing);
        let since = *missing.entry(id.to_owned()).or_insert_with(Instant::now);
        since.elapsed() >= self.gone_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn i6_what_is_missed_once_is_not_gone() {
        let sightings = Sightings::new(Duration::from_secs(15));
        assert!(!sightings.missed("vpc-1"));
        tokio::time::advance(Duration::from_secs(14)).await;
        assert!(!sightings.missed("vpc-1"));
        sightings.seen("vpc-1");
        tokio::time::advance(Duration::from_secs(14)).await;
        assert!(!sightings.missed("vpc-1"));
        tokio::time::advance(Duration::from_secs(15)).await;
        assert!(sightings.missed("vpc-1"));
    }
}
