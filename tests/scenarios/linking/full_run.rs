//! After a run in which everything secret has been used once: nothing of it stands where others might read it.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use tests::{Process, free_port};

use super::{secrets::dump, *};

const BERTH: &str = env!("CARGO_BIN_EXE_berth-under-test");
const SECRET_KEY: &str = "aHVudGVkaHVudGVkaHVudGVkaHVudGVkaHVudGVkaHU=";

fn settings<'a>(world: &'a World, url: &'a str) -> [(&'a str, &'a str); 11] {
    [
        ("DATABASE_URL", world.database_url.as_str()),
        ("AWS_ENDPOINT_URL", &world.endpoint.url),
        ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
        ("BERTH_ENGINE_PROXY", &world.endpoint.url),
        ("BERTH_LISTEN", url.trim_start_matches("http://")),
        ("BERTH_LOG", "debug"),
        ("BERTH_LOG_FORMAT", "json"),
        ("BERTH_PUBLIC_URL", url),
        ("BERTH_READINESS", "agent"),
        ("BERTH_SECRET_KEY", SECRET_KEY),
    ]
}

/// A command that prints a key, and nothing else.
async fn printed_key(world: &World, arguments: &[&str]) -> String {
    let environment = [("DATABASE_URL", world.database_url.as_str())];
    let ended = Process::start(BERTH, arguments, &environment).ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

/// The token of each launch, as the instances were told.
fn launch_tokens(world: &World, account: &str) -> Vec<String> {
    let told = |instance: sim::InstanceView| {
        let data = BASE64_STANDARD.decode(instance.user_data?).ok()?;
        let data = String::from_utf8(data).ok()?;
        let config: Value = serde_json::from_str(data.strip_prefix("#cloud-config\n")?).ok()?;
        let file: Value =
            serde_json::from_str(config["write_files"][0]["content"].as_str()?).ok()?;
        Some(file["Token"].as_str()?.to_owned())
    };
    live(world, account).into_iter().filter_map(told).collect()
}

/// The forms in which a secret might stand somewhere.
fn forms(secret: &str) -> Vec<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let mut forms = vec![
        secret.to_owned(),
        hex(secret.as_bytes()),
        BASE64_STANDARD
            .encode(secret)
            .trim_end_matches('=')
            .to_owned(),
        secret.replace('/', "\\/"),
        secret
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace('=', "%3D"),
    ];
    // What a key in base64 stands for.
    if let Ok(bytes) = BASE64_STANDARD.decode(secret) {
        forms.push(hex(&bytes));
        forms.push(String::from_utf8(bytes).unwrap_or_else(|_| secret.to_owned()));
    }
    forms
}

#[tokio::test]
async fn nothing_secret_is_in_the_log_the_database_the_answers_or_the_environment() {
    let world = World::with(Options {
        with_worker: false,
        with_hosts: true,
        ..strict()
    })
    .await;
    let url = format!("http://127.0.0.1:{}", free_port());
    let arguments = ["serve", "--sweep-seconds", "1"];
    let mut serve = Process::start(BERTH, &arguments, &settings(&world, &url));
    serve.address().await;
    let dev_key = printed_key(&world, &["key", "add", "dev", "--name", "hunted"]).await;
    let eve_key = printed_key(&world, &["user", "add", "eve"]).await;
    let dev = world.client.at(url.clone()).as_user("dev", &dev_key);
    let eve = world.client.at(url.clone()).as_user("eve", &eve_key);

    let mut answers = dev.put(CREDENTIALS, &key(THEIRS)).await.expect(201).text;
    let role = world
        .make_role(OTHER, &trust(&external_id(&eve).await))
        .await;
    let role = json!({"role_arn": role});
    answers += &eve.put(CREDENTIALS, &role).await.expect(201).text;
    // This one is shown once, to whoever asked for it.
    let token = dev
        .post("/api/infra/v1/token/", &json!({}))
        .await
        .expect(201);
    let token = token.body["token"].as_str().unwrap().to_owned();
    let (mine, hers) = tokio::join!(deploy(&dev, "mine"), deploy(&eve, "hers"));
    let mut tokens = launch_tokens(&world, THEIRS);
    tokens.extend(launch_tokens(&world, OTHER));
    assert_eq!(tokens.len(), 4);
    let sessions = world.sim().session_secrets();
    assert!(sessions.len() >= 2);
    // Mistakes are what repeats things.
    let wrong = json!({"access_key_id": THEIRS, "secret_access_key": [SECRET]});
    answers += &dev.put(CREDENTIALS, &wrong).await.expect(400).text;
    let wrong = dev.as_user("dev", &eve_key);
    answers += &wrong.get(CREDENTIALS).await.expect(401).text;
    let query = format!("/api/infra/v1/nodecluster/?user=dev&token={dev_key}&of={token}");
    answers += &dev.get(&query).await.text;
    for client in [&dev, &eve] {
        for path in [
            CREDENTIALS,
            "/api/audit/v1/action/",
            "/api/berth/v1/key/",
            "/api/infra/v1/node/",
            "/api/infra/v1/nodecluster/",
            "/api/infra/v1/provider/",
            "/api/infra/v1/provider/aws/options/?region=sa-east-1",
        ] {
            let answer = client.get(path).await.expect(200);
            answers += &answer.text;
            for object in answer.body["objects"].as_array().into_iter().flatten() {
                if let Some(uri) = object["resource_uri"].as_str() {
                    answers += &client.get(uri).await.text;
                }
            }
        }
    }
    terminate(&dev, &mine).await;
    terminate(&eve, &hers).await;

    let mut places = vec![
        ("the database", dump(&world).await),
        ("the answers", answers),
    ];
    let process = format!("/proc/{}", serve.id());
    // There is nothing of the kind to read elsewhere than on Linux.
    if fs::exists("/proc/self/environ").unwrap() {
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        match fs::read(format!("{process}/environ")) {
            Ok(environment) => {
                assert!(is_root, "nobody but root reads it");
                let environment = String::from_utf8_lossy(&environment).into_owned();
                assert!(environment.contains("BERTH_SECRET_KEY_FILE=/dev/fd/"));
                assert!(!environment.contains("BERTH_SECRET_KEY="));
                places.push(("the environment", environment));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
                assert!(!is_root, "root reads everything");
            }
        }
        let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let core: Vec<&str> = core.unwrap().split_whitespace().collect();
        assert_eq!(core[4..6], ["0", "0"], "no core dump is written");
        let arguments = fs::read_to_string(format!("{process}/cmdline")).unwrap();
        places.push(("the arguments", arguments));
    }
    serve.sigterm();
    let ended = serve.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log = ended.stderr + &ended.stdout;
    assert_eq!(log.matches("was linked").count(), 2, "the log tells of it");
    places.push(("the log", log));

    let mut secrets = vec![
        SECRET.to_owned(),
        SECRET_KEY.to_owned(),
        dev_key,
        eve_key,
        token,
    ];
    secrets.extend(tokens);
    secrets.extend(sessions);
    for secret in &secrets {
        assert!(secret.len() >= 20, "{secret} may stand somewhere by chance");
        for (place, text) in &places {
            for form in forms(secret) {
                assert!(!text.contains(&form), "{place} has {form}");
            }
        }
    }
    world.finish().await;
}
