"""The release's bundle, in the hands of somebody who has no Rust.

What of the stack the local AWS does not carry is said in `part_deploy.py`.
"""

import os
import re
import shutil
import zipfile

import release
import tools
from operated import (
    AT_ONCE, DEPLOYING, STACK, begin, check_fields, check_nothing_is_left, described, mails,
    next_mail, outputs, run_lines, sam_delete, subscribe,
)
from release import NAME, VERSION
from services import BOTTLE_CAPS, MODEL_ARNS, WELD_SEAMS
from stack import template
from tools import ARCHITECTURE, REGION, ROOT, WORK, check, check_equal, run, wait_until

README = ROOT / "README.md"
USER = WORK / "without-rust"
# What the user has, and nothing else.
TOOLS = ["sh", "unzip", "sam", "aws", "sha256sum"]
# What `sam deploy --guided` is answered where the default is not.
ANSWERS = {
    "ModelArns": ",".join(MODEL_ARNS),
    "AlarmEmail": "none",
    "DryRun": "false",
    "ScheduleExpression": AT_ONCE,
}
# What is in the bundle beside what the sources have.
MADE = {"bootstrap.zip", "template.yaml", "cloudformation.yaml", "README.md"}
NEEDED = {
    "events/dry-run.json", "member-account.yaml", "dashboard.yaml", "state-machine.asl.json",
    "tests/aws/run",
}


def the_bundle_has_all_that_a_deployment_needs(session):
    check_bundle(release.files(), ARCHITECTURE)


def the_user_has_no_cargo(session):
    shutil.rmtree(USER, ignore_errors=True)
    path = USER / "bin"
    path.mkdir(parents=True)
    tools.install("unzip", wanted="unzip")
    places = f"{tools.aws_cli_directory()}:{tools.environment()['PATH']}"
    for tool in TOOLS:
        (path / tool).symlink_to(shutil.which(tool, path=places))
    session.path = str(path)
    for file in release.files().values():
        shutil.copy(file, USER)
    session.commands = here("".join(tools.blocks(tools.section(DEPLOYING, "## Without Rust"))))


def unzip_and_sam_deploy_guided_is_all_that_it_takes(session):
    begin(session)
    first, second, third = session.commands.splitlines()[:3]
    wanted = [f"unzip {NAME}.zip", f"cd {NAME}", "sam deploy --guided"]
    check_equal([first, second, third], wanted, f"the first commands in {DEPLOYING.name}")
    user(session, "unzip", first)
    # The stack and the region; the parameters; what SAM may do; and whether to begin.
    parameters = [ANSWERS.get(name, "") for name in template()["Parameters"]]
    answers = ["", "", *parameters, "", "", "", "", "", "", "y"]
    user(session, "sam-deploy", third, cwd=USER / NAME, answers=answers)
    function = session.aws.client("lambda").get_function_configuration(FunctionName=STACK)
    check_equal(function["Architectures"], [ARCHITECTURE], "processor")


def a_scheduled_run_stops_the_models(session):
    lines = wait_until(
        lambda: run_lines(session), "no run in the log", timeout=60, log=session.aws.log
    )
    check_equal((lines[0]["stopped"], lines[0]["failed"]), (2, 0), "models stopped and failed")
    check_equal(session.rekognition.status(WELD_SEAMS), "STOPPED", "the model")


def sam_delete_leaves_nothing_behind(session):
    user(session, "delete", f"sam delete --no-prompts --region {REGION} --stack-name {STACK}")
    check_nothing_is_left(session)


def the_quick_start_of_the_readme_leads_to_the_mail_of_a_dry_run(session):
    start = tools.blocks(tools.section(README, "## Quick start"))
    deploy, dry_run, stop = [here(block) for block in start]
    place = USER / "quick-start"
    place.mkdir()
    shutil.copy(USER / f"{NAME}.zip", place)
    user(session, "quick-deploy", deploy, cwd=place, answers=["y"])
    subscribe(session, outputs(session)["TopicArn"])
    user(session, "quick-dry-run", dry_run, cwd=place / NAME)
    said = next_mail(session, mails()["ReportRule"])["message"]
    check(BOTTLE_CAPS in said and "nothing was stopped" in said, f"the mail says: {said}")
    check_equal(session.rekognition.status(BOTTLE_CAPS), "RUNNING", "a model after a dry run")
    user(session, "quick-stop", stop, cwd=place / NAME, answers=["y"])
    given = {it["ParameterKey"]: it["ParameterValue"] for it in described(session)["Parameters"]}
    wanted = {"ModelArns": "all", "AlarmEmail": "you@example.com", "DryRun": "false"}
    check_fields(given, wanted, "parameters")
    sam_delete(session)


def check_bundle(files, processor):
    """The bundle for a processor, among the files of a release, has what it should have."""
    name = f"rekognition-stopper-{VERSION}-{processor}"
    with zipfile.ZipFile(files[f"{name}.zip"]) as bundle:
        contents = {it.removeprefix(f"{name}/"): bundle.read(it) for it in bundle.namelist()}
    function = files[f"bootstrap-{VERSION}-{processor}.zip"]
    check(contents["bootstrap.zip"] == function.read_bytes(), "the bundle has another function")
    with zipfile.ZipFile(function) as archive:
        (bootstrap,) = archive.infolist()
    mode = bootstrap.external_attr >> 16
    check_equal((bootstrap.filename, mode), ("bootstrap", 0o100755), "name and mode")
    made = WORK / "bundle.yaml"
    made.write_bytes(contents["template.yaml"])
    wanted = template()
    resource = wanted["Resources"]["Function"]
    del resource["Metadata"]["BuildMethod"], resource["Metadata"]["BuildProperties"]
    resource["Properties"] |= {"CodeUri": "bootstrap.zip", "Architectures": [processor]}
    check(template(made) == wanted, "template.yaml differs in more than the built function")
    left = set(contents) - MADE
    check(NEEDED <= left, f"the bundle has no more than {left}")
    for file in left:
        check(contents[file] == (ROOT / file).read_bytes(), f"{file} is not that of the sources")
    placeholders = re.findall(r"\b(?:VERSION|PROCESSOR|TOOLS)\b", contents["README.md"].decode())
    check_equal(placeholders, [], "words of the README that nothing was put in the place of")
    for page in filter(lambda it: it.endswith(".md"), contents):
        text = contents[page].decode()
        links = re.findall(r"\]\((?!https:)([^)#]+)", text)
        if page == "README.md":
            links += re.findall(r"`([\w/-]+\.(?:md|yaml|zip)|events/|tests/[\w/]+)", text)
        places = [os.path.normpath(os.path.join(os.path.dirname(page), it)) for it in links]
        missing = [it for it in places if not any(name.startswith(it) for name in contents)]
        check_equal(missing, [], f"files that {page} leads to, and that the bundle lacks")


def here(text):
    """A text of the documentation, with this machine's processor, so that the function can run."""
    return text.replace("arm64", ARCHITECTURE)


def user(session, name, command, *, cwd=USER, answers=()):
    """Runs a command of the shell with the user's tools alone, and answers what it asks."""
    env = session.aws.environment(PATH=session.path)
    run(f"without-rust-{name}", "sh", "-euc", command, cwd=cwd, env=env, answers=answers)
