"""The release binaries of `cargo lambda build`, for both processors of Lambda."""

import re

from services import target_directory
from tools import check, check_equal, run

# provided.al2023 has glibc 2.34.
NEWEST_GLIBC = (2, 34)
PROCESSORS = {"--x86-64": 0x3E, "--arm64": 0xB7}


def the_binary_for_x86_64_runs_on_lambda(session):
    return build_and_check("--x86-64")


def the_binary_for_arm64_runs_on_lambda(session):
    return build_and_check("--arm64")


STEPS = [the_binary_for_x86_64_runs_on_lambda, the_binary_for_arm64_runs_on_lambda]


def build_and_check(processor):
    """Builds for a processor, and reads in the file what it is and what it needs."""
    run(f"cargo-lambda-build{processor}", "cargo", "lambda", "build", "--release", processor)
    binary = (target_directory() / "lambda" / "rekognition-stopper" / "bootstrap").read_bytes()
    check_equal(binary[:5], b"\x7fELF\x02", "the first bytes of a 64-bit executable")
    check_equal(int.from_bytes(binary[18:20], "little"), PROCESSORS[processor], "the processor in the header")
    needed = {tuple(map(int, version.split(b"."))) for version in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", binary)}
    check(needed, "the binary names no version of glibc")
    check(max(needed) <= NEWEST_GLIBC, f"the binary needs glibc {max(needed)}; Lambda has {NEWEST_GLIBC}")
    return f"{len(binary) / 1e6:.1f} MB, glibc {'.'.join(map(str, max(needed)))} or newer"
