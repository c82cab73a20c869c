//! Launches: sent once, looked for by their tag, and shared out fairly.

use std::time::Duration;

use serde_json::json;
use sim::{Fault, FaultRule, HideRule};
use tests::{ACCOUNT, Options, Shift, World, fast_worker, theirs, wait_for};

const REGION: &str = "sa-east-1";

/// Asks for a deploy into a subnet of the user's; answers with the action's URI.
async fn ask_to_deploy(world: &World, nodes: u32) -> String {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await.unwrap().id;
    let zone = format!("{REGION}a");
    let subnet = cloud
        .create_subnet(&vpc, &zone, "10.9.0.0/24", &theirs())
        .await
        .unwrap()
        .id;
    let more = json!({"provider_options": {"vpc": {"id": vpc, "subnets": [subnet]}}});
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", nodes, more).await;
    action
}

#[tokio::test]
async fn i5_after_a_long_outage_a_launch_is_looked_for_by_its_tag_and_not_sent_again() {
    let world = World::without_worker().await;
    let action = ask_to_deploy(&world, 4).await;
    // EC2 launches, the answer is lost, and then there is no worker for ten minutes.
    let rule = world
        .sim()
        .add_fault(FaultRule::next("RunInstances", Fault::DropAfterEffect));
    let shift = Shift::begin(&world);
    wait_for("the launch", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    shift.end().await;
    assert_eq!(world.instances(REGION).len(), 4);
    sqlx::query(
        "UPDATE launch SET sent_at = sent_at - interval '10 minutes',
                           last_sent_at = last_sent_at - interval '10 minutes', retry_at = now()",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    world.sim().reset_calls();
    let shift = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert!(!world.sim().calls().contains_key("RunInstances"));
    assert_eq!(world.instances(REGION).len(), 4);
    shift.end().await;
    world.finish().await;
}

#[tokio::test]
async fn i6_a_new_vpc_that_no_listing_shows_yet_is_not_made_twice() {
    let world = World::without_worker().await;
    world.sim().set_consistency_ms(600..700);
    for call in ["CreateVpc", "CreateInternetGateway", "CreateSecurityGroup"] {
        world.sim().fail_next(call, Fault::DropAfterEffect);
    }
    let (_, action) = world.ask_to_deploy(REGION, "t3.micro", 3, json!({})).await;
    world
        .sim()
        .hide(ACCOUNT, REGION, &HideRule::next("vpc", 1))
        .unwrap();
    let shift = Shift::begin(&world);
    wait_for("the VPC to be made", || async {
        world.sim().calls().contains_key("CreateVpc").then_some(())
    })
    .await;
    let words = "Waiting until EC2 shows whether the VPC was made";
    wait_for(words, || async {
        let action = world.fetch(&action).await;
        let log = action["log"].as_str().unwrap_or_default();
        log.contains(words).then_some(())
    })
    .await;
    world.sim().unhide(ACCOUNT, REGION);
    let action = world.ended(&action).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let calls = world.sim().calls();
    assert_eq!(calls["CreateVpc"], 1, "{calls:#?}");
    assert_eq!(calls["CreateInternetGateway"], 1, "{calls:#?}");
    shift.end().await;
    world.finish().await;
}

/// A worker whose launches may wait for their turn.
fn patient_worker() -> worker::Config {
    worker::Config {
        launch_deadline: Duration::from_secs(600),
        grace: worker::Config::default().grace,
        ..fast_worker()
    }
}

/// The cluster that each launch is for, in the order in which they were sent.
fn launched_for(world: &World) -> Vec<String> {
    let is_launch = |call: &sim::RecordedCall| {
        let is_dry = call
            .params
            .iter()
            .any(|(name, value)| name == "DryRun" && value == "true");
        call.action == "RunInstances" && !is_dry
    };
    let cluster = |call: sim::RecordedCall| {
        let key = call
            .params
            .iter()
            .position(|(_, value)| value == "berth:cluster")?;
        Some(call.params[key + 1].1.clone())
    };
    let calls = world.sim().recorded().into_iter();
    calls.filter(is_launch).filter_map(cluster).collect()
}

#[tokio::test]
async fn a_deploy_of_a_thousand_nodes_does_not_stall_one_of_two_and_none_is_throttled() {
    let world = World::with(Options {
        sim: sim::Config {
            throttling: true,
            record: true,
            ..sim::Config::fast()
        },
        with_worker: false,
        ..Options::patient()
    })
    .await;
    let deploy = |name: &'static str, nodes| {
        let world = &world;
        async move {
            let more = json!({"name": name});
            world.ask_to_deploy(REGION, "t3.micro", nodes, more).await
        }
    };
    // The network is there, so that both need launches only.
    let (warm_up, action) = deploy("warm-up", 3).await;
    let shift = Shift::begin(&world);
    world.ended(&action).await;
    world.terminate(&warm_up).await;
    shift.end().await;
    world.sim().reset_calls();
    let (_, of_large) = deploy("large", 980).await;
    let (small, of_small) = deploy("small", 2).await;
    let shift = Shift::begin_with(&world, patient_worker());
    assert_eq!(world.ended(&of_small).await["state"], "Success");
    let order = launched_for(&world);
    let small = small["uuid"].as_str().unwrap();
    let before_small = order.iter().position(|id| id == small).unwrap();
    // Five of the large one's may go at once; then the small one waits for one more at most.
    assert!(before_small <= 7, "{before_small} of {order:?}");
    assert_eq!(world.ended(&of_large).await["state"], "Success");
    assert_eq!(world.instances(REGION).len(), 982);
    let launches = launched_for(&world).len();
    assert!(launches <= 14, "{launches}");
    assert!(
        world.sim().throttled().is_empty(),
        "{:?}",
        world.sim().throttled()
    );
    shift.end().await;
    world.finish().await;
}
