//! Nodes that Berth launches.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tests::{ACCOUNT, World, wait_for};

use super::{REGION, living, living_world, of};

/// A cluster of one node, which is deployed; the node and its instance.
async fn one_node(world: &World) -> (Value, String) {
    let (cluster, action) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    (node, instance)
}

async fn log_of(world: &World, action: &Value) -> String {
    let action = world.fetch(action["resource_uri"].as_str().unwrap()).await;
    action["log"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nodes_are_deployed_when_their_agents_have_called_home_and_their_engines_answer() {
    let world = living_world().await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    assert_eq!(cluster["state"], "Deployed");
    let log = log_of(&world, &action).await;
    assert_eq!(log.matches("has called home").count(), 3, "{log}");
    let nodes = world.nodes(&cluster).await;
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        assert_eq!(node["state"], "Deployed");
        let instance = world.instance_of(&node).await;
        let host = world.host(REGION, &instance).unwrap();
        assert_eq!(host.node.as_deref(), node["uuid"].as_str());
    }
    world.finish().await;
}

#[tokio::test]
async fn seed_what_happens_if_i_restart_a_node_in_the_aws_console() {
    let world = living_world().await;
    let (node, instance) = one_node(&world).await;
    world.order("console/stop", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    wait_for("the instance to be stopped", || async {
        let all = world.sim().instances(ACCOUNT, REGION);
        all.iter()
            .any(|it| it.id == instance && it.state == "stopped")
            .then_some(())
    })
    .await;
    world.order("console/start", of(&instance));
    let again = world.node_becomes(&node, "Deployed").await;
    assert_ne!(again["public_ip"], node["public_ip"]);
    let shown = world.sim().instances(ACCOUNT, REGION);
    let address = shown.iter().find(|it| it.id == instance).unwrap().public_ip;
    assert_eq!(again["public_ip"], address.unwrap().to_string());
    world.finish().await;
}

#[tokio::test]
async fn seed_a_reboot_leaves_a_node_its_name_and_its_certificate() {
    let world = living_world().await;
    let (node, instance) = one_node(&world).await;
    world
        .aws_call(
            "ec2",
            REGION,
            "RebootInstances",
            &[("InstanceId.1", &instance)],
        )
        .await;
    wait_for("the agent's second start", || async {
        let log = world.console_output(REGION, &instance).await;
        let calls = log.matches("PATCH ").count();
        (calls == 2).then_some(())
    })
    .await;
    let again = world.node_becomes(&node, "Deployed").await;
    assert_eq!(again["external_fqdn"], node["external_fqdn"]);
    let registrations = world.console_output(REGION, &instance).await;
    assert_eq!(
        registrations.matches("201 Created").count(),
        1,
        "{registrations}"
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_can_i_use_an_elastic_ip_for_my_nodes() {
    let world = living_world().await;
    let (node, instance) = one_node(&world).await;
    let order = json!({"region": REGION, "instance_id": instance});
    let given = world.order("console/associate-address", order).unwrap();
    wait_for("the elastic IP at the node", || async {
        let node = world.fetch(node["resource_uri"].as_str().unwrap()).await;
        (node["public_ip"] == given["public_ip"] && node["state"] == "Deployed").then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn seed_what_happens_when_i_terminate_a_node_from_the_aws_console() {
    let world = living_world().await;
    let (node, instance) = one_node(&world).await;
    world.order("console/terminate", of(&instance));
    world.node_becomes(&node, "Terminated").await;
    assert_eq!(world.host(REGION, &instance), None);
    world.finish().await;
}

#[tokio::test]
async fn a_launched_node_that_loses_its_network_or_its_agent_is_unreachable_until_it_is_back() {
    let world = living_world().await;
    let (node, instance) = one_node(&world).await;
    for (harm, help) in [
        ("host/lose-network", "host/restore-network"),
        ("host/kill-agent", "host/restart-agent"),
    ] {
        world.order(harm, of(&instance));
        world.node_becomes(&node, "Unreachable").await;
        world.order(help, of(&instance));
        world.node_becomes(&node, "Deployed").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_never_calls_home_fails_the_action_with_what_its_console_shows() {
    let mut options = living();
    options.worker.hosts.limits.deployment = TimeDelta::seconds(3);
    let world = World::with(options).await;
    let order = json!({"region": REGION, "instance_type": "t3.*", "on": true});
    world.order("host/dead-on-arrival", order);
    let (cluster, action) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    assert_eq!(action["state"], "Failed");
    let log = log_of(&world, &action).await;
    for words in [
        "has not called home in time",
        "berth-agent.service: dead on arrival",
    ] {
        assert!(log.contains(words), "{words:?} is missing:\n{log}");
    }
    // It is a node all the same, once somebody has started its agent.
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    world.order("host/restart-agent", of(&instance));
    world.node_becomes(&node, "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn a_hundred_nodes_call_home_and_are_terminated() {
    let mut options = living();
    // A hundred heartbeats a second are another matter.
    options.worker.hosts.heartbeat = Duration::from_secs(20);
    options.worker.hosts.limits.silence = TimeDelta::seconds(60);
    let world = World::with(options).await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 100, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(world.nodes(&cluster).await.len(), 100);
    assert_eq!(world.sim().hosts(ACCOUNT, REGION).len(), 100);
    let cluster = world.terminate(&cluster).await;
    assert_eq!(cluster["state"], "Terminated");
    assert!(world.sim().hosts(ACCOUNT, REGION).is_empty());
    world.finish().await;
}
