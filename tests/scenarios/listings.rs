//! EC2's listings miss what is there: it is not made again, not given up, and what was left behind is found later.

use std::time::Duration;

use serde_json::{Value, json};
use sim::{Fault, FaultRule, HideRule};
use tests::{ACCOUNT, Options, Shift, World, fast_worker, theirs, wait_for};

const REGION: &str = "sa-east-1";

/// A world in which listings may miss things for longer than any of these stories takes.
async fn patient_world() -> World {
    World::with(Options {
        worker: worker::Config {
            new_objects_show_within: Duration::from_secs(600),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await
}

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().unwrap()
}

async fn ask_to_deploy(world: &World, name: &str, more: Value) -> (Value, String) {
    let mut body = json!({"name": name});
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    world.ask_to_deploy(REGION, "t3.micro", 3, body).await
}

/// Waits until the log of the action has these words.
async fn logged(world: &World, action: &str, words: &str) {
    wait_for(words, || async {
        let action = world.fetch(action).await;
        let log = action["log"].as_str().unwrap_or_default();
        log.contains(words).then_some(())
    })
    .await;
}

/// The ids of what this installation has made, by kind as the simulator calls it.
fn made(world: &World, kind: &str) -> Vec<String> {
    let network = world.sim().network(ACCOUNT, REGION);
    let is_ours =
        |tags: &std::collections::BTreeMap<String, String>| tags.contains_key("berth:installation");
    match kind {
        "vpc" => network
            .vpcs
            .iter()
            .filter(|it| is_ours(&it.tags))
            .map(|it| it.id.clone())
            .collect(),
        "subnet" => network
            .subnets
            .iter()
            .filter(|it| is_ours(&it.tags))
            .map(|it| it.id.clone())
            .collect(),
        "route-table" => network
            .route_tables
            .iter()
            .filter(|it| is_ours(&it.tags))
            .map(|it| it.id.clone())
            .collect(),
        _ => network
            .internet_gateways
            .iter()
            .filter(|it| is_ours(&it.tags))
            .map(|it| it.id.clone())
            .collect(),
    }
}

/// A second cluster is deployed while no listing shows what the first one's network has of a kind. Answers with the
/// calls that were made since.
async fn deploy_while_hidden(kind: &str, words: Option<&str>) -> Vec<(String, u64)> {
    let world = patient_world().await;
    let (first, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    assert_eq!(first["state"], "Deployed");
    let there = made(&world, kind);
    world.sim().reset_calls();
    world
        .sim()
        .hide(ACCOUNT, REGION, &HideRule::ids(there.clone()))
        .unwrap();
    let (_, action) = ask_to_deploy(&world, "second", json!({})).await;
    if let Some(words) = words {
        logged(&world, &action, words).await;
        world.sim().unhide(ACCOUNT, REGION);
    }
    let action = world.ended(&action).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    world.sim().unhide(ACCOUNT, REGION);
    assert_eq!(made(&world, kind), there);
    let calls = world.sim().calls().into_iter().collect();
    world.finish().await;
    calls
}

fn assert_nothing_made(calls: &[(String, u64)]) {
    let changes = |(action, _): &&(String, u64)| {
        action.starts_with("Create") && action != "CreateTags" || action.starts_with("Delete")
    };
    let changes: Vec<_> = calls.iter().filter(changes).collect();
    assert!(changes.is_empty(), "{changes:?}");
}

#[tokio::test]
async fn i6_a_vpc_that_listings_miss_is_used_and_not_made_again() {
    assert_nothing_made(&deploy_while_hidden("vpc", None).await);
}

#[tokio::test]
async fn i6_a_subnet_that_listings_miss_is_waited_for_and_neither_made_again_nor_deleted() {
    let words = "Waiting until EC2 shows whether the subnet subnet-";
    assert_nothing_made(&deploy_while_hidden("subnet", Some(words)).await);
}

#[tokio::test]
async fn i6_a_route_table_that_listings_miss_is_waited_for_and_not_made_again() {
    let words = "Waiting until EC2 shows whether the route table rtb-";
    assert_nothing_made(&deploy_while_hidden("route-table", Some(words)).await);
}

#[tokio::test]
async fn i6_a_subnet_that_was_deleted_in_the_console_is_made_again() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let used = world.instances(REGION).remove(0).subnet_id;
    let free = made(&world, "subnet")
        .into_iter()
        .find(|id| *id != used)
        .unwrap();
    world
        .sim()
        .console_delete_subnet(ACCOUNT, REGION, &free)
        .unwrap();
    let cluster = world.scale(&cluster, 3).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(
        world.per_zone(REGION).into_values().collect::<Vec<_>>(),
        [1, 1, 1]
    );
    assert_eq!(made(&world, "subnet").len(), 3);
    world.finish().await;
}

#[tokio::test]
async fn a_vpc_of_the_users_that_no_listing_shows_yet_is_waited_for() {
    let world = patient_world().await;
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await.unwrap().id;
    world
        .sim()
        .hide(ACCOUNT, REGION, &HideRule::ids([vpc.clone()]))
        .unwrap();
    let more = json!({"provider_options": {"vpc": {"id": vpc}}});
    let (_, action) = ask_to_deploy(&world, "web", more).await;
    let words = format!("Waiting until EC2 shows whether {vpc} exists");
    logged(&world, &action, &words).await;
    world.sim().unhide(ACCOUNT, REGION);
    assert_eq!(world.ended(&action).await["state"], "Success");
    world.finish().await;
}

#[tokio::test]
async fn i6_a_gateway_that_somebody_else_attaches_first_is_used() {
    let world = World::start().await;
    // The answer of the call that makes ours takes its time, and meanwhile the VPC gets another one.
    let rule = world
        .sim()
        .add_fault(FaultRule::next("CreateInternetGateway", Fault::Slow(2000)));
    let (_, action) = ask_to_deploy(&world, "web", json!({})).await;
    wait_for("a gateway", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    let vpc = made(&world, "vpc").remove(0);
    let theirs = world
        .sim()
        .console_create_internet_gateway(ACCOUNT, REGION, Some(&vpc))
        .unwrap();
    let action = world.ended(&action).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let log = action["log"].as_str().unwrap();
    assert!(
        log.contains(&format!("Routed 0.0.0.0/0 to {theirs}")),
        "{log}"
    );
    // Ours, which nobody needs, goes.
    wait_for("no gateway of ours", || async {
        made(&world, "gateway").is_empty().then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn i8_an_instance_whose_tag_was_removed_is_looked_up_by_its_id_and_stays_its_nodes() {
    let world = World::with(Options {
        worker: worker::Config {
            sweep_interval_at_rest: Duration::from_millis(50),
            ..fast_worker()
        },
        ..Options::default()
    })
    .await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let instance = world.instance_of(&node).await;
    let tag = "berth:installation";
    world
        .sim()
        .console_delete_tag(ACCOUNT, REGION, &instance, tag)
        .unwrap();
    let is_look_up = |call: &sim::RecordedCall| {
        call.action == "DescribeInstances"
            && call.params.iter().any(|(_, value)| *value == instance)
    };
    wait_for("two grace periods to pass", || async {
        let look_ups = world
            .sim()
            .recorded()
            .iter()
            .filter(|call| is_look_up(call))
            .count();
        (look_ups >= 2).then_some(())
    })
    .await;
    assert_eq!(world.fetch(uri(&node)).await["state"], "Deployed");
    // Without the tag Berth's own policy keeps it from terminating the instance; that is said, and tried again.
    let answer = world.client.delete(uri(&cluster)).await.expect(202);
    let words = "UnauthorizedOperation (TerminateInstances)";
    logged(&world, &answer.action_uri(), words).await;
    let tags = [(tag.to_owned(), world.installation().await)];
    let cloud = world.cloud(REGION).await;
    cloud.create_tags(&instance, &tags).await.unwrap();
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn i8_a_subnet_whose_answer_was_lost_before_the_deploy_was_canceled_is_removed() {
    let world = World::start().await;
    world
        .sim()
        .fail_next("CreateSubnet", Fault::DropAfterEffect);
    // It is never made ready, so that no row gets to know it.
    let rule = world.sim().add_fault(FaultRule {
        times: 1_000_000,
        ..FaultRule::next(
            "ModifySubnetAttribute",
            Fault::Refuse {
                status: 503,
                code: "ServiceUnavailable".into(),
                message: "Service unavailable.".into(),
            },
        )
    });
    let (cluster, action) = ask_to_deploy(&world, "web", json!({})).await;
    wait_for("the subnet to be found", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    assert_eq!(made(&world, "subnet").len(), 1);
    world
        .client
        .post(&format!("{action}cancel/"), &json!({}))
        .await
        .expect(202);
    assert_eq!(world.ended(&action).await["state"], "Canceled");
    wait_for("no subnet", || async {
        made(&world, "subnet").is_empty().then_some(())
    })
    .await;
    world.sim().clear_faults();
    assert_eq!(world.fetch(uri(&cluster)).await["state"], "Empty cluster");
    world.finish().await;
}

#[tokio::test]
async fn i5_a_part_of_a_launch_that_is_listed_is_not_taken_for_all_of_it() {
    let world = World::without_worker().await;
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.9.0.0/16", &theirs()).await.unwrap().id;
    let zone = format!("{REGION}a");
    let subnet = cloud
        .create_subnet(&vpc, &zone, "10.9.0.0/24", &theirs())
        .await
        .unwrap()
        .id;
    let more = json!({"provider_options": {"vpc": {"id": vpc, "subnets": [subnet]}}});
    // EC2 launches three, the answer is lost, and lists show two of them.
    world
        .sim()
        .fail_next("RunInstances", Fault::DropAfterEffect);
    world.sim().add_fault(FaultRule {
        times: 1_000_000,
        ..FaultRule::next(
            "RunInstances",
            Fault::Refuse {
                status: 503,
                code: "RequestLimitExceeded".into(),
                message: "Request limit exceeded.".into(),
            },
        )
    });
    world
        .sim()
        .hide(ACCOUNT, REGION, &HideRule::next("instance", 1))
        .unwrap();
    let (_, action) = ask_to_deploy(&world, "web", more).await;
    let shift = Shift::begin_with(
        &world,
        worker::Config {
            new_objects_show_within: Duration::from_secs(600),
            ..fast_worker()
        },
    );
    wait_for("the launch", || async {
        (world.instances(REGION).len() == 3).then_some(())
    })
    .await;
    world
        .client
        .post(&format!("{action}cancel/"), &json!({}))
        .await
        .expect(202);
    let by_tag = |call: &sim::RecordedCall| {
        call.action == "DescribeInstances"
            && call
                .params
                .iter()
                .any(|(_, value)| value == "tag:berth:launch")
    };
    wait_for("a look for the launch", || async {
        world.sim().recorded().iter().any(by_tag).then_some(())
    })
    .await;
    world.sim().unhide(ACCOUNT, REGION);
    assert_eq!(world.ended(&action).await["state"], "Canceled");
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE instance_id IS NOT NULL")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(known, 3);
    shift.end().await;
    world.finish().await;
}
