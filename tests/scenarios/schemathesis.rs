//! schemathesis, which generates requests from the served specification, finds nothing: what is well-formed is taken, what
//! is not is refused, and each answer is one that the specification has.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{World, add_user, schemathesis};

const FEWEST_REQUESTS: u64 = 5_000;

fn texts<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let objects = list["objects"].as_array().unwrap();
    objects
        .iter()
        .map(|object| object[member].as_str().unwrap())
        .collect()
}

/// Writes a dictionary of schemathesis': one quoted text a line.
fn write_dictionary(folder: &Path, name: &str, entries: &[&str]) {
    assert!(!entries.is_empty(), "{name} would be empty");
    let lines: Vec<String> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
    fs::write(folder.join(name), lines.join("\n")).unwrap();
}

fn write_users(folder: &Path, users: &[(&str, &str)]) {
    let users: Vec<Value> = users
        .iter()
        .map(|(name, key)| {
            let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{key}")));
            json!({"name": name, "fixedHeaders": [{"name": "Authorization", "value": basic}]})
        })
        .collect();
    let users = json!({"auth": users}).to_string();
    fs::write(folder.join("users.json"), users).unwrap();
}

#[tokio::test]
async fn thousands_of_generated_requests_are_answered_as_the_specification_says() {
    let world = World::start().await;
    for name in ["one", "two", "three", "four"] {
        let name = json!({"name": name});
        world.deploy("us-east-1", "t3.micro", 2, name).await;
    }
    for name in ["five", "six"] {
        let name = json!({"name": name});
        world.create("us-east-1", "t3.micro", 1, name).await;
    }
    let events: Vec<String> = sqlx::query_scalar("SELECT id::text FROM event")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    add_user(&world, "eve", "eves-key").await;

    let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/schemathesis");
    let folder = tempfile::tempdir().unwrap();
    for file in ["schemathesis.toml", "hooks.py"] {
        fs::copy(configuration.join(file), folder.path().join(file)).unwrap();
    }
    write_users(folder.path(), &[("dev", "dev"), ("eve", "eves-key")]);
    for (file, list) in [
        ("clusters.txt", "/nodecluster"),
        ("nodes.txt", "/node"),
        ("actions.txt", "/action"),
    ] {
        let list = world.fetch(list).await;
        write_dictionary(folder.path(), file, &texts(&list, "uuid"));
    }
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    write_dictionary(folder.path(), "events.txt", &events);

    let output = schemathesis(folder.path(), &world.client.base).await;
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let report = fs::read(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let api: Value = serde_json::from_str(&api::openapi_json()).unwrap();
    let paths = api["paths"].as_object().unwrap().values();
    let operations: usize = paths.map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(report["operations"]["tested"], operations);
    for phase in ["examples", "coverage", "fuzzing", "stateful"] {
        assert_eq!(report["phases"][phase]["status"], "success", "{phase}");
    }
    let requests = report["test_cases"]["generated"].as_u64().unwrap();
    assert!(requests >= FEWEST_REQUESTS, "{requests} requests\n{said}");
    world.finish().await;
}
