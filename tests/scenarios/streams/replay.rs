//! Clients that reconnect: `?since=` gives them what they have missed.

use super::*;
use tests::Socket;

fn since(frame: &Value) -> String {
    format!("{EVENTS}?since={}", text(frame, "uuid"))
}

#[tokio::test]
async fn a_client_that_reconnects_misses_nothing_and_hears_nothing_twice() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let before = log(&world).await.len();
    let mut socket = Socket::open(&world.client, EVENTS).await;
    change(&world.client, &cluster, "first").await;
    let mut told = socket.frames(1).await;

    // Changes go on all the while: before, during and after each of the new connections.
    let (client, changed) = (world.client.clone(), cluster.clone());
    let changes = tokio::spawn(async move {
        for n in 0..100 {
            change(&client, &changed, &format!("t{n}")).await;
        }
    });
    while told.len() < 101 {
        drop(socket);
        socket = Socket::open(&world.client, &since(told.last().unwrap())).await;
        let more = (101 - told.len()).min(7);
        told.extend(socket.frames(more).await);
    }
    changes.await.unwrap();
    assert_eq!(told, frames(&log(&world).await[before..], ""));
    drop(socket);
    world.finish().await;
}

#[tokio::test]
async fn a_long_absence_is_made_up_for() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let mut socket = Socket::open(&world.client, EVENTS).await;
    change(&world.client, &cluster, "last seen").await;
    let seen = socket.frame().await;
    drop(socket);
    // More than one page of the log, and other users' events in between.
    let eve = add_user(&world, "eve", "eves-key").await;
    for count in [400, 700, 600] {
        flood(&world, &cluster, count).await;
        eve.post("/api/infra/v1/token/", &json!({}))
            .await
            .expect(201);
    }
    let mut socket = Socket::open(&world.client, &since(&seen)).await;
    let mut told = socket.frames(1700).await;
    change(&world.client, &cluster, "live").await;
    told.extend(socket.frames(1).await);

    let log = log(&world).await;
    let mine = log[0].namespace_id;
    let own: Vec<Event> = log
        .into_iter()
        .filter(|event| event.namespace_id == mine)
        .collect();
    assert_eq!(told, frames(&own[own.len() - 1701..], ""));
    drop(socket);
    world.finish().await;
}

#[tokio::test]
async fn the_last_event_of_all_is_followed_by_what_comes_and_filters_hold_for_the_past() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let first = log(&world).await.remove(0);
    deploy(&world, &cluster).await;
    let made = log(&world).await;
    let last = frame(made.last().unwrap(), "");
    let mut socket = Socket::open(&world.client, &since(&last)).await;
    let path = format!("{EVENTS}?since={}&type=node", first.id);
    let mut nodes = Socket::open(&world.client, &path).await;
    change(&world.client, &cluster, "next").await;

    let next = log(&world).await.pop().unwrap();
    assert_eq!(socket.frame().await, frame(&next, ""));
    let of_nodes: Vec<Event> = made
        .into_iter()
        .filter(|event| event.object_type == "node")
        .collect();
    assert_eq!(of_nodes.len(), 1);
    assert_eq!(nodes.frames(1).await, frames(&of_nodes, ""));
    drop((socket, nodes));
    world.finish().await;
}

#[tokio::test]
async fn a_burst_that_is_larger_than_the_ring_reaches_everybody_who_reads() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let before = log(&world).await.len();
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(Socket::open(&world.client, EVENTS).await);
    }
    let readers: Vec<_> = sockets
        .into_iter()
        .map(|mut socket| tokio::spawn(async move { socket.frames(6000).await }))
        .collect();
    flood(&world, &cluster, 6000).await;
    let expected = frames(&log(&world).await[before..], "");
    for reader in readers {
        assert!(
            reader.await.unwrap() == expected,
            "everything, once, in order"
        );
    }
    world.finish().await;
}
