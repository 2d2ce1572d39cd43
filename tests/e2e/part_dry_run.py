"""The first nights of a new stack: it emails what it would stop, and stops nothing before DryRun is false.

What of this the local AWS does not carry is said in `part_deploy.py`.
"""

import part_deploy
from part_deploy import HERE, LOG_GROUP, NEVER, STACK, next_mail, outputs, run_lines, sam_deploy, subscribe
from services import MODEL_ARNS, MODELS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, LocalAws, Rekognition
from tools import check, check_equal, wait_until

MISSPELT = SHELF_AUDIT.replace("shelf-audit", "shelf-adit").rsplit("/", 2)[0] + "/*/*"
PARAMETERS = {
    "ModelArns": ",".join([*MODEL_ARNS, MISSPELT]),
    "AlarmEmail": "none",
    "InferenceUnitHourPrice": "4.00",
    "ScheduleExpression": NEVER,
}


def sam_build_makes_the_function(session):
    part_deploy.sam_build()


def sam_deploy_creates_a_stack_that_only_looks(session):
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    session.aws = LocalAws(session.processes, session.part, session.rekognition)
    sam_deploy(session, "sam-deploy-dry-run", PARAMETERS)
    alarms = {it["AlarmName"] for it in session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    check_equal(alarms, {f"{STACK}-undelivered"}, "alarms")
    session.mailbox = subscribe(session.aws, outputs(session)["TopicArn"])


def a_run_stops_nothing_and_mails_what_it_would_stop(session):
    session.aws.shell("dry-run", outputs(session)["RunCommand"])
    check_equal(
        next_mail(session, "dry run", "the dry run is not emailed"),
        f"{HERE}: This was a dry run; nothing was stopped. 2 models would be stopped: {SHELF_AUDIT}; {WELD_SEAMS}. That is "
        f"3 inference units, or 12.00 an hour. 1 model was kept running: {SHELF_AUDIT_KEPT} (tag keep-running=true). "
        f"1 pattern matches no model: {MISSPELT}. "
        "If this is right, deploy with DryRun=false.",
        "the mail",
    )
    for model, state in MODELS.items():
        check(session.rekognition.status(model) != "STOPPED", f"{model} was {state}, and is stopped")


def the_log_has_what_the_tables_of_the_dashboard_read(session):
    # Only the real AWS computes their queries; these are the fields that the queries name.
    lines = session.aws.log_lines(LOG_GROUP)
    unmatched = [it["pattern"] for it in lines if it.get("message") == "the pattern matches no model version"]
    check_equal(unmatched, [MISSPELT], "patterns that match no model")
    kept = [it for it in lines if it.get("message") == "model" and it["outcome"] == "kept"]
    check_equal({(it["model_arn"], it["reason"]) for it in kept}, {(SHELF_AUDIT_KEPT, "tag keep-running=true")}, "kept models")


def the_first_run_without_it_stops_them(session):
    before = len(run_lines(session))
    sam_deploy(session, "sam-deploy-stops", PARAMETERS, DryRun="false")
    alarms = {it["AlarmName"] for it in session.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    check_equal(alarms, {f"{STACK}-silence", f"{STACK}-undelivered"}, "alarms")
    session.aws.shell("first-run", outputs(session)["RunCommand"])
    line = wait_until(lambda: run_lines(session)[before:], "no run in the log", timeout=60, log=session.aws.log)[0]
    check_equal((line["stopped"], line["kept"], line["would_stop"]), (2, 1, 0), "models stopped, kept, not stopped")
    check_equal(session.rekognition.status(SHELF_AUDIT), "STOPPED", "the model")
    # What the alarm on silence counts: successful runs, and no dry ones.
    good_runs = [it.get("RunsSucceeded") for it in session.aws.log_lines(LOG_GROUP) if "_aws" in it]
    check_equal(good_runs, [None, 1], "RunsSucceeded of a dry run and a real one")


STEPS = [
    sam_build_makes_the_function,
    sam_deploy_creates_a_stack_that_only_looks,
    a_run_stops_nothing_and_mails_what_it_would_stop,
    the_log_has_what_the_tables_of_the_dashboard_read,
    the_first_run_without_it_stops_them,
]
