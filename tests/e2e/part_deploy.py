"""`sam build` and `sam deploy` into the local AWS, and then the nights: a good one, a bad one, an update, the end.

What the local AWS does not carry, and what is done about it:
- saved queries of CloudWatch Logs: part `template` reads them instead;
- allowed patterns of parameters and the template's rules: part `template` tries them; allowed values it does refuse;
- the time zone of a schedule, and its update with the stack: seen in the change set, and read in the template;
- destinations on an event bus and dead-letter queues of targets: `local_events.py` has them;
- what an alarm makes of missing data, and metrics of queues: the alarms are read in part `template`;
- metrics in the embedded format: the record is read in the log;
- mail: a queue that is subscribed to the topic gets what a mailbox would.
"""

import json
import re
import shutil
import time

import release
import tools
from services import BOTTLE_CAPS, MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, LocalAws, Rekognition
from stack import TEMPLATE, Stack, write_copy
from tools import ACCOUNT, ARCHITECTURE, LOGS, REGION, ROOT, WORK, check, check_equal, run, wait_until

STACK = "rekognition-stopper"
BUILD = WORK / "build"
LOG_GROUP = f"/aws/lambda/{STACK}"
# What everybody has to answer, and a schedule that fires at once; the template refuses such a rate.
PARAMETERS = {
    "ModelArns": ",".join(MODEL_ARNS),
    "AlarmEmail": "none",
    "DryRun": "false",
    "ScheduleExpression": "rate(1 minute)",
    "ReportEveryRun": "true",
}

# A schedule for what is started by hand.
NEVER = "cron(0 0 1 1 ? 2099)"

# How every mail begins, and what it tells to do.
HERE = f"{STACK} in {REGION}, account {ACCOUNT}"
RUN_COMMAND = (
    f"aws lambda invoke --region {REGION} --function-name {STACK} --invocation-type Event "
    "--cli-binary-format raw-in-base64-out --payload '{}' /dev/stdout"
)


def sam_build_makes_the_function(session):
    sam_build()


def the_local_aws_and_the_rekognition_start(session):
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)


def a_value_that_is_not_allowed_creates_nothing(session):
    said = sam_deploy(session, "sam-deploy-refused", DryRun="perhaps", fails=True)
    check("DryRun" in said, "the refusal does not name the parameter", LOGS / "sam-deploy-refused.log")
    stacks = session.aws.client("cloudformation").describe_stacks()["Stacks"]
    made = [it for it in stacks if it["StackName"] == STACK and it["StackStatus"] != "REVIEW_IN_PROGRESS"]
    check_equal(made, [], "stacks")


def sam_deploy_creates_the_stack(session):
    sam_deploy(session, "sam-deploy")
    check_equal(stack_status(session), "CREATE_COMPLETE", "status of the stack")


def the_function_and_its_schedule_are_as_the_template_says(session):
    function = session.aws.client("lambda").get_function_configuration(FunctionName=STACK)
    check_equal(function["Runtime"], "provided.al2023", "runtime")
    check_equal(function["Architectures"], [ARCHITECTURE], "processor")
    check_equal((function["MemorySize"], function["Timeout"]), (128, 900), "memory and time")
    computed = Stack(**PARAMETERS).properties("Function")["Environment"]["Variables"]
    check_equal(function["Environment"]["Variables"], computed, "environment")
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "LogGroup": LOG_GROUP}
    check_equal({name: function["LoggingConfig"].get(name) for name in logging}, logging, "logging")
    retries = session.aws.client("lambda").get_function_event_invoke_config(FunctionName=STACK, Qualifier="$LATEST")
    check_equal(retries["MaximumRetryAttempts"], 2, "retries of a failed run")
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    check_equal(retries["DestinationConfig"]["OnFailure"]["Destination"], bus, "on-failure destination")
    schedule = session.aws.client("scheduler").get_schedule(Name=STACK)
    check_equal((schedule["ScheduleExpression"], schedule["State"]), ("rate(1 minute)", "ENABLED"), "schedule")
    groups = session.aws.client("logs").describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]
    check_equal([it.get("retentionInDays") for it in groups], [90], "days that the log is kept")
    alarms = {it["AlarmName"] for it in session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    check_equal(alarms - session.before["alarms"], {f"{STACK}-silence", f"{STACK}-undelivered"}, "alarms")


def everything_was_really_made(session):
    check_real(session.aws, STACK)


def a_queue_subscribes_to_the_topic(session):
    check(outputs(session)["MailGoesTo"].startswith("nobody is notified"), "somebody is said to get the mail")
    session.mailbox = subscribe(session.aws, outputs(session)["TopicArn"])


def the_role_is_what_the_template_means(session):
    iam = session.aws.client("iam")
    role = f"{STACK}-{REGION}"
    check_equal(outputs(session)["FunctionRoleArn"], f"arn:aws:iam::{ACCOUNT}:role/{role}", "the role, by its name")
    policy = iam.get_role_policy(RoleName=role, PolicyName="this-account")["PolicyDocument"]
    # Of the other statements only the local AWS knows the resources.
    computed = Stack(**PARAMETERS).role_statements()[:2]
    check_equal(policy["Statement"][:2], computed, "what the function may do with models")


def the_schedule_fires_by_itself_and_the_models_are_stopped(session):
    asked = time.monotonic()
    for model in [SHELF_AUDIT, WELD_SEAMS]:
        wait_until(
            lambda: session.rekognition.status(model) == "STOPPED",
            f"{model} is not stopped", timeout=120, log=session.aws.log,
        )
    check_equal(session.rekognition.status(SHELF_AUDIT_KEPT), "RUNNING", "the model that its tag keeps")
    check_equal(session.rekognition.status(BOTTLE_CAPS), "RUNNING", "a model that is not on the list")
    return f"{time.monotonic() - asked:.0f} s after the deployment"


def the_run_and_its_metrics_are_in_the_log(session):
    lines = wait_until(lambda: run_lines(session), "no run in the log", timeout=30, log=session.aws.log)
    expected = {"models": 3, "stopped": 2, "kept": 1, "failed": 0, "failed_lookups": 0, "inference_units_stopped": 3}
    check_equal({name: lines[0].get(name) for name in expected}, expected, "the run line")
    check_equal(str(lines[0]["level"]).upper(), "INFO", "level of the run line")
    outcomes = {}
    for line in session.aws.log_lines(LOG_GROUP):
        if line.get("message") == "model":
            # Another minute may have brought a second run by now: the first counts.
            outcomes.setdefault(line["model_arn"], line["outcome"])
    check_equal(outcomes, {SHELF_AUDIT: "stopped", SHELF_AUDIT_KEPT: "kept", WELD_SEAMS: "stopped"}, "the model lines")
    metrics = [it for it in session.aws.log_lines(LOG_GROUP) if "_aws" in it][0]
    directive = metrics["_aws"]["CloudWatchMetrics"][0]
    check_equal(directive["Namespace"], "RekognitionStopper", "namespace of the metrics")
    check_equal(directive["Dimensions"], [["FunctionName"]], "dimensions of the metrics")
    names = {
        "ModelsStopped", "ModelsAlreadyStopped", "ModelsKept", "ModelsFailed", "LookupsFailed", "InferenceUnitsStopped",
        "Duration", "RunsSucceeded",
    }
    check_equal({it["Name"] for it in directive["Metrics"]}, names, "metrics")
    check_equal(metrics["FunctionName"], STACK, "FunctionName of the metrics")
    check_equal((metrics["ModelsStopped"], metrics["InferenceUnitsStopped"]), (2, 3), "models and units of the metrics")


def a_mail_reports_the_good_run(session):
    mail = next_mail(session, "models were stopped", "the successful run is not emailed")
    check_equal(
        mail,
        f"{HERE}: 2 models were stopped: {SHELF_AUDIT}; {WELD_SEAMS}. That is 3 inference units. 1 model was kept running: "
        f"{SHELF_AUDIT_KEPT} (tag keep-running=true).",
        "the mail",
    )


def a_run_with_a_model_that_cannot_be_stopped_is_made_three_times(session):
    # The runs which follow are those that this test asks for.
    set_schedule(session, "rate(1 minute)", "DISABLED")
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    before = len(run_lines(session))
    event = (ROOT / "events/schedule-scheduler.json").read_bytes()
    session.aws.client("lambda").invoke(FunctionName=STACK, InvocationType="Event", Payload=event)
    runs = wait_until(
        lambda: len(run_lines(session)) >= before + 3 and run_lines(session)[before:],
        "the run is not repeated twice", timeout=120, log=session.aws.log,
    )
    # The local schedule may fire once more while it is being switched off. The mail has the number of tries.
    check_equal({it["failed"] for it in runs}, {1}, "models that failed, in each run")
    check_equal({str(it["level"]).upper() for it in runs}, {"ERROR"}, "level of the run lines")
    failed = [it for it in session.aws.log_lines(LOG_GROUP) if it.get("outcome") == "failed"]
    # What the table of the dashboard and the saved query read.
    check_equal(
        {(it["message"], it["model_arn"], it["code"], it["status"], bool(it["error"])) for it in failed},
        {("model", SHELF_AUDIT, "AccessDeniedException", "RUNNING", True)}, "the lines of the models that failed",
    )
    check_equal(session.rekognition.status(WELD_SEAMS), "STOPPED", "the model beside it")
    check_equal(session.rekognition.status(SHELF_AUDIT), "RUNNING", "the model that cannot be stopped")


def a_mail_names_the_model_that_could_not_be_stopped(session):
    mail = next_mail(session, "gave up", "the failed run is not emailed")
    begins = f"{HERE}: Lambda gave up on a run (RetriesExhausted). 1 of 3 models was not stopped: {SHELF_AUDIT} (AccessDeniedException: "
    check(mail.startswith(begins), f"the mail does not say what failed: {mail}")
    check("to perform: rekognition:StopProjectVersion" in mail, f"the mail does not name the action: {mail}")
    ends = (
        "). Models that are still running are being billed. Fix "
        f"the cause, then start a new run with: {RUN_COMMAND}. The errors of each attempt are in the log: aws logs tail "
        f"{LOG_GROUP} --region {REGION} --since 2d --filter-pattern ERROR."
    )
    check(mail.endswith(ends), f"the mail does not say what to do: {mail}")
    session.failure_mail = mail


def every_command_that_it_gives_works_with_aws_cli_2(session):
    session.rekognition.start()
    texts = list(outputs(session).values())
    texts += [it["AlarmDescription"] for it in session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    texts.append(session.failure_mail)
    commands = {command for text in texts for command in commands_in(text)}
    said = {
        command: session.aws.shell(f"command-{number}", command) for number, command in enumerate(sorted(commands))
    }
    for word, wanted in [
        ("dry_run", "would_stop"),
        ("filter-pattern ERROR", "AccessDeniedException"),
        ("get-schedule", '"ScheduleExpression"'),
        ("list-subscriptions-by-topic", '"Subscriptions"'),
        ("Event", '"StatusCode": 202'),
    ]:
        answers = [answer for command, answer in said.items() if word in command]
        check(answers and all(wanted in answer for answer in answers), f"{word}: {wanted} is not in {answers}")
    next_mail(session, f"{STACK}-undelivered", "the test of the mail is not emailed")
    return f"{len(commands)} commands"


def sam_deploy_updates_the_stack(session):
    changes = {
        "ScheduleExpression": "cron(0 20 * * ? *)",
        "ScheduleTimezone": "Europe/Berlin",
        "InferenceUnitHourPrice": "4.00",
        "AlarmEmail": "on-call@example.com",
        "LogRetentionDays": "30",
    }
    said = sam_deploy(session, "sam-deploy-update", **changes)
    check_equal(stack_status(session), "UPDATE_COMPLETE", "status of the stack")
    check(re.search(r"Modify +Schedule ", said), "the change set does not change the schedule", LOGS / "sam-deploy-update.log")
    function = session.aws.client("lambda").get_function_configuration(FunctionName=STACK)
    check_equal(function["Environment"]["Variables"].get("INFERENCE_UNIT_HOUR_PRICE"), "4.00", "price")
    subscriptions = session.aws.client("sns").list_subscriptions()["Subscriptions"]
    check("on-call@example.com" in [it["Endpoint"] for it in subscriptions], "the address is not subscribed")
    check_equal(outputs(session)["MailGoesTo"], "on-call@example.com", "who gets the mail")
    schedule = Stack(**PARAMETERS | changes).properties("Schedule")
    check_equal(
        (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]),
        ("cron(0 20 * * ? *)", "Europe/Berlin"), "the schedule in the template",
    )


def a_mail_that_cannot_be_delivered_ends_in_the_queue(session):
    topic = outputs(session)["TopicArn"]
    session.aws.client("sns").delete_topic(TopicArn=topic)
    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    session.aws.client("lambda").invoke(FunctionName=STACK, InvocationType="Event", Payload=b"{}")
    message = undelivered(session, "the mail of the failed run is not in the queue")
    check_equal(json.loads(message["Body"])["detail"]["responsePayload"]["errorType"], "NotAllStopped", "the message")
    check_equal(message["MessageAttributes"]["RULE_ARN"]["StringValue"].split("/")[-1], f"{STACK}-failure", "sender")
    session.aws.client("sns").create_topic(Name=topic.split(":")[-1])


def a_schedule_that_cannot_reach_the_function_ends_in_the_queue(session):
    session.aws.client("lambda").delete_function(FunctionName=STACK)
    set_schedule(session, "rate(1 minute)", "ENABLED")
    message = undelivered(session, "the event is not in the queue")
    check_equal(json.loads(message["Body"])["source"], "aws.scheduler", "the event")
    check("SCHEDULE_ARN" in message["MessageAttributes"], "the message does not say that a schedule sent it")


def sam_delete_leaves_nothing_behind(session):
    session.aws.client("sqs").delete_queue(QueueUrl=session.mailbox)
    run(
        "sam-delete", "sam", "delete", "--no-prompts", "--region", tools.REGION, "--stack-name", STACK,
        env=session.aws.environment(),
    )
    check_nothing_is_left(session)


STEPS = [
    sam_build_makes_the_function,
    the_local_aws_and_the_rekognition_start,
    a_value_that_is_not_allowed_creates_nothing,
    sam_deploy_creates_the_stack,
    the_function_and_its_schedule_are_as_the_template_says,
    everything_was_really_made,
    a_queue_subscribes_to_the_topic,
    the_role_is_what_the_template_means,
    the_schedule_fires_by_itself_and_the_models_are_stopped,
    the_run_and_its_metrics_are_in_the_log,
    a_mail_reports_the_good_run,
    a_run_with_a_model_that_cannot_be_stopped_is_made_three_times,
    a_mail_names_the_model_that_could_not_be_stopped,
    every_command_that_it_gives_works_with_aws_cli_2,
    a_mail_that_cannot_be_delivered_ends_in_the_queue,
    sam_deploy_updates_the_stack,
    a_schedule_that_cannot_reach_the_function_ends_in_the_queue,
    sam_delete_leaves_nothing_behind,
]


def sam_build():
    """Builds the function as `sam build` does for an operator, for the processor of this machine."""
    source = write_copy(TEMPLATE, WORK / "template.yaml", set_processor)
    # SAM looks for it beside the template.
    shutil.copy(ROOT / "state-machine.asl.json", WORK)
    run(
        "sam-build", "sam", "build", "--template-file", source, "--base-dir", ROOT, "--build-dir", BUILD,
        env=tools.environment(**release.variables()),
    )


def set_processor(template):
    """The one line that an operator changes for another processor."""
    template["Resources"]["Function"]["Properties"]["Architectures"] = [ARCHITECTURE]


def sam_deploy(session, name, parameters=PARAMETERS, *, fails=False, **changes):
    """Deploys what was built, with these parameters and changes."""
    overrides = [f"{name}='{value}'" for name, value in (parameters | changes).items()]
    return run(
        name,
        "sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--no-confirm-changeset",
        "--template-file", BUILD / "template.yaml", "--parameter-overrides", *overrides,
        env=session.aws.environment(), fails=fails,
    )


def set_schedule(session, expression, state):
    """Changes the schedule itself, as someone may in the console."""
    scheduler = session.aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=STACK)
    kept = {name: schedule[name] for name in ["Name", "FlexibleTimeWindow", "Target", "Description"]}
    scheduler.update_schedule(**kept, ScheduleExpression=expression, State=state)


def check_real(aws, stack, account=ACCOUNT):
    """The local AWS has made every resource, and not only said so."""
    resources = aws.client("cloudformation", account).describe_stack_resources(StackName=stack)["StackResources"]
    check(resources, f"{stack} has no resources")
    pretended = [it["LogicalResourceId"] for it in resources if "-noop-" in it["PhysicalResourceId"]]
    check_equal(pretended, [], f"resources of {stack} that are not there")


def subscribe(aws, topic):
    """A queue that gets what the topic mails."""
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return queue


def next_mail(session, part, complaint):
    """The next mail with this part, without quotation marks around it. Others are thrown away."""

    def mail():
        for message in session.aws.client("sqs").receive_message(QueueUrl=session.mailbox).get("Messages", []):
            session.aws.client("sqs").delete_message(QueueUrl=session.mailbox, ReceiptHandle=message["ReceiptHandle"])
            text = json.loads(message["Body"])["Message"]
            # EventBridge sends a string of JSON, and CloudWatch an object.
            text = json.loads(text) if text.startswith('"') else text
            with (LOGS / "mails.txt").open("a") as mails:
                mails.write(f"{message['Body']}\n")
            if part in text:
                return text

    return wait_until(mail, complaint, timeout=60, log=session.aws.log)


def undelivered(session, complaint):
    """The next message in the queue of what could not be delivered."""
    resources = session.aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    queue = next(it["PhysicalResourceId"] for it in resources if it["LogicalResourceId"] == "UndeliveredQueue")
    sqs = session.aws.client("sqs")
    message = wait_until(
        lambda: sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages"),
        complaint, timeout=90, log=session.aws.log,
    )[0]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return message


def commands_in(text):
    """The commands of a text. Each stands at its end or before a full stop."""
    return re.findall(r"(?:^|: )(aws .*?)(?=\.\s|\.$|$)", text)


def stack_status(session):
    return session.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]


def outputs(session):
    """The outputs of the stack."""
    stack = session.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}


def run_lines(session):
    """The `run` lines of the function's log, oldest first."""
    return [it for it in session.aws.log_lines(LOG_GROUP) if it.get("message") == "run"]


def check_nothing_is_left(session):
    """What there is in the local AWS was there before."""
    for kind, names in inventory(session.aws).items():
        check_equal(sorted(names - session.before[kind]), [], f"{kind} that are left")


def inventory(aws):
    """What there is in the local AWS, by kind. SAM's own stack and bucket, which it keeps, do not count."""
    keys = aws.client("kms")
    return {
        "stacks": {
            it["StackName"] for it in aws.client("cloudformation").describe_stacks()["Stacks"]
            if it["StackStatus"] != "DELETE_COMPLETE" and not it["StackName"].startswith("aws-sam-cli-managed")
        },
        "state machines": {it["name"] for it in aws.client("stepfunctions").list_state_machines()["stateMachines"]},
        "functions": {it["FunctionName"] for it in aws.client("lambda").list_functions()["Functions"]},
        "roles": {it["RoleName"] for it in aws.client("iam").list_roles()["Roles"]},
        "schedules": {it["Name"] for it in aws.client("scheduler").list_schedules()["Schedules"]},
        "queues": set(aws.client("sqs").list_queues().get("QueueUrls", [])),
        "topics": {it["TopicArn"] for it in aws.client("sns").list_topics()["Topics"]},
        "subscriptions": {it["SubscriptionArn"] for it in aws.client("sns").list_subscriptions()["Subscriptions"]},
        "rules": {it["Name"] for it in aws.client("events").list_rules()["Rules"]},
        "alarms": {it["AlarmName"] for it in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]},
        "dashboards": {it["DashboardName"] for it in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]},
        "log groups": {it["logGroupName"] for it in aws.client("logs").describe_log_groups()["logGroups"]},
        "keys": {
            it["KeyId"] for it in keys.list_keys()["Keys"]
            if keys.describe_key(KeyId=it["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
        },
        "buckets": {
            it["Name"] for it in aws.client("s3").list_buckets()["Buckets"] if not it["Name"].startswith("aws-sam-cli-managed")
        },
        "files": {
            f"{bucket['Name']}/{it['Key']}"
            for bucket in aws.client("s3").list_buckets()["Buckets"]
            for it in aws.client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
        },
    }
