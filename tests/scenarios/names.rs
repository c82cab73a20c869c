//! Names of nodes in a hosted zone of the operator's.

use std::net::IpAddr;

use aws::{Record, RecordChange};
use serde_json::{Value, json};
use sim::{Fault, FaultRule};
use tests::{ACCOUNT, Moto, Options, Process, Shift, WorkerProcess, World, wait_for, whole_policy};

const REGION: &str = "us-east-1";
const CHANGE: &str = "ChangeResourceRecordSets";
const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");
const BERTH_KEY: &str = "berth";

async fn start(with_worker: bool) -> World {
    World::with(Options {
        with_worker,
        with_names: true,
        ..Options::default()
    })
    .await
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap()
}

fn policy_without_names() -> Value {
    let mut policy = whole_policy();
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.retain(|statement| !statement["Action"].to_string().contains("route53:"));
    policy
}

/// What Berth may do of Route 53.
fn allow_names(world: &World, is_allowed: bool) {
    let policy = if is_allowed {
        whole_policy()
    } else {
        policy_without_names()
    };
    world.sim().set_policy(BERTH_KEY, Some(&policy)).unwrap();
}

/// Creates a cluster and asks for its deploy, in a world that has no worker. Answers with it and its action.
async fn ask_to_deploy(world: &World, nodes: u32) -> (Value, String) {
    world
        .ask_to_deploy(REGION, "t3.micro", nodes, json!({}))
        .await
}

/// How many changes were in each call of Berth's.
fn sizes(world: &World) -> Vec<usize> {
    let recorded = world.sim().recorded().into_iter();
    let calls = recorded.filter(|call| call.action == CHANGE && call.access_key == BERTH_KEY);
    let is_name = |(name, _): &&(String, String)| name.ends_with(".ResourceRecordSet.Name");
    calls
        .map(|call| call.params.iter().filter(is_name).count())
        .collect()
}

async fn rows(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM node_name")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

/// How many names Route 53 has confirmed.
async fn confirmed(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM node_name WHERE asked IS NULL")
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_node_has_a_name_and_a_wildcard_below_it_as_long_as_it_lives() {
    let world = start(true).await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 3, json!({})).await;
    let names = world.names_are_right().await;
    assert_eq!(names.len(), 6, "{names:?}");
    let nodes = world.nodes(&cluster).await;
    for node in &nodes {
        let name = world.name_of(text(node, "uuid"));
        assert_eq!(node["external_fqdn"], name);
        assert_eq!(node["nickname"], name);
        let address: IpAddr = text(node, "public_ip").parse().unwrap();
        assert_eq!(
            (names[&name], names[&format!("*.{name}")]),
            (address, address)
        );
    }
    // Tags of the node's own come when the cluster is at rest.
    wait_for("the instances' names", || async {
        let named = |i: &sim::InstanceView| {
            i.tags
                .get("Name")
                .is_some_and(|name| names.contains_key(name))
        };
        world.instances(REGION).iter().all(named).then_some(())
    })
    .await;

    world.terminate(&nodes[0]).await;
    assert_eq!(world.names_are_right().await.len(), 4);
    world
        .sim()
        .console_terminate(ACCOUNT, REGION, &[&world.instance_of(&nodes[1]).await]);
    wait_for("the name of the terminated one to go", || async {
        (world.names_in_zone().await.len() == 2).then_some(())
    })
    .await;
    world.terminate(&cluster).await;
    assert!(world.names_are_right().await.is_empty());
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn seed_a_name_follows_the_address_when_the_instance_stops_starts_and_gets_an_elastic_ip() {
    let world = start(true).await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let name = world.name_of(text(&node, "uuid"));
    let first = world.names_are_right().await[&name];
    let instance = world.instance_of(&node).await;
    let changes_from = |old: Option<IpAddr>| {
        let (world, name) = (&world, &name);
        async move {
            wait_for("another address", || async {
                let names = world.names_in_zone().await;
                let is = names.get(name).copied();
                let is_whole = is == names.get(&format!("*.{name}")).copied();
                (is != old && is_whole).then_some(is)
            })
            .await
        }
    };

    world.sim().console_stop(ACCOUNT, REGION, &[&instance]);
    // The address is somebody else's by now.
    assert_eq!(changes_from(Some(first)).await, None);
    world.sim().console_start(ACCOUNT, REGION, &[&instance]);
    let second = changes_from(None).await;
    assert!(second.is_some() && second != Some(first));
    let elastic = world
        .sim()
        .console_associate_address(ACCOUNT, REGION, &instance);
    let third = changes_from(second).await;
    assert_eq!(third, Some(elastic.unwrap().into()));
    let shown = world.fetch(text(&node, "resource_uri")).await;
    assert_eq!(shown["public_ip"], third.unwrap().to_string());
    assert_eq!(shown["external_fqdn"], name);
    world.finish().await;
}

#[tokio::test]
async fn without_a_zone_a_node_has_the_name_that_ec2_gives_it() {
    let world = World::start().await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    let name = text(&node, "external_fqdn");
    assert!(name.ends_with(".amazonaws.com"), "{name}");
    assert!(!world.sim().calls().contains_key(CHANGE));
    world.finish().await;
}

#[tokio::test]
async fn throttled_and_lost_calls_are_made_again_until_the_names_are_right() {
    let world = start(true).await;
    let refuse = |status, code: &str| Fault::Refuse {
        status,
        code: code.into(),
        message: "Rate exceeded".into(),
    };
    for fault in [
        refuse(400, "Throttling"),
        Fault::DropAfterEffect,
        refuse(400, "PriorRequestNotComplete"),
        Fault::ErrorAfterEffect(503, "ServiceUnavailable".into()),
    ] {
        world.sim().fail_next(CHANGE, fault);
    }
    let (cluster, action) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    wait_for("every fault, and then an answer", || async {
        let faults = world.sim().faults();
        let all_played = faults.iter().all(|fault| fault.played.len() == 1);
        (all_played && confirmed(&world).await == 2).then_some(())
    })
    .await;
    assert_eq!(world.names_are_right().await.len(), 4);
    // The answer to the removal is lost as well: what is gone is not there to be removed again.
    world.sim().fail_next(CHANGE, Fault::DropAfterEffect);
    world.terminate(&cluster).await;
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    assert!(world.names_in_zone().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn under_route_53s_limit_of_calls_the_names_come_too() {
    let world = World::with(Options {
        sim: sim::Config {
            throttling: true,
            ..sim::Config::fast()
        },
        with_names: true,
        ..Options::default()
    })
    .await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 4, json!({})).await;
    wait_for("the names", || async {
        (confirmed(&world).await == 4).then_some(())
    })
    .await;
    assert_eq!(
        world.sim().throttled().get(CHANGE),
        None,
        "it keeps to the limit by itself"
    );
    world.terminate(&cluster).await;
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    world.sim().set_throttling(false);
    world.finish().await;
}

#[tokio::test]
async fn a_denial_does_no_harm_to_the_node_and_the_name_comes_when_it_ends() {
    let world = start(true).await;
    allow_names(&world, false);
    let (cluster, action) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    assert_eq!(
        (&cluster["state"], &action["state"]),
        (&json!("Deployed"), &json!("Success"))
    );
    wait_for("two attempts", || async {
        (world.sim().calls().get(CHANGE) >= Some(&2)).then_some(())
    })
    .await;
    for node in world.nodes(&cluster).await {
        assert_eq!(node["state"], "Deployed");
    }
    assert!(world.names_in_zone().await.is_empty());
    // One that goes meanwhile leaves nothing to be done.
    let node = world.nodes(&cluster).await.remove(0);
    world.terminate(&node).await;
    allow_names(&world, true);
    assert_eq!(world.names_are_right().await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn three_hundred_names_are_made_by_two_calls_and_removed_by_one() {
    let world = start(true).await;
    allow_names(&world, false);
    let (cluster, action) = world.deploy(REGION, "t3.micro", 300, json!({})).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    allow_names(&world, true);
    assert_eq!(world.names_are_right().await.len(), 600);
    let made = sizes(&world);
    // Those that were denied came before.
    assert!(made.ends_with(&[500, 100]), "{made:?}");
    world.sim().reset_calls();
    world.terminate(&cluster).await;
    assert!(world.names_are_right().await.is_empty());
    assert_eq!(sizes(&world), [600]);
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_is_refused_without_a_word_on_a_name_is_halved() {
    let world = start(true).await;
    allow_names(&world, false);
    world.deploy(REGION, "t3.micro", 4, json!({})).await;
    let rule = world.sim().add_fault(FaultRule {
        times: 2,
        ..FaultRule::next(
            CHANGE,
            Fault::Refuse {
                status: 400,
                code: "InvalidChangeBatch".into(),
                message: "[Something is wrong]".into(),
            },
        )
    });
    wait_for("both refusals", || async {
        (world.sim().played(rule).len() == 2).then_some(())
    })
    .await;
    allow_names(&world, true);
    assert_eq!(world.names_are_right().await.len(), 8);
    let made = sizes(&world);
    assert!(made.windows(2).any(|pair| pair == [8, 4]), "{made:?}");
    world.finish().await;
}

/// The worker dies with a call under way, and the nodes are gone before another one comes.
async fn crash(fault: Fault) {
    let world = start(false).await;
    let (cluster, action) = ask_to_deploy(&world, 2).await;
    let rule = world.sim().add_fault(FaultRule::next(CHANGE, fault));
    let worker = WorkerProcess::start(WORKER, &world);
    wait_for("a call under way", || async {
        (!world.sim().played(rule).is_empty()).then_some(())
    })
    .await;
    assert_eq!(world.ended(&action).await["state"], "Success");
    worker.kill().await;
    assert!(rows(&world).await > 0, "it was written down first");
    world.sim().clear_faults();
    for node in world.nodes(&cluster).await {
        let instance = world.instance_of(&node).await;
        world.sim().console_terminate(ACCOUNT, REGION, &[&instance]);
    }
    let next = WorkerProcess::start(WORKER, &world);
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    assert!(world.names_in_zone().await.is_empty());
    next.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn a_worker_that_dies_before_its_call_takes_effect_leaves_no_name() {
    crash(Fault::Hang).await;
}

#[tokio::test]
async fn a_worker_that_dies_after_its_call_took_effect_leaves_no_name() {
    crash(Fault::HangAfterEffect).await;
}

fn record(name: &str, address: &str) -> Record {
    Record {
        name: name.to_owned(),
        ttl_s: 300,
        addresses: vec![address.parse().unwrap()],
    }
}

#[tokio::test]
async fn what_somebody_changes_in_the_zone_is_put_right_and_what_is_not_ours_is_left() {
    let world = start(true).await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    let nodes = world.nodes(&cluster).await;
    let before = world.names_are_right().await;
    let changed = world.name_of(text(&nodes[0], "uuid"));
    let gone = format!("*.{}", world.name_of(text(&nodes[1], "uuid")));
    let theirs = [
        "theirs.example.com",
        "00000000-0000-4000-8000-000000000000.node.example.com",
    ];
    let zone = world.zone.clone().unwrap();
    let removed = Record {
        ttl_s: 30,
        ..record(&gone, &before[&gone].to_string())
    };
    let mut changes = vec![
        RecordChange::Upsert(record(&changed, "192.0.2.7")),
        RecordChange::Delete(removed),
    ];
    changes.extend(theirs.map(|name| RecordChange::Upsert(record(name, "192.0.2.8"))));
    let names = world.names().await;
    names
        .change_records(&zone.hosted_zone_id, &changes)
        .await
        .unwrap();
    wait_for("the names to be put right", || async {
        let mut is = world.names_in_zone().await;
        is.remove(theirs[1])?;
        (is == before).then_some(())
    })
    .await;

    // The same while it is removed: a record is removed whatever somebody made of it.
    let changes = [RecordChange::Upsert(record(&changed, "192.0.2.9"))];
    names
        .change_records(&zone.hosted_zone_id, &changes)
        .await
        .unwrap();
    world.terminate(&cluster).await;
    wait_for("the names to go", || async {
        let names = world.names_in_zone().await;
        (names.len() == 1 && names.contains_key(theirs[1])).then_some(())
    })
    .await;
    let left = names
        .records(&zone.hosted_zone_id, theirs[0])
        .await
        .unwrap();
    assert_eq!(left, [record(theirs[0], "192.0.2.8")]);
    let changes = theirs.map(|name| RecordChange::Delete(record(name, "192.0.2.8")));
    names
        .change_records(&zone.hosted_zone_id, &changes)
        .await
        .unwrap();
    world.finish().await;
}

#[tokio::test]
async fn a_name_that_a_late_call_has_made_goes_again() {
    let world = start(true).await;
    let (cluster, _) = world.deploy(REGION, "t3.micro", 1, json!({})).await;
    let node = world.nodes(&cluster).await.remove(0);
    world.names_are_right().await;
    world.terminate(&cluster).await;
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    // A worker that had slept past its lease asks for it once more.
    let name = world.name_of(text(&node, "uuid"));
    let late = [name.clone(), format!("*.{name}")];
    let late = late.map(|name| RecordChange::Upsert(record(&name, "192.0.2.7")));
    let zone = world.zone.clone().unwrap();
    let names = world.names().await;
    let made = names.change_records(&zone.hosted_zone_id, &late).await;
    made.unwrap();
    assert!(world.names_are_right().await.is_empty());
    wait_for("the rows to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_name_that_route_53_refuses_does_not_hold_the_others_up() {
    let world = start(false).await;
    let (cluster, action) = ask_to_deploy(&world, 5).await;
    let nodes = world.nodes(&cluster).await;
    let taken = world.name_of(text(&nodes[3], "uuid"));
    // A name that has a CNAME can have nothing else.
    world.change_cname("CREATE", &taken).await;
    let shift = Shift::begin(&world);
    assert_eq!(world.ended(&action).await["state"], "Success");
    wait_for("the names of the others", || async {
        (world.names_in_zone().await.len() == 8).then_some(())
    })
    .await;
    world.change_cname("DELETE", &taken).await;
    assert_eq!(world.names_are_right().await.len(), 10);
    shift.end().await;
    world.finish().await;
}

#[tokio::test]
async fn names_go_when_there_is_no_zone_any_more() {
    let world = start(false).await;
    let (cluster, action) = ask_to_deploy(&world, 2).await;
    let shift = Shift::begin(&world);
    world.ended(&action).await;
    assert_eq!(world.names_are_right().await.len(), 4);
    shift.end().await;
    let without = World::with(Options {
        endpoint: Some(world.endpoint.url.clone()),
        database_url: Some(world.database_url.clone()),
        ..Options::default()
    })
    .await;
    wait_for("the names to go", || async {
        (rows(&world).await == 0).then_some(())
    })
    .await;
    assert!(world.names_in_zone().await.is_empty());
    for node in without.nodes(&cluster).await {
        let name = text(&node, "external_fqdn");
        assert!(name.ends_with(".amazonaws.com"), "{name}");
    }
    world.terminate(&cluster).await;
    without.finish().await;
    world.finish().await;
}

/// How `berth serve` ends with these settings, in the world's account.
fn serve(world: &World, id: &str, domain: &str) -> Process {
    Process::start(
        env!("CARGO_BIN_EXE_berth-under-test"),
        &["serve", "--role", "worker"],
        &[
            ("DATABASE_URL", &world.database_url),
            ("AWS_ENDPOINT_URL", &world.endpoint.url),
            ("AWS_ACCESS_KEY_ID", &world.endpoint.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &world.endpoint.secret_access_key),
            ("BERTH_LISTEN", "127.0.0.1:0"),
            ("BERTH_LOG_FORMAT", "json"),
            ("BERTH_HOSTED_ZONE_ID", id),
            ("BERTH_NODE_DOMAIN", domain),
        ],
    )
}

#[tokio::test]
async fn settings_that_can_not_be_meant_end_berth_serve_at_its_start() {
    let world = start(false).await;
    let zone = world.zone.clone().unwrap();
    for (id, domain, said) in [
        (
            zone.hosted_zone_id.as_str(),
            "",
            "is set without BERTH_NODE_DOMAIN (--node-domain): set both, or none",
        ),
        (
            "",
            "example.com",
            "is set without BERTH_HOSTED_ZONE_ID (--hosted-zone-id): set both, or none",
        ),
        ("Z 1", "example.com", "it must be as Z0123456789ABCDEFGHIJ"),
        (
            &zone.hosted_zone_id,
            "exa_mple.com",
            "it must be a domain such as example.com",
        ),
        (
            &zone.hosted_zone_id,
            "example.org",
            "it must be example.com or end with .example.com",
        ),
        (
            "Z0NOBODYS",
            "example.com",
            "NoSuchHostedZone (GetHostedZone): No hosted zone found with ID: Z0NOBODYS",
        ),
    ] {
        let ended = serve(&world, id, domain).ended().await;
        assert_eq!(ended.code, Some(1), "{id} {domain}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_denial_is_told_in_the_log() {
    let world = start(false).await;
    allow_names(&world, false);
    let zone = world.zone.clone().unwrap();
    let mut process = serve(&world, &zone.hosted_zone_id, &zone.domain);
    let tells = |process: &Process, said: &str| {
        let log = process.stderr();
        let found = log
            .lines()
            .any(|line| line.contains(said) && line.contains("\"WARN\""));
        found.then_some(())
    };
    process
        .until("a word about the zone", |it| {
            tells(it, "AccessDenied (GetHostedZone)")
        })
        .await;
    let (cluster, action) = ask_to_deploy(&world, 1).await;
    world.ended(&action).await;
    process
        .until("a word about the names", |it| {
            tells(it, "AccessDenied (ChangeResourceRecordSets)")
        })
        .await;
    allow_names(&world, true);
    world.terminate(&cluster).await;
    process.sigterm();
    process.ended().await;
    world.finish().await;
}

#[tokio::test]
async fn seed_moto_names_come_and_go_with_their_nodes() {
    let region = "eu-west-2";
    let moto = Moto::with_names(true).await;
    let world = &moto.world;
    let (cluster, action) = world.deploy(region, "t3.micro", 3, json!({})).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    assert_eq!(world.names_are_right().await.len(), 6);
    let node = world.nodes(&cluster).await.remove(0);
    assert_eq!(node["external_fqdn"], world.name_of(text(&node, "uuid")));
    world.terminate(&node).await;
    assert_eq!(world.names_are_right().await.len(), 4);
    world.terminate(&cluster).await;
    assert!(world.names_are_right().await.is_empty());
    moto.finish(region).await;
}
