"""The local AWS: ministack, and what it leaves out of the life of a function.

ministack runs the real `bootstrap`, but it drops what that prints and does not hand it the variables of `LoggingConfig`.
Here both are put in: the output goes to the function's log group. The rest is ministack as it comes.
"""

import subprocess
import tempfile
import threading
import types

from ministack import app
from ministack.services import lambda_svc

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


lambda_svc.subprocess = types.SimpleNamespace(**(vars(subprocess) | {"Popen": KeptProcess}))
lambda_svc._execute_function_provided = keep_the_output(lambda_svc._execute_function_provided)
lambda_svc._runtime_env_vars = add_the_logging_variables(lambda_svc._runtime_env_vars)

app.main()
