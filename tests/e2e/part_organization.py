"""An organization, swept by one function, and by a state machine in runs of two accounts.

What the local AWS does not carry, and what is done about it:
- StackSets: member-account.yaml is deployed in each account as docs/organization.md does it in one;
  that AWS CLI 2 takes the commands for StackSets is seen in part `template`;
- the path of a role, and which role of an account calls: the trust is read in part `template`;
- permissions: part `permissions` compares every call that is recorded here with both templates;
- the distributed mode of a Map, which it runs as an inline one, fields that it does not know, the
  256 KB of a state's data, the end of an execution as an event, and a cause that is computed: part
  `template` reads the definition and the rule;
- the pauses of a retry, which are a minute at most and here a second.
"""

import json
import shlex

from operated import (
    AT_ONCE, LOG_GROUP, MACHINE, NEVER, STACK, TOPIC, check_fields, check_real, inventory,
    machine_definition, mails, metrics, next_mail, outputs, run_commands, run_lines, sam_delete,
    sam_deploy, set_schedule, subscribe,
)
from services import Accounts, LocalAws, Rekognition
from tools import (
    ACCOUNT, REGION, ROOT, WORK, blocks, check, check_equal, commands_of, section, wait_until,
)

ORGANIZATION = ROOT / "docs" / "organization.md"
LARGE = ROOT / "docs" / "large-organizations.md"
MEMBER_ROLE = "rekognition-stopper-member"
ELSEWHERE = "eu-west-1"

# As the local AWS numbers the accounts that it makes.
VISION, RETAIL, STRANGE, CLOSED, SANDBOX = MEMBERS = [f"{200_000_000_001 + it}" for it in range(5)]


def model(account, region=REGION):
    """A model of an account."""
    return f"arn:aws:rekognition:{region}:{account}:project/shelf-audit/version/v1/1759309953000"


# In an account that no wildcard matches.
NAMED = model(SANDBOX)
# One model in each account and region, and whether the night stops it.
STOPPED = [
    model(ACCOUNT), model(VISION), model(VISION, ELSEWHERE), model(RETAIL, ELSEWHERE), NAMED,
]
LEFT = [model(STRANGE), model(CLOSED), model(SANDBOX, ELSEWHERE), model(VISION, "ap-south-1")]
# What is said of the account whose role cannot be assumed.
UNREACHABLE = f"arn:aws:rekognition:*:{STRANGE}:project/*/version/*/*"

PARAMETERS = {
    "ModelArns": f"arn:aws:rekognition:*:*:project/*/version/*/*,{NAMED}",
    "MemberRole": MEMBER_ROLE,
    "MemberExternalId": "stopper:2026",
    "Regions": f"{REGION},{ELSEWHERE}",
    "ExcludedAccounts": SANDBOX,
    "AlarmEmail": "none",
    "DryRun": "false",
    "ReportEveryRun": "true",
    "ScheduleExpression": NEVER,
}
WITH_MACHINE = PARAMETERS | {"AccountsPerRun": "2"}

# An error of Lambda's own, whose cause is no JSON, in each run of an execution that is started for
# it.
NOT_JSON = {
    "Error": "Lambda.ResourceNotFoundException", "Cause": f'Function not found: "{STACK}"',
}


def an_organization_with_accounts_is_there(session):
    mocks = WORK / "state-machine-mocks.json"
    mocks.write_text(json.dumps({
        "StateMachines": {STACK: {"TestCases": {"NotJson": {"Run": "NotJson"}}}},
        "MockedResponses": {"NotJson": {"0-9": {"Throw": NOT_JSON}}},
    }))
    session.rekognitions = {
        it: Rekognition(session.processes, session.part, it) for it in [ACCOUNT, *MEMBERS]
    }
    start_models(session)
    accounts = Accounts(session.rekognitions.values())
    session.cleanup.callback(accounts.end)
    session.aws = LocalAws(
        session.processes, session.part, accounts,
        SFN_WAIT_SCALE=str(1 / 60), SFN_MOCK_CONFIG=str(mocks),
    )
    session.before = inventory(session.aws)
    organizations = session.aws.client("organizations")
    root = organizations.list_roots()["Roots"][0]["Id"]
    for account in MEMBERS:
        made = organizations.create_account(Email=f"{account}@example.com", AccountName=account)
        check_equal(made["CreateAccountStatus"]["AccountId"], account, "number of the account")
    organizations.close_account(AccountId=CLOSED)
    # Two deep, so that a list that does not go down misses it.
    create = organizations.create_organizational_unit
    session.unit = create(ParentId=root, Name="business")["OrganizationalUnit"]["Id"]
    unit = create(ParentId=session.unit, Name="retail")["OrganizationalUnit"]["Id"]
    organizations.move_account(AccountId=RETAIL, SourceParentId=root, DestinationParentId=unit)


def the_stack_and_the_member_roles_are_deployed(session):
    sam_deploy(session, "organization-deploy", PARAMETERS)
    check_real(session.aws, STACK)
    subscribe(session, outputs(session)["TopicArn"])
    right = outputs(session)["FunctionRoleArn"]
    command = documented("aws cloudformation deploy")
    command = command.replace("EXTERNAL_ID", PARAMETERS["MemberExternalId"])
    for account in MEMBERS:
        trusted = right.replace(ACCOUNT, "999999999999") if account == STRANGE else right
        deploy = command.replace("FUNCTION_ROLE_ARN", trusted)
        session.aws.shell(f"member-{account}", deploy, AWS_ACCESS_KEY_ID=account)
        check_real(session.aws, MEMBER_ROLE, account)


def the_schedule_stops_models_in_four_accounts_and_two_regions(session):
    set_schedule(session, AT_ONCE)
    mail = next_mail(session, mails(**PARAMETERS)["FailureRule"])
    begins = f"No model failed. 1 lookup failed: {UNREACHABLE} (AccountUnreachable: "
    check(mail["error"].startswith(begins), f"the mail names another account: {mail['error']}")
    check(f"role/{MEMBER_ROLE}" in mail["error"], f"the mail names no role: {mail['error']}")
    for statuses, models in [("STOPPED", STOPPED), ("RUNNING", LEFT)]:
        check_equal({it: status(session, it) for it in models}, dict.fromkeys(models, statuses), "")
    line = {"accounts": 5, "stopped": 5, "failed": 0, "failed_lookups": 1}
    check_fields(run_lines(session)[0], line, "run line")
    # What the saved query and the dashboard read.
    lines = session.aws.log_lines(LOG_GROUP)
    lookups = [it for it in lines if it.get("message") == "lookup"]
    fields = {"pattern": UNREACHABLE, "code": "AccountUnreachable", "outcome": None}
    check_fields(lookups[0], fields, "line of the lookup that failed")
    counted = {"ModelsFailed": 0, "LookupsFailed": 1, "RunsSucceeded": 0}
    check_fields(metrics(session)[0], counted, "metrics")


def dry_runs_show_which_account_has_the_role(session):
    one = documented('"accounts"').replace("222222222222", VISION)
    said = session.aws.shell("dry-run-of-one", one)
    check("No model was running." in said, f"the role of {VISION} cannot be assumed: {said}")
    said = session.aws.shell("dry-run-of-all", documented('{"dry_run":true}'))
    check(f"{UNREACHABLE} (AccountUnreachable" in said, f"{STRANGE} is not named: {said}")
    check(VISION not in said, f"{VISION} is named: {said}")


def an_organizational_unit_limits_the_run(session):
    client = session.aws.client("lambda")
    variables = client.get_function_configuration(FunctionName=STACK)["Environment"]["Variables"]
    limited = {"Variables": variables | {"ORGANIZATIONAL_UNITS": session.unit}}
    client.update_function_configuration(FunctionName=STACK, Environment=limited)
    start_models(session)
    report = json.load(client.invoke(FunctionName=STACK, Payload=b"{}")["Payload"])
    outcomes = {it["model_arn"]: it["outcome"] for it in report.get("models", [])}
    wanted = dict.fromkeys([model(RETAIL, ELSEWHERE), NAMED], "stopped")
    check_equal(outcomes, wanted, f"models of the report, which is {report}")
    check_equal(status(session, model(VISION)), "RUNNING", "a model outside of the unit")
    client.update_function_configuration(FunctionName=STACK, Environment={"Variables": variables})


def an_update_adds_the_state_machine(session):
    sam_deploy(session, "machine-deploy", WITH_MACHINE)
    check_real(session.aws, STACK)
    client = session.aws.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=MACHINE)
    definition = json.loads(machine["definition"].replace(outputs(session)["TopicArn"], TOPIC))
    check_equal(definition, machine_definition(**WITH_MACHINE), "definition")


def the_schedule_starts_an_execution_that_stops_the_models_of_all_runs(session):
    # A model that starts is waited for by the retries of the state machine, and not by the
    # function: it takes longer than a try.
    set_timeout(session, 10)
    start_models(session, starting="25s")
    session.lines_before = len(session.aws.log_lines(LOG_GROUP))
    set_schedule(session, AT_ONCE)
    failed = session.failed = new_execution(session, set())
    check_equal(json.loads(failed["input"])["source"], "aws.scheduler", "what the schedule gives")
    for it in STOPPED:
        check_equal(status(session, it), "STOPPED", it)
    check_equal(status(session, model(STRANGE)), "RUNNING", "model of the account without a role")


def the_model_that_was_starting_is_stopped_by_a_retry_of_its_run(session):
    outcomes = [
        (line["outcome"], line.get("code"))
        for line in session.aws.log_lines(LOG_GROUP)[session.lines_before:]
        if line.get("message") == "model" and line["model_arn"] == model(VISION, ELSEWHERE)
    ]
    check_equal(outcomes[0], ("failed", "StillStarting"), "outcome in the first try of its run")
    # Where its stop was accepted late in a try, the next one finds it stopped.
    last = outcomes[-1] in [("stopped", None), ("failed", "NotConfirmed")]
    check(last, f"its outcomes are {outcomes}")
    return f"{len(outcomes)} tries"


def the_execution_fails_with_the_text_of_the_run_that_failed_and_mails_it(session):
    failed = session.failed
    check_equal((failed["status"], failed["error"]), ("FAILED", "NotAllStopped"), "how it ended")
    mail = next_mail(session, mails(**WITH_MACHINE)["Tell of the failure"])
    check_equal(mail["name"], failed["name"], "execution that is reported")
    # The entry without wildcards is a run by itself.
    begins = f"1 of 3 runs failed.\n\nNo model failed. 1 lookup failed: {UNREACHABLE} (Account"
    check(mail["text"].startswith(begins), f"the mail says otherwise: {mail['text']}")
    session.failure_mail = mail[0]
    pages = session.aws.client("stepfunctions").get_paginator("get_execution_history")
    history = pages.paginate(executionArn=failed["executionArn"]).build_full_result()["events"]
    errors = [it.get("taskFailedEventDetails", {}).get("cause", "") for it in history]
    check_equal(len([it for it in errors if STRANGE in it]), 7, "tries of the run that failed")


def a_run_that_fails_with_an_error_that_is_no_json_is_told_as_well(session):
    start(session, f"{MACHINE}#NotJson", "not-json")
    mail = next_mail(session, mails(**WITH_MACHINE)["Tell of the failure"], "not-json")
    text = f"\n\nLambda.ResourceNotFoundException: Function not found: ?{STACK}?"
    check_equal(mail["text"], f"3 of 3 runs failed.{text * 3}", "text of the mail")


def the_documented_look_at_a_failed_execution_shows_its_messages(session):
    (block,) = [it for it in blocks(LARGE.read_text()) if "get-execution-history" in it]
    command = block.replace(f":{STACK}:NAME", f":{STACK}:{session.failed['name']}")
    left = json.loads(session.aws.shell("machine-history", command))
    check_equal((left["runs"], len(left["failures"])), (3, 1), "runs and failures")


def every_command_that_it_gives_works_with_aws_cli_2(session):
    # The account that could not be entered lets the function in.
    iam, right = session.aws.client("iam", STRANGE), session.aws.client("iam", VISION)
    trust = right.get_role(RoleName=MEMBER_ROLE)["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(RoleName=MEMBER_ROLE, PolicyDocument=json.dumps(trust))
    set_timeout(session, 60)
    start_models(session)
    known = {it["executionArn"] for it in executions(session.aws)}
    said = run_commands(session, session.failure_mail)
    check(any('"executionArn"' in it for it in said.values()), "no command starts an execution")
    execution = new_execution(session, known)
    check_equal(execution["status"], "SUCCEEDED", f"status, {execution.get('cause')}")
    mail = next_mail(session, mails(**WITH_MACHINE)["Tell of the success"])
    check_equal(mail["name"], execution["name"], "execution that is reported")
    check(mail["text"].startswith("Successful runs: 3.\n\n"), f"the mail says {mail['text']}")
    for it in [*STOPPED, model(STRANGE)]:
        check(it in mail["text"], f"the mail does not name {it}: {mail['text']}")
    return f"{len(said)} commands"


def a_second_execution_beside_a_running_one_does_no_harm(session):
    start_models(session)
    for arn in [start(session, MACHINE, name) for name in ["one", "another"]]:
        execution = ended(session, arn)
        check_equal(execution["status"], "SUCCEEDED", f"status of {arn}, {execution.get('cause')}")
    for it in [*STOPPED, model(STRANGE)]:
        check_equal(status(session, it), "STOPPED", it)


def sam_delete_and_the_documentation_leave_nothing_behind(session):
    sam_delete(session)
    remove = documented("aws cloudformation delete-stack")
    session.aws.shell("member-removal", remove, AWS_ACCESS_KEY_ID=VISION)
    roles = session.aws.client("iam", VISION).list_roles
    wait_until(lambda: not roles()["Roles"], f"{VISION} still has a role", timeout=30)


def documented(part):
    """The first command with this part by which the documentation sets up an organization."""
    commands = map(shlex.join, commands_of(section(ORGANIZATION, "## Setting it up")))
    return next(it for it in commands if part in it)


def start_models(session, starting=None):
    """Every account's Rekognition, with its models running, or one that is starting for so long."""
    models = {it: "RUNNING,units=1" for it in [*STOPPED, *LEFT]}
    if starting:
        models[model(VISION, ELSEWHERE)] = "STARTING,units=1"
    # That one last, so that the others do not take of its time.
    for account in sorted(session.rekognitions, key=lambda it: it == VISION):
        of_account = {arn: it for arn, it in models.items() if arn.split(":")[4] == account}
        session.rekognitions[account].start(models=of_account, start_takes=starting or "500ms")


def status(session, arn):
    """What the Rekognition of its account says of a model."""
    return session.rekognitions[arn.split(":")[4]].status(arn)


def set_timeout(session, seconds):
    """Limits the time that the function has for a try."""
    client = session.aws.client("lambda")
    client.update_function_configuration(FunctionName=STACK, Timeout=seconds)


def start(session, machine, name):
    """Starts an execution, and returns its ARN."""
    client = session.aws.client("stepfunctions")
    return client.start_execution(stateMachineArn=machine, name=name)["executionArn"]


def executions(aws):
    """The executions of the state machine."""
    return aws.client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"]


def new_execution(session, known):
    """The execution that is none of these, when it has ended."""

    def new():
        return {it["executionArn"] for it in executions(session.aws)} - known

    return ended(session, wait_until(new, "no execution has started", timeout=60).pop())


def ended(session, arn):
    """An execution, when it has ended."""
    describe = session.aws.client("stepfunctions").describe_execution
    wait_until(
        lambda: describe(executionArn=arn)["status"] != "RUNNING",
        f"{arn} does not end", timeout=180, log=session.aws.log,
    )
    return describe(executionArn=arn)
