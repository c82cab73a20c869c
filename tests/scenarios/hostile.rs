//! Hostile requests, byte for byte, each with its expected answer; and after all of them the service is as it was.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{Client, Options, RawAnswer, World, add_user, raw_bytes, raw_exchange};

/// `dev:dev`
const DEV: &str = "Authorization: Basic ZGV2OmRldg==\r\n";
/// The server closes the connection without a word.
const CLOSED: u16 = 0;

/// One request, and what may be answered.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    expected: &'static [u16],
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, expected: &'static [u16]) -> Case {
    Case {
        name,
        bytes: bytes.into(),
        expected,
    }
}

/// A request of dev's for this target.
fn get(target: &str) -> String {
    with_headers(target, DEV)
}

fn with_headers(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n")
}

fn with_method(method: &str, target: &str) -> String {
    get(target).replacen("GET", method, 1)
}

fn post(target: &str, body: &str) -> String {
    let length = body.len();
    post_raw(target, &format!("Content-Length: {length}\r\n"), body)
}

fn post_raw(target: &str, headers: &str, body: &str) -> String {
    format!("POST {target} HTTP/1.1\r\nHost: x\r\n{DEV}{headers}Connection: close\r\n\r\n{body}")
}

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";

/// What is too large.
fn oversized() -> Vec<Case> {
    let header = |count: usize, length: usize| {
        let value = "a".repeat(length);
        let more: String = (0..count).map(|n| format!("X-{n}: {value}\r\n")).collect();
        with_headers(CLUSTERS, &format!("{DEV}{more}"))
    };
    let chunk = format!("{:x}\r\n{}\r\n", 65_536, "a".repeat(65_536)).repeat(20);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let long_name = format!("{{\"name\": \"{}\"}}", "a".repeat(900_000));
    let digits = format!("{{\"name\": \"a\", \"disk\": {}}}", "9".repeat(500_000));
    vec![
        case(
            "a body that says that it is too large",
            post_raw(CLUSTERS, "Content-Length: 2000000\r\n", ""),
            &[413],
        ),
        case(
            "a body that turns out to be too large",
            post_raw(CLUSTERS, chunked, &chunk),
            &[413, CLOSED],
        ),
        case(
            "a length that no number holds",
            post_raw(CLUSTERS, "Content-Length: 99999999999999999999999\r\n", ""),
            &[400],
        ),
        case(
            "a length of all numbers",
            post_raw(CLUSTERS, "Content-Length: 18446744073709551615\r\n", ""),
            &[400, 413, 431],
        ),
        case("a header of 300 KB", header(1, 300_000), &[431, CLOSED]),
        case("200 headers", header(200, 1), &[431]),
        case(
            "a path of 100 KB",
            get(&format!("/{}", "a".repeat(100_000))),
            &[414, 431, CLOSED],
        ),
        case(
            "a query of 30 KB",
            get(&format!("{CLUSTERS}?{}=1", "a".repeat(30_000))),
            &[400],
        ),
        case(
            "objects in objects in objects",
            post(CLUSTERS, &"{\"a\":".repeat(100_000)),
            &[400],
        ),
        case(
            "lists in lists in lists",
            post(CLUSTERS, &"[".repeat(500_000)),
            &[400],
        ),
        case("a name of 900 KB", post(CLUSTERS, &long_name), &[400]),
        case("a number of 500 KB", post(CLUSTERS, &digits), &[400]),
        case(
            "a key of 40 KB",
            with_headers(
                CLUSTERS,
                &format!("Authorization: Basic {}\r\n", "YWFh".repeat(10_000)),
            ),
            &[401],
        ),
    ]
}

/// What is no HTTP, or nearly.
fn malformed() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: x\r\n{DEV}Connection: close\r\n\r\n");
    vec![
        case("half a request line", line("GET"), &[400]),
        case(
            "a version that there is not",
            line("GET / HTTP/9.9"),
            &[400, 505],
        ),
        case("noise", [0x80, 0xff, 0x00, 0x0d, 0x0a, 0x0d, 0x0a], &[400]),
        case(
            "a handshake of TLS",
            [
                0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00, 0x0d, 0x0a,
            ],
            &[400],
        ),
        case(
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            &[400, 505, CLOSED],
        ),
        case(
            "a zero in a header",
            with_headers(CLUSTERS, &format!("{DEV}X-A: a\0b\r\n")),
            &[400],
        ),
        case(
            "a carriage return in a header",
            with_headers(CLUSTERS, &format!("{DEV}X-A: a\rX-B: b\r\n")),
            &[400],
        ),
        case(
            "a space in a header's name",
            with_headers(CLUSTERS, &format!("{DEV}X A: b\r\n")),
            &[400],
        ),
        case(
            "a header that goes on in the next line",
            with_headers(CLUSTERS, &format!("{DEV}X-A: a\r\n b\r\n")),
            &[400],
        ),
        case(
            "a method that there is not",
            with_method("FOO", CLUSTERS),
            &[405],
        ),
        case(
            "a method in lower case",
            with_method("get", CLUSTERS),
            &[405],
        ),
        case(
            "TRACE, which repeats what it is told",
            with_method("TRACE", CLUSTERS),
            &[405],
        ),
        case(
            "CONNECT, as of a proxy",
            line("CONNECT evil.example:80 HTTP/1.1"),
            &[400, 404, 405],
        ),
        case(
            "credentials that are no Base64",
            with_headers(CLUSTERS, "Authorization: Basic !!!\r\n"),
            &[401],
        ),
        // "a\0b:key"
        case(
            "a user with a zero in the name",
            with_headers(CLUSTERS, "Authorization: Basic YQBiOmtleQ==\r\n"),
            &[401],
        ),
        case(
            "a body that is no UTF-8",
            [
                post_raw(CLUSTERS, "Content-Length: 2\r\n", "").into_bytes(),
                vec![0xff, 0xfe],
            ]
            .concat(),
            &[400],
        ),
        case(
            "a zero in a text",
            post(CLUSTERS, r#"{"name": "a\u0000b"}"#),
            &[400],
        ),
    ]
}

/// What a proxy might take for one request, and the service for two.
fn smuggled() -> Vec<Case> {
    let body = "0\r\n\r\n";
    vec![
        case(
            "two lengths",
            post_raw(CLUSTERS, "Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
            &[400],
        ),
        case(
            "a length with a sign",
            post_raw(CLUSTERS, "Content-Length: +2\r\n", "{}"),
            &[400],
        ),
        case(
            "a length that is a list",
            post_raw(CLUSTERS, "Content-Length: 2, 3\r\n", "{}"),
            &[400],
        ),
        case(
            "an encoding that there is not",
            post_raw(CLUSTERS, "Transfer-Encoding: xchunked\r\n", body),
            &[400],
        ),
        case(
            "chunks that are not the last encoding",
            post_raw(CLUSTERS, "Transfer-Encoding: chunked, identity\r\n", body),
            &[400],
        ),
        case(
            "a chunk whose size is no number",
            post_raw(
                CLUSTERS,
                "Transfer-Encoding: chunked\r\n",
                "zz\r\n{}\r\n0\r\n\r\n",
            ),
            &[400],
        ),
        case(
            "chunks in HTTP/1.0",
            post_raw(CLUSTERS, "Transfer-Encoding: chunked\r\n", body)
                .replace("HTTP/1.1", "HTTP/1.0"),
            &[400],
        ),
        case(
            "a wrong key before a right one",
            with_headers(
                CLUSTERS,
                &format!("Authorization: Basic ZGV2OmV2aWw=\r\n{DEV}"),
            ),
            &[401],
        ),
        case(
            "a line's end in the path",
            get("/api/infra/v1/nodecluster/%0d%0aX-Injected:%20yes/"),
            &[404],
        ),
        case(
            "a host that is another's",
            with_headers("http://evil.example/healthz", ""),
            &[200],
        ),
    ]
}

/// What leads out of the tree, or around the namespace.
fn path_tricks() -> Vec<Case> {
    let tricks = [
        ("dots", "/api/infra/v1/../../../healthz"),
        ("dots in percents", "/api/infra/v1/%2e%2e/%2e%2e/healthz"),
        ("dots out of the documentation", "/docs/../../../etc/passwd"),
        (
            "dots in percents out of the documentation",
            "/docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        ),
        ("a path that is a host", "//evil.example/%2e%2e"),
        (
            "a namespace with a slash in it",
            "/api/infra/v1/eve%2fnodecluster/",
        ),
        (
            "a namespace with a parameter",
            "/api/infra/v1/eve;dev/nodecluster/",
        ),
        ("two namespaces", "/api/infra/v1/dev/eve/nodecluster/"),
        (
            "a namespace in upper case",
            "/api/infra/v1/DEV/nodecluster/",
        ),
        ("a zero in an id", "/api/infra/v1/nodecluster/%00/"),
        (
            "a slash that is written too long",
            "/api/infra/v1/nodecluster/%c0%af/",
        ),
        (
            "an id in braces",
            "/api/infra/v1/nodecluster/%7B00cc59e1-c605-403c-a5fb-3269b6a0d6bf%7D/",
        ),
        ("an API in upper case", "/API/INFRA/V1/NODECLUSTER/"),
    ];
    tricks
        .into_iter()
        .map(|(name, target)| case(name, get(target), &[404]))
        .collect()
}

/// What is meant for Postgres, or for whoever reads the log.
fn injections() -> Vec<Case> {
    let basic = |text: &str| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        with_headers(
            CLUSTERS,
            &format!("Authorization: Basic {}\r\n", STANDARD.encode(text)),
        )
    };
    vec![
        case(
            "SQL in a filter",
            get(&format!("{CLUSTERS}?name='%20OR%201=1--")),
            &[200],
        ),
        case(
            "SQL in the beginning of an id",
            get(&format!("{CLUSTERS}?uuid__startswith=%25")),
            &[200],
        ),
        case(
            "SQL in a state",
            get(&format!("{CLUSTERS}?state=';%20DROP%20TABLE%20cluster;--")),
            &[200],
        ),
        case("SQL in a user's name", basic("dev' OR '1'='1:dev"), &[401]),
        case("SQL in a key", basic("dev:' OR '1'='1"), &[401]),
        case(
            "SQL in a namespace",
            get("/api/infra/v1/dev'--/nodecluster/"),
            &[404],
        ),
        case(
            "SQL in a name",
            post(CLUSTERS, r#"{"name": "a'); DROP TABLE cluster;--"}"#),
            &[400],
        ),
        case(
            "SQL in a limit",
            get(&format!("{CLUSTERS}?limit=1;DROP%20TABLE%20cluster")),
            &[400],
        ),
        case(
            "a line in the log",
            get("/%0aERROR%20everything%20is%20lost"),
            &[404],
        ),
        case(
            "colors in the log",
            with_headers(CLUSTERS, &format!("{DEV}X-Request-Id: \"}} ERROR\r\n")),
            &[200],
        ),
    ]
}

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// What there is, as dev sees it and as the database has it.
async fn all(world: &World) -> (Value, i64) {
    let rows = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM cluster) + (SELECT count(*) FROM action) + (SELECT count(*) FROM event)
              + (SELECT count(*) FROM users) + (SELECT count(*) FROM api_key)",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    (world.fetch(CLUSTERS).await, rows)
}

#[tokio::test]
async fn hostile_requests_are_refused_each_in_its_way_and_leave_no_trace() {
    let world = still_world().await;
    world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let before = all(&world).await;
    let cases = [
        oversized(),
        malformed(),
        smuggled(),
        path_tricks(),
        injections(),
    ];
    let cases: Vec<Case> = cases.into_iter().flatten().collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 50, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let answer = raw_exchange(&world.client.base, case.bytes).await;
        let status = answer.as_ref().map_or(CLOSED, RawAnswer::status);
        let said = answer.map_or(String::new(), |answer| {
            format!("{:?} {}", answer.headers, answer.body)
        });
        let tells_too_much = ["sqlx", "panicked", "SELECT", "/src/", "root:", "x-injected"];
        let tells = tells_too_much.iter().find(|word| said.contains(**word));
        // A filter is a text and no more than that.
        let finds =
            case.name.starts_with("SQL") && status == 200 && !said.contains("\"total_count\":0");
        if !case.expected.contains(&status) || tells.is_some() || finds {
            wrong.push(format!("{}: {status} {said:.300}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(all(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn what_follows_a_request_with_two_lengths_is_no_second_request() {
    let world = still_world().await;
    // A proxy that goes by the length takes all of it for one body; chunks end before the second request.
    let inner = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Smuggled: 1\r\n{DEV}\r\n");
    let body = format!("0\r\n\r\n{inner}");
    let request = format!(
        "POST {CLUSTERS} HTTP/1.1\r\nHost: x\r\n{DEV}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let said = raw_bytes(&world.client.base, request.into_bytes()).await;
    let said = String::from_utf8_lossy(&said);
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    world.finish().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let world = still_world().await;
    let request = post_raw(CLUSTERS, "Content-Length: 10\r\n", "{");
    let answer = raw_exchange(&world.client.base, request.into_bytes())
        .await
        .unwrap();
    assert_eq!(answer.status(), 504, "{answer:?}");
    world.client.get(CLUSTERS).await.expect(200);
    world.finish().await;
}

#[tokio::test]
async fn ids_of_others_find_nothing_wherever_they_are_put() {
    let world = still_world().await;
    let eve: Client = add_user(&world, "eve", "eves-key").await;
    let wish = json!({
        "name": "web",
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    });
    let cluster = eve.post(CLUSTERS, &wish).await.expect(201).body;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deployed = eve
        .post(&format!("{uri}deploy/"), &json!({}))
        .await
        .expect(202);
    let action = deployed.action_uri();
    let id = cluster["uuid"].as_str().unwrap();
    let event: String = sqlx::query_scalar("SELECT id::text FROM event LIMIT 1")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let dev = &world.client;
    for path in [
        format!("{CLUSTERS}?uuid={id}"),
        format!("{CLUSTERS}?uuid__startswith={}", &id[..8]),
        format!("{CLUSTERS}?name=web"),
        format!("/api/infra/v1/node/?node_cluster={uri}"),
        format!("/api/audit/v1/action/?object={uri}&include_related=true"),
    ] {
        let list = dev.get(&path).await.expect(200).body;
        assert_eq!(list["meta"]["total_count"], 0, "{path}: {list}");
    }
    for path in [
        uri.to_owned(),
        format!("{uri}certificate/"),
        action.clone(),
        format!("{action}logs/"),
    ] {
        dev.get(&path).await.expect(404);
    }
    // An event of somebody else is no place from which to go on.
    dev.get(&format!("/api/audit/v1/events/?since={event}"))
        .await
        .expect(404);
    dev.delete(uri).await.expect(404);
    dev.patch(uri, &json!({"target_num_nodes": 0}))
        .await
        .expect(404);
    for verb in ["cancel", "retry"] {
        dev.post(&format!("{action}{verb}/"), &json!({}))
            .await
            .expect(404);
    }
    assert_eq!(eve.get(uri).await.expect(200).body["target_num_nodes"], 1);
    world.finish().await;
}
