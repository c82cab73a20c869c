//! Small HTTP/1.1 over TCP, TLS and Unix sockets: one connection a request, which is right for a request every half
//! minute and leaves nothing to keep alive or to grow stale.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    path::{Path, PathBuf},
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
    // What goes wrong with the connection is told by the answer, too.
    let carry = async {
        connection.await.ok();
        pending::<Infallible>().await
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
    tokio::select! {
        answer = answer => answer,
        never = carry => match never {},
    }
}
