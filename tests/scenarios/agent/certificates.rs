//! Who is let in by the engines: whoever has a certificate of the namespace's authority, and nobody else.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tests::{DOCKER_PORT, Engine, Host, Options, World, add_user, docker_ping};

fn address(host: &Host) -> SocketAddr {
    SocketAddr::new(host.address, DOCKER_PORT)
}

async fn bundle(world: &World, host: &Host) -> Value {
    let path = format!("{}certificate/", host.uri());
    let answer = world.client.get(&path).await.expect(200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.body
}

/// A host of another user's.
async fn host_of_eve(world: &World) -> (tests::Client, Host) {
    let eve = add_user(world, "eve", "eves-key").await;
    let answer = eve.post("/token", &json!({})).await.expect(201);
    let mut host = Host::new(world, answer.body["token"].as_str().unwrap());
    host.register().await.expect(201);
    host.announce().await.expect(200);
    (eve, host)
}

#[tokio::test]
async fn every_host_of_a_namespace_is_told_the_same_authority_and_one_of_another_namespace_another()
{
    let world = World::without_worker().await;
    let (one, other) = (
        Host::registered(&world).await,
        Host::registered(&world).await,
    );
    let (_, of_eve) = host_of_eve(&world).await;
    assert!(one.authority.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(one.authority, other.authority);
    assert_ne!(one.authority, of_eve.authority);
    let told = one.get().await.expect(200).body;
    assert_eq!(told["user_ca_cert"], one.authority);
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_key FROM authority LIMIT 1")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    // What a PKCS #8 key of this kind holds: the id of its curve.
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    assert!(!sealed.windows(8).any(|part| part == curve));
    world.finish().await;
}

#[tokio::test]
async fn a_nodes_certificate_lets_a_docker_client_into_its_engine() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let _engine = Engine::start(&host).await;
    let bundle = bundle(&world, &host).await;
    let said = docker_ping(&bundle, address(&host)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    world.finish().await;
}

#[tokio::test]
async fn the_certificate_of_another_namespace_lets_nobody_in() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let _engine = Engine::start(&host).await;
    let mut mixed = bundle(&world, &host).await;
    let (eve, of_eve) = host_of_eve(&world).await;
    eve.get(&format!("{}certificate/", host.uri()))
        .await
        .expect(404);
    let path = format!("{}certificate/", of_eve.uri());
    let eves = eve.get(&path).await.expect(200).body;
    // Eve trusts the engine, but it does not trust her.
    mixed["cert"] = eves["cert"].clone();
    mixed["key"] = eves["key"].clone();
    docker_ping(&mixed, address(&host)).await.unwrap_err();
    world.finish().await;
}

#[tokio::test]
async fn an_engine_that_is_not_the_nodes_is_not_trusted_by_the_nodes_certificate() {
    let world = World::without_worker().await;
    let (host, other) = (
        Host::registered(&world).await,
        Host::registered(&world).await,
    );
    let _engine = Engine::with_identity_of(&host, &other, DOCKER_PORT).await;
    let bundle = bundle(&world, &host).await;
    docker_ping(&bundle, address(&host)).await.unwrap_err();
    world.finish().await;
}

#[tokio::test]
async fn a_clusters_certificate_is_given_before_it_has_nodes() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let path = format!("{uri}certificate/");
    let bundle = world.client.get(&path).await.expect(200).body;
    assert_eq!(bundle["ca"], host.authority);
    assert!(bundle["key"].as_str().unwrap().contains("PRIVATE KEY"));
    world.finish().await;
}

#[tokio::test]
async fn without_a_secret_key_no_host_registers_and_the_error_names_the_way_out() {
    let mut options = Options::default();
    options.worker.secret_key = None;
    let world = World::with(options).await;
    let mut host = Host::brought(&world).await;
    // The original agent tries again for ever, so that it is a node as soon as there is a key.
    let refused = host.register().await.expect(503);
    assert!(
        refused.error().contains("BERTH_SECRET_KEY"),
        "{}",
        refused.text
    );
    assert_eq!(world.fetch("/node").await["meta"]["total_count"], 0);
    world.finish().await;
}

#[tokio::test]
async fn an_authority_that_was_sealed_under_another_key_is_not_made_anew() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    sqlx::query("UPDATE authority SET sealed_key = set_byte(sealed_key, 20, 255 - get_byte(sealed_key, 20))")
        .execute(&world.pool)
        .await
        .unwrap();
    let path = format!("{}certificate/", host.uri());
    world.client.get(&path).await.expect(500);
    assert_eq!(
        host.get().await.expect(200).body["user_ca_cert"],
        host.authority
    );
    world.finish().await;
}
