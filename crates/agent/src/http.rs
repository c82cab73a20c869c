//! Small HTTP/1.1 over TCP, TLS and Unix sockets: one connection a request, which is right for a request every half
//! minute and leaves nothing to keep alive or to grow stale.

use std::{
    future::{Future, pending},
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::Error;

/// More than any answer that the agent asks for.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is none that can be asked.
    #[error("{0} is no URL with http or https and a host")]
    Url(Uri),
    /// There is no connection.
    #[error("cannot connect to {0}: {1}")]
    Connect(String, #[source] io::Error),
    /// The other side does not speak HTTP, or stopped.
    #[error("no HTTP answer: {0}")]
    Protocol(#[from] hyper::Error),
    /// The answer's body.
    #[error("the answer can't be read: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
}

/// Carries a request to the server and its answer back. The agent does it by [`Web`]; whoever plays many agents in one
/// process has a shorter way.
pub trait Transport {
    /// Sends a request with an absolute URL.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, HttpError>> + Send;
}

/// HTTP and HTTPS to anywhere.
#[derive(Clone)]
pub struct Web {
    tls: TlsConnector,
    patience: Duration,
}

impl Web {
    /// Trusts the system's certificates and those of a file; a request takes at most `patience`.
    pub fn new(ca_file: Option<&Path>, patience: Duration) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        // Without any, a request to an https server tells so.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            let wrong = |error: &dyn std::fmt::Display| {
                Error::Config(format!(
                    "CaFile {} has no certificates in PEM: {error}",
                    path.display()
                ))
            };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(&error))?;
            if certificates.is_empty() {
                return Err(wrong(&"it has none"));
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Config(format!("TLS can't be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            patience,
        })
    }

    /// The same with another patience.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self {
            tls: self.tls.clone(),
            patience,
        }
    }

    async fn ask(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = request.uri().clone();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(HttpError::Url(uri));
        };
        let secure = scheme == "https";
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let connect = |error| HttpError::Connect(authority.to_string(), error);

        *request.uri_mut() = uri
            .path_and_query()
            .map_or_else(Uri::default, |path| path.clone().into());
        let name =
            HeaderValue::from_str(authority.as_str()).map_err(|_| HttpError::Url(uri.clone()))?;
        request.headers_mut().insert(HOST, name);
        let stream = TcpStream::connect((host, port)).await.map_err(connect)?;
        if !secure {
            return exchange(stream, request).await;
        }
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| HttpError::Url(uri.clone()))?;
        let stream = self.tls.connect(name, stream).await.map_err(connect)?;
        exchange(stream, request).await
    }
}

impl Transport for Web {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        timeout(self.patience, self.ask(request))
            .await
            .unwrap_or(Err(HttpError::TimedOut(self.patience)))
    }
}

/// HTTP over a Unix socket, as Docker speaks it.
#[derive(Debug, Clone)]
pub struct UnixSocket {
    /// The socket.
    pub path: PathBuf,
    /// How long a request may take.
    pub patience: Duration,
}

impl UnixSocket {
    /// Asks for a path.
    pub async fn get(&self, path: &str) -> Result<Response<Bytes>, HttpError> {
        let ask = async {
            let request = Request::get(path)
                .header(HOST, "docker")
                .body(Bytes::new())
                .map_err(|error| HttpError::Body(error.into()))?;
            let stream = UnixStream::connect(&self.path)
                .await
                .map_err(|error| HttpError::Connect(self.path.display().to_string(), error))?;
            exchange(stream, request).await
        };
        timeout(self.patience, ask)
            .await
            .unwrap_or(Err(HttpError::TimedOut(self.patience)))
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let carry = async {
        match connection.await {
            Err(error) => error,
            Ok(()) => pending().await,
        }
    };
    let answer = async {
        let (head, body) = sender
            .send_request(request.map(Full::new))
            .await?
            .into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(HttpError::Body)?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let mut answer = pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // It may have come in whole before; if not, this is the reason.
        error = carry => answer.await.map_err(|_| error.into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, serve::Listener};
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{ServerConfig, pki_types::PrivateKeyDer};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, tcp::OwnedReadHalf},
    };
    use tokio_rustls::{TlsAcceptor, server::TlsStream};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    struct Tls {
        tcp: TcpListener,
        acceptor: TlsAcceptor,
    }

    impl Listener for Tls {
        type Io = TlsStream<TcpStream>;
        type Addr = std::net::SocketAddr;

        async fn accept(&mut self) -> (Self::Io, Self::Addr) {
            loop {
                let (stream, from) = self.tcp.accept().await.unwrap();
                // Clients that don't trust the certificate go away.
                if let Ok(stream) = self.acceptor.accept(stream).await {
                    return (stream, from);
                }
            }
        }

        fn local_addr(&self) -> io::Result<Self::Addr> {
            self.tcp.local_addr()
        }
    }

    /// A server with a certificate of its own making for `localhost`; its port, and the certificate.
    async fn tls_server() -> (u16, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let app = Router::new().fallback(async || "it is me");
        tokio::spawn(async move { axum::serve(Tls { tcp, acceptor }, app).await.unwrap() });
        (port, certificate.pem())
    }

    fn get(url: &str) -> Request<Bytes> {
        Request::get(url).body(Bytes::new()).unwrap()
    }

    #[tokio::test]
    async fn a_server_is_believed_by_its_certificate_and_name_only() {
        let (port, pem) = tls_server().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, pem).unwrap();
        let trusting = Web::new(Some(&file), LONG).unwrap();
        let answer = trusting
            .send(get(&format!("https://localhost:{port}/a")))
            .await
            .unwrap();
        assert_eq!(answer.body(), "it is me");
        for (web, url) in [
            (&trusting, format!("https://127.0.0.1:{port}/")),
            (
                &Web::new(None, LONG).unwrap(),
                format!("https://localhost:{port}/"),
            ),
        ] {
            let error = web.send(get(&url)).await.unwrap_err();
            assert!(error.to_string().contains("certificate"), "{url}: {error}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for content in [
            "",
            "no PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, content).unwrap();
            let error = Web::new(Some(&file), LONG).err().unwrap().to_string();
            assert!(
                error.contains("CaFile") && error.contains("ca.pem"),
                "{error}"
            );
        }
    }

    /// A server that answers with this and then nothing more.
    async fn says(what: impl Into<Vec<u8>>) -> String {
        let what = what.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open: Vec<OwnedReadHalf> = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (mut read, mut write) = stream.into_split();
                read.read_u8().await.ok();
                write.write_all(&what).await.ok();
                write.forget();
                open.push(read);
            }
        });
        url
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_is_an_error_and_no_end() {
        let web = Web::new(None, LONG).unwrap();
        let url = says(b"220 mail.example.com ESMTP\r\n").await;
        let error = web.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Protocol(_)), "{error}");
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(LONGEST_ANSWER + 100, b' ');
        let url = says(endless).await;
        let error = web.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Body(_)), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_is_given_up() {
        let web = Web::new(None, Duration::from_millis(100)).unwrap();
        for beginning in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1",
        ] {
            let url = says(beginning).await;
            let error = web.send(get(&url)).await.unwrap_err();
            assert!(matches!(error, HttpError::TimedOut(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_url_is_told() {
        let web = Web::new(None, LONG).unwrap();
        let error = web.send(get("/a")).await.unwrap_err();
        assert!(matches!(error, HttpError::Url(_)), "{error}");
        let error = web.send(get("http://127.0.0.1:1/")).await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    }
}
