//! Nodes that live: what becomes of a node when something happens to its machine, with Berth's agent on virtual hosts.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tests::{Options, World};

mod brought;
mod docker_client;
mod launched;
mod orders;
mod upgrades;

const REGION: &str = "us-east-1";

/// Virtual hosts whose agents are missed soon.
fn living() -> Options {
    let mut options = Options {
        with_hosts: true,
        ..Options::default()
    };
    options.worker.hosts.heartbeat = Duration::from_secs(1);
    options.worker.hosts.limits.silence = TimeDelta::seconds(4);
    options
}

async fn living_world() -> World {
    World::with(living()).await
}

/// The body of an order about an instance.
fn of(instance: &str) -> Value {
    json!({"region": REGION, "instance_ids": [instance]})
}
