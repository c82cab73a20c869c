#!/usr/bin/env python3
"""Drives every action of the simulator with boto3 and checks what boto3 makes of the answers.

    drive_with_boto3.py http://127.0.0.1:4566

The simulator must be fresh and have phases of well under a second. Fails when an action that GET /_sim/actions lists was
not driven.
"""

import base64
import json
import sys
import time
import traceback
import urllib.request
from contextlib import contextmanager

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:4566"
ACCOUNT = "123456789012"
DRIVEN = set()
CASES = []


def client(service, region="sa-east-1", key="test", token=None):
    made = boto3.client(
        service,
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id=key,
        aws_secret_access_key="test",
        aws_session_token=token,
        # One attempt: an error that boto3 would try again is to be seen.
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )
    made.meta.events.register("before-call", lambda model, **_: DRIVEN.add(f"{service}:{model.name}"))
    return made


ec2, iam, sts, route53 = client("ec2"), client("iam"), client("sts"), client("route53")


def case(function):
    CASES.append(function)
    return function


@contextmanager
def refused(code, status=400):
    """The block must end with this error."""
    try:
        yield
    except ClientError as error:
        got = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert got == (code, status), f"expected {(code, status)}, got {got}: {error}"
    else:
        raise AssertionError(f"expected {code}, but nothing was refused")


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{ENDPOINT}/_sim{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def tags(kind, **values):
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in values.items()]}]


def tag_map(resource):
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", [])}


def by(name, *values):
    return [{"Name": name, "Values": list(values)}]


def eventually(check, what, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def instance(instance_id, api=ec2):
    [reservation] = api.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return reservation["Instances"][0]


def reach(state, *ids, api=ec2):
    eventually(lambda: all(instance(i, api)["State"]["Name"] == state for i in ids), state)


def image(api=ec2, arch="amd64"):
    name = f"ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{arch}-server-*"
    found = api.describe_images(Owners=["099720109477"], Filters=by("name", name))["Images"]
    return max(found, key=lambda it: it["CreationDate"])


class Network:
    """A VPC with a subnet per zone, made once and used by the cases after it."""

    vpc = gateway = table = group = None
    subnets = {}


@case
def regions_and_zones():
    regions = {it["RegionName"]: it for it in ec2.describe_regions()["Regions"]}
    assert len(regions) > 20 and regions["sa-east-1"]["Endpoint"] == "ec2.sa-east-1.amazonaws.com"
    assert not [it for it in regions if it.startswith(("cn-", "us-gov-"))]
    [one] = ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]
    assert one["RegionName"] == "eu-west-1"
    with refused("InvalidParameterValue"):
        ec2.describe_regions(RegionNames=["mars-1"])
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [z["ZoneName"] for z in zones] == ["sa-east-1a", "sa-east-1b", "sa-east-1c"]
    assert all(z["ZoneId"].startswith("sae1-az") and z["State"] == "available" for z in zones)
    [zone] = ec2.describe_availability_zones(Filters=by("zone-name", "*b"))["AvailabilityZones"]
    assert zone["ZoneName"] == "sa-east-1b"
    with refused("DryRunOperation", 412):
        ec2.describe_regions(DryRun=True)


@case
def instance_types_and_offerings():
    [micro] = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]
    assert (micro["VCpuInfo"]["DefaultVCpus"], micro["MemoryInfo"]["SizeInMiB"]) == (2, 1024)
    assert micro["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 7})
    names = [it["InstanceType"] for page in pages for it in page["InstanceTypes"]]
    assert len(names) == len(set(names)) >= 40
    arm = ec2.describe_instance_types(Filters=by("processor-info.supported-architecture", "arm64"))["InstanceTypes"]
    assert "t4g.micro" in [it["InstanceType"] for it in arm]
    with refused("InvalidInstanceType"):
        ec2.describe_instance_types(InstanceTypes=["u-12tb1.metal"])
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=by("instance-type", "t2.micro")
    )["InstanceTypeOfferings"]
    assert [it["Location"] for it in offered] == ["sa-east-1a", "sa-east-1c"]
    region = ec2.describe_instance_type_offerings(Filters=by("instance-type", "t2.micro"))["InstanceTypeOfferings"]
    assert [it["Location"] for it in region] == ["sa-east-1"]
    with refused("InvalidParameterCombination"):
        ec2.describe_instance_types(InstanceTypes=["t3.micro"], MaxResults=5)
    with refused("InvalidParameterValue"):
        ec2.describe_instance_types(InstanceTypes=[f"x{n}.large" for n in range(101)])


@case
def what_an_account_is_offered():
    order = {"region": "sa-east-1", "zone": "*", "instance_type": "t3a.*", "on": False}
    control("POST", "/offering", order)
    paged = ec2.get_paginator("describe_instance_type_offerings")
    pages = paged.paginate(LocationType="availability-zone", PaginationConfig={"PageSize": 20})
    offered = {(it["InstanceType"], it["Location"]) for page in pages for it in page["InstanceTypeOfferings"]}
    assert ("t3.micro", "sa-east-1b") in offered and not [it for it, _ in offered if it.startswith("t3a.")]
    control("POST", "/offering", {**order, "on": True})
    control("POST", "/zone-state", {"region": "sa-east-1", "zone": "sa-east-1c", "state": "constrained"})
    [zone] = ec2.describe_availability_zones(Filters=by("state", "constrained"))["AvailabilityZones"]
    assert (zone["ZoneName"], zone["State"]) == ("sa-east-1c", "constrained")
    control("POST", "/zone-state", {"region": "sa-east-1", "zone": "sa-east-1c", "state": "available"})
    [metal] = ec2.describe_instance_types(Filters=by("bare-metal", "true"))["InstanceTypes"]
    assert (metal["InstanceType"], metal["BareMetal"]) == ("m5.metal", True)
    control("POST", "/opt-in", {"region": "af-south-1", "on": False})
    off = ec2.describe_regions(AllRegions=True, Filters=by("opt-in-status", "not-opted-in"))["Regions"]
    assert [it["RegionName"] for it in off] == ["af-south-1"]
    control("POST", "/opt-in", {"region": "af-south-1", "on": True})


@case
def images():
    newest = image()
    assert newest["Architecture"] == "x86_64" and newest["OwnerId"] == "099720109477"
    assert newest["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 8
    assert image(arch="arm64")["Architecture"] == "arm64"
    assert newest["ImageId"] != image(client("ec2", "us-east-1"))["ImageId"]
    [trusty] = ec2.describe_images(ImageIds=["ami-4d883350"])["Images"]
    assert "trusty-14.04" in trusty["Name"]
    with refused("InvalidAMIID.NotFound"):
        client("ec2", "us-east-1").describe_images(ImageIds=["ami-4d883350"])
    with refused("InvalidAMIID.Malformed"):
        ec2.describe_images(ImageIds=["ami-xyz"])
    with refused("InvalidParameterValue"):
        ec2.describe_images(Filters=by("color", "red"))
    assert ec2.describe_images(Owners=["self"])["Images"] == []


@case
def the_default_vpc():
    [vpc] = ec2.describe_vpcs(Filters=by("is-default", "true"))["Vpcs"]
    assert vpc["CidrBlock"] == "172.31.0.0/16" and vpc["State"] == "available"
    subnets = ec2.describe_subnets(Filters=by("vpc-id", vpc["VpcId"]))["Subnets"]
    assert sorted(it["AvailabilityZone"][-1] for it in subnets) == ["a", "b", "c"]
    assert all(it["AvailableIpAddressCount"] == 4091 and it["DefaultForAz"] for it in subnets)
    attributes = ec2.describe_account_attributes()["AccountAttributes"]
    values = {it["AttributeName"]: it["AttributeValues"][0]["AttributeValue"] for it in attributes}
    assert values["default-vpc"] == vpc["VpcId"] and values["supported-platforms"] == "VPC"


@case
def vpc_life():
    made = ec2.create_vpc(CidrBlock="10.78.0.0/16", TagSpecifications=tags("vpc", Name="dc-vpc"))["Vpc"]
    Network.vpc = made["VpcId"]
    assert made["CidrBlock"] == "10.78.0.0/16" and tag_map(made) == {"Name": "dc-vpc"} and not made["IsDefault"]
    [found] = ec2.describe_vpcs(Filters=by("tag:Name", "dc-vpc"))["Vpcs"]
    assert found["VpcId"] == Network.vpc
    ec2.modify_vpc_attribute(VpcId=Network.vpc, EnableDnsHostnames={"Value": True})
    attribute = ec2.describe_vpc_attribute(VpcId=Network.vpc, Attribute="enableDnsHostnames")
    assert attribute["EnableDnsHostnames"]["Value"] is True
    with refused("InvalidVpc.Range"):
        ec2.create_vpc(CidrBlock="10.0.0.0/8")
    with refused("InvalidParameterValue"):
        ec2.create_vpc(CidrBlock="10.0.0.300/16")
    with refused("InvalidParameterValue"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("subnet", Name="x"))
    with refused("DryRunOperation", 412):
        ec2.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    extra = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(3)]
    with refused("VpcLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    for vpc in extra:
        ec2.delete_vpc(VpcId=vpc)
    with refused("InvalidVpcID.NotFound"):
        ec2.delete_vpc(VpcId=extra[0])
    with refused("InvalidVpcID.Malformed"):
        ec2.delete_vpc(VpcId="vpc-nonsense")


@case
def subnet_life():
    for at, zone in enumerate("abc"):
        subnet = ec2.create_subnet(
            VpcId=Network.vpc,
            CidrBlock=f"10.78.{64 * at}.0/18",
            AvailabilityZone=f"sa-east-1{zone}",
            TagSpecifications=tags("subnet", Name="dc-subnet"),
        )["Subnet"]
        assert subnet["AvailableIpAddressCount"] == 2**14 - 5 and not subnet["MapPublicIpOnLaunch"]
        Network.subnets[zone] = subnet["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=Network.subnets["a"], MapPublicIpOnLaunch={"Value": True})
    [first] = ec2.describe_subnets(SubnetIds=[Network.subnets["a"]])["Subnets"]
    assert first["MapPublicIpOnLaunch"] and tag_map(first) == {"Name": "dc-subnet"}
    with refused("InvalidSubnet.Conflict"):
        ec2.create_subnet(VpcId=Network.vpc, CidrBlock="10.78.1.0/24")
    for cidr in ("10.79.0.0/24", "10.78.192.0/29"):
        with refused("InvalidSubnet.Range"):
            ec2.create_subnet(VpcId=Network.vpc, CidrBlock=cidr)
    with refused("InvalidParameterValue"):
        ec2.create_subnet(VpcId=Network.vpc, CidrBlock="10.78.192.0/24", AvailabilityZone="us-east-1a")
    with refused("DependencyViolation"):
        ec2.delete_vpc(VpcId=Network.vpc)
    small = ec2.create_subnet(VpcId=Network.vpc, CidrBlock="10.78.192.0/28")["Subnet"]
    assert small["AvailableIpAddressCount"] == 11
    ec2.delete_subnet(SubnetId=small["SubnetId"])
    with refused("InvalidSubnetID.NotFound"):
        ec2.describe_subnets(SubnetIds=[small["SubnetId"]])


@case
def gateway_life():
    made = ec2.create_internet_gateway(TagSpecifications=tags("internet-gateway", Name="dc-gateway"))
    Network.gateway = made["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=Network.gateway, VpcId=Network.vpc)
    with refused("Resource.AlreadyAssociated"):
        ec2.attach_internet_gateway(InternetGatewayId=Network.gateway, VpcId=Network.vpc)
    [found] = ec2.describe_internet_gateways(Filters=by("attachment.vpc-id", Network.vpc))["InternetGateways"]
    assert found["Attachments"] == [{"State": "available", "VpcId": Network.vpc}]
    with refused("DependencyViolation"):
        ec2.delete_internet_gateway(InternetGatewayId=Network.gateway)
    spare = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    with refused("Gateway.NotAttached"):
        ec2.detach_internet_gateway(InternetGatewayId=spare, VpcId=Network.vpc)
    ec2.delete_internet_gateway(InternetGatewayId=spare)
    with refused("InvalidInternetGatewayID.NotFound"):
        ec2.delete_internet_gateway(InternetGatewayId=spare)


@case
def route_table_life():
    ask = dict(VpcId=Network.vpc, ClientToken="table-1", TagSpecifications=tags("route-table", Name="dc-route-table"))
    table = ec2.create_route_table(**ask)["RouteTable"]
    Network.table = table["RouteTableId"]
    assert [r["GatewayId"] for r in table["Routes"]] == ["local"]
    assert ec2.create_route_table(**ask)["RouteTable"]["RouteTableId"] == Network.table
    with refused("IdempotentParameterMismatch"):
        ec2.create_route_table(VpcId=Network.vpc, ClientToken="table-1")
    route = dict(RouteTableId=Network.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=Network.gateway)
    assert ec2.create_route(**route)["Return"] is True
    with refused("RouteAlreadyExists"):
        ec2.create_route(**route)
    ids = {}
    for zone, subnet in Network.subnets.items():
        ids[zone] = ec2.associate_route_table(RouteTableId=Network.table, SubnetId=subnet)["AssociationId"]
    with refused("DependencyViolation"):
        ec2.delete_route_table(RouteTableId=Network.table)
    [found] = ec2.describe_route_tables(Filters=by("association.subnet-id", Network.subnets["a"]))["RouteTables"]
    assert found["RouteTableId"] == Network.table and len(found["Associations"]) == 3
    assert {r["State"] for r in found["Routes"]} == {"active"}
    [main] = ec2.describe_route_tables(
        Filters=by("association.main", "true") + by("vpc-id", Network.vpc)
    )["RouteTables"]
    assert main["Associations"][0]["Main"] is True
    ec2.disassociate_route_table(AssociationId=ids["c"])
    with refused("InvalidAssociationID.NotFound"):
        ec2.disassociate_route_table(AssociationId=ids["c"])
    ec2.associate_route_table(RouteTableId=Network.table, SubnetId=Network.subnets["c"])
    other = ec2.create_route_table(VpcId=Network.vpc)["RouteTable"]["RouteTableId"]
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_route_table(RouteTableId=other, SubnetId=Network.subnets["c"])
    ec2.create_route(RouteTableId=other, DestinationCidrBlock="0.0.0.0/0", GatewayId=Network.gateway)
    ec2.delete_route(RouteTableId=other, DestinationCidrBlock="0.0.0.0/0")
    with refused("InvalidRoute.NotFound"):
        ec2.delete_route(RouteTableId=other, DestinationCidrBlock="0.0.0.0/0")
    ec2.delete_route_table(RouteTableId=other)


@case
def security_group_life():
    made = ec2.create_security_group(
        GroupName="dc-vpc-default",
        Description="all open",
        VpcId=Network.vpc,
        TagSpecifications=tags("security-group", Name="dc-vpc-default"),
    )
    Network.group = made["GroupId"]
    assert tag_map(made) == {"Name": "dc-vpc-default"}
    with refused("InvalidGroup.Duplicate"):
        ec2.create_security_group(GroupName="dc-vpc-default", Description="again", VpcId=Network.vpc)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}]}]
    rules = ec2.authorize_security_group_ingress(GroupId=Network.group, IpPermissions=everything)
    [rule] = rules["SecurityGroupRules"]
    assert rule["CidrIpv4"] == "0.0.0.0/0" and rule["IpProtocol"] == "-1" and rule["FromPort"] == -1
    with refused("InvalidPermission.Duplicate"):
        ec2.authorize_security_group_ingress(GroupId=Network.group, IpPermissions=everything)
    more = [
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [{"CidrIp": "10.0.0.0/8"}, {"CidrIp": "192.168.0.0/16"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
            "UserIdGroupPairs": [{"GroupId": Network.group, "UserId": ACCOUNT}],
        }
    ]
    ec2.authorize_security_group_ingress(GroupId=Network.group, IpPermissions=more)
    [shown] = ec2.describe_security_groups(GroupIds=[Network.group])["SecurityGroups"]
    ssh = [it for it in shown["IpPermissions"] if it["IpProtocol"] == "tcp"]
    assert len(ssh) == 1 and len(ssh[0]["IpRanges"]) == 2 and ssh[0]["UserIdGroupPairs"][0]["GroupId"] == Network.group
    assert shown["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    revoked = ec2.revoke_security_group_ingress(GroupId=Network.group, IpPermissions=more)
    assert len(revoked["RevokedSecurityGroupRules"]) == 4
    with refused("InvalidPermission.NotFound"):
        ec2.revoke_security_group_ingress(GroupId=Network.group, IpPermissions=more)
    many = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]} for p in range(60)]
    with refused("RulesPerSecurityGroupLimitExceeded"):
        ec2.authorize_security_group_ingress(GroupId=Network.group, IpPermissions=many)
    spare = ec2.create_security_group(GroupName="spare", Description="spare", VpcId=Network.vpc)["GroupId"]
    ec2.delete_security_group(GroupId=spare)
    with refused("InvalidGroup.NotFound"):
        ec2.delete_security_group(GroupId=spare)
    [default] = ec2.describe_security_groups(
        Filters=by("vpc-id", Network.vpc) + by("group-name", "default")
    )["SecurityGroups"]
    with refused("CannotDelete"):
        ec2.delete_security_group(GroupId=default["GroupId"])


@case
def profiles():
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="node", AssumeRolePolicyDocument=trust)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/node" and role["AssumeRolePolicyDocument"]["Version"] == "2012-10-17"
    made = iam.create_instance_profile(InstanceProfileName="node-profile")["InstanceProfile"]
    assert made["InstanceProfileId"].startswith("AIPA") and made["Roles"] == []
    with refused("EntityAlreadyExists", 409):
        iam.create_instance_profile(InstanceProfileName="node-profile")
    iam.add_role_to_instance_profile(InstanceProfileName="node-profile", RoleName="node")
    got = iam.get_instance_profile(InstanceProfileName="node-profile")["InstanceProfile"]
    assert [it["RoleName"] for it in got["Roles"]] == ["node"]
    with refused("NoSuchEntity", 404):
        iam.get_instance_profile(InstanceProfileName="nobody")
    iam.create_instance_profile(InstanceProfileName="spare")
    iam.add_role_to_instance_profile(InstanceProfileName="spare", RoleName="node")
    with refused("DeleteConflict", 409):
        iam.delete_instance_profile(InstanceProfileName="spare")
    iam.remove_role_from_instance_profile(InstanceProfileName="spare", RoleName="node")
    iam.delete_instance_profile(InstanceProfileName="spare")
    names = [it["InstanceProfileName"] for it in iam.list_instance_profiles()["InstanceProfiles"]]
    assert names == ["node-profile"]


@case
def names():
    made = route53.create_hosted_zone(Name="example.com", CallerReference="one")
    zone = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
    assert made["HostedZone"]["Name"] == "example.com." and len(made["DelegationSet"]["NameServers"]) == 4
    assert route53.get_hosted_zone(Id=zone)["HostedZone"]["ResourceRecordSetCount"] == 2
    [listed] = route53.list_hosted_zones()["HostedZones"]
    assert listed["Id"] == f"/hostedzone/{zone}" and listed["Config"]["PrivateZone"] is False
    with refused("NoSuchHostedZone", 404):
        route53.get_hosted_zone(Id="Z1")

    def change(action, name, value):
        record = {"Name": name, "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": value}]}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]

    info = change("CREATE", "*.a.example.com", "192.0.2.1")
    assert info["Status"] == "PENDING" and info["SubmittedAt"]
    eventually(lambda: route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC", "the change is everywhere")
    *_, shown = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    expected = {"Name": r"\052.a.example.com.", "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    assert shown == expected, shown
    # boto3 reads no code in the answer, whose root is not that of other errors.
    with refused(""):
        change("CREATE", "*.a.example.com", "192.0.2.1")
    change("DELETE", "*.a.example.com", "192.0.2.1")
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone, PaginationConfig={"PageSize": 1})
    assert [it["Type"] for page in pages for it in page["ResourceRecordSets"]] == ["NS", "SOA"]


def launch(api=ec2, **more):
    ask = dict(ImageId=image(api)["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1)
    ask.update(more)
    return api.run_instances(**ask)


@case
def launch_and_terminate():
    ask = dict(
        MinCount=1,
        MaxCount=3,
        SubnetId=Network.subnets["b"],
        SecurityGroupIds=[Network.group],
        ClientToken="launch-1",
        UserData="#!/bin/sh\n",
        IamInstanceProfile={"Name": "node-profile"},
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {"VolumeSize": 60, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2},
        TagSpecifications=tags("instance", Name="n") + tags("volume", Name="v") + tags("network-interface", Name="e"),
    )
    with refused("DryRunOperation", 412):
        launch(**ask, DryRun=True)
    answer = launch(**ask)
    ids = [it["InstanceId"] for it in answer["Instances"]]
    assert len(ids) == 3 and answer["Instances"][0]["State"] == {"Code": 0, "Name": "pending"}
    assert [it["AmiLaunchIndex"] for it in answer["Instances"]] == [0, 1, 2]
    again = launch(**ask)
    assert again["ReservationId"] == answer["ReservationId"]
    assert [it["InstanceId"] for it in again["Instances"]] == ids
    with refused("IdempotentParameterMismatch"):
        launch(**{**ask, "MaxCount": 2})
    elsewhere = launch(**{**ask, "SubnetId": Network.subnets["c"], "MaxCount": 1})
    assert elsewhere["ReservationId"] != answer["ReservationId"]
    reach("running", *ids)
    one = instance(ids[0])
    assert one["SubnetId"] == Network.subnets["b"] and one["Placement"]["AvailabilityZone"] == "sa-east-1b"
    assert one["IamInstanceProfile"]["Arn"].endswith(":instance-profile/node-profile")
    assert one["PrivateIpAddress"].startswith("10.78.") and "PublicIpAddress" not in one
    assert one["MetadataOptions"]["HttpTokens"] == "required" and one["ClientToken"] == "launch-1"
    assert one["SecurityGroups"] == [{"GroupId": Network.group, "GroupName": "dc-vpc-default"}]
    assert tag_map(one) == {"Name": "n"} and one["NetworkInterfaces"][0]["PrivateIpAddresses"][0]["Primary"]
    assert len({instance(i)["PrivateIpAddress"] for i in ids}) == 3
    [subnet] = ec2.describe_subnets(SubnetIds=[Network.subnets["b"]])["Subnets"]
    assert subnet["AvailableIpAddressCount"] == 2**14 - 5 - 3
    volumes = ec2.describe_volumes(Filters=by("attachment.instance-id", *ids))["Volumes"]
    assert {(v["Size"], v["VolumeType"], v["Encrypted"], v["Iops"]) for v in volumes} == {(60, "gp3", True, 3000)}
    assert len(volumes) == 3 and tag_map(volumes[0]) == {"Name": "v"}
    for name, value in [("client-token", "launch-1"), ("reservation-id", answer["ReservationId"]), ("tag:Name", "n")]:
        found = ec2.describe_instances(Filters=by(name, value) + by("availability-zone", "sa-east-1b"))
        assert len(found["Reservations"][0]["Instances"]) == 3, name
    associations = ec2.describe_iam_instance_profile_associations(Filters=by("instance-id", *ids))
    assert len(associations["IamInstanceProfileAssociations"]) == 3
    for kind, resource in [("security_group", {"GroupId": Network.group}), ("subnet", {"SubnetId": Network.subnets["b"]})]:
        with refused("DependencyViolation"):
            getattr(ec2, f"delete_{kind}")(**resource)
    statuses = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
    assert [it["InstanceStatus"]["Status"] for it in statuses] == ["ok"] * 3
    with refused("InvalidInstanceID.NotFound"):
        ec2.terminate_instances(InstanceIds=[ids[0], "i-00000000000000000"])
    assert instance(ids[0])["State"]["Name"] == "running"
    all_ids = ids + [elsewhere["Instances"][0]["InstanceId"]]
    changes = ec2.terminate_instances(InstanceIds=all_ids)["TerminatingInstances"]
    assert {it["CurrentState"]["Name"] for it in changes} == {"shutting-down"}
    reach("terminated", *all_ids)
    ec2.terminate_instances(InstanceIds=all_ids)
    assert ec2.describe_volumes()["Volumes"] == []
    with refused("IdempotentInstanceTerminated"):
        launch(**ask)


@case
def launches_that_are_refused():
    subnet = Network.subnets["b"]
    with refused("Unsupported"):
        launch(InstanceType="t2.micro", SubnetId=subnet)
    with refused("Unsupported"):
        launch(InstanceType="t2.micro", SubnetId=subnet, DryRun=True)
    for code, more in [
        ("InvalidParameterValue", {"InstanceType": "t4g.micro"}),
        ("InvalidParameterValue", {"InstanceType": "u-12tb1.metal"}),
        ("InvalidParameterValue", {"ClientToken": "x" * 65}),
        ("InvalidParameterValue", {"UserData": "x" * 17000}),
        ("InvalidParameterValue", {"IamInstanceProfile": {"Name": "nobody"}}),
        ("InvalidParameterValue", {"MinCount": 2}),
        ("InvalidParameterValue", {"MinCount": 0}),
        ("InvalidAMIID.NotFound", {"ImageId": "ami-00000000000000000"}),
        ("InvalidSubnetID.NotFound", {"SubnetId": "subnet-00000000000000000"}),
        ("InvalidGroup.NotFound", {"SecurityGroupIds": ["sg-00000000000000000"]}),
        ("InvalidKeyPair.NotFound", {"KeyName": "none"}),
        ("UnknownParameter", {"KernelId": "aki-00000000"}),
    ]:
        with refused(code):
            launch(**{"SubnetId": subnet, **more})
    with refused("InvalidBlockDeviceMapping"):
        launch(SubnetId=subnet, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 4}}])
    foreign = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]["GroupId"]
    with refused("InvalidParameter"):
        launch(SubnetId=subnet, SecurityGroupIds=[foreign])
    assert ec2.describe_instances(Filters=by("instance-state-name", "pending", "running"))["Reservations"] == []


@case
def capacity():
    order = {"region": "sa-east-1", "zone": "sa-east-1b", "instance_type": "t3.micro", "limit": 2}
    control("POST", "/capacity", order)
    with refused("InsufficientInstanceCapacity", 500):
        launch(SubnetId=Network.subnets["b"], MinCount=3, MaxCount=3)
    got = launch(SubnetId=Network.subnets["b"], MinCount=1, MaxCount=9)["Instances"]
    assert len(got) == 2
    control("POST", "/capacity", {**order, "limit": None})
    ec2.terminate_instances(InstanceIds=[it["InstanceId"] for it in got])
    tiny = ec2.create_subnet(VpcId=Network.vpc, CidrBlock="10.78.192.0/28")["Subnet"]["SubnetId"]
    with refused("InsufficientFreeAddressesInSubnet"):
        launch(SubnetId=tiny, MinCount=12, MaxCount=12)
    ec2.delete_subnet(SubnetId=tiny)


def console(instance_id):
    # botocore undoes Base64 by itself.
    return ec2.get_console_output(InstanceId=instance_id).get("Output", "")


@case
def stop_start_reboot():
    [it] = launch(
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": Network.subnets["a"],
                "Groups": [Network.group],
                "AssociatePublicIpAddress": True,
            }
        ]
    )["Instances"]
    one = it["InstanceId"]
    with refused("IncorrectInstanceState"):
        ec2.reboot_instances(InstanceIds=[one])
    reach("running", one)
    before = instance(one)
    assert before["PublicDnsName"].endswith(".sa-east-1.compute.amazonaws.com") and before["PublicIpAddress"]
    ec2.reboot_instances(InstanceIds=[one])
    assert instance(one)["PublicIpAddress"] == before["PublicIpAddress"]
    with refused("DependencyViolation"):
        ec2.detach_internet_gateway(InternetGatewayId=Network.gateway, VpcId=Network.vpc)
    [change] = ec2.stop_instances(InstanceIds=[one])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    reach("stopped", one)
    assert "PublicIpAddress" not in instance(one)
    assert instance(one)["PrivateIpAddress"] == before["PrivateIpAddress"]
    [change] = ec2.start_instances(InstanceIds=[one])["StartingInstances"]
    assert change["CurrentState"]["Name"] == "pending"
    reach("running", one)
    assert instance(one)["PublicIpAddress"] != before["PublicIpAddress"]
    eventually(lambda: "Linux version" in console(one), "a boot on the console")
    answer = ec2.get_console_output(InstanceId=one, Latest=True)
    assert (answer["InstanceId"], answer["Timestamp"].year >= 2026) == (one, True)
    assert "wants no agent of Berth's" in answer["Output"]
    [host] = [it for it in control("GET", "/hosts?region=sa-east-1") if it["instance_id"] == one]
    assert (host["agent"], host["node"], host["has_network"]) == ("none", None, True)
    control("POST", "/console/terminate", {"region": "sa-east-1", "instance_ids": [one]})
    reach("terminated", one)
    [view] = [it for it in control("GET", "/instances?region=sa-east-1") if it["id"] == one]
    assert view["state"] == "terminated"


@case
def elastic_addresses():
    [it] = launch(SubnetId=Network.subnets["a"])["Instances"]
    one = it["InstanceId"]
    reach("running", one)
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", Name="a"))
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=one)["AssociationId"]
    assert instance(one)["PublicIpAddress"] == address["PublicIp"]
    [shown] = ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"]
    assert shown["InstanceId"] == one and tag_map(shown) == {"Name": "a"}
    ec2.stop_instances(InstanceIds=[one])
    reach("stopped", one)
    assert instance(one)["PublicIpAddress"] == address["PublicIp"]
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address["AllocationId"])
    ec2.disassociate_address(AssociationId=association)
    ec2.release_address(AllocationId=address["AllocationId"])
    with refused("InvalidAllocationID.NotFound"):
        ec2.describe_addresses(AllocationIds=[address["AllocationId"]])
    ec2.terminate_instances(InstanceIds=[one])
    reach("terminated", one)


@case
def paging():
    api = client("ec2", "us-west-2")
    ids = [it["InstanceId"] for n in (5, 7) for it in launch(api, MinCount=n, MaxCount=n)["Instances"]]
    pages = list(api.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    seen = [it["InstanceId"] for page in pages for r in page["Reservations"] for it in r["Instances"]]
    assert len(pages) == 3 and seen == ids
    with refused("InvalidParameterCombination"):
        api.describe_instances(InstanceIds=ids, MaxResults=5)
    with refused("InvalidParameterValue"):
        api.describe_instances(MaxResults=4)
    with refused("InvalidParameterValue"):
        api.describe_instances(NextToken="bogus")
    api.terminate_instances(InstanceIds=ids)


@case
def tagging():
    resources = [Network.vpc, Network.subnets["a"]]
    ec2.create_tags(Resources=resources, Tags=[{"Key": "k&<", "Value": "v\u00e9 >\""}, {"Key": "empty", "Value": ""}])
    rows = ec2.describe_tags(Filters=by("resource-id", *resources) + by("key", "k&<"))["Tags"]
    assert [(it["ResourceType"], it["Value"]) for it in sorted(rows, key=lambda r: r["ResourceType"])] == [
        ("subnet", "v\u00e9 >\""),
        ("vpc", "v\u00e9 >\""),
    ]
    ec2.delete_tags(Resources=[Network.vpc], Tags=[{"Key": "k&<", "Value": "other"}])
    ec2.delete_tags(Resources=[Network.subnets["a"]], Tags=[{"Key": "k&<"}])
    assert [it["ResourceId"] for it in ec2.describe_tags(Filters=by("key", "k&<"))["Tags"]] == [Network.vpc]
    with refused("InvalidVpcID.NotFound"):
        ec2.create_tags(Resources=["vpc-00000000000000000"], Tags=[{"Key": "a", "Value": "b"}])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[Network.vpc], Tags=[{"Key": str(n), "Value": ""} for n in range(50)])
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[Network.vpc], Tags=[{"Key": "aws:x", "Value": ""}])


@case
def permissions():
    who = client("sts", key="AKIDENIED").get_caller_identity()
    assert (who["Account"], who["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/AKIDENIED")
    assert client("sts", key="111122223333").get_caller_identity()["Account"] == "111122223333"
    denied = client("ec2", key="AKIDENIED")
    for action in ("ec2:CreateVpc", "iam:PassRole"):
        control("POST", "/deny", {"access_key": "AKIDENIED", "action": action})
    with refused("UnauthorizedOperation", 403):
        denied.create_vpc(CidrBlock="10.0.0.0/16", DryRun=True)
    try:
        launch(denied, SubnetId=Network.subnets["a"], IamInstanceProfile={"Name": "node-profile"}, DryRun=True)
        raise AssertionError("passing the role was not refused")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "UnauthorizedOperation"
        encoded = str(error).rsplit("message: ", 1)[1]
    decoded = json.loads(sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])
    assert decoded["context"]["action"] == "iam:PassRole" and decoded["allowed"] is False
    assert decoded["context"]["resource"].endswith(":role/node")
    with refused("InvalidAuthorizationMessageException"):
        sts.decode_authorization_message(EncodedMessage=base64.b64encode(b"{}").decode())


@case
def roles():
    theirs = client("iam", key="111122223333")
    trust = lambda external_id: json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}}}]})
    arn = theirs.create_role(RoleName="berth", AssumeRolePolicyDocument=trust("one"))["Role"]["Arn"]
    allow = json.dumps({"Statement": {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}})
    theirs.put_role_policy(RoleName="berth", PolicyName="look", PolicyDocument=allow)
    with refused("AccessDenied", 403):
        sts.assume_role(RoleArn=arn, RoleSessionName="x1", ExternalId="two")
    assumed = sts.assume_role(RoleArn=arn, RoleSessionName="x1", ExternalId="one")
    given = assumed["Credentials"]
    assert given["Expiration"].timestamp() > time.time() + 3000
    assert assumed["AssumedRoleUser"]["Arn"] == "arn:aws:sts::111122223333:assumed-role/berth/x1"
    as_role = lambda service: client(service, key=given["AccessKeyId"], token=given["SessionToken"])
    assert as_role("sts").get_caller_identity()["Arn"] == assumed["AssumedRoleUser"]["Arn"]
    assert len(as_role("ec2").describe_vpcs()["Vpcs"]) == 1
    with refused("UnauthorizedOperation", 403):
        as_role("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    with refused("AuthFailure", 401):
        client("ec2", key=given["AccessKeyId"]).describe_vpcs()
    theirs.update_assume_role_policy(RoleName="berth", PolicyDocument=trust("two"))
    with refused("AccessDenied", 403):
        sts.assume_role(RoleArn=arn, RoleSessionName="x1", ExternalId="one")


@case
def faults():
    order = {"action": "CreateInternetGateway", "fault": {"error_after_effect": [500, "InternalError"]}}
    before = len(ec2.describe_internet_gateways()["InternetGateways"])
    control("POST", "/faults", order)
    with refused("InternalError", 500):
        ec2.create_internet_gateway()
    after = ec2.describe_internet_gateways()["InternetGateways"]
    assert len(after) == before + 1
    for gateway in after:
        if not gateway["Attachments"]:
            ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])


@case
def throttling():
    one = {"action": "DescribeVpcs", "request": {"size": 1, "refill_per_s": 0}}
    control("POST", "/throttling", {"on": True})
    control("POST", "/bucket", one)
    ec2.describe_vpcs()
    with refused("RequestLimitExceeded", 503):
        ec2.describe_vpcs()
    control("POST", "/throttling", {"on": False})
    assert control("GET", "/throttled")["DescribeVpcs"] == 1
    ec2.describe_vpcs()


@case
def eventual_consistency():
    control("POST", "/consistency", {"min_ms": 300, "max_ms": 300})
    made = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    with refused("InvalidInternetGatewayID.NotFound"):
        ec2.describe_internet_gateways(InternetGatewayIds=[made])
    shown = lambda: made in str(ec2.describe_internet_gateways()["InternetGateways"])
    assert not shown()
    eventually(shown, "the new gateway")
    control("POST", "/consistency", {"min_ms": 0, "max_ms": 0})
    ec2.delete_internet_gateway(InternetGatewayId=made)


@case
def quotas():
    control("POST", "/quotas", {"vcpus": 0, "vpcs": 1})
    with refused("VpcLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    with refused("VcpuLimitExceeded"):
        launch(SubnetId=Network.subnets["a"])
    control("POST", "/quotas", {})


@case
def policies():
    when = {"StringEquals": {"ec2:CreateAction": "CreateInternetGateway"}}
    statements = [
        {"Effect": "Allow", "Action": "ec2:CreateInternetGateway", "Resource": "*"},
        {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "*", "Condition": when},
        {
            "Effect": "Allow",
            "Action": "ec2:DeleteInternetGateway",
            "Resource": f"arn:aws:ec2:*:{ACCOUNT}:internet-gateway/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Name": "mine"}},
        },
    ]
    control("POST", "/policy", {"access_key": "AKIDINTERN", "policy": {"Statement": statements}})
    intern = client("ec2", key="AKIDINTERN")
    mine = intern.create_internet_gateway(TagSpecifications=tags("internet-gateway", Name="mine"))
    mine = mine["InternetGateway"]["InternetGatewayId"]
    theirs = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    for gateway in (mine, theirs):
        with refused("UnauthorizedOperation", 403):
            intern.create_tags(Resources=[gateway], Tags=[{"Key": "Name", "Value": "mine"}])
    with refused("UnauthorizedOperation", 403):
        intern.delete_internet_gateway(InternetGatewayId=theirs)
    intern.delete_internet_gateway(InternetGatewayId=mine)
    ec2.delete_internet_gateway(InternetGatewayId=theirs)
    control("POST", "/policy", {"access_key": "AKIDINTERN", "policy": None})
    intern.describe_vpcs()


@case
def the_network_as_the_control_api_shows_it():
    seen = control("GET", "/network?region=sa-east-1")
    assert {it["id"] for it in seen["vpcs"]} == {it["VpcId"] for it in ec2.describe_vpcs()["Vpcs"]}
    [table] = [it for it in seen["route_tables"] if it["id"] == Network.table]
    assert table["vpc_id"] == Network.vpc and not table["is_main"]


@case
def an_action_that_does_not_exist():
    with refused("InvalidAction"):
        ec2.describe_hosts()
    DRIVEN.discard("ec2:DescribeHosts")


@case
def everything_goes_again():
    ec2.detach_internet_gateway(InternetGatewayId=Network.gateway, VpcId=Network.vpc)
    ec2.delete_internet_gateway(InternetGatewayId=Network.gateway)
    [table] = ec2.describe_route_tables(RouteTableIds=[Network.table])["RouteTables"]
    assert {r["State"] for r in table["Routes"]} == {"active", "blackhole"}
    for subnet in Network.subnets.values():
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=Network.table)
    ec2.delete_security_group(GroupId=Network.group)
    ec2.delete_vpc(VpcId=Network.vpc)
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1


@case
def every_action_was_driven():
    missing = set(control("GET", "/actions")) - DRIVEN
    assert not missing, f"not driven: {sorted(missing)}"
    assert control("GET", "/calls")["RunInstances (dry run)"] >= 2


def main():
    failed = 0
    for function in CASES:
        try:
            function()
        except Exception:  # every kind of failure is a finding, and the next cases still tell something
            failed += 1
            print(f"FAILED {function.__name__}")
            traceback.print_exc()
        else:
            print(f"ok {function.__name__}")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
