//! The filters that look beyond one object: times, related objects, the engine's version.

use serde_json::{Value, json};
use tests::{Options, World};

const NODES: &str = "/api/infra/v1/node/";
const ACTIONS: &str = "/api/audit/v1/action/";

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().unwrap()
}

fn names(page: &Value) -> Vec<&str> {
    let objects = page["objects"].as_array().unwrap();
    objects
        .iter()
        .map(|o| o["action"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn nodes_are_found_by_the_version_of_their_engine() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 2, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let cluster = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node = cluster["nodes"][0].as_str().unwrap();
    sqlx::query("UPDATE node SET docker_version = '1.11.2-cs7' WHERE $1 LIKE '%' || id || '%'")
        .bind(node)
        .execute(&world.pool)
        .await
        .unwrap();
    let page = world
        .fetch(&format!("{NODES}?docker_version=1.11.2-cs7"))
        .await;
    assert_eq!(page["meta"]["total_count"], 1);
    assert_eq!(uri(&page["objects"][0]), node);
    assert_eq!(page["objects"][0]["docker_version"], "1.11.2-cs7");
    let page = world.fetch(&format!("{NODES}?docker_version=1.11.2")).await;
    assert_eq!(page["meta"]["total_count"], 0);
    world.finish().await;
}

#[tokio::test]
async fn actions_are_found_with_those_of_related_objects() {
    let world = World::start().await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, json!({})).await;
    world
        .create("us-east-1", "t3.micro", 1, json!({"name": "other"}))
        .await;
    let nodes = world.nodes(&cluster).await;
    for node in &nodes {
        world
            .client
            .patch(uri(node), &json!({"nickname": "n"}))
            .await
            .expect(202);
    }
    world.terminate(&nodes[0]).await;
    let found = |query: String| {
        let world = &world;
        async move { world.fetch(&format!("{ACTIONS}?{query}")).await }
    };
    let own = ["Node Cluster Deploy", "Node Cluster Create"];
    let of = |object: &Value| format!("object={}", uri(object));
    assert_eq!(names(&found(of(&cluster)).await), own);
    let unrelated = format!("{}&include_related=false", of(&cluster));
    assert_eq!(names(&found(unrelated).await), own);
    // Of the cluster and all its nodes, those that are gone among them.
    let page = found(format!("{}&include_related=true", of(&cluster))).await;
    let all = [
        "Node Terminate",
        "Node Update",
        "Node Update",
        own[0],
        own[1],
    ];
    assert_eq!(names(&page), all);
    // Of a node and its cluster.
    let page = found(format!("include_related=True&{}", of(&nodes[1]))).await;
    assert_eq!(names(&page), ["Node Update", own[0], own[1]]);
    // The links carry both.
    let page = found(format!("include_related=true&limit=2&{}", of(&cluster))).await;
    let next = world.fetch(page["meta"]["next"].as_str().unwrap()).await;
    assert_eq!(names(&next), all[2..4]);
    // Without an object all are listed, and they are related to all.
    let page = found("include_related=true".to_owned()).await;
    assert_eq!(names(&page), names(&found(String::new()).await));
    let refused = world
        .client
        .get(&format!("{ACTIONS}?include_related=maybe"))
        .await
        .expect(400);
    let words = "include_related: \"maybe\" is neither true nor false";
    assert!(refused.error().starts_with(words), "{}", refused.error());
    world.finish().await;
}

#[tokio::test]
async fn actions_are_found_by_when_they_started_and_ended() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    world.client.post(&deploy, &json!({})).await.expect(202);
    // The create was long ago; the deploy still goes on.
    sqlx::query(
        "UPDATE action SET started_at = '2016-09-16 17:01:15.9Z', ended_at = '2016-09-16 17:01:20.1Z'
         WHERE name = 'Node Cluster Create'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let (create, deploy) = ("Node Cluster Create", "Node Cluster Deploy");
    for (query, expected) in [
        ("start_date__gte=2016-09-16T17:01:15Z", vec![deploy, create]),
        ("start_date__gte=2016-09-16T17:01:16Z", vec![deploy]),
        ("start_date__lte=2016-09-16T17:01:15Z", vec![create]),
        ("start_date__lte=2016-09-16T17:01:14Z", vec![]),
        ("end_date__gte=2016-09-16T17:01:20Z", vec![create]),
        ("end_date__lte=2016-09-16T17:01:20Z", vec![create]),
        ("end_date__lte=2016-09-16T17:01:19Z", vec![]),
        (
            "start_date__gte=2016-09-16&end_date__lte=2016-09-17",
            vec![create],
        ),
        // As the wire writes it, the plus sign escaped and not.
        (
            "start_date__lte=Fri,%2016%20Sep%202016%2017:01:15%20%2B0000",
            vec![create],
        ),
        (
            "start_date__lte=Fri, 16 Sep 2016 17:01:15 +0000",
            vec![create],
        ),
    ] {
        let page = world.fetch(&format!("{ACTIONS}?{query}")).await;
        assert_eq!(names(&page), expected, "{query}");
    }
    for name in [
        "start_date__gte",
        "start_date__lte",
        "end_date__gte",
        "end_date__lte",
    ] {
        let refused = world
            .client
            .get(&format!("{ACTIONS}?{name}=soon"))
            .await
            .expect(400);
        let words = format!("{name}: \"soon\" is not a time like");
        assert!(refused.error().starts_with(&words), "{}", refused.error());
    }
    world.finish().await;
}
