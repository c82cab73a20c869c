//! A host with the original agent 1.1.0 on it, as it behaves on the wire.

use std::{
    net::{IpAddr, Ipv4Addr},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use serde_json::{Value, json};
use sim::InstanceView;
use uuid::Uuid;

use crate::{Answer, World};

/// A machine with an agent on it.
pub struct Host {
    /// The machine's own address: each has another one of this machine's loopback addresses.
    pub address: IpAddr,
    /// The key and the certificate of its engine.
    pub identity: CertifiedKey<KeyPair>,
    /// The token that stands in its configuration.
    pub token: String,
    /// The authority whose clients its engine lets in, in PEM; empty until it has registered.
    pub authority: String,
    /// The node that it is; empty until it has registered.
    pub uuid: String,
    base: String,
    http: reqwest::Client,
}

impl Host {
    /// A new machine whose owner has given it this token.
    pub fn new(world: &World, token: &str) -> Self {
        let address = fresh_address();
        let names = vec![address.to_string()];
        Self {
            address,
            identity: generate_simple_self_signed(names).expect("a certificate"),
            token: token.to_owned(),
            authority: String::new(),
            uuid: String::new(),
            base: world.client.base.clone(),
            http: client_at(address),
        }
    }

    /// A new machine with a fresh token of the world's user.
    pub async fn brought(world: &World) -> Self {
        Self::new(world, &fresh_token(world).await)
    }

    /// The machine of an instance that Berth has launched: it has the token that stands in its user data.
    ///
    /// # Panics
    /// Where there is none.
    pub fn launched(world: &World, instance: &InstanceView) -> Self {
        let config = agent_config(instance).expect("a configuration of the agent");
        Self::new(world, config["Token"].as_str().expect("a token"))
    }

    /// A machine that has registered and announced its certificate.
    pub async fn registered(world: &World) -> Self {
        let mut host = Self::brought(world).await;
        host.register().await.expect(201);
        host.announce().await.expect(200);
        host
    }

    /// A machine that Berth has launched for this node.
    ///
    /// # Panics
    /// Where it can't be given a token.
    pub async fn of_node(world: &World, node: &Value) -> Self {
        let mut host = Self::new(world, &Uuid::new_v4().to_string());
        host.uuid = node["uuid"].as_str().expect("a node").to_owned();
        sqlx::query(
            "INSERT INTO node_token (id, namespace_id, sha256, node_id, used_at, used_from)
             SELECT gen_random_uuid(), namespace_id, sha256($1), id, now(), $2 FROM node WHERE id = $3::uuid",
        )
        .bind(host.token.as_bytes())
        .bind(host.address.to_string())
        .bind(&host.uuid)
        .execute(&world.pool)
        .await
        .expect("a token");
        host
    }

    /// The same machine, whose agent talks to another replica.
    pub fn talking_to(self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self
        }
    }

    /// The same machine under another address.
    pub fn moved(self) -> Self {
        self.at(fresh_address())
    }

    /// The same machine under this address.
    pub fn at(self, address: IpAddr) -> Self {
        Self {
            address,
            http: client_at(address),
            ..self
        }
    }

    /// One call of the agent's.
    pub async fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let mut request = self
            .http
            .request(method, format!("{}/api/agent/v1/{path}", self.base))
            .header(AUTHORIZATION, format!("TutumAgentToken {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "dockercloud-agent/1.1.0");
        if let Some(body) = body {
            request = request.body(body);
        }
        Answer::of(request.send().await.expect("the API answers")).await
    }

    async fn say(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.call(method, path, Some(body.to_string().into_bytes()))
            .await
    }

    /// Registers, and keeps the node's id as the agent does.
    pub async fn register(&mut self) -> Answer {
        let said = json!({"agent_version": "1.1.0"});
        let answer = self.say(Method::POST, "node/", &said).await;
        if let Some(uuid) = answer.body["uuid"].as_str() {
            self.uuid = uuid.to_owned();
        }
        if let Some(authority) = answer.body["user_ca_cert"].as_str() {
            self.authority = authority.to_owned();
        }
        answer
    }

    /// Registers as this instance, and keeps the token that it is told as Berth's own agent does.
    pub async fn register_as(&mut self, instance_id: &str) -> Answer {
        let said = json!({"agent_version": "0.1.0", "instance_id": instance_id});
        let answer = self.say(Method::POST, "node/", &said).await;
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        if let (Some(uuid), Some(token)) = (text("uuid"), text("token")) {
            (self.uuid, self.token) = (uuid, token);
        }
        answer
    }

    /// Announces itself, as at every start of the agent.
    pub async fn announce(&self) -> Answer {
        let said = json!({
            "public_cert": self.identity.cert.pem(),
            "agent_version": "1.1.0",
            "docker_version": "1.11.2-cs7",
        });
        self.patch(&said).await
    }

    /// Sends a PATCH of its node.
    pub async fn patch(&self, body: &Value) -> Answer {
        self.say(Method::PATCH, &format!("node/{}/", self.uuid), body)
            .await
    }

    /// Asks whether its engine can be reached, as the agent does when the engine has begun to start.
    pub async fn ping(&self) -> Answer {
        self.call(Method::POST, &format!("node/{}/ping/", self.uuid), None)
            .await
    }

    /// Sends a heartbeat of a small machine; `more` is told instead, or too.
    pub async fn heartbeat(&self, more: Value) -> Answer {
        let mut told = facts();
        if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
            told.extend(more);
        }
        self.heartbeat_of(told.to_string().into_bytes()).await
    }

    /// Sends these bytes as a heartbeat.
    pub async fn heartbeat_of(&self, body: Vec<u8>) -> Answer {
        let path = format!("node/{}/heartbeat/", self.uuid);
        self.call(Method::POST, &path, Some(body)).await
    }

    /// Asks how its node is.
    pub async fn get(&self) -> Answer {
        self.call(Method::GET, &format!("node/{}/", self.uuid), None)
            .await
    }

    /// The URI of its node for its owner.
    pub fn uri(&self) -> String {
        format!("/api/infra/v1/node/{}/", self.uuid)
    }
}

/// The agent's configuration in the user data of an instance; none where no agent is installed.
///
/// # Panics
/// Where the user data is no cloud-config as Berth writes it.
pub fn agent_config(instance: &InstanceView) -> Option<Value> {
    let data = STANDARD
        .decode(instance.user_data.as_ref()?)
        .expect("base64");
    let data = String::from_utf8(data).expect("a text");
    let config = data
        .strip_prefix("#cloud-config\n")
        .expect("a cloud-config");
    let config: Value = serde_json::from_str(config).expect("JSON");
    let content = config["write_files"][0]["content"].as_str()?;
    Some(serde_json::from_str(content).expect("JSON"))
}

/// What a small machine tells in a heartbeat.
pub fn facts() -> Value {
    json!({
        "agent_version": "0.1.0",
        "docker_version": "26.1.5",
        "docker_execdriver": "runc",
        "docker_graphdriver": "overlay2",
        "cpu": 2,
        "memory": 2_048_000,
        "disk": 30,
        "containers": 3,
        "private_ips": [{"name": "eth0", "CIDR": "10.78.112.4/18"}],
        "public_ip": null,
        "instance_id": null,
    })
}

/// A registration token of the world's user.
///
/// # Panics
/// Where the API gives none.
pub async fn fresh_token(world: &World) -> String {
    let answer = world.client.post("/api/infra/v1/token/", &json!({})).await;
    let answer = answer.expect(201);
    answer.body["token"].as_str().expect("a token").to_owned()
}

/// A loopback address that no other host of this process, and hardly one of another, has.
fn fresh_address() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let [.., of_process] = process::id().to_be_bytes();
    Ipv4Addr::new(127, of_process.max(1), high, low).into()
}

fn client_at(address: IpAddr) -> reqwest::Client {
    reqwest::Client::builder()
        .local_address(address)
        .build()
        .expect("a client")
}
