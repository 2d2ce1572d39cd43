"""The release, as `release/build` makes it: whole in a copy of the sources, and for this processor here as well.

The copy's is built beside all parts, since it takes two builds. What every part here builds is built for a release too,
without a path of this machine in it, so that one build serves all.
"""

import functools
import os
import shutil
import sys

from tools import ARCHITECTURE, LOGS, ROOT, VENV_BIN, WORK, Failure, environment, install, run

sys.path.insert(0, str(ROOT / "release"))
import build

VERSION = build.VERSION
# Another folder. What it had built before stays, as in any folder.
COPY = WORK / "elsewhere"
CARGO_HOME = WORK / "cargo-home"
FILES = COPY / "target" / "release-files"
# The processor that the function cannot run on here.
OTHER = next(processor for processor in build.TARGETS if processor != ARCHITECTURE)


def begin(background):
    """Starts `release/build` in a copy of the sources, in the time that the parts leave."""
    install("zip", wanted="zip")
    print("building the release in another folder, beside all parts", flush=True)
    # Installs what cargo has to build for this, once.
    variables()
    for earlier in COPY.glob("*"):
        if earlier.name != "target":
            shutil.rmtree(earlier) if earlier.is_dir() else earlier.unlink()
    shutil.copytree(ROOT, COPY, ignore=shutil.ignore_patterns("target", ".git"), dirs_exist_ok=True)
    (COPY / "target").mkdir(exist_ok=True)
    # The crates at another path as well, and still downloaded once.
    for link, there in [(COPY / "target" / "tools", build.CRATES_ROOT), (CARGO_HOME, build.CARGO_HOME)]:
        if not link.is_symlink():
            link.symlink_to(there)
    # As on a machine that has no more than Rust: without this test's tools, and without its folder for what is built.
    path = os.pathsep.join(it for it in environment()["PATH"].split(os.pathsep) if it != str(VENV_BIN))
    env = {name: it for name, it in environment(PATH=path).items() if name != "CARGO_TARGET_DIR"}
    env["CARGO_HOME"] = str(CARGO_HOME)
    return background.start("release-build-elsewhere", "nice", COPY / "release" / "build", env=env, ready=lambda: True)


def files(session):
    """The files that were built in the copy, by name, once they are."""
    if session.release.wait() != 0:
        raise Failure("release/build failed in a copy of the sources", LOGS / "release-build-elsewhere.log")
    return {file.name: file for file in FILES.iterdir()}


@functools.cache
def variables():
    """What builds the function here as for a release."""
    try:
        return build.build_variables()
    except build.Failure as failure:
        raise Failure(f"the release's variables cannot be told: {failure}") from failure


def build_here(directory):
    """The files for this processor, built in this folder, by name."""
    command = [sys.executable, "-B", ROOT / "release" / "build.py", "--processor", ARCHITECTURE, "--to", directory]
    run("release-build-here", *command, timeout=1800)
    return {file.name: file for file in directory.iterdir()}
