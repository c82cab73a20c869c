//! What stands between the network and the handlers: rates, connections, time-outs, headers, and from where a request is.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tests::{Client, Options, World, add_user, fresh_token, wait_for};

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";

async fn world(edge: impl FnOnce(api::Edge) -> api::Edge) -> World {
    let options = Options {
        with_worker: false,
        ..Options::default()
    };
    World::with(Options {
        edge: edge(options.edge.clone()),
        ..options
    })
    .await
}

fn retry_after(answer: &tests::Answer) -> u64 {
    let value = answer.headers.get("retry-after").expect("Retry-After");
    value.to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn wrong_keys_are_refused_after_a_while_and_whoever_was_right_is_not() {
    let world = world(|edge| api::Edge {
        failed_logins_per_minute: 5,
        ..edge
    })
    .await;
    world.client.get(CLUSTERS).await.expect(200);
    let guesser = |attempt: u32| world.client.as_user("dev", &format!("guess {attempt}"));
    for attempt in 0..5 {
        guesser(attempt).get(CLUSTERS).await.expect(401);
    }
    let refused = guesser(5).get(CLUSTERS).await.expect(429);
    assert!(
        (1..=60).contains(&retry_after(&refused)),
        "{}",
        refused.text
    );
    assert!(
        refused.error().starts_with("too many wrong keys"),
        "{}",
        refused.text
    );
    // Every way in is one.
    let query = format!("{CLUSTERS}?user=dev&token=guess");
    world
        .client
        .as_user("dev", "guess")
        .get(&query)
        .await
        .expect(429);
    let agent = reqwest::Client::new()
        .post(format!("{}/api/agent/v1/node/", world.client.base))
        .header(
            "authorization",
            "TutumAgentToken 00000000000000000000000000000000",
        );
    assert_eq!(agent.send().await.unwrap().status(), 429);
    // Whose key was right lately has it looked up, whoever shares the address.
    world.client.get(CLUSTERS).await.expect(200);
    // A revoked one is worth nothing even so.
    sqlx::query("DELETE FROM api_key")
        .execute(&world.pool)
        .await
        .unwrap();
    world.client.get(CLUSTERS).await.expect(401);
    world.client.get(CLUSTERS).await.expect(429);
    world.finish().await;
}

#[tokio::test]
async fn agents_are_not_slowed_down_by_the_rates_of_users() {
    let world = world(|edge| api::Edge {
        failed_logins_per_minute: 1,
        requests_per_second: 1,
        ..edge
    })
    .await;
    let token = fresh_token(&world).await;
    let header = format!("TutumAgentToken {token}");
    let http = reqwest::Client::new();
    let url = format!("{}/api/agent/v1/node/", world.client.base);
    let node: serde_json::Value = http
        .post(&url)
        .header("authorization", &header)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    world
        .client
        .as_user("dev", "wrong")
        .get(CLUSTERS)
        .await
        .expect(401);
    let own = format!(
        "{}{}",
        world.client.base,
        node["resource_uri"].as_str().unwrap()
    );
    for _ in 0..200 {
        let asked = http.get(&own).header("authorization", &header);
        assert_eq!(asked.send().await.unwrap().status(), 200);
    }
    world.finish().await;
}

#[tokio::test]
async fn agents_of_removed_nodes_are_no_guessers() {
    let world = world(|edge| api::Edge {
        failed_logins_per_minute: 1,
        ..edge
    })
    .await;
    let token = fresh_token(&world).await;
    let http = reqwest::Client::new();
    let base = &world.client.base;
    let ask = |method: Method, path: String| {
        let asked = http.request(method, format!("{base}{path}"));
        asked.header("authorization", format!("TutumAgentToken {token}"))
    };
    let made = ask(Method::POST, "/api/agent/v1/node/".to_owned()).send();
    let node: serde_json::Value = made.await.unwrap().json().await.unwrap();
    let own = node["resource_uri"].as_str().unwrap().to_owned();
    sqlx::query("UPDATE node SET state = 'Terminated', destroyed_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let beat = json!({"agent_version": "1", "cpu": 1, "memory": 1, "disk": 1, "containers": 0, "private_ips": []});
    for _ in 0..5 {
        let asked = ask(Method::GET, own.clone()).send().await.unwrap();
        assert_eq!(asked.status(), 401);
        let beating = ask(Method::POST, format!("{own}heartbeat/")).body(beat.to_string());
        assert_eq!(beating.send().await.unwrap().status(), 401);
    }
    // Who guesses from there has as many guesses as ever.
    let guesser = world.client.as_user("dev", "guess");
    guesser.get(CLUSTERS).await.expect(401);
    guesser.get(CLUSTERS).await.expect(429);
    world.finish().await;
}

#[tokio::test]
async fn a_user_who_asks_too_much_waits_and_nobody_else_does() {
    let world = world(|edge| api::Edge {
        requests_per_second: 1,
        ..edge
    })
    .await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let mut refused = None;
    // Five may come at once, and one more each second.
    for _ in 0..1_000 {
        let answer = eve.get(CLUSTERS).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal").expect(429);
    assert!(
        refused
            .error()
            .starts_with("too many requests of this user"),
        "{}",
        refused.text
    );
    assert_eq!(retry_after(&refused), 1);
    world.client.get(CLUSTERS).await.expect(200);
    wait_for("eve's turn", || async {
        (eve.get(CLUSTERS).await.status == 200).then_some(())
    })
    .await;
    world.finish().await;
}

/// Connects, and says nothing.
fn connect(client: &Client) -> TcpStream {
    let address = client.base.trim_start_matches("http://");
    let stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// What comes until the server closes the connection.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let reading = move || {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the connection is not closed: {error}"),
        }
    };
    tokio::task::spawn_blocking(reading).await.unwrap()
}

#[tokio::test]
async fn whoever_is_slow_to_ask_is_closed_and_keeps_nobody_waiting() {
    let world = world(|edge| api::Edge {
        head_patience: Duration::from_millis(500),
        ..edge
    })
    .await;
    let silent = connect(&world.client);
    let mut slow = connect(&world.client);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .unwrap();
    // Byte for byte, for as long as it is let.
    let drip = std::thread::spawn({
        let mut slow = slow.try_clone().unwrap();
        move || {
            while slow.write_all(b"a").is_ok() {
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
    });
    world.client.get(CLUSTERS).await.expect(200);
    assert!(rest(silent).await.is_empty());
    let said = String::from_utf8(rest(slow).await).unwrap();
    assert!(!said.contains(" 200 "), "{said}");
    drip.join().unwrap();
    world.finish().await;
}

// The test itself waits for what the service says.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_no_more_connections_than_it_may() {
    let world = world(|edge| api::Edge {
        connections_per_address: 3,
        ..edge
    })
    .await;
    let answers = |stream: &mut TcpStream| {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    };
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect(&world.client)).collect();
    open.iter_mut().for_each(answers);
    assert!(rest(connect(&world.client)).await.is_empty());
    // Those that are open go on, and one that ends makes room.
    open.pop();
    wait_for("room for another connection", || async {
        (reqwest::get(format!("{}/healthz", world.client.base))
            .await
            .is_ok())
        .then_some(())
    })
    .await;
    drop(open);
    world.finish().await;
}

// The test itself waits for what the service does not say.
#[tokio::test(flavor = "multi_thread")]
async fn further_connections_than_there_may_be_wait_for_their_turn() {
    let world = world(|edge| api::Edge {
        connections: 1,
        ..edge
    })
    .await;
    let first = connect(&world.client);
    let mut second = connect(&world.client);
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    // A server that took both would answer well within this.
    second
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let early = second.read(&mut [0]).unwrap_err().kind();
    assert!(
        matches!(early, ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{early}"
    );
    second
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    drop(first);
    let said = String::from_utf8(rest(second).await).unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    world.finish().await;
}

#[tokio::test]
async fn every_answer_bears_the_headers_that_keep_browsers_from_mischief() {
    let world = world(|edge| edge).await;
    for path in [CLUSTERS, "/nowhere", "/healthz", "/openapi.json", "/docs/"] {
        let answer = world.client.get(path).await;
        let header = |name: &str| answer.headers.get(name).map(|it| it.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
        let policy = header("content-security-policy").unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        let is_page = path == "/docs/";
        assert_eq!(policy.contains("'self'"), is_page, "{path}: {policy}");
        assert_eq!(
            header("cache-control") == Some("no-store"),
            !is_page,
            "{path}"
        );
        // By plain HTTP it would be a lie.
        assert_eq!(header("strict-transport-security"), None, "{path}");
        assert_eq!(header("server"), None, "{path}");
    }
    world.finish().await;
}

/// The address that the audit log has of a request with these headers.
async fn recorded(world: &World, forwarded: &[&str]) -> String {
    let mut request = reqwest::Client::new()
        .request(Method::POST, format!("{}/token", world.client.base))
        .basic_auth("dev", Some("dev"));
    for value in forwarded {
        request = request.header("x-forwarded-for", *value);
    }
    assert_eq!(request.send().await.unwrap().status(), 201);
    let log = world.client.get("/action?limit=1").await.expect(200).body;
    log["objects"][0]["ip"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_address_of_a_request_is_what_a_trusted_proxy_says_and_nobody_else() {
    let direct = world(|edge| edge).await;
    assert_eq!(recorded(&direct, &["198.51.100.1"]).await, "127.0.0.1");
    direct.finish().await;

    let behind = world(|edge| api::Edge {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        failed_logins_per_minute: 2,
        ..edge
    })
    .await;
    assert_eq!(recorded(&behind, &[]).await, "127.0.0.1");
    assert_eq!(
        recorded(&behind, &["203.0.113.9, 198.51.100.1"]).await,
        "198.51.100.1"
    );
    // An agent's machine is where the load balancer says.
    let token = fresh_token(&behind).await;
    let node: serde_json::Value = reqwest::Client::new()
        .post(format!("{}/api/agent/v1/node/", behind.client.base))
        .header("authorization", format!("TutumAgentToken {token}"))
        .header("x-forwarded-for", "198.51.100.77")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(node["public_ip"], "198.51.100.77", "{node}");
    // And the wrong keys of one client are not counted against another.
    let guess = |from: &'static str| {
        let request = reqwest::Client::new().get(format!("{}{CLUSTERS}", behind.client.base));
        let request = request
            .basic_auth("dev", Some("guess"))
            .header("x-forwarded-for", from);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(guess("198.51.100.1").await, 401);
    assert_eq!(guess("198.51.100.1").await, 401);
    assert_eq!(guess("198.51.100.1").await, 429);
    assert_eq!(guess("198.51.100.2").await, 401);
    behind.finish().await;
}

#[tokio::test]
async fn a_user_agent_is_recorded_up_to_a_length() {
    let world = world(|edge| edge).await;
    let long = "x".repeat(5_000);
    let request = reqwest::Client::new()
        .post(format!("{}/token", world.client.base))
        .basic_auth("dev", Some("dev"))
        .header("user-agent", &long)
        .body(json!({}).to_string());
    assert_eq!(request.send().await.unwrap().status(), 201);
    let log = world.client.get("/action?limit=1").await.expect(200).body;
    assert_eq!(log["objects"][0]["user_agent"].as_str().unwrap().len(), 512);
    world.finish().await;
}
