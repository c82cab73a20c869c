//! What can't be taken is refused with the field and the reason, and nothing of it is left behind.

use std::collections::BTreeSet;

use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tests::{Answer, Options, World, add_user, raw_http};

mod random;
mod wrong;

use wrong::{wrong_bodies, wrong_wishes};

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
const NODES: &str = "/api/infra/v1/node/";
const ACTIONS: &str = "/api/audit/v1/action/";
const REGION: &str = "/api/infra/v1/region/aws/us-east-1/";
const NODE_TYPE: &str = "/api/infra/v1/nodetype/aws/t3.micro/";
/// The user `dev` with the key `dev`.
const BASIC: &str = "Basic ZGV2OmRldg==";

/// Without a worker nothing moves by itself, so that each change of a row is a request's.
async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// A body that would be taken, with some members replaced.
fn body_with(changes: &Value) -> Value {
    let mut body =
        json!({"name": "web", "region": REGION, "node_type": NODE_TYPE, "target_num_nodes": 2});
    if let (Value::Object(body), Value::Object(changes)) = (&mut body, changes) {
        body.extend(changes.clone());
    }
    body
}

/// How many rows there are in each table that a request can write to.
async fn rows(world: &World) -> Vec<(String, i64)> {
    let mut counts = Vec::new();
    for table in [
        "cluster",
        "node",
        "action",
        "action_log",
        "event",
        "site",
        "network",
        "launch",
        "namespace",
        "users",
    ] {
        let query = format!("SELECT count(*) FROM {table}");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_one(&world.pool)
            .await
            .expect("a count");
        counts.push((table.to_owned(), count));
    }
    counts
}

/// The answer is this refusal, in the one form that errors have.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    let members: Vec<&String> = answer.body.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["error"], "{what}");
    assert!(!answer.error().is_empty(), "{what}");
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
    let action = answer.headers.get("x-dockercloud-action-uri");
    assert_eq!(action, None, "{what}: no action was recorded");
}

#[tokio::test]
async fn what_a_new_cluster_can_not_be_is_named_and_nothing_is_written() {
    let world = still_world().await;
    let before = rows(&world).await;
    for (changes, front, words) in wrong_wishes() {
        let answer = world.client.post(CLUSTERS, &body_with(&changes)).await;
        let what = changes.to_string();
        assert_refused(&answer, 400, &what);
        assert!(
            answer.error().starts_with(front),
            "{what}: {}",
            answer.error()
        );
        assert!(answer.error().contains(words), "{what}: {}", answer.error());
        assert!(answer.error().len() < 1000, "{what}: {}", answer.error());
        assert_eq!(rows(&world).await, before, "{what}");
    }
    for (body, words) in wrong_bodies() {
        let what = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = world.client.send(Method::POST, CLUSTERS, Some(body)).await;
        assert_refused(&answer, 400, &what);
        assert!(answer.error().contains(words), "{what}: {}", answer.error());
        assert_eq!(rows(&world).await, before, "{what}");
    }
    for empty in [
        None,
        Some(Vec::new()),
        Some(b"{}".to_vec()),
        Some(b"null".to_vec()),
    ] {
        let answer = world.client.send(Method::POST, CLUSTERS, empty).await;
        assert_refused(&answer, 400, "an empty body");
        assert_eq!(answer.error(), "name: is required");
    }
    assert_eq!(rows(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn what_can_not_be_changed_so_is_named_and_none_of_the_change_is_made() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let cluster_uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = format!("{cluster_uri}deploy/");
    let cluster = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node_uri = cluster["nodes"][0].as_str().unwrap();
    let node = world.fetch(node_uri).await;
    let before = rows(&world).await;

    let of_clusters = [
        "name: ",
        "region: ",
        "node_type: ",
        "disk: ",
        "provider_options",
    ];
    let of_nodes = ["tags", "nickname: "];
    for (changes, front, words) in wrong_wishes() {
        // What can't be changed is not looked at: the original Go client sends it along.
        let is_for_cluster = !of_clusters.iter().any(|field| front.starts_with(field));
        let is_for_node = of_nodes.iter().any(|field| front.starts_with(field));
        for (uri, is_for_it) in [(cluster_uri, is_for_cluster), (node_uri, is_for_node)] {
            if !is_for_it {
                continue;
            }
            // What stands beside it would be taken.
            let mut changes = changes.clone();
            for (member, value) in [
                ("tags", json!([{"name": "new"}])),
                ("nickname", json!("new")),
            ] {
                if changes.get(member).is_none() {
                    changes[member] = value;
                }
            }
            let answer = world.client.patch(uri, &changes).await;
            let what = format!("{uri} {changes}");
            assert_refused(&answer, 400, &what);
            assert!(
                answer.error().starts_with(front),
                "{what}: {}",
                answer.error()
            );
            assert!(answer.error().contains(words), "{what}: {}", answer.error());
        }
    }
    for (body, words) in wrong_bodies() {
        for uri in [cluster_uri, node_uri] {
            let answer = world
                .client
                .send(Method::PATCH, uri, Some(body.clone()))
                .await;
            assert_refused(&answer, 400, uri);
            assert!(answer.error().contains(words), "{}", answer.error());
        }
    }
    assert_eq!(rows(&world).await, before);
    assert_eq!(world.fetch(cluster_uri).await, cluster);
    assert_eq!(world.fetch(node_uri).await, node);
    world.finish().await;
}

#[tokio::test]
async fn what_the_state_forbids_is_refused_with_the_state() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = format!("{uri}deploy/");
    let deployed = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node = deployed["nodes"][0].as_str().unwrap();

    let refused = async |method: Method, path: &str, body: Value, state: &str| {
        let before = rows(&world).await;
        let sent = Some(body.to_string().into_bytes());
        let answer = world.client.send(method.clone(), path, sent).await;
        assert_refused(&answer, 400, &format!("{method} {path}"));
        let named = format!("\"{state}\"");
        assert!(answer.error().contains(&named), "{}", answer.error());
        assert_eq!(rows(&world).await, before);
    };
    refused(Method::POST, &deploy, json!({}), "Deploying").await;
    refused(
        Method::PATCH,
        uri,
        json!({"target_num_nodes": 2}),
        "Deploying",
    )
    .await;
    refused(Method::DELETE, uri, json!({}), "Deploying").await;
    refused(Method::DELETE, node, json!({}), "Deploying").await;

    let more = json!({"name": "other"});
    let other = world.create("us-east-1", "t3.micro", 1, more).await;
    let uri = other["resource_uri"].as_str().unwrap();
    let gone = world.client.delete(uri).await.expect(202);
    assert_eq!(gone.body["state"], "Terminated");
    let deploy = format!("{uri}deploy/");
    refused(Method::POST, &deploy, json!({}), "Terminated").await;
    refused(
        Method::PATCH,
        uri,
        json!({"target_num_nodes": 2}),
        "Terminated",
    )
    .await;
    refused(
        Method::PATCH,
        uri,
        json!({"nickname": "late", "tags": []}),
        "Terminated",
    )
    .await;
    refused(Method::DELETE, uri, json!({}), "Terminated").await;
    world.finish().await;
}

#[tokio::test]
async fn who_is_not_known_gets_401_everywhere_and_changes_nothing() {
    let world = still_world().await;
    add_user(&world, "eve", "eves-key").await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let before = rows(&world).await;
    let client = reqwest::Client::new();
    let headers = [
        None,
        Some(""),
        Some("Basic"),
        Some("Basic "),
        Some("Basic !!!"),
        // dev:wrong
        Some("Basic ZGV2Ondyb25n"),
        // dev: and dev without a colon
        Some("Basic ZGV2Og=="),
        Some("Basic ZGV2"),
        // dev:eves-key, nobody:dev, DEV:dev
        Some("Basic ZGV2OmV2ZXMta2V5"),
        Some("Basic bm9ib2R5OmRldg=="),
        Some("Basic REVWOmRldg=="),
        // Bytes that are no text, and a user with U+0000.
        Some("Basic /zpk"),
        Some("Basic AGRldjpkZXY="),
        Some("Bearer ZGV2OmRldg=="),
        Some("ApiKey dev:dev"),
        Some("dev:dev"),
    ];
    let deploy = format!("{uri}deploy/");
    let wish = body_with(&json!({"name": "theirs"})).to_string();
    for header in headers {
        for (method, path, body) in [
            (Method::GET, CLUSTERS, ""),
            (Method::POST, CLUSTERS, wish.as_str()),
            (Method::POST, CLUSTERS, "{"),
            (Method::GET, uri, ""),
            (Method::PATCH, uri, "{\"target_num_nodes\": 2}"),
            (Method::DELETE, uri, ""),
            (Method::POST, deploy.as_str(), ""),
            (Method::GET, NODES, ""),
            (Method::GET, ACTIONS, ""),
            (Method::GET, "/api/infra/v1/eve/nodecluster/", ""),
            (Method::GET, "/api/infra/v1/nodecluster/no-id/", ""),
            (Method::GET, REGION, ""),
            (Method::GET, "/nodetype", ""),
        ] {
            let mut request = client
                .request(method.clone(), format!("{}{path}", world.client.base))
                .body(body.to_owned());
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            let response = request.send().await.unwrap();
            let what = format!("{method} {path} {header:?}");
            assert_eq!(response.status(), 401, "{what}");
            let challenge = &response.headers()["www-authenticate"];
            assert_eq!(
                challenge,
                &HeaderValue::from_static("Basic realm=\"berth\", charset=\"UTF-8\"")
            );
            assert_eq!(response.headers()["content-type"], "application/json");
            let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            assert!(
                answer["error"].as_str().is_some_and(|e| !e.is_empty()),
                "{what}: {answer}"
            );
        }
    }
    assert_eq!(rows(&world).await, before);
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs/"] {
        let open = client
            .get(format!("{}{path}", world.client.base))
            .send()
            .await
            .unwrap();
        assert_eq!(open.status(), 200, "{path} is for everybody");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_not_there_is_404_and_so_is_what_is_another_users() {
    let world = still_world().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = format!("{uri}deploy/");
    let deployed = world.client.post(&deploy, &json!({})).await.expect(202);
    let node = deployed.body["nodes"][0].as_str().unwrap();
    let action = deployed.action_uri();
    let before = rows(&world).await;

    let unknown = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf";
    let malformed = [
        unknown,
        "1",
        "no-id",
        "00cc59e1c605403ca5fb3269b6a0d6bf",
        "%7B00cc59e1-c605-403c-a5fb-3269b6a0d6bf%7D",
        "urn:uuid:00cc59e1-c605-403c-a5fb-3269b6a0d6bf",
        "00000000-0000-0000-0000-000000000000",
        "%00",
        "%ff",
        "%F0%9F%8D%BA",
        "..%2F..%2Fetc",
    ];
    let long = "a".repeat(5000);
    for id in malformed.into_iter().chain([long.as_str()]) {
        for (method, path) in [
            (Method::GET, format!("{CLUSTERS}{id}/")),
            (Method::PATCH, format!("{CLUSTERS}{id}/")),
            (Method::DELETE, format!("{CLUSTERS}{id}/")),
            (Method::POST, format!("{CLUSTERS}{id}/deploy/")),
            (Method::GET, format!("/nodecluster/{id}")),
            (Method::GET, format!("{NODES}{id}/")),
            (Method::PATCH, format!("{NODES}{id}/")),
            (Method::DELETE, format!("{NODES}{id}/")),
            (Method::GET, format!("{ACTIONS}{id}/")),
        ] {
            let body = Some(b"{\"tags\": []}".to_vec());
            let answer = world.client.send(method.clone(), &path, body).await;
            assert_refused(&answer, 404, &format!("{method} {path}"));
        }
    }

    // The objects of dev as eve sees them: not at all, whichever namespace the path has.
    let node_uuid = node.rsplit('/').nth(1).unwrap();
    let in_devs = uri.replace("/v1/", "/v1/dev/");
    let in_eves = uri.replace("/v1/", "/v1/eve/");
    let eves_node = format!("/api/infra/v1/eve/node/{node_uuid}/");
    for (method, path) in [
        (Method::GET, uri),
        (Method::PATCH, uri),
        (Method::DELETE, uri),
        (Method::POST, deploy.as_str()),
        (Method::GET, in_devs.as_str()),
        (Method::GET, in_eves.as_str()),
        (Method::DELETE, in_devs.as_str()),
        (Method::GET, node),
        (Method::GET, eves_node.as_str()),
        (Method::PATCH, node),
        (Method::DELETE, node),
        (Method::GET, action.as_str()),
        (Method::GET, "/api/infra/v1/dev/nodecluster/"),
        (Method::GET, "/api/infra/v1/dev/node/"),
        (Method::GET, "/api/audit/v1/dev/action/"),
        (Method::GET, "/api/infra/v1/nobody/nodecluster/"),
    ] {
        let body = Some(b"{\"nickname\": \"mine\"}".to_vec());
        let answer = eve.send(method.clone(), path, body).await;
        assert_refused(&answer, 404, &format!("{method} {path}"));
    }
    let wish = body_with(&json!({"name": "eves"}));
    let refused = eve.post("/api/infra/v1/dev/nodecluster/", &wish).await;
    assert_refused(&refused, 404, "a cluster in another's namespace");
    let refused = world
        .client
        .post("/api/infra/v1/eve/nodecluster/", &wish)
        .await;
    assert_refused(&refused, 404, "a cluster in another's namespace");
    assert!(refused.error().contains("eve"), "{}", refused.error());
    for list in [CLUSTERS, NODES, ACTIONS] {
        let answer = eve.get(list).await.expect(200).body;
        assert_eq!(answer["meta"]["total_count"], 0, "{list}: {answer}");
    }

    for path in [
        "/",
        "/api/",
        "/api/infra/v1/",
        "/api/infra/v2/nodecluster/",
        "/api/infra/v1/nodeclusters/",
        "/api/infra/v1/dev/",
        "/api/infra/v1/dev/dev/nodecluster/",
        "/api/audit/v1/nodecluster/",
        "/api/infra/v1/provider/azure/",
        "/api/infra/v1/region/aws/us-middle-1/",
        "/api/infra/v1/region/azure/us-east-1/",
        "/api/infra/v1/az/aws/us-east-1/us-east-2a/",
        "/api/infra/v1/az/aws/us-east-1/us-east-1z/",
        "/api/infra/v1/nodetype/aws/t9.mega/",
        "/api/infra/v1/nodetype/aws/%ff/",
        "/api/infra/v1/nodetype/aws/",
        "/admin",
        "/docs/../etc/passwd",
        "/docs/nothing.js",
    ] {
        let answer = world.client.get(path).await;
        assert_refused(&answer, 404, path);
    }
    assert_eq!(rows(&world).await, before);
    assert_eq!(world.fetch(uri).await, deployed.body);
    world.finish().await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_with_those_that_it_has() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = format!("{uri}deploy/");
    let before = rows(&world).await;
    let paths: [(&str, &[&str]); 10] = [
        (CLUSTERS, &["GET", "HEAD", "POST"]),
        (uri, &["DELETE", "GET", "HEAD", "PATCH"]),
        (&deploy, &["POST"]),
        (NODES, &["GET", "HEAD"]),
        (ACTIONS, &["GET", "HEAD"]),
        (REGION, &["GET", "HEAD"]),
        ("/api/infra/v1/provider/", &["GET", "HEAD"]),
        ("/api/infra/v1/dev/nodecluster", &["GET", "HEAD", "POST"]),
        ("/nodecluster", &["GET", "HEAD", "POST"]),
        ("/healthz", &["GET", "HEAD"]),
    ];
    for (path, allowed) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.contains(&method) {
                continue;
            }
            let asked = Method::from_bytes(method.as_bytes()).unwrap();
            let wish = body_with(&json!({"name": "other"}))
                .to_string()
                .into_bytes();
            let answer = world.client.send(asked, path, Some(wish)).await;
            assert_refused(&answer, 405, &format!("{method} {path}"));
            let allow = answer.headers["allow"].to_str().unwrap();
            let named: BTreeSet<&str> = allow.split(',').map(str::trim).collect();
            let expected: BTreeSet<&str> = allowed.iter().copied().collect();
            assert_eq!(named, expected, "{method} {path}");
            assert!(answer.error().contains(method), "{}", answer.error());
        }
    }
    assert_eq!(rows(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn a_name_is_taken_while_its_cluster_lives_and_free_again_afterwards() {
    let world = World::start().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 1, json!({})).await;
    let before = rows(&world).await;
    let answer = world.client.post(CLUSTERS, &body_with(&json!({}))).await;
    assert_refused(&answer, 409, "the same name");
    assert!(answer.error().contains("\"web\""), "{}", answer.error());
    assert_eq!(rows(&world).await, before);

    // A name is a namespace's own matter.
    let eves = eve.post(CLUSTERS, &body_with(&json!({}))).await.expect(201);
    assert_refused(
        &eve.post(CLUSTERS, &body_with(&json!({}))).await,
        409,
        "eve's own",
    );

    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");
    let again = world
        .client
        .post(CLUSTERS, &body_with(&json!({})))
        .await
        .expect(201);
    assert_ne!(again.body["uuid"], cluster["uuid"]);
    let uri = again.body["resource_uri"].as_str().unwrap();
    world.client.delete(uri).await.expect(202);
    let third = world
        .client
        .post(CLUSTERS, &body_with(&json!({})))
        .await
        .expect(201);
    assert_ne!(third.body["uuid"], eves.body["uuid"]);
    world.finish().await;
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let world = still_world().await;
    let requests: Vec<_> = (0..12)
        .map(|_| {
            let client = world.client.clone();
            tokio::spawn(async move { client.post(CLUSTERS, &body_with(&json!({}))).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..].iter().all(|status| *status == 409),
        "{statuses:?}"
    );
    let counts = rows(&world).await;
    for table in ["cluster", "action"] {
        let count = counts.iter().find(|(name, _)| name == table).unwrap().1;
        assert_eq!(count, 1, "{table}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let before = rows(&world).await;
    let limit = 1024 * 1024;
    for (method, path) in [("POST", CLUSTERS), ("PATCH", uri)] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: berth\r\nAuthorization: {BASIC}\r\nConnection: close\r\n"
        );
        // Announced: refused before it is sent.
        let announced = format!("{head}Content-Length: {}\r\n\r\n", limit + 1).into_bytes();
        // Not announced: refused when so much of it has come.
        let mut chunked = format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            limit + 1
        )
        .into_bytes();
        chunked.extend(vec![b' '; limit + 1]);
        for request in [announced, chunked] {
            let answer = raw_http(&world.client.base, request).await;
            assert_eq!(answer.status_line, "HTTP/1.1 413 PAYLOAD TOO LARGE");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["error"], "the body is larger than 1048576 bytes");
        }
    }
    // An ordinary client, which writes all of it before it reads.
    let huge = body_with(&json!({"nickname": "x".repeat(3 * limit)}));
    let answer = world.client.post(CLUSTERS, &huge).await;
    assert_refused(&answer, 413, "three times the limit");
    assert_eq!(rows(&world).await, before);

    // At the limit it is looked at.
    let mut just = body_with(&json!({"name": "just", "comment": ""}));
    just["comment"] = json!("x".repeat(limit - just.to_string().len()));
    assert_eq!(just.to_string().len(), limit);
    world.client.post(CLUSTERS, &just).await.expect(201);
    world.finish().await;
}
