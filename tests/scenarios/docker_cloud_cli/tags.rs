//! Tags of node clusters and nodes: ls, add, rm and set.

use serde_json::json;
use tests::World;

use super::{
    AUTOMATIC_TAGS, NODES, REGION, TAG_TABLE, all, assert_table, good, id, row, still_world, uri,
    user,
};

/// The row of an object's automatic tags and its user's.
fn tagged(identifier: &str, kind: &str, own: &str) -> Vec<String> {
    let tags = format!("{AUTOMATIC_TAGS} {own}");
    row(&[identifier, kind, tags.trim_end()])
}

#[tokio::test]
async fn tags_of_a_cluster_are_listed_added_removed_and_set_and_its_nodes_have_them() {
    let world = still_world().await;
    let cli = user(&world);
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    world.client.post(&deploy, &json!({})).await.expect(202);
    let node = all(&world, NODES).await.remove(0);
    let done = format!("{}\n", id(&cluster));
    let ls = ["tag", "ls", "web", id(&cluster), id(&node)];
    let both = |own: &str| {
        [
            tagged("web", "NodeCluster", own),
            tagged(id(&cluster), "NodeCluster", own),
            tagged(id(&node), "Node", own),
        ]
    };
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &both(""));

    let line = ["tag", "add", "-t", "fast", "--tag", "blue", "web"];
    assert_eq!(good(cli.run(&line).await), done);
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &both("fast blue"));
    // What it has already it has once.
    let line = ["tag", "add", "-t", "blue", "-t", "new", id(&cluster)];
    assert_eq!(good(cli.run(&line).await), done);
    assert_table(
        &good(cli.run(&ls).await),
        &TAG_TABLE,
        &both("fast blue new"),
    );

    let line = [
        "tag", "rm", "-t", "fast", "-t", "new", "-t", "nobodys", "web",
    ];
    assert_eq!(good(cli.run(&line).await), done);
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &both("blue"));
    // The automatic ones stay, whoever takes them out.
    let line = ["tag", "rm", "-t", "aws", "-t", "byon=false", "web"];
    assert_eq!(good(cli.run(&line).await), done);
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &both("blue"));

    let line = ["tag", "set", "-t", "a", "-t", "b", "-t", "a", "web"];
    assert_eq!(good(cli.run(&line).await), done);
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &both("a b"));
    let printed = good(cli.run(&["tag", "ls", "--quiet", "web", id(&node)]).await);
    assert_eq!(printed, format!("{AUTOMATIC_TAGS} a b\n").repeat(2));
    world.finish().await;
}

#[tokio::test]
async fn a_node_has_tags_of_its_own() {
    let world = World::start().await;
    let cli = user(&world);
    let tags = json!({"tags": [{"name": "all"}]});
    world.deploy(REGION, "t3.micro", 2, tags).await;
    let nodes = all(&world, NODES).await;
    let (first, second) = (id(&nodes[0]), id(&nodes[1]));
    let ls = ["tag", "ls", first, second, "web"];
    let rows = |own: &str| {
        [
            tagged(first, "Node", own),
            tagged(second, "Node", "all"),
            tagged("web", "NodeCluster", "all"),
        ]
    };
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &rows("all"));
    for (line, own) in [
        (["tag", "add", "-t", "first", first], "all first"),
        (["tag", "rm", "-t", "all", first], "first"),
        (["tag", "set", "-t", "only", first], "only"),
    ] {
        assert_eq!(good(cli.run(&line).await), format!("{first}\n"));
        assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &rows(own));
    }
    // Several objects in one line, a node by the beginning of its id.
    let line = ["tag", "add", "-t", "both", &first[..13], second];
    let printed = good(cli.run(&line).await);
    assert_eq!(printed, format!("{first}\n{second}\n"));
    let rows = [
        tagged(first, "Node", "only both"),
        tagged(second, "Node", "all both"),
        tagged("web", "NodeCluster", "all"),
    ];
    assert_table(&good(cli.run(&ls).await), &TAG_TABLE, &rows);
    world.finish().await;
}
