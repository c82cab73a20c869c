//! What the service refuses is printed with the request and the reason, and ends with 3.

use serde_json::json;

use super::{ACTIONS, CLUSTERS, REGION, all, complaint, failed, good, id, row, still_world, user};

#[tokio::test]
async fn a_create_that_is_refused_prints_the_reason() {
    let world = still_world().await;
    let cli = user(&world);
    world.create(REGION, "t3.micro", 1, json!({})).await;
    let create = |more: &[&str], name: &str, region: &str, node_type: &str| {
        let front = row(&["nodecluster", "create", "--sync"]);
        [front, row(more), row(&[name, "aws", region, node_type])].concat()
    };
    let vpc = "provider_options.vpc.id";
    for (line, status, words) in [
        (create(&[], "web", REGION, "t3.micro"), 409, "web"),
        (create(&[], "b", "mars-1", "t3.micro"), 400, "region"),
        (create(&[], "b", REGION, "t3.huge"), 400, "node_type"),
        (create(&[], "b b", REGION, "t3.micro"), 400, "name"),
        (
            create(&["--disk", "big"], "b", REGION, "t3.micro"),
            400,
            "disk",
        ),
        (
            create(&["-t", "-1"], "b", REGION, "t3.micro"),
            400,
            "target_num_nodes",
        ),
        (create(&["--tag", ""], "b", REGION, "t3.micro"), 400, "tags"),
        // Subnets and groups without their VPC: the command line sends them happily.
        (
            create(
                &["--aws-vpc-subnet", "subnet-0a1b2c3d"],
                "b",
                REGION,
                "t3.micro",
            ),
            400,
            vpc,
        ),
        (
            create(
                &["--aws-vpc-security-group", "sg-0a1b2c3d"],
                "b",
                REGION,
                "t3.micro",
            ),
            400,
            vpc,
        ),
    ] {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let ended = cli.run(&line).await;
        let front = complaint(&world, status, "POST", CLUSTERS, "{\"error\":\"");
        assert!(
            ended.stderr.starts_with(&front) && ended.stderr.contains(words),
            "{line:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(3), ""),
            "{line:?}"
        );
    }
    assert_eq!(all(&world, CLUSTERS).await.len(), 1, "nothing was created");
    assert_eq!(all(&world, ACTIONS).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_name_means_the_cluster_that_lives_or_the_one_that_lived_last() {
    let world = still_world().await;
    let cli = user(&world);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
        let printed = good(cli.run(&["nodecluster", "rm", "--sync", "web"]).await);
        assert_eq!(printed, format!("Success\n{}\n", id(&cluster)));
        ids.push(id(&cluster).to_owned());
    }
    assert_eq!(
        good(cli.run(&["nodecluster", "ls", "-q"]).await),
        format!("{}\n{}\n", ids[0], ids[1])
    );
    let path = format!("{CLUSTERS}{}/", ids[1]);
    let gone = world.client.delete(&path).await.expect(400);
    let gone = complaint(&world, 400, "DELETE", &path, &gone.text);
    failed(cli.run(&["nodecluster", "rm", "web"]).await, &[&gone]);
    world.finish().await;
}
