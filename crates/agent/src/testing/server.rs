use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use uuid::Uuid;

use super::{DEADLINE, Task, locked};
use crate::keys::tests::authority;

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

    pub(crate) fn authorization(&self) -> &str {
        self.headers[AUTHORIZATION].to_str().unwrap()
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
