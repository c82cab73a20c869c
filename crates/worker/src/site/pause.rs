//! How long a cluster is left alone after its reconciliation has failed, or waits.

use std::time::Duration;

use tokio::time::Instant;

use crate::Error;

/// The first pause after a failed attempt; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What failed where the database could not be asked or written.
const DATABASE: &str = "the database";

/// How long a cluster is left alone.
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) length: Duration,
    /// The call that failed; empty where none did.
    action: &'static str,
}

impl Pause {
    pub(super) fn of(length: Duration, action: &'static str) -> Self {
        Self {
            until: Instant::now() + length,
            length,
            action,
        }
    }

    /// After a failed attempt. One that failed at the same call as the one before has got nowhere, and waits twice as
    /// long; one that got further begins anew. The database is ours: as soon as it is back, the work goes on.
    pub(super) fn after(last: Option<&Self>, error: &Error) -> Self {
        let Error::Cloud(said) = error else {
            return Self::of(FIRST_PAUSE, DATABASE);
        };
        let action = said.said().action;
        let length = match last {
            Some(last) if last.action == action => (last.length * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        Self::of(length, action)
    }

    /// Whether it only waits, so that news of the cluster end it.
    pub(super) fn is_waiting(&self) -> bool {
        self.action.is_empty()
    }
}
