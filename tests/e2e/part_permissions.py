"""The permissions: what was called, compared with what the templates allow.

The emulator records every call to Rekognition, and the local AWS the function's calls to STS and
Organizations: in `target/e2e/calls` for the other parts of this test, and in the directory that
REKOGNITION_CALLS names for the tests of `cargo test`. The policies are those that SAM makes of the
templates.
"""

import json
import os
from pathlib import Path

import part_deploy
import part_organization
from services import CALLS, OBSERVER
from stack import MEMBER_TEMPLATE, Stack, actions_of, allows
from tools import ACCOUNT, REGION, Missing, check


def calls_were_recorded(session):
    deployed = set(CALLS.glob("rekognition-deploy-*.jsonl"))
    organization = set(CALLS.glob("*-organization*.jsonl"))
    others = set(CALLS.glob("rekognition-*.jsonl")) - deployed - organization
    directory = os.environ.get("REKOGNITION_CALLS")
    of_tests = set(Path(directory).rglob("*.jsonl")) if directory else set()
    session.deployed = calls_in(deployed)
    session.organization = calls_in(organization)
    session.others = calls_in(others | of_tests)
    for part, calls in [("deploy", session.deployed), ("organization", session.organization)]:
        if not calls:
            raise Missing(f"no calls were recorded: run the part {part} first")
    if directory and not of_tests:
        raise Missing(f"there is none in REKOGNITION_CALLS={directory}: run cargo test first")
    return f"{len(of_tests)} files of cargo test"


def every_call_of_the_deployed_function_is_allowed_by_its_policy(session):
    check_allowed(session.deployed, alone())


def every_other_call_is_allowed_where_all_models_are(session):
    # What these called is not in the stack's list, so here the list is every model of the accounts
    # and regions called.
    calls = [it for it in session.others if it["action"].startswith("rekognition:")]
    called = [it["resources"][0] for it in calls if it["resources"] != ["*"]]
    places = sorted({":".join(arn.split(":")[:5]) for arn in called})
    patterns = ",".join(f"{place}:project/*/version/*/*" for place in places)
    check_allowed(calls, Stack(ModelArns=patterns).role_statements())
    return f"{len(calls)} calls, accounts and regions: {len(places)}"


def every_call_in_an_organization_is_allowed_by_the_role_that_made_it(session):
    function = [statement for statements in in_organization() for statement in statements]
    for account in {account_of(it) for it in session.organization}:
        calls = [it for it in session.organization if account_of(it) == account]
        check_allowed(calls, function if account == ACCOUNT else member_statements(account))


def every_allowed_action_was_made(session):
    check_made(session.deployed, alone(), "rekognition", "cloudtrail")
    function = [it for it in session.organization if account_of(it) == ACCOUNT]
    for statements in in_organization():
        services = ["rekognition", "cloudtrail", "sts", "organizations"]
        check_made(function, statements, *services)
    members = {account_of(it) for it in session.organization} - {ACCOUNT}
    check(members, "no call was made in another account")
    in_members = [it for it in session.organization if account_of(it) in members]
    check_made(in_members, member_statements(min(members)), "rekognition", "cloudtrail")


def alone():
    """What the deployed function may do in its own account."""
    return Stack(**part_deploy.PARAMETERS).role_statements()


def in_organization():
    """What the function may do in an organization: as a whole, and with a unit of it."""
    whole, unit = part_organization.PARAMETERS, {"OrganizationalUnits": "r-ab12"}
    return [Stack(**it).role_statements() for it in (whole, whole | unit)]


def calls_in(files):
    """The recorded calls, each different one once, but for those by which this test looks at the
    models itself."""
    lines = {line for file in files for line in file.read_text().splitlines()}
    calls = [json.loads(line) for line in sorted(lines)]
    return [it for it in calls if it.get("access_key") != OBSERVER]


def account_of(call):
    """The account that a call acts in: its access key has the number in it."""
    return call["access_key"].removeprefix("ASIA")[:12]


def member_statements(account):
    """What the role of member-account.yaml allows in an account."""
    role = f"arn:aws:iam::{ACCOUNT}:role/rekognition-stopper-{REGION}"
    member = Stack(path=MEMBER_TEMPLATE, account=account, FunctionRoleArn=role)
    return member.role_statements("MemberRole")


def check_allowed(calls, statements):
    """Every call is allowed by these statements."""
    refused = {
        f"{it['action']} on {resource}"
        for it in calls
        for resource in it["resources"]
        if not allows(statements, it["action"], resource)
    }
    check(not refused, f"called, and not allowed: {'; '.join(sorted(refused))}")


def check_made(calls, statements, *services):
    """Every action of these services that the statements allow was made."""
    allowed = {it for it in actions_of(statements) if it.split(":")[0] in services}
    missing = ", ".join(sorted(allowed - {it["action"] for it in calls}))
    check(allowed and not missing, f"allowed, and never done by the deployed function: {missing}")
