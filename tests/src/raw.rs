//! HTTP byte for byte, for what a well-behaved client neither sends nor shows.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// An answer as it came.
#[derive(Debug)]
pub struct RawAnswer {
    /// `HTTP/1.1 200 OK`
    pub status_line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: String,
}

impl RawAnswer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The status code.
    ///
    /// # Panics
    /// When there is none.
    pub fn status(&self) -> u16 {
        let code = self.status_line.split(' ').nth(1);
        let code = code.and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("{:?} has no status", self.status_line))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status_line = lines.next()?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self {
            status_line,
            headers,
            body: body.to_owned(),
        })
    }
}

/// Sends these bytes to the server at `base` (`http://host:port`) and reads its answer to the end of the connection:
/// the request must say `Connection: close`, or be one after which the server closes.
///
/// # Panics
/// When there is no answer.
pub async fn raw_http(base: &str, request: Vec<u8>) -> RawAnswer {
    let answer = raw_exchange(base, request).await;
    answer.expect("the server answers with a head and a body")
}

/// The same; none where the server closes the connection without an answer.
///
/// # Panics
/// When it does neither in a minute.
pub async fn raw_exchange(base: &str, request: Vec<u8>) -> Option<RawAnswer> {
    let bytes = raw_bytes(base, request).await;
    RawAnswer::read(&bytes)
}

/// All that the server says to these bytes until it closes the connection.
///
/// # Panics
/// When it does not in a minute.
pub async fn raw_bytes(base: &str, request: Vec<u8>) -> Vec<u8> {
    let address = base.trim_start_matches("http://").to_owned();
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        // It may have had enough before it was all sent.
        if let Err(error) = stream.write_all(&request) {
            assert!(is_closed(&error), "{error}");
        }
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) => assert!(is_closed(&error), "{error}"),
        }
        bytes
    })
    .await
    .expect("the exchange does not panic")
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
