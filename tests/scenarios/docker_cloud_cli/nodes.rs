//! Nodes: ls, inspect, rm, upgrade and byo.

use serde_json::{Value, json};
use tests::{World, wait_for};

use super::{
    ACTIONS, AGO, NODE_TABLE, NODES, REGION, all, assert_synced, assert_table, failed, good, id,
    inspected, newest_action, objects, row, short, still_world, text, uri, user,
};

/// The row of a node of the cluster `web`.
fn node_row(node: &Value, state: &str) -> Vec<String> {
    let (id, name) = (short(node), text(node, "external_fqdn"));
    row(&[id, name, AGO, state, "web", ""])
}

#[tokio::test]
async fn nodes_are_listed_inspected_and_removed() {
    let world = World::start().await;
    let cli = user(&world);
    let printed = good(cli.run(&["node", "ls"]).await);
    assert_table(&printed, &NODE_TABLE, &[row(&[""; 6])]);
    assert_eq!(good(cli.run(&["node", "ls", "-q"]).await), "");

    world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let nodes = all(&world, NODES).await;
    let printed = good(cli.run(&["node", "ls"]).await);
    let rows: Vec<Vec<String>> = nodes
        .iter()
        .map(|node| node_row(node, "▶ Deployed"))
        .collect();
    assert_eq!(rows.len(), 2);
    assert_table(&printed, &NODE_TABLE, &rows);
    let ids: String = nodes.iter().map(|node| format!("{}\n", id(node))).collect();
    assert_eq!(good(cli.run(&["node", "ls", "-q"]).await), ids);

    let printed = good(
        cli.run(&["node", "inspect", id(&nodes[0]), &id(&nodes[1])[..13]])
            .await,
    );
    let mut expected = Vec::new();
    for node in &nodes {
        expected.push(inspected(world.fetch(uri(node)).await));
    }
    let mut shown = objects(&printed);
    // The sweep may have seen them between the two looks.
    for object in expected.iter_mut().chain(&mut shown) {
        assert!(object["last_seen"].is_string());
        object["last_seen"] = json!("lately");
    }
    assert_eq!(shown, expected);

    let printed = good(cli.run(&["node", "rm", "--sync", id(&nodes[0])]).await);
    assert_synced(&printed, "Success", id(&nodes[0]));
    assert_eq!(world.instances(REGION).len(), 1);
    let printed = good(cli.run(&["node", "ls"]).await);
    let mut rows = Vec::new();
    for node in all(&world, NODES).await {
        let is_gone = id(&node) == id(&nodes[0]);
        rows.push(node_row(
            &node,
            ["▶ Deployed", "✘ Terminated"][usize::from(is_gone)],
        ));
    }
    assert_table(&printed, &NODE_TABLE, &rows);
    world.finish().await;
}

#[tokio::test]
async fn each_state_of_a_node_has_its_sign() {
    let mut options = tests::Options::default();
    options.sim.manual_clock = true;
    let world = World::with(options).await;
    let cli = user(&world);
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let deploy = world.client.post(&deploy, &json!({})).await.expect(202);
    // Until the clock is moved, the instance goes on booting.
    wait_for("an instance", || async {
        (!world.instances(REGION).is_empty()).then_some(())
    })
    .await;
    let states = async |world: &World| {
        let printed = good(cli.run(&["node", "ls"]).await);
        let node = all(world, NODES).await.remove(0);
        let cells = super::table(&printed).remove(1);
        assert_eq!(
            (cells[0].as_str(), cells[4].as_str()),
            (short(&node), "web")
        );
        cells[3].clone()
    };
    assert_eq!(states(&world).await, "⚙ Deploying");
    world.sim().advance(60_000);
    world.ended(&deploy.action_uri()).await;
    assert_eq!(states(&world).await, "▶ Deployed");
    let node = all(&world, NODES).await.remove(0);
    let instance = world.instance_of(&node).await;
    world
        .sim()
        .console_stop(tests::ACCOUNT, REGION, &[&instance]);
    wait_for("the node to be Unreachable", || async {
        (world.fetch(uri(&node)).await["state"] == "Unreachable").then_some(())
    })
    .await;
    assert_eq!(states(&world).await, "❓ Unreachable");
    let printed = good(cli.run(&["node", "rm", id(&node)]).await);
    assert_eq!(printed, format!("{}\n", id(&node)));
    assert_eq!(states(&world).await, "⚙ Terminating");
    world.sim().advance(60_000);
    world.ended(uri(&newest_action(&world).await)).await;
    assert_eq!(states(&world).await, "✘ Terminated");
    world.finish().await;
}

#[tokio::test]
async fn an_upgrade_without_an_agent_fails_and_its_log_says_why() {
    let world = World::start().await;
    let cli = user(&world);
    world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = all(&world, NODES).await.remove(0);

    let printed = good(cli.run(&["node", "upgrade", id(&node)]).await);
    assert_eq!(printed, format!("{}\n", id(&node)));
    let action = world.ended(uri(&newest_action(&world).await)).await;
    assert_eq!(text(&action, "action"), "Node Docker Upgrade");
    assert_eq!(text(&action, "state"), "Failed");
    let printed = good(cli.run(&["action", "logs", id(&action)]).await);
    assert!(
        printed.contains(&format!(
            "the engine of node {} was not upgraded",
            id(&node)
        )),
        "{printed}"
    );

    // The id is printed whatever came of it.
    let printed = failed(
        cli.run(&["node", "upgrade", "--sync", id(&node)]).await,
        &[],
    );
    assert_synced(&printed, "Failed", id(&node));
    assert_eq!(world.fetch(uri(&node)).await["state"], "Deployed");
    let upgrades = all(&world, ACTIONS).await;
    let upgrades = upgrades.iter().filter(|a| a["object"] == uri(&node));
    assert_eq!(upgrades.count(), 2);
    world.finish().await;
}

/// The token of what `node byo` has printed.
pub(super) fn token(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 5, "{printed}");
    assert_eq!(
        lines[..3],
        [
            "Docker Cloud lets you use your own servers as nodes to run containers. \
             For this you have to install our agent.",
            "Run the following command on your server:",
            "",
        ]
    );
    // Scripts take the fourth line.
    let command = "\tcurl -Ls https://get.cloud.docker.com/ | sudo -H sh -s ";
    let token = lines[3].strip_prefix(command).expect("the command");
    assert_eq!(token.len(), 32, "{token}");
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(token.chars().all(is_digit), "{token}");
    token.to_owned()
}

#[tokio::test]
async fn byo_prints_a_command_with_a_new_token_each_time() {
    let world = still_world().await;
    let cli = user(&world);
    let first = token(&good(cli.run(&["node", "byo"]).await));
    let second = token(&good(cli.run(&["node", "byo"]).await));
    assert_ne!(first, second);
    world.finish().await;
}
