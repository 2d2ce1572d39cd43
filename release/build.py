"""Builds what a release consists of, the same to the byte wherever it is built:

  rekognition-stopper-VERSION-PROCESSOR.zip       all that a deployment needs, with nothing to build
  bootstrap-VERSION-PROCESSOR.zip                 the function alone, as Lambda takes it
  rekognition-stopper-VERSION-PROCESSOR.cdx.json  what it is made of, in CycloneDX
  SHA256SUMS                                      of all of these

Needs Rust, with the standard library of each processor, a C compiler, Python 3.11 and Info-ZIP. The
bytes depend on the versions of Rust, cargo-lambda and Zig, which the README in the first zip names,
and on nothing else of the machine.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "rekognition-stopper"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# What the bundle has as it is here: with the pages that its README leads to, and those that these
# lead to.
CONTENTS = [
    "member-account.yaml", "dashboard.yaml", "state-machine.asl.json", "samconfig.toml", "events/*",
    "tests/aws/run", "docs/deploying.md", "docs/cargo-lambda.md", "docs/organization.md",
    "docs/large-organizations.md", "docs/morning-after.md", "docs/upgrading.md", "docs/reference.md",
    "docs/security.md", "docs/design.md", "docs/performance.md", "docs/plots/*", "SECURITY.md",
    "CHANGELOG.md", "LICENSE",
]
# What cargo installs for the build: one writes the list of crates into the function, the other into
# a separate file.
CRATES = {"cargo-auditable": "0.7.5", "cargo-cyclonedx": "0.5.9"}
CRATES_ROOT = ROOT / "target" / "tools"
CARGO_HOME = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))

# What template.yaml says of building, and what the bundle says instead. Each stands there once.
BUILT = [
    (
        """\
      BuildMethod: rust-cargolambda
      BuildProperties:
        Binary: rekognition-stopper
""",
        "",
    ),
    ("      CodeUri: .\n", "      CodeUri: bootstrap.zip\n"),
    (
        """\
      # The processor: arm64 or x86_64. sam build, sam deploy and sam local invoke all read it here,
      # and nowhere else, so that what is built is what runs. x86_64 is built on such a machine.
      Architectures: [arm64]
""",
        """\
      # That of bootstrap.zip. For the other processor there is another bundle.
      Architectures: [PROCESSOR]
""",
    ),
]
# What SAM reads in that template, and what CloudFormation reads in cloudformation.yaml instead.
PLAIN = [
    (
        "Transform: AWS::Serverless-2016-10-31\n",
        "# template.yaml without its transform, which a StackSet refuses.\n",
    ),
    (
        "Parameters:\n  ModelArns:\n",
        """\
Parameters:
  CodeBucket:
    Description: The bucket that has bootstrap.zip, in the region of the stack.
    Type: String
  CodeKey:
    Description: >-
      The key of bootstrap.zip in that bucket. Another version has another key: under the same one,
      CloudFormation sees no change.
    Type: String
  ModelArns:
""",
    ),
    ("    Type: AWS::Serverless::Function\n", "    Type: AWS::Lambda::Function\n"),
    (
        "      CodeUri: bootstrap.zip\n",
        "      Code: {S3Bucket: !Ref CodeBucket, S3Key: !Ref CodeKey}\n",
    ),
    ("    Type: AWS::Serverless::StateMachine\n", "    Type: AWS::StepFunctions::StateMachine\n"),
    (
        "      Name: !Ref AWS::StackName\n      # Only",
        "      StateMachineName: !Ref AWS::StackName\n      # Only",
    ),
    ("      Type: STANDARD\n", "      StateMachineType: STANDARD\n"),
    ("      DefinitionUri: state-machine.asl.json\n", "      DefinitionString: |\nDEFINITION"),
    ("      Role: !GetAtt MachineRole.Arn\n", "      RoleArn: !GetAtt MachineRole.Arn\n"),
]


class Failure(Exception):
    """What keeps the release from being built: one line."""


def main():
    parser = argparse.ArgumentParser(
        prog="release/build", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--processor", choices=TARGETS, action="append", help="build for this one alone"
    )
    parser.add_argument(
        "--to", metavar="DIRECTORY", type=Path, default=ROOT / "target" / "release-files",
        help="where the files go, which must not exist or have only such files "
        "(target/release-files)",
    )
    arguments = parser.parse_args()
    try:
        build(arguments.processor or list(TARGETS), arguments.to)
    except Failure as failure:
        sys.exit(f"release/build: {failure}")


def build(processors, directory):
    """Builds the release for these processors."""
    if shutil.which("zip") is None:
        raise Failure("zip is missing: install Info-ZIP first (Debian: zip)")
    directory.mkdir(parents=True, exist_ok=True)
    for earlier in directory.iterdir():
        if not re.fullmatch(rf"({NAME}|bootstrap)-.*\.(zip|cdx\.json)|SHA256SUMS", earlier.name):
            other = f"{directory} has {earlier.name}, which is of no release"
            raise Failure(f"{other}: name another directory")
        earlier.unlink()
    variables = build_variables()
    for processor in processors:
        option = f"--{processor.replace('_', '-')}"
        run("cargo", "lambda", "build", "--release", "--locked", option, **variables)
        pack_release(directory, processor, (built_directory() / "bootstrap").read_bytes())
        bill = directory / f"{NAME}-{VERSION}-{processor}.cdx.json"
        bill.write_text(bill_of_materials(processor))
    files = sorted(directory.iterdir())
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (directory / "SHA256SUMS").write_text("".join(sums))
    print("".join(f"{file.stat().st_size:10,} {file.name}\n" for file in files), end="")


def build_variables():
    """The variables that make cargo-lambda build as for a release.

    Rust writes no path of this machine into the function. `cargo lambda` gives its own flags by the
    same option, and cargo puts these beside them; `RUSTFLAGS` would be instead of them. And
    cargo-auditable, which `cargo auditable` sets up in the same way, adds the list of the crates:
    by its name alone, since a path would be another in each folder.
    """
    run("cargo", "fetch", "--locked")
    install("cargo-auditable")
    rustc = run("rustc", "--version", "--verbose", capture=True)
    commit = re.search(r"^commit-hash: (\w+)$", rustc, re.MULTILINE)[1]
    sysroot = run("rustc", "--print", "sysroot", capture=True).strip()
    paths = {
        ROOT: f"/{NAME}",
        built_directory().parents[1]: f"/{NAME}/target",
        # The standard library's sources, where they are installed.
        f"{sysroot}/lib/rustlib/src/rust": f"/rustc/{commit}",
    }
    paths |= {registry: "/crates" for registry in sorted(CARGO_HOME.glob("registry/src/*"))}
    flags = [f"--remap-path-prefix={here}={there}" for here, there in paths.items()]
    for flag in flags:
        if " " in flag:
            raise Failure(f"cargo takes no path with a blank here: {flag}")
    arguments = {"offline": False, "locked": True, "frozen": False, "config": []}
    return {
        "CARGO_BUILD_RUSTFLAGS": " ".join(flags),
        "RUSTC_WORKSPACE_WRAPPER": "cargo-auditable",
        "CARGO_AUDITABLE_ORIG_ARGS": json.dumps(arguments),
        "PATH": f"{CRATES_ROOT / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }


def install(crate):
    """Has cargo install one of `CRATES`."""
    number = CRATES[crate]
    options = ["--version", number, "--locked", "--debug", "--quiet", "--root", CRATES_ROOT]
    run("cargo", "install", crate, *options)


def built_directory():
    """Where cargo-lambda puts the function."""
    options = ["--format-version=1", "--no-deps", "--locked"]
    metadata = run("cargo", "metadata", *options, capture=True)
    return Path(json.loads(metadata)["target_directory"]) / "lambda" / NAME


def contents(function, processor):
    """The files of the bundle for a processor."""
    paths = [path for pattern in CONTENTS for path in ROOT.glob(pattern)]
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}
    files["bootstrap.zip"] = function.read_bytes()
    files["template.yaml"] = template(processor).encode()
    files["cloudformation.yaml"] = plain_template(processor).encode()
    files["README.md"] = readme(processor).encode()
    return files


def template(processor):
    """template.yaml, with the built function in the place of its sources."""
    return changed((ROOT / "template.yaml").read_text(), BUILT).replace("PROCESSOR", processor)


def plain_template(processor):
    """The same without a transform, and with the definition of the state machine in it."""
    definition = (ROOT / "state-machine.asl.json").read_text()
    indented = textwrap.indent(definition, " " * 8)
    return changed(template(processor), PLAIN).replace("DEFINITION", indented)


def changed(text, changes):
    """A template after changes of which each fits once."""
    for before, after in changes:
        if text.count(before) != 1:
            found = text.count(before)
            raise Failure(f"template.yaml has {found} times, instead of once: {before!r}")
        text = text.replace(before, after)
    return text


def readme(processor):
    """The README of the bundle."""
    rust = run("rustc", "--version", capture=True).strip()
    tools = f"{rust}, cargo-lambda {version('cargo-lambda')} and Zig {version('ziglang')}"
    text = (ROOT / "release" / "README.md").read_text()
    for word, here in {"VERSION": VERSION, "PROCESSOR": processor, "TOOLS": tools}.items():
        text = text.replace(word, here)
    return text


def pack_release(directory, processor, bootstrap):
    """Packs the built function for a processor, alone and in its bundle."""
    function = directory / f"bootstrap-{VERSION}-{processor}.zip"
    pack(function, {"bootstrap": bootstrap})
    bundle = f"{NAME}-{VERSION}-{processor}"
    files = contents(function, processor)
    pack(directory / f"{bundle}.zip", {f"{bundle}/{name}": it for name, it in files.items()})


def pack(archive, files):
    """Packs files so that the same contents are the same bytes, with Info-ZIP, which has its own
    compression."""
    with tempfile.TemporaryDirectory() as stage:
        for name, content in files.items():
            file = Path(stage, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(0o755 if content.startswith((b"\x7fELF", b"#!")) else 0o644)
            os.utime(file, (release_time(), release_time()))
        archive.unlink(missing_ok=True)
        # -X and -D: no owners, no times of access, no directories.
        run("zip", "-q", "-9", "-X", "-D", archive.resolve(), *sorted(files), cwd=stage, TZ="UTC")


def release_time():
    """The day of this version in the changelog, in seconds: the time of everything in a release."""
    heading = rf"^## \[{re.escape(VERSION)}\] - (\S+)$"
    day = re.search(heading, (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if not day:
        raise Failure(f"CHANGELOG.md has no heading '## [{VERSION}] - YEAR-MONTH-DAY'")
    return int(datetime.datetime.fromisoformat(f"{day[1]}T00:00:00+00:00").timestamp())


def bill_of_materials(processor):
    """What the function for a processor is made of, in CycloneDX."""
    install("cargo-cyclonedx")
    stem = f"{NAME}-{processor}"
    run(
        CRATES_ROOT / "bin" / "cargo-cyclonedx", "cyclonedx", "--quiet", "--format", "json",
        "--spec-version", "1.5", "--target", TARGETS[processor], "--override-filename", stem,
        SOURCE_DATE_EPOCH=str(release_time()),
    )
    # It writes beside the manifest of each crate of the workspace.
    written = ROOT / f"{stem}.json"
    text = written.read_text().replace(ROOT.as_uri(), f"file:///{NAME}")
    for crate in [ROOT, ROOT / "cli", ROOT / "tests" / "emulator"]:
        (crate / f"{stem}.json").unlink()
    return text


def run(*command, capture=False, cwd=ROOT, **variables):
    """Runs a tool, with these variables, and returns what it printed, if it is wanted."""
    command = [str(word) for word in command]
    environment = os.environ | variables
    # With cargo-lambda and Zig, which are beside this Python.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    stdout = subprocess.PIPE if capture else None
    result = subprocess.run(
        command, cwd=cwd, env=environment, stdout=stdout, text=True, check=False
    )
    if result.returncode != 0:
        raise Failure(f"{' '.join(command)} failed with exit code {result.returncode}")
    return result.stdout


if __name__ == "__main__":
    main()
