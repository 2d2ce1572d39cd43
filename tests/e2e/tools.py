"""Processes, ports, waiting and pages: what every part of the end-to-end test stands on.

Whatever is started here is ended by `Processes.end`, by its process group, in the reverse order.
"""

import functools
import os
import platform
import re
import shlex
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


IN_CI = os.environ.get("CI") == "true"


class Failure(Exception):
    """Something is not as it should be. `log` is the file or the text that explains it."""

    def __init__(self, message, log=None):
        super().__init__(message)
        self.log = log

    def explanation(self, lines=60):
        """The end of the log, for whoever reads the output."""
        text = self.log.read_text(errors="replace") if isinstance(self.log, Path) else self.log
        return "\n".join((text or "").rstrip().splitlines()[-lines:])


class Missing(Exception):
    """Something that has to be installed, started or freed first: one line that says what."""


class Skipped(Exception):
    """A part that cannot run here, and why."""


def environment(**more):
    """The environment of every tool: this one, without what could lead to a real account."""
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


def run(name, *command, env=None, cwd=ROOT, fails=False, timeout=900, merge=True, answers=()):
    """Runs a tool to its end and returns what it printed. `fails`: it has to refuse."""
    log = LOGS / f"{name}.log"
    command = [str(word) for word in command]
    try:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env or environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as missing:
        raise Missing(f"{command[0]} is missing: install it first") from missing
    try:
        output, errors = process.communicate("".join(f"{it}\n" for it in answers), timeout)
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
        """Starts a server with a log, waits until `ready()` is true, and returns its process."""
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
                code = process.returncode
                raise Failure(f"{name} ended with exit code {code} before it was ready", log)
            return ready()

        wait_until(is_ready, f"{name} is not ready", timeout=timeout, log=log)
        return process

    def end(self, process=None):
        """Ends one server, or all."""
        for it in [process] if process else list(reversed(self._running)):
            end_group(it)
            self._running.remove(it)


def wait_until(condition, complaint, timeout, log=None, pause=0.5):
    """Evaluates `condition` again and again until it is true, and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{complaint}, after {timeout} s", log)
        time.sleep(pause)


def install(*packages, wanted):
    """Installs packages of Debian, unless what is wanted of them is there."""
    if shutil.which(wanted):
        return
    if shutil.which("apt-get") is None:
        raise Missing(f"{wanted} is missing: install it first")
    env = environment(DEBIAN_FRONTEND="noninteractive")
    options = ["--quiet", "--yes", "--no-install-recommends"]
    run("apt-get-update", "apt-get", "update", "--quiet", env=env)
    run("apt-get-install", "apt-get", "install", *options, *packages, env=env)


# Written once: what runs beside it would find no program while it is written again.
@functools.cache
def aws_cli_directory():
    """A directory for PATH whose `aws` is AWS CLI 2 with the option for the endpoint, which old
    ones do not read from the environment."""
    directory = WORK / "aws-cli"
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "aws"
    script.write_text(f'#!/bin/sh\nexec {find_aws_cli()} "$@" --endpoint-url "$AWS_ENDPOINT_URL"\n')
    script.chmod(0o755)
    return directory


@functools.cache
def find_aws_cli():
    """AWS CLI 2. The one on PyPI is version 1, which knows other options."""
    places = [*os.environ["PATH"].split(os.pathsep), "/usr/bin"]
    for candidate in filter(None, (shutil.which("aws", path=place) for place in places)):
        version = [candidate, "--version"]
        said = subprocess.run(version, env=environment(), capture_output=True, text=True).stdout
        if said.startswith("aws-cli/2"):
            return candidate
    if not (IN_CI and os.geteuid() == 0):
        missing = "AWS CLI 2 is missing: install it first (Debian: awscli)"
        raise Missing(f"{missing}, or be root with CI=true")
    install("awscli", wanted="/usr/bin/aws")
    return "/usr/bin/aws"


def section(page, heading):
    """The text under a heading of a page, up to the next of its level or above."""
    level = len(heading.split()[0])
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)"
    match = re.search(pattern, page.read_text(), re.DOTALL | re.MULTILINE)
    check(match, f"{page.name} has no section {heading!r}")
    return match[1]


def blocks(text, kind="sh"):
    """The blocks of a page's text that are of a kind."""
    return re.findall(rf"^ *```{kind}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


def commands_of(text):
    """The words of each command of AWS CLI in a text: in a block, or in a line with options."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = [" ".join(it.split()) for it in re.findall(r"`(aws [^`]* --[^`]*)`", prose)]
    for block in [*blocks(text), *inline]:
        pending = ""
        for line in block.replace("\\\n", " ").splitlines():
            pending += f"{line}\n"
            try:
                shlex.split(pending)
            except ValueError:
                continue
            command = re.search(r"^(?:.*\$\()?\s*(aws .*?)(?:\); do)?$", pending.strip(), re.DOTALL)
            pending = ""
            if command:
                words = shlex.split(command[1])
                yield words[: words.index("&&")] if "&&" in words else words


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
