//! Virtual hosts that their owner brings.

use serde_json::json;
use tests::{ACCOUNT, wait_for};

use super::{REGION, living_world, of};

#[tokio::test]
async fn an_instance_acts_out_its_user_data_and_is_a_node() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    let shown = &world.sim().instances(ACCOUNT, REGION)[0];
    let public_ip = shown.public_ip.unwrap().to_string();
    let private_ip = shown.private_ip.unwrap().to_string();
    let node = wait_for("the node's address", || async {
        let node = world.fetch(node["resource_uri"].as_str().unwrap()).await;
        (node["public_ip"] == public_ip.as_str()).then_some(node)
    })
    .await;
    assert_eq!(node["cpu"], 2);
    assert_eq!(node["memory"], 1024);
    assert_eq!(node["disk"], 30);
    assert_eq!(node["docker_version"], "26.1.5");
    assert_eq!(
        node["private_ips"],
        json!([{"name": "ens5", "cidr": format!("{private_ip}/20")}])
    );
    world.finish().await;
}

#[tokio::test]
async fn an_instance_without_an_agent_in_its_user_data_calls_nobody() {
    let world = living_world().await;
    for user_data in [
        "#!/bin/sh\ntrue\n",
        "#cloud-config\n{\"runcmd\": [[\"true\"]]}\n",
    ] {
        let instance = world.launch_with(REGION, user_data).await;
        let host = wait_for("the host to be up", || async {
            world.host(REGION, &instance).filter(|host| host.is_on)
        })
        .await;
        assert_eq!((host.agent.as_str(), host.node), ("none", None));
    }
    world.finish().await;
}

#[tokio::test]
async fn seed_a_brought_node_restarted_in_the_console_keeps_its_node_and_address() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("console/reboot", of(&instance));
    let started = async || {
        let log = world.console_output(REGION, &instance).await;
        log.matches("Started berth-agent.service").count()
    };
    wait_for("the second boot", || async {
        (started().await == 2).then_some(())
    })
    .await;
    let again = world.host_becomes(REGION, &instance, "Deployed").await;
    assert_eq!(again["uuid"], node["uuid"]);
    world.finish().await;
}

#[tokio::test]
async fn seed_a_stopped_and_started_node_is_deployed_again_at_its_new_address() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("console/stop", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    world.order("console/start", of(&instance));
    let address = wait_for("a new address", || async {
        world.sim().instances(ACCOUNT, REGION)[0].public_ip
    })
    .await;
    let again = world.node_becomes(&node, "Deployed").await;
    assert_eq!(again["public_ip"], address.to_string());
    world.finish().await;
}

#[tokio::test]
async fn seed_an_elastic_ip_is_the_nodes_address_without_a_restart_of_its_agent() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    let order = json!({"region": REGION, "instance_id": instance});
    let given = world.order("console/associate-address", order).unwrap();
    wait_for("the elastic IP at the node", || async {
        let node = world.fetch(node["resource_uri"].as_str().unwrap()).await;
        (node["public_ip"] == given["public_ip"] && node["state"] == "Deployed").then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_loses_its_network_is_unreachable_until_it_has_it_again() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("host/lose-network", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    assert_eq!(world.host(REGION, &instance).unwrap().agent, "runs");
    world.order("host/restore-network", of(&instance));
    world.node_becomes(&node, "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn a_node_whose_agent_is_killed_is_unreachable_until_it_is_started_again() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("host/kill-agent", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    assert_eq!(world.host(REGION, &instance).unwrap().agent, "killed");
    world.order("host/restart-agent", of(&instance));
    world.node_becomes(&node, "Deployed").await;
    world.finish().await;
}

#[tokio::test]
async fn seed_a_brought_node_terminated_in_the_console_stays_unreachable_until_it_is_removed() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("console/terminate", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    assert_eq!(world.host(REGION, &instance), None);
    let removed = world.terminate(&node).await;
    assert_eq!(removed["state"], "Terminated");
    world.finish().await;
}

#[tokio::test]
async fn a_removed_nodes_agent_ends_and_says_so_on_the_console() {
    let world = living_world().await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    world.order("host/lose-network", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    world.terminate(&node).await;
    world.order("host/restore-network", of(&instance));
    let ended = wait_for("the agent's end", || async {
        let host = world.host(REGION, &instance)?;
        host.agent.strip_prefix("ended: ").map(str::to_owned)
    })
    .await;
    assert!(ended.contains("refuses the token (401)"), "{ended}");
    let log = world.console_output(REGION, &instance).await;
    assert!(log.trim_end().ends_with(&ended), "{log}");
    world.finish().await;
}
