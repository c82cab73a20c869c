//! Rates: so many at once, and so many in a time from then on, for each of many.
//!
//! Of each bucket one moment is kept, at which it would be full again (the generic cell rate algorithm of ATM). The
//! memory is bounded: the oldest half of what is remembered is forgotten when there is too much.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How much is remembered in one generation; there are two.
const GENERATION: usize = 50_000;

/// So many at once, then one in each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// So many in each of these times; none where that is 0.
    pub(crate) fn per(time: Duration, count: u32, burst: u32) -> Option<Self> {
        let interval = time.checked_div(count)?;
        Some(Self { interval, burst })
    }

    /// How far ahead a bucket may be and still give one.
    fn tolerance(self) -> Duration {
        self.interval * self.burst.saturating_sub(1)
    }
}

/// The buckets of many, each filled at the same rate.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Option<Rate>,
    full_at: Mutex<Remembered<K, Instant>>,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Full ones; without a rate they are never empty.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            full_at: Mutex::new(Remembered::new(GENERATION)),
        }
    }

    /// How long it is until the bucket has one to give; none where it has one now.
    pub(crate) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        let full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = full_at.get(key)?.saturating_duration_since(now);
        let wait = ahead.checked_sub(rate.tolerance())?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Takes one, also where there is none: others may have been taken since it was looked.
    pub(crate) fn take(&self, key: K, now: Instant) {
        let Some(rate) = self.rate else { return };
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = full_at.get(&key).copied().map_or(now, |at| at.max(now));
        // An empty bucket does not become emptier.
        let after = (before + rate.interval).min(now + rate.interval * rate.burst);
        full_at.insert(key, after);
    }
}

/// What was of use lately: at least as many as a generation has, at most twice as many.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    generation: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// Nothing yet.
    pub(crate) fn new(generation: usize) -> Self {
        Self {
            generation,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// What is remembered of this.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Forgets it.
    pub(crate) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Remembers it anew.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn buckets(count: u32, burst: u32) -> Buckets<u32> {
        Buckets::new(Rate::per(SECOND, count, burst))
    }

    fn take_all(buckets: &Buckets<u32>, key: u32, now: Instant) -> u32 {
        let mut taken = 0;
        while buckets.wait(&key, now).is_none() && taken < 1_000 {
            buckets.take(key, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_bucket_gives_what_is_in_it_and_fills_again() {
        let buckets = buckets(2, 6);
        let start = Instant::now();
        assert_eq!(take_all(&buckets, 1, start), 6);
        assert_eq!(buckets.wait(&1, start), Some(SECOND / 2));
        // Everybody has their own.
        assert_eq!(take_all(&buckets, 2, start), 6);
        assert_eq!(take_all(&buckets, 1, start + SECOND), 2);
        assert_eq!(take_all(&buckets, 1, start + 100 * SECOND), 6);
    }

    #[test]
    fn an_empty_bucket_does_not_become_emptier() {
        let buckets = buckets(2, 6);
        let start = Instant::now();
        for _ in 0..1_000 {
            buckets.take(1, start);
        }
        assert_eq!(buckets.wait(&1, start), Some(SECOND / 2));
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        assert_eq!(take_all(&buckets(0, 0), 1, Instant::now()), 1_000);
    }

    #[test]
    fn what_was_used_lately_is_remembered_and_the_memory_is_bounded() {
        let mut remembered = Remembered::new(100);
        for key in 0..10_000 {
            remembered.insert(key, ());
            remembered.insert(0, ());
            assert!(remembered.young.len() + remembered.old.len() <= 200);
        }
        assert!(remembered.get(&9_950).is_some() && remembered.get(&0).is_some());
        assert!(remembered.get(&9_000).is_none());
    }
}
