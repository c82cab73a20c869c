//! Storms: everything goes wrong at once, by a seed, and when it is calm again everything must be as it should.
//!
//! In a storm users deploy, scale, cancel and delete, while calls of AWS are refused, lost, slow or hang, new objects
//! are not seen, zones run out of room, instances are terminated in the console, workers are killed, stopped and frozen,
//! and Postgres is restarted. Then it is calm. From then on the model of what must hold is this:
//!
//! - What was answered with 2xx has come to an end.
//! - Every cluster that is not gone can be brought to any size, and has exactly so many instances then.
//! - A cluster that is deleted has none, and nothing of this installation is there that no row knows.
//! - No instance was ever launched that was not some node's.
//! - What belongs to somebody else is as it was.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{ACCOUNT, Client, Options, OwnPostgres, WorkerProcess, World, theirs, wait_for};

mod plan;

use plan::{CLUSTERS, Event, Plan, WORKERS, ZONES};

const REGION: &str = "sa-east-1";
const NODE_TYPE: &str = "t3.micro";
/// Longer than a lease, so that the other worker has taken the site.
const FROZEN_FOR: Duration = Duration::from_millis(2500);

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
    /// How long it took.
    pub took: Duration,
}

/// Lives through the storm of this seed. `worker` is the program of a worker.
///
/// # Panics
/// With what does not hold.
pub async fn live_through(worker: &'static str, postgres: &mut OwnPostgres, seed: u64) -> Report {
    let begun = Instant::now();
    let plan = Plan::of(seed);
    let world = World::with(Options {
        with_worker: false,
        sim: sim::Config {
            seed,
            record: false,
            ..sim::Config::fast()
        },
        database_url: Some(postgres.fresh_database().await),
        ..Options::default()
    })
    .await;
    let foreign = somebody_elses(&world).await;
    let mut storm = Storm {
        program: worker,
        workers: (0..WORKERS)
            .map(|_| WorkerProcess::start(worker, &world))
            .collect(),
        world,
        promised: Vec::new(),
        given_up: 0,
    };
    for (pause_ms, event) in &plan.events {
        // The pace of the storm, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(*pause_ms)).await;
        tracing::info!(seed, ?event, "storm");
        storm.play(event, postgres).await;
    }
    storm.calm().await;
    storm.what_was_promised_has_ended().await;
    for (cluster, nodes) in plan.afterwards.iter().enumerate() {
        storm.bring_to(cluster, *nodes).await;
    }
    storm.delete_everything().await;
    let live: Vec<String> = storm
        .world
        .instances(REGION)
        .into_iter()
        .map(|i| i.id)
        .collect();
    assert_eq!(live, foreign, "what belongs to somebody else");
    let ever = storm.world.ever_launched(REGION).await;
    let known: Vec<String> =
        sqlx::query_scalar("SELECT instance_id FROM node WHERE instance_id = ANY ($1)")
            .bind(ever.iter().collect::<Vec<_>>())
            .fetch_all(&storm.world.pool)
            .await
            .expect("the nodes");
    assert_eq!(
        ever.len(),
        known.len(),
        "every instance that was ever launched was a node's"
    );
    let actions = storm.actions().await;
    let calls = storm.world.sim().calls().values().sum();
    for worker in storm.workers {
        worker.kill().await;
    }
    storm.world.finish().await;
    Report {
        seed,
        events: plan.events.len(),
        actions,
        calls,
        given_up: storm.given_up,
        took: begun.elapsed(),
    }
}

/// Instances that Berth has nothing to do with.
async fn somebody_elses(world: &World) -> Vec<String> {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.1.0.0/16", &theirs()).await;
    let zone = format!("{REGION}{}", ZONES[0]);
    let subnet = cloud
        .create_subnet(&vpc.expect("a VPC").id, &zone, "10.1.0.0/24", &theirs())
        .await;
    world
        .launch_theirs(REGION, &subnet.expect("a subnet").id, 5)
        .await
}

struct Storm {
    program: &'static str,
    workers: Vec<WorkerProcess>,
    world: World,
    /// The actions of requests that were answered with 2xx.
    promised: Vec<String>,
    given_up: u64,
}

fn name(cluster: usize) -> String {
    format!("storm-{cluster}")
}

impl Storm {
    async fn play(&mut self, event: &Event, postgres: &mut OwnPostgres) {
        match event {
            Event::Deploy { cluster, nodes } => self.deploy(*cluster, *nodes).await,
            Event::Scale { cluster, nodes } => {
                if let Some(it) = self.find(*cluster).await {
                    let answer = self.client().patch(uri(&it), &size(*nodes)).await;
                    self.keep(&answer);
                }
            }
            Event::Delete(cluster) => {
                if let Some(it) = self.find(*cluster).await {
                    let answer = self.client().delete(uri(&it)).await;
                    self.keep(&answer);
                }
            }
            Event::DeleteNode(cluster) => {
                let node = match self.find(*cluster).await {
                    Some(it) => it["nodes"][0].as_str().map(str::to_owned),
                    None => None,
                };
                if let Some(node) = node {
                    let answer = self.client().delete(&node).await;
                    self.keep(&answer);
                }
            }
            Event::Cancel(cluster) => self.cancel(*cluster).await,
            Event::ConsoleTerminate(every) => {
                let ours = self.world.instances(REGION).into_iter();
                let ours = ours.filter(|i| i.tags.contains_key("berth:cluster"));
                let some: Vec<String> = ours.step_by(*every).map(|i| i.id).take(2).collect();
                let some: Vec<&str> = some.iter().map(String::as_str).collect();
                self.world.sim().console_terminate(ACCOUNT, REGION, &some);
            }
            Event::Room { zone, instances } => self.room(zone, *instances),
            Event::KillWorker(which) => {
                let next = WorkerProcess::start(self.program, &self.world);
                std::mem::replace(&mut self.workers[*which], next)
                    .kill()
                    .await;
            }
            Event::StopWorker(which) => {
                let next = WorkerProcess::start(self.program, &self.world);
                let stopped = std::mem::replace(&mut self.workers[*which], next);
                stopped.stop().await;
            }
            Event::FreezeWorker(which) => {
                self.workers[*which].freeze().await;
                tokio::time::sleep(FROZEN_FOR).await;
                self.workers[*which].thaw().await;
            }
            Event::RestartPostgres => postgres.restart().await,
            Event::Faults(rule) => {
                let access_key = Some(self.world.endpoint.access_key_id.clone());
                self.world.sim().add_fault(sim::FaultRule {
                    access_key,
                    ..rule.clone()
                });
            }
            Event::Consistency(ms) => self.world.sim().set_consistency_ms(*ms / 2..*ms + 1),
            Event::Throttling(on) => self.world.sim().set_throttling(*on),
        }
    }

    fn client(&self) -> &Client {
        &self.world.client
    }

    fn room(&self, zone: &str, instances: Option<u32>) {
        let zone = format!("{REGION}{zone}");
        let sim = self.world.sim();
        sim.set_capacity(ACCOUNT, REGION, &zone, NODE_TYPE, instances);
    }

    /// The cluster, if there is one; none while the API can't reach its database, either.
    async fn find(&self, cluster: usize) -> Option<Value> {
        let path = format!("/api/infra/v1/nodecluster/?name={}", name(cluster));
        let answer = self.client().get(&path).await;
        let found = answer.body["objects"][0].clone();
        (found.is_object() && found["state"] != "Terminated").then_some(found)
    }

    fn keep(&mut self, answer: &crate::Answer) {
        if answer.status == 202 {
            self.promised.push(answer.action_uri());
        }
        // What was given up promises nothing, but it is counted: the API should not have to.
        self.given_up += u64::from(answer.status == 504);
        let is_expected = matches!(answer.status, 202 | 400 | 404 | 409 | 503 | 504);
        assert!(is_expected, "{} {}", answer.status, answer.text);
    }

    async fn deploy(&mut self, cluster: usize, nodes: u32) {
        let found = match self.find(cluster).await {
            Some(found) => found,
            None => {
                let body = json!({
                    "name": name(cluster),
                    "region": format!("/api/infra/v1/region/aws/{REGION}/"),
                    "node_type": format!("/api/infra/v1/nodetype/aws/{NODE_TYPE}/"),
                    "target_num_nodes": nodes,
                });
                let made = self
                    .client()
                    .post("/api/infra/v1/nodecluster/", &body)
                    .await;
                if made.status != 201 {
                    return;
                }
                made.body
            }
        };
        let path = format!("{}deploy/", uri(&found));
        let answer = self.client().post(&path, &json!({})).await;
        self.keep(&answer);
    }

    async fn cancel(&mut self, cluster: usize) {
        let Some(found) = self.find(cluster).await else {
            return;
        };
        let path = format!("/api/audit/v1/action/?object={}&limit=1", uri(&found));
        let newest = self.client().get(&path).await;
        if let Some(action) = newest.body["objects"][0]["resource_uri"].as_str() {
            let path = format!("{action}cancel/");
            let answer = self.client().post(&path, &json!({})).await;
            self.keep(&answer);
        }
    }

    /// AWS does what it is asked for again.
    async fn calm(&self) {
        let sim = self.world.sim();
        sim.clear_faults();
        sim.set_consistency_ms(0..0);
        sim.set_throttling(false);
        for zone in ZONES {
            self.room(zone, None);
        }
        wait_for("the API to reach its database", || async {
            let ready = self.client().get("/readyz").await;
            (ready.status == 200).then_some(())
        })
        .await;
        // What was remembered of full zones would be right in three minutes; the storm does not take that long.
        sqlx::query("UPDATE outage SET until = now()")
            .execute(&self.world.pool)
            .await
            .expect("the outages");
    }

    async fn what_was_promised_has_ended(&self) {
        for action in &self.promised {
            self.world.ended(action).await;
        }
        self.world.comes_to_rest().await;
        for cluster in 0..CLUSTERS {
            if let Some(it) = self.find(cluster).await {
                self.has_what_it_says(&it);
            }
        }
    }

    /// A cluster at rest has the instances that it says it has, and is in the state that goes with them.
    fn has_what_it_says(&self, cluster: &Value) {
        let number = |name: &str| cluster[name].as_u64().expect("a number");
        let (has, wants) = (number("current_num_nodes"), number("target_num_nodes"));
        let instances = self.instances_of(cluster);
        assert_eq!(instances, has, "instances of {cluster:#}");
        let fits = match cluster["state"].as_str().unwrap_or_default() {
            "Init" | "Empty cluster" => has == 0,
            "Deployed" => has == wants && has > 0,
            "Partly deployed" => has < wants && has > 0,
            _ => false,
        };
        assert!(fits, "{cluster:#}");
    }

    fn instances_of(&self, cluster: &Value) -> u64 {
        let id = cluster["uuid"].as_str().expect("an id");
        let all = self.world.instances(REGION).into_iter();
        let its = all.filter(|i| i.tags.get("berth:cluster").is_some_and(|it| it == id));
        u64::try_from(its.count()).expect("a small number")
    }

    /// Whatever has happened to it, a cluster can be brought to any size.
    async fn bring_to(&mut self, cluster: usize, nodes: u32) {
        let Some(found) = self.find(cluster).await else {
            return;
        };
        let client = self.client();
        if found["state"] == "Init" {
            client
                .patch(uri(&found), &size(nodes.max(1)))
                .await
                .expect(202);
            let path = format!("{}deploy/", uri(&found));
            let deploy = client.post(&path, &json!({})).await.expect(202);
            let action = self.world.ended(&deploy.action_uri()).await;
            assert_eq!(action["state"], "Success", "{action:#}");
            return;
        }
        let scale = client.patch(uri(&found), &size(nodes)).await.expect(202);
        let action = self.world.ended(&scale.action_uri()).await;
        assert_eq!(action["state"], "Success", "{action:#}");
        let found = self.world.fetch(uri(&found)).await;
        assert_eq!(found["current_num_nodes"], nodes, "{found:#}");
        self.world.comes_to_rest().await;
        self.has_what_it_says(&found);
    }

    async fn delete_everything(&self) {
        for cluster in 0..CLUSTERS {
            if let Some(found) = self.find(cluster).await {
                let gone = self.world.terminate(&found).await;
                assert_eq!(gone["state"], "Terminated");
            }
        }
        self.world.nothing_is_left_over().await;
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

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().expect("a URI")
}

fn size(nodes: u32) -> Value {
    json!({"target_num_nodes": nodes})
}
