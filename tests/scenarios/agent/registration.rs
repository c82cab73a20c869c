//! A machine that its owner brings: how it becomes a node, and how it is forgotten.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Host, World, fresh_token};

async fn still_world() -> World {
    World::without_worker().await
}

fn members(body: &Value) -> BTreeSet<&str> {
    let members = body.as_object().unwrap().keys();
    members.map(String::as_str).collect()
}

#[tokio::test]
async fn the_original_agent_registers_announces_its_certificate_and_is_told_its_state() {
    let world = still_world().await;
    let mut host = Host::brought(&world).await;
    let form = host.register().await.expect(201).body;
    for name in [
        "uuid",
        "external_fqdn",
        "user_ca_cert",
        "docker_url",
        "ngrok_url",
        "public_ip",
    ] {
        assert!(form[name].is_string(), "{name}: {form}");
    }
    assert_eq!(form["public_ip"], host.address.to_string());

    let form = host.announce().await.expect(200).body;
    assert_eq!(form["uuid"], host.uuid.as_str());
    let full = host.get().await.expect(200).body;
    let needed = [
        "agent_version",
        "docker_url",
        "external_fqdn",
        "ngrok_url",
        "ngrok_server_addr",
        "public_cert",
        "resource_uri",
        "state",
        "tunnel",
        "user_ca_cert",
        "uuid",
    ];
    assert!(members(&full).is_superset(&needed.into()), "{full}");
    assert_eq!(full["state"], "Deploying");
    assert_eq!(full["agent_version"], "1.1.0");
    assert_eq!(full["public_cert"], host.identity.cert.pem());
    world.finish().await;
}

#[tokio::test]
async fn a_brought_node_has_no_cluster_no_type_and_no_region_and_says_that_it_was_brought() {
    let world = still_world().await;
    let host = Host::registered(&world).await;
    let node = world.fetch(&host.uri()).await;
    for nothing in [
        "node_cluster",
        "node_type",
        "region",
        "availability_zone",
        "tunnel",
    ] {
        assert_eq!(node[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(node["state"], "Deploying");
    assert_eq!(node["tags"], json!([{"name": "byon=true"}]));
    assert_eq!(node["docker_version"], "1.11.2-cs7");
    assert_eq!(node["public_ip"], host.address.to_string());
    assert_eq!(node["external_fqdn"], host.address.to_string());
    let listed = world.fetch("/node").await;
    assert_eq!(listed["objects"][0], node);
    let tags = world.fetch("/tag").await;
    assert_eq!(
        tags["objects"],
        json!([{"name": "byon=true", "origin": "tutum"}])
    );
    world.finish().await;
}

#[tokio::test]
async fn the_action_of_a_token_tells_which_machine_registered_with_it() {
    let world = still_world().await;
    let answer = world.client.post("/token", &json!({})).await.expect(201);
    let token = answer.body["token"].as_str().unwrap();
    let mut host = Host::new(&world, token);
    host.register().await.expect(201);
    let action = world.fetch(&answer.action_uri()).await;
    let expected = format!(
        "Node {} registered with it from {}",
        host.uuid, host.address
    );
    assert!(
        action["log"].as_str().unwrap().contains(&expected),
        "{action}"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_answered_again() {
    let world = still_world().await;
    let mut host = Host::brought(&world).await;
    let first = host.register().await.expect(201);
    let again = host.register().await.expect(201);
    assert_eq!(first.body["uuid"], again.body["uuid"]);
    assert_eq!(world.fetch("/node").await["meta"]["total_count"], 1);
    world.finish().await;
}

#[tokio::test]
async fn machines_that_register_at_the_same_moment_with_one_token_are_one_node() {
    let world = still_world().await;
    let token = fresh_token(&world).await;
    let mut hosts: Vec<Host> = (0..8).map(|_| Host::new(&world, &token)).collect();
    let asked = hosts
        .iter_mut()
        .map(|host| async { host.register().await.status });
    let mut answers: Vec<u16> = futures::future::join_all(asked).await;
    answers.sort_unstable();
    assert_eq!(answers, [201, 401, 401, 401, 401, 401, 401, 401]);
    assert_eq!(world.fetch("/node").await["meta"]["total_count"], 1);
    world.finish().await;
}

#[tokio::test]
async fn an_agent_that_starts_again_keeps_its_node_and_gives_it_the_new_address() {
    let world = still_world().await;
    let host = Host::registered(&world).await;
    let host = host.moved();
    let form = host.announce().await.expect(200).body;
    assert_eq!(form["uuid"], host.uuid.as_str());
    assert_eq!(form["public_ip"], host.address.to_string());
    let node = world.fetch(&host.uri()).await;
    assert_eq!(node["public_ip"], host.address.to_string());
    assert_eq!(node["external_fqdn"], host.address.to_string());
    world.finish().await;
}

#[tokio::test]
async fn the_address_of_a_tunnel_is_shown_to_the_nodes_owner() {
    let world = still_world().await;
    let host = Host::registered(&world).await;
    let tunnel = json!({"tunnel": "tcp://tunnel.example.com:12345", "agent_version": "1.1.0"});
    host.patch(&tunnel).await.expect(200);
    let node = world.fetch(&host.uri()).await;
    assert_eq!(node["tunnel"], "tcp://tunnel.example.com:12345");
    let full = host.get().await.expect(200).body;
    assert_eq!(full["public_cert"], host.identity.cert.pem());
    world.finish().await;
}

#[tokio::test]
async fn a_brought_node_that_its_owner_removes_is_forgotten_and_its_token_with_it() {
    let world = still_world().await;
    let mut host = Host::registered(&world).await;
    sqlx::query("UPDATE node SET state = 'Unreachable'")
        .execute(&world.pool)
        .await
        .unwrap();
    let answer = world.client.delete(&host.uri()).await.expect(202);
    let action = world.ended(&answer.action_uri()).await;
    assert_eq!(action["state"], "Success");
    let node = world.fetch(&host.uri()).await;
    assert_eq!(node["state"], "Terminated");
    assert!(node["destroyed_datetime"].is_string());

    // What the original agent does then: PATCH, forget the node, POST, blank the token.
    for answer in [
        host.get().await,
        host.announce().await,
        host.register().await,
    ] {
        let answer = answer.expect(401);
        assert!(answer.error().contains("was removed"), "{}", answer.text);
    }
    assert_eq!(world.fetch(&host.uri()).await["state"], "Terminated");

    // With a new token it comes back, as another node.
    host.token = fresh_token(&world).await;
    let removed = host.uuid.clone();
    host.register().await.expect(201);
    host.announce().await.expect(200);
    assert_ne!(host.uuid, removed);
    world.finish().await;
}

#[tokio::test]
async fn an_agent_with_the_id_of_a_node_that_is_not_there_is_told_to_register_anew() {
    let world = still_world().await;
    let mut host = Host::brought(&world).await;
    host.uuid = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf".to_owned();
    host.announce().await.expect(404);
    host.register().await.expect(201);
    host.announce().await.expect(200);
    world.finish().await;
}

#[tokio::test]
async fn an_agent_calls_for_its_own_node_alone() {
    let world = still_world().await;
    let one = Host::registered(&world).await;
    let mut other = Host::registered(&world).await;
    other.uuid.clone_from(&one.uuid);
    other.get().await.expect(404);
    other.announce().await.expect(404);
    assert_eq!(
        one.get().await.expect(200).body["public_cert"],
        one.identity.cert.pem()
    );
    world.finish().await;
}

#[tokio::test]
async fn what_an_agent_says_and_can_not_be_taken_is_named_and_changes_nothing() {
    let world = still_world().await;
    let host = Host::registered(&world).await;
    let before = world.fetch(&host.uri()).await;
    for (said, expected) in [
        (
            json!({"agent_version": 1}),
            "agent_version: 1 is not a text",
        ),
        (
            json!({"docker_version": "1\n2"}),
            "docker_version: may not contain control characters",
        ),
        (
            json!({"agent_version": "9".repeat(129)}),
            "agent_version: is longer than 128",
        ),
        (
            json!({"docker_version": "2.0", "public_cert": "PEM"}),
            "public_cert: is no certificate",
        ),
        (
            json!({"docker_version": "2.0", "tunnel": []}),
            "tunnel: [] is not a text",
        ),
    ] {
        let refused = host.patch(&said).await.expect(400);
        assert!(refused.error().starts_with(expected), "{}", refused.text);
    }
    let mut after = world.fetch(&host.uri()).await;
    after["last_seen"] = before["last_seen"].clone();
    assert_eq!(after, before);
    world.finish().await;
}
