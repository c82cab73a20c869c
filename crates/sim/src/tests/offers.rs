//! What an account is offered: regions, zones and instance types.

use serde_json::json;

use super::*;

const BY_ZONE: (&str, &str) = ("LocationType", "availability-zone");

fn only<'a>(name: &'a str, value: &'a str) -> [(&'a str, &'a str); 2] {
    [("Filter.1.Name", name), ("Filter.1.Value.1", value)]
}

/// The zones that offer a type.
fn zones_of(client: &Client, instance_type: &str) -> Vec<String> {
    let filter = only("instance-type", instance_type);
    let answer = client.ok(
        "DescribeInstanceTypeOfferings",
        &[BY_ZONE, filter[0], filter[1]],
    );
    texts(&answer, "location")
}

#[test]
fn what_is_withdrawn_is_neither_described_nor_launched_and_others_have_it() {
    let client = Client::new();
    let net = client.net();
    let other = client.as_key("111122223333");
    let withdraw = |zone, is_on| {
        let sim = &client.sim;
        sim.set_offering(default_account(), "sa-east-1", zone, "t3.*", is_on);
    };
    withdraw("sa-east-1b", false);
    assert_eq!(zones_of(&client, "t3.micro"), ["sa-east-1a", "sa-east-1c"]);
    assert_eq!(zones_of(&other, "t3.micro").len(), 3);
    let refusal = client.launch_refusal(&net.subnet, &[]);
    assert_eq!(refusal.code, "Unsupported");
    client.ok("DescribeInstanceTypes", &[("InstanceType.1", "t3.micro")]);

    withdraw("*", false);
    assert!(zones_of(&client, "t3.micro").is_empty());
    let named = [("InstanceType.1", "t3.micro")];
    assert_eq!(
        client.code("DescribeInstanceTypes", &named),
        "InvalidInstanceType"
    );
    assert!(!client.ok("DescribeInstanceTypes", &[]).contains("t3.micro"));
    other.ok("DescribeInstanceTypes", &named);
    withdraw("*", true);
    withdraw("sa-east-1b", true);
    client.launch(&net.subnet, &[]);
}

#[test]
fn nothing_is_made_in_a_zone_that_is_not_available() {
    let client = Client::new();
    let net = client.net();
    let state = |state| {
        let sim = &client.sim;
        sim.set_zone_state(default_account(), "sa-east-1", "sa-east-1b", state);
    };
    state("constrained");
    let all = client.ok("DescribeAvailabilityZones", &[]);
    assert_eq!(
        texts(&all, "zoneState"),
        ["available", "constrained", "available"]
    );
    let usable = client.ok("DescribeAvailabilityZones", &only("state", "available"));
    assert_eq!(texts(&usable, "zoneName"), ["sa-east-1a", "sa-east-1c"]);
    let ask = [
        ("VpcId", net.vpc.as_str()),
        ("CidrBlock", "10.78.64.0/18"),
        ("AvailabilityZone", "sa-east-1b"),
    ];
    let refusal = client.refusal("CreateSubnet", &ask);
    assert_eq!(refusal.code, "InvalidParameterValue");
    assert!(
        refusal.message.ends_with("zones: sa-east-1a, sa-east-1c."),
        "{}",
        refusal.message
    );
    let made = client.ok("CreateSubnet", &ask[..2]);
    assert_eq!(text(&made, "availabilityZone"), "sa-east-1a");
    let refusal = client.launch_refusal(&net.subnet, &[]);
    assert_eq!(refusal.code, "InsufficientInstanceCapacity");
    state("available");
    client.launch(&net.subnet, &[]);
}

#[test]
fn regions_are_filtered_by_whether_the_account_has_them() {
    let client = Client::new();
    client
        .sim
        .set_opted_in(default_account(), "af-south-1", false);
    let filter = only("opt-in-status", "not-opted-in");
    let ask = [("AllRegions", "true"), filter[0], filter[1]];
    let off = client.ok("DescribeRegions", &ask);
    assert_eq!(texts(&off, "regionName"), ["af-south-1"]);
    let without = client.ok("DescribeRegions", &filter);
    assert!(texts(&without, "regionName").is_empty());
}

#[test]
fn pages_may_be_shorter_than_was_asked_for_and_join_to_the_whole() {
    let whole = Client::new().ok("DescribeInstanceTypeOfferings", &[BY_ZONE]);
    let whole = texts(&whole, "location").len();
    let client = Client::with(|config| config.most_per_page = Some(40));
    let (mut found, mut pages, mut token) = (0, 0, String::new());
    loop {
        let ask = [
            BY_ZONE,
            ("MaxResults", "1000"),
            ("NextToken", token.as_str()),
        ];
        let page = client.ok("DescribeInstanceTypeOfferings", &ask);
        found += texts(&page, "location").len();
        pages += 1;
        match texts(&page, "nextToken").pop() {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!((found, pages), (whole, whole.div_ceil(40)));
}

#[test]
fn types_are_named_up_to_a_hundred_at_once_and_not_with_a_page() {
    let client = Client::new();
    let keys: Vec<String> = (1..=101).map(|n| format!("InstanceType.{n}")).collect();
    let named: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "t3.micro")).collect();
    let answer = client.ok("DescribeInstanceTypes", &named[..100]);
    assert_eq!(texts(&answer, "instanceType"), ["t3.micro"]);
    assert_eq!(
        client.code("DescribeInstanceTypes", &named),
        "InvalidParameterValue"
    );
    let paged = [named[0], ("MaxResults", "5")];
    assert_eq!(
        client.code("DescribeInstanceTypes", &paged),
        "InvalidParameterCombination"
    );
}

#[test]
fn whole_machines_are_told_from_virtual_ones() {
    let client = Client::new();
    let metal = client.ok("DescribeInstanceTypes", &only("bare-metal", "true"));
    assert_eq!(texts(&metal, "instanceType"), ["m5.metal"]);
    assert_eq!(texts(&metal, "bareMetal"), ["true"]);
}

#[test]
fn orders_are_carried_out_and_what_there_is_not_is_refused() {
    let client = Client::new();
    let order = |name, body: serde_json::Value| client.sim.order(name, body);
    let place = json!({"region": "sa-east-1", "zone": "sa-east-1a", "instance_type": "t3.micro", "on": false});
    order("offering", place).unwrap();
    assert_eq!(zones_of(&client, "t3.micro"), ["sa-east-1b", "sa-east-1c"]);
    let state = json!({"region": "sa-east-1", "zone": "sa-east-1a", "state": "impaired"});
    order("zone-state", state).unwrap();
    let usable = client.ok("DescribeAvailabilityZones", &only("state", "impaired"));
    assert_eq!(texts(&usable, "zoneName"), ["sa-east-1a"]);

    for (name, body, words) in [
        (
            "offering",
            json!({"region": "sa-east-1", "zone": "x*", "instance_type": "t3.micro", "on": true}),
            "zone: there is no 'x*' in sa-east-1",
        ),
        (
            "offering",
            json!({"region": "sa-east-1", "zone": "*", "instance_type": "t9.micro", "on": true}),
            "instance_type: there is no 't9.micro'",
        ),
        (
            "zone-state",
            json!({"region": "sa-east-1", "zone": "*", "state": "impaired"}),
            "zone: there is no '*' in sa-east-1",
        ),
        (
            "zone-state",
            json!({"region": "sa-east-1", "zone": "sa-east-1a", "state": "gone"}),
            "state: there is no 'gone'; there are available, information, impaired, unavailable, constrained",
        ),
    ] {
        assert_eq!(order(name, body).err().as_deref(), Some(words));
    }
}
