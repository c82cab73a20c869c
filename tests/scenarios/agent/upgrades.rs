//! Upgrades of engines: what agents are told, what they report, and what comes of it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tests::{ACCOUNT, Answer, Engine, Host, Options, WorkerProcess, World, wait_for};

const REGION: &str = "us-east-1";
const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().unwrap()
}

async fn becomes(world: &World, uri: &str, state: &str) -> Value {
    wait_for(&format!("{uri} to be {state}"), || async {
        let found = world.fetch(uri).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

/// A host that is deployed, and whose agent sends heartbeats.
async fn deployed(world: &World) -> (Host, Engine) {
    let host = Host::registered(world).await;
    let engine = Engine::start(&host).await;
    assert_eq!(host.ping().await.expect(200).body["reachable"], true);
    host.heartbeat(json!({})).await.expect(200);
    (host, engine)
}

/// Asks for the upgrade of a node or cluster; answers with the action's URI.
async fn upgrade(world: &World, uri: &str) -> String {
    let path = format!("{uri}docker-upgrade/");
    let answer = world.client.post(&path, &json!({})).await.expect(202);
    answer.action_uri()
}

/// The order that the answer to this host's next heartbeat carries.
async fn told(host: &Host) -> Value {
    host.heartbeat(json!({})).await.expect(200).body["upgrade"].clone()
}

/// The order that some heartbeat of this host is told.
async fn ordered(host: &Host) -> Value {
    wait_for(&format!("an order for node {}", host.uuid), || async {
        let order = told(host).await;
        order.is_string().then_some(order)
    })
    .await
}

/// A heartbeat with a report of the order.
async fn report(host: &Host, order: &Value, outcome: &str, message: &str) -> Answer {
    let mut facts = json!({"upgrade": {"order": order, "outcome": outcome, "message": message}});
    if outcome == "Success" {
        facts["docker_version"] = json!(message);
    }
    host.heartbeat(facts).await.expect(200)
}

fn log(action: &Value) -> &str {
    action["log"].as_str().unwrap()
}

async fn cancel(world: &World, action: &str) -> Value {
    let path = format!("{action}cancel/");
    let answer = world.client.post(&path, &json!({})).await;
    answer.expect(202).body
}

#[tokio::test]
async fn an_agent_upgrades_its_engine_and_the_node_is_deployed_with_the_new_version() {
    let world = World::start().await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let answer = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(answer.body["state"], "Upgrading");
    let order = answer.body["upgrade"].clone();
    assert!(order.is_string(), "{order}");
    // It is told until it has ended.
    let answer = report(&host, &order, "Running", "").await;
    assert_eq!(answer.body["upgrade"], order);
    // What is reported of another one is not of this one.
    let other = json!("5b4b2f64-9f4a-4c5f-8c6e-0d2f5f0c7b1e");
    let answer = report(&host, &other, "Failed", "no").await;
    assert_eq!(answer.body["upgrade"], order);
    assert_eq!(world.fetch(&action).await["state"], "In progress");
    report(&host, &order, "Success", "27.0.1").await;

    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Success", "{ended}");
    let line = format!(
        "The engine of node {} was upgraded from 26.1.5 to 27.0.1",
        host.uuid
    );
    assert!(log(&ended).contains(&line), "{ended}");
    let node = world.fetch(&host.uri()).await;
    assert_eq!(
        (&node["state"], &node["docker_version"]),
        (&json!("Deployed"), &json!("27.0.1"))
    );
    assert_eq!(told(&host).await, Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn an_upgraded_node_is_back_when_its_engine_answers() {
    let world = World::start().await;
    let (host, engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    drop(engine);
    report(&host, &order, "Success", "27.0.1").await;
    becomes(&world, &host.uri(), "Unreachable").await;
    assert_eq!(world.fetch(&action).await["state"], "In progress");
    let _engine = Engine::start(&host).await;
    assert_eq!(world.ended(&action).await["state"], "Success");
    becomes(&world, &host.uri(), "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn an_upgrade_that_fails_says_why_in_the_agents_words() {
    let world = World::start().await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    report(&host, &order, "Failed", "E: no\r\n\tspace left").await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Failed");
    assert!(log(&ended).ends_with("E: no space left"), "{ended}");
    becomes(&world, &host.uri(), "Deployed").await;
    assert_eq!(told(&host).await, Value::Null);
    // A retry is an order of its own.
    let path = format!("{action}retry/");
    let again = world.client.post(&path, &json!({})).await.expect(202);
    assert_ne!(ordered(&host).await, order);
    cancel(&world, &again.action_uri()).await;
    let order = ordered(&host).await;
    report(&host, &order, "Failed", "").await;
    assert_eq!(world.ended(&again.action_uri()).await["state"], "Canceled");
    world.finish().await;
}

#[tokio::test]
async fn an_order_that_no_heartbeat_carries_fails_when_the_agent_counts_as_silent() {
    let mut options = Options::default();
    options.worker.hosts.limits.silence = TimeDelta::milliseconds(1500);
    let world = World::with(options).await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Failed");
    assert!(
        log(&ended).contains("its agent was last heard at"),
        "{ended}"
    );
    becomes(&world, &host.uri(), "Unreachable").await;
    world.finish().await;
}

#[tokio::test]
async fn an_agent_that_never_reports_is_not_waited_for_beyond_the_deadline() {
    let mut options = Options::default();
    options.worker.hosts.upgrade = TimeDelta::seconds(2);
    let world = World::with(options).await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    report(&host, &order, "Running", "").await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Failed");
    assert!(log(&ended).contains("has not reported an end"), "{ended}");
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deployed");
    // Late words change nothing any more.
    let answer = report(&host, &order, "Success", "27.0.1").await;
    assert_eq!(answer.body["upgrade"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn a_canceled_order_is_withdrawn_before_a_heartbeat_has_carried_it_and_awaited_afterwards() {
    let world = World::start().await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    cancel(&world, &action).await;
    assert_eq!(world.ended(&action).await["state"], "Canceled");
    assert_eq!(world.fetch(&host.uri()).await["state"], "Deployed");
    assert_eq!(told(&host).await, Value::Null);

    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    assert_eq!(cancel(&world, &action).await["state"], "Canceling");
    assert_eq!(told(&host).await, order);
    report(&host, &order, "Success", "27.0.1").await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Canceled");
    assert!(log(&ended).contains("from 26.1.5 to 27.0.1"), "{ended}");
    becomes(&world, &host.uri(), "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn a_report_that_can_not_be_taken_changes_nothing() {
    let world = World::start().await;
    let (host, _engine) = deployed(&world).await;
    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    for (field, report) in [
        (
            "upgrade.outcome",
            json!({"order": order, "outcome": "Fine"}),
        ),
        ("upgrade.outcome", json!({"order": order})),
        ("upgrade.order", json!({"outcome": "Success"})),
        ("upgrade.order", json!({"order": 7, "outcome": "Success"})),
        ("upgrade", json!([])),
    ] {
        let refused = host.heartbeat(json!({"upgrade": report})).await.expect(400);
        let words = refused.body["error"].as_str().unwrap();
        assert!(words.starts_with(&format!("{field}: ")), "{words}");
    }
    assert_eq!(told(&host).await, order);
    report(&host, &order, "Success", "27.0.1").await;
    assert_eq!(world.ended(&action).await["state"], "Success");
    world.finish().await;
}

/// A cluster of three, and their agents in the order in which they were made.
async fn three(world: &World) -> (Value, Vec<Host>) {
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let mut nodes = world.nodes(&cluster).await;
    nodes.sort_by_key(|node| node["uuid"].as_str().map(str::to_owned));
    let mut hosts = Vec::new();
    for node in &nodes {
        let host = Host::of_node(world, node).await;
        host.heartbeat(json!({})).await.expect(200);
        hosts.push(host);
    }
    (cluster, hosts)
}

/// Sends a heartbeat for each host; answers with those that are told to upgrade.
async fn told_of(hosts: &[Host]) -> Vec<&str> {
    let mut ordered = Vec::new();
    for host in hosts {
        if told(host).await.is_string() {
            ordered.push(host.uuid.as_str());
        }
    }
    ordered
}

#[tokio::test]
async fn the_nodes_of_a_cluster_are_upgraded_one_after_the_other() {
    let world = World::start().await;
    let (cluster, hosts) = three(&world).await;
    let action = upgrade(&world, uri(&cluster)).await;
    for host in &hosts {
        let order = ordered(host).await;
        assert_eq!(told_of(&hosts).await, [host.uuid.as_str()]);
        assert_eq!(world.fetch(uri(&cluster)).await["state"], "Deployed");
        report(host, &order, "Success", "27.0.1").await;
        becomes(&world, &host.uri(), "Deployed").await;
    }
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Success", "{ended}");
    let all: Vec<&str> = hosts.iter().map(|host| host.uuid.as_str()).collect();
    let last = format!(
        "upgraded: 3 ({}); failed: none; not begun: none",
        all.join(", ")
    );
    assert!(log(&ended).ends_with(&last), "{ended}");
    world.finish().await;
}

#[tokio::test]
async fn the_upgrade_of_a_cluster_stops_at_the_first_node_that_fails() {
    let world = World::start().await;
    let (cluster, hosts) = three(&world).await;
    let action = upgrade(&world, uri(&cluster)).await;
    let order = ordered(&hosts[0]).await;
    report(&hosts[0], &order, "Success", "27.0.1").await;
    let order = ordered(&hosts[1]).await;
    report(&hosts[1], &order, "Failed", "no space left").await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Failed");
    let last = format!(
        "upgraded: 1 ({}); failed: 1 ({}); not begun: 1 ({})",
        hosts[0].uuid, hosts[1].uuid, hosts[2].uuid
    );
    assert!(log(&ended).contains("no space left"), "{ended}");
    assert!(log(&ended).ends_with(&last), "{ended}");
    assert!(told_of(&hosts).await.is_empty());
    for host in &hosts {
        becomes(&world, &host.uri(), "Deployed").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_canceled_upgrade_of_a_cluster_awaits_the_node_that_is_at_it_and_begins_no_other() {
    let world = World::start().await;
    let (cluster, hosts) = three(&world).await;
    let action = upgrade(&world, uri(&cluster)).await;
    let order = ordered(&hosts[0]).await;
    assert_eq!(cancel(&world, &action).await["state"], "Canceling");
    report(&hosts[0], &order, "Success", "27.0.1").await;
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Canceled");
    assert!(log(&ended).contains("not begun: 2"), "{ended}");
    assert!(told_of(&hosts).await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_is_terminated_while_its_cluster_is_upgraded_ends_the_upgrade() {
    let world = World::start().await;
    let (cluster, hosts) = three(&world).await;
    let action = upgrade(&world, uri(&cluster)).await;
    ordered(&hosts[0]).await;
    // One whose turn has not come is simply left out.
    world.terminate(&world.fetch(&hosts[1].uri()).await).await;
    let order = ordered(&hosts[0]).await;
    report(&hosts[0], &order, "Success", "27.0.1").await;
    ordered(&hosts[2]).await;
    let instance = world.instance_of(&world.fetch(&hosts[2].uri()).await).await;
    world.sim().console_terminate(ACCOUNT, REGION, &[&instance]);
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Failed");
    for words in ["needs no upgrade", "the node was terminated", "upgraded: 1"] {
        assert!(log(&ended).contains(words), "{words}: {ended}");
    }
    world.finish().await;
}

#[tokio::test]
async fn workers_that_die_leave_an_upgrade_to_the_next_one() {
    let world = World::without_worker().await;
    let mut worker = WorkerProcess::start(WORKER, &world);
    let (cluster, hosts) = three(&world).await;
    worker.kill().await;
    let action = upgrade(&world, uri(&cluster)).await;
    for host in &hosts {
        // Each node's order is made by one worker, told while there is none, and ended by another.
        worker = WorkerProcess::start(WORKER, &world);
        let order = ordered(host).await;
        worker.kill().await;
        report(host, &order, "Running", "").await;
        report(host, &order, "Success", "27.0.1").await;
    }
    worker = WorkerProcess::start(WORKER, &world);
    let ended = world.ended(&action).await;
    assert_eq!(ended["state"], "Success", "{ended}");
    assert!(log(&ended).contains("upgraded: 3"), "{ended}");

    // A host that its owner brought is of no site, and whoever is there ends its upgrade.
    let (host, _engine) = deployed(&world).await;
    worker.kill().await;
    let action = upgrade(&world, &host.uri()).await;
    let order = ordered(&host).await;
    report(&host, &order, "Success", "27.0.1").await;
    let worker = WorkerProcess::start(WORKER, &world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    worker.stop().await;
    world.finish().await;
}
