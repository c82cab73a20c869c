//! Credentials are tried before they are taken: a dry run in every region.

use std::time::Duration;

use super::*;

const INVALID: &str = "Invalid AWS credentials or insufficient EC2 permissions\n";
/// Every refusal of the one kind of call that tries credentials.
fn refuse_dry_runs(world: &World, region: Option<&str>, fault: Fault) {
    world.sim().add_fault(FaultRule {
        region: region.map(str::to_owned),
        times: u64::MAX,
        ..FaultRule::next("RunInstances (dry run)", fault)
    });
}

fn denied() -> Fault {
    Fault::Refuse {
        status: 403,
        code: "UnauthorizedOperation".into(),
        message: "You are not authorized to perform this operation. Encoded authorization failure message: AbCd".into(),
    }
}

async fn regions(world: &World) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM region ORDER BY name")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn one_region_is_enough_although_two_hang_and_the_others_refuse() {
    let world = strict_world().await;
    let regions = regions(&world).await;
    assert!(regions.len() >= 17);
    for (n, region) in regions.iter().enumerate() {
        match n {
            0 | 1 => refuse_dry_runs(&world, Some(region), Fault::Hang),
            16 => {}
            _ => refuse_dry_runs(&world, Some(region), denied()),
        }
    }
    let linked = world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(201);
    assert_eq!(linked.body["valid"], true);
    let tried = world.sim().calls()["RunInstances (dry run)"];
    assert_eq!(tried, regions.len() as u64, "once in each region");
    world.sim().clear_faults();
    world.finish().await;
}

#[tokio::test]
async fn seventeen_regions_of_which_two_hang_are_tried_within_ten_seconds() {
    let world = strict_world().await;
    // Seventeen of them, with us-east-1, which is asked about the others.
    let regions = regions(&world).await;
    let others: Vec<&String> = regions.iter().filter(|it| *it != "us-east-1").collect();
    let (kept, gone) = others.split_at(16);
    for query in [
        "DELETE FROM node_type_zone WHERE zone IN (SELECT name FROM zone WHERE region = ANY($1))",
        "DELETE FROM zone WHERE region = ANY($1)",
        "DELETE FROM region WHERE name = ANY($1)",
    ] {
        sqlx::query(query)
            .bind(gone)
            .execute(&world.pool)
            .await
            .unwrap();
    }
    let (hanging, answering) = kept.split_at(2);
    for region in hanging {
        // Whatever is asked there.
        world.sim().add_fault(FaultRule {
            region: Some((*region).clone()),
            times: u64::MAX,
            ..FaultRule::next("*", Fault::Hang)
        });
    }
    // The promise. What a region may take at most is in the product.
    let promised = Duration::from_secs(10);
    let put = || async {
        let body = key(THEIRS);
        let answer = world.client.put(CREDENTIALS, &body);
        tokio::time::timeout(promised, answer)
            .await
            .expect("an answer within the time that is promised")
    };
    let linked = put().await.expect(201);
    assert_eq!(linked.body["valid"], true);
    world.client.delete(CREDENTIALS).await.expect(202);

    for region in answering {
        refuse_dry_runs(&world, Some(region), denied());
    }
    refuse_dry_runs(&world, Some("us-east-1"), denied());
    let refused = put().await.expect(400);
    let words = refused.error();
    for region in hanging {
        assert!(
            words.contains(&format!("\n{region}: no answer in time\n")),
            "{words}"
        );
    }
    assert_eq!(words.matches("no answer").count(), 2, "{words}");
    assert_eq!(
        words
            .matches("UnauthorizedOperation (RunInstances)")
            .count(),
        15,
        "{words}"
    );
    world.sim().clear_faults();
    world.finish().await;
}

#[tokio::test]
async fn what_is_refused_everywhere_is_told_for_each_region() {
    let world = strict_world().await;
    world.sim().set_opted_in(THEIRS, "af-south-1", false);
    refuse_dry_runs(&world, Some("us-east-2"), Fault::Hang);
    refuse_dry_runs(&world, None, denied());
    let refused = world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(400);
    let words = refused.error();
    assert!(words.starts_with(INVALID), "{words}");
    for region in regions(&world).await {
        let said = match region.as_str() {
            "af-south-1" => "the account has not opted in to it",
            "us-east-2" => "no answer",
            _ => {
                "UnauthorizedOperation (RunInstances): You are not authorized to perform this operation."
            }
        };
        assert!(
            words.contains(&format!("\n{region}: {said}")),
            "{region}: {words}"
        );
    }
    assert!(!words.contains("AbCd"), "{words}");
    let command =
        "To see the same with these credentials: aws ec2 run-instances --dry-run --image-id ami-";
    assert!(words.contains(command), "{words}");
    assert_eq!(
        world.client.get(CREDENTIALS).await.expect(200).body["kind"],
        "none"
    );
    world.sim().clear_faults();
    world.finish().await;
}

#[tokio::test]
async fn a_key_that_aws_does_not_know_and_an_aws_that_is_silent_are_told_apart() {
    let world = strict_world().await;
    world.sim().revoke("AKIAGONE");
    let refused = world
        .client
        .put(CREDENTIALS, &key("AKIAGONE"))
        .await
        .expect(400);
    let words = refused.error();
    assert!(words.starts_with(INVALID), "{words}");
    assert!(
        words.contains("InvalidClientTokenId (GetCallerIdentity): "),
        "{words}"
    );
    assert!(words.contains("aws sts get-caller-identity"), "{words}");

    world.sim().fail_next("GetCallerIdentity", Fault::Hang);
    let silent = world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(503);
    assert!(
        silent.error().contains("try again shortly"),
        "{}",
        silent.error()
    );
    let trouble = Fault::Refuse {
        status: 503,
        code: "Unavailable".into(),
        message: "The server is overloaded".into(),
    };
    refuse_dry_runs(&world, None, trouble);
    let silent = world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(503);
    assert!(
        silent.error().contains("Unavailable (RunInstances)"),
        "{}",
        silent.error()
    );
    world.sim().clear_faults();
    world
        .client
        .put(CREDENTIALS, &key(THEIRS))
        .await
        .expect(201);
    world.finish().await;
}

#[tokio::test]
async fn who_has_credentials_tried_on_and_on_waits_and_nobody_else_does() {
    let options = strict();
    let edge = api::Edge {
        credentials_per_minute: 2,
        ..options.edge.clone()
    };
    let world = World::with(Options { edge, ..options }).await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let role = json!({"role_arn": format!("arn:aws:iam::{THEIRS}:role/none")});
    // What can't be taken is not tried.
    eve.put(CREDENTIALS, &json!({})).await.expect(400);
    for _ in 0..2 {
        eve.put(CREDENTIALS, &role).await.expect(400);
    }
    let before = world.sim().calls();
    let refused = eve.put(CREDENTIALS, &role).await.expect(429);
    let wait = refused.headers["retry-after"].to_str().unwrap();
    assert!((1..=30).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    let words = "too many AWS credentials of this user were to be tried";
    assert!(refused.error().starts_with(words), "{}", refused.error());
    assert_eq!(world.sim().calls()["AssumeRole"], before["AssumeRole"]);
    eve.get(CREDENTIALS).await.expect(200);
    let mine = world.client.put(CREDENTIALS, &key(THEIRS)).await;
    mine.expect(201);
    world.finish().await;
}

#[tokio::test]
async fn a_key_that_is_taken_away_is_found_out_and_one_that_is_due_is_tried() {
    let world = strict_world().await;
    let client = &world.client;
    client.put(CREDENTIALS, &key(THEIRS)).await.expect(201);
    let cluster = deploy(client, "web").await;
    let_time_pass(&world).await;
    // For a while AWS does not know it, as all may see who call it.
    let unknown = Fault::Refuse {
        status: 401,
        code: "AuthFailure".into(),
        message: "AWS was not able to validate the provided access credentials".into(),
    };
    let rule = world.sim().add_fault(FaultRule {
        times: u64::MAX,
        access_key: Some(THEIRS.to_owned()),
        ..FaultRule::next("*", unknown)
    });
    let valid = |wanted: bool| async move {
        let shown = client.get(CREDENTIALS).await.expect(200).body;
        (shown["valid"] == wanted).then_some(shown)
    };
    let shown = wait_for("the key to be found bad", || valid(false)).await;
    let why = shown["invalid_reason"].as_str().unwrap();
    assert!(why.contains("AuthFailure (DescribeImages): "), "{why}");
    assert!(!world.sim().played(rule).is_empty());
    assert_eq!(world.nodes(&cluster).await.len(), 2);

    world.sim().clear_faults();
    sqlx::query("UPDATE account_link SET check_at = now() WHERE kind = 'key'")
        .execute(&world.pool)
        .await
        .unwrap();
    wait_for("the key to be found good", || valid(true)).await;
    terminate(client, &cluster).await;
    world.finish().await;
}
