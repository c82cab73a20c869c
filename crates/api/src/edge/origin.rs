//! From where a request is. Behind a load balancer the connection's other end is that; the client's address is what the
//! load balancer says, and only what it says: whatever stands before it in the header may be made up.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, request::Parts},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;

use crate::App;

const FORWARDED: &str = "x-forwarded-for";
const REQUEST_ID: &str = "x-request-id";
const LONGEST_REQUEST_ID: usize = 128;

/// The address of whoever asks.
#[derive(Debug, Clone, Copy)]
struct Origin(IpAddr);

/// The address of whoever asks; none where the request came by no connection.
pub(crate) fn of(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<Origin>()
        .map(|Origin(address)| *address)
}

/// Notes the address of whoever asks, and takes out a request's id that nobody should have to read in a log.
pub(crate) async fn note(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer {
        let origin = origin(peer.ip(), request.headers(), &app.edge.trusted_proxies);
        request.extensions_mut().insert(Origin(origin));
    }
    let is_odd = |id: &HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:=/+".contains(byte);
        id.len() > LONGEST_REQUEST_ID || !id.as_bytes().iter().all(plain)
    };
    if request.headers().get(REQUEST_ID).is_some_and(is_odd) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

/// The last address that no trusted proxy has, read from the connection backwards.
fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut origin = peer.to_canonical();
    let values: Vec<&str> = headers
        .get_all(FORWARDED)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .collect();
    for value in values.into_iter().rev() {
        if !is_trusted(&origin) {
            break;
        }
        match address(value.trim()) {
            Some(before) => origin = before,
            None => break,
        }
    }
    origin
}

/// An address, with a port or without, as the various proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let address = plain.parse().or_else(|_| with_port()).ok()?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|it| it.parse().unwrap()).collect();
        origin(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(read("203.0.113.7", &["198.51.100.1"], &[]), "203.0.113.7");
        let others = ["10.0.0.0/8"];
        assert_eq!(
            read("203.0.113.7", &["198.51.100.1"], &others),
            "203.0.113.7"
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_no_more_than_what_it_added() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (forwarded, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            (&["1.1.1.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            (&["198.51.100.1:4711"], "198.51.100.1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            // What can't be read hides what is before it.
            (&["198.51.100.1, unknown"], "10.0.0.1"),
            (&["198.51.100.1, unknown, 10.0.0.3"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            (&["10.0.0.9"], "10.0.0.9"),
        ] {
            assert_eq!(
                read("10.0.0.1", forwarded, &trusted),
                expected,
                "{forwarded:?}"
            );
        }
        assert_eq!(
            read("::ffff:10.0.0.1", &["198.51.100.1"], &trusted),
            "198.51.100.1"
        );
    }
}
