//! What can't be taken is refused with the field and the reason, and nothing of it is left behind.

use std::collections::BTreeSet;

use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tests::{Answer, Client, Options, World, raw_http};

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

/// Members of a wish, and what the error must begin with and contain.
fn wrong_wishes() -> Vec<(Value, &'static str, &'static str)> {
    let options = |options: Value| json!({"provider_options": options});
    let vpc = |vpc: Value| json!({"provider_options": {"vpc": vpc}});
    let tags: Vec<Value> = (0..101).map(|n| json!({"name": format!("t{n}")})).collect();
    let groups: Vec<String> = (0..6).map(|n| format!("sg-0000000{n}")).collect();
    vec![
        (json!({"name": null}), "name: ", "is required"),
        (json!({"name": ""}), "name: ", "is required"),
        (json!({"name": 5}), "name: ", "5 is not a text"),
        (json!({"name": ["web"]}), "name: ", "is not a text"),
        (json!({"name": "my web"}), "name: ", "\"my web\""),
        (json!({"name": "wéb"}), "name: ", "letters, digits"),
        (json!({"name": "a/b"}), "name: ", "letters, digits"),
        (json!({"name": "web\n"}), "name: ", "letters, digits"),
        (json!({"name": "x".repeat(129)}), "name: ", "at most 128"),
        (json!({"name": "we\0b"}), "name: ", "U+0000"),
        (json!({"region": null}), "region: ", "is required"),
        (json!({"region": ""}), "region: ", "is required"),
        (json!({"region": 1}), "region: ", "1 is not a text"),
        (
            json!({"region": "/api/infra/v1/region/aws/us-middle-1/"}),
            "region: ",
            "there is no region \"us-middle-1\"",
        ),
        (
            json!({"region": "/api/infra/v1/region/"}),
            "region: ",
            "a region is /api/infra/v1/region/aws/us-east-1/",
        ),
        (
            json!({"region": "/api/infra/v1/region/azure/us-east-1/"}),
            "region: ",
            "is no URI of this kind",
        ),
        (json!({"region": "a/b/c/d"}), "region: ", "\"a/b/c/d\""),
        (
            json!({"region": "////"}),
            "region: ",
            "is no URI of this kind",
        ),
        (
            json!({"region": NODE_TYPE}),
            "region: ",
            "is no URI of this kind",
        ),
        (json!({"region": "us-east-1\0"}), "region: ", "U+0000"),
        (json!({"node_type": null}), "node_type: ", "is required"),
        (json!({"node_type": {}}), "node_type: ", "{} is not a text"),
        (
            json!({"node_type": "/api/infra/v1/nodetype/aws/t9.mega/"}),
            "node_type: ",
            "there is no node type \"t9.mega\"",
        ),
        (
            json!({"node_type": "/api/infra/v1/nodetype/"}),
            "node_type: ",
            "is no URI of this kind",
        ),
        (
            json!({"node_type": REGION}),
            "node_type: ",
            "is no URI of this kind",
        ),
        (
            json!({"node_type": "/api/infra/v1/nodetype/aws/m3.medium/", "region": "/api/infra/v1/region/aws/eu-west-2/"}),
            "node_type: ",
            "\"m3.medium\" is offered in no zone of eu-west-2",
        ),
        (
            json!({"target_num_nodes": -1}),
            "target_num_nodes: ",
            "-1 is out of range; it must be from 0 to 1000",
        ),
        (
            json!({"target_num_nodes": 1001}),
            "target_num_nodes: ",
            "1001 is out of range",
        ),
        (
            json!({"target_num_nodes": "1001"}),
            "target_num_nodes: ",
            "1001 is out of range",
        ),
        (
            json!({"target_num_nodes": i64::MAX}),
            "target_num_nodes: ",
            "out of range",
        ),
        (
            json!({"target_num_nodes": u64::MAX}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": "x"}),
            "target_num_nodes: ",
            "\"x\" is not a whole number",
        ),
        (
            json!({"target_num_nodes": ""}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": 1.5}),
            "target_num_nodes: ",
            "1.5 is not a whole number",
        ),
        (
            json!({"target_num_nodes": 1e300}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": "9".repeat(400)}),
            "target_num_nodes: ",
            "whole number",
        ),
        (
            json!({"target_num_nodes": true}),
            "target_num_nodes: ",
            "true is not a whole number",
        ),
        (
            json!({"target_num_nodes": [2]}),
            "target_num_nodes: ",
            "[2] is not a whole number",
        ),
        (
            json!({"disk": 7}),
            "disk: ",
            "7 is out of range; it must be from 8 to 16384",
        ),
        (json!({"disk": 16385}), "disk: ", "16385 is out of range"),
        (json!({"disk": -60}), "disk: ", "-60 is out of range"),
        (
            json!({"disk": "60 GB"}),
            "disk: ",
            "\"60 GB\" is not a whole number",
        ),
        (
            json!({"disk": 60.5}),
            "disk: ",
            "60.5 is not a whole number",
        ),
        (
            json!({"nickname": "x".repeat(129)}),
            "nickname: ",
            "at most 128",
        ),
        (
            json!({"nickname": "a\u{1b}[31m"}),
            "nickname: ",
            "control characters",
        ),
        (json!({"nickname": {}}), "nickname: ", "is not a text"),
        (json!({"tags": "web"}), "tags: ", "\"web\" is not a list"),
        (json!({"tags": {"name": "web"}}), "tags: ", "is not a list"),
        (
            json!({"tags": ["web"]}),
            "tags[0]: ",
            "\"web\" is not an object",
        ),
        (
            json!({"tags": [{"name": "a"}, {}]}),
            "tags[1].name: ",
            "is required",
        ),
        (
            json!({"tags": [{"name": 5}]}),
            "tags[0].name: ",
            "5 is not a text",
        ),
        (json!({"tags": [{"name": ""}]}), "tags: ", "1 to 128"),
        (
            json!({"tags": [{"name": "x".repeat(129)}]}),
            "tags: ",
            "1 to 128",
        ),
        (
            json!({"tags": [{"name": "a\0"}]}),
            "tags[0].name: ",
            "U+0000",
        ),
        (
            json!({"tags": tags}),
            "tags: ",
            "101 tags were given; at most 100",
        ),
        (
            options(json!("vpc-0a1b2c3d")),
            "provider_options: ",
            "is not an object",
        ),
        (
            options(json!([])),
            "provider_options: ",
            "[] is not an object",
        ),
        (
            options(json!({"vpc": "vpc-0a1b2c3d"})),
            "provider_options.vpc: ",
            "is not an object",
        ),
        (
            vpc(json!({"id": 5})),
            "provider_options.vpc.id: ",
            "5 is not a text",
        ),
        (
            vpc(json!({"id": "vpc-xxxxxxxx"})),
            "provider_options.vpc.id: ",
            "\"vpc-xxxxxxxx\"",
        ),
        (
            vpc(json!({"id": "vpc-0A1B2C3D"})),
            "provider_options.vpc.id: ",
            "hexadecimal",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3"})),
            "provider_options.vpc.id: ",
            "8 or 17",
        ),
        (
            vpc(json!({"id": "subnet-0a1b2c3d"})),
            "provider_options.vpc.id: ",
            "vpc-",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": "subnet-0a1b2c3d"})),
            "provider_options.vpc.subnets: ",
            "is not a list",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": ["sg-0a1b2c3d"]})),
            "provider_options.vpc.subnets: ",
            "\"sg-0a1b2c3d\"",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d", 5]})),
            "provider_options.vpc.subnets[1]: ",
            "is not a text",
        ),
        (
            vpc(json!({"subnets": ["subnet-0a1b2c3d"]})),
            "provider_options.vpc.id: ",
            "is required",
        ),
        (
            vpc(json!({"id": "", "security_groups": ["sg-0a1b2c3d"]})),
            "provider_options.vpc.id: ",
            "is required",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "security_groups": ["sg-1"]})),
            "provider_options.vpc.security_groups: ",
            "\"sg-1\"",
        ),
        (
            vpc(json!({"id": "vpc-0a1b2c3d", "security_groups": groups})),
            "provider_options.vpc.security_groups: ",
            "at most 5",
        ),
        (
            options(json!({"iam": []})),
            "provider_options.iam: ",
            "is not an object",
        ),
        (
            options(
                json!({"iam": {"instance_profile_name": "arn:aws:iam::123456789012:instance-profile/web"}}),
            ),
            "provider_options.iam.instance_profile_name: ",
            "not its ARN",
        ),
        (
            options(json!({"iam": {"instance_profile_name": "a b"}})),
            "provider_options.iam.instance_profile_name: ",
            "\"a b\"",
        ),
        (
            options(json!({"iam": {"instance_profile_name": 5}})),
            "provider_options.iam.instance_profile_name: ",
            "is not a text",
        ),
    ]
}

/// Bodies that are no wish at all, and what the error must contain.
fn wrong_bodies() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"{\"name\": ".to_vec(), "the body is not JSON: EOF"),
        (b"{\"name\": \"web\",}".to_vec(), "line 1 column 16"),
        (b"{} {}".to_vec(), "the body is not JSON: trailing"),
        (b"name=web".to_vec(), "the body is not JSON"),
        (
            b"[{\"name\": \"web\"}]".to_vec(),
            "the body must be a JSON object",
        ),
        (
            b"\"web\"".to_vec(),
            "the body must be a JSON object, not \"web\"",
        ),
        (b"5".to_vec(), "the body must be a JSON object, not 5"),
        ("[".repeat(200_000).into_bytes(), "recursion"),
        (
            format!("{{\"tags\": {}", "[".repeat(100_000)).into_bytes(),
            "recursion",
        ),
        ("{\"a\":".repeat(100_000).into_bytes(), "recursion"),
        (b"{\"name\": \"\xff\xfe\"}".to_vec(), "not UTF-8"),
        (
            b"{\"name\": \"we\0b\"}".to_vec(),
            "the body is not JSON: control character",
        ),
        (b"\0".to_vec(), "the body is not JSON"),
        (b"{\"name\": \"\\ud800\"}".to_vec(), "the body is not JSON"),
        ("\u{feff}{}".as_bytes().to_vec(), "the body is not JSON"),
    ]
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

/// Makes another user, with a namespace of their own.
async fn add_user(world: &World, name: &str, key: &str) -> Client {
    let mut connection = world.pool.acquire().await.expect("a connection");
    store::access::add_key(&mut connection, name, &api::auth::key_digest(key))
        .await
        .expect("a user");
    world.client.as_user(name, key)
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

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).expect("it is below a usize")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Some value of JSON.
    fn value(&mut self, depth: usize) -> Value {
        let texts = [
            "",
            "web",
            "us-east-1",
            REGION,
            NODE_TYPE,
            "vpc-0a1b2c3d",
            "subnet-0a1b2c3d",
            "sg-0a1b2c3d",
            "\0",
            "a\u{0}b",
            "\u{feff}",
            "\u{202e}",
            "🍺",
            "'; DROP TABLE cluster; --",
            "${jndi:x}",
            "%00",
            "../..",
            "-1",
            "1e9",
            "0x10",
        ];
        match self.below(if depth > 0 { 12 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(2000)),
            3 => json!(-1),
            4 => json!(*self.pick(&[0.5, -0.0, 1e300, 1e-300, 4294967296.0, 9.3e18])),
            5 => json!(*self.pick(&[i64::MIN, i64::MAX, 4_294_967_296, 2_147_483_648])),
            6 | 7 => json!(*self.pick(&texts)),
            8 => json!("x".repeat(self.below(300))),
            9 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            10 => json!([{"name": self.value(0)}]),
            _ => {
                let names = [
                    "id",
                    "name",
                    "subnets",
                    "security_groups",
                    "vpc",
                    "iam",
                    "instance_profile_name",
                    "\0",
                ];
                let members = (0..self.below(4))
                    .map(|_| ((*self.pick(&names)).to_owned(), self.value(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }

    /// A body that would be taken, spoilt in a few places.
    fn body(&mut self, name: &str) -> Vec<u8> {
        let mut body = body_with(&json!({
            "name": name,
            "nickname": "Web",
            "disk": 60,
            "tags": [{"name": "a"}],
            "provider_options": {
                "vpc": {"id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"]},
                "iam": {"instance_profile_name": "p"},
            },
        }));
        for _ in 0..self.below(3) {
            let pointer = *self.pick(&[
                "/name",
                "/region",
                "/node_type",
                "/target_num_nodes",
                "/disk",
                "/nickname",
                "/tags",
                "/tags/0",
                "/tags/0/name",
                "/provider_options",
                "/provider_options/vpc",
                "/provider_options/vpc/id",
                "/provider_options/vpc/subnets",
                "/provider_options/vpc/subnets/0",
                "/provider_options/vpc/security_groups",
                "/provider_options/iam",
                "/provider_options/iam/instance_profile_name",
            ]);
            let value = self.value(3);
            if let Some(place) = body.pointer_mut(pointer) {
                *place = value;
            }
        }
        let mut bytes = body.to_string().into_bytes();
        if self.below(3) == 0 {
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len());
                match self.below(4) {
                    0 => bytes[at] = u8::try_from(self.below(256)).expect("a byte"),
                    1 => bytes.insert(at, *self.pick(b"{}[]\",:\\\0\xff 0-e.")),
                    2 => bytes.truncate(at.max(1)),
                    _ => {
                        bytes.remove(at);
                        bytes.push(b'}');
                    }
                }
            }
        }
        bytes
    }

    /// A query for a list, more or less.
    fn query(&mut self) -> String {
        let names = [
            "limit",
            "offset",
            "uuid",
            "uuid__startswith",
            "name",
            "state",
            "region",
            "node_type",
            "node_cluster",
            "object",
            "nmae",
            "",
            "%00",
            "%ff",
        ];
        let values = [
            "1",
            "0",
            "-1",
            "99999999999999999999",
            "",
            "%00",
            "%ff",
            "%",
            "%zz",
            "a%26b",
            "Deployed",
            "00cc59e1",
            "00cc59e1-c605-403c-a5fb-3269b6a0d6bf",
            "/api/infra/v1/region/aws/us-east-1/",
            "_",
            "%25",
            "\\",
            "'",
            "1.5",
            "+",
            "🍺",
        ];
        let pairs: Vec<String> = (0..self.below(4))
            .map(|_| format!("{}={}", self.pick(&names), self.pick(&values)))
            .collect();
        pairs.join("&")
    }
}

#[tokio::test]
async fn whatever_comes_is_answered_and_never_with_a_fault_of_ours() {
    let world = still_world().await;
    let target = world
        .create("us-east-1", "t3.micro", 1, json!({"name": "target"}))
        .await;
    let target_uri = target["resource_uri"].as_str().unwrap();
    let deployed = world
        .create("us-east-1", "t3.micro", 1, json!({"name": "deployed"}))
        .await;
    let deploy = format!("{}deploy/", deployed["resource_uri"].as_str().unwrap());
    let deployed = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node_uri = deployed["nodes"][0].as_str().unwrap();

    let mut random = Random(20_160_601);
    let (mut created, mut changed, mut refused) = (2, 0, 0);
    for round in 0..500 {
        let body = random.body(&format!("fuzz-{round}"));
        let (method, path) = match random.below(4) {
            0 => (Method::PATCH, target_uri),
            1 => (Method::PATCH, node_uri),
            _ => (Method::POST, CLUSTERS),
        };
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = world.client.send(method.clone(), path, Some(body)).await;
        match answer.status {
            201 => created += 1,
            202 => changed += 1,
            400 | 409 => {
                refused += 1;
                assert_refused(&answer, answer.status, &shown);
            }
            other => panic!(
                "{method} {path} {shown} was answered with {other}: {}",
                answer.text
            ),
        }
    }
    for _ in 0..200 {
        let list = *random.pick(&[
            CLUSTERS,
            NODES,
            ACTIONS,
            "/nodetype",
            "/region/",
            "/az",
            "/provider",
        ]);
        let path = format!("{list}?{}", random.query());
        let answer = world.client.get(&path).await;
        assert!(
            matches!(answer.status, 200 | 400),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
    }
    assert!(
        created > 50 && changed > 20 && refused > 100,
        "{created} {changed} {refused}"
    );

    // Each success has left exactly what it says, each refusal nothing.
    let counts = rows(&world).await;
    let count = |table: &str| {
        counts
            .iter()
            .find(|(name, _)| name == table)
            .expect("a table")
            .1
    };
    assert_eq!(count("cluster"), created);
    assert_eq!(count("action"), created + changed + 1);
    assert_eq!(count("node"), 1);
    // What was taken can be read again.
    for offset in (0..created).step_by(100) {
        let page = format!("{CLUSTERS}?limit=100&offset={offset}");
        let page = world.client.get(&page).await.expect(200).body;
        assert_eq!(page["meta"]["total_count"], created);
    }
    world
        .client
        .get(&format!("{ACTIONS}?limit=1000"))
        .await
        .expect(200);
    world.client.get("/readyz").await.expect(200);
    world.finish().await;
}
