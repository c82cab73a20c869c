//! Whether the engine of a host answers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pki::{Certificate, Identity};
use rustls::{
    CertificateError, ClientConfig, Error as TlsError,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{Way, pinned::Pinned, way::NoConnection};

/// Where engines listen with TLS: Docker's own port, and the one that the original agent gave its engine.
pub const PORTS: [u16; 2] = [2376, 2375];
/// An agent asks when its engine has begun to start, which may be a moment before it listens.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The question (Docker Engine API, "Ping"), which needs no version of the API.
const PING: &[u8] = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
/// What stands before the status of the answer, and a blank.
const STATUS_LINE: &[u8] = b"HTTP/1.1";

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
    /// The proxy does not let us through.
    #[error("nothing answers at {address}: {said}")]
    NoWay {
        /// The host's address.
        address: IpAddr,
        /// In the proxy's words.
        said: String,
    },
    /// Berth has nothing to show to an engine.
    #[error("the engine was not asked: {said}")]
    NoIdentity {
        /// What went wrong.
        said: String,
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

/// Asks the engine at `address`, which must have the key of `certificate`, by this way, for at most `patience`.
///
/// # Errors
/// [`Unreachable`], with the reason.
pub async fn reach(
    way: &Way,
    address: IpAddr,
    certificate: &Certificate,
    identity: &Identity,
    patience: Duration,
) -> Result<(), Unreachable> {
    let connector = connector(certificate, identity).map_err(|error| Unreachable::NoIdentity {
        said: error.to_string(),
    })?;
    let reason = Mutex::new(Unreachable::Silent { address });
    // A port that is filtered answers never, so both are asked at the same time.
    let [one, other] =
        PORTS.map(|port| insist(way, &connector, SocketAddr::new(address, port), &reason));
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
async fn insist(
    way: &Way,
    connector: &TlsConnector,
    address: SocketAddr,
    reason: &Mutex<Unreachable>,
) {
    while let Err(told) = ask(way, connector, address).await {
        if let Some(told) = told {
            let mut reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
            // What somebody behind one port said is worth more than that there is no way to the other one.
            let is_no_way = |it: &Unreachable| {
                matches!(it, Unreachable::Silent { .. } | Unreachable::NoWay { .. })
            };
            if is_no_way(&reason) || !is_no_way(&told) {
                *reason = told;
            }
        }
        sleep(ASK_AGAIN_AFTER).await;
    }
}

fn connector(certificate: &Certificate, identity: &Identity) -> Result<TlsConnector, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Pinned::new(certificate.clone(), Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(
            vec![identity.certificate_der()],
            PrivateKeyDer::Pkcs8(identity.key_der()),
        )?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// One question at one port; without a reason nobody listens there.
async fn ask(
    way: &Way,
    connector: &TlsConnector,
    address: SocketAddr,
) -> Result<(), Option<Unreachable>> {
    let stream = way.connect(address).await.map_err(|why| match why {
        NoConnection::Silent => None,
        NoConnection::Refused(said) => Some(Unreachable::NoWay {
            address: address.ip(),
            said,
        }),
    })?;
    let name = ServerName::from(address.ip());
    let answer = async {
        let mut engine = connector.connect(name, stream).await?;
        engine.write_all(PING).await?;
        // In TLS 1.3 an engine tells only here that it does not let us in.
        let mut answer = vec![0; STATUS_LINE.len() + 4];
        engine.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match answer.await {
        Ok(answer) if answer.ends_with(b" 200") => Ok(()),
        Ok(answer) => Err(Some(Unreachable::NoEngine {
            address,
            said: format!("it answered {:?}", String::from_utf8_lossy(&answer)),
        })),
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
