"""The local AWS: ministack, and what it leaves out.

- It runs the real `bootstrap`, but drops what that prints. Here it goes to the function's log group.
- It does not hand a function the variables by which Lambda tells it of its `LoggingConfig`.
- It does not tell a function the ARN that it is invoked by.
- It gives a function its event again and again until it ends the process, and takes the last response.
- It does not say of a stack whether it is protected, without which `sam delete` ends in an exception.
- It has no saved queries of CloudWatch Logs: a stack's are there in name alone.
- What `local_events.py` and `local_organization.py` say of themselves.

The rest is ministack as it comes.
"""

import http.server
import subprocess
import tempfile
import threading
import types

from ministack import app
from ministack.services import lambda_svc
from ministack.services.cloudformation import handlers, provisioners

import local_events
import local_organization

this_invocation = threading.local()


class KeptProcess(subprocess.Popen):
    """A function's process, whose output goes to a file."""

    def __init__(self, command, *, stdout, stderr, **options):
        this_invocation.output = tempfile.TemporaryFile()
        super().__init__(command, stdout=this_invocation.output, stderr=subprocess.STDOUT, **options)

    def communicate(self, input=None, timeout=None):
        self.wait(timeout)
        return b"", b""


def keep_the_output(execute):
    """`execute`, with the function's output as the `log` of the answer, which ministack writes to the log group."""

    def execute_and_keep(function, event):
        this_invocation.output = None
        answer = execute(function, event)
        if this_invocation.output is not None:
            with this_invocation.output as output:
                output.seek(0)
                answer["log"] = output.read().decode(errors="replace")
        return answer

    return execute_and_keep


def send_the_arn(execute):
    """`execute`, with the header that tells the function its ARN, and one event. Only one function runs here."""
    handler = http.server.BaseHTTPRequestHandler

    def execute_and_send(function, event):
        arn = function["config"]["FunctionArn"]
        given = threading.Event()

        class HandlerWithArn(handler):
            def send_header(self, name, value):
                super().send_header(name, value)
                if name == "Lambda-Runtime-Aws-Request-Id":
                    if given.is_set():
                        raise ConnectionAbortedError("there is no further event")
                    given.set()
                    super().send_header("Lambda-Runtime-Invoked-Function-Arn", arn)

        http.server.BaseHTTPRequestHandler = HandlerWithArn
        return execute(function, event)

    return execute_and_send


def add_the_logging_variables(variables_of):
    """`variables_of`, with the variables by which Lambda tells a function its `LoggingConfig`."""

    def variables_and_logging(config):
        logging = config.get("LoggingConfig") or {}
        names = {
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat"),
            "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup"),
        }
        return variables_of(config) | {name: value for name, value in names.items() if value}

    return variables_and_logging


def say_that_stacks_are_not_protected(describe_stacks):
    """`describe_stacks`, with the field that CloudFormation has in every answer."""

    def describe_with_protection(parameters):
        status, headers, body = describe_stacks(parameters)
        after = b"</DisableRollback>"
        return status, headers, body.replace(after, after + b"<EnableTerminationProtection>false</EnableTerminationProtection>")

    return describe_with_protection


lambda_svc.subprocess = types.SimpleNamespace(**(vars(subprocess) | {"Popen": KeptProcess}))
lambda_svc._execute_function_provided = send_the_arn(keep_the_output(lambda_svc._execute_function_provided))
lambda_svc._runtime_env_vars = add_the_logging_variables(lambda_svc._runtime_env_vars)
provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
    "create": lambda logical_id, _, stack: (f"{stack}-{logical_id}", {}), "delete": lambda *_: None,
}
handlers._ACTION_HANDLERS["DescribeStacks"] = say_that_stacks_are_not_protected(handlers._describe_stacks)
local_events.install()
local_organization.install(app)

app.main()
