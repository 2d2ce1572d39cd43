"""The release binaries of `cargo lambda build`, for both processors of Lambda."""

import gzip
import re
import struct

import services
from tools import ARCHITECTURE, LOGS, WORK, Failure, check, check_equal, environment, run

# provided.al2023 has glibc 2.34.
NEWEST_GLIBC = (2, 34)
# Packed, as Lambda loads it. It has some 3.0 MB; the rest is for other compilers.
LARGEST = 4_000_000
# What the header of an executable says of its processor.
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
# How a table of the library begins that gathers entropy from the processor's jitter: the cutoffs of its health test. It
# is there only where the build does not find AWS_LC_SYS_NO_JITTER_ENTROPY in .cargo/config.toml.
JITTER = struct.pack("<4I", 325, 422, 459, 477)
OTHER = "arm64" if ARCHITECTURE == "x86_64" else "x86_64"
# Apart from this machine's binaries, so that no build waits for the other's lock.
OTHER_TARGET = WORK / OTHER


def begin(background):
    """Starts the build for the other processor, which takes the time that the other parts leave."""
    return background.start(
        f"cargo-lambda-build-{OTHER}",
        "nice", *build_command(OTHER),
        env=environment(CARGO_TARGET_DIR=str(OTHER_TARGET)),
        ready=lambda: True,
    )


def the_binary_for_this_processor_runs_on_lambda(session):
    run(f"cargo-lambda-build-{ARCHITECTURE}", *build_command(ARCHITECTURE))
    return check_binary(services.target_directory(), ARCHITECTURE)


def the_binary_for_the_other_processor_runs_on_lambda(session):
    if session.other_build.wait() != 0:
        raise Failure(f"the build for {OTHER} failed", LOGS / f"cargo-lambda-build-{OTHER}.log")
    return check_binary(OTHER_TARGET, OTHER)


STEPS = [the_binary_for_this_processor_runs_on_lambda, the_binary_for_the_other_processor_runs_on_lambda]


def build_command(architecture):
    """How docs/deploying.md builds for a processor."""
    return ["cargo", "lambda", "build", "--release", "--locked", f"--{architecture.replace('_', '-')}"]


def check_binary(target_directory, architecture):
    """Reads in the executable what it is and what it needs."""
    binary = (target_directory / "lambda" / "rekognition-stopper" / "bootstrap").read_bytes()
    check_equal(binary[:5], b"\x7fELF\x02", "the first bytes of a 64-bit executable")
    check_equal(int.from_bytes(binary[18:20], "little"), MACHINES[architecture], "the processor in the header")
    check(JITTER not in binary, "the binary gathers entropy from jitter: AWS_LC_SYS_NO_JITTER_ENTROPY had no effect")
    needed = {tuple(map(int, version.split(b"."))) for version in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", binary)}
    check(needed, "the binary names no version of glibc")
    check(max(needed) <= NEWEST_GLIBC, f"the binary needs glibc {max(needed)}; Lambda has {NEWEST_GLIBC}")
    packed = len(gzip.compress(binary))
    check(packed <= LARGEST, f"the packed binary has {packed} bytes, of {LARGEST} at most: what has made it larger?")
    return f"{architecture}, {len(binary) / 1e6:.1f} MB, {packed / 1e6:.2f} MB packed, glibc {'.'.join(map(str, max(needed)))} or newer"
