//! Objects by their whole id, the beginning of it, and their name; and what names none or several.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::World;

use super::{
    ACTIONS, AUTOMATIC_TAGS, CLUSTERS, NOBODY, NODES, REGION, TAG_TABLE, all, assert_table,
    complaint, failed, good, id, inspected, objects, row, still_world, uri, user,
};

/// One more than there are hexadecimal digits: two ids begin with the same one.
const MANY: u32 = 17;

const AMBIGUOUS_CLUSTER: &str =
    "More than one node cluster has the same identifier, please use the long uuid";

/// A digit with which the ids of several of these begin.
fn ambiguous(objects: &[Value]) -> String {
    let mut counts = BTreeMap::<&str, u32>::new();
    for object in objects {
        *counts.entry(&id(object)[..1]).or_default() += 1;
    }
    let several = counts.into_iter().find(|(_, count)| *count > 1);
    several.expect("there are more than digits").0.to_owned()
}

/// The shortest beginning of this one's id that no other has.
fn unique<'a>(object: &'a Value, among: &[Value]) -> &'a str {
    let id_of_it = id(object);
    (1..id_of_it.len())
        .map(|length| &id_of_it[..length])
        .find(|front| among.iter().filter(|o| id(o).starts_with(front)).count() == 1)
        .expect("ids differ")
}

/// Seventeen clusters, one of them deploying seventeen nodes.
async fn many() -> (World, Vec<Value>, Vec<Value>, Vec<Value>) {
    let world = still_world().await;
    for n in 0..MANY {
        // No name is the beginning of an id.
        let name = json!({"name": format!("web-{n}")});
        world.create(REGION, "t3.micro", MANY, name).await;
    }
    let clusters = all(&world, CLUSTERS).await;
    let deploy = format!("{}deploy/", uri(&clusters[5]));
    world.client.post(&deploy, &json!({})).await.expect(202);
    let (clusters, nodes) = (all(&world, CLUSTERS).await, all(&world, NODES).await);
    let actions = all(&world, ACTIONS).await;
    (world, clusters, nodes, actions)
}

#[tokio::test]
async fn clusters_are_found_by_id_beginning_and_name() {
    let (world, clusters, _, _) = many().await;
    let cli = user(&world);
    let several = ambiguous(&clusters);
    let [a, b, c] = [&clusters[0], &clusters[5], &clusters[9]];
    let found = [a, b, c].map(|cluster| inspected(cluster.clone()));
    let (front, name) = (unique(b, &clusters), c["name"].as_str().unwrap());
    let unknown = |it: &str| format!("Cannot find a node cluster with the identifier '{it}'");
    let (no_id, no_name) = (unknown(NOBODY), unknown("nobody"));

    let printed = good(
        cli.run(&["nodecluster", "inspect", id(a), front, name])
            .await,
    );
    assert_eq!(objects(&printed), found);
    // What can't be told does not keep the others from being done.
    let line = [
        "nodecluster",
        "inspect",
        id(a),
        &several,
        front,
        NOBODY,
        "nobody",
        name,
    ];
    let complaints = [AMBIGUOUS_CLUSTER, &no_id, &no_name];
    let printed = failed(cli.run(&line).await, &complaints);
    assert_eq!(objects(&printed), found);

    // One that deploys can't be scaled; the others are not deployed yet, so that is done at once.
    let busy = format!("{{\"target_num_nodes\": {}}}", MANY + 3);
    let busy: Value = serde_json::from_str(&busy).unwrap();
    let busy = world.client.patch(uri(b), &busy).await.expect(400);
    let busy = complaint(&world, 400, "PATCH", uri(b), &busy.text);
    let line = [
        "nodecluster",
        "scale",
        &several,
        id(a),
        front,
        "nobody",
        name,
        "20",
    ];
    let printed = failed(cli.run(&line).await, &[AMBIGUOUS_CLUSTER, &busy, &no_name]);
    assert_eq!(printed, format!("{}\n{}\n", id(a), id(c)));
    for (cluster, target) in [(a, 20), (b, MANY), (c, 20)] {
        assert_eq!(world.fetch(uri(cluster)).await["target_num_nodes"], target);
    }

    let busy = world.client.delete(uri(b)).await.expect(400);
    let busy = complaint(&world, 400, "DELETE", uri(b), &busy.text);
    let line = ["nodecluster", "rm", front, id(a), &several, NOBODY, name];
    let printed = failed(cli.run(&line).await, &[&busy, AMBIGUOUS_CLUSTER, &no_id]);
    assert_eq!(printed, format!("{}\n{}\n", id(a), id(c)));
    for (cluster, state) in [(a, "Terminated"), (b, "Deploying"), (c, "Terminated")] {
        assert_eq!(world.fetch(uri(cluster)).await["state"], state);
    }
    world.finish().await;
}

#[tokio::test]
async fn nodes_and_actions_are_found_by_id_and_beginning() {
    let (world, _, nodes, actions) = many().await;
    let cli = user(&world);
    for (command, objects_there, kind, kind_of_none) in [
        ("node", &nodes, "node", "a node"),
        // Docker Cloud's own words.
        ("action", &actions, "action", "an action cluster"),
    ] {
        let [a, b] = [&objects_there[0], &objects_there[8]];
        let several = ambiguous(objects_there);
        let line = [
            command,
            "inspect",
            id(a),
            &several,
            "nobody",
            NOBODY,
            unique(b, objects_there),
        ];
        let complaints = [
            format!("More than one {kind} has the same identifier, please use the long uuid"),
            format!("Cannot find {kind_of_none} with the identifier 'nobody'"),
            format!(
                "Cannot find {} with the identifier '{NOBODY}'",
                kind_of_none.trim_end_matches(" cluster")
            ),
        ];
        let printed = failed(
            cli.run(&line).await,
            &complaints.each_ref().map(String::as_str),
        );
        let found = [a, b].map(|object| inspected(object.clone()));
        assert_eq!(objects(&printed), found);
    }

    let unknown = "Cannot find a node with the identifier 'nobody'";
    for verb in ["rm", "upgrade"] {
        // A node that deploys can't be terminated, nor its engine upgraded.
        let (method, path) = match verb {
            "rm" => ("DELETE", uri(&nodes[0]).to_owned()),
            _ => ("POST", format!("{}docker-upgrade/", uri(&nodes[0]))),
        };
        let method_of = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = world.client.send(method_of, &path, None).await.expect(400);
        let busy = complaint(&world, 400, method, &path, &answer.text);
        let line = ["node", verb, "nobody", id(&nodes[0])];
        assert_eq!(failed(cli.run(&line).await, &[unknown, &busy]), "");
    }
    world.finish().await;
}

#[tokio::test]
async fn tags_find_a_cluster_before_a_node_and_name_what_is_neither() {
    let (world, clusters, nodes, _) = many().await;
    let cli = user(&world);
    let several = ambiguous(&clusters);
    let (cluster, node) = (&clusters[5], &id(&nodes[3])[..20]);
    let name = cluster["name"].as_str().unwrap();
    let own = AUTOMATIC_TAGS.replace("web", name);
    let nobody = "Identifier 'nobody' does not match any service, node or nodecluster";

    let line = ["tag", "ls", &several, name, "nobody", node];
    let printed = failed(
        cli.run(&line).await,
        &["The object does not support tag", nobody],
    );
    let rows = |own: &str| {
        [
            row(&[&several, "", ""]),
            row(&[name, "NodeCluster", own]),
            row(&["nobody", "None", ""]),
            row(&[node, "Node", own]),
        ]
    };
    assert_table(&printed, &TAG_TABLE, &rows(&own));
    let printed = failed(
        cli.run(&["tag", "ls", "-q", "nobody", name]).await,
        &[nobody],
    );
    assert_eq!(printed, format!("\n{own}\n"));

    let ids = format!("{}\n{}\n", id(cluster), id(&nodes[3]));
    for (verb, own) in [
        ("add", format!("{own} x")),
        ("set", format!("{own} x")),
        ("rm", own.clone()),
    ] {
        let line = ["tag", verb, "-t", "x", &several, name, "nobody", node];
        let printed = failed(cli.run(&line).await, &[AMBIGUOUS_CLUSTER, nobody]);
        assert_eq!(printed, ids, "{verb}");
        let line = ["tag", "ls", "-q", name, node];
        let printed = good(cli.run(&line).await);
        assert_eq!(printed, format!("{own}\n{own}\n"), "{verb}");
    }
    world.finish().await;
}
