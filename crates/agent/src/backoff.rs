//! How long to wait after a failure.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Pauses that double, each with jitter, up to a longest one; they never end.
///
/// Docker Cloud's agent waited 1, 2, 4 … 128 seconds and then began anew. Staying at the longest spares a server that is
/// down for long, and the jitter keeps all agents of an installation from coming back at the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The pause after one more failure: between half of its length and the whole.
    pub fn pause(&mut self, random: &mut impl Rng) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = (self.next * 2).min(self.longest);
        whole.mul_f64(random.random_range(0.5..=1.0))
    }

    /// Something worked: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_for_ever() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(128));
        for whole in [1, 2, 4, 8, 16, 32, 64, 128, 128, 128] {
            let pause = backoff.pause(&mut random).as_secs_f64();
            let whole = f64::from(whole);
            assert!((whole / 2.0..=whole).contains(&pause), "{pause} of {whole}");
        }
    }

    #[test]
    fn a_success_begins_anew() {
        let mut random = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(128));
        for _ in 0..5 {
            backoff.pause(&mut random);
        }
        backoff.reset();
        assert!(backoff.pause(&mut random) <= Duration::from_secs(1));
    }

    #[test]
    fn two_agents_do_not_wait_alike() {
        let pauses = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
            [(); 4].map(|()| backoff.pause(&mut random))
        };
        assert_ne!(pauses(1), pauses(2));
    }
}
