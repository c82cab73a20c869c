//! Sockets over real connections, on a clock that is moved.

use std::collections::VecDeque;

use axum::{Router, extract::State, routing::get};
use futures::StreamExt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Mutex, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message as Heard, protocol::CloseFrame as Closed},
};

use super::*;

type Client = WebSocketStream<TcpStream>;

/// Tells what it was given, and tells when it is dropped: that is when its socket has ended.
struct Script {
    steps: VecDeque<Next>,
    _ended: oneshot::Sender<()>,
}

impl Source for Script {
    async fn next(&mut self) -> Next {
        match self.steps.pop_front() {
            Some(next) => next,
            None => std::future::pending().await,
        }
    }
}

struct Stage {
    streams: Arc<Streams>,
    client: Client,
    ended: oneshot::Receiver<()>,
}

type Offer = (Arc<Streams>, Arc<Mutex<Option<Script>>>);

async fn offer(State((streams, script)): State<Offer>, upgrade: Upgrade) -> Response {
    let script = script.lock().await.take().unwrap();
    let pass = Pass {
        key: uuid::Uuid::nil().into(),
        namespace: uuid::Uuid::nil().into(),
    };
    open(upgrade, &streams, pass, script).unwrap()
}

/// A client that is connected to a socket with this script. From now on the clock jumps to the next timer whenever there
/// is nothing else to do.
async fn stage(steps: impl IntoIterator<Item = Next>) -> Stage {
    let streams = Arc::new(Streams::default());
    let (dropped, ended) = oneshot::channel();
    let script = Script {
        steps: steps.into_iter().collect(),
        _ended: dropped,
    };
    let offered = (Arc::clone(&streams), Arc::new(Mutex::new(Some(script))));
    let router = Router::new().route("/", get(offer)).with_state(offered);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let connection = TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(4096).unwrap();
    let connection = connection.connect(address).await.unwrap();
    let (client, _) = client_async(format!("ws://{address}/"), connection)
        .await
        .unwrap();
    tokio::time::pause();
    Stage {
        streams,
        client,
        ended,
    }
}

/// Nothing waits for real: the clock is paused.
async fn clock_moves(time: Duration) {
    tokio::time::sleep(time).await;
}

fn text(text: &'static str) -> Next {
    Next::Frames(vec![Utf8Bytes::from_static(text)])
}

/// More than the system keeps for a reader that does not read.
fn flood() -> Next {
    let frame: Utf8Bytes = "x".repeat(64 * 1024).into();
    Next::Frames(vec![frame; 200])
}

async fn heard(client: &mut Client) -> Heard {
    client.next().await.unwrap().unwrap()
}

/// Reads to the end: how many texts there were, and the last words.
async fn rest(client: &mut Client) -> (usize, Option<Closed>) {
    let mut texts = 0;
    while let Some(Ok(message)) = client.next().await {
        match message {
            Heard::Text(_) => texts += 1,
            Heard::Close(closed) => return (texts, closed),
            _ => {}
        }
    }
    (texts, None)
}

fn said(closed: Option<Closed>) -> (u16, String) {
    let closed = closed.expect("a close frame with a code");
    (closed.code.into(), closed.reason.to_string())
}

#[tokio::test]
async fn what_comes_to_its_end_is_closed_with_1000_after_the_last_frame() {
    let mut stage = stage([text("one"), flood(), Next::End("it has ended")]).await;
    assert_eq!(heard(&mut stage.client).await, Heard::text("one"));
    let (texts, closed) = rest(&mut stage.client).await;
    assert_eq!(texts, 200);
    assert_eq!(said(closed), (1000, "it has ended".to_owned()));
}

#[tokio::test]
async fn a_ping_is_answered_while_there_is_nothing_to_tell() {
    let mut stage = stage([]).await;
    let ping = Heard::Ping("are you there".into());
    stage.client.send(ping).await.unwrap();
    let pong = Heard::Pong("are you there".into());
    assert_eq!(heard(&mut stage.client).await, pong);
}

#[tokio::test]
async fn a_peer_that_shows_no_life_for_a_minute_is_dropped() {
    let stage = stage([]).await;
    let start = Instant::now();
    // It does not read, so it does not answer the pings either.
    assert!(stage.ended.await.is_err());
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn a_peer_that_answers_pings_is_kept() {
    let mut stage = stage([]).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(600) {
        assert_eq!(
            heard(&mut stage.client).await,
            Heard::Ping(Vec::new().into())
        );
    }
    assert!(
        stage
            .ended
            .try_recv()
            .is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
    );
}

#[tokio::test]
async fn a_peer_that_never_reads_is_dropped_when_patience_ends() {
    let stage = stage([flood()]).await;
    let start = Instant::now();
    assert!(stage.ended.await.is_err());
    assert_eq!(start.elapsed().as_secs(), (PATIENCE + LAST_WORDS).as_secs());
}

#[tokio::test]
async fn a_peer_that_reads_again_too_late_is_told_so() {
    let mut stage = stage([flood(), flood()]).await;
    clock_moves(PATIENCE + LAST_WORDS / 2).await;
    let (texts, closed) = rest(&mut stage.client).await;
    assert!(texts < 200, "{texts}");
    let (code, reason) = said(closed);
    assert_eq!(code, 1013);
    assert!(reason.contains("?since="), "{reason}");
}

#[tokio::test]
async fn who_is_behind_is_dropped_where_it_had_to_be_waited_for_and_else_goes_on() {
    let mut slow = stage([flood(), Next::Behind, text("never told")]).await;
    clock_moves(PATIENCE / 2).await;
    let (texts, closed) = rest(&mut slow.client).await;
    assert_eq!((texts, said(closed).0), (200, 1013));

    tokio::time::resume();
    let mut quick = stage([text("one"), Next::Behind, text("two")]).await;
    assert_eq!(heard(&mut quick.client).await, Heard::text("one"));
    assert_eq!(heard(&mut quick.client).await, Heard::text("two"));
}

#[tokio::test]
async fn a_replica_that_stops_says_goodbye_with_1001() {
    let mut quiet = stage([]).await;
    let streams = Arc::clone(&quiet.streams);
    let (closed, ()) = tokio::join!(rest(&mut quiet.client), streams.close());
    assert_eq!(said(closed.1), (1001, STOPPING.to_owned()));

    tokio::time::resume();
    let stuck = stage([flood()]).await;
    let start = Instant::now();
    stuck.streams.close().await;
    assert_eq!(start.elapsed().as_secs(), LAST_WORDS.as_secs());
    assert!(stuck.ended.await.is_err());
}

#[tokio::test]
async fn a_goodbye_is_answered() {
    let mut stage = stage([]).await;
    stage.client.close(None).await.unwrap();
    assert_eq!(heard(&mut stage.client).await, Heard::Close(None));
    assert!(stage.ended.await.is_err());
    assert!(stage.client.next().await.is_none());
}
