"""cargo-lambda: `watch` and `invoke` with every event, and the README's own commands, from zero to a schedule and back."""

import json
import re

import part_docker
from part_deploy import inventory
from services import MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, LocalAws, Rekognition
from tools import (
    ARCHITECTURE, LOGS, ROOT, WORK, Failure, Missing, check, check_equal, environment, listens, run, run_for_json,
)

# Where cargo-lambda listens when it is not told otherwise.
WATCH_PORT = 9000
FUNCTION = "rekognition-stopper"


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


def cargo_lambda_invoke_tells_of_a_failed_run(session):
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    said = run("cargo-lambda-invoke-failed", "cargo", "lambda", "invoke", "--data-ascii", "{}", fails=True)
    check("NotAllStopped" in said and "AccessDenied" in said, "the error is not told", LOGS / "cargo-lambda-invoke-failed.log")
    session.processes.end(session.watch)


def the_commands_of_the_readme_deploy_the_function_and_schedule_it(session):
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)
    topic = session.aws.client("sns").create_topic(Name="on-call")["TopicArn"]
    deploying, session.removing = readme_commands()
    (WORK / "permissions.json").write_text(readme_policy())
    replaced = {
        "TOPIC_ARN": topic,
        "file://permissions.json": f"file://{WORK / 'permissions.json'}",
        # The processor of this machine, so that the function can run here.
        "--arm64": f"--{ARCHITECTURE.replace('_', '-')}",
    }
    for written, here in replaced.items():
        check(written in deploying, f"README.md no longer says {written}")
        deploying = deploying.replace(written, here)
    run("readme-deploying", "sh", "-euxc", deploying, env=session.aws.environment())
    session.aws.client("sns").delete_topic(TopicArn=topic)


def the_function_is_as_the_readme_says(session):
    function = session.aws.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    check_equal(function["Runtime"], "provided.al2023", "runtime")
    check_equal((function["MemorySize"], function["Timeout"]), (128, 900), "memory and time")
    check_equal(function["Environment"]["Variables"], {"MODEL_ARNS": MODEL_ARNS[0]}, "environment")
    schedule = session.aws.client("scheduler").get_schedule(Name=FUNCTION)
    check_equal(schedule["Target"]["Arn"], function["FunctionArn"].removesuffix(":1"), "target of the schedule")
    role = session.aws.client("iam").get_role(RoleName=schedule["Target"]["RoleArn"].split("/")[-1])["Role"]
    check_equal(
        role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], {"Service": "scheduler.amazonaws.com"},
        "who may take the role of the schedule",
    )


def aws_lambda_invoke_runs_the_function(session):
    answer = WORK / "answer.json"
    run(
        "aws-lambda-invoke", "aws", "lambda", "invoke", "--function-name", FUNCTION, "--payload", "{}", answer,
        env=session.aws.environment(),
    )
    outcomes = {it["model_arn"]: it["outcome"] for it in json.loads(answer.read_text())["models"]}
    check_equal(outcomes, {SHELF_AUDIT: "stopped", SHELF_AUDIT_KEPT: "kept"}, "outcomes")
    check_equal(session.rekognition.status(SHELF_AUDIT), "STOPPED", "the model")
    lines = [it for it in session.aws.log_lines(f"/aws/lambda/{FUNCTION}") if it.get("message") == "run"]
    check_equal([it["stopped"] for it in lines], [1], "run lines in the log")


def the_commands_of_the_readme_leave_nothing_behind(session):
    run("readme-removing", "sh", "-euxc", session.removing, env=session.aws.environment())
    for kind, names in inventory(session.aws).items():
        check_equal(sorted(names - session.before[kind]), [], f"{kind} that are left")


STEPS = [
    cargo_lambda_watch_starts_the_function,
    cargo_lambda_invoke_takes_every_event,
    cargo_lambda_invoke_tells_of_a_failed_run,
    the_commands_of_the_readme_deploy_the_function_and_schedule_it,
    the_function_is_as_the_readme_says,
    aws_lambda_invoke_runs_the_function,
    the_commands_of_the_readme_leave_nothing_behind,
]


def readme_commands():
    """The commands under "With cargo-lambda" in the README: those that deploy, and those that remove."""
    section = readme_section("### With cargo-lambda")
    deploying, found, removing = section.partition("**Removing:**")
    check(found, "README.md does not say how to remove what cargo-lambda deployed")
    return shell_blocks(deploying), shell_blocks(removing)


def readme_policy():
    """The policy under "Permissions" in the README."""
    blocks = re.findall(r"```json\n(.*?)```", readme_section("## Permissions"), re.DOTALL)
    check_equal(len(blocks), 1, "policies in the README's section on permissions")
    json.loads(blocks[0])
    return blocks[0]


def readme_section(heading):
    """The text under a heading of the README, up to the next of its level or above."""
    level = heading.split()[0]
    section = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)"
    match = re.search(section, (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    if not match:
        raise Failure(f"README.md has no section {heading!r}")
    return match[1]


def shell_blocks(text):
    """All commands of a text, one after the other."""
    return "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))


def addresses_of(port):
    """The addresses on which somebody listens on a port, as the kernel tells them."""
    found = []
    for table, family in [("/proc/net/tcp", "v4"), ("/proc/net/tcp6", "v6")]:
        for line in open(table).readlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, hexadecimal_port = local.split(":")
            if state == "0A" and int(hexadecimal_port, 16) == port:
                found.append({"0100007F": "127.0.0.1", "0" * 24 + "01000000": "::1"}.get(address, address))
    return found
