//! The actions of EC2: one table, one function each.

mod account;
mod addresses;
mod cidr;
mod describe_instances;
mod images;
mod instance_state;
mod instance_status;
mod instance_types;
mod internet_gateways;
mod launch;
mod launch_plan;
mod regions;
mod route_tables;
mod routes;
mod run_instances;
mod security_group_rules;
mod security_groups;
mod subnets;
mod tags;
mod volumes;
mod vpcs;

use crate::call::Call;
use crate::protocol::{ApiError, Outcome};

type Action = fn(&mut Call<'_>) -> Outcome;

const ACTIONS: &[(&str, Action)] = &[
    ("AllocateAddress", addresses::allocate),
    ("AssociateAddress", addresses::associate),
    ("AssociateRouteTable", route_tables::associate),
    ("AttachInternetGateway", internet_gateways::attach),
    (
        "AuthorizeSecurityGroupIngress",
        security_group_rules::authorize_ingress,
    ),
    ("CreateInternetGateway", internet_gateways::create),
    ("CreateRoute", routes::create),
    ("CreateRouteTable", route_tables::create),
    ("CreateSecurityGroup", security_groups::create),
    ("CreateSubnet", subnets::create),
    ("CreateTags", tags::create),
    ("CreateVpc", vpcs::create),
    ("DeleteInternetGateway", internet_gateways::delete),
    ("DeleteRoute", routes::delete),
    ("DeleteRouteTable", route_tables::delete),
    ("DeleteSecurityGroup", security_groups::delete),
    ("DeleteSubnet", subnets::delete),
    ("DeleteTags", tags::delete),
    ("DeleteVpc", vpcs::delete),
    ("DescribeAccountAttributes", account::describe_attributes),
    ("DescribeAddresses", addresses::describe),
    ("DescribeAvailabilityZones", regions::describe_zones),
    (
        "DescribeIamInstanceProfileAssociations",
        instance_status::profile_associations,
    ),
    ("DescribeImages", images::describe),
    ("DescribeInstanceStatus", instance_status::status),
    (
        "DescribeInstanceTypeOfferings",
        instance_types::describe_offerings,
    ),
    ("DescribeInstanceTypes", instance_types::describe),
    ("DescribeInstances", describe_instances::describe),
    ("DescribeInternetGateways", internet_gateways::describe),
    ("DescribeRegions", regions::describe),
    ("DescribeRouteTables", route_tables::describe),
    ("DescribeSecurityGroups", security_groups::describe),
    ("DescribeSubnets", subnets::describe),
    ("DescribeTags", tags::describe),
    ("DescribeVolumes", volumes::describe),
    ("DescribeVpcAttribute", vpcs::describe_attribute),
    ("DescribeVpcs", vpcs::describe),
    ("DetachInternetGateway", internet_gateways::detach),
    ("DisassociateAddress", addresses::disassociate),
    ("DisassociateRouteTable", route_tables::disassociate),
    ("GetConsoleOutput", instance_state::console_output),
    ("ModifySubnetAttribute", subnets::modify_attribute),
    ("ModifyVpcAttribute", vpcs::modify_attribute),
    ("RebootInstances", instance_state::reboot),
    ("ReleaseAddress", addresses::release),
    (
        "RevokeSecurityGroupIngress",
        security_group_rules::revoke_ingress,
    ),
    ("RunInstances", run_instances::run),
    ("StartInstances", instance_state::start),
    ("StopInstances", instance_state::stop),
    ("TerminateInstances", instance_state::terminate),
];

/// The actions that have no `DryRun` parameter in EC2's interface.
const WITHOUT_DRY_RUN: &[&str] = &[
    "DescribeIamInstanceProfileAssociations",
    "ModifySubnetAttribute",
    "ModifyVpcAttribute",
];

pub(crate) fn run(call: &mut Call<'_>, name: &str) -> Outcome {
    let Some((_, action)) = ACTIONS.iter().find(|(known, _)| *known == name) else {
        let message = format!("The action {name} is not valid for this web service.");
        return Err(ApiError::bad("InvalidAction", message));
    };
    if !WITHOUT_DRY_RUN.contains(&name) {
        call.accept_dry_run()?;
    }
    action(call)
}

pub(crate) fn names() -> Vec<&'static str> {
    ACTIONS.iter().map(|(name, _)| *name).collect()
}
