//! The life of instances in simulated time.

use super::*;

#[test]
fn instances_boot_within_the_configured_time_and_not_before() {
    let c = Client::with(|config| config.boot_ms = 5_000..16_000);
    let net = c.net();
    c.launch(&net.subnet, &[("MaxCount", "9")]);
    c.sim.advance(4_999);
    assert!(c.states().iter().all(|it| it == "pending"));
    c.sim.advance(5_000);
    let some = c.states();
    assert!(
        some.contains(&"pending".to_owned()) && some.contains(&"running".to_owned()),
        "they differ"
    );
    c.sim.advance(6_001);
    assert!(c.states().iter().all(|it| it == "running"));
}

#[test]
fn the_same_seed_gives_the_same_ids() {
    let ids = |seed| {
        let c = Client::with(|config| config.seed = seed);
        let net = c.net();
        c.launch(&net.subnet, &[("MaxCount", "2")])
    };
    assert_eq!(ids(7), ids(7));
    assert_ne!(ids(7), ids(8));
}

#[test]
fn a_terminated_instance_is_visible_for_an_hour() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[]);
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(c.states(), ["shutting-down"]);
    c.sim.advance(1_000);
    assert_eq!(c.states(), ["terminated"]);
    let shown = c.ok("DescribeInstances", &[("InstanceId.1", &ids[0])]);
    assert!(texts(&shown, "subnetId").is_empty() && texts(&shown, "privateIpAddress").is_empty());
    let by_vpc = [
        ("Filter.1.Name", "vpc-id"),
        ("Filter.1.Value.1", net.vpc.as_str()),
    ];
    assert!(texts(&c.ok("DescribeInstances", &by_vpc), "instanceId").is_empty());
    c.sim.advance(3_598_000);
    assert_eq!(c.states(), ["terminated"]);
    c.sim.advance(2_000);
    assert!(c.states().is_empty());
    assert_eq!(
        c.code("DescribeInstances", &[("InstanceId.1", &ids[0])]),
        "InvalidInstanceID.NotFound"
    );
}

#[test]
fn terminating_is_idempotent_and_one_unknown_id_fails_the_whole_call() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[]);
    let unknown = [
        ("InstanceId.1", ids[0].as_str()),
        ("InstanceId.2", "i-00000000000000000"),
    ];
    assert_eq!(
        c.code("TerminateInstances", &unknown),
        "InvalidInstanceID.NotFound"
    );
    assert_eq!(c.states(), ["pending"]);
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.sim.advance(1_000);
    let again = c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(texts(&again, "name"), ["terminated", "terminated"]);
}

#[test]
fn the_volume_goes_with_the_instance_unless_it_is_to_stay() {
    let c = Client::new();
    let net = c.net();
    let goes = c.launch(&net.subnet, &[]);
    let stays = c.launch(
        &net.subnet,
        &[
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "false"),
        ],
    );
    c.ok(
        "TerminateInstances",
        &[("InstanceId.1", &goes[0]), ("InstanceId.2", &stays[0])],
    );
    c.sim.advance(1_000);
    let shown = c.ok("DescribeVolumes", &[]);
    assert_eq!(texts(&shown, "volumeId").len(), 1);
    assert_eq!(text(&shown, "status"), "available");
}

#[test]
fn stop_gives_the_public_address_back_and_start_gives_another() {
    let c = Client::new();
    let net = c.net();
    c.ok(
        "ModifySubnetAttribute",
        &[
            ("SubnetId", &net.subnet),
            ("MapPublicIpOnLaunch.Value", "true"),
        ],
    );
    let ids = c.launch(&net.subnet, &[]);
    let public = || c.sim.instances(default_account(), c.region)[0].public_ip;
    let first = public();
    assert_eq!(
        c.code("StopInstances", &[("InstanceId.1", &ids[0])]),
        "IncorrectInstanceState"
    );
    c.sim.advance(1_000);
    c.ok("RebootInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(public(), first, "a reboot keeps it");
    c.ok("StopInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(public(), None);
    assert_eq!(
        c.code("StartInstances", &[("InstanceId.1", &ids[0])]),
        "IncorrectInstanceState"
    );
    c.sim.advance(1_000);
    c.ok("StartInstances", &[("InstanceId.1", &ids[0])]);
    assert!(public().is_some() && public() != first);
}

#[test]
fn an_elastic_address_stays_over_a_stop_and_is_free_at_termination() {
    let c = Client::new();
    let ids = c.launch("", &[("SubnetId", "")]);
    c.sim.advance(1_000);
    let address = c.ok("AllocateAddress", &[]);
    let (allocation, ip) = (text(&address, "allocationId"), text(&address, "publicIp"));
    c.ok(
        "AssociateAddress",
        &[("AllocationId", &allocation), ("InstanceId", &ids[0])],
    );
    let public = || {
        c.sim.instances(default_account(), c.region)[0]
            .public_ip
            .map(|ip| ip.to_string())
    };
    c.ok("StopInstances", &[("InstanceId.1", &ids[0])]);
    c.sim.advance(1_000);
    assert_eq!(public(), Some(ip.clone()));
    c.ok("StartInstances", &[("InstanceId.1", &ids[0])]);
    assert_eq!(public(), Some(ip));
    assert_eq!(
        c.code("ReleaseAddress", &[("AllocationId", &allocation)]),
        "InvalidIPAddress.InUse"
    );
    c.ok("TerminateInstances", &[("InstanceId.1", &ids[0])]);
    c.ok("ReleaseAddress", &[("AllocationId", &allocation)]);
}

#[test]
fn a_protected_instance_is_not_terminated_by_the_api() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[("DisableApiTermination", "true")]);
    assert_eq!(
        c.code("TerminateInstances", &[("InstanceId.1", &ids[0])]),
        "OperationNotPermitted"
    );
}

#[test]
fn a_stopped_instance_frees_its_capacity_and_needs_it_again() {
    let c = Client::new();
    let net = c.net();
    let ids = c.launch(&net.subnet, &[]);
    c.sim.advance(1_000);
    c.ok("StopInstances", &[("InstanceId.1", &ids[0])]);
    c.sim.advance(1_000);
    c.sim.set_capacity(
        default_account(),
        c.region,
        "sa-east-1b",
        "t3.micro",
        Some(1),
    );
    c.launch(&net.subnet, &[]);
    assert_eq!(
        c.code("StartInstances", &[("InstanceId.1", &ids[0])]),
        "InsufficientInstanceCapacity"
    );
}

#[test]
fn status_is_shown_for_running_instances_unless_all_are_asked_for() {
    let c = Client::new();
    let net = c.net();
    c.launch(&net.subnet, &[]);
    assert!(texts(&c.ok("DescribeInstanceStatus", &[]), "instanceId").is_empty());
    let all = c.ok("DescribeInstanceStatus", &[("IncludeAllInstances", "true")]);
    assert_eq!(text(&all, "status"), "initializing");
    c.sim.advance(1_000);
    assert_eq!(text(&c.ok("DescribeInstanceStatus", &[]), "status"), "ok");
}
