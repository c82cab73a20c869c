//! Actions that wait behind another one, that are canceled, and that are tried again.

use serde_json::{Value, json};
use sim::Fault;
use tests::{ACCOUNT, Answer, Options, Shift, World, wait_for};

const REGION: &str = "us-west-2";
const ZONES: [&str; 4] = ["us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"];

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

fn uri(object: &Value) -> &str {
    object["resource_uri"].as_str().unwrap()
}

async fn post(world: &World, object: &Value, verb: &str) -> Answer {
    let path = format!("{}{verb}/", uri(object));
    world.client.post(&path, &json!({})).await
}

/// The action of a request that was taken.
async fn action_of(world: &World, answer: Answer) -> Value {
    world.fetch(&answer.expect(202).action_uri()).await
}

/// A cluster whose deploy has launched two nodes of four and waits for room.
async fn half_deployed(world: &World) -> (Value, Value) {
    for zone in ZONES {
        let room = u32::from(zone < "us-west-2c");
        world
            .sim()
            .set_capacity(ACCOUNT, REGION, zone, "t3.micro", Some(room));
    }
    let cluster = world.create(REGION, "t3.micro", 4, json!({})).await;
    let action = action_of(world, post(world, &cluster, "deploy").await).await;
    wait_for("two nodes to run and two to wait", || async {
        let cluster = world.fetch(uri(&cluster)).await;
        let outages: i64 = sqlx::query_scalar("SELECT count(*) FROM outage")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        (cluster["current_num_nodes"] == 2 && outages == 4).then_some(())
    })
    .await;
    (cluster, action)
}

/// EC2 has room again, and Berth need not wait to notice it.
async fn make_room(world: &World) {
    for zone in ZONES {
        world
            .sim()
            .set_capacity(ACCOUNT, REGION, zone, "t3.micro", None);
    }
    sqlx::query("DELETE FROM outage")
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_canceled_deploy_keeps_what_runs_and_its_retry_adds_what_is_missing() {
    let world = World::start().await;
    let (cluster, action) = half_deployed(&world).await;
    assert_eq!(action["can_be_canceled"], true);
    let answer = post(&world, &action, "cancel").await.expect(202);
    assert_eq!(answer.action_uri(), uri(&action));
    assert_eq!(answer.body["uuid"], action["uuid"]);
    assert_eq!(answer.body["state"], "Canceling");
    assert_eq!(answer.body["end_date"], Value::Null);

    let canceled = world.ended(uri(&action)).await;
    assert_eq!(canceled["state"], "Canceled");
    assert_eq!(
        (&canceled["can_be_canceled"], &canceled["can_be_retried"]),
        (&json!(false), &json!(true))
    );
    let logs = canceled["log"].as_str().unwrap();
    assert!(logs.contains("dev asked for its cancellation"), "{logs}");
    let at_rest = world.fetch(uri(&cluster)).await;
    assert_eq!(at_rest["state"], "Partly deployed");
    assert_eq!(
        (&at_rest["current_num_nodes"], &at_rest["target_num_nodes"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(world.instances(REGION).len(), 2);
    let kept: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();

    make_room(&world).await;
    let answer = post(&world, &canceled, "retry").await.expect(202);
    let again = &answer.body;
    assert_ne!(again["uuid"], canceled["uuid"]);
    assert_eq!(uri(again), answer.action_uri());
    assert_eq!(again["action"], "Node Cluster Deploy");
    assert_eq!(again["state"], "In progress");
    assert_eq!(again["path"], format!("{}retry/", uri(&canceled)));
    assert_eq!(world.ended(uri(again)).await["state"], "Success");
    let deployed = world.fetch(uri(&cluster)).await;
    assert_eq!(deployed["state"], "Deployed");
    assert_eq!(deployed["current_num_nodes"], 4);
    let now: Vec<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();
    assert_eq!(now.len(), 4);
    assert!(kept.iter().all(|id| now.contains(id)), "{kept:?} {now:?}");
    // What was canceled stays as it was.
    assert_eq!(world.fetch(uri(&canceled)).await, canceled);
    world.finish().await;
}

#[tokio::test]
async fn a_pipeline_cancels_its_deploy_and_throws_the_cluster_away() {
    let world = World::start().await;
    let (cluster, action) = half_deployed(&world).await;
    let refused = world.client.delete(uri(&cluster)).await.expect(400);
    assert!(refused.text.contains("cancel that"), "{}", refused.text);
    post(&world, &action, "cancel").await.expect(202);
    world.ended(uri(&action)).await;
    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

/// A deploy whose next launches all meet this fault; its cluster and its action, once one launch was sent.
async fn deploy_into(world: &World, fault: Fault) -> (Value, Value) {
    for _ in 0..200 {
        world.sim().fail_next("RunInstances", fault.clone());
    }
    let cloud = world.cloud(REGION).await;
    let vpc = cloud
        .create_vpc("10.9.0.0/16", &tests::theirs())
        .await
        .unwrap();
    // A deploy into a given subnet needs no dry run: its first RunInstances is the launch.
    let subnet = cloud
        .create_subnet(&vpc.id, ZONES[0], "10.9.0.0/24", &tests::theirs())
        .await
        .unwrap();
    let more = json!({"provider_options": {"vpc": {"id": vpc.id, "subnets": [subnet.id]}}});
    let cluster = world.create(REGION, "t3.micro", 2, more).await;
    let action = action_of(world, post(world, &cluster, "deploy").await).await;
    wait_for("a launch", || async {
        world
            .sim()
            .calls()
            .contains_key("RunInstances")
            .then_some(())
    })
    .await;
    (cluster, action)
}

#[tokio::test]
async fn i5_a_canceled_launch_whose_answer_was_lost_is_found_and_kept() {
    let world = World::start().await;
    let (cluster, action) = deploy_into(&world, Fault::DropAfterEffect).await;
    post(&world, &action, "cancel").await.expect(202);
    assert_eq!(world.ended(uri(&action)).await["state"], "Canceled");
    world.sim().clear_faults();
    let cluster = world.fetch(uri(&cluster)).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 2);
    assert_eq!(world.instances(REGION).len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn i5_a_canceled_launch_of_which_nothing_came_is_withdrawn_and_never_sent_again() {
    let world = World::start().await;
    let throttled = Fault::Refuse {
        status: 503,
        code: "RequestLimitExceeded".into(),
        message: "Request limit exceeded.".into(),
    };
    let (cluster, action) = deploy_into(&world, throttled).await;
    post(&world, &action, "cancel").await.expect(202);
    assert_eq!(world.ended(uri(&action)).await["state"], "Canceled");
    world.sim().clear_faults();
    let at_rest = world.fetch(uri(&cluster)).await;
    assert_eq!(at_rest["state"], "Empty cluster");
    assert_eq!(at_rest["nodes"], json!([]));
    let launches: Vec<String> = sqlx::query_scalar("SELECT state FROM launch")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(launches, ["withdrawn"]);
    let sent = world.sim().calls()["RunInstances"];
    world.terminate(&cluster).await;
    assert_eq!(world.sim().calls()["RunInstances"], sent);
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_canceled_scale_down_takes_no_further_node() {
    let world = still_world().await;
    let shift = Shift::begin(&world);
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    shift.end().await;
    let answer = world
        .client
        .patch(uri(&cluster), &json!({"target_num_nodes": 1}))
        .await;
    let action = action_of(&world, answer).await;
    post(&world, &action, "cancel").await.expect(202);
    let shift = Shift::begin(&world);
    assert_eq!(world.ended(uri(&action)).await["state"], "Canceled");
    let kept = world.fetch(uri(&cluster)).await;
    assert_eq!(kept["state"], "Deployed");
    assert_eq!(
        (&kept["current_num_nodes"], &kept["target_num_nodes"]),
        (&json!(3), &json!(3))
    );
    // Tried again, it goes to the size that it asked for.
    let again = post(&world, &action, "retry").await.expect(202).body;
    assert_eq!(again["action"], "Node Cluster Scale");
    assert_eq!(world.ended(uri(&again)).await["state"], "Success");
    assert_eq!(world.instances(REGION).len(), 1);
    shift.end().await;
    world.finish().await;
}

#[tokio::test]
async fn a_failed_deploy_is_retried_and_a_complete_one_launches_nothing_more() {
    let world = World::start().await;
    let limit = Fault::Refuse {
        status: 400,
        code: "VcpuLimitExceeded".into(),
        message: "You have requested more vCPU capacity than your current vCPU limit of 0".into(),
    };
    let (cluster, action) = deploy_into(&world, limit).await;
    let failed = world.ended(uri(&action)).await;
    world.sim().clear_faults();
    assert_eq!(failed["state"], "Failed");
    let logs = failed["log"].as_str().unwrap();
    assert!(logs.contains("your current vCPU limit of 0"), "{logs}");
    assert_eq!(world.fetch(uri(&cluster)).await["state"], "Empty cluster");

    let again = post(&world, &failed, "retry").await.expect(202).body;
    let success = world.ended(uri(&again)).await;
    assert_eq!(success["state"], "Success", "{success:#}");
    assert_eq!(world.instances(REGION).len(), 2);
    let sent = world.sim().calls()["RunInstances"];

    let once_more = post(&world, &success, "retry").await.expect(202).body;
    assert_eq!(world.ended(uri(&once_more)).await["state"], "Success");
    assert_eq!(world.fetch(uri(&cluster)).await["state"], "Deployed");
    assert_eq!(world.sim().calls()["RunInstances"], sent);
    world.finish().await;
}

#[tokio::test]
async fn what_can_not_be_canceled_or_retried_is_refused_by_the_name_of_its_state() {
    let world = still_world().await;
    let wish = json!({
        "name": "web",
        "region": format!("/api/infra/v1/region/aws/{REGION}/"),
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    });
    let created = world
        .client
        .post("/api/infra/v1/nodecluster/", &wish)
        .await
        .expect(201);
    let create = world.fetch(&created.action_uri()).await;
    let refusal = |answer: Answer| {
        answer.expect(400).body["error"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    let words = refusal(post(&world, &create, "cancel").await);
    assert_eq!(
        words,
        "the action is in state \"Success\", in which it can't be canceled; it is over"
    );
    let words = refusal(post(&world, &create, "retry").await);
    assert!(
        words.contains("\"Success\"") && words.contains("send that again"),
        "{words}"
    );

    let cluster = created.body;
    let deploy = action_of(&world, post(&world, &cluster, "deploy").await).await;
    let words = refusal(post(&world, &deploy, "retry").await);
    assert!(words.contains("\"In progress\""), "{words}");
    post(&world, &deploy, "cancel").await.expect(202);
    let words = refusal(post(&world, &deploy, "cancel").await);
    assert!(words.contains("\"Canceling\""), "{words}");

    let shift = Shift::begin(&world);
    world.ended(uri(&deploy)).await;
    shift.end().await;
    let termination = action_of(&world, world.client.delete(uri(&cluster)).await).await;
    assert_eq!(termination["can_be_canceled"], false);
    let words = refusal(post(&world, &termination, "cancel").await);
    assert!(
        words.contains("\"In progress\"") && words.contains("can't be undone"),
        "{words}"
    );
    let shift = Shift::begin(&world);
    world.ended(uri(&termination)).await;
    shift.end().await;
    // Its state allows a retry, that of its node cluster does not.
    let words = refusal(post(&world, &termination, "retry").await);
    assert!(words.contains("\"Terminated\""), "{words}");

    let nobody = "/api/audit/v1/action/00cc59e1-c605-403c-a5fb-3269b6a0d6bf/";
    for verb in ["cancel", "retry"] {
        let path = format!("{nobody}{verb}/");
        world.client.post(&path, &json!({})).await.expect(404);
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_asked_of_a_busy_cluster_waits_for_its_turn() {
    let world = still_world().await;
    let shift = Shift::begin(&world);
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    shift.end().await;

    let upgrade = action_of(&world, post(&world, &cluster, "docker-upgrade").await).await;
    assert_eq!(upgrade["state"], "In progress");
    let node = world.nodes(&cluster).await.remove(0);
    assert_eq!(node["state"], "Upgrading");
    let refused = world.client.delete(uri(&node)).await.expect(400);
    assert!(refused.text.contains("Upgrading"), "{}", refused.text);

    let size = json!({"target_num_nodes": 3, "tags": [{"name": "mine"}]});
    let answer = world.client.patch(uri(&cluster), &size).await.expect(202);
    assert_eq!(answer.body["state"], "Deployed");
    assert_eq!(answer.body["target_num_nodes"], 1);
    let tags = answer.body["tags"].as_array().unwrap();
    assert!(
        tags.contains(&json!({"name": "mine"})),
        "what need not wait does not"
    );
    let scale = world.fetch(&answer.action_uri()).await;
    assert_eq!(scale["state"], "Pending");
    assert_eq!(
        (
            &scale["end_date"],
            &scale["can_be_canceled"],
            &scale["can_be_retried"]
        ),
        (&Value::Null, &json!(true), &json!(false))
    );
    let second = json!({"target_num_nodes": 7});
    let unwanted = action_of(&world, world.client.patch(uri(&cluster), &second).await).await;
    let termination = action_of(&world, world.client.delete(uri(&cluster)).await).await;
    let late = action_of(&world, post(&world, &cluster, "docker-upgrade").await).await;
    for waiting in [&unwanted, &termination, &late] {
        assert_eq!(waiting["state"], "Pending");
    }
    let canceled = post(&world, &unwanted, "cancel").await.expect(202).body;
    assert_eq!(canceled["state"], "Canceled");
    assert!(canceled["end_date"].is_string());

    let shift = Shift::begin(&world);
    let upgrade = world.ended(uri(&upgrade)).await;
    assert_eq!(upgrade["state"], "Failed");
    let logs = upgrade["log"].as_str().unwrap();
    assert!(logs.contains("agent"), "{logs}");
    assert_eq!(world.ended(uri(&scale)).await["state"], "Success");
    assert_eq!(world.ended(uri(&termination)).await["state"], "Success");
    let late = world.ended(uri(&late)).await;
    assert_eq!(late["state"], "Failed");
    assert_eq!(world.fetch(uri(&cluster)).await["state"], "Terminated");
    shift.end().await;
    // They ran one after the other: three nodes were there before all went.
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE deployed_at IS NOT NULL")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(nodes, 3);
    world.finish().await;
}
