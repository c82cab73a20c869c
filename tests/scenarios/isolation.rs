//! Every operation of the specification, as everybody, on what is theirs and on what is somebody else's.
//!
//! The table is this file's own: what the product's says is not asked.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, Options, World, add_user};

/// What an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    Read,
    Write,
    Admin,
    Operator,
    Token,
    Nothing,
}
use Takes::{Admin, Nothing, Operator, Read, Token, Write};

/// Where an operation's objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// In a namespace: its own where none stands in the path.
    Namespace,
    /// The caller's, or the installation's: no namespace may stand in the path.
    Caller,
    /// Everybody's, with a namespace in the path or without: `catalogue.rs` has what differs by the account.
    Everybody,
}
use Of::{Caller, Everybody, Namespace};

const TABLE: &[(&str, Takes, Of)] = &[
    ("list_node_clusters", Read, Namespace),
    ("create_node_cluster", Admin, Namespace),
    ("get_node_cluster", Read, Namespace),
    ("update_node_cluster", Write, Namespace),
    ("deploy_node_cluster", Admin, Namespace),
    ("upgrade_node_cluster", Admin, Namespace),
    ("terminate_node_cluster", Admin, Namespace),
    ("get_node_cluster_certificate", Admin, Namespace),
    ("list_nodes", Read, Namespace),
    ("get_node", Read, Namespace),
    ("update_node", Admin, Namespace),
    ("deploy_node", Admin, Namespace),
    ("check_node", Write, Namespace),
    ("upgrade_node", Admin, Namespace),
    ("terminate_node", Admin, Namespace),
    ("get_node_certificate", Admin, Namespace),
    ("stream_node_events", Read, Namespace),
    ("create_token", Admin, Namespace),
    ("list_tags", Read, Namespace),
    ("list_actions", Read, Namespace),
    ("get_action", Read, Namespace),
    // Of a deploy, which takes admin.
    ("cancel_action", Admin, Namespace),
    ("retry_action", Admin, Namespace),
    ("stream_action_logs", Read, Namespace),
    ("stream_events", Read, Namespace),
    ("list_members", Read, Namespace),
    ("set_member", Admin, Namespace),
    ("remove_member", Admin, Namespace),
    ("get_quota", Read, Namespace),
    ("get_credentials", Read, Namespace),
    ("put_credentials", Admin, Namespace),
    ("delete_credentials", Admin, Namespace),
    ("get_launch_options", Read, Namespace),
    ("list_providers", Read, Everybody),
    ("get_provider", Read, Everybody),
    ("list_regions", Read, Everybody),
    ("get_region", Read, Everybody),
    ("list_availability_zones", Read, Everybody),
    ("get_availability_zone", Read, Everybody),
    ("list_node_types", Read, Everybody),
    ("get_node_type", Read, Everybody),
    ("list_services", Read, Everybody),
    ("get_service", Read, Everybody),
    ("check_credentials", Read, Caller),
    ("list_keys", Read, Caller),
    ("create_key", Admin, Caller),
    ("revoke_key", Admin, Caller),
    ("list_organizations", Read, Caller),
    ("create_organization", Operator, Caller),
    ("set_quota", Operator, Caller),
    ("list_users", Operator, Caller),
    ("create_user", Operator, Caller),
    ("remove_user", Operator, Caller),
    ("register_host", Token, Caller),
    ("get_own_node", Token, Caller),
    ("announce_own_node", Token, Caller),
    ("ping_own_node", Token, Caller),
    ("send_heartbeat", Token, Caller),
    ("read_install_script", Nothing, Caller),
    ("download_agent", Nothing, Caller),
    ("is_alive", Nothing, Caller),
    ("is_ready", Nothing, Caller),
];

/// There are no services, nothing is linked that could be unlinked, and no program of the agent was built; and of a user's
/// own namespace there are no members.
const NOT_THERE: [&str; 3] = ["get_service", "delete_credentials", "download_agent"];
const NO_MEMBERS: [&str; 2] = ["set_member", "remove_member"];

struct Operation {
    id: String,
    method: Method,
    template: String,
    takes: Takes,
    of: Of,
}

fn operations() -> Vec<Operation> {
    let api: Value = serde_json::from_str(&api::openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (template, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let known = TABLE.iter().find(|(known, _, _)| *known == id);
            let (_, takes, of) = *known.unwrap_or_else(|| panic!("{id} is in no row of the table"));
            operations.push(Operation {
                id,
                method: method.to_uppercase().parse().unwrap(),
                template: template.clone(),
                takes,
                of,
            });
        }
    }
    assert_eq!(
        operations.len(),
        TABLE.len(),
        "the table has rows of no operation"
    );
    operations
}

impl Operation {
    fn path(&self, objects: &Objects, namespace: Option<&str>) -> String {
        let front = self
            .template
            .split_once("{uuid}")
            .map_or("", |(front, _)| front);
        let id = match front.split('/').rfind(|segment| !segment.is_empty()) {
            Some("nodecluster") => &objects.cluster,
            Some("node") => &objects.node,
            Some("action") => &objects.action,
            Some("service") => "00cc59e1-c605-403c-a5fb-3269b6a0d6bf",
            Some(other) => panic!("make a {other}"),
            None => "",
        };
        let name = match () {
            () if self.template.contains("/provider/") => "aws",
            () if self.template.contains("/region/") => "us-east-1",
            () if self.template.contains("/az/") => "us-east-1a",
            // The very key that is called with: whoever may revoke it at all is told that it is.
            () if self.template.contains("/key/") => "own",
            () => "t3.micro",
        };
        let user = match self.id.as_str() {
            "remove_user" => "temp",
            _ => "guest",
        };
        let mut path = self.template.clone();
        for (parameter, value) in [
            ("{uuid}", id),
            ("{provider}", "aws"),
            ("{region}", "us-east-1"),
            ("{name}", name),
            ("{user}", user),
            ("{namespace}", "acme"),
            ("{program}", "berth-agent-linux-amd64"),
        ] {
            path = path.replace(parameter, value);
        }
        assert!(
            !path.contains('{'),
            "what stands for a parameter of {path}?"
        );
        match namespace {
            Some(namespace) => {
                // `/api/<subsystem>/v1/<namespace>/…`
                let (at, _) = path.match_indices('/').nth(3).expect("a path of the API");
                format!("{}/{namespace}{}", &path[..at], &path[at..])
            }
            None => path,
        }
    }

    /// What is good for whoever may do it.
    fn body(&self) -> Value {
        match self.id.as_str() {
            "update_node_cluster" => json!({"target_num_nodes": 1}),
            "set_member" | "create_key" => json!({"role": "read"}),
            _ => json!({
                "name": "theirs",
                "nickname": "theirs",
                "region": "/api/infra/v1/region/aws/us-east-1/",
                "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
            }),
        }
    }

    async fn ask(&self, who: &Who, path: &str) -> (u16, String) {
        let body = self.body().to_string().into_bytes();
        let answer = match &who.client {
            Some(client) => client.send(self.method.clone(), path, Some(body)).await,
            None => {
                let url = format!("{}{path}", who.base);
                let request = reqwest::Client::new().request(self.method.clone(), url);
                let response = request.body(body).send().await.unwrap();
                return (response.status().as_u16(), response.text().await.unwrap());
            }
        };
        (answer.status, answer.text)
    }

    /// Asks for it; answers with what was said where that is something else than was expected.
    async fn misjudged(&self, who: &Who, path: &str, expected: Meaning) -> Option<String> {
        let (status, text) = self.ask(who, path).await;
        let said = || format!("{}: {} {path}: {status} {text}", who.name, self.method);
        (meaning(status) != expected).then(said)
    }
}

/// Somebody who calls.
struct Who {
    name: &'static str,
    base: String,
    /// None has no credentials at all.
    client: Option<Client>,
    /// What they may do in the organization; none where they are no member.
    in_acme: Option<Takes>,
    /// What they may do in their own namespace; none where their credentials are worth nothing.
    at_home: Option<Takes>,
}

/// The objects of one namespace.
struct Objects {
    cluster: String,
    node: String,
    action: String,
}

async fn objects(client: &Client, namespace: &str) -> Objects {
    let create = format!("/api/infra/v1/{namespace}/nodecluster/");
    let wish = json!({
        "name": "web",
        "region": "/api/infra/v1/region/aws/us-east-1/",
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
    });
    let cluster = client.post(&create, &wish).await.expect(201).body;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deploy = client
        .post(&format!("{uri}deploy/"), &json!({}))
        .await
        .expect(202);
    let nodes = client.get(uri).await.expect(200).body["nodes"].clone();
    let last = |uri: &str| {
        uri.trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    Objects {
        cluster: last(uri),
        node: last(nodes[0].as_str().unwrap()),
        action: last(&deploy.action_uri()),
    }
}

/// A key of the user with this role; it is called `own`.
async fn key(world: &World, user: &str, role: &str) -> Client {
    let secret = format!("{user}-{role}");
    let mut connection = world.pool.acquire().await.unwrap();
    sqlx::query(
        "INSERT INTO api_key (user_id, name, role, sha256) SELECT id, 'own', $2, $3 FROM users WHERE name = $1",
    )
    .bind(user)
    .bind(role)
    .bind(&api::auth::key_digest(&secret)[..])
    .execute(&mut *connection)
    .await
    .unwrap();
    world.client.as_user(user, &secret)
}

async fn run(world: &World, statement: &'static str) {
    sqlx::query(statement).execute(&world.pool).await.unwrap();
}

async fn everybody(world: &World) -> Vec<Who> {
    for user in [
        "ada", "wim", "rea", "eve", "boss", "weak", "gone", "late", "guest", "temp",
    ] {
        add_user(world, user, user).await;
    }
    run(
        world,
        "INSERT INTO namespace (name, kind, account_link_id) SELECT 'acme', 'organization', id FROM account_link",
    )
    .await;
    run(
        world,
        "INSERT INTO member (namespace_id, user_id, role)
         SELECT namespace.id, users.id,
                CASE users.name WHEN 'wim' THEN 'read-write' WHEN 'rea' THEN 'read' ELSE 'admin' END
         FROM namespace, users
         WHERE namespace.name = 'acme' AND users.name IN ('ada', 'wim', 'rea', 'weak', 'gone', 'late')",
    )
    .await;
    run(
        world,
        "UPDATE users SET is_operator = true WHERE name = 'boss'",
    )
    .await;
    let mut all = Vec::new();
    for (name, user, role, in_acme, at_home) in [
        ("an admin", "ada", "admin", Some(Admin), Some(Admin)),
        (
            "a member who writes",
            "wim",
            "admin",
            Some(Write),
            Some(Admin),
        ),
        (
            "a member who reads",
            "rea",
            "admin",
            Some(Read),
            Some(Admin),
        ),
        ("a key that reads", "weak", "read", Some(Read), Some(Read)),
        (
            "the owner of another namespace",
            "eve",
            "admin",
            None,
            Some(Admin),
        ),
        ("an operator", "boss", "admin", None, Some(Operator)),
        ("a revoked key", "gone", "admin", None, None),
        ("an expired key", "late", "admin", None, None),
    ] {
        all.push(Who {
            name,
            base: world.client.base.clone(),
            client: Some(key(world, user, role).await),
            in_acme,
            at_home,
        });
    }
    all.push(Who {
        name: "nobody",
        base: world.client.base.clone(),
        client: None,
        in_acme: None,
        at_home: None,
    });
    let gone = all.iter().find(|who| who.name == "a revoked key").unwrap();
    let gone = gone.client.as_ref().unwrap();
    gone.get("/api/infra/v1/acme/nodecluster/")
        .await
        .expect(200);
    run(
        world,
        "DELETE FROM api_key USING users WHERE users.id = user_id AND users.name = 'gone'",
    )
    .await;
    run(
        world,
        "UPDATE api_key SET expires_at = now() FROM users WHERE users.id = user_id AND users.name = 'late'",
    )
    .await;
    all
}

/// What an answer means, or what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Unauthorized,
    Denied,
    NotFound,
    /// Anything that a caller is only told who may do it.
    LetIn,
}

fn meaning(status: u16) -> Meaning {
    match status {
        401 => Meaning::Unauthorized,
        403 => Meaning::Denied,
        404 => Meaning::NotFound,
        200..=202 | 400 | 409 | 426 => Meaning::LetIn,
        other => panic!("{other} is no answer to a well-formed request"),
    }
}

/// What is expected of an operation for somebody who has this much where the path leads, or nothing; and whether the
/// object is there.
fn expected(operation: &Operation, who: &Who, has: Option<Takes>, is_there: bool) -> Meaning {
    match (operation.takes, who.at_home, has) {
        (Nothing, _, _) if is_there => Meaning::LetIn,
        (Nothing, _, _) => Meaning::NotFound,
        // A user's key is no token of an agent.
        (Token, _, _) | (_, None, _) => Meaning::Unauthorized,
        (_, Some(_), None) => Meaning::NotFound,
        (takes, Some(_), Some(has)) if has < takes => Meaning::Denied,
        _ if !is_there => Meaning::NotFound,
        _ => Meaning::LetIn,
    }
}

/// Everything of the organization and of its admin.
async fn all(admin: &Client) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for path in [
        "/api/infra/v1/acme/nodecluster/",
        "/api/infra/v1/acme/node/",
        "/api/audit/v1/acme/action/",
        "/api/infra/v1/acme/tag/",
        "/api/berth/v1/acme/member/",
        "/api/berth/v1/acme/quota/",
        "/api/infra/v1/nodecluster/",
        "/api/audit/v1/action/",
    ] {
        all.insert(path.to_owned(), admin.get(path).await.expect(200).body);
    }
    all
}

async fn still_world() -> World {
    World::with(Options {
        with_worker: false,
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn everybody_is_let_in_where_their_role_says_so_and_nowhere_else() {
    let world = still_world().await;
    let everybody = everybody(&world).await;
    let admin = everybody[0].client.clone().unwrap();
    let theirs = objects(&admin, "acme").await;
    let operations = operations();
    let before = all(&admin).await;
    let mut wrong = Vec::new();
    let mut asked = 0;

    // First who is not let in: nothing changes by it. Then who is.
    for let_in in [false, true] {
        for who in &everybody {
            for operation in operations.iter().filter(|it| it.of != Caller) {
                let exists = !NOT_THERE.contains(&operation.id.as_str());
                let expected = expected(operation, who, who.in_acme, exists);
                if (expected == Meaning::LetIn) != let_in {
                    continue;
                }
                if operation.id == "remove_member" && let_in {
                    run(
                        &world,
                        "INSERT INTO member (namespace_id, user_id, role)
                         SELECT namespace.id, users.id, 'read' FROM namespace, users
                         WHERE namespace.name = 'acme' AND users.name = 'guest' ON CONFLICT DO NOTHING",
                    )
                    .await;
                }
                let path = operation.path(&theirs, Some("acme"));
                wrong.extend(operation.misjudged(who, &path, expected).await);
                asked += 1;
            }
        }
        if !let_in {
            assert_eq!(all(&admin).await, before);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked >= 9 * 35, "{asked}");
    world.finish().await;
}

#[tokio::test]
async fn the_objects_of_another_namespace_are_not_found_in_ones_own() {
    let world = still_world().await;
    let everybody = everybody(&world).await;
    let admin = everybody[0].client.clone().unwrap();
    let theirs = objects(&admin, "acme").await;
    let operations = operations();
    let before = all(&admin).await;
    let mut wrong = Vec::new();
    for who in &everybody {
        for operation in operations.iter().filter(|it| it.of == Namespace) {
            if !operation.template.contains("{uuid}") {
                continue;
            }
            let expected = expected(operation, who, who.at_home, false);
            let path = operation.path(&theirs, None);
            wrong.extend(operation.misjudged(who, &path, expected).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(all(&admin).await, before);
    world.finish().await;
}

#[tokio::test]
async fn everybody_is_at_home_in_their_own_namespace() {
    let world = still_world().await;
    let everybody = everybody(&world).await;
    let admin = everybody[0].client.clone().unwrap();
    let foreign = objects(&admin, "acme").await;
    let operations = operations();
    let mut wrong = Vec::new();
    for who in &everybody {
        let own = match (&who.client, who.at_home) {
            (Some(client), Some(Admin | Operator)) => {
                Some(objects(client, client.credentials().0).await)
            }
            _ => None,
        };
        let objects = own.as_ref().unwrap_or(&foreign);
        for operation in &operations {
            let id = operation.id.as_str();
            // Only of those whose own they are there is something to be found.
            let exists = own.is_some() || !operation.template.contains("{uuid}");
            let is_there = exists && !NOT_THERE.contains(&id) && !NO_MEMBERS.contains(&id);
            let expected = expected(operation, who, who.at_home, is_there);
            let path = operation.path(objects, None);
            wrong.extend(operation.misjudged(who, &path, expected).await);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.finish().await;
}
