"""What ministack leaves out of an organization.

- Member accounts: they can be created, moved into an organizational unit, and closed.
- A role is assumed only by an account that it trusts, and with its external ID.
- A session acts in the account of its role. Its access key has the account's number in it, so that
  the emulators of Rekognition can be told apart by it, too.

A function acts here as its account and not as its role, so what a trust says of the role's name is
not seen. The real Organizations and STS are in AWS alone.

The function's calls to both are recorded in the file that CALLS_OF_THE_FUNCTION names, as the
emulator records those to Rekognition.
"""

import contextvars
import json
import os
import re
import uuid
from urllib.parse import parse_qs

from ministack.core import responses
from ministack.services import iam, organizations, sts

# Of the role that is being assumed.
session_account = contextvars.ContextVar("session_account")


def make_access_key():
    """An access key of a session, as long as one of AWS."""
    return f"ASIA{session_account.get()}{uuid.uuid4().hex[:4].upper()}"


def act_as_session(set_account):
    """`set_account`, which a session's access key leads to its role's account."""

    def set_account_of(access_key):
        session = re.fullmatch(r"ASIA(\d{12})\w{4}", access_key or "")
        set_account(session[1] if session else access_key)

    return set_account_of


def check_trust(assume):
    """`assume`, which reads what the role trusts."""

    async def assume_if_trusted(method, path, headers, body, query):
        form = {name: values[0] for name, values in parse_qs((body or b"").decode()).items()}
        if form.get("Action") != "AssumeRole":
            return await assume(method, path, headers, body, query)
        arn, caller = form["RoleArn"], responses.get_account_id()
        record(headers, "sts:AssumeRole", arn)
        session_account.set(arn.split(":")[4])
        if not is_trusted(arn, caller, form.get("ExternalId")):
            message = f"User: {caller} is not authorized to perform: sts:AssumeRole on {arn}"
            return sts._error(403, "AccessDenied", message, ns="sts")
        return await assume(method, path, headers, body, query)

    return assume_if_trusted


def is_trusted(role_arn, caller, external_id):
    """Whether a role lets an account assume it."""
    here = responses._request_account_id.set(role_arn.split(":")[4])
    try:
        role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    finally:
        responses._request_account_id.reset(here)
    statements = json.loads(role["AssumeRolePolicyDocument"])["Statement"] if role else []
    for statement in statements:
        wanted = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        if statement["Principal"]["AWS"].split(":")[4] == caller and wanted in (None, external_id):
            return True
    return False


def create_account(payload):
    """Creates an account of the organization, which is there at once."""
    organizations._ensure_org()
    organization = organizations._orgs["self"]["Id"]
    account = f"{200_000_000_000 + len(organizations._accounts)}"
    owner = f"arn:aws:organizations::{responses.get_account_id()}"
    organizations._accounts[account] = {
        "Id": account,
        "Arn": f"{owner}:account/{organization}/{account}",
        "Email": payload["Email"],
        "Name": payload["AccountName"],
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": 0,
        "_ParentId": next(iter(organizations._roots.keys())),
    }
    status = {"Id": "car-exampleexample", "AccountId": account, "State": "SUCCEEDED"}
    return organizations._json(200, {"CreateAccountStatus": status})


def move_account(payload):
    """Puts an account under another parent."""
    organizations._accounts[payload["AccountId"]]["_ParentId"] = payload["DestinationParentId"]
    return organizations._json(200, {})


def close_account(payload):
    """Makes an account one that is no longer active."""
    organizations._accounts[payload["AccountId"]].update(State="SUSPENDED", Status="SUSPENDED")
    return organizations._json(200, {})


def recorded(handle):
    """`handle`, with a record of what the function calls."""

    async def record_and_handle(method, path, headers, body, query):
        target = headers.get("X-Amz-Target") or headers.get("x-amz-target") or ""
        record(headers, f"organizations:{target.rsplit('.', 1)[-1]}", "*")
        return await handle(method, path, headers, body, query)

    return record_and_handle


def record(headers, action, resource):
    """Writes a line in the file of the function's calls. The tests themselves call as well, with
    another SDK."""
    headers = {name.lower(): value for name, value in headers.items()}
    if "aws-sdk-rust" in headers.get("user-agent", ""):
        key = headers["authorization"].split("Credential=")[1].split("/")[0]
        call = {"action": action, "resources": [resource], "access_key": key}
        with open(os.environ["CALLS_OF_THE_FUNCTION"], "a") as file:
            file.write(json.dumps(call) + "\n")


def install(app):
    """Puts all of it into ministack."""
    app.set_request_account_id = act_as_session(app.set_request_account_id)
    sts._gen_session_access_key = make_access_key
    sts.handle_request = check_trust(sts.handle_request)
    organizations.handle_request = recorded(organizations.handle_request)
    operations = organizations._DISPATCH
    operations["CreateAccount"] = create_account
    operations["MoveAccount"] = move_account
    operations["CloseAccount"] = close_account
