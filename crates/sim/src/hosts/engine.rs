//! The Docker engine of a machine: TLS with the files of its agent, and as much of Docker's API ("Docker Engine API") as
//! tells that it is there.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use agent::machine::Played as _;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::machine::Machine;

/// The version of the API that goes with Docker 26.1, and the least one.
const API_VERSION: &str = "1.45";
const MIN_API_VERSION: &str = "1.24";

/// What the engine needs to speak TLS as `dockerd --tlsverify` does; `None` while a file of it is missing or broken.
pub(super) fn acceptor(machine: &Machine) -> Option<TlsAcceptor> {
    let [key, cert, ca] = machine.engine_files()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(authority.ok()?).ok()?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_client_cert_verifier(clients.build().ok()?)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(cert.as_bytes()).ok()?],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?,
        );
    Some(TlsAcceptor::from(Arc::new(config.ok()?)))
}

/// Serves one connection.
pub(super) async fn serve(
    machine: &Arc<Machine>,
    acceptor: TlsAcceptor,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer(machine, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

fn answer(machine: &Machine, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let is_reading = matches!(*method, Method::GET | Method::HEAD);
    let (status, body) = match unversioned(path) {
        "/_ping" if is_reading => (StatusCode::OK, None),
        "/info" if is_reading => (StatusCode::OK, Some(info(machine))),
        "/version" if is_reading => (StatusCode::OK, Some(version(machine))),
        "/containers/json" if is_reading => (StatusCode::OK, Some(json!([]))),
        _ => (
            StatusCode::NOT_FOUND,
            Some(json!({"message": "page not found"})),
        ),
    };
    let (kind, body) = match body {
        Some(body) => ("application/json", body.to_string()),
        None => ("text/plain; charset=utf-8", "OK".to_owned()),
    };
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().extend(headers(kind));
    answer
}

fn headers(kind: &'static str) -> HeaderMap {
    let all = [
        (header::CONTENT_TYPE, kind),
        (header::SERVER, "Docker (linux)"),
        (header::HeaderName::from_static("api-version"), API_VERSION),
        (
            header::HeaderName::from_static("docker-experimental"),
            "false",
        ),
        (header::HeaderName::from_static("ostype"), "linux"),
    ];
    all.into_iter()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
        .collect()
}

/// The path without a version before it, as `/v1.45/info` has one.
fn unversioned(path: &str) -> &str {
    let rest = path.strip_prefix("/v1.").and_then(|rest| {
        let (minor, _) = rest.split_once('/')?;
        minor
            .bytes()
            .all(|it| it.is_ascii_digit())
            .then(|| &rest[minor.len()..])
    });
    rest.unwrap_or(path)
}

fn info(machine: &Machine) -> Value {
    let has = machine.hardware();
    json!({
        "ID": machine.instance, "Name": machine.instance, "ServerVersion": machine.docker_version(),
        "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 0,
        "Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]], "DockerRootDir": "/var/lib/docker",
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Authorization": null, "Log": ["json-file"]},
        "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "IPv4Forwarding": true,
        "LoggingDriver": "json-file", "CgroupDriver": "systemd", "CgroupVersion": "2", "DefaultRuntime": "runc",
        "Runtimes": {"runc": {"path": "runc"}}, "LiveRestoreEnabled": false, "Swarm": {"LocalNodeState": "inactive"},
        "KernelVersion": "6.8.0-1021-aws", "OperatingSystem": "Ubuntu 24.04 LTS", "OSType": "linux",
        "Architecture": "x86_64", "NCPU": has.cpu, "MemTotal": has.memory_kb * 1024, "Labels": [], "Warnings": null,
    })
}

fn version(machine: &Machine) -> Value {
    json!({
        "Platform": {"Name": "Docker Engine - Community"}, "Version": machine.docker_version(),
        "ApiVersion": API_VERSION, "MinAPIVersion": MIN_API_VERSION, "Os": "linux", "Arch": "amd64",
        "KernelVersion": "6.8.0-1021-aws", "GitCommit": "8e96db1", "GoVersion": "go1.21.11",
    })
}

#[cfg(test)]
mod tests {
    use super::unversioned;

    #[test]
    fn the_api_is_the_same_with_and_without_a_version() {
        assert_eq!(unversioned("/v1.45/info"), "/info");
        for path in ["/info", "/v1.x/info", "/v1.45", "/v2/info"] {
            assert_eq!(unversioned(path), path);
        }
    }
}
