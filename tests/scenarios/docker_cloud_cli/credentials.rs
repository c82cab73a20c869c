//! Whose the command line is: the credentials that it takes from the environment, and wrong ones.

use serde_json::json;
use tests::World;

use super::{NOBODY, REGION, TAG_TABLE, assert_table, failed, good, id, row, still_world, user};

#[tokio::test]
async fn each_way_to_give_the_credentials_is_taken() {
    let world = still_world().await;
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let ids = format!("{}\n", id(&cluster));
    let with_password = user(&world)
        .with("DOCKERCLOUD_APIKEY", "")
        .with("DOCKERCLOUD_PASS", "dev");
    // It goes over the wire as it is, and before all others.
    let with_header = user(&world)
        .with("DOCKERCLOUD_APIKEY", "wrong")
        .with("DOCKERCLOUD_AUTH", "Basic ZGV2OmRldg==");
    for cli in [user(&world), with_password, with_header] {
        assert_eq!(good(cli.run(&["nodecluster", "ls", "-q"]).await), ids);
    }
    world.finish().await;
}

#[tokio::test]
async fn wrong_credentials_are_not_authorized_to_anything() {
    let world = still_world().await;
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let strangers = [("dev", "wrong"), ("nobody", "dev"), ("dev", "")];
    for (name, key) in strangers {
        let cli = user(&world)
            .with("DOCKERCLOUD_USER", name)
            .with("DOCKERCLOUD_APIKEY", key);
        let ended = cli.run(&["nodecluster", "ls"]).await;
        assert_eq!(failed(ended, &["Not authorized"]), "", "{name} {key}");
    }
    let cli = user(&world).with("DOCKERCLOUD_APIKEY", "wrong");
    for line in [
        "nodecluster ls -q",
        "nodecluster create web aws us-east-1 t3.micro",
        "nodecluster inspect web",
        "nodecluster scale web 2",
        "nodecluster rm web",
        "nodecluster provider",
        "nodecluster region",
        "nodecluster az",
        "nodecluster nodetype",
        "node ls",
        "node inspect a",
        "node byo",
        "tag add -t x web",
        "action ls",
        "action logs a",
        "action cancel a",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = cli.run(&arguments).await;
        assert_eq!(failed(ended, &["Not authorized"]), "", "{line}");
    }
    let printed = failed(cli.run(&["tag", "ls", "web"]).await, &["Not authorized"]);
    assert_table(&printed, &TAG_TABLE, &[row(&["web", "", ""])]);
    // With a whole id, the command line hides the reason.
    let hidden = format!(
        "Cannot find a node cluster with the identifier '{}'",
        id(&cluster)
    );
    failed(
        cli.run(&["nodecluster", "rm", id(&cluster)]).await,
        &[&hidden],
    );
    assert_unchanged(&world, &cluster).await;
    world.finish().await;
}

async fn assert_unchanged(world: &World, cluster: &serde_json::Value) {
    assert_eq!(world.fetch(super::uri(cluster)).await, *cluster);
    assert_eq!(super::all(world, super::ACTIONS).await.len(), 1);
}

#[tokio::test]
async fn events_and_logs_with_wrong_credentials_end_at_once() {
    let world = still_world().await;
    let cli = user(&world).with("DOCKERCLOUD_APIKEY", "wrong");
    let ended = cli.run(&["event"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(
        lines,
        ["Handshake status 401 UNAUTHORIZED", "Not Authorized"]
    );
    let hidden = format!("Cannot find an action with the identifier '{NOBODY}'");
    failed(cli.run(&["action", "logs", "-f", NOBODY]).await, &[&hidden]);
    world.finish().await;
}
