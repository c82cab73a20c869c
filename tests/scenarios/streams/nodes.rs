//! What happens to one node, in words.

use super::*;
use tests::Socket;

#[tokio::test]
async fn a_node_is_followed_from_the_handshake_on() {
    let world = World::start().await;
    let cluster = world.create("us-east-1", "t3.micro", 2, json!({})).await;
    let (cluster, _) = deploy(&world, &cluster).await;
    let uri = cluster["nodes"][0].as_str().unwrap();
    let id = uri.split('/').nth(5).unwrap();
    let mut socket = Socket::open(&world.client, &format!("{uri}events/")).await;
    // What happened before the handshake is not told; from then on it is everything.
    let mut told = Vec::new();
    let is = |frame: &Value, state: &str| frame["log"] == format!("Node {id} is {state}");
    let node = world.fetch(uri).await;
    if node["state"] != "Deployed" {
        while !told.last().is_some_and(|frame| is(frame, "Deployed")) {
            told.push(socket.frame().await);
        }
    }
    world.terminate(&node).await;
    while !told.last().is_some_and(|frame| is(frame, "Terminated")) {
        told.push(socket.frame().await);
    }
    let expected: Vec<Value> = log(&world)
        .await
        .iter()
        .filter(|event| event.object_id.to_string() == id)
        .map(|event| {
            json!({
                "type": "log",
                "log": format!("Node {id} is {}", event.state),
                "timestamp": event.created_at.timestamp(),
            })
        })
        .collect();
    assert!(told.len() >= 2, "{told:?}");
    assert_eq!(told, expected[expected.len() - told.len()..]);
    drop(socket);
    world.finish().await;
}
