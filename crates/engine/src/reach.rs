//! Whether the engine of a host answers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pki::Certificate;
use rustls::{
    CertificateError, ClientConfig, Error as TlsError, crypto::aws_lc_rs, pki_types::ServerName,
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::pinned::Pinned;

/// Where engines listen with TLS: Docker's own port, and the one that the original agent gave its engine.
pub const PORTS: [u16; 2] = [2376, 2375];
/// An agent asks when its engine has begun to start, which may be a moment before it listens.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Why an engine can't be reached, in words for the owner of its node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// Nobody listens, or nothing comes through.
    #[error(
        "nothing answers at {address} on port {} or {}; a firewall or security group may close them",
        PORTS[0],
        PORTS[1]
    )]
    Silent {
        /// The host's address.
        address: IpAddr,
    },
    /// Somebody answers who is not the engine that the node announced.
    #[error(
        "at {address} answers another machine: it shows another certificate than the node has announced"
    )]
    Stranger {
        /// Where.
        address: SocketAddr,
    },
    /// Something answers that speaks no TLS, or refuses ours.
    #[error("at {address} something answers, but not as a Docker engine with TLS: {said}")]
    NoEngine {
        /// Where.
        address: SocketAddr,
        /// What went wrong.
        said: String,
    },
}

/// Asks the engine at `address`, which must have the key of `certificate`, for at most `patience`.
///
/// # Errors
/// [`Unreachable`], with the reason.
pub async fn reach(
    address: IpAddr,
    certificate: &Certificate,
    patience: Duration,
) -> Result<(), Unreachable> {
    let connector = connector(certificate);
    let reason = Mutex::new(Unreachable::Silent { address });
    // A port that is filtered answers never, so both are asked at the same time.
    let [one, other] =
        PORTS.map(|port| insist(&connector, SocketAddr::new(address, port), &reason));
    let answered = async {
        tokio::select! {
            () = one => {}
            () = other => {}
        }
    };
    match timeout(patience, answered).await {
        Ok(()) => Ok(()),
        Err(_) => Err(reason.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Asks at one port until the engine answers; notes what speaks against it.
async fn insist(connector: &TlsConnector, address: SocketAddr, reason: &Mutex<Unreachable>) {
    while let Err(told) = ask(connector, address).await {
        if let Some(told) = told {
            *reason.lock().unwrap_or_else(PoisonError::into_inner) = told;
        }
        sleep(ASK_AGAIN_AFTER).await;
    }
}

fn connector(certificate: &Certificate) -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Pinned::new(certificate.clone(), Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// One question at one port; without a reason nobody listens there.
async fn ask(connector: &TlsConnector, address: SocketAddr) -> Result<(), Option<Unreachable>> {
    let stream = TcpStream::connect(address).await.map_err(|_| None)?;
    let name = ServerName::from(address.ip());
    match connector.connect(name, stream).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Some(explain(&error, address))),
    }
}

fn explain(error: &std::io::Error, address: SocketAddr) -> Unreachable {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    let strange = CertificateError::ApplicationVerificationFailure;
    match tls {
        Some(TlsError::InvalidCertificate(why)) if *why == strange => {
            Unreachable::Stranger { address }
        }
        _ => Unreachable::NoEngine {
            address,
            said: error.to_string(),
        },
    }
}
