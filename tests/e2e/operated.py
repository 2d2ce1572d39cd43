"""A stack in the local AWS, in its operator's hands: how it is deployed, what it says and mails."""

import json
import re

from ministack.services import stepfunctions

import release
from services import LocalAws, Rekognition
from stack import Stack
from tools import ACCOUNT, LOGS, REGION, ROOT, check, check_equal, run, wait_until

DEPLOYING = ROOT / "docs" / "deploying.md"
STACK = "rekognition-stopper"
LOG_GROUP = f"/aws/lambda/{STACK}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-Topic"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK}"
# A schedule that fires once, and at once, and one for what is started by hand. The template refuses
# the former.
AT_ONCE = "at(2026-01-01T00:00:00)"
NEVER = "cron(0 0 1 1 ? 2099)"

# Which ministack lacks, and Step Functions has.
stepfunctions._JSONATA_FUNCS["$parse"] = json.loads


def begin(session):
    """Starts a Rekognition and an AWS with nothing in it."""
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)


def sam_deploy(session, name, parameters, *, fails=False):
    """Deploys what was built, with these parameters."""
    overrides = [f"{name}='{value}'" for name, value in parameters.items()]
    return run(
        name,
        "sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--no-confirm-changeset",
        "--template-file", release.BUILD / "template.yaml", "--parameter-overrides", *overrides,
        env=session.aws.environment(), fails=fails,
    )


def sam_delete(session):
    """Deletes the stack, after which nothing of it is left."""
    session.aws.client("sqs").delete_queue(QueueUrl=session.mailbox)
    command = ["sam", "delete", "--no-prompts", "--region", REGION, "--stack-name", STACK]
    run(f"sam-delete-{session.part}", *command, env=session.aws.environment())
    check_nothing_is_left(session)


def described(session):
    """What CloudFormation says of the stack."""
    return session.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]


def outputs(session):
    """The outputs of the stack."""
    return {it["OutputKey"]: it["OutputValue"] for it in described(session)["Outputs"]}


def check_real(aws, stack, account=ACCOUNT):
    """The local AWS has made every resource, and not only said so."""
    client = aws.client("cloudformation", account)
    resources = client.describe_stack_resources(StackName=stack)["StackResources"]
    check(resources, f"{stack} has no resources")
    names = [it["LogicalResourceId"] for it in resources if "-noop-" in it["PhysicalResourceId"]]
    check_equal(names, [], f"resources of {stack} that are not there")


def alarms(session):
    """The alarms that there are."""
    return session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]


def set_schedule(session, expression):
    """Changes the schedule itself, as someone may in the console."""
    client = session.aws.client("scheduler")
    schedule = client.get_schedule(Name=STACK)
    kept = {name: schedule[name] for name in ["Name", "FlexibleTimeWindow", "Target"]}
    client.update_schedule(**kept, ScheduleExpression=expression)


def subscribe(session, topic):
    """Subscribes a queue to a topic, which gets what a mailbox would."""
    sqs = session.aws.client("sqs")
    session.mailbox = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=session.mailbox, AttributeNames=["QueueArn"])
    queue = asked["Attributes"]["QueueArn"]
    session.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)


def mails(**parameters):
    """The whole text of each mail of a stack, as its templates have it, by the rule or the state
    that sends it. What a run or an execution says is a `<name>` in it."""
    names = {"Function": STACK, "Schedule": STACK, "LogGroup": LOG_GROUP, "Machine": MACHINE}
    rules = Stack(**{"ModelArns": "all"} | parameters | names).of_type("AWS::Events::Rule")
    targets = {name: it["Targets"][0]["InputTransformer"] for name, it in rules.items()}
    texts = {name: json.loads(it["InputTemplate"]) for name, it in targets.items()}
    if "ExecutionRule" in rules:
        states = machine_definition(**parameters)["States"]
        for name in ["Tell of the failure", "Tell of the success"]:
            texts[name] = published(states[name])["Message"]
    return texts


def published(state):
    """What a state of the machine publishes."""
    machine = {"Name": STACK, "Id": MACHINE}
    context = {"Execution": {"Name": "<name>"}, "StateMachine": machine}
    return stepfunctions._apply_jsonata_template(state["Arguments"], {"text": "<text>"}, context)


def machine_definition(**parameters):
    """The definition of the state machine, as CloudFormation fills it in."""
    text = (ROOT / "state-machine.asl.json").read_text()
    machine = {"ModelArns": "all", "MemberRole": "r", "AccountsPerRun": "25"}
    values = Stack(**machine | parameters).properties("Machine")["DefinitionSubstitutions"]
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}"
    values |= {"FunctionArn": function, "TopicArn": TOPIC, "LogGroup": LOG_GROUP}
    for name, value in values.items():
        check(f"${{{name}}}" in text, f"the definition has no place for {name}")
        text = text.replace(f"${{{name}}}", value)
    check("${" not in text, "the definition has a place that nothing fills")
    return json.loads(text)


def next_mail(session, text, part=""):
    """The next mail that has this whole text, with this part, and what it has for each `<name>`.
    Others are thrown away."""
    pattern = re.compile(re.sub("<([a-z]+)>", r"(?P<\1>.*)", re.escape(text)), re.DOTALL)

    def mail():
        for sent in received(session, session.mailbox):
            found = pattern.fullmatch(sent)
            if found and part in sent:
                return found
        return None

    return wait_until(mail, f"no mail: {text}, {part}", timeout=60, log=LOGS / "mails.txt")


def received(session, queue):
    """The texts of the next messages in a queue that a topic sends to."""
    sqs = session.aws.client("sqs")
    for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        with (LOGS / "mails.txt").open("a") as log:
            log.write(f"{message['Body']}\n")
        text = json.loads(message["Body"])["Message"]
        # EventBridge sends a string of JSON, and CloudWatch an object.
        yield json.loads(text) if text.startswith('"') else text


def commands_in(text):
    """The commands of a text. Each is at its end or before a full stop."""
    return re.findall(r"(?:^|: )(aws .*?)(?=\.\s|\.$|$)", text)


def run_commands(session, mail):
    """Runs every command of the stack's outputs, its alarms and a mail, and returns what each of
    them prints."""
    texts = [mail, *outputs(session).values(), *(it["AlarmDescription"] for it in alarms(session))]
    commands = sorted({command for text in texts for command in commands_in(text)})
    return {it: session.aws.shell(f"{session.part}-{n}", it) for n, it in enumerate(commands)}


def run_lines(session):
    """The `run` lines of the function's log, oldest first."""
    return [it for it in session.aws.log_lines(LOG_GROUP) if it.get("message") == "run"]


def metrics(session):
    """The records of metrics in the function's log, oldest first."""
    return [it for it in session.aws.log_lines(LOG_GROUP) if "_aws" in it]


def check_fields(found, fields, what):
    """These fields of something have these values."""
    check_equal({name: found.get(name) for name in fields}, fields, what)


def check_nothing_is_left(session):
    """What there is in the local AWS was there before."""
    for kind, names in inventory(session.aws).items():
        check_equal(sorted(names - session.before[kind]), [], f"{kind} that are left")


def inventory(aws):
    """What there is in the local AWS, by kind. SAM's own stack and bucket, which it keeps, do not
    count."""
    sams = "aws-sam-cli-managed"
    found = {
        f"{service} {kind}": {it[name] for it in getattr(aws.client(service), call)()[kind]}
        for service, call, kind, name in [
            ("stepfunctions", "list_state_machines", "stateMachines", "name"),
            ("lambda", "list_functions", "Functions", "FunctionName"),
            ("iam", "list_roles", "Roles", "RoleName"),
            ("scheduler", "list_schedules", "Schedules", "Name"),
            ("sns", "list_topics", "Topics", "TopicArn"),
            ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
            ("events", "list_rules", "Rules", "Name"),
            ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
            ("logs", "describe_log_groups", "logGroups", "logGroupName"),
            ("s3", "list_buckets", "Buckets", "Name"),
        ]
    }
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    found["stacks"] = {
        it["StackName"] for it in stacks
        if it["StackStatus"] != "DELETE_COMPLETE" and not it["StackName"].startswith(sams)
    }
    found["queues"] = set(aws.client("sqs").list_queues().get("QueueUrls", []))
    found["s3 Buckets"] = {it for it in found["s3 Buckets"] if not it.startswith(sams)}
    return found
