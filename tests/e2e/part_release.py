"""A release, built by `release/build` in two folders; only with --all."""

from part_bundle import check_bundle
from release import VERSION, build
from tools import ROOT, check_equal, install, run

DIRECTORY = ROOT / "target" / "release-files"


def it_is_whole(session):
    install("zip", wanted="zip")
    run("release-build", ROOT / "release" / "build", timeout=3600)
    files = {file.name: file for file in DIRECTORY.iterdir()}
    names = {"SHA256SUMS"}
    for processor in build.TARGETS:
        bundle = f"rekognition-stopper-{VERSION}-{processor}"
        names |= {f"{bundle}.zip", f"{bundle}.cdx.json", f"bootstrap-{VERSION}-{processor}.zip"}
    check_equal(set(files), names, "files of the release")
    sums = files["SHA256SUMS"].read_text().splitlines()
    check_equal({line.split()[1] for line in sums}, names - {"SHA256SUMS"}, "files in SHA256SUMS")
    run("sha256sum", "sha256sum", "--check", "--strict", "SHA256SUMS", cwd=DIRECTORY)
    for processor in build.TARGETS:
        check_bundle(files, processor)


def it_is_the_same_to_the_byte_in_another_folder(session):
    run("release-compare", ROOT / "release" / "compare", timeout=3600)


def its_notes_are_what_the_changelog_says(session):
    notes = ROOT / "release" / "notes"
    said = run("release-notes", notes, f"v{VERSION}")
    _, _, changes = (ROOT / "CHANGELOG.md").read_text().partition(f"\n## [{VERSION}] - ")
    changes = changes.partition("\n## ")[0].split("\n", 1)[1]
    # Only the breaks of lines are others.
    check_equal(said.split(), changes.split(), "words of the notes")
    run("release-notes-refused", notes, f"v{VERSION}1", fails=True)
