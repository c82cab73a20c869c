//! What can be asked of one node: a health check, an upgrade, to watch its deployment; and what waits behind it.

use serde_json::{Value, json};
use tests::{ACCOUNT, Answer, Options, Shift, World, wait_for};

const REGION: &str = "us-west-2";

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().unwrap()
}

async fn post(world: &World, object: &Value, verb: &str) -> Answer {
    let path = format!("{}{verb}/", uri(object));
    world.client.post(&path, &json!({})).await
}

async fn becomes(world: &World, object: &Value, state: &str) -> Value {
    wait_for(&format!("{} to be {state}", uri(object)), || async {
        let found = world.fetch(uri(object)).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

/// A node, and its instance.
async fn one_node(world: &World) -> (Value, String) {
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    (node, instance)
}

/// The sweep that would notice a change by itself comes only after the story.
async fn world_that_seldom_looks() -> World {
    let options = Options::default();
    World::with(Options {
        worker: worker::Config {
            sweep_interval_at_rest: std::time::Duration::from_secs(3600),
            ..options.worker
        },
        ..options
    })
    .await
}

#[tokio::test]
async fn a_health_check_finds_the_node_deployed_where_its_instance_runs() {
    let world = world_that_seldom_looks().await;
    let (node, instance) = one_node(&world).await;
    sqlx::query("UPDATE node SET state = 'Unreachable'")
        .execute(&world.pool)
        .await
        .unwrap();
    let answer = post(&world, &node, "health-check").await.expect(202);
    assert_eq!(answer.body["uuid"], node["uuid"]);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["action"], "Node Health Check");
    assert_eq!(action["object"], uri(&node));
    assert_eq!(action["state"], "Success");
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains(&format!(
            "Instance {instance} is running: the node is Deployed"
        )),
        "{logs}"
    );
    assert!(logs.contains("no agent"), "{logs}");
    assert_eq!(world.fetch(uri(&node)).await["state"], "Deployed");
    world.finish().await;
}

#[tokio::test]
async fn a_health_check_of_a_stopped_instance_leaves_the_node_unreachable_and_says_why() {
    let world = World::start().await;
    let (node, instance) = one_node(&world).await;
    world.sim().console_stop(ACCOUNT, REGION, &[&instance]);
    becomes(&world, &node, "Unreachable").await;
    let answer = post(&world, &node, "health-check").await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    let logs = action["log"].as_str().unwrap();
    assert!(logs.contains("is stop"), "{logs}");
    assert_eq!(world.fetch(uri(&node)).await["state"], "Unreachable");
    world.finish().await;
}

#[tokio::test]
async fn aws_words_reach_the_action_of_a_health_check_that_is_refused() {
    let world = world_that_seldom_looks().await;
    let (node, _) = one_node(&world).await;
    sqlx::query("UPDATE node SET state = 'Unreachable'")
        .execute(&world.pool)
        .await
        .unwrap();
    let refused = sim::Fault::Refuse {
        status: 403,
        code: "UnauthorizedOperation".into(),
        message: "You are not authorized to perform this operation.".into(),
    };
    world.sim().fail_next("DescribeInstances", refused);
    let answer = post(&world, &node, "health-check").await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Failed");
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains("You are not authorized to perform this operation."),
        "{logs}"
    );
    world.finish().await;
}

#[tokio::test]
async fn an_upgrade_without_an_agent_fails_and_says_so_and_the_node_is_deployed_as_before() {
    let world = World::start().await;
    let (node, _) = one_node(&world).await;
    let answer = post(&world, &node, "docker-upgrade").await.expect(202);
    assert_eq!(answer.body["state"], "Upgrading");
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["action"], "Node Docker Upgrade");
    assert_eq!(action["state"], "Failed");
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains("was not upgraded: there is no agent on the node that could do it"),
        "{logs}"
    );
    assert_eq!(world.fetch(uri(&node)).await["state"], "Deployed");
    world.finish().await;
}

#[tokio::test]
async fn the_deployment_of_a_node_can_be_watched_by_itself() {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    post(&world, &cluster, "deploy").await.expect(202);
    let node = world.nodes(&cluster).await.remove(0);
    let answer = post(&world, &node, "deploy").await.expect(202);
    assert_eq!(answer.body["state"], "Deploying");
    let action = world.fetch(&answer.action_uri()).await;
    assert_eq!(
        (
            &action["action"],
            &action["state"],
            &action["can_be_canceled"]
        ),
        (&json!("Node Deploy"), &json!("In progress"), &json!(false))
    );
    let refused = post(&world, &action, "cancel").await.expect(400);
    assert!(
        refused.text.contains("its node cluster"),
        "{}",
        refused.text
    );

    let worker = Shift::begin(&world);
    assert_eq!(world.ended(uri(&action)).await["state"], "Success");
    assert_eq!(world.fetch(uri(&node)).await["state"], "Deployed");
    let refused = post(&world, &node, "deploy").await.expect(400);
    assert!(refused.text.contains("Deployed"), "{}", refused.text);
    worker.end().await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_asked_of_a_busy_node_waits_for_its_turn() {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let worker = Shift::begin(&world);
    let (node, instance) = one_node(&world).await;
    world.sim().console_stop(ACCOUNT, REGION, &[&instance]);
    becomes(&world, &node, "Unreachable").await;
    worker.end().await;

    let mut actions = Vec::new();
    for verb in ["health-check", "health-check"] {
        let answer = post(&world, &node, verb).await.expect(202);
        actions.push(world.fetch(&answer.action_uri()).await);
    }
    let answer = world.client.delete(uri(&node)).await.expect(202);
    assert_eq!(answer.body["state"], "Unreachable", "its turn has not come");
    actions.push(world.fetch(&answer.action_uri()).await);
    let answer = post(&world, &node, "health-check").await.expect(202);
    actions.push(world.fetch(&answer.action_uri()).await);
    let states: Vec<&Value> = actions.iter().map(|action| &action["state"]).collect();
    assert_eq!(states, ["In progress", "Pending", "Pending", "Pending"]);

    let worker = Shift::begin(&world);
    let mut ended = Vec::new();
    for action in &actions {
        ended.push(world.ended(uri(action)).await);
    }
    let states: Vec<&Value> = ended.iter().map(|action| &action["state"]).collect();
    assert_eq!(states, ["Success", "Success", "Success", "Failed"]);
    assert_eq!(world.fetch(uri(&node)).await["state"], "Terminated");
    let logs = ended[2]["log"].as_str().unwrap();
    assert!(
        logs.contains(&format!("Terminating {instance}"))
            && logs.contains(&format!("Instance {instance} is terminated")),
        "{logs}"
    );
    worker.end().await;
    world.finish().await;
}

#[tokio::test]
async fn a_node_whose_state_forbids_an_operation_is_refused_by_the_name_of_the_state() {
    let world = World::start().await;
    let (node, _) = one_node(&world).await;
    let refused = post(&world, &node, "health-check").await.expect(400);
    assert_eq!(
        refused.body["error"],
        "the node is in state \"Deployed\", in which it can't be checked; it can be reached"
    );
    let gone = world.terminate(&node).await;
    for verb in ["deploy", "docker-upgrade", "health-check"] {
        let refused = post(&world, &gone, verb).await.expect(400);
        let words = refused.body["error"].as_str().unwrap();
        assert!(words.contains("\"Terminated\""), "{words}");
    }
    world.finish().await;
}
