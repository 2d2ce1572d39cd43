"""Processes, ports and waiting: what every part of the end-to-end test stands on.

Whatever is started here is ended by `Processes.end`, by its own process group, in the reverse order.
"""

import functools
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "e2e"
LOGS = WORK / "logs"
VENV_BIN = WORK / "venv" / "bin"

ACCOUNT = "123456789012"
REGION = "us-east-1"
# This machine's, so that the function can run here.
ARCHITECTURE = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


class Failure(Exception):
    """Something is not as it should be. `log` is the file or the text that explains it."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log

    def explanation(self, lines=60):
        """The end of the log, for the one who reads the output."""
        if self.log is None:
            return ""
        text = self.log.read_text(errors="replace") if isinstance(self.log, Path) else str(self.log)
        return "\n".join(text.rstrip().splitlines()[-lines:])


class Missing(Exception):
    """Something that has to be installed, started or freed first: one line that says what."""


class Skipped(Exception):
    """A part that cannot run here, and why."""


def environment(**more):
    """The environment of every tool: this one, less whatever could lead to a real account of AWS."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clean.update(
        PATH=f"{VENV_BIN}{os.pathsep}{os.environ['PATH']}",
        # The local AWS takes a key of twelve digits for the account.
        AWS_ACCESS_KEY_ID=ACCOUNT,
        AWS_SECRET_ACCESS_KEY="local",
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        AWS_PAGER="",
        SAM_CLI_TELEMETRY="0",
        SAM_CLI_CHECK_VERSION="false",
        PYTHONWARNINGS="ignore",
        NO_COLOR="1",
    )
    clean.update(more)
    return clean


def run(name, *command, env=None, cwd=ROOT, fails=False, timeout=900, merge=True):
    """Runs a tool to its end and returns what it printed. `fails` turns the expectation around: it has to refuse."""
    log = LOGS / f"{name}.log"
    LOGS.mkdir(parents=True, exist_ok=True)
    command = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise Missing(f"{command[0]} is missing: install it first") from missing
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{name}: no end after {timeout} s", f"{late.output or ''}") from late
    finally:
        end_group(process)
    log.write_text(f"$ {' '.join(command)}\n{output}{errors or ''}")
    if fails and process.returncode == 0:
        raise Failure(f"{name} succeeded, and should have been refused", log)
    if not fails and process.returncode != 0:
        raise Failure(f"{name} failed with exit code {process.returncode}", log)
    return output


def run_for_json(name, *command, **options):
    """Runs a tool that answers in JSON, which is the last line that is an object, or the whole output."""
    output = run(name, *command, merge=False, **options)
    for text in [output, *reversed(output.splitlines())]:
        try:
            return json.loads(text)
        except ValueError:
            continue
    raise Failure(f"{name}: the answer is no JSON", LOGS / f"{name}.log")


def end_group(process):
    """Ends a process and all that it started, and waits for it."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ending)
        except ProcessLookupError:
            pass
        try:
            process.wait(timeout=10)
            return
        except subprocess.TimeoutExpired:
            continue


class Processes:
    """The servers of a part of the test."""

    def __init__(self):
        self._running = []

    def start(self, name, *command, env=None, ready, timeout=60):
        """Starts a server, waits until `ready()` is true, and returns its process. Its output is in its log."""
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{name}.log"
        with log.open("w") as output:
            try:
                process = subprocess.Popen(
                    [str(word) for word in command],
                    cwd=ROOT,
                    env=env or environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError as missing:
                raise Missing(f"{command[0]} is missing: install it first") from missing
        self._running.append(process)

        def is_ready():
            if process.poll() is not None:
                raise Failure(f"{name} ended with exit code {process.returncode} before it was ready", log)
            return ready()

        wait_until(is_ready, f"{name} is not ready", timeout=timeout, log=log)
        return process

    def end(self, process=None):
        """Ends one server, or all."""
        for it in [process] if process else list(reversed(self._running)):
            end_group(it)
            self._running.remove(it)


def wait_until(condition, complaint, timeout, log=None, pause=0.5):
    """Asks `condition` again and again until it says something, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"{complaint}, after {timeout} s", log)
        time.sleep(pause)


IN_CI = os.environ.get("CI") == "true"


def install(*packages, wanted):
    """Installs packages of Debian, unless what is wanted of them is there."""
    if shutil.which(wanted):
        return
    if shutil.which("apt-get") is None:
        raise Missing(f"{wanted} is missing: install it first")
    quiet = environment(DEBIAN_FRONTEND="noninteractive")
    run("apt-get-update", "apt-get", "update", "--quiet", env=quiet)
    run("apt-get-install", "apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *packages, env=quiet)


# Written once: what runs beside it would find no program while it is written again.
@functools.cache
def aws_cli_directory():
    """A directory for PATH whose `aws` is AWS CLI 2, as it is, but for the endpoint, which old ones do not read."""
    directory = WORK / "aws-cli"
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "aws"
    script.write_text(f'#!/bin/sh\nexec {find_aws_cli()} "$@" --endpoint-url "$AWS_ENDPOINT_URL"\n')
    script.chmod(0o755)
    return directory


def find_aws_cli():
    """AWS CLI 2. The one on PyPI is version 1, which knows other options."""
    places = [*os.environ["PATH"].split(os.pathsep), "/usr/bin"]
    for candidate in filter(None, (shutil.which("aws", path=place) for place in places)):
        version = subprocess.run([candidate, "--version"], env=environment(), capture_output=True, text=True, check=False)
        if version.stdout.startswith("aws-cli/2"):
            return candidate
    if not (IN_CI and os.geteuid() == 0):
        raise Missing("AWS CLI 2 is missing: install it first (Debian: awscli), or be root with CI=true")
    install("awscli", wanted="/usr/bin/aws")
    return "/usr/bin/aws"


def free_port():
    """A free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port, host="127.0.0.1"):
    """Whether anything listens on a port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def check(condition, message, log=None):
    """Fails with `message` unless `condition`."""
    if not condition:
        raise Failure(message, log)


def check_equal(found, right, what):
    """Fails with both values unless they are equal."""
    check(found == right, f"{what}: found {found!r}, should be {right!r}")
