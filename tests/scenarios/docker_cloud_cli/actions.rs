//! Actions: ls, inspect and logs.

use serde_json::{Value, json};
use tests::{DockerCloud, Options, World, wait_for};

use super::{
    ACTION_TABLE, ACTIONS, AGO, REGION, all, assert_table, good, id, inspected, log_of, objects,
    row, short, still_world, text, uri, user,
};

/// The row of an action that has ended.
fn ended_row(action: &Value) -> Vec<String> {
    let (_, target) = text(action, "object")
        .trim_end_matches('/')
        .split_once("/v1/")
        .expect("the path of an object");
    let (id, name) = (short(action), text(action, "action"));
    row(&[id, name, AGO, AGO, target, "127.0.0.1", ""])
}

#[tokio::test]
async fn actions_are_listed_newest_first_and_as_many_as_are_wanted() {
    let world = still_world().await;
    let cli = user(&world);
    let printed = good(cli.run(&["action", "ls"]).await);
    assert_table(&printed, &ACTION_TABLE[..5], &[row(&[""; 5])]);

    let last = 27;
    for n in 0..=last {
        let name = json!({"name": format!("web-{n}")});
        world.create(REGION, "t3.micro", 1, name).await;
    }
    let newest = world.fetch("/api/infra/v1/nodecluster/?name=web-27").await["objects"][0].clone();
    let actions = all(&world, ACTIONS).await;
    let rows: Vec<Vec<String>> = actions.iter().map(ended_row).collect();
    assert_eq!(rows.len(), 28);
    let target = format!("nodecluster/{}", id(&newest));
    assert_eq!(rows[0][1], "Node Cluster Create");
    assert_eq!(rows[0][4], target);
    for (arguments, count) in [
        (&["action", "ls"][..], 25),
        (&["action", "ls", "-l", "3"], 3),
        (&["action", "ls", "--last", "27"], 27),
        (&["action", "ls", "-l", "1000"], 28),
    ] {
        let printed = good(cli.run(arguments).await);
        assert_table(&printed, &ACTION_TABLE, &rows[..count]);
    }
    let ids: String = actions[..2]
        .iter()
        .map(|action| format!("{}\n", id(action)))
        .collect();
    let printed = good(cli.run(&["action", "ls", "-q", "-l", "2"]).await);
    assert_eq!(printed, ids);
    world.finish().await;
}

#[tokio::test]
async fn an_action_under_way_has_no_end_and_one_of_a_node_names_the_node() {
    let world = still_world().await;
    let cli = user(&world);
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let deployed = world.client.post(&deploy, &json!({})).await.expect(202);
    let node = deployed.body["nodes"][0].as_str().unwrap().to_owned();
    world
        .client
        .patch(&node, &json!({"tags": []}))
        .await
        .expect(202);
    let actions = all(&world, ACTIONS).await;
    let [update, deploy, create] = actions.as_slice() else {
        panic!("{actions:#?}")
    };
    let mut deploying = ended_row(deploy);
    deploying[3] = String::new();
    assert_eq!(deploying[1], "Node Cluster Deploy");
    let updated = ended_row(update);
    assert_eq!(updated[1], "Node Update");
    let node_id = node.trim_end_matches('/').rsplit('/').next().unwrap();
    assert_eq!(updated[4], format!("node/{node_id}"));
    let printed = good(cli.run(&["action", "ls"]).await);
    assert_table(
        &printed,
        &ACTION_TABLE,
        &[updated, deploying, ended_row(create)],
    );

    let line = ["action", "inspect", id(deploy), &id(update)[..20]];
    let printed = good(cli.run(&line).await);
    let expected = [inspected(deploy.clone()), inspected(update.clone())];
    assert_eq!(objects(&printed), expected);
    assert_eq!(expected[0]["state"], "In progress");
    world.finish().await;
}

#[tokio::test]
async fn logs_of_what_has_ended_are_printed_whole_or_from_their_tail() {
    let world = World::start().await;
    let cli = user(&world);
    let (_, deploy) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let logs = log_of(&world, &deploy).await;
    let lines: Vec<&str> = logs.lines().collect();
    assert!(lines.len() > 5, "{logs}");
    assert_eq!(lines.last(), Some(&"Node cluster web is Deployed"));
    let tail = |count: usize| {
        let tail = lines[lines.len() - count..].iter();
        tail.map(|line| format!("{line}\n")).collect::<String>()
    };
    let deploy = id(&deploy);
    for (arguments, expected) in [
        (&["action", "logs", deploy][..], logs.clone()),
        (&["action", "logs", &deploy[..20]], logs.clone()),
        (&["action", "logs", "-t", "2", deploy], tail(2)),
        (&["action", "logs", "--tail", "1000", deploy], logs.clone()),
        // There is nothing more to come, so there is nothing to wait for.
        (&["action", "logs", "-f", deploy], logs.clone()),
        (&["action", "logs", "-f", "-t", "1", deploy], tail(1)),
    ] {
        assert_eq!(good(cli.run(arguments).await), expected, "{arguments:?}");
    }

    let create = all(&world, ACTIONS).await.remove(1);
    assert_eq!(text(&create, "action"), "Node Cluster Create");
    let both = log_of(&world, &create).await + &logs;
    let printed = good(cli.run(&["action", "logs", id(&create), deploy]).await);
    assert_eq!(printed, both);
    world.finish().await;
}

/// A cluster whose instances boot until the clock is moved, and the deploy of it.
async fn booting(world: &World, cli: &DockerCloud) -> Value {
    let create = ["nodecluster", "create", "web", "aws", REGION, "t3.micro"];
    good(cli.run(&create).await);
    let deploy = super::newest_action(world).await;
    wait_for("an instance that boots", || async {
        let launched = log_of(world, &deploy).await.contains("Launched");
        launched.then_some(())
    })
    .await;
    deploy
}

#[tokio::test]
async fn logs_of_what_is_under_way_end_with_what_there_is_or_are_followed_to_the_end() {
    let mut options = Options::default();
    options.sim.manual_clock = true;
    let world = World::with(options).await;
    let cli = user(&world);
    let deploy = booting(&world, &cli).await;
    let so_far = log_of(&world, &deploy).await;
    assert_eq!(
        good(cli.run(&["action", "logs", id(&deploy)]).await),
        so_far
    );

    let mut whole = cli.start(&["action", "logs", "-f", id(&deploy)]);
    let mut tail = cli.start(&["action", "logs", "--follow", "--tail", "1", id(&deploy)]);
    whole
        .until("what there is", |it| (it.stdout() == so_far).then_some(()))
        .await;
    let last = so_far.lines().last().unwrap();
    let last = format!("{last}\n");
    tail.until("the last line", |it| (it.stdout() == last).then_some(()))
        .await;

    world.sim().advance(60_000);
    assert_eq!(world.ended(uri(&deploy)).await["state"], "Success");
    let logs = log_of(&world, &deploy).await;
    let more = logs.strip_prefix(&so_far).expect("a log only grows");
    assert!(more.contains("Node cluster web is Deployed"), "{logs}");
    assert_eq!(good(whole.ended().await), logs);
    assert_eq!(good(tail.ended().await), last + more);
    world.finish().await;
}
