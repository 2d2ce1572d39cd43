"""The local AWS: ministack, and what it leaves out.

- It runs the real `bootstrap`, but drops what that prints. Here it goes to the log group.
- It does not hand a function the variables by which Lambda tells it of its `LoggingConfig`, nor the
  ARN that it is invoked by.
- A function that a stack has changed has lost its destinations.
- It gives a function its event again and again until it ends the process.
- It does not say of a stack whether it is protected, without which `sam delete` fails.
- It has no saved queries of CloudWatch Logs: a stack's are there in name alone.
- What `local_events.py` and `local_organization.py` say.

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
        super().__init__(
            command, stdout=this_invocation.output, stderr=subprocess.STDOUT, **options
        )

    def communicate(self, input=None, timeout=None):
        self.wait(timeout)
        return b"", b""


class OneEvent(http.server.BaseHTTPRequestHandler):
    """The runtime's API for one invocation: the header that tells the function its ARN, and one
    event. ministack derives a class from it in the thread of the invocation."""

    def __init_subclass__(cls):
        cls.arn = this_invocation.arn
        cls.given = threading.Event()

    def send_header(self, name, value):
        super().send_header(name, value)
        if name == "Lambda-Runtime-Aws-Request-Id":
            if self.given.is_set():
                raise ConnectionAbortedError("there is no further event")
            self.given.set()
            super().send_header("Lambda-Runtime-Invoked-Function-Arn", self.arn)


def keep_the_output(execute):
    """`execute`, with the function's output as the `log` of the result, which ministack writes to
    the log group."""

    def execute_and_keep(function, event):
        this_invocation.arn, this_invocation.output = function["config"]["FunctionArn"], None
        result = execute(function, event)
        if this_invocation.output is not None:
            with this_invocation.output as output:
                output.seek(0)
                result["log"] = output.read().decode(errors="replace")
        return result

    return execute_and_keep


def add_the_logging_variables(variables_of):
    """`variables_of`, with the variables of a function's `LoggingConfig`."""

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
    """`describe_stacks`, with the field that CloudFormation has in every response."""

    def describe_with_protection(parameters):
        status, headers, body = describe_stacks(parameters)
        after = b"</DisableRollback>"
        field = b"<EnableTerminationProtection>false</EnableTerminationProtection>"
        return status, headers, body.replace(after, after + field)

    return describe_with_protection


def keep_the_destinations(create):
    """`create` of a stack's function, which is its update as well."""

    def create_and_keep(logical_id, properties, stack):
        earlier = lambda_svc._functions.get(properties["FunctionName"], {})
        settings = {name: it for name, it in earlier.items() if name.startswith("event_invoke")}
        created = create(logical_id, properties, stack)
        lambda_svc._functions[properties["FunctionName"]].update(settings)
        return created

    return create_and_keep


lambda_svc.subprocess = types.SimpleNamespace(**(vars(subprocess) | {"Popen": KeptProcess}))
http.server.BaseHTTPRequestHandler = OneEvent
lambda_svc._execute_function_provided = keep_the_output(lambda_svc._execute_function_provided)
lambda_svc._runtime_env_vars = add_the_logging_variables(lambda_svc._runtime_env_vars)
provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
    "create": lambda logical_id, _, stack: (f"{stack}-{logical_id}", {}), "delete": lambda *_: None,
}
function = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
function["create"] = keep_the_destinations(function["create"])
describe = say_that_stacks_are_not_protected(handlers._describe_stacks)
handlers._ACTION_HANDLERS["DescribeStacks"] = describe
local_events.install()
local_organization.install(app)

app.main()
