//! Tokens in the wrong hands.

use reqwest::Method;
use serde_json::json;
use tests::{Host, World, fresh_token};

#[tokio::test]
async fn a_stolen_token_used_from_a_second_machine_does_not_take_the_node_over() {
    let world = World::without_worker().await;
    let host = Host::registered(&world).await;
    let before = world.fetch(&host.uri()).await;

    let mut thief = Host::new(&world, &host.token);
    let refused = thief.register().await.expect(401);
    assert!(
        refused.error().contains("another machine"),
        "{}",
        refused.text
    );
    // The thief has read the node's id, too.
    thief.uuid.clone_from(&host.uuid);
    let refused = thief.announce().await.expect(401);
    assert!(
        refused.error().contains("another certificate"),
        "{}",
        refused.text
    );

    assert_eq!(world.fetch(&host.uri()).await, before);
    assert_eq!(
        host.get().await.expect(200).body["public_cert"],
        host.identity.cert.pem()
    );
    host.announce().await.expect(200);
    assert_eq!(world.fetch("/node").await["meta"]["total_count"], 1);
    world.finish().await;
}

#[tokio::test]
async fn a_token_that_was_stolen_before_its_node_announced_itself_is_of_no_use_elsewhere() {
    let world = World::without_worker().await;
    let mut host = Host::brought(&world).await;
    host.register().await.expect(201);
    let mut thief = Host::new(&world, &host.token);
    thief.register().await.expect(401);
    host.announce().await.expect(200);
    // Not even the machine itself registers twice, once it has shown what it is.
    host.register().await.expect(401);
    world.finish().await;
}

#[tokio::test]
async fn a_token_lets_nobody_into_the_rest_of_the_api_and_an_api_key_nobody_into_the_agents() {
    let world = World::without_worker().await;
    let token = fresh_token(&world).await;
    let url = format!("{}/api/infra/v1/node/", world.client.base);
    for authorization in [
        format!("TutumAgentToken {token}"),
        format!("Bearer {token}"),
    ] {
        let request = reqwest::Client::new().get(&url);
        let answer = request.header("authorization", authorization).send().await;
        assert_eq!(answer.unwrap().status(), 401);
    }
    let as_user = world.client.as_user("dev", &token);
    as_user.get("/node").await.expect(401);

    let refused = world.client.post("/api/agent/v1/node/", &json!({})).await;
    let refused = refused.expect(401);
    let scheme = refused.headers["www-authenticate"].to_str().unwrap();
    assert!(scheme.starts_with("TutumAgentToken"), "{scheme}");
    let guess = Host::new(&world, "21268a001bcf40acb5c0884679d4fd1f");
    guess.call(Method::POST, "node/", None).await.expect(401);
    assert_eq!(world.fetch("/node").await["meta"]["total_count"], 0);
    world.finish().await;
}
