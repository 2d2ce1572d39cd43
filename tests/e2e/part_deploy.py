"""A stack from its first dry run to its removal, with every mail.

What the local AWS does not carry, and what is done about it:
- saved queries of CloudWatch Logs, what an alarm makes of missing data, dead-letter queues, the
  time zone of a schedule, allowed patterns of parameters and the template's rules: part `template`
  reads them; allowed values it does refuse;
- destinations on an event bus: `local_events.py` has them;
- metrics in the embedded format: the record is read in the log;
- mail: a queue that is subscribed to the topic gets what a mailbox would.
"""

from operated import (
    AT_ONCE, LOG_GROUP, NEVER, STACK, alarms, begin, check_fields, check_real, described, mails,
    metrics, next_mail, outputs, run_commands, run_lines, sam_delete, sam_deploy, subscribe,
)
from services import (
    BOTTLE_CAPS, MODEL_ARNS, MODELS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS,
)
from tools import LOGS, ROOT, check, check_equal, wait_until

MISSPELT = f"{SHELF_AUDIT.replace('shelf-audit', 'shelf-adit').rsplit('/', 3)[0]}/*"
# What everybody has to say, and a price.
PARAMETERS = {
    "ModelArns": ",".join([*MODEL_ARNS, MISSPELT]),
    "AlarmEmail": "none",
    "InferenceUnitHourPrice": "4.00",
    "ScheduleExpression": NEVER,
}
STOPS = PARAMETERS | {
    "DryRun": "false",
    "ReportEveryRun": "true",
    "AlarmEmail": "on-call@example.com",
    "ScheduleExpression": AT_ONCE,
}


def a_value_that_is_not_allowed_creates_nothing(session):
    begin(session)
    said = sam_deploy(session, "deploy-refused", PARAMETERS | {"DryRun": "perhaps"}, fails=True)
    check("DryRun" in said, "the refusal does not name the parameter", LOGS / "deploy-refused.log")


def sam_deploy_creates_a_stack_that_only_looks(session):
    sam_deploy(session, "deploy", PARAMETERS)
    check_equal(described(session)["StackStatus"], "CREATE_COMPLETE", "status of the stack")
    check_real(session.aws, STACK)
    check_equal([it["AlarmName"] for it in alarms(session)], [f"{STACK}-undelivered"], "alarms")
    check("nobody is notified" in outputs(session)["MailGoesTo"], "somebody gets the mail")
    subscribe(session, outputs(session)["TopicArn"])


def a_dry_run_stops_nothing_and_mails_what_it_would_stop(session):
    session.aws.shell("dry-run", outputs(session)["RunCommand"])
    said = next_mail(session, mails(**PARAMETERS)["ReportRule"])["message"]
    for part in [
        f"This was a dry run; nothing was stopped. 2 models would be stopped: {SHELF_AUDIT}",
        WELD_SEAMS, "12.00 an hour", f"1 model was kept running: {SHELF_AUDIT_KEPT}", MISSPELT,
    ]:
        check(part in said, f"the mail lacks {part}: {said}")
    for model, state in MODELS.items():
        stopped = session.rekognition.status(model) == "STOPPED"
        check(not stopped, f"{model} was {state}, and is stopped")


def the_log_has_what_the_tables_of_the_dashboard_read(session):
    # Only the real AWS computes their queries; these are the fields that the queries name.
    lines = session.aws.log_lines(LOG_GROUP)
    unmatched = "the pattern matches no model version"
    patterns = [it["pattern"] for it in lines if it.get("message") == unmatched]
    check_equal(patterns, [MISSPELT], "patterns that match no model")
    kept = [it for it in lines if it.get("message") == "model" and it["outcome"] == "kept"]
    reasons = {it["model_arn"]: it["reason"] for it in kept}
    check_equal(reasons, {SHELF_AUDIT_KEPT: "tag keep-running=true"}, "models that are kept")


def an_update_has_the_schedule_stop_the_models(session):
    session.lines_before = len(run_lines(session))
    sam_deploy(session, "deploy-update", STOPS)
    check_equal(described(session)["StackStatus"], "UPDATE_COMPLETE", "status of the stack")
    names = {it["AlarmName"] for it in alarms(session)}
    check_equal(names, {f"{STACK}-silence", f"{STACK}-undelivered"}, "alarms")
    subscriptions = session.aws.client("sns").list_subscriptions()["Subscriptions"]
    endpoints = [it["Endpoint"] for it in subscriptions]
    check("on-call@example.com" in endpoints, "the address is not subscribed")
    check_equal(outputs(session)["MailGoesTo"], "on-call@example.com", "who gets the mail")
    for model in [SHELF_AUDIT, WELD_SEAMS]:
        wait_until(
            lambda: session.rekognition.status(model) == "STOPPED",
            f"{model} is not stopped", timeout=60, log=session.aws.log,
        )
    for model in [SHELF_AUDIT_KEPT, BOTTLE_CAPS]:
        check_equal(session.rekognition.status(model), "RUNNING", f"{model}, kept or not listed")


def the_run_is_in_a_mail_the_log_and_the_metrics(session):
    said = next_mail(session, mails(**STOPS)["ReportRule"])["message"]
    for part in [f"2 models were stopped: {SHELF_AUDIT}", WELD_SEAMS]:
        check(part in said, f"the mail lacks {part}: {said}")
    (line,) = run_lines(session)[session.lines_before:]
    check_fields(line, {"level": "INFO", "stopped": 2, "kept": 1, "failed": 0}, "run line")
    record = metrics(session)[-1]
    # What the alarm on silence counts: successful runs, and no dry ones.
    check_fields(
        record, {"FunctionName": STACK, "ModelsStopped": 2, "RunsSucceeded": 1}, "metrics"
    )
    directive = record["_aws"]["CloudWatchMetrics"][0]
    check_fields(
        directive, {"Namespace": "RekognitionStopper", "Dimensions": [["FunctionName"]]}, "metrics"
    )
    counted = ["RunsSucceeded" in it for it in metrics(session)]
    check_equal(counted, [False, True], "whether the dry run and the real one count")


def a_run_that_fails_is_made_three_times_and_mailed(session):
    deny_the_stop(session.rekognition)
    before = len(run_lines(session))
    event = (ROOT / "events/schedule-scheduler.json").read_bytes()
    session.aws.client("lambda").invoke(FunctionName=STACK, InvocationType="Event", Payload=event)
    mail = next_mail(session, mails(**STOPS)["FailureRule"])
    check_equal(mail["condition"], "RetriesExhausted", "why Lambda gave up")
    begins = f"1 of 3 models was not stopped: {SHELF_AUDIT} (AccessDeniedException: "
    check(mail["error"].startswith(begins), f"the mail does not name the model: {mail['error']}")
    lines = run_lines(session)[before:]
    check_equal([(it["level"], it["failed"]) for it in lines], [("ERROR", 1)] * 3, "run lines")
    failed = [it for it in session.aws.log_lines(LOG_GROUP) if it.get("outcome") == "failed"]
    # What the table of the dashboard and the saved query read.
    check_fields(failed[0], {
        "message": "model", "model_arn": SHELF_AUDIT, "code": "AccessDeniedException",
        "status": "RUNNING",
    }, "line of the model that failed")
    check_equal(session.rekognition.status(WELD_SEAMS), "STOPPED", "the model beside it")
    session.failure_mail = mail[0]


def every_command_that_it_gives_works_with_aws_cli_2(session):
    session.rekognition.start()
    said = run_commands(session, session.failure_mail)
    for word, wanted in [
        ("dry_run", "would_stop"),
        ("filter-pattern ERROR", "AccessDeniedException"),
        ("get-schedule", '"ScheduleExpression"'),
        ("list-subscriptions-by-topic", '"Subscriptions"'),
        ("Event", '"StatusCode": 202'),
    ]:
        printed = [it for command, it in said.items() if word in command]
        check(printed and all(wanted in it for it in printed), f"{word}: {wanted} in {printed}")
    # An alarm's message is an object, with its name.
    next_mail(session, "<alarm>", f"{STACK}-undelivered")
    return f"{len(said)} commands"


def sam_delete_leaves_nothing_behind(session):
    sam_delete(session)


def deny_the_stop(rekognition):
    """All models run again, of which one cannot be stopped."""
    rekognition.start("--deny", f"rekognition:StopProjectVersion@{SHELF_AUDIT}")
