//! Wrong keys and tokens: an address that has sent too many is refused before the database is asked.
//!
//! Many may share an address, behind a router or a load balancer. So whoever comes with a key that was right lately is let
//! through to where it is looked up, whatever the others have done; a key that is guessed was never right.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipnet::IpNet;
use tokio::time::Instant;

use super::{
    Edge, WRONG_KEYS_OF_A_SITE,
    bucket::{Buckets, Rate, Remembered},
    networks_of,
};
use crate::error::ApiError;

/// How many right keys are remembered in one generation: those of 100,000 agents.
const RIGHT_ONES: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

/// What came of the credentials that were presented lately.
#[derive(Debug)]
pub(crate) struct Logins {
    /// Of each address, and of each network that one customer may have of IPv6.
    wrong: [Buckets<IpNet>; 2],
    /// The SHA-256 of each.
    right: Mutex<Remembered<[u8; 32], ()>>,
}

impl Logins {
    pub(crate) fn new(edge: &Edge) -> Self {
        let per_minute = edge.failed_logins_per_minute;
        Self {
            wrong: [1, WRONG_KEYS_OF_A_SITE].map(|times| {
                let per_minute = per_minute.saturating_mul(times);
                Buckets::new(Rate::per(MINUTE, per_minute, per_minute))
            }),
            right: Mutex::new(Remembered::new(RIGHT_ONES)),
        }
    }

    /// Whether credentials with this SHA-256 are looked at.
    ///
    /// # Errors
    /// [`ApiError::TooMany`], with how long to wait.
    pub(crate) fn may_try(&self, from: Option<IpAddr>, sha256: &[u8; 32]) -> Result<(), ApiError> {
        let now = Instant::now();
        let waits = self.wrong_ones(from);
        let wait = waits.filter_map(|(wrong, network)| wrong.wait(&network, now));
        match wait.max() {
            Some(wait) if !self.was_right_lately(sha256) => Err(ApiError::TooMany {
                what: "too many wrong keys or tokens came from this address",
                wait,
            }),
            _ => Ok(()),
        }
    }

    /// The credentials were wrong, whatever they have been before.
    pub(crate) fn were_wrong(&self, from: Option<IpAddr>, sha256: &[u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.remove(sha256);
        drop(right);
        let now = Instant::now();
        for (wrong, network) in self.wrong_ones(from) {
            wrong.take(network, now);
        }
    }

    /// Where the wrong ones from an address are counted.
    fn wrong_ones(&self, from: Option<IpAddr>) -> impl Iterator<Item = (&Buckets<IpNet>, IpNet)> {
        let networks = from.map(networks_of).unwrap_or_default();
        self.wrong.iter().zip(networks)
    }

    /// The credentials were right.
    pub(crate) fn were_right(&self, sha256: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.insert(sha256, ());
    }

    fn was_right_lately(&self, sha256: &[u8; 32]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(sha256).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_was_right_lately_is_let_through_and_the_others_wait() {
        let logins = Logins::new(&Edge {
            failed_logins_per_minute: 3,
            ..Edge::default()
        });
        let from = Some("203.0.113.7".parse().unwrap());
        logins.were_right([1; 32]);
        for _ in 0..3 {
            assert!(logins.may_try(from, &[2; 32]).is_ok());
            logins.were_wrong(from, &[2; 32]);
        }
        let refused = logins.may_try(from, &[2; 32]);
        assert!(matches!(refused, Err(ApiError::TooMany { .. })));
        assert!(logins.may_try(from, &[1; 32]).is_ok());
        // Until it is right no more: it was revoked.
        logins.were_wrong(from, &[1; 32]);
        assert!(logins.may_try(from, &[1; 32]).is_err());
        let elsewhere = Some("203.0.113.8".parse().unwrap());
        assert!(logins.may_try(elsewhere, &[2; 32]).is_ok());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(logins.may_try(from, &[2; 32]).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_networks_of_one_customer_guess_no_more_than_a_few_addresses() {
        let logins = Logins::new(&Edge {
            failed_logins_per_minute: 3,
            ..Edge::default()
        });
        let guesses = |network: u16| {
            (0..500)
                .filter(|n| {
                    let from = format!("2001:db8:{network:x}:{n:x}::1").parse().ok();
                    let is_looked_at = logins.may_try(from, &[2; 32]).is_ok();
                    if is_looked_at {
                        logins.were_wrong(from, &[2; 32]);
                    }
                    is_looked_at
                })
                .count()
        };
        assert_eq!((guesses(1), guesses(2)), (48, 48));
    }
}
