//! The catalogue as the linked accounts have it: what they show beside what is packaged, who sees it, and how it is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    catalogue::{Figures, ShownRegion, Survey, Surveyed},
    link::Ambient,
};
use serde_json::{Value, json};
use sim::{Fault, FaultRule};
use tests::{ACCOUNT, Client, Moto, Options, Shift, World, add_user, fast_worker, trust, wait_for};

const CREDENTIALS: &str = "/api/infra/v1/provider/aws/credentials/";
/// Accounts of the users'.
const THEIRS: &str = "111122223333";
const OTHER: &str = "444455556666";
/// What an account has that the packaged catalogue has not, once it was made older.
const NEW_REGION: &str = "eu-north-1";
const NEW_ZONE: &str = "sa-east-1c";
const NEW_TYPE: &str = "t3.medium";

/// With time for all regions at once on a busy machine.
fn refreshing() -> Options {
    let mut options = Options {
        ambient: Ambient::Nobody,
        call_timeout: Duration::from_secs(10),
        ..Options::default()
    };
    options.worker.grace = worker::Config::default().grace;
    options.worker.refreshes_catalogue = true;
    options
}

/// A packaged catalogue of the time before there was a region, a zone and a type.
async fn make_older(world: &World) {
    for (statement, name) in [
        (
            "DELETE FROM node_type_zone WHERE zone LIKE $1 || '%'",
            NEW_REGION,
        ),
        ("DELETE FROM zone WHERE region = $1", NEW_REGION),
        ("DELETE FROM region WHERE name = $1", NEW_REGION),
        ("DELETE FROM node_type_zone WHERE zone = $1", NEW_ZONE),
        ("DELETE FROM zone WHERE name = $1", NEW_ZONE),
        ("DELETE FROM node_type_zone WHERE node_type = $1", NEW_TYPE),
        ("DELETE FROM node_type WHERE name = $1", NEW_TYPE),
        (
            "UPDATE node_type SET memory_mb = 1, label = 'old' WHERE name = $1",
            "t3.small",
        ),
    ] {
        let done = sqlx::query(statement).bind(name).execute(&world.pool).await;
        assert!(done.unwrap().rows_affected() > 0, "{statement}");
    }
}

async fn link(world: &World, client: &Client, account: &str) {
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    let id = shown["external_id"].as_str().unwrap();
    let role_arn = world.make_role(account, &trust(id)).await;
    let body = json!({"role_arn": role_arn});
    client.put(CREDENTIALS, &body).await.expect(201);
}

/// Waits until the account was read, and answers with what is told of that.
async fn read(client: &Client) -> Value {
    wait_for("an account to be read", || async {
        let shown = client.get(CREDENTIALS).await.expect(200).body;
        let catalogue = shown["catalogue"].clone();
        catalogue["refreshed_at"].is_string().then_some(catalogue)
    })
    .await
}

/// Lets the time come at which accounts are read, and waits until that has been done.
async fn read_again(world: &World) {
    sqlx::query(
        "UPDATE account_link SET refresh_at = now(), refreshed_at = NULL WHERE kind <> 'none'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    wait_for("the accounts to be read again", || async {
        let left: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM account_link WHERE kind IN ('key', 'role') AND refreshed_at IS NULL",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap();
        (left == 0).then_some(())
    })
    .await;
}

fn region(name: &str) -> String {
    format!("/api/infra/v1/region/aws/{name}/")
}

fn zone(name: &str) -> String {
    let region = name.trim_end_matches(|c: char| c.is_ascii_lowercase());
    format!("/api/infra/v1/az/aws/{region}/{name}/")
}

fn node_type(name: &str) -> String {
    format!("/api/infra/v1/nodetype/aws/{name}/")
}

async fn is_available(client: &Client, uri: &str) -> bool {
    let shown = client.get(uri).await.expect(200).body;
    shown["available"].as_bool().unwrap()
}

/// The names in a list.
async fn listed(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.expect(200).body;
    let objects = page["objects"].as_array().unwrap();
    let names = objects.iter().map(|it| it["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

fn wish(name: &str, region_name: &str, type_name: &str) -> Value {
    json!({
        "name": name,
        "region": region(region_name),
        "node_type": node_type(type_name),
        "target_num_nodes": 3,
    })
}

fn refused(code: &str) -> Fault {
    Fault::Refuse {
        status: 403,
        code: code.to_owned(),
        message: "You are not authorized. Encoded authorization failure message: AbCd".to_owned(),
    }
}

#[tokio::test]
async fn what_an_account_has_beside_the_packaged_appears_for_those_who_use_it() {
    let mut options = refreshing();
    options.sim.most_per_page = Some(40);
    let world = World::with(options).await;
    make_older(&world).await;
    let client = &world.client;
    for uri in [region(NEW_REGION), zone(NEW_ZONE), node_type(NEW_TYPE)] {
        client.get(&uri).await.expect(404);
    }
    let clusters = "/api/infra/v1/nodecluster/";
    let early = client
        .post(clusters, &wish("early", NEW_REGION, "t3.micro"))
        .await;
    assert!(
        early
            .expect(400)
            .error()
            .starts_with("region: there is no region \"eu-north-1\"")
    );
    let early = client
        .post(clusters, &wish("early", "sa-east-1", NEW_TYPE))
        .await;
    assert!(
        early
            .expect(400)
            .error()
            .starts_with("node_type: there is no node type ")
    );
    let nothing = client.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(
        nothing["catalogue"],
        json!({"refreshed_at": null, "refused": []})
    );

    link(&world, client, THEIRS).await;
    assert_eq!(read(client).await["refused"], json!([]));
    let shown = client.get(&region(NEW_REGION)).await.expect(200).body;
    assert_eq!(
        (&shown["label"], &shown["available"]),
        (&json!(NEW_REGION), &json!(true))
    );
    assert_eq!(shown["availability_zones"].as_array().unwrap().len(), 3);
    let types = shown["node_types"].as_array().unwrap();
    assert!(types.contains(&json!(node_type(NEW_TYPE))));
    assert!(is_available(client, &zone(NEW_ZONE)).await);
    let shown = client.get(&node_type(NEW_TYPE)).await.expect(200).body;
    assert_eq!(shown["label"], "t3.medium [2 vCPU, 4 GB]");
    assert_eq!(shown["available"], true);
    assert!(
        shown["availability_zones"]
            .as_array()
            .unwrap()
            .contains(&json!(zone(NEW_ZONE)))
    );
    assert!(
        shown["regions"]
            .as_array()
            .unwrap()
            .contains(&json!(region(NEW_REGION)))
    );
    // What is packaged keeps its words, and its figures are corrected.
    let shown = client.get(&region("us-east-1")).await.expect(200).body;
    assert_eq!(shown["label"], "US East (N. Virginia)");
    let shown = client.get(&node_type("t3.small")).await.expect(200).body;
    assert_eq!(shown["label"], "t3.small [2 vCPU, 2 GB]");
    let by_zone = format!(
        "/api/infra/v1/nodetype/?availability_zones={}&limit=1000",
        zone(NEW_ZONE)
    );
    let offered = listed(client, &by_zone).await;
    assert!(offered.contains(&NEW_TYPE.to_owned()), "{offered:?}");
    // No whole machines.
    client.get(&node_type("m5.metal")).await.expect(404);

    let created = client
        .post(clusters, &wish("new", NEW_REGION, NEW_TYPE))
        .await;
    let cluster = created.expect(201).body;
    let uri = cluster["resource_uri"].as_str().unwrap();
    let deployed = client.post(&format!("{uri}deploy/"), &json!({})).await;
    let action = world.ended(&deployed.expect(202).action_uri()).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    assert_eq!(world.sim().instances(THEIRS, NEW_REGION).len(), 3);
    world.terminate(&cluster).await;

    // It is nobody else's business.
    let eve = add_user(&world, "eve", "eves-key").await;
    for uri in [region(NEW_REGION), zone(NEW_ZONE), node_type(NEW_TYPE)] {
        eve.get(&uri).await.expect(404);
    }
    let regions = listed(&eve, "/api/infra/v1/region/?limit=1000").await;
    assert!(!regions.contains(&NEW_REGION.to_owned()));
    let refused = eve.post(clusters, &wish("new", NEW_REGION, NEW_TYPE)).await;
    let words = refused.expect(400);
    assert!(
        words.error().starts_with("region: there is no region"),
        "{}",
        words.error()
    );
    world.finish().await;
}

#[tokio::test]
async fn what_is_available_is_what_the_account_of_the_namespace_has() {
    let world = World::with(refreshing()).await;
    let (sim, dev) = (world.sim(), &world.client);
    sim.set_opted_in(THEIRS, "af-south-1", false);
    sim.set_zone_state(THEIRS, "sa-east-1", "sa-east-1b", "constrained");
    sim.set_offering(THEIRS, "sa-east-1", "*", "t3.small", false);
    // The one type that only one region has left.
    for it in listed(dev, "/api/infra/v1/region/?limit=1000").await {
        let is_on = it == "eu-west-1";
        sim.set_offering(THEIRS, &it, "*", "m5.2xlarge", is_on);
        if is_on {
            sim.set_offering(THEIRS, &it, "eu-west-1a", "m5.2xlarge", false);
        }
        sim.set_offering(THEIRS, &it, "*", "c5.2xlarge", false);
    }
    link(&world, dev, THEIRS).await;
    let eve = add_user(&world, "eve", "eves-key").await;
    link(&world, &eve, OTHER).await;
    let mallory = add_user(&world, "mallory", "mallorys-key").await;
    read(dev).await;
    read(&eve).await;

    for (uri, at_devs) in [
        (region("af-south-1"), false),
        (zone("af-south-1a"), false),
        (region("sa-east-1"), true),
        (zone("sa-east-1a"), true),
        (zone("sa-east-1b"), false),
        (node_type("t3.small"), true),
        (node_type("m5.2xlarge"), true),
        (node_type("c5.2xlarge"), false),
        ("/api/infra/v1/provider/aws/".to_owned(), true),
    ] {
        assert_eq!(is_available(dev, &uri).await, at_devs, "{uri}");
        assert!(is_available(&eve, &uri).await, "{uri} of eve's");
        assert!(is_available(&mallory, &uri).await, "{uri} of mallory's");
    }
    // The lists are asked of the same account.
    let path = format!(
        "/api/infra/v1/nodetype/?regions={}&limit=1000",
        region("sa-east-1")
    );
    let small = "t3.small".to_owned();
    assert!(!listed(dev, &path).await.contains(&small));
    assert!(listed(&eve, &path).await.contains(&small));
    // Of a region that is off nobody tells what it offers: what is packaged stands.
    let shown = dev.get(&node_type("m5.2xlarge")).await.expect(200).body;
    let zones = [
        "af-south-1a",
        "af-south-1b",
        "af-south-1c",
        "eu-west-1b",
        "eu-west-1c",
    ];
    assert_eq!(shown["availability_zones"], json!(zones.map(zone)));
    let regions = ["af-south-1", "eu-west-1"];
    assert_eq!(shown["regions"], json!(regions.map(region)));

    // What was read may be old: AWS has the last word, at the deploy.
    let clusters = "/api/infra/v1/nodecluster/";
    for (name, region, node_type) in [
        ("off", "af-south-1", "t3.micro"),
        ("withdrawn", "sa-east-1", "t3.small"),
    ] {
        dev.post(clusters, &wish(name, region, node_type))
            .await
            .expect(201);
    }

    // It is the account of the namespace in the path, whoever asks.
    let mut connection = world.pool.acquire().await.unwrap();
    let devs: uuid::Uuid = sqlx::query_scalar("SELECT id FROM users WHERE name = 'dev'")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let made = store::people::add_organization(&mut connection, "acme", devs.into()).await;
    made.unwrap();
    drop(connection);
    let off = "region/aws/af-south-1/";
    assert!(is_available(dev, &format!("/api/infra/v1/acme/{off}")).await);
    assert!(!is_available(dev, &format!("/api/infra/v1/dev/{off}")).await);
    eve.get(&format!("/api/infra/v1/dev/{off}"))
        .await
        .expect(404);
    world.finish().await;
}

#[tokio::test]
async fn a_region_that_refuses_or_hangs_keeps_what_it_had_and_nobody_else_waits() {
    let world = World::with(refreshing()).await;
    let (sim, client) = (world.sim(), &world.client);
    sim.set_zone_state(THEIRS, "eu-west-1", "eu-west-1a", "impaired");
    link(&world, client, THEIRS).await;
    assert_eq!(read(client).await["refused"], json!([]));

    // All of them mend, and three of them do not say so.
    sim.set_zone_state(THEIRS, "eu-west-1", "eu-west-1a", "available");
    sim.set_zone_state(THEIRS, "us-west-2", "us-west-2a", "impaired");
    sim.set_zone_state(THEIRS, "us-east-2", "us-east-2a", "impaired");
    for (action, region, fault) in [
        (
            "DescribeInstanceTypeOfferings",
            "eu-west-1",
            refused("UnauthorizedOperation"),
        ),
        ("DescribeAvailabilityZones", "us-west-2", Fault::Hang),
        (
            "DescribeRegions",
            "us-east-1",
            refused("UnauthorizedOperation"),
        ),
        (
            "DescribeInstanceTypes",
            "us-east-1",
            refused("UnauthorizedOperation"),
        ),
    ] {
        sim.add_fault(FaultRule {
            times: u64::MAX,
            region: Some(region.to_owned()),
            ..FaultRule::next(action, fault)
        });
    }
    read_again(&world).await;
    let told = read(client).await;
    let refusals = told["refused"].as_array().unwrap();
    let words: BTreeMap<&str, &str> = refusals
        .iter()
        .map(|it| {
            (
                it["region"].as_str().unwrap(),
                it["reason"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(words.len(), 3, "{told:#}");
    assert_eq!(
        words[region("eu-west-1").as_str()],
        "UnauthorizedOperation (DescribeInstanceTypeOfferings): You are not authorized."
    );
    assert_eq!(
        words[region("us-east-1").as_str()],
        "UnauthorizedOperation (DescribeRegions): You are not authorized.; \
         UnauthorizedOperation (DescribeInstanceTypes): You are not authorized."
    );
    let hanging = words[region("us-west-2").as_str()];
    assert!(
        hanging.starts_with("NoAnswer (DescribeAvailabilityZones): "),
        "{hanging}"
    );
    for (name, expected) in [
        ("eu-west-1a", false),
        ("us-west-2a", true),
        ("us-east-2a", false),
    ] {
        assert_eq!(is_available(client, &zone(name)).await, expected, "{name}");
    }

    // It is tried again soon, and each time in a row later.
    let waits = || async {
        sqlx::query_scalar::<_, f64>(
            "SELECT extract(epoch FROM refresh_at - refreshed_at)::float8 FROM account_link WHERE kind = 'role'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap()
    };
    assert_eq!(waits().await, 60.0);
    read_again(&world).await;
    assert_eq!(waits().await, 120.0);
    sim.clear_faults();
    read_again(&world).await;
    assert_eq!(read(client).await["refused"], json!([]));
    assert_eq!(waits().await, 24.0 * 3600.0);
    assert!(is_available(client, &zone("eu-west-1a")).await);
    assert!(!is_available(client, &zone("us-west-2a")).await);
    world.finish().await;
}

#[tokio::test]
async fn credentials_that_aws_does_not_take_any_more_are_asked_about_once_and_tried() {
    let mut options = refreshing();
    let account = THEIRS.to_owned();
    options
        .sim
        .accounts
        .insert("AKIATHEIRS".to_owned(), account);
    let world = World::with(options).await;
    let (sim, client) = (world.sim(), &world.client);
    let body = json!({"access_key_id": "AKIATHEIRS", "secret_access_key": "c2VjcmV0"});
    client.put(CREDENTIALS, &body).await.expect(201);
    read(client).await;
    let unknown = Fault::Refuse {
        status: 401,
        code: "AuthFailure".to_owned(),
        message: "AWS was not able to validate the provided access credentials".to_owned(),
    };
    let rule = sim.add_fault(FaultRule {
        times: u64::MAX,
        access_key: Some("AKIATHEIRS".to_owned()),
        ..FaultRule::next("*", unknown)
    });
    // The last trial was a while ago.
    sqlx::query(
        "UPDATE account_link SET refresh_at = now(), checked_at = checked_at - interval '1 hour' WHERE kind = 'key'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let shown = wait_for("the key to be found bad", || async {
        let shown = client.get(CREDENTIALS).await.expect(200).body;
        (shown["valid"] == false).then_some(shown)
    })
    .await;
    assert_eq!(
        shown["catalogue"]["refused"],
        json!([{
            "region": region("us-east-1"),
            "reason": "AuthFailure (DescribeRegions): AWS was not able to validate the provided access credentials",
        }])
    );
    let asked = sim.played(rule);
    let names = asked.iter().map(|call| call.action.as_str());
    assert_eq!(
        names
            .filter(|name| *name == "DescribeAvailabilityZones")
            .count(),
        0
    );
    // What was read stays.
    assert!(is_available(client, &region("us-east-1")).await);
    world.finish().await;
}

#[tokio::test]
async fn what_was_read_goes_with_the_link() {
    let mut options = refreshing();
    for (key, account) in [
        ("AKIAOLD", THEIRS),
        ("AKIANEW", THEIRS),
        ("AKIAOTHER", OTHER),
    ] {
        options
            .sim
            .accounts
            .insert(key.to_owned(), account.to_owned());
    }
    let world = World::with(options).await;
    make_older(&world).await;
    let client = &world.client;
    world.sim().set_opted_in(THEIRS, "af-south-1", false);
    let put = |id: &'static str, status| async move {
        let body = json!({"access_key_id": id, "secret_access_key": "c2VjcmV0"});
        client.put(CREDENTIALS, &body).await.expect(status).body
    };
    let rows = || async {
        sqlx::query_scalar::<_, String>(
            "SELECT DISTINCT account FROM link_zone JOIN account_link ON id = link_id",
        )
        .fetch_all(&world.pool)
        .await
        .unwrap()
    };
    put("AKIAOLD", 201).await;
    read(client).await;
    assert!(!is_available(client, &region("af-south-1")).await);
    // Another key of the same account finds what is known of it.
    let shown = put("AKIANEW", 202).await;
    assert!(shown["catalogue"]["refreshed_at"].is_string());
    assert!(!is_available(client, &region("af-south-1")).await);

    // Another account begins anew.
    put("AKIAOTHER", 202).await;
    wait_for("the other account to be read", || async {
        (rows().await == [OTHER]).then_some(())
    })
    .await;
    assert!(is_available(client, &region("af-south-1")).await);
    client.get(&region(NEW_REGION)).await.expect(200);

    let unlinked = client.delete(CREDENTIALS).await.expect(202).body;
    assert_eq!(
        unlinked["catalogue"],
        json!({"refreshed_at": null, "refused": []})
    );
    assert!(rows().await.is_empty());
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM link_region")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
    client.get(&region(NEW_REGION)).await.expect(404);
    world.finish().await;
}

/// What one reading costs: [`docs/ARCHITECTURE.md`], "One linked account".
fn cost(regions: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([
        ("DescribeRegions".to_owned(), 1),
        ("DescribeAvailabilityZones".to_owned(), regions),
        ("DescribeInstanceTypeOfferings".to_owned(), regions),
        ("DescribeInstanceTypes".to_owned(), 1),
    ])
}

#[tokio::test]
async fn numbers_two_workers_read_an_account_once_a_day_and_write_what_is_news() {
    let mut options = refreshing();
    options.with_worker = false;
    options.sim.throttling = true;
    let world = World::with(options).await;
    link(&world, &world.client, THEIRS).await;
    world.sim().set_opted_in(THEIRS, "af-south-1", false);
    world.sim().reset_calls();
    let config = || worker::Config {
        refreshes_catalogue: true,
        grace: worker::Config::default().grace,
        ..fast_worker()
    };
    let shifts = [
        Shift::begin_with(&world, config()),
        Shift::begin_with(&world, config()),
    ];
    read(&world.client).await;
    let regions = listed(&world.client, "/api/infra/v1/region/?limit=1000").await;
    let regions = regions.len() as u64 - 1;
    let state = || async {
        sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT (SELECT sum(xmin::text::bigint)::bigint FROM link_zone),
                    (SELECT sum(xmin::text::bigint)::bigint FROM node_type), shown_version
             FROM account_link WHERE kind = 'role'",
        )
        .fetch_one(&world.pool)
        .await
        .unwrap()
    };
    let before = state().await;
    // A day later.
    read_again(&world).await;
    assert_eq!(state().await, before, "nothing was news");
    world
        .sim()
        .set_zone_state(THEIRS, "eu-west-1", "eu-west-1a", "impaired");
    read_again(&world).await;
    let after = state().await;
    assert_eq!((after.1, after.2), (before.1, before.2 + 1));
    assert_ne!(after.0, before.0);
    for shift in shifts {
        shift.end().await;
    }
    let mut calls = world.sim().calls();
    calls.retain(|name, _| name.starts_with("Describe"));
    let expected = cost(regions).into_iter().map(|(name, n)| (name, 3 * n));
    assert_eq!(calls, expected.collect());
    assert_eq!(world.sim().throttled(), BTreeMap::new());
    world.finish().await;
}

#[tokio::test]
async fn the_servers_own_account_is_read_for_those_who_may_use_it() {
    let mut options = refreshing();
    options.ambient = Ambient::read("dev");
    let world = World::with(options).await;
    // Whatever was read at the start.
    world.sim().set_opted_in(ACCOUNT, "af-south-1", false);
    sqlx::query("UPDATE account_link SET refresh_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    let eve = add_user(&world, "eve", "eves-key").await;
    wait_for("the server's account to be read", || async {
        let is_available = is_available(&world.client, &region("af-south-1")).await;
        (!is_available).then_some(())
    })
    .await;
    assert!(is_available(&eve, &region("af-south-1")).await);
    assert!(read(&world.client).await["refreshed_at"].is_string());
    let eves = eve.get(CREDENTIALS).await.expect(200).body;
    assert_eq!(eves["catalogue"]["refreshed_at"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn a_reading_is_one_workers_until_it_dies_and_not_written_with_other_credentials() {
    let mut options = refreshing();
    options.with_worker = false;
    for (key, account) in [("AKIAOLD", THEIRS), ("AKIANEW", THEIRS)] {
        options
            .sim
            .accounts
            .insert(key.to_owned(), account.to_owned());
    }
    let world = World::with(options).await;
    let put = |id: &'static str, status| {
        let body = json!({"access_key_id": id, "secret_access_key": "c2VjcmV0"});
        let client = &world.client;
        async move { client.put(CREDENTIALS, &body).await.expect(status) }
    };
    put("AKIAOLD", 201).await;
    let mut connection = world.pool.acquire().await.unwrap();
    let claimed = store::shown::claim_due(&mut connection, false)
        .await
        .unwrap();
    let (link, claim) = claimed.expect("a link that is due");
    let nobody_elses = store::shown::claim_due(&mut connection, false)
        .await
        .unwrap();
    assert!(nobody_elses.is_none());
    sqlx::query("UPDATE account_link SET refresh_at = refresh_at - interval '5 minutes'")
        .execute(&world.pool)
        .await
        .unwrap();
    let taken_over = store::shown::claim_due(&mut connection, false)
        .await
        .unwrap();
    let (taken_over, second) = taken_over.expect("a claim that is over");
    assert_eq!(taken_over.id, link.id);

    let survey = Survey {
        regions: vec![Surveyed {
            region: ShownRegion {
                name: "mars-1".to_owned(),
                is_on: true,
                zones: None,
            },
            refusal: None,
        }],
        ..Survey::default()
    };
    let record = async |connection: &mut _, claim| {
        let written = store::shown::record(connection, claim, &survey).await;
        written.unwrap();
    };
    // Somebody else has it by now, and then the link has other credentials.
    record(&mut connection, claim).await;
    put("AKIANEW", 202).await;
    record(&mut connection, second).await;
    world.client.get(&region("mars-1")).await.expect(404);
    let now = store::shown::claim_due(&mut connection, false)
        .await
        .unwrap();
    let (_, now) = now.expect("new credentials are due at once");
    record(&mut connection, now).await;
    // A new region whose zones nobody knows is there, and nothing can be deployed in it.
    assert!(!is_available(&world.client, &region("mars-1")).await);
    drop(connection);
    world.finish().await;
}

/// moto has AWS's own answers, of more than a thousand types.
#[tokio::test]
async fn moto_tells_what_is_packaged_and_more() {
    let moto = Moto::start().await;
    let cloud = moto.world.cloud("sa-east-1").await;
    let zones = cloud.offers().await.unwrap();
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["sa-east-1a", "sa-east-1b", "sa-east-1c"]);
    assert!(zones.iter().all(|zone| zone.is_available));
    let offered: BTreeSet<String> = zones.into_iter().flat_map(|it| it.node_types).collect();
    let offered: Vec<String> = offered.into_iter().collect();
    let figures = cloud.node_types(&offered).await.unwrap();
    let labels: BTreeSet<String> = figures.iter().map(Figures::label).collect();
    assert!(!figures.iter().any(|it| it.name.contains("metal")));
    assert!(offered.iter().any(|name| name.contains("metal")));
    let packaged: Vec<String> = sqlx::query_scalar(
        "SELECT label FROM node_type
         WHERE name IN (SELECT node_type FROM node_type_zone WHERE zone LIKE 'sa-east-1%')",
    )
    .fetch_all(&moto.world.pool)
    .await
    .unwrap();
    assert!(packaged.len() > 100 && labels.len() > packaged.len());
    let missing: Vec<_> = packaged.iter().filter(|it| !labels.contains(*it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    moto.finish("sa-east-1").await;
}
