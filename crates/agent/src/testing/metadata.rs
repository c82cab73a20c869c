use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

use super::{Task, locked};

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
