//! Stand-ins for everything around the agent: the server, the engine, the metadata service.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Error,
    agent::{Agent, Pace, Surroundings},
    config::{Config, Settings},
    http::Web,
    keys::tests::authority,
};

/// No test waits longer than this for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
pub(crate) const TOKEN: &str = "21268a001bcf40acb5c0884679d4fd1f";

pub(crate) fn web() -> Web {
    Web::new(None, Duration::from_secs(20)).unwrap()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task that ends with its owner.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One call to the server.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// register, announce, get, ping or heartbeat.
    pub(crate) name: &'static str,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Call {
    pub(crate) fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// A server that plays Berth: it knows what to answer, and can be told to answer otherwise.
pub(crate) struct FakeServer {
    pub(crate) url: String,
    pub(crate) node: Uuid,
    pub(crate) authority: String,
    shared: Arc<Shared>,
    _task: Task,
}

struct Shared {
    answers: Mutex<HashMap<&'static str, (u16, String)>>,
    once: Mutex<HashMap<&'static str, VecDeque<(u16, String)>>>,
    calls: watch::Sender<Vec<Call>>,
}

impl FakeServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            once: Mutex::default(),
            calls: watch::Sender::new(Vec::new()),
        });
        let app = Router::new().fallback(serve).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let mut server = Self {
            url,
            node: Uuid::nil(),
            authority: authority(),
            shared,
            _task: Task(task),
        };
        server.become_node(Uuid::from_u128(0x75d2_0367));
        server
    }

    /// From now on it answers as a server whose node this is.
    pub(crate) fn become_node(&mut self, node: Uuid) {
        self.node = node;
        let form = json!({
            "uuid": node, "external_fqdn": format!("{node}.node.example.com"),
            "user_ca_cert": self.authority, "docker_url": "", "ngrok_url": "", "public_ip": "203.0.113.9",
            "state": "Deploying",
        });
        self.set("register", 201, &form);
        self.set("announce", 200, &form);
        self.set("get", 200, &form);
        self.set("ping", 200, &json!({"reachable": true}));
        self.tell("Deployed");
    }

    /// What it answers to heartbeats.
    pub(crate) fn tell(&self, state: &str) {
        let fqdn = format!("{}.node.example.com", self.node);
        let answer = json!({"heartbeat_seconds": 3600, "state": state, "external_fqdn": fqdn});
        self.set("heartbeat", 200, &answer);
    }

    /// What it answers from now on.
    pub(crate) fn set(&self, name: &'static str, status: u16, body: &Value) {
        locked(&self.shared.answers).insert(name, (status, body.to_string()));
    }

    /// What it answers once, before anything else.
    pub(crate) fn once(&self, name: &'static str, status: u16, text: &str) {
        let mut once = locked(&self.shared.once);
        once.entry(name)
            .or_default()
            .push_back((status, text.to_owned()));
    }

    pub(crate) fn calls(&self, name: &str) -> Vec<Call> {
        let calls = self.shared.calls.borrow();
        calls
            .iter()
            .filter(|call| call.name == name)
            .cloned()
            .collect()
    }

    /// The names of all calls, in their order.
    pub(crate) fn order(&self) -> Vec<&'static str> {
        self.shared
            .calls
            .borrow()
            .iter()
            .map(|call| call.name)
            .collect()
    }

    /// Waits until a call of this name was answered for which this holds.
    pub(crate) async fn wait_for(&self, name: &str, holds: impl Fn(&Call) -> bool) -> Call {
        let mut calls = self.shared.calls.subscribe();
        let found = |calls: &Vec<Call>| calls.iter().any(|call| call.name == name && holds(call));
        let waited = timeout(DEADLINE, calls.wait_for(found)).await;
        let seen = self.calls(name);
        assert!(waited.is_ok(), "no such {name} among {seen:#?}");
        drop(waited);
        seen.into_iter().find(&holds).unwrap()
    }

    /// Waits until there were this many calls of this name, and returns the last of them.
    pub(crate) async fn wait_for_number(&self, name: &str, number: usize) -> Call {
        let mut calls = self.shared.calls.subscribe();
        let enough =
            |calls: &Vec<Call>| calls.iter().filter(|call| call.name == name).count() >= number;
        let waited = timeout(DEADLINE, calls.wait_for(enough)).await;
        assert!(
            waited.is_ok(),
            "fewer than {number} {name}: {:?}",
            self.order()
        );
        drop(waited);
        self.calls(name)[number - 1].clone()
    }
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path().to_owned();
    let below = path.strip_prefix("/api/agent/v1/node/").unwrap_or("?");
    let parts: Vec<_> = below.split('/').collect();
    let name = match (&head.method, parts.as_slice()) {
        (&Method::POST, [""]) => "register",
        (&Method::PATCH, [_, ""]) => "announce",
        (&Method::GET, [_, ""]) => "get",
        (&Method::POST, [_, "ping", ""]) => "ping",
        (&Method::POST, [_, "heartbeat", ""]) => "heartbeat",
        _ => return StatusCode::IM_A_TEAPOT.into_response(),
    };
    let once = locked(&shared.once)
        .get_mut(name)
        .and_then(VecDeque::pop_front);
    let (status, text) = once.unwrap_or_else(|| locked(&shared.answers)[name].clone());
    shared.calls.send_modify(|calls| {
        calls.push(Call {
            name,
            path,
            headers: head.headers,
            text: String::from_utf8(body.into()).unwrap(),
        });
    });
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// A Docker engine's socket.
pub(crate) struct FakeEngine {
    pub(crate) socket: PathBuf,
    answer: Arc<Mutex<String>>,
    _task: Task,
    _folder: TempDir,
}

impl FakeEngine {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        Self::start_at(socket, folder).await
    }

    #[expect(
        clippy::unused_async,
        reason = "it needs the runtime, as its siblings do"
    )]
    pub(crate) async fn start_at(socket: PathBuf, folder: TempDir) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = Arc::new(Mutex::new(String::new()));
        let app = Router::new()
            .fallback(
                |State(answer): State<Arc<Mutex<String>>>| async move { locked(&answer).clone() },
            )
            .with_state(answer.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let engine = Self {
            socket,
            answer,
            _task: Task(task),
            _folder: folder,
        };
        engine.set(|_| ());
        engine
    }

    /// Answers as an engine of which something is different.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Value)) {
        let mut info = json!({
            "ServerVersion": "26.1.5", "Driver": "overlay2", "DefaultRuntime": "runc", "Containers": 3,
            "ContainersRunning": 0, "LiveRestoreEnabled": false, "DockerRootDir": "/var/lib/docker",
            "Swarm": {"LocalNodeState": "inactive"}, "NCPU": 2,
        });
        change(&mut info);
        self.answer(&info.to_string());
    }

    pub(crate) fn answer(&self, text: &str) {
        text.clone_into(&mut locked(&self.answer));
    }
}

/// An instance metadata service, version 2 only.
pub(crate) struct FakeMetadata {
    pub(crate) url: String,
    shared: Arc<Mutex<Instance>>,
    _task: Task,
}

struct Instance {
    public_ip: Option<String>,
    session: u32,
}

impl FakeMetadata {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Instance {
            public_ip: None,
            session: 1,
        }));
        let app = Router::new().fallback(metadata).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            shared,
            _task: Task(task),
        }
    }

    pub(crate) fn set_public_ip(&self, ip: Option<&str>) {
        locked(&self.shared).public_ip = ip.map(str::to_owned);
    }

    pub(crate) fn expire_tokens(&self) {
        locked(&self.shared).session += 1;
    }
}

async fn metadata(State(instance): State<Arc<Mutex<Instance>>>, request: Request) -> Response {
    let instance = locked(&instance);
    let header = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
    let session = format!("session-{}", instance.session);
    let path = request.uri().path();
    if path == "/latest/api/token" {
        let lives = header("x-aws-ec2-metadata-token-ttl-seconds").is_some();
        let is_good = lives && request.method() == Method::PUT;
        return if is_good {
            session.into_response()
        } else {
            StatusCode::BAD_REQUEST.into_response()
        };
    }
    if header("x-aws-ec2-metadata-token") != Some(&session) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let item = match path {
        "/latest/meta-data/instance-id" => Some("i-0123456789abcdef0"),
        "/latest/meta-data/public-ipv4" => instance.public_ip.as_deref(),
        "/latest/dynamic/instance-identity/document" => {
            Some("{\n  \"instanceId\" : \"i-0123456789abcdef0\"\n}")
        }
        "/latest/dynamic/instance-identity/rsa2048" => Some("MIAG\nCSqG"),
        _ => None,
    };
    item.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |item| item.to_owned().into_response(),
    )
}

/// A machine for an agent to live on.
pub(crate) struct Machine {
    pub(crate) home: TempDir,
    pub(crate) settings: Settings,
}

impl Machine {
    /// One without Docker and away from EC2.
    pub(crate) fn new(server: &FakeServer) -> Self {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings {
            host: Some(server.url.clone()),
            token: Some(TOKEN.to_owned()),
            docker_socket: Some(home.path().join("docker.sock")),
            daemon_json: Some(home.path().join("daemon.json")),
            configure_docker: Some(false),
            metadata_url: Some("off".to_owned()),
            address_seconds: Some(1),
            ..Settings::default()
        };
        Self { home, settings }
    }

    /// Starts Docker, which the agent may restart: each restart is a line in the file `restarts`.
    pub(crate) async fn start_docker(&mut self) -> FakeEngine {
        let engine = FakeEngine::start().await;
        self.settings.docker_socket = Some(engine.socket.clone());
        engine
    }

    pub(crate) fn let_docker_be_configured(&mut self) {
        self.settings.configure_docker = Some(true);
        let restarts = self.path("restarts");
        self.settings.restart_command = Some(format!("echo >> '{}'", restarts.display()));
    }

    pub(crate) fn restarts(&self) -> usize {
        fs::read_to_string(self.path("restarts")).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.path(name))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name).unwrap()).unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(self.home.path(), self.settings.clone()).unwrap()
    }

    /// The agent, as it is after a boot.
    pub(crate) fn agent(&self) -> Agent<Web> {
        let surroundings = Surroundings {
            pace: Pace {
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(20),
                call: DEADLINE,
                metadata: Duration::from_secs(20),
                engine: Duration::from_millis(500),
                heartbeat: Duration::from_secs(3600),
            },
            web: web(),
            systemd: None,
            seed: 1,
        };
        Agent::new(self.config(), web(), surroundings).unwrap()
    }

    /// Boots: the agent lives until this is dropped.
    pub(crate) fn boot(&self) -> Alive {
        let mut agent = self.agent();
        Alive(tokio::spawn(async move {
            match agent.run().await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        }))
    }
}

impl Machine {
    /// Boots, and waits for the server's heartbeat of this number.
    pub(crate) async fn boot_until_heartbeat(&self, server: &FakeServer, number: usize) -> Alive {
        let agent = self.boot();
        server.wait_for_number("heartbeat", number).await;
        agent
    }
}

/// An agent that lives.
pub(crate) struct Alive(JoinHandle<Error>);

impl Alive {
    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Error {
        let ended = timeout(DEADLINE, &mut self.0).await;
        ended.expect("the agent has not ended").unwrap()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a call said it was from.
pub(crate) fn authorization(call: &Call) -> &str {
    call.headers[AUTHORIZATION].to_str().unwrap()
}
