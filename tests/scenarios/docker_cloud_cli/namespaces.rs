//! `DOCKERCLOUD_NAMESPACE`: the user's own, which changes the paths and nothing else, and one that is not theirs.

use serde_json::{Value, json};
use tests::World;

use super::{
    ACTION_TABLE, ACTIONS, AGO, CLUSTER_TABLE, NODE_TABLE, NODES, REGION, REGION_LABEL, TAG_TABLE,
    TYPE_LABEL, all, assert_synced, assert_table, complaint, failed, good, id, inspected,
    newest_action, nodes::token, objects, row, short, still_world, text, uri, user,
};

const OWN_CLUSTERS: &str = "/api/infra/v1/dev/nodecluster/";
const OWN_NODES: &str = "/api/infra/v1/dev/node/";

#[tokio::test]
async fn with_the_users_own_namespace_a_cluster_and_its_nodes_live_as_without() {
    let world = World::start().await;
    let cli = user(&world).with("DOCKERCLOUD_NAMESPACE", "dev");
    #[rustfmt::skip]
    let create = ["nodecluster", "create", "--sync", "--tag", "a", "web", "aws", REGION, "t3.micro"];
    let printed = good(cli.run(&create).await);
    let cluster = all(&world, OWN_CLUSTERS).await.remove(0);
    assert!(uri(&cluster).starts_with(OWN_CLUSTERS), "{cluster:#}");
    assert_synced(&printed, "Success", id(&cluster));
    let done = format!("{}\n", id(&cluster));

    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    #[rustfmt::skip]
    let web = row(&["web", short(&cluster), REGION_LABEL, TYPE_LABEL, AGO, "Deployed", "1", "1"]);
    assert_table(&printed, &CLUSTER_TABLE, &[web]);
    assert_eq!(good(cli.run(&["nodecluster", "ls", "-q"]).await), done);
    for identifier in ["web", id(&cluster), &id(&cluster)[..20]] {
        let printed = good(cli.run(&["nodecluster", "inspect", identifier]).await);
        assert_eq!(objects(&printed), [inspected(cluster.clone())]);
    }
    let printed = good(
        cli.run(&["nodecluster", "scale", "--sync", "web", "2"])
            .await,
    );
    assert_synced(&printed, "Success", id(&cluster));
    assert_eq!(
        good(cli.run(&["nodecluster", "scale", "web", "2"]).await),
        done
    );
    for (arguments, line) in [
        (
            &["nodecluster", "provider"][..],
            "aws     Amazon Web Services",
        ),
        (
            &["nodecluster", "region", "-p", "aws"],
            "us-east-1       US East (N. Virginia)      aws",
        ),
        (&["nodecluster", "az", "-q"], "us-east-1a"),
    ] {
        let printed = good(cli.run(arguments).await);
        assert!(printed.lines().any(|found| found == line), "{printed}");
    }

    let nodes = all(&world, OWN_NODES).await;
    let printed = good(cli.run(&["node", "ls"]).await);
    let node_row = |node: &Value| {
        let (id, name) = (short(node), text(node, "external_fqdn"));
        row(&[id, name, AGO, "▶ Deployed", "web", ""])
    };
    let rows: Vec<Vec<String>> = nodes.iter().map(node_row).collect();
    assert_eq!(rows.len(), 2);
    assert_table(&printed, &NODE_TABLE, &rows);
    let node = id(&nodes[0]);
    let printed = good(cli.run(&["node", "inspect", &node[..20]]).await);
    assert_eq!(
        objects(&printed)[0]["resource_uri"],
        format!("{OWN_NODES}{node}/")
    );
    assert_eq!(objects(&printed)[0]["node_cluster"], uri(&cluster));
    token(&good(cli.run(&["node", "byo"]).await));

    let both = format!("{}\n{node}\n", id(&cluster));
    for (verb, tag) in [("add", "b"), ("rm", "a"), ("set", "c")] {
        let printed = good(cli.run(&["tag", verb, "-t", tag, "web", node]).await);
        assert_eq!(printed, both, "{verb}");
    }
    let printed = good(cli.run(&["tag", "ls", "web", node]).await);
    let tags = format!("{} c", super::AUTOMATIC_TAGS);
    let rows = [
        row(&["web", "NodeCluster", &tags]),
        row(&[node, "Node", &tags]),
    ];
    assert_table(&printed, &TAG_TABLE, &rows);

    let printed = good(cli.run(&["node", "rm", "--sync", node]).await);
    assert_synced(&printed, "Success", node);
    let printed = good(cli.run(&["nodecluster", "rm", "--sync", "web"]).await);
    assert_synced(&printed, "Success", id(&cluster));
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn with_the_users_own_namespace_actions_are_as_without() {
    let world = World::start().await;
    let cli = user(&world).with("DOCKERCLOUD_NAMESPACE", "dev");
    let (cluster, deploy) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let create = all(&world, ACTIONS).await.remove(1);
    let printed = good(cli.run(&["action", "ls"]).await);
    let target = format!("nodecluster/{}", id(&cluster));
    let action_row = |action: &Value, name: &str| {
        row(&[short(action), name, AGO, AGO, &target, "127.0.0.1", ""])
    };
    let rows = [
        action_row(&deploy, "Node Cluster Deploy"),
        action_row(&create, "Node Cluster Create"),
    ];
    assert_table(&printed, &ACTION_TABLE, &rows);
    let printed = good(cli.run(&["action", "inspect", &id(&deploy)[..20]]).await);
    assert_eq!(objects(&printed), [inspected(deploy.clone())]);
    // Here the namespace stands in the path, unlike in all other requests about actions.
    let printed = good(cli.run(&["action", "logs", id(&deploy)]).await);
    assert_eq!(printed, super::log_of(&world, &deploy).await);

    let node = all(&world, NODES).await.remove(0);
    let printed = failed(
        cli.run(&["node", "upgrade", "--sync", id(&node)]).await,
        &[],
    );
    assert_synced(&printed, "Failed", id(&node));
    let upgrade = newest_action(&world).await;
    assert_eq!(good(cli.run(&["action", "retry", id(&upgrade)]).await), "");
    let again = newest_action(&world).await;
    assert_ne!(id(&again), id(&upgrade));
    world.ended(uri(&again)).await;
    let mut followed = cli.start(&["action", "logs", "-f", "-t", "1", id(&again)]);
    followed
        .until("the log's last line", |it| {
            it.stdout().contains("was not upgraded").then_some(())
        })
        .await;
    let path = format!("{}cancel/", uri(&again));
    let over = world.client.post(&path, &json!({})).await.expect(400);
    let over = complaint(&world, 400, "POST", &path, &over.text);
    failed(cli.run(&["action", "cancel", id(&again)]).await, &[&over]);
    world.finish().await;
}

#[tokio::test]
async fn a_namespace_that_is_not_the_users_is_not_found() {
    let world = still_world().await;
    let mut connection = world.pool.acquire().await.expect("a connection");
    store::access::add_key(&mut connection, "acme", &api::auth::key_digest("theirs"))
        .await
        .expect("a user");
    drop(connection);
    let theirs = world.client.as_user("acme", "theirs");
    let wish = json!({
        "name": "web",
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    });
    let cluster = theirs.post(super::CLUSTERS, &wish).await.expect(201).body;
    let before = theirs.get(uri(&cluster)).await.expect(200).body;
    let create = theirs.get(ACTIONS).await.expect(200).body["objects"][0].clone();

    for namespace in ["acme", "nobody"] {
        let cli = user(&world).with("DOCKERCLOUD_NAMESPACE", namespace);
        for (line, method, path) in [
            ("nodecluster ls", "GET", "infra/v1/{}/nodecluster/"),
            (
                "nodecluster create b aws us-east-1 t3.micro",
                "POST",
                "infra/v1/{}/nodecluster/",
            ),
            (
                "nodecluster inspect web",
                "GET",
                "infra/v1/{}/nodecluster/?uuid__startswith=web",
            ),
            (
                "nodecluster rm web",
                "GET",
                "infra/v1/{}/nodecluster/?uuid__startswith=web",
            ),
            (
                "nodecluster scale web 2",
                "GET",
                "infra/v1/{}/nodecluster/?uuid__startswith=web",
            ),
            ("node ls", "GET", "infra/v1/{}/node/"),
            (
                "node inspect a",
                "GET",
                "infra/v1/{}/node/?uuid__startswith=a",
            ),
            ("node rm a", "GET", "infra/v1/{}/node/?uuid__startswith=a"),
            (
                "node upgrade a",
                "GET",
                "infra/v1/{}/node/?uuid__startswith=a",
            ),
            ("node byo", "POST", "infra/v1/{}/token/"),
            (
                "tag add -t x web",
                "GET",
                "app/v1/{}/service/?uuid__startswith=web",
            ),
        ] {
            let path = format!("/api/{}", path.replace("{}", namespace));
            let asked = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = world.client.send(asked, &path, None).await.expect(404);
            // The command line writes the request without its query.
            let (path, _) = path.split_once('?').unwrap_or((&path, ""));
            let said = complaint(&world, 404, method, path, &answer.text);
            let arguments: Vec<&str> = line.split(' ').collect();
            assert_eq!(failed(cli.run(&arguments).await, &[&said]), "", "{line}");
        }
        // What is in no namespace is there for everybody, and actions only for those whose they are.
        assert_eq!(
            good(cli.run(&["nodecluster", "provider", "-q"]).await),
            "aws\n"
        );
        assert_eq!(good(cli.run(&["action", "ls", "-q"]).await), "");
        let unknown = format!(
            "Cannot find an action with the identifier '{}'",
            id(&create)
        );
        for verb in ["inspect", "logs", "cancel", "retry"] {
            let ended = cli.run(&["action", verb, id(&create)]).await;
            assert_eq!(failed(ended, &[&unknown]), "", "{verb}");
        }
    }
    assert_eq!(theirs.get(uri(&cluster)).await.expect(200).body, before);
    world.finish().await;
}
