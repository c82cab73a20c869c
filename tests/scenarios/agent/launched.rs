//! Nodes that Berth launches, as their agents call home: with the token of their launch, as the instance that they are.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sim::Fault;
use tests::{Host, Options, World, agent_config, wait_for};

const REGION: &str = "eu-west-1";

/// A world whose nodes are to call home, within so many seconds.
async fn world_with_a_deadline_of(seconds: i64) -> World {
    let mut options = Options {
        with_agents: true,
        ..Options::default()
    };
    options.worker.hosts.limits.deployment = TimeDelta::seconds(seconds);
    World::with(options).await
}

/// Asks for a deploy, and waits until its instances run and their nodes know it. Answers with the cluster and the action.
async fn launched(world: &World, nodes: u32) -> (Value, String) {
    let (cluster, action) = world
        .ask_to_deploy(REGION, "t3.micro", nodes, json!({}))
        .await;
    wait_for("the instances to run", || async {
        let running: i64 =
            sqlx::query_scalar("SELECT count(*) FROM node WHERE instance_state = 'running'")
                .fetch_one(&world.pool)
                .await
                .expect("nodes");
        (running == i64::from(nodes)).then_some(())
    })
    .await;
    (cluster, action)
}

/// Cancels the deploy, so that the world can come to rest, and ends the story.
async fn give_up(world: World, cluster: &Value, action: &str) {
    world
        .client
        .post(&format!("{action}cancel/"), &json!({}))
        .await
        .expect(202);
    world.ended(action).await;
    world.terminate(cluster).await;
    world.finish().await;
}

#[tokio::test]
async fn a_launched_node_registers_as_its_instance_and_is_told_a_token_of_its_own() {
    let world = world_with_a_deadline_of(900).await;
    let (cluster, action) = launched(&world, 2).await;
    let nodes = world.nodes(&cluster).await;
    let instances = world.instances(REGION);
    for instance in &instances {
        let config = agent_config(instance).unwrap();
        assert_eq!(config["Host"], world.client.base);
        let mut host = Host::launched(&world, instance);
        let shared = host.token.clone();
        let answer = host.register_as(&instance.id).await.expect(201);
        assert_ne!(host.token, shared);
        assert!(nodes.iter().any(|node| node["uuid"] == host.uuid));
        assert_eq!(answer.body["state"], "Deploying");
        host.announce().await.expect(200);
        let told = host.heartbeat(json!({"instance_id": instance.id})).await;
        // Its instance runs and its agent lives, but nobody has reached its engine.
        assert_eq!(told.expect(200).body["state"], "Deploying");
        let node = world.fetch(&host.uri()).await;
        assert_eq!(
            (&node["state"], &node["docker_version"]),
            (&json!("Deploying"), &json!("26.1.5"))
        );
        // Its address is what EC2 says, not from where it calls.
        assert_eq!(node["public_ip"], json!(instance.public_ip.unwrap()));
        // What all of them have lets nobody speak for one.
        let mut other = Host::new(&world, &shared);
        other.uuid.clone_from(&host.uuid);
        other.heartbeat(json!({})).await.expect(401);
    }
    let log = world.fetch(&action).await["log"].to_string();
    for node in &nodes {
        let line = format!("Node {} (i-", node["uuid"].as_str().unwrap());
        assert!(
            log.contains(&line) && log.contains("has called home from 127."),
            "{log}"
        );
    }
    give_up(world, &cluster, &action).await;
}

#[tokio::test]
async fn the_token_of_a_launch_stands_nowhere_in_the_database() {
    let world = world_with_a_deadline_of(900).await;
    let (cluster, action) = launched(&world, 1).await;
    let token = agent_config(&world.instances(REGION)[0]).unwrap()["Token"].clone();
    let kept: Vec<String> = sqlx::query_scalar("SELECT launch::text FROM launch")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert!(!kept.concat().contains(token.as_str().unwrap()));
    assert!(kept.concat().contains("write_files"));
    give_up(world, &cluster, &action).await;
}

#[tokio::test]
async fn who_is_no_instance_of_the_launch_is_refused() {
    let world = world_with_a_deadline_of(900).await;
    let (cluster, action) = launched(&world, 1).await;
    let instance = world.instances(REGION).remove(0);
    let mut host = Host::launched(&world, &instance);
    let refused = host.register().await.expect(400);
    assert!(
        refused.error().starts_with("instance_id: is required"),
        "{}",
        refused.text
    );
    let refused = host.register_as("i-0123456789abcdef0").await.expect(401);
    assert!(
        refused.error().contains("none of its instances"),
        "{}",
        refused.text
    );

    // An instance of another launch of the same user is as much of a stranger.
    let more = json!({"name": "other"});
    let (other, other_action) = world.ask_to_deploy(REGION, "t3.micro", 1, more).await;
    let stranger = wait_for("the other instance", || async {
        let found = world.instances(REGION);
        found.into_iter().find(|found| found.id != instance.id)
    })
    .await;
    host.register_as(&stranger.id).await.expect(401);
    host.register_as(&instance.id).await.expect(201);
    let cancel = format!("{other_action}cancel/");
    world.client.post(&cancel, &json!({})).await.expect(202);
    world.ended(&other_action).await;
    world.terminate(&other).await;
    give_up(world, &cluster, &action).await;
}

#[tokio::test]
async fn a_stolen_token_of_a_launch_does_not_take_a_node_over() {
    let world = world_with_a_deadline_of(900).await;
    let (cluster, action) = launched(&world, 1).await;
    let instance = world.instances(REGION).remove(0);
    let mut host = Host::launched(&world, &instance);
    host.register_as(&instance.id).await.expect(201);
    let mut thief = Host::launched(&world, &instance);
    let refused = thief.register_as(&instance.id).await.expect(401);
    assert!(
        refused.error().contains("another machine"),
        "{}",
        refused.text
    );
    // The answer may have been lost: the same machine asks again, and the token that was lost is worth nothing.
    let lost = host.token.clone();
    let mut again = Host::launched(&world, &instance).at(host.address);
    again.register_as(&instance.id).await.expect(201);
    assert_ne!(again.token, lost);
    host.announce().await.expect(401);
    again.announce().await.expect(200);
    // From now on the node is this machine, which has a key.
    again.token = agent_config(&instance).unwrap()["Token"]
        .as_str()
        .unwrap()
        .to_owned();
    again.register_as(&instance.id).await.expect(401);
    give_up(world, &cluster, &action).await;
}

#[tokio::test]
async fn an_instance_that_calls_before_its_launch_was_answered_is_asked_to_wait() {
    let world = World::with(Options {
        with_agents: true,
        ..Options::patient()
    })
    .await;
    world
        .sim()
        .fail_next("RunInstances", Fault::HangAfterEffect);
    let (cluster, action) = world.ask_to_deploy(REGION, "t3.micro", 1, json!({})).await;
    let instance = wait_for("an instance", || async { world.instances(REGION).pop() }).await;
    let mut host = Host::launched(&world, &instance);
    let told = host.register_as(&instance.id).await.expect(503);
    assert!(told.error().contains("try again shortly"), "{}", told.text);
    world.sim().clear_faults();
    wait_for("the launch to be settled", || async {
        let mut again = Host::launched(&world, &instance);
        let answer = again.register_as(&instance.id).await;
        (answer.status == 201).then_some(())
    })
    .await;
    give_up(world, &cluster, &action).await;
}

#[tokio::test]
async fn a_node_that_does_not_call_home_by_its_deadline_fails_the_action_with_what_is_known() {
    let world = world_with_a_deadline_of(1).await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    assert_eq!(action["state"], "Failed", "{action:#}");
    assert_eq!(cluster["state"], "Partly deployed");
    assert_eq!(cluster["current_num_nodes"], 2);
    let log = action["log"].as_str().unwrap();
    for node in world.nodes(&cluster).await {
        assert_eq!(node["state"], "Unreachable");
        let (node, instance) = (
            node["uuid"].as_str().unwrap(),
            world.instance_of(&node).await,
        );
        let told = format!("node {node} ({instance}) has not called home in time");
        assert!(log.contains(&told), "{log}");
        assert!(
            log.contains(&format!("console output of {instance}")),
            "{log}"
        );
    }
    // One that calls after all is known.
    let instance = world.instances(REGION).remove(0);
    let mut late = Host::launched(&world, &instance);
    late.register_as(&instance.id).await.expect(201);
    // And a retry says again what is missing.
    let retried = world
        .client
        .post(
            &format!("{}retry/", action["resource_uri"].as_str().unwrap()),
            &json!({}),
        )
        .await
        .expect(202);
    let retried = world.ended(&retried.action_uri()).await;
    assert_eq!(retried["state"], "Failed", "{retried:#}");
    assert!(
        retried["log"]
            .to_string()
            .contains("has called home, but its Docker engine"),
        "{retried:#}"
    );
    world.terminate(&cluster).await;
    world.finish().await;
}

#[tokio::test]
async fn a_deploy_that_is_canceled_does_not_wait_for_agents() {
    let world = world_with_a_deadline_of(900).await;
    let (cluster, action) = launched(&world, 2).await;
    let cancel = format!("{action}cancel/");
    world.client.post(&cancel, &json!({})).await.expect(202);
    assert_eq!(world.ended(&action).await["state"], "Canceled");
    let cluster = world.fetch(cluster["resource_uri"].as_str().unwrap()).await;
    assert_eq!(cluster["state"], "Deployed");
    world.terminate(&cluster).await;
    world.finish().await;
}

#[tokio::test]
async fn a_cluster_of_images_without_an_agent_is_deployed_when_its_instances_run() {
    let world = world_with_a_deadline_of(900).await;
    let more = json!({"readiness": "instance"});
    let (cluster, action) = world.deploy(REGION, "t3.micro", 2, more).await;
    assert_eq!(
        (&action["state"], &cluster["state"]),
        (&json!("Success"), &json!("Deployed"))
    );
    let instances = world.instances(REGION);
    assert!(
        instances
            .iter()
            .all(|instance| agent_config(instance).is_none())
    );
    world.finish().await;
}

#[tokio::test]
async fn with_a_hosted_zone_the_engines_certificate_bears_the_name_that_users_are_told() {
    let world = World::with(Options {
        with_agents: true,
        with_names: true,
        ..Options::default()
    })
    .await;
    let (cluster, action) = launched(&world, 1).await;
    let instance = world.instances(REGION).remove(0);
    let mut host = Host::launched(&world, &instance);
    let told = host.register_as(&instance.id).await.expect(201);
    let node = world.fetch(&host.uri()).await;
    let domain = &world.zone.as_ref().unwrap().domain;
    let name = format!("{}.node.{domain}", host.uuid);
    assert_eq!(
        (&told.body["external_fqdn"], &node["external_fqdn"]),
        (&json!(name), &json!(name))
    );
    host.announce().await.expect(200);
    let heard = host.heartbeat(json!({})).await.expect(200);
    assert_eq!(heard.body["external_fqdn"], json!(name));
    give_up(world, &cluster, &action).await;
}
