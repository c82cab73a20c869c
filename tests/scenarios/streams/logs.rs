//! The logs of actions, live.

use super::*;
use domain::{action::End, ids::ActionId};
use tests::Socket;

/// A deploy that nobody works on: its log and its end are the test's.
struct Deploy {
    id: ActionId,
    path: String,
}

impl Deploy {
    async fn ask(world: &World) -> Self {
        let cluster = create(world, "web").await;
        let (_, uri) = deploy(world, &cluster).await;
        let id: uuid::Uuid = uri.split('/').nth(5).unwrap().parse().unwrap();
        Self {
            id: id.into(),
            path: format!("{uri}logs/"),
        }
    }

    async fn say(&self, world: &World, line: &str) {
        let mut connection = world.pool.acquire().await.unwrap();
        store::action::log(&mut connection, self.id, line)
            .await
            .unwrap();
    }

    /// The action's end, and its last words in the same commit.
    async fn end(&self, world: &World, last_words: &[&str]) {
        let mut tx = world.pool.begin().await.unwrap();
        for line in last_words {
            store::action::log(&mut tx, self.id, line).await.unwrap();
        }
        store::action::finish(&mut tx, self.id, &End::Success)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// The frames of the whole log.
    async fn frames(&self, world: &World) -> Vec<Value> {
        let mut connection = world.pool.acquire().await.unwrap();
        let lines = store::action::log_tail(&mut connection, self.id, 100_000)
            .await
            .unwrap();
        let frame = |line: &store::action::Line| {
            json!({
                "type": "log",
                "log": line.line,
                "streamType": "stdout",
                "timestamp": line.created_at.timestamp(),
            })
        };
        lines.iter().map(frame).collect()
    }
}

#[tokio::test]
async fn a_log_is_followed_from_its_beginning_to_the_end_of_its_action() {
    let world = still_world().await;
    let deploy = Deploy::ask(&world).await;
    deploy.say(&world, "before").await;
    let mut socket = Socket::open(&world.client, &deploy.path).await;
    let mut told = socket.frames(deploy.frames(&world).await.len()).await;
    for n in 0..20 {
        deploy.say(&world, &format!("line {n}: \"ü\"")).await;
        told.push(socket.frame().await);
    }
    deploy.end(&world, &["almost", "done"]).await;
    let (last, code, reason) = socket.rest().await;
    told.extend(last);
    assert_eq!(told, deploy.frames(&world).await);
    assert_eq!(text(told.last().unwrap(), "log"), "done");
    assert_eq!((code, reason.as_str()), (1000, "the action has ended"));
    world.finish().await;
}

#[tokio::test]
async fn an_action_that_says_nothing_at_its_end_ends_its_log_all_the_same() {
    let world = still_world().await;
    let deploy = Deploy::ask(&world).await;
    deploy.say(&world, "before").await;
    let expected = deploy.frames(&world).await;
    let mut socket = Socket::open(&world.client, &deploy.path).await;
    assert_eq!(socket.frames(expected.len()).await, expected);
    deploy.end(&world, &[]).await;
    let (more, code, _) = socket.rest().await;
    assert_eq!((more, code), (vec![], 1000));
    // Once more, when it has ended already.
    let mut late = Socket::open(&world.client, &deploy.path).await;
    let (all, code, _) = late.rest().await;
    assert_eq!((all, code), (expected, 1000));
    world.finish().await;
}

#[tokio::test]
async fn without_follow_the_log_is_told_as_it_is_and_closed() {
    let world = still_world().await;
    let deploy = Deploy::ask(&world).await;
    for n in 0..305 {
        deploy.say(&world, &format!("line {n}")).await;
    }
    let all = deploy.frames(&world).await;
    for follow in ["false", "False", "0"] {
        let path = format!("{}?follow={follow}", deploy.path);
        let (told, code, _) = Socket::open(&world.client, &path).await.rest().await;
        assert_eq!((told.as_slice(), code), (&all[all.len() - 300..], 1000));
    }
    for (tail, expected) in [("0", 0), ("2", 2), ("302", 302), ("99999999999", all.len())] {
        let path = format!("{}?follow=false&tail={tail}", deploy.path);
        let (told, code, _) = Socket::open(&world.client, &path).await.rest().await;
        assert_eq!(
            (told.as_slice(), code),
            (&all[all.len() - expected..], 1000)
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn a_tail_of_nothing_leaves_what_comes() {
    let world = still_world().await;
    let deploy = Deploy::ask(&world).await;
    deploy.say(&world, "old").await;
    let path = format!("{}?tail=0&follow=True", deploy.path);
    let mut socket = Socket::open(&world.client, &path).await;
    deploy.end(&world, &["new"]).await;
    let (told, code, _) = socket.rest().await;
    let lines: Vec<&str> = told.iter().map(|frame| text(frame, "log")).collect();
    assert_eq!(code, 1000);
    assert_eq!(lines, ["new"]);
    world.finish().await;
}

#[tokio::test]
async fn many_who_write_and_many_who_read_lose_no_line() {
    let world = still_world().await;
    let deploy = Deploy::ask(&world).await;
    let mut readers = Vec::new();
    for _ in 0..10 {
        let mut socket = Socket::open(&world.client, &format!("{}?tail=1000", deploy.path)).await;
        readers.push(tokio::spawn(async move { socket.rest().await }));
    }
    let writers = (0..8).map(|writer| {
        let (world, deploy) = (&world, &deploy);
        async move {
            for n in 0..25 {
                deploy.say(world, &format!("{writer}/{n}")).await;
            }
        }
    });
    futures::future::join_all(writers).await;
    deploy.end(&world, &["the end"]).await;
    let all = deploy.frames(&world).await;
    assert!(all.len() > 200);
    for reader in readers {
        let (told, code, _) = reader.await.unwrap();
        assert_eq!((told.as_slice(), code), (all.as_slice(), 1000));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_real_deploy_is_followed() {
    let world = World::start().await;
    let cluster = create(&world, "web").await;
    let (_, uri) = deploy(&world, &cluster).await;
    let mut socket = Socket::open(&world.client, &format!("{uri}logs/?tail=1000")).await;
    let (told, code, _) = socket.rest().await;
    let lines: Vec<&str> = told.iter().map(|frame| text(frame, "log")).collect();
    let action = world.fetch(&uri).await;
    assert_eq!((text(&action, "state"), code), ("Success", 1000));
    assert_eq!(lines.join("\n"), text(&action, "log"));
    world.finish().await;
}
