//! The specification: generated from the code, committed, served, and true.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::{Value, json};
use tests::{Options, World};

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

#[test]
fn the_committed_specification_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == api::openapi_json(),
        "openapi/openapi.json is not what the code says; refresh it:\n\n  cargo run -- openapi > openapi/openapi.json\n"
    );
}

#[tokio::test]
async fn the_specification_is_served_as_it_is_committed() {
    let world = still_world().await;
    let answer = world.client.get("/openapi.json").await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, api::openapi_json());
    world.finish().await;
}

/// The values of an attribute in a page, whichever quotes they stand in.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for quote in ['"', '\''] {
        for part in page.split(&format!("{name}={quote}")).skip(1) {
            found.extend(part.split(quote).next());
        }
    }
    found
}

#[tokio::test]
async fn the_documentation_needs_no_other_host() {
    let world = still_world().await;
    let base = reqwest::Url::parse(&format!("{}/docs/", world.client.base)).unwrap();
    // Without credentials, as a browser that comes to it.
    let http = reqwest::Client::new();
    let page = http.get(base.clone()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let kind = page.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/html"), "{kind}");
    let page = page.text().await.unwrap();

    let mut links = attributes(&page, "src");
    links.extend(attributes(&page, "href"));
    assert!(links.len() >= 4, "{page}");
    let mut scripts = String::new();
    for link in links {
        let url = base.join(link).unwrap();
        assert_eq!(url.origin(), base.origin(), "{link} is of another host");
        let answer = http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{link}");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let text = answer.bytes().await.unwrap();
        assert!(!text.is_empty(), "{link}");
        // A browser runs no script and applies no style that is called something else.
        match link.rsplit('.').next() {
            Some("css") => assert!(kind.starts_with("text/css"), "{link}: {kind}"),
            Some("js") => {
                assert!(kind.contains("javascript"), "{link}: {kind}");
                if text.len() < 100_000 {
                    scripts.push_str(&String::from_utf8_lossy(&text));
                }
            }
            _ => {}
        }
    }
    // What starts the page names the specification, and no validator elsewhere.
    assert!(scripts.contains("/openapi.json"), "{scripts}");
    assert!(
        !scripts.contains("https://") && !scripts.contains("http://"),
        "{scripts}"
    );

    let bare = http
        .get(format!("{}/docs", world.client.base))
        .send()
        .await
        .unwrap();
    assert_eq!((bare.status().as_u16(), bare.url().path()), (200, "/docs/"));
    world.finish().await;
}

/// The members of an object, by name.
fn members(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect()
}

/// What is wrong with a value by a schema, deep.
fn differences(api: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        match api.pointer(pointer) {
            Some(schema) => differences(api, schema, value, place, found),
            None => found.push(format!("{place}: {reference} is not there")),
        }
        return;
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        let fits = alternatives.iter().any(|schema| {
            let mut found = Vec::new();
            differences(api, schema, value, place, &mut found);
            found.is_empty()
        });
        if !fits {
            found.push(format!("{place}: {value} is none of {alternatives:?}"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&actual) {
        found.push(format!("{place} is {actual}, not {types:?}"));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{place}: {value} is not one of {allowed:?}"));
    }
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                differences(
                    api,
                    &schema["items"],
                    item,
                    &format!("{place}[{at}]"),
                    found,
                );
            }
        }
        Value::Object(object) => {
            let known = members(&schema["properties"]);
            let given = members(value);
            for name in given.difference(&known) {
                found.push(format!("{place}.{name} is not in the specification"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                if name.as_str().is_none_or(|name| !given.contains(name)) {
                    found.push(format!("{place}.{name} is required, but not there"));
                }
            }
            for (name, member) in object {
                if let Some(schema) = schema["properties"].get(name) {
                    differences(api, schema, member, &format!("{place}.{name}"), found);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn what_is_answered_is_what_the_specification_says() {
    let world = World::start().await;
    let api: Value = serde_json::from_str(&api::openapi_json()).unwrap();
    let options = json!({"provider_options": {"iam": {"instance_profile_name": "p"}}, "tags": [{"name": "a"}]});
    world.make_instance_profile("p").await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, options).await;
    assert_eq!(cluster["state"], "Deployed");
    let uuid = |object: &Value| object["uuid"].as_str().unwrap().to_owned();
    let node = world.nodes(&cluster).await.remove(0);
    let action = world.fetch("/api/audit/v1/action/").await["objects"][0].clone();

    let unknown = "00cc59e1-c605-403c-a5fb-3269b6a0d6bf".to_owned();
    let ids = BTreeMap::from([
        ("/api/infra/v1/nodecluster/{uuid}/", uuid(&cluster)),
        ("/api/infra/v1/node/{uuid}/", uuid(&node)),
        ("/api/audit/v1/action/{uuid}/", uuid(&action)),
        ("/api/infra/v1/provider/{name}/", "aws".to_owned()),
    ]);
    let mut asked = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        // What makes a machine a node is no JSON; the scenarios of agents try it out.
        if item.get("get").is_none() || path.starts_with("/agent/") {
            continue;
        }
        let mut exact = path.clone();
        if let Some(id) = ids.get(path.as_str()) {
            exact = path.replace("{uuid}", id).replace("{name}", id);
        }
        let name = if path.contains("nodetype") {
            "t3.micro"
        } else {
            "us-east-1"
        };
        let name = if path.contains("/az/") {
            "us-east-1a"
        } else {
            name
        };
        exact = exact
            .replace("{provider}", "aws")
            .replace("{region}", "us-east-1")
            .replace("{name}", name);
        let refused = format!("{path}?flavor=x")
            .replace("{uuid}", &unknown)
            .replace(['{', '}'], "");
        for path in [exact, refused] {
            let answer = world.client.get(&path).await;
            let documented = &item["get"]["responses"][answer.status.to_string()];
            let schema = &documented["content"]["application/json"]["schema"];
            assert!(
                schema.is_object(),
                "{path} answered {}, of which nothing is said",
                answer.status
            );
            let mut found = Vec::new();
            differences(&api, schema, &answer.body, &path, &mut found);
            assert!(found.is_empty(), "{found:#?}");
            asked += 1;
        }
    }
    assert!(asked >= 30, "{asked}");
    world.finish().await;
}
