"""A release: built twice, in two folders, and in the hands of somebody who has no Rust.

What of the stack the local AWS does not carry is said in `part_deploy.py`.
"""

import io
import json
import os
import re
import shutil
import subprocess
import threading
import zipfile

import release
import tools
from part_binary import MACHINES
from part_cargo_lambda import DEPLOYING, section, shell_blocks
from part_deploy import LOG_GROUP, STACK, check_nothing_is_left, inventory, outputs, run_lines, stack_status
from release import VERSION
from services import MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, LocalAws, Rekognition
from stack import template
from tools import ARCHITECTURE, LOGS, REGION, ROOT, WORK, check, check_equal, run, wait_until

# As docs/deploying.md names it.
BUNDLE = f"rekognition-stopper-{VERSION}-arm64"
USER = WORK / "without-rust"
# What the user has, and nothing else.
TOOLS = ["sh", "unzip", "sam", "aws", "sha256sum"]
# What `sam deploy --guided` is answered where the default is not.
ANSWERS = {
    "Parameter ModelArns": ",".join(MODEL_ARNS),
    "Parameter AlarmEmail": "none",
    "Parameter DryRun": "false",
    "Parameter ScheduleExpression": "rate(1 minute)",
    "Deploy this changeset?": "y",
}


def the_release_is_whole(session):
    session.files = release.files(session)
    names = {"SHA256SUMS"}
    for processor in release.build.TARGETS:
        bundle = f"rekognition-stopper-{VERSION}-{processor}"
        names |= {f"{bundle}.zip", f"{bundle}.cdx.json", f"bootstrap-{VERSION}-{processor}.zip"}
    check_equal(set(session.files), names, "files of the release")
    sums = session.files["SHA256SUMS"].read_text().splitlines()
    check_equal({line.split()[1] for line in sums}, names - {"SHA256SUMS"}, "files in SHA256SUMS")
    run("sha256sum", "sha256sum", "--check", "--strict", "SHA256SUMS", cwd=release.FILES)


def it_is_the_same_to_the_byte_in_two_folders(session):
    ours = release.build_here(WORK / "release-files")
    # The sums are of other files, since this is one processor's.
    del ours["SHA256SUMS"]
    check_equal(len(ours), 3, "files for one processor")
    different = [name for name, file in ours.items() if file.read_bytes() != session.files[name].read_bytes()]
    check_equal(different, [], "files that differ")
    return ", ".join(f"{name} {file.stat().st_size:,}" for name, file in sorted(ours.items()))


def each_bundle_has_the_function_for_the_processor_of_its_template(session):
    for processor, machine in ((it, MACHINES[it]) for it in release.build.TARGETS):
        name = f"rekognition-stopper-{VERSION}-{processor}"
        with zipfile.ZipFile(session.files[f"{name}.zip"]) as bundle:
            contents = {it.removeprefix(f"{name}/"): bundle.read(it) for it in bundle.namelist()}
        function = session.files[f"bootstrap-{VERSION}-{processor}.zip"].read_bytes()
        check_equal(contents["bootstrap.zip"] == function, True, "the function is that of the release")
        with zipfile.ZipFile(io.BytesIO(function)) as archive:
            bootstrap, = archive.infolist()
            check_equal((bootstrap.filename, bootstrap.external_attr >> 16), ("bootstrap", 0o100755), "name and mode")
            check_equal(int.from_bytes(archive.read(bootstrap)[18:20], "little"), machine, "processor of the function")
        made = USER.with_suffix(".yaml")
        made.write_bytes(contents["template.yaml"])
        wanted = template()
        resource = wanted["Resources"]["Function"]
        del resource["Metadata"]["BuildMethod"], resource["Metadata"]["BuildProperties"]
        resource["Properties"] |= {"CodeUri": "bootstrap.zip", "Architectures": [processor]}
        check_equal(template(made) == wanted, True, "the template is template.yaml, with the function built")
        left = set(contents) - {"bootstrap.zip", "template.yaml", "cloudformation.yaml", "README.md"}
        needed = {"events/dry-run.json", "member-account.yaml", "dashboard.yaml", "state-machine.asl.json"}
        check(needed <= left, f"the bundle has no more than {left}")
        for file in left:
            check_equal(contents[file] == (ROOT / file).read_bytes(), True, f"{file} is that of the sources")
        placeholders = re.findall(r"\b(?:VERSION|PROCESSOR|TOOLS)\b", contents["README.md"].decode())
        check_equal(placeholders, [], "words of the README that nothing was put in the place of")
        for page in filter(lambda it: it.endswith(".md"), contents):
            text = contents[page].decode()
            links = re.findall(r"\]\((?!https:)([^)#]+)", text)
            if page == "README.md":
                links += re.findall(r"`([\w/-]+\.(?:md|yaml|zip)|events/|tests/[\w/]+)", text)
            places = [os.path.normpath(os.path.join(os.path.dirname(page), it)) for it in links]
            missing = [it for it in places if not any(name.startswith(it) for name in contents)]
            check_equal(missing, [], f"files that {page} leads to, and that the bundle has not")


def the_user_has_no_cargo(session):
    shutil.rmtree(USER, ignore_errors=True)
    path = USER / "bin"
    path.mkdir(parents=True)
    tools.install("unzip", wanted="unzip")
    places = f"{tools.aws_cli_directory()}:{tools.environment()['PATH']}"
    for tool in TOOLS:
        (path / tool).symlink_to(shutil.which(tool, path=places))
    session.path = str(path)
    for name in (f"{BUNDLE}.zip", f"bootstrap-{VERSION}-arm64.zip"):
        shutil.copy(session.files[here(name)], USER)
    session.commands = shell_blocks(section(DEPLOYING, "## Without Rust")).splitlines()


def the_function_alone_is_created_by_the_aws_cli(session):
    create = "\n".join(session.commands).partition("aws lambda create-function")
    create = create[1] + create[2].partition("\nsha256sum")[0]
    check(f"--zip-file fileb://bootstrap-{VERSION}-arm64.zip" in create, f"{DEPLOYING.name} creates no function:\n{create}")
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    session.aws.client("iam").create_role(RoleName=STACK, AssumeRolePolicyDocument=trust)
    user(session, "create-function", here(create))
    invoke = f"aws lambda invoke --region {REGION} --cli-read-timeout 900 --function-name {STACK} report.json"
    user(session, "invoke", invoke)
    report = json.loads((USER / "report.json").read_text())
    outcomes = {it["model_arn"]: it["outcome"] for it in report["models"]}
    check_equal(outcomes, {SHELF_AUDIT: "stopped", SHELF_AUDIT_KEPT: "kept"}, "what the function did")
    # The bundle's stack has a function, and a log, of the same name.
    session.aws.client("lambda").delete_function(FunctionName=STACK)
    session.aws.client("logs").delete_log_group(logGroupName=LOG_GROUP)
    session.aws.client("iam").delete_role(RoleName=STACK)


def unzip_and_sam_deploy_guided_is_all_that_it_takes(session):
    session.rekognition.start()
    unzip, change, deploy = session.commands[:3]
    check_equal(unzip, f"unzip {BUNDLE}.zip", f"the first command in {DEPLOYING.name}")
    check_equal(change, f"cd {BUNDLE}", f"the second command in {DEPLOYING.name}")
    check_equal(deploy, "sam deploy --guided", f"the third command in {DEPLOYING.name}")
    user(session, "unzip", here(unzip))
    bundle = USER / here(BUNDLE)
    guided(session, deploy, bundle)
    check_equal(stack_status(session), "CREATE_COMPLETE", "status of the stack")
    function = session.aws.client("lambda").get_function_configuration(FunctionName=STACK)
    check_equal(function["Architectures"], [ARCHITECTURE], "processor")


def a_scheduled_run_stops_the_models(session):
    for model in [SHELF_AUDIT, WELD_SEAMS]:
        wait_until(
            lambda: session.rekognition.status(model) == "STOPPED",
            f"{model} is not stopped", timeout=120, log=session.aws.log,
        )
    check_equal(session.rekognition.status(SHELF_AUDIT_KEPT), "RUNNING", "the model that its tag keeps")
    line = wait_until(lambda: run_lines(session), "no run in the log", timeout=30, log=session.aws.log)[0]
    check_equal((line["stopped"], line["failed"]), (2, 0), "models stopped and failed")


def the_command_of_the_stack_runs_it(session):
    before = len(run_lines(session))
    user(session, "run-command", outputs(session)["RunCommand"])
    wait_until(lambda: len(run_lines(session)) > before, "no further run in the log", timeout=60, log=session.aws.log)


def sam_delete_leaves_nothing_behind(session):
    user(session, "sam-delete", f"sam delete --no-prompts --region {REGION} --stack-name {STACK}")
    check_nothing_is_left(session)


STEPS = [
    the_release_is_whole,
    it_is_the_same_to_the_byte_in_two_folders,
    each_bundle_has_the_function_for_the_processor_of_its_template,
    the_user_has_no_cargo,
    the_function_alone_is_created_by_the_aws_cli,
    unzip_and_sam_deploy_guided_is_all_that_it_takes,
    a_scheduled_run_stops_the_models,
    the_command_of_the_stack_runs_it,
    sam_delete_leaves_nothing_behind,
]


def here(text):
    """A text of the documentation, with this machine's processor, so that the function can run."""
    return text.replace("arm64", ARCHITECTURE)


def user(session, name, command):
    """Runs a command of the shell with the user's tools alone."""
    run(f"without-rust-{name}", "sh", "-euc", command, cwd=USER, env=session.aws.environment(PATH=session.path))


def guided(session, command, directory):
    """Runs a command that asks, answers it, and returns what it said."""
    process = subprocess.Popen(
        ["sh", "-euc", command], cwd=directory, env=session.aws.environment(PATH=session.path),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    # It may ask what is not expected, and wait.
    late = threading.Timer(300, tools.end_group, [process])
    late.start()
    said = ""
    try:
        while chunk := os.read(process.stdout.fileno(), 65536):
            said += chunk.decode(errors="replace")
            question = said.rpartition("\n")[2]
            if question.endswith(": "):
                answer = next((it for asked, it in ANSWERS.items() if asked in question), "")
                os.write(process.stdin.fileno(), f"{answer}\n".encode())
                said += f"{answer}\n"
        code = process.wait()
    finally:
        late.cancel()
        tools.end_group(process)
        log = LOGS / "without-rust-sam-deploy.log"
        log.write_text(said)
    check(code == 0, f"{command} failed with exit code {code}", log)
    for question in ANSWERS:
        check(question in said, f"{command} did not ask: {question}", log)
