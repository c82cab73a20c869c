//! Eventual consistency: what is new is not seen for a while.

use super::*;

const DELAY: u64 = 3_000;

/// An action, its parameters, and the code with which it is refused.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// A network that is seen, before everything becomes slow.
fn slow() -> (Client, Net) {
    let c = Client::new();
    let net = c.net();
    c.sim.set_consistency_ms(DELAY..DELAY);
    (c, net)
}

#[test]
fn everything_is_seen_at_once_unless_it_is_asked_for() {
    let c = Client::new();
    let net = c.net();
    c.ok("DescribeSubnets", &[("SubnetId.1", &net.subnet)]);
}

#[test]
fn a_new_network_is_unknown_to_every_call_and_missing_from_lists() {
    let (c, net) = slow();
    let vpc = text(&c.ok("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]), "vpcId");
    let ask = [("VpcId", &*net.vpc), ("CidrBlock", "10.78.64.0/18")];
    let subnet = text(&c.ok("CreateSubnet", &ask), "subnetId");
    let ask = [
        ("VpcId", &*net.vpc),
        ("GroupName", "new"),
        ("GroupDescription", "new"),
    ];
    let group = text(&c.ok("CreateSecurityGroup", &ask), "groupId");
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    let table = text(
        &c.ok("CreateRouteTable", &[("VpcId", &*net.vpc)]),
        "routeTableId",
    );
    let described = [
        ("DescribeVpcs", "VpcId.1", &vpc, "InvalidVpcID.NotFound"),
        (
            "DescribeSubnets",
            "SubnetId.1",
            &subnet,
            "InvalidSubnetID.NotFound",
        ),
        (
            "DescribeSecurityGroups",
            "GroupId.1",
            &group,
            "InvalidGroup.NotFound",
        ),
        (
            "DescribeInternetGateways",
            "InternetGatewayId.1",
            &gateway,
            "InvalidInternetGatewayID.NotFound",
        ),
        (
            "DescribeRouteTables",
            "RouteTableId.1",
            &table,
            "InvalidRouteTableID.NotFound",
        ),
    ];
    let named: [Refused<'_>; 6] = [
        (
            "CreateSubnet",
            &[("VpcId", &vpc), ("CidrBlock", "10.9.0.0/18")],
            "InvalidVpcID.NotFound",
        ),
        (
            "AttachInternetGateway",
            &[("InternetGatewayId", &gateway), ("VpcId", &net.vpc)],
            "InvalidInternetGatewayID.NotFound",
        ),
        (
            "AssociateRouteTable",
            &[("RouteTableId", &table), ("SubnetId", &net.subnet)],
            "InvalidRouteTableID.NotFound",
        ),
        (
            "RunInstances",
            &c.launch_params(&subnet, &[]),
            "InvalidSubnetID.NotFound",
        ),
        (
            "DeleteSecurityGroup",
            &[("GroupId", &group)],
            "InvalidGroup.NotFound",
        ),
        (
            "CreateTags",
            &[("ResourceId.1", &vpc), ("Tag.1.Key", "k")],
            "InvalidVpcID.NotFound",
        ),
    ];
    for _ in 0..2 {
        for (action, parameter, id, code) in described {
            assert_eq!(c.code(action, &[(parameter, id)]), code);
            assert!(!c.ok(action, &[]).contains(id), "{action}");
        }
        for (action, params, code) in named {
            assert_eq!(c.code(action, params), code, "{action}");
        }
        c.sim.advance(DELAY / 2 - 1);
    }
    c.sim.advance(2);
    for (action, parameter, id, _) in described {
        assert!(c.ok(action, &[(parameter, id)]).contains(id), "{action}");
    }
    for (action, params, _) in named {
        c.ok(action, params);
    }
}

#[test]
fn a_new_instance_and_its_tags_appear_together_and_its_token_is_known_at_once() {
    let (c, net) = slow();
    let more = [
        ("ClientToken", "once"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "k"),
    ];
    let ids = c.launch(&net.subnet, &more);
    let by_id = [("InstanceId.1", ids[0].as_str())];
    assert_eq!(c.launch(&net.subnet, &more), ids, "the same reservation");
    assert_eq!(
        c.code("DescribeInstances", &by_id),
        "InvalidInstanceID.NotFound"
    );
    assert_eq!(
        c.code("TerminateInstances", &by_id),
        "InvalidInstanceID.NotFound"
    );
    for action in ["DescribeInstances", "DescribeTags", "DescribeVolumes"] {
        assert!(!c.ok(action, &[]).contains(&ids[0]), "{action}");
    }
    let seen = c.sim.instances(default_account(), c.region);
    assert_eq!(seen.len(), 1, "but it is there");
    c.sim.advance(DELAY);
    for action in ["DescribeInstances", "DescribeTags", "DescribeVolumes"] {
        assert!(c.ok(action, &[]).contains(&ids[0]), "{action}");
    }
    assert!(
        c.ok("DescribeInstances", &by_id)
            .contains("<name>running</name>")
    );
}

#[test]
fn what_is_not_seen_yet_is_in_the_way_all_the_same() {
    let (c, net) = slow();
    let ask = [("VpcId", &*net.vpc), ("CidrBlock", "10.78.64.0/18")];
    c.ok("CreateSubnet", &ask);
    assert_eq!(c.code("CreateSubnet", &ask), "InvalidSubnet.Conflict");
    c.launch(&net.subnet, &[]);
    let subnet = [("SubnetId", net.subnet.as_str())];
    assert_eq!(c.code("DeleteSubnet", &subnet), "DependencyViolation");
    let group = [
        ("VpcId", &*net.vpc),
        ("GroupName", "new"),
        ("GroupDescription", "new"),
    ];
    c.ok("CreateSecurityGroup", &group);
    assert_eq!(
        c.code("CreateSecurityGroup", &group),
        "InvalidGroup.Duplicate"
    );
    for _ in 0..3 {
        c.ok("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]);
    }
    let over = c.code("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]);
    assert_eq!(over, "VpcLimitExceeded");
}

#[test]
fn a_change_of_what_is_seen_is_seen_at_once() {
    let (c, net) = slow();
    c.ok(
        "CreateTags",
        &[
            ("ResourceId.1", &net.vpc),
            ("Tag.1.Key", "k"),
            ("Tag.1.Value", "v"),
        ],
    );
    assert!(c.ok("DescribeVpcs", &[]).contains("<key>k</key>"));
}

#[test]
fn each_object_takes_a_time_of_its_own_within_the_range() {
    let c = Client::with(|config| config.consistency_ms = 1_000..2_001);
    let vpcs = || texts(&c.ok("DescribeVpcs", &[]), "vpcId").len();
    for _ in 0..4 {
        c.ok("CreateVpc", &[("CidrBlock", "10.9.0.0/16")]);
    }
    c.sim.advance(999);
    assert_eq!(vpcs(), 1);
    let mut counts = std::collections::BTreeSet::new();
    for _ in 0..1_001 {
        c.sim.advance(1);
        counts.insert(vpcs());
    }
    assert_eq!(
        (counts.len(), vpcs()),
        (5, 5),
        "one after another: {counts:?}"
    );
}
