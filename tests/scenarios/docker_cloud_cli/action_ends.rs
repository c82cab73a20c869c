//! Actions: cancel and retry, and deploys that fail.

use serde_json::{Value, json};
use sim::Fault;
use tests::{ACCOUNT, Options, World, wait_for};

use super::{
    ACTIONS, CLUSTERS, REGION, all, assert_synced, complaint, failed, good, id, newest_action,
    still_world, text, uri, user,
};

/// What the next call is refused with for good.
fn forbidden() -> Fault {
    Fault::Refuse {
        status: 403,
        code: "UnauthorizedOperation".into(),
        message: "You are not authorized to perform this operation.".into(),
    }
}

/// What the command line complains of when the API refuses this POST to an action.
async fn refused(world: &World, action: &Value, verb: &str) -> String {
    let path = format!("{}{verb}/", uri(action));
    let answer = world.client.post(&path, &json!({})).await.expect(400);
    complaint(world, 400, "POST", &path, &answer.text)
}

#[tokio::test]
async fn a_deploy_that_fails_ends_its_sync_with_3_and_its_retry_goes_on() {
    let world = World::start().await;
    let cli = user(&world);
    world.sim().fail_next("CreateVpc", forbidden());
    let create = [
        "nodecluster",
        "create",
        "--sync",
        "web",
        "aws",
        REGION,
        "t3.micro",
    ];
    let printed = failed(cli.run(&create).await, &[]);
    let cluster = all(&world, CLUSTERS).await.remove(0);
    assert_synced(&printed, "Failed", id(&cluster));
    assert_eq!(cluster["state"], "Empty cluster");
    let deploy = newest_action(&world).await;
    let printed = good(cli.run(&["action", "logs", id(&deploy)]).await);
    assert!(
        printed.contains("UnauthorizedOperation (CreateVpc)"),
        "{printed}"
    );

    assert_eq!(good(cli.run(&["action", "retry", id(&deploy)]).await), "");
    let again = newest_action(&world).await;
    assert_ne!(id(&again), id(&deploy));
    assert_eq!(text(&again, "action"), "Node Cluster Deploy");
    assert_eq!(world.ended(uri(&again)).await["state"], "Success");
    let deployed = world.fetch(uri(&cluster)).await;
    assert_eq!(deployed["state"], "Deployed");
    assert_eq!(deployed["current_num_nodes"], 1);

    // A call that nobody makes but for the cluster.
    world
        .sim()
        .fail_next("DescribeAvailabilityZones", forbidden());
    let scale = ["nodecluster", "scale", "--sync", "web", "2"];
    let printed = failed(cli.run(&scale).await, &[]);
    assert_synced(&printed, "Failed", id(&cluster));
    let scale = newest_action(&world).await;
    assert_eq!(
        good(cli.run(&["action", "retry", &id(&scale)[..20]]).await),
        ""
    );
    let again = newest_action(&world).await;
    assert_eq!(world.ended(uri(&again)).await["state"], "Success");
    assert_eq!(world.fetch(uri(&cluster)).await["current_num_nodes"], 2);
    world.finish().await;
}

#[tokio::test]
async fn a_deploy_is_canceled_and_what_runs_is_kept() {
    let mut options = Options::default();
    // It waits for room as long as the story takes.
    options.worker.launch_deadline = std::time::Duration::from_secs(3600);
    let world = World::with(options).await;
    let cli = user(&world);
    let zones = ["sa-east-1a", "sa-east-1b", "sa-east-1c"];
    for zone in zones {
        let room = u32::from(zone == "sa-east-1b");
        world
            .sim()
            .set_capacity(ACCOUNT, "sa-east-1", zone, "t3.micro", Some(room));
    }
    #[rustfmt::skip]
    let create = ["nodecluster", "create", "-t", "3", "web", "aws", "sa-east-1", "t3.micro"];
    good(cli.run(&create).await);
    let cluster = all(&world, CLUSTERS).await.remove(0);
    let deploy = newest_action(&world).await;
    wait_for("a node that runs", || async {
        (world.fetch(uri(&cluster)).await["current_num_nodes"] == 1).then_some(())
    })
    .await;
    assert_eq!(good(cli.run(&["action", "cancel", id(&deploy)]).await), "");
    assert_eq!(world.ended(uri(&deploy)).await["state"], "Canceled");
    let kept = world.fetch(uri(&cluster)).await;
    assert_eq!(kept["state"], "Partly deployed");
    assert_eq!(
        (&kept["current_num_nodes"], &kept["target_num_nodes"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(world.instances("sa-east-1").len(), 1);

    // It waits again, and is canceled again.
    let printed = good(cli.run(&["action", "retry", &id(&deploy)[..20]]).await);
    assert_eq!(printed, "");
    let again = newest_action(&world).await;
    assert_ne!(id(&again), id(&deploy));
    assert_eq!(
        (text(&again, "action"), text(&again, "state")),
        ("Node Cluster Deploy", "In progress")
    );
    let not_yet = refused(&world, &again, "retry").await;
    failed(cli.run(&["action", "retry", id(&again)]).await, &[&not_yet]);
    assert_eq!(good(cli.run(&["action", "cancel", id(&again)]).await), "");
    assert_eq!(world.ended(uri(&again)).await["state"], "Canceled");
    assert_eq!(world.instances("sa-east-1").len(), 1);

    // What is over can't be canceled, and what was done at once can't be retried; the rest of the line is done.
    let over = refused(&world, &deploy, "cancel").await;
    failed(cli.run(&["action", "cancel", id(&deploy)]).await, &[&over]);
    let create = all(&world, ACTIONS).await.remove(2);
    assert_eq!(text(&create, "action"), "Node Cluster Create");
    let at_once = refused(&world, &create, "retry").await;
    let line = ["action", "retry", id(&create), id(&deploy)];
    failed(cli.run(&line).await, &[&at_once]);
    let third = newest_action(&world).await;
    assert_eq!(text(&third, "state"), "In progress");
    good(cli.run(&["action", "cancel", id(&third)]).await);
    world.ended(uri(&third)).await;
    world.finish().await;
}

#[tokio::test]
async fn what_waits_is_canceled_at_once_and_a_termination_is_not() {
    let world = still_world().await;
    let cli = user(&world);
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let deployed = world.client.post(&deploy, &json!({})).await.expect(202);
    let watch = format!("{}deploy/", deployed.body["nodes"][0].as_str().unwrap());
    let mut watches = Vec::new();
    for state in ["In progress", "Pending"] {
        let answer = world.client.post(&watch, &json!({})).await.expect(202);
        let action = world.fetch(&answer.action_uri()).await;
        assert_eq!(action["state"], state);
        watches.push(action);
    }
    let with_its_cluster = refused(&world, &watches[0], "cancel").await;
    let line = ["action", "cancel", id(&watches[0]), id(&watches[1])];
    failed(cli.run(&line).await, &[&with_its_cluster]);
    assert_eq!(world.fetch(uri(&watches[0])).await, watches[0]);
    let canceled = world.fetch(uri(&watches[1])).await;
    assert_eq!(canceled["state"], "Canceled");
    assert!(canceled["end_date"].is_string());
    world.finish().await;
}
