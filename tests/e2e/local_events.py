"""What ministack leaves out on the way from a schedule to a run, and from a run to an email.

- A schedule that is due fires within a second, and one that has been changed fires again. A stack
  changes its schedule.
- What Scheduler and EventBridge start is an asynchronous invocation, with its retries.
- The result of an asynchronous invocation, good or bad, may go to an event bus. (A bad one may go
  to a topic or a queue as ministack comes.)
- `$parse` is a function of JSONata.
"""

import contextvars
import json
import threading
import time

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, scheduler, stepfunctions
from ministack.services.cloudformation import provisioners

# Lambda waits one minute, then two.
PAUSES = [1, 2]


def rearm(update):
    """`update` of a schedule, after which it fires as a new one does."""

    def update_and_rearm(name, body):
        scheduler._schedule_last_fired.clear()
        return update(name, body)

    return update_and_rearm


def update_with_the_stack(name, _, properties, __):
    """The update of a stack's schedule."""
    scheduler._update_schedule(name, properties)
    return name, {"Arn": scheduler._schedule_arn("default", name)}


def invoke_asynchronously(function, event):
    """Runs a function until it succeeds or its retries are used up, and sends the result to its
    destination."""

    def invoke():
        # Without a qualifier, and with it.
        settings = (
            function.get("event_invoke_config")
            or function.get("event_invoke_configs", {}).get("$LATEST")
            or {}
        )
        retries = settings.get("MaximumRetryAttempts", 2)
        tries, good = 0, False
        while not good and tries <= retries:
            if tries:
                time.sleep(PAUSES[tries - 1])
            result = lambda_svc._execute_function(function, event)
            tries, good = tries + 1, not result.get("error")
        destinations = settings.get("DestinationConfig") or {}
        chosen = destinations.get("OnSuccess" if good else "OnFailure") or {}
        destination = chosen.get("Destination")
        if destination and parse_arn(destination).service != "events":
            name = function["config"]["FunctionName"]
            lambda_svc._route_async_failure(destination, name, event, result)
        elif destination:
            send_result(destination, function, event, result, tries, good)

    threading.Thread(target=contextvars.copy_context().run, args=[invoke], daemon=True).start()


def send_result(bus, function, event, result, tries, good):
    """Sends the record of an invocation, as Lambda writes it."""
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
    """Invokes a function with an event."""
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    record = lambda_svc._execution_record_for_config(function, config)
    lambda_svc.invoke_async_with_retry(record, json.loads(payload))


def install():
    """Puts all of it into ministack."""
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    scheduler._update_schedule = rearm(scheduler._update_schedule)
    provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"]["update"] = update_with_the_stack
    lambda_svc.invoke_async_with_retry = invoke_asynchronously
    eventbridge._dispatch_to_lambda = invoke_function_of_target
    stepfunctions._JSONATA_FUNCS["$parse"] = json.loads
