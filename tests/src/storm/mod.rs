//! Storms: everything goes wrong at once, by a seed, and when it is calm again everything must be as it should.
//!
//! In a storm users deploy into two regions, their own VPC and their own subnets, scale, cancel, retry and delete, while
//! calls of AWS are refused, lost, slow or hang, new objects are not seen or not listed, zones run out of room, instances
//! are terminated, stopped and started in the console, subnets deleted and gateways detached, workers and API replicas
//! killed and stopped, workers frozen (also in the middle of a transaction), and Postgres is restarted. Then it is calm.
//! From then on the model of what must hold is this:
//!
//! - What was answered with 2xx has come to an end, and no action is left open. What failed names a reason that happened.
//! - Every cluster, node and launch is in a state of rest, and that of a node is the one of its instance.
//! - EC2 has nothing of this installation that no row knows, and no row names what EC2 does not have (but for what was
//!   deleted in the console since it was last looked at).
//! - Every cluster that is not gone can be brought to any size, and has exactly so many instances then, spread as the
//!   rule of placement says.
//! - A cluster that is deleted has none.
//! - No instance was ever launched that was not some node's.
//! - What belongs to somebody else is as it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{ACCOUNT, ApiProcess, Options, OwnPostgres, WorkerProcess, World};

mod balance;
mod calm;
mod console;
mod ground;
mod plan;
mod play;
mod reasons;
mod sleep;

use ground::Ground;
use plan::{Event, PLACES, Plan, REPLICAS, WORKERS};

const NODE_TYPE: &str = "t3.micro";
/// The account's own VPCs and gateways, Berth's, and room for the duplicates of lost answers.
const ROOMY: usize = 20;

/// The programs that a storm kills.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `worker-under-test`
    pub worker: &'static str,
    /// `berth-under-test`
    pub berth: &'static str,
}

/// What a storm was like.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many things happened.
    pub events: usize,
    /// How many actions ended how.
    pub actions: BTreeMap<String, u64>,
    /// How many calls of AWS were made.
    pub calls: u64,
    /// How many requests the API gave up after its time-out (504).
    pub given_up: u64,
    /// How often a worker slept past its lease with a transaction open.
    pub slept_in_transaction: u64,
    /// How long it took.
    pub took: Duration,
}

/// Lives through the storm of this seed.
///
/// # Panics
/// With what does not hold.
pub async fn live_through(programs: Programs, postgres: &mut OwnPostgres, seed: u64) -> Report {
    let begun = Instant::now();
    let plan = Plan::of(seed);
    let world = World::with(Options {
        with_worker: false,
        sim: sim::Config {
            seed,
            record: false,
            quotas: sim::Quotas {
                vpcs: ROOMY,
                internet_gateways: ROOMY,
                ..sim::Quotas::default()
            },
            ..sim::Config::fast()
        },
        database_url: Some(postgres.fresh_database().await),
        ..Options::default()
    })
    .await;
    let mut storm = Storm::gather(programs, world).await;
    for (pause_ms, event) in &plan.events {
        // The pace of the storm, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
        tracing::info!(seed, ?event, "storm");
        storm.play(event, postgres).await;
    }
    storm.calm().await;
    storm.what_was_promised_has_ended().await;
    storm.everything_is_at_rest().await;
    let happened: Vec<Event> = plan.events.into_iter().map(|(_, event)| event).collect();
    storm.what_failed_has_a_reason(&happened).await;
    for (cluster, nodes) in plan.afterwards.iter().enumerate() {
        storm.bring_to(cluster, *nodes).await;
    }
    storm.everything_is_at_rest().await;
    storm.delete_everything().await;
    storm.everything_is_at_rest().await;
    for region in PLACES {
        storm.every_instance_was_a_nodes(region).await;
    }
    let actions = storm.actions().await;
    let calls = storm.world.sim().calls().values().sum();
    for worker in storm.workers {
        worker.kill().await;
    }
    storm.world.finish().await;
    Report {
        seed,
        events: happened.len(),
        actions,
        calls,
        given_up: storm.given_up,
        slept_in_transaction: storm.slept_in_transaction,
        took: begun.elapsed(),
    }
}

struct Storm {
    programs: Programs,
    workers: Vec<WorkerProcess>,
    replicas: Vec<ApiProcess>,
    world: World,
    ground: Ground,
    installation: String,
    /// The actions of requests that were answered with 2xx.
    promised: Vec<String>,
    /// The subnets that were deleted in the console.
    deleted: BTreeSet<String>,
    requests: usize,
    given_up: u64,
    slept_in_transaction: u64,
}

impl Storm {
    async fn gather(programs: Programs, world: World) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(ApiProcess::start(programs.berth, &world).await);
        }
        Self {
            programs,
            workers: (0..WORKERS)
                .map(|_| WorkerProcess::start(programs.worker, &world))
                .collect(),
            replicas,
            ground: Ground::lay(&world).await,
            installation: world.installation().await,
            world,
            promised: Vec::new(),
            deleted: BTreeSet::new(),
            requests: 0,
            given_up: 0,
            slept_in_transaction: 0,
        }
    }

    /// The cluster, if there is one; none while the API can't reach its database, either.
    async fn find(&self, cluster: usize) -> Option<Value> {
        let path = format!("/api/infra/v1/nodecluster/?name={}", name(cluster));
        let answer = self.world.client.get(&path).await;
        let found = answer.body["objects"][0].clone();
        (found.is_object() && found["state"] != "Terminated").then_some(found)
    }

    fn room(&self, region: &str, zone: &str, instances: Option<u32>) {
        let zone = format!("{region}{zone}");
        let sim = self.world.sim();
        sim.set_capacity(ACCOUNT, region, &zone, NODE_TYPE, instances);
    }

    async fn actions(&self) -> BTreeMap<String, u64> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT state, count(*) FROM action GROUP BY state")
                .fetch_all(&self.world.pool)
                .await
                .expect("the actions");
        let count = |n: i64| u64::try_from(n).unwrap_or_default();
        rows.into_iter().map(|(s, n)| (s, count(n))).collect()
    }
}

fn name(cluster: usize) -> String {
    format!("storm-{cluster}")
}

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().expect("a URI")
}

fn size(nodes: u32) -> Value {
    json!({"target_num_nodes": nodes})
}
