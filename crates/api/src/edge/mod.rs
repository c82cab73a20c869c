//! What stands between the network and the handlers: how connections are taken ([`accept`]), from whom a request is
//! ([`origin`]), and how much of everything one may have ([`bucket`], [`login`]).

pub(crate) mod accept;
mod bucket;
mod guarded;
mod login;
pub(crate) mod origin;
mod tls;

use std::{net::IpAddr, sync::Arc, time::Duration};

use domain::ids::UserId;
use ipnet::{IpNet, Ipv6Net};
use tokio::time::Instant;

use bucket::{Buckets, Rate};
pub(crate) use login::Logins;
pub use tls::{Tls, TlsError};

use crate::error::ApiError;

/// How the edge is set up. A rate or number of 0 means that there is no limit.
#[derive(Debug, Clone)]
pub struct Edge {
    /// How many requests a second a user may go on making. As many as of five seconds may come at once.
    pub requests_per_second: u32,
    /// How many AWS credentials a minute a user may have tried, each of which takes some calls in every region. As many may
    /// come at once.
    pub credentials_per_minute: u32,
    /// How many wrong keys and tokens a minute may come from one address. As many may come at once.
    pub failed_logins_per_minute: u32,
    /// How many connections there may be; further ones wait.
    pub connections: usize,
    /// How many of them may be from one address that is no trusted proxy; further ones are closed.
    pub connections_per_address: usize,
    /// How long a connection may take to send the head of its first request.
    pub first_head_patience: Duration,
    /// How long a connection may take to send the head of its next request.
    pub head_patience: Duration,
    /// How long a client may take to make room for more of an answer.
    pub write_patience: Duration,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// With which certificate TLS is served; none serves plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl Default for Edge {
    fn default() -> Self {
        Self {
            requests_per_second: 100,
            credentials_per_minute: 20,
            failed_logins_per_minute: 60,
            connections: 10_000,
            connections_per_address: 1_000,
            // Whoever connects has something to ask.
            first_head_patience: Duration::from_secs(15),
            // Load balancers keep connections open for a minute and take it badly when the other side closes first.
            head_patience: Duration::from_secs(75),
            write_patience: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            tls: None,
        }
    }
}

/// How much users ask for, of one kind.
#[derive(Debug)]
pub(crate) struct Requests {
    buckets: Buckets<UserId>,
    too_many: &'static str,
}

impl Requests {
    /// Requests of any kind.
    pub(crate) fn new(edge: &Edge) -> Self {
        let per_second = edge.requests_per_second;
        let burst = per_second.saturating_mul(5);
        Self {
            buckets: Buckets::new(Rate::per(Duration::from_secs(1), per_second, burst)),
            too_many: "too many requests of this user",
        }
    }

    /// Those that have AWS credentials tried.
    pub(crate) fn to_try_credentials(edge: &Edge) -> Self {
        let per_minute = edge.credentials_per_minute;
        Self {
            buckets: Buckets::new(Rate::per(Duration::from_secs(60), per_minute, per_minute)),
            too_many: "too many AWS credentials of this user were to be tried",
        }
    }

    /// Counts a request of the user.
    ///
    /// # Errors
    /// [`ApiError::TooMany`], with how long to wait.
    pub(crate) fn count(&self, user: UserId) -> Result<(), ApiError> {
        let now = Instant::now();
        match self.buckets.wait(&user, now) {
            None => {
                self.buckets.take(user, now);
                Ok(())
            }
            Some(wait) => Err(ApiError::TooMany {
                what: self.too_many,
                wait,
            }),
        }
    }
}

/// How many times as many connections as an address the largest network may have that one customer gets.
const CONNECTIONS_OF_A_SITE: usize = 2;
/// The same for wrong keys. A cloud's customers may share such a network, and one of them must not keep the others out.
const WRONG_KEYS_OF_A_SITE: u32 = 16;

/// The networks that an address counts for: itself, or of IPv6 its network of 64 bits, and the one of 48 bits beside. That
/// is what a customer may be given ("IPv6 Address Assignment to End Sites", RFC 6177), with 65,536 networks of 64 bits to
/// come from; together they may have [`CONNECTIONS_OF_A_SITE`] and [`WRONG_KEYS_OF_A_SITE`].
fn networks_of(address: IpAddr) -> Vec<IpNet> {
    match address.to_canonical() {
        v4 @ IpAddr::V4(_) => vec![v4.into()],
        IpAddr::V6(address) => [64, 48]
            .into_iter()
            .filter_map(|bits| Some(Ipv6Net::new(address, bits).ok()?.trunc().into()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_origin() {
        let origin = |text: &str| networks_of(text.parse().unwrap())[0].addr().to_string();
        assert_eq!(origin("203.0.113.7"), "203.0.113.7");
        assert_eq!(origin("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(origin("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(origin("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
    }
}
