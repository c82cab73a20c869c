//! What stands on the wire, to the letter: the objects of the reference's section 3 with all their members, the
//! headers, and the bodies and paths that the original clients send.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{ACCOUNT, Options, RawAnswer, World, raw_http, theirs};

const CLUSTERS: &str = "/api/infra/v1/nodecluster/";
const REGION: &str = "/api/infra/v1/region/aws/us-east-1/";
const NODE_TYPE: &str = "/api/infra/v1/nodetype/aws/t3.micro/";
/// The user `dev` with the key `dev`.
const BASIC: &str = "Basic ZGV2OmRldg==";

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

fn uri(object: &Value) -> &str {
    text(object, "resource_uri")
}

/// The id of an object, of the one form that the original command line takes for an id: version 4, in lower case.
fn v4(object: &Value) -> &str {
    let id = text(object, "uuid");
    assert_eq!(id.len(), 36, "{id}");
    for (at, c) in id.char_indices() {
        match at {
            8 | 13 | 18 | 23 => assert_eq!(c, '-', "{id}"),
            14 => assert_eq!(c, '4', "{id}"),
            19 => assert!("89ab".contains(c), "{id}"),
            _ => assert!(c.is_ascii_digit() || ('a'..='f').contains(&c), "{id}"),
        }
    }
    id
}

/// Asserts the form `Tue, 16 Sep 2014 17:01:15 +0000`, which the original command line parses to the letter.
fn assert_time(value: &Value) {
    let time = value.as_str().expect("a time");
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let (day, rest) = shape.split_at(3);
    assert!(
        "Mon Tue Wed Thu Fri Sat Sun"
            .split(' ')
            .any(|name| name == day),
        "{time}"
    );
    let month = &rest[5..8];
    assert!(
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
            .split(' ')
            .any(|name| name == month),
        "{time}"
    );
    assert_eq!(rest, format!(", 00 {month} 0000 00:00:00 +0000"), "{time}");
}

/// A time in the database, written by the database.
async fn stored_time(world: &World, table: &str, column: &str, object: &Value) -> Value {
    let query = format!(
        "SELECT to_char({column} AT TIME ZONE 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS \"+0000\"')
         FROM {table} WHERE id = $1::uuid"
    );
    let time: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(text(object, "uuid"))
        .fetch_one(&world.pool)
        .await
        .expect("the object is stored");
    let time = json!(time.expect("the time is stored"));
    assert_time(&time);
    time
}

fn automatic_tags() -> Value {
    json!([
        {"name": "aws"},
        {"name": "byon=false"},
        {"name": "us-east-1"},
        {"name": "web"},
        {"name": "nodecluster-name=web"},
    ])
}

#[tokio::test]
async fn a_node_cluster_and_its_nodes_have_all_members_of_the_reference() {
    let world = World::start().await;
    let created = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let id = v4(&created);
    let cluster_uri = format!("/api/infra/v1/nodecluster/{id}/");
    assert_eq!(
        created,
        json!({
            "current_num_nodes": 0,
            "deployed_datetime": null,
            "destroyed_datetime": null,
            "disk": 60,
            "name": "web",
            "nickname": "web",
            "node_type": NODE_TYPE,
            "nodes": [],
            "provider_options": {},
            "region": REGION,
            "resource_uri": cluster_uri,
            "state": "Init",
            "tags": automatic_tags(),
            "target_num_nodes": 1,
            "uuid": id,
        })
    );
    assert_eq!(world.fetch(&cluster_uri).await, created);

    let deploy = world
        .client
        .post(&format!("{cluster_uri}deploy/"), &json!({}))
        .await
        .expect(202);
    let node_uri = deploy.body["nodes"][0].as_str().unwrap();
    let mut deploying = created.clone();
    deploying["state"] = json!("Deploying");
    deploying["nodes"] = json!([node_uri]);
    assert_eq!(deploy.body, deploying);

    world.ended(&deploy.action_uri()).await;
    let mut deployed = deploying;
    deployed["state"] = json!("Deployed");
    deployed["current_num_nodes"] = json!(1);
    deployed["deployed_datetime"] = stored_time(&world, "cluster", "deployed_at", &created).await;
    assert_eq!(world.fetch(&cluster_uri).await, deployed);

    let node = world.fetch(node_uri).await;
    let node_id = v4(&node);
    let instance = world.instances("us-east-1").remove(0);
    let public_ip = instance.public_ip.unwrap().to_string();
    let fqdn = format!(
        "ec2-{}.compute-1.amazonaws.com",
        public_ip.replace('.', "-")
    );
    let zone = format!("/api/infra/v1/az/aws/us-east-1/{}/", instance.zone);
    // Six zones, of which five offer the type: blocks of /19.
    let private = format!("{}/19", instance.private_ip.unwrap());
    assert_time(&node["last_seen"]);
    let expected = json!({
        "availability_zone": zone,
        "cpu": 2,
        "current_num_containers": 0,
        "deployed_datetime": stored_time(&world, "node", "deployed_at", &node).await,
        "destroyed_datetime": null,
        "disk": 60,
        "docker_execdriver": null,
        "docker_graphdriver": null,
        "docker_version": null,
        "external_fqdn": fqdn,
        "last_seen": node["last_seen"],
        "memory": 1024,
        "nickname": fqdn,
        "node_cluster": cluster_uri,
        "node_type": NODE_TYPE,
        "private_ips": [{"name": "eth0", "cidr": private}],
        "public_ip": public_ip,
        "region": REGION,
        "resource_uri": format!("/api/infra/v1/node/{node_id}/"),
        "state": "Deployed",
        "tags": automatic_tags(),
        "tunnel": null,
        "uuid": node_id,
    });
    assert_eq!(node, expected);

    // Gone: the objects stay readable, with the time of their end.
    let gone = world.terminate(&created).await;
    let mut terminated = deployed;
    terminated["state"] = json!("Terminated");
    terminated["current_num_nodes"] = json!(0);
    terminated["target_num_nodes"] = json!(0);
    terminated["nodes"] = json!([]);
    terminated["destroyed_datetime"] =
        stored_time(&world, "cluster", "destroyed_at", &created).await;
    assert_eq!(gone, terminated);
    let node = world.fetch(node_uri).await;
    assert_eq!(node["state"], "Terminated");
    let destroyed = stored_time(&world, "node", "destroyed_at", &node).await;
    assert_eq!(node["destroyed_datetime"], destroyed);
    assert_eq!(node["node_cluster"], cluster_uri.as_str());
    world.finish().await;
}

#[tokio::test]
async fn a_node_that_is_not_there_yet_has_all_members_too() {
    let world = still_world().await;
    let cluster = world
        .create("us-east-1", "t3.micro", 1, json!({"disk": 100}))
        .await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let cluster = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node = world.fetch(cluster["nodes"][0].as_str().unwrap()).await;
    let id = v4(&node);
    assert_eq!(
        node,
        json!({
            "availability_zone": null,
            "cpu": 2,
            "current_num_containers": 0,
            "deployed_datetime": null,
            "destroyed_datetime": null,
            "disk": 100,
            "docker_execdriver": null,
            "docker_graphdriver": null,
            "docker_version": null,
            "external_fqdn": "",
            "last_seen": null,
            "memory": 1024,
            "nickname": "",
            "node_cluster": uri(&cluster),
            "node_type": NODE_TYPE,
            "private_ips": [],
            "public_ip": null,
            "region": REGION,
            "resource_uri": format!("/api/infra/v1/node/{id}/"),
            "state": "Deploying",
            "tags": automatic_tags(),
            "tunnel": null,
            "uuid": id,
        })
    );
    world.finish().await;
}

#[tokio::test]
async fn an_action_has_all_members_and_says_who_asked_for_what() {
    let world = World::start().await;
    let wish = format!(r#"{{"name": "web",  "region": "{REGION}", "node_type": "{NODE_TYPE}"}}"#);
    let response = reqwest::Client::new()
        .post(format!("{}/nodecluster?x=1", world.client.base))
        .basic_auth("dev", Some("dev"))
        .header(
            "user-agent",
            "dockercloud-cli/1.0.9 python-dockercloud/1.0.12",
        )
        .body(wish.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let action_uri = response.headers()["x-dockercloud-action-uri"]
        .to_str()
        .unwrap()
        .to_owned();
    let cluster: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();

    let action = world.fetch(&action_uri).await;
    let id = v4(&action);
    assert_eq!(action_uri, format!("/api/audit/v1/action/{id}/"));
    let started = stored_time(&world, "action", "started_at", &action).await;
    let create = json!({
        "action": "Node Cluster Create",
        "body": wish,
        "can_be_canceled": false,
        "can_be_retried": false,
        "end_date": started,
        "ip": "127.0.0.1",
        "is_user_action": true,
        "location": "",
        "log": "Created node cluster web of 1 t3.micro in us-east-1; nothing is deployed yet",
        "method": "POST",
        "object": uri(&cluster),
        "path": "/nodecluster",
        "resource_uri": action_uri,
        "start_date": started,
        "state": "Success",
        "user": "dev",
        "user_agent": "dockercloud-cli/1.0.9 python-dockercloud/1.0.12",
        "uuid": id,
    });
    assert_eq!(action, create);

    let path = format!("{}deploy/", uri(&cluster));
    let answer = world.client.post(&path, &json!({})).await.expect(202);
    let at_once = world.fetch(&answer.action_uri()).await;
    let action = world.ended(&answer.action_uri()).await;
    let logs = text(&action, "log");
    assert!(
        logs.lines().count() > 3 && logs.contains("dc-vpc"),
        "{logs}"
    );
    let id = v4(&action);
    let mut deploy = json!({
        "action": "Node Cluster Deploy",
        "body": "",
        "can_be_canceled": false,
        "can_be_retried": true,
        "end_date": stored_time(&world, "action", "ended_at", &action).await,
        "ip": "127.0.0.1",
        "is_user_action": true,
        "location": "",
        "log": logs,
        "method": "POST",
        "object": uri(&cluster),
        "path": path,
        "resource_uri": format!("/api/audit/v1/action/{id}/"),
        "start_date": stored_time(&world, "action", "started_at", &action).await,
        "state": "Success",
        "user": "dev",
        "user_agent": "",
        "uuid": id,
    });
    assert_eq!(action, deploy);

    // While it was under way it had no end and could be canceled, and everything else was as now.
    if at_once["state"] == "In progress" {
        assert_eq!(at_once["end_date"], Value::Null);
        assert_eq!(at_once["can_be_canceled"], true);
        assert_eq!(at_once["can_be_retried"], false);
    }
    for member in [
        "can_be_canceled",
        "can_be_retried",
        "end_date",
        "log",
        "state",
    ] {
        deploy[member] = at_once[member].clone();
    }
    assert_eq!(at_once, deploy);
    world.finish().await;
}

#[tokio::test]
async fn an_action_under_way_has_no_end_and_is_there_before_its_answer() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let deploy = format!("{}deploy/", uri(&cluster));
    let answer = world.client.post(&deploy, &json!({})).await.expect(202);
    let action = world.fetch(&answer.action_uri()).await;
    assert_eq!(action["state"], "In progress");
    assert_eq!(action["end_date"], Value::Null);
    assert_time(&action["start_date"]);
    world.finish().await;
}

#[tokio::test]
async fn the_catalogue_has_all_members_of_the_reference() {
    let world = still_world().await;
    let provider = world.fetch("/api/infra/v1/provider/aws/").await;
    let regions = provider["regions"].as_array().unwrap();
    assert!(
        regions.len() >= 12 && regions.contains(&json!(REGION)),
        "{regions:?}"
    );
    let expected = json!({
        "available": true,
        "label": "Amazon Web Services",
        "name": "aws",
        "regions": regions,
        "resource_uri": "/api/infra/v1/provider/aws/",
    });
    assert_eq!(provider, expected);

    let region = world.fetch(REGION).await;
    let types = region["node_types"].as_array().unwrap();
    assert!(types.contains(&json!(NODE_TYPE)));
    let zones: Vec<String> = "abcdef"
        .chars()
        .map(|c| format!("/api/infra/v1/az/aws/us-east-1/us-east-1{c}/"))
        .collect();
    let expected = json!({
        "availability_zones": zones,
        "available": true,
        "label": "US East (N. Virginia)",
        "name": "us-east-1",
        "node_types": types,
        "provider": "/api/infra/v1/provider/aws/",
        "resource_uri": REGION,
    });
    assert_eq!(region, expected);

    let zone = world
        .fetch("/api/infra/v1/az/aws/us-east-1/us-east-1a/")
        .await;
    let expected = json!({
        "available": true,
        "name": "us-east-1a",
        "region": REGION,
        "resource_uri": "/api/infra/v1/az/aws/us-east-1/us-east-1a/",
    });
    assert_eq!(zone, expected);

    let node_type = world.fetch("/api/infra/v1/nodetype/aws/t2.micro/").await;
    let offered = node_type["availability_zones"].as_array().unwrap();
    assert!(offered.contains(&json!("/api/infra/v1/az/aws/sa-east-1/sa-east-1a/")));
    assert!(!offered.contains(&json!("/api/infra/v1/az/aws/sa-east-1/sa-east-1b/")));
    let in_regions = node_type["regions"].as_array().unwrap();
    assert!(in_regions.contains(&json!("/api/infra/v1/region/aws/sa-east-1/")));
    let expected = json!({
        "availability_zones": offered,
        "available": true,
        "label": "t2.micro [1 vCPU, 1 GB]",
        "name": "t2.micro",
        "provider": "/api/infra/v1/provider/aws/",
        "regions": in_regions,
        "resource_uri": "/api/infra/v1/nodetype/aws/t2.micro/",
    });
    assert_eq!(node_type, expected);

    // Every URI in the catalogue leads to an object that has it as its own, and the objects agree.
    for uri in regions
        .iter()
        .chain(&types[..3])
        .chain(&offered[..3])
        .chain(in_regions)
    {
        assert_eq!(
            world.fetch(uri.as_str().unwrap()).await["resource_uri"],
            *uri
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn a_list_has_docker_clouds_envelope() {
    let world = still_world().await;
    let empty = world.fetch(CLUSTERS).await;
    let meta = json!({"limit": 25, "next": null, "offset": 0, "previous": null, "total_count": 0});
    assert_eq!(empty, json!({"meta": meta, "objects": []}));
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let one = world.fetch(CLUSTERS).await;
    let meta = json!({"limit": 25, "next": null, "offset": 0, "previous": null, "total_count": 1});
    assert_eq!(one, json!({"meta": meta, "objects": [cluster]}));
    world.finish().await;
}

#[tokio::test]
async fn every_answer_is_json_and_every_mutation_names_its_action() {
    let world = World::start().await;
    let (cluster, _) = world.deploy("us-east-1", "t3.micro", 2, json!({})).await;
    let cluster_uri = uri(&cluster);
    let nodes = world.nodes(&cluster).await;
    let node_uri = uri(&nodes[0]);
    let wish = json!({"name": "other", "region": REGION, "node_type": NODE_TYPE});
    let mutations = [
        (
            Method::POST,
            CLUSTERS,
            wish,
            201,
            "Node Cluster Create",
            "Success",
        ),
        (
            Method::PATCH,
            cluster_uri,
            json!({"nickname": "x"}),
            202,
            "Node Cluster Update",
            "Success",
        ),
        (
            Method::PATCH,
            node_uri,
            json!({"tags": []}),
            202,
            "Node Update",
            "Success",
        ),
        (
            Method::PATCH,
            cluster_uri,
            json!({}),
            202,
            "Node Cluster Update",
            "Success",
        ),
        (
            Method::DELETE,
            node_uri,
            json!({}),
            202,
            "Node Terminate",
            "In progress Success",
        ),
        (
            Method::DELETE,
            cluster_uri,
            json!({}),
            202,
            "Node Cluster Terminate",
            "In progress Success",
        ),
    ];
    for (method, path, body, status, name, states) in mutations {
        let body = body.to_string().into_bytes();
        let answer = world
            .client
            .send(method.clone(), path, Some(body))
            .await
            .expect(status);
        assert_eq!(answer.headers["content-type"], "application/json");
        let action = world.fetch(&answer.action_uri()).await;
        assert_eq!(action["action"], name);
        assert_eq!(action["object"], answer.body["resource_uri"], "{name}");
        assert_eq!(action["method"], method.as_str());
        assert_eq!(action["path"], path);
        assert!(states.contains(text(&action, "state")), "{action:#}");
        // A node that goes takes its cluster through other states; the next operation waits for that.
        assert_eq!(world.ended(&answer.action_uri()).await["state"], "Success");
    }
    for path in [
        CLUSTERS,
        cluster_uri,
        "/api/infra/v1/node/",
        node_uri,
        "/api/audit/v1/action/",
        "/api/infra/v1/provider/",
        REGION,
        "/healthz",
        "/readyz",
        "/openapi.json",
    ] {
        let answer = world.client.get(path).await.expect(200);
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        assert!(
            answer.headers.get("x-dockercloud-action-uri").is_none(),
            "{path}"
        );
        assert!(answer.headers.contains_key("x-request-id"), "{path}");
    }
    world.finish().await;
}

/// A request as it stands on the wire.
async fn raw(world: &World, method: &str, path: &str, headers: &str, body: &str) -> RawAnswer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: berth\r\nAuthorization: {BASIC}\r\nConnection: close\r\n{headers}\r\n{body}"
    );
    raw_http(&world.client.base, request.into_bytes()).await
}

#[tokio::test]
async fn reason_phrases_are_in_upper_case() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let (cluster, deploy) = (uri(&cluster), format!("{}deploy/", uri(&cluster)));
    let wish = json!({"name": "other", "region": REGION, "node_type": NODE_TYPE}).to_string();
    let unknown = format!("{CLUSTERS}00cc59e1-c605-403c-a5fb-3269b6a0d6bf/");
    for (method, path, body, status) in [
        ("GET", CLUSTERS, "", "200 OK"),
        ("POST", CLUSTERS, wish.as_str(), "201 CREATED"),
        ("POST", CLUSTERS, wish.as_str(), "409 CONFLICT"),
        ("POST", deploy.as_str(), "", "202 ACCEPTED"),
        ("POST", deploy.as_str(), "", "400 BAD REQUEST"),
        ("PATCH", cluster, "{", "400 BAD REQUEST"),
        ("GET", unknown.as_str(), "", "404 NOT FOUND"),
        ("GET", "/nowhere", "", "404 NOT FOUND"),
        ("PUT", cluster, "", "405 METHOD NOT ALLOWED"),
    ] {
        let length = format!("Content-Length: {}\r\n", body.len());
        let answer = raw(&world, method, path, &length, body).await;
        assert_eq!(
            answer.status_line,
            format!("HTTP/1.1 {status}"),
            "{method} {path}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(body.is_object());
    }
    let nobody = raw_http(
        &world.client.base,
        b"GET /nodecluster HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n".to_vec(),
    )
    .await;
    assert_eq!(nobody.status_line, "HTTP/1.1 401 UNAUTHORIZED");
    world.finish().await;
}

/// Creates a cluster with these `provider_options`, written as they are here.
async fn create_raw(world: &World, name: &str, options: &str) -> Value {
    let body = format!(
        r#"{{"name": "{name}", "region": "{REGION}", "node_type": "{NODE_TYPE}", "provider_options": {options}}}"#
    );
    let answer = world
        .client
        .send(Method::POST, CLUSTERS, Some(body.into_bytes()))
        .await;
    answer.expect(201).body
}

#[tokio::test]
async fn seed_the_provider_options_come_and_go_as_the_seed_shows_them() {
    let world = still_world().await;
    let whole = r#"{
        "vpc": {
            "id": "vpc-0a1b2c3d",
            "subnets": ["subnet-0a1b2c3d", "subnet-4a1b2c3d"],
            "security_groups": ["sg-0a1b2c3d"]
        },
        "iam": {
            "instance_profile_name": "my_instance_profile_name"
        }
    }"#;
    let cases = [
        whole,
        r#"{"vpc": {"id": "vpc-0a1b2c3d"}}"#,
        r#"{"vpc": {"id": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c3d"]}}"#,
        r#"{"vpc": {"id": "vpc-0a1b2c3d4e5f60718", "security_groups": ["sg-0a1b2c3d4e5f60718"]}}"#,
        r#"{"iam": {"instance_profile_name": "my_instance_profile_name"}}"#,
        "{}",
    ];
    for (at, options) in cases.into_iter().enumerate() {
        let cluster = create_raw(&world, &format!("web-{at}"), options).await;
        let expected: Value = serde_json::from_str(options).unwrap();
        assert_eq!(cluster["provider_options"], expected);
        assert_eq!(
            world.fetch(uri(&cluster)).await["provider_options"],
            expected
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn empty_strings_and_empty_objects_mean_absent_as_the_original_clients_send_them() {
    let world = still_world().await;
    let iam = json!({"iam": {"instance_profile_name": "p"}});
    let vpc = json!({"vpc": {"id": "vpc-0a1b2c3d"}});
    let cases = [
        (r#"{"vpc":{"id":"vpc-0a1b2c3d"},"iam":{}}"#, vpc.clone()),
        (
            r#"{"vpc":{"id":""},"iam":{"instance_profile_name":"p"}}"#,
            iam.clone(),
        ),
        (
            r#"{"vpc":{"id":"","subnets":[],"security_groups":[]},"iam":{"instance_profile_name":""}}"#,
            json!({}),
        ),
        (
            r#"{"vpc":{"id":"vpc-0a1b2c3d","subnets":[""],"security_groups":null}}"#,
            vpc,
        ),
        (r#"{"vpc":{},"iam":{}}"#, json!({})),
        (r#"{"vpc":null,"iam":{"instance_profile_name":"p"}}"#, iam),
        ("null", json!({})),
    ];
    for (at, (options, expected)) in cases.into_iter().enumerate() {
        let cluster = create_raw(&world, &format!("web-{at}"), options).await;
        assert_eq!(cluster["provider_options"], expected, "{options}");
    }
    // `docker-cloud nodecluster create --disk 80`
    let body = json!({
        "name": "cli", "region": REGION, "node_type": NODE_TYPE, "disk": "80", "target_num_nodes": 2,
        "tags": [{"name": "web", "origin": "user"}], "nickname": "", "availability_zone": "", "uuid": "mine",
        "state": "Deployed",
    });
    let cluster = world.client.post(CLUSTERS, &body).await.expect(201).body;
    assert_eq!(
        (&cluster["disk"], &cluster["target_num_nodes"]),
        (&json!(80), &json!(2))
    );
    assert_eq!(
        (&cluster["nickname"], &cluster["state"]),
        (&json!("cli"), &json!("Init"))
    );
    assert_eq!(
        cluster["tags"].as_array().unwrap().last(),
        Some(&json!({"name": "web"}))
    );
    v4(&cluster);

    // Sent back whole, as the Python SDK does, a cluster stays what it is.
    let again = world
        .client
        .patch(uri(&cluster), &cluster)
        .await
        .expect(202);
    assert_eq!(again.body, cluster);
    world.finish().await;
}

#[tokio::test]
async fn seed_a_go_clients_body_with_an_own_vpc_deploys_into_it() {
    let world = World::start().await;
    let cloud = world.cloud("us-east-1").await;
    let vpc = cloud.create_vpc("10.30.0.0/16", &theirs()).await.unwrap();
    let body = format!(
        r#"{{"name":"go","region":"{REGION}","node_type":"{NODE_TYPE}","target_num_nodes":1,"provider_options":{{"vpc":{{"id":"{}"}},"iam":{{}}}}}}"#,
        vpc.id
    );
    // go-dockercloud: a body on every request, never a Content-Type.
    let go = |body: &str| {
        format!(
            "User-Agent: go-dockercloud/1.0.8\r\nAccept: application/json\r\nContent-Length: {}\r\n",
            body.len()
        )
    };
    let answer = raw(&world, "POST", CLUSTERS, &go(&body), &body).await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 201 CREATED",
        "{}",
        answer.body
    );
    let cluster: Value = serde_json::from_str(&answer.body).unwrap();
    let path = format!("{}deploy/", uri(&cluster));
    let answer = raw(&world, "POST", &path, &go("{}"), "{}").await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 202 ACCEPTED",
        "{}",
        answer.body
    );
    let action = world
        .ended(answer.header("x-dockercloud-action-uri").unwrap())
        .await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(action["user_agent"], "go-dockercloud/1.0.8");
    let instances = world.sim().instances(ACCOUNT, "us-east-1");
    assert!(
        instances.len() == 1 && instances[0].vpc_id == vpc.id,
        "{instances:?}"
    );

    // It asks for an object by its URI with two slashes at the end, and sends `{}` with every GET and DELETE.
    let path = format!("{}/", uri(&cluster));
    let answer = raw(&world, "GET", &path, &go("{}"), "{}").await;
    assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
    let found: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(found["state"], "Deployed");
    // `Node.Update` has a member with a typing error in it.
    let node = found["nodes"][0].as_str().unwrap();
    let body = r#"{"tags":[{"name":"x"}],"availability_zone":""}"#;
    let answer = raw(&world, "PATCH", node, &go(body), body).await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 202 ACCEPTED",
        "{}",
        answer.body
    );
    let answer = raw(&world, "DELETE", &path, &go("{}"), "{}").await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 202 ACCEPTED",
        "{}",
        answer.body
    );
    let action = world
        .ended(answer.header("x-dockercloud-action-uri").unwrap())
        .await;
    assert_eq!(action["state"], "Success", "{action:#}");
    world.finish().await;
}

#[tokio::test]
async fn the_original_command_lines_requests_are_taken_byte_for_byte() {
    let world = still_world().await;
    let python = |length: usize| {
        format!(
            "User-Agent: dockercloud-cli/1.0.9 python-dockercloud/1.0.12\r\nAccept-Encoding: gzip, deflate\r\n\
             Accept: */*\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        )
    };
    let body = format!(
        r#"{{"region": "{REGION}", "name": "cli", "node_type": "{NODE_TYPE}", "target_num_nodes": 1, "disk": "80"}}"#
    );
    let answer = raw(&world, "POST", CLUSTERS, &python(body.len()), &body).await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 201 CREATED",
        "{}",
        answer.body
    );
    let cluster: Value = serde_json::from_str(&answer.body).unwrap();
    let path = format!("{}deploy/", uri(&cluster));
    let answer = raw(&world, "POST", &path, &python(0), "").await;
    assert_eq!(
        answer.status_line, "HTTP/1.1 202 ACCEPTED",
        "{}",
        answer.body
    );
    let answer = raw(&world, "GET", uri(&cluster), &python(0), "").await;
    assert_eq!(answer.status_line, "HTTP/1.1 200 OK");
    assert_eq!(
        answer.header("content-encoding"),
        None,
        "the answers are plain"
    );
    // Others write `Accepts`, or a Content-Type that is none.
    for headers in [
        "Accepts: application/json\r\n",
        "Content-Type: text/plain\r\n",
        "Accept: text/html\r\n",
    ] {
        let answer = raw(&world, "GET", uri(&cluster), headers, "").await;
        assert_eq!(answer.status_line, "HTTP/1.1 200 OK", "{headers}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    world.finish().await;
}

#[tokio::test]
async fn every_way_to_write_a_path_leads_to_the_same_object() {
    let world = still_world().await;
    let cluster = world.create("us-east-1", "t3.micro", 1, json!({})).await;
    let id = v4(&cluster);
    let deploy = format!("/nodecluster/{id}/deploy");
    let cluster = world
        .client
        .post(&deploy, &json!({}))
        .await
        .expect(202)
        .body;
    let node = world.fetch(cluster["nodes"][0].as_str().unwrap()).await;
    let node_id = v4(&node);
    for path in [
        format!("/api/infra/v1/nodecluster/{id}/"),
        format!("/api/infra/v1/nodecluster/{id}"),
        format!("/api/infra/v1/nodecluster/{id}//"),
        format!("//api//infra//v1//nodecluster//{id}//"),
        format!("/infra/v1/nodecluster/{id}/"),
        format!("/nodecluster/{id}"),
        format!("/nodecluster/{id}/"),
        format!("/nodecluster/{}/", id.to_uppercase()),
    ] {
        assert_eq!(world.fetch(&path).await, cluster, "{path}");
    }
    for path in [
        format!("/node/{node_id}"),
        format!("/infra/v1/node/{node_id}//"),
    ] {
        assert_eq!(world.fetch(&path).await, node, "{path}");
    }
    for (path, canonical) in [
        ("/provider", "/api/infra/v1/provider/"),
        ("/region/aws/us-east-1", REGION),
        ("/az", "/api/infra/v1/az/"),
        ("/nodetype/aws/t3.micro", NODE_TYPE),
        ("/action", "/api/audit/v1/action/"),
        ("/api/audit/v1/dev/action/", "/api/audit/v1/action/"),
        ("/api/infra/v1/dev/region/aws/us-east-1", REGION),
    ] {
        let (mut found, expected) = (world.fetch(path).await, world.fetch(canonical).await);
        // What was asked with a namespace goes on with it.
        if path.contains("/dev/") && found["meta"].is_object() {
            found["meta"] = expected["meta"].clone();
            for object in found["objects"].as_array_mut().unwrap() {
                object["object"] = json!(text(object, "object").replace("/v1/dev/", "/v1/"));
            }
        }
        assert_eq!(found, expected, "{path}");
    }

    // With the namespace in the path, the URIs of what is in a namespace have it too, and nothing else has.
    let spaced = world
        .fetch(&format!("/api/infra/v1/dev/nodecluster/{id}"))
        .await;
    let mut expected = cluster.clone();
    expected["resource_uri"] = json!(format!("/api/infra/v1/dev/nodecluster/{id}/"));
    expected["nodes"] = json!([format!("/api/infra/v1/dev/node/{node_id}/")]);
    assert_eq!(spaced, expected);
    let mut expected = node.clone();
    expected["resource_uri"] = json!(format!("/api/infra/v1/dev/node/{node_id}/"));
    expected["node_cluster"] = spaced["resource_uri"].clone();
    assert_eq!(
        world
            .fetch(&format!("/api/infra/v1/dev/node/{node_id}/"))
            .await,
        expected
    );

    let wish = json!({"name": "other", "region": REGION, "node_type": NODE_TYPE});
    let answer = world
        .client
        .post("/api/infra/v1/dev/nodecluster", &wish)
        .await
        .expect(201);
    assert!(uri(&answer.body).starts_with("/api/infra/v1/dev/nodecluster/"));
    assert!(answer.action_uri().starts_with("/api/audit/v1/action/"));
    let gone = world.client.delete(uri(&answer.body)).await.expect(202);
    assert_eq!(gone.body["resource_uri"], answer.body["resource_uri"]);
    world.finish().await;
}
