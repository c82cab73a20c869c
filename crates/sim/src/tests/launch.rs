//! What a launch does.

use super::*;

#[test]
fn a_resent_token_with_the_same_parameters_is_the_same_reservation_by_now() {
    let c = Client::new();
    let net = c.net();
    let ask = c.launch_params(&net.subnet, &[("ClientToken", "t"), ("MaxCount", "3")]);
    let first = c.ok("RunInstances", &ask);
    c.sim.advance(100);
    let again = c.ok("RunInstances", &ask);
    assert_eq!(texts(&first, "instanceId"), texts(&again, "instanceId"));
    assert_eq!(text(&first, "reservationId"), text(&again, "reservationId"));
    assert!(first.contains("<name>pending</name>") && again.contains("<name>running</name>"));
    assert_eq!(c.states().len(), 3);
}

#[test]
fn the_same_token_with_other_parameters_is_a_mismatch() {
    let c = Client::new();
    let net = c.net();
    c.launch(&net.subnet, &[("ClientToken", "t")]);
    let error = c.launch_refusal(&net.subnet, &[("ClientToken", "t"), ("MaxCount", "2")]);
    assert_eq!(
        (error.status, &*error.code),
        (400, "IdempotentParameterMismatch")
    );
}

#[test]
fn the_token_is_zonal_when_a_subnet_is_named() {
    let c = Client::new();
    let net = c.net();
    let ask = [
        ("VpcId", net.vpc.as_str()),
        ("CidrBlock", "10.78.64.0/18"),
        ("AvailabilityZone", "sa-east-1c"),
    ];
    let other = text(&c.ok("CreateSubnet", &ask), "subnetId");
    let first = c.launch(&net.subnet, &[("ClientToken", "t")]);
    let second = c.launch(&other, &[("ClientToken", "t")]);
    assert_ne!(first, second);
}

#[test]
fn a_token_whose_instances_are_all_terminated_is_used_up() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(
        &net.subnet,
        &[("ClientToken", "t"), ("MinCount", "2"), ("MaxCount", "2")],
    );
    let again = [("ClientToken", "t"), ("MinCount", "2"), ("MaxCount", "2")];
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.sim.advance(1_000);
    assert_eq!(c.launch(&net.subnet, &again), ids);
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[1])]);
    c.sim.advance(1_000);
    assert_eq!(
        c.launch_refusal(&net.subnet, &again).code,
        "IdempotentInstanceTerminated"
    );
    // Even after EC2 has forgotten the instances.
    c.sim.advance(3_600_000);
    assert_eq!(
        c.launch_refusal(&net.subnet, &again).code,
        "IdempotentInstanceTerminated"
    );
}

#[test]
fn without_a_token_every_launch_is_a_new_one() {
    let c = Client::new();
    let net = c.net();
    assert_ne!(c.launch(&net.subnet, &[]), c.launch(&net.subnet, &[]));
}

#[test]
fn as_many_as_possible_are_launched_down_to_the_minimum() {
    let c = Client::new();
    let net = c.net();
    c.sim.set_capacity(
        default_account(),
        c.region,
        "sa-east-1b",
        "t3.micro",
        Some(3),
    );
    let error = c.launch_refusal(&net.subnet, &[("MinCount", "4"), ("MaxCount", "9")]);
    assert_eq!(
        (error.status, &*error.code),
        (500, "InsufficientInstanceCapacity")
    );
    assert_eq!(
        c.launch(&net.subnet, &[("MinCount", "1"), ("MaxCount", "9")])
            .len(),
        3
    );
    assert_eq!(
        c.launch(&net.subnet, &[("InstanceType", "t3.small")]).len(),
        1
    );
    c.sim
        .set_capacity(default_account(), c.region, "sa-east-1b", "t3.micro", None);
    assert_eq!(c.launch(&net.subnet, &[("MaxCount", "9")]).len(), 9);
}

#[test]
fn private_addresses_are_the_lowest_free_ones_and_come_back_at_termination() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[("MaxCount", "2")]);
    let ips = |c: &Client| -> Vec<String> {
        let shown = c.sim.instances(default_account(), c.region);
        shown
            .iter()
            .filter_map(|it| it.private_ip)
            .map(|ip| ip.to_string())
            .collect()
    };
    assert_eq!(ips(&c), ["10.78.0.4", "10.78.0.5"]);
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.launch(&net.subnet, &[]);
    assert_eq!(
        ips(&c),
        ["10.78.0.4", "10.78.0.5", "10.78.0.6"],
        "not before it is terminated"
    );
    c.sim.advance(1_000);
    c.launch(&net.subnet, &[]);
    assert_eq!(ips(&c), ["10.78.0.5", "10.78.0.6", "10.78.0.4"]);
}

#[test]
fn a_full_subnet_refuses_what_it_cannot_hold() {
    let c = Client::new();
    let net = c.net();
    let ask = [
        ("VpcId", net.vpc.as_str()),
        ("CidrBlock", "10.78.64.0/28"),
        ("AvailabilityZone", "sa-east-1a"),
    ];
    let tiny = text(&c.ok("CreateSubnet", &ask), "subnetId");
    let error = c.launch_refusal(&tiny, &[("MinCount", "12"), ("MaxCount", "12")]);
    assert_eq!(error.code, "InsufficientFreeAddressesInSubnet");
    assert_eq!(
        c.launch(&tiny, &[("MinCount", "11"), ("MaxCount", "12")])
            .len(),
        11
    );
    let shown = c.ok("DescribeSubnets", &[("SubnetId.1", &tiny)]);
    assert_eq!(text(&shown, "availableIpAddressCount"), "0");
}

#[test]
fn a_public_address_comes_with_the_subnet_or_by_wish() {
    let c = Client::new();
    let net = c.net();
    let public = |it: &[String]| {
        let shown = c.sim.instances(default_account(), c.region);
        shown
            .iter()
            .find(|view| view.id == it[0])
            .unwrap()
            .public_ip
            .is_some()
    };
    let interface = |wish: &'static str| {
        [
            ("SubnetId", ""),
            ("NetworkInterface.1.DeviceIndex", "0"),
            ("NetworkInterface.1.SubnetId", net.subnet.as_str()),
            ("NetworkInterface.1.AssociatePublicIpAddress", wish),
        ]
    };
    assert!(!public(&c.launch(&net.subnet, &[])));
    assert!(public(&c.launch("", &interface("true"))));
    c.ok(
        "ModifySubnetAttribute",
        &[
            ("SubnetId", &net.subnet),
            ("MapPublicIpOnLaunch.Value", "true"),
        ],
    );
    assert!(public(&c.launch(&net.subnet, &[])));
    assert!(!public(&c.launch("", &interface("false"))));
}

#[test]
fn public_dns_names_need_the_vpcs_dns_hostnames() {
    let c = Client::new();
    let net = c.net();
    c.ok(
        "ModifySubnetAttribute",
        &[
            ("SubnetId", &net.subnet),
            ("MapPublicIpOnLaunch.Value", "true"),
        ],
    );
    c.launch(&net.subnet, &[]);
    let name = |c: &Client| text(&c.ok("DescribeInstances", &[]), "dnsName");
    assert_eq!(name(&c), "");
    c.ok(
        "ModifyVpcAttribute",
        &[("VpcId", &net.vpc), ("EnableDnsHostnames.Value", "true")],
    );
    assert_eq!(name(&c), "ec2-198-18-0-1.sa-east-1.compute.amazonaws.com");
}

#[test]
fn without_groups_the_vpcs_default_group_is_used() {
    let c = Client::new();
    let net = c.net();
    c.launch(&net.subnet, &[]);
    c.launch(&net.subnet, &[("SecurityGroupId.1", &net.group)]);
    let shown = c.ok(
        "DescribeSecurityGroups",
        &[
            ("Filter.1.Name", "vpc-id"),
            ("Filter.1.Value.1", &net.vpc),
            ("Filter.2.Name", "group-name"),
            ("Filter.2.Value.1", "default"),
        ],
    );
    let default = text(&shown, "groupId");
    let groups: Vec<_> = c
        .sim
        .instances(default_account(), c.region)
        .into_iter()
        .map(|it| it.security_groups)
        .collect();
    assert_eq!(groups, [vec![default], vec![net.group]]);
}

#[test]
fn without_a_subnet_a_launch_goes_to_the_default_vpc_in_a_zone_that_has_the_type() {
    let c = Client::new();
    let zone = |it: &[String]| {
        let shown = c.sim.instances(default_account(), c.region);
        shown
            .iter()
            .find(|view| view.id == it[0])
            .unwrap()
            .zone
            .clone()
    };
    assert_eq!(zone(&c.launch("", &[("SubnetId", "")])), "sa-east-1a");
    let named = [
        ("SubnetId", ""),
        ("Placement.AvailabilityZone", "sa-east-1c"),
        ("InstanceType", "t2.micro"),
    ];
    assert_eq!(zone(&c.launch("", &named)), "sa-east-1c");
}

#[test]
fn every_instance_of_a_batch_gets_profile_tags_and_volume() {
    let c = Client::new();
    let net = c.net();
    c.service(
        "iam",
        "CreateInstanceProfile",
        &[("InstanceProfileName", "p")],
    )
    .unwrap();
    c.launch(
        &net.subnet,
        &[
            ("MinCount", "3"),
            ("MaxCount", "3"),
            ("IamInstanceProfile.Name", "p"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "k"),
            ("TagSpecification.1.Tag.1.Value", "v"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "60"),
            ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("MetadataOptions.HttpTokens", "required"),
            ("UserData", "aGVsbG8="),
        ],
    );
    for it in c.sim.instances(default_account(), c.region) {
        assert_eq!(it.instance_profile.as_deref(), Some("p"));
        assert_eq!(it.tags["k"], "v");
        assert_eq!(
            (it.disk_gb, it.encrypted, it.delete_on_termination),
            (Some(60), Some(true), Some(true))
        );
        assert_eq!(
            (it.http_tokens.as_str(), it.user_data.as_deref()),
            ("required", Some("aGVsbG8="))
        );
    }
    assert_eq!(
        texts(&c.ok("DescribeVolumes", &[]), "size"),
        ["60", "60", "60"]
    );
}

#[test]
fn the_vcpu_quota_bounds_a_launch() {
    let c = Client::with(|config| config.quotas.vcpus = Some(5));
    let net = c.net();
    assert_eq!(c.launch(&net.subnet, &[("MaxCount", "9")]).len(), 2);
    assert_eq!(c.launch_refusal(&net.subnet, &[]).code, "VcpuLimitExceeded");
}
