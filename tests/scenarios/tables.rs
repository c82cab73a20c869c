//! The tables of the wire reference's section 3, field by field, held against bodies of each kind in every stage of its
//! life: which fields there are, of which type, which may be null, and how a time is written.
//!
//! `wire.rs` compares whole bodies; here it is the rules that count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tests::{Options, Socket, World};

mod rows;

use rows::{Form::*, *};

/// What was seen of the nullable fields, by object and field: null, a value, or both.
#[derive(Default)]
struct Seen(BTreeMap<String, BTreeSet<bool>>);

impl Seen {
    #[track_caller]
    fn check(&mut self, what: &str, table: Table, body: &Value) {
        self.walk(what, table, body, false);
    }

    fn walk(&mut self, what: &str, table: Table, body: &Value, may_lack: bool) {
        let Value::Object(members) = body else {
            panic!("{what} is no object: {body}");
        };
        for name in members.keys() {
            let is_known = table.iter().any(|(known, _, _)| known == name);
            assert!(is_known, "{what}.{name} is not in the table");
        }
        for &(name, form, is_nullable) in table {
            let place = format!("{what}.{name}");
            match members.get(name) {
                None => assert!(may_lack, "{place} is not there"),
                Some(value) => {
                    if is_nullable {
                        let seen = self.0.entry(place.clone()).or_default();
                        seen.insert(value.is_null());
                    }
                    if !(is_nullable && value.is_null()) {
                        self.value(&place, form, value);
                    }
                }
            }
        }
    }

    fn value(&mut self, place: &str, form: Form, value: &Value) {
        let fits = match form {
            Bool => value.is_boolean(),
            Int => value.is_u64(),
            Object(table) | Options(table) => {
                self.walk(place, table, value, matches!(form, Options(_)));
                true
            }
            Objects(table) => {
                for one in value.as_array().into_iter().flatten() {
                    self.walk(place, table, one, false);
                }
                value.is_array()
            }
            Uris(resource) => is_list(value, |uri| is_uri(uri, resource)),
            Texts => is_list(value, |_| true),
            _ => value.as_str().is_some_and(|text| is_text(form, text)),
        };
        assert!(fits, "{place} is no {form:?}: {value}");
    }
}

fn is_list(value: &Value, is_one: impl Fn(&str) -> bool) -> bool {
    let list = value.as_array();
    list.is_some_and(|list| list.iter().all(|one| one.as_str().is_some_and(&is_one)))
}

fn is_text(form: Form, text: &str) -> bool {
    match form {
        Text => true,
        Uuid => is_v4(text),
        Uri(resource) => is_uri(text, resource),
        Time => is_time(text, "%a, %d %b %Y %H:%M:%S +0000"),
        IsoTime => is_time(text, "%Y-%m-%dT%H:%M:%SZ"),
        Token => text.len() == 32 && text.bytes().all(is_lower_hex),
        OneOf(choices) => choices.contains(&text),
        _ => false,
    }
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_v4(text: &str) -> bool {
    let shape = b"xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, kind)| match kind {
            b'x' => is_lower_hex(byte),
            b'v' => b"89ab".contains(&byte),
            exact => byte == *exact,
        })
}

/// An absolute path with a slash at both ends; of one resource, unless that is empty.
fn is_uri(text: &str, resource: &str) -> bool {
    let front = match resource {
        "" => "/api/".to_owned(),
        "action" => format!("/api/audit/v1/{resource}/"),
        _ => format!("/api/infra/v1/{resource}/"),
    };
    text.starts_with(&front) && text.ends_with('/') && !text.contains("//")
}

/// Whether a time is of exactly this form.
fn is_time(text: &str, form: &str) -> bool {
    let time = chrono::NaiveDateTime::parse_from_str(text, form);
    time.is_ok_and(|time| time.format(form).to_string() == text)
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().expect("a text")
}

/// The objects of a list, on one page.
async fn list(world: &World, path: &str) -> Vec<Value> {
    let list = world.fetch(&format!("{path}?limit=1000")).await;
    list["objects"].as_array().unwrap().clone()
}

/// Checks everything that there is at this moment, as the list and as the object itself show it.
async fn check_all(world: &World, seen: &mut Seen) {
    for (what, table, path) in [
        ("node cluster", CLUSTER, "/nodecluster"),
        ("node", NODE, "/node"),
        ("action", ACTION, "/action"),
    ] {
        for object in list(world, path).await {
            seen.check(what, table, &object);
            seen.check(
                what,
                table,
                &world.fetch(text(&object, "resource_uri")).await,
            );
        }
    }
}

/// What was asked for and is not done: nobody works on it.
async fn check_the_early_stages(seen: &mut Seen) {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let own_vpc = json!({"provider_options": {"vpc": {
        "id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d"], "security_groups": ["sg-0a1b2c3d"],
    }}});
    let cluster = world.create("us-east-1", "t3.micro", 2, own_vpc).await;
    check_all(&world, seen).await;
    let deploy = format!("{}deploy/", text(&cluster, "resource_uri"));
    let answer = world.client.post(&deploy, &json!({})).await.expect(202);
    seen.check("node cluster", CLUSTER, &answer.body);
    check_all(&world, seen).await;
    let cancel = format!("{}cancel/", answer.action_uri());
    let canceled = world.client.post(&cancel, &json!({})).await.expect(202);
    seen.check("action", ACTION, &canceled.body);
    world.finish().await;
}

#[tokio::test]
async fn clusters_nodes_and_actions_follow_their_tables_in_every_stage() {
    let mut seen = Seen::default();
    check_the_early_stages(&mut seen).await;
    let world = World::start().await;
    world.make_instance_profile("p").await;
    let options = json!({
        "provider_options": {"iam": {"instance_profile_name": "p"}},
        "tags": [{"name": "a"}],
    });
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, options).await;
    check_all(&world, &mut seen).await;
    let node = cluster["nodes"][0].as_str().unwrap();
    let upgrade = format!("{node}docker-upgrade/");
    let upgrade = world.client.post(&upgrade, &json!({})).await.expect(202);
    seen.check("node", NODE, &upgrade.body);
    assert_eq!(world.ended(&upgrade.action_uri()).await["state"], "Failed");
    let gone = world.client.delete(node).await.expect(202);
    seen.check("node", NODE, &gone.body);
    world.ended(&gone.action_uri()).await;
    check_all(&world, &mut seen).await;
    world.terminate(&cluster).await;
    check_all(&world, &mut seen).await;

    // Nothing may be null for ever, but what only an agent could tell.
    let always_null = [
        "node.docker_execdriver",
        "node.docker_graphdriver",
        "node.docker_version",
        "node.tunnel",
    ];
    // Every node has these: those that have not are machines that register themselves.
    let never_null = ["node.node_cluster", "node.node_type", "node.region"];
    for (field, was_null) in &seen.0 {
        let expected = match field.as_str() {
            field if always_null.contains(&field) => BTreeSet::from([true]),
            field if never_null.contains(&field) => BTreeSet::from([false]),
            _ => BTreeSet::from([false, true]),
        };
        assert_eq!(*was_null, expected, "{field}");
    }
    assert_eq!(seen.0.len(), 15, "{:?}", seen.0.keys());
    world.finish().await;
}

#[tokio::test]
async fn the_catalogue_tags_and_tokens_follow_their_tables() {
    let world = World::start().await;
    let mut seen = Seen::default();
    for (what, table, path) in [
        ("provider", PROVIDER, "/provider"),
        ("region", REGION, "/region"),
        ("zone", ZONE, "/az"),
        ("node type", NODE_TYPE, "/nodetype"),
    ] {
        let objects = list(&world, path).await;
        assert!(!objects.is_empty(), "{what}");
        for object in &objects {
            seen.check(what, table, object);
        }
        let first = world.fetch(text(&objects[0], "resource_uri")).await;
        assert_eq!(first, objects[0], "{what}");
    }
    let tags = json!({"tags": [{"name": "a"}]});
    world.create("us-east-1", "t3.micro", 1, tags).await;
    let tags = list(&world, "/tag").await;
    assert!(tags.len() > 5, "{tags:?}");
    for tag in &tags {
        seen.check("tag", USED_TAG, tag);
    }
    let token = world.client.post("/token", &json!({})).await.expect(201);
    seen.check("token", TOKEN, &token.body);
    world.finish().await;
}

#[tokio::test]
async fn the_frames_of_the_streams_follow_their_tables() {
    let world = World::start().await;
    let mut seen = Seen::default();
    let mut events = Socket::open(&world.client, "/api/audit/v1/events/").await;
    let (cluster, deploy) = world.deploy("us-east-1", "t3.micro", 2, json!({})).await;
    world.terminate(&cluster).await;
    let mut types = BTreeSet::new();
    loop {
        let frame = events.frame().await;
        seen.check("event", EVENT, &frame);
        let parents = frame["parents"].as_array().unwrap().len();
        assert_eq!(
            parents,
            usize::from(frame["type"] != "nodecluster"),
            "{frame}"
        );
        types.insert((
            text(&frame, "type").to_owned(),
            text(&frame, "action").to_owned(),
        ));
        if frame["resource_uri"] == cluster["resource_uri"] && frame["state"] == "Terminated" {
            break;
        }
    }
    for of in ["nodecluster", "node"] {
        for change in ["create", "update", "delete"] {
            assert!(
                types.contains(&(of.to_owned(), change.to_owned())),
                "{types:?}"
            );
        }
    }
    drop(events);

    let logs = format!("{}logs/", text(&deploy, "resource_uri"));
    let (frames, code, _) = Socket::open(&world.client, &logs).await.rest().await;
    assert_eq!(code, 1000);
    let lines: Vec<&str> = frames.iter().map(|frame| text(frame, "log")).collect();
    assert_eq!(lines.join("\n"), text(&deploy, "log"));
    for frame in &frames {
        seen.check("log", LOG, frame);
    }
    world.finish().await;
}
