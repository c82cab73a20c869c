//! The rules of VPCs and of what lies in them.

use super::*;

fn subnet(c: &Client, vpc: &str, cidr: &str) -> Result<String, ApiError> {
    c.ask("CreateSubnet", &[("VpcId", vpc), ("CidrBlock", cidr)])
        .map(|it| text(&it, "subnetId"))
}

#[test]
fn every_account_and_region_has_a_default_vpc_of_its_own() {
    let c = Client::new();
    let id = |c: &Client| text(&c.ok("DescribeVpcs", &[]), "vpcId");
    let elsewhere = Client {
        region: "eu-west-1",
        ..c.as_key("test")
    };
    let other = c.as_key("111122223333");
    assert!(id(&c) != id(&elsewhere) && id(&c) != id(&other) && id(&c) == id(&c.as_key("another")));
    let subnets = c.ok("DescribeSubnets", &[]);
    assert_eq!(texts(&subnets, "availableIpAddressCount"), ["4091"; 3]);
    assert!(
        c.ok("DescribeRouteTables", &[])
            .contains("<destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>")
    );
}

#[test]
fn a_vpc_comes_with_a_default_group_and_a_main_table_and_goes_with_them() {
    let c = Client::new();
    let vpc = text(&c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]), "vpcId");
    let here = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", vpc.as_str()),
    ];
    assert_eq!(
        texts(&c.ok("DescribeSecurityGroups", &here), "groupName"),
        ["default"]
    );
    assert_eq!(text(&c.ok("DescribeRouteTables", &here), "main"), "true");
    c.ok("DeleteVpc", &[("VpcId", &vpc)]);
    assert!(texts(&c.ok("DescribeSecurityGroups", &here), "groupName").is_empty());
    assert_eq!(
        c.code("DescribeVpcs", &[("VpcId.1", &vpc)]),
        "InvalidVpcID.NotFound"
    );
}

#[test]
fn a_vpc_block_is_between_16_and_28_and_host_bits_are_cut_off() {
    let c = Client::new();
    for (block, code) in [
        ("10.0.0.0/15", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0/16", "InvalidParameterValue"),
        ("10.0.0.0", "InvalidParameterValue"),
        ("::/16", "InvalidParameterValue"),
    ] {
        assert_eq!(
            c.code("CreateVpc", &[("CidrBlock", block)]),
            code,
            "{block}"
        );
    }
    assert_eq!(
        text(
            &c.ok("CreateVpc", &[("CidrBlock", "10.0.9.9/16")]),
            "cidrBlock"
        ),
        "10.0.0.0/16"
    );
}

#[test]
fn the_sixth_vpc_of_a_region_is_over_the_limit() {
    let c = Client::new();
    for _ in 0..4 {
        c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
    }
    assert_eq!(
        c.code("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]),
        "VpcLimitExceeded"
    );
    let raised = Client::with(|config| config.quotas.vpcs = 20);
    for _ in 0..19 {
        raised.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]);
    }
}

#[test]
fn the_sixth_internet_gateway_of_a_region_is_over_the_limit() {
    let c = Client::new();
    for _ in 0..4 {
        c.ok("CreateInternetGateway", &[]);
    }
    assert_eq!(
        c.code("CreateInternetGateway", &[]),
        "InternetGatewayLimitExceeded"
    );
}

#[test]
fn a_subnet_lies_in_its_vpc_and_overlaps_no_other() {
    let c = Client::new();
    let vpc = c.net().vpc;
    for (cidr, code) in [
        ("10.79.0.0/24", "InvalidSubnet.Range"),
        ("10.78.128.0/29", "InvalidSubnet.Range"),
        ("10.0.0.0/8", "InvalidSubnet.Range"),
        ("10.78.1.0/24", "InvalidSubnet.Conflict"),
        ("10.78.0.0/17", "InvalidSubnet.Conflict"),
        ("nonsense", "InvalidParameterValue"),
    ] {
        assert_eq!(subnet(&c, &vpc, cidr).unwrap_err().code, code, "{cidr}");
    }
    assert!(subnet(&c, &vpc, "10.78.64.0/18").is_ok());
    let ask = [
        ("VpcId", vpc.as_str()),
        ("CidrBlock", "10.78.128.0/24"),
        ("AvailabilityZone", "us-east-1a"),
    ];
    assert_eq!(c.code("CreateSubnet", &ask), "InvalidParameterValue");
}

#[test]
fn what_is_in_use_cannot_be_deleted() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[("SecurityGroupId.1", &net.group)]);
    let deletes = [
        ("DeleteSubnet", "SubnetId", &net.subnet),
        ("DeleteSecurityGroup", "GroupId", &net.group),
        ("DeleteVpc", "VpcId", &net.vpc),
    ];
    for (action, key, id) in deletes {
        assert_eq!(
            c.code(action, &[(key, id)]),
            "DependencyViolation",
            "{action}"
        );
    }
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(
        c.code("DeleteSubnet", &[("SubnetId", &net.subnet)]),
        "DependencyViolation"
    );
    c.sim.advance(1_000);
    for (action, key, id) in deletes {
        c.ok(action, &[(key, id)]);
    }
}

#[test]
fn a_gateway_is_attached_once_and_not_detached_under_public_addresses() {
    let c = Client::new();
    let net = c.net();
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    let both = [
        ("InternetGatewayId", gateway.as_str()),
        ("VpcId", net.vpc.as_str()),
    ];
    assert_eq!(
        c.code("DetachInternetGateway", &both),
        "Gateway.NotAttached"
    );
    c.ok("AttachInternetGateway", &both);
    assert_eq!(
        c.code("AttachInternetGateway", &both),
        "Resource.AlreadyAssociated"
    );
    assert_eq!(
        c.code("DeleteInternetGateway", &both[..1]),
        "DependencyViolation"
    );
    c.ok(
        "ModifySubnetAttribute",
        &[
            ("SubnetId", &net.subnet),
            ("MapPublicIpOnLaunch.Value", "true"),
        ],
    );
    let ids = c.launch(&net.subnet, &[]);
    assert_eq!(
        c.code("DetachInternetGateway", &both),
        "DependencyViolation"
    );
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.ok("DetachInternetGateway", &both);
    c.ok("DeleteInternetGateway", &both[..1]);
}

#[test]
fn a_route_exists_once_and_turns_into_a_black_hole() {
    let c = Client::new();
    let net = c.net();
    let table = text(
        &c.ok("CreateRouteTable", &[("VpcId", &net.vpc)]),
        "routeTableId",
    );
    let gateway = text(&c.ok("CreateInternetGateway", &[]), "internetGatewayId");
    let route = [
        ("RouteTableId", table.as_str()),
        ("DestinationCidrBlock", "0.0.0.0/0"),
        ("GatewayId", gateway.as_str()),
    ];
    assert_eq!(
        c.code("CreateRoute", &route),
        "InvalidParameterValue",
        "another network's gateway"
    );
    let both = [
        ("InternetGatewayId", gateway.as_str()),
        ("VpcId", net.vpc.as_str()),
    ];
    c.ok("AttachInternetGateway", &both);
    c.ok("CreateRoute", &route);
    assert_eq!(c.code("CreateRoute", &route), "RouteAlreadyExists");
    let local = [route[0], ("DestinationCidrBlock", "10.78.0.0/16")];
    assert_eq!(c.code("DeleteRoute", &local), "InvalidParameterValue");
    c.ok("DetachInternetGateway", &both);
    assert!(
        c.ok("DescribeRouteTables", &[])
            .contains("<state>blackhole</state>")
    );
    c.ok("DeleteRoute", &route[..2]);
    assert_eq!(c.code("DeleteRoute", &route[..2]), "InvalidRoute.NotFound");
}

#[test]
fn a_subnet_has_one_route_table() {
    let c = Client::new();
    let net = c.net();
    let table = |c: &Client| {
        text(
            &c.ok("CreateRouteTable", &[("VpcId", &net.vpc)]),
            "routeTableId",
        )
    };
    let (one, two) = (table(&c), table(&c));
    let associate = |table: &str| {
        c.ask(
            "AssociateRouteTable",
            &[("RouteTableId", table), ("SubnetId", &net.subnet)],
        )
    };
    let association = text(&associate(&one).unwrap(), "associationId");
    assert_eq!(
        associate(&two).unwrap_err().code,
        "Resource.AlreadyAssociated"
    );
    assert_eq!(
        c.code("DeleteRouteTable", &[("RouteTableId", &one)]),
        "DependencyViolation"
    );
    c.ok("DisassociateRouteTable", &[("AssociationId", &association)]);
    assert!(associate(&two).is_ok());
    c.ok("DeleteRouteTable", &[("RouteTableId", &one)]);
}

#[test]
fn a_route_tables_token_makes_one_table() {
    let c = Client::new();
    let net = c.net();
    let ask = [("VpcId", net.vpc.as_str()), ("ClientToken", "t")];
    let first = text(&c.ok("CreateRouteTable", &ask), "routeTableId");
    assert_eq!(text(&c.ok("CreateRouteTable", &ask), "routeTableId"), first);
    let vpc = text(&c.ok("CreateVpc", &[("CidrBlock", "10.0.0.0/16")]), "vpcId");
    assert_eq!(
        c.code("CreateRouteTable", &[("VpcId", &vpc), ask[1]]),
        "IdempotentParameterMismatch"
    );
}

#[test]
fn a_group_name_is_unique_in_its_vpc() {
    let c = Client::new();
    let net = c.net();
    let ask = [
        ("GroupName", "open"),
        ("GroupDescription", "d"),
        ("VpcId", net.vpc.as_str()),
    ];
    assert_eq!(
        c.code("CreateSecurityGroup", &ask),
        "InvalidGroup.Duplicate"
    );
    c.ok("CreateSecurityGroup", &ask[..2]);
    assert_eq!(
        c.code("CreateSecurityGroup", &[("GroupName", "sg-x"), ask[1]]),
        "InvalidParameterValue"
    );
    assert_eq!(
        c.code("CreateSecurityGroup", &[("GroupName", "default"), ask[1]]),
        "InvalidGroup.Reserved"
    );
}

#[test]
fn rules_are_unique_and_at_most_sixty() {
    let c = Client::new();
    let net = c.net();
    let rule = |from: &str, to: &str, cidr: &str| {
        c.ask(
            "AuthorizeSecurityGroupIngress",
            &[
                ("GroupId", &net.group),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", from),
                ("IpPermissions.1.ToPort", to),
                ("IpPermissions.1.IpRanges.1.CidrIp", cidr),
            ],
        )
    };
    for port in 0..60 {
        rule(&port.to_string(), &port.to_string(), "0.0.0.0/0").unwrap();
    }
    let code = |from, to, cidr| rule(from, to, cidr).unwrap_err().code.into_owned();
    assert_eq!(code("0", "0", "0.0.0.0/0"), "InvalidPermission.Duplicate");
    assert_eq!(
        code("60", "60", "0.0.0.0/0"),
        "RulesPerSecurityGroupLimitExceeded"
    );
    assert_eq!(code("2", "1", "0.0.0.0/0"), "InvalidParameterValue");
    assert_eq!(code("0", "65536", "0.0.0.0/0"), "InvalidParameterValue");
    assert_eq!(code("61", "61", "everywhere"), "InvalidParameterValue");
}

#[test]
fn a_group_named_by_another_group_cannot_be_deleted() {
    let c = Client::new();
    let net = c.net();
    let ask = [
        ("GroupName", "other"),
        ("GroupDescription", "d"),
        ("VpcId", net.vpc.as_str()),
    ];
    let other = text(&c.ok("CreateSecurityGroup", &ask), "groupId");
    c.ok(
        "AuthorizeSecurityGroupIngress",
        &[
            ("GroupId", &other),
            ("IpPermissions.1.IpProtocol", "-1"),
            ("IpPermissions.1.Groups.1.GroupId", &net.group),
        ],
    );
    assert_eq!(
        c.code("DeleteSecurityGroup", &[("GroupId", &net.group)]),
        "DependencyViolation"
    );
    c.ok("DeleteSecurityGroup", &[("GroupId", &other)]);
    c.ok("DeleteSecurityGroup", &[("GroupId", &net.group)]);
}

#[test]
fn a_resource_has_at_most_fifty_tags() {
    let c = Client::new();
    let vpc = c.net().vpc;
    let tag = |from: u32, to: u32| {
        let pairs = (from..to).flat_map(|n| [format!("Tag.{}.Key", n + 1), format!("k{n}")]);
        let pairs: Vec<String> = [String::from("ResourceId.1"), vpc.clone()]
            .into_iter()
            .chain(pairs)
            .collect();
        let params: Vec<(&str, &str)> = pairs
            .chunks(2)
            .map(|it| (it[0].as_str(), it[1].as_str()))
            .collect();
        c.ask("CreateTags", &params)
    };
    tag(0, 50).unwrap();
    tag(0, 50).unwrap();
    assert_eq!(tag(50, 51).unwrap_err().code, "TagLimitExceeded");
    assert_eq!(
        c.code("CreateTags", &[("ResourceId.1", "x-1"), ("Tag.1.Key", "k")]),
        "InvalidID"
    );
}
