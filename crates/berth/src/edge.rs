//! What stands between the network and the API, as the flags say.

use std::{net::IpAddr, sync::Arc};

use api::{Edge, Tls};
use ipnet::IpNet;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tracing::{error, info};

use crate::{Error, cli::EdgeOptions};

/// The edge that the flags ask for.
pub(crate) fn given(options: EdgeOptions) -> Result<Edge, Error> {
    let networks = options.trusted_proxies.iter().map(|text| text.trim());
    let networks = networks.filter(|text| !text.is_empty()).map(network);
    let tls = match (options.tls_certificate, options.tls_key) {
        (Some(certificate), Some(key)) => {
            let tls = Tls::load(certificate, key);
            Some(Arc::new(
                tls.map_err(|error| Error::Usage(error.to_string()))?,
            ))
        }
        // Each requires the other one.
        _ => None,
    };
    Ok(Edge {
        requests_per_second: options.requests_per_second,
        failed_logins_per_minute: options.failed_logins_per_minute,
        connections: options.connections as usize,
        connections_per_address: options.connections_per_address as usize,
        trusted_proxies: networks.collect::<Result<_, _>>()?,
        tls,
        ..Edge::default()
    })
}

/// A network, or a single address.
fn network(text: &str) -> Result<IpNet, Error> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(address).ok_or_else(|| {
        Error::Usage(format!(
            "--trusted-proxies: {text:?} is no network; write 10.0.0.0/8, or a single address"
        ))
    })
}

/// Reads the certificate anew at each SIGHUP, until it is aborted.
pub(crate) fn reload_at_sighup(tls: Arc<Tls>) -> Result<JoinHandle<()>, Error> {
    let mut asked = signal(SignalKind::hangup())
        .map_err(|error| Error::Io("SIGHUP can't be waited for".into(), error))?;
    Ok(tokio::spawn(async move {
        while asked.recv().await.is_some() {
            match tls.reload() {
                Ok(()) => info!("the certificate was read anew"),
                Err(error) => {
                    error!(%error, "the certificate can't be read anew; the one that there was stays")
                }
            }
        }
    }))
}
