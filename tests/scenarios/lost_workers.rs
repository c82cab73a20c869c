//! Workers that are lost, or stop, in the worst moment.

use std::{sync::Arc, time::Duration};

use aws::Connector;
use domain::ids::WorkerId;
use serde_json::json;
use sim::{Fault, FaultRule, HideRule};
use tests::{ACCOUNT, Options, Shift, World, fast_worker, wait_for};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const REGION: &str = "sa-east-1";

#[tokio::test]
async fn a_worker_that_is_lost_inside_a_transaction_does_not_keep_its_site() {
    let world = World::without_worker().await;
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", 1, json!({})).await;
    // The lost one has the site's row locked, its connection is not closed, and it says no word more.
    let lost = store::connect(&world.database_url, 2).unwrap();
    let mut conn = lost.acquire().await.unwrap();
    let owner = WorkerId(Uuid::new_v4());
    let lease = store::site::acquire(&mut conn, owner, Duration::from_millis(100)).await;
    let lease = lease.unwrap().expect("a site");
    let transaction = store::site::fence(&lost, &lease).await.unwrap();
    let next = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    transaction
        .commit()
        .await
        .expect_err("what it had begun is undone");
    next.end().await;
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_does_not_wait_for_a_call_that_hangs() {
    let world = World::without_worker().await;
    let rule = world
        .sim()
        .add_fault(FaultRule::next("RunInstances", Fault::HangAfterEffect));
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", 4, json!({})).await;
    let stop = CancellationToken::new();
    // It would wait for an answer for an hour.
    let patient =
        Connector::to(world.endpoint.clone()).with_call_timeout(Duration::from_secs(3600));
    let first = worker::Worker::new(world.pool.clone(), Arc::new(patient), fast_worker());
    let first = tokio::spawn(first.run(stop.clone()));
    wait_for("a launch", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), first).await;
    ended
        .expect("it stops although nothing is answered")
        .unwrap();
    let owner: Option<Uuid> = sqlx::query_scalar("SELECT lease_owner FROM site")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(owner, None, "the site is given back");
    let next = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_eq!(world.instances(REGION).len(), 4);
    next.end().await;
    world.finish().await;
}

#[tokio::test]
async fn a_launch_is_not_sent_when_its_time_is_up() {
    let world = World::with(Options {
        worker: worker::Config {
            launch_deadline: Duration::from_secs(15),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    // EC2 grants 1,000 instances at once and two a second after that: the turn of the last comes too late.
    let deploy = |name: &'static str, nodes| {
        let world = &world;
        async move {
            world
                .ask_to_deploy(REGION, "t3.micro", nodes, json!({"name": name}))
                .await
        }
    };
    let (first, of_first) = deploy("first", 900).await;
    let (second, of_second) = deploy("second", 300).await;
    let ends = [
        world.ended(&of_first).await["state"].clone(),
        world.ended(&of_second).await["state"].clone(),
    ];
    assert!(ends.contains(&json!("Failed")), "{ends:?}");
    // What was refilled within the deadline was not enough for one launch more.
    assert_eq!(world.instances(REGION).len(), 1000);
    let sent: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM launch WHERE sent_at > created_at + interval '15 seconds'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(sent, 0, "none was sent after its time");
    world.terminate(&first).await;
    world.terminate(&second).await;
    world.finish().await;
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_late_is_not_sent_again_at_once() {
    let world = World::with(Options {
        worker: worker::Config {
            new_objects_show_within: Duration::from_secs(2),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    // The VPC is made, the answer is waited for in vain for longer than a new VPC needs to be listed, and only then does
    // a list show it for a while no more.
    world
        .sim()
        .add_fault(FaultRule::next("CreateVpc", Fault::HangAfterEffect));
    world
        .sim()
        .hide(ACCOUNT, REGION, &HideRule::next("vpc", 1))
        .unwrap();
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", 1, json!({})).await;
    let words = "Waiting until EC2 shows whether the VPC was made";
    wait_for(words, || async {
        let log = world.fetch(&action).await["log"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        log.contains(words).then_some(())
    })
    .await;
    world.sim().unhide(ACCOUNT, REGION);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_eq!(world.sim().calls()["CreateVpc"], 1);
    world.finish().await;
}
