//! Faults: which calls they meet, what they do, and how they end.

use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;

use super::control::{AUTHORIZATION, body, form, send};
use super::*;
use crate::faults::{Fault, FaultRule, PlayedFault};

const VPC: [(&str, &str); 1] = [("CidrBlock", "10.0.0.0/16")];
const CREATE_VPC: &str = "Action=CreateVpc&CidrBlock=10.0.0.0%2F16";

fn refuse(code: &str) -> Fault {
    Fault::Refuse {
        status: 503,
        code: code.into(),
        message: "slow".into(),
    }
}

fn rule(action: &str, fault: Fault) -> FaultRule {
    FaultRule::next(action, fault)
}

fn vpcs(c: &Client) -> usize {
    c.sim.network(default_account(), c.region).vpcs.len()
}

#[test]
fn a_refusing_fault_has_no_effect_and_plays_once() {
    let c = Client::new();
    let refuse = Fault::Refuse {
        status: 503,
        code: "RequestLimitExceeded".into(),
        message: "slow".into(),
    };
    c.sim.fail_next("CreateVpc", refuse);
    let error = c.refusal("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
    assert_eq!((error.status, &*error.code), (503, "RequestLimitExceeded"));
    assert_eq!(texts(&c.ok("DescribeVpcs", &[]), "vpcId").len(), 1);
    c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
}

#[test]
fn faults_of_an_action_wait_in_their_order() {
    let c = Client::new();
    c.sim.fail_next(
        "CreateVpc",
        Fault::ErrorAfterEffect(500, "InternalError".into()),
    );
    c.sim.fail_next("CreateVpc", Fault::DropAfterEffect);
    let ask = [("CidrBlock", "10.0.0.0/16")];
    assert_eq!(c.code("CreateVpc", &ask), "InternalError");
    assert_eq!(c.ok("CreateVpc", &ask), "dropped");
    assert_eq!(
        texts(&c.ok("DescribeVpcs", &[]), "vpcId").len(),
        3,
        "both took effect"
    );
}

#[tokio::test]
async fn a_dropped_answer_cannot_be_read() {
    let sim = Simulator::new(Config::fast());
    sim.fail_next("DescribeVpcs", Fault::DropAfterEffect);
    let response = send(&sim, form("Action=DescribeVpcs&Version=2016-11-15")).await;
    assert!(response.into_body().collect().await.is_err());
}

#[test]
fn a_rule_plays_from_the_nth_matching_call_on_and_so_often() {
    let c = Client::new();
    let id = c.sim.add_fault(FaultRule {
        nth: 2,
        times: 2,
        ..rule("Describe*", refuse("Busy"))
    });
    c.ok("DescribeVpcs", &[]);
    c.ok("CreateVpc", &VPC);
    assert_eq!(c.code("DescribeVpcs", &[]), "Busy");
    assert_eq!(c.code("DescribeSubnets", &[]), "Busy");
    c.ok("DescribeVpcs", &[]);
    let played = |call_number, action: &str| PlayedFault {
        call_number,
        action: action.to_owned(),
    };
    assert_eq!(
        c.sim.played(id),
        [played(2, "DescribeVpcs"), played(3, "DescribeSubnets")]
    );
    assert!(c.sim.played(id + 1).is_empty());
}

#[test]
fn a_rule_whose_turn_another_took_stays_due() {
    let c = Client::new();
    c.sim.add_fault(FaultRule {
        nth: 2,
        ..rule("*", refuse("First"))
    });
    c.sim.add_fault(FaultRule {
        nth: 2,
        ..rule("DescribeVpcs", refuse("Second"))
    });
    c.ok("DescribeVpcs", &[]);
    assert_eq!(c.code("DescribeVpcs", &[]), "First");
    assert_eq!(c.code("DescribeVpcs", &[]), "Second");
    c.ok("DescribeVpcs", &[]);
}

#[test]
fn a_rule_may_be_about_one_access_key_and_one_region() {
    let c = Client::new();
    c.sim.add_fault(FaultRule {
        access_key: Some("other".into()),
        region: Some("sa-east-1".into()),
        ..rule("DescribeVpcs", refuse("Busy"))
    });
    let other = c.as_key("other");
    let elsewhere = Client {
        region: "us-east-1",
        ..c.as_key("other")
    };
    c.ok("DescribeVpcs", &[]);
    elsewhere.ok("DescribeVpcs", &[]);
    assert_eq!(other.code("DescribeVpcs", &[]), "Busy");
}

#[test]
fn a_rule_may_be_about_one_subnet() {
    let c = Client::new();
    let [subnet, other] = ["subnet-0000000000000000a", "subnet-0000000000000000b"];
    c.sim.add_fault(FaultRule {
        subnet: Some(subnet.into()),
        times: 2,
        ..rule("*", refuse("Busy"))
    });
    assert_eq!(
        c.code("DeleteSubnet", &[("SubnetId", other)]),
        "InvalidSubnetID.NotFound"
    );
    assert_eq!(c.code("DeleteSubnet", &[("SubnetId", subnet)]), "Busy");
    let interface = [("NetworkInterface.1.SubnetId", subnet)];
    c.ok("DescribeVpcs", &[]);
    assert_eq!(c.code("RunInstances", &interface), "Busy");
}

#[test]
fn the_seed_decides_which_of_the_calls_an_improbable_fault_meets() {
    let meets = |seed| {
        let c = Client::with(|config| config.seed = seed);
        let id = c.sim.add_fault(FaultRule {
            times: 100,
            probability: 0.3,
            ..rule("DescribeVpcs", refuse("Busy"))
        });
        for _ in 0..200 {
            let _ = c.ask("DescribeVpcs", &[]);
        }
        let played = c.sim.played(id).into_iter();
        played.map(|it| it.call_number).collect::<Vec<_>>()
    };
    assert_eq!(meets(1), meets(1));
    assert_ne!(meets(1), meets(2));
    assert!((15..=45).contains(&meets(1).len()), "{:?}", meets(1));
    assert!(meets(1).iter().all(|number| *number <= 100));
}

#[test]
fn a_dry_run_of_a_launch_has_a_name_of_its_own() {
    let c = Client::new();
    let net = c.net();
    c.sim.fail_next("RunInstances", refuse("Launch"));
    c.sim.fail_next("RunInstances (dry run)", refuse("Dry"));
    let code = |dry_run| c.launch_refusal(&net.subnet, &[("DryRun", dry_run)]).code;
    assert_eq!(code("true"), "Dry");
    assert_eq!(code("true"), "DryRunOperation");
    assert_eq!(code("false"), "Launch");
}

#[tokio::test]
async fn a_call_that_hangs_holds_nobody_up_and_ends_with_the_faults() {
    let c = Client::new();
    for (fault, made) in [(Fault::Hang, 0), (Fault::HangAfterEffect, 1)] {
        let before = vpcs(&c);
        c.sim.fail_next("CreateVpc", fault);
        let sim = c.sim.clone();
        let call = tokio::spawn(async move { send(&sim, form(CREATE_VPC)).await });
        tokio::task::yield_now().await;
        c.ok("DescribeVpcs", &[]);
        assert!(!call.is_finished());
        assert_eq!(vpcs(&c) - before, made);
        c.sim.clear_faults();
        let response = call.await.unwrap();
        assert!(response.into_body().collect().await.is_err(), "no answer");
    }
}

#[tokio::test]
async fn a_slow_call_takes_effect_at_once_and_is_answered_later() {
    let c = Client::new();
    c.sim.fail_next("CreateVpc", Fault::Slow(3_600_000));
    let sim = c.sim.clone();
    let call = tokio::spawn(async move { send(&sim, form(CREATE_VPC)).await });
    tokio::task::yield_now().await;
    assert!(!call.is_finished());
    assert_eq!(vpcs(&c), 2);
    c.sim.clear_faults();
    assert!(body(call.await.unwrap()).await.contains("<vpcId>"));

    c.sim.fail_next("DescribeVpcs", Fault::Slow(1));
    let answer = send(&c.sim, form("Action=DescribeVpcs")).await;
    assert!(body(answer).await.contains("<vpcId>"), "in its own time");
}

#[tokio::test]
async fn a_call_that_hangs_does_not_keep_the_server_from_stopping() {
    let c = Client::new();
    let id = c.sim.add_fault(rule("DescribeVpcs", Fault::Hang));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let sim = c.sim.clone();
    let server = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        sim.serve(listener, shutdown).await
    });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /?Action=DescribeVpcs HTTP/1.1\r\nHost: sim\r\nAuthorization: {AUTHORIZATION}\r\n\r\n",
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let played = async {
        while c.sim.played(id).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), played)
        .await
        .unwrap();
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), server).await;
    ended.unwrap().unwrap().unwrap();
}
