//! Simulated time: the real one, or one that only moves when it is told to, each plus what was added.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::state::Millis;

/// The clock of a simulator.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Where a manual clock starts.
    manual_from: Option<Millis>,
    added: AtomicU64,
}

impl Clock {
    pub(crate) fn new(manual: bool) -> Self {
        Self {
            manual_from: manual.then(real_time),
            added: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.manual_from
            .unwrap_or_else(real_time)
            .saturating_add(self.added.load(Ordering::Relaxed))
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.added.fetch_add(ms, Ordering::Relaxed);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the simulator's clock, which all its other code asks"
)]
fn real_time() -> Millis {
    u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default()
}

/// A time as AWS writes it.
pub(crate) fn iso(at: Millis) -> String {
    let time = i64::try_from(at)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time as EC2 writes it in the reasons of state changes.
pub(crate) fn spoken(at: Millis) -> String {
    let time = i64::try_from(at)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S GMT").to_string()
}
