"""cargo-lambda: `watch` and `invoke` with every event, and the documentation's own commands, from zero to a schedule and
back."""

import json
import re

import part_docker
import release
from part_deploy import check_nothing_is_left, inventory, subscribe
from services import MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, LocalAws, Rekognition
from stack import Stack
from tools import (
    ARCHITECTURE, LOGS, ROOT, WORK, Failure, Missing, check, check_equal, environment, listens, run, run_for_json, wait_until,
)

# Where cargo-lambda listens unless an option says otherwise.
WATCH_PORT = 9000
FUNCTION = "rekognition-stopper"
DEPLOYING = ROOT / "docs" / "deploying.md"
REFERENCE = ROOT / "docs" / "reference.md"


def cargo_lambda_watch_starts_the_function(session):
    if listens(WATCH_PORT, "::1"):
        raise Missing(f"port {WATCH_PORT} is taken: end what listens there, since cargo lambda watch does")
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    env = environment(AWS_ENDPOINT_URL_REKOGNITION=session.rekognition.url, MODEL_ARNS=",".join(MODEL_ARNS))
    session.watch = session.processes.start(
        "cargo-lambda-watch",
        # Without the name it would take the emulator for a second function, and without the address listen on every
        # interface; `cargo lambda invoke` looks at this one.
        "cargo", "lambda", "watch", "--bin", FUNCTION, "--invoke-address", "::1",
        env=env,
        ready=lambda: listens(WATCH_PORT, "::1"),
    )
    # It compiles as well; the first event shall not have to wait for that.
    run("cargo-build", "cargo", "build", "--locked", "--bin", FUNCTION, env=env)
    outside = [address for address in addresses_of(WATCH_PORT) if address not in ("127.0.0.1", "::1")]
    check_equal(outside, [], "addresses that cargo lambda watch listens on, besides loopback")


def cargo_lambda_invoke_takes_every_event(session):
    events = sorted((ROOT / "events").glob("*.json"))
    for event in events:
        session.rekognition.start()
        report = run_for_json(f"cargo-lambda-invoke-{event.stem}", "cargo", "lambda", "invoke", "--data-file", event)
        part_docker.check_outcomes(event, report)
    return f"{len(events)} events"


def cargo_lambda_invoke_reports_a_failed_run(session):
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    said = run("cargo-lambda-invoke-failed", "cargo", "lambda", "invoke", "--data-ascii", "{}", fails=True)
    check("NotAllStopped" in said and "AccessDenied" in said, "the error is not shown", LOGS / "cargo-lambda-invoke-failed.log")
    session.processes.end(session.watch)


def the_commands_of_the_documentation_deploy_the_function_and_schedule_it(session):
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)
    topic = session.aws.client("sns").create_topic(Name="on-call")["TopicArn"]
    deploying, session.removing = documented_commands()
    (WORK / "permissions.json").write_text(documented_policy())
    replaced = {
        "TOPIC_ARN": topic,
        "file://permissions.json": f"file://{WORK / 'permissions.json'}",
        # The processor of this machine, so that the function can run here.
        "--arm64": f"--{ARCHITECTURE.replace('_', '-')}",
    }
    for written, here in replaced.items():
        check(written in deploying, f"{DEPLOYING.name} no longer says {written}")
        deploying = deploying.replace(written, here)
    session.mailbox = subscribe(session.aws, topic)
    session.topic = topic
    session.aws.shell("documented-deploying", deploying, **release.variables())


def the_function_is_as_the_documentation_says(session):
    function = session.aws.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    check_equal(function["Runtime"], "provided.al2023", "runtime")
    check_equal((function["MemorySize"], function["Timeout"]), (128, 900), "memory and time")
    check_equal(function["Environment"]["Variables"], {"MODEL_ARNS": MODEL_ARNS[0]}, "environment")
    schedule = session.aws.client("scheduler").get_schedule(Name=FUNCTION)
    check_equal(schedule["Target"]["Arn"], function["FunctionArn"].removesuffix(":1"), "target of the schedule")
    role = session.aws.client("iam").get_role(RoleName=schedule["Target"]["RoleArn"].split("/")[-1])["Role"]
    check_equal(
        role["AssumeRolePolicyDocument"], Stack(ModelArns="all").properties("ScheduleRole")["AssumeRolePolicyDocument"],
        "who may assume the role of the schedule, as in the template",
    )


def the_first_run_has_stopped_the_models(session):
    wait_until(lambda: session.rekognition.status(SHELF_AUDIT) == "STOPPED", "the model is not stopped", timeout=60)
    check_equal(session.rekognition.status(SHELF_AUDIT_KEPT), "RUNNING", "the model that its tag keeps")

    def stopped():
        """What the metrics of each run say that it stopped."""
        return [it["ModelsStopped"] for it in session.aws.log_lines(f"/aws/lambda/{FUNCTION}") if "_aws" in it]

    wait_until(lambda: len(stopped()) == 2, "a run has no metrics in the log", timeout=90)
    check_equal(stopped(), [0, 1], "models stopped by the look and by the run")


def a_run_that_fails_three_times_is_reported_to_the_topic(session):
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    session.aws.client("lambda").invoke(FunctionName=FUNCTION, InvocationType="Event", Payload=b"{}")
    sqs = session.aws.client("sqs")
    messages = wait_until(
        lambda: sqs.receive_message(QueueUrl=session.mailbox).get("Messages"), "the topic got nothing", timeout=60
    )
    record = json.loads(json.loads(messages[0]["Body"])["Message"])
    check(SHELF_AUDIT in record["responsePayload"]["errorMessage"], f"the record does not name the model: {record}")
    alarm = session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"][0]
    wanted = Stack(ModelArns="all", DryRun="false").properties("SilenceAlarm")
    for field in ["Namespace", "MetricName", "Statistic", "Period", "Threshold", "ComparisonOperator", "TreatMissingData"]:
        check_equal(alarm[field], wanted[field], f"{field} of the alarm")
    check_equal(str(alarm["EvaluationPeriods"]), wanted["EvaluationPeriods"], "hours of the alarm")


def the_commands_of_the_documentation_leave_nothing_behind(session):
    session.aws.shell("documented-removing", session.removing)
    session.aws.client("sns").delete_topic(TopicArn=session.topic)
    session.aws.client("sqs").delete_queue(QueueUrl=session.mailbox)
    check_nothing_is_left(session)


STEPS = [
    cargo_lambda_watch_starts_the_function,
    cargo_lambda_invoke_takes_every_event,
    cargo_lambda_invoke_reports_a_failed_run,
    the_commands_of_the_documentation_deploy_the_function_and_schedule_it,
    the_function_is_as_the_documentation_says,
    the_first_run_has_stopped_the_models,
    a_run_that_fails_three_times_is_reported_to_the_topic,
    the_commands_of_the_documentation_leave_nothing_behind,
]


def documented_commands():
    """The commands under "With cargo-lambda": those that deploy, and those that remove."""
    text = section(DEPLOYING, "## With cargo-lambda")
    deploying, found, removing = text.partition("**Removing:**")
    check(found, f"{DEPLOYING.name} does not say how to remove what cargo-lambda deployed")
    return shell_blocks(deploying), shell_blocks(removing)


def documented_policy():
    """The policy under "Permissions" in the reference."""
    blocks = re.findall(r"```json\n(.*?)```", section(REFERENCE, "## Permissions"), re.DOTALL)
    check_equal(len(blocks), 1, f"policies in the section on permissions of {REFERENCE.name}")
    json.loads(blocks[0])
    return blocks[0]


def section(page, heading):
    """The text under a heading of a page, up to the next of its level or above."""
    level = heading.split()[0]
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)"
    match = re.search(pattern, page.read_text(), re.DOTALL | re.MULTILINE)
    if not match:
        raise Failure(f"{page.name} has no section {heading!r}")
    return match[1]


def shell_blocks(text):
    """All commands of a text, one after the other."""
    return "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


def addresses_of(port):
    """The addresses on which a port is listened on, as the kernel lists them."""
    found = []
    for table, family in [("/proc/net/tcp", "v4"), ("/proc/net/tcp6", "v6")]:
        for line in open(table).readlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, hexadecimal_port = local.split(":")
            if state == "0A" and int(hexadecimal_port, 16) == port:
                found.append({"0100007F": "127.0.0.1", "0" * 24 + "01000000": "::1"}.get(address, address))
    return found
