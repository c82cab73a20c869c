//! Every operation of the specification, also those to come: nobody gets in without a key, and nobody to what is another
//! user's.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Options, World, add_user};

// The lists of exceptions can only shrink: one that is not needed any more fails its test.
/// They tell nothing of anybody's, and those who ask have no key.
const OPEN: [&str; 4] = [
    "GET /agent/install.sh",
    "GET /agent/{program}",
    "GET /healthz",
    "GET /readyz",
];
/// The catalogue is the same for everybody.
const EVERYBODYS: [&str; 4] = [
    "GET /api/infra/v1/az/{provider}/{region}/{name}/",
    "GET /api/infra/v1/nodetype/{provider}/{name}/",
    "GET /api/infra/v1/provider/{name}/",
    "GET /api/infra/v1/region/{provider}/{name}/",
];
/// There are no services.
const NOBODYS: [&str; 1] = ["GET /api/app/v1/service/{uuid}/"];
/// There is nothing to delete before something is linked.
const NOTHING_LINKED: &str = "DELETE /api/infra/v1/provider/aws/credentials/";
/// Users, organizations, keys and quotas: `isolation.rs` tries them out, with all roles.
const OF_PEOPLE: &str = "/api/berth/";
/// What is outside of `/api/` is in no namespace.
const WITHOUT_NAMESPACE: [&str; 3] = ["GET /auth/", "GET /healthz", "GET /readyz"];

/// An agent's credential is a token, which the scenarios of agents try out; its namespace is that of the token. What makes
/// a machine one with an agent needs none.
const OF_AGENTS: [&str; 2] = ["/api/agent/", "/agent/"];

/// An operation of the specification.
struct Operation {
    method: Method,
    /// With parameters in it.
    template: String,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// The path of the object that there really is.
    fn path(&self, objects: &BTreeMap<&str, String>) -> String {
        let (front, _) = self.template.split_once("{uuid}").unwrap_or_default();
        let resource = front.split('/').rfind(|segment| !segment.is_empty());
        let id = resource.map_or("", |resource| {
            let id = objects.get(resource);
            id.unwrap_or_else(|| panic!("make an object for {}", self.name()))
        });
        let name = match () {
            () if self.template.contains("/provider/") => "aws",
            () if self.template.contains("/region/") => "us-east-1",
            () if self.template.contains("/az/") => "us-east-1a",
            () => "t3.micro",
        };
        let path = self.template.replace("{uuid}", id);
        let path = path.replace("{provider}", "aws").replace("{name}", name);
        let path = path.replace("{region}", "us-east-1");
        let path = path.replace("{program}", "berth-agent-linux-amd64");
        let path = ["{user}", "{namespace}"]
            .iter()
            .fold(path, |path, parameter| path.replace(parameter, "dev"));
        assert!(
            !path.contains('{'),
            "what stands for a parameter of {path}?"
        );
        path
    }

    async fn ask(&self, client: &Client, path: &str) -> (StatusCode, Value) {
        // Good for everything that has a body.
        let body = json!({
            "name": "theirs",
            "nickname": "theirs",
            "region": "/api/infra/v1/region/aws/us-east-1/",
            "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        });
        let body = Some(body.to_string().into_bytes());
        let answer = client.send(self.method.clone(), path, body).await;
        (answer.status.try_into().unwrap(), answer.body)
    }
}

fn operations() -> Vec<Operation> {
    let api: Value = serde_json::from_str(&api::openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (template, item) in api["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                template: template.clone(),
            });
        }
    }
    assert!(operations.len() >= 39, "{}", operations.len());
    operations
}

fn operations_of_users() -> Vec<Operation> {
    let mut operations = operations();
    operations.retain(|operation| {
        !OF_AGENTS
            .iter()
            .chain(&[OF_PEOPLE])
            .any(|front| operation.template.starts_with(front))
    });
    operations
}

/// A world in which dev has one of everything, and nothing moves by itself.
async fn with_one_of_everything() -> (World, BTreeMap<&'static str, String>) {
    let world = World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = format!("{uri}deploy/");
    let answer = world.client.post(&deploy, &json!({})).await.expect(202);
    let node = world.fetch(answer.body["nodes"][0].as_str().unwrap()).await;
    let action = world.fetch(&answer.action_uri()).await;
    let id = |object: &Value| object["uuid"].as_str().unwrap().to_owned();
    let objects = BTreeMap::from([
        ("nodecluster", id(&cluster)),
        ("node", id(&node)),
        ("action", id(&action)),
        ("service", "00cc59e1-c605-403c-a5fb-3269b6a0d6bf".to_owned()),
    ]);
    (world, objects)
}

/// Everything that dev has.
async fn all(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    for list in ["/nodecluster", "/node", "/action", "/tag"] {
        all.push(world.fetch(list).await);
    }
    all
}

#[track_caller]
fn assert_refused(what: &str, body: &Value) {
    let members = body.as_object().map(|body| body.keys().collect::<Vec<_>>());
    assert!(
        members.is_some_and(|members| members == ["error"]),
        "{what}: {body}"
    );
}

#[tokio::test]
async fn every_operation_without_credentials_is_401() {
    let (world, objects) = with_one_of_everything().await;
    let before = all(&world).await;
    for client in [
        world.client.as_user("dev", "wrong"),
        world.client.as_user("nobody", "dev"),
        world.client.as_user("", ""),
    ] {
        let mut open = BTreeSet::new();
        for operation in operations() {
            let (status, body) = operation.ask(&client, &operation.path(&objects)).await;
            if status == StatusCode::UNAUTHORIZED {
                assert_refused(&operation.name(), &body);
            } else {
                open.insert(operation.name());
            }
        }
        assert_eq!(open, OPEN.map(str::to_owned).into());
    }
    let mut open = BTreeSet::new();
    for operation in operations() {
        let url = format!("{}{}", world.client.base, operation.path(&objects));
        let request = reqwest::Client::new().request(operation.method.clone(), url);
        if request.send().await.unwrap().status() != StatusCode::UNAUTHORIZED {
            open.insert(operation.name());
        }
    }
    assert_eq!(open, OPEN.map(str::to_owned).into());
    assert_eq!(all(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn every_operation_on_what_is_another_users_is_404() {
    let (world, objects) = with_one_of_everything().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let before = all(&world).await;
    let operations = operations_of_users();
    let of_objects = || operations.iter().filter(|it| it.template.contains('{'));

    let mut everybodys = BTreeSet::new();
    for operation in of_objects() {
        let (status, body) = operation.ask(&eve, &operation.path(&objects)).await;
        if status == StatusCode::NOT_FOUND {
            assert_refused(&operation.name(), &body);
        } else {
            everybodys.insert(operation.name());
        }
    }
    assert_eq!(everybodys, EVERYBODYS.map(str::to_owned).into());
    assert_eq!(all(&world).await, before);

    // Whose they are finds each of them, whatever its state allows.
    let mut nobodys = BTreeSet::new();
    for operation in of_objects() {
        let path = operation.path(&objects);
        if operation.ask(&world.client, &path).await.0 == StatusCode::NOT_FOUND {
            nobodys.insert(operation.name());
        }
    }
    assert_eq!(nobodys, NOBODYS.map(str::to_owned).into());
    world.finish().await;
}

#[tokio::test]
async fn every_operation_in_another_users_namespace_is_404() {
    let (world, objects) = with_one_of_everything().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let before = all(&world).await;
    // `/api/<subsystem>/v1/<namespace>/…`
    let in_namespace = |path: &str, namespace: &str| {
        let (at, _) = path.match_indices('/').nth(3)?;
        let is_api = path.starts_with("/api/");
        is_api.then(|| format!("{}/{namespace}{}", &path[..at], &path[at..]))
    };

    let mut without = BTreeSet::new();
    let operations = operations_of_users();
    for operation in &operations {
        let path = operation.path(&objects);
        for (client, namespace) in [
            (&eve, "dev"),
            (&world.client, "eve"),
            (&world.client, "nobody"),
        ] {
            let Some(path) = in_namespace(&path, namespace) else {
                without.insert(operation.name());
                continue;
            };
            let (status, body) = operation.ask(client, &path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{} {path}", operation.method);
            assert_refused(&path, &body);
        }
    }
    assert_eq!(without, WITHOUT_NAMESPACE.map(str::to_owned).into());
    assert_eq!(all(&world).await, before);

    // In their own namespace everything is found.
    let mut nobodys = BTreeSet::new();
    for operation in &operations {
        if let Some(path) = in_namespace(&operation.path(&objects), "dev")
            && operation.ask(&world.client, &path).await.0 == StatusCode::NOT_FOUND
        {
            nobodys.insert(operation.name());
        }
    }
    assert!(nobodys.remove(NOTHING_LINKED));
    assert_eq!(nobodys, NOBODYS.map(str::to_owned).into());
    world.finish().await;
}
