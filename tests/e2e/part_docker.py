"""`sam local invoke` with every file of events/, in the base image of Lambda, on a Docker engine.

Where no registry gives the image, a Debian system stands in for it, under the very name; SAM adds its own runtime to either.
The function in the container finds the Rekognition of this machine's loopback through a relay, which listens on the
gateway of a network that leads nowhere else.
"""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from part_deploy import BUILD, PARAMETERS, sam_build
from services import BOTTLE_CAPS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, Rekognition
from stack import write_copy
from tools import (
    ARCHITECTURE, IN_CI, LOGS, ROOT, WORK, Failure, Missing, Skipped, check_equal, environment, install, run, run_for_json,
)

IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
# What SAM makes of it.
RAPID_IMAGE = f"public.ecr.aws/lambda/provided:al2023-rapid-{ARCHITECTURE}"
STAND_IN = WORK / "stand-in.tar"
NETWORK = "rekognition-stopper-e2e"

# What each event has to do, on models that all run: outcomes by model.
ALL = {SHELF_AUDIT: "stopped", SHELF_AUDIT_KEPT: "kept", WELD_SEAMS: "stopped"}
OUTCOMES = {
    "alarm-action.json": ALL,
    "budget-alert-sns.json": ALL,
    "dry-run.json": {SHELF_AUDIT: "would_stop", SHELF_AUDIT_KEPT: "kept"},
    "model-arns.json": {SHELF_AUDIT: "stopped", WELD_SEAMS: "stopped"},
    "put-events.json": {BOTTLE_CAPS: "stopped"},
    "schedule-rule.json": ALL,
    "schedule-scheduler.json": ALL,
}


def a_docker_engine_runs(session):
    session.docker = environment()
    if engine_answers(session.docker):
        return "the one of this machine"
    if not IN_CI:
        raise Skipped("no Docker engine runs here: start one, or set CI=true to have one installed and started")
    if os.geteuid() != 0:
        raise Missing("no Docker engine runs here: start one, or be root so that it can be installed and started")
    install("docker.io", "iptables", "ca-certificates", wanted="dockerd")
    # A path for its socket that is short enough for the kernel.
    home = Path(tempfile.mkdtemp(prefix="e2e-docker-"))
    session.cleanup.callback(shutil.rmtree, home, ignore_errors=True)
    socket = f"unix://{home}/socket"
    session.docker = environment(DOCKER_HOST=socket)
    # Its bridge outlives an engine.
    if not Path("/sys/class/net/docker0").exists() and shutil.which("ip"):
        session.cleanup.callback(subprocess.run, ["ip", "link", "delete", "docker0"], capture_output=True, check=False)
    # What comes in last is undone first: the network, the engine, its bridge, its directory.
    session.cleanup.callback(session.processes.end)
    session.processes.start(
        "dockerd",
        "dockerd", "--host", socket, "--data-root", home / "data", "--exec-root", home / "exec", "--pidfile", home / "pid",
        ready=lambda: engine_answers(session.docker),
    )
    return "started for this test"


def the_base_image_is_there(session):
    if docker(session, "image", "inspect", IMAGE):
        return "it was there already"
    if docker(session, "pull", "--quiet", IMAGE):
        return "from its registry"
    if not STAND_IN.exists():
        if os.geteuid() != 0:
            no_image = f"no registry gives the image {IMAGE}: pull it first, or be root so that its stand-in can be made"
            raise Missing(no_image) if IN_CI else Skipped(no_image)
        install("debootstrap", wanted="debootstrap")
        with tempfile.TemporaryDirectory(prefix="e2e-debian-") as system:
            run("debootstrap", "debootstrap", "--variant=minbase", "bookworm", system)
            part = STAND_IN.with_suffix(".part")
            run("stand-in", "tar", "--create", "--file", part, "--directory", system, ".")
            part.rename(STAND_IN)
    run("docker-import", "docker", "import", STAND_IN, IMAGE, env=session.docker)
    # The stand-in must not be taken for the image.
    session.cleanup.callback(docker, session, "image", "rm", "--force", IMAGE, RAPID_IMAGE)
    return "a Debian system stands in for it: no registry gives it here"


def sam_build_makes_the_function(session):
    sam_build()


def the_rekognition_starts_and_a_relay_leads_to_it(session):
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    remove_network(session)
    run("docker-network", "docker", "network", "create", "--internal", NETWORK, env=session.docker)
    session.cleanup.callback(remove_network, session)
    network = json.loads(run("docker-network-inspect", "docker", "network", "inspect", NETWORK, env=session.docker))
    gateway = network[0]["IPAM"]["Config"][0]["Gateway"]
    relay = Relay(gateway, session.rekognition.port)
    session.cleanup.callback(relay.end)
    session.url = f"http://{gateway}:{relay.port}"


def sam_local_invoke_takes_every_event(session):
    events = sorted((ROOT / "events").glob("*.json"))
    check_equal([event.name for event in events], sorted(OUTCOMES), "events that are tried here")
    copy = write_copy(BUILD / "template.yaml", BUILD / "local.yaml", lambda it: point_at(it, session.url))
    overrides = [f"{name}='{value}'" for name, value in PARAMETERS.items()]
    for event in events:
        session.rekognition.start()
        report = run_for_json(
            f"sam-local-invoke-{event.stem}",
            "sam", "local", "invoke", "--template-file", copy, "--event", event, "--skip-pull-image",
            "--docker-network", NETWORK, "--parameter-overrides", *overrides,
            env=session.docker,
        )
        check_outcomes(event, report)
    return f"{len(events)} events"


STEPS = [
    a_docker_engine_runs,
    the_base_image_is_there,
    sam_build_makes_the_function,
    the_rekognition_starts_and_a_relay_leads_to_it,
    sam_local_invoke_takes_every_event,
]


def check_outcomes(event, report):
    """The report of an event says of every model what it has to say."""
    outcomes = {it["model_arn"]: it["outcome"] for it in report.get("models", [])}
    if outcomes != OUTCOMES[event.name]:
        raise Failure(f"{event.name}: found {outcomes}, should be {OUTCOMES[event.name]}", json.dumps(report, indent=2))


def point_at(template, url):
    """SAM hands a function only the variables of its template, so this one is written there."""
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    variables |= {"AWS_ENDPOINT_URL_REKOGNITION": url, "AWS_ENDPOINT_URL_CLOUDTRAIL": url}


def docker(session, *words):
    """Whether a command of Docker succeeds."""
    with (LOGS / "docker.log").open("a") as log:
        log.write(f"$ docker {' '.join(words)}\n")
        log.flush()
        try:
            return subprocess.run(
                ["docker", *words], env=session.docker, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=120
            ).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def remove_network(session):
    """Removes the network, and the containers on it that an interrupted `sam local invoke` left."""
    listed = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"network={NETWORK}"],
        env=session.docker, capture_output=True, text=True, check=False,
    )
    for container in listed.stdout.split():
        docker(session, "rm", "--force", container)
    docker(session, "network", "rm", NETWORK)


def engine_answers(env):
    """Whether there is a Docker engine to talk to."""
    if shutil.which("docker", path=env["PATH"]) is None:
        return False
    return subprocess.run(["docker", "version"], env=env, capture_output=True, check=False).returncode == 0


class Relay:
    """Passes connections on to a port of the loopback interface, in a thread of its own."""

    def __init__(self, host, to_port):
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._pass_on, host, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._server.close()

    async def _pass_on(self, reader, writer):
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, back), copy(there, writer))


async def copy(reader, writer):
    """Passes on what comes in until its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
