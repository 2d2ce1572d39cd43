"""The binaries for both processors of Lambda: what they are, and what they need."""

import gzip
import re
import struct

import release
from tools import ARCHITECTURE, LOGS, ROOT, Failure, check, check_equal

# provided.al2023 has glibc 2.34.
NEWEST_GLIBC = (2, 34)
# Packed, as Lambda loads it. It has about 2.8 MB; the rest is for other compilers.
LARGEST = 4_000_000
# What the header of an executable says of its processor.
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
# How a table of the library begins that gathers entropy from the processor's jitter: the cutoffs of
# its health test. It is there only where the build does not find AWS_LC_SYS_NO_JITTER_ENTROPY in
# .cargo/config.toml.
JITTER = struct.pack("<4I", 325, 422, 459, 477)


def the_binary_for_this_processor_runs_on_lambda(session):
    return check_binary(release.FUNCTION.read_bytes(), ARCHITECTURE)


def the_binary_for_the_other_processor_runs_on_lambda(session):
    if session.other_build.wait() != 0:
        log = LOGS / "build-other-processor.log"
        raise Failure(f"the function cannot be built for {release.OTHER}", log)
    built = release.OTHER_DIRECTORY / "rekognition-stopper" / "bootstrap"
    return check_binary(built.read_bytes(), release.OTHER)


def check_binary(binary, architecture):
    """Reads in the executable what it is and what it needs."""
    check_equal(binary[:5], b"\x7fELF\x02", "the first bytes of a 64-bit executable")
    machine = int.from_bytes(binary[18:20], "little")
    check_equal(machine, MACHINES[architecture], "the processor in the header")
    check(JITTER not in binary, "AWS_LC_SYS_NO_JITTER_ENTROPY has no effect")
    # Panics name the file that they come from.
    for path in (ROOT, release.build.CARGO_HOME):
        check(str(path).encode() not in binary, f"the binary has the path {path} in it")
    found = re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", binary)
    check(found, "the binary names no version of glibc")
    newest = max(tuple(map(int, version.split(b"."))) for version in found)
    check(newest <= NEWEST_GLIBC, f"the binary needs glibc {newest}; Lambda has {NEWEST_GLIBC}")
    packed = len(gzip.compress(binary))
    check(packed <= LARGEST, f"the packed binary has {packed} bytes, of {LARGEST} at most")
    glibc = ".".join(map(str, newest))
    return f"{architecture}, {packed / 1e6:.2f} MB packed, glibc {glibc} or newer"
