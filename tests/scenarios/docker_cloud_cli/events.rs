//! `event`: every change of state as it comes.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use store::event::Event;
use tests::{DockerCloud, Process, World, wait_for};

use super::{REGION, assert_synced, good, id, still_world, uri, user};

/// The frames that were printed, one on each whole line.
fn frames(process: &Process) -> Vec<Value> {
    let printed = process.stdout();
    let lines = printed.split_inclusive('\n');
    lines
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Starts `event` and creates clusters until the first of them is told: from then on, nothing is missed.
async fn listen(world: &World, cli: &DockerCloud) -> Process {
    let process = cli.start(&["event"]);
    let knocks = AtomicU32::new(0);
    wait_for("an event to be told", || async {
        let name = format!("knock-{}", knocks.fetch_add(1, Ordering::Relaxed));
        world
            .create(REGION, "t3.micro", 1, json!({"name": name}))
            .await;
        (!frames(&process).is_empty()).then_some(())
    })
    .await;
    process
}

/// A frame as the reference has it, made of an entry of the event log.
fn frame(event: &Event, namespace: &str) -> Value {
    let uri_of = |kind: &str, id: String| match kind {
        "action" => format!("/api/audit/v1/action/{id}/"),
        _ => format!("/api/infra/v1/{namespace}{kind}/{id}/"),
    };
    let parents: Vec<String> = event
        .parent
        .iter()
        .map(|(kind, id)| uri_of(kind.as_str(), id.to_string()))
        .collect();
    json!({
        "type": event.object_type,
        "action": event.change,
        "parents": parents,
        "resource_uri": uri_of(&event.object_type, event.object_id.to_string()),
        "state": event.state,
        "uuid": event.id,
        "datetime": event.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

/// Waits until everything is told that is in the log up to now, and asserts that it is told in its order, each once.
async fn assert_told(world: &World, process: &mut Process, namespace: &str) -> Vec<Value> {
    let mut connection = world.pool.acquire().await.expect("a connection");
    let log = store::event::after(&mut connection, None, 0, u32::MAX)
        .await
        .expect("the event log");
    let first = frames(process).remove(0)["uuid"].clone();
    let from = log.iter().position(|event| first == event.id.to_string());
    let expected: Vec<Value> = log[from.expect("what is told is in the log")..]
        .iter()
        .map(|event| frame(event, namespace))
        .collect();
    process
        .until("the end of the log", |it| {
            (frames(it).len() >= expected.len()).then_some(())
        })
        .await;
    let told = frames(process);
    assert_eq!(told, expected);
    told
}

/// What is told of an object.
fn told_of<'a>(frames: &'a [Value], uri: &str) -> Vec<(&'a str, &'a str)> {
    let of_it = frames.iter().filter(|frame| frame["resource_uri"] == uri);
    of_it
        .map(|frame| (super::text(frame, "action"), super::text(frame, "state")))
        .collect()
}

#[tokio::test]
async fn each_change_of_state_is_printed_in_its_order() {
    let world = World::start().await;
    let cli = user(&world);
    let mut events = listen(&world, &cli).await;
    let (cluster, deploy) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = cluster["nodes"][0].as_str().unwrap();
    let printed = good(cli.run(&["nodecluster", "rm", "--sync", "web"]).await);
    assert_synced(&printed, "Success", id(&cluster));
    let told = assert_told(&world, &mut events, "").await;
    assert_eq!(
        told_of(&told, uri(&cluster)),
        [
            ("create", "Init"),
            ("update", "Deploying"),
            ("update", "Deployed"),
            ("update", "Terminating"),
            ("delete", "Terminated"),
        ]
    );
    assert_eq!(
        told_of(&told, node),
        [
            ("create", "Deploying"),
            ("update", "Deployed"),
            ("update", "Terminating"),
            ("delete", "Terminated"),
        ]
    );
    assert_eq!(
        told_of(&told, uri(&deploy)),
        [("create", "In progress"), ("update", "Success")]
    );
    assert_eq!(events.stderr(), "");
    world.finish().await;
}

#[tokio::test]
async fn with_the_users_own_namespace_its_events_are_printed_and_nobody_elses() {
    let world = still_world().await;
    let mut connection = world.pool.acquire().await.expect("a connection");
    store::access::add_key(&mut connection, "eve", &api::auth::key_digest("eves"))
        .await
        .expect("a user");
    drop(connection);
    let eve = user(&world)
        .with("DOCKERCLOUD_USER", "eve")
        .with("DOCKERCLOUD_APIKEY", "eves")
        .start(&["event"]);
    let cli = user(&world).with("DOCKERCLOUD_NAMESPACE", "dev");
    let mut events = listen(&world, &cli).await;
    let cluster = world.create(REGION, "t3.micro", 1, json!({})).await;
    let printed = good(cli.run(&["nodecluster", "rm", id(&cluster)]).await);
    assert_eq!(printed, format!("{}\n", id(&cluster)));
    let told = assert_told(&world, &mut events, "dev/").await;
    let path = format!("/api/infra/v1/dev/nodecluster/{}/", id(&cluster));
    assert_eq!(
        told_of(&told, &path),
        [("create", "Init"), ("delete", "Terminated")]
    );
    assert_eq!((eve.stdout(), eve.stderr()), (String::new(), String::new()));
    world.finish().await;
}

#[tokio::test]
async fn a_namespace_that_is_not_the_users_has_no_events() {
    let world = still_world().await;
    let cli = user(&world).with("DOCKERCLOUD_NAMESPACE", "nobody");
    let mut events = cli.start(&["event"]);
    // It tries again for ever.
    events
        .until("a second attempt", |it| {
            let refused = "Handshake status 404 NOT FOUND";
            (it.stderr().matches(refused).count() > 1).then_some(())
        })
        .await;
    assert_eq!(events.stdout(), "");
    world.finish().await;
}
