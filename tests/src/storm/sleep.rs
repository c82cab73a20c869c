//! A worker falls asleep, best in the middle of a transaction.

use std::{collections::BTreeSet, time::Duration};

use super::Storm;

/// Longer than a lease, so that the other worker has taken the site, unless it can't.
const SLEEPS_FOR: Duration = Duration::from_millis(2500);
/// How often a worker is stopped until it is caught inside a transaction.
const ATTEMPTS: usize = 120;
/// How long a transaction is idle that is taken for the stopped worker's: others go on.
const IDLE_FOR: Duration = Duration::from_millis(30);

/// A transaction: the process of its connection, and when it began.
type Transaction = (i32, chrono::DateTime<chrono::Utc>);

impl Storm {
    pub(super) async fn freeze(&self, worker: usize) {
        let worker = &self.workers[worker];
        worker.freeze().await;
        tokio::time::sleep(SLEEPS_FOR).await;
        worker.thaw().await;
    }

    /// Stops a worker again and again, until it has a transaction open; then it sleeps past its lease. Counts only what
    /// slept to the end with its transaction open.
    pub(super) async fn freeze_in_transaction(&mut self, worker: usize) {
        let sleeper = &self.workers[worker];
        for _ in 0..ATTEMPTS {
            sleeper.freeze().await;
            tokio::time::sleep(IDLE_FOR).await;
            let caught = self.idle_transactions().await;
            if caught.is_empty() {
                sleeper.thaw().await;
                // It gets on with its work a little.
                tokio::time::sleep(Duration::from_millis(3)).await;
                continue;
            }
            tokio::time::sleep(SLEEPS_FOR).await;
            let slept = self.idle_transactions().await;
            sleeper.thaw().await;
            self.slept_in_transaction += u64::from(!caught.is_disjoint(&slept));
            return;
        }
    }

    /// The transactions in which nothing was said for a while; none where Postgres can't be asked.
    async fn idle_transactions(&self) -> BTreeSet<Transaction> {
        let idle: Result<Vec<Transaction>, _> = sqlx::query_as(
            "SELECT pid, xact_start FROM pg_stat_activity
             WHERE datname = current_database() AND state = 'idle in transaction'
               AND state_change < clock_timestamp() - make_interval(secs => $1)",
        )
        .bind(IDLE_FOR.as_secs_f64() / 2.0)
        .fetch_all(&self.world.pool)
        .await;
        idle.unwrap_or_default().into_iter().collect()
    }
}
