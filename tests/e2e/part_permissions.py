"""The permissions: what was called, held against what the template allows.

The emulator records every call, in `target/e2e/calls` for the other parts of this test and in the directory that
REKOGNITION_CALLS names for the tests of `cargo test`. The policy is the one that SAM makes of the template.
"""

import json
import os
from pathlib import Path

from part_deploy import PARAMETERS
from services import CALLS, OBSERVER
from stack import Stack, allows, as_list
from tools import Missing, check


def calls_were_recorded(session):
    recorded = set(CALLS.glob("*.jsonl"))
    by_deployed = set(CALLS.glob("rekognition-deploy-*.jsonl"))
    directory = os.environ.get("REKOGNITION_CALLS")
    by_tests = set(Path(directory).rglob("*.jsonl")) if directory else set()
    session.deployed = calls_in(by_deployed)
    session.others = calls_in(recorded - by_deployed | by_tests)
    if not session.deployed:
        raise Missing("no calls were recorded: run the part deploy first")
    if directory and not by_tests:
        raise Missing(f"no calls were recorded in REKOGNITION_CALLS={directory}: run cargo test first")
    files = f"{len(by_tests)} of cargo test" if directory else "none of cargo test, since REKOGNITION_CALLS is not set"
    return f"{len(recorded)} records of this test, {files}"


def every_call_of_the_deployed_function_is_allowed_by_its_policy(session):
    check_allowed(session.deployed, Stack(**PARAMETERS))


def every_other_call_is_allowed_where_all_models_are(session):
    # What these called is not in the stack's list, so here the list is every model of the accounts and regions called.
    places = {tuple(it["resources"][0].split(":")[1:5]) for it in session.others if it["resources"] != ["*"]}
    patterns = [f"arn:{':'.join(place)}:project/*/version/*/*" for place in sorted(places)]
    check_allowed(session.others, Stack(ModelArns=",".join(patterns)))
    return f"{len(session.others)} calls, accounts and regions: {len(places)}"


def every_allowed_action_was_made(session):
    statements = Stack(**PARAMETERS).function_statements()
    allowed = {action for it in statements for action in as_list(it["Action"]) if action.startswith("rekognition:")}
    made = {it["action"] for it in session.deployed}
    check(allowed <= made, f"allowed, and never done by the deployed function: {', '.join(sorted(allowed - made))}")
    return ", ".join(sorted(action.split(":")[1] for action in made))


STEPS = [
    calls_were_recorded,
    every_call_of_the_deployed_function_is_allowed_by_its_policy,
    every_other_call_is_allowed_where_all_models_are,
    every_allowed_action_was_made,
]


def calls_in(files):
    """The recorded calls, each different one once, less those by which this test looks at the models itself."""
    lines = {line for file in files for line in file.read_text().splitlines()}
    calls = [json.loads(line) for line in sorted(lines)]
    return [it for it in calls if it.get("access_key") != OBSERVER]


def check_allowed(calls, stack):
    """Every call is allowed by the policy of the stack's function."""
    statements = stack.function_statements()
    refused = {
        f"{it['action']} on {resource}"
        for it in calls
        for resource in it["resources"]
        if not allows(statements, it["action"], resource)
    }
    check(not refused, f"called, and not allowed: {'; '.join(sorted(refused))}")
