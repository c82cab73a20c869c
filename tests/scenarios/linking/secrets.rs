//! Where a secret goes that is linked: nowhere but to AWS, and sealed into the database.

use tests::{Process, free_port};

use super::*;

const OLD_KEY: &str = "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xkb2w=";
const NEW_KEY: &str = "bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmU=";
const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");

/// A replica as a process of its own, and a client of it.
async fn serve(world: &World, secret_key: &str) -> (Process, Client) {
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["serve", "--listen", &listen, "--sweep-seconds", "1"];
    let environment = [
        ("DATABASE_URL", world.database_url.as_str()),
        ("AWS_ENDPOINT_URL", &world.endpoint.url),
        ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
        ("BERTH_SECRET_KEY", secret_key),
        ("BERTH_LOG", "debug"),
        ("BERTH_LOG_FORMAT", "json"),
    ];
    let mut process = Process::start(BERTH, &arguments, &environment);
    process.address().await;
    let client = world.client.at(format!("http://{listen}"));
    (process, client)
}

async fn stop(process: Process) -> String {
    process.sigterm();
    let ended = process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stderr + &ended.stdout
}

/// Every row of every table, as text.
pub(super) async fn dump(world: &World) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(tables.len() > 10);
    let mut text = String::new();
    for table in tables {
        let query = format!("SELECT t::text FROM {table} t");
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&world.pool)
            .await
            .unwrap();
        text.push_str(&rows.join("\n"));
    }
    text
}

/// The forms in which the secret might stand somewhere.
fn assert_no_secret(what: &str, text: &str) {
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let quoted = SECRET.replace('/', "\\/");
    let encoded = SECRET.replace('/', "%2F").replace('+', "%2B");
    for form in [SECRET, &hex, &quoted, &encoded] {
        assert!(!text.contains(form), "{what} has the secret as {form}");
    }
}

async fn still() -> World {
    World::with(Options {
        with_worker: false,
        ..strict()
    })
    .await
}

#[tokio::test]
async fn a_secret_is_in_no_log_no_table_and_no_answer() {
    let world = still().await;
    let (process, client) = serve(&world, OLD_KEY).await;
    let mut answers = String::new();
    // Mistakes first: an error is what repeats things.
    for body in [
        json!({"access_key_id": SECRET, "secret_access_key": THEIRS}),
        json!({"role_arn": SECRET}),
        json!({"access_key_id": THEIRS, "secret_access_key": [SECRET]}),
        json!({"access_key_id": THEIRS, "secret_access_key": format!("{SECRET} {SECRET}")}),
        json!({"role_arn": "arn:aws:iam::111122223333:role/none", "secret_access_key": SECRET}),
        json!(SECRET),
        json!([THEIRS, SECRET]),
    ] {
        answers += &client.put(CREDENTIALS, &body).await.expect(400).text;
    }
    world.sim().revoke("AKIAGONE");
    let gone = client.put(CREDENTIALS, &key("AKIAGONE")).await;
    answers += &gone.expect(400).text;
    let linked = client.put(CREDENTIALS, &key(THEIRS)).await.expect(201);
    answers += &client.get(&linked.action_uri()).await.expect(200).text;
    answers += &linked.text;
    let cluster = deploy(&client, "web").await;
    terminate(&client, &cluster).await;
    for path in [CREDENTIALS, "/action", "/nodecluster", "/node", "/provider"] {
        answers += &client.get(path).await.expect(200).text;
    }
    assert_no_secret("an answer", &answers);
    let dump = dump(&world).await;
    assert!(dump.contains(THEIRS), "the dump has the link");
    assert_no_secret("the database", &dump);
    let log = stop(process).await;
    assert!(log.contains("was linked"), "the log tells of it");
    assert_no_secret("the log", &log);
    world.finish().await;
}

#[tokio::test]
async fn what_was_tampered_with_or_belongs_elsewhere_does_not_open() {
    let world = strict_world().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(201);
    eve.put(CREDENTIALS, &key(OTHER)).await.expect(201);
    // One bit is another one, or somebody else's whole secret stands there, or another key's.
    for change in [
        "sealed_secret = set_byte(sealed_secret, 40, get_byte(sealed_secret, 40) # 1)",
        "sealed_secret = (SELECT sealed_secret FROM account_link WHERE account = '444455556666')",
    ] {
        let before: Vec<u8> =
            sqlx::query_scalar("SELECT sealed_secret FROM account_link WHERE account = $1")
                .bind(THEIRS)
                .fetch_one(&world.pool)
                .await
                .unwrap();
        let query = format!("UPDATE account_link SET {change} WHERE account = '{THEIRS}'");
        sqlx::query(sqlx::AssertSqlSafe(query))
            .execute(&world.pool)
            .await
            .unwrap();
        let name = format!("web{}", change.len());
        let (cluster, answer) = try_to_deploy(&world.client, &name).await;
        let action = ended(&world.client, &answer.expect(202)).await;
        assert_eq!(action["state"], "Failed", "{action:#}");
        let log = action["log"].as_str().unwrap_or_default();
        assert!(log.contains("UnusableCredentials"), "{action:#}");
        assert!(log.contains("does not open"), "{log}");
        terminate(&world.client, &cluster).await;
        sqlx::query(
            "UPDATE account_link SET sealed_secret = $2, invalid = NULL WHERE account = $1",
        )
        .bind(THEIRS)
        .bind(before)
        .execute(&world.pool)
        .await
        .unwrap();
        // The worker opens it when it takes the site.
        sqlx::query("UPDATE site SET lease_owner = NULL, lease_expires_at = NULL, fencing_token = fencing_token + 1")
            .execute(&world.pool)
            .await
            .unwrap();
    }
    assert!(live(&world, THEIRS).is_empty() && live(&world, OTHER).is_empty());
    world.finish().await;
}

#[tokio::test]
async fn keys_are_rotated_with_the_command_line() {
    let world = still().await;
    let (process, client) = serve(&world, OLD_KEY).await;
    client.put(CREDENTIALS, &key(THEIRS)).await.expect(201);
    client
        .post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);
    stop(process).await;
    let rotate = |keys: String| {
        let database_url = world.database_url.clone();
        async move {
            let environment = [
                ("DATABASE_URL", database_url.as_str()),
                ("BERTH_SECRET_KEY", &keys),
            ];
            Process::start(BERTH, &["rotate-key"], &environment)
                .ended()
                .await
        }
    };
    let sealed = || async {
        let sealed: Vec<u8> =
            sqlx::query_scalar("SELECT sealed_secret FROM account_link WHERE kind = 'key'")
                .fetch_one(&world.pool)
                .await
                .unwrap();
        sealed
    };
    let before = sealed().await;
    // Without the old key nothing opens, and nothing changes.
    let refused = rotate(NEW_KEY.to_owned()).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains(&format!("the access key {THEIRS} of link ")),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("Nothing has been changed"),
        "{}",
        refused.stderr
    );
    assert_eq!(sealed().await, before);

    for count in [1, 0] {
        let rotated = rotate(format!("{NEW_KEY}\n{OLD_KEY}\n")).await;
        assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
        assert!(
            rotated.stderr.contains(&format!("count={count}")),
            "{}",
            rotated.stderr
        );
        assert_ne!(sealed().await, before);
    }
    let (process, client) = serve(&world, NEW_KEY).await;
    let cluster = deploy(&client, "web").await;
    terminate(&client, &cluster).await;
    let log = stop(process).await;
    for secret in [OLD_KEY, NEW_KEY] {
        assert!(!log.contains(secret));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_worker_without_the_right_secret_key_says_nothing_of_a_link() {
    let world = still().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let (process, client) = serve(&world, OLD_KEY).await;
    client.put(CREDENTIALS, &key(THEIRS)).await.expect(201);
    let eve = eve.at(client.base.clone());
    eve.put(CREDENTIALS, &key(OTHER)).await.expect(201);
    stop(process).await;
    // One after the other: when the second is tried, the first has been.
    let due = "UPDATE account_link SET check_at = now() - CASE account WHEN $1 THEN 2 ELSE 1 END * interval '1 hour'
               WHERE kind = 'key'";
    sqlx::query(due)
        .bind(THEIRS)
        .execute(&world.pool)
        .await
        .unwrap();
    let (process, client) = serve(&world, NEW_KEY).await;
    wait_for("both to be tried", || async {
        let due = "SELECT count(*) FROM account_link WHERE kind = 'key' AND check_at <= now()";
        let due = sqlx::query_scalar::<_, i64>(due).fetch_one(&world.pool);
        (due.await.unwrap() == 0).then_some(())
    })
    .await;
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(shown["valid"], true, "{shown:#}");
    stop(process).await;
    world.finish().await;
}

#[tokio::test]
async fn without_a_secret_key_roles_can_be_linked_and_access_keys_can_not() {
    let mut options = strict();
    options.worker.secret_key = None;
    let world = World::with(options).await;
    let refused = world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(503);
    assert!(
        refused.error().contains("BERTH_SECRET_KEY"),
        "{}",
        refused.error()
    );
    link_role(&world, &world.client, THEIRS).await;
    world.finish().await;
}

#[tokio::test]
async fn the_policies_that_the_command_prints_make_a_role_that_can_be_linked() {
    let world = strict_world().await;
    let environment = [
        ("DATABASE_URL", world.database_url.as_str()),
        ("AWS_ENDPOINT_URL", &world.endpoint.url),
        ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
    ];
    let print = |arguments: &'static [&'static str]| {
        let environment = environment.to_vec();
        async move {
            let arguments = [&["aws", "policy"], arguments].concat();
            Process::start(BERTH, &arguments, &environment)
                .ended()
                .await
        }
    };
    let trust = print(&["dev", "--only", "trust"]).await;
    assert_eq!((trust.code, trust.stderr.as_str()), (Some(0), ""));
    let document: Value = serde_json::from_str(&trust.stdout).unwrap();
    let statement = &document["Statement"][0];
    assert_eq!(
        statement["Principal"]["AWS"],
        format!("arn:aws:iam::{ACCOUNT}:root")
    );
    let asked = &statement["Condition"]["StringEquals"]["sts:ExternalId"];
    assert_eq!(*asked, json!(external_id(&world.client).await));
    let permissions = print(&["dev", "--only", "permissions"]).await;
    assert_eq!(permissions.stdout, tests::IAM_POLICY);
    let both = print(&["dev"]).await;
    assert_eq!(both.stdout, trust.stdout + tests::IAM_POLICY);
    let nobody = print(&["nobody"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(
        nobody.stderr.contains("there is no namespace \"nobody\""),
        "{}",
        nobody.stderr
    );
    let given = print(&["dev", "--account", OTHER, "--only", "trust"]).await;
    assert!(given.stdout.contains(&format!("arn:aws:iam::{OTHER}:root")));

    let role_arn = world.make_role(THEIRS, &document).await;
    world
        .client
        .put(CREDENTIALS, &json!({"role_arn": role_arn}))
        .await
        .expect(201);
    world.finish().await;
}
