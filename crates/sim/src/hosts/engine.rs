//! The Docker engine of a machine: TLS with the files of its agent, and as much of Docker's API ("Docker Engine API") as
//! tells that it is there, and as [`containers`](super::containers) has.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use agent::machine::Played as _;
use axum::body::Bytes;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
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
use crate::simulator::Simulator;
use crate::state::Millis;

/// The version of the API that goes with Docker 26.1, and the least one.
const API_VERSION: &str = "1.45";
const MIN_API_VERSION: &str = "1.24";
/// No request that is understood has a longer body.
const LONGEST_BODY: usize = 1 << 20;

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

/// What the engine answers.
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(body: &Value) -> Self {
        Self::stream("application/json", body.to_string().into_bytes())
    }

    pub(super) fn stream(kind: &'static str, body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            kind,
            body,
        }
    }

    pub(super) fn nothing() -> Self {
        Self::stream("text/plain", Vec::new()).with(StatusCode::NO_CONTENT)
    }

    pub(super) fn refusal(status: StatusCode, message: &str) -> Self {
        Self::json(&json!({"message": message})).with(status)
    }

    pub(super) fn not_found() -> Self {
        Self::refusal(StatusCode::NOT_FOUND, "page not found")
    }

    pub(super) fn with(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// Serves one connection.
pub(super) async fn serve(
    simulator: &Simulator,
    machine: &Arc<Machine>,
    acceptor: TlsAcceptor,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LONGEST_BODY).collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        let Answer { status, kind, body } = answer(machine, &head, &body, simulator.now());
        let mut answer = Response::new(Full::<Bytes>::from(body));
        *answer.status_mut() = status;
        answer.headers_mut().extend(headers(kind));
        Ok::<_, io::Error>(answer)
    });
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

fn answer(machine: &Machine, head: &Parts, body: &[u8], now: Millis) -> Answer {
    let path: Vec<&str> = unversioned(head.uri.path()).split('/').skip(1).collect();
    let query = Query::<BTreeMap<String, String>>::try_from_uri(&head.uri);
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let asked = |name: &str| query.get(name).map(String::as_str);
    let mut containers = machine.containers();
    match (head.method.as_str(), path.as_slice()) {
        ("GET" | "HEAD", ["_ping"]) => Answer::stream("text/plain; charset=utf-8", b"OK".to_vec()),
        ("GET", ["info"]) => Answer::json(&info(machine, containers.count())),
        ("GET", ["version"]) => Answer::json(&version(machine)),
        ("GET", ["images", "json"]) => containers.images(),
        ("POST", ["images", "create"]) => containers.pull(
            asked("fromImage").unwrap_or_default(),
            asked("tag").unwrap_or_default(),
        ),
        ("GET", ["containers", "json"]) => {
            containers.list(matches!(asked("all"), Some("1" | "true")))
        }
        ("POST", ["containers", "create"]) => match serde_json::from_slice(body) {
            Ok(body) => containers.create(&machine.instance, asked("name"), &body, now),
            Err(error) => Answer::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        (method, ["containers", id]) => containers.of_one(method, id, ""),
        (method, ["containers", id, what]) => containers.of_one(method, id, what),
        _ => Answer::not_found(),
    }
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

fn info(machine: &Machine, (containers, images): (usize, usize)) -> Value {
    let has = machine.hardware();
    json!({
        "ID": machine.instance, "Name": machine.instance, "ServerVersion": machine.docker_version(),
        "Containers": containers, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": containers,
        "Images": images,
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
