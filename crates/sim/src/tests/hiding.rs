//! Lists that leave out what is there.

use serde_json::{Value, json};

use super::*;
use crate::HideRule;

fn hide(c: &Client, rule: &HideRule) {
    c.sim.hide(default_account(), c.region, rule).unwrap();
}

fn order(c: &Client, name: &str, body: Value) {
    c.sim.order(name, body).unwrap();
}

#[test]
fn what_is_hidden_is_missing_from_lists_and_can_be_named() {
    let c = Client::new();
    let net = c.net();
    let instance = c.launch(&net.subnet, &[]).remove(0);
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    let attach = [("InternetGatewayId", &*gateway), ("VpcId", &*net.vpc)];
    c.ok("AttachInternetGateway", &attach);
    let ask = [("VpcId", &*net.vpc)];
    let table = text(&c.ok("CreateRouteTable", &ask), "routeTableId");
    let all = [
        ("DescribeVpcs", "VpcId.1", &net.vpc),
        ("DescribeSubnets", "SubnetId.1", &net.subnet),
        ("DescribeSecurityGroups", "GroupId.1", &net.group),
        ("DescribeInternetGateways", "InternetGatewayId.1", &gateway),
        ("DescribeRouteTables", "RouteTableId.1", &table),
        ("DescribeInstances", "InstanceId.1", &instance),
        ("DescribeInstanceStatus", "InstanceId.1", &instance),
    ];
    c.sim.advance(100);
    let tag = [
        ("ResourceId.1", &*net.vpc),
        ("ResourceId.2", &*instance),
        ("Tag.1.Key", "k"),
    ];
    c.ok("CreateTags", &tag);
    hide(&c, &HideRule::ids(all.map(|(_, _, id)| id.clone())));
    for (action, parameter, id) in all {
        // An element of a list is what begins with the id; others (an instance's VPC) may be spoken of.
        let listed = texts(&c.ok(action, &[]), &list_id(parameter));
        assert!(!listed.contains(id), "{action}: {listed:?}");
        let named = texts(&c.ok(action, &[(parameter, id)]), &list_id(parameter));
        assert!(named.contains(id), "{action}: {named:?}");
    }
    let by_vpc = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", &*net.vpc)];
    assert!(!c.ok("DescribeSubnets", &by_vpc).contains(&net.subnet));
    assert!(!c.ok("DescribeTags", &[]).contains(&net.vpc));
    // Everything else works.
    c.ok("CreateTags", &tag);
    c.ok("DetachInternetGateway", &attach);
    let into = [("RouteTableId", &*table), ("SubnetId", &*net.subnet)];
    c.ok("AssociateRouteTable", &into);
    c.launch(&net.subnet, &[]);
    c.ok("TerminateInstances", &[("InstanceId.1", &instance)]);
    c.sim.unhide(default_account(), c.region);
    for (action, parameter, id) in all.into_iter().take(6) {
        let listed = texts(&c.ok(action, &[]), &list_id(parameter));
        assert!(listed.contains(id), "{action}: {listed:?}");
    }
}

/// `VpcId.1` is a parameter, `vpcId` an element.
fn list_id(parameter: &str) -> String {
    let (first, rest) = parameter.split_at(1);
    let rest = rest.trim_end_matches(".1");
    format!("{}{rest}", first.to_lowercase())
}

#[test]
fn a_hidden_object_can_be_unknown_to_describe_calls_that_name_it() {
    let c = Client::new();
    let net = c.net();
    order(
        &c,
        "hide",
        json!({"region": c.region, "ids": [net.vpc], "by_id": true}),
    );
    let by_id = [("VpcId.1", &*net.vpc)];
    assert_eq!(c.code("DescribeVpcs", &by_id), "InvalidVpcID.NotFound");
    let ask = [("VpcId", &*net.vpc), ("CidrBlock", "10.78.64.0/18")];
    c.ok("CreateSubnet", &ask);
    order(&c, "unhide", json!({"region": c.region}));
    c.ok("DescribeVpcs", &by_id);
}

#[test]
fn objects_are_hidden_by_their_kind_for_a_time() {
    let c = Client::new();
    let before = c.net();
    order(
        &c,
        "hide",
        json!({"region": c.region, "kind": "subnet", "for_ms": 1_000}),
    );
    let ask = [("VpcId", &*before.vpc), ("CidrBlock", "10.78.64.0/18")];
    let later = text(&c.ok("CreateSubnet", &ask), "subnetId");
    c.sim.advance(999);
    assert_eq!(
        texts(&c.ok("DescribeSubnets", &[]), "subnetId").len(),
        0,
        "the default ones are hidden as well"
    );
    assert!(c.ok("DescribeVpcs", &[]).contains(&before.vpc));
    c.sim.advance(1);
    let shown = c.ok("DescribeSubnets", &[]);
    assert!(shown.contains(&before.subnet) && shown.contains(&later));
}

#[test]
fn the_next_objects_of_a_kind_are_hidden_for_a_time_each_from_when_they_are_made() {
    let c = Client::new();
    order(
        &c,
        "hide",
        json!({"region": c.region, "kind": "internet-gateway", "next": 2, "for_ms": 1_000}),
    );
    let make = || {
        c.sim.advance(600);
        text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId")
    };
    let made = [make(), make(), make()];
    let listed = || {
        let shown = c.ok("DescribeInternetGateways", &[]);
        made.each_ref().map(|id| shown.contains(id))
    };
    assert_eq!(listed(), [true, false, true]);
    c.sim.advance(399);
    assert_eq!(listed(), [true, false, true]);
    c.sim.advance(1);
    assert_eq!(listed(), [true, true, true]);
}

#[test]
fn what_cannot_be_hidden_is_refused_with_the_field() {
    let c = Client::new();
    for (more, words) in [
        (json!({}), "ids, kind: one of both is needed"),
        (
            json!({"ids": ["vpc-1"], "kind": "vpc"}),
            "ids, kind: one of both",
        ),
        (
            json!({"kind": "vpcs"}),
            "kind: 'vpcs' can't be hidden, only vpc, subnet",
        ),
        (json!({"kind": "vpc", "next": 0}), "next: must be 1"),
        (json!({"next": 1}), "next: needs a kind"),
        (json!({"kinds": "vpc"}), "unknown field `kinds`"),
    ] {
        let mut body = json!({"region": c.region});
        let fields = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let refusal = c.sim.order("hide", body).unwrap_err();
        assert!(refusal.contains(words), "{more}: {refusal}");
    }
    let refusal = c
        .sim
        .hide(default_account(), "mars-1", &HideRule::kind("vpc"));
    assert_eq!(refusal, Err("there is no region 'mars-1'".to_owned()));
    let next = HideRule::next("vpc", 1);
    assert_eq!((next.next, next.by_id), (Some(1), false));
}

#[test]
fn the_console_takes_tags_off_and_makes_gateways_that_nobody_knows_of() {
    let c = Client::new();
    let net = c.net();
    let tags = [
        ("ResourceId.1", &*net.subnet),
        ("Tag.1.Key", "ours"),
        ("Tag.1.Value", "x"),
        ("Tag.2.Key", "kept"),
    ];
    c.ok("CreateTags", &tags);
    let untag = json!({"region": c.region, "resource_id": net.subnet, "key": "ours"});
    order(&c, "console/delete-tag", untag);
    let shown = c.ok("DescribeSubnets", &[("SubnetId.1", &net.subnet)]);
    assert!(shown.contains("<key>kept</key>") && !shown.contains("<key>ours</key>"));
    let made = c.sim.order(
        "console/create-internet-gateway",
        json!({"region": c.region, "vpc_id": net.vpc}),
    );
    let made = made.unwrap().unwrap();
    let gateway = made["internet_gateway_id"].as_str().unwrap();
    let place = json!({"region": c.region, "internet_gateway_id": gateway, "vpc_id": net.vpc});
    let attached = || {
        let seen = c.sim.network(default_account(), c.region);
        let mut gateways = seen.internet_gateways.into_iter();
        gateways.find(|it| it.id == gateway).unwrap().vpc_id
    };
    assert_eq!(attached().as_ref(), Some(&net.vpc));
    let again = c
        .sim
        .console_create_internet_gateway(default_account(), c.region, Some(&net.vpc));
    assert!(
        again
            .unwrap_err()
            .contains("already has an internet gateway")
    );
    let seen = c.sim.network(default_account(), c.region);
    assert_eq!(seen.internet_gateways.len(), 2, "no other one stayed");
    order(&c, "console/detach-internet-gateway", place.clone());
    assert_eq!(attached(), None);
    order(&c, "console/attach-internet-gateway", place);
    assert_eq!(attached().as_ref(), Some(&net.vpc));
    let alone = c
        .sim
        .console_create_internet_gateway(default_account(), c.region, None)
        .unwrap();
    assert!(c.ok("DescribeInternetGateways", &[]).contains(&alone));
}
