//! The event stream: what is in it, in which order, and how it lives.

use super::*;
use tests::{Heard, Socket, wait_for};

/// The states of an object, in the order of the frames.
fn states(frames: &[Value], uri: &str) -> Vec<String> {
    let of_object = frames.iter().filter(|frame| frame["resource_uri"] == uri);
    of_object
        .map(|frame| text(frame, "state").to_owned())
        .collect()
}

#[tokio::test]
async fn the_whole_life_of_a_cluster_is_told_once_and_in_order() {
    let world = World::start().await;
    let mut plain = Socket::open(&world.client, EVENTS).await;
    let mut spaced = Socket::open(&world.client, "/api/audit/v1/dev/events").await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, json!({})).await;
    let cluster = world.scale(&cluster, 3).await;
    let nodes = world.nodes(&cluster).await;
    world.terminate(&cluster).await;
    world
        .client
        .post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);

    let log = log(&world).await;
    assert_eq!(plain.frames(log.len()).await, frames(&log, ""));
    let told = spaced.frames(log.len()).await;
    assert_eq!(told, frames(&log, "dev/"));

    let uri = text(&cluster, "resource_uri").replace("/v1/", "/v1/dev/");
    let expected = [
        "Init",
        "Deploying",
        "Deployed",
        "Scaling",
        "Deployed",
        "Terminating",
        "Terminated",
    ];
    assert_eq!(states(&told, &uri), expected);
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let uri = text(&node, "resource_uri").replace("/v1/", "/v1/dev/");
        let expected = ["Deploying", "Deployed", "Terminating", "Terminated"];
        assert_eq!(states(&told, &uri), expected);
        let changes: Vec<&Value> = told
            .iter()
            .filter(|frame| frame["resource_uri"] == uri.as_str())
            .collect();
        assert_eq!(changes.first().unwrap()["action"], "create");
        assert_eq!(changes.last().unwrap()["action"], "delete");
    }
    drop((plain, spaced));
    world.finish().await;
}

#[tokio::test]
async fn only_what_comes_after_the_handshake_is_told_and_only_to_its_own_user() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let mut own = Socket::open(&world.client, EVENTS).await;
    let mut hers = Socket::open(&eve, EVENTS).await;
    change(&world.client, &cluster, "one").await;
    eve.post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);
    change(&world.client, &cluster, "two").await;

    let log = log(&world).await;
    let [.., one, token, two] = log.as_slice() else {
        panic!("{log:?}")
    };
    assert_eq!(own.frames(2).await, [frame(one, ""), frame(two, "")]);
    assert_eq!(hers.frame().await, frame(token, ""));
    // Nothing else was waiting behind it.
    eve.post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);
    assert_eq!(text(&hers.frame().await, "action"), "create");
    drop((own, hers));
    world.finish().await;
}

#[tokio::test]
async fn each_filter_lets_through_what_it_names() {
    let world = still_world().await;
    let web = create(&world, "web").await;
    let db = create(&world, "db").await;
    let [web_id, db_id] = [&web, &db].map(|cluster| text(cluster, "uuid").to_owned());
    let uri = text(&web, "resource_uri").to_owned();
    let spaced = uri.replace("/v1/", "/v1/dev/");
    type Expected = Box<dyn Fn(&Event) -> bool>;
    let is_web = {
        let id = web_id.clone();
        move |event: &Event| event.object_id.to_string() == id
    };
    let is_child = |id: &str| {
        let id = id.to_owned();
        move |event: &Event| {
            event
                .parent
                .is_some_and(|(_, parent)| parent.to_string() == id)
        }
    };
    let cases: Vec<(String, Expected)> = vec![
        (String::new(), Box::new(|_| true)),
        (
            "type=node".into(),
            Box::new(|event| event.object_type == "node"),
        ),
        (
            "type=nodecluster,action".into(),
            Box::new(|event| event.object_type != "node"),
        ),
        (format!("object={uri}"), Box::new(is_web.clone())),
        (format!("object={web_id}"), Box::new(is_web.clone())),
        (format!("object={spaced}"), Box::new(is_web)),
        (format!("parent={uri}"), Box::new(is_child(&web_id))),
        (format!("parents={spaced}"), Box::new(is_child(&web_id))),
        (
            format!("parents={uri},/nodecluster/{db_id}"),
            Box::new(|event| event.parent.is_some()),
        ),
        (
            format!("type=action&parents={uri}"),
            Box::new({
                let child = is_child(&web_id);
                move |event| child(event) && event.object_type == "action"
            }),
        ),
        ("type=service,error".into(), Box::new(|_| false)),
        (
            format!("type=nodecluster&parent={uri}"),
            Box::new(|_| false),
        ),
    ];
    let mut sockets = Vec::new();
    for (query, _) in &cases {
        sockets.push(Socket::open(&world.client, &format!("{EVENTS}?{query}")).await);
    }
    let before = log(&world).await.len();
    deploy(&world, &web).await;
    change(&world.client, &db, "one").await;
    deploy(&world, &db).await;
    change(&world.client, &web, "two").await;
    let made = log(&world).await.split_off(before);
    assert!(made.len() >= 8, "{made:?}");

    // All sockets are closed when the service stops, after they have sent what came before.
    for (socket, (query, expected)) in sockets.iter_mut().zip(&cases) {
        let wanted: Vec<Event> = made
            .iter()
            .filter(|event| expected(event))
            .cloned()
            .collect();
        assert_eq!(
            socket.frames(wanted.len()).await,
            frames(&wanted, ""),
            "{query}"
        );
    }
    let ended = tokio::spawn(world.finish());
    for (socket, (query, _)) in sockets.iter_mut().zip(&cases) {
        let (more, code, _) = socket.rest().await;
        assert_eq!((more, code), (vec![], 1001), "{query}");
    }
    ended.await.unwrap();
}

#[tokio::test]
async fn who_commits_first_is_told_first_whoever_began() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let mut socket = Socket::open(&world.client, EVENTS).await;
    let id = text(&cluster, "uuid");
    let insert = "INSERT INTO action (id, namespace_id, name, object_type, object_id, state, method, path, body,
                                      user_name, user_agent, ip, began_at, ended_at)
                  SELECT $2, namespace_id, 'Node Cluster Update', 'nodecluster', id, 'Success', 'PATCH', '/', '', 'dev',
                         '', '', now(), now() FROM cluster WHERE id = $1::uuid";
    let mut expected = Vec::new();
    for is_seen_in_between in [true, false] {
        let (one, other) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        let mut early = world.pool.begin().await.unwrap();
        sqlx::query(insert)
            .bind(id)
            .bind(one)
            .execute(&mut *early)
            .await
            .unwrap();
        let mut late = world.pool.begin().await.unwrap();
        sqlx::query(insert)
            .bind(id)
            .bind(other)
            .execute(&mut *late)
            .await
            .unwrap();
        late.commit().await.unwrap();
        if is_seen_in_between {
            let frame = socket.frame().await;
            assert!(text(&frame, "resource_uri").contains(&other.to_string()));
        } else {
            expected.push(other);
        }
        early.commit().await.unwrap();
        expected.push(one);
    }
    for id in expected {
        let frame = socket.frame().await;
        assert_eq!(frame["resource_uri"], format!("/api/audit/v1/action/{id}/"));
    }
    drop(socket);
    world.finish().await;
}

/// Kills the connection on which the log is followed: the one that has read it last, and none of those that requests use.
async fn kill_listener(world: &World) {
    wait_for("the listener's connection", || async {
        let killed: Option<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
               AND query LIKE '%FROM event WHERE seq > $2%'
             ORDER BY query_start DESC LIMIT 1",
        )
        .fetch_optional(&world.pool)
        .await
        .unwrap();
        killed.filter(|killed| *killed)
    })
    .await;
}

#[tokio::test]
async fn nothing_is_missed_when_the_listener_loses_its_connection() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    let mut socket = Socket::open(&world.client, EVENTS).await;
    let mut expected = 0;
    for round in 0..3 {
        change(&world.client, &cluster, &format!("before-{round}")).await;
        // The socket has read the log once, too, when it was opened. Now the listener has read it later.
        let mut heard = socket.frames(1).await;
        kill_listener(&world).await;
        for n in 0..5 {
            change(&world.client, &cluster, &format!("after-{round}-{n}")).await;
        }
        heard.extend(socket.frames(5).await);
        expected += 6;
        let log = log(&world).await;
        let last = &log[log.len() - 6..];
        assert_eq!(heard, frames(last, ""));
    }
    assert_eq!(log(&world).await.len(), expected + 2, "the creation, too");
    drop(socket);
    world.finish().await;
}

#[tokio::test]
async fn pings_are_answered_and_a_stop_is_announced() {
    let world = still_world().await;
    let mut socket = Socket::open(&world.client, EVENTS).await;
    for payload in [&b""[..], b"hello"] {
        socket.ping(payload).await;
        assert_eq!(socket.next().await, Some(Heard::Pong(payload.to_vec())));
    }
    let ended = tokio::spawn(world.finish());
    let (frames, code, reason) = socket.rest().await;
    assert_eq!((frames, code), (vec![], 1001));
    assert!(reason.contains("reconnect"), "{reason}");
    ended.await.unwrap();
}
