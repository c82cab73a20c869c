#!/usr/bin/env python3
"""Serves moto on a free port of 127.0.0.1 and prints its URL. Ends when its standard input does, so that it never
outlives the process that started it, whatever becomes of that.

It loses the answer to the first of every launch of an m5.large: the instance runs, and the caller sees an HTML page with
the status 500. moto, which is not safe for threads, does that by itself to about 1 in 100 launches.

It asks whoever assumes a role what the role's trust policy asks: to be of an account that it names, and for the external
id. moto itself reads the trust policies of the caller's own account alone, knows no accounts in them, takes an external
id that is not given for the right one, and lets everybody into a role that is not there.

With INITIAL_NO_AUTH_ACTION_COUNT in its environment it checks, after so many calls, the signature of each call and what
the policies of its sender permit (moto's documentation, "IAM-like Access Control"). What is signed is then the body as it
was sent, where moto by itself takes what Python's encoding makes of it, in which a space is another one; and refusals of
STS have the form that its API reference documents, which AWS's SDKs insist on.

What moto does not check even then: the conditions of policies (other than sts:ExternalId, above), and resources, of which
it only ever knows the role that is to be assumed. The simulator of this project does.
"""

import json
import logging
import sys

from moto import settings
from moto.core.request import Request
from moto.ec2.responses.instances import InstanceResponse
from moto.iam.access_control import IAMRequest
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse
from werkzeug.exceptions import HTTPException

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


def is_trusted(statement, account, given):
    """Of a trust policy as `berth aws policy` prints it, and of one whose owner has forgotten the condition."""
    asked = statement.get("Condition", {}).get("StringEquals", {})
    return (
        statement["Effect"] == "Allow"
        and statement["Action"] == "sts:AssumeRole"
        and statement["Principal"]["AWS"] == f"arn:aws:iam::{account}:root"
        and asked.get("sts:ExternalId", given) == given
    )


def assume_if_trusted(self):
    arn, given = self._get_param("RoleArn"), self._get_param("ExternalId")
    try:
        role = iam_backends[arn.split(":")[4]]["aws"].get_role_by_arn(arn)
        statements = json.loads(role.assume_role_policy_document)["Statement"]
    except NotFoundException:
        statements = []
    if any(is_trusted(it, self.current_account, given) for it in statements):
        return assume(self)
    raise STSClientError("AccessDenied", f"not authorized to perform: sts:AssumeRole on resource: {arn}")


def what_was_sent(self, cache=True, as_text=False, parse_form_data=False):
    return read(self, cache, as_text)


def check_as_documented(self):
    try:
        check_signature(self)
    except HTTPException as refusal:
        if self._service == "sts":
            refusal.description = refusal.description.replace("<Errors>", "").replace("</Errors>", "")
        raise


InstanceResponse.run_instances = launch_and_lose
TokenResponse.assume_role = assume_if_trusted
if settings.INITIAL_NO_AUTH_ACTION_COUNT != float("inf"):
    read, Request.get_data = Request.get_data, what_was_sent
    check_signature, IAMRequest.check_signature = IAMRequest.check_signature, check_as_documented
# A line per request is no news; a traceback is.
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
