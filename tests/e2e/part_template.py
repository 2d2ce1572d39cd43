"""The templates and the workflows: linters, parameters, mails, alarms and policies."""

import concurrent.futures
import json
import re
import shlex
import zipfile

import boto3
from ministack.services import stepfunctions

import tools
from operated import DEPLOYING, MACHINE, TOPIC, machine_definition, mails, published
from stack import (
    DASHBOARD_TEMPLATE, MEMBER_TEMPLATE, SAME_ORGANIZATION, TEMPLATE, Stack, allows, as_list,
    template,
)
from tools import ACCOUNT, REGION, ROOT, WORK, check, check_equal, commands_of, run, section

PROJECT = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project"
ARN = f"{PROJECT}/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000"
PATTERN = f"arn:aws:rekognition:eu-west-1:{ACCOUNT}:project/*/version/*/*"
ALL_ACCOUNTS = "arn:aws:rekognition:*:*:project/*/version/*/*"
MEMBER = "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/rekognition-stopper-{REGION}"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EMPTY, POLICY = WORK / "empty.zip", WORK / "permissions.json"
TEMPLATES = [TEMPLATE, MEMBER_TEMPLATE, DASHBOARD_TEMPLATE]

# The parameters of a stack that stops models, which is not the default, of one with a state
# machine, and of a member account.
STOPS = {"ModelArns": ARN, "DryRun": "false"}
WITH_MACHINE = {"ModelArns": "all", "MemberRole": "r", "AccountsPerRun": "25"}
OF_MEMBER = {"path": MEMBER_TEMPLATE, "account": MEMBER, "FunctionRoleArn": ROLE}

ENTRIES = f"{ARN},{PATTERN}"
EXTERNAL_ID = (["none", "a1", "stopper:2026/x"], ["a", "two words", "x" * 257])
# Parameter with a pattern: what it has to take, and what it has to refuse besides nothing. Single
# entries of ModelArns are in tests/properties.rs.
VALUES = {
    "ModelArns": (["all", ENTRIES], ["All", f"all,{ARN}", f"{ARN},", f",{ARN}", f"{ARN}, {ARN}"]),
    "AlarmEmail": (
        ["none", "on-call@example.com"], ["on-call", "a@b.example,c.example", "a,b@c.example"],
    ),
    "ScheduleExpression": (
        ["cron(0 20 * * ? *)", "cron(30 19 ? * MON-FRI *)"],
        ["0 20 * * *", "cron(*/5 20 * * ? *)", "cron(0,30 20 * * ? *)", "cron(* 20 * * ? *)",
         "rate(1 day)", "at(2026-12-24T20:00:00)"],
    ),
    "ScheduleTimezone": (
        ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"],
        ["Europe/", "UTC; x", "+01:00"],
    ),
    "KeepRunningTag": (["none", "team:keep running"], ["aws:x", "k" * 129, "a,b"]),
    "InferenceUnitHourPrice": (["none", "4", "4.00"], ["4,00", "$4", "-4", "4.", "1e3", "free"]),
    "MemberRole": (["none", "r", "automation/cost/r"], ["/r", "automation/", "a//b", ROLE, "*"]),
    "MemberExternalId": EXTERNAL_ID,
    "Regions": (["none", "us-east-1,ap-northeast-2"], ["us-east", "us-east-1,", "*"]),
    "OrganizationalUnits": (
        ["none", "r-ab12", "ou-ab12-cd34ef56,ou-ab12-gh78ij90"],
        ["ou-ab12", "root", "ou-ab12-cd34ef56,", "ou-ab12-cd34ef56;r-ab12", ACCOUNT],
    ),
    "ExcludedAccounts": (
        ["none", ACCOUNT, ",".join([ACCOUNT] * 250)],
        ["12345678901", f"{ACCOUNT},", f"{ACCOUNT} {MEMBER}"],
    ),
    "KmsKeyArn": (["none", KEY], ["alias/aws/sns", KEY.replace(":key/", ":alias/")]),
    "PermissionsBoundaryArn": (["none", BOUNDARY], ["boundary", ROLE]),
    "FunctionRoleArn": ([ROLE], ["*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", f"{ROLE}/*"]),
    "ExternalId": EXTERNAL_ID,
    "RoleName": (["rekognition-stopper-member"], ["a/b", "r" * 65]),
    "RolePath": (["none", "automation/cost/"], ["/", "/automation/", "automation"]),
    "StackName": (["rekognition-stopper"], ["a_b", "s" * 50]),
}

# Parameters, and the variables that the other parts do not see at work.
VARIABLES = [
    ({"ModelArns": "all"}, {"MODEL_ARNS": f"{PROJECT}/*/version/*/*"}),
    ({"ModelArns": "all", "MemberRole": "r"}, {"MODEL_ARNS": ALL_ACCOUNTS}),
    (
        {"ModelArns": ARN, "KeepRunningTag": "none", "FindStarts": "false"},
        {"MODEL_ARNS": ARN, "KEEP_RUNNING_TAG": "", "FIND_STARTS": "false", "REGIONS": None},
    ),
    ({"ModelArns": "all", "OrganizationalUnits": "r-ab12"}, {"ORGANIZATIONAL_UNITS": "r-ab12"}),
]

# Parameters, alarm, and what it watches.
ALARMS = [
    (STOPS, "SilenceAlarm", {
        "Namespace": "RekognitionStopper", "MetricName": "RunsSucceeded", "Statistic": "Sum",
        "Dimensions": [{"Name": "FunctionName", "Value": "Function"}], "Period": 3600,
        "EvaluationPeriods": "26", "DatapointsToAlarm": None, "TreatMissingData": "breaching",
        "ComparisonOperator": "LessThanThreshold", "Threshold": 1,
    }),
    (WITH_MACHINE | STOPS, "SilenceAlarm", {
        "Namespace": "AWS/States", "MetricName": "ExecutionsSucceeded", "Statistic": "Sum",
        "Dimensions": [{"Name": "StateMachineArn", "Value": "Machine"}],
        "TreatMissingData": "breaching",
    }),
    # Its metric counts what arrives, and two hours are over before the next night.
    ({"ModelArns": ARN}, "UndeliveredAlarm", {
        "Namespace": "AWS/SQS", "MetricName": "NumberOfMessagesSent", "Statistic": "Sum",
        "Dimensions": [{"Name": "QueueName", "Value": "UndeliveredQueue.QueueName"}],
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "Threshold": 1, "Period": 3600,
        "EvaluationPeriods": 2, "TreatMissingData": "notBreaching",
    }),
]

# Parameters, and the rules that mail something under these.
RULES = [
    (STOPS, {"FailureRule"}),
    (STOPS | {"ReportEveryRun": "true"}, {"FailureRule", "ReportRule"}),
    ({"ModelArns": ARN}, {"FailureRule", "ReportRule"}),
    (WITH_MACHINE | STOPS, {"FailureRule", "ExecutionRule"}),
    (WITH_MACHINE, {"FailureRule", "ReportRule", "ExecutionRule"}),
]

# Role, parameters, and what it may do and may not; part `permissions` compares every call, and
# every action, with the policies. An action without a service is Rekognition's.
OTHER = f"{PROJECT}/bottle-caps/version/bottle-caps.1/1789404005000"
OF_MEMBER_ACCOUNT = f"arn:aws:rekognition:eu-west-1:{MEMBER}:project/p/version/v/1"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:rekognition-stopper"
POLICIES = [
    ("FunctionRole", {"ModelArns": f"{ARN},{PATTERN},{PROJECT}/weld-*"}, [
        ("StopProjectVersion", f"{PROJECT}/weld-seams/version/weld-seams.1/1787209319000"),
        ("events:PutEvents", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"),
    ], [
        ("StopProjectVersion", OTHER), ("ListTagsForResource", OTHER),
        ("StopProjectVersion", ARN.replace(ACCOUNT, MEMBER)),
    ]),
    ("FunctionRole", {"ModelArns": "all", "KeepRunningTag": "none", "FindStarts": "false"}, [
        ("StopProjectVersion", ARN),
    ], [
        ("ListTagsForResource", ARN), ("StopProjectVersion", ARN.replace(REGION, "eu-west-1")),
        ("cloudtrail:LookupEvents", "*"), ("sts:AssumeRole", ROLE.replace(ACCOUNT, MEMBER)),
        ("organizations:ListAccounts", "*"),
    ]),
    # In other accounts, only the member role may stop models.
    ("FunctionRole", {"ModelArns": "all", "MemberRole": "a/r"}, [
        ("StopProjectVersion", ARN.replace(REGION, "eu-west-1")),
        ("sts:AssumeRole", f"arn:aws:iam::{MEMBER}:role/a/r"), ("organizations:ListAccounts", "*"),
    ], [
        ("StopProjectVersion", OF_MEMBER_ACCOUNT),
        ("sts:AssumeRole", f"arn:aws:iam::{MEMBER}:role/r"),
        ("sts:AssumeRole", f"arn:aws:iam::{MEMBER}:role/a/r2"),
        ("organizations:ListAccountsForParent", "*"),
    ]),
    ("FunctionRole", {"ModelArns": "all", "MemberRole": "r", "OrganizationalUnits": "r-ab12"}, [
        ("organizations:ListAccountsForParent", "*"),
        ("organizations:ListOrganizationalUnitsForParent", "*"),
    ], [("organizations:ListAccounts", "*")]),
    ("ScheduleRole", {"ModelArns": "all"}, [
        ("lambda:InvokeFunction", "Function.Arn"), ("sqs:SendMessage", "UndeliveredQueue.Arn"),
    ], [("states:StartExecution", "Machine")]),
    ("ScheduleRole", WITH_MACHINE, [
        ("states:StartExecution", "Machine"), ("sqs:SendMessage", "UndeliveredQueue.Arn"),
    ], [("lambda:InvokeFunction", "Function.Arn")]),
    # CloudWatch and EventBridge are let in by the key, and the state machine by its role.
    ("MachineRole", WITH_MACHINE | {"KmsKeyArn": KEY}, [
        ("lambda:InvokeFunction", "Function.Arn"), ("states:StartExecution", MACHINE),
        ("states:DescribeExecution", f"{EXECUTION}/Runs:1a2b"),
        ("states:StopExecution", f"{EXECUTION}:1a2b"), ("sns:Publish", "Topic"),
        ("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY),
    ], [("states:StopExecution", f"{EXECUTION}-2:1")]),
    ("MachineRole", WITH_MACHINE, [], [("kms:Decrypt", KEY)]),
    ("MemberRole", OF_MEMBER, [
        ("StopProjectVersion", OF_MEMBER_ACCOUNT),
    ], [("StopProjectVersion", ARN), ("ListTagsForResource", ARN)]),
    ("MemberRole", OF_MEMBER | {"FindStarts": "false"}, [], [("cloudtrail:LookupEvents", "*")]),
]


def the_linters_find_nothing(session):
    run("cfn-lint", "cfn-lint", "--non-zero-exit-code", "informational", *TEMPLATES)
    run("sam-validate", "sam", "validate", "--lint")
    machine = WORK / "state-machine.json"
    properties = {"RoleArn": ROLE, "Definition": machine_definition()}
    resource = {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}
    machine.write_text(json.dumps({"Resources": {"Machine": resource}}))
    run("cfn-lint-machine", "cfn-lint", "--non-zero-exit-code", "informational", machine)
    # Offline: what it could ask of GitHub is whether a pinned action is known to be vulnerable.
    said = run("zizmor", "zizmor", "--offline", "--no-progress", ROOT / ".github")
    for workflow in (ROOT / ".github" / "workflows").iterdir():
        check(f"completed {workflow}" in said, f"zizmor has not read {workflow.name}")


def checkov_finds_nothing_that_is_not_justified(session):
    output = run(
        "checkov", "checkov", "--file", *TEMPLATES, "--framework", "cloudformation",
        "--skip-download", "--output", "json", merge=False,
    )
    results = json.loads(output)["results"]
    check_equal(results["failed_checks"], [], "failed checks")
    check_equal(results["parsing_errors"], [], "files that checkov cannot read")
    check(len(results["passed_checks"]) > 10, "checkov checked next to nothing")
    for skipped in results["skipped_checks"]:
        reason = skipped["check_result"]["suppress_comment"]
        check(reason, f"{skipped['check_id']} is skipped without a reason")


def every_parameter_is_described_and_takes_only_what_it_should(session):
    tried = set()
    for path in TEMPLATES:
        for name, parameter in template(path)["Parameters"].items():
            check(parameter.get("Description"), f"{name} has no description")
            limits = {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter)
            check(limits, f"{name} takes anything")
            if "AllowedPattern" in parameter:
                tried.add(name)
                good, bad = VALUES[name]
                default = [parameter["Default"]] if "Default" in parameter else []
                for value in [*good, *default]:
                    check(takes(parameter, value), f"{name} refuses {value!r}")
                for value in ["", *bad]:
                    check(not takes(parameter, value), f"{name} takes {value!r}")
    check_equal(tried, set(VALUES), "parameters that are tried here")


def guided_mode_asks_in_the_order_of_the_console_and_begins_with_a_dry_run(session):
    source = template()
    groups = source["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    check_equal(grouped, list(source["Parameters"]), "parameters in the console")
    asked = [name for name, it in source["Parameters"].items() if "Default" not in it]
    check_equal(asked, ["ModelArns", "AlarmEmail"], "what only the operator can say")
    check_equal(source["Parameters"]["DryRun"]["Default"], "true", "DryRun, by default")


def parameters_that_would_be_ignored_are_refused(session):
    check_equal(Stack(ModelArns="all").refusals(), [], "refusals of every model")
    for name in ["MemberExternalId", "OrganizationalUnits", "ExcludedAccounts", "AccountsPerRun"]:
        given = {"ModelArns": "all", name: "25"}
        refusals = Stack(**given).refusals()
        check(name in "".join(refusals), f"{name} without MemberRole: {refusals}")
        check_equal(Stack(**given, MemberRole="r").refusals(), [], f"{name} with MemberRole")


def the_parameters_become_variables(session):
    for parameters, variables in VARIABLES:
        found = Stack(**parameters).properties("Function")["Environment"]["Variables"]
        check_equal({it: found.get(it) for it in variables}, variables, f"of {parameters}")


def the_alarms_say_when_it_is_silent_and_when_something_is_lost(session):
    for parameters, name, wanted in ALARMS:
        alarm = Stack(**parameters).properties(name)
        check_equal({it: alarm.get(it) for it in wanted}, wanted, f"{name}, {parameters}")
    check_equal(alarms_of(**STOPS), {"SilenceAlarm", "UndeliveredAlarm"}, "alarms")
    check_equal(alarms_of(ModelArns=ARN), {"UndeliveredAlarm"}, "alarms of a stack of dry runs")
    hours = template()["Parameters"]["HoursOfSilence"]["MaxValue"]
    check(hours <= 7 * 24, "CloudWatch takes no alarm of more than a week")


def every_alarm_reaches_the_mailbox_and_says_what_to_do(session):
    stack = Stack(**STOPS, AlarmEmail="on-call@example.com")
    for name, alarm in stack.of_type("AWS::CloudWatch::Alarm").items():
        check_equal(alarm["AlarmActions"], ["Topic"], f"actions of {name}")
        length = len(alarm["AlarmDescription"])
        check(150 < length <= 924, f"the description of {name} has {length} characters")
    check_equal(stack.properties("Topic")["DisplayName"], stack.name, "sender of the mail")
    wanted = {"TopicArn": "Topic", "Protocol": "email", "Endpoint": "on-call@example.com"}
    check_equal(stack.properties("Subscription"), wanted, "subscription")
    check("Subscription" not in Stack(**STOPS, AlarmEmail="none").resources, "none is an address")


def each_result_has_its_rule(session):
    for parameters, rules in RULES:
        found = set(Stack(**parameters).of_type("AWS::Events::Rule"))
        check_equal(found, rules, f"rules, {parameters}")
    stack = Stack(**WITH_MACHINE)
    # The others are seen where the stack is deployed.
    rule = stack.properties("ExecutionRule")
    check_equal(rule["EventPattern"], {
        "source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": ["Machine"], "status": ["TIMED_OUT", "ABORTED"]},
    }, "executions that cannot tell of themselves")
    paths = {"name": "$.detail.name", "status": "$.detail.status"}
    found = rule["Targets"][0]["InputTransformer"]["InputPathsMap"]
    check_equal(found, paths, "what is told of them")
    for name, rule in stack.of_type("AWS::Events::Rule").items():
        (target,) = rule["Targets"]
        check_equal(target["Arn"], "Topic", f"target of {name}")
        # AWS documents that a target with a resource policy has no role.
        check("RoleArn" not in target and "EventBusName" not in rule, f"{name} has a role or bus")
        text = json.loads(target["InputTransformer"]["InputTemplate"])
        # EventBridge puts in the values by plain text.
        check(not re.search('["\\\\]|  ', text), f"EventBridge would trip over the mail of {name}")
        variables = re.findall("<([^<>]*)>", text)
        filled = target["InputTransformer"]["InputPathsMap"]
        check_equal(set(variables), set(filled), f"variables in the mail of {name}")
        # The function's text ends in a full stop itself.
        check(not re.search("<(error|message)>\\.", text), f"two full stops: {text}")


def the_documentation_shows_every_mail_as_it_is(session):
    page = (ROOT / "docs" / "morning-after.md").read_text()
    shown = [unfolded(it).strip('"') for it in tools.blocks(page, "")]
    texts = {text for it in [{}, STOPS] for text in mails(**WITH_MACHINE | it).values()}
    # A machine that only looks is reported by its own words, and the page shows the function's.
    texts.remove(mails(**WITH_MACHINE)["Tell of the success"])
    texts.add(mails(**WITH_MACHINE | STOPS)["Tell of the success"])
    names = {"LogGroup": "/aws/lambda/rekognition-stopper", "Machine": MACHINE}
    names |= {"Function": "rekognition-stopper", "Schedule": "rekognition-stopper"}
    alarms = Stack(**STOPS, **names).of_type("AWS::CloudWatch::Alarm").values()
    texts |= {alarm["AlarmDescription"] for alarm in alarms}
    texts.add(mails(**STOPS, ReportEveryRun="true")["ReportRule"])
    check_equal(len(shown), len(texts), "mails that the documentation shows")
    for text in texts:
        places = "<[a-z]+>|UndeliveredQueue(.QueueName)?"
        pattern = re.sub(places, ".+", re.escape(unfolded(text)).replace("\\.", "."))
        found = any(re.fullmatch(pattern, it) for it in shown)
        check(found, f"the documentation does not show this mail: {text}")
    machine = Stack(**WITH_MACHINE | STOPS, **names)
    alarm = machine.properties("SilenceAlarm")["AlarmDescription"]
    check(machine.outputs["RunCommand"] in alarm, f"the alarm starts no execution: {alarm}")


def what_cannot_be_delivered_goes_to_the_queue(session):
    stack = Stack(**WITH_MACHINE)
    targets = {name: it["Targets"][0] for name, it in stack.of_type("AWS::Events::Rule").items()}
    targets["Schedule"] = stack.properties("Schedule")["Target"]
    for name, target in targets.items():
        queue = target["DeadLetterConfig"]["Arn"]
        check_equal(queue, "UndeliveredQueue.Arn", f"dead-letter queue of {name}")
    check(targets["Schedule"]["RetryPolicy"]["MaximumRetryAttempts"] > 0, "it does not retry")
    of_rules = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{stack.name}-*"
    # For a topic, AWS documents no condition, and for a queue this one.
    for policy, condition in [
        ("TopicPolicy", None),
        ("UndeliveredQueuePolicy", {"ArnLike": {"aws:SourceArn": of_rules}}),
    ]:
        statements = stack.properties(policy)["PolicyDocument"]["Statement"]
        of_events = {"Service": "events.amazonaws.com"}
        (rule,) = [it for it in statements if it["Principal"] == of_events]
        check_equal(rule.get("Condition"), condition, f"{policy}: condition of rules")
        (denied,) = [it for it in statements if it["Effect"] == "Deny"]
        without_tls = ("*", {"Bool": {"aws:SecureTransport": "false"}})
        check_equal((denied["Principal"], denied["Condition"]), without_tls, f"{policy}: denied")
    check(stack.properties("UndeliveredQueue")["SqsManagedSseEnabled"], "it is not encrypted")


def a_key_and_a_boundary_of_the_operator_are_used_everywhere(session):
    for given, key, boundary in [
        ({}, None, None), ({"KmsKeyArn": KEY, "PermissionsBoundaryArn": BOUNDARY}, KEY, BOUNDARY),
    ]:
        stack = Stack(**WITH_MACHINE, **given)
        check_equal(stack.properties("LogGroup").get("KmsKeyId"), key, "key of the log")
        check_equal(stack.properties("Topic").get("KmsMasterKeyId"), key, "key of the topic")
        roles = stack.of_type("AWS::IAM::Role")
        check_equal(set(roles), {"FunctionRole", "MachineRole", "ScheduleRole"}, "roles")
        for name, role in roles.items():
            check_equal(role.get("PermissionsBoundary"), boundary, f"boundary of {name}")


def the_dashboard_shows_what_is_billed_and_what_failed(session):
    stack = Stack(**STOPS)
    text = Stack(path=DASHBOARD_TEMPLATE).properties("Dashboard")["DashboardBody"]
    priced = Stack(path=DASHBOARD_TEMPLATE, InferenceUnitHourPrice="4.00")
    check("hours * 4.00" in priced.properties("Dashboard")["DashboardBody"], "no money")
    widgets = [it["properties"] for it in json.loads(text)["widgets"]]
    drawn = [metric[0] for it in widgets for metric in it.get("metrics", [])]
    billed = [it["expression"] for it in drawn if isinstance(it, dict)]
    search = "SEARCH('{AWS/Rekognition,ProjectName,VersionName} "
    search += "MetricName=\"InServiceInferenceUnits\"', 'Average', 300)"
    check_equal([search in it for it in billed], [True, True], "what searches for what is billed")
    metrics = "RunsSucceeded ModelsStopped ModelsAlreadyStopped ModelsKept ModelsFailed " \
        "LookupsFailed InferenceUnitsStopped Duration Errors DestinationDeliveryFailures"
    for metric in metrics.split():
        check(f'"{metric}"' in text, f"the dashboard does not show {metric}")
    # Everything of the stack is found by its name.
    (alarms,) = [it["alarms"] for it in widgets if "alarms" in it]
    named = {it["AlarmName"] for it in stack.of_type("AWS::CloudWatch::Alarm").values()}
    check_equal({it.rsplit(":", 1)[1] for it in alarms}, named, "alarms shown")
    queries = {it["title"]: it["query"].split(" | ", 1) for it in widgets if "query" in it}
    log = f"SOURCE '{stack.properties('LogGroup')['LogGroupName']}'"
    check_equal({source for source, _ in queries.values()}, {log}, "logs that are read")
    saved = stack.properties("FailedModelsQuery")["QueryString"]
    _, shown = queries["Models and lookups that failed"]
    check_equal(unfolded(shown), unfolded(saved), "the dashboard's query, and the saved one")
    documented = section(DEPLOYING, "### The dashboard").lower()
    for widget in widgets:
        check(widget["title"].lower() in documented, f"no page describes {widget['title']!r}")


def every_command_of_the_documentation_is_one_of_aws_cli_2(session):
    tools.find_aws_cli()
    POLICY.write_text("{}")
    zipfile.ZipFile(EMPTY, "w").close()
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text() for page in pages)
    commands = sorted({shlex.join(words) for words in commands_of(text)})

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(try_command, enumerate(commands)))
    dry_run = Stack(ModelArns="all", Function="rekognition-stopper").outputs["DryRunCommand"]
    check(shlex.join(shlex.split(dry_run)) in commands, f"no page gives the command {dry_run}")
    return f"{len(commands)} commands"


def the_state_machine_makes_the_runs_that_it_should(session):
    definition = machine_definition()
    check_equal(definition["States"]["Plan"]["Parameters"], {"accounts_per_run": 25}, "plan")
    runs = definition["States"]["Runs"]
    # The local AWS ignores what it does not know of a Map.
    known = {
        "Comment", "Type", "ItemsPath", "ItemSelector", "MaxConcurrency", "ItemProcessor",
        "ResultSelector", "Catch", "Next",
    }
    check_equal((set(runs), runs["MaxConcurrency"]), (known, 20), "fields of the runs")
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    check_equal(runs["ItemProcessor"]["ProcessorConfig"], config, "how the runs are made")
    task = runs["ItemProcessor"]["States"]["Run"]
    retries = {error: it for it in task["Retry"] for error in it["ErrorEquals"]}
    # A model takes up to 30 minutes to start.
    it = retries["NotAllStopped"]
    pauses = [
        min(it["IntervalSeconds"] * it["BackoffRate"] ** number, it["MaxDelaySeconds"])
        for number in range(it["MaxAttempts"])
    ]
    check(sum(pauses) >= 40 * 60, f"the pauses {pauses} are too short")
    check("JitterStrategy" not in it, "the pauses may be shorter than that")
    for error in ["Lambda.TooManyRequestsException", "Lambda.ServiceException", "Sandbox.Timedout"]:
        check(error in retries, f"a run is not retried after {error}")
    longest = Stack(**WITH_MACHINE).properties("Function")["Timeout"]
    check(task["TimeoutSeconds"] > longest, "a run is given up before the function is")


def every_failure_of_the_machine_is_caught_and_told(session):
    states = machine_definition()["States"]
    states["Run"] = states["Runs"]["ItemProcessor"]["States"]["Run"]
    for name, led_to in [
        ("Plan", "No runs"), ("Runs", "No runs"), ("Run", "Failed run"),
        ("Tell of the failure", "Not all stopped"), ("Tell of the success", "Successful"),
    ]:
        (caught,) = states[name]["Catch"]
        found = (caught["ErrorEquals"], caught["Next"])
        check_equal(found, (["States.ALL"], led_to), f"where the errors of {name} lead")
    for name in ["Tell of the failure", "Tell of the success"]:
        (retry,) = states[name]["Retry"]
        check_equal(retry["ErrorEquals"], ["States.ALL"], f"retries of {name}")
        arguments = published(states[name])
        check_equal(arguments["TopicArn"], TOPIC, f"where {name} publishes")
        # As SNS takes it.
        check(re.fullmatch("[ -~]{1,100}", arguments["Subject"]), f"subject: {arguments}")
    long = stepfunctions._apply_jsonata_template(
        states["Not all stopped"]["Cause"], {"text": "x" * 9000}, {}
    )
    check_equal(len(long), 8000, "characters of the cause")
    for dry_run, reports in [("true", "{% true %}"), ("false", "{% false %}")]:
        choices = machine_definition(DryRun=dry_run)["States"]["What to tell"]["Choices"]
        check_equal(choices[1]["Condition"], reports, f"whether a success is told, {dry_run}")


def the_messages_of_all_runs_fit_into_what_a_state_carries(session):
    states = machine_definition()["States"]
    inner = states["Runs"]["ItemProcessor"]["States"]
    # The most runs of a plan of 256 KB.
    smallest = {"model_arns": [ALL_ACCOUNTS], "dry_run": False, "accounts": [MEMBER]}
    most = 256 * 1024 // len(json.dumps(smallest, separators=(",", ":")))

    def failed(cause, runs=4, error="X"):
        failure = {"Error": error, "Cause": cause}
        text = output(inner["Failed run"], runs=runs, failure=failure)["failure"]
        planned = output(states["No runs"], **failure)["text"]
        told = f"The runs could not be made.{text}"
        check(planned == told or runs == most, f"of the same error, a plan says {planned}")
        return text

    def succeeded(message, runs=4):
        return output(inner["Successful run"], runs=runs, result={"message": message})["message"]

    message = f"1 of 3 models was not stopped: {ARN} (AccessDeniedException: 'no': [x] {{y}})."
    ours = json.dumps({"errorType": "NotAllStopped", "errorMessage": message})
    throttled = "Rate Exceeded. (Service: Lambda, Status Code: 429)"
    for cause, said in [
        (ours, message), (ours.replace(": ", ":", 2).replace(", ", ",", 1), message),
        (throttled, f"X: {throttled}"), ("", "X: "),
        # What is not the JSON of the function.
        ('is "not"\n a \\ JSON \u00e9', "X: is ?not?? a ? JSON ?"),
        (ours[:-1], "X: " + ours[:-1].replace('"', "?")),
        (ours.replace("'no'", '\\"no\\"'), "X: " + ours.replace("'", "??").replace('"', "?")),
    ]:
        check_equal(failed(cause), f"\n\n{said}", "what a failed run leaves")
    for said, left in [
        ("No model was running.", ""),
        ("This was a dry run; nothing was stopped. No model was running.", ""),
        ("No model was running. 1 pattern matches no model: x.", None),
        ("1 model was stopped: \u00e9.", "\n\n1 model was stopped: ?."),
    ]:
        wanted = f"\n\n{said}" if left is None else left
        check_equal(succeeded(said), wanted, "what a successful run leaves")
    long = json.dumps({"errorType": "NotAllStopped", "errorMessage": "x" * 8192})
    for number, field, text in [
        (0, "failure", failed(long, most)), (1, "message", succeeded("x" * 8192, most)),
    ]:
        check(len(text) > 60, "too little is left of a message")
        results = json.dumps([{field: text}] * most, separators=(",", ":"))
        check(len(results) < 256 * 1024, f"the messages have {len(results)} bytes")
        told = {"runs": most, "failures": [], "messages": []} | {f"{field}s": [text] * most}
        length = len(output(states["What to tell"]["Choices"][number], **told)["text"])
        # And what else the mail says.
        check(200_000 < length < 256 * 1024 - 2000, f"the mail has {length} characters")


def the_roles_may_do_what_they_have_to_and_nothing_else(session):
    for role, parameters, allowed, refused in POLICIES:
        statements = Stack(**parameters).role_statements(role)
        for calls, right in [(allowed, True), (refused, False)]:
            for action, resource in calls:
                name = action if ":" in action else f"rekognition:{action}"
                found = allows(statements, name, resource)
                check_equal(found, right, f"{role}, {parameters}: {name} on {resource}")
        # Everything is an ARN as IAM takes it, or an attribute, or a resource here.
        for resource in [it for found in statements for it in as_list(found["Resource"])]:
            check(resource == "*" or re.match("arn:|[A-Z]", resource), f"{resource} is no ARN")
    statements = Stack(**WITH_MACHINE).role_statements()
    member = "arn:aws:iam::222222222222:role/r"
    for context in [{}, SAME_ORGANIZATION | {"aws:ResourceOrgID": "o-somebodyelse"}]:
        entered = allows(statements, "sts:AssumeRole", member, context)
        check(not entered, f"a role may be assumed outside of the organization, {context}")


def the_member_role_trusts_the_function_alone(session):
    # Not the role itself: IAM would not trust another of its name.
    trust = {
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole", "Condition": {"ArnEquals": {"aws:PrincipalArn": ROLE}},
    }
    name = Stack(ModelArns="all").properties("FunctionRole")["RoleName"]
    check_equal(name, ROLE.split("/")[1], "name of that role")
    more = {"ExternalId": "a1", "RolePath": "automation/", "PermissionsBoundaryArn": BOUNDARY}
    external = {"StringEquals": {"sts:ExternalId": "a1"}}
    for given, condition, path, boundary in [
        ({}, {}, "/", None), (more, external, "/automation/", BOUNDARY),
    ]:
        stack = Stack(**OF_MEMBER, **given)
        role = stack.properties("MemberRole")
        wanted = trust | {"Condition": trust["Condition"] | condition}
        check_equal(role["AssumeRolePolicyDocument"]["Statement"], [wanted], "whom it trusts")
        found = (role["RoleName"], role["Path"], role.get("PermissionsBoundary"))
        check_equal(found, ("rekognition-stopper-member", path, boundary), "name, path, boundary")
        named = stack.outputs["MemberRole"]
        check(takes(template()["Parameters"]["MemberRole"], named), f"MemberRole refuses {named}")
        check_equal(f"/{named}", f"{path}rekognition-stopper-member", "what MemberRole has to be")
    # A StackSet with service-managed permissions takes no transform.
    check("Transform" not in template(MEMBER_TEMPLATE), "a transform in member-account.yaml")
    longest = max(len(it) for it in boto3.session.Session().get_available_regions("lambda"))
    named = re.search(r"may have at most (\d+) characters", template()["Description"])[1]
    check_equal(int(named), 64 - len("-") - longest, "characters that a stack's name may have")


def the_longest_lists_fit_into_a_policy_and_the_environment(session):
    longest = template()["Parameters"]["ModelArns"]["MaxLength"]
    shortest = f"{PROJECT}/a/version/b/1"
    arns = ",".join([shortest] * ((longest + 1) // (len(shortest) + 1)))
    for given in [
        {"ModelArns": arns, "OrganizationalUnits": "r-ab12"},
        {"ModelArns": "all", "ExcludedAccounts": ",".join([MEMBER] * 250)},
    ]:
        stack = Stack(**given, MemberRole="rekognition-stopper-member")
        size = len(re.sub(r"\s", "", json.dumps(stack.properties("FunctionRole")["Policies"])))
        check(size + 300 < 10_240, f"the policies have {size} characters, of 10,240")
        size = len(json.dumps(stack.properties("Function")["Environment"]))
        check(size < 4096, f"the environment has {size} characters, of 4,096")


def try_command(numbered):
    """The AWS CLI knows a command and every option of it, and takes every value: it makes the call,
    to an endpoint that there is not."""
    number, command = numbered
    words = shlex.split(command)[1:]
    is_global = words[0] in ("iam", "organizations")
    check(is_global or "--region" in words, f"the region is missing: {command}")
    if words[:2] == ["lambda", "invoke"] and "Event" not in words:
        check("--cli-read-timeout" in words, f"it does not wait for the run: {command}")
    if "activate-organizations-access" in words:
        # Debian's CLI is older than this.
        client = boto3.client("cloudformation", REGION)
        check(hasattr(client, words[1].replace("-", "_")), f"no API for {command}")
        return
    for written, here in [
        (r"file://permissions\.json", f"file://{POLICY}"),
        # What only a bundle has. The CLI looks whether it is a zip, and no further.
        (r"cloudformation\.yaml", str(TEMPLATE)), (r"bootstrap\.zip", str(EMPTY)),
        (r"fileb://.*\.zip", f"fileb://{EMPTY}"),
    ]:
        words = [re.sub(f"^{written}$", here, it) for it in words]
    # What the reader puts in, or the shell.
    words = [re.sub(r"\$\w+|\b[A-Z_]+_ARN\b", ROLE, it) for it in words]
    aws = [tools.find_aws_cli(), "--endpoint-url", "http://127.0.0.1:1"]
    env = tools.environment(AWS_MAX_ATTEMPTS="1")
    said = run(f"documented-{number}", *aws, *words, env=env, fails=True)
    check(re.search("Could not connect", said), f"AWS CLI 2 does not take {command}", said)


def takes(parameter, value):
    """Whether CloudFormation takes a value for a parameter with a pattern."""
    fits = re.fullmatch(parameter["AllowedPattern"], value)
    return bool(fits) and len(value) <= parameter.get("MaxLength", 4096)


def alarms_of(**parameters):
    """The alarms of a stack."""
    return set(Stack(**parameters).of_type("AWS::CloudWatch::Alarm"))


def output(state, **given):
    """What a state makes of its input."""
    return stepfunctions._apply_jsonata_template(state["Output"], given, {})


def unfolded(text):
    """A text without what only lays it out."""
    return re.sub(r"\s+", "", text).replace("'", '"')
