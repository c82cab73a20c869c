//! Quotas: what a namespace may have, counted also when many ask at once.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, Options, World, add_user, fresh_token};

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";

fn limits(clusters: Option<u32>, nodes: Option<u32>) -> domain::quota::Limits {
    domain::quota::Limits { clusters, nodes }
}

async fn world(quota: domain::quota::Limits) -> World {
    World::with(Options {
        with_worker: false,
        quota,
        ..Options::default()
    })
    .await
}

fn wish(name: &str, nodes: u32) -> Value {
    json!({
        "name": name,
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        "target_num_nodes": nodes,
    })
}

async fn quota(client: &Client) -> Value {
    client.get("/api/berth/v1/quota/").await.expect(200).body
}

#[tokio::test]
async fn a_namespace_grows_up_to_its_limits_and_the_refusal_has_the_numbers() {
    let world = world(limits(Some(2), Some(5))).await;
    let dev = &world.client;
    let web = dev.post(CLUSTERS, &wish("web", 3)).await.expect(201).body;
    let said = dev.post(CLUSTERS, &wish("big", 3)).await.expect(403);
    assert!(
        said.error().contains("would have 6 nodes, and may have 5"),
        "{}",
        said.text
    );
    dev.post(CLUSTERS, &wish("db", 2)).await.expect(201);
    let said = dev.post(CLUSTERS, &wish("more", 0)).await.expect(403);
    assert!(
        said.error()
            .contains("would have 3 node clusters, and may have 2"),
        "{}",
        said.text
    );
    assert_eq!(
        quota(dev).await,
        json!({"clusters": 2, "max_clusters": 2, "max_nodes": 5, "nodes": 5})
    );

    // A scale is counted, one that waits behind another operation as well; to shrink is always allowed.
    let uri = web["resource_uri"].as_str().unwrap();
    dev.patch(uri, &json!({"target_num_nodes": 4}))
        .await
        .expect(403);
    assert_eq!(world.fetch(uri).await["target_num_nodes"], 3);
    dev.patch(uri, &json!({"target_num_nodes": 1}))
        .await
        .expect(202);
    dev.patch(uri, &json!({"target_num_nodes": 3}))
        .await
        .expect(202);
    // A machine that its owner brings is a node, too.
    let token = fresh_token(&world).await;
    let register = || async {
        let url = format!("{}/api/agent/v1/node/", dev.base);
        let request = reqwest::Client::new().post(url);
        let request = request.header("authorization", format!("TutumAgentToken {token}"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(register().await, 403);
    dev.patch(uri, &json!({"target_num_nodes": 2}))
        .await
        .expect(202);
    assert_eq!(register().await, 201);
    assert_eq!(register().await, 201, "the same machine again");
    assert_eq!(quota(dev).await["nodes"], 5);
    // Whoever is full is full alone, and what is terminated makes room.
    let eve = add_user(&world, "eve", "eves-key").await;
    eve.post(CLUSTERS, &wish("web", 5)).await.expect(201);
    dev.delete(uri).await.expect(202);
    dev.post(CLUSTERS, &wish("web", 2)).await.expect(201);
    world.finish().await;
}

#[tokio::test]
async fn a_scale_that_waits_is_counted() {
    let world = world(limits(None, Some(4))).await;
    let dev = &world.client;
    let web = dev.post(CLUSTERS, &wish("web", 1)).await.expect(201).body;
    let uri = web["resource_uri"].as_str().unwrap();
    // As if it were deployed, and something were under way on it.
    sqlx::query(
        "INSERT INTO action (id, namespace_id, name, object_type, object_id, state, method, path, body, user_name,
                             user_agent, ip, began_at)
         SELECT gen_random_uuid(), namespace_id, 'Node Cluster Docker Upgrade', 'nodecluster', id, 'In progress', '', '',
                '', '', '', '', now() FROM cluster",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    dev.patch(uri, &json!({"target_num_nodes": 4}))
        .await
        .expect(202);
    assert_eq!(world.fetch(uri).await["target_num_nodes"], 1);
    assert_eq!(quota(dev).await["nodes"], 4);
    dev.post(CLUSTERS, &wish("more", 1)).await.expect(403);
    world.finish().await;
}

#[tokio::test]
async fn many_who_ask_at_once_get_no_more_than_there_may_be() {
    let world = world(limits(Some(5), Some(20))).await;
    let asks = (0..40).map(|n| {
        let client = world.client.clone();
        async move { client.post(CLUSTERS, &wish(&format!("c{n}"), 3)).await }
    });
    let answers = join_all(asks).await;
    let count = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((count(201), count(403)), (5, 35));
    // And of scales: five clusters of three have room for five more nodes.
    let uris: Vec<String> = answers
        .iter()
        .filter_map(|answer| answer.body["resource_uri"].as_str().map(str::to_owned))
        .collect();
    let scales = uris
        .iter()
        .flat_map(|uri| (4..12).map(move |target| (uri, target)));
    join_all(scales.map(|(uri, target)| {
        let client = world.client.clone();
        async move {
            client
                .patch(uri, &json!({"target_num_nodes": target}))
                .await
        }
    }))
    .await;
    let quota = quota(&world.client).await;
    let nodes = quota["nodes"].as_u64().unwrap();
    assert!((16..=20).contains(&nodes), "{quota}");
    let wanted: i64 = sqlx::query_scalar("SELECT sum(target_num_nodes) FROM cluster")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(wanted.unsigned_abs(), nodes);
    world.finish().await;
}

#[tokio::test]
async fn an_operator_sets_what_a_namespace_may_have() {
    let world = world(limits(Some(1), None)).await;
    let boss = add_user(&world, "boss", "boss").await;
    sqlx::query("UPDATE users SET is_operator = true WHERE name = 'boss'")
        .execute(&world.pool)
        .await
        .unwrap();
    let set = |client: &Client, body: Value| {
        let (client, body) = (client.clone(), body.to_string().into_bytes());
        async move {
            client
                .send(Method::PUT, "/api/berth/v1/quota/dev/", Some(body))
                .await
        }
    };
    let dev = &world.client;
    dev.post(CLUSTERS, &wish("a", 1)).await.expect(201);
    dev.post(CLUSTERS, &wish("b", 1)).await.expect(403);
    set(dev, json!({"max_clusters": 9})).await.expect(403);
    let said = set(&boss, json!({"max_clusters": -1})).await.expect(400);
    assert!(
        said.error().starts_with("max_clusters: -1"),
        "{}",
        said.text
    );
    let answer = set(&boss, json!({"max_clusters": 2, "max_nodes": 2}))
        .await
        .expect(202);
    assert_eq!(answer.body, quota(dev).await);
    dev.post(CLUSTERS, &wish("b", 1)).await.expect(201);
    dev.post(CLUSTERS, &wish("c", 0)).await.expect(403);
    // Limits below what there is take nothing away. Without limits of its own, the installation's count again.
    set(&boss, json!({"max_nodes": 0})).await.expect(202);
    assert_eq!(
        quota(dev).await,
        json!({"clusters": 2, "max_clusters": 1, "max_nodes": 0, "nodes": 2})
    );
    let log = dev.get("/action?limit=1").await.expect(200).body;
    assert_eq!(log["objects"][0]["action"], "Quota Set");
    assert_eq!(log["objects"][0]["user"], "boss");
    world.finish().await;
}
