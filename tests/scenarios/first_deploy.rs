//! The seed: "We allow Docker Cloud to manage VPCs and subnets".

use std::collections::BTreeMap;

use serde_json::json;
use tests::World;

const REGION: &str = "sa-east-1";

#[tokio::test]
async fn seed_first_cluster_in_a_fresh_region_makes_the_network_and_goes_round_robin() {
    let world = World::start().await;
    let (cluster, action) = world.deploy(REGION, "t3.micro", 5, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 5);

    let cloud = world.cloud(REGION).await;
    let vpcs = cloud.vpcs_named("dc-vpc").await.unwrap();
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
    assert_eq!(
        blocks, expected,
        "the fourth block stays free for the user's own subnets"
    );
    assert!(
        subnets
            .iter()
            .all(|subnet| subnet.tags.name() == Some("dc-subnet"))
    );

    let tables = cloud.route_tables(&vpc.id).await.unwrap();
    let table = tables
        .iter()
        .find(|table| table.tags.name() == Some("dc-route-table"))
        .unwrap();
    assert!(table.has_default_route);
    assert!(
        subnets
            .iter()
            .all(|subnet| table.subnet_ids.contains(&subnet.id))
    );

    let zones =
        BTreeMap::from([("a", 2), ("b", 2), ("c", 1)].map(|(z, n)| (format!("{REGION}{z}"), n)));
    assert_eq!(world.per_zone(REGION), zones);
    for instance in world.instances(REGION) {
        assert_eq!(instance.disk_gb, Some(60));
        assert_eq!(instance.delete_on_termination, Some(true));
        assert_eq!(instance.encrypted, Some(true));
        assert_eq!(instance.volume_type.as_deref(), Some("gp3"));
        assert_eq!(instance.http_tokens, "required");
        assert_eq!(instance.security_groups.len(), 1);
        assert_eq!(instance.tags["Node Cluster Name"], "web");
        assert_eq!(instance.tags["Docker ID username"], "dev");
        assert_eq!(
            instance.tags["berth:installation"],
            world.installation().await
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn seed_a_zone_that_can_not_run_the_type_drops_out_and_no_subnet_is_left_there() {
    let world = World::start().await;
    let (cluster, action) = world.deploy(REGION, "t2.micro", 4, json!({})).await;
    assert_eq!(cluster["state"], "Deployed");
    let cloud = world.cloud(REGION).await;
    let vpc = cloud.vpcs_named("dc-vpc").await.unwrap().remove(0);
    let zones: Vec<String> = cloud
        .subnets(&vpc.id)
        .await
        .unwrap()
        .into_iter()
        .map(|s| s.zone)
        .collect();
    assert_eq!(zones.len(), 2, "{zones:?}");
    assert!(!zones.contains(&"sa-east-1b".to_owned()));
    let expected = BTreeMap::from([("sa-east-1a".to_owned(), 2), ("sa-east-1c".to_owned(), 2)]);
    assert_eq!(world.per_zone(REGION), expected);
    let logs = action["log"].as_str().unwrap();
    assert!(
        logs.contains("sa-east-1b is left out: EC2 does not offer t2.micro there"),
        "{logs}"
    );
    world.finish().await;
}
