//! How an agent's calls leave its machine, and what the console shows of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use agent::http::{HttpError, Transport, Web};
use axum::body::Bytes;
use axum::http::{Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::machine::Machine;
use super::{locked, metadata};

/// As the agent itself waits.
const PATIENCE: Duration = Duration::from_secs(30);
/// As many calls as are under way at once, and so the most connections. A server's queue of new ones often has room for
/// 128, and thousands of agents may start together.
const AT_ONCE: usize = 100;
/// As much of a refusal as the console shows.
const EXCERPT: usize = 200;

/// The ways out of this process, which all machines share. Connections are kept: thousands of agents that open one for
/// each heartbeat would use up the ports of the machine that plays them.
#[derive(Clone)]
pub(super) struct Roads {
    turns: Arc<Semaphore>,
    plain: Arc<OnceLock<Option<reqwest::Client>>>,
    secure: Arc<OnceLock<Option<Web>>>,
}

impl Default for Roads {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            plain: Arc::default(),
            secure: Arc::default(),
        }
    }
}

impl Roads {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // It is never closed, so that there is a turn for everybody.
        let _turn = self.turns.acquire().await;
        if request.uri().scheme_str() == Some("https") {
            let web = self.secure.get_or_init(|| Web::new(None, PATIENCE).ok());
            let web = web.as_ref().ok_or_else(|| no_way("TLS can't be used"))?;
            return web.send(request).await;
        }
        let client = self.plain.get_or_init(|| {
            let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
            client.build().ok()
        });
        let client = client
            .as_ref()
            .ok_or_else(|| no_way("there is no HTTP client"))?;
        let to = request.uri().to_string();
        let failed =
            |error: reqwest::Error| HttpError::Connect(to.clone(), io::Error::other(error));
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let answer = client.execute(request).await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        Ok(answer)
    }
}

fn no_way(reason: &str) -> HttpError {
    HttpError::Body(reason.into())
}

/// What an agent calls by: its metadata service in this process, and its server by one of the [`Roads`].
#[derive(Clone)]
pub(super) struct Wire {
    machine: Arc<Machine>,
    roads: Roads,
    /// What the console showed last of each call, so that what is tried again and again is one line.
    shown: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Wire {
    pub(super) fn new(machine: Arc<Machine>, roads: Roads) -> Self {
        Self {
            machine,
            roads,
            shown: Arc::default(),
        }
    }

    async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if !self.machine.can_call() {
            let to = request.uri().authority();
            let to = to.map_or_else(String::new, ToString::to_string);
            return Err(HttpError::Connect(
                to,
                io::ErrorKind::NetworkUnreachable.into(),
            ));
        }
        self.roads.send(request).await
    }

    fn show(&self, what: String, outcome: &Result<Response<Bytes>, HttpError>) {
        let line = match outcome {
            Ok(answer) if is_success(answer.status()) => format!("{what}: {}", answer.status()),
            Ok(answer) => {
                let said = String::from_utf8_lossy(answer.body());
                let said: String = said
                    .chars()
                    .map(|char| if char.is_control() { ' ' } else { char })
                    .take(EXCERPT)
                    .collect();
                format!("{what}: {}: {said}", answer.status())
            }
            Err(error) => format!("{what}: {error}"),
        };
        let mut shown = locked(&self.shown);
        if shown.get(&what) != Some(&line) {
            self.machine.say("berth-agent[1042]", &line);
            shown.insert(what, line);
        }
    }
}

fn is_success(status: StatusCode) -> bool {
    status.is_success()
}

impl Transport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        if request.uri().host() == Some(metadata::ADDRESS) {
            return self.machine.metadata(&request);
        }
        let what = format!("{} {}", request.method(), request.uri());
        let outcome = self.call(request).await;
        self.show(what, &outcome);
        outcome
    }
}
