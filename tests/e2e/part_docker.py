"""`sam local invoke` in the base image of Lambda, on a Docker engine.

Where no registry gives the image, a Debian system takes its place, under the very name; SAM adds
its own runtime to either. The function in the container finds the Rekognition of this machine's
loopback through `Accounts`, which listens on the gateway of a network that leads nowhere else.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import release
from services import (
    MODEL_ARNS, SHELF_AUDIT, SHELF_AUDIT_KEPT, WELD_SEAMS, Accounts, Rekognition,
)
from stack import write_copy
from tools import (
    ARCHITECTURE, IN_CI, LOGS, ROOT, WORK, Missing, Skipped, check_equal, environment, install, run,
)

IMAGE = f"public.ecr.aws/lambda/provided:al2023-{ARCHITECTURE}"
# What SAM makes of it.
RAPID_IMAGE = f"public.ecr.aws/lambda/provided:al2023-rapid-{ARCHITECTURE}"
STAND_IN = WORK / "stand-in.tar"
NETWORK = "rekognition-stopper-e2e"
PARAMETERS = {"ModelArns": ",".join(MODEL_ARNS), "AlarmEmail": "none", "DryRun": "false"}
# Of the sample events, each of which the function's own tests read: outcomes by model.
EVENTS = {
    "dry-run.json": {SHELF_AUDIT: "would_stop", SHELF_AUDIT_KEPT: "kept"},
    "schedule-scheduler.json": {
        SHELF_AUDIT: "stopped", SHELF_AUDIT_KEPT: "kept", WELD_SEAMS: "stopped",
    },
}


def a_docker_engine_runs(session):
    session.docker = environment()
    if engine_runs(session.docker):
        return "the one of this machine"
    if not IN_CI:
        start = "start one, or set CI=true to have one installed and started"
        raise Skipped(f"no Docker engine runs here: {start}")
    if os.geteuid() != 0:
        raise Missing("no Docker engine runs here: start one, or be root so that one is installed")
    install("docker.io", "iptables", "ca-certificates", wanted="dockerd")
    # A path for its socket that is short enough for the kernel.
    home = Path(tempfile.mkdtemp(prefix="e2e-docker-"))
    session.cleanup.callback(shutil.rmtree, home, ignore_errors=True)
    socket = f"unix://{home}/socket"
    session.docker = environment(DOCKER_HOST=socket)
    # Its bridge outlives an engine.
    if not Path("/sys/class/net/docker0").exists() and shutil.which("ip"):
        bridge = ["ip", "link", "delete", "docker0"]
        session.cleanup.callback(subprocess.run, bridge, capture_output=True, check=False)
    # What comes in last is undone first: the network, the engine, its bridge, its directory.
    session.cleanup.callback(session.processes.end)
    session.processes.start(
        "dockerd",
        "dockerd", "--host", socket, "--data-root", home / "data", "--exec-root", home / "exec",
        "--pidfile", home / "pid",
        ready=lambda: engine_runs(session.docker),
    )
    return "started for this test"


def the_base_image_is_there(session):
    if docker(session.docker, "image", "inspect", IMAGE):
        return "it was there already"
    if docker(session.docker, "pull", "--quiet", IMAGE):
        return "from its registry"
    if not STAND_IN.exists():
        if os.geteuid() != 0:
            no_image = f"no registry gives the image {IMAGE}: pull it first, or be root"
            raise Missing(no_image) if IN_CI else Skipped(no_image)
        install("debootstrap", wanted="debootstrap")
        with tempfile.TemporaryDirectory(prefix="e2e-debian-") as system:
            run("debootstrap", "debootstrap", "--variant=minbase", "bookworm", system)
            part = STAND_IN.with_suffix(".part")
            run("stand-in", "tar", "--create", "--file", part, "--directory", system, ".")
            part.rename(STAND_IN)
    run("docker-import", "docker", "import", STAND_IN, IMAGE, env=session.docker)
    # It must not be taken for the image.
    session.cleanup.callback(
        docker, session.docker, "image", "rm", "--force", IMAGE, RAPID_IMAGE
    )
    return "a Debian system: no registry gives it here"


def the_rekognition_is_reached_from_a_container(session):
    session.rekognition = Rekognition(session.processes, session.part)
    session.rekognition.start()
    remove_network(session.docker)
    create = ["network", "create", "--internal", NETWORK]
    run("docker-network", "docker", *create, env=session.docker)
    session.cleanup.callback(remove_network, session.docker)
    inspect = ["docker", "network", "inspect", NETWORK]
    (network,) = json.loads(run("docker-network-inspect", *inspect, env=session.docker))
    relay = Accounts([session.rekognition], host=network["IPAM"]["Config"][0]["Gateway"])
    session.cleanup.callback(relay.end)
    session.url = relay.url


def sam_local_invoke_takes_events(session):
    copy = write_copy(
        release.BUILD / "template.yaml", release.BUILD / "local.yaml",
        lambda it: point_at(it, session.url),
    )
    overrides = [f"{name}='{value}'" for name, value in PARAMETERS.items()]
    for event, wanted in EVENTS.items():
        session.rekognition.start()
        said = run(
            f"sam-local-invoke-{event}",
            "sam", "local", "invoke", "--template-file", copy, "--event", ROOT / "events" / event,
            "--skip-pull-image", "--docker-network", NETWORK, "--parameter-overrides", *overrides,
            env=session.docker, merge=False,
        )
        outcomes = {it["model_arn"]: it["outcome"] for it in json.loads(said)["models"]}
        check_equal(outcomes, wanted, event)


def point_at(template, url):
    """SAM hands a function only the variables of its template, so this one is written there."""
    variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    variables |= {"AWS_ENDPOINT_URL_REKOGNITION": url, "AWS_ENDPOINT_URL_CLOUDTRAIL": url}


def docker(docker_env, *words):
    """Whether a command of Docker succeeds."""
    with (LOGS / "docker.log").open("a") as log:
        try:
            return subprocess.run(
                ["docker", *words], env=docker_env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, timeout=120,
            ).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def remove_network(docker_env):
    """Removes the network, and the containers on it that an interrupted `sam local invoke` left."""
    listed = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"network={NETWORK}"],
        env=docker_env, capture_output=True, text=True, check=False,
    )
    for container in listed.stdout.split():
        docker(docker_env, "rm", "--force", container)
    docker(docker_env, "network", "rm", NETWORK)


def engine_runs(env):
    """Whether there is a Docker engine to talk to."""
    if shutil.which("docker", path=env["PATH"]) is None:
        return False
    return subprocess.run(["docker", "version"], env=env, capture_output=True).returncode == 0
