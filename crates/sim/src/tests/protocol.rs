//! What holds for every action.

use super::*;
use crate::server;

#[test]
fn an_unknown_action_is_invalid() {
    let c = Client::new();
    let error = c.refusal("DescribeDragons", &[]);
    assert_eq!((error.status, &*error.code), (400, "InvalidAction"));
}

#[test]
fn an_unknown_parameter_is_refused_before_any_effect() {
    let c = Client::new();
    let error = c.refusal(
        "CreateVpc",
        &[("CidrBlock", "10.0.0.0/16"), ("Color", "red")],
    );
    assert_eq!((error.status, &*error.code), (400, "UnknownParameter"));
    assert_eq!(error.message, "The parameter Color is not recognized");
    assert_eq!(texts(&c.ok("DescribeVpcs", &[]), "vpcId").len(), 1);
}

#[test]
fn an_interface_of_another_date_is_refused() {
    let c = Client::new();
    assert_eq!(
        c.code("DescribeVpcs", &[("Version", "2014-10-01")]),
        "NoSuchVersion"
    );
    c.ok("DescribeVpcs", &[("Version", "2016-11-15")]);
}

/// Whatever is sent, there is an answer: no action panics, none answers with a server error, and none takes nonsense for
/// an order.
#[test]
fn no_action_panics_on_nonsense() {
    let c = Client::new();
    let names = [
        "VpcId",
        "VpcId.1",
        "SubnetId",
        "InstanceId.1",
        "GroupId",
        "GroupId.1",
        "CidrBlock",
        "MaxResults",
        "NextToken",
        "Filter.1.Name",
        "Filter.1.Value.1",
        "Filter",
        "ResourceId.1",
        "Tag.1.Key",
        "DryRun",
        "ImageId",
        "MinCount",
        "MaxCount",
        "UserData",
        "IpPermissions.1.IpProtocol",
        "IpPermissions.1.FromPort",
        "RouteTableId",
        "DestinationCidrBlock",
        "AllocationId",
        "AssociationId",
        "InstanceProfileName",
        "EncodedMessage",
        "Path",
        "BlockDeviceMapping.1.Ebs.VolumeSize",
        "TagSpecification.1.ResourceType",
        "NetworkInterface.1.DeviceIndex",
    ];
    let values = [
        "",
        "0",
        "-1",
        "99999999999999999999",
        "\u{0}",
        "*",
        "%",
        "ü",
        "i-",
        "255.255.255.255/0",
        "true",
        "x-y",
    ];
    for action in server::actions() {
        let (service, action) = action.split_once(':').unwrap();
        for name in names {
            for value in values {
                if let Err(error) = c.service(service, action, &[(name, value)]) {
                    assert!(
                        (400..500).contains(&error.status),
                        "{action} {name}={value}: {error:?}"
                    );
                }
            }
        }
    }
    let vpcs = texts(&c.ok("DescribeVpcs", &[]), "vpcId");
    assert_eq!(vpcs.len(), 1);
}

#[test]
fn every_mutating_action_honors_a_dry_run() {
    let c = Client::new();
    let net = c.net();
    let dry = ("DryRun", "true");
    let before = c.ok("DescribeVpcs", &[]).len() + c.ok("DescribeSubnets", &[]).len();
    for (action, ask) in [
        ("CreateVpc", vec![("CidrBlock", "10.0.0.0/16")]),
        (
            "CreateSubnet",
            vec![("VpcId", net.vpc.as_str()), ("CidrBlock", "10.78.64.0/24")],
        ),
        ("CreateInternetGateway", vec![]),
        ("CreateRouteTable", vec![("VpcId", net.vpc.as_str())]),
        (
            "CreateTags",
            vec![("ResourceId.1", net.vpc.as_str()), ("Tag.1.Key", "k")],
        ),
        ("DeleteSubnet", vec![("SubnetId", net.subnet.as_str())]),
        ("DeleteSecurityGroup", vec![("GroupId", net.group.as_str())]),
        ("DescribeVpcs", vec![]),
        ("AllocateAddress", vec![]),
    ] {
        let error = c.refusal(action, &[ask, vec![dry]].concat());
        assert_eq!(
            (error.status, &*error.code),
            (412, "DryRunOperation"),
            "{action}"
        );
    }
    assert_eq!(
        c.code(
            "CreateSubnet",
            &[("VpcId", "vpc-00000000"), ("CidrBlock", "10.0.0.0/24"), dry]
        ),
        "InvalidVpcID.NotFound"
    );
    assert_eq!(
        before,
        c.ok("DescribeVpcs", &[]).len() + c.ok("DescribeSubnets", &[]).len()
    );
}

#[test]
fn pages_of_instances_join_to_all_of_them_in_order() {
    let c = Client::new();
    let net = c.net();
    let mut ids = c.launch(&net.subnet, &[("MinCount", "7"), ("MaxCount", "7")]);
    ids.extend(c.launch(&net.subnet, &[("MinCount", "6"), ("MaxCount", "6")]));
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let mut ask = vec![("MaxResults", "5")];
        if !token.is_empty() {
            ask.push(("NextToken", &token));
        }
        let page = c.ok("DescribeInstances", &ask);
        seen.extend(texts(&page, "instanceId"));
        match texts(&page, "nextToken").pop() {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let both = [("MaxResults", "5"), ("InstanceId.1", ids[0].as_str())];
    assert_eq!(
        c.code("DescribeInstances", &both),
        "InvalidParameterCombination"
    );
}

#[test]
fn images_are_found_by_name_pattern_and_owner() {
    let c = Client::new();
    let names = |owner, pattern| {
        let ask = [
            ("Owner.1", owner),
            ("Filter.1.Name", "name"),
            ("Filter.1.Value.1", pattern),
        ];
        texts(&c.ok("DescribeImages", &ask), "name")
    };
    let found = names(
        "099720109477",
        "ubuntu/images/hvm-ssd*/ubuntu-*-24.04-amd64-server-*",
    );
    assert!(!found.is_empty() && found.iter().all(|name| name.contains("noble")));
    assert!(names("self", "*").is_empty());
    assert!(names("099720109477", "*trusty*").len() == 1);
}
