"""The template: its checks, its parameters, and what only the real AWS can carry."""

import json
import re

from stack import Stack, allows, as_list, template
from tools import ACCOUNT, LOGS, REGION, check, check_equal, run

ARN = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000"
PATTERN = f"arn:aws:rekognition:eu-west-1:{ACCOUNT}:project/*/version/*/*"

# Parameter: what it has to take, and what it has to refuse.
VALUES = {
    "ModelArns": (
        ["", ARN, PATTERN, f"{ARN},{PATTERN}", ARN.replace("1759309953000", "17593?9953000")],
        [
            "shelf-audit",
            f"{ARN},",
            f",{ARN}",
            f"{ARN},,{ARN}",
            f"{ARN}, {ARN}",
            ARN.replace("rekognition", "s3"),
            ARN.replace(ACCOUNT, "*"),
            ARN.replace(REGION, "*"),
            ARN.rsplit("/", 1)[0],
            ARN.rsplit("/", 3)[0],
            ARN.replace("shelf-audit/version", "shelf audit/version"),
        ],
    ),
    "KeepRunningTag": (["", "keep-running", "team:keep running"], ["aws:cloudformation:stack-name", "k" * 129, "a,b"]),
    "ScheduleExpression": (
        ["cron(0 20 * * ? *)", "cron(30 19 ? * MON-FRI *)", "rate(1 day)", "rate(12 hours)"],
        ["", "0 20 * * *", "cron(0 20 * * *)", "rate(0 days)", "rate(1 week)", "at(2026-12-24T20:00:00)"],
    ),
    "ScheduleTimezone": (
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"],
        ["", "Europe/", "UTC; x", "+01:00"],
    ),
    "InferenceUnitHourPrice": (["", "4", "4.00", "0.125"], ["4,00", "$4", "-4", "4.", "1e3", "free"]),
    "AlarmEmail": (["", "on-call@example.com"], ["on-call", "on-call@example", "a@b.example, c@d.example"]),
    "ConfirmStopped": (["true", "false"], ["", "yes", "True"]),
    "ScheduleState": (["ENABLED", "DISABLED"], ["", "enabled"]),
    "Architecture": (["arm64", "x86_64"], ["", "amd64"]),
    "LogLevel": (["DEBUG", "INFO"], ["", "info", "TRACE", "WARN"]),
    "LogRetentionDays": (["1", "90", "3653"], ["0", "2", "forever"]),
}


def cfn_lint_finds_nothing(session):
    run("cfn-lint", "cfn-lint", "--non-zero-exit-code", "informational", "template.yaml")


def sam_validate_finds_nothing(session):
    run("sam-validate", "sam", "validate", "--lint")


def checkov_finds_nothing_that_is_not_justified(session):
    output = run(
        "checkov",
        "checkov", "--file", "template.yaml", "--framework", "cloudformation", "--skip-download", "--output", "json",
        merge=False,
    )
    results = json.loads(output)["results"]
    check_equal(results["failed_checks"], [], "failed checks")
    check_equal(results["parsing_errors"], [], "files that checkov cannot read")
    check(len(results["passed_checks"]) > 10, "checkov checked next to nothing", LOGS / "checkov.log")
    for skipped in results["skipped_checks"]:
        check(skipped["check_result"]["suppress_comment"], f"{skipped['check_id']} is skipped without a reason")


def every_parameter_is_described_labelled_and_takes_its_default(session):
    source = template()
    interface = source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    check_equal(sorted(grouped), sorted(source["Parameters"]), "parameters in the groups of the console")
    check_equal(sorted(interface["ParameterLabels"]), sorted(source["Parameters"]), "parameters with a label")
    for name, parameter in source["Parameters"].items():
        check(parameter.get("Description"), f"{name} has no description")
        check("AllowedPattern" in parameter or "AllowedValues" in parameter, f"{name} takes anything")
        check(takes(parameter, str(parameter["Default"])), f"{name} refuses its own default")


def a_wrong_parameter_is_refused(session):
    parameters = template()["Parameters"]
    check_equal(sorted(VALUES), sorted(parameters), "parameters that are tried here")
    for name, (good, bad) in VALUES.items():
        for value in good:
            check(takes(parameters[name], value), f"{name} refuses {value!r}")
        for value in bad:
            check(not takes(parameters[name], value), f"{name} takes {value!r}")


def a_run_that_did_not_happen_raises_an_alarm(session):
    alarm = Stack().properties("DidNotRunAlarm")
    check_equal((alarm["Namespace"], alarm["MetricName"]), ("AWS/Lambda", "Invocations"), "metric")
    check_equal(alarm["TreatMissingData"], "breaching", "what no invocation at all means")
    check_equal((alarm["ComparisonOperator"], alarm["Threshold"]), ("LessThanThreshold", 1), "threshold")
    hours = alarm["Period"] * alarm["EvaluationPeriods"] / 3600
    check(25 <= hours <= 30, f"the alarm looks at {hours} hours; a day with the end of daylight saving time has 25")
    check("DidNotRunAlarm" not in Stack(ScheduleState="DISABLED").resources, "a disabled schedule raises the alarm")


def a_dead_letter_raises_an_alarm(session):
    stack = Stack()
    alarm = stack.properties("DeadLetterAlarm")
    check_equal(alarm["MetricName"], "ApproximateNumberOfMessagesVisible", "metric")
    check_equal(alarm["Dimensions"], [{"Name": "QueueName", "Value": "DeadLetterQueue.QueueName"}], "queue")
    check_equal((alarm["ComparisonOperator"], alarm["Threshold"]), ("GreaterThanOrEqualToThreshold", 1), "threshold")


def every_alarm_reaches_the_topic_and_says_what_to_do(session):
    stack = Stack(AlarmEmail="on-call@example.com")
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        check_equal(alarm["AlarmActions"], ["AlarmTopic"], f"actions of {name}")
        check(150 < len(alarm["AlarmDescription"]) <= 1024, f"the description of {name} is too short or too long for AWS")
    mail = stack.properties("AlarmSubscription")
    check_equal((mail["TopicArn"], mail["Protocol"], mail["Endpoint"]), ("AlarmTopic", "email", "on-call@example.com"), "mail")
    check("AlarmSubscription" not in Stack().resources, "a subscription without an address")


def the_alarms_can_use_the_key_of_their_topic(session):
    stack = Stack()
    check_equal(stack.properties("AlarmTopic")["KmsMasterKeyId"], "Key.Arn", "key of the topic")
    check_equal(stack.properties("LogGroup")["KmsKeyId"], "Key.Arn", "key of the log")
    key = {it["Principal"].get("Service"): it for it in stack.properties("Key")["KeyPolicy"]["Statement"]}
    for action in ["kms:Decrypt", "kms:GenerateDataKey"]:
        check(allows([key["cloudwatch.amazonaws.com"]], action, "*"), f"alarms may not {action}")
    for action in ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:DescribeKey"]:
        check(allows([key[f"logs.{REGION}.amazonaws.com"]], action, "*"), f"the log may not {action}")
    log_group = stack.properties("LogGroup")["LogGroupName"]
    encrypted = key[f"logs.{REGION}.amazonaws.com"]["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    check_equal(encrypted, f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}", "log that the key is for")
    check(stack.properties("DeadLetterQueue")["SqsManagedSseEnabled"] is True, "the queue is not encrypted")


def an_event_that_cannot_be_delivered_is_retried_and_kept(session):
    stack = Stack()
    target = stack.properties("Schedule")["Target"]
    check_equal(target["DeadLetterConfig"]["Arn"], "DeadLetterQueue.Arn", "dead-letter queue of the schedule")
    check(target["RetryPolicy"]["MaximumRetryAttempts"] > 0, "the schedule does not try again")
    may = stack.properties("ScheduleRole")["Policies"][0]["PolicyDocument"]["Statement"]
    check(allows(may, "lambda:InvokeFunction", "Function.Arn"), "the schedule may not invoke the function")
    check(allows(may, "sqs:SendMessage", "DeadLetterQueue.Arn"), "the schedule may not use its dead-letter queue")
    check(allows(stack.function_statements(), "sqs:SendMessage", "DeadLetterQueue.Arn"), "Lambda may not report a failed run")


def the_saved_query_and_the_dashboard_know_the_log_and_the_metrics(session):
    json.loads(Stack(ScheduleState="DISABLED").properties("Dashboard")["DashboardBody"])
    stack = Stack()
    query = stack.properties("FailedModelsQuery")
    check_equal(query["LogGroupNames"], ["LogGroup"], "log of the saved query")
    dashboard = json.loads(stack.properties("Dashboard")["DashboardBody"])
    text = json.dumps(dashboard)
    metrics = "ModelsStopped ModelsAlreadyStopped ModelsKept ModelsFailed InferenceUnitsStopped Duration Errors"
    for metric in metrics.split():
        check(f'"{metric}"' in text, f"the dashboard does not show {metric}")
    alarms = next(it["properties"]["alarms"] for it in dashboard["widgets"] if it["type"] == "alarm")
    check_equal(sorted(alarms), sorted(f"{name}.Arn" for name in stack.of_type("AWS::CloudWatch::Alarm")), "alarms shown")
    shown = [it["properties"]["query"] for it in dashboard["widgets"] if it["type"] == "log"]
    shown = [without_spaces(it.split("|", 1)[1]) for it in shown]
    check_equal(shown, [without_spaces(query["QueryString"])], "query of the dashboard")


def the_policy_names_the_models_their_projects_and_nothing_else(session):
    other = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/bottle-caps/version/bottle-caps.1/1789404005000"
    statements = Stack(ModelArns=f"{ARN},{PATTERN}").function_statements()
    allowed = {
        ("StopProjectVersion", ARN),
        ("ListTagsForResource", ARN),
        ("DescribeProjectVersions", f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit/1700000000000"),
        ("DescribeProjectVersions", f"arn:aws:rekognition:eu-west-1:{ACCOUNT}:project/bottle-caps/1700000000000"),
        ("DescribeProjects", "*"),
    }
    refused = {
        ("StopProjectVersion", other),
        ("ListTagsForResource", other),
        ("StartProjectVersion", ARN),
        ("DeleteProjectVersion", ARN),
        ("DescribeProjectVersions", f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/bottle-caps/1700000000000"),
        ("DescribeProjectVersions", f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit-2/1700000000000"),
        ("StopProjectVersion", ARN.replace(ACCOUNT, "210987654321")),
    }
    for action, resource in allowed:
        check(allows(statements, f"rekognition:{action}", resource), f"{action} is refused on {resource}")
    for action, resource in refused:
        check(not allows(statements, f"rekognition:{action}", resource), f"{action} is allowed on {resource}")
    # Every resource of the policy is an ARN as IAM takes it.
    for resource in [it for statement in statements for it in as_list(statement["Resource"])]:
        check(resource == "*" or "." in resource.split(":")[0] or resource.startswith("arn:"), f"{resource} is no ARN")
    without_tag = Stack(KeepRunningTag="").function_statements()
    pattern_of_all = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/*/version/*/*"
    check(not allows(without_tag, "rekognition:ListTagsForResource", pattern_of_all), "tags may be read that nobody reads")


def the_longest_list_of_models_fits_into_the_policy_of_the_role(session):
    longest = template()["Parameters"]["ModelArns"]["MaxLength"]
    shortest_arn = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/a/version/b/1"
    arns = ",".join([shortest_arn] * ((longest + 1) // (len(shortest_arn) + 1)))
    policies = Stack(ModelArns=arns).properties("FunctionRole")["Policies"]
    size = len(re.sub(r"\s", "", json.dumps([policy["PolicyDocument"] for policy in policies])))
    check(size + 300 < 10_240, f"{len(arns)} characters of ARNs make {size} of policy, of 10,240 that a role may have")
    environment = Stack(ModelArns=arns).properties("Function")["Environment"]["Variables"]
    check(len(json.dumps(environment)) < 4096, "the environment of the function is too large")


def takes(parameter, value):
    """Whether CloudFormation takes a value for a parameter."""
    allowed = parameter.get("AllowedValues")
    if allowed is not None and value not in [str(it) for it in allowed]:
        return False
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        return False
    return len(value) <= parameter.get("MaxLength", 4096)


def without_spaces(query):
    """A query, told apart from another by its words only."""
    return re.sub(r"\s+", "", query).replace("'", '"')


STEPS = [
    cfn_lint_finds_nothing,
    sam_validate_finds_nothing,
    checkov_finds_nothing_that_is_not_justified,
    every_parameter_is_described_labelled_and_takes_its_default,
    a_wrong_parameter_is_refused,
    a_run_that_did_not_happen_raises_an_alarm,
    a_dead_letter_raises_an_alarm,
    every_alarm_reaches_the_topic_and_says_what_to_do,
    the_alarms_can_use_the_key_of_their_topic,
    an_event_that_cannot_be_delivered_is_retried_and_kept,
    the_saved_query_and_the_dashboard_know_the_log_and_the_metrics,
    the_policy_names_the_models_their_projects_and_nothing_else,
    the_longest_list_of_models_fits_into_the_policy_of_the_role,
]
