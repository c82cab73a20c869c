//! Token buckets.

use super::*;
use crate::limits::{Bucket, Buckets};

fn throttled() -> Client {
    Client::with(|config| config.throttling = true)
}

/// How many of so many calls are admitted.
fn admitted(c: &Client, calls: usize, action: &str, params: &[(&str, &str)]) -> usize {
    let admits = |_: &usize| match c.ask(action, params) {
        Err(error) if error.code == "RequestLimitExceeded" => {
            assert_eq!(
                (error.status, &*error.message),
                (503, "Request limit exceeded.")
            );
            false
        }
        _ => true,
    };
    (0..calls).filter(admits).count()
}

#[test]
fn nothing_is_throttled_unless_it_is_asked_for() {
    let c = Client::new();
    assert_eq!(admitted(&c, 300, "DescribeVpcs", &[]), 300);
    c.sim.set_throttling(true);
    assert_eq!(admitted(&c, 300, "DescribeVpcs", &[]), 100);
    c.sim.set_throttling(false);
    assert_eq!(admitted(&c, 300, "DescribeVpcs", &[]), 300);
}

#[test]
fn each_action_has_the_documented_bucket_of_its_own() {
    let c = throttled();
    for (action, size) in [
        ("CreateVpc", 50),
        ("DeleteVpc", 50),
        ("AuthorizeSecurityGroupIngress", 50),
        ("CreateTags", 100),
        ("RunInstances", 5),
        ("TerminateInstances", 100),
        ("StopInstances", 50),
        ("DescribeSubnets", 100),
        ("GetConsoleOutput", 100),
    ] {
        assert_eq!(admitted(&c, 110, action, &[]), size, "{action}");
        assert_eq!(c.sim.throttled()[action], 110 - size as u64);
    }
    assert_eq!(c.sim.calls()["CreateVpc"], 110);
    c.sim.reset_calls();
    assert!(c.sim.throttled().is_empty());
}

#[test]
fn a_bucket_is_refilled_in_simulated_time_up_to_its_size() {
    let c = throttled();
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 5);
    c.sim.advance(499);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 0);
    c.sim.advance(1);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 1, "two a second");
    c.sim.advance(1_500);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 3);
    c.sim.advance(3_600_000);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 5);
}

#[test]
fn accounts_and_regions_have_their_own_buckets_and_keys_of_one_account_share_them() {
    let c = throttled();
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 5);
    assert_eq!(admitted(&c.as_key("colleague"), 9, "RunInstances", &[]), 0);
    assert_eq!(
        admitted(&c.as_key("111122223333"), 9, "RunInstances", &[]),
        5
    );
    let elsewhere = Client {
        region: "us-east-1",
        ..c.as_key("test")
    };
    assert_eq!(admitted(&elsewhere, 9, "RunInstances", &[]), 5);
}

#[test]
fn a_describe_without_filter_and_page_has_a_smaller_bucket() {
    let c = throttled();
    let page = [("MaxResults", "5")];
    let filter = [
        ("Filter.1.Name", "instance-state-name"),
        ("Filter.1.Value.1", "running"),
    ];
    for action in [
        "DescribeInstances",
        "DescribeVolumes",
        "DescribeInstanceStatus",
    ] {
        assert_eq!(admitted(&c, 120, action, &[]), 50, "{action}");
        assert_eq!(admitted(&c, 60, action, &page), 60);
    }
    assert_eq!(
        admitted(&c, 60, "DescribeInstances", &filter),
        40,
        "with the pages"
    );
    assert_eq!(admitted(&c, 120, "DescribeSubnets", &[]), 100);
}

#[test]
fn a_launch_takes_a_token_per_instance_and_a_dry_run_none() {
    let c = throttled();
    let net = c.net();
    let many = |count, dry_run: &str| {
        let more = [("MinCount", "1"), ("MaxCount", count), ("DryRun", dry_run)];
        let params = c.launch_params(&net.subnet, &more);
        let answer = c.ask("RunInstances", &params);
        answer.map_or_else(|error| error.code.into_owned(), |_| "launched".to_owned())
    };
    assert_eq!(
        many("1001", "false"),
        "RequestLimitExceeded",
        "more than the bucket holds"
    );
    assert_eq!(many("900", "true"), "DryRunOperation");
    assert_eq!(many("900", "false"), "launched");
    assert_eq!(many("101", "false"), "RequestLimitExceeded");
    assert_eq!(many("100", "false"), "launched");
    c.sim.advance(5_000);
    assert_eq!(many("11", "false"), "RequestLimitExceeded");
    assert_eq!(many("10", "false"), "launched", "two a second");
    assert_eq!(c.sim.throttled()["RunInstances"], 3);
}

#[test]
fn terminating_takes_a_token_per_instance() {
    let c = throttled();
    let names: Vec<String> = (1..=1001).map(|n| format!("InstanceId.{n}")).collect();
    let ids: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "i-0123456789abcdef0"))
        .collect();
    assert_eq!(admitted(&c, 1, "TerminateInstances", &ids), 0);
    assert_eq!(admitted(&c, 1, "TerminateInstances", &ids[..1000]), 1);
    assert_eq!(admitted(&c, 1, "TerminateInstances", &ids[..1]), 0);
}

#[test]
fn an_account_can_be_given_smaller_buckets() {
    let c = throttled();
    let request = Some(Bucket {
        size: 2,
        refill_per_s: 0.3,
    });
    let buckets = Buckets {
        request,
        resource: None,
    };
    assert_eq!(admitted(&c, 1, "RunInstances", &[]), 1);
    c.sim.set_bucket(default_account(), "RunInstances", buckets);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 2);
    c.sim.advance(3_333);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 0);
    c.sim.advance(1);
    assert_eq!(admitted(&c, 9, "RunInstances", &[]), 1);
    assert_eq!(
        admitted(&c.as_key("111122223333"), 9, "RunInstances", &[]),
        5
    );
}

#[test]
fn iam_and_sts_have_other_limits_which_are_not_simulated() {
    let c = throttled();
    for _ in 0..200 {
        c.service("sts", "GetCallerIdentity", &[]).unwrap();
    }
}
