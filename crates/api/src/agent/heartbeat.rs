//! `POST /api/agent/v1/node/{uuid}/heartbeat/`: Berth's own agent tells that its machine lives, and how it is.

use axum::{Json, extract::State};
use domain::{
    cluster::Invalid,
    heartbeat::{Facts, Told},
    host::follow,
    ids::NodeId,
    state::NodeState,
    upgrade::Report,
};
use serde::Serialize;
use store::{
    host::{self, Answer, Beat, Heard},
    upgrade,
};
use utoipa::{ToSchema, openapi::Object};
use uuid::Uuid;

use super::auth::{Agent, Presented, REMOVED, UNKNOWN, not_its_node};
use crate::{
    App,
    answer::Id,
    body::{JsonBody, Members},
    docs,
    error::{ApiError, ErrorBody},
};

/// What a machine tells of itself.
// Only there for the specification: `read` takes the members one by one.
#[derive(ToSchema)]
#[schema(example = json!({
    "agent_version": "0.1.0", "docker_version": "26.1.5", "docker_execdriver": "runc",
    "docker_graphdriver": "overlay2", "cpu": 2, "memory": 1_015_000, "disk": 60, "containers": 3,
    "private_ips": [{"name": "eth0", "CIDR": "10.78.112.4/18"}], "public_ip": "203.0.113.25", "instance_id": null
}))]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct HeartbeatFacts {
    /// The agent's version.
    #[schema(max_length = 128)]
    agent_version: String,
    /// The engine's version; what the engine does not tell stays.
    #[schema(max_length = 128)]
    docker_version: Option<String>,
    /// The engine's execution driver.
    #[schema(max_length = 128)]
    docker_execdriver: Option<String>,
    /// The engine's storage driver.
    #[schema(max_length = 128)]
    docker_graphdriver: Option<String>,
    /// Cores.
    #[schema(minimum = 0, maximum = 100_000)]
    cpu: i64,
    /// Memory in kB.
    #[schema(minimum = 0)]
    memory: i64,
    /// The disk in GB.
    #[schema(minimum = 0)]
    disk: i64,
    /// How many containers run.
    #[schema(minimum = 0, maximum = 1_000_000)]
    containers: i64,
    /// The addresses of the interfaces.
    private_ips: Vec<InterfaceAddress>,
    /// The address on the internet, where the machine knows it; else it is the one that it calls from.
    public_ip: Option<String>,
    /// The EC2 instance that the machine is, where it is one.
    instance_id: Option<String>,
    /// What has become of the upgrade of the engine that was ordered.
    upgrade: Option<UpgradeReport>,
}

/// What has become of an upgrade that was ordered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct UpgradeReport {
    /// The order's id; a report of another order is ignored.
    #[schema(example = "5b4b2f64-9f4a-4c5f-8c6e-0d2f5f0c7b1e")]
    order: String,
    /// `Running`, `Success` or `Failed`.
    #[schema(example = "Success")]
    outcome: String,
    /// The engine's new version, or what went wrong.
    #[schema(example = "27.0.1")]
    message: Option<String>,
}

/// An address of an interface.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the schema is what it is for")]
pub(crate) struct InterfaceAddress {
    /// The interface.
    #[schema(example = "eth0")]
    name: String,
    /// The address with the length of its network's prefix.
    #[schema(rename = "CIDR", example = "10.78.112.4/18")]
    cidr: String,
}

/// What an agent is told in return.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Heartbeat {
    /// After so many seconds the next one is awaited.
    #[schema(example = 30)]
    heartbeat_seconds: u64,
    #[schema(schema_with = states)]
    state: &'static str,
    /// The name under which the node can be reached.
    #[schema(example = "203.0.113.25")]
    external_fqdn: String,
    /// The id of an order to upgrade the engine, as long as it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "5b4b2f64-9f4a-4c5f-8c6e-0d2f5f0c7b1e")]
    upgrade: Option<Uuid>,
}

fn states() -> Object {
    let all = NodeState::ALL.iter().map(|state| state.as_str());
    docs::state(all, "How far the node is.")
}

/// Tell that one's own machine lives
///
/// A node whose agent has sent heartbeats is `Unreachable` when they stay away, and `Deployed` again when they return.
/// Unknown members are ignored; what can't be taken changes nothing.
#[utoipa::path(
    post,
    path = "/api/agent/v1/node/{uuid}/heartbeat/",
    operation_id = "send_heartbeat",
    tag = "Agents",
    params(("uuid" = Uuid, Path, description = "The node's id.")),
    request_body = HeartbeatFacts,
    responses(
        (status = 200, description = "It was heard.", body = Heartbeat),
        (status = 400, description = "A member is missing or can't be taken; the error names it.", body = ErrorBody),
        (status = 404, description = "The token is of no such node.", body = ErrorBody),
        (status = 413, description = "The body is larger than 1 MiB.", body = ErrorBody),
    )
)]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    presented: Presented,
    id: Id,
    body: Result<JsonBody, ApiError>,
) -> Result<Json<Heartbeat>, ApiError> {
    let facts = match body.and_then(|body| Ok(Facts::new(read(body.members)?)?)) {
        Ok(facts) => facts,
        // Strangers are told that they are, and nothing else.
        Err(refusal) => {
            Agent::check(&app, presented, id).await?;
            return Err(refusal);
        }
    };
    let (node, limits) = (NodeId(id.0), app.hosts.limits);
    let report = facts.upgrade.clone();
    let heard = hear(&app, presented, node, facts).await?;
    let mut state = follow(heard.state, heard.contact.reach(heard.now, limits));
    if state != heard.state {
        // A row is locked, and an event written, only where something changes.
        let mut tx = app.pool.begin().await?;
        let changed = host::settle(&mut tx, node, limits).await?;
        let settled = host::get(&mut tx, node).await?;
        tx.commit().await?;
        super::tell(&app, changed.and_then(|changed| changed.news)).await?;
        state = settled.map_or(state, |host| host.state);
    }
    let mut order = None;
    // To an agent the state alone is an order, whose id it must be told.
    if heard.is_upgraded || state == NodeState::Upgrading {
        let mut tx = app.pool.begin().await?;
        let told = upgrade::tell(&mut tx, node, report.as_ref()).await?;
        tx.commit().await?;
        (state, order) = told.map(|told| (told.state, told.order)).ok_or(REMOVED)?;
    }
    Ok(Json(Heartbeat {
        heartbeat_seconds: app.hosts.heartbeat.as_secs(),
        state: state.as_str(),
        external_fqdn: heard.external_fqdn,
        upgrade: order,
    }))
}

/// Finds out whose heartbeat it is, and writes it down.
async fn hear(
    app: &App,
    presented: Presented,
    node: NodeId,
    facts: Facts,
) -> Result<Heard, ApiError> {
    let (address, is_address_told) = match facts.public_ip {
        Some(address) => (address.to_string(), true),
        None => (presented.from.clone(), false),
    };
    let beat = Beat {
        token_sha256: presented.sha256,
        node,
        address: address.clone(),
        is_address_told,
        facts,
    };
    let heard = match app
        .heartbeats
        .hear(&app.pool, beat, app.hosts.limits)
        .await?
    {
        Answer::Heard(heard) => heard,
        Answer::UnknownToken => {
            presented.is_wrong(app);
            return Err(UNKNOWN);
        }
        Answer::NotItsNode => return Err(not_its_node(node.0)),
        Answer::Gone | Answer::Busy => return Err(REMOVED),
    };
    presented.is_right(app);
    if heard.has_moved {
        tracing::info!(%node, address, "node {node} has another address");
    }
    Ok(heard)
}

fn read(mut body: Members) -> Result<Told, Invalid> {
    let private_ips = body.objects("private_ips")?.map(|interfaces| {
        let read = |mut interface: Members| {
            let name = interface.text("name")?.unwrap_or_default();
            // A node's own field spells it small.
            let cidr = match interface.text("CIDR")? {
                Some(cidr) => cidr,
                None => interface.text("cidr")?.unwrap_or_default(),
            };
            Ok((name, cidr))
        };
        interfaces
            .into_iter()
            .map(read)
            .collect::<Result<_, Invalid>>()
    });
    let upgrade = body.optional_object("upgrade")?.map(|mut told| {
        let (outcome, message) = (told.text("outcome")?, told.text("message")?);
        Report::new(told.text("order")?, outcome.as_deref(), message.as_deref())
    });
    Ok(Told {
        agent_version: body.text("agent_version")?,
        docker_version: body.text("docker_version")?,
        docker_execdriver: body.text("docker_execdriver")?,
        docker_graphdriver: body.text("docker_graphdriver")?,
        cpu: body.integer("cpu")?,
        memory: body.integer("memory")?,
        disk: body.integer("disk")?,
        containers: body.integer("containers")?,
        private_ips: private_ips.transpose()?,
        public_ip: body.text("public_ip")?,
        instance_id: body.text("instance_id")?,
        upgrade: upgrade.transpose()?,
    })
}
