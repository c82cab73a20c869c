#!/usr/bin/env python3
"""Validates recorded requests against botocore's models of EC2, IAM, Route 53 and STS.

    validate_requests.py RECORDED.json     the answer of GET /_sim/recorded
    validate_requests.py --self-test

Each request's flat parameters are read back into members as the model says they are written, and what does not fit is a
finding: unknown members, members given twice, values of the wrong type, missing required members, values that an
enumeration does not have, lists with gaps. Exits 1 on any finding.
"""

import base64
import binascii
import json
import re
import sys
from collections import Counter
from datetime import datetime

import botocore.session

SESSION = botocore.session.get_session()
MODELS = {}
# Part of the protocol, not of any operation.
PROTOCOL = {"Action", "Version"}
RANGES = {"integer": 31, "long": 63}


def model(service):
    if service not in MODELS:
        MODELS[service] = SESSION.get_service_model(service)
    return MODELS[service]


class Reader:
    """Reads one request. `findings` are sentences that name the parameter."""

    def __init__(self, protocol):
        self.is_ec2 = protocol == "ec2"
        self.findings = []

    def wire_name(self, member, shape):
        """How a structure's member is called in a request."""
        serialization = shape.serialization
        if self.is_ec2:
            if "queryName" in serialization:
                return serialization["queryName"]
            name = serialization.get("name", member)
            return name[0].upper() + name[1:]
        if shape.type_name == "list" and serialization.get("flattened"):
            return shape.member.serialization.get("name", member)
        return serialization.get("name", member)

    def read(self, shape, node, path):
        if shape.type_name == "structure":
            self.structure(shape, node, path)
        elif shape.type_name == "list":
            self.list(shape, node, path)
        elif shape.type_name == "map":
            self.findings.append(f"{path}: maps are not expected in these services' requests")
        elif isinstance(node, dict):
            self.findings.append(f"{path}: is a {shape.type_name}, but has members {sorted(node)}")
        else:
            self.scalar(shape, node, path)

    def structure(self, shape, node, path):
        if not isinstance(node, dict):
            self.findings.append(f"{path}: is a structure, but was given the value {node!r}")
            return
        names = {self.wire_name(member, of): member for member, of in shape.members.items()}
        for key, value in node.items():
            where = f"{path}.{key}" if path else key
            if key in names:
                self.read(shape.members[names[key]], value, where)
            else:
                self.findings.append(f"{where}: unknown member of {shape.name}")
        given = {names[key] for key in node if key in names}
        for member in shape.required_members:
            if member not in given:
                self.findings.append(f"{path or shape.name}: the required member {member} is missing")

    def list(self, shape, node, path):
        if isinstance(node, dict) and not self.is_ec2 and not shape.serialization.get("flattened"):
            inner = shape.member.serialization.get("name", "member")
            if set(node) != {inner}:
                self.findings.append(f"{path}: a list is written as {path}.{inner}.N")
                return
            node = node[inner]
        if not isinstance(node, dict) or not all(re.fullmatch(r"[1-9][0-9]*", key) for key in node):
            self.findings.append(f"{path}: is a list, but is not numbered")
            return
        if sorted(map(int, node)) != list(range(1, len(node) + 1)):
            self.findings.append(f"{path}: the numbers of the list have gaps: {sorted(map(int, node))}")
        for key, value in node.items():
            self.read(shape.member, value, f"{path}.{key}")

    def scalar(self, shape, text, path):
        kind = shape.type_name
        if kind in RANGES:
            bound = 2 ** RANGES[kind]
            if not re.fullmatch(r"-?[0-9]+", text) or not -bound <= int(text) < bound:
                self.wrong(path, kind, text)
        elif kind == "boolean":
            if text not in ("true", "false"):
                self.wrong(path, kind, text)
        elif kind in ("float", "double"):
            if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
                self.wrong(path, kind, text)
        elif kind == "timestamp":
            try:
                datetime.fromisoformat(text)
            except ValueError:
                self.wrong(path, kind, text)
        elif kind == "blob":
            try:
                base64.b64decode(text, validate=True)
            except binascii.Error:
                self.wrong(path, kind, text)
        elif kind == "string":
            if shape.enum and text not in shape.enum:
                self.findings.append(f"{path}: {text!r} is not a value of the enumeration {shape.name}")
            if len(text) < shape.metadata.get("min", 0) or len(text) > shape.metadata.get("max", sys.maxsize):
                self.findings.append(f"{path}: the length of {text!r} is out of bounds for {shape.name}")

    def wrong(self, path, kind, text):
        self.findings.append(f"{path}: {text!r} is not of type {kind}")


def tree(params, findings):
    """`A.1.B = x` becomes {"A": {"1": {"B": "x"}}}."""
    root = {}
    for name, value in params:
        *parents, last = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                findings.append(f"{name}: has both a value and members")
                break
        else:
            if last in node:
                findings.append(f"{name}: was given twice")
            node[last] = value
    return root


def validate(call):
    """The findings of one recorded request."""
    service, action = call["service"], call["action"]
    if service not in ("ec2", "iam", "route53", "sts"):
        return [f"the service {service} is not known"]
    described = model(service)
    if action not in described.operation_names:
        return [f"the action {action} is not in the model"]
    given = dict(call["params"])
    reader = Reader(described.protocol)
    if given.get("Version") != described.api_version:
        reader.findings.append(f"Version: {given.get('Version')!r} is not the model's {described.api_version!r}")
    params = [(name, value) for name, value in call["params"] if name not in PROTOCOL]
    shape = described.operation_model(action).input_shape
    root = tree(params, reader.findings)
    if shape is not None:
        reader.structure(shape, root, "")
    elif root:
        reader.findings.append(f"{sorted(root)}: the action takes no parameters")
    return reader.findings


def report(calls):
    counts, bad = Counter(), 0
    for at, call in enumerate(calls):
        counts[f"{call['service']}:{call['action']}"] += 1
        for finding in validate(call):
            bad += 1
            print(f"request {at} {call['service']}:{call['action']}: {finding}")
    for name, count in sorted(counts.items()):
        print(f"{count:6} {name}")
    print(f"{len(calls)} requests validated, {bad} findings")
    return bad


def self_test():
    """Proves that each kind of error is found, and that a sound request has none."""

    def call(action, service="ec2", **params):
        version = {"Action": action, "Version": model(service).api_version}
        pairs = [(key.replace("__", "."), value) for key, value in {**version, **params}.items()]
        return {"service": service, "action": action, "params": pairs}

    sound = dict(MinCount="1", MaxCount="2")
    twice = call("DescribeVpcs", VpcId__1="vpc-1")
    twice["params"].append(("VpcId.1", "vpc-2"))
    versionless = call("DescribeVpcs")
    versionless["params"] = [("Action", "DescribeVpcs")]
    expected = [
        (call("RunInstances", **sound, InstanceType="t3.micro", BlockDeviceMapping__1__Ebs__VolumeSize="8"), None),
        (call("DescribeVpcs", Filter__1__Name="n", Filter__1__Value__1="v"), None),
        (call("CreateSecurityGroup", GroupDescription="d", GroupName="g"), None),
        (call("GetInstanceProfile", "iam", InstanceProfileName="p"), None),
        (call("CreateInstanceProfile", "iam", InstanceProfileName="p", Tags__member__1__Key="k", Tags__member__1__Value="v"), None),
        (call("GetCallerIdentity", "sts"), None),
        (call("ChangeResourceRecordSets", "route53", Id="Z1", ChangeBatch__Changes__Change__1__Action="DROP"), "enumeration"),
        (call("ChangeResourceRecordSets", "route53", Id="Z1", ChangeBatch__Changes__1__Action="DROP"), "written as"),
        (call("ListResourceRecordSets", "route53", Id="Z1", name="a", type="A", maxitems="3"), None),
        (call("GetHostedZone", "route53"), "required member Id is missing"),
        (call("RunInstances", **sound, Color="red"), "unknown member"),
        (call("RunInstances", **sound, BlockDeviceMappings__1__DeviceName="x"), "unknown member"),
        (call("RunInstances", **sound, BlockDeviceMapping__1__Ebs__Size="8"), "unknown member"),
        (call("RunInstances", MinCount="1"), "required member MaxCount is missing"),
        (call("RunInstances", **sound, Monitoring__MetricCategoryId__1="x"), "required member Enabled is missing"),
        (call("RunInstances", MinCount="one", MaxCount="2"), "not of type integer"),
        (call("RunInstances", MinCount="1", MaxCount=str(2**31)), "not of type integer"),
        (call("RunInstances", **sound, EbsOptimized="True"), "not of type boolean"),
        (call("RunInstances", **sound, InstanceType="t3.mega"), "enumeration"),
        (call("RunInstances", **sound, InstanceMarketOptions__SpotOptions__ValidUntil="soon"), "not of type timestamp"),
        (call("ImportKeyPair", KeyName="k", PublicKeyMaterial="%"), "not of type blob"),
        (call("DescribeVpcs", VpcId="vpc-1"), "not numbered"),
        (call("DescribeVpcs", VpcId__2="vpc-1"), "gaps"),
        (call("DescribeVpcs", VpcId__1__Name="vpc-1"), "has members"),
        (call("RunInstances", **sound, Placement="here"), "is a structure"),
        (call("GetCallerIdentity", "sts", Who="me"), "unknown member"),
        (call("CreateInstanceProfile", "iam", InstanceProfileName="p", Tags__1__Key="k"), "written as"),
        (call("CreateInstanceProfile", "iam", InstanceProfileName=""), "length"),
        (twice, "given twice"),
        (versionless, "Version"),
        ({"service": "ec2", "action": "RunInstance", "params": []}, "not in the model"),
        ({"service": "s3", "action": "ListBuckets", "params": []}, "not known"),
    ]
    failed = 0
    for recorded, wanted in expected:
        findings = validate(recorded)
        ok = not findings if wanted is None else any(wanted in finding for finding in findings)
        if not ok:
            failed += 1
            print(f"FAILED: {recorded} should find {wanted}, found {findings}")
    print(f"{len(expected) - failed} passed, {failed} failed")
    return failed


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        sys.exit(1 if self_test() else 0)
    with open(sys.argv[1], encoding="utf-8") as file:
        calls = json.load(file)
    sys.exit(1 if report(calls) else 0)


if __name__ == "__main__":
    main()
