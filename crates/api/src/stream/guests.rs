//! Who may stay: a stream is opened with a key, and ends when that is worth nothing any more.
//!
//! A request is checked when it comes; a stream that was opened days ago would outlive its key. So one query every few
//! seconds asks for all streams of the replica together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::{
    PgPool,
    access::{self, Pass},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often it is looked whether the keys are still good. A stream ends within this time, and what the query takes.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The passes with which streams are open.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    // Kept for as long as a stream has the same one.
    passes: Mutex<HashMap<Pass, Arc<CancellationToken>>>,
}

impl Guests {
    /// What is canceled when the pass is worth nothing any more.
    pub(crate) fn admit(&self, pass: Pass) -> Arc<CancellationToken> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(passes.entry(pass).or_default())
    }

    /// Turns out whose pass is worth nothing any more, until it is dropped.
    pub(crate) async fn watch(&self, pool: &PgPool) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let passes = self.in_use();
            if passes.is_empty() {
                continue;
            }
            let worthless = match pool.acquire().await {
                Ok(mut connection) => access::worthless(&mut connection, &passes).await,
                Err(error) => Err(error.into()),
            };
            match worthless {
                Ok(worthless) => self.turn_out(&worthless),
                Err(error) => {
                    warn!(%error, "the keys of open streams can't be looked at; trying again")
                }
            }
        }
    }

    fn in_use(&self) -> Vec<Pass> {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.retain(|_, token| Arc::strong_count(token) > 1);
        passes.keys().copied().collect()
    }

    fn turn_out(&self, worthless: &[Pass]) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        for pass in worthless {
            if let Some(token) = passes.remove(pass) {
                token.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn pass() -> Pass {
        Pass {
            key: Uuid::new_v4().into(),
            namespace: Uuid::new_v4().into(),
        }
    }

    #[test]
    fn whose_pass_is_worthless_is_turned_out_and_nobody_else() {
        let guests = Guests::default();
        let (one, other) = (pass(), pass());
        let tokens = [guests.admit(one), guests.admit(one), guests.admit(other)];
        guests.turn_out(&[one]);
        let canceled: Vec<bool> = tokens.iter().map(|token| token.is_cancelled()).collect();
        assert_eq!(canceled, [true, true, false]);
        assert_eq!(guests.in_use(), [other]);
        // What has become good again is looked at anew.
        assert!(!guests.admit(one).is_cancelled());
    }

    #[test]
    fn passes_are_forgotten_with_their_last_stream() {
        let guests = Guests::default();
        let token = guests.admit(pass());
        assert_eq!(guests.in_use().len(), 1);
        drop(token);
        assert!(guests.in_use().is_empty());
    }
}
