"""The project in the hands of its operator's tools: SAM, cargo-lambda and CloudFormation's template.

Nothing here reaches further than this machine: the AWS is ministack, the Rekognition is tests/emulator.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import time

import tools
from tools import LOGS, WORK, Failure, Missing, Processes, Skipped, environment

import part_aws
import part_binary
import part_bundle
import part_cargo_lambda
import part_deploy
import part_docker
import part_dry_run
import part_machine
import part_organization
import part_permissions
import part_template
import part_wire
import release

PARTS = {
    "template": (part_template, "the templates and the workflows: linters, parameters, mails, alarms, permissions"),
    "deploy": (part_deploy, "sam build, sam deploy into the local AWS, a scheduled run, a failing run, update, removal"),
    "dry-run": (part_dry_run, "a stack that only looks, its mail, and the first run that stops"),
    "organization": (part_organization, "both templates in an organization of six accounts, and a night of it"),
    "machine": (part_machine, "an organization swept by the state machine: plan, retries, a failed run, a second execution"),
    "docker": (part_docker, "sam local invoke with every event, on a Docker engine"),
    "cargo-lambda": (part_cargo_lambda, "cargo lambda watch, invoke and deploy, as docs/deploying.md shows them"),
    "bundle": (part_bundle, "release/build in two folders, and its bundle deployed and run where there is no Rust"),
    "aws": (part_aws, "the bundle by CloudFormation, Terraform, the CDK, and tests/aws/run with Ctrl-C at each of its steps"),
    "binary": (part_binary, "the binaries for both processors: which glibc they need"),
    "wire": (part_wire, "the emulator's wire, held against botocore's models of the services"),
    "permissions": (part_permissions, "every call that was made is allowed, and every allowed action was made"),
}


class Session:
    """What the steps of one part share: their servers, and whatever one step leaves for the next."""

    def __init__(self, part, cleanup, release_build):
        self.part = part
        # The build that runs beside all parts.
        self.release = release_build
        self.processes = Processes()
        # Called with the session at its end, whatever happened: the last that came in first.
        self.cleanup = cleanup
        cleanup.callback(self.processes.end)


def main():
    parser = argparse.ArgumentParser(
        prog="tests/e2e/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="parts:\n" + "\n".join(f"  {name:13} {what}" for name, (_, what) in PARTS.items())
        + f"\n\nlogs: {LOGS.relative_to(tools.ROOT)}",
    )
    parser.add_argument("--only", metavar="PART,...", help="run these parts alone")
    chosen = parser.parse_args().only
    names = chosen.split(",") if chosen else list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")

    # boto3 reads the environment of this process.
    clean = environment()
    os.environ.clear()
    os.environ.update(clean)
    # Also where the shell that began this has them ignored: an end from outside is an end with a clean-up.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(f"ended by {signal.Signals(number).name}"))
    if not chosen:
        shutil.rmtree(WORK / "calls", ignore_errors=True)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)

    started = time.monotonic()
    with contextlib.ExitStack() as cleanup:
        background = Processes()
        cleanup.callback(background.end)
        try:
            release_build = release.begin(background) if {"binary", "bundle"} & set(names) else None
        except (Missing, Failure) as reason:
            sys.exit(f"tests/e2e/run: {reason}")
        outcomes = {name: run_part(name, release_build) for name in names}
    print(f"\nafter {time.monotonic() - started:.0f} s:")
    for name, outcome in outcomes.items():
        print(f"  {name:13} {outcome}")
    sys.exit(any(outcome == "failed" for outcome in outcomes.values()))


def run_part(name, release_build):
    """Runs the steps of a part until one fails; each builds on those before it."""
    module, what = PARTS[name]
    print(f"\n{name}: {what}", flush=True)
    with contextlib.ExitStack() as cleanup:
        session = Session(name, cleanup, release_build)
        for step in module.STEPS:
            sentence = step.__name__.replace("_", " ")
            started = time.monotonic()
            try:
                note = step(session)
            except Skipped as reason:
                print(f"  skipped: {reason}", flush=True)
                return "skipped"
            except Missing as missing:
                print(f"  FAILED  {sentence}\n          {missing}", flush=True)
                return "failed"
            except Failure as failure:
                print(f"  FAILED  {sentence}\n          {failure}", flush=True)
                print(indented(failure.explanation()), flush=True)
                return "failed"
            print(f"  {time.monotonic() - started:5.1f} s {sentence}{f' ({note})' if note else ''}", flush=True)
    return "passed"


def indented(text):
    """A log, set apart from what this program says itself."""
    return "\n".join(f"          | {line}" for line in text.splitlines())


if __name__ == "__main__":
    main()
