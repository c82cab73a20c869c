//! What the benchmarks print and tests assert: both count in the same way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Options, World, theirs, wait_for};

/// What a launch has cost until the id of every instance was known.
#[derive(Debug)]
pub struct Cost {
    /// The calls of each action; a dry run counts as `RunInstances (dry run)`.
    pub calls: BTreeMap<String, u64>,
    /// Those that EC2 refused because there were too many.
    pub throttled: u64,
    /// How long it took, from the request on.
    pub took: Duration,
}

impl Cost {
    /// The calls of an action.
    pub fn of(&self, action: &str) -> u64 {
        self.calls.get(action).copied().unwrap_or_default()
    }

    /// All calls.
    pub fn all(&self) -> u64 {
        self.calls.values().sum()
    }
}

/// A world whose simulated EC2 has the limits that EC2 documents, and whose worker paces itself as in production.
async fn world() -> World {
    World::with(Options {
        sim: sim::Config {
            throttling: true,
            record: false,
            ..sim::Config::fast()
        },
        worker: worker::Config {
            refreshes_catalogue: false,
            ..worker::Config::default()
        },
        ..Options::patient()
    })
    .await
}

/// Deploys a cluster in a fresh account, and counts until the id of every instance is known.
pub async fn cost_of_a_first_launch(region: &str, node_type: &str, nodes: u32) -> Cost {
    let world = world().await;
    let (_, cost) = launch(&world, region, node_type, nodes, json!({})).await;
    world.finish().await;
    cost
}

/// What a launch into subnets that are there costs, and the termination of all of it.
#[derive(Debug)]
pub struct Round {
    /// Until the id of every instance was known.
    pub launch: Cost,
    /// The calls of TerminateInstances with which all of them went.
    pub terminations: u64,
}

/// Deploys a cluster into three subnets of a VPC of the user's, and terminates it.
pub async fn cost_of_a_round_in_given_subnets(region: &str, node_type: &str, nodes: u32) -> Round {
    let world = world().await;
    let cloud = world.cloud(region).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await;
    let vpc = vpc.expect("a VPC").id;
    let mut subnets = Vec::new();
    for (n, zone) in ["a", "b", "c"].iter().enumerate() {
        let (zone, block) = (format!("{region}{zone}"), format!("10.9.{}.0/20", 16 * n));
        let subnet = cloud.create_subnet(&vpc, &zone, &block, &theirs()).await;
        subnets.push(subnet.expect("a subnet").id);
    }
    let more = json!({"provider_options": {"vpc": {"id": vpc, "subnets": subnets}}});
    world.sim().reset_calls();
    let (cluster, launch) = launch(&world, region, node_type, nodes, more).await;
    let path = cluster["resource_uri"].as_str().expect("a URI");
    wait_for("the deploy to end", || async {
        (world.fetch(path).await["state"] == "Deployed").then_some(())
    })
    .await;
    world.sim().reset_calls();
    world.terminate(&cluster).await;
    let terminations = world.sim().calls()["TerminateInstances"];
    world.finish().await;
    Round {
        launch,
        terminations,
    }
}

async fn launch(
    world: &World,
    region: &str,
    node_type: &str,
    nodes: u32,
    more: Value,
) -> (Value, Cost) {
    let cluster = world.create(region, node_type, nodes, more).await;
    let uri = cluster["resource_uri"].as_str().expect("a URI");
    let path = format!("{uri}deploy/");
    let begun = Instant::now();
    world.client.post(&path, &json!({})).await.expect(202);
    let cost = wait_for("the ids of all instances", || async {
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM node WHERE instance_id IS NOT NULL")
                .fetch_one(&world.pool)
                .await
                .expect("the nodes");
        (known == i64::from(nodes)).then(|| Cost {
            calls: world.sim().calls(),
            throttled: world.sim().throttled().values().sum(),
            took: begun.elapsed(),
        })
    })
    .await;
    (cluster, cost)
}

/// How many DescribeInstances calls so many sweeps of a site at rest make, with so many clusters of one node each.
pub async fn describes_at_rest(clusters: usize, sweeps: u64) -> u64 {
    let world = World::start().await;
    for n in 0..clusters {
        let more = json!({"name": format!("web-{n}")});
        world.deploy("sa-east-1", "t3.micro", 1, more).await;
    }
    wait_for("the tags of every node", || async {
        let tagged = |i: &sim::InstanceView| i.tags.contains_key("UUID");
        world
            .instances("sa-east-1")
            .iter()
            .all(tagged)
            .then_some(())
    })
    .await;
    let seen = || async {
        let seen: Option<f64> =
            sqlx::query_scalar("SELECT extract(epoch FROM max(last_seen_at))::float8 FROM node")
                .fetch_one(&world.pool)
                .await
                .expect("the nodes");
        seen.expect("a node was seen")
    };
    let mut last = seen().await;
    world.sim().reset_calls();
    for _ in 0..sweeps {
        last = wait_for("a sweep", || async {
            let now = seen().await;
            (now > last).then_some(now)
        })
        .await;
    }
    let describes = world.sim().calls()["DescribeInstances"];
    world.finish().await;
    describes
}
