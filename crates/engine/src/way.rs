//! The way to engines: straight, or through an HTTP proxy.

use std::{fmt, io, net::SocketAddr, str::FromStr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer of a proxy before what is beyond it speaks.
const LONGEST_HEAD: usize = 8 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// As much of a refusal's reason as is told.
const LONGEST_REASON: usize = 200;

/// How engines are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Way {
    /// Straight.
    #[default]
    Straight,
    /// Through a proxy.
    Through(Proxy),
}

/// An HTTP proxy, which is asked by CONNECT (RFC 9110, section 9.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name or an address; one of IPv6 is in brackets.
    host: String,
    port: u16,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// Nobody listens there.
    Silent,
    /// The proxy does not connect us; in its words.
    Refused(String),
}

impl Way {
    /// Through this proxy, where there is one.
    pub fn through(proxy: Option<Proxy>) -> Self {
        proxy.map_or(Self::Straight, Self::Through)
    }

    pub(crate) async fn connect(&self, to: SocketAddr) -> Result<TcpStream, NoConnection> {
        match self {
            Self::Straight => TcpStream::connect(to)
                .await
                .map_err(|_| NoConnection::Silent),
            Self::Through(proxy) => proxy.connect(to).await,
        }
    }
}

impl Proxy {
    async fn connect(&self, to: SocketAddr) -> Result<TcpStream, NoConnection> {
        let failed = |error: io::Error| {
            NoConnection::Refused(format!("the proxy {self} does not answer: {error}"))
        };
        let name = self.host.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((name, self.port))
            .await
            .map_err(failed)?;
        let ask = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.map_err(failed)?;
        let head = head(&mut stream).await.map_err(failed)?;
        match said(&head) {
            // Any 2xx makes it a tunnel.
            Some((status, _)) if status.starts_with('2') => Ok(stream),
            Some((status, reason)) => Err(NoConnection::Refused(format!(
                "the proxy {self} answers {status} {reason}"
            ))),
            None => Err(NoConnection::Refused(format!(
                "what answers at {self} is no HTTP proxy"
            ))),
        }
    }
}

/// Reads up to the end of the answer's head and not one byte more: the rest is the engine's.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(END_OF_HEAD) {
        if head.len() >= LONGEST_HEAD {
            return Err(io::Error::other("its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The status and the reason of an answer.
fn said(head: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(head);
    let (version, rest) = text.lines().next()?.split_once(' ')?;
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    let shown = reason.chars().filter(|char| !char.is_control());
    (version.starts_with("HTTP/1.") && is_status)
        .then(|| (status.to_owned(), shown.take(LONGEST_REASON).collect()))
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Proxy {
    fn from(address: SocketAddr) -> Self {
        let host = match address {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        Self {
            host,
            port: address.port(),
        }
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix("http://").and_then(|rest| {
            let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
            let is_bare =
                !host.contains(['/', '@', '?', '#']) && !host.contains(char::is_whitespace);
            let is_host = host.starts_with('[') && host.ends_with(']') || !host.contains(':');
            let port = port.parse().ok().filter(|port| *port > 0)?;
            (!host.is_empty() && is_bare && is_host).then(|| (host.to_owned(), port))
        });
        let (host, port) =
            parts.ok_or("must be as http://HOST:PORT, without a user, a password or a path")?;
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        for good in [
            "http://127.0.0.1:4566",
            "http://proxy:3128",
            "http://[::1]:80",
        ] {
            assert_eq!(good.parse::<Proxy>().unwrap().to_string(), good);
            assert_eq!(
                format!("{good}/").parse::<Proxy>().unwrap().to_string(),
                good
            );
        }
        for bad in [
            "",
            "proxy:3128",
            "https://proxy:3128",
            "http://proxy",
            "http://:80",
            "http://proxy:0",
            "http://me:secret@proxy:80",
            "http://proxy/a:80",
            "http://::1:80",
            "http://a b:80",
        ] {
            assert!(bad.parse::<Proxy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_is_a_status_and_a_reason() {
        let read = |text: &str| said(text.as_bytes());
        let some = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\n"), some("200", "OK"));
        assert_eq!(read("HTTP/1.0 200\r\n\r\n"), some("200", ""));
        assert_eq!(read("HTTP/1.1 403 no \x1b[1m\r\n"), some("403", "no [1m"));
        for bad in [
            "",
            "\r\n\r\n",
            "SSH-2.0-x y\r\n",
            "HTTP/1.1 2000 OK\r\n",
            "HTTP/1.1 xyz",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    /// Connects through a proxy that answers so; what follows is what the other side hears and says.
    async fn through(answer: &'static [u8]) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::from(listener.local_addr().unwrap());
        let played = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = head(&mut stream).await.unwrap();
            stream.write_all(answer).await.unwrap();
            String::from_utf8(asked).unwrap()
        });
        let to = "203.0.113.7:2376".parse().unwrap();
        let connected = Way::through(Some(proxy)).connect(to).await;
        let asked = "CONNECT 203.0.113.7:2376 HTTP/1.1\r\nHost: 203.0.113.7:2376\r\n\r\n";
        assert_eq!(played.await.unwrap(), asked);
        match connected {
            Ok(mut stream) => {
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await.unwrap();
                Ok(heard)
            }
            Err(NoConnection::Refused(said)) => Err(said),
            Err(NoConnection::Silent) => Err("silent".to_owned()),
        }
    }

    #[tokio::test]
    async fn what_comes_after_the_answer_of_a_proxy_is_the_engines() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 a\r\n\r\nthe engine";
        assert_eq!(through(answer).await, Ok("the engine".to_owned()));
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_connect_us_is_told_of_in_its_own_words() {
        for (answer, words) in [
            (
                &b"HTTP/1.1 403 not for you\r\n\r\n"[..],
                "answers 403 not for you",
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is no HTTP proxy"),
            (b"HTTP/1.1 200 OK\r\n", "does not answer: "),
            (b"", "does not answer: "),
        ] {
            let said = through(answer).await.unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        let endless: &[u8] = &[b'a'; LONGEST_HEAD];
        let said = through(endless).await.unwrap_err();
        assert!(said.contains("its answer has no end"), "{said}");
    }
}
