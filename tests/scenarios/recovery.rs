//! Crashes, lost answers and take-overs: what the invariants promise.

use std::{process::Stdio, sync::Arc, time::Duration};

use domain::ids::WorkerId;
use serde_json::{Value, json};
use sim::Fault;
use tests::{ACCOUNT, Shift, World, fast_connector, fast_worker, wait_for};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const REGION: &str = "sa-east-1";

/// A worker as a process of its own, which ends with the test.
fn worker_process(world: &World) -> Child {
    Command::new(env!("CARGO_BIN_EXE_berth-under-test"))
        .args([
            "serve",
            "--role",
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--sweep-seconds",
            "1",
        ])
        .env("DATABASE_URL", &world.database_url)
        .env("AWS_ENDPOINT_URL", &world.endpoint.url)
        .env("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key)
        .env("BERTH_READINESS", "instance")
        .env("BERTH_LOG", "error")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the worker starts")
}

async fn ask_to_deploy(world: &World, nodes: u32) -> (Value, String) {
    ask_to_deploy_with(world, nodes, json!({})).await
}

/// The way to three subnets that are there: a deploy into them needs no dry run, so its first RunInstances launches.
async fn three_subnets(world: &World) -> Value {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud
        .create_vpc("10.9.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let mut subnets = Vec::new();
    for (n, zone) in ["a", "b", "c"].iter().enumerate() {
        let (zone, block) = (format!("{REGION}{zone}"), format!("10.9.{n}.0/24"));
        subnets.push(
            cloud
                .create_subnet(&vpc.id, &zone, &block, &tests::theirs())
                .await
                .unwrap()
                .id,
        );
    }
    json!({"provider_options": {"vpc": {"id": vpc.id, "subnets": subnets}}})
}

async fn ask_to_deploy_with(world: &World, nodes: u32, more: Value) -> (Value, String) {
    world.ask_to_deploy(REGION, "t3.micro", nodes, more).await
}

#[tokio::test]
async fn i1_what_was_answered_with_2xx_is_done_though_no_worker_was_there() {
    let world = World::without_worker().await;
    let (_, action) = ask_to_deploy(&world, 2).await;
    let mut worker = worker_process(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    worker.kill().await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn i2_i5_a_worker_killed_between_launch_and_answer_is_taken_over_and_exactly_n_run() {
    let world = World::without_worker().await;
    // EC2 launches, and the worker dies while it waits for an answer that is lost.
    world
        .sim()
        .fail_next("RunInstances", Fault::DropAfterEffect);
    let more = three_subnets(&world).await;
    let (_, action) = ask_to_deploy_with(&world, 30, more).await;
    let mut first = worker_process(&world);
    wait_for("a launch", || async {
        world
            .sim()
            .calls()
            .contains_key("RunInstances")
            .then_some(())
    })
    .await;
    first.kill().await.unwrap();
    let mut second = worker_process(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_eq!(
        world.per_zone(REGION).values().copied().collect::<Vec<_>>(),
        [10, 10, 10]
    );
    second.kill().await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn i5_a_launch_whose_answer_is_lost_is_sent_again_with_its_token_and_launches_once() {
    let world = World::start().await;
    world
        .sim()
        .fail_next("RunInstances", Fault::DropAfterEffect);
    world.sim().fail_next(
        "RunInstances",
        Fault::ErrorAfterEffect(500, "InternalError".into()),
    );
    let more = three_subnets(&world).await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 9, more).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(
        world.per_zone(REGION).values().copied().collect::<Vec<_>>(),
        [3, 3, 3]
    );
    let launches = world
        .sim()
        .recorded()
        .into_iter()
        .filter(|call| call.action == "RunInstances");
    let mut by_token: std::collections::BTreeMap<String, Vec<_>> =
        std::collections::BTreeMap::new();
    for call in launches {
        let token = call
            .params
            .iter()
            .find(|(name, _)| name == "ClientToken")
            .map(|(_, value)| value.clone());
        let is_dry_run = call
            .params
            .iter()
            .any(|(name, value)| name == "DryRun" && value == "true");
        if let (Some(token), false) = (token, is_dry_run) {
            by_token.entry(token).or_default().push(call.params);
        }
    }
    assert_eq!(by_token.len(), 3, "one token for each subnet");
    assert_eq!(
        by_token.values().map(Vec::len).sum::<usize>(),
        5,
        "and two of them sent twice"
    );
    for requests in by_token.values() {
        assert!(
            requests.iter().all(|request| request == &requests[0]),
            "a token always goes with the same request"
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn i5_a_refusal_of_a_launch_that_was_sent_before_is_no_outcome_of_the_first() {
    let world = World::start().await;
    let more = three_subnets(&world).await;
    let expired = Fault::Refuse {
        status: 403,
        code: "AuthFailure".into(),
        message: "AWS was not able to validate the provided access credentials".into(),
    };
    // One of the launches takes effect and its answer is lost; the next time it is sent, the credentials have expired.
    world
        .sim()
        .fail_next("RunInstances", Fault::DropAfterEffect);
    let (cluster, action) = ask_to_deploy_with(&world, 1, more).await;
    wait_for("the launch", || async {
        (world.instances(REGION).len() == 1).then_some(())
    })
    .await;
    world.sim().fail_next("RunInstances", expired);
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_eq!(
        world.fetch(cluster["resource_uri"].as_str().unwrap()).await["state"],
        "Deployed"
    );
    assert_eq!(world.instances(REGION).len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn i6_a_network_call_whose_answer_is_lost_makes_no_second_object() {
    let world = World::start().await;
    let calls = [
        "CreateVpc",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateInternetGateway",
        "CreateRouteTable",
        "CreateRoute",
        "AssociateRouteTable",
        "AttachInternetGateway",
        "AuthorizeSecurityGroupIngress",
    ];
    for call in calls {
        world.sim().fail_next(call, Fault::DropAfterEffect);
    }
    let (cluster, action) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    let cloud = world.cloud(REGION).await;
    let vpcs = cloud.vpcs_named("dc-vpc").await.unwrap();
    assert_eq!(vpcs.len(), 1);
    assert_eq!(cloud.subnets(&vpcs[0].id).await.unwrap().len(), 3);
    assert_eq!(cloud.gateways_named("dc-gateway").await.unwrap().len(), 1);
    let tables = cloud.route_tables(&vpcs[0].id).await.unwrap();
    let tables: Vec<_> = tables
        .iter()
        .filter(|table| table.tags.name() == Some("dc-route-table"))
        .collect();
    assert_eq!(tables.len(), 1);
    assert!(
        tables[0].has_default_route && tables[0].subnet_ids.len() == 3,
        "{tables:?}"
    );
    let groups = cloud
        .security_groups_named(&vpcs[0].id, "dc-vpc-default")
        .await
        .unwrap();
    assert!(groups.len() == 1 && groups[0].has_ingress);
    world.finish().await;
}

#[tokio::test]
async fn i3_a_worker_that_lost_its_lease_writes_nothing_more() {
    let world = World::without_worker().await;
    ask_to_deploy(&world, 1).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let ttl = Duration::from_secs(60);
    let first = WorkerId(Uuid::new_v4());
    let lease = store::site::acquire(&mut conn, first, ttl)
        .await
        .unwrap()
        .unwrap();
    let second = WorkerId(Uuid::new_v4());
    assert!(
        store::site::acquire(&mut conn, second, ttl)
            .await
            .unwrap()
            .is_none(),
        "one worker at a time"
    );
    store::site::fence(&world.pool, &lease)
        .await
        .unwrap()
        .rollback()
        .await
        .unwrap();

    // The first worker sleeps past its lease, and the second takes over.
    sqlx::query("UPDATE site SET lease_expires_at = now() - interval '1 second'")
        .execute(&mut *conn)
        .await
        .unwrap();
    let taken = store::site::acquire(&mut conn, second, ttl)
        .await
        .unwrap()
        .unwrap();
    assert!(taken.fencing_token > lease.fencing_token);
    let late = store::site::fence(&world.pool, &lease).await;
    assert!(matches!(late, Err(store::Error::LeaseLost)));
    let renewed = store::site::renew(&mut conn, &lease, ttl).await;
    assert!(matches!(renewed, Err(store::Error::LeaseLost)));
    store::site::release(&mut conn, &lease).await.unwrap();
    store::site::fence(&world.pool, &taken).await.unwrap();
    drop(conn);
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_stops_gives_its_sites_back_and_the_next_one_goes_on() {
    let world = World::without_worker().await;
    let (_, action) = ask_to_deploy(&world, 6).await;
    let start = || {
        let stop = CancellationToken::new();
        let clouds = Arc::new(fast_connector(world.endpoint.clone()));
        let worker = worker::Worker::new(world.pool.clone(), clouds, fast_worker());
        (stop.clone(), tokio::spawn(worker.run(stop)))
    };
    let (stop, first) = start();
    wait_for("the first worker to begin", || async {
        world.sim().calls().contains_key("CreateVpc").then_some(())
    })
    .await;
    stop.cancel();
    first.await.unwrap();
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM site WHERE lease_owner IS NOT NULL")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(held, 0);
    let (stop, second) = start();
    assert_eq!(world.ended(&action).await["state"], "Success");
    assert_eq!(world.instances(REGION).len(), 6);
    stop.cancel();
    second.await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn i7_i8_an_instance_of_this_installation_that_no_node_knows_is_terminated_and_no_other() {
    let world = World::start().await;
    let (_, action) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    assert_eq!(action["state"], "Success");
    let known: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.vpcs_named("dc-vpc").await.unwrap().remove(0);
    let subnet = cloud.subnets(&vpc.id).await.unwrap().remove(0);
    let installation = world.installation().await;
    let image = cloud
        .newest_image(domain::catalogue::Architecture::Amd64)
        .await
        .unwrap()
        .unwrap();
    let launch = |key: &'static str, value: String| domain::launch::LaunchRequest {
        image_id: image.id.clone(),
        root_device: image.root_device.clone(),
        instance_type: "t3.micro".into(),
        subnet_id: subnet.id.clone(),
        security_group_ids: vec![],
        instance_profile: None,
        disk_gb: 8,
        user_data: String::new(),
        tags: vec![(key.into(), value)],
    };
    let theirs = launch("berth:installation", Uuid::new_v4().to_string());
    let theirs = world.launch(REGION, &theirs, "theirs").await;
    let users = launch("Name", "the user's own".into());
    let users = world.launch(REGION, &users, "users").await;
    let stranger = launch("berth:installation", installation);
    let stranger = world.launch(REGION, &stranger, "stranger").await;
    wait_for("the stranger's end", || async {
        let live = world.instances(REGION);
        live.iter().all(|i| i.id != stranger).then_some(())
    })
    .await;
    let live: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();
    assert!(
        known
            .iter()
            .chain([&theirs, &users])
            .all(|id| live.contains(id)),
        "{live:?}"
    );
    world.finish().await;
}

#[tokio::test]
async fn i6_i8_a_second_network_of_ours_is_removed_whole_and_no_other() {
    let world = World::without_worker().await;
    let (cluster, action) = ask_to_deploy(&world, 3).await;
    let shift = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    shift.end().await;
    let in_use = world.instances(REGION)[0].vpc_id.clone();

    let second = world.leave_a_network(REGION).await;
    // A dc-vpc of ours that the user has renamed, and one of another installation.
    let renamed = world.leave_a_network(REGION).await;
    let cloud = world.cloud(REGION).await;
    let name = [("Name".to_owned(), "production".to_owned())];
    cloud.create_tags(&renamed[0], &name).await.unwrap();
    let other = Uuid::new_v4();
    let theirs = domain::tags::network(domain::ids::InstallationId(other), "dc-vpc");
    cloud.create_vpc("10.78.0.0/16", &theirs).await.unwrap();

    let shift = Shift::begin(&world);
    let cluster = world.scale(&cluster, 6).await;
    assert_eq!(cluster["state"], "Deployed");
    world.gone(REGION, &second).await;
    let installation = world.installation().await;
    let there = cloud.network_objects(&installation).await.unwrap();
    let is_there = |id: &String| there.iter().any(|object| object.id == *id);
    assert!(renamed.iter().all(is_there), "{there:#?}");
    let theirs = cloud.network_objects(&other.to_string()).await.unwrap();
    assert_eq!(theirs.len(), 1);
    let live = world.instances(REGION);
    assert!(live.len() == 6 && live.iter().all(|i| i.vpc_id == in_use));
    shift.end().await;
    // What the user has taken over is the user's, also at the end of the story.
    for id in &renamed {
        cloud
            .create_tags(id, &[("berth:installation".into(), "none".into())])
            .await
            .unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn i6_a_network_that_was_made_before_its_objects_were_written_down_is_kept() {
    let world = World::without_worker().await;
    let (_, action) = ask_to_deploy(&world, 3).await;
    let shift = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    shift.end().await;
    let installation = world.installation().await;
    let cloud = world.cloud(REGION).await;
    let before = cloud.network_objects(&installation).await.unwrap();
    // What a version that wrote nothing down has left, as the migration finds it.
    sqlx::query("DELETE FROM creation WHERE kind IN ('route table', 'internet gateway')")
        .execute(&world.pool)
        .await
        .unwrap();
    let shift = Shift::begin(&world);
    wait_for("the route table to be written down", || async {
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM creation WHERE kind = 'route table'")
                .fetch_one(&world.pool)
                .await
                .unwrap();
        (known == 1).then_some(())
    })
    .await;
    world.nothing_is_left_over().await;
    assert_eq!(cloud.network_objects(&installation).await.unwrap(), before);
    shift.end().await;
    world.finish().await;
}

#[tokio::test]
async fn i8_an_instance_that_ec2_does_not_show_is_gone_only_after_the_grace_period() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let nodes = world.nodes(&cluster).await;
    // The ids of two instances that EC2 does not know: one stays young for an hour, one was learned long ago.
    for (node, id, ago) in [
        (&nodes[0], "i-00000000000000001", "-1 hour"),
        (&nodes[1], "i-00000000000000002", "2 hours"),
    ] {
        let instance = world.instance_of(node).await;
        world.sim().console_terminate(ACCOUNT, REGION, &[&instance]);
        sqlx::query("UPDATE node SET instance_id = $2, launched_at = now() - $3::interval WHERE id = $1::uuid")
            .bind(node["uuid"].as_str())
            .bind(id)
            .bind(ago)
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let state = |node: &Value| {
        let uri = node["resource_uri"].as_str().unwrap().to_owned();
        let world = &world;
        async move { world.fetch(&uri).await["state"].clone() }
    };
    wait_for("the old one to be given up", || async {
        (state(&nodes[1]).await == "Terminated").then_some(())
    })
    .await;
    assert_eq!(
        state(&nodes[0]).await,
        "Deployed",
        "the young one is not known to be gone"
    );
    sqlx::query(
        "UPDATE node SET launched_at = now() - interval '2 hours' WHERE state = 'Deployed'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    wait_for("the other one to be given up", || async {
        (state(&nodes[0]).await == "Terminated").then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn i10_the_event_log_tells_the_life_of_a_cluster_in_order() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    world.scale(&cluster, 2).await;
    world.terminate(&cluster).await;
    let states = |uuid: &Value| {
        let id: Uuid = uuid.as_str().unwrap().parse().unwrap();
        let pool = world.pool.clone();
        async move {
            let mut conn = pool.acquire().await.unwrap();
            let events = store::event::after(&mut conn, None, 0, 1000).await.unwrap();
            events
                .into_iter()
                .filter(|event| event.object_id == id)
                .map(|event| format!("{} {}", event.change, event.state))
                .collect::<Vec<_>>()
        }
    };
    let expected = [
        "create Init",
        "update Deploying",
        "update Deployed",
        "update Scaling",
        "update Deployed",
        "update Terminating",
        "delete Terminated",
    ];
    assert_eq!(states(&cluster["uuid"]).await, expected);
    let expected = [
        "create Deploying",
        "update Deployed",
        "update Terminating",
        "delete Terminated",
    ];
    assert_eq!(states(&node["uuid"]).await, expected);
    world.finish().await;
}
