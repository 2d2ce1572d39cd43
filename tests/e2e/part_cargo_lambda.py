"""cargo-lambda, and the documentation's commands, from nothing to a schedule and back."""

import json

import release
from operated import begin, check_fields, check_nothing_is_left, metrics, received, subscribe
from services import MODEL_ARNS, SHELF_AUDIT
from stack import Stack
from tools import ARCHITECTURE, ROOT, WORK, blocks, check, check_equal, section, wait_until

FUNCTION = "rekognition-stopper"
PAGE = ROOT / "docs" / "cargo-lambda.md"
REFERENCE = ROOT / "docs" / "reference.md"


def the_commands_of_the_documentation_deploy_the_function_and_schedule_it(session):
    begin(session)
    session.topic = session.aws.client("sns").create_topic(Name="on-call")["TopicArn"]
    subscribe(session, session.topic)
    deploying, found, removing = PAGE.read_text().partition("**Removing:")
    check(found, f"{PAGE.name} does not say how to remove what cargo-lambda deployed")
    session.removing = "".join(blocks(removing))
    # The policy under "Permissions" in the reference.
    (policy,) = blocks(section(REFERENCE, "## Permissions"), "json")
    policy_file = WORK / "permissions.json"
    policy_file.write_text(policy)
    commands = "".join(blocks(deploying))
    for written, here in {
        "TOPIC_ARN": session.topic,
        "file://permissions.json": f"file://{policy_file}",
        # The processor of this machine, so that the function can run here.
        "--arm64": release.option(ARCHITECTURE),
    }.items():
        check(written in commands, f"{PAGE.name} no longer says {written}")
        commands = commands.replace(written, here)
    session.aws.shell("documented-deploying", commands, **release.variables())


def the_function_is_as_the_documentation_says(session):
    function = session.aws.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    variables = {"Variables": {"MODEL_ARNS": MODEL_ARNS[0]}}
    settings = {"Runtime": "provided.al2023", "MemorySize": 128, "Timeout": 900}
    check_fields(function, settings | {"Environment": variables}, "function")
    target = session.aws.client("scheduler").get_schedule(Name=FUNCTION)["Target"]
    check_equal(target["Arn"], function["FunctionArn"].removesuffix(":1"), "what is scheduled")
    name = target["RoleArn"].split("/")[-1]
    role = session.aws.client("iam").get_role(RoleName=name)["Role"]
    stack = Stack(ModelArns="all", DryRun="false")
    wanted = stack.properties("ScheduleRole")["AssumeRolePolicyDocument"]
    check_equal(role["AssumeRolePolicyDocument"], wanted, "who may assume the schedule's role")
    (alarm,) = session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    fields = ["MetricName", "Statistic", "Period", "ComparisonOperator", "TreatMissingData"]
    wanted = stack.properties("SilenceAlarm")
    check_fields(alarm, {it: wanted[it] for it in fields}, "alarm")


def the_first_run_has_stopped_the_models(session):
    wait_until(
        lambda: session.rekognition.status(SHELF_AUDIT) == "STOPPED" and len(metrics(session)) == 2,
        "the look and the first run are not in the log", timeout=90, log=session.aws.log,
    )
    check_equal([it["ModelsStopped"] for it in metrics(session)], [0, 1], "models stopped")


def a_run_that_fails_three_times_is_reported_to_the_topic(session):
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    invoke = session.aws.client("lambda").invoke
    invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=b"{}")
    told = wait_until(lambda: [*received(session, session.mailbox)], "no mail", timeout=60)
    error = json.loads(told[0])["responsePayload"]["errorMessage"]
    check(SHELF_AUDIT in error, f"the record does not name the model: {error}")


def the_commands_of_the_documentation_leave_nothing_behind(session):
    session.aws.shell("documented-removing", session.removing)
    session.aws.client("sns").delete_topic(TopicArn=session.topic)
    session.aws.client("sqs").delete_queue(QueueUrl=session.mailbox)
    check_nothing_is_left(session)
