"""The templates and the workflows: their checks, their parameters, and what only the real AWS can carry."""

import http.server
import json
import re
import shlex
import threading
import tomllib
import zipfile

import boto3
from ministack.services import stepfunctions

import tools
from part_cargo_lambda import DEPLOYING, section
from release import VERSION
from stack import DASHBOARD_TEMPLATE, MEMBER_TEMPLATE, TEMPLATE, Stack, allows, as_list, template
from tools import ACCOUNT, LOGS, REGION, ROOT, WORK, check, check_equal, run

# Which ministack lacks, and Step Functions has.
stepfunctions._JSONATA_FUNCS["$parse"] = json.loads

ARN = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000"
PATTERN = f"arn:aws:rekognition:eu-west-1:{ACCOUNT}:project/*/version/*/*"

IN_ALL_ACCOUNTS = "arn:aws:rekognition:*:*:"
ALL_ACCOUNTS = f"{IN_ALL_ACCOUNTS}project/*/version/*/*"
MEMBER = "222222222222"
# A stack with a state machine.
MACHINE = {"AccountsPerRun": "25", "MemberRole": "r"}
# A stack that stops models, which is not the default.
STOPS = {"ModelArns": ARN, "DryRun": "false"}
TEMPLATES = [TEMPLATE, MEMBER_TEMPLATE, DASHBOARD_TEMPLATE]

BOOLEAN = (["true", "false"], ["", "yes", "True"])
EXTERNAL_ID = (["none", "a1", "stopper:2026/x"], ["", "a", "two words", "x" * 257])
PRICE = (["none", "4", "4.00", "0.125"], ["", "4,00", "$4", "-4", "4.", "1e3", "free"])
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:rekognition-stopper-Topic"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/rekognition-stopper-{REGION}"
BOUNDARY = (["none", f"arn:aws:iam::{ACCOUNT}:policy/boundary"], ["", "boundary", ROLE])

# Parameter: what it has to take, and what it has to refuse.
VALUES = {
    "ModelArns": (
        [
            "all",
            ARN,
            PATTERN,
            f"{ARN},{PATTERN}",
            ARN.replace("1759309953000", "17593?9953000"),
            ALL_ACCOUNTS,
            ALL_ACCOUNTS.replace("*:*:project", "eu-*:1234????????:project"),
            *(f"{IN_ALL_ACCOUNTS}{it}" for it in [
                "*", "?roject/shelf", "proj*", "project*", "project/*", "project/shelf-*", "project/shelf-audit/*",
                "project/shelf-audit/v*", "project/shelf-audit/version/*", "project/shelf-audit/version/v1/*",
                "project/shelf-audit/version/v1/17*", "project/*-test/version/*/*",
            ]),
            f"{IN_ALL_ACCOUNTS}project/*,{IN_ALL_ACCOUNTS}*,{ARN}",
        ],
        [
            "",
            "*",
            "All",
            f"all,{ARN}",
            "shelf-audit",
            f"{ARN},",
            f",{ARN}",
            f"{ARN},,{ARN}",
            f"{ARN}, {ARN}",
            ARN.replace("rekognition", "s3"),
            ARN.replace("arn:aws", "arn:*"),
            ARN.replace(ACCOUNT, ACCOUNT[1:]),
            ARN.replace(ACCOUNT, ""),
            ARN.rsplit("/", 1)[0],
            ARN.rsplit("/", 3)[0],
            ARN.replace("shelf-audit/version", "shelf audit/version"),
            *(f"{IN_ALL_ACCOUNTS}{it}" for it in [
                "", "project/shelf-audit", "project/shelf-audit/", "project/shelf-audit/17*", "project//*", "Project/*",
                "projects/*", "project/shelf-audit/w*", "project/shelf-audit/version/v1/x*",
                "project/shelf-audit/version/v1/17/*", "collection/*", "project/* ", f"project/{'p' * 256}*",
            ]),
            f"{IN_ALL_ACCOUNTS}project/*,",
            f"{IN_ALL_ACCOUNTS}project/*;{ARN}",
        ],
    ),
    "AlarmEmail": (
        ["none", "on-call@example.com"],
        ["", "on-call", "on-call@example", "a@b.example, c@d.example", "a@b.example,c@d.example", "arn:aws:sns:x"],
    ),
    "DryRun": BOOLEAN,
    "ScheduleExpression": (
        ["cron(0 20 * * ? *)", "cron(30 19 ? * MON-FRI *)"],
        [
            "",
            "0 20 * * *",
            "cron(0 20 * * *)",
            "cron(*/5 20 * * ? *)",
            "cron(0,30 20 * * ? *)",
            "cron(* 20 * * ? *)",
            "rate(1 day)",
            "at(2026-12-24T20:00:00)",
        ],
    ),
    "ScheduleTimezone": (
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"],
        ["", "Europe/", "UTC; x", "+01:00"],
    ),
    "HoursOfSilence": (["2", "26", "74", "168"], ["0", "1", "169"]),
    "ReportEveryRun": BOOLEAN,
    "KeepRunningTag": (["none", "keep-running", "team:keep running"], ["", "aws:cloudformation:stack-name", "k" * 129, "a,b"]),
    "InferenceUnitHourPrice": PRICE,
    "FindStarts": BOOLEAN,
    "MemberRole": (
        ["none", "rekognition-stopper-member", "automation/cost/rekognition-stopper-member"],
        ["", "/rekognition-stopper-member", "automation/", "a//b", "arn:aws:iam::123456789012:role/r", "r" * 65, "*"],
    ),
    "MemberExternalId": EXTERNAL_ID,
    "Regions": (["none", "us-east-1", "us-east-1,ap-northeast-2"], ["", "us-east", "us-east-1,", "us-east-1, eu-west-1", "*"]),
    "OrganizationalUnits": (
        ["none", "r-ab12", "ou-ab12-cd34ef56", "ou-ab12-cd34ef56,ou-ab12-gh78ij90"],
        ["", "ou-ab12", "root", "ou-ab12-cd34ef56,", "ou-ab12-cd34ef56;r-ab12", ACCOUNT],
    ),
    "ExcludedAccounts": (
        ["none", ACCOUNT, f"{ACCOUNT},{MEMBER}", ",".join([ACCOUNT] * 250)],
        ["", "12345678901", f"{ACCOUNT},", f"{ACCOUNT} {MEMBER}"],
    ),
    "AccountsPerRun": (["0", "1", "25", "1000"], ["-1", "1001", ""]),
    "LogRetentionDays": (["1", "90", "3653"], ["0", "2", "forever"]),
    "KmsKeyArn": (
        ["none", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
        ["", "alias/aws/sns", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab"],
    ),
    "PermissionsBoundaryArn": BOUNDARY,
}
MEMBER_VALUES = {
    "FunctionRoleArn": ([ROLE], ["", "*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:role/*"]),
    "ExternalId": EXTERNAL_ID,
    "RoleName": (["rekognition-stopper-member"], ["", "a/b", "r" * 65]),
    "RolePath": (["none", "automation/", "automation/cost/"], ["", "/", "/automation/", "automation"]),
    "FindStarts": BOOLEAN,
    "PermissionsBoundaryArn": BOUNDARY,
}
DASHBOARD_VALUES = {"StackName": (["rekognition-stopper"], ["", "a_b", "s" * 50]), "InferenceUnitHourPrice": PRICE}


def cfn_lint_finds_nothing(session):
    run("cfn-lint", "cfn-lint", "--non-zero-exit-code", "informational", *TEMPLATES)


def sam_validate_finds_nothing(session):
    run("sam-validate", "sam", "validate", "--lint")


def checkov_finds_nothing_that_is_not_justified(session):
    output = run(
        "checkov",
        "checkov", "--file", *TEMPLATES, "--framework", "cloudformation", "--skip-download", "--output", "json",
        merge=False,
    )
    results = json.loads(output)["results"]
    check_equal(results["failed_checks"], [], "failed checks")
    check_equal(results["parsing_errors"], [], "files that checkov cannot read")
    check(len(results["passed_checks"]) > 10, "checkov checked next to nothing", LOGS / "checkov.log")
    for skipped in results["skipped_checks"]:
        check(skipped["check_result"]["suppress_comment"], f"{skipped['check_id']} is skipped without a reason")


def zizmor_finds_nothing_in_the_workflows(session):
    # Offline: what it could ask of GitHub is whether a pinned action is known to be vulnerable.
    said = run("zizmor", "zizmor", "--offline", "--no-progress", ROOT / ".github")
    check("No findings to report" in said, "zizmor has looked at nothing", LOGS / "zizmor.log")
    for workflow in (ROOT / ".github" / "workflows").iterdir():
        check(f"completed {workflow}" in said, f"zizmor has not read {workflow.name}", LOGS / "zizmor.log")


def the_notes_of_a_release_are_what_the_changelog_says_of_it(session):
    notes = ROOT / "release" / "notes"
    said = run("release-notes", notes, f"v{VERSION}")
    _, _, changes = (ROOT / "CHANGELOG.md").read_text().partition(f"\n## [{VERSION}] - ")
    changes = changes.partition("\n## ")[0].split("\n", 1)[1]
    # Only the breaks of lines are others.
    check_equal(said.split(), changes.split(), "words of the notes")
    check(not re.search(r"^ |\w\n\w", said, re.MULTILINE), "a line is broken", LOGS / "release-notes.log")
    run("release-notes-refused", notes, f"v{VERSION}1", fails=True)


def every_parameter_is_described_and_takes_its_default(session):
    for path in TEMPLATES:
        for name, parameter in template(path)["Parameters"].items():
            check(parameter.get("Description"), f"{name} has no description")
            check({"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), f"{name} takes anything")
            if "Default" in parameter:
                check(takes(parameter, str(parameter["Default"])), f"{name} refuses its own default")
    source = template()
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    # Guided mode asks in the order of the parameters.
    grouped = [name for group in groups for name in group["Parameters"]]
    check_equal(grouped, list(source["Parameters"]), "parameters in the console")
    check(len(grouped) <= 19, "more parameters than anybody wants to answer")
    asked = [name for name, it in source["Parameters"].items() if "Default" not in it]
    check_equal(asked, ["ModelArns", "AlarmEmail"], "what only the operator can say")
    check_equal(source["Parameters"]["DryRun"]["Default"], "true", "what a stack does that nobody has thought about")


def a_wrong_parameter_is_refused(session):
    for path, values in zip(TEMPLATES, [VALUES, MEMBER_VALUES, DASHBOARD_VALUES]):
        parameters = template(path)["Parameters"]
        check_equal(sorted(values), sorted(parameters), "parameters that are tried here")
        for name, (good, bad) in values.items():
            for value in good:
                check(takes(parameters[name], value), f"{name} refuses {value!r}")
            for value in bad:
                check(not takes(parameters[name], value), f"{name} takes {value!r}")


def parameters_that_would_be_ignored_are_refused(session):
    check_equal(Stack(ModelArns="all").refusals(), [], "refusals of every model")
    for name, value in [
        ("MemberExternalId", "a1"), ("OrganizationalUnits", "r-ab12"), ("ExcludedAccounts", ACCOUNT),
        ("AccountsPerRun", "25"),
    ]:
        refusals = Stack(ModelArns="all", **{name: value}).refusals()
        check(len(refusals) == 1 and name in refusals[0], f"{name} without MemberRole: {refusals}")
        check_equal(Stack(ModelArns="all", MemberRole="r", **{name: value}).refusals(), [], f"{name} with MemberRole")


def all_is_every_model_within_reach(session):
    def list_of(**parameters):
        return Stack(ModelArns="all", **parameters).properties("Function")["Environment"]["Variables"]["MODEL_ARNS"]

    check_equal(list_of(), f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/*/version/*/*", "this account and region")
    check_equal(list_of(MemberRole="r"), ALL_ACCOUNTS, "every account and region")


def what_a_parameter_does_not_say_is_no_variable(session):
    variables = Stack(ModelArns=ARN).properties("Function")["Environment"]["Variables"]
    wanted = {"MODEL_ARNS": ARN, "DRY_RUN": "true", "KEEP_RUNNING_TAG": "keep-running", "FIND_STARTS": "true"}
    check_equal(variables, wanted, "variables of the default stack")
    more = {
        "MemberRole": "automation/r", "MemberExternalId": "a1", "Regions": "us-east-1", "OrganizationalUnits": "r-ab12",
        "ExcludedAccounts": MEMBER, "DryRun": "false", "KeepRunningTag": "none", "InferenceUnitHourPrice": "4.00",
        "FindStarts": "false",
    }
    variables = Stack(ModelArns=ARN, **more).properties("Function")["Environment"]["Variables"]
    wanted = {
        "MODEL_ARNS": ARN, "DRY_RUN": "false", "KEEP_RUNNING_TAG": "", "INFERENCE_UNIT_HOUR_PRICE": "4.00",
        "FIND_STARTS": "false", "MEMBER_ROLE": "automation/r", "MEMBER_EXTERNAL_ID": "a1", "REGIONS": "us-east-1",
        "ORGANIZATIONAL_UNITS": "r-ab12", "EXCLUDED_ACCOUNTS": MEMBER,
    }
    check_equal(variables, wanted, "variables of a stack for an organization")


def silence_raises_an_alarm_whatever_its_reason(session):
    stack = Stack(**STOPS)
    alarm = stack.properties("SilenceAlarm")
    check_equal((alarm["Namespace"], alarm["MetricName"]), ("RekognitionStopper", "RunsSucceeded"), "metric")
    check_equal(alarm["Dimensions"], [{"Name": "FunctionName", "Value": "Function"}], "whose metric")
    check_equal((alarm["Statistic"], alarm["Period"]), ("Sum", 3600), "successful runs of an hour")
    check_equal((alarm["ComparisonOperator"], alarm["Threshold"]), ("LessThanThreshold", 1), "threshold")
    check_equal(alarm["TreatMissingData"], "breaching", "what no run at all means")
    # Where one successful run is enough to end the alarm, the next silence changes its state again.
    check_equal((alarm["EvaluationPeriods"], "DatapointsToAlarm" in alarm), ("26", False), "hours without a successful run")
    longest = template()["Parameters"]["HoursOfSilence"]["MaxValue"]
    check(longest * alarm["Period"] <= 7 * 86_400, "CloudWatch takes no alarm of more than a week")
    check("SilenceAlarm" not in Stack(ModelArns=ARN).resources, "a dry run, which counts as no run, raises the alarm")


def what_cannot_be_delivered_raises_an_alarm_each_time(session):
    alarm = Stack(ModelArns=ARN).properties("UndeliveredAlarm")
    check_equal((alarm["Namespace"], alarm["MetricName"]), ("AWS/SQS", "NumberOfMessagesSent"), "metric")
    check_equal(alarm["Dimensions"], [{"Name": "QueueName", "Value": "UndeliveredQueue.QueueName"}], "queue")
    check_equal((alarm["ComparisonOperator"], alarm["Threshold"]), ("GreaterThanOrEqualToThreshold", 1), "threshold")
    check_equal((alarm["Statistic"], alarm["TreatMissingData"]), ("Sum", "notBreaching"), "a quiet queue ends the alarm")
    check(alarm["Period"] * alarm["EvaluationPeriods"] < 86_400, "the alarm of one night lasts until the next")


def no_other_alarm_fires(session):
    alarms = set(Stack(**STOPS).of_type("AWS::CloudWatch::Alarm"))
    check_equal(alarms, {"SilenceAlarm", "UndeliveredAlarm"}, "alarms")


def every_alarm_reaches_the_topic_and_says_what_to_do(session):
    stack = Stack(**STOPS, AlarmEmail="on-call@example.com")
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        check_equal(alarm["AlarmActions"], ["Topic"], f"actions of {name}")
        check(150 < len(alarm["AlarmDescription"]) <= 924, f"the description of {name} is too short or too long for AWS")
    check_equal(stack.properties("Topic")["DisplayName"], stack.name, "sender of the mail")
    mail = stack.properties("Subscription")
    check_equal((mail["TopicArn"], mail["Protocol"], mail["Endpoint"]), ("Topic", "email", "on-call@example.com"), "mail")
    check_equal(stack.outputs["MailGoesTo"], "on-call@example.com", "who gets the mail")
    without = Stack(**STOPS, AlarmEmail="none")
    check("Subscription" not in without.resources, "a subscription without an address")
    check(without.outputs["MailGoesTo"].startswith("nobody is notified"), "who gets the mail if no one does")


def the_result_of_a_run_becomes_a_mail(session):
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    results = Stack(**STOPS).properties("Results")
    destinations = {"OnFailure": {"Destination": bus}, "OnSuccess": {"Destination": bus}}
    check_equal(results["DestinationConfig"], destinations, "destinations")
    check_equal((results["FunctionName"], results["Qualifier"]), ("Function", "$LATEST"), "whose destinations")
    check(allows(Stack(**STOPS).role_statements(), "events:PutEvents", bus), "Lambda may not send the result")
    failure, report, execution = "FailureRule", "ReportRule", "ExecutionRule"
    for parameters, rules in [
        (STOPS, {failure}),
        (STOPS | {"ReportEveryRun": "true"}, {failure, report}),
        ({"ModelArns": ARN}, {failure, report}),
        (STOPS | MACHINE, {failure, execution}),
        ({"ModelArns": ARN} | MACHINE, {failure, report, execution}),
    ]:
        check_equal(set(Stack(**parameters).of_type("AWS::Events::Rule")), rules, f"rules, {parameters}")
    stack = Stack(ModelArns=ARN, **MACHINE)
    for name, result, paths in [
        (failure, "Failure", {"condition": "$.detail.requestContext.condition", "error": "$.detail.responsePayload.errorMessage"}),
        (report, "Success", {"message": "$.detail.responsePayload.message"}),
    ]:
        rule = stack.properties(name)
        check_equal(rule["EventPattern"], {
            "source": ["lambda"],
            "detail-type": [f"Lambda Function Invocation Result - {result}"],
            "detail": {"requestContext": {"functionArn": ["Function.Arn:$LATEST"]}},
        }, f"what {name} takes")
        check_equal(rule["Targets"][0]["InputTransformer"]["InputPathsMap"], paths, f"what the mail of {name} has of the result")
    check_equal(stack.properties(execution)["EventPattern"], {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": ["Machine"], "status": ["TIMED_OUT", "ABORTED"]},
    }, "executions that cannot tell themselves")
    check_equal(stack.of_type("AWS::Logs::ResourcePolicy"), {}, "policies of logs, of which there may be ten")


def every_mail_is_sound(session):
    for parameters in [{}, STOPS, {"ReportEveryRun": "true"}, MACHINE]:
        stack = Stack(**{"ModelArns": ARN} | parameters)
        for name, rule in stack.of_type("AWS::Events::Rule").items():
            check_equal([it["Arn"] for it in rule["Targets"]], ["Topic"], f"targets of {name}")
            check("EventBusName" not in rule, f"{name} is on another bus")
            transformer = rule["Targets"][0]["InputTransformer"]
            text = json.loads(transformer["InputTemplate"])
            check(isinstance(text, str) and "  " not in text, f"the mail of {name} is no plain text: {text}")
            # EventBridge fills in its variables by plain text.
            check('"' not in text and "\\" not in text, f"the mail of {name} has a character that EventBridge trips over")
            variables = set(re.findall(r"<([a-z]+)>", text))
            check_equal(variables, set(transformer["InputPathsMap"]), f"variables in the mail of {name}, and those that are filled")
            check_equal(set(re.findall(r"[<>]", re.sub(r"<[a-z]+>", "", text))), set(), f"other brackets in {name}")
            # The function's text ends in a full stop itself.
            check(not re.search("<(error|message)>\\.", text), f"two full stops: {text}")


def the_documentation_shows_every_mail_as_it_is(session):
    page = (ROOT / "docs" / "morning-after.md").read_text()
    shown = [without_spaces(it) for it in re.findall(r"```\n(.*?)```", page, re.DOTALL)]
    names = {"LogGroup": "/aws/lambda/rekognition-stopper"}
    names |= {name: "rekognition-stopper" for name in ["Function", "Schedule"]}
    names["Machine"] = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:rekognition-stopper"
    texts = set()
    for parameters in [{"DryRun": "true"}, STOPS | {"ReportEveryRun": "true"}, MACHINE]:
        stack = Stack(**{"ModelArns": ARN} | parameters | names)
        rules = stack.of_type("AWS::Events::Rule").values()
        texts |= {rule["Targets"][0]["InputTransformer"]["InputTemplate"] for rule in rules}
    texts |= {it["AlarmDescription"] for it in Stack(**STOPS, **names).of_type("AWS::CloudWatch::Alarm").values()}
    machine = Stack(**STOPS, **MACHINE, **names)
    start, alarm = machine.outputs["RunCommand"], machine.properties("SilenceAlarm")["AlarmDescription"]
    check(start in alarm, f"the alarm does not say how an execution is started: {alarm}")
    states = machine_definition(DryRun="false")["States"]
    texts |= {message_of(states[name], "<text>", "<name>") for name in ["Tell of the failure", "Tell of the success"]}
    # A failed run, two reports of successful ones, two alarms; of executions a failure, a success, and one that was ended.
    check_equal((len(texts), len(shown)), (8, 8), "mails, and mails that the documentation shows")
    for text in texts:
        pattern = re.sub("<[a-z]+>|UndeliveredQueue(.QueueName)?", ".+", re.escape(without_spaces(text)).replace("\\.", "."))
        check(any(re.fullmatch(pattern, it) for it in shown), f"the documentation does not show this mail: {text}")


def message_of(state, text, name):
    """What a state of the machine publishes, with this text, in the execution of this name."""
    context = {
        "Execution": {"Name": name},
        "StateMachine": {"Name": "rekognition-stopper", "Id": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:rekognition-stopper"},
    }
    arguments = stepfunctions._apply_jsonata_template(state["Arguments"], {"text": text}, context)
    check_equal(arguments["TopicArn"], TOPIC, "topic of the execution")
    # As SNS takes a subject.
    check(re.fullmatch("[ -~]{1,100}", arguments["Subject"]), f"the subject is {arguments['Subject']}")
    return arguments["Message"]


def nothing_that_cannot_be_delivered_is_lost(session):
    for parameters in [{}, MACHINE]:
        check_nothing_is_lost(Stack(ModelArns=ARN, **parameters))


def check_nothing_is_lost(stack):
    """What the schedule and the rules cannot deliver is in the queue."""
    target = stack.properties("Schedule")["Target"]
    check_equal(target["DeadLetterConfig"]["Arn"], "UndeliveredQueue.Arn", "dead-letter queue of the schedule")
    check(target["RetryPolicy"]["MaximumRetryAttempts"] > 0, "the schedule does not retry")
    may = stack.role_statements("ScheduleRole")
    check(allows(may, "sqs:SendMessage", "UndeliveredQueue.Arn"), "the schedule may not use its dead-letter queue")
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        for it in rule["Targets"]:
            check_equal(it["DeadLetterConfig"]["Arn"], "UndeliveredQueue.Arn", f"dead-letter queue of {name}, {it['Id']}")
            # AWS documents that a target with a resource policy has no role.
            check_equal("RoleArn" in it, False, f"a role of {name}")
    rules = {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{stack.name}-*"}}
    # For a topic, AWS documents no condition, and for a queue this one.
    for policy, action, condition in [("TopicPolicy", "sns:Publish", None), ("UndeliveredQueuePolicy", "sqs:SendMessage", rules)]:
        statements = stack.properties(policy)["PolicyDocument"]["Statement"]
        rule = next(it for it in statements if it["Principal"] == {"Service": "events.amazonaws.com"})
        check_equal((rule["Action"], rule.get("Condition")), (action, condition), f"{policy}: rules")
        tls = next(it for it in statements if it["Effect"] == "Deny")
        check_equal(tls["Principal"], "*", f"{policy}: without TLS")
        check_equal(tls["Condition"], {"Bool": {"aws:SecureTransport": "false"}}, f"{policy}: without TLS")
    check(stack.properties("UndeliveredQueue")["SqsManagedSseEnabled"] is True, "the queue is not encrypted")


def a_key_of_the_operator_encrypts_log_and_topic(session):
    key = VALUES["KmsKeyArn"][0][1]
    for given, wanted in [("none", None), (key, key)]:
        stack = Stack(ModelArns=ARN, KmsKeyArn=given, **MACHINE)
        for name, field in [("LogGroup", "KmsKeyId"), ("Topic", "KmsMasterKeyId")]:
            check_equal(stack.properties(name).get(field), wanted, f"key of {name}")
        check_equal(stack.of_type("AWS::KMS::Key"), {}, "keys that cost money")
        # CloudWatch and EventBridge are let in by the key, and the state machine by its role.
        may = stack.role_statements("MachineRole")
        for action in ["kms:GenerateDataKey", "kms:Decrypt"]:
            check_equal(allows(may, action, key), wanted is not None, f"{action} by the state machine")


def every_role_has_the_boundary(session):
    boundary = BOUNDARY[0][1]
    for given, wanted in [("none", None), (boundary, boundary)]:
        roles = Stack(ModelArns=ARN, PermissionsBoundaryArn=given, **MACHINE).of_type("AWS::IAM::Role")
        check_equal(set(roles), {"FunctionRole", "MachineRole", "ScheduleRole"}, "roles")
        for name, role in roles.items():
            check_equal(role.get("PermissionsBoundary"), wanted, f"boundary of {name}")


def the_dashboard_shows_what_is_billed(session):
    def body(**parameters):
        stack = Stack(path=DASHBOARD_TEMPLATE, **parameters)
        return json.loads(stack.properties("Dashboard")["DashboardBody"])

    stack, dashboard = Stack(**STOPS), body()
    expressions = [metric["expression"] for metric in metrics_of(dashboard) if isinstance(metric, dict)]
    check_equal(len(expressions), 2, "expressions without a price")
    for expression in expressions:
        search = "SEARCH('{AWS/Rekognition,ProjectName,VersionName} MetricName=\"InServiceInferenceUnits\"', 'Average', 300)"
        check(search in expression, f"the dashboard does not show what is billed: {expression}")
    priced = body(InferenceUnitHourPrice="4.00")
    check("hours * 4.00" in [it.get("expression") for it in metrics_of(priced) if isinstance(it, dict)], "no money")
    text = json.dumps(dashboard)
    names = "RunsSucceeded ModelsStopped ModelsAlreadyStopped ModelsKept ModelsFailed LookupsFailed InferenceUnitsStopped"
    for metric in [*names.split(), "Duration", "Errors", "DestinationDeliveryFailures"]:
        check(f'"{metric}"' in text, f"the dashboard does not show {metric}")
    # Everything of the stack is found by its name.
    alarms = next(it["properties"]["alarms"] for it in dashboard["widgets"] if it["type"] == "alarm")
    named = {it["AlarmName"] for it in stack.of_type("AWS::CloudWatch::Alarm").values()}
    check_equal({it.rsplit(":", 1)[1] for it in alarms}, named, "alarms shown")
    tables = {it["properties"]["title"]: it["properties"] for it in dashboard["widgets"] if it["type"] == "log"}
    check_equal(set(tables), set(TABLES), "tables of the dashboard")
    for title, parts in TABLES.items():
        source, query = tables[title]["query"].split(" | ", 1)
        log_group = stack.properties("LogGroup")["LogGroupName"]
        check_equal((tables[title]["view"], source), ("table", f"SOURCE '{log_group}'"), f"view and log of {title!r}")
        for part in parts:
            check(part in query, f"the table {title!r} lacks {part!r}: {query}")
    saved = stack.properties("FailedModelsQuery")
    check_equal(saved["LogGroupNames"], ["LogGroup"], "log of the saved query")
    shown = tables["Models and lookups that failed"]["query"].split(" | ", 1)[1]
    check_equal(without_spaces(saved["QueryString"]), without_spaces(shown), "the saved query, and that of the dashboard")
    documented = section(DEPLOYING, "### The dashboard")
    for it in dashboard["widgets"]:
        title = it["properties"]["title"]
        check(title.lower() in documented.lower(), f"{DEPLOYING.name} does not describe the widget {title!r}")


# The tables of the dashboard, with what their queries say. The field names are those of the function's log, which the
# parts `deploy` and `dry-run` read.
TABLES = {
    "Models and lookups that failed": [
        "filter message = 'lookup' or (message = 'model' and outcome != 'would_stop')",
        "coalesce(model_arn, pattern) as arn, coalesce(outcome, message) as result", "latest(result) as last_outcome",
        "latest(code) as reason, latest(error) as detail", "by account, arn | filter last_outcome in ['failed', 'lookup']",
    ],
    "Models that a tag keeps running": [
        "filter message = 'model'", "latest(reason) as why", "by account, model_arn | filter last_outcome = 'kept'",
    ],
    "Patterns that match no model": [
        "filter message = 'the pattern matches no model version'", "max(@timestamp) as seen by pattern",
    ],
}


def metrics_of(dashboard):
    """What the widgets of a dashboard draw: the names of metrics, and expressions."""
    widgets = [it["properties"]["metrics"] for it in dashboard["widgets"] if it["type"] == "metric"]
    return [metric[0] for metrics in widgets for metric in metrics]


def the_default_stack_costs_next_to_nothing(session):
    costs = section(DEPLOYING, "### Costs")
    table, total, _ = re.split(r"^\| \*\*the stack\*\* \| \| \*\*([\d.]+)\*\* \|$", costs, flags=re.MULTILINE)
    dollars = {what: float(it) for what, it in re.findall(r"^\| (.*?) \| .* \| (\d+\.\d\d) \|$", table, re.MULTILINE)}
    check_equal(round(sum(dollars.values()), 2), float(total), "sum of the costs")
    check(float(total) <= 0.35, f"a stack costs {total} dollars a month")
    stack = Stack(**STOPS)
    check_equal(dollars["two alarms"], len(stack.of_type("AWS::CloudWatch::Alarm")) * 0.1, "dollars for the alarms")
    for costly in ["AWS::KMS::Key", "AWS::CloudWatch::Dashboard", "AWS::Logs::MetricFilter"]:
        check_equal(stack.of_type(costly), {}, f"{costly} in the default stack")


def the_processor_is_decided_in_one_place(session):
    source = template()
    check_equal(source["Resources"]["Function"]["Properties"]["Architectures"], ["arm64"], "the line that decides")
    words = TEMPLATE.read_text().split("\nResources:")[0]
    check("arm64" not in words and "x86_64" not in words, "a parameter may decide otherwise")
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]
    for command, values in settings.items():
        check("parameter_overrides" not in values["parameters"], f"samconfig.toml has someone's answers for {command}")


def every_command_of_the_documentation_is_one_of_aws_cli_2(session):
    aws = tools.find_aws_cli()
    (WORK / "permissions.json").write_text("{}")
    zipfile.ZipFile(WORK / "empty.zip", "w").close()
    text = "\n".join(page.read_text() for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
    commands = sorted({shlex.join(words) for words in commands_of(text)})
    server = RefusingServer()
    try:
        for number, command in enumerate(commands):
            words = shlex.split(command)[1:]
            is_global = words[0] in ("iam", "organizations")
            check(is_global or "--region" in words, f"the region is missing: {command}")
            if words[:2] == ["lambda", "invoke"] and "Event" not in words:
                check("--cli-read-timeout" in words, f"the CLI would not wait for the end of the run: {command}")
            if "activate-organizations-access" in words:
                # Debian's CLI is older than this.
                check(hasattr(boto3.client("cloudformation", REGION), words[1].replace("-", "_")), f"no API for {command}")
                continue
            words = [it.replace("file://permissions.json", f"file://{WORK / 'permissions.json'}") for it in words]
            # What only a bundle has.
            words = [{"cloudformation.yaml": str(TEMPLATE), "bootstrap.zip": str(WORK / "empty.zip")}.get(it, it) for it in words]
            # The CLI looks whether it is a zip, and no further.
            words = [re.sub(r"^fileb://.*\.zip$", f"fileb://{WORK / 'empty.zip'}", it) for it in words]
            # What the reader puts in, or the shell.
            words = [re.sub(r"\$\w+|\b[A-Z_]+_ARN\b", ROLE, it) for it in words]
            before = server.calls
            run(f"documented-{number}", aws, *words, "--endpoint-url", server.url, fails=True)
            # The CLI makes the call only if it knows every option and takes every value.
            check(server.calls > before, f"AWS CLI 2 does not take {command}", LOGS / f"documented-{number}.log")
    finally:
        server.end()
    dry_run = Stack(ModelArns="all", Function="rekognition-stopper").outputs["DryRunCommand"]
    check(shlex.split(dry_run) in commands_of(text), f"no page gives the command {dry_run}")
    return f"{len(commands)} commands"


class RefusingServer(http.server.ThreadingHTTPServer):
    """An AWS that refuses every call."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RefusingHandler)
        self.calls = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        """Stops listening."""
        self.shutdown()
        self.server_close()


class RefusingHandler(http.server.BaseHTTPRequestHandler):
    """One connection to `RefusingServer`."""

    def refuse(self):
        self.server.calls += 1
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.send_response(400)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = refuse

    def log_message(self, *_):
        """The logs of the CLI suffice."""


def commands_of(text):
    """The words of each command of AWS CLI in a text: in a block of the shell, or in a line with options."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = [" ".join(it.split()) for it in re.findall(r"`(aws [^`]* --[^`]*)`", prose)]
    for block in [*blocks, *inline]:
        pending = ""
        for line in block.replace("\\\n", " ").splitlines():
            pending += f"{line}\n"
            try:
                shlex.split(pending)
            except ValueError:
                continue
            command = re.search(r"^(?:.*\$\()?\s*(aws .*?)(?:\); do)?$", pending.strip(), re.DOTALL)
            pending = ""
            if command:
                words = shlex.split(command[1])
                yield words[: words.index("&&")] if "&&" in words else words


def the_policy_names_the_models_and_otherwise_only_lets_models_be_found(session):
    other = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/bottle-caps/version/bottle-caps.1/1789404005000"
    here = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project"
    statements = Stack(ModelArns=f"{ARN},{PATTERN},{here}/weld-*").role_statements()
    allowed = {
        ("StopProjectVersion", ARN),
        ("ListTagsForResource", ARN),
        ("StopProjectVersion", f"{here}/weld-seams/version/weld-seams.1/1787209319000"),
        ("DescribeProjectVersions", f"{here}/shelf-audit/1700000000000"),
        ("DescribeProjectVersions", f"{here}/bottle-caps/1700000000000"),
        ("DescribeProjects", "*"),
    }
    refused = {
        ("StopProjectVersion", other),
        ("ListTagsForResource", other),
        ("StartProjectVersion", ARN),
        ("DeleteProjectVersion", ARN),
        ("DeleteProject", f"{here}/shelf-audit/1700000000000"),
        ("StopProjectVersion", ARN.replace(ACCOUNT, "210987654321")),
    }
    for action, resource in allowed:
        check(allows(statements, f"rekognition:{action}", resource), f"{action} is refused on {resource}")
    for action, resource in refused:
        check(not allows(statements, f"rekognition:{action}", resource), f"{action} is allowed on {resource}")
    everywhere = {action for it in statements if it["Resource"] == "*" for action in as_list(it["Action"])}
    finding = {"rekognition:DescribeProjects", "rekognition:DescribeProjectVersions"}
    check_equal({it for it in everywhere if it.startswith("rekognition:")}, finding, "what is allowed on everything")
    # Every resource of the policy is an ARN as IAM takes it.
    for resource in [it for statement in statements for it in as_list(statement["Resource"])]:
        check(resource == "*" or "." in resource.split(":")[0] or resource.startswith("arn:"), f"{resource} is no ARN")
    without_tag = Stack(ModelArns="all", KeepRunningTag="none").role_statements()
    pattern_of_all = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/*/version/*/*"
    check(not allows(without_tag, "rekognition:ListTagsForResource", pattern_of_all), "tags may be read that are not needed")


def only_a_member_role_leads_out_of_the_account(session):
    def services(**parameters):
        actions = [action for it in Stack(ModelArns="all", **parameters).role_statements() for action in as_list(it["Action"])]
        return {it for it in actions if it.split(":")[0] in ("sts", "organizations")}

    check_equal(services(), set(), "what the function may do outside this account, without a member role")
    listing = {"organizations:ListAccounts"}
    listing_units = {"organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"}
    check_equal(services(MemberRole="r"), {"sts:AssumeRole"} | listing, "with a member role")
    check_equal(services(MemberRole="r", OrganizationalUnits="r-ab12"), {"sts:AssumeRole"} | listing_units, "with units")
    statements = Stack(ModelArns="all", MemberRole="automation/r").role_statements()
    role = f"arn:aws:iam::{MEMBER}:role/automation/r"
    check(allows(statements, "sts:AssumeRole", role), "the member role may not be assumed")
    strange = {"aws:ResourceOrgID": "o-somebodyelse", "aws:PrincipalOrgID": "o-exampleorg"}
    check(not allows(statements, "sts:AssumeRole", role, strange), "a role of another organization may be assumed")
    check(not allows(statements, "sts:AssumeRole", role, {}), "a role of no organization may be assumed")
    for other in [f"arn:aws:iam::{MEMBER}:role/r", f"arn:aws:iam::{MEMBER}:role/automation/r2"]:
        check(not allows(statements, "sts:AssumeRole", other), f"{other} may be assumed")
    # The rest of its own account's region is the member role's matter in other accounts, and its own here.
    here, there = (f"arn:aws:rekognition:eu-west-1:{it}:project/p/version/v/1" for it in (ACCOUNT, MEMBER))
    check(allows(statements, "rekognition:StopProjectVersion", here), "models of this account may not be stopped")
    check(not allows(statements, "rekognition:StopProjectVersion", there), "another account is entered without its role")


def starts_of(statements):
    """The actions of CloudTrail among these."""
    return {action for it in statements for action in as_list(it["Action"]) if action.startswith("cloudtrail:")}


def who_started_the_models_is_read_only_if_wanted(session):
    for wanted, actions in [("true", {"cloudtrail:LookupEvents"}), ("false", set())]:
        statements = Stack(ModelArns="all", FindStarts=wanted).role_statements()
        check_equal(starts_of(statements), actions, f"FindStarts={wanted}")


def the_member_role_lets_the_function_alone_stop_models(session):
    member = Stack(path=MEMBER_TEMPLATE, account=MEMBER, FunctionRoleArn=ROLE)
    check_equal(list(member.resources), ["MemberRole"], "resources; a StackSet takes no more than CloudFormation's own")
    check("Transform" not in template(MEMBER_TEMPLATE), "a StackSet with service-managed permissions takes no transform")
    role = member.properties("MemberRole")
    trust = role["AssumeRolePolicyDocument"]["Statement"]
    # Not the role itself: IAM would not trust another of its name.
    hub = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    by_name = {"ArnEquals": {"aws:PrincipalArn": ROLE}}
    wanted = {"Effect": "Allow", "Principal": hub, "Action": "sts:AssumeRole", "Condition": by_name}
    check_equal(trust, [wanted], "who may assume the role")
    check_equal(ROLE.split("/")[1], Stack(ModelArns="all").properties("FunctionRole")["RoleName"], "name of that role")
    longest = max(len(it) for it in boto3.session.Session().get_available_regions("lambda"))
    named = re.search(r"may have (\d+) characters", template()["Description"])[1]
    check_equal(int(named), 64 - len("-") - longest, "characters that a stack's name may have")
    check_equal((role["RoleName"], role["Path"]), ("rekognition-stopper-member", "/"), "name and path")
    check("PermissionsBoundary" not in role, "a boundary that no one gave")
    boundary = BOUNDARY[0][1]
    more = {"ExternalId": "a1", "RolePath": "automation/", "PermissionsBoundaryArn": boundary}
    strict = Stack(path=MEMBER_TEMPLATE, account=MEMBER, FunctionRoleArn=ROLE, **more)
    role = strict.properties("MemberRole")
    condition = by_name | {"StringEquals": {"sts:ExternalId": "a1"}}
    check_equal(role["AssumeRolePolicyDocument"]["Statement"], [wanted | {"Condition": condition}], "with an external ID")
    check_equal((role["Path"], role["PermissionsBoundary"]), ("/automation/", boundary), "path and boundary")
    check(
        takes(template()["Parameters"]["MemberRole"], strict.outputs["MemberRole"]), "MemberRole refuses the output of that name"
    )
    check_equal(strict.outputs["MemberRole"], "automation/rekognition-stopper-member", "what MemberRole has to be")
    found = {"cloudtrail:LookupEvents"}
    check_equal(starts_of(member.role_statements("MemberRole")), found, "who started the models of the member account")
    member = Stack(path=MEMBER_TEMPLATE, account=MEMBER, FunctionRoleArn=ROLE, FindStarts="false")
    statements = member.role_statements("MemberRole")
    model = f"arn:aws:rekognition:eu-west-1:{MEMBER}:project/p/version/v/1"
    actions = {
        "StopProjectVersion": model,
        "ListTagsForResource": model,
        "DescribeProjectVersions": f"arn:aws:rekognition:eu-west-1:{MEMBER}:project/p/1",
        "DescribeProjects": "*",
    }
    for action, resource in actions.items():
        check(allows(statements, f"rekognition:{action}", resource), f"{action} is refused")
    allowed = {action for it in statements for action in as_list(it["Action"])}
    check_equal(allowed, {f"rekognition:{action}" for action in actions}, "actions of the member role")
    check(not allows(statements, "rekognition:StopProjectVersion", model.replace(MEMBER, ACCOUNT)), "another account's models")


def the_longest_list_of_models_fits_into_the_policy_of_the_role(session):
    longest = template()["Parameters"]["ModelArns"]["MaxLength"]
    shortest_arn = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project/a/version/b/1"
    arns = ",".join([shortest_arn] * ((longest + 1) // (len(shortest_arn) + 1)))
    stack = Stack(ModelArns=arns, MemberRole="rekognition-stopper-member", OrganizationalUnits="r-ab12")
    policies = stack.properties("FunctionRole")["Policies"]
    size = len(re.sub(r"\s", "", json.dumps([policy["PolicyDocument"] for policy in policies])))
    check(size + 300 < 10_240, f"{len(arns)} characters of ARNs make {size} of policy, of 10,240 that a role may have")
    environment = stack.properties("Function")["Environment"]["Variables"]
    check(len(json.dumps(environment)) < 4096, "the environment of the function is too large")
    excluded = ",".join([MEMBER] * 250)
    environment = Stack(ModelArns="all", MemberRole="r", ExcludedAccounts=excluded).properties("Function")["Environment"]
    check(len(json.dumps(environment)) < 4096, "250 accounts cannot be left out")


def a_state_machine_makes_the_night_on_demand(session):
    alone, stack = Stack(ModelArns="all", MemberRole="r"), Stack(ModelArns="all", **MACHINE)
    more = {"Machine", "MachineRole", "ExecutionRule"}
    check_equal(set(stack.resources) - set(alone.resources), more, "resources of a state machine")
    check_equal(set(alone.resources) - set(stack.resources), set(), "resources that a state machine takes away")
    for it, target, action in [
        (alone, "Function.Arn", "lambda:InvokeFunction"), (stack, "Machine", "states:StartExecution")
    ]:
        check_equal(it.properties("Schedule")["Target"]["Arn"], target, "what the schedule starts")
        may = it.role_statements("ScheduleRole")
        check(allows(may, action, target), f"the schedule may not do {action}")
        check_equal({statement["Action"] for statement in may}, {action, "sqs:SendMessage"}, "what the schedule may do")
    machine = stack.properties("Machine")
    check_equal((machine["StateMachineName"], machine["StateMachineType"]), (stack.name, "STANDARD"), "name and type")
    may = stack.role_statements("MachineRole")
    here = f"arn:aws:states:{REGION}:{ACCOUNT}"
    for action, resource in [
        ("lambda:InvokeFunction", "Function.Arn"),
        ("states:StartExecution", f"{here}:stateMachine:{stack.name}"),
        ("states:DescribeExecution", f"{here}:execution:{stack.name}/Runs:1a2b"),
        ("states:StopExecution", f"{here}:execution:{stack.name}:1a2b"),
        ("sns:Publish", "Topic"),
    ]:
        check(allows(may, action, resource), f"the state machine may not do {action} on {resource}")
    check(not allows(may, "states:StopExecution", f"{here}:execution:{stack.name}-2:1"), "another machine is in reach")


def of_a_state_machine_only_a_good_execution_ends_the_silence(session):
    alarm = Stack(**STOPS, **MACHINE).properties("SilenceAlarm")
    check_equal((alarm["Namespace"], alarm["MetricName"]), ("AWS/States", "ExecutionsSucceeded"), "metric")
    check_equal(alarm["Dimensions"], [{"Name": "StateMachineArn", "Value": "Machine"}], "whose metric")
    check_equal((alarm["Statistic"], alarm["TreatMissingData"]), ("Sum", "breaching"), "what no execution means")


def the_definition_is_the_amazon_states_language(session):
    definition = machine_definition()
    properties = {"RoleArn": ROLE, "Definition": definition}
    path = WORK / "state-machine.json"
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    path.write_text(json.dumps({"Resources": {"Machine": resource}}))
    run("cfn-lint-machine", "cfn-lint", "--non-zero-exit-code", "informational", path)
    runs = definition["States"]["Runs"]
    # The local AWS ignores what it does not know of a Map.
    known = {"Comment", "Type", "ItemsPath", "ItemSelector", "MaxConcurrency", "ItemProcessor", "ResultSelector", "Catch", "Next"}
    check_equal(set(runs), known, "fields of the runs")
    for machine in [definition, runs["ItemProcessor"]]:
        led_to = {machine["StartAt"]}
        for state in machine["States"].values():
            following = [state, *state.get("Catch", []), *state.get("Choices", [])]
            led_to |= {it[key] for it in following for key in ["Next", "Default"] if key in it}
        check_equal(led_to, set(machine["States"]), "states that are led to, and states that there are")
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    check_equal(runs["ItemProcessor"]["ProcessorConfig"], config, "how the runs are made")
    check_equal(runs["MaxConcurrency"], 20, "runs at once")
    check_equal(definition["States"]["Plan"]["Parameters"], {"accounts_per_run": 25}, "request for the plan")


def a_run_is_retried_for_longer_than_a_model_takes_to_start(session):
    task = machine_definition()["States"]["Runs"]["ItemProcessor"]["States"]["Run"]
    retries = {error: it for it in task["Retry"] for error in it["ErrorEquals"]}
    it = retries["NotAllStopped"]
    pauses = [
        min(it["IntervalSeconds"] * it["BackoffRate"] ** number, it["MaxDelaySeconds"])
        for number in range(it["MaxAttempts"])
    ]
    check(sum(pauses) >= 40 * 60, f"the pauses {pauses} are too short")
    check(pauses == sorted(pauses) and pauses[0] < pauses[-1], f"the pauses {pauses} do not grow")
    check("JitterStrategy" not in it, "the pauses may be shorter than that")
    of_lambda = ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "Lambda.SdkClientException"]
    for error in [*of_lambda, "Sandbox.Timedout"]:
        check(error in retries, f"a run is not retried after {error}")
    longest = Stack(ModelArns="all", **MACHINE).properties("Function")["Timeout"]
    check(task["TimeoutSeconds"] > longest, "a run is given up before the function is")


def every_failure_of_the_machine_is_caught_and_told(session):
    states = machine_definition()["States"]
    for name, led_to in [("Plan", "No runs"), ("Runs", "No runs"), ("Tell of the failure", "Not all stopped"), ("Tell of the success", "Successful")]:
        caught = [(it["ErrorEquals"], it["Next"]) for it in states[name]["Catch"]]
        check_equal(caught, [(["States.ALL"], led_to)], f"where the errors of {name} lead")
    run = states["Runs"]["ItemProcessor"]["States"]["Run"]
    check_equal([it["ErrorEquals"] for it in run["Catch"]], [["States.ALL"]], "errors that do not leave the iteration")
    for name in ["Tell of the failure", "Tell of the success"]:
        (retry,) = states[name]["Retry"]
        check_equal((retry["ErrorEquals"], retry["MaxAttempts"] > 3), (["States.ALL"], True), f"retries of {name}")
    for reports, parameters in [("true", {"DryRun": "true"}), ("false", {"DryRun": "false"})]:
        choices = machine_definition(**parameters)["States"]["What to tell"]["Choices"]
        check_equal(choices[1]["Condition"], f"{{% {reports} %}}", f"whether a success is told, {parameters}")


def the_messages_of_all_runs_fit_into_what_a_state_carries(session):
    states = machine_definition()["States"]
    inner = states["Runs"]["ItemProcessor"]["States"]
    # The most runs of a plan of 256 KB.
    smallest = {"model_arns": [ALL_ACCOUNTS], "dry_run": False, "accounts": [MEMBER]}
    most = 256 * 1024 // len(json.dumps(smallest, separators=(",", ":")))

    def failed(cause, runs=4, error="NotAllStopped"):
        failure = {"Error": error, "Cause": cause}
        left = stepfunctions._apply_jsonata_template(inner["Failed run"]["Output"], {"runs": runs, "failure": failure}, {})
        if runs == 4:
            planned = stepfunctions._apply_jsonata_template(states["No runs"]["Output"], failure, {})
            check_equal(planned["text"], "The runs could not be made." + left["failure"], "what is said of the same error in a plan")
        return left

    message = f"1 of 3 models was not stopped: {ARN} (AccessDeniedException: 'no': not [allowed] {{at all}})."
    ours = json.dumps({"errorType": "NotAllStopped", "errorMessage": message})
    check_equal(failed(ours), {"failure": f"\n\n{message}"}, "our own error")
    check_equal(failed(ours.replace(": ", ":", 2).replace(", ", ",", 1)), {"failure": f"\n\n{message}"}, "as Lambda writes it")
    for cause, said in [
        ("Rate Exceeded. (Service: Lambda, Status Code: 429)", "Rate Exceeded. (Service: Lambda, Status Code: 429)"),
        ('is "not"\n a \\ JSON \u00e9', "is ?not?? a ? JSON ?"),
        (ours[:-1], ours[:-1].replace('"', "?")),
        (ours.replace("'no'", '\\"no\\"'), ours.replace("'no'", "???no???"[1:-1]).replace('"', "?")),
        ("", ""),
    ]:
        check_equal(failed(cause, error="X"), {"failure": f"\n\nX: {said}"}, "what is not the JSON of the function")

    def succeeded(text, runs=4):
        request = {"runs": runs, "result": {"message": text}}
        return stepfunctions._apply_jsonata_template(inner["Successful run"]["Output"], request, {})

    for text, left in [
        ("No model was running.", ""),
        ("This was a dry run; nothing was stopped. No model was running.", ""),
        ("No model was running. 1 pattern matches no model: x.", "\n\nNo model was running. 1 pattern matches no model: x."),
        ("1 model was stopped: \u00e9.", "\n\n1 model was stopped: ?."),
    ]:
        check_equal(succeeded(text), {"message": left}, "what a successful run leaves")
    long = json.dumps({"errorType": "NotAllStopped", "errorMessage": "x" * 8192})
    for left in [failed(long, most), succeeded("x" * 8192, most)]:
        ((field, text),) = left.items()
        check(len(text) > 60, "too little is left of a message")
        results = json.dumps([left] * most, separators=(",", ":"))
        check(len(results) < 256 * 1024, f"the messages of {most} runs have {len(results)} bytes")
        all_of_them = {"runs": most, "failures": [], "messages": [], f"{field}s": [text] * most}
        choice = states["What to tell"]["Choices"][field == "message"]
        told = stepfunctions._apply_jsonata_template(choice["Output"], all_of_them, {})["text"]
        # And what else the mail says.
        check(200_000 < len(told) < 256 * 1024 - 2000, f"the mail of {most} runs has {len(told)} characters")


def machine_definition(**parameters):
    """The definition of the state machine, as CloudFormation fills it in."""
    text = (ROOT / "state-machine.asl.json").read_text()
    values = Stack(**{"ModelArns": "all"} | MACHINE | parameters).properties("Machine")["DefinitionSubstitutions"]
    values |= {
        "FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rekognition-stopper", "TopicArn": TOPIC,
        "LogGroup": "/aws/lambda/rekognition-stopper",
    }
    for name, value in values.items():
        check(f"${{{name}}}" in text, f"the definition has no place for {name}")
        text = text.replace(f"${{{name}}}", value)
    check("${" not in text, "the definition has a place that nothing fills")
    return json.loads(text)


def takes(parameter, value):
    """Whether CloudFormation takes a value for a parameter."""
    allowed = parameter.get("AllowedValues")
    if allowed is not None and value not in [str(it) for it in allowed]:
        return False
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        return False
    if parameter["Type"] == "Number" and not value.isdigit():
        return False
    if "MinValue" in parameter and not parameter["MinValue"] <= int(value) <= parameter["MaxValue"]:
        return False
    return len(value) <= parameter.get("MaxLength", 4096)


def without_spaces(query):
    """A text without what only lays it out."""
    return re.sub(r"\s+", "", query).replace("'", '"')


STEPS = [
    cfn_lint_finds_nothing,
    sam_validate_finds_nothing,
    checkov_finds_nothing_that_is_not_justified,
    zizmor_finds_nothing_in_the_workflows,
    the_notes_of_a_release_are_what_the_changelog_says_of_it,
    every_parameter_is_described_and_takes_its_default,
    a_wrong_parameter_is_refused,
    parameters_that_would_be_ignored_are_refused,
    all_is_every_model_within_reach,
    what_a_parameter_does_not_say_is_no_variable,
    silence_raises_an_alarm_whatever_its_reason,
    what_cannot_be_delivered_raises_an_alarm_each_time,
    no_other_alarm_fires,
    every_alarm_reaches_the_topic_and_says_what_to_do,
    the_result_of_a_run_becomes_a_mail,
    every_mail_is_sound,
    the_documentation_shows_every_mail_as_it_is,
    nothing_that_cannot_be_delivered_is_lost,
    a_key_of_the_operator_encrypts_log_and_topic,
    every_role_has_the_boundary,
    the_dashboard_shows_what_is_billed,
    the_default_stack_costs_next_to_nothing,
    the_processor_is_decided_in_one_place,
    every_command_of_the_documentation_is_one_of_aws_cli_2,
    a_state_machine_makes_the_night_on_demand,
    of_a_state_machine_only_a_good_execution_ends_the_silence,
    the_definition_is_the_amazon_states_language,
    a_run_is_retried_for_longer_than_a_model_takes_to_start,
    every_failure_of_the_machine_is_caught_and_told,
    the_messages_of_all_runs_fit_into_what_a_state_carries,
    the_policy_names_the_models_and_otherwise_only_lets_models_be_found,
    only_a_member_role_leads_out_of_the_account,
    who_started_the_models_is_read_only_if_wanted,
    the_member_role_lets_the_function_alone_stop_models,
    the_longest_list_of_models_fits_into_the_policy_of_the_role,
]
