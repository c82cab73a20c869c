//! The plain stories once more on moto, an AWS that somebody else simulated.
//!
//! moto never reads `MaxCount` and ignores client tokens: each launch gives one instance of those asked for, and Berth
//! places the others again until it has exactly what is wanted.

use serde_json::json;
use tests::Moto;

const REGION: &str = "sa-east-1";

fn zones<const N: usize>(counts: [(&str, usize); N]) -> Vec<(String, usize)> {
    counts
        .map(|(zone, n)| (format!("{REGION}{zone}"), n))
        .into()
}

#[tokio::test]
async fn seed_moto_first_cluster_makes_the_network_and_scaling_up_finds_it() {
    let moto = Moto::start().await;
    let world = &moto.world;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 5, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 5);

    let cloud = world.cloud(REGION).await;
    let vpcs = moto.vpcs(REGION).await;
    assert_eq!(vpcs.len(), 1);
    let vpc = &vpcs[0];
    assert_eq!(vpc.cidr, "10.78.0.0/16");
    let gateway = cloud.gateway_of(&vpc.id).await.unwrap().unwrap();
    assert_eq!(gateway.tags.name(), Some("dc-gateway"));
    let mut subnets = cloud.subnets(&vpc.id).await.unwrap();
    subnets.sort_by(|a, b| a.zone.cmp(&b.zone));
    let blocks: Vec<(&str, &str)> = subnets
        .iter()
        .map(|s| (s.zone.as_str(), s.cidr.as_str()))
        .collect();
    let expected = [
        ("sa-east-1a", "10.78.0.0/18"),
        ("sa-east-1b", "10.78.64.0/18"),
        ("sa-east-1c", "10.78.128.0/18"),
    ];
    assert_eq!(blocks, expected);
    assert!(subnets.iter().all(|s| s.tags.name() == Some("dc-subnet")));
    let tables = cloud.route_tables(&vpc.id).await.unwrap();
    let table = tables
        .iter()
        .find(|table| table.tags.name() == Some("dc-route-table"))
        .unwrap();
    assert!(table.has_default_route);
    assert!(subnets.iter().all(|s| table.subnet_ids.contains(&s.id)));
    let groups = cloud
        .security_groups_named(&vpc.id, "dc-vpc-default")
        .await
        .unwrap();
    assert_eq!(groups.len(), 1);
    assert!(groups[0].has_ingress);
    assert_eq!(
        moto.per_zone(REGION).await,
        zones([("a", 2), ("b", 2), ("c", 1)])
    );
    for instance in moto.instances(REGION).await {
        assert_eq!(instance.tags.get("Node Cluster Name"), Some("web"));
        assert_eq!(instance.tags.get("Docker ID username"), Some("dev"));
    }

    let cluster = world.scale(&cluster, 9).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 9);
    assert_eq!(
        moto.per_zone(REGION).await,
        zones([("a", 3), ("b", 3), ("c", 3)])
    );
    assert_eq!(moto.vpcs(REGION).await.len(), 1, "found, not remade");
    assert_eq!(cloud.subnets(&vpc.id).await.unwrap().len(), 3);
    assert_eq!(
        cloud.route_tables(&vpc.id).await.unwrap().len(),
        tables.len()
    );
    moto.finish(REGION).await;
}

#[tokio::test]
async fn seed_moto_a_zone_that_can_not_run_the_type_drops_out() {
    let moto = Moto::start().await;
    let (cluster, action) = moto.world.deploy(REGION, "t2.micro", 4, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    let vpc = moto.vpcs(REGION).await.remove(0);
    let cloud = moto.world.cloud(REGION).await;
    let subnets = cloud.subnets(&vpc.id).await.unwrap();
    assert_eq!(subnets.len(), 2, "{subnets:?}");
    assert!(subnets.iter().all(|subnet| subnet.zone != "sa-east-1b"));
    assert_eq!(moto.per_zone(REGION).await, zones([("a", 2), ("c", 2)]));
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains("sa-east-1b is left out: EC2 does not offer t2.micro there"),
        "{logs}"
    );
    moto.finish(REGION).await;
}

#[tokio::test]
async fn seed_moto_own_vpc_with_subnets_and_security_group_is_used_as_it_is() {
    let region = "eu-west-1";
    let moto = Moto::start().await;
    let cloud = moto.world.cloud(region).await;
    let own = [("Name".to_owned(), "own".to_owned())];
    let vpc = cloud.create_vpc("10.20.0.0/16", &own).await.unwrap();
    let mut ids = Vec::new();
    for (zone, cidr) in [("a", "10.20.1.0/24"), ("b", "10.20.2.0/24")] {
        let zone = format!("{region}{zone}");
        let subnet = cloud.create_subnet(&vpc.id, &zone, cidr, &own).await;
        ids.push(subnet.unwrap().id);
    }
    let group = cloud
        .create_security_group(&vpc.id, "own", &own)
        .await
        .unwrap();
    let options = json!({"provider_options": {
        "vpc": {"id": vpc.id, "subnets": ids, "security_groups": [group.id]},
    }});
    let (cluster, action) = moto.world.deploy(region, "t3.micro", 6, options).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    let mut expected: Vec<(String, usize)> = ids.into_iter().map(|id| (id, 3)).collect();
    expected.sort();
    assert_eq!(moto.per_subnet(region).await, expected);
    assert!(moto.vpcs(region).await.is_empty(), "no dc-vpc is made");
    assert_eq!(cloud.subnets(&vpc.id).await.unwrap().len(), 2);
    assert!(cloud.gateway_of(&vpc.id).await.unwrap().is_none());
    assert!(
        cloud
            .security_groups_named(&vpc.id, "dc-vpc-default")
            .await
            .unwrap()
            .is_empty()
    );
    moto.finish(region).await;
}

#[tokio::test]
async fn seed_moto_one_node_goes_then_the_cluster_and_nothing_runs_on() {
    let region = "us-west-2";
    let moto = Moto::start().await;
    let world = &moto.world;
    let (cluster, action) = world.deploy(region, "t3.micro", 4, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    let nodes = world.nodes(&cluster).await;
    let instance = world.instance_of(&nodes[0]).await;
    assert_eq!(world.terminate(&nodes[0]).await["state"], "Terminated");
    let left = moto.instances(region).await;
    assert_eq!(left.len(), 3);
    assert!(left.iter().all(|other| other.id != instance));
    let uri = cluster["resource_uri"].as_str().unwrap();
    let after = world.fetch(uri).await;
    assert_eq!(after["state"], "Deployed");
    assert_eq!(
        (&after["current_num_nodes"], &after["target_num_nodes"]),
        (&json!(3), &json!(3))
    );

    assert_eq!(world.scale(&cluster, 1).await["current_num_nodes"], 1);
    assert_eq!(moto.per_zone(region).await.len(), 1);

    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");
    assert!(moto.instances(region).await.is_empty());
    moto.finish(region).await;
}

#[tokio::test]
async fn moto_an_instance_profile_that_does_not_exist_fails_the_deploy_in_motos_words() {
    let region = "eu-central-1";
    let moto = Moto::start().await;
    let options = json!({"provider_options": {"iam": {"instance_profile_name": "nobody"}}});
    let (cluster, action) = moto.world.deploy(region, "t3.micro", 2, options).await;
    assert_eq!(action["state"], "Failed", "{action:#}");
    assert_eq!(cluster["current_num_nodes"], 0);
    let logs = action["log"].as_str().unwrap();
    assert!(logs.contains("nobody"), "{logs}");
    assert!(moto.instances(region).await.is_empty());
    let vpc = moto.vpcs(region).await.remove(0);
    let cloud = moto.world.cloud(region).await;
    assert!(
        cloud.subnets(&vpc.id).await.unwrap().is_empty(),
        "the subnet went again"
    );
    moto.finish(region).await;
}

/// The script that serves moto loses the first answer to each launch of this type. The launch is sent again with its
/// token, which moto does not read: the instance of the lost answer is one too many, and no node knows it.
#[tokio::test]
async fn moto_a_launch_whose_answer_is_lost_is_sent_again_and_what_it_made_twice_is_ended() {
    let region = "ap-southeast-2";
    let moto = Moto::start().await;
    let (cluster, action) = moto.world.deploy(region, "m5.large", 3, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(cluster["current_num_nodes"], 3);
    let logs = action["log"].as_str().unwrap();
    assert_eq!(
        logs.matches("sending the same launch again").count(),
        3,
        "{logs}"
    );
    let counts = moto.per_zone(region).await;
    assert_eq!(counts.iter().map(|(_, n)| n).sum::<usize>(), 3);
    assert_eq!(counts.len(), 3, "one in each zone: {counts:?}");
    moto.finish(region).await;
}
