"""What ministack leaves out on the way from a schedule to a run, and from a run to an email.

- What Scheduler and EventBridge start is an asynchronous invocation, with its retries.
- The result of an asynchronous invocation, good or bad, may go to an event bus. (A bad one may go to a topic or a queue
  as ministack comes.)
- What a schedule or a rule cannot deliver ends in the dead-letter queue of its target. The real services
  try for the time of the target's retry policy before; here once is enough.
- The end of an execution of Step Functions is an event.
- The cause of a Fail state may be an expression of JSONata, and `$parse` a function of it.
"""

import contextvars
import json
import threading
import time

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, sns, sqs, stepfunctions

# Lambda waits one minute, then two.
PAUSES = [1, 2]


def invoke_asynchronously(function, event):
    """Runs a function until it succeeds or its retries are used up, and sends the result to its destination."""

    def invoke():
        # Without a qualifier, and with it.
        settings = function.get("event_invoke_config") or function.get("event_invoke_configs", {}).get("$LATEST") or {}
        retries = settings.get("MaximumRetryAttempts", 2)
        tries, good = 0, False
        while not good and tries <= retries:
            if tries:
                time.sleep(PAUSES[tries - 1])
            result = lambda_svc._execute_function(function, event)
            tries, good = tries + 1, not result.get("error")
        destinations = settings.get("DestinationConfig") or {}
        destination = (destinations.get("OnSuccess" if good else "OnFailure") or {}).get("Destination")
        if destination and parse_arn(destination).service != "events":
            lambda_svc._route_async_failure(destination, function["config"]["FunctionName"], event, result)
        elif destination:
            send_result(destination, function, event, result, tries, good)

    threading.Thread(target=contextvars.copy_context().run, args=[invoke], daemon=True).start()


def send_result(bus, function, event, result, tries, good):
    """The record of an invocation, as Lambda writes it."""
    arn = function["config"]["FunctionArn"] + ":$LATEST"
    body = result.get("body")
    detail = {
        "version": "1.0",
        "requestContext": {
            "functionArn": arn,
            "condition": "Success" if good else "RetriesExhausted",
            "approximateInvokeCount": tries,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": json.loads(body) if isinstance(body, (str, bytes)) else body,
    }
    if not good:
        detail["responseContext"]["functionError"] = "Unhandled"
    eventbridge._put_events({"Entries": [{
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {'Success' if good else 'Failure'}",
        "Resources": [bus, arn],
        "Detail": json.dumps(detail),
        "EventBusName": bus.rsplit("/", 1)[-1],
    }]})


def invoke_function_of_target(arn, payload):
    """An event for a function, which is there: `deliver` has looked."""
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), json.loads(payload))


def target_exists(arn):
    """Whether there is anything to deliver to."""
    service = parse_arn(arn).service
    if service == "lambda":
        return lambda_svc._get_func_record_for_ref(arn)[0] is not None
    if service == "sns":
        return arn in sns._topics
    return True


def deliver_or_keep(invoke_target):
    """`invoke_target`, with dead-letter queues."""

    def deliver(target, event, sender, view=None):
        arn = target["Arn"]
        if target_exists(arn):
            return invoke_target(target, event, sender, view)
        payload = json.dumps((view or eventbridge._pattern_event_view(event)).event_with_detail())
        queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue_arn:
            eventbridge._dispatch_to_sqs(parse_arn(queue_arn), payload)
            kind = "RULE_ARN" if ":rule/" in sender["Arn"] else "SCHEDULE_ARN"
            attributes = {kind: sender["Arn"], "TARGET_ARN": arn, "ERROR_MESSAGE": f"there is no {arn}"}
            sqs._queue_by_arn(queue_arn)["messages"][-1]["message_attributes"] = {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            }

    return deliver


def compute_the_cause(fail):
    """`fail`, with a cause that is computed from the input of the state."""

    def fail_with_cause(execution, error, cause):
        entered = execution["events"][-1].get("stateEnteredEventDetails")
        if entered:
            cause = stepfunctions._apply_jsonata_template(cause, json.loads(entered["input"]), {})
        fail(execution, error, cause)

    return fail_with_cause


def report_the_end(end):
    """`end`, after which the execution has ended, and an event of that."""

    def end_and_report(request):
        # The ARN of an execution that runs to its end, or the request that stops one.
        stopped = isinstance(request, dict)
        answer = end(request)
        execution = stepfunctions._executions[request["executionArn"] if stopped else request]
        if stopped or execution["status"] != "ABORTED":
            fields = ["executionArn", "stateMachineArn", "name", "status", "input", "error", "cause"]
            detail = {name: execution.get(name) for name in fields}
            eventbridge._put_events({"Entries": [{
                "Source": "aws.states",
                "DetailType": "Step Functions Execution Status Change",
                "Resources": [execution["executionArn"]],
                "Detail": json.dumps(detail),
            }]})
        return answer

    return end_and_report


def install():
    """Puts all of it into ministack."""
    lambda_svc.invoke_async_with_retry = invoke_asynchronously
    eventbridge._dispatch_to_lambda = invoke_function_of_target
    eventbridge._invoke_target = deliver_or_keep(eventbridge._invoke_target)
    stepfunctions._JSONATA_FUNCS["$parse"] = json.loads
    stepfunctions._fail_execution = compute_the_cause(stepfunctions._fail_execution)
    stepfunctions._run_execution = report_the_end(stepfunctions._run_execution)
    stepfunctions._stop_execution = report_the_end(stepfunctions._stop_execution)
