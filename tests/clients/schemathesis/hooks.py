"""What schemathesis can't know by itself: why a well-formed request may be refused all the same."""

import re

import schemathesis

STATE = r'^the (node cluster|node|action) is in state "[A-Z][a-z ]+", in which it can\'t be \w+; .+'
CATALOGUE = (
    r'^region: there is no region ".*"|^node_type: (there is no node type ".*"|".*" is offered in no zone of )'
    # No schema can say that the key is of the type that stands before it.
    r"|^ssh_authorized_keys(\[\d+\])?: "
    # Whether there is a place to call home is the installation's.
    r"|^readiness: agents do not know where to call home"
)
# One or the other is to be given, and AWS says whether it is worth anything.
CREDENTIALS = r"^(role_arn|access_key_id|secret_access_key): |^Invalid AWS credentials or insufficient EC2 permissions"


@schemathesis.deserializer("application/octet-stream")
def program(ctx, response):
    """A program is bytes, and to the schema one text."""
    return response.content.decode("latin-1")


@schemathesis.check
def refusal_of_what_is_well_formed_has_its_reason(ctx, response, case):
    """A 400 to a request that the schema allows names the object's state, or what the catalogue does not have."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    operation = case.operation.definition.raw["operationId"]
    error = response.json()["error"]
    reasons = {
        "create_node_cluster": CATALOGUE,
        "get_launch_options": CATALOGUE,
        "put_credentials": CREDENTIALS,
    }
    reason = reasons.get(operation, STATE)
    assert re.match(reason, error), f"{operation}: {error}"
