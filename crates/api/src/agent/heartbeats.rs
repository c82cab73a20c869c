//! Heartbeats on their way to the database: those that come at the same time are written by one statement.
//!
//! Each is answered by itself, and only once it is written. Its token is looked up by that same statement, so that one
//! that is worth nothing any more is found out by the next heartbeat.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::host::Limits;
use store::{
    PgPool,
    host::{self, Answer, Beat},
};
use tokio::{
    sync::oneshot::{self, Sender},
    time::{Instant, sleep_until},
};

use crate::error::ApiError;

/// For so long the heartbeats of one statement are gathered.
const GATHERED_FOR: Duration = Duration::from_millis(5);
/// More than these are left to the next statement.
const MOST_AT_ONCE: usize = 500;

/// The heartbeats that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct Heartbeats(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether somebody is writing already; nobody is where nothing waits.
    is_written: bool,
}

#[derive(Debug)]
struct Waiting {
    beat: Arc<Beat>,
    written: Sender<Written>,
}

/// What came of a heartbeat in the company of others.
#[derive(Debug)]
enum Written {
    /// It was answered.
    Answered(Answer),
    /// The statement failed, for a reason that has nothing to do with the heartbeats.
    Unavailable,
    /// The statement failed, or the node was busy: by itself the heartbeat may fare better.
    Alone,
}

impl Heartbeats {
    /// Writes a heartbeat down, with those that come at the same time.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn hear(
        self: &Arc<Self>,
        pool: &PgPool,
        beat: Beat,
        limits: Limits,
    ) -> Result<Answer, ApiError> {
        let (written, answer) = oneshot::channel();
        let beat = Arc::new(beat);
        let waiting = Waiting {
            beat: Arc::clone(&beat),
            written,
        };
        if self.queue().push(waiting) {
            // A task of its own: the agent whose heartbeat came first may hang up.
            tokio::spawn(Arc::clone(self).write_all(pool.clone(), limits));
        }
        match answer.await {
            Ok(Written::Answered(answer)) => Ok(answer),
            Ok(Written::Unavailable) => Err(store::Error::NoAnswer.into()),
            Ok(Written::Alone) => {
                let mut conn = pool.acquire().await?;
                Ok(host::hear_alone(&mut conn, &beat, limits).await?)
            }
            Err(_) => Err(ApiError::Panicked),
        }
    }

    /// Writes until nothing waits.
    async fn write_all(self: Arc<Self>, pool: PgPool, limits: Limits) {
        let mut begun = Instant::now();
        loop {
            sleep_until(begun + GATHERED_FOR).await;
            let Some(batch) = self.queue().take() else {
                return;
            };
            begun = Instant::now();
            // Should it panic, the others go on.
            drop(tokio::spawn(write(pool.clone(), batch, limits)).await);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lets one wait; answers whether nobody writes yet, so that the caller must see to it.
    fn push(&mut self, waiting: Waiting) -> bool {
        self.waiting.push(waiting);
        !mem::replace(&mut self.is_written, true)
    }

    /// Takes those who have waited longest; none where nobody waits, and nobody writes then.
    fn take(&mut self) -> Option<Vec<Waiting>> {
        self.is_written = !self.waiting.is_empty();
        let rest = self.waiting.split_off(self.waiting.len().min(MOST_AT_ONCE));
        let batch = mem::replace(&mut self.waiting, rest);
        self.is_written.then_some(batch)
    }
}

async fn write(pool: PgPool, batch: Vec<Waiting>, limits: Limits) {
    let beats: Vec<Beat> = batch
        .iter()
        .map(|waiting| (*waiting.beat).clone())
        .collect();
    let answers = async {
        let mut conn = pool.acquire().await?;
        host::hear(&mut conn, &beats, limits).await
    };
    match answers.await {
        Ok(answers) => {
            for (waiting, answer) in batch.into_iter().zip(answers) {
                waiting.tell(match answer {
                    Answer::Busy => Written::Alone,
                    answer => Written::Answered(answer),
                });
            }
        }
        Err(error) => {
            let beats = batch.len();
            tracing::warn!(%error, beats, "{beats} heartbeats could not be written at once");
            let is_unavailable = matches!(ApiError::from(error), ApiError::Unavailable(_));
            for waiting in batch {
                waiting.tell(match is_unavailable {
                    true => Written::Unavailable,
                    false => Written::Alone,
                });
            }
        }
    }
}

impl Waiting {
    fn tell(self, written: Written) {
        // Who has hung up needs no answer.
        drop(self.written.send(written));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> Waiting {
        let facts = domain::heartbeat::Facts {
            agent_version: "0.1.0".to_owned(),
            docker_version: None,
            docker_execdriver: None,
            docker_graphdriver: None,
            cpu_cores: 1,
            memory_kb: 1,
            disk_gb: 1,
            containers: 0,
            private_ips: Vec::new(),
            public_ip: None,
            instance_id: None,
            upgrade: None,
        };
        Waiting {
            beat: Arc::new(Beat {
                token_sha256: [0; 32],
                node: uuid::Uuid::nil().into(),
                address: "203.0.113.25".to_owned(),
                is_address_told: false,
                facts,
            }),
            written: oneshot::channel().0,
        }
    }

    #[test]
    fn somebody_writes_as_long_as_something_waits() {
        let mut queue = Queue::default();
        assert!(queue.push(waiting()));
        assert!(!queue.push(waiting()));
        assert_eq!(queue.take().map(|batch| batch.len()), Some(2));
        // What comes while those are written waits for the same writer.
        assert!(!queue.push(waiting()));
        assert_eq!(queue.take().map(|batch| batch.len()), Some(1));
        assert!(queue.take().is_none());
        assert!(queue.push(waiting()));
    }

    #[test]
    fn a_statement_is_not_longer_than_it_may_be() {
        let mut queue = Queue::default();
        for _ in 0..=MOST_AT_ONCE {
            queue.push(waiting());
        }
        let taken = || queue.take().map(|batch| batch.len());
        let taken: Vec<_> = std::iter::repeat_with(taken).take(3).collect();
        assert_eq!(taken, [Some(MOST_AT_ONCE), Some(1), None]);
    }
}
