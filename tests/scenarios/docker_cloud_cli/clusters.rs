//! Node clusters: create, ls, inspect, scale and rm.

use serde_json::{Value, json};
use tests::{World, theirs};

use super::{
    ACTIONS, AGO, CLUSTER_TABLE, CLUSTERS, REGION, REGION_LABEL, TYPE_LABEL, all, assert_synced,
    assert_table, good, id, inspected, newest_action, objects, row, short, text, uri, user,
};

/// The row of the cluster `web`.
fn web(cluster: &Value, deployed: &str, state: &str, current: &str, target: &str) -> Vec<String> {
    let id = short(cluster);
    row(&[
        "web",
        id,
        REGION_LABEL,
        TYPE_LABEL,
        deployed,
        state,
        current,
        target,
    ])
}

#[tokio::test]
async fn a_cluster_is_created_listed_inspected_scaled_and_removed() {
    let world = World::start().await;
    let cli = user(&world);
    let nothing = [row(&[""; 8])];
    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    assert_table(&printed, &CLUSTER_TABLE, &nothing);
    assert_eq!(good(cli.run(&["nodecluster", "ls", "-q"]).await), "");

    let create = ["nodecluster", "create", "web", "aws", REGION, "t3.micro"];
    let printed = good(cli.run(&create).await);
    let cluster = all(&world, CLUSTERS).await.remove(0);
    assert_eq!(printed, format!("{}\n", id(&cluster)));
    let deploy = newest_action(&world).await;
    assert_eq!(text(&deploy, "action"), "Node Cluster Deploy");
    assert_eq!(
        text(&deploy, "user_agent"),
        "dockercloud-cli/1.0.9 python-dockercloud/1.0.12"
    );
    assert_eq!(world.ended(uri(&deploy)).await["state"], "Success");

    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    let rows = [web(&cluster, AGO, "Deployed", "1", "1")];
    assert_table(&printed, &CLUSTER_TABLE, &rows);
    let printed = good(cli.run(&["nodecluster", "ls", "--quiet"]).await);
    assert_eq!(printed, format!("{}\n", id(&cluster)));
    let printed = good(cli.run(&["nodecluster", "inspect", "web"]).await);
    let stored = world.fetch(uri(&cluster)).await;
    assert_eq!(
        (&stored["disk"], &stored["target_num_nodes"]),
        (&json!(60), &json!(1))
    );
    assert_eq!(objects(&printed), [inspected(stored)]);

    let scale = ["nodecluster", "scale", "web", "3", "--sync"];
    let printed = good(cli.run(&scale).await);
    assert_synced(&printed, "Success", id(&cluster));
    assert_eq!(world.instances(REGION).len(), 3);
    // The size that it has is no change, so nothing is sent.
    let actions = all(&world, ACTIONS).await.len();
    let printed = good(cli.run(&scale).await);
    assert_eq!(printed, format!("{}\n", id(&cluster)));
    assert_eq!(all(&world, ACTIONS).await.len(), actions);
    let printed = good(cli.run(&["nodecluster", "scale", "web", "0"]).await);
    assert_eq!(printed, format!("{}\n", id(&cluster)));
    world.ended(uri(&newest_action(&world).await)).await;
    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    let rows = [web(&cluster, AGO, "Empty cluster", "0", "0")];
    assert_table(&printed, &CLUSTER_TABLE, &rows);

    let printed = good(cli.run(&["nodecluster", "rm", "web", "--sync"]).await);
    assert_synced(&printed, "Success", id(&cluster));
    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    let rows = [web(&cluster, AGO, "Terminated", "0", "0")];
    assert_table(&printed, &CLUSTER_TABLE, &rows);
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn create_passes_every_option_on() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.20.0.0/16", &theirs()).await.unwrap();
    let mut subnets = Vec::new();
    let mut groups = Vec::new();
    for (zone, block, name) in [
        ("us-east-1a", "10.20.1.0/24", "first"),
        ("us-east-1b", "10.20.2.0/24", "second"),
    ] {
        let subnet = cloud.create_subnet(&vpc.id, zone, block, &theirs()).await;
        subnets.push(subnet.unwrap().id);
        let group = cloud.create_security_group(&vpc.id, name, &theirs()).await;
        groups.push(group.unwrap().id);
    }
    world.make_instance_profile("web-role").await;

    let cli = user(&world);
    #[rustfmt::skip]
    let create = [
        "nodecluster", "create", "-t", "3", "--sync", "--disk", "80", "--tag", "fast", "--tag", "blue",
        "--aws-vpc-id", &vpc.id,
        "--aws-vpc-subnet", &subnets[0], "--aws-vpc-subnet", &subnets[1],
        "--aws-vpc-security-group", &groups[0], "--aws-vpc-security-group", &groups[1],
        "--aws-iam-instance-profile-name", "web-role",
        "web", "aws", REGION, "t3.micro",
    ];
    let printed = good(cli.run(&create).await);
    let cluster = all(&world, CLUSTERS).await.remove(0);
    assert_synced(&printed, "Success", id(&cluster));
    assert_eq!(cluster["disk"], 80);
    assert_eq!(
        cluster["provider_options"],
        json!({
            "vpc": {"id": vpc.id, "subnets": subnets, "security_groups": groups},
            "iam": {"instance_profile_name": "web-role"},
        })
    );
    let printed = good(cli.run(&["nodecluster", "ls"]).await);
    let rows = [web(&cluster, AGO, "Deployed", "3", "3")];
    assert_table(&printed, &CLUSTER_TABLE, &rows);
    let printed = good(cli.run(&["tag", "ls", "-q", "web"]).await);
    assert_eq!(printed, format!("{} fast blue\n", super::AUTOMATIC_TAGS));

    let instances = world.instances(REGION);
    let mut per_subnet: Vec<usize> = subnets
        .iter()
        .map(|id| instances.iter().filter(|i| i.subnet_id == *id).count())
        .collect();
    per_subnet.sort_unstable();
    assert_eq!(per_subnet, [1, 2]);
    groups.sort();
    for mut instance in instances {
        instance.security_groups.sort();
        assert_eq!(instance.security_groups, groups);
        assert_eq!(instance.disk_gb, Some(80));
        assert_eq!(instance.instance_profile.as_deref(), Some("web-role"));
    }
    world.finish().await;
}

#[tokio::test]
async fn several_clusters_are_scaled_and_removed_in_one_line() {
    let world = World::start().await;
    let cli = user(&world);
    let mut clusters = Vec::new();
    for name in ["one", "two"] {
        let (cluster, _) = world
            .deploy(REGION, "t3.micro", 1, json!({"name": name}))
            .await;
        clusters.push(cluster);
    }
    let ids = clusters.iter().map(|c| format!("{}\n", id(c)));
    let ids: String = ids.collect();
    let printed = good(cli.run(&["nodecluster", "scale", "one", "two", "2"]).await);
    assert_eq!(printed, ids);
    for cluster in &clusters {
        let path = format!("{ACTIONS}?object={}&limit=1", uri(cluster));
        let scale = world.fetch(&path).await["objects"][0].clone();
        assert_eq!(world.ended(uri(&scale)).await["state"], "Success");
        assert_eq!(world.fetch(uri(cluster)).await["current_num_nodes"], 2);
    }
    let printed = good(
        cli.run(&["nodecluster", "rm", "--sync", "one", "two"])
            .await,
    );
    let states: Vec<&str> = printed
        .lines()
        .filter(|line| !line.starts_with("In progress"))
        .collect();
    let expected = ["Success", id(&clusters[0]), "Success", id(&clusters[1])];
    assert_eq!(states, expected, "{printed}");
    assert!(world.instances(REGION).is_empty());
    world.finish().await;
}
