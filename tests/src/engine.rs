//! A stand-in for a host's Docker engine: its TLS, and the question whether it is there.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::Host;

/// The port of Docker's own choice.
pub const DOCKER_PORT: u16 = 2376;
/// The port that the original agent gives its engine.
pub const ORIGINAL_PORT: u16 = 2375;

/// A running engine; it ends when it is dropped.
pub struct Engine(JoinHandle<()>);

impl Engine {
    /// The engine of a host.
    pub async fn start(host: &Host) -> Self {
        Self::with_identity_of(host, host, DOCKER_PORT).await
    }

    /// An engine on a host, at this port, that has the key and the certificate of another one.
    ///
    /// # Panics
    /// Where the port is taken.
    pub async fn with_identity_of(host: &Host, identity: &Host, port: u16) -> Self {
        let identity = &identity.identity;
        let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
        let address = SocketAddr::new(host.address, port);
        let certificate = identity.cert.der().clone();
        Self::listen(
            address,
            PrivateKeyDer::Pkcs8(key),
            certificate,
            &host.authority,
        )
        .await
    }

    /// An engine with the files that Berth's agent has made for it: `--tlskey`, `--tlscert`, `--tlscacert`.
    ///
    /// # Panics
    /// Where one is missing, or the port is taken.
    pub async fn with_files_of_agent(home: &Path, address: SocketAddr) -> Self {
        let key = PrivateKeyDer::from_pem_file(home.join("key.pem")).expect("a key");
        let certificate = CertificateDer::from_pem_file(home.join("cert.pem"));
        let authority = fs::read_to_string(home.join("ca.pem")).expect("an authority");
        Self::listen(
            address,
            key,
            certificate.expect("a certificate"),
            &authority,
        )
        .await
    }

    async fn listen(
        address: SocketAddr,
        key: PrivateKeyDer<'static>,
        certificate: CertificateDer<'static>,
        authority: &str,
    ) -> Self {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(clients_of(authority))
            .with_single_cert(vec![certificate], key)
            .expect("an identity");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.expect("a free port");
        Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(acceptor.clone(), stream));
            }
        }))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `--tlsverify --tlscacert`: only who has a certificate of this authority is let in.
fn clients_of(authority: &str) -> Arc<dyn ClientCertVerifier> {
    let authority = CertificateDer::from_pem_slice(authority.as_bytes()).expect("an authority");
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("an authority's certificate");
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .expect("an authority to trust")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Answers one request as an engine answers `GET /_ping`. Whoever leaves before is let go.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let said = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK";
    if stream.write_all(said.as_bytes()).await.is_ok() {
        // The client may have left already.
        drop(stream.shutdown().await);
    }
}
