"""The project in the hands of its operator's tools: SAM, cargo-lambda, CloudFormation and others.

Nothing here reaches further than this machine: the AWS is ministack, the Rekognition is
tests/emulator.
"""

import argparse
import contextlib
import importlib
import inspect
import os
import shutil
import signal
import sys
import time
import traceback

import release
import tools
from tools import LOGS, WORK, Failure, Missing, Processes, Skipped, environment

NAMES = [
    "template", "deploy", "organization", "docker", "cargo-lambda", "bundle", "aws", "binary",
    "wire", "permissions", "release",
]
PARTS = {name: importlib.import_module(f"part_{name.replace('-', '_')}") for name in NAMES}
# What is run with --all, and what needs no function.
ONLY_FOR_A_RELEASE = {"release"}
WITHOUT_FUNCTION = {"template", "wire", "permissions", "release"}


class Session:
    """What the steps of one part share: their servers, and what one step leaves for the next."""

    def __init__(self, part, cleanup, other_build):
        self.part = part
        # The build for the other processor, beside all parts.
        self.other_build = other_build
        self.processes = Processes()
        # Called with the session at its end, whatever happened: the last that came in first.
        self.cleanup = cleanup
        cleanup.callback(self.processes.end)


def main():
    parts = "\n".join(f"  {name:13} {part.__doc__.splitlines()[0]}" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="tests/e2e/run", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"parts:\n{parts}\n\nlogs: {LOGS.relative_to(tools.ROOT)}",
    )
    parser.add_argument("--only", metavar="PART,...", help="run these parts alone")
    parser.add_argument("--all", action="store_true", help="run the part release as well")
    arguments = parser.parse_args()
    names = [it for it in PARTS if arguments.all or it not in ONLY_FOR_A_RELEASE]
    if arguments.only:
        names = arguments.only.split(",")
    for name in names:
        if name not in PARTS:
            parser.error(f"no part is called {name!r}; there are {', '.join(PARTS)}")

    # boto3 reads the environment of this process.
    clean = environment()
    os.environ.clear()
    os.environ.update(clean)
    # Also where the shell that began this has them ignored: an end from outside is an end with a
    # clean-up.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(f"ended by {signal.Signals(number).name}"))
    if not arguments.only:
        shutil.rmtree(WORK / "calls", ignore_errors=True)
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)

    started = time.monotonic()
    with contextlib.ExitStack() as cleanup:
        background = Processes()
        cleanup.callback(background.end)
        other_build = None
        try:
            if set(names) - WITHOUT_FUNCTION:
                release.sam_build()
                print(f"{time.monotonic() - started:5.1f} s the function is built", flush=True)
            if "binary" in names:
                other_build = release.begin_other(background)
        except (Missing, Failure) as reason:
            sys.exit(f"tests/e2e/run: {reason}\n{indented(reason)}")
        outcomes = {name: run_part(name, other_build) for name in names}
    print(f"\nafter {time.monotonic() - started:.0f} s:")
    for name, outcome in outcomes.items():
        print(f"  {name:13} {outcome}")
    sys.exit(any(outcome.startswith("failed") for outcome in outcomes.values()))


def run_part(name, other_build):
    """Runs the steps of a part until one fails; each builds on those before it."""
    part = PARTS[name]
    print(f"\n{name}: {part.__doc__.splitlines()[0]}", flush=True)
    began = time.monotonic()
    outcome = "passed"
    with contextlib.ExitStack() as cleanup:
        session = Session(name, cleanup, other_build)
        for step in steps_of(part):
            title = step.__name__.replace("_", " ")
            started = time.monotonic()
            try:
                note = step(session)
            except Skipped as reason:
                print(f"  skipped: {reason}", flush=True)
                outcome = "skipped"
                break
            except Exception as reason:
                print(f"  FAILED  {title}\n          {reason}\n{indented(reason)}", flush=True)
                outcome = "failed"
                break
            seconds = time.monotonic() - started
            print(f"  {seconds:5.1f} s {title}{f' ({note})' if note else ''}", flush=True)
    return f"{outcome} after {time.monotonic() - began:.0f} s"


def steps_of(part):
    """The steps of a part: its functions that take a session and nothing else, in their order."""
    functions = [it for it in vars(part).values() if inspect.isfunction(it)]
    return [
        it for it in functions
        if it.__module__ == part.__name__ and list(inspect.signature(it).parameters) == ["session"]
    ]


def indented(reason):
    """What explains a failure, set apart from what this program says itself."""
    if isinstance(reason, Failure):
        lines = reason.explanation().splitlines()
    else:
        lines = [] if isinstance(reason, Missing) else traceback.format_exception(reason)
    return "\n".join(f"          | {line}" for line in lines)


if __name__ == "__main__":
    main()
