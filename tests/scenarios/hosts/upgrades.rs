//! The engines of launched nodes are upgraded by their agents.

use serde_json::{Value, json};
use tests::World;

use super::{REGION, living_world};

/// Asks for the upgrade of an object, and waits for its end.
async fn upgraded(world: &World, object: &Value) -> Value {
    let path = format!(
        "{}docker-upgrade/",
        object["resource_uri"].as_str().unwrap()
    );
    let asked = world.client.post(&path, &json!({})).await.expect(202);
    world.ended(&asked.action_uri()).await
}

async fn versions(world: &World, cluster: &Value) -> Vec<Value> {
    let nodes = world.nodes(cluster).await;
    let version = |node: &Value| (node["docker_version"].clone(), node["state"].clone());
    let (versions, states): (Vec<_>, Vec<_>) = nodes.iter().map(version).unzip();
    assert!(states.iter().all(|state| state == "Deployed"), "{states:?}");
    versions
}

#[tokio::test]
async fn the_engines_of_a_cluster_are_upgraded_one_after_the_other() {
    let world = living_world().await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(versions(&world, &cluster).await, ["26.1.5"; 3]);

    let action = upgraded(&world, &cluster).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(versions(&world, &cluster).await, ["26.1.6"; 3]);

    let node = world.nodes(&cluster).await.remove(0);
    let action = upgraded(&world, &node).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(
        versions(&world, &cluster).await,
        ["26.1.7", "26.1.6", "26.1.6"]
    );
    world.finish().await;
}
