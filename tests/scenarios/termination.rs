//! Nodes and clusters that end, by request and behind Berth's back.

use serde_json::{Value, json};
use tests::{ACCOUNT, World, wait_for};

const REGION: &str = "us-west-2";

#[tokio::test]
async fn deleting_a_cluster_leaves_nothing_of_it_in_ec2() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 4, json!({})).await;
    let answer = world
        .client
        .delete(cluster["resource_uri"].as_str().unwrap())
        .await
        .expect(202);
    assert_eq!(
        (
            answer.body["state"].as_str(),
            answer.body["target_num_nodes"].as_u64()
        ),
        (Some("Terminating"), Some(0))
    );
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    let gone = world.fetch(cluster["resource_uri"].as_str().unwrap()).await;
    assert_eq!(gone["state"], "Terminated");
    assert!(gone["destroyed_datetime"].is_string());
    assert!(world.instances(REGION).is_empty());
    let volumes = world
        .aws_call(
            "ec2",
            REGION,
            "DescribeVolumes",
            &[("Version", "2016-11-15")],
        )
        .await;
    assert!(
        !volumes.contains("<volumeId>"),
        "the volumes go with the instances: {volumes}"
    );
    // Its name is free again.
    world.create(REGION, "t3.micro", 1, json!({})).await;
    world.finish().await;
}

#[tokio::test]
async fn deleting_a_cluster_that_was_never_deployed_ends_at_once() {
    let world = World::start().await;
    let cluster = world.create(REGION, "t3.micro", 4, json!({})).await;
    let answer = world
        .client
        .delete(cluster["resource_uri"].as_str().unwrap())
        .await
        .expect(202);
    assert_eq!(answer.body["state"], "Terminated");
    assert_eq!(world.ended(&answer.action_uri()).await["state"], "Success");
    world.finish().await;
}

#[tokio::test]
async fn deleting_one_node_shrinks_the_cluster_and_the_last_one_empties_it() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let nodes = world.nodes(&cluster).await;
    let gone = world.terminate(&nodes[0]).await;
    assert_eq!(gone["state"], "Terminated");
    let cluster = settled(&world, &cluster).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(
        (
            cluster["target_num_nodes"].as_u64(),
            cluster["current_num_nodes"].as_u64()
        ),
        (Some(1), Some(1))
    );
    world.terminate(&nodes[1]).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    wait_for("an empty cluster", || async {
        (world.fetch(uri).await["state"] == "Empty cluster").then_some(())
    })
    .await;
    world.finish().await;
}

/// The cluster, once no node of it is on its way.
async fn settled(world: &World, cluster: &Value) -> Value {
    let uri = cluster["resource_uri"].as_str().unwrap();
    wait_for("a cluster at rest", || async {
        let nodes = world.nodes(cluster).await;
        let at_rest = nodes.iter().all(|node| node["state"] == "Deployed");
        if at_rest {
            Some(world.fetch(uri).await)
        } else {
            None
        }
    })
    .await
}

#[tokio::test]
async fn seed_an_instance_terminated_in_the_console_is_detected_and_its_node_is_terminated() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    world.sim().console_terminate(ACCOUNT, REGION, &[&instance]);
    wait_for("the node to be Terminated", || async {
        let node = world.fetch(node["resource_uri"].as_str().unwrap()).await;
        (node["state"] == "Terminated").then_some(())
    })
    .await;
    let cluster = settled(&world, &cluster).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(
        (
            cluster["target_num_nodes"].as_u64(),
            cluster["current_num_nodes"].as_u64()
        ),
        (Some(2), Some(2))
    );
    // Scaling back to three replaces it, where it was.
    world.scale(&cluster, 3).await;
    assert_eq!(world.instances(REGION).len(), 3);
    world.finish().await;
}

#[tokio::test]
async fn the_last_instance_terminated_in_the_console_leaves_an_empty_cluster() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    world.sim().console_terminate(ACCOUNT, REGION, &[&instance]);
    wait_for("an empty cluster", || async {
        let cluster = world.fetch(cluster["resource_uri"].as_str().unwrap()).await;
        (cluster["state"] == "Empty cluster").then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn seed_a_node_stopped_and_started_goes_unreachable_and_comes_back_with_its_new_address() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let uri = node["resource_uri"].as_str().unwrap();
    let instance = world.instance_of(&node).await;
    world.sim().console_stop(ACCOUNT, REGION, &[&instance]);
    wait_for("the node to be Unreachable", || async {
        (world.fetch(uri).await["state"] == "Unreachable").then_some(())
    })
    .await;
    wait_for("the instance to be stopped", || async {
        world
            .instances(REGION)
            .iter()
            .any(|i| i.state == "stopped")
            .then_some(())
    })
    .await;
    world.sim().console_start(ACCOUNT, REGION, &[&instance]);
    let back = wait_for("the node to be Deployed again", || async {
        let node = world.fetch(uri).await;
        (node["state"] == "Deployed" && node["public_ip"].is_string()).then_some(node)
    })
    .await;
    assert_ne!(back["public_ip"], node["public_ip"]);
    assert_eq!(back["private_ips"], node["private_ips"]);
    world.finish().await;
}

#[tokio::test]
async fn a_node_can_be_deleted_while_it_is_unreachable() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let uri = node["resource_uri"].as_str().unwrap();
    let instance = world.instance_of(&node).await;
    world.sim().console_stop(ACCOUNT, REGION, &[&instance]);
    wait_for("the node to be Unreachable", || async {
        (world.fetch(uri).await["state"] == "Unreachable").then_some(())
    })
    .await;
    assert_eq!(world.terminate(&node).await["state"], "Terminated");
    assert_eq!(world.instances(REGION).len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn node_tags_of_their_own_reach_the_instances() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    for node in world.nodes(&cluster).await {
        let instance = world.instance_of(&node).await;
        let tags = wait_for("the node's own tags", || async {
            let shown = world
                .instances(REGION)
                .into_iter()
                .find(|i| i.id == instance)?;
            shown.tags.contains_key("UUID").then_some(shown.tags)
        })
        .await;
        assert_eq!(tags["UUID"], node["uuid"].as_str().unwrap());
        assert_eq!(tags["Name"], node["external_fqdn"].as_str().unwrap());
        assert!(!tags["Name"].is_empty());
    }
    world.finish().await;
}

#[tokio::test]
async fn a_partly_deployed_cluster_that_loses_its_last_node_is_empty() {
    let mut options = tests::Options::default();
    options.sim.quotas.vcpus = Some(2);
    let world = World::with(options).await;
    let (cluster, _) = world.deploy("sa-east-1", "t3.micro", 3, json!({})).await;
    assert_eq!(cluster["state"], "Partly deployed");
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    world
        .sim()
        .console_terminate(ACCOUNT, "sa-east-1", &[&instance]);
    wait_for("an empty cluster", || async {
        let cluster = world.fetch(cluster["resource_uri"].as_str().unwrap()).await;
        (cluster["state"] == "Empty cluster").then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_termination_that_aws_refuses_is_said_once_and_tried_again_until_it_may() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let refusal = sim::Fault::Refuse {
        status: 403,
        code: "UnauthorizedOperation".into(),
        message: "You are not authorized to perform this operation.".into(),
    };
    world.sim().fail_next("TerminateInstances", refusal.clone());
    world.sim().fail_next("TerminateInstances", refusal);
    let answer = world
        .client
        .delete(cluster["resource_uri"].as_str().unwrap())
        .await
        .expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    let logs = action["log"].as_str().unwrap();
    assert_eq!(
        logs.matches("UnauthorizedOperation (TerminateInstances)")
            .count(),
        1,
        "{logs}"
    );
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn one_instance_that_refuses_the_whole_call_does_not_keep_the_others_running() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let protected = sim::Fault::Refuse {
        status: 400,
        code: "OperationNotPermitted".into(),
        message:
            "The instance may not be terminated. Modify its 'disableApiTermination' attribute."
                .into(),
    };
    world.sim().reset_calls();
    world.sim().fail_next("TerminateInstances", protected);
    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");
    assert_eq!(
        world.sim().calls()["TerminateInstances"],
        3,
        "once for all, then for each half"
    );
    world.finish().await;
}
