//! The seed: "How do I SSH into a node": keys by cloud-init, and security groups that would keep them out.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::World;

const REGION: &str = "eu-west-1";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH anna@example.com";

#[tokio::test]
async fn seed_the_ssh_keys_of_a_cluster_reach_the_user_data_of_its_nodes() {
    let world = World::start().await;
    let keys = json!({"ssh_authorized_keys": [KEY, format!(" {KEY} ")]});
    let (_, action) = world.deploy(REGION, "t3.micro", 2, keys).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    let instances = world.instances(REGION);
    assert_eq!(instances.len(), 2);
    for instance in instances {
        let data = STANDARD.decode(instance.user_data.unwrap()).unwrap();
        let data = String::from_utf8(data).unwrap();
        let config = data.strip_prefix("#cloud-config\n").unwrap();
        let config: Value = serde_json::from_str(config).unwrap();
        assert_eq!(config["ssh_authorized_keys"], json!([KEY]));
        assert_eq!(config["packages"], json!(["docker.io"]));
    }
    world.finish().await;
}

#[tokio::test]
async fn keys_that_are_none_or_do_not_fit_are_refused_by_name() {
    let world = World::without_worker().await;
    let many: Vec<String> = (0..200).map(|at| format!("{KEY}-{at}")).collect();
    for (keys, expected) in [
        (
            json!(["-----BEGIN OPENSSH PRIVATE KEY-----"]),
            "ssh_authorized_keys[0]: is a private key",
        ),
        (
            json!([KEY, "ssh-rsa AAAA"]),
            "ssh_authorized_keys[1]: has a key that is cut off",
        ),
        (json!([KEY, 3]), "ssh_authorized_keys[1]: 3 is not a text"),
        (json!(KEY), "ssh_authorized_keys: "),
        (json!(many), "ssh_authorized_keys: the user data would be "),
    ] {
        let body = json!({
            "name": "web",
            "region": format!("/api/infra/v1/region/aws/{REGION}/"),
            "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
            "ssh_authorized_keys": keys,
        });
        let refused = world.client.post("/nodecluster", &body).await.expect(400);
        assert!(refused.error().starts_with(expected), "{}", refused.text);
    }
    world.finish().await;
}

/// Deploys a node with this one security group, which opens these TCP ports; answers with its id and the action's log.
async fn deploy_behind(world: &World, ports: &[u16]) -> (String, String) {
    let cloud = world.cloud(REGION).await;
    let vpc = cloud
        .create_vpc("10.20.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let group = cloud
        .create_security_group(&vpc.id, "theirs", &tests::theirs())
        .await
        .unwrap();
    let mut rules: Vec<aws::Ingress> = ports.iter().map(|port| aws::Ingress::Tcp(*port)).collect();
    rules.push(aws::Ingress::Itself);
    cloud.authorize_ingress(&group.id, &rules).await.unwrap();
    let options = json!({
        "provider_options": {"vpc": {"id": vpc.id, "security_groups": [group.id]}},
    });
    let (cluster, action) = world.deploy(REGION, "t3.micro", 1, options).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(action["state"], "Success");
    (group.id, action["log"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_group_that_closes_ssh_and_the_engines_port_is_reported_and_not_refused() {
    let world = World::start().await;
    let (group, log) = deploy_behind(&world, &[80]).await;
    for expected in [
        format!("port 22 is not open in {group}"),
        format!("port 2376 is not open in {group}"),
    ] {
        assert!(log.contains(&expected), "{log}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_group_that_opens_what_is_used_is_not_reported() {
    let world = World::start().await;
    let (_, log) = deploy_behind(&world, &[22, 2376]).await;
    assert!(!log.contains("is not open"), "{log}");
    let (_, action) = world
        .deploy(REGION, "t3.micro", 1, json!({"name": "default"}))
        .await;
    assert!(!action["log"].as_str().unwrap().contains("is not open"));
    world.finish().await;
}
