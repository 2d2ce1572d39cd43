"""The state machine: an organization in runs of two accounts each.

What the local AWS does not carry, and what is done about it:
- the distributed mode of a Map, which it runs as an inline one, without children that are executions of their own;
- fields that it does not know, `JitterStrategy` and `MaxDelaySeconds` among them: part `template` reads the definition;
- the pauses of a retry, which are a minute at most and here a second;
- the 256 KB of a state's data: part `template` adds up what the longest plan leaves;
- the timeout of an execution: part `template` reads the rule;
- the list of map runs: part `template` checks that command of docs/organization.md;
- metrics of Step Functions: part `template` reads the alarm;
- the end of an execution as an event, and a cause that is computed: `local_events.py` has them.
"""

import json
import re

import part_deploy
from part_deploy import (
    HERE, LOG_GROUP, NEVER, STACK, check_nothing_is_left, commands_in, inventory, next_mail, outputs, set_schedule,
)
from part_organization import (
    ELSEWHERE, MEMBER_ROLE, RETAIL, SANDBOX, STRANGE, VISION, deploy, make_organization, model, status,
)
from part_template import TOPIC, machine_definition
from stack import Stack
from tools import ACCOUNT, REGION, ROOT, WORK, check, check_equal, run, wait_until

MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK}"
START_COMMAND = f"aws stepfunctions start-execution --region {REGION} --state-machine-arn {MACHINE}"
EVERYTHING = "arn:aws:rekognition:*:*:project/*/version/*/*"
# In an account that no wildcard stands for.
NAMED = model(SANDBOX)
STARTING = model(VISION, ELSEWHERE)
RUNNING = [model(ACCOUNT), model(RETAIL, ELSEWHERE), NAMED]

PARAMETERS = {
    "ModelArns": f"{EVERYTHING},{NAMED}",
    "MemberRole": MEMBER_ROLE,
    "MemberExternalId": "stopper:2026",
    "Regions": f"{REGION},{ELSEWHERE}",
    "ExcludedAccounts": SANDBOX,
    "AccountsPerRun": "2",
    "AlarmEmail": "none",
    "DryRun": "false",
    "ReportEveryRun": "true",
    "ScheduleExpression": NEVER,
}

# An error of Lambda's own, whose cause is no JSON, in each run of an execution that is started for it.
NOT_JSON = {"Error": "Lambda.ResourceNotFoundException", "Cause": f'Function not found: "{STACK}"'}


def sam_build_makes_the_function(session):
    part_deploy.sam_build()


def an_organization_with_accounts_is_there(session):
    mocks = WORK / "state-machine-mocks.json"
    mocks.write_text(json.dumps({
        "StateMachines": {STACK: {"TestCases": {"NotJson": {"Run": "NotJson"}}}},
        "MockedResponses": {"NotJson": {"0-9": {"Throw": NOT_JSON}}},
    }))
    make_organization(session, SFN_WAIT_SCALE=str(1 / 60), SFN_MOCK_CONFIG=str(mocks))
    session.before = inventory(session.aws)


def the_stack_with_its_state_machine_and_the_member_roles_are_deployed(session):
    deploy(session, PARAMETERS)
    # So that a model that starts is waited for by the retries of the state machine, and not by the function.
    session.aws.client("lambda").update_function_configuration(FunctionName=STACK, Timeout=10)


def the_state_machine_is_as_the_template_says(session):
    machine = session.aws.client("stepfunctions").describe_state_machine(stateMachineArn=MACHINE)
    check_equal((machine["type"], machine["status"]), ("STANDARD", "ACTIVE"), "type and status")
    definition = json.loads(machine["definition"].replace(outputs(session)["TopicArn"], TOPIC))
    check_equal(definition, machine_definition(**PARAMETERS), "definition")
    role = session.aws.client("iam").get_role(RoleName=machine["roleArn"].split("/")[-1])["Role"]
    trust = Stack(**PARAMETERS).properties("MachineRole")["AssumeRolePolicyDocument"]
    check_equal(role["AssumeRolePolicyDocument"], trust, "trust of its role")


def the_schedule_starts_an_execution(session):
    set_schedule(session, "rate(1 minute)", "ENABLED")
    started = wait_until(
        lambda: executions(session), "the schedule starts no execution", timeout=120, log=session.aws.log
    )[0]["executionArn"]
    set_schedule(session, "rate(1 minute)", "DISABLED")
    execution = ended(session, started)
    check_equal(json.loads(execution["input"])["source"], "aws.scheduler", "what the schedule gives")
    check_equal(status(session, model(ACCOUNT)), "STOPPED", "a model")


def an_execution_stops_the_models_of_all_runs(session):
    # Longer than a try takes, and what comes before the first.
    start_models(session, start_takes="25s")
    session.lines_before = len(session.aws.log_lines(LOG_GROUP))
    started = session.aws.client("stepfunctions").start_execution(stateMachineArn=MACHINE, name="night")
    session.execution = started["executionArn"]
    ended(session, session.execution)
    for it in [*RUNNING, STARTING]:
        check_equal(status(session, it), "STOPPED", it)
    check_equal(status(session, model(STRANGE)), "RUNNING", "the model in an account that cannot be entered")


def the_model_that_was_starting_is_stopped_by_a_retry_of_its_run(session):
    outcomes = [
        (line["outcome"], line.get("code")) for line in session.aws.log_lines(LOG_GROUP)[session.lines_before:]
        if line.get("message") == "model" and line["model_arn"] == STARTING
    ]
    check_equal(outcomes[0], ("failed", "StillStarting"), "its outcome in the first try of its run")
    # Where its stop was accepted late in a try, the next one finds it stopped.
    check(outcomes[-1] in [("stopped", None), ("failed", "NotConfirmed")], f"its outcomes are {outcomes}")
    return f"{len(outcomes)} tries"


def the_execution_fails_with_the_text_of_the_run_that_failed(session):
    execution = session.aws.client("stepfunctions").describe_execution(executionArn=session.execution)
    check_equal((execution["status"], execution["error"]), ("FAILED", "NotAllStopped"), "how it ended")
    # The entry without wildcards is a run of its own.
    # By its last try the other model of the run is stopped.
    pattern = f"arn:aws:rekognition:*:{STRANGE}:project/*/version/*/*"
    begins = f"1 of 3 runs failed.\n\nNo model failed. 1 lookup failed: {pattern} (AccountUnreachable: "
    check(execution["cause"].startswith(begins), f"the cause begins otherwise: {execution['cause']}")
    events = history(session, session.execution)
    left = json.loads(next(it["stateExitedEventDetails"]["output"] for it in events if it["type"] == "MapStateExited"))
    check_equal((left["runs"], len(left["messages"])), (3, 2), "runs, and those that were successful")
    check_equal(left["failures"], [execution["cause"].removeprefix("1 of 3 runs failed.")], "what the other leaves")
    retried = [it for it in events if it["type"] == "TaskFailed" and STRANGE in it["taskFailedEventDetails"]["cause"]]
    check_equal(len(retried), 7, "tries of the run that failed")
    return f"{len(events)} events"


def a_mail_names_the_account(session):
    execution = session.aws.client("stepfunctions").describe_execution(executionArn=session.execution)
    session.failure_mail = next_mail(session, "the execution night", "the failed execution is not emailed")
    check_equal(session.failure_mail, failure_mail("night", execution["cause"]), "the mail")


def a_run_that_fails_with_an_error_that_is_no_json_is_told_as_well(session):
    client = session.aws.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=f"{MACHINE}#NotJson", name="not-json")["executionArn"]
    check_equal(ended(session, arn)["status"], "FAILED", "status of the execution")
    mail = next_mail(session, "the execution not-json", "the execution is not emailed")
    text = f"\n\nLambda.ResourceNotFoundException: Function not found: ?{STACK}?"
    check_equal(mail, failure_mail("not-json", f"3 of 3 runs failed.{text * 3}"), "the mail")


def the_documented_look_at_a_failed_execution_shows_its_messages(session):
    page = (ROOT / "docs" / "organization.md").read_text()
    (block,) = [it for it in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "get-execution-history" in it]
    said = session.aws.shell("machine-history", block.replace(f":{STACK}:NAME", f":{STACK}:night"))
    left = json.loads(said)
    check_equal((left["runs"], len(left["failures"])), (3, 1), "runs and failures")


def every_command_that_it_gives_works_with_aws_cli_2(session):
    let_the_function_enter(session)
    # From here on each run takes one try.
    session.aws.client("lambda").update_function_configuration(FunctionName=STACK, Timeout=60)
    start_models(session)
    known = {it["executionArn"] for it in executions(session)}
    texts = [session.failure_mail, *outputs(session).values()]
    texts += [it["AlarmDescription"] for it in session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    commands = sorted({command for text in texts for command in commands_in(text)})
    said = {command: session.aws.shell(f"machine-command-{number}", command) for number, command in enumerate(commands)}
    check(any('"executionArn"' in answer for answer in said.values()), "no command starts an execution")
    (started,) = {it["executionArn"] for it in executions(session)} - known
    execution = ended(session, started)
    check_equal(execution["status"], "SUCCEEDED", "the execution that was started")
    session.name = execution["name"]
    return f"{len(commands)} commands"


def a_good_execution_is_reported_on_demand(session):
    mail = next_mail(session, f"the execution {session.name}", "the successful execution is not emailed")
    units = "That is 2 inference units."
    check_equal(
        mail,
        f"{HERE}: the execution {session.name} was successful. Successful runs: 3.\n\n"
        f"1 model was stopped: {NAMED}. That is 1 inference unit.\n\n"
        f"2 models were stopped: {STARTING}; {model(ACCOUNT)}. {units}\n\n"
        f"2 models were stopped: {model(RETAIL, ELSEWHERE)}; {model(STRANGE)}. {units}",
        "the mail",
    )


def a_second_execution_beside_a_running_one_does_no_harm(session):
    start_models(session)
    client = session.aws.client("stepfunctions")
    both = [client.start_execution(stateMachineArn=MACHINE)["executionArn"] for _ in range(2)]
    statuses = {client.describe_execution(executionArn=it)["status"] for it in both}
    check_equal(statuses, {"RUNNING"}, "statuses of the two")
    for it in both:
        execution = ended(session, it)
        check_equal(execution["status"], "SUCCEEDED", f"status of {it}, {execution.get('cause')}")
    for it in [*RUNNING, STARTING, model(STRANGE)]:
        check_equal(status(session, it), "STOPPED", it)


def no_run_of_the_state_machine_counts_as_one_of_the_configured_list(session):
    # Which is why the alarm counts executions.
    metrics = [it for it in session.aws.log_lines(LOG_GROUP) if "_aws" in it]
    check(metrics, "no run has metrics")
    check_equal([it for it in metrics if "RunsSucceeded" in it], [], "runs that count")


def an_execution_that_someone_stops_is_emailed_as_well(session):
    client = session.aws.client("stepfunctions")
    arn = client.start_execution(stateMachineArn=MACHINE, name="stopped-by-hand")["executionArn"]
    client.stop_execution(executionArn=arn)
    mail = next_mail(session, "stopped-by-hand", "the execution that was stopped is not emailed")
    check_equal(
        mail,
        f"{HERE}: the execution stopped-by-hand was ended before it had a result (ABORTED). Models that are still running "
        f"are being billed. Start a new execution with: {START_COMMAND}.",
        "the mail",
    )


def sam_delete_leaves_nothing_behind(session):
    session.aws.client("sqs").delete_queue(QueueUrl=session.mailbox)
    run(
        "sam-delete-machine", "sam", "delete", "--no-prompts", "--region", REGION, "--stack-name", STACK,
        env=session.aws.environment(),
    )
    check_nothing_is_left(session)


STEPS = [
    sam_build_makes_the_function,
    an_organization_with_accounts_is_there,
    the_stack_with_its_state_machine_and_the_member_roles_are_deployed,
    the_state_machine_is_as_the_template_says,
    the_schedule_starts_an_execution,
    an_execution_stops_the_models_of_all_runs,
    the_model_that_was_starting_is_stopped_by_a_retry_of_its_run,
    the_execution_fails_with_the_text_of_the_run_that_failed,
    a_mail_names_the_account,
    a_run_that_fails_with_an_error_that_is_no_json_is_told_as_well,
    the_documented_look_at_a_failed_execution_shows_its_messages,
    every_command_that_it_gives_works_with_aws_cli_2,
    a_good_execution_is_reported_on_demand,
    a_second_execution_beside_a_running_one_does_no_harm,
    no_run_of_the_state_machine_counts_as_one_of_the_configured_list,
    an_execution_that_someone_stops_is_emailed_as_well,
    sam_delete_leaves_nothing_behind,
]


def failure_mail(name, text):
    """What is emailed of an execution in which this failed."""
    return (
        f"{HERE}: the execution {name} was not successful. {text}\n\nModels that are still running are being billed. Fix "
        f"the cause, then start a new execution with: {START_COMMAND}. The errors of each run are in the log: aws logs "
        f"tail {LOG_GROUP} --region {REGION} --since 2d --filter-pattern ERROR."
    )


def start_models(session, start_takes="500ms"):
    """Every account's Rekognition with its model, of which one is starting."""
    models = {it: "RUNNING,units=1" for it in [*RUNNING, model(STRANGE)]} | {STARTING: "STARTING,units=1"}
    # That one last, so that the others do not take of its time.
    for account, rekognition in sorted(session.rekognitions.items(), key=lambda it: it[0] == VISION):
        of_account = {arn: state for arn, state in models.items() if arn.split(":")[4] == account}
        rekognition.start(models=of_account, start_takes=start_takes)


def let_the_function_enter(session):
    """Corrects the trust of the account that could not be entered."""
    iam, right = session.aws.client("iam", STRANGE), session.aws.client("iam", VISION)
    trust = right.get_role(RoleName=MEMBER_ROLE)["Role"]["AssumeRolePolicyDocument"]
    iam.update_assume_role_policy(RoleName=MEMBER_ROLE, PolicyDocument=json.dumps(trust))


def executions(session):
    """The executions of the state machine, oldest first."""
    found = session.aws.client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"]
    return sorted(found, key=lambda it: it["startDate"])


def ended(session, arn):
    """An execution, when it has ended."""

    def execution():
        it = session.aws.client("stepfunctions").describe_execution(executionArn=arn)
        return it if it["status"] != "RUNNING" else None

    return wait_until(execution, f"{arn} does not end", timeout=180, log=session.aws.log)


def history(session, arn):
    """What happened in an execution."""
    pages = session.aws.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]
