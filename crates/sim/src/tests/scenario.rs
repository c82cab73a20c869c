//! Scenario files.

use std::time::Duration;

use super::*;
use crate::control::Scenario;

#[tokio::test]
async fn a_scenario_is_carried_out_at_the_start_and_later() {
    let c = Client::new();
    let text = r#"{"orders": [
        {"after_ms": 1, "quotas": {"vpcs": 1}},
        {"throttling": {"on": true}},
        {"after_ms": 0, "bucket": {"action": "DescribeVpcs", "request": {"size": 1, "refill_per_s": 0}}},
        {"after_ms": 2, "console/delete-subnet": {"region": "sa-east-1", "subnet_id": "subnet-0123456789abcdef0"}},
        {"after_ms": 3, "throttling": {"on": false}}
    ]}"#;
    let later = Scenario::read(text).unwrap().start(&c.sim).unwrap();
    c.ok("DescribeVpcs", &[]);
    assert_eq!(c.code("DescribeVpcs", &[]), "RequestLimitExceeded");
    tokio::time::timeout(Duration::from_secs(60), later)
        .await
        .unwrap();
    c.ok("DescribeVpcs", &[]);
    c.ok("DescribeVpcs", &[]);
    let over = c.code("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
    assert_eq!(over, "VpcLimitExceeded");
}

#[test]
fn what_is_wrong_in_a_scenario_is_named_with_its_place() {
    for (text, words) in [
        (
            "{\n\"orders\": [\n",
            "no JSON object: EOF while parsing a list at line 3 column 0",
        ),
        ("[]", "no JSON object: invalid type: sequence"),
        (r#"{"order": []}"#, "order: there is only \"orders\""),
        ("{}", "orders: must be a list"),
        (r#"{"orders": [1]}"#, "orders[0]: must be an object"),
        (
            r#"{"orders": [{"after_ms": 1}]}"#,
            "orders[0]: must have one order",
        ),
        (
            r#"{"orders": [{"throttling": {"on": true}, "quotas": {}}]}"#,
            "orders[0]: must have one order",
        ),
        (
            r#"{"orders": [{"quotas": {}}, {"after_ms": -1, "quotas": {}}]}"#,
            "orders[1].after_ms: -1 is no number",
        ),
        (
            r#"{"orders": [{"quota": {}}]}"#,
            "orders[0].quota: unknown variant `quota`, expected one of",
        ),
        (
            r#"{"orders": [{"quotas": {"vpc": 1}}]}"#,
            "orders[0].quotas: unknown field `vpc`, expected one of `vpcs`",
        ),
        (
            r#"{"orders": [{"consistency": {"min_ms": 2, "max_ms": 1}}]}"#,
            "orders[0].consistency: min_ms: 2 is greater than max_ms, 1",
        ),
        (
            r#"{"orders": [{"capacity": {"region": "mars-1", "zone": "*", "instance_type": "*", "limit": 1}}]}"#,
            "orders[0].capacity: region: there is no 'mars-1'",
        ),
        (
            r#"{"orders": [{"capacity": {"region": "sa-east-1", "zone": "sa-east-1x", "instance_type": "*", "limit": 1}}]}"#,
            "zone: there is no 'sa-east-1x' in sa-east-1",
        ),
        (
            r#"{"orders": [{"capacity": {"region": "sa-east-1", "zone": "*", "instance_type": "t3.micr", "limit": 1}}]}"#,
            "instance_type: there is no 't3.micr'",
        ),
        (
            r#"{"orders": [{"policy": {"access_key": "k", "policy": {"Statement": 1}}}]}"#,
            "orders[0].policy: policy: Statement: must be",
        ),
    ] {
        let refusal = Scenario::read(text).unwrap_err();
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
}

#[test]
fn an_order_of_the_start_that_is_refused_ends_the_scenario() {
    let c = Client::new();
    let text = r#"{"orders": [{"console/delete-subnet": {"region": "sa-east-1", "subnet_id": "subnet-0123456789abcdef0"}}]}"#;
    let refusal = Scenario::read(text).unwrap().start(&c.sim).err().unwrap();
    assert_eq!(
        refusal,
        "orders[0].console/delete-subnet: InvalidSubnetID.NotFound: The subnet ID 'subnet-0123456789abcdef0' does not exist"
    );
}
