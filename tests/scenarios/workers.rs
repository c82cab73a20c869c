//! Workers and replicas that come and go, sleep, and lose their database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::ids::WorkerId;
use futures::future::join_all;
use serde_json::{Value, json};
use sim::{Fault, FaultRule};
use tests::{
    ApiProcess, Client, Options, OwnPostgres, WorkerProcess, World, fast_connector, fast_worker,
    wait_for,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const REGION: &str = "sa-east-1";
const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");
const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");

async fn ask_to_deploy(world: &World, nodes: u32) -> (Value, String) {
    ask_to_deploy_named(world, "web", nodes).await
}

async fn ask_to_deploy_named(world: &World, name: &str, nodes: u32) -> (Value, String) {
    let more = json!({"name": name});
    world.ask_to_deploy(REGION, "t3.micro", nodes, more).await
}

/// A worker in this process; it ends at the token.
fn begin(world: &World, config: worker::Config) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let clouds = Arc::new(fast_connector(world.endpoint.clone()));
    let worker = worker::Worker::new(world.pool.clone(), clouds, config);
    (stop.clone(), tokio::spawn(worker.run(stop)))
}

/// Who holds the site, if anybody does.
async fn holder(world: &World) -> Option<WorkerId> {
    let owner: Option<uuid::Uuid> = sqlx::query_scalar("SELECT lease_owner FROM site")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    owner.map(WorkerId)
}

/// Every row that a worker writes while there is something to do.
async fn written(world: &World) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT row_to_json(launch)::text FROM launch
         UNION ALL SELECT row_to_json(action)::text FROM action
         UNION ALL SELECT row_to_json(action_log)::text FROM action_log
         UNION ALL SELECT row_to_json(event)::text FROM event
         UNION ALL SELECT row_to_json(cluster)::text FROM cluster
         UNION ALL SELECT row_to_json(network)::text FROM network
         UNION ALL SELECT row_to_json(creation)::text FROM creation
         UNION ALL SELECT concat_ws(' ', id, state, instance_id, launch_id, tagged_at) FROM node
         ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn i3_a_worker_that_slept_past_its_lease_writes_nothing() {
    let world = World::without_worker().await;
    // The first worker falls asleep while EC2 launches for it.
    let rule = world
        .sim()
        .add_fault(FaultRule::next("RunInstances", Fault::HangAfterEffect));
    let (_, action) = ask_to_deploy(&world, 6).await;
    let sleeper = WorkerProcess::start(WORKER, &world);
    wait_for("a launch", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    let first = holder(&world).await.unwrap();
    sleeper.freeze().await;

    let second = WorkerProcess::start(WORKER, &world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_ne!(holder(&world).await.unwrap(), first);
    wait_for("the tags of every node", || async {
        let untagged: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE tagged_at IS NULL")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        (untagged == 0).then_some(())
    })
    .await;
    let before = written(&world).await;
    sleeper.thaw().await;
    world.sim().clear_faults();
    // It wakes up, finds out what it was at, can't write it down, and ends.
    sleeper.stop().await;
    assert_eq!(written(&world).await, before);
    assert_ne!(holder(&world).await, Some(first));
    assert_eq!(world.instances(REGION).len(), 6);
    second.kill().await;
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_is_followed_by_one_that_would_not_look_for_an_hour() {
    let world = World::without_worker().await;
    let (_, action) = ask_to_deploy(&world, 3).await;
    let (stop, first) = begin(&world, fast_worker());
    wait_for("the first worker to begin", || async {
        world.sim().calls().contains_key("CreateVpc").then_some(())
    })
    .await;
    let (stop_second, second) = begin(
        &world,
        worker::Config {
            lease_interval: Duration::from_secs(3600),
            lease_ttl: Duration::from_secs(7200),
            ..fast_worker()
        },
    );
    let of_first = holder(&world).await.unwrap();
    world.workers_listen(2).await;
    stop.cancel();
    first.await.unwrap();
    // It is told that the site is free.
    let next = wait_for("the site to be taken", || holder(&world)).await;
    assert_ne!(next, of_first);
    assert_eq!(world.ended(&action).await["state"], "Success");
    stop_second.cancel();
    second.await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_does_not_wait_for_its_turn_at_ec2() {
    let world = World::without_worker().await;
    let patient = worker::Config {
        launch_deadline: Duration::from_secs(600),
        ..fast_worker()
    };
    // EC2 grants 1,000 instances at once and two a second after that; these are a few more.
    let (_, first_action) = ask_to_deploy_named(&world, "large", 900).await;
    let (_, second_action) = ask_to_deploy_named(&world, "other", 110).await;
    let (stop, first) = begin(&world, patient.clone());
    wait_for("most launches", || async {
        (world.instances(REGION).len() >= 800).then_some(())
    })
    .await;
    stop.cancel();
    first.await.unwrap();
    let launched = world.instances(REGION).len();
    assert!(launched <= 1000, "{launched}");
    // Those that were not sent are the next one's.
    let (stop, second) = begin(&world, patient.clone());
    for action in [first_action, second_action] {
        assert_eq!(world.ended(&action).await["state"], "Success");
    }
    assert_eq!(world.instances(REGION).len(), 1010);
    stop.cancel();
    second.await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn replicas_and_workers_come_and_go_under_load() {
    const CLUSTERS: usize = 6;
    const ROUNDS: usize = 3;
    let world = World::without_worker().await;
    let mut api = ApiProcess::start(BERTH, &world).await;
    let base = Arc::new(std::sync::Mutex::new(api.base.clone()));
    // Each client goes on with another replica where the one that it has asked is gone.
    let clients = (0..CLUSTERS).map(|n| {
        let (base, client) = (Arc::clone(&base), world.client.clone());
        tokio::spawn(async move { bring_up(&client, &base, n).await })
    });
    let clients: Vec<_> = clients.collect();
    let mut worker = WorkerProcess::start(WORKER, &world);
    for round in 0..ROUNDS {
        let launches = || world.sim().calls().values().sum::<u64>();
        let so_far = launches();
        wait_for("some work to be done", || async {
            (launches() > so_far + 5 || clients.iter().all(JoinHandle::is_finished)).then_some(())
        })
        .await;
        let next = WorkerProcess::start(WORKER, &world);
        let old = std::mem::replace(&mut worker, next);
        match round % 2 {
            0 => old.kill().await,
            _ => old.stop().await,
        }
        let next = ApiProcess::start(BERTH, &world).await;
        base.lock().unwrap().clone_from(&next.base);
        // The one before is killed with whatever it was answering.
        drop(std::mem::replace(&mut api, next));
    }
    for (n, client) in join_all(clients).await.into_iter().enumerate() {
        let action = client.unwrap();
        assert_eq!(world.ended(&action).await["state"], "Success");
        let path = format!("/api/infra/v1/nodecluster/?name=load-{n}");
        let found = world.fetch(&path).await;
        assert_eq!(found["meta"]["total_count"], 1);
        assert_eq!(found["objects"][0]["current_num_nodes"], 3);
    }
    assert_eq!(world.instances(REGION).len(), 3 * CLUSTERS);
    worker.kill().await;
    world.finish().await;
}

/// Creates and deploys a cluster as a careful pipeline does: what was not answered is looked for before it is asked
/// again. Answers with the action of the deploy.
async fn bring_up(client: &Client, base: &std::sync::Mutex<String>, n: usize) -> String {
    let name = format!("load-{n}");
    let body = json!({
        "name": name,
        "region": format!("/api/infra/v1/region/aws/{REGION}/"),
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        "target_num_nodes": 3,
    });
    wait_for("the deploy of a cluster", || async {
        let replica = client.at(base.lock().unwrap().clone());
        let path = format!("/api/infra/v1/nodecluster/?name={name}");
        let found = replica.try_get(&path).await?.body["objects"][0].clone();
        let cluster = if found.is_object() {
            found
        } else {
            let made = replica
                .try_post("/api/infra/v1/nodecluster/", &body)
                .await?;
            made.expect(201).body
        };
        let uri = cluster["resource_uri"].as_str()?.to_owned();
        if cluster["state"] == "Init" {
            replica
                .try_post(&format!("{uri}deploy/"), &json!({}))
                .await?;
        }
        let path = format!("/api/audit/v1/action/?object={uri}");
        let actions = replica.try_get(&path).await?;
        let actions = actions.body["objects"].as_array()?.clone();
        let deploy = actions
            .iter()
            .find(|action| action["action"] == "Node Cluster Deploy")?;
        Some(deploy["resource_uri"].as_str()?.to_owned())
    })
    .await
}

#[tokio::test]
async fn a_restart_of_postgres_in_the_middle_of_a_deploy_costs_nothing_but_time() {
    let mut postgres = OwnPostgres::start().await;
    let world = World::with(Options {
        database_url: Some(postgres.fresh_database().await),
        ..Options::default()
    })
    .await;
    let rule = world
        .sim()
        .add_fault(FaultRule::next("RunInstances", Fault::Slow(300)));
    let (_, action) = ask_to_deploy(&world, 6).await;
    wait_for("a launch", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    // The instances run, and nobody can write down that they do.
    postgres.restart().await;
    let action = wait_for("the end of the deploy", || async {
        let action = world.client.get(&action).await.body;
        (action["state"] == "Success").then_some(action)
    })
    .await;
    assert_eq!(action["state"], "Success");
    assert_eq!(world.instances(REGION).len(), 6);
    world.finish().await;
    postgres.stop().await;
}

#[tokio::test]
async fn a_request_does_not_meet_a_connection_that_was_closed_while_it_rested() {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    for _ in 0..10 {
        world
            .client
            .get("/api/infra/v1/provider/")
            .await
            .expect(200);
        let killed: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        assert!(killed > 0);
        let killed = Instant::now();
        // What was in use a hundredth of a second ago is trusted.
        wait_for("the connections to rest", || async {
            (killed.elapsed() > Duration::from_millis(20)).then_some(())
        })
        .await;
        world
            .client
            .get("/api/infra/v1/provider/")
            .await
            .expect(200);
    }
    world.finish().await;
}

#[tokio::test]
async fn while_postgres_refuses_connections_requests_are_503_and_the_work_goes_on_afterwards() {
    let postgres = OwnPostgres::start().await;
    let url = postgres.fresh_database().await;
    let world = World::with(Options {
        database_url: Some(url.clone()),
        ..Options::default()
    })
    .await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let admin = store::connect(&postgres.url("postgres"), 1).unwrap();
    let admit = |yes: bool| {
        let admin = admin.clone();
        async move {
            let change = format!("ALTER DATABASE berth ALLOW_CONNECTIONS {yes}");
            sqlx::query(sqlx::AssertSqlSafe(change))
                .execute(&admin)
                .await
                .unwrap();
        }
    };
    admit(false).await;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'berth'")
        .execute(&admin)
        .await
        .unwrap();
    let refused = world
        .client
        .get(cluster["resource_uri"].as_str().unwrap())
        .await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.error().contains("try again"), "{}", refused.text);
    // Meanwhile somebody terminates an instance.
    let instance = world.instances(REGION)[0].id.clone();
    world
        .sim()
        .console_terminate(tests::ACCOUNT, REGION, &[&instance]);
    admit(true).await;
    wait_for("the worker to see it", || async {
        let cluster = world
            .client
            .get(cluster["resource_uri"].as_str().unwrap())
            .await;
        (cluster.body["current_num_nodes"] == 2).then_some(())
    })
    .await;
    let cluster = world.scale(&cluster, 4).await;
    assert_eq!(cluster["current_num_nodes"], 4);
    admin.close().await;
    world.finish().await;
    postgres.stop().await;
}
