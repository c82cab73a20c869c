//! Heartbeats: what they tell, and what follows when they stay away.

use chrono::TimeDelta;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tests::{Engine, Host, Options, World, facts, wait_for};

async fn becomes(world: &World, host: &Host, state: &str) -> Value {
    wait_for(&format!("node {} to be {state}", host.uuid), || async {
        let found = world.fetch(&host.uri()).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

/// A host that is deployed.
async fn deployed(world: &World) -> (Host, Engine) {
    let host = Host::registered(world).await;
    let engine = Engine::start(&host).await;
    let answer = host.ping().await.expect(200);
    assert_eq!(answer.body["reachable"], true);
    (host, engine)
}

/// A world that gives a silent agent up after `milliseconds`.
async fn world_with_silence_of(milliseconds: i64) -> World {
    let mut options = Options::default();
    options.worker.hosts.limits.silence = TimeDelta::milliseconds(milliseconds);
    World::with(options).await
}

#[tokio::test]
async fn a_heartbeat_tells_of_the_machine_and_is_told_when_the_next_one_is_awaited() {
    let world = World::start().await;
    let (host, _engine) = deployed(&world).await;
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(
        answer.body,
        json!({
            "heartbeat_seconds": 30,
            "state": "Deployed",
            "external_fqdn": host.address.to_string(),
        })
    );
    let node = world.fetch(&host.uri()).await;
    for (field, expected) in [
        ("docker_version", json!("26.1.5")),
        ("docker_execdriver", json!("runc")),
        ("docker_graphdriver", json!("overlay2")),
        ("cpu", json!(2)),
        ("memory", json!(2000)),
        ("disk", json!(30)),
        ("current_num_containers", json!(3)),
        (
            "private_ips",
            json!([{"name": "eth0", "cidr": "10.78.112.4/18"}]),
        ),
        ("public_ip", json!(host.address.to_string())),
    ] {
        assert_eq!(node[field], expected, "{field}");
    }
    assert!(node["last_seen"].is_string());
    // What an engine that is down can't tell stays.
    let told = json!({"docker_version": null, "docker_graphdriver": null, "containers": 0});
    host.heartbeat(told).await.expect(200);
    let node = world.fetch(&host.uri()).await;
    assert_eq!(
        (&node["docker_version"], &node["current_num_containers"]),
        (&json!("26.1.5"), &json!(0))
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_a_node_whose_heartbeats_stay_away_is_unreachable_and_deployed_again_when_they_return()
{
    let world = world_with_silence_of(1500).await;
    let (host, _engine) = deployed(&world).await;
    host.heartbeat(json!({})).await.expect(200);
    becomes(&world, &host, "Unreachable").await;
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(answer.body["state"], "Deployed");
    // Each change is in the log of events, in the same commit; `finish` holds them against each other.
    let states: Vec<String> = sqlx::query_scalar(
        "SELECT state FROM event WHERE object_id = $1::uuid ORDER BY seq LIMIT 4",
    )
    .bind(&host.uuid)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(states, ["Deploying", "Deployed", "Unreachable", "Deployed"]);
    world.finish().await;
}

#[tokio::test]
async fn seed_a_restarted_node_is_deployed_again_at_its_new_address() {
    let world = world_with_silence_of(1500).await;
    let (host, engine) = deployed(&world).await;
    host.heartbeat(json!({})).await.expect(200);
    drop(engine);
    becomes(&world, &host, "Unreachable").await;
    let host = host.moved();
    let _engine = Engine::start(&host).await;
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(answer.body["state"], "Deployed");
    assert_eq!(answer.body["external_fqdn"], host.address.to_string());
    let node = world.fetch(&host.uri()).await;
    assert_eq!(node["public_ip"], host.address.to_string());
    world.finish().await;
}

#[tokio::test]
async fn seed_an_elastic_ip_that_is_attached_is_the_nodes_address_with_the_next_heartbeat() {
    let world = World::without_worker().await;
    let (host, _engine) = deployed(&world).await;
    let told = json!({"public_ip": "203.0.113.25"});
    let answer = host.heartbeat(told).await.expect(200);
    assert_eq!(answer.body["external_fqdn"], "203.0.113.25");
    assert_eq!(answer.body["state"], "Deployed");
    let public_ip = async || world.fetch(&host.uri()).await["public_ip"].clone();
    assert_eq!(public_ip().await, "203.0.113.25");
    // From where the agent calls does not count any more, until it has no such address again.
    host.announce().await.expect(200);
    assert_eq!(public_ip().await, "203.0.113.25");
    host.heartbeat(json!({})).await.expect(200);
    assert_eq!(public_ip().await, host.address.to_string());
    world.finish().await;
}

#[tokio::test]
async fn a_host_that_moves_to_where_its_engine_can_not_be_reached_is_unreachable() {
    let world = World::start().await;
    let (host, engine) = deployed(&world).await;
    host.heartbeat(json!({})).await.expect(200);
    drop(engine);
    let host = host.moved();
    host.heartbeat(json!({})).await.expect(200);
    becomes(&world, &host, "Unreachable").await;
    let _engine = Engine::start(&host).await;
    becomes(&world, &host, "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn heartbeats_alone_do_not_deploy_a_node() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(answer.body["state"], "Deploying");
    world.finish().await;
}

#[tokio::test]
async fn the_heartbeats_of_a_removed_node_are_not_listened_to() {
    let world = world_with_silence_of(300).await;
    let (host, _engine) = deployed(&world).await;
    host.heartbeat(json!({})).await.expect(200);
    let node = becomes(&world, &host, "Unreachable").await;
    world.terminate(&node).await;
    host.heartbeat(json!({})).await.expect(401);
    assert_eq!(world.fetch(&host.uri()).await["state"], "Terminated");
    world.finish().await;
}

/// Everything of the node's row, as a text.
async fn row(world: &World, host: &Host) -> String {
    sqlx::query_scalar("SELECT node::text FROM node WHERE id = $1::uuid")
        .bind(&host.uuid)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_heartbeat_that_can_not_be_taken_is_refused_by_name_and_changes_nothing() {
    let world = World::without_worker().await;
    let (host, _engine) = deployed(&world).await;
    let before = row(&world, &host).await;
    for (told, expected) in [
        (json!({"cpu": null}), "cpu: is required"),
        (json!({"cpu": -1}), "cpu: -1 is out of range"),
        (
            json!({"memory": 1e300}),
            "memory: 1e+300 is not a whole number",
        ),
        (
            json!({"containers": "many"}),
            "containers: \"many\" is not a whole number",
        ),
        (
            json!({"private_ips": [{"name": "eth0"}]}),
            "private_ips[0].CIDR: \"\" is no address",
        ),
        (json!({"private_ips": {}}), "private_ips: {} is not a list"),
        (
            json!({"public_ip": "here"}),
            "public_ip: \"here\" is no IP address",
        ),
        (
            json!({"instance_id": "i-1"}),
            "instance_id: \"i-1\" is no id",
        ),
        (
            json!({"agent_version": ["1"]}),
            "agent_version: [\"1\"] is not a text",
        ),
    ] {
        let refused = host.heartbeat(told).await.expect(400);
        assert!(refused.error().starts_with(expected), "{}", refused.text);
    }
    for garbage in [&b"\xff\xfe"[..], b"{", b"[]", b"1", b"{}", b""] {
        host.heartbeat_of(garbage.to_vec()).await.expect(400);
    }
    assert_eq!(row(&world, &host).await, before);
    world.finish().await;
}

/// One value of JSON that nobody thought of.
fn value(random: &mut StdRng) -> Value {
    match random.random_range(0..10) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random_range(-10..10)),
        4 => json!(random.random::<f64>() * 1e20),
        5 => json!("\u{0}"),
        6 => json!("x".repeat(random.random_range(0..300))),
        7 => json!([random.random::<u8>(), {"name": "eth0", "CIDR": "::1/128"}]),
        8 => json!([{"name": random.random::<u32>().to_string(), "CIDR": "10.0.0.1/33"}]),
        _ => json!({"name": {}}),
    }
}

#[tokio::test]
async fn fuzzed_heartbeats_are_taken_or_refused_and_never_fail() {
    let world = World::without_worker().await;
    let (host, _engine) = deployed(&world).await;
    let mut random = StdRng::seed_from_u64(20_180_521);
    let mut names: Vec<String> = facts().as_object().unwrap().keys().cloned().collect();
    names.push("upgrade".to_owned());
    let mut refused = 0;
    for round in 0..400 {
        let mut told = facts();
        for _ in 0..random.random_range(1..4) {
            let name = &names[random.random_range(0..names.len())];
            told[name] = value(&mut random);
        }
        let mut body = told.to_string().into_bytes();
        if round % 3 == 0 {
            for _ in 0..random.random_range(1..5) {
                let at = random.random_range(0..body.len());
                body[at] = random.random();
            }
        }
        let before = row(&world, &host).await;
        let answer = host.heartbeat_of(body.clone()).await;
        let what = String::from_utf8_lossy(&body);
        assert!(
            matches!(answer.status, 200 | 400),
            "{}: {what}",
            answer.text
        );
        if answer.status == 400 {
            refused += 1;
            assert!(!answer.error().is_empty(), "{what}");
            assert_eq!(row(&world, &host).await, before, "{what}");
        }
    }
    assert!(
        (100..400).contains(&refused),
        "{refused} of 400 were refused"
    );
    // It is as well as before.
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(answer.body["state"], "Deployed");
    world.finish().await;
}
