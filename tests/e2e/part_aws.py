"""The bundle in the hands of CloudFormation, the CDK, Terraform and `tests/aws/run`.

Terraform's provider is not here: what its resources say is read, and made as the provider makes it.
"""

import concurrent.futures
import contextlib
import io
import os
import re
import runpy
import shutil
import signal
import subprocess

import hcl2

import release
import tools
from operated import (
    DEPLOYING, STACK, begin, check_nothing_is_left, check_real, inventory, outputs,
)
from release import BUNDLE
from stack import Stack
from tools import (
    ACCOUNT, ARCHITECTURE, LOGS, REGION, ROOT, WORK, blocks, check, check_equal, run, section,
)

PLAIN = BUNDLE / "cloudformation.yaml"
BROKEN = WORK / "broken-bundle"
CDK = WORK / "cdk"
# What CloudFormation takes in a request.
MOST_BYTES = 51_200
# As docs/deploying.md has it, and where everything that is conditional is made.
DOCUMENTED = {"ModelArns": "all", "AlarmEmail": "on-call@example.com"}
EVERYTHING = DOCUMENTED | {
    "DryRun": "false", "ReportEveryRun": "true", "MemberRole": "member", "AccountsPerRun": "250",
}
# The steps of tests/aws/run at which it is ended: while the stack is made, while there is all that
# is beside it, and the last.
INTERRUPTED = ["deploy", "schedule", "condition"]
KILLED = "send"


def the_plain_template_has_the_resources_that_sam_makes(session):
    release.unpacked()
    begin(session)
    size = PLAIN.stat().st_size
    check(size <= MOST_BYTES, f"{PLAIN.name} has {size} bytes, of {MOST_BYTES} in a request")
    run("cfn-lint-plain", "cfn-lint", PLAIN)
    for parameters in [DOCUMENTED, EVERYTHING]:
        sam = Stack(path=BUNDLE / "template.yaml", **parameters)
        plain = plain_stack(**parameters)
        check_equal(plain.outputs, sam.outputs, "outputs")
        check_equal(plain.rules, sam.rules, "rules")
        if "Machine" in plain.resources:
            definition = plain.properties("Machine").pop("DefinitionString")
            wanted = (ROOT / "state-machine.asl.json").read_text()
            check_equal(definition, wanted, "definition of the state machine")
            del sam.properties("Machine")["DefinitionS3Location"]
        check_same_resources(plain, sam)
    return f"{size:,} bytes"


def three_commands_deploy_it_and_two_remove_it(session):
    commands = "".join(blocks(section(DEPLOYING, "## With CloudFormation")))
    deploying, found, removing = commands.partition("aws cloudformation delete-stack")
    check_equal(len(re.findall("^aws ", deploying, re.MULTILINE)), 3, "commands that deploy it")
    shell(session, "plain-deploy", deploying)
    check_real(session.aws, STACK)
    said = shell(session, "plain-dry-run", outputs(session)["DryRunCommand"])
    check("would_stop" in said, "the dry run would stop nothing", LOGS / "plain-dry-run.log")
    shell(session, "plain-remove", found + removing)
    remove_the_bucket(session)


def terraform_gives_what_the_template_asks_for(session):
    (code,) = blocks(section(DEPLOYING, "### Terraform"), "hcl")
    blocks_of = hcl2.loads(here(code))["resource"]
    resources = {kind: it for block in blocks_of for kind, it in block.items()}
    (function,) = resources["aws_s3_object"].values()
    (stack,) = resources["aws_cloudformation_stack"].values()
    # Every value is a list of one.
    bucket, key = function["bucket"][0], function["key"][0]
    references = {
        "${aws_s3_object.function.bucket}": bucket, "${aws_s3_object.function.key}": key,
    }
    given = stack["parameters"][0]
    template = stack["template_body"][0]
    check_equal(template, f'${{file("{PLAIN.name}")}}', "the template of Terraform")
    session.aws.client("s3").create_bucket(Bucket=bucket)
    session.aws.client("s3").upload_file(BUNDLE / function["source"][0], bucket, key)
    cloudformation = session.aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack["name"][0], TemplateBody=PLAIN.read_text(),
        Capabilities=stack["capabilities"][0], Parameters=[
            {"ParameterKey": name, "ParameterValue": references.get(value, value)}
            for name, value in given.items()
        ],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1})
    cloudformation.delete_stack(StackName=STACK)
    session.aws.client("s3").delete_object(Bucket=bucket, Key=key)
    remove_the_bucket(session)


def the_cdk_includes_it(session):
    (code,) = blocks(section(DEPLOYING, "### CDK"), "js")
    tools.install("npm", wanted="npm")
    CDK.mkdir(exist_ok=True)
    for file in (ROOT / "tests" / "e2e" / "cdk").iterdir():
        shutil.copy(file, CDK)
    (CDK / "app.mjs").write_text(code)
    run("npm", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=CDK)
    # Where the CDK's own command would have it.
    env = tools.environment(CDK_OUTDIR=str(CDK / "out"))
    run("cdk", "node", CDK / "app.mjs", cwd=BUNDLE, env=env)
    cdk = Stack(path=CDK / "out" / f"{STACK}.template.json")
    plain = plain_stack(**DOCUMENTED)
    check_equal(cdk.outputs, plain.outputs, "outputs")
    code = cdk.properties("Function").pop("Code")
    check(code["S3Key"].endswith(".zip"), "the function is no asset")
    del plain.properties("Function")["Code"]
    check_same_resources(cdk, plain)


def tests_aws_run_prints_what_it_has_seen(session):
    said = shell(session, "tests-aws-run", f"tests/aws/run --region {REGION} --yes")
    log = LOGS / "tests-aws-run.log"
    marks = re.findall(r"^(ok|unseen|FAILED) +([\w ]+): ", said, re.MULTILINE)
    session.steps = [name for _, name in marks]
    # The local AWS has no CloudTrail of Rekognition, and reads no policy.
    unseen = [name for mark, name in marks if mark != "ok"]
    check_equal(unseen, ["CloudTrail", "condition"], "steps that show nothing here")
    told = len(re.findall("Only AWS shows: ", said))
    check_equal(told, len(marks), "steps that say what only AWS shows")
    for private in [ACCOUNT, "shelf-audit", "weld-seams", "Traceback"]:
        check(private not in said, f"the transcript has {private} in it", log)
    named = "project/no-such-thing/version/no-such-thing/1 (ResourceNotFoundException"
    check(named in " ".join(said.split()), "no mail names the model that does not exist", log)
    check_nothing_is_left(session)


def it_prints_nothing_private(session):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(ROOT / "tests" / "aws" / "run"))["say"]("FAILED", (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_1a/ann@example.com "
            "with AKIAIOSFODNN7EXAMPLE is not authorized on "
            f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit/version/v1/1759309953000."
        ))
    check_equal(" ".join(said.getvalue().split()), (
        "FAILED User: arn:aws:sts::ACCOUNT:assumed-role/NAME with KEY is not authorized on "
        f"arn:aws:rekognition:{REGION}:ACCOUNT:project/NAME"
    ), "what is printed")


def nothing_is_left_after_a_failure(session):
    shutil.rmtree(BROKEN, ignore_errors=True)
    shutil.copytree(BUNDLE, BROKEN)
    (BROKEN / PLAIN.name).write_text("Resources: {Nothing: {Type: AWS::No::Such}}\n")
    command = ["tests/aws/run", "--region", REGION, "--yes", "--bundle", BROKEN]
    env = session.aws.shell_environment()
    said = run("tests-aws-broken", *command, cwd=BUNDLE, env=env, fails=True)
    why = "\nFAILED    deploy: " in said and "AWS::No::Such" in said
    check(why, "it does not say why", LOGS / "tests-aws-broken.log")
    check_nothing_is_left(session)


def nothing_is_left_after_ctrl_c(session):
    with concurrent.futures.ThreadPoolExecutor(len(INTERRUPTED)) as pool:
        ended = pool.map(lambda it: interrupted(session, it), INTERRUPTED)
        for step, said in zip(INTERRUPTED, ended):
            deletes = "by SIGINT" in said and "\ndeleted " in said
            check(deletes, f"Ctrl-C at the step {step} deletes nothing", said)
    forget_late_logs(session.aws)
    check_nothing_is_left(session)


def what_a_killed_run_leaves_is_deleted_by_its_name(session):
    said = interrupted(session, KILLED, signal.SIGKILL)
    found = inventory(session.aws)
    check(found["queues"] - session.before["queues"], "there is no queue", said)
    shell(session, "tests-aws-delete", re.search("tests/aws/run --region .* --delete .*", said)[0])
    forget_late_logs(session.aws)
    check_nothing_is_left(session)


def forget_late_logs(aws):
    """A run that outlives its stack has its log group again, because the local AWS makes one for
    whatever logs. Lambda does so only for a role that may create it, which the function's may not.
    """
    logs = aws.client("logs")
    prefix = f"/aws/lambda/{STACK}-check-"
    for group in logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]:
        logs.delete_log_group(logGroupName=group["logGroupName"])


def here(text):
    """A text of the documentation, with a bucket, and with the processor of this machine."""
    return text.replace("arm64", ARCHITECTURE).replace("BUCKET", "releases")


def shell(session, name, commands):
    """Runs commands of the documentation in the bundle."""
    return session.aws.shell(name, f"cd {BUNDLE}\n{here(commands)}")


def plain_stack(**parameters):
    """The stack of the plain template."""
    return Stack(path=PLAIN, CodeBucket="bucket", CodeKey="function.zip", **parameters)


def check_same_resources(these, those):
    """Two stacks have the same resources, but for the tags by which SAM knows its own."""
    check_equal(sorted(these.resources), sorted(those.resources), "resources")
    for name, resource in those.resources.items():
        resource["Properties"].pop("Tags", None)
        check_equal(these.resources[name], resource, name)


def remove_the_bucket(session, bucket="releases"):
    """What is left of a deployment is its empty bucket, until this has deleted that."""
    waiter = session.aws.client("cloudformation").get_waiter("stack_delete_complete")
    waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1})
    session.aws.client("s3").delete_bucket(Bucket=bucket)
    check_nothing_is_left(session)


def interrupted(session, step, ending=signal.SIGINT):
    """What `tests/aws/run` says if its terminal's Ctrl-C, or another end, comes while it takes a
    step."""
    process = subprocess.Popen(
        ["tests/aws/run", "--region", REGION, "--yes"], cwd=BUNDLE,
        env=session.aws.shell_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )
    said, findings = "", -1
    for line in process.stdout:
        said += line
        findings += bool(re.match("If this is killed|ok |unseen |FAILED ", line))
        if findings == session.steps.index(step):
            os.killpg(process.pid, ending)
            findings = len(session.steps)
    process.wait()
    return said
