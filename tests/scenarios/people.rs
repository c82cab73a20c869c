//! Users, organizations, roles and keys: who may do what, and from when on no more.

use serde_json::{Value, json};
use tests::{Client, Heard, Options, Process, Socket, World, add_user, wait_for};

const CLUSTERS: &str = "/api/infra/v1/acme/nodecluster/";
const KEYS: &str = "/api/berth/v1/key/";

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

/// Runs the `berth` command on the world's database; answers with what it prints.
async fn berth(world: &World, arguments: &[&str]) -> Result<String, String> {
    let environment = [("DATABASE_URL", world.database_url.as_str())];
    let program = env!("CARGO_BIN_EXE_berth-under-test");
    let ended = Process::start(program, arguments, &environment)
        .ended()
        .await;
    match ended.code {
        Some(0) => Ok(ended.stdout.trim().to_owned()),
        _ => Err(ended.stderr.clone()),
    }
}

fn wish(name: &str) -> Value {
    json!({
        "name": name,
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    })
}

/// An organization with one member of each role.
struct Acme {
    admin: Client,
    writer: Client,
    reader: Client,
    /// A cluster of it.
    cluster: String,
}

async fn acme(world: &World) -> Acme {
    for name in ["ada", "wim", "rea"] {
        add_user(world, name, name).await;
    }
    berth(world, &["org", "add", "acme", "--admin", "ada"])
        .await
        .unwrap();
    for (user, role) in [("wim", "read-write"), ("rea", "read")] {
        berth(world, &["org", "member", "acme", user, role])
            .await
            .unwrap();
    }
    let as_user = |name| world.client.as_user(name, name);
    let admin = as_user("ada");
    let made = admin.post(CLUSTERS, &wish("web")).await.expect(201).body;
    let cluster = made["resource_uri"].as_str().unwrap().to_owned();
    assert!(cluster.starts_with(CLUSTERS), "{cluster}");
    Acme {
        admin,
        writer: as_user("wim"),
        reader: as_user("rea"),
        cluster,
    }
}

#[tokio::test]
async fn members_of_an_organization_do_what_their_role_allows() {
    let world = still_world().await;
    let acme = acme(&world).await;

    // What is seen is the organization's, whoever looks.
    for member in [&acme.admin, &acme.writer, &acme.reader] {
        let list = member.get(CLUSTERS).await.expect(200).body;
        assert_eq!(list["objects"][0]["resource_uri"], acme.cluster.as_str());
        let own = member.get("/api/infra/v1/nodecluster/").await.expect(200);
        assert_eq!(own.body["meta"]["total_count"], 0);
    }
    // Nobody else sees that it is there.
    let denied = world.client.get(CLUSTERS).await.expect(404);
    assert_eq!(denied.error(), "there is no namespace acme");

    let scale = json!({"target_num_nodes": 3});
    let said = acme.reader.patch(&acme.cluster, &scale).await.expect(403);
    assert_eq!(
        said.error(),
        "this needs the role read-write, and yours in this organization is read: one of its admins can change that"
    );
    acme.writer.patch(&acme.cluster, &scale).await.expect(202);
    // A scale is all that read-write changes of a cluster.
    for more in [
        json!({"nickname": "x"}),
        json!({"tags": []}),
        json!({}),
        json!({"target_num_nodes": 4, "nickname": "x"}),
    ] {
        acme.writer.patch(&acme.cluster, &more).await.expect(403);
        acme.admin.patch(&acme.cluster, &more).await.expect(202);
    }
    let deploy = format!("{}deploy/", acme.cluster);
    let certificate = format!("{}certificate/", acme.cluster);
    for member in [&acme.reader, &acme.writer] {
        member.post(CLUSTERS, &wish("more")).await.expect(403);
        member.post(&deploy, &json!({})).await.expect(403);
        member.delete(&acme.cluster).await.expect(403);
        member.get(&certificate).await.expect(403);
        member
            .post("/api/infra/v1/acme/token/", &json!({}))
            .await
            .expect(403);
    }
    acme.admin.get(&certificate).await.expect(200);
    let action = acme
        .admin
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .action_uri();
    let action = action.replace("/v1/action/", "/v1/acme/action/");
    // To cancel or retry takes what it takes to ask for it.
    let cancel = format!("{action}cancel/");
    acme.reader.post(&cancel, &json!({})).await.expect(403);
    acme.writer.post(&cancel, &json!({})).await.expect(403);
    acme.admin.post(&cancel, &json!({})).await.expect(202);
    let retry = format!("{action}retry/");
    acme.writer.post(&retry, &json!({})).await.expect(403);
    world.finish().await;
}

#[tokio::test]
async fn admins_manage_the_members_and_there_always_is_one() {
    let world = still_world().await;
    let acme = acme(&world).await;
    add_user(&world, "new", "new").await;
    let new = world.client.as_user("new", "new");
    let members = "/api/berth/v1/acme/member/";
    let member = |name: &str| format!("{members}{name}/");
    let role = |role: &str| json!({"role": role});

    new.get(CLUSTERS).await.expect(404);
    acme.writer
        .send(
            "PUT".parse().unwrap(),
            &member("new"),
            Some(role("read").to_string().into()),
        )
        .await
        .expect(403);
    let put = |client: &Client, name: &str, given: &str| {
        let (client, path, body) = (client.clone(), member(name), role(given).to_string());
        async move {
            client
                .send("PUT".parse().unwrap(), &path, Some(body.into()))
                .await
        }
    };
    put(&acme.admin, "new", "read").await.expect(202);
    new.get(CLUSTERS).await.expect(200);
    put(&acme.admin, "nobody", "read").await.expect(404);
    let wrong = put(&acme.admin, "new", "owner").await.expect(400);
    assert_eq!(
        wrong.error(),
        "role: \"owner\" is no role; there are read, read-write, admin"
    );
    let list = acme.reader.get(members).await.expect(200).body;
    let names: Vec<&str> = list["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["user"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada", "new", "rea", "wim"]);
    let own = new.get("/api/berth/v1/org/").await.expect(200).body;
    assert_eq!(own["objects"], json!([{"name": "acme", "role": "read"}]));

    // The last admin neither goes nor becomes less.
    acme.admin.delete(&member("ada")).await.expect(403);
    put(&acme.admin, "ada", "read").await.expect(403);
    acme.admin.delete(&member("new")).await.expect(202);
    new.get(CLUSTERS).await.expect(404);
    // A user's own namespace has no members.
    acme.admin
        .send(
            "PUT".parse().unwrap(),
            "/api/berth/v1/member/new/",
            Some(role("read").to_string().into()),
        )
        .await
        .expect(404);

    // All of it is in the organization's audit log.
    let log = acme
        .reader
        .get("/api/audit/v1/acme/action/?limit=100")
        .await
        .expect(200)
        .body;
    let done: Vec<(&str, &str)> = log["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["action"].as_str().unwrap(), it["user"].as_str().unwrap()))
        .collect();
    assert_eq!(
        done,
        [
            ("Member Remove", "ada"),
            ("Member Set", "ada"),
            ("Node Cluster Create", "ada"),
            ("Member Set", "(command line)"),
            ("Member Set", "(command line)"),
            ("Organization Create", "(command line)"),
        ]
    );
    assert_eq!(log["objects"][0]["ip"], "127.0.0.1");
    world.finish().await;
}

#[tokio::test]
async fn keys_have_a_role_an_end_and_a_last_use_and_can_be_revoked() {
    let world = still_world().await;
    let made = world
        .client
        .post(KEYS, &json!({"name": "ci", "role": "read", "days": 30}))
        .await
        .expect(201);
    assert!(made.body["expires"].is_string(), "{}", made.text);
    let key = made.body["key"].as_str().unwrap();
    let reader = world.client.as_user("dev", key);
    reader.get("/nodecluster").await.expect(200);
    let said = reader.post("/nodecluster", &wish("a")).await.expect(403);
    assert_eq!(
        said.error(),
        "this needs the role admin, and the API key has read: use another key"
    );
    // Nobody makes a key that may do more than their own.
    reader.post(KEYS, &json!({})).await.expect(403);
    world
        .client
        .post(KEYS, &json!({"name": "ci"}))
        .await
        .expect(409);
    for (body, field) in [
        (json!({"name": "No"}), "name: "),
        (json!({"days": 0}), "days: "),
        (json!({"role": "x"}), "role: "),
    ] {
        let said = world.client.post(KEYS, &body).await.expect(400);
        assert!(said.error().starts_with(field), "{}", said.text);
    }
    let list = world.client.get(KEYS).await.expect(200);
    assert!(!list.text.contains(key), "a key is shown once");
    let named = |list: &Value, name: &str| {
        let keys = list["objects"].as_array().unwrap().clone();
        keys.into_iter().find(|key| key["name"] == name)
    };
    assert!(named(&list.body, "ci").unwrap()["last_used"].is_string());

    // Nor one that outlives their own.
    let short = json!({"name": "short", "days": 2});
    let short = world.client.post(KEYS, &short).await.expect(201).body;
    let short = world.client.as_user("dev", short["key"].as_str().unwrap());
    for longer in [json!({}), json!({"days": 3})] {
        let said = short.post(KEYS, &longer).await.expect(400);
        assert!(
            said.error().starts_with("days: the key would outlive "),
            "{}",
            said.text
        );
    }
    short.post(KEYS, &json!({"days": 1})).await.expect(201);

    // It is noted once a minute, however often it is used.
    sqlx::query("UPDATE api_key SET last_used_at = now() - interval '50 seconds'")
        .execute(&world.pool)
        .await
        .unwrap();
    let used = || async {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM api_key WHERE last_used_at > now() - interval '10 seconds'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap()
    };
    reader.get("/nodecluster").await.expect(200);
    assert_eq!(used().await, 0);
    sqlx::query(
        "UPDATE api_key SET last_used_at = now() - interval '61 seconds' WHERE name = 'ci'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    reader.get("/nodecluster").await.expect(200);
    assert_eq!(used().await, 1);

    // An expired one is worth as little as a revoked one.
    sqlx::query("UPDATE api_key SET expires_at = now() WHERE name = 'ci'")
        .execute(&world.pool)
        .await
        .unwrap();
    reader.get("/nodecluster").await.expect(401);
    sqlx::query("UPDATE api_key SET expires_at = NULL WHERE name = 'ci'")
        .execute(&world.pool)
        .await
        .unwrap();
    reader.get("/nodecluster").await.expect(200);
    world.client.delete(&format!("{KEYS}ci/")).await.expect(202);
    reader.get("/nodecluster").await.expect(401);
    world.client.delete(&format!("{KEYS}ci/")).await.expect(404);
    // The key of the request itself stays.
    let list = world.client.get(KEYS).await.expect(200).body;
    let own = list["objects"][0]["name"].as_str().unwrap();
    world
        .client
        .delete(&format!("{KEYS}{own}/"))
        .await
        .expect(409);
    world.finish().await;
}

#[tokio::test]
async fn whoever_is_removed_leaves_no_credentials_and_no_organization_without_an_admin() {
    let world = still_world().await;
    acme(&world).await;
    let said = berth(&world, &["user", "remove", "ada"]).await.unwrap_err();
    assert!(
        said.contains("\"acme\" would have no admin any more"),
        "{said}"
    );
    let ada = world.client.as_user("ada", "ada");
    ada.get(CLUSTERS).await.expect(200);
    let key = json!({"access_key_id": "111122223333", "secret_access_key": "s3cr3t"});
    let credentials = "/api/infra/v1/provider/aws/credentials/";
    ada.put(credentials, &key).await.expect(201);
    let sealed = || async {
        let count = "SELECT count(*) FROM account_link WHERE sealed_secret IS NOT NULL OR check_at IS NOT NULL";
        sqlx::query_scalar::<_, i64>(count)
            .fetch_one(&world.pool)
            .await
            .unwrap()
    };
    assert_eq!(sealed().await, 1);
    berth(&world, &["org", "member", "acme", "wim", "admin"])
        .await
        .unwrap();
    berth(&world, &["user", "remove", "ada"]).await.unwrap();
    assert_eq!(sealed().await, 0);

    // Two who remove one admin each do not leave it without any.
    berth(&world, &["org", "member", "acme", "rea", "admin"])
        .await
        .unwrap();
    let (one, other) = tokio::join!(
        berth(&world, &["user", "remove", "wim"]),
        berth(&world, &["user", "remove", "rea"]),
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let admins: i64 = sqlx::query_scalar("SELECT count(*) FROM member WHERE role = 'admin'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(admins, 1);

    // Who was found just before the removal is not taken in after it.
    let mut connection = world.pool.acquire().await.unwrap();
    let organization = store::people::organization(&mut connection, "acme");
    let organization = organization.await.unwrap().unwrap();
    let id: uuid::Uuid = sqlx::query_scalar("SELECT id FROM users WHERE name = 'ada'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let admin = domain::role::Role::Admin;
    let taken = store::people::set_member(&mut connection, organization, id.into(), admin);
    let said = taken.await.unwrap_err().to_string();
    assert!(said.contains("was removed"), "{said}");
    drop(connection);
    world.finish().await;
}

#[tokio::test]
async fn a_stream_ends_soon_after_its_key_is_revoked_and_nobody_elses_does() {
    let world = still_world().await;
    let made = world
        .client
        .post(KEYS, &json!({"name": "watch"}))
        .await
        .expect(201);
    let watcher = world
        .client
        .as_user("dev", made.body["key"].as_str().unwrap());
    let mut revoked = Socket::open(&watcher, "/api/audit/v1/events/").await;
    let mut kept = Socket::open(&world.client, "/api/audit/v1/events/").await;
    world
        .client
        .delete(&format!("{KEYS}watch/"))
        .await
        .expect(202);
    let (_, code, reason) = revoked.rest().await;
    assert_eq!(code, 1008);
    assert!(reason.starts_with("the API key was revoked"), "{reason}");
    kept.ping(b"still here").await;
    loop {
        match kept.next().await {
            Some(Heard::Frame(_)) => {}
            other => break assert_eq!(other, Some(Heard::Pong(b"still here".to_vec()))),
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn a_members_stream_ends_with_the_membership() {
    let world = still_world().await;
    let acme = acme(&world).await;
    let mut stream = Socket::open(&acme.reader, "/api/audit/v1/acme/events/").await;
    // It hears of the organization, and of nothing else.
    acme.reader.post(KEYS, &json!({})).await.expect(201);
    acme.admin.post(CLUSTERS, &wish("more")).await.expect(201);
    let frame = stream.frame().await;
    assert_eq!(frame["type"], "nodecluster");
    acme.admin
        .delete("/api/berth/v1/acme/member/rea/")
        .await
        .expect(202);
    let (_, code, _) = stream.rest().await;
    assert_eq!(code, 1008);
    world.finish().await;
}

#[tokio::test]
async fn operators_manage_users_and_nobody_else_does() {
    let world = still_world().await;
    let users = "/api/berth/v1/user/";
    let denied = world.client.get(users).await.expect(403);
    assert!(denied.error().contains("operators"), "{}", denied.text);
    let key = berth(&world, &["user", "add", "boss", "--operator"])
        .await
        .unwrap();
    let boss = world.client.as_user("boss", &key);
    let made = boss.post(users, &json!({"name": "ann"})).await.expect(201);
    let ann = world
        .client
        .as_user("ann", made.body["key"].as_str().unwrap());
    let cluster = ann
        .post("/nodecluster", &wish("web"))
        .await
        .expect(201)
        .body;
    boss.post(users, &json!({"name": "ann"})).await.expect(409);
    boss.post("/api/berth/v1/org/", &json!({"name": "ann"}))
        .await
        .expect(409);
    boss.post("/api/berth/v1/org/", &json!({"name": "acme"}))
        .await
        .expect(201);
    boss.post(users, &json!({"name": "acme"})).await.expect(409);
    boss.post(users, &json!({"name": "Ann"})).await.expect(400);
    ann.post(users, &json!({"name": "eve"})).await.expect(403);
    let list = boss.get(users).await.expect(200).body;
    assert_eq!(list["objects"].as_array().unwrap().len(), 3, "{list}");

    // Whoever has something that lives can't be removed; whoever was removed does not come back.
    let ann_uri = format!("{users}ann/");
    let said = boss.delete(&ann_uri).await.expect(403);
    assert!(
        said.error().contains("has 1 node clusters"),
        "{}",
        said.text
    );
    ann.delete(cluster["resource_uri"].as_str().unwrap())
        .await
        .expect(202);
    boss.delete(&ann_uri).await.expect(202);
    ann.get("/nodecluster").await.expect(401);
    boss.post(users, &json!({"name": "ann"})).await.expect(409);
    let said = berth(&world, &["user", "add", "ann"]).await.unwrap_err();
    assert!(said.contains("names are not used twice"), "{said}");
    boss.delete(&format!("{users}boss/")).await.expect(409);
    // A key that may only read is no operator's.
    let reader = boss.post(KEYS, &json!({"role": "read"})).await.expect(201);
    let reader = world
        .client
        .as_user("boss", reader.body["key"].as_str().unwrap());
    reader.get(users).await.expect(403);
    world.finish().await;
}

#[tokio::test]
async fn the_command_line_manages_users_keys_and_organizations() {
    let world = still_world().await;
    let run = async |arguments: &[&str]| berth(&world, arguments).await;
    let first = run(&["user", "add", "ann"]).await.unwrap();
    let second = run(&["user", "add", "ann"]).await.unwrap();
    let read = run(&[
        "key", "add", "ann", "--name", "ci", "--role", "read", "--days", "1",
    ])
    .await
    .unwrap();
    for key in [&first, &second, &read] {
        world
            .client
            .as_user("ann", key)
            .get("/auth/")
            .await
            .expect(200);
    }
    world
        .client
        .as_user("ann", &read)
        .post("/token", &json!({}))
        .await
        .expect(403);
    let list = run(&["key", "list", "ann"]).await.unwrap();
    let ci = list
        .lines()
        .find(|line| line.starts_with("ci\tread\t2"))
        .unwrap();
    assert!(!ci.ends_with("never"), "{list}");
    assert!(!list.contains(&read), "{list}");
    run(&["key", "revoke", "ann", "ci"]).await.unwrap();
    world
        .client
        .as_user("ann", &read)
        .get("/auth/")
        .await
        .expect(401);
    assert!(
        run(&["key", "revoke", "ann", "ci"])
            .await
            .unwrap_err()
            .contains("berth key list ann")
    );
    assert!(
        run(&["key", "add", "nobody"])
            .await
            .unwrap_err()
            .contains("berth user list")
    );

    run(&["org", "add", "acme", "--admin", "ann"])
        .await
        .unwrap();
    run(&["org", "member", "acme", "dev", "read"])
        .await
        .unwrap();
    assert_eq!(run(&["org", "list"]).await.unwrap(), "acme");
    assert_eq!(
        run(&["org", "list", "acme"]).await.unwrap(),
        "ann\tadmin\ndev\tread"
    );
    run(&["org", "remove", "acme", "dev"]).await.unwrap();
    assert!(
        run(&["org", "remove", "acme", "ann"])
            .await
            .unwrap_err()
            .contains("no admin")
    );
    assert!(
        run(&["org", "member", "nix", "dev", "read"])
            .await
            .unwrap_err()
            .contains("berth org list")
    );
    assert_eq!(
        run(&["user", "list"]).await.unwrap(),
        "ann\tuser\ndev\tuser"
    );

    run(&["quota", "set", "acme", "--clusters", "0"])
        .await
        .unwrap();
    assert_eq!(
        run(&["quota", "show", "acme"]).await.unwrap(),
        "clusters\t0\t0\nnodes\t0\tdefault"
    );
    let ann = world.client.as_user("ann", &first);
    let said = ann.post(CLUSTERS, &wish("web")).await.expect(403);
    assert!(
        said.error().contains("1 node clusters, and may have 0"),
        "{}",
        said.text
    );

    // What commands do is in the audit log, too.
    let log = ann.get("/action?limit=100").await.expect(200).body;
    let log = log["objects"].as_array().unwrap();
    assert_eq!(log.last().unwrap()["action"], "User Create");
    assert!(
        log.iter().all(|it| it["user"] == "(command line)"),
        "{log:?}"
    );
    assert_eq!(log[0]["path"], "berth key revoke ann ci");
    assert!(log[0]["user_agent"].as_str().unwrap().starts_with("berth/"));
    run(&["user", "remove", "dev"]).await.unwrap();
    wait_for("the user to be gone", || async {
        (world.client.get("/auth/").await.status == 401).then_some(())
    })
    .await;
    world.finish().await;
}
