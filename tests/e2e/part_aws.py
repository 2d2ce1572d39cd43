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
from part_cargo_lambda import DEPLOYING, section, shell_blocks
from part_deploy import STACK, check_nothing_is_left, check_real, inventory, outputs
from services import LocalAws, Rekognition
from stack import Stack
from tools import ACCOUNT, ARCHITECTURE, LOGS, REGION, ROOT, WORK, check, check_equal, run

NAME = f"rekognition-stopper-{release.VERSION}-{ARCHITECTURE}"
BUNDLE = WORK / NAME
PLAIN = BUNDLE / "cloudformation.yaml"
BROKEN = WORK / "broken-bundle"
CDK = WORK / "cdk"
# What CloudFormation takes in a request.
MOST_BYTES = 51_200
# As docs/deploying.md has it, and where everything that is conditional is made.
DOCUMENTED = {"ModelArns": "all", "AlarmEmail": "on-call@example.com"}
EVERYTHING = DOCUMENTED | {"DryRun": "false", "ReportEveryRun": "true", "MemberRole": "member", "AccountsPerRun": "250"}


def the_bundle_is_unpacked(session):
    tools.install("unzip", wanted="unzip")
    files = release.build_here(WORK / "release-files")
    shutil.rmtree(BUNDLE, ignore_errors=True)
    run("unzip", "unzip", "-q", files[f"{NAME}.zip"], "-d", WORK)
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)


def the_plain_template_has_the_resources_that_sam_makes(session):
    size = PLAIN.stat().st_size
    check(size <= MOST_BYTES, f"{PLAIN.name} has {size} bytes, and {MOST_BYTES} are taken in a request")
    run("cfn-lint-plain", "cfn-lint", PLAIN)
    for parameters in [DOCUMENTED, EVERYTHING]:
        sam, plain = Stack(path=BUNDLE / "template.yaml", **parameters), plain_stack(**parameters)
        check_equal(plain.outputs, sam.outputs, "outputs")
        check_equal(plain.rules, sam.rules, "rules")
        if "Machine" in plain.resources:
            definition = plain.properties("Machine").pop("DefinitionString")
            check_equal(definition, (ROOT / "state-machine.asl.json").read_text(), "definition of the state machine")
            del sam.properties("Machine")["DefinitionS3Location"]
        check_same_resources(plain, sam)
    return f"{size:,} bytes"


def three_commands_deploy_it_and_two_remove_it(session):
    commands = shell_blocks(section(DEPLOYING, "## With CloudFormation"))
    deploying, found, removing = commands.partition("aws cloudformation delete-stack")
    check_equal(len(re.findall("^aws ", deploying, re.MULTILINE)), 3, f"commands that deploy in {DEPLOYING.name}")
    shell(session, "plain-deploy", deploying)
    check_real(session.aws, STACK)
    said = shell(session, "plain-dry-run", outputs(session)["DryRunCommand"])
    check("would_stop" in said, "the dry run would stop nothing", LOGS / "plain-dry-run.log")
    shell(session, "plain-remove", found + removing)
    remove(session)


def terraform_gives_what_the_template_asks_for(session):
    code, = re.findall(r"```hcl\n(.*?)```", section(DEPLOYING, "### Terraform"), re.DOTALL)
    resources = {kind: it for block in hcl2.loads(here(code))["resource"] for kind, it in block.items()}
    function, = resources["aws_s3_object"].values()
    stack, = resources["aws_cloudformation_stack"].values()
    # Every value is a list of one.
    bucket, key = function["bucket"][0], function["key"][0]
    given = stack["parameters"][0]
    references = {f"${{aws_s3_object.function.{field}}}": value for field, value in {"bucket": bucket, "key": key}.items()}
    check_equal(stack["template_body"][0], f'${{file("{PLAIN.name}")}}', "the template of Terraform")
    session.aws.client("s3").create_bucket(Bucket=bucket)
    session.aws.client("s3").upload_file(BUNDLE / function["source"][0], bucket, key)
    cloudformation = session.aws.client("cloudformation")
    cloudformation.create_stack(
        StackName=stack["name"][0], TemplateBody=PLAIN.read_text(), Capabilities=stack["capabilities"][0],
        Parameters=[{"ParameterKey": it, "ParameterValue": references.get(given[it], given[it])} for it in given],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    check_real(session.aws, STACK)
    cloudformation.delete_stack(StackName=STACK)
    session.aws.client("s3").delete_object(Bucket=bucket, Key=key)
    remove(session)


def the_cdk_includes_it(session):
    code, = re.findall(r"```js\n(.*?)```", section(DEPLOYING, "### CDK"), re.DOTALL)
    tools.install("npm", wanted="npm")
    CDK.mkdir(exist_ok=True)
    for file in (ROOT / "tests" / "e2e" / "cdk").iterdir():
        shutil.copy(file, CDK)
    (CDK / "app.mjs").write_text(code)
    run("npm", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=CDK)
    # Where the CDK's own command would have it.
    env = tools.environment(CDK_OUTDIR=str(CDK / "out"))
    run("cdk", "node", CDK / "app.mjs", cwd=BUNDLE, env=env)
    cdk, plain = Stack(path=CDK / "out" / f"{STACK}.template.json"), plain_stack(**DOCUMENTED)
    check_equal(cdk.outputs, plain.outputs, "outputs")
    check(cdk.properties("Function").pop("Code")["S3Key"].endswith(".zip"), "the function is no asset")
    del plain.properties("Function")["Code"]
    check_same_resources(cdk, plain)


def tests_aws_run_prints_what_it_has_seen(session):
    said = shell(session, "tests-aws-run", f"tests/aws/run --region {REGION} --yes")
    log = LOGS / "tests-aws-run.log"
    session.marks = re.findall(r"^(ok|unseen|FAILED) +([\w ]+): ", said, re.MULTILINE)
    # The local AWS has no CloudTrail of Rekognition, and reads no policy.
    unseen = [name for mark, name in session.marks if mark != "ok"]
    check_equal(unseen, ["CloudTrail", "condition"], "steps that show nothing here")
    check_equal(len(re.findall("Only AWS shows: ", said)), len(session.marks), "steps that say what only AWS shows")
    for private in [ACCOUNT, "shelf-audit", "weld-seams", "Traceback"]:
        check(private not in said, f"the transcript has {private} in it", log)
    named = "project/no-such-thing/version/no-such-thing/1 (ResourceNotFoundException"
    check(named in " ".join(said.split()), "no mail names the model that does not exist", log)
    check_nothing_is_left(session)


def it_prints_nothing_private(session):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        runpy.run_path(str(ROOT / "tests" / "aws" / "run"))["say"]("FAILED", (
            f"User: arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_1a/ann@example.com with AKIAIOSFODNN7EXAMPLE is "
            f"not authorized on arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit/version/v1/1759309953000."
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
    said = run("tests-aws-broken", *command, cwd=BUNDLE, env=session.aws.shell_environment(), fails=True)
    check("\nFAILED    deploy: " in said and "AWS::No::Such" in said, "it does not say why", LOGS / "tests-aws-broken.log")
    check_nothing_is_left(session)


def nothing_is_left_after_ctrl_c_at_any_step(session):
    steps = range(len(session.marks))
    with concurrent.futures.ThreadPoolExecutor(len(steps)) as pool:
        for step, said in enumerate(pool.map(lambda step: interrupted(session, step), steps)):
            check("by SIGINT" in said and "\ndeleted " in said, f"Ctrl-C at step {step} deletes nothing", said)
    check_nothing_is_left(session)


def what_a_killed_run_leaves_is_deleted_by_its_name(session):
    said = interrupted(session, 2, signal.SIGKILL)
    check("queues" in [kind for kind, names in inventory(session.aws).items() if names - session.before[kind]], said)
    command = re.search("tests/aws/run --region .* --delete .*", said)[0]
    shell(session, "tests-aws-delete", command)
    check_nothing_is_left(session)


STEPS = [
    the_bundle_is_unpacked,
    the_plain_template_has_the_resources_that_sam_makes,
    three_commands_deploy_it_and_two_remove_it,
    terraform_gives_what_the_template_asks_for,
    the_cdk_includes_it,
    tests_aws_run_prints_what_it_has_seen,
    it_prints_nothing_private,
    nothing_is_left_after_a_failure,
    nothing_is_left_after_ctrl_c_at_any_step,
    what_a_killed_run_leaves_is_deleted_by_its_name,
]


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


def remove(session):
    """What is left of a deployment is its empty bucket, until this has deleted that."""
    cloudformation = session.aws.client("cloudformation")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    session.aws.client("s3").delete_bucket(Bucket="releases")
    check_nothing_is_left(session)


def interrupted(session, step, ending=signal.SIGINT):
    """What `tests/aws/run` says if its terminal's Ctrl-C, or another end, comes while it takes a step."""
    process = subprocess.Popen(
        ["tests/aws/run", "--region", REGION, "--yes"], cwd=BUNDLE, env=session.aws.shell_environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )
    said, findings = "", -1
    for line in process.stdout:
        said += line
        findings += bool(re.match("If this is killed|ok |unseen |FAILED ", line))
        if findings == step:
            os.killpg(process.pid, ending)
            findings += 1
    process.wait()
    return said
