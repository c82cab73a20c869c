//! Which launches are refused, with EC2's codes and words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn a_type_that_the_zone_does_not_offer_is_unsupported_in_ec2s_words() {
    let c = Client::new();
    let net = c.net();
    for dry_run in ["false", "true"] {
        let error = c.launch_refusal(
            &net.subnet,
            &[("InstanceType", "t2.micro"), ("DryRun", dry_run)],
        );
        assert_eq!((error.status, &*error.code), (400, "Unsupported"));
        assert_eq!(
            error.message,
            "Your requested instance type (t2.micro) is not supported in your requested Availability Zone \
             (sa-east-1b). Please retry your request by not specifying an Availability Zone or choosing sa-east-1a, \
             sa-east-1c."
        );
    }
}

#[test]
fn a_dry_run_validates_everything_and_launches_nothing() {
    let c = Client::new();
    let net = c.net();
    let error = c.launch_refusal(&net.subnet, &[("DryRun", "true")]);
    assert_eq!((error.status, &*error.code), (412, "DryRunOperation"));
    assert!(c.states().is_empty());
    for (code, key, value) in [
        (
            "InvalidSubnetID.NotFound",
            "SubnetId",
            "subnet-00000000000000000",
        ),
        ("InvalidSubnetID.Malformed", "SubnetId", "subnet-x"),
        ("InvalidAMIID.NotFound", "ImageId", "ami-00000000000000000"),
        ("InvalidParameterValue", "InstanceType", "t3.mega"),
        (
            "InvalidGroup.NotFound",
            "SecurityGroupId.1",
            "sg-00000000000000000",
        ),
        ("InvalidParameterValue", "IamInstanceProfile.Name", "nobody"),
        ("InvalidParameterValue", "DryRun", "maybe"),
        ("UnknownParameter", "KernelId", "aki-1"),
    ] {
        assert_eq!(
            c.launch_refusal(&net.subnet, &[("DryRun", "true"), (key, value)])
                .code,
            code,
            "{key}"
        );
    }
}

#[test]
fn a_dry_run_promises_neither_capacity_nor_quota() {
    let c = Client::with(|config| config.quotas.vcpus = Some(0));
    let net = c.net();
    c.sim.set_capacity(
        default_account(),
        c.region,
        "sa-east-1b",
        "t3.micro",
        Some(0),
    );
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("DryRun", "true")]).code,
        "DryRunOperation"
    );
}

#[test]
fn an_unknown_profile_is_refused_in_ec2s_words() {
    let c = Client::new();
    let net = c.net();
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("IamInstanceProfile.Name", "nobody")])
            .message,
        "Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name"
    );
}

#[test]
fn image_and_type_must_have_one_architecture() {
    let c = Client::new();
    let net = c.net();
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("InstanceType", "t4g.micro")])
            .code,
        "InvalidParameterValue"
    );
    let arm = c.image("arm64");
    assert_eq!(
        c.launch(
            &net.subnet,
            &[("InstanceType", "t4g.micro"), ("ImageId", arm)]
        )
        .len(),
        1
    );
}

#[test]
fn a_group_of_another_vpc_belongs_to_a_different_network() {
    let c = Client::new();
    let net = c.net();
    let foreign = text(
        &c.ok("DescribeSecurityGroups", &[("GroupName.1", "default")]),
        "groupId",
    );
    let error = c.launch_refusal(&net.subnet, &[("SecurityGroupId.1", &foreign)]);
    let expected = format!(
        "Security group {foreign} and subnet {} belong to different networks.",
        net.subnet
    );
    assert_eq!(
        (&*error.code, error.message),
        ("InvalidParameter", expected)
    );
}

#[test]
fn an_interface_takes_five_groups() {
    let c = Client::new();
    let net = c.net();
    let ids: Vec<String> = (0..6)
        .map(|n| {
            let name = format!("g{n}");
            let ask = [
                ("VpcId", net.vpc.as_str()),
                ("GroupName", &name),
                ("GroupDescription", "d"),
            ];
            text(&c.ok("CreateSecurityGroup", &ask), "groupId")
        })
        .collect();
    let names: Vec<String> = (1..=6).map(|n| format!("SecurityGroupId.{n}")).collect();
    let all: Vec<(&str, &str)> = names
        .iter()
        .zip(&ids)
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        c.launch_refusal(&net.subnet, &all).code,
        "SecurityGroupsPerInterfaceLimitExceeded"
    );
    assert_eq!(c.launch(&net.subnet, &all[..5]).len(), 1);
}

#[test]
fn user_data_is_base64_of_at_most_16_kb() {
    let c = Client::new();
    let net = c.net();
    let (most, more) = (
        STANDARD.encode(vec![b'x'; 16 * 1024]),
        STANDARD.encode(vec![b'x'; 16 * 1024 + 1]),
    );
    assert_eq!(c.launch(&net.subnet, &[("UserData", &most)]).len(), 1);
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("UserData", &more)]).code,
        "InvalidParameterValue"
    );
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("UserData", "%%%")]).code,
        "InvalidParameterValue"
    );
}

#[test]
fn a_client_token_has_at_most_64_ascii_characters() {
    let c = Client::new();
    let net = c.net();
    let (most, more) = ("x".repeat(64), "x".repeat(65));
    assert_eq!(c.launch(&net.subnet, &[("ClientToken", &most)]).len(), 1);
    for bad in [more.as_str(), "schlüssel"] {
        assert_eq!(
            c.launch_refusal(&net.subnet, &[("ClientToken", bad)]).code,
            "InvalidParameterValue"
        );
    }
}

#[test]
fn the_root_volume_must_hold_the_images_snapshot() {
    let c = Client::new();
    let net = c.net();
    for (size, device, code) in [
        ("7", "/dev/sda1", "InvalidBlockDeviceMapping"),
        ("8", "/dev/sdb", "InvalidBlockDeviceMapping"),
        ("0", "/dev/sda1", "InvalidParameterValue"),
        ("99999999999999999999", "/dev/sda1", "InvalidParameterValue"),
    ] {
        let ask = [
            ("BlockDeviceMapping.1.DeviceName", device),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", size),
        ];
        assert_eq!(
            c.launch_refusal(&net.subnet, &ask).code,
            code,
            "{size} on {device}"
        );
    }
}

#[test]
fn counts_must_be_sound() {
    let c = Client::new();
    let net = c.net();
    for (min, max) in [
        ("0", "1"),
        ("2", "1"),
        ("1", "-1"),
        ("1", "100000"),
        ("one", "1"),
    ] {
        let error = c.launch_refusal(&net.subnet, &[("MinCount", min), ("MaxCount", max)]);
        assert_eq!(error.code, "InvalidParameterValue", "{min} {max}");
    }
    assert_eq!(
        c.launch_refusal(&net.subnet, &[("MaxCount", "")]).code,
        "MissingParameter"
    );
}

#[test]
fn subnet_and_groups_stand_at_the_launch_or_at_its_interface() {
    let c = Client::new();
    let net = c.net();
    let interface = [
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.SubnetId", net.subnet.as_str()),
    ];
    assert_eq!(
        c.launch_refusal(&net.subnet, &interface).code,
        "InvalidParameterCombination"
    );
    let groups = [
        interface[0],
        interface[1],
        ("SubnetId", ""),
        ("SecurityGroupId.1", net.group.as_str()),
    ];
    assert_eq!(
        c.launch_refusal("", &groups).code,
        "InvalidParameterCombination"
    );
}

#[test]
fn tag_specifications_are_for_what_the_action_creates() {
    let c = Client::new();
    let net = c.net();
    let tag = |kind| {
        [
            ("TagSpecification.1.ResourceType", kind),
            ("TagSpecification.1.Tag.1.Key", "k"),
            ("TagSpecification.1.Tag.1.Value", "v"),
        ]
    };
    assert_eq!(
        c.launch_refusal(&net.subnet, &tag("vpc")).code,
        "InvalidParameterValue"
    );
    assert_eq!(c.launch(&net.subnet, &tag("volume")).len(), 1);
    assert_eq!(text(&c.ok("DescribeTags", &[]), "resourceType"), "volume");
}
