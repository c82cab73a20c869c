//! What the benchmark prints and a test asserts: both count in the same way.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{Options, World, wait_for};

/// Deploys a cluster in a fresh account with a worker that paces itself as in production, and counts the calls until
/// the id of every instance is known. A dry run counts as `RunInstances (dry run)`.
pub async fn calls_of_a_launch(region: &str, node_type: &str, nodes: u32) -> BTreeMap<String, u64> {
    let world = World::with(Options {
        worker: worker::Config::default(),
        ..Options::default()
    })
    .await;
    let cluster = world.create(region, node_type, nodes, json!({})).await;
    let path = format!(
        "{}deploy/",
        cluster["resource_uri"].as_str().expect("a URI")
    );
    world.client.post(&path, &json!({})).await.expect(202);
    let calls = wait_for("the ids of all instances", || async {
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM node WHERE instance_id IS NOT NULL")
                .fetch_one(&world.pool)
                .await
                .expect("the nodes");
        (known == i64::from(nodes)).then(|| world.sim().calls())
    })
    .await;
    world.finish().await;
    calls
}
