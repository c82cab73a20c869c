//! The control API below `/_sim/`: what [`Simulator`] offers to Rust, as JSON over HTTP.
//!
//! What can be asked for is a GET of its own; what can be ordered is a POST whose path names the [`order::Order`] and
//! whose body is the order's. The same orders stand in a [`Scenario`].

mod order;
mod scenario;

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;

use crate::default_account;
use crate::faults::FaultState;
use crate::hosts::HostView;
use crate::network_view::NetworkView;
use crate::server::{self, MAX_BODY};
use crate::simulator::Simulator;
use crate::view::{InstanceView, RecordedCall};
use order::{Order, RegionName};
pub use scenario::Scenario;

fn usual_account() -> String {
    default_account().to_owned()
}

/// A region of an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(default = "usual_account")]
    account: String,
    region: RegionName,
}

impl Simulator {
    /// Carries out an order of the control API, by its path below `/_sim/` and its body. Answers with what there is to
    /// know, such as a fault rule's id.
    ///
    /// # Errors
    /// What is wrong with the order, or why it was refused.
    pub fn order(&self, name: &str, body: Value) -> Result<Option<Value>, String> {
        Order::read(name, body)?.carry_out(self)
    }
}

pub(crate) fn router(simulator: Simulator) -> Router {
    Router::new()
        .route("/actions", get(async || Json(server::actions())))
        .route("/calls", get(calls).delete(reset_calls))
        .route("/throttled", get(throttled))
        .route("/recorded", get(recorded))
        .route("/hosts", get(hosts))
        .route("/instances", get(instances))
        .route("/network", get(network))
        .route(
            "/faults",
            get(faults).delete(clear_faults).post(order_a_fault),
        )
        .route("/{*order}", post(order))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(simulator)
}

async fn calls(State(simulator): State<Simulator>) -> Json<BTreeMap<String, u64>> {
    Json(simulator.calls())
}

async fn throttled(State(simulator): State<Simulator>) -> Json<BTreeMap<String, u64>> {
    Json(simulator.throttled())
}

async fn reset_calls(State(simulator): State<Simulator>) -> StatusCode {
    simulator.reset_calls();
    StatusCode::NO_CONTENT
}

async fn recorded(State(simulator): State<Simulator>) -> Json<Vec<RecordedCall>> {
    Json(simulator.recorded())
}

async fn hosts(
    State(simulator): State<Simulator>,
    Query(place): Query<Place>,
) -> Json<Vec<HostView>> {
    Json(simulator.hosts(&place.account, &place.region))
}

async fn instances(
    State(simulator): State<Simulator>,
    Query(place): Query<Place>,
) -> Json<Vec<InstanceView>> {
    Json(simulator.instances(&place.account, &place.region))
}

async fn network(
    State(simulator): State<Simulator>,
    Query(place): Query<Place>,
) -> Json<NetworkView> {
    Json(simulator.network(&place.account, &place.region))
}

async fn faults(State(simulator): State<Simulator>) -> Json<Vec<FaultState>> {
    Json(simulator.faults())
}

async fn clear_faults(State(simulator): State<Simulator>) -> StatusCode {
    simulator.clear_faults();
    StatusCode::NO_CONTENT
}

async fn order_a_fault(State(simulator): State<Simulator>, body: Bytes) -> Response {
    carry_out(&simulator, "faults", &body)
}

async fn order(
    State(simulator): State<Simulator>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    carry_out(&simulator, &name, &body)
}

/// 204, 201 with what there is to know, 400 for what is no order, 409 for one that cannot be carried out.
fn carry_out(simulator: &Simulator, name: &str, body: &[u8]) -> Response {
    let order = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not JSON: {error}"))
        .and_then(|body| Order::read(name, body));
    match order.map(|order| order.carry_out(simulator)) {
        Ok(Ok(None)) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(Some(answer))) => (StatusCode::CREATED, Json(answer)).into_response(),
        Ok(Err(refusal)) => (StatusCode::CONFLICT, refusal + "\n").into_response(),
        Err(mistake) => (StatusCode::BAD_REQUEST, mistake + "\n").into_response(),
    }
}
