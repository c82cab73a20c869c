//! What can't be done is refused with the id and the reason, in the log of the action, and nothing is left behind.

use serde_json::{Value, json};
use sim::Fault;
use tests::{ACCOUNT, World};

const REGION: &str = "us-east-1";

/// Deploys what can't be deployed; answers with the action's log.
async fn refused(world: &World, nodes: u32, provider_options: Value) -> String {
    let more = json!({"provider_options": provider_options});
    let (cluster, action) = world.deploy(REGION, "t3.micro", nodes, more).await;
    assert_eq!(action["state"], "Failed", "{action:#}");
    assert_eq!(cluster["state"], "Empty cluster");
    assert_eq!(cluster["nodes"], json!([]));
    assert!(world.instances(REGION).is_empty());
    action["log"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn seed_a_vpc_that_is_not_there_is_refused_with_its_id() {
    let world = World::start().await;
    let logs = refused(&world, 2, json!({"vpc": {"id": "vpc-0123456789abcdef0"}})).await;
    assert!(
        logs.contains("provider_options.vpc.id: vpc-0123456789abcdef0 does not exist in us-east-1"),
        "{logs}"
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_a_subnet_of_another_vpc_is_refused_with_both_ids() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let mine = cloud
        .create_vpc("10.1.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let other = cloud
        .create_vpc("10.2.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let foreign = cloud
        .create_subnet(&other.id, "us-east-1a", "10.2.0.0/24", &tests::theirs())
        .await
        .unwrap();
    let logs = refused(
        &world,
        1,
        json!({"vpc": {"id": mine.id, "subnets": [foreign.id]}}),
    )
    .await;
    let words = format!(
        "provider_options.vpc.subnets: {} is in {}, not in {}",
        foreign.id, other.id, mine.id
    );
    assert!(logs.contains(&words), "{logs}");
    let unknown = json!({"name": "b", "provider_options": {"vpc": {"id": mine.id, "subnets": ["subnet-0123456789abcdef0"]}}});
    let (_, action) = world.deploy(REGION, "t3.micro", 1, unknown).await;
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains("subnet-0123456789abcdef0 does not exist"),
        "{logs}"
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_a_security_group_of_another_vpc_is_refused_with_both_ids() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let mine = cloud
        .create_vpc("10.1.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let other = cloud
        .create_vpc("10.2.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let foreign = cloud
        .create_security_group(&other.id, "theirs", &tests::theirs())
        .await
        .unwrap();
    let logs = refused(
        &world,
        1,
        json!({"vpc": {"id": mine.id, "security_groups": [foreign.id]}}),
    )
    .await;
    let words = format!(
        "provider_options.vpc.security_groups: {} belongs to {}, not to {}",
        foreign.id, other.id, mine.id
    );
    assert!(logs.contains(&words), "{logs}");
    assert!(
        cloud.subnets(&mine.id).await.unwrap().is_empty(),
        "nothing is made for what is refused"
    );
    world.finish().await;
}

#[tokio::test]
async fn an_unknown_instance_profile_fails_the_action_with_ec2s_words() {
    let world = World::start().await;
    let logs = refused(
        &world,
        2,
        json!({"iam": {"instance_profile_name": "nobody"}}),
    )
    .await;
    assert!(logs.contains("Invalid IAM Instance Profile name"), "{logs}");
    assert_no_subnets(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn seed_a_profile_that_may_not_be_passed_fails_with_the_hint_to_add_pass_role() {
    let world = World::start().await;
    world.make_instance_profile("powerful").await;
    world
        .sim()
        .deny(&world.endpoint.access_key_id, "iam:PassRole");
    let logs = refused(
        &world,
        2,
        json!({"iam": {"instance_profile_name": "powerful"}}),
    )
    .await;
    assert!(
        logs.contains("AWS returned an error: unauthorized operation"),
        "{logs}"
    );
    assert!(logs.contains("UnauthorizedOperation"), "{logs}");
    assert!(logs.contains("\"Action\":\"iam:PassRole\""), "{logs}");
    assert_no_subnets(&world).await;
    world.finish().await;
}

/// The subnet of a dry run that was refused goes again.
async fn assert_no_subnets(world: &World) {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.vpcs_named("dc-vpc").await.unwrap().remove(0);
    assert!(cloud.subnets(&vpc.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn credentials_that_may_not_do_it_fail_the_action_with_awss_words() {
    let world = World::start().await;
    world
        .sim()
        .deny(&world.endpoint.access_key_id, "ec2:CreateVpc");
    let logs = refused(&world, 2, json!({})).await;
    assert!(logs.contains("UnauthorizedOperation (CreateVpc)"), "{logs}");
    world.finish().await;
}

#[tokio::test]
async fn i9_an_account_limit_is_told_and_no_other_zone_is_tried() {
    let mut options = tests::Options::default();
    options.sim.quotas.vcpus = Some(4);
    let world = World::with(options).await;
    // Two t3.micro have four virtual CPUs.
    let (cluster, action) = world.deploy(REGION, "t3.micro", 6, json!({})).await;
    assert_eq!(action["state"], "Failed");
    assert_eq!(cluster["state"], "Partly deployed");
    let logs = action["log"].as_str().unwrap();
    assert!(logs.contains("VcpuLimitExceeded"), "{logs}");
    assert_eq!(
        cluster["current_num_nodes"].as_u64().unwrap() as usize,
        world.instances(REGION).len()
    );
    let outages: i64 = sqlx_count(&world, "SELECT count(*) FROM outage").await;
    assert_eq!(
        outages, 0,
        "a limit of the account is no lack of capacity in a zone"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_zone_without_capacity_is_left_for_the_others_and_what_runs_is_kept() {
    let world = World::start().await;
    world
        .sim()
        .set_capacity(ACCOUNT, "sa-east-1", "sa-east-1b", "t3.micro", Some(1));
    let (cluster, action) = world.deploy("sa-east-1", "t3.micro", 9, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    let zones = world.per_zone("sa-east-1");
    assert_eq!(zones["sa-east-1b"], 1);
    assert_eq!(
        (zones["sa-east-1a"], zones["sa-east-1c"]),
        (4, 4),
        "{zones:?}"
    );
    let logs = action["log"].as_str().unwrap();
    assert!(logs.contains("InsufficientInstanceCapacity"), "{logs}");
    world.finish().await;
}

#[tokio::test]
async fn when_no_zone_has_capacity_the_action_fails_at_its_deadline_with_the_reason_per_zone() {
    let mut options = tests::Options::default();
    options.worker.launch_deadline = std::time::Duration::from_secs(2);
    let world = World::with(options).await;
    for zone in ["a", "b", "c"] {
        world.sim().set_capacity(
            ACCOUNT,
            "sa-east-1",
            &format!("sa-east-1{zone}"),
            "t3.micro",
            Some(0),
        );
    }
    let (cluster, action) = world.deploy("sa-east-1", "t3.micro", 3, json!({})).await;
    assert_eq!(
        (cluster["state"].as_str(), action["state"].as_str()),
        (Some("Empty cluster"), Some("Failed"))
    );
    let logs = action["log"].as_str().unwrap();
    for zone in ["sa-east-1a", "sa-east-1b", "sa-east-1c"] {
        let last = logs
            .lines()
            .rev()
            .find(|line| line.starts_with("no zone can take a node"))
            .unwrap();
        assert!(
            last.contains(zone) && last.contains("InsufficientInstanceCapacity"),
            "{last}"
        );
    }
    // Only who prepares a network asks for the zones: at first, and once more before giving up.
    let looks = world.sim().calls()["DescribeAvailabilityZones"];
    assert!(
        looks <= 2,
        "waiting for capacity asks EC2 nothing: {looks} looks at the network"
    );
    world.finish().await;
}

#[tokio::test]
async fn i9_a_throttle_is_waited_out_and_never_moves_a_node_to_another_zone() {
    let world = World::start().await;
    let throttle = Fault::Refuse {
        status: 503,
        code: "RequestLimitExceeded".into(),
        message: "Request limit exceeded.".into(),
    };
    for _ in 0..2 {
        world.sim().fail_next("CreateSubnet", throttle.clone());
        world
            .sim()
            .fail_next("TerminateInstances", throttle.clone());
    }
    let (cluster, _) = world.deploy("sa-east-1", "t3.micro", 3, json!({})).await;
    world.sim().fail_next("RunInstances", throttle.clone());
    let cluster = world.scale(&cluster, 6).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(
        world
            .per_zone("sa-east-1")
            .values()
            .copied()
            .collect::<Vec<_>>(),
        [2, 2, 2]
    );
    assert_eq!(sqlx_count(&world, "SELECT count(*) FROM outage").await, 0);
    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");
    world.finish().await;
}

async fn sqlx_count(world: &World, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}
