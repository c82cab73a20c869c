//! What can be chosen in a region, as AWS has it.

use domain::link::Ambient;
use serde_json::{Value, json};
use sim::{Fault, FaultRule};
use tests::{Options, World, trust, wait_for};

const REGION: &str = "sa-east-1";
const OPTIONS: &str = "/api/infra/v1/provider/aws/options/?region=sa-east-1";
const CREDENTIALS: &str = "/api/infra/v1/provider/aws/credentials/";
const THEIRS: &str = "111122223333";

async fn vpcs(world: &World) -> Vec<Value> {
    let shown = world.client.get(OPTIONS).await.expect(200).body;
    shown["vpcs"].as_array().unwrap().clone()
}

fn labels(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|it| it["label"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn vpcs_subnets_groups_and_profiles_are_listed_as_aws_has_them() {
    let world = World::start().await;
    world.make_instance_profile("web").await;
    world.make_instance_profile("batch").await;
    let cloud = world.cloud(REGION).await;
    let theirs = cloud
        .create_vpc("10.9.0.0/16", &tests::theirs())
        .await
        .unwrap();
    let tags = tests::theirs();
    let zone = format!("{REGION}b");
    let subnet = cloud
        .create_subnet(&theirs.id, &zone, "10.9.0.0/24", &tags)
        .await
        .unwrap();
    let group = cloud
        .create_security_group(&theirs.id, "open", &tags)
        .await
        .unwrap();
    let (cluster, _) = world.deploy(REGION, "t3.micro", 2, json!({})).await;
    // Of the same name, made by somebody else. Before there was Berth's own, it would have been used.
    let other = vec![("Name".to_owned(), "dc-vpc".to_owned())];
    let other = cloud.create_vpc("10.78.0.0/16", &other).await.unwrap();

    let shown = world.client.get(OPTIONS).await.expect(200).body;
    assert_eq!(shown["region"], "/api/infra/v1/region/aws/sa-east-1/");
    assert_eq!(shown["instance_profiles"], json!(["batch", "web"]));
    let none =
        json!({"instance_profiles": null, "security_groups": null, "subnets": null, "vpcs": null});
    assert_eq!(shown["refusals"], none);
    let vpcs = shown["vpcs"].as_array().unwrap();
    // Auto, Berth's own, the default VPC, the other one, and theirs.
    assert_eq!(vpcs.len(), 5, "{shown:#}");
    assert_eq!(
        (&vpcs[0]["label"], &vpcs[0]["id"]),
        (&json!("Auto"), &Value::Null)
    );
    let ours = &vpcs[1];
    assert_eq!(ours["is_managed"], true);
    assert!(ours["label"].as_str().unwrap().starts_with("dc-vpc (vpc-"));
    assert_eq!(ours["subnets"].as_array().unwrap().len(), 3);
    assert_eq!(
        vpcs.iter().filter(|vpc| vpc["is_managed"] == true).count(),
        1
    );
    let of = |id: &str| vpcs.iter().find(|vpc| vpc["id"] == id).unwrap();
    assert_eq!(of(&other.id)["label"], format!("dc-vpc ({})", other.id));
    let shown = of(&theirs.id);
    assert_eq!(shown["label"], format!("theirs ({})", theirs.id));
    assert_eq!(shown["cidr"], "10.9.0.0/16");
    assert_eq!(
        shown["subnets"],
        json!([{
            "availability_zone": "/api/infra/v1/az/aws/sa-east-1/sa-east-1b/",
            "cidr": "10.9.0.0/24",
            // AWS keeps five of each subnet.
            "free_addresses": 251,
            "id": subnet.id,
            "label": format!("theirs ({})", subnet.id),
        }])
    );
    let groups = labels(&shown["security_groups"]);
    assert!(
        groups.contains(&format!("open ({})", group.id).as_str()),
        "{groups:?}"
    );

    // What is shown can be given.
    let options = json!({"provider_options": {
        "vpc": {"id": theirs.id, "subnets": [subnet.id], "security_groups": [group.id]},
        "iam": {"instance_profile_name": "web"},
    }, "name": "chosen"});
    let (chosen, action) = world.deploy(REGION, "t3.micro", 1, options).await;
    assert_eq!(action["state"], "Success", "{action:#}");
    world.terminate(&chosen).await;
    world.terminate(&cluster).await;
    world.finish().await;
}

#[tokio::test]
async fn a_list_that_may_not_be_read_says_so_in_awss_words_and_the_others_are_there() {
    let world = World::start().await;
    for denied in ["ec2:DescribeSecurityGroups", "iam:ListInstanceProfiles"] {
        world.sim().deny(&world.endpoint.access_key_id, denied);
    }
    let shown = world.client.get(OPTIONS).await.expect(200).body;
    let refusals = &shown["refusals"];
    let words = refusals["security_groups"].as_str().unwrap();
    assert!(
        words.starts_with("UnauthorizedOperation (DescribeSecurityGroups): "),
        "{words}"
    );
    let words = refusals["instance_profiles"].as_str().unwrap();
    assert!(
        words.starts_with("AccessDenied (ListInstanceProfiles): User: "),
        "{words}"
    );
    assert!(
        words.contains("not authorized to perform: iam:ListInstanceProfiles"),
        "{words}"
    );
    assert_eq!(
        (&refusals["vpcs"], &refusals["subnets"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(shown["instance_profiles"], json!([]));
    assert_eq!(labels(&shown["vpcs"]).len(), 2, "Auto and the default VPC");
    world.finish().await;
}

#[tokio::test]
async fn what_was_read_is_kept_for_seconds_and_read_anew_after_that() {
    let world = World::start().await;
    let before = vpcs(&world).await.len();
    let cloud = world.cloud(REGION).await;
    cloud
        .create_vpc("10.9.0.0/16", &tests::theirs())
        .await
        .unwrap();
    wait_for("the new VPC to be listed", || async {
        (vpcs(&world).await.len() == before + 1).then_some(())
    })
    .await;
    let asked = world.sim().calls()["ListInstanceProfiles"];
    assert!(asked < 20, "asked AWS {asked} times");
    world.finish().await;
}

#[tokio::test]
async fn a_linked_account_is_looked_at_with_its_own_role() {
    let world = World::with(Options {
        ambient: Ambient::Nobody,
        ..Options::default()
    })
    .await;
    let client = &world.client;
    let refused = client.get(OPTIONS).await.expect(400);
    assert!(
        refused.error().contains("no AWS credentials are linked"),
        "{}",
        refused.error()
    );
    let shown = client.get(CREDENTIALS).await.expect(200).body;
    let id = shown["external_id"].as_str().unwrap();
    let role_arn = world.make_role(THEIRS, &trust(id)).await;
    client
        .put(CREDENTIALS, &json!({"role_arn": role_arn}))
        .await
        .expect(201);
    // In the server's account, where it must not be seen.
    world.make_instance_profile("servers").await;
    let shown = client.get(OPTIONS).await.expect(200).body;
    assert_eq!(shown["instance_profiles"], json!([]));
    let theirs = world.sim().network(THEIRS, REGION);
    assert_eq!(shown["vpcs"][1]["id"], theirs.vpcs[0].id.as_str());

    // The trust is taken back: each list says so, and none is shown.
    world.change_trust(THEIRS, &trust("somebody else's")).await;
    client
        .put(CREDENTIALS, &json!({"role_arn": role_arn}))
        .await
        .expect(400);
    for wrong in ["", "?region=mars-1", "?region=sa-east-1&zone=a"] {
        let path = format!("/api/infra/v1/provider/aws/options/{wrong}");
        client.get(&path).await.expect(400);
    }
    world.finish().await;
}

#[tokio::test]
async fn an_aws_that_hangs_is_waited_for_in_vain_for_seconds_only() {
    let world = World::start().await;
    let hang = FaultRule {
        times: u64::MAX,
        ..FaultRule::next("DescribeSubnets", Fault::Hang)
    };
    world.sim().add_fault(hang);
    let shown = world.client.get(OPTIONS).await.expect(200).body;
    assert!(shown["refusals"]["subnets"].is_string(), "{shown:#}");
    assert_eq!(labels(&shown["vpcs"]).len(), 2);
    world.sim().clear_faults();
    world.finish().await;
}
