"""The services that the function and the tools meet: a Rekognition and an AWS, on loopback."""

import functools
import http.client
import http.server
import json
import re
import sys
import threading

import boto3

import tools
from tools import ACCOUNT, REGION, WORK, environment, free_port, listens, run

CALLS = WORK / "calls"

# The access key by which this test looks at the models itself, and not the function.
OBSERVER = "end-to-end-test"

HERE = f"arn:aws:rekognition:{REGION}:{ACCOUNT}:project"
ELSEWHERE = f"arn:aws:rekognition:eu-west-1:{ACCOUNT}:project"
SHELF_AUDIT = f"{HERE}/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000"
SHELF_AUDIT_KEPT = f"{HERE}/shelf-audit/version/shelf-audit.2026-10-20T14.02.11/1792504931000"
BOTTLE_CAPS = f"{HERE}/bottle-caps/version/bottle-caps.2026-09-14T16.40.05/1789404005000"
WELD_SEAMS = f"{ELSEWHERE}/weld-seams/version/weld-seams.2026-08-20T07.01.59/1787209319000"

# The models of events/, and one more that a tag keeps.
MODELS = {
    SHELF_AUDIT: "RUNNING,units=2",
    SHELF_AUDIT_KEPT: "RUNNING,units=1,tag:keep-running=true",
    BOTTLE_CAPS: "RUNNING,units=1",
    WELD_SEAMS: "STARTING,units=1",
}

# What the stacks of the test have to stop: a pattern, and a model of another region.
MODEL_ARNS = [f"{HERE}/shelf-audit/version/*/*", WELD_SEAMS]


@functools.cache
def emulator():
    """The program of the project's emulator, built once."""
    run("build-emulator", "cargo", "build", "--locked", "--package", "rekognition-emulator")
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"]
    target = json.loads(run("cargo-metadata", *command, merge=False))["target_directory"]
    return tools.Path(target) / "debug" / "rekognition-emulator"


class Rekognition:
    """The project's emulator of Rekognition, as a server. Its calls are recorded in `CALLS`."""

    def __init__(self, processes, part, account=ACCOUNT):
        self.processes = processes
        self.part = part
        self.account = account
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.starts = 0
        for earlier in CALLS.glob(f"rekognition-{part}-{account}-*"):
            earlier.unlink()

    def start(self, *options, models=MODELS, start_takes="500ms"):
        """Starts it, or starts it again, with these models and nothing remembered."""
        if self.process:
            self.processes.end(self.process)
        self.starts += 1
        name = f"rekognition-{self.part}-{self.account}-{self.starts}"
        CALLS.mkdir(parents=True, exist_ok=True)
        self.process = self.processes.start(
            name,
            emulator(),
            "--port", self.port,
            "--account", self.account,
            "--start-takes", start_takes,
            "--stop-takes", "1s",
            "--record", CALLS / f"{name}.jsonl",
            *(word for arn, state in models.items() for word in ("--model", f"{arn}={state}")),
            *options,
            ready=lambda: listens(self.port),
        )

    def status(self, model_arn):
        """What Rekognition says of a model."""
        region = model_arn.split(":")[3]
        project, version = model_arn.split("/")[1], model_arn.split("/")[3]
        client = boto3_client("rekognition", self.url, region, OBSERVER)
        projects = client.describe_projects(ProjectNames=[project])["ProjectDescriptions"]
        found = client.describe_project_versions(
            ProjectArn=projects[0]["ProjectArn"], VersionNames=[version]
        )
        return found["ProjectVersionDescriptions"][0]["Status"]


class Accounts(http.server.ThreadingHTTPServer):
    """One address of Rekognition for all accounts: passes each call on to the emulator of the
    account that signed it."""

    daemon_threads = True

    def __init__(self, emulators, host="127.0.0.1"):
        super().__init__((host, 0), AccountsHandler)
        self.ports = {emulator.account: emulator.port for emulator in emulators}
        self.url = f"http://{host}:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        """Stops listening."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Says nothing of a function that has ended and no longer waits for a response."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class AccountsHandler(http.server.BaseHTTPRequestHandler):
    """One connection to `Accounts`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        # The access keys of the local AWS's sessions have their account's number in them. The
        # emulator knows no session of another STS: it is called as its account.
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers["authorization"] = re.sub(r"ASIA(\d{12})\w{4}", r"\1", headers["authorization"])
        headers.pop("x-amz-security-token", None)
        account = re.search(r"Credential=(\d{12})", headers["authorization"])[1]
        body = self.rfile.read(int(self.headers["content-length"]))
        there = http.client.HTTPConnection("127.0.0.1", self.server.ports[account])
        there.request("POST", self.path, body, headers)
        response = there.getresponse()
        content = response.read()
        self.send_response(response.status)
        for name in ("content-type", "x-amzn-requestid", "x-amzn-errortype"):
            if response.headers[name]:
                self.send_header(name, response.headers[name])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        there.close()

    def log_message(self, *_):
        """The emulators keep the record."""


class LocalAws:
    """ministack, with a Rekognition beside it for the functions that it runs."""

    def __init__(self, processes, part, rekognition, **more):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = tools.LOGS / f"local-aws-{part}.log"
        scratch = WORK / "local-aws"
        scratch.mkdir(parents=True, exist_ok=True)
        calls = CALLS / f"aws-{part}.jsonl"
        CALLS.mkdir(parents=True, exist_ok=True)
        calls.write_text("")
        processes.start(
            f"local-aws-{part}",
            sys.executable, "-B", tools.Path(__file__).with_name("local_aws.py"),
            env=environment(
                BIND_HOST="127.0.0.1",
                GATEWAY_PORT=str(self.port),
                # Servers beside the gateway, which would listen on every interface.
                IOT_MTLS_ENABLED="0",
                SFTP_ENABLED="0",
                TMPDIR=str(scratch),
                AWS_ENDPOINT_URL=self.url,
                AWS_ENDPOINT_URL_REKOGNITION=rekognition.url,
                AWS_ENDPOINT_URL_CLOUDTRAIL=rekognition.url,
                CALLS_OF_THE_FUNCTION=str(calls),
                **more,
            ),
            ready=lambda: listens(self.port),
        )

    def environment(self, **more):
        """For tools that shall find this AWS instead of the real one."""
        return environment(AWS_ENDPOINT_URL=self.url, **more)

    def shell(self, name, command, **variables):
        """Runs a command of the shell as an operator does, with AWS CLI 2."""
        return run(name, "sh", "-euc", command, env=self.shell_environment(**variables))

    def shell_environment(self, **variables):
        """The environment of such a command."""
        env = self.environment(**variables)
        env["PATH"] = f"{tools.aws_cli_directory()}:{env['PATH']}"
        return env

    def client(self, service, account=ACCOUNT):
        """A client of one of its services, in an account."""
        return boto3_client(service, self.url, REGION, account)

    def log_lines(self, group):
        """All lines of a log group that are JSON."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        messages = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(message) for message in messages if message.startswith("{")]


def boto3_client(service, url, region, access_key=ACCOUNT):
    """A client that cannot reach anything but `url`."""
    return boto3.client(
        service, region_name=region, endpoint_url=url,
        aws_access_key_id=access_key, aws_secret_access_key="local",
    )
