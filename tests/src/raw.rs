//! HTTP byte for byte, for what a well-behaved client neither sends nor shows.

use std::{
    io::{Read, Write},
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
}

/// Sends these bytes to the server at `base` (`http://host:port`) and reads its answer to the end of the connection:
/// the request must say `Connection: close`, or be one after which the server closes.
///
/// # Panics
/// When there is no answer.
pub async fn raw_http(base: &str, request: Vec<u8>) -> RawAnswer {
    let address = base.trim_start_matches("http://").to_owned();
    let bytes = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.write_all(&request).expect("the server reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the server answers");
        bytes
    })
    .await
    .expect("the exchange does not panic");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status_line = lines.next().expect("a status line").to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    RawAnswer {
        status_line,
        headers,
        body: body.to_owned(),
    }
}
