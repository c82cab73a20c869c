//! The seed: "We choose where to deploy".

use std::{collections::BTreeSet, sync::Arc};

use aws::{Cloud, Subnet, Vpc};
use serde_json::{Value, json};
use tests::World;

const REGION: &str = "eu-west-1";

async fn own_vpc(cloud: &Arc<dyn Cloud>, block: &str) -> Vpc {
    cloud.create_vpc(block, &tests::theirs()).await.unwrap()
}

async fn subnet(cloud: &Arc<dyn Cloud>, vpc: &Vpc, zone: &str, block: &str) -> Subnet {
    cloud
        .create_subnet(&vpc.id, &format!("{REGION}{zone}"), block, &tests::theirs())
        .await
        .unwrap()
}

fn options(vpc: &Vpc, subnets: &[&Subnet]) -> Value {
    let subnets: Vec<&str> = subnets.iter().map(|subnet| subnet.id.as_str()).collect();
    json!({"provider_options": {"vpc": {"id": vpc.id, "subnets": subnets}}})
}

#[tokio::test]
async fn seed_own_vpc_without_subnets_gets_the_missing_ones_around_what_exists() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let theirs = subnet(&cloud, &vpc, "a", "10.20.0.0/24").await;
    let (cluster, action) = world
        .deploy(REGION, "t3.micro", 3, options(&vpc, &[]))
        .await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");

    let subnets = cloud.subnets(&vpc.id).await.unwrap();
    let made: Vec<&Subnet> = subnets
        .iter()
        .filter(|s| s.tags.name() == Some("dc-subnet"))
        .collect();
    let zones: BTreeSet<&str> = made.iter().map(|s| s.zone.as_str()).collect();
    assert_eq!((made.len(), zones.len()), (3, 3));
    assert!(
        made.iter().all(|s| s.cidr != "10.20.0.0/18"),
        "the block that overlaps theirs is skipped: {made:?}"
    );
    let kept = subnets.iter().find(|s| s.id == theirs.id).unwrap();
    assert_eq!(
        (kept.tags.name(), kept.free_addresses),
        (Some("theirs"), theirs.free_addresses)
    );
    assert!(cloud.gateway_of(&vpc.id).await.unwrap().is_some());
    assert!(cloud.vpcs_named("dc-vpc").await.unwrap().is_empty());
    assert!(
        world
            .instances(REGION)
            .iter()
            .all(|i| i.vpc_id == vpc.id && i.subnet_id != theirs.id)
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_own_vpc_with_several_subnets_spreads_over_them() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let a = subnet(&cloud, &vpc, "a", "10.20.0.0/24").await;
    let b = subnet(&cloud, &vpc, "b", "10.20.1.0/24").await;
    let (_, action) = world
        .deploy(REGION, "t3.micro", 5, options(&vpc, &[&a, &b]))
        .await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let count = |id: &str| {
        world
            .instances(REGION)
            .iter()
            .filter(|i| i.subnet_id == id)
            .count()
    };
    assert_eq!((count(&a.id), count(&b.id)), (3, 2));
    assert_eq!(
        cloud.subnets(&vpc.id).await.unwrap().len(),
        2,
        "none is made"
    );
    assert!(
        cloud.gateway_of(&vpc.id).await.unwrap().is_none(),
        "what is the user's is not changed"
    );
    world.finish().await;
}

#[tokio::test]
async fn seed_one_subnet_takes_all_nodes() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let only = subnet(&cloud, &vpc, "b", "10.20.1.0/24").await;
    let (cluster, _) = world
        .deploy(REGION, "t3.micro", 4, options(&vpc, &[&only]))
        .await;
    assert_eq!(cluster["state"], "Deployed");
    assert!(
        world
            .instances(REGION)
            .iter()
            .all(|i| i.subnet_id == only.id)
    );
    for node in world.nodes(&cluster).await {
        let cidr = node["private_ips"][0]["cidr"].as_str().unwrap().to_owned();
        assert!(
            cidr.starts_with("10.20.1.") && cidr.ends_with("/24"),
            "{cidr}"
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn a_full_subnet_is_left_for_the_others() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    // A /28 has 16 addresses, of which AWS keeps five.
    let small = subnet(&cloud, &vpc, "a", "10.20.0.0/28").await;
    let large = subnet(&cloud, &vpc, "b", "10.20.1.0/24").await;
    let (cluster, _) = world
        .deploy(REGION, "t3.micro", 30, options(&vpc, &[&small, &large]))
        .await;
    assert_eq!(cluster["state"], "Deployed");
    let count = |id: &str| {
        world
            .instances(REGION)
            .iter()
            .filter(|i| i.subnet_id == id)
            .count()
    };
    assert_eq!((count(&small.id), count(&large.id)), (11, 19));
    world.finish().await;
}

#[tokio::test]
async fn subnets_without_room_for_all_give_a_partly_deployed_cluster_and_say_why() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let small = subnet(&cloud, &vpc, "a", "10.20.0.0/28").await;
    let (cluster, action) = world
        .deploy(REGION, "t3.micro", 13, options(&vpc, &[&small]))
        .await;
    assert_eq!(
        (cluster["state"].as_str(), action["state"].as_str()),
        (Some("Partly deployed"), Some("Failed"))
    );
    assert_eq!(world.instances(REGION).len(), 11);
    // Subnets that were read a moment before the first launch show room for the rest, which EC2 then refuses.
    let logs = action["log"].as_str().unwrap();
    let nowhere = format!("no zone can take a node: eu-west-1a ({}): ", small.id);
    let (_, reason) = logs.split_once(&nowhere).expect(logs);
    assert!(
        reason.starts_with("no free addresses")
            || reason.starts_with("InsufficientFreeAddressesInSubnet"),
        "{logs}"
    );
    world.finish().await;
}

#[tokio::test]
async fn security_groups_that_are_given_are_exactly_those_of_the_nodes() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let only = subnet(&cloud, &vpc, "a", "10.20.0.0/24").await;
    let first = cloud
        .create_security_group(&vpc.id, "first", &tests::theirs())
        .await;
    let second = cloud
        .create_security_group(&vpc.id, "second", &tests::theirs())
        .await;
    let mut groups = vec![first.unwrap().id, second.unwrap().id];
    let more = json!({"provider_options": {
        "vpc": {"id": vpc.id, "subnets": [only.id], "security_groups": groups.clone()}
    }});
    world.deploy(REGION, "t3.micro", 2, more).await;
    groups.sort();
    for mut instance in world.instances(REGION) {
        instance.security_groups.sort();
        assert_eq!(instance.security_groups, groups);
    }
    assert!(
        cloud
            .security_groups_named(&vpc.id, "dc-vpc-default")
            .await
            .unwrap()
            .is_empty()
    );
    world.finish().await;
}

#[tokio::test]
async fn without_security_groups_the_nodes_get_dc_vpc_default() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let vpc = own_vpc(&cloud, "10.20.0.0/16").await;
    let only = subnet(&cloud, &vpc, "a", "10.20.0.0/24").await;
    let (cluster, _) = world
        .deploy(REGION, "t3.micro", 1, options(&vpc, &[&only]))
        .await;
    let groups = cloud
        .security_groups_named(&vpc.id, "dc-vpc-default")
        .await
        .unwrap();
    assert_eq!(groups.len(), 1);
    assert!(groups[0].has_ingress);
    world.scale(&cluster, 2).await;
    assert!(
        world
            .instances(REGION)
            .iter()
            .all(|i| i.security_groups == [groups[0].id.clone()])
    );
    world.finish().await;
}

#[tokio::test]
async fn an_instance_profile_is_on_every_node() {
    let world = World::start().await;
    world.make_instance_profile("web-role").await;
    let more = json!({"provider_options": {"iam": {"instance_profile_name": "web-role"}}});
    let (cluster, action) = world.deploy(REGION, "t3.micro", 3, more).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert!(
        world
            .instances(REGION)
            .iter()
            .all(|i| i.instance_profile.as_deref() == Some("web-role"))
    );
    world.finish().await;
}

#[tokio::test]
async fn an_existing_dc_vpc_of_docker_clouds_is_used_and_not_changed() {
    let world = World::start().await;
    let cloud = world.cloud(REGION).await;
    let tags = [("Name".to_owned(), "dc-vpc".to_owned())];
    let vpc = cloud.create_vpc("10.78.0.0/16", &tags).await.unwrap();
    let tags = [("Name".to_owned(), "dc-subnet".to_owned())];
    let old = cloud
        .create_subnet(&vpc.id, "eu-west-1a", "10.78.0.0/18", &tags)
        .await
        .unwrap();
    let (cluster, action) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(cloud.vpcs_named("dc-vpc").await.unwrap().len(), 1);
    let subnets = cloud.subnets(&vpc.id).await.unwrap();
    assert_eq!(
        subnets.len(),
        3,
        "only the missing two are made: {subnets:?}"
    );
    assert!(
        world
            .instances(REGION)
            .iter()
            .any(|i| i.subnet_id == old.id)
    );
    let tables = cloud.route_tables(&vpc.id).await.unwrap();
    assert!(
        tables
            .iter()
            .all(|table| !table.subnet_ids.contains(&old.id)),
        "the old subnet's routes are left alone"
    );
    world.finish().await;
}

#[tokio::test]
async fn i7_two_installations_and_a_hundred_instances_of_somebody_elses_never_touch_each_other() {
    let first = World::start().await;
    let cloud = first.cloud(REGION).await;
    let vpc = cloud.create_vpc("10.1.0.0/16", &tests::theirs()).await;
    let zone = format!("{REGION}a");
    let subnet = cloud
        .create_subnet(&vpc.unwrap().id, &zone, "10.1.0.0/24", &tests::theirs())
        .await
        .unwrap();
    let somebodys = first.launch_theirs(REGION, &subnet.id, 100).await;
    let options = tests::Options {
        endpoint: Some(first.endpoint.url.clone()),
        ..tests::Options::default()
    };
    let second = World::with(options).await;
    let (of_first, _) = first.deploy(REGION, "t3.micro", 3, json!({})).await;
    let (of_second, _) = second.deploy(REGION, "t3.micro", 2, json!({})).await;
    assert_eq!(first.instances(REGION).len(), 105);
    assert_eq!(
        cloud.vpcs_named("dc-vpc").await.unwrap().len(),
        2,
        "each has its own"
    );
    let gone = first.terminate(&of_first).await;
    assert_eq!(gone["state"], "Terminated");
    assert_eq!(first.instances(REGION).len(), 102);
    assert_eq!(
        second
            .fetch(of_second["resource_uri"].as_str().unwrap())
            .await["current_num_nodes"],
        2
    );
    second.terminate(&of_second).await;
    let live = first.instances(REGION).into_iter();
    assert_eq!(live.map(|i| i.id).collect::<Vec<_>>(), somebodys);
    let theirs = cloud.vpcs_named("theirs").await.unwrap();
    assert_eq!(theirs.len(), 1);
    second.finish().await;
    first.finish().await;
}
