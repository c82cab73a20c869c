//! Zones without room: left for the others, remembered for a while, and used again.

use serde_json::{Value, json};
use sim::FaultRule;
use tests::{ACCOUNT, Options, World, fast_worker};

const REGION: &str = "sa-east-1";
const NODE_TYPE: &str = "t3.micro";

fn room(world: &World, zone: &str, instances: Option<u32>) {
    let zone = format!("{REGION}{zone}");
    world
        .sim()
        .set_capacity(ACCOUNT, REGION, &zone, NODE_TYPE, instances);
}

/// How many nodes there are in the zones a, b and c.
fn spread(world: &World) -> [usize; 3] {
    let zones = world.per_zone(REGION);
    ["a", "b", "c"].map(|zone| {
        let name = format!("{REGION}{zone}");
        zones.get(&name).copied().unwrap_or_default()
    })
}

/// What is remembered: the zone, and for how many seconds.
async fn outages(world: &World) -> Vec<(String, f64)> {
    sqlx::query_as(
        "SELECT zone, extract(epoch FROM until - now())::float8 FROM outage WHERE until > now() ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// Three minutes pass, as far as outages go.
async fn forget_outages(world: &World) {
    sqlx::query("UPDATE outage SET until = now()")
        .execute(&world.pool)
        .await
        .unwrap();
}

fn launches(world: &World) -> u64 {
    let calls = world.sim().calls();
    calls.get("RunInstances").copied().unwrap_or_default()
}

#[tokio::test]
async fn a_full_zone_is_remembered_for_three_minutes_for_every_cluster_and_comes_back() {
    let world = World::start().await;
    room(&world, "a", Some(0));
    let (first, action) = world.deploy(REGION, NODE_TYPE, 4, json!({})).await;
    assert_eq!(first["state"], "Deployed", "{action:#}");
    assert_eq!(spread(&world), [0, 2, 2]);
    let log = action["log"].as_str().unwrap();
    assert!(
        log.contains("sa-east-1a: InsufficientInstanceCapacity (RunInstances)"),
        "{log}"
    );
    let remembered = outages(&world).await;
    assert_eq!(remembered.len(), 1);
    let (zone, seconds) = &remembered[0];
    assert_eq!(zone, "sa-east-1a");
    assert!((100.0..=180.0).contains(seconds), "{seconds}");

    // Nobody asks there again meanwhile, whosever cluster it is.
    world.sim().reset_calls();
    let other = json!({"name": "other"});
    world.deploy(REGION, NODE_TYPE, 2, other).await;
    assert_eq!(spread(&world), [0, 3, 3]);
    assert_eq!(launches(&world), 2);

    room(&world, "a", None);
    forget_outages(&world).await;
    world.scale(&first, 6).await;
    assert_eq!(spread(&world), [2, 3, 3]);
    world.finish().await;
}

#[tokio::test]
async fn an_outage_is_of_one_node_type() {
    let world = World::start().await;
    room(&world, "a", Some(0));
    world.deploy(REGION, NODE_TYPE, 2, json!({})).await;
    let other = json!({"name": "other"});
    world.deploy(REGION, "t3.small", 3, other).await;
    let small = world.instances(REGION).into_iter();
    let small = small.filter(|i| i.instance_type == "t3.small");
    let mut zones: Vec<String> = small.map(|i| i.zone).collect();
    zones.sort();
    assert_eq!(zones, ["sa-east-1a", "sa-east-1b", "sa-east-1c"]);
    world.finish().await;
}

#[tokio::test]
async fn what_a_zone_has_room_for_is_kept_and_the_rest_goes_where_there_is_most() {
    let world = World::start().await;
    room(&world, "a", Some(1));
    room(&world, "b", Some(2));
    let (cluster, action) = world.deploy(REGION, NODE_TYPE, 9, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(spread(&world), [1, 2, 6]);
    world.finish().await;
}

#[tokio::test]
async fn seats_of_instances_that_were_not_launched_are_free_again() {
    let world = World::with(Options {
        worker: worker::Config {
            launch_deadline: std::time::Duration::from_secs(2),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    // Eleven addresses for eleven nodes, and room for five.
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &tests::theirs()).await;
    let (vpc, zone) = (vpc.unwrap().id, format!("{REGION}a"));
    let subnet = cloud
        .create_subnet(&vpc, &zone, "10.9.0.0/28", &tests::theirs())
        .await
        .unwrap()
        .id;
    room(&world, "a", Some(5));
    let more = json!({"provider_options": {"vpc": {"id": vpc, "subnets": [subnet]}}});
    let (cluster, action) = world.deploy(REGION, NODE_TYPE, 11, more).await;
    assert_eq!(cluster["state"], "Partly deployed");
    assert_eq!(spread(&world), [5, 0, 0]);
    let log = action["log"].as_str().unwrap();
    assert!(
        log.contains("InsufficientInstanceCapacity") && !log.contains("no free addresses"),
        "{log}"
    );
    world.finish().await;
}

#[tokio::test]
async fn after_the_deadline_a_retry_goes_on_from_what_runs() {
    let world = World::with(Options {
        worker: worker::Config {
            launch_deadline: std::time::Duration::from_secs(2),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    for zone in ["a", "b", "c"] {
        room(&world, zone, Some(1));
    }
    let (cluster, action) = world.deploy(REGION, NODE_TYPE, 6, json!({})).await;
    assert_eq!(action["state"], "Failed");
    assert_eq!(cluster["state"], "Partly deployed");
    assert_eq!(spread(&world), [1, 1, 1]);
    let log = action["log"].as_str().unwrap();
    for zone in ["a", "b", "c"] {
        let reason = format!("{REGION}{zone} (subnet-");
        assert!(log.contains(&reason), "no reason for zone {zone}: {log}");
    }
    let kept: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();

    for zone in ["a", "b", "c"] {
        room(&world, zone, None);
    }
    forget_outages(&world).await;
    let path = format!("{}retry/", action["resource_uri"].as_str().unwrap());
    let retry = world.client.post(&path, &json!({})).await.expect(202);
    assert_eq!(world.ended(&retry.action_uri()).await["state"], "Success");
    assert_eq!(spread(&world), [2, 2, 2]);
    let live: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();
    assert!(kept.iter().all(|id| live.contains(id)));
    world.finish().await;
}

#[tokio::test]
async fn i9_what_is_throttled_till_the_deadline_fails_without_a_word_of_capacity_and_can_be_retried()
 {
    let world = World::with(Options {
        worker: worker::Config {
            launch_deadline: std::time::Duration::from_secs(4),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    world.sim().add_fault(FaultRule {
        times: 1_000_000,
        ..FaultRule::next(
            "RunInstances",
            sim::Fault::Refuse {
                status: 503,
                code: "RequestLimitExceeded".into(),
                message: "Request limit exceeded.".into(),
            },
        )
    });
    let (cluster, action) = world.deploy(REGION, NODE_TYPE, 1, json!({})).await;
    assert_eq!(action["state"], "Failed");
    assert_eq!(cluster["state"], "Empty cluster");
    assert!(world.instances(REGION).is_empty());
    let log = action["log"].as_str().unwrap();
    assert!(log.contains("RequestLimitExceeded (RunInstances)"), "{log}");
    assert!(
        log.contains("AWS did not take the launch in time") && !log.contains("apacity"),
        "{log}"
    );
    assert!(outages(&world).await.is_empty());
    world.sim().clear_faults();
    let path = format!("{}retry/", action["resource_uri"].as_str().unwrap());
    let retry = world.client.post(&path, &json!({})).await.expect(202);
    assert_eq!(world.ended(&retry.action_uri()).await["state"], "Success");
    assert_eq!(spread(&world), [1, 0, 0]);
    world.finish().await;
}

#[tokio::test]
async fn a_zone_that_refuses_is_left_although_another_ones_answer_takes_its_time() {
    let world = World::with(Options::patient()).await;
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &tests::theirs()).await;
    let vpc = vpc.unwrap().id;
    let mut subnets = Vec::new();
    for (zone, block) in [
        ("a", "10.9.0.0/24"),
        ("b", "10.9.1.0/24"),
        ("c", "10.9.2.0/24"),
    ] {
        let zone = format!("{REGION}{zone}");
        let subnet = cloud
            .create_subnet(&vpc, &zone, block, &tests::theirs())
            .await;
        subnets.push(subnet.unwrap().id);
    }
    room(&world, "a", Some(0));
    let rule = world.sim().add_fault(FaultRule {
        subnet: Some(subnets[1].clone()),
        ..FaultRule::next("RunInstances", sim::Fault::Slow(15_000))
    });
    let options = json!({"provider_options": {"vpc": {"id": vpc, "subnets": subnets}}});
    let cluster = world.create(REGION, NODE_TYPE, 6, options).await;
    let path = format!("{}deploy/", cluster["resource_uri"].as_str().unwrap());
    let answer = world.client.post(&path, &json!({})).await.expect(202);
    // The refused nodes run elsewhere before the late answer has come.
    tests::wait_for("the nodes of the refused launch", || async {
        let played = !world.sim().played(rule).is_empty();
        (played && world.instances(REGION).len() == 6).then_some(())
    })
    .await;
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM launch WHERE state = 'sent'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert!(open >= 1, "the late answer has not come yet");
    let action: Value = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    assert_eq!(spread(&world), [0, 3, 3]);
    world.finish().await;
}
