//! boto3 and botocore's models of EC2 and Route 53 stand between the simulator and Berth: what both get wrong alike would pass every
//! other test.

use std::collections::BTreeSet;

use aws::{Clouds, Connector};
use berth::{local::SimServer, replica::bind};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sim::{Config, Fault, HostConfig, RecordedCall, Simulator};
use tests::{IAM_POLICY, Options, SERVER_IAM_POLICY, World, add_user, python, trust, wait_for};

/// What calls AWS, by the service.
const CLIENTS: [(&str, &str); 8] = [
    ("ec2", include_str!("../../crates/aws/src/ec2/account.rs")),
    ("ec2", include_str!("../../crates/aws/src/ec2/instances.rs")),
    ("ec2", include_str!("../../crates/aws/src/ec2/leftovers.rs")),
    ("ec2", include_str!("../../crates/aws/src/ec2/network.rs")),
    ("ec2", include_str!("../../crates/aws/src/ec2/offers.rs")),
    ("iam", include_str!("../../crates/aws/src/iam.rs")),
    ("route53", include_str!("../../crates/aws/src/route53.rs")),
    ("sts", include_str!("../../crates/aws/src/link.rs")),
];

/// All that Berth asks of AWS. Who adds a call adds it here, and to the policy that users give to Berth.
const USED: [&str; 38] = [
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateInternetGateway",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteVpc",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeRegions",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:DetachInternetGateway",
    "ec2:GetConsoleOutput",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ec2:RunInstances",
    "ec2:TerminateInstances",
    "iam:ListInstanceProfiles",
    "route53:ChangeResourceRecordSets",
    "route53:GetHostedZone",
    "route53:ListResourceRecordSets",
    ASSUME_ROLE,
    "sts:GetCallerIdentity",
];
/// The server's own permission: the roles of users have no need of it. Nobody needs one to ask whom credentials are of.
const ASSUME_ROLE: &str = "sts:AssumeRole";
/// AWS asks for it where a launch passes a role, though nobody calls it.
const PASS_ROLE: &str = "iam:PassRole";

/// Runs a script to a good end.
async fn passes(script: &str, arguments: &[&str]) {
    let output = python(script, arguments).await;
    assert!(
        output.status.success(),
        "{script} {arguments:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn boto3_reads_every_answer_of_the_simulator() {
    let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let config = Config {
        hosts: Some(HostConfig::fast()),
        ..Config::fast()
    };
    let server = SimServer::start(Simulator::new(config), listener).unwrap();
    let url = format!("http://{}", server.address);
    passes("sim/drive_with_boto3.py", &[&url]).await;
    server.stop().await;
}

#[tokio::test]
async fn botocores_validation_finds_each_kind_of_error() {
    passes("sim/validate_requests.py", &["--self-test"]).await;
}

/// Lives through all that Berth does in an account; answers with every request that it sent.
async fn broad_run() -> Vec<RecordedCall> {
    let mut options = Options {
        with_names: true,
        ..Options::default()
    };
    options.worker.refreshes_catalogue = true;
    let world = World::with(options).await;

    // What the user brings is no request of Berth's.
    let region = "eu-west-1";
    let cloud = world.cloud(region).await;
    let own = [("Name".to_owned(), "own".to_owned())];
    let vpc = cloud.create_vpc("10.20.0.0/16", &own).await;
    let vpc = vpc.expect("a VPC");
    let zone = format!("{region}a");
    let subnet = cloud.create_subnet(&vpc.id, &zone, "10.20.1.0/24", &own);
    let subnet = subnet.await.expect("a subnet");
    let group = cloud.create_security_group(&vpc.id, "own", &own);
    let group = group.await.expect("a security group");
    world.make_instance_profile("nodes").await;
    let eve = add_user(&world, "eve", "eves-key").await;
    let credentials = "/api/infra/v1/provider/aws/credentials/";
    let shown = eve.get(credentials).await.expect(200).body;
    let id = shown["external_id"].as_str().expect("an external id");
    let role_arn = world.make_role("111122223333", &trust(id)).await;
    world.sim().reset_calls();

    let link = json!({"role_arn": role_arn});
    eve.put(credentials, &link).await.expect(201);
    wait_for("the account to be read", || async {
        let shown = eve.get(credentials).await.expect(200).body;
        shown["catalogue"]["refreshed_at"].is_string().then_some(())
    })
    .await;
    let options = format!("/api/infra/v1/provider/aws/options/?region={region}");
    let shown = world.client.get(&options).await.expect(200).body;
    assert_eq!(shown["instance_profiles"], json!(["nodes"]));

    // As `berth serve` does at its start.
    let zone = world.zone.as_ref().expect("a zone");
    let names = Connector::to(world.endpoint.clone()).names().await;
    let domain = names.zone_name(&zone.hosted_zone_id).await;
    assert_eq!(domain.expect("the zone"), zone.domain);

    let (cluster, _) = world.deploy("sa-east-1", "t2.micro", 3, json!({})).await;
    let cluster = world.scale(&cluster, 6).await;
    let cluster = world.scale(&cluster, 4).await;
    let nodes = world.nodes(&cluster).await;
    world.terminate(&nodes[0]).await;
    assert_eq!(world.terminate(&cluster).await["state"], "Terminated");

    let iam = json!({"instance_profile_name": "nodes"});
    let subnets_given = json!({"name": "given", "provider_options": {
        "vpc": {"id": vpc.id, "subnets": [subnet.id], "security_groups": [group.id]},
        "iam": iam,
    }});
    let (cluster, action) = world.deploy(region, "t3.micro", 2, subnets_given).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    // A lost answer lets Berth look for what it left.
    let leftovers = world.leave_a_network(region).await;
    let lost = Fault::DropAfterEffect;
    world.sim().fail_next("CreateInternetGateway", lost);
    let vpc_given = json!({"name": "arm", "provider_options": {"vpc": {"id": vpc.id}, "iam": iam}});
    let (cluster, action) = world.deploy(region, "t4g.small", 2, vpc_given).await;
    assert_eq!(cluster["state"], "Deployed", "{action:#}");
    world.gone(region, &leftovers).await;
    // Tags of the node's own come when the cluster is at rest.
    wait_for("the nodes' own tags", || async {
        let tagged = |i: &sim::InstanceView| i.tags.contains_key("UUID");
        world.instances(region).iter().all(tagged).then_some(())
    })
    .await;

    let unknown = json!({"provider_options": {"iam": {"instance_profile_name": "nobody"}}});
    let (_, action) = world.deploy("us-east-1", "t3.micro", 2, unknown).await;
    assert_eq!(action["state"], "Failed", "{action:#}");

    let mut recorded = world.sim().recorded();
    world.finish().await;
    recorded.extend(run_with_a_silent_node().await);
    recorded
}

/// A node that does not call home is looked into.
async fn run_with_a_silent_node() -> Vec<RecordedCall> {
    let mut options = Options {
        with_agents: true,
        ..Options::default()
    };
    options.worker.hosts.limits.deployment = TimeDelta::seconds(1);
    let world = World::with(options).await;
    let (cluster, action) = world.deploy("eu-west-1", "t3.micro", 1, json!({})).await;
    assert_eq!(action["state"], "Failed", "{action:#}");
    world.terminate(&cluster).await;
    let recorded = world.sim().recorded();
    world.finish().await;
    recorded
}

#[tokio::test]
async fn every_request_of_berth_is_sound_by_botocores_model_and_none_is_new() {
    let recorded = broad_run().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&recorded).unwrap()).unwrap();
    passes("sim/validate_requests.py", &[file.path().to_str().unwrap()]).await;
    let used: BTreeSet<String> = recorded
        .iter()
        .map(|call| format!("{}:{}", call.service, call.action))
        .collect();
    assert_eq!(used, USED.map(str::to_owned).into());
}

#[test]
fn the_iam_policies_allow_exactly_what_berth_uses() {
    // Names are given in the operator's own zone, with the server's own credentials.
    let is_name = |action: &&str| action.starts_with("route53:");
    let needed = USED
        .into_iter()
        .filter(|action| !action.starts_with("sts:") && !is_name(action));
    assert_eq!(
        allowed(IAM_POLICY),
        needed.chain([PASS_ROLE]).map(str::to_owned).collect()
    );
    let servers = USED.into_iter().filter(is_name).chain([ASSUME_ROLE]);
    assert_eq!(
        allowed(SERVER_IAM_POLICY),
        servers.map(str::to_owned).collect()
    );
}

fn allowed(document: &str) -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(document).unwrap();
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::Array(actions) => allowed.extend(
                actions
                    .iter()
                    .map(|action| action.as_str().unwrap().to_owned()),
            ),
            action => allowed.extend(action.as_str().map(str::to_owned)),
        }
    }
    allowed
}

#[test]
fn the_client_has_no_call_that_the_list_does_not_name() {
    let of = |(service, source): (&str, &'static str)| {
        let rest = source.split("said(\"").skip(1);
        let actions = rest.filter_map(|rest| rest.split_once('"'));
        let named = actions.map(|(action, _)| format!("{service}:{action}"));
        named.collect::<Vec<String>>()
    };
    let named: BTreeSet<String> = CLIENTS.into_iter().flat_map(of).collect();
    assert_eq!(named, USED.map(str::to_owned).into());
}
