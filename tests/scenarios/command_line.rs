//! The program as its users start it: a process with flags, an environment, two streams and an exit code.

use std::{net::TcpListener, time::Duration};

use serde_json::{Value, json};
use tests::{Client, Ended, Options, Process, World, free_port, wait_for};
use tokio::time::Instant;

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
/// Names and values of variables.
type Variables<'a> = &'a [(&'a str, &'a str)];

/// Orchestrators wait 30 s and then kill.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

fn start(arguments: &[&str], environment: Variables<'_>) -> Process {
    Process::start(
        env!("CARGO_BIN_EXE_berth-under-test"),
        arguments,
        environment,
    )
}

/// Runs a command that ends by itself.
async fn run(arguments: &[&str], environment: Variables<'_>) -> Ended {
    start(arguments, environment).ended().await
}

/// A world whose API and worker are processes of their own, started by the test.
async fn stage() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// Starts `berth serve` on the world's database and AWS.
async fn serve(world: &World, role: &str) -> (Process, String) {
    let mut process = start(
        &[
            "serve",
            "--role",
            role,
            "--sweep-seconds",
            "1",
            "--sweep-at-rest-seconds",
            "1",
        ],
        &[
            ("DATABASE_URL", &world.database_url),
            ("AWS_ENDPOINT_URL", &world.endpoint.url),
            ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
            ("BERTH_AMBIENT_NAMESPACES", "*"),
            ("BERTH_LISTEN", "127.0.0.1:0"),
            ("BERTH_LOG_FORMAT", "json"),
        ],
    );
    let address = process.address().await;
    assert!(address.ip().is_loopback() && address.port() != 0);
    (process, format!("http://{address}"))
}

/// Sends SIGTERM; the process must end well and soon.
async fn stop(process: Process) -> Ended {
    let asked = Instant::now();
    process.sigterm();
    let ended = process.ended().await;
    assert!(
        asked.elapsed() < STOPS_WITHIN,
        "it took {:?}",
        asked.elapsed()
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// The log lines, each of which must be a JSON object.
fn json_lines(ended: &Ended) -> Vec<Value> {
    assert_eq!(
        ended.stdout, "",
        "standard output is for a command's result"
    );
    let parse = |line: &str| {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for member in ["timestamp", "level", "target", "fields"] {
            assert!(parsed.get(member).is_some(), "{line}");
        }
        assert_ne!(parsed["level"], "ERROR", "{line}");
        parsed
    };
    ended.stderr.lines().map(parse).collect()
}

fn wish(name: &str, nodes: u32) -> Value {
    json!({
        "name": name,
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        "target_num_nodes": nodes,
    })
}

/// Creates and deploys a cluster; answers with its URI and its deploy's action.
async fn deploy(client: &Client, name: &str, nodes: u32) -> (String, String) {
    let cluster = client
        .post(CLUSTERS, &wish(name, nodes))
        .await
        .expect(201)
        .body;
    let uri = cluster["resource_uri"].as_str().expect("a URI").to_owned();
    let answer = client
        .post(&format!("{uri}deploy/"), &json!({}))
        .await
        .expect(202);
    assert_eq!(answer.body["state"], "Deploying");
    (uri, answer.action_uri())
}

/// Waits until the action has succeeded and answers with the cluster.
async fn deployed(client: &Client, uri: &str, action: &str) -> Value {
    wait_for(&format!("the end of {action}"), || async {
        let action = client.get(action).await.expect(200).body;
        assert_ne!(action["state"], "Failed", "{action:#}");
        (action["state"] == "Success").then_some(())
    })
    .await;
    let cluster = client.get(uri).await.expect(200).body;
    assert_eq!(cluster["state"], "Deployed");
    cluster
}

#[tokio::test]
async fn help_names_every_command_flag_and_environment_variable() {
    let logging = ["--log-format", "BERTH_LOG_FORMAT", "--log ", "BERTH_LOG"];
    let serve = [
        "--role",
        "BERTH_ROLE",
        "api",
        "worker",
        "all",
        "--database-url",
        "DATABASE_URL",
        "--database-connections",
        "BERTH_DATABASE_CONNECTIONS",
        "--listen",
        "BERTH_LISTEN",
        "127.0.0.1:8080",
        "--image",
        "BERTH_IMAGE",
        "--sweep-seconds",
        "BERTH_SWEEP_SECONDS",
        "--sweep-at-rest-seconds",
        "BERTH_SWEEP_AT_REST_SECONDS",
        "--launch-deadline-seconds",
        "BERTH_LAUNCH_DEADLINE_SECONDS",
        "--heartbeat-seconds",
        "BERTH_HEARTBEAT_SECONDS",
        "--unreachable-after-seconds",
        "BERTH_UNREACHABLE_AFTER_SECONDS",
        "--secret-key",
        "BERTH_SECRET_KEY",
        "--secret-key-file",
        "BERTH_SECRET_KEY_FILE",
        "--ambient-namespaces",
        "BERTH_AMBIENT_NAMESPACES",
        "--probe-timeout-seconds",
        "BERTH_PROBE_TIMEOUT_SECONDS",
        "--engine-proxy",
        "BERTH_ENGINE_PROXY",
        "--tls-certificate",
        "BERTH_TLS_CERTIFICATE",
        "--tls-key",
        "BERTH_TLS_KEY",
        "--trusted-proxies",
        "BERTH_TRUSTED_PROXIES",
        "--requests-per-second",
        "BERTH_REQUESTS_PER_SECOND",
        "--failed-logins-per-minute",
        "BERTH_FAILED_LOGINS_PER_MINUTE",
        "--connections",
        "BERTH_CONNECTIONS",
        "--connections-per-address",
        "BERTH_CONNECTIONS_PER_ADDRESS",
        "--max-clusters",
        "BERTH_MAX_CLUSTERS",
        "--max-nodes",
        "BERTH_MAX_NODES",
        "AWS_ENDPOINT_URL",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
    ];
    let commands: [(&[&str], &[&str]); 17] = [
        (
            &[],
            &[
                "dev",
                "demo",
                "serve",
                "sim",
                "migrate",
                "user",
                "aws",
                "rotate-key",
                "org",
                "key",
                "quota",
                "openapi",
                "--version",
            ],
        ),
        (
            &["dev"],
            &[
                "--listen",
                "BERTH_LISTEN",
                "127.0.0.1:8080",
                "--sim-listen",
                "BERTH_SIM_LISTEN",
                "127.0.0.1:4566",
                "--data-dir",
                "BERTH_DATA_DIR",
                "--scenario",
                "BERTH_SIM_SCENARIO",
            ],
        ),
        (
            &["demo"],
            &[
                "--nodes",
                "[default: 6]",
                "--region",
                "us-east-1",
                "--node-type",
                "t3.micro",
                "--keep",
            ],
        ),
        (&["serve"], &serve),
        (
            &["sim"],
            &[
                "--listen",
                "BERTH_SIM_LISTEN",
                "127.0.0.1:4566",
                "--throttle",
                "--consistency-ms <MIN-MAX>",
                "--vcpus <N>",
                "--capacity <ZONE/TYPE=N>",
                "--policy <ACCESS_KEY=FILE>",
                "--scenario <FILE>",
                "BERTH_SIM_SCENARIO",
            ],
        ),
        (&["migrate"], &["--database-url", "DATABASE_URL"]),
        (&["user"], &["add", "list", "remove"]),
        (&["user", "add"], &["--operator"]),
        (&["org"], &["add", "list", "member", "remove"]),
        (&["org", "add"], &["<NAME>", "--admin <USER>"]),
        (&["key"], &["add", "list", "revoke"]),
        (&["key", "add"], &["<USER>", "--name", "--role", "--days"]),
        (&["quota", "set"], &["<NAMESPACE>", "--clusters", "--nodes"]),
        (
            &["user", "add"],
            &["<NAME>", "--database-url", "DATABASE_URL", "namespace"],
        ),
        (
            &["rotate-key"],
            &[
                "--database-url",
                "DATABASE_URL",
                "BERTH_SECRET_KEY",
                "BERTH_SECRET_KEY_FILE",
            ],
        ),
        (
            &["aws", "policy"],
            &["<NAMESPACE>", "--account", "--only", "DATABASE_URL"],
        ),
        (&["openapi"], &["OpenAPI"]),
    ];
    for (command, words) in commands {
        let arguments = [command, &["--help"]].concat();
        let secret = [("DATABASE_URL", "postgres://berth:geheim@db/berth")];
        let ended = run(&arguments, &secret).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for word in words.iter().chain(&logging) {
            assert!(
                ended.stdout.contains(word),
                "{command:?} does not name {word}:\n{}",
                ended.stdout
            );
        }
        assert!(
            !ended.stdout.contains("geheim"),
            "the password is shown:\n{}",
            ended.stdout
        );
    }
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused_with_the_way_out() {
    let database = ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let listen = ("BERTH_SIM_LISTEN", "127.0.0.1:0");
    let cases: [(&[&str], Variables<'_>, i32, &str); 19] = [
        (&[], &[], 2, "Usage: "),
        (&["serv"], &[], 2, "'serve'"),
        (&["serve", "--rol", "api"], &[database], 2, "--role"),
        (
            &["serve", "--role", "boss"],
            &[database],
            2,
            "api, worker, all",
        ),
        (&["serve"], &[], 2, "--database-url <DATABASE_URL>"),
        (
            &["serve"],
            &[database, ("BERTH_LISTEN", "everywhere")],
            2,
            "everywhere",
        ),
        (
            &["serve", "--sweep-seconds", "0"],
            &[database],
            2,
            "1..=3600",
        ),
        (
            &["migrate"],
            &[("DATABASE_URL", "mysql://db/berth")],
            1,
            "berth: the database: the URL must begin with postgres://",
        ),
        (
            &["migrate"],
            &[("DATABASE_URL", "postgres://db:x/berth")],
            1,
            "berth: the database: ",
        ),
        (&["openapi", "--log", "x=y=z"], &[], 1, "--log"),
        (
            &["sim", "--consistency-ms", "3000"],
            &[listen],
            2,
            "as 0-3000",
        ),
        (
            &["sim", "--consistency-ms", "9-1"],
            &[listen],
            1,
            "--consistency-ms 9-1: min_ms: 9 is greater than max_ms, 1",
        ),
        (
            &["sim", "--capacity", "us-east-1x/t3.micro=1"],
            &[listen],
            1,
            "--capacity us-east-1x/t3.micro=1: zone: there is no 'us-east-1x' in us-east-1",
        ),
        (
            &["sim", "--policy", "berth"],
            &[listen],
            1,
            "--policy berth: must be as ACCESS_KEY=FILE",
        ),
        (
            &["sim", "--policy", "berth=/dev/null"],
            &[listen],
            1,
            "--policy berth=/dev/null: not JSON",
        ),
        (
            &["sim", "--order", "quotas"],
            &[listen],
            1,
            "--order quotas: must be as quotas={\"vpcs\":5}",
        ),
        (
            &["sim", "--order", "quotas={\"vpc\":5}"],
            &[listen],
            1,
            "unknown field `vpc`",
        ),
        (
            &["sim", "--scenario", "/nowhere"],
            &[listen],
            1,
            "--scenario /nowhere: the file can't be read",
        ),
        (
            &["dev", "--listen", "127.0.0.1:0", "--scenario", "/dev/null"],
            &[listen],
            1,
            "--scenario /dev/null: no JSON object",
        ),
    ];
    for (arguments, environment, code, word) in cases {
        let ended = run(arguments, environment).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.contains(word),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn openapi_prints_the_specification_and_nothing_else() {
    let ended = run(&["openapi"], &[]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout, api::openapi_json());
}

/// The URL of a database without any table, beside the world's.
async fn empty_database(world: &World) -> String {
    let name: String = sqlx::query_scalar("SELECT current_database() || '_empty'")
        .fetch_one(&world.pool)
        .await
        .expect("a name");
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&world.pool)
        .await
        .expect("a database");
    let old = name.trim_end_matches("_empty");
    let url = world
        .database_url
        .replacen(&format!("/{old}?"), &format!("/{name}?"), 1);
    assert_ne!(url, world.database_url);
    url
}

#[tokio::test]
async fn an_empty_database_is_migrated_given_a_user_and_served() {
    let world = stage().await;
    let url = empty_database(&world).await;
    let database = [("DATABASE_URL", url.as_str())];
    // Before that, whoever needs the tables says what is to be done.
    let serve_once = ["serve", "--role", "api", "--listen", "127.0.0.1:0"];
    for arguments in [&serve_once[..], &["user", "add", "ann"]] {
        let ended = run(arguments, &database).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("run `berth migrate`"),
            "{}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
    for _ in 0..2 {
        let ended = run(&["migrate"], &database).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
        let said = "the database is up to date";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }

    let mut keys = Vec::new();
    for _ in 0..2 {
        let ended = run(&["user", "add", "ann"], &database).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let key = ended
            .stdout
            .strip_suffix('\n')
            .expect("one line")
            .to_owned();
        assert_eq!(key.len(), 64);
        assert!(key.chars().all(|c| c.is_ascii_hexdigit()), "{key}");
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);

    let mut server = start(&serve_once, &[database[0], ("BERTH_LOG_FORMAT", "json")]);
    let base = format!("http://{}", server.address().await);
    for key in &keys {
        let client = Client::new(base.clone(), "ann", key);
        let list = client
            .get("/api/infra/v1/ann/nodecluster/")
            .await
            .expect(200);
        assert_eq!(list.body["meta"]["total_count"], 0);
        client.as_user("bob", key).get(CLUSTERS).await.expect(401);
        client
            .as_user("ann", &key.to_uppercase())
            .get(CLUSTERS)
            .await
            .expect(401);
    }
    let ann = Client::new(base, "ann", &keys[1]);
    let cluster = ann.post(CLUSTERS, &wish("web", 1)).await.expect(201).body;
    assert_eq!(cluster["state"], "Init");
    ann.get("/readyz").await.expect(200);
    // A key in the log would be a key for whoever reads it.
    let ended = stop(server).await;
    assert!(keys.iter().all(|key| !ended.stderr.contains(key)));
    world.finish().await;
}

#[tokio::test]
async fn replicas_that_start_together_may_migrate_at_once() {
    let world = stage().await;
    let url = empty_database(&world).await;
    let database = [("DATABASE_URL", url.as_str())];
    let all: Vec<Process> = (0..3).map(|_| start(&["migrate"], &database)).collect();
    for process in all {
        let ended = process.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_secret_key_in_the_environment_is_as_good_as_one_in_a_file() {
    let world = stage().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let key = "b25lb25lb25lb25lb25lb25lb25lb25lb25lb25lb24=";
    std::fs::write(&file, key).unwrap();
    let file = file.to_str().unwrap();
    let database = ("DATABASE_URL", world.database_url.as_str());
    let (of_variable, of_file) = (("BERTH_SECRET_KEY", key), ("BERTH_SECRET_KEY_FILE", file));
    for given in [of_variable, of_file] {
        let ended = run(&["rotate-key"], &[database, given]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("count=0"), "{}", ended.stderr);
    }
    let long = key.to_owned() + &" ".repeat(5_000);
    let both =
        format!("BERTH_SECRET_KEY is set, and --secret-key-file {file}, too: give one of them");
    for (given, words) in [
        (vec![of_variable, of_file], both.as_str()),
        (
            vec![("BERTH_SECRET_KEY", "b25l")],
            "BERTH_SECRET_KEY: the secret key must be 32 random bytes",
        ),
        (
            vec![("BERTH_SECRET_KEY", long.as_str())],
            "give BERTH_SECRET_KEY_FILE instead",
        ),
    ] {
        let ended = run(&["rotate-key"], &[&[database], &given[..]].concat()).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_log_that_goes_to_a_file_has_no_colors() {
    let world = stage().await;
    let ended = run(&["migrate"], &[("DATABASE_URL", &world.database_url)]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
    world.finish().await;
}

#[tokio::test]
async fn a_name_that_no_user_can_have_is_refused_with_the_rule() {
    let world = stage().await;
    let database = [("DATABASE_URL", world.database_url.as_str())];
    let long = "x".repeat(64);
    for name in [
        "",
        "Ann",
        "ann smith",
        "ann/bob",
        "ann:bob",
        "-ann",
        "_ann",
        "änn",
        "ann\n",
        &long,
    ] {
        let ended = run(&["user", "add", "--", name], &database).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{name:?}: {}",
            ended.stderr
        );
        let rule = "must begin with a lower-case letter or a digit and may have up to 63";
        assert!(ended.stderr.contains(rule), "{name:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("{name:?}")),
            "{name:?}: {}",
            ended.stderr
        );
    }
    for name in ["0", "ann-smith_2", &long[1..]] {
        let ended = run(&["user", "add", name], &database).await;
        assert_eq!(ended.code, Some(0), "{name:?}: {}", ended.stderr);
    }
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(users, 4, "dev and the three");
    world.finish().await;
}

#[tokio::test]
async fn one_replica_deploys_a_cluster_logs_json_and_ends_well_at_sigterm() {
    let world = stage().await;
    let (server, base) = serve(&world, "all").await;
    let client = Client::new(base, "dev", "dev");
    let (uri, action) = deploy(&client, "web", 3).await;
    let cluster = deployed(&client, &uri, &action).await;
    assert_eq!(cluster["current_num_nodes"], 3);
    assert_eq!(world.instances("us-east-1").len(), 3);

    let ended = stop(server).await;
    let lines = json_lines(&ended);
    let said = |words: &str| {
        let message = |line: &&Value| {
            line["fields"]["message"]
                .as_str()
                .is_some_and(|m| m.contains(words))
        };
        lines.iter().any(|line| message(&line))
    };
    for words in [
        "listening",
        "worker started",
        "was created",
        "was asked of node cluster",
        "stopping",
    ] {
        assert!(said(words), "{words}:\n{}", ended.stderr);
    }
    // The sites are given back: the next worker need not wait for a lease to run out.
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM site WHERE lease_owner IS NOT NULL")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(held, 0);
    world.finish().await;
}

#[tokio::test]
async fn an_api_and_a_worker_work_together_as_two_processes() {
    let world = stage().await;
    let (api, base) = serve(&world, "api").await;
    let client = Client::new(base, "dev", "dev");
    let (uri, action) = deploy(&client, "web", 2).await;
    client.get("/readyz").await.expect(200);

    let (worker, worker_base) = serve(&world, "worker").await;
    let health = Client::new(worker_base, "dev", "dev");
    for path in ["/healthz", "/readyz"] {
        let answer = health.get(path).await.expect(200);
        assert_eq!(answer.body, json!({"status": "ok"}));
    }
    for path in [
        "/",
        CLUSTERS,
        "/nodecluster",
        "/openapi.json",
        "/docs/",
        "/api/audit/v1/action/",
    ] {
        health.get(path).await.expect(404);
    }
    health.post(CLUSTERS, &wish("other", 1)).await.expect(404);

    let cluster = deployed(&client, &uri, &action).await;
    assert_eq!(cluster["current_num_nodes"], 2);
    let gone = client.delete(&uri).await.expect(202);
    let gone = gone.action_uri();
    wait_for("the end of the cluster", || async {
        (client.get(&gone).await.body["state"] == "Success").then_some(())
    })
    .await;
    assert!(world.instances("us-east-1").is_empty());

    json_lines(&stop(worker).await);
    // Without a worker the API still answers.
    let cluster = client.get(&uri).await.expect(200).body;
    assert_eq!(cluster["state"], "Terminated");
    json_lines(&stop(api).await);
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_is_stopped_at_work_leaves_it_to_the_next_one() {
    let world = stage().await;
    let (api, base) = serve(&world, "api").await;
    let client = Client::new(base, "dev", "dev");
    let (uri, action) = deploy(&client, "web", 6).await;
    let (first, _) = serve(&world, "worker").await;
    wait_for(
        "the first worker's first line in the action's log",
        || async {
            let action = client.get(&action).await.expect(200).body;
            action["log"]
                .as_str()
                .is_some_and(|logs| !logs.is_empty())
                .then_some(())
        },
    )
    .await;
    json_lines(&stop(first).await);
    let (second, _) = serve(&world, "worker").await;
    let cluster = deployed(&client, &uri, &action).await;
    assert_eq!(cluster["current_num_nodes"], 6);
    assert_eq!(world.instances("us-east-1").len(), 6);
    json_lines(&stop(second).await);
    json_lines(&stop(api).await);
    world.finish().await;
}

#[tokio::test]
async fn the_simulator_alone_speaks_the_ec2_protocol() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut sim = start(&["sim", "--listen", &listen], &[]);
    let url = format!("http://{listen}");
    let said = sim
        .until("its first words", |p| {
            p.stdout().contains("describe-vpcs").then(|| p.stdout())
        })
        .await;
    assert!(
        said.contains(&url) && said.contains("--endpoint-url"),
        "{said}"
    );

    let http = reqwest::Client::new();
    let call = async |service: &str, body: &'static str| {
        let scope = format!("AKIAEXAMPLE/20260101/us-east-1/{service}/aws4_request");
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = http
            .post(&url)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", authorization)
            .body(body);
        let response = request.send().await.expect("the simulator answers");
        (
            response.status().as_u16(),
            response.text().await.expect("a body"),
        )
    };
    let (status, zones) = call("ec2", "Action=DescribeAvailabilityZones&Version=2016-11-15").await;
    assert_eq!(status, 200, "{zones}");
    assert!(zones.contains("<zoneName>us-east-1f</zoneName>"), "{zones}");
    let (status, identity) = call("sts", "Action=GetCallerIdentity&Version=2011-06-15").await;
    assert_eq!(status, 200, "{identity}");
    assert!(
        identity.contains("<Account>123456789012</Account>"),
        "{identity}"
    );
    let (status, error) = call("ec2", "Action=MakeCoffee&Version=2016-11-15").await;
    assert_eq!(status, 400, "{error}");
    assert!(error.contains("<Code>InvalidAction</Code>"), "{error}");
    stop(sim).await;
}

/// What the simulator at this URL answers to a call of EC2.
async fn ec2(url: &str, access_key: &str, call: &str) -> String {
    let scope = format!("{access_key}/20260101/us-east-1/ec2/aws4_request");
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let request = reqwest::Client::new()
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", authorization)
        .body(format!("Action={call}&Version=2016-11-15"));
    let answer = request.send().await.expect("the simulator answers");
    answer.text().await.expect("a body")
}

/// The first text of an element in an answer; empty when there is none.
fn element(answer: &str, name: &str) -> String {
    let open = format!("<{name}>");
    let rest = answer.split_once(&open).map(|(_, rest)| rest);
    let text = rest.and_then(|rest| rest.split_once('<'));
    text.map(|(text, _)| text.to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn the_simulator_is_as_hard_as_its_flags_and_its_scenario_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, text.to_string()).unwrap();
        path.display().to_string()
    };
    let statement = json!({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"});
    let policy = file("policy.json", json!({"Statement": statement}));
    let refuse = json!({"refuse": {"status": 503, "code": "Unavailable", "message": "later"}});
    let scenario = file(
        "scenario.json",
        json!({"orders": [
            {"bucket": {"action": "DescribeSubnets", "request": {"size": 1, "refill_per_s": 0}}},
            {"after_ms": 1, "faults": {"action": "DescribeRegions", "times": 1000, "fault": refuse}},
        ]}),
    );
    let listen = format!("127.0.0.1:{}", free_port());
    let policy = format!("intern={policy}");
    let mut sim = start(
        &[
            "sim",
            "--listen",
            &listen,
            "--throttle",
            "--consistency-ms",
            "3600000-3600000",
            "--vcpus",
            "3",
            "--capacity",
            "us-east-1b/*=0",
            "--order",
            r#"faults={"action":"DescribeImages","nth":2,"fault":{"error_after_effect":[500,"InternalError"]}}"#,
            "--policy",
            &policy,
            "--scenario",
            &scenario,
        ],
        &[],
    );
    let said = |p: &Process| p.stdout().contains("describe-vpcs").then_some(());
    sim.until("its first words", said).await;
    let url = format!("http://{listen}");

    let refusal = async |key: &str, call: &str| element(&ec2(&url, key, call).await, "Code");
    let owner = async |call: &str| refusal("owner", call).await;
    assert_eq!(owner("DescribeSubnets").await, "");
    assert_eq!(owner("DescribeSubnets").await, "RequestLimitExceeded");
    let gateway = element(
        &ec2(&url, "owner", "CreateInternetGateway").await,
        "internetGatewayId",
    );
    let unseen = format!("DeleteInternetGateway&InternetGatewayId={gateway}");
    assert_eq!(owner(&unseen).await, "InvalidInternetGatewayID.NotFound");

    let images = "DescribeImages&Filter.1.Name=architecture&Filter.1.Value.1=x86_64";
    let image = element(&ec2(&url, "owner", images).await, "imageId");
    assert_eq!(owner(images).await, "InternalError", "the second one");
    let launch = async |zone: &str, count: u32| {
        let call = format!(
            "RunInstances&ImageId={image}&InstanceType=t3.micro&Placement.AvailabilityZone={zone}\
             &MinCount={count}&MaxCount={count}"
        );
        owner(&call).await
    };
    assert_eq!(
        launch("us-east-1b", 1).await,
        "InsufficientInstanceCapacity"
    );
    assert_eq!(launch("us-east-1a", 2).await, "VcpuLimitExceeded");
    assert_eq!(launch("us-east-1a", 1).await, "");

    assert_eq!(refusal("intern", "DescribeVpcs").await, "");
    let denied = refusal("intern", "DescribeInstances").await;
    assert_eq!(denied, "UnauthorizedOperation");
    wait_for("the order that comes later", || async {
        (owner("DescribeRegions").await == "Unavailable").then_some(())
    })
    .await;
    stop(sim).await;
}

#[tokio::test]
async fn an_address_in_use_is_named_and_nothing_is_left_behind() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let free = format!("127.0.0.1:{}", free_port());
    let database = ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none");
    let cases: [(&[&str], Variables<'_>); 4] = [
        (&["serve", "--listen", &taken], &[database]),
        (&["sim", "--listen", &taken], &[]),
        (
            &[
                "dev",
                "--listen",
                &taken,
                "--sim-listen",
                &free,
                "--data-dir",
                data,
            ],
            &[],
        ),
        (
            &[
                "dev",
                "--listen",
                &free,
                "--sim-listen",
                &taken,
                "--data-dir",
                data,
            ],
            &[],
        ),
    ];
    for (arguments, environment) in cases {
        let ended = run(arguments, environment).await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.stderr);
        let words = format!("berth: can't listen on {taken}: Address already in use");
        assert!(
            ended.stderr.contains(&words),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    assert!(!std::path::Path::new(data).exists(), "a database was made");
    drop(holder);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_and_not_a_wait_for_ever() {
    let port = free_port();
    let url = format!("postgres://berth:geheim@127.0.0.1:{port}/berth");
    let processes: Vec<Process> = [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
        &["user", "add", "ann"],
    ]
    .into_iter()
    .map(|arguments| start(arguments, &[("DATABASE_URL", &url)]))
    .collect();
    for process in processes {
        let ended = process.ended().await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{}",
            ended.stderr
        );
        assert!(
            ended
                .stderr
                .contains("berth: the database: can't connect to Postgres at 127.0.0.1:"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("geheim"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn dev_keeps_its_database_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let (api, sim) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let arguments = [
        "dev",
        "--listen",
        &api,
        "--sim-listen",
        &sim,
        "--data-dir",
        data,
    ];
    let client = Client::new(format!("http://{api}"), "dev", "dev");

    let mut dev = start(&arguments, &[]);
    let said = dev
        .until("`Ctrl-C stops it.`", |p| {
            p.stdout().contains("Ctrl-C stops it.").then(|| p.stdout())
        })
        .await;
    for words in [
        format!("http://{api} "),
        format!("http://{sim}\n"),
        "user dev, key dev".to_owned(),
        data.to_owned(),
        format!("curl -u dev:dev http://{api}{CLUSTERS} -d "),
        format!("aws --endpoint-url http://{sim} "),
        format!("http://{api}/docs/"),
    ] {
        assert!(said.contains(&words), "{words:?} is missing:\n{said}");
    }
    let (uri, action) = deploy(&client, "web", 1).await;
    let before = deployed(&client, &uri, &action).await;
    stop(dev).await;

    let mut dev = start(&arguments, &[]);
    dev.until("`Ctrl-C stops it.`", |p| {
        p.stdout().contains("Ctrl-C stops it.").then_some(())
    })
    .await;
    let after = client.get(&uri).await.expect(200).body;
    for member in [
        "uuid",
        "name",
        "nodes",
        "deployed_datetime",
        "tags",
        "region",
        "node_type",
    ] {
        assert_eq!(after[member], before[member], "{member}");
    }
    assert_eq!(
        client.get(&action).await.expect(200).body["state"],
        "Success"
    );
    assert_eq!(client.post(CLUSTERS, &wish("web", 1)).await.status, 409);
    stop(dev).await;
}

#[tokio::test]
async fn the_demo_ends_well_and_shows_the_balance() {
    let ended = run(&["demo", "--nodes", "2"], &[]).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "", "nothing went wrong");
    for words in [
        "POST /api/infra/v1/nodecluster/",
        "Deploying: 0 of 2 nodes",
        "Deployed: 2 of 2 nodes",
        "What was done in AWS (/api/audit/v1/action/",
        "dc-vpc",
        "has called home",
        "The balance over the availability zones of us-east-1:",
        "Deployed 2 nodes in ",
    ] {
        assert!(
            ended.stdout.contains(words),
            "{words:?} is missing:\n{}",
            ended.stdout
        );
    }
    let zones: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.contains('■'))
        .collect();
    assert_eq!(zones.len(), 2, "two nodes in two zones:\n{}", ended.stdout);
    assert!(
        zones
            .iter()
            .all(|line| line.starts_with("  us-east-1") && line.ends_with(" 1")),
        "{zones:?}"
    );
}

#[tokio::test]
async fn a_demo_of_what_there_is_not_ends_badly_with_the_reason() {
    for (arguments, reason) in [
        (
            ["--node-type", "nonsense"],
            "node_type: there is no node type \"nonsense\"",
        ),
        (
            ["--region", "nowhere"],
            "region: there is no region \"nowhere\"",
        ),
    ] {
        let ended = run(&["demo", arguments[0], arguments[1]], &[]).await;
        assert_eq!(ended.code, Some(1), "{}\n{}", ended.stdout, ended.stderr);
        assert!(
            ended.stderr.starts_with(&format!("berth: 400: {reason}")),
            "{}",
            ended.stderr
        );
    }
}
