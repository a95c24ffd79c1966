"""Files from the field with a policy applied: all of it is in force, and every line that is not its own stays."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailcfg import cli
from mailcfg.manifest import Manifest, read_manifest
from tests.apply.scenarios import SITE, machine
from tests.formats.test_agreement import corpus
from tests.postfix import lab
from tests.stories.machine import PACKAGED_MAIN, PACKAGED_MASTER


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lab.needs("postconf", "openssl")
    place = tmp_path_factory.mktemp("packaged") / "machine"
    machine(place)
    return place


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    out = tmp_path_factory.mktemp("dist")
    assert cli.main(["build", str(SITE), "-o", str(out), "--quiet"]) == 0
    return read_manifest((out / "quickstart" / "manifest.json").read_text())


def applied(packaged: Path, root: Path, main: bytes, master: bytes) -> Path:
    """A copy of the machine with these files and the policy applied; the directory of its Postfix."""
    subprocess.run(["cp", "-a", str(packaged), str(root)], check=True)
    etc = root / "etc/postfix"
    (etc / "main.cf").write_bytes(main)
    (etc / "master.cf").write_bytes(master)
    words = ["apply", str(SITE), "--root", str(root), "--quiet", "--allow-weaker", "--allow-findings"]
    assert cli.main(words) == 0
    # postconf waits two seconds for a file that was written just now.
    for name in ("main.cf", "master.cf"):
        os.utime(etc / name, (1_000_000_000, 1_000_000_000))
    return etc


def postconf(etc: Path, *words: str) -> list[str]:
    return lab.run("postconf", "-c", etc, *words).stdout.splitlines()


def in_force(etc: Path, manifest: Manifest) -> int:
    """Hold what the real postconf reads against the manifest; how many values that were."""
    configuration = manifest.configuration
    names = [each.name for each in configuration.parameters]
    read = dict(line.split(" =", 1) for line in postconf(etc, *names))
    for each in configuration.parameters:
        assert read[each.name].strip() == each.value, each.name
    count = len(names)
    for service in configuration.services:
        wanted = {f"{service.id}/{each.name}": each.value for each in service.overrides}
        there = {
            name: value.strip() for name, _, value in (row.partition(" =") for row in postconf(etc, "-P", service.id))
        }
        assert {name: there.get(name) for name in wanted} == wanted
        rows = [line.split()[:8] for line in postconf(etc, "-M", service.id)]
        columns = [
            service.name, service.type, service.private, service.unprivileged, service.chroot, service.wakeup,
            service.process_limit, service.command,
        ]  # fmt: skip
        assert [row[1:] for row in rows] == [columns[1:]]
        count += len(wanted) + 1
    return count


def owners(data: bytes, name_of: Callable[[bytes], str]) -> list[str]:
    """To which logical line each physical line belongs; empty for comments and blank ones."""
    found: list[str] = []
    head = ""
    for line in data.split(b"\n"):
        if not line.strip() or line.lstrip().startswith(b"#"):
            found.append("")
            continue
        if line[:1] not in (b" ", b"\t", b"\v", b"\f", b"\r"):
            head = name_of(line)
        found.append(head)
    return found


def gone(before: bytes, after: bytes) -> list[int]:
    """Indexes of the lines that are not there any more, byte for byte and in their order."""
    matcher = difflib.SequenceMatcher(a=before.split(b"\n"), b=after.split(b"\n"), autojunk=False)
    return [
        index
        for tag, start, end, _, _ in matcher.get_opcodes()
        if tag in ("replace", "delete")
        for index in range(start, end)
    ]


@pytest.mark.parametrize("path", corpus("main"), ids=str)
def test_main_cf(
    path: Path, packaged: Path, manifest: Manifest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = path.read_bytes()
    etc = applied(packaged, tmp_path / "machine", before, PACKAGED_MASTER.encode())
    try:
        values = in_force(etc, manifest)
    except AssertionError as error:
        # Whether a name in inet_interfaces exists is a question to the machine that the file came from.
        if "host not found" not in str(error):
            raise
        values = 0
    names = {each.name for each in manifest.configuration.parameters}
    whose = owners(before, lambda line: line.partition(b"=")[0].strip().decode(errors="replace"))
    lost = gone(before, (etc / "main.cf").read_bytes())
    assert [before.split(b"\n")[index] for index in lost if whose[index] not in names] == []
    record_property("values of a policy in force by postconf, in files from the field", values)
    record_property("lines of files from the field that stay byte for byte", len(whose) - len(lost))


@pytest.mark.parametrize("path", corpus("master"), ids=str)
def test_master_cf(
    path: Path, packaged: Path, manifest: Manifest, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = path.read_bytes()
    etc = applied(packaged, tmp_path / "machine", PACKAGED_MAIN.encode(), before)
    in_force(etc, manifest)
    managed = {(each.name, each.type) for each in manifest.configuration.services}
    managed |= {("25", "inet"), ("587", "inet"), ("465", "inet"), ("smtps", "inet")}
    whose = owners(before, lambda line: " ".join(part.decode(errors="replace") for part in line.split()[:2]))
    lines = before.split(b"\n")
    for index in gone(before, (etc / "master.cf").read_bytes()):
        assert tuple(whose[index].split()) in managed, lines[index]
    record_property("services of files from the field that stay byte for byte", len(lines))


def test_a_policy_leaves_no_trace_when_it_is_rolled_back(packaged: Path, tmp_path: Path) -> None:
    """Every file from the field, applied to and rolled back: byte for byte as it came."""
    paths = [each for each in corpus("main") if isinstance(each, Path)][::8]
    if not paths:
        pytest.skip("the corpus of files from public repositories is not here")
    for index, path in enumerate(paths):
        root = tmp_path / str(index)
        etc = applied(packaged, root, path.read_bytes(), PACKAGED_MASTER.encode())
        assert cli.main(["rollback", "--root", str(root), "--quiet"]) == 0
        assert (etc / "main.cf").read_bytes() == path.read_bytes()
        assert (etc / "master.cf").read_bytes() == PACKAGED_MASTER.encode()
        assert not (etc / "sasl").exists()
        shutil.rmtree(root)
