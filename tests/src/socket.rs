//! A WebSocket client, as the original libraries have one.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{SinkExt, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use tokio::{
    net::{TcpSocket, lookup_host},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message, client::IntoClientRequest, http::Response, protocol::WebSocketConfig,
    },
};

use crate::{Answer, Client};

const DEADLINE: Duration = Duration::from_secs(60);
/// The library's own buffer is 128 KiB, which is much for a thousand of them.
const BUFFER: usize = 4096;

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<tokio::net::TcpStream>,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A frame, which must be JSON.
    Frame(Value),
    /// The answer to a ping.
    Pong(Vec<u8>),
    /// Its last words.
    Closed(u16, String),
}

impl Socket {
    /// Connects with the client's key in the header.
    ///
    /// # Panics
    /// When the handshake is refused.
    pub async fn open(client: &Client, path: &str) -> Self {
        let opened = Self::connect(&client.base, path, Some(client.credentials()), None).await;
        opened.unwrap_or_else(|answer| panic!("{path}: {} {}", answer.status, answer.text))
    }

    /// The same with a receive buffer as small as the system allows.
    ///
    /// # Panics
    /// When the handshake is refused.
    pub async fn open_narrow(client: &Client, path: &str) -> Self {
        let opened = Self::connect(&client.base, path, Some(client.credentials()), Some(1)).await;
        opened.unwrap_or_else(|answer| panic!("{path}: {} {}", answer.status, answer.text))
    }

    /// Connects to the server at `base` (`http://host:port`), with HTTP Basic credentials or without.
    ///
    /// # Errors
    /// The answer to the handshake, where it is refused.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn connect(
        base: &str,
        path: &str,
        credentials: Option<(&str, &str)>,
        receive_buffer: Option<u32>,
    ) -> Result<Self, Answer> {
        let host = base.trim_start_matches("http://");
        let mut request = format!("ws://{host}{path}")
            .into_client_request()
            .expect("a request");
        if let Some((user, key)) = credentials {
            let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{key}")));
            let basic = HeaderValue::try_from(basic).expect("a header");
            request.headers_mut().insert(AUTHORIZATION, basic);
        }
        let address = lookup_host(host)
            .await
            .expect("an address")
            .next()
            .expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes).expect("a buffer's size");
        }
        let stream = socket.connect(address).await.expect("the server accepts");
        let config = WebSocketConfig::default().read_buffer_size(BUFFER);
        let shaking = client_async_with_config(request, stream, Some(config));
        match timeout(DEADLINE, shaking).await.expect("an answer in time") {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => Err(answer(*response)),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// What comes next; the server's own pings are answered on the way. None where the connection broke without a word.
    ///
    /// # Panics
    /// When nothing comes within a minute.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let message = timeout(DEADLINE, self.stream.next())
                .await
                .expect("something within a minute")?;
            return match message.ok()? {
                Message::Text(text) => Some(Heard::Frame(
                    serde_json::from_str(&text).expect("a frame is JSON"),
                )),
                Message::Pong(payload) => Some(Heard::Pong(payload.to_vec())),
                Message::Close(frame) => {
                    let frame = frame.expect("a close frame has a code");
                    // Its end of the goodbye goes out when the client reads on, and the server waits for it.
                    while let Some(Ok(_)) = self.stream.next().await {}
                    Some(Heard::Closed(frame.code.into(), frame.reason.to_string()))
                }
                _ => continue,
            };
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// When something else comes.
    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Some(Heard::Frame(frame)) => frame,
            other => panic!("{other:?} is no frame"),
        }
    }

    /// So many frames.
    pub async fn frames(&mut self, count: usize) -> Vec<Value> {
        let mut frames = Vec::with_capacity(count);
        while frames.len() < count {
            frames.push(self.frame().await);
        }
        frames
    }

    /// The frames to the end, and the code and reason with which the server closes.
    ///
    /// # Panics
    /// When the connection breaks without them.
    pub async fn rest(&mut self) -> (Vec<Value>, u16, String) {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(Heard::Frame(frame)) => frames.push(frame),
                Some(Heard::Pong(_)) => {}
                Some(Heard::Closed(code, reason)) => return (frames, code, reason),
                None => panic!("the connection broke after {} frames", frames.len()),
            }
        }
    }

    /// Sends a ping.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn ping(&mut self, payload: &[u8]) {
        let ping = Message::Ping(payload.to_vec().into());
        self.stream.send(ping).await.expect("the server reads");
    }
}

fn answer(response: Response<Option<Vec<u8>>>) -> Answer {
    let (parts, body) = response.into_parts();
    let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}
