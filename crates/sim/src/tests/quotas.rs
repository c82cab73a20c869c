//! What an account may have and what a zone has room for: each refusal under its own code, and all of it live.

use super::*;
use crate::config::Quotas;

fn limited(quotas: Quotas) -> (Client, Net) {
    let c = Client::new();
    let net = c.net();
    c.sim.set_quotas(quotas);
    (c, net)
}

#[test]
fn each_quota_has_its_own_code() {
    let full = Quotas {
        vpcs: 2,
        internet_gateways: 1,
        subnets_per_vpc: 1,
        route_tables_per_vpc: 1,
        groups: 3,
        rules_per_group: 0,
        ..Quotas::default()
    };
    let (c, net) = limited(full.clone());
    let vpc = ("VpcId", net.vpc.as_str());
    for (action, params, code) in [
        (
            "CreateVpc",
            vec![("CidrBlock", "10.9.0.0/16")],
            "VpcLimitExceeded",
        ),
        (
            "CreateInternetGateway",
            vec![],
            "InternetGatewayLimitExceeded",
        ),
        (
            "CreateSubnet",
            vec![vpc, ("CidrBlock", "10.78.64.0/18")],
            "SubnetLimitExceeded",
        ),
        ("CreateRouteTable", vec![vpc], "RouteTableLimitExceeded"),
        (
            "CreateSecurityGroup",
            vec![vpc, ("GroupName", "n"), ("GroupDescription", "d")],
            "SecurityGroupLimitExceeded",
        ),
        (
            "AuthorizeSecurityGroupIngress",
            vec![
                ("GroupId", net.group.as_str()),
                ("IpProtocol", "-1"),
                ("CidrIp", "0.0.0.0/0"),
            ],
            "RulesPerSecurityGroupLimitExceeded",
        ),
    ] {
        let dry: Vec<_> = params.iter().copied().chain([("DryRun", "true")]).collect();
        assert_eq!(
            c.code(action, &dry),
            "DryRunOperation",
            "{action}: no promise"
        );
        assert_eq!(c.code(action, &params), code);
        c.sim.set_quotas(Quotas::default());
        c.ok(action, &params);
        c.sim.set_quotas(full.clone());
    }
}

#[test]
fn the_vcpus_of_what_runs_count_against_the_quota() {
    let (c, net) = limited(Quotas {
        vcpus: Some(9),
        ..Quotas::default()
    });
    let launch = |kind: &str, most: &str| {
        let more = [
            ("InstanceType", kind),
            ("MinCount", "1"),
            ("MaxCount", most),
        ];
        c.ask("RunInstances", &c.launch_params(&net.subnet, &more))
            .map(|answer| texts(&answer, "instanceId"))
            .map_err(|refusal| refusal.code.into_owned())
    };
    let over = Err("VcpuLimitExceeded".to_owned());
    assert_eq!(launch("m5.xlarge", "9").unwrap().len(), 2, "4 each");
    assert_eq!(launch("t3.micro", "1"), over, "one is left, and it takes 2");
    let id = c.sim.instances(default_account(), c.region)[0].id.clone();
    c.sim.advance(100);
    c.ok("StopInstances", &[("InstanceId.1", &id)]);
    assert_eq!(launch("t3.micro", "1"), over, "until it has stopped");
    c.sim.advance(100);
    assert_eq!(launch("t3.micro", "9").unwrap().len(), 2);
    let start = c.code("StartInstances", &[("InstanceId.1", &id)]);
    assert_eq!(start, "VcpuLimitExceeded");
}

#[test]
fn a_subnet_without_free_addresses_takes_no_instance() {
    let c = Client::new();
    let net = c.net();
    let ask = [("VpcId", net.vpc.as_str()), ("CidrBlock", "10.78.64.0/28")];
    let small = text(&c.ok("CreateSubnet", &ask), "subnetId");
    assert_eq!(
        c.launch(&small, &[("MaxCount", "20")]).len(),
        11,
        "16 less 5"
    );
    let code = c.launch_refusal(&small, &[]).code;
    assert_eq!(code, "InsufficientFreeAddressesInSubnet");
}

#[test]
fn room_may_be_for_a_whole_zone_or_a_type_in_all_zones() {
    let c = Client::new();
    let net = c.net();
    let room = |zone: &str, kind: &str, limit| {
        c.sim
            .set_capacity(default_account(), c.region, zone, kind, limit);
    };
    let launched = |kind: &str| {
        let more = [("InstanceType", kind), ("MaxCount", "9")];
        let answer = c.ask("RunInstances", &c.launch_params(&net.subnet, &more));
        answer.map_or_else(
            |refusal| {
                assert_eq!(refusal.code, "InsufficientInstanceCapacity");
                0
            },
            |answer| texts(&answer, "instanceId").len(),
        )
    };
    room("sa-east-1b", "*", Some(5));
    room("*", "t3.micro", Some(3));
    assert_eq!(launched("t3.micro"), 3);
    assert_eq!(launched("t3.small"), 2, "the zone's last two");
    assert_eq!(launched("t3.medium"), 0);
    room("sa-east-1b", "*", None);
    assert_eq!(launched("t3.micro"), 0);
    assert_eq!(launched("t3.small"), 9);
}

#[test]
fn instances_of_different_types_need_the_zones_room_together_to_start() {
    let c = Client::new();
    let net = c.net();
    let mut ids = c.launch(&net.subnet, &[]);
    ids.extend(c.launch(&net.subnet, &[("InstanceType", "t3.small")]));
    let both = [("InstanceId.1", ids[0].as_str()), ("InstanceId.2", &ids[1])];
    c.sim.advance(100);
    c.ok("StopInstances", &both);
    c.sim.advance(100);
    c.sim
        .set_capacity(default_account(), c.region, "*", "*", Some(1));
    assert_eq!(
        c.code("StartInstances", &both),
        "InsufficientInstanceCapacity"
    );
    c.ok("StartInstances", &both[..1]);
}

#[test]
fn a_thousand_instances_are_launched_shown_and_ended() {
    let c = Client::new();
    let net = c.net();
    for _ in 0..10 {
        let more = [
            ("MinCount", "100"),
            ("MaxCount", "100"),
            ("SubnetId", ""),
            ("NetworkInterface.1.DeviceIndex", "0"),
            ("NetworkInterface.1.SubnetId", &net.subnet),
            ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ];
        c.launch(&net.subnet, &more);
    }
    c.sim.advance(100);
    let shown = c.ok("DescribeInstances", &[]);
    let addresses: std::collections::BTreeSet<_> = texts(&shown, "ipAddress").into_iter().collect();
    assert_eq!(addresses.len(), 1_000, "each has an address of its own");
    let ids = texts(&shown, "instanceId");
    let names: Vec<String> = (1..=1_000).map(|n| format!("InstanceId.{n}")).collect();
    let params: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(ids.iter().map(String::as_str))
        .collect();
    c.ok("TerminateInstances", &params);
    c.sim.advance(100);
    assert!(c.states().iter().all(|state| state == "terminated"));
}
