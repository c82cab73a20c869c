//! Who is let in, by which path and with which credentials, and what everybody else is answered.

use super::*;
use reqwest::Method;
use tests::{Answer, Socket};

const UNKNOWN: &str = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";

/// The answer to a handshake that is refused.
async fn refusal(client: &Client, path: &str, credentials: Option<(&str, &str)>) -> Answer {
    let Err(answer) = Socket::connect(&client.base, path, credentials, None).await else {
        panic!("{path} was let in")
    };
    answer
}

async fn refused(client: &Client, path: &str) -> Answer {
    refusal(client, path, Some(client.credentials())).await
}

/// The paths of the three streams, of a cluster that is being deployed: events, the action's log, the node's events.
async fn paths(world: &World) -> [String; 3] {
    let cluster = create(world, "web").await;
    let (cluster, action) = deploy(world, &cluster).await;
    let node = cluster["nodes"][0].as_str().unwrap();
    [
        EVENTS.to_owned(),
        format!("{action}logs/"),
        format!("{node}events/"),
    ]
}

#[tokio::test]
async fn every_spelling_and_both_kinds_of_credentials_open_a_stream() {
    let world = still_world().await;
    let [events, logs, node] = paths(&world).await;
    let base = &world.client.base;
    for canonical in [&events, &logs, &node] {
        let resource = canonical.splitn(5, '/').nth(4).unwrap();
        let front = canonical.strip_suffix(resource).unwrap();
        let without_api = front.strip_prefix("/api").unwrap();
        for spelling in [
            canonical.clone(),
            format!("{front}dev/{resource}"),
            format!("{without_api}{resource}"),
            format!("{without_api}dev/{resource}"),
            format!("/{resource}"),
        ] {
            for path in [
                spelling.trim_end_matches('/'),
                &spelling,
                &format!("{spelling}/"),
            ] {
                let by_header = Some(world.client.credentials());
                let opened = Socket::connect(base, path, by_header, None).await;
                assert!(opened.is_ok(), "{path}: {:?}", opened.err());
                let by_query = format!("{path}?user=dev&token=dev");
                let opened = Socket::connect(base, &by_query, None, None).await;
                assert!(opened.is_ok(), "{by_query}: {:?}", opened.err());
            }
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn without_good_credentials_the_handshake_is_answered_with_401() {
    let world = still_world().await;
    let client = &world.client;
    for path in paths(&world).await {
        let cases = [
            (path.clone(), None),
            (path.clone(), Some(("dev", "wrong"))),
            (path.clone(), Some(("nobody", "dev"))),
            (format!("{path}?user=dev"), None),
            (format!("{path}?token=dev"), None),
            (format!("{path}?user=dev&token=wrong"), None),
            (format!("{path}?user=dev&token=dev&token=wrong"), None),
            // The header is what counts where there is one, and a bad one is no better for the query.
            (format!("{path}?user=dev&token=dev"), Some(("dev", "wrong"))),
            // Whatever else may be wrong, this comes first.
            (format!("{path}?flavor=sweet"), None),
            (path.replace("/v1/", "/v1/eve/"), None),
        ];
        for (path, credentials) in cases {
            let answer = refusal(client, &path, credentials).await.expect(401);
            assert!(answer.headers.contains_key("www-authenticate"), "{path}");
            assert_eq!(answer.headers["content-type"], "application/json");
        }
        let plain = reqwest::get(format!("{}{path}", client.base))
            .await
            .unwrap();
        assert_eq!(plain.status(), 401, "{path}");
    }
    world.finish().await;
}

#[tokio::test]
async fn credentials_in_the_query_are_for_streams_alone() {
    let world = still_world().await;
    let cluster = create(&world, "web").await;
    for path in [
        "/api/infra/v1/nodecluster/",
        "/api/infra/v1/node/",
        "/api/audit/v1/action/",
        text(&cluster, "resource_uri"),
        "/auth/",
    ] {
        let url = format!("{}{path}?user=dev&token=dev", world.client.base);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 401, "{path}");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_not_there_or_is_another_users_is_404() {
    let world = still_world().await;
    let [events, logs, node] = paths(&world).await;
    let eve = add_user(&world, "eve", "eves-key").await;
    for path in [&logs, &node] {
        refused(&eve, path).await.expect(404);
        refused(&world.client, &path.replace("/v1/", "/v1/eve/"))
            .await
            .expect(404);
    }
    for namespace in ["eve", "nobody"] {
        let path = events.replace("/v1/", &format!("/v1/{namespace}/"));
        let answer = refused(&world.client, &path).await.expect(404);
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    for path in [
        format!("/api/audit/v1/action/{UNKNOWN}/logs/"),
        "/api/audit/v1/action/1/logs/".to_owned(),
        format!("/api/infra/v1/node/{UNKNOWN}/events/"),
        "/api/infra/v1/node/x/events/".to_owned(),
        // Each id is one of another kind.
        logs.replace("/audit/v1/action/", "/infra/v1/node/")
            .replace("logs", "events"),
        node.replace("/infra/v1/node/", "/audit/v1/action/")
            .replace("events", "logs"),
    ] {
        refused(&world.client, &path).await.expect(404);
        // That it is not there is more to know than how it would have to be asked for.
        world.client.get(&path).await.expect(404);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_parameter_that_can_not_be_taken_is_400_and_named() {
    let world = still_world().await;
    let [events, logs, node] = paths(&world).await;
    let eve = add_user(&world, "eve", "eves-key").await;
    eve.post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);
    let hers = log(&world).await.pop().unwrap().id;
    for (path, query, named) in [
        (
            &events,
            "flavor=sweet".to_owned(),
            "\"flavor\" type object parent parents since user token",
        ),
        (
            &events,
            "type=nodes".to_owned(),
            "type \"nodes\" nodecluster",
        ),
        (
            &events,
            "object=web".to_owned(),
            "object \"web\" /api/infra/v1/nodecluster/<uuid>/",
        ),
        (&events, "parent=/node/1/".to_owned(), "parent \"/node/1/\""),
        (&events, "parents=".to_owned(), "parents \"\""),
        (&events, "since=".to_owned(), "since \"\""),
        (&events, "since=1".to_owned(), "since \"1\""),
        (&logs, "tail=-1".to_owned(), "tail \"-1\""),
        (&logs, "tail=all".to_owned(), "tail \"all\""),
        (&logs, "follow=perhaps".to_owned(), "follow \"perhaps\""),
        (
            &logs,
            "since=1".to_owned(),
            "\"since\" tail follow user token",
        ),
        (&node, "tail=1".to_owned(), "\"tail\" user token"),
    ] {
        let path = format!("{path}?{query}");
        let answer = refused(&world.client, &path).await.expect(400);
        for name in named.split(' ') {
            assert!(answer.error().contains(name), "{path}: {}", answer.error());
        }
        // Also where it is not asked for as a WebSocket.
        world.client.get(&path).await.expect(400);
    }
    // An event that there is not, or that is another user's, is not found.
    for id in [UNKNOWN.to_owned(), hers.to_string()] {
        let path = format!("{events}?since={id}");
        let answer = refused(&world.client, &path).await.expect(404);
        assert_eq!(answer.error(), format!("there is no event {id}"));
        world.client.get(&path).await.expect(404);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_plain_request_is_told_to_upgrade() {
    let world = still_world().await;
    for path in paths(&world).await {
        let answer = world.client.get(&path).await.expect(426);
        assert_eq!(answer.headers["upgrade"], "websocket");
        assert_eq!(answer.headers["sec-websocket-version"], "13");
        assert!(answer.error().contains("ws://"), "{}", answer.error());
        let answer = world
            .client
            .send(Method::POST, &path, None)
            .await
            .expect(405);
        assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
    }
    world.finish().await;
}
