//! Tags: the automatic ones, how nodes inherit them, what a PATCH replaces, and the list of them.

use serde_json::{Value, json};
use tests::{Options, World};

const TAGS: &str = "/api/infra/v1/tag/";

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

fn names(object: &Value) -> Vec<&str> {
    let tags = object["tags"].as_array().unwrap();
    tags.iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect()
}

const AUTOMATIC: [&str; 5] = [
    "aws",
    "byon=false",
    "us-east-1",
    "web",
    "nodecluster-name=web",
];

fn with_automatic<'a>(own: &[&'a str]) -> Vec<&'a str> {
    AUTOMATIC.iter().chain(own).copied().collect()
}

#[tokio::test]
async fn nodes_inherit_their_clusters_tags_and_a_patch_replaces_only_the_users() {
    let world = still_world().await;
    let own = json!({"tags": [{"name": "front"}]});
    let cluster = world.create("us-east-1", "t3.micro", 2, own).await;
    assert_eq!(names(&cluster), with_automatic(&["front"]));
    let deploy = format!("{}deploy/", uri(&cluster));
    let cluster = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node = |at: usize| cluster["nodes"][at].as_str().unwrap();
    for at in [0, 1] {
        let node = world.fetch(node(at)).await;
        assert_eq!(names(&node), with_automatic(&["front"]));
    }

    // A node may have tags of its own.
    let extra = json!({"tags": [{"name": "front"}, {"name": "extra"}]});
    let patched = world.client.patch(node(0), &extra).await.expect(202).body;
    assert_eq!(names(&patched), with_automatic(&["front", "extra"]));
    assert_eq!(
        names(&world.fetch(uri(&cluster)).await),
        with_automatic(&["front"])
    );
    assert_eq!(
        names(&world.fetch(node(1)).await),
        with_automatic(&["front"])
    );

    // What is set on the cluster applies to its nodes, and the automatic ones stay.
    let back = json!({"tags": [{"name": "back", "origin": "user"}]});
    let patched = world
        .client
        .patch(uri(&cluster), &back)
        .await
        .expect(202)
        .body;
    assert_eq!(names(&patched), with_automatic(&["back"]));
    for at in [0, 1] {
        assert_eq!(
            names(&world.fetch(node(at)).await),
            with_automatic(&["back"])
        );
    }
    let none = world
        .client
        .patch(uri(&cluster), &json!({"tags": []}))
        .await
        .expect(202)
        .body;
    assert_eq!(names(&none), AUTOMATIC);
    world.finish().await;
}

#[tokio::test]
async fn the_tag_list_shows_each_tag_once_for_each_origin() {
    let world = still_world().await;
    let empty = world.fetch(TAGS).await;
    assert_eq!(
        (&empty["meta"]["total_count"], &empty["objects"]),
        (&json!(0), &json!([]))
    );

    let own = json!({"tags": [{"name": "front"}]});
    let cluster = world.create("us-east-1", "t3.micro", 1, own).await;
    let second = json!({"name": "db", "tags": [{"name": "front"}, {"name": "web"}]});
    world.create("us-east-1", "t3.micro", 1, second).await;
    let system = |name: &str| json!({"name": name, "origin": "tutum"});
    let user = |name: &str| json!({"name": name, "origin": "user"});
    let all = [
        system("aws"),
        system("byon=false"),
        system("db"),
        user("front"),
        system("nodecluster-name=db"),
        system("nodecluster-name=web"),
        system("us-east-1"),
        user("web"),
        system("web"),
    ];
    let page = world.fetch(TAGS).await;
    assert_eq!(page["objects"], json!(all));
    assert_eq!(
        page["meta"],
        json!({"limit": 25, "next": null, "offset": 0, "previous": null, "total_count": 9})
    );
    for (query, expected) in [
        ("name=web", json!([user("web"), system("web")])),
        ("name=web&origin=tutum", json!([system("web")])),
        ("origin=user", json!([user("front"), user("web")])),
        ("name=nobody", json!([])),
        ("limit=1&offset=3", json!([user("front")])),
    ] {
        let page = world.fetch(&format!("{TAGS}?{query}")).await;
        assert_eq!(page["objects"], expected, "{query}");
    }
    let refused = world
        .client
        .get(&format!("{TAGS}?origin=me"))
        .await
        .expect(400);
    assert!(
        refused.error().starts_with("origin: \"me\""),
        "{}",
        refused.error()
    );

    // A tag goes with the last object that bears it.
    world.client.delete(uri(&cluster)).await.expect(202);
    let page = world
        .fetch(&format!("{TAGS}?name=nodecluster-name=web"))
        .await;
    assert_eq!(page["meta"]["total_count"], 0);
    world.finish().await;
}

#[tokio::test]
async fn what_was_read_can_be_sent_back_however_many_tags_there_are() {
    let world = World::start().await;
    // As many as an object may have, each as long as one may be.
    let own: Vec<Value> = (0..100)
        .map(|n| json!({"name": format!("{n:ü>128}")}))
        .collect();
    // The automatic one with the cluster's name in it is longer.
    let wish = json!({"tags": own, "name": "w".repeat(128)});
    let cluster = world.create("us-east-1", "t3.micro", 1, wish).await;
    assert_eq!(cluster["tags"].as_array().unwrap().len(), 105);
    let uri = cluster["resource_uri"].as_str().unwrap();
    let whole = json!({"tags": cluster["tags"]});
    let again = world.client.patch(uri, &whole).await.expect(202).body;
    assert_eq!(again, cluster);
    world.finish().await;
}
