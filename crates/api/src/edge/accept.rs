//! How connections are taken: not too many, by TLS where there is a certificate, and none that keeps everybody waiting.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Future, pending},
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, error, warn};

use super::{CONNECTIONS_OF_A_SITE, Edge, guarded::Guarded, networks_of};

/// How long a client may take for the handshake of TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long those that are open may take to end when the service does: as long as a request may take as a whole.
const PARTING: Duration = Duration::from_secs(30);
/// How long is waited when the system has no connections to give, for example since there are too many open files.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the log tells that connections are refused.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// The head of a request may be so large; a larger one is answered 431. It is read in steps, so that up to twice as much
/// may pass.
const LARGEST_HEAD: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;

/// Serves connections until `shutdown` is done and those that are open have ended, or have been waited for long enough.
///
/// # Errors
/// None: a connection that can't be taken is logged.
pub(crate) async fn serve(
    listener: TcpListener,
    edge: Arc<Edge>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let most = match edge.connections {
        0 => Semaphore::MAX_PERMITS,
        some => some.min(Semaphore::MAX_PERMITS),
    };
    let places = Arc::new(Semaphore::new(most));
    let addresses = Arc::new(Addresses::default());
    let mut told_at: Option<Instant> = None;
    let connections = TaskTracker::new();
    let closing = CancellationToken::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            // It is waited with the system's own queue: whoever comes then is not turned away.
            taken = take(&listener, &places) => taken,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                error!(%error, "no connection can be taken; trying again");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(address) = addresses.admit(&edge, peer.ip()) else {
            let address = peer.ip();
            // Whoever is refused may try again at once, and for ever.
            if told_at.is_none_or(|at: Instant| at.elapsed() > TOLD_EVERY) {
                told_at = Some(Instant::now());
                warn!(
                    %address,
                    "connections from {address} are refused: it has as many as BERTH_CONNECTIONS_PER_ADDRESS allows. Is it a load \
                     balancer? Then BERTH_TRUSTED_PROXIES is to name it"
                );
            }
            continue;
        };
        let held = Held {
            _place: place,
            _address: address,
        };
        let (edge, router, closing) = (Arc::clone(&edge), router.clone(), closing.clone());
        connections.spawn(async move {
            connection(stream, peer, held, &edge, router, closing).await;
        });
    }
    drop(listener);
    closing.cancel();
    connections.close();
    if timeout(PARTING, connections.wait()).await.is_err() {
        let open = connections.len();
        warn!(
            open,
            "{open} connections did not end in time and are given up"
        );
    }
    Ok(())
}

async fn take(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (
    Option<OwnedSemaphorePermit>,
    io::Result<(TcpStream, SocketAddr)>,
) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (place, listener.accept().await)
}

/// What a connection holds for as long as it lives.
#[derive(Debug)]
struct Held {
    _place: Option<OwnedSemaphorePermit>,
    _address: OfAddress,
}

/// How many connections there are from each address and network.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpNet, usize>>);

/// One connection, and the networks that it counts for; none where it is a trusted proxy's, or there is no limit.
#[derive(Debug)]
struct OfAddress {
    addresses: Arc<Addresses>,
    networks: Vec<IpNet>,
}

impl Addresses {
    fn admit(self: &Arc<Self>, edge: &Edge, address: IpAddr) -> Option<OfAddress> {
        let address = address.to_canonical();
        let is_proxy = edge.trusted_proxies.iter().any(|it| it.contains(&address));
        let networks = match is_proxy || edge.connections_per_address == 0 {
            true => Vec::new(),
            false => networks_of(address),
        };
        let per_address = edge.connections_per_address;
        let shares = [
            per_address,
            per_address.saturating_mul(CONNECTIONS_OF_A_SITE),
        ];
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |(network, most)| counts.get(network).is_none_or(|count| *count < most);
        if !networks.iter().zip(shares).all(has_room) {
            return None;
        }
        for network in &networks {
            *counts.entry(*network).or_default() += 1;
        }
        Some(OfAddress {
            addresses: Arc::clone(self),
            networks,
        })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut counts = self
            .addresses
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for network in &self.networks {
            if let Some(count) = counts.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(network);
                }
            }
        }
    }
}

/// Whether the client has given up before it was its turn.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    held: Held,
    edge: &Edge,
    router: Router,
    closing: CancellationToken,
) {
    // An answer or a frame goes out at once, instead of waiting for the client to acknowledge the one before it.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection may be delayed");
    }
    let stream = Guarded::new(stream, edge.write_patience, held);
    let Some(tls) = &edge.tls else {
        return requests(stream, peer, edge, router, closing).await;
    };
    match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => requests(stream, peer, edge, router, closing).await,
        Ok(Err(error)) => debug!(%error, %peer, "no connection by TLS came about"),
        Err(_) => debug!(%peer, "the handshake of TLS took too long"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    edge: &Edge,
    router: Router,
    closing: CancellationToken,
) {
    let asked = Arc::new(Notify::new());
    let has_asked = Arc::clone(&asked);
    let service = service_fn(move |mut request: Request<Incoming>| {
        has_asked.notify_one();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(edge.head_patience)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = closing.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = silence(&asked, edge.first_head_patience) => {
            return debug!(%peer, "a connection was closed: nothing was asked on it");
        }
    };
    if let Err(error) = served {
        match error.is_timeout() {
            true => warn!(%peer, "a connection was closed: the head of its request took too long"),
            false => debug!(%error, %peer, "a connection ended badly"),
        }
    }
}

/// Comes to an end where nothing has been asked for so long; never where something has.
async fn silence(asked: &Notify, patience: Duration) {
    if timeout(patience, asked.notified()).await.is_ok() {
        pending().await
    }
}

#[cfg(test)]
mod tests {

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use super::*;

    #[tokio::test]
    async fn connections_that_do_not_end_are_given_up_at_the_stop() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let router = Router::new().route(
            "/",
            get({
                let asked = Arc::clone(&asked);
                move || {
                    asked.notify_one();
                    pending::<()>()
                }
            }),
        );
        let edge = Arc::new(Edge::default());
        let stopped = Arc::clone(&stop);
        let serving = tokio::spawn(serve(listener, edge, router, async move {
            stopped.notified().await;
        }));
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        asked.notified().await;
        tokio::time::pause();
        let begun = Instant::now();
        stop.notify_one();
        let limit = PARTING * 2;
        timeout(limit, serving).await.unwrap().unwrap().unwrap();
        assert!(begun.elapsed() >= PARTING);
        drop(client);
    }

    #[test]
    fn an_address_has_no_more_connections_than_it_may_and_a_proxy_as_many_as_it_wants() {
        let edge = Edge {
            connections_per_address: 2,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Edge::default()
        };
        let addresses = Arc::new(Addresses::default());
        let admit = |text: &str| addresses.admit(&edge, text.parse().unwrap());
        let one = admit("203.0.113.7");
        let other = admit("203.0.113.7");
        assert!(one.is_some() && other.is_some());
        assert!(admit("203.0.113.7").is_none());
        assert!(admit("203.0.113.8").is_some());
        drop(one);
        assert!(admit("203.0.113.7").is_some());
        let of_proxy: Vec<_> = (0..9).map(|_| admit("10.1.2.3")).collect();
        assert!(of_proxy.iter().all(Option::is_some));
        drop(other);
        assert!(addresses.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_that_one_customer_gets_has_no_more_than_two_addresses() {
        let edge = Edge {
            connections_per_address: 3,
            ..Edge::default()
        };
        let addresses = Arc::new(Addresses::default());
        let admit = |text: String| addresses.admit(&edge, text.parse().unwrap());
        // An address of its own each time, and a network of 64 bits of its own.
        let held: Vec<_> = (0..50)
            .filter_map(|n| admit(format!("2001:db8:1:{n:x}::1")))
            .collect();
        assert_eq!(held.len(), 3 * 2);
        let of_another: Vec<_> = (0..50)
            .filter_map(|n| admit(format!("2001:db8:2:7::{n:x}")))
            .collect();
        assert_eq!(of_another.len(), 3);
        // Whoever is refused counts for nothing.
        assert!(admit("2001:db8:2:8::1".to_owned()).is_some());
        drop((held, of_another));
        assert!(addresses.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn whoever_connects_and_asks_nothing_is_closed_sooner_than_whoever_has_asked() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "here" }));
        let edge = Arc::new(Edge::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&edge), router, pending()));
        let mut known = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut answer = [0; 4096];
        known.write_all(request).await.unwrap();
        assert_ne!(known.read(&mut answer).await.unwrap(), 0);
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"G").await.unwrap();
        tokio::time::pause();
        let begun = Instant::now();
        assert_eq!(silent.read(&mut answer).await.unwrap(), 0);
        assert!(begun.elapsed() < edge.head_patience / 2);
        known.write_all(request).await.unwrap();
        assert_ne!(known.read(&mut answer).await.unwrap(), 0);
        serving.abort();
    }
}
