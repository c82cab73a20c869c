//! `berth serve` as it should be run: by TLS, with a role in the database that owns nothing, with a log that nobody else
//! writes into.

use std::{borrow::Cow, fs, path::Path, sync::Arc};

use rcgen::generate_simple_self_signed;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};
use tests::{Options, Process, World, raw_exchange, wait_for};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
const ROLES: &str = include_str!("../../docs/database-roles.sql");

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// Starts `berth serve` as an API with these flags.
async fn serve(database_url: &str, flags: &[&str]) -> (Process, String) {
    let arguments = [
        "--log-format",
        "json",
        "serve",
        "--role",
        "api",
        "--listen",
        "127.0.0.1:0",
    ];
    let program = env!("CARGO_BIN_EXE_berth-under-test");
    let environment = [("DATABASE_URL", database_url)];
    let mut process = Process::start(program, &[&arguments, flags].concat(), &environment);
    let address = process.address().await;
    (process, format!("http://{address}"))
}

/// Writes a new certificate for this name, and its key; answers with the certificate.
fn certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    let made = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()
}

/// The answer to a request by TLS, where the certificate is the one that is trusted.
async fn by_tls(base: &str, trusted: &CertificateDer<'static>, request: &str) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(base.trim_start_matches("http://"))
        .await
        .unwrap();
    let name = ServerName::try_from("berth.example").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.ok()?;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[tokio::test]
async fn tls_is_served_and_a_new_certificate_is_read_at_sighup() {
    let world = still_world().await;
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(folder.path(), "berth.example");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("certificate.pem"), path("key.pem"));
    let flags = ["--tls-certificate", &cert, "--tls-key", &key];
    let (process, base) = serve(&world.database_url, &flags).await;
    let request = format!(
        "GET {CLUSTERS} HTTP/1.1\r\nHost: berth.example\r\nAuthorization: Basic ZGV2OmRldg==\r\n\
         Connection: close\r\n\r\n"
    );
    let answer = by_tls(&base, &first, &request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age=31536000"),
        "{answer}"
    );
    // Plain HTTP is no way in.
    let plain = raw_exchange(&base, request.clone().into_bytes()).await;
    assert!(plain.is_none(), "{plain:?}");

    // What can't be used changes nothing.
    let good = fs::read(&key).unwrap();
    fs::write(&key, "no key").unwrap();
    process.signal("HUP");
    wait_for("the refusal in the log", || async {
        process
            .stderr()
            .contains("the one that there was stays")
            .then_some(())
    })
    .await;
    assert!(by_tls(&base, &first, &request).await.is_some());
    fs::write(&key, good).unwrap();

    let second = certificate(folder.path(), "berth.example");
    process.signal("HUP");
    wait_for("the new certificate", || async {
        by_tls(&base, &second, &request).await.map(|_| ())
    })
    .await;
    assert!(by_tls(&base, &first, &request).await.is_none());
    process.sigterm();
    assert_eq!(process.ended().await.code, Some(0));

    // What can't be meant is said at the start.
    for (flags, words) in [
        (
            vec!["--tls-certificate", "/nowhere.pem", "--tls-key", &key],
            "/nowhere.pem",
        ),
        (vec!["--tls-certificate", &cert], "--tls-key"),
        (
            vec!["--trusted-proxies", "everybody"],
            "\"everybody\" is no network",
        ),
    ] {
        let environment = [("DATABASE_URL", world.database_url.as_str())];
        let program = env!("CARGO_BIN_EXE_berth-under-test");
        let ended = Process::start(program, &[&["serve"], &flags[..]].concat(), &environment)
            .ended()
            .await;
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_role_that_owns_nothing_is_enough_to_serve_and_to_work() {
    let world = World::without_worker().await;
    // As the documentation has it, but for the names: roles are the whole server's.
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(ROLES.replace("berth_serve", "least")))
        .execute(&mut *connection)
        .await
        .unwrap();
    drop(connection);
    let url = world.database_url.replace("user=", "user=least&was=");
    let url: String = url
        .split('&')
        .filter(|part| !part.starts_with("was="))
        .collect::<Vec<_>>()
        .join("&");
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("AWS_ENDPOINT_URL", &world.endpoint.url),
        ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
        ("BERTH_LISTEN", "127.0.0.1:0"),
        ("BERTH_LOG_FORMAT", "json"),
        ("BERTH_AMBIENT_NAMESPACES", "*"),
        (
            "BERTH_SECRET_KEY",
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        ),
    ];
    let program = env!("CARGO_BIN_EXE_berth-under-test");
    let mut process = Process::start(program, &["serve", "--sweep-seconds", "1"], &environment);
    let address = process.address().await;
    let client = world.client.at(format!("http://{address}"));

    // A whole life of a cluster, a token, a key, a certificate.
    let wish = json!({
        "name": "web",
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        "target_num_nodes": 2,
    });
    let uri = client.post(CLUSTERS, &wish).await.expect(201).body["resource_uri"]
        .as_str()
        .unwrap()
        .to_owned();
    client
        .post(&format!("{uri}deploy/"), &json!({}))
        .await
        .expect(202);
    let state = |state: &'static str| {
        let (client, uri) = (client.clone(), uri.clone());
        async move {
            wait_for(state, || async {
                let cluster = client.get(&uri).await.expect(200).body;
                (cluster["state"] == state).then_some(())
            })
            .await;
        }
    };
    state("Deployed").await;
    client.get(&format!("{uri}certificate/")).await.expect(200);
    client.post("/token", &json!({})).await.expect(201);
    client
        .post("/api/berth/v1/key/", &json!({"name": "ci"}))
        .await
        .expect(201);
    client.delete("/api/berth/v1/key/ci/").await.expect(202);
    client.delete(&uri).await.expect(202);
    state("Terminated").await;
    process.sigterm();
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("permission denied"),
        "{}",
        ended.stderr
    );

    // It could not have done more: neither change the schema nor take anything back that was recorded.
    let pool = store::connect(&url, 1).unwrap();
    for statement in [
        "CREATE TABLE mine (id integer)",
        "ALTER TABLE users ADD COLUMN more text",
        "DROP TABLE event",
        "DELETE FROM event",
        "UPDATE event SET state = 'Deployed'",
        "DELETE FROM action",
        "DELETE FROM action_log",
        "UPDATE action_log SET line = ''",
        "DELETE FROM _sqlx_migrations",
        "UPDATE installation SET id = gen_random_uuid()",
        "TRUNCATE event",
        "CREATE ROLE more",
    ] {
        let refused = sqlx::query(statement)
            .execute(&pool)
            .await
            .expect_err(statement);
        let code = refused
            .as_database_error()
            .and_then(|it| it.code().map(Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    pool.close().await;
    world.finish().await;
}

#[tokio::test]
async fn nobody_writes_into_the_log_who_only_asks() {
    let world = still_world().await;
    for format in ["json", "text"] {
        let arguments = [
            "--log-format",
            format,
            "--log",
            "debug",
            "serve",
            "--role",
            "api",
            "--listen",
        ];
        let listen = format!("127.0.0.1:{}", tests::free_port());
        let arguments = [&arguments[..], &[&listen]].concat();
        let environment = [("DATABASE_URL", world.database_url.as_str())];
        let program = env!("CARGO_BIN_EXE_berth-under-test");
        let mut process = Process::start(program, &arguments, &environment);
        process
            .until("it to listen", |it| {
                it.stderr().contains("listening").then_some(())
            })
            .await;
        let client = world.client.at(format!("http://{listen}"));
        let name = format!("of-{format}");
        let wish = json!({
            "name": name,
            "nickname": "\u{202e}FORGED",
            "region": "/api/infra/v1/region/aws/us-east-1/",
            "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        });
        let made = client.post(CLUSTERS, &wish).await.expect(201).body;
        let uri = made["resource_uri"].as_str().unwrap();
        client
            .patch(uri, &json!({"tags": [{"name": "a\u{2028}FORGED"}]}))
            .await;
        client.get("/%0aFORGED%20everything/").await.expect(404);
        client
            .as_user("dev\nFORGED", "x\nFORGED")
            .get(CLUSTERS)
            .await
            .expect(401);
        for header in ["User-Agent", "X-Request-Id", "X-Forwarded-For"] {
            let request = format!(
                "POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZGV2OmRldg==\r\n\
                 {header}: a\x1b[31m\tFORGED\r\nConnection: close\r\n\r\n"
            );
            raw_exchange(&format!("http://{listen}"), request.into_bytes()).await;
        }
        process.sigterm();
        let ended = process.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        for line in ended.stderr.lines() {
            assert!(!line.starts_with("FORGED"), "{line}");
            assert!(
                format == "text" || serde_json::from_str::<Value>(line).is_ok(),
                "{line}"
            );
        }
        // No terminal is made to believe anything either, and no key is in it.
        assert!(!ended.stderr.contains("\u{1b}[31m"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("ZGV2OmRldg"), "{}", ended.stderr);
    }
    world.finish().await;
}

#[test]
fn the_container_runs_as_nobody_on_a_root_that_can_not_be_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let dockerfile = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    let user = last
        .lines()
        .find_map(|line| line.strip_prefix("USER "))
        .unwrap();
    assert!(
        user.starts_with(|first: char| first.is_ascii_digit() && first != '0'),
        "{user}"
    );
    let compose = fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    let (_, common) = compose.split_once("x-berth: &berth\n").unwrap();
    let (common, services) = common.split_once("\n\n").unwrap();
    for line in [
        "read_only: true",
        "cap_drop: [ALL]",
        "no-new-privileges:true",
    ] {
        assert!(common.contains(line), "{line}");
    }
    assert!(services.matches("<<: *berth").count() >= 3);
}

#[test]
fn every_test_that_is_named_here_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let (_, threats) = page.split_once("## Threats").unwrap();
    let named = threats.split('`').filter(|text| text.contains("::"));
    let mut folders = vec![root.join("crates/api/src"), root.join("tests/scenarios")];
    let mut read = 0;
    while read < folders.len() {
        let entries = fs::read_dir(&folders[read]).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        folders.extend(paths.filter(|path| path.is_dir()).collect::<Vec<_>>());
        read += 1;
    }
    let mut count = 0;
    for name in named {
        let (module, function) = name.split_once("::").unwrap();
        let file = format!("{module}.rs");
        // A module's name may be there in more than one folder.
        let is_there = folders
            .iter()
            .filter_map(|it| fs::read_to_string(it.join(&file)).ok())
            .any(|source| source.contains(&format!("fn {function}(")));
        assert!(is_there, "{name}");
        count += 1;
    }
    assert!(count >= 30, "{count}");
    // Each threat has one.
    let rows = threats
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| threat"));
    for row in rows {
        assert!(row.contains("::"), "{row}");
    }
}
