//! A Docker client as far as TLS: `docker --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem -H …`.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Asks an engine with a client bundle of the API. It is verified by its name as Docker's client does, and answers with what
/// it said.
///
/// # Errors
/// Where one of the two does not trust the other.
///
/// # Panics
/// Where the bundle is none.
pub async fn docker_ping(bundle: &Value, address: SocketAddr) -> io::Result<String> {
    let pem = |name: &str| bundle[name].as_str().expect("a bundle").as_bytes();
    let mut roots = RootCertStore::empty();
    for trusted in CertificateDer::pem_slice_iter(pem("ca")) {
        let trusted = trusted.expect("a certificate");
        roots.add(trusted).expect("a certificate to trust");
    }
    let certificate = CertificateDer::from_pem_slice(pem("cert")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pem("key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .expect("a certificate and its key");
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let mut engine = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    engine
        .write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
        .await?;
    let mut said = String::new();
    engine.read_to_string(&mut said).await?;
    Ok(said)
}
