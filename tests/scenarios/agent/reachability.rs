//! Whether the engine of a host can be reached, and what follows from it.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tests::{DOCKER_PORT, Engine, Host, ORIGINAL_PORT, Options, Shift, World, wait_for};

async fn becomes(world: &World, host: &Host, state: &str) -> Value {
    wait_for(&format!("node {} to be {state}", host.uuid), || async {
        let found = world.fetch(&host.uri()).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

/// What the agent is told.
async fn is_reachable(host: &Host) -> bool {
    let answer = host.ping().await.expect(200);
    answer.body["reachable"].as_bool().unwrap()
}

/// A world in which hosts are forgotten soon.
async fn hasty_world() -> World {
    let mut options = Options::default();
    options.worker.hosts.limits.silence = TimeDelta::milliseconds(300);
    World::with(options).await
}

#[tokio::test]
async fn the_node_is_deployed_when_its_agent_has_asked_and_its_engine_answers() {
    let world = World::without_worker().await;
    for port in [DOCKER_PORT, ORIGINAL_PORT] {
        let host = Host::registered(&world).await;
        let engine = Engine::with_identity_of(&host, &host, port).await;
        assert!(is_reachable(&host).await);
        // What the original agent verifies.
        assert_eq!(host.get().await.expect(200).body["state"], "Deployed");
        let node = world.fetch(&host.uri()).await;
        assert_eq!(node["state"], "Deployed");
        assert!(node["deployed_datetime"].is_string() && node["last_seen"].is_string());
        drop(engine);
    }
    world.finish().await;
}

#[tokio::test]
async fn an_agent_whose_engine_can_not_be_reached_is_told_so_and_its_node_is_not_deployed() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    assert!(!is_reachable(&host).await);
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deploying");
    world.finish().await;
}

#[tokio::test]
async fn an_engine_that_begins_to_listen_a_moment_after_the_question_is_waited_for() {
    let mut options = Options {
        with_worker: false,
        ..Options::default()
    };
    options.worker.hosts.probe_patience = Duration::from_secs(20);
    let world = World::with(options).await;
    let host = Host::registered(&world).await;
    let address = (host.address, ORIGINAL_PORT);
    let asked = tokio::net::TcpListener::bind(address).await.unwrap();
    let starts = async {
        asked.accept().await.unwrap();
        Engine::start(&host).await
    };
    let (reachable, _engine) = tokio::join!(is_reachable(&host), starts);
    assert!(reachable);
    world.finish().await;
}

#[tokio::test]
async fn another_machine_at_the_nodes_address_is_not_taken_for_it() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let other = Host::registered(&world).await;
    let _engine = Engine::with_identity_of(&host, &other, DOCKER_PORT).await;
    assert!(!is_reachable(&host).await);
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deploying");
    world.finish().await;
}

#[tokio::test]
async fn a_host_that_has_announced_no_certificate_is_not_reachable() {
    let world = World::without_worker().await;
    let mut host = Host::brought(&world).await;
    host.register().await.expect(201);
    let _engine = Engine::start(&host).await;
    assert!(!is_reachable(&host).await);
    world.finish().await;
}

#[tokio::test]
async fn a_brought_node_whose_engine_is_gone_is_unreachable_and_comes_back_with_it() {
    let world = hasty_world().await;
    let host = Host::registered(&world).await;
    let engine = Engine::start(&host).await;
    becomes(&world, &host, "Deployed").await;
    drop(engine);
    becomes(&world, &host, "Unreachable").await;
    let _engine = Engine::start(&host).await;
    becomes(&world, &host, "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn seed_a_brought_node_terminated_elsewhere_stays_unreachable_until_its_owner_removes_it() {
    let world = hasty_world().await;
    let host = Host::registered(&world).await;
    let engine = Engine::start(&host).await;
    becomes(&world, &host, "Deployed").await;
    drop(engine);
    let node = becomes(&world, &host, "Unreachable").await;
    let gone = world.terminate(&node).await;
    assert_eq!(gone["state"], "Terminated");
    host.announce().await.expect(401);
    world.finish().await;
}

#[tokio::test]
async fn a_host_whose_engine_never_answers_is_unreachable_after_the_deadline() {
    let mut options = Options::default();
    options.worker.hosts.limits.deployment = TimeDelta::milliseconds(300);
    let world = World::with(options).await;
    let host = Host::registered(&world).await;
    becomes(&world, &host, "Unreachable").await;
    world.finish().await;
}

#[tokio::test]
async fn a_health_check_of_a_brought_node_asks_its_engine() {
    let mut options = Options::default();
    options.worker.hosts.probe_again = Duration::from_secs(3600);
    let world = World::with(options).await;
    let host = Host::registered(&world).await;
    let engine = Engine::start(&host).await;
    assert!(is_reachable(&host).await);
    drop(engine);
    assert!(!is_reachable(&host).await);
    becomes(&world, &host, "Unreachable").await;

    let check = format!("{}health-check/", host.uri());
    let answer = world.client.post(&check, &json!({})).await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    let log = action["log"].as_str().unwrap();
    assert!(
        log.contains("nothing answers") && log.contains("the node is Unreachable"),
        "{log}"
    );

    let _engine = Engine::start(&host).await;
    let answer = world.client.post(&check, &json!({})).await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    let log = action["log"].as_str().unwrap();
    assert!(log.contains("answers: the node is Deployed"), "{log}");
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deployed");
    world.finish().await;
}

#[tokio::test]
async fn what_is_asked_of_a_brought_node_waits_for_its_turn() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let engine = Engine::start(&host).await;
    assert!(is_reachable(&host).await);
    drop(engine);
    assert!(!is_reachable(&host).await);

    let check = format!("{}health-check/", host.uri());
    let mut actions = vec![world.client.post(&check, &json!({})).await.expect(202)];
    actions.push(world.client.delete(&host.uri()).await.expect(202));
    actions.push(world.client.post(&check, &json!({})).await.expect(202));
    let mut states = Vec::new();
    for action in &actions {
        states.push(world.fetch(&action.action_uri()).await["state"].clone());
    }
    assert_eq!(states, ["In progress", "Pending", "Pending"]);

    let worker = Shift::begin(&world);
    states.clear();
    for action in &actions {
        states.push(world.ended(&action.action_uri()).await["state"].clone());
    }
    assert_eq!(states, ["Success", "Success", "Failed"]);
    assert_eq!(world.fetch(&host.uri()).await["state"], "Terminated");
    worker.end().await;
    world.finish().await;
}

#[tokio::test]
async fn an_upgrade_of_a_brought_node_fails_and_says_why_and_the_node_is_deployed_as_before() {
    let world = World::start().await;
    let host = Host::registered(&world).await;
    let _engine = Engine::start(&host).await;
    assert!(is_reachable(&host).await);
    let upgrade = format!("{}docker-upgrade/", host.uri());
    let answer = world.client.post(&upgrade, &json!({})).await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Failed");
    assert!(
        action["log"].as_str().unwrap().contains("no agent"),
        "{action}"
    );
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deployed");
    world.finish().await;
}
