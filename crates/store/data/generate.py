"""Writes catalogue.json, the packaged regions, zones and node types of AWS, beside this file.

The data is that of moto's package, which records what EC2's own describe calls answer:

    pip install 'moto[ec2]==5.2.5'
    python3 crates/store/data/generate.py
"""

import gzip
import json
from pathlib import Path

import moto
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

FAMILIES = set(
    "t2 t3 t3a t4g m3 m4 m5 m5a m6i m6a m6g m7i m7g c4 c5 c5a c6i c6g c7i c7g"
    " r4 r5 r6i r6g r7g i3 g4dn x1".split()
)
PACKAGE = Path(moto.__file__).parent
OFFERINGS = PACKAGE / "ec2/resources/instance_type_offerings/availability-zone"


def load(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def regions():
    """The commercial regions for which there are both zones and offerings."""
    names = load(PACKAGE / "ssm/resources/regions.json.gz")
    names = names["aws"]["service"]["global-infrastructure"]["regions"]
    for path in sorted(OFFERINGS.glob("*.json.gz")):
        region = path.name.removesuffix(".json.gz")
        known = {zone.name for zone in RegionsAndZonesBackend.zones.get(region, [])}
        # A zone of one side only (eu-west-2d) is not open to every account.
        offered = [
            (offer["InstanceType"], offer["Location"])
            for offer in load(path)
            if offer["Location"] in known
        ]
        if offered:
            yield region, names[region]["longName"]["Value"], offered


def size_key(entry):
    return entry["name"].split(".")[0], entry["vcpus"], entry["memory_mb"], entry["name"]


def main():
    all_regions, zones_by_type = [], {}
    for name, label, offered in regions():
        zones = sorted({zone for _, zone in offered})
        all_regions.append({"name": name, "label": label, "zones": zones})
        for node_type, zone in offered:
            zones_by_type.setdefault(node_type, set()).add(zone)

    node_types = []
    for name, facts in load(PACKAGE / "ec2/resources/instance_types.json.gz").items():
        if name.split(".")[0] not in FAMILIES or facts["BareMetal"] or name not in zones_by_type:
            continue
        vcpus, memory_mb = facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"]
        intel_or_amd = "x86_64" in facts["ProcessorInfo"]["SupportedArchitectures"]
        node_types.append(
            {
                "name": name,
                "label": f"{name} [{vcpus} vCPU, {memory_mb / 1024:g} GB]",
                "vcpus": vcpus,
                "memory_mb": memory_mb,
                "architecture": "amd64" if intel_or_amd else "arm64",
                "zones": sorted(zones_by_type[name]),
            }
        )
    node_types.sort(key=size_key)

    # One entry per line: compact, and a change of one type is a change of one line.
    parts = []
    for key, entries in (("regions", all_regions), ("node_types", node_types)):
        lines = (json.dumps(entry, separators=(",", ":")) for entry in entries)
        parts.append(f'"{key}":[\n' + ",\n".join(lines) + "\n]")
    target = Path(__file__).with_name("catalogue.json")
    target.write_text("{" + ",\n".join(parts) + "}\n")


if __name__ == "__main__":
    main()
