"""The release binaries, for both processors of Lambda: `cargo lambda build` here, and `release/build` elsewhere."""

import gzip
import re
import struct
import zipfile

import release
import services
from tools import ARCHITECTURE, check, check_equal, environment, run

# provided.al2023 has glibc 2.34.
NEWEST_GLIBC = (2, 34)
# Packed, as Lambda loads it. It has some 3.0 MB; the rest is for other compilers.
LARGEST = 4_000_000
# What the header of an executable says of its processor.
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
# How a table of the library begins that gathers entropy from the processor's jitter: the cutoffs of its health test. It
# is there only where the build does not find AWS_LC_SYS_NO_JITTER_ENTROPY in .cargo/config.toml.
JITTER = struct.pack("<4I", 325, 422, 459, 477)


def the_binary_for_this_processor_runs_on_lambda(session):
    option = f"--{ARCHITECTURE.replace('_', '-')}"
    run(
        f"cargo-lambda-build-{ARCHITECTURE}", "cargo", "lambda", "build", "--release", "--locked", option,
        env=environment(**release.variables()),
    )
    built = services.target_directory() / "lambda" / "rekognition-stopper" / "bootstrap"
    return check_binary(built.read_bytes(), ARCHITECTURE)


def the_binary_for_the_other_processor_runs_on_lambda(session):
    with zipfile.ZipFile(release.files(session)[f"bootstrap-{release.VERSION}-{release.OTHER}.zip"]) as archive:
        return check_binary(archive.read("bootstrap"), release.OTHER)


STEPS = [the_binary_for_this_processor_runs_on_lambda, the_binary_for_the_other_processor_runs_on_lambda]


def check_binary(binary, architecture):
    """Reads in the executable what it is and what it needs."""
    check_equal(binary[:5], b"\x7fELF\x02", "the first bytes of a 64-bit executable")
    check_equal(int.from_bytes(binary[18:20], "little"), MACHINES[architecture], "the processor in the header")
    check(JITTER not in binary, "the binary gathers entropy from jitter: AWS_LC_SYS_NO_JITTER_ENTROPY had no effect")
    # Panics name the file that they come from.
    for path in (release.ROOT, release.build.CARGO_HOME):
        check(str(path).encode() not in binary, f"the binary has the path {path} of this machine in it")
    needed = {tuple(map(int, version.split(b"."))) for version in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", binary)}
    check(needed, "the binary names no version of glibc")
    check(max(needed) <= NEWEST_GLIBC, f"the binary needs glibc {max(needed)}; Lambda has {NEWEST_GLIBC}")
    packed = len(gzip.compress(binary))
    check(packed <= LARGEST, f"the packed binary has {packed} bytes, of {LARGEST} at most: what has made it larger?")
    return f"{architecture}, {len(binary) / 1e6:.1f} MB, {packed / 1e6:.2f} MB packed, glibc {'.'.join(map(str, max(needed)))} or newer"
