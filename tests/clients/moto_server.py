#!/usr/bin/env python3
"""Serves moto on a free port of 127.0.0.1 and prints its URL. Ends when its standard input does, so that it never
outlives the process that started it, whatever becomes of that.

It loses the answer to the first of every launch of an m5.large: the instance runs, and the caller sees an HTML page with
the status 500. moto, which is not safe for threads, does that by itself to about 1 in 100 launches.

It asks whoever assumes a role for the external id that the role's trust policy asks for. moto itself reads no trust
policies, and lets everybody in.
"""

import json
import logging
import sys

from moto.ec2.responses.instances import InstanceResponse
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse

LOSSY = "m5.large"
launch, lost = InstanceResponse.run_instances, set()


def launch_and_lose(self):
    answer = launch(self)
    token = self._get_param("ClientToken")
    if self._get_param("InstanceType") == LOSSY and token not in lost:
        lost.add(token)
        raise RuntimeError(f"the answer to the launch {token} is lost")
    return answer


assume = TokenResponse.assume_role


def assume_if_trusted(self):
    arn, given = self._get_param("RoleArn"), self._get_param("ExternalId")
    role = iam_backends[arn.split(":")[4]]["aws"].get_role_by_arn(arn)
    for statement in json.loads(role.assume_role_policy_document)["Statement"]:
        equal = statement.get("Condition", {}).get("StringEquals", {})
        if equal.get("sts:ExternalId", given) == given:
            return assume(self)
    raise STSClientError("AccessDenied", f"not authorized to perform: sts:AssumeRole on resource: {arn}")


InstanceResponse.run_instances = launch_and_lose
TokenResponse.assume_role = assume_if_trusted
# A line per request is no news; a traceback is.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
