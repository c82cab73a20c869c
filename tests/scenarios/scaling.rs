//! The seed: "Scaling a node cluster".

use std::collections::BTreeSet;

use serde_json::json;
use tests::World;

const REGION: &str = "sa-east-1";

fn spread(zones: &std::collections::BTreeMap<String, usize>) -> usize {
    zones.values().max().unwrap_or(&0) - zones.values().min().unwrap_or(&0)
}

#[tokio::test]
async fn seed_scale_up_finds_the_network_and_fills_the_less_populated_zones() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let made_before: u64 = creations(&world);
    let first: BTreeSet<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();

    let cluster = world.scale(&cluster, 7).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 7);
    assert_eq!(
        creations(&world),
        made_before,
        "dc-vpc and the dc-subnets are found, not remade"
    );
    let zones = world.per_zone(REGION);
    assert_eq!(zones.values().sum::<usize>(), 7);
    assert_eq!(spread(&zones), 1, "{zones:?}");
    let now: BTreeSet<String> = world.instances(REGION).into_iter().map(|i| i.id).collect();
    assert!(first.is_subset(&now), "what runs keeps running");
    world.finish().await;
}

fn creations(world: &World) -> u64 {
    world
        .sim()
        .calls()
        .iter()
        .filter(|(action, _)| action.starts_with("Create"))
        .map(|(action, n)| match action.as_str() {
            "CreateTags" => 0,
            _ => *n,
        })
        .sum()
}

#[tokio::test]
async fn scale_down_takes_from_the_fullest_zone_and_nothing_is_left_running() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 6, json!({})).await;
    let cluster = world.scale(&cluster, 3).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(cluster["current_num_nodes"], 3);
    assert_eq!(cluster["nodes"].as_array().unwrap().len(), 3);
    let zones = world.per_zone(REGION);
    assert_eq!(zones.values().copied().collect::<Vec<_>>(), [1, 1, 1]);
    world.finish().await;
}

#[tokio::test]
async fn scale_to_zero_is_an_empty_cluster_that_can_grow_again() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let cluster = world.scale(&cluster, 0).await;
    assert_eq!(cluster["state"], "Empty cluster");
    assert!(world.instances(REGION).is_empty());
    let cluster = world.scale(&cluster, 3).await;
    assert_eq!(cluster["state"], "Deployed");
    assert_eq!(world.per_zone(REGION).len(), 3);
    world.finish().await;
}

#[tokio::test]
async fn two_clusters_of_one_region_share_the_network_and_are_balanced_each_by_itself() {
    let world = World::start().await;
    let (web, _) = world
        .deploy(REGION, "t3.micro", 1, json!({"name": "web"}))
        .await;
    let (api, _) = world
        .deploy(REGION, "t3.micro", 4, json!({"name": "api"}))
        .await;
    assert_eq!(
        world
            .cloud(REGION)
            .await
            .vpcs_named("dc-vpc")
            .await
            .unwrap()
            .len(),
        1
    );
    let zones = |nodes: &[serde_json::Value]| {
        let mut zones = std::collections::BTreeMap::new();
        for node in nodes {
            *zones
                .entry(node["availability_zone"].to_string())
                .or_insert(0_usize) += 1;
        }
        zones
    };
    assert_eq!(world.nodes(&web).await.len(), 1);
    let of_api = zones(&world.nodes(&api).await);
    assert_eq!(of_api.values().sum::<usize>(), 4);
    assert_eq!((of_api.len(), spread(&of_api)), (3, 1), "{of_api:?}");
    world.finish().await;
}

#[tokio::test]
async fn clusters_deployed_at_the_same_moment_make_one_network() {
    let world = World::start().await;
    let names = ["a", "b", "c", "d"];
    let mut actions = Vec::new();
    for name in names {
        let (_, action) = world
            .ask_to_deploy(REGION, "t3.micro", 3, json!({"name": name}))
            .await;
        actions.push(action);
    }
    for action in actions {
        assert_eq!(world.ended(&action).await["state"], "Success");
    }
    let cloud = world.cloud(REGION).await;
    let vpcs = cloud.vpcs_named("dc-vpc").await.unwrap();
    assert_eq!(vpcs.len(), 1);
    assert_eq!(cloud.subnets(&vpcs[0].id).await.unwrap().len(), 3);
    assert_eq!(
        world.per_zone(REGION).values().copied().collect::<Vec<_>>(),
        [4, 4, 4]
    );
    world.finish().await;
}
