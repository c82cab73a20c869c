//! The streams: events, logs of actions and events of nodes, over WebSockets.

use serde_json::{Value, json};
use sqlx::Connection;
use store::event::Event;
use tests::{Client, Options, World, add_user};

mod events;
mod handshake;
mod logs;
mod nodes;
mod replay;
mod slow;

const EVENTS: &str = "/api/audit/v1/events/";

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().expect("a text")
}

async fn create(world: &World, name: &str) -> Value {
    world
        .create("us-east-1", "t3.micro", 1, json!({"name": name}))
        .await
}

/// Asks for a deploy; answers with the cluster and the URI of the action.
async fn deploy(world: &World, cluster: &Value) -> (Value, String) {
    let path = format!("{}deploy/", text(cluster, "resource_uri"));
    let answer = world.client.post(&path, &json!({})).await.expect(202);
    let action = answer.action_uri();
    (answer.body, action)
}

/// A change that is one event: an action that is done with its request.
async fn change(client: &Client, cluster: &Value, tag: &str) {
    let tags = json!({"tags": [{"name": tag}]});
    let uri = text(cluster, "resource_uri");
    client.patch(uri, &tags).await.expect(202);
}

/// Makes so many events in one commit: actions that have ended.
async fn flood(world: &World, cluster: &Value, count: i32) {
    sqlx::query(
        "INSERT INTO action (id, namespace_id, name, object_type, object_id, state, method, path, body, user_name,
                             user_agent, ip, began_at, ended_at)
         SELECT gen_random_uuid(), namespace_id, 'Node Cluster Update', 'nodecluster', id, 'Success', 'PATCH', '/', '',
                'dev', '', '', now(), now()
         FROM cluster, generate_series(1, $2) WHERE id = $1::uuid",
    )
    .bind(text(cluster, "uuid"))
    .bind(count)
    .execute(&world.pool)
    .await
    .unwrap();
}

/// The event log of everybody.
async fn log(world: &World) -> Vec<Event> {
    // A connection of its own: those of the pool are the service's, and are killed by one of the tests.
    let mut connection = sqlx::PgConnection::connect(&world.database_url)
        .await
        .unwrap();
    let events = store::event::after(&mut connection, None, 0, u32::MAX)
        .await
        .unwrap();
    connection.close().await.unwrap();
    events
}

/// The frame of an event as Docker Cloud's documentation has it; `ns` is empty or ends with a slash.
fn frame(event: &Event, ns: &str) -> Value {
    let uri = |object_type: &str, id: uuid::Uuid| match object_type {
        "action" => format!("/api/audit/v1/action/{id}/"),
        "token" => format!("/api/infra/v1/{ns}token/"),
        _ => format!("/api/infra/v1/{ns}{object_type}/{id}/"),
    };
    let parents: Vec<String> = event
        .parent
        .iter()
        .map(|(object_type, id)| uri(object_type.as_str(), *id))
        .collect();
    json!({
        "type": event.object_type,
        "action": event.change,
        "parents": parents,
        "resource_uri": uri(&event.object_type, event.object_id),
        "state": event.state,
        "uuid": event.id,
        "datetime": event.created_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    })
}

fn frames(events: &[Event], ns: &str) -> Vec<Value> {
    events.iter().map(|event| frame(event, ns)).collect()
}
