//! The control API below `/_sim/`: what [`Simulator`] offers to Rust, as JSON over HTTP.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use crate::faults::Fault;
use crate::simulator::Simulator;
use crate::view::{InstanceView, RecordedCall};
use crate::{default_account, server};

fn usual_account() -> String {
    default_account().to_owned()
}

/// A region of an account.
#[derive(Deserialize)]
struct Place {
    #[serde(default = "usual_account")]
    account: String,
    region: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsoleOrder {
    #[serde(default = "usual_account")]
    account: String,
    region: String,
    instance_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    access_key: String,
    action: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capacity {
    #[serde(default = "usual_account")]
    account: String,
    region: String,
    zone: String,
    instance_type: String,
    limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    action: String,
    fault: Fault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: u64,
}

pub(crate) fn router(simulator: Simulator) -> Router {
    Router::new()
        .route("/actions", get(async || Json(server::actions())))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/recorded", get(recorded))
        .route("/instances", get(instances))
        .route("/console/{verb}", post(console))
        .route("/deny", post(deny))
        .route("/capacity", post(capacity))
        .route("/faults", post(fault).delete(clear_faults))
        .route("/clock/advance", post(advance))
        .fallback(async || StatusCode::NOT_FOUND)
        .with_state(simulator)
}

async fn calls(State(simulator): State<Simulator>) -> Json<BTreeMap<String, u64>> {
    Json(simulator.calls())
}

async fn reset_calls(State(simulator): State<Simulator>) -> StatusCode {
    simulator.reset_calls();
    StatusCode::NO_CONTENT
}

async fn recorded(State(simulator): State<Simulator>) -> Json<Vec<RecordedCall>> {
    Json(simulator.recorded())
}

async fn instances(
    State(simulator): State<Simulator>,
    Query(place): Query<Place>,
) -> Json<Vec<InstanceView>> {
    Json(simulator.instances(&place.account, &place.region))
}

async fn console(
    State(simulator): State<Simulator>,
    Path(verb): Path<String>,
    Json(order): Json<ConsoleOrder>,
) -> StatusCode {
    let ids: Vec<&str> = order.instance_ids.iter().map(String::as_str).collect();
    let (account, region) = (&order.account, &order.region);
    match verb.as_str() {
        "terminate" => simulator.console_terminate(account, region, &ids),
        "stop" => simulator.console_stop(account, region, &ids),
        "start" => simulator.console_start(account, region, &ids),
        "reboot" => simulator.console_reboot(account, region, &ids),
        _ => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}

async fn deny(State(simulator): State<Simulator>, Json(denial): Json<Denial>) -> StatusCode {
    simulator.deny(&denial.access_key, &denial.action);
    StatusCode::NO_CONTENT
}

async fn capacity(State(simulator): State<Simulator>, Json(it): Json<Capacity>) -> StatusCode {
    simulator.set_capacity(
        &it.account,
        &it.region,
        &it.zone,
        &it.instance_type,
        it.limit,
    );
    StatusCode::NO_CONTENT
}

async fn fault(State(simulator): State<Simulator>, Json(order): Json<FaultOrder>) -> StatusCode {
    simulator.fail_next(&order.action, order.fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(simulator): State<Simulator>) -> StatusCode {
    simulator.clear_faults();
    StatusCode::NO_CONTENT
}

async fn advance(State(simulator): State<Simulator>, Json(advance): Json<Advance>) -> StatusCode {
    simulator.advance(advance.ms);
    StatusCode::NO_CONTENT
}
