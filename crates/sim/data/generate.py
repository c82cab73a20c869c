#!/usr/bin/env python3
"""Writes regions.json, instance_types.json, offerings.json and images.json beside this file.

The source is the data that the moto package carries (Apache-2.0, see NOTICE):

    pip install 'moto[ec2]==5.2.5' boto3==1.44.5
    python3 generate.py
"""

import gzip
import json
import re
from pathlib import Path

import moto.ec2
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

HERE = Path(__file__).parent
RESOURCES = Path(moto.ec2.__file__).parent / "resources"
OFFERINGS = RESOURCES / "instance_type_offerings" / "availability-zone"

TYPES = """
t2.nano t2.micro t2.small t2.medium t2.large t2.xlarge t2.2xlarge
t3.nano t3.micro t3.small t3.medium t3.large t3.xlarge t3.2xlarge
t3a.nano t3a.micro t3a.small t3a.medium t3a.large t3a.xlarge t3a.2xlarge
t4g.nano t4g.micro t4g.small t4g.medium t4g.large
m3.medium m4.large m5.large m5.xlarge m5.2xlarge m5.metal m6i.large m6i.xlarge m6g.large m7i.large
c5.large c5.xlarge c5.2xlarge c6i.large c6g.large c7g.large r5.large r5.xlarge r6g.large g4dn.xlarge
""".split()

# Long-standing regions that every account has; moto's own list differs in a few.
OPT_IN_NOT_REQUIRED = {
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}  # fmt: skip

# Canonical's releases: codename, version, the storage word in its names, serial and time of publication.
RELEASES = [
    ("focal", "20.04", "hvm-ssd", "20250408", "2025-04-08T05:02:13.000Z"),
    ("focal", "20.04", "hvm-ssd", "20250603", "2025-06-03T05:10:40.000Z"),
    ("jammy", "22.04", "hvm-ssd", "20260512", "2026-05-12T04:41:09.000Z"),
    ("jammy", "22.04", "hvm-ssd", "20260811", "2026-08-11T04:37:52.000Z"),
    ("noble", "24.04", "hvm-ssd-gp3", "20260521", "2026-05-21T06:15:31.000Z"),
    ("noble", "24.04", "hvm-ssd-gp3", "20260815", "2026-08-15T06:22:18.000Z"),
    ("plucky", "25.04", "hvm-ssd-gp3", "20260820", "2026-08-20T07:03:44.000Z"),
]


def load(path):
    with gzip.open(path) as file:
        return json.load(file)


def zones_of(region, offered):
    """Zone name -> zone id, for the zones in which moto knows offerings."""
    known = {zone.name: zone.zone_id for zone in RegionsAndZonesBackend.zones.get(region, [])}
    if not known:
        return {}
    prefix = next(iter(known.values())).rsplit("-az", 1)[0]
    free = (f"{prefix}-az{n}" for n in range(1, 20) if f"{prefix}-az{n}" not in known.values())
    return {name: known[name] if name in known else next(free) for name in sorted(offered)}


def trimmed(info):
    network, processor, vcpu, ebs = (info[k] for k in ("NetworkInfo", "ProcessorInfo", "VCpuInfo", "EbsInfo"))
    return {
        "name": info["InstanceType"],
        "vcpus": vcpu["DefaultVCpus"],
        "cores": vcpu.get("DefaultCores", vcpu["DefaultVCpus"]),
        "threads_per_core": vcpu.get("DefaultThreadsPerCore", 1),
        "memory_mib": info["MemoryInfo"]["SizeInMiB"],
        "architectures": processor["SupportedArchitectures"],
        "manufacturer": processor.get("Manufacturer", "Intel"),
        "clock_ghz": processor.get("SustainedClockSpeedInGhz", 2.5),
        "hypervisor": info.get("Hypervisor", "xen"),
        "bare_metal": info["BareMetal"],
        "current_generation": info["CurrentGeneration"],
        "burstable": info["BurstablePerformanceSupported"],
        "free_tier": info["FreeTierEligible"],
        "instance_storage": info["InstanceStorageSupported"],
        "storage_gb": info.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        "ebs_optimized": ebs["EbsOptimizedSupport"],
        "nvme": ebs["NvmeSupport"],
        "network_performance": network["NetworkPerformance"],
        "max_interfaces": network["MaximumNetworkInterfaces"],
        "ipv4_per_interface": network["Ipv4AddressesPerInterface"],
        "ena": network["EnaSupport"],
        "gpus": sum(gpu.get("Count", 0) for gpu in info.get("GpuInfo", {}).get("Gpus", [])),
    }


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")) + "\n")


def main():
    regions, offerings = [], {}
    for path in sorted(OFFERINGS.glob("*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        rows = load(path)
        zones = zones_of(name, {row["Location"] for row in rows})
        if not zones or re.match(r"(us-gov|cn)-", name):
            continue
        opt_in = "opt-in-not-required" if name in OPT_IN_NOT_REQUIRED else "opted-in"
        regions.append({"name": name, "opt_in": opt_in, "zones": [{"name": n, "id": i} for n, i in zones.items()]})
        offered = {}
        for row in rows:
            if row["InstanceType"] in TYPES:
                offered.setdefault(row["InstanceType"], []).append(row["Location"].removeprefix(name))
        offerings[name] = {kind: "".join(sorted(offered[kind])) for kind in TYPES if kind in offered}
    assert offerings["sa-east-1"]["t2.micro"] == "ac", "t2.micro is not offered in sa-east-1b"

    types = load(RESOURCES / "instance_types.json.gz")
    images = [
        {
            "name": f"ubuntu/images/{storage}/ubuntu-{codename}-{version}-{arch}-server-{serial}",
            "description": f"Canonical, Ubuntu, {version}{', ' if version == '25.04' else ' LTS, '}{arch} {codename} image build on {serial}",
            "architecture": "x86_64" if arch == "amd64" else "arm64",
            "created": created,
            "volume_type": "gp3" if storage.endswith("gp3") else "gp2",
        }
        for codename, version, storage, serial, created in RELEASES
        for arch in ("amd64", "arm64")
    ]
    # The image that the documentation of Docker Cloud shows for sa-east-1.
    images.append(
        {
            "id": "ami-4d883350",
            "region": "sa-east-1",
            "name": "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-20150123",
            "description": "Canonical, Ubuntu, 14.04 LTS, amd64 trusty image build on 2015-01-23",
            "architecture": "x86_64",
            "created": "2015-01-26T17:06:23.000Z",
            "volume_type": "gp2",
        }
    )
    write("regions.json", regions)
    write("offerings.json", offerings)
    write("instance_types.json", [trimmed(types[name]) for name in TYPES])
    write("images.json", images)


if __name__ == "__main__":
    main()
