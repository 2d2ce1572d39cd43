"""`sam build` and `sam deploy` into the local AWS, and then the nights: a good one, a bad one, an update, the end.

What the local AWS does not carry, and what is done about it:
- saved queries of CloudWatch Logs: taken out of the copy of the template that is deployed; part `template` reads them instead;
- allowed patterns of parameters: part `template` tries them; allowed values it does refuse;
- the time zone of a schedule, and its update with the stack: seen in the change set, and read in the template;
- the repetitions of a run that Scheduler began: an asynchronous invocation with the same event has them;
- metrics of asynchronous invocations, and a clock for alarms: the failing run is repeated by a direct invocation, which it
  counts, and a datum of another metric makes it look at the alarms;
- metrics of queues, and missing data: the alarms on them are read in part `template`;
- metrics in the embedded format: the record is read in the log.
"""

import json
import re
import time

import tools
from services import BOTTLE_CAPS, MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, LocalAws, Rekognition
from stack import Stack, write_copy
from tools import ARCHITECTURE, LOGS, ROOT, WORK, check, check_equal, run, wait_until

STACK = "rekognition-stopper"
BUILD = WORK / "build"
DEPLOYED = BUILD / "deployed.yaml"
LOG_GROUP = f"/aws/lambda/{STACK}"
PARAMETERS = {"Architecture": ARCHITECTURE, "ModelArns": ",".join(MODEL_ARNS), "ScheduleExpression": "rate(1 minute)"}


def sam_build_makes_the_function(session):
    sam_build()


def the_local_aws_and_the_rekognition_start(session):
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    session.before = inventory(session.aws)


def a_value_that_is_not_allowed_creates_nothing(session):
    said = sam_deploy(session, "sam-deploy-refused", ScheduleState="SOMETIMES", fails=True)
    check("ScheduleState" in said, "the refusal does not name the parameter", LOGS / "sam-deploy-refused.log")
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
    variables = {"MODEL_ARNS": ",".join(MODEL_ARNS), "CONFIRM_STOPPED": "true", "KEEP_RUNNING_TAG": "keep-running"}
    check_equal(function["Environment"]["Variables"], variables, "environment")
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": LOG_GROUP}
    check_equal(function["LoggingConfig"], logging, "logging")
    retries = session.aws.client("lambda").get_function_event_invoke_config(FunctionName=STACK, Qualifier="$LATEST")
    check_equal(retries["MaximumRetryAttempts"], 2, "retries of a failed run")
    check_equal(retries["DestinationConfig"]["OnFailure"]["Destination"].split(":")[2], "sqs", "on-failure destination")
    schedule = session.aws.client("scheduler").get_schedule(Name=STACK)
    check_equal((schedule["ScheduleExpression"], schedule["State"]), ("rate(1 minute)", "ENABLED"), "schedule")
    groups = session.aws.client("logs").describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]
    check_equal([it.get("retentionInDays") for it in groups], [90], "days that the log is kept")


def the_role_is_what_the_template_means(session):
    iam = session.aws.client("iam")
    resources = session.aws.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    role = next(it["PhysicalResourceId"] for it in resources if it["LogicalResourceId"] == "FunctionRole")
    policy = iam.get_role_policy(RoleName=role, PolicyName="stop-models")["PolicyDocument"]
    computed = Stack(**PARAMETERS).properties("FunctionRole")["Policies"][0]["PolicyDocument"]
    check_equal(policy, computed, "policy of the function")


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
    expected = {"models": 3, "stopped": 2, "kept": 1, "failed": 0, "inference_units_stopped": 3}
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
    names = {"ModelsStopped", "ModelsAlreadyStopped", "ModelsKept", "ModelsFailed", "InferenceUnitsStopped", "Duration"}
    check_equal({it["Name"] for it in directive["Metrics"]}, names, "metrics")
    check_equal(metrics["FunctionName"], STACK, "FunctionName of the metrics")
    check_equal((metrics["ModelsStopped"], metrics["InferenceUnitsStopped"]), (2, 3), "models and units of the metrics")


def a_run_with_a_model_that_cannot_be_stopped_is_made_three_times(session):
    # The runs which follow are those that this test asks for.
    scheduler = session.aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=STACK)
    kept = ["Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "Description"]
    scheduler.update_schedule(**{name: schedule[name] for name in kept}, State="DISABLED")

    session.rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
    before = len(run_lines(session))
    event = (ROOT / "events/schedule-scheduler.json").read_bytes()
    session.aws.client("lambda").invoke(FunctionName=STACK, InvocationType="Event", Payload=event)
    runs = wait_until(
        lambda: len(run_lines(session)) >= before + 3 and run_lines(session)[before:],
        "the run is not repeated twice", timeout=120, log=session.aws.log,
    )
    check_equal([it["failed"] for it in runs], [1, 1, 1], "models that failed, in each run")
    check_equal([str(it["level"]).upper() for it in runs], ["ERROR"] * 3, "level of the run lines")
    check_equal(session.rekognition.status(WELD_SEAMS), "STOPPED", "the model beside it")
    check_equal(session.rekognition.status(SHELF_AUDIT), "RUNNING", "the model that cannot be stopped")


def the_event_ends_at_the_on_failure_destination(session):
    queue = outputs(session)["DeadLetterQueueUrl"]
    message = receive(session, queue, "the event is not in the dead-letter queue")
    check_equal(message["requestContext"]["condition"], "RetriesExhausted", "why the run was given up")
    check_equal(message["requestPayload"]["source"], "aws.scheduler", "the event")
    check_equal(message["responsePayload"]["errorType"], "NotAllStopped", "type of the error")
    sentence = message["responsePayload"]["errorMessage"]
    check(SHELF_AUDIT in sentence and "AccessDeniedException" in sentence, f"the error does not say what failed: {sentence}")


def the_alarm_rings_and_says_what_to_do(session):
    queue = session.aws.client("sqs").create_queue(QueueName="on-call")["QueueUrl"]
    arn = session.aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = session.aws.client("sns").subscribe(
        TopicArn=outputs(session)["AlarmTopicArn"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    answer = session.aws.client("lambda").invoke(FunctionName=STACK, Payload=b"{}")
    check_equal(answer.get("FunctionError"), "Unhandled", "the direct invocation")
    cloudwatch = session.aws.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="EndToEnd", MetricData=[{"MetricName": "Tick", "Value": 1}])
    alarm = cloudwatch.describe_alarms(AlarmNames=[f"{STACK}-failed"])["MetricAlarms"][0]
    check_equal(alarm["StateValue"], "ALARM", "state of the alarm")
    news = json.loads(receive(session, queue, "nobody was told of the alarm")["Message"])
    check_equal((news["AlarmName"], news["NewStateValue"]), (f"{STACK}-failed", "ALARM"), "what the topic says")
    check("aws rekognition stop-project-version" in news["AlarmDescription"], "the alarm does not say what to do")
    session.aws.client("sns").unsubscribe(SubscriptionArn=subscription)
    session.aws.client("sqs").delete_queue(QueueUrl=queue)


def sam_deploy_updates_the_stack(session):
    changes = {
        "ScheduleExpression": "cron(0 20 * * ? *)",
        "ScheduleTimezone": "Europe/Berlin",
        "InferenceUnitHourPrice": "4.00",
        "AlarmEmail": "on-call@example.com",
        "LogLevel": "DEBUG",
        "LogRetentionDays": "30",
    }
    said = sam_deploy(session, "sam-deploy-update", **changes)
    check_equal(stack_status(session), "UPDATE_COMPLETE", "status of the stack")
    check(re.search(r"Modify +Schedule ", said), "the change set does not change the schedule", LOGS / "sam-deploy-update.log")
    function = session.aws.client("lambda").get_function_configuration(FunctionName=STACK)
    check_equal(function["Environment"]["Variables"].get("INFERENCE_UNIT_HOUR_PRICE"), "4.00", "price")
    check_equal(function["LoggingConfig"]["ApplicationLogLevel"], "DEBUG", "level of the log")
    subscriptions = session.aws.client("sns").list_subscriptions()["Subscriptions"]
    check_equal([it["Endpoint"] for it in subscriptions], ["on-call@example.com"], "who is told of alarms")
    schedule = Stack(**PARAMETERS | changes).properties("Schedule")
    check_equal(
        (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]),
        ("cron(0 20 * * ? *)", "Europe/Berlin"), "the schedule in the template",
    )


def sam_delete_leaves_nothing_behind(session):
    run(
        "sam-delete", "sam", "delete", "--no-prompts", "--region", tools.REGION, "--stack-name", STACK,
        env=session.aws.environment(),
    )
    after = inventory(session.aws)
    for kind, names in after.items():
        check_equal(sorted(names - session.before[kind]), [], f"{kind} that are left")


STEPS = [
    sam_build_makes_the_function,
    the_local_aws_and_the_rekognition_start,
    a_value_that_is_not_allowed_creates_nothing,
    sam_deploy_creates_the_stack,
    the_function_and_its_schedule_are_as_the_template_says,
    the_role_is_what_the_template_means,
    the_schedule_fires_by_itself_and_the_models_are_stopped,
    the_run_and_its_metrics_are_in_the_log,
    a_run_with_a_model_that_cannot_be_stopped_is_made_three_times,
    the_event_ends_at_the_on_failure_destination,
    the_alarm_rings_and_says_what_to_do,
    sam_deploy_updates_the_stack,
    sam_delete_leaves_nothing_behind,
]


def sam_build():
    """Builds the function for this machine, as `sam build` does for an operator."""
    run("sam-build", "sam", "build", "--build-dir", BUILD, "--parameter-overrides", f"Architecture={ARCHITECTURE}")


def sam_deploy(session, name, fails=False, **changes):
    """Deploys what was built, with the parameters of this test and these changes."""
    write_copy(BUILD / "template.yaml", DEPLOYED, lambda it: it["Resources"].pop("FailedModelsQuery"))
    overrides = [f"{name}='{value}'" for name, value in (PARAMETERS | changes).items()]
    return run(
        name,
        "sam", "deploy", "--config-file", ROOT / "samconfig.toml", "--no-confirm-changeset",
        "--template-file", DEPLOYED, "--parameter-overrides", *overrides,
        env=session.aws.environment(), fails=fails,
    )


def stack_status(session):
    return session.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]


def outputs(session):
    """The outputs of the stack."""
    stack = session.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}


def run_lines(session):
    """The `run` lines of the function's log, oldest first."""
    return [it for it in session.aws.log_lines(LOG_GROUP) if it.get("message") == "run"]


def receive(session, queue, complaint):
    """The next message of a queue."""
    sqs = session.aws.client("sqs")
    messages = wait_until(
        lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), complaint, timeout=60, log=session.aws.log
    )
    return json.loads(messages[0]["Body"])


def inventory(aws):
    """What there is in the local AWS, by kind. SAM's own stack and bucket, which it keeps, do not count."""
    keys = aws.client("kms")
    return {
        "stacks": {
            it["StackName"] for it in aws.client("cloudformation").describe_stacks()["Stacks"]
            if it["StackStatus"] != "DELETE_COMPLETE" and not it["StackName"].startswith("aws-sam-cli-managed")
        },
        "functions": {it["FunctionName"] for it in aws.client("lambda").list_functions()["Functions"]},
        "roles": {it["RoleName"] for it in aws.client("iam").list_roles()["Roles"]},
        "schedules": {it["Name"] for it in aws.client("scheduler").list_schedules()["Schedules"]},
        "queues": set(aws.client("sqs").list_queues().get("QueueUrls", [])),
        "topics": {it["TopicArn"] for it in aws.client("sns").list_topics()["Topics"]},
        "subscriptions": {it["SubscriptionArn"] for it in aws.client("sns").list_subscriptions()["Subscriptions"]},
        "alarms": {it["AlarmName"] for it in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]},
        "dashboards": {it["DashboardName"] for it in aws.client("cloudwatch").list_dashboards()["DashboardEntries"]},
        "log groups": {it["logGroupName"] for it in aws.client("logs").describe_log_groups()["logGroups"]},
        "keys": {
            it["KeyId"] for it in keys.list_keys()["Keys"]
            if keys.describe_key(KeyId=it["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
        },
        "files": {
            f"{bucket['Name']}/{it['Key']}"
            for bucket in aws.client("s3").list_buckets()["Buckets"]
            for it in aws.client("s3").list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
        },
    }
