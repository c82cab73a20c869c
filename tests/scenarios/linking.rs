//! Linking AWS accounts: a namespace's own credentials, what is launched with them, and who is kept out.

use domain::link::Ambient;
use serde_json::{Value, json};
use sim::{Fault, FaultRule};
use tests::{ACCOUNT, Answer, Client, Options, World, add_user, trust, wait_for};

mod full_run;
mod on_moto;
mod secrets;
mod validation;
mod walkthrough;

const REGION: &str = "sa-east-1";
const CREDENTIALS: &str = "/api/infra/v1/provider/aws/credentials/";
/// Accounts of the users'; the simulator takes twelve digits for an access key of that account.
const THEIRS: &str = "111122223333";
const OTHER: &str = "444455556666";
/// Nobody's secret but one test's, to be looked for.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY";

/// A world in which nobody may use the server's own credentials.
async fn strict_world() -> World {
    World::with(strict()).await
}

fn strict() -> Options {
    Options {
        ambient: Ambient::Nobody,
        ..Options::default()
    }
}

async fn external_id(client: &Client) -> String {
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    shown["external_id"].as_str().unwrap().to_owned()
}

/// Links a role that lets the client's namespace in.
async fn link_role(world: &World, client: &Client, account: &str) -> Answer {
    let id = external_id(client).await;
    let role_arn = world.make_role(account, &trust(&id)).await;
    let body = json!({"role_arn": role_arn});
    client.put(CREDENTIALS, &body).await.expect(201)
}

fn key(access_key_id: &str) -> Value {
    json!({"access_key_id": access_key_id, "secret_access_key": SECRET})
}

fn live(world: &World, account: &str) -> Vec<sim::InstanceView> {
    let all = world.sim().instances(account, REGION).into_iter();
    all.filter(|i| i.state != "terminated" && i.state != "shutting-down")
        .collect()
}

/// Asks for a deploy of a new cluster, and answers with what is said to that.
async fn try_to_deploy(client: &Client, name: &str) -> (Value, Answer) {
    let body = json!({
        "name": name,
        "region": format!("/api/infra/v1/region/aws/{REGION}/"),
        "node_type": "/api/infra/v1/nodetype/aws/t3.micro/",
        "target_num_nodes": 2,
    });
    let cluster = client.post("/api/infra/v1/nodecluster/", &body).await;
    let cluster = cluster.expect(201).body;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let answer = client.post(&format!("{uri}deploy/"), &json!({})).await;
    (cluster, answer)
}

/// The same, to its end.
async fn deploy(client: &Client, name: &str) -> Value {
    let (cluster, answer) = try_to_deploy(client, name).await;
    let action = ended(client, &answer.expect(202)).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    cluster
}

async fn ended(client: &Client, answer: &Answer) -> Value {
    let uri = answer.action_uri();
    wait_for("the end of an action", || async {
        let action = client.get(&uri).await.expect(200).body;
        let state = action["state"].as_str().unwrap().to_owned();
        matches!(state.as_str(), "Success" | "Failed" | "Canceled").then_some(action)
    })
    .await
}

async fn terminate(client: &Client, cluster: &Value) {
    let uri = cluster["resource_uri"].as_str().unwrap();
    let answer = client.delete(uri).await.expect(202);
    ended(client, &answer).await;
}

#[tokio::test]
async fn a_role_is_linked_used_and_unlinked() {
    let world = strict_world().await;
    let client = &world.client;
    let nothing = client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(nothing["kind"], "none");
    assert_eq!(nothing["valid"], false);
    assert_eq!(nothing["account"], Value::Null);
    // Without credentials a deploy is refused at once, with the way out.
    let (cluster, refused) = try_to_deploy(client, "early").await;
    let way_out = "no AWS credentials are linked to the namespace dev: PUT an access key or a role to \
                   /api/infra/v1/provider/aws/credentials/ first";
    assert_eq!(refused.expect(400).error(), way_out);
    assert_eq!(nothing["invalid_reason"], way_out);

    let linked = link_role(&world, client, THEIRS).await;
    assert_eq!(linked.body["kind"], "role");
    assert_eq!(linked.body["account"], THEIRS);
    assert_eq!(linked.body["valid"], true);
    assert_eq!(linked.body["external_id"], nothing["external_id"]);
    assert!(linked.body["checked_at"].is_string());
    let action = client.get(&linked.action_uri()).await.expect(200).body;
    assert_eq!(action["action"], "Provider Link");
    assert_eq!(action["state"], "Success");
    assert_eq!(action["body"], "");
    assert_eq!(action["object"], CREDENTIALS);
    let retry = format!("{}retry/", linked.action_uri());
    client.post(&retry, &json!({})).await.expect(400);

    let uri = cluster["resource_uri"].as_str().unwrap();
    let answer = client.post(&format!("{uri}deploy/"), &json!({})).await;
    ended(client, &answer.expect(202)).await;
    let instances = live(&world, THEIRS);
    assert_eq!(instances.len(), 2);
    assert!(live(&world, ACCOUNT).is_empty());
    // What is made for a link bears a tag of the link's own.
    let link: String = sqlx::query_scalar("SELECT id::text FROM account_link WHERE account = $1")
        .bind(THEIRS)
        .fetch_one(&world.pool)
        .await
        .unwrap();
    for instance in instances {
        assert_eq!(instance.tags["berth:installation"], link);
    }

    let refused = client.delete(CREDENTIALS).await.expect(409);
    assert!(
        refused
            .error()
            .contains("1 node clusters that are not terminated")
    );
    terminate(client, &cluster).await;
    let unlinked = client.delete(CREDENTIALS).await.expect(202);
    assert_eq!(unlinked.body["kind"], "none");
    client.delete(CREDENTIALS).await.expect(404);
    // Linked again, the account's network is found.
    let id = external_id(client).await;
    let arn = format!("arn:aws:iam::{THEIRS}:role/berth");
    let again = client.put(CREDENTIALS, &json!({"role_arn": arn})).await;
    assert_eq!(again.expect(201).body["external_id"], id.as_str());
    let cluster = deploy(client, "again").await;
    let network = world.sim().network(THEIRS, REGION);
    let ours = network
        .vpcs
        .iter()
        .filter(|vpc| vpc.tags.get("Name").is_some_and(|it| it == "dc-vpc"));
    assert_eq!(ours.count(), 1);
    terminate(client, &cluster).await;
    world.finish().await;
}

#[tokio::test]
async fn nobody_gets_in_by_a_role_of_somebody_elses() {
    let world = strict_world().await;
    link_role(&world, &world.client, THEIRS).await;
    let eve = add_user(&world, "eve", "eves-key").await;
    assert_ne!(external_id(&eve).await, external_id(&world.client).await);
    let arn = format!("arn:aws:iam::{THEIRS}:role/berth");
    let refused = eve.put(CREDENTIALS, &json!({"role_arn": arn})).await;
    let refused = refused.expect(400);
    let words = refused.error();
    assert!(
        words.starts_with("Invalid AWS credentials or insufficient EC2 permissions\n"),
        "{words}"
    );
    assert!(words.contains("AccessDenied (AssumeRole): "), "{words}");
    let command =
        format!("aws sts assume-role --role-arn {arn} --role-session-name berth --external-id ");
    assert!(words.contains(&command), "{words}");
    assert_eq!(eve.get(CREDENTIALS).await.expect(200).body["kind"], "none");
    let (_, refused) = try_to_deploy(&eve, "web").await;
    refused.expect(400);
    world.finish().await;
}

#[tokio::test]
async fn a_role_that_does_not_ask_for_the_external_id_is_not_linked() {
    let world = strict_world().await;
    let client = &world.client;
    let mut open = trust("");
    let statement = open["Statement"][0].as_object_mut().unwrap();
    statement.remove("Condition").unwrap();
    let role_arn = world.make_role(THEIRS, &open).await;
    let body = json!({"role_arn": role_arn});
    let refused = client.put(CREDENTIALS, &body).await.expect(400);
    let words = refused.error();
    assert!(
        words.starts_with("the role's trust policy does not ask for the external id "),
        "{words}"
    );
    assert!(words.contains(&role_arn), "{words}");
    assert!(words.contains("`berth aws policy`"), "{words}");
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(shown["kind"], "none");
    // The way out leads out.
    let id = external_id(client).await;
    world.change_trust(THEIRS, &trust(&id)).await;
    client.put(CREDENTIALS, &body).await.expect(201);
    world.finish().await;
}

#[tokio::test]
async fn the_servers_own_credentials_are_for_those_whom_the_operator_names() {
    let world = World::with(Options {
        ambient: Ambient::read("dev"),
        ..Options::default()
    })
    .await;
    let eve = add_user(&world, "eve", "eves-key").await;
    assert_eq!(eve.get(CREDENTIALS).await.expect(200).body["kind"], "none");
    try_to_deploy(&eve, "web").await.1.expect(400);
    let shown = world.client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(
        (&shown["kind"], &shown["valid"]),
        (&json!("ambient"), &json!(true))
    );
    let cluster = deploy(&world.client, "web").await;
    assert_eq!(live(&world, ACCOUNT).len(), 2);
    // What runs with them would be lost sight of.
    let id = external_id(&world.client).await;
    let role_arn = world.make_role(THEIRS, &trust(&id)).await;
    let body = json!({"role_arn": role_arn});
    let refused = world.client.put(CREDENTIALS, &body).await.expect(409);
    assert!(
        refused
            .error()
            .contains("1 node clusters are with the server's own credentials")
    );
    terminate(&world.client, &cluster).await;
    world.client.put(CREDENTIALS, &body).await.expect(201);
    world.finish().await;
}

#[tokio::test]
async fn another_account_is_refused_while_clusters_live_and_new_keys_of_the_same_are_used_at_once()
{
    let mut options = strict();
    for key in ["AKIAOLD", "AKIANEW"] {
        let accounts = &mut options.sim.accounts;
        accounts.insert(key.to_owned(), THEIRS.to_owned());
    }
    options
        .sim
        .accounts
        .insert("AKIAOTHER".to_owned(), OTHER.to_owned());
    let world = World::with(options).await;
    let client = &world.client;
    let linked = client.put(CREDENTIALS, &key("AKIAOLD")).await.expect(201);
    assert_eq!(linked.body["access_key_id"], "AKIAOLD");
    assert!(!linked.text.contains(SECRET));
    let cluster = deploy(client, "web").await;

    let refused = client.put(CREDENTIALS, &key("AKIAOTHER")).await.expect(409);
    assert_eq!(
        refused.error(),
        format!(
            "the credentials are of the account {OTHER}, and 1 node clusters are in the account {THEIRS}: terminate \
             them first"
        )
    );
    client.put(CREDENTIALS, &key("AKIANEW")).await.expect(202);
    world.sim().revoke("AKIAOLD");
    let uri = cluster["resource_uri"].as_str().unwrap();
    let scaled = client.patch(uri, &json!({"target_num_nodes": 3})).await;
    let action = ended(client, &scaled.expect(202)).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(live(&world, THEIRS).len(), 3);
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(
        (&shown["access_key_id"], &shown["valid"]),
        (&json!("AKIANEW"), &json!(true))
    );

    terminate(client, &cluster).await;
    let moved = client.put(CREDENTIALS, &key("AKIAOTHER")).await.expect(202);
    assert_eq!(moved.body["account"], OTHER);
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT account FROM account_link WHERE sealed_secret IS NOT NULL")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(kept, [OTHER], "what is not used any more is not kept");
    world.finish().await;
}

#[tokio::test]
async fn two_links_into_one_account_do_not_disturb_each_other() {
    let world = strict_world().await;
    let eve = add_user(&world, "eve", "eves-key").await;
    link_role(&world, &world.client, THEIRS).await;
    // An owner key of the same account.
    eve.put(CREDENTIALS, &key(THEIRS)).await.expect(201);
    let (mine, hers) = tokio::join!(deploy(&world.client, "web"), deploy(&eve, "web"));
    assert_eq!(live(&world, THEIRS).len(), 4);
    // Longer than it takes to find strangers twice.
    let before = world.sim().calls()["DescribeInstances"];
    wait_for("some sweeps", || async {
        (world.sim().calls()["DescribeInstances"] > before + 20).then_some(())
    })
    .await;
    assert_eq!(live(&world, THEIRS).len(), 4);
    terminate(&world.client, &mine).await;
    assert_eq!(live(&world, THEIRS).len(), 2);
    terminate(&eve, &hers).await;
    world.finish().await;
}

#[tokio::test]
async fn temporary_credentials_are_replaced_before_they_end() {
    let mut options = strict();
    // The SDK asks for new ones ten seconds before the end.
    options.sim.session_ms = Some(12_000);
    let world = World::with(options).await;
    link_role(&world, &world.client, THEIRS).await;
    let cluster = deploy(&world.client, "web").await;
    let assumed = || world.sim().calls()["AssumeRole"];
    let before = assumed();
    wait_for("new sessions", || async {
        (assumed() > before + 2).then_some(())
    })
    .await;
    let shown = world.client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(shown["valid"], true);
    terminate(&world.client, &cluster).await;
    world.finish().await;
}

/// Makes the link look as if it had been tried long ago, as it will have been when its owner changes their mind.
async fn let_time_pass(world: &World) {
    sqlx::query("UPDATE account_link SET checked_at = checked_at - interval '1 hour'")
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_whose_trust_is_taken_back_refuses_new_deploys_and_leaves_nodes_alone() {
    let mut options = strict();
    options.sim.session_ms = Some(11_000);
    let world = World::with(options).await;
    let client = &world.client;
    link_role(&world, client, THEIRS).await;
    let cluster = deploy(client, "web").await;
    let nodes = world.nodes(&cluster).await;
    let_time_pass(&world).await;
    world.change_trust(THEIRS, &trust("somebody else's")).await;
    let shown = wait_for("the link to be found bad", || async {
        let shown = client.get(CREDENTIALS).await.expect(200).body;
        (shown["valid"] == false).then_some(shown)
    })
    .await;
    let why = shown["invalid_reason"].as_str().unwrap();
    assert!(
        why.starts_with("Invalid AWS credentials or insufficient EC2 permissions\n"),
        "{why}"
    );
    assert!(
        why.contains(&format!("{REGION}: AccessDenied (AssumeRole): ")),
        "{why}"
    );
    // EC2 was never asked: it is STS that would say the same.
    let command = format!(
        "\nTo see the same: aws sts assume-role --role-arn arn:aws:iam::{THEIRS}:role/berth --role-session-name berth \
         --external-id {}\n",
        external_id(client).await
    );
    assert!(why.contains(&command), "{why}");

    let (_, refused) = try_to_deploy(client, "more").await;
    assert_eq!(refused.expect(400).error(), why);
    let uri = cluster["resource_uri"].as_str().unwrap();
    let refused = client.patch(uri, &json!({"target_num_nodes": 9})).await;
    assert_eq!(refused.expect(400).error(), why);
    let after = world.nodes(&cluster).await;
    assert_eq!(after.len(), nodes.len());
    assert!(after.iter().all(|node| node["state"] == "Deployed"));
    assert_eq!(live(&world, THEIRS).len(), 2);

    // Trusted again, it is good again: by itself after a while, at once when it is linked again.
    world
        .change_trust(THEIRS, &trust(&external_id(client).await))
        .await;
    let arn = format!("arn:aws:iam::{THEIRS}:role/berth");
    let again = client
        .put(CREDENTIALS, &json!({"role_arn": arn}))
        .await
        .expect(202);
    assert_eq!(again.body["valid"], true);
    terminate(client, &cluster).await;
    world.finish().await;
}
