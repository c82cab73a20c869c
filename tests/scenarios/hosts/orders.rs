//! What lets nobody through to an engine, and what is no order.

use serde_json::{Value, json};
use tests::{ACCOUNT, World, wait_for};

use super::{REGION, living, living_world, of};

/// What a health check of a node says.
async fn health_check(world: &World, node: &Value) -> String {
    let uri = node["resource_uri"].as_str().unwrap();
    let asked = world
        .client
        .post(&format!("{uri}health-check/"), &json!({}))
        .await;
    let action = world.ended(&asked.expect(202).action_uri()).await;
    action["log"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_engine_of_a_node_is_reached_through_the_proxy_or_the_proxy_says_why_not() {
    let world = World::with(living()).await;
    let instance = world.launch_a_host(REGION).await;
    let node = world.host_becomes(REGION, &instance, "Deployed").await;
    let address = world.sim().instances(ACCOUNT, REGION)[0].public_ip.unwrap();
    let node = wait_for("the node's address", || async {
        let node = world.fetch(node["resource_uri"].as_str().unwrap()).await;
        (node["public_ip"] == address.to_string()).then_some(node)
    })
    .await;
    world.order("host/kill-agent", of(&instance));
    world.node_becomes(&node, "Unreachable").await;
    let log = health_check(&world, &node).await;
    assert!(
        log.contains(&format!("The engine at {address} answers")),
        "{log}"
    );

    let group = world.sim().instances(ACCOUNT, REGION)[0].security_groups[0].clone();
    let rule = [
        ("GroupId", group.as_str()),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "2376"),
        ("IpPermissions.1.ToPort", "2376"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    world
        .aws_call("ec2", REGION, "RevokeSecurityGroupIngress", &rule)
        .await;
    let log = health_check(&world, &node).await;
    let said = format!("502 no security group of {instance} opens port 2376 to 0.0.0.0/0");
    assert!(log.contains(&said), "{log}");
    world
        .aws_call("ec2", REGION, "AuthorizeSecurityGroupIngress", &rule)
        .await;

    world.order("host/lose-network", of(&instance));
    let log = health_check(&world, &node).await;
    let said = format!("502 {instance} has lost its network");
    assert!(log.contains(&said), "{log}");
    world.finish().await;
}

#[tokio::test]
async fn what_is_no_virtual_host_can_not_be_harmed() {
    let world = living_world().await;
    let refused = |name: &str, body: Value| world.sim().order(name, body).unwrap_err();
    for name in [
        "lose-network",
        "restore-network",
        "kill-agent",
        "restart-agent",
    ] {
        let why = refused(&format!("host/{name}"), of("i-0123456789abcdef0"));
        assert_eq!(
            why,
            "there is no virtual host 'i-0123456789abcdef0' in us-east-1"
        );
    }
    let order = json!({"region": REGION, "instance_type": "x9.*", "on": true});
    let why = refused("host/dead-on-arrival", order);
    assert_eq!(why, "instance_type: there is no 'x9.*'");
    let instance = world.launch_with(REGION, "").await;
    wait_for("the host to be up", || async {
        world.host(REGION, &instance).filter(|host| host.is_on)
    })
    .await;
    let why = refused("host/restart-agent", of(&instance));
    assert_eq!(why, format!("'{instance}' was launched without an agent"));
    world.finish().await;

    let world = World::start().await;
    let why = world
        .sim()
        .order("host/kill-agent", of(&instance))
        .unwrap_err();
    assert_eq!(why, "this simulator has no virtual hosts");
    world.finish().await;
}
