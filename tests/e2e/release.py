"""The function as it is released: built once for each processor, and packed by `release/build`.

What is built here is built for a release, without a path of this machine in it, so that one build
serves all parts, and whoever builds in this folder afterwards.
"""

import functools
import shutil
import sys

from stack import TEMPLATE, write_copy
from tools import ARCHITECTURE, ROOT, WORK, Failure, environment, install, run

sys.path.insert(0, str(ROOT / "release"))
import build

VERSION = build.VERSION
# What `sam build` makes.
BUILD = WORK / "build"
FUNCTION = BUILD / "Function" / "bootstrap"
FILES = WORK / "release-files"
# The bundle for the processor of this machine, and where `unpacked` has it.
NAME = f"rekognition-stopper-{VERSION}-{ARCHITECTURE}"
BUNDLE = WORK / NAME
# The processor that the function cannot run on here, and where it is built for that.
OTHER = next(it for it in build.TARGETS if it != ARCHITECTURE)
OTHER_DIRECTORY = WORK / "other-processor"


@functools.cache
def variables():
    """What builds the function as for a release."""
    try:
        return build.build_variables()
    except build.Failure as failure:
        raise Failure(f"the release's variables cannot be told: {failure}") from failure


def sam_build():
    """Builds the function as an operator does, for the processor of this machine."""
    source = write_copy(TEMPLATE, WORK / "template.yaml", set_processor)
    # SAM looks for it beside the template.
    shutil.copy(ROOT / "state-machine.asl.json", WORK)
    command = ["sam", "build", "--template-file", source, "--base-dir", ROOT, "--build-dir", BUILD]
    run("sam-build", *command, env=environment(**variables()), timeout=1800)


def set_processor(template):
    """Changes the one line that an operator changes for another processor."""
    template["Resources"]["Function"]["Properties"]["Architectures"] = [ARCHITECTURE]


def begin_other(background):
    """Starts the build for the other processor, in the time that the parts leave."""
    return background.start(
        "build-other-processor", "nice", "cargo", "lambda", "build", "--release", "--locked",
        option(OTHER), "--lambda-dir", OTHER_DIRECTORY,
        env=environment(**variables()), ready=lambda: True,
    )


def option(processor):
    """The option of cargo-lambda for a processor."""
    return f"--{processor.replace('_', '-')}"


@functools.cache
def files():
    """The files of a release for this processor, by name, made of what is built."""
    install("zip", wanted="zip")
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    build.pack_release(FILES, ARCHITECTURE, FUNCTION.read_bytes())
    return {file.name: file for file in FILES.iterdir()}


def unpacked():
    """The directory of the unpacked bundle."""
    install("unzip", wanted="unzip")
    shutil.rmtree(BUNDLE, ignore_errors=True)
    run("unzip", "unzip", "-q", files()[f"{NAME}.zip"], "-d", WORK)
    return BUNDLE
