"""What is read is what the real postconf reads: recorded cases of four versions, files from the field, generated ones.

`MAILCFG_EXAMPLES=2000 pytest -s tests/formats/test_agreement.py` compares so many pairs of other files by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, postconf
from mailcfg.formats.postconf import Printed
from tests.formats import configurations
from tests.postfix import lab
from tests.sites import ROOT

ORACLE: dict[str, Any] = json.loads((Path(__file__).parent / "parser-oracle.json").read_text())["cases"]
"""Measured: files, and what the postconf of four versions prints of them."""

CORPUS = ROOT.parent / "shared" / "corpus"
"""Files from public repositories, and what postconf 3.7.11 prints of them; not part of the project."""

COMMANDS = ("n", "nx", "M", "P")

BATCH = 40
EXAMPLES = int(os.environ.get("MAILCFG_EXAMPLES", "1000"))
"""Pairs of files."""

Record = Callable[[str, object], None]


def ours(
    command: str, main: bytes | None, master: bytes | None, postfix: Version, **more: Any
) -> tuple[bytes, set[str], str | None]:
    """What the model prints: output, warnings, why it gives up."""
    if command in ("n", "nx"):
        told: Printed = postconf.settings(main, master, postfix, expand=command == "nx", **more)
    elif command == "M":
        told = postconf.services(master, postfix, main=main, **more)
    else:
        told = postconf.overrides(main, master, postfix, **more)
    return told.output.encode(errors="surrogateescape"), {each.text for each in told.warnings}, told.fatal


def theirs(output: bytes, errors: bytes, directory: str) -> tuple[bytes, set[str], str | None]:
    """What a real postconf printed, without the directory of the files."""
    warnings: set[str] = set()
    fatal = None
    for line in errors.decode(errors="replace").splitlines():
        text = line.removeprefix("postconf: ").replace(f"{directory}/", "")
        if text.startswith("fatal: "):
            fatal = text.removeprefix("fatal: ")
        else:
            warnings.add(text.removeprefix("warning: "))
    return output, warnings, fatal


def lines_of(output: bytes) -> list[bytes]:
    return [line for line in output.split(b"\n") if not line.startswith(b"config_directory = ")]


# --- recorded cases --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.5.25", "3.7.11", "3.10.13", "3.11.7"])
@pytest.mark.parametrize("name", ORACLE)
def test_a_recorded_case(name: str, version: str, record_property: Record) -> None:
    files = {file: text.encode("latin-1") for file, text in ORACLE[name]["files_latin1"].items()}
    compared = 0
    for command, run in ORACLE[name]["postconf"][version].items():
        if command not in COMMANDS:
            continue
        output, warnings, fatal = ours(
            command, files.get("main.cf"), files.get("master.cf", b""), Version.parse(version)
        )
        printed, warned, died = theirs(run["stdout"].encode("latin-1"), run["stderr"].encode("latin-1"), f"DIR/{name}")
        assert (fatal, run["rc"]) == (died, int(died is not None))
        assert warnings == warned
        if fatal is None:
            assert lines_of(output) == lines_of(printed)
        compared += 1
    assert compared
    record_property("agrees: recorded outputs of postconf", compared)


# --- files from the field --------------------------------------------------------------------------------------------


def corpus(kind: str) -> list[Any]:
    found = sorted((CORPUS / kind).glob("*.cf"))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=f"{CORPUS} is not here: it is not published"))]


@pytest.mark.parametrize("path", corpus("main"), ids=str)
def test_a_main_cf_from_the_field(path: Path, record_property: Record) -> None:
    output, _, fatal = ours("n", path.read_bytes(), PACKAGED, Version.parse("3.7.11"), directory="/CONFDIR")
    errors = path.with_suffix(".n.err").read_bytes()
    if b"fatal: " in errors and b"host not found" in errors:
        # Whether a name in inet_interfaces exists is a question to the machine that ran it.
        assert fatal is None
        record_property("not compared: main.cf from the field that ask the machine for a name", 1)
        return
    assert fatal is None if b"fatal: " not in errors else fatal is not None
    assert lines_of(output) == lines_of(path.with_suffix(".n.out").read_bytes())
    record_property("agrees: main.cf from the field", 1)


PACKAGED = b"smtp inet n - y - - smtpd\n" + b"".join(
    b"%s unix - - y - - %s\n" % pair
    for pair in (
        (b"smtp", b"smtp"), (b"relay", b"smtp"), (b"error", b"error"), (b"retry", b"error"), (b"local", b"local"),
        (b"virtual", b"virtual"), (b"lmtp", b"lmtp"), (b"maildrop", b"pipe"), (b"uucp", b"pipe"), (b"ifmail", b"pipe"),
        (b"bsmtp", b"pipe"), (b"scalemail-backend", b"pipe"), (b"mailman", b"pipe"),
    )
)  # fmt: skip
"""The transports of the package: files from the field set parameters that are named after them."""


@pytest.mark.parametrize("path", corpus("master"), ids=str)
def test_a_master_cf_from_the_field(path: Path, record_property: Record) -> None:
    for command in ("M", "P"):
        output, _, fatal = ours(command, b"", path.read_bytes(), Version.parse("3.7.11"))
        assert fatal is None
        assert output == path.with_suffix(f".{command}.out").read_bytes()
    record_property("agrees: master.cf from the field", 1)


# --- generated files -------------------------------------------------------------------------------------------------

SCRIPT = """
cd "$1" || exit
for folder in */; do
  for command in n nx M P; do
    (postconf -c "$1/${folder%/}" -$command >"$folder$command.out" 2>"$folder$command.err"
    echo $? >"$folder$command.status") &
  done
done
wait
"""
"""All at once: a postconf that gives up sleeps for a second first."""


@pytest.fixture(scope="module")
def machine() -> tuple[Version, dict[str, str]]:
    lab.needs("postconf")
    version = Version.parse(lab.run("postconf", "-h", "mail_version").stdout.strip())
    networks = lab.run("postconf", "-d", "-h", "mynetworks").stdout.strip()
    # The default ends in a blank, which postconf does not print.
    return version, {"hostname": socket.gethostname(), "mynetworks": f"{networks} "}


TABLE_SETTINGS = b"users_query = x\nserver_host = $first\ndbname = a\n"


def generated(count: int, start: int) -> list[tuple[bytes, bytes]]:
    """Pairs of main.cf and master.cf, the same for the same seed."""
    found: list[tuple[bytes, bytes]] = []

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations.main_cf(), configurations.master_cf())
    def gather(main: bytes, master: bytes) -> None:
        found.append((main, master))

    gather()
    return found


def test_generated_files(machine: tuple[Version, dict[str, str]], tmp_path: Path, record_property: Record) -> None:
    version, host = machine
    by_hand = "MAILCFG_EXAMPLES" in os.environ
    start = int(os.environ.get("MAILCFG_SEED", time.time_ns() % 1_000_000 if by_hand else 1))
    files = generated(EXAMPLES, start)
    wrong: list[str] = []
    for first in range(0, len(files), BATCH):
        folder = tmp_path / str(first)
        for index, (main, master) in enumerate(files[first : first + BATCH]):
            put(folder / str(index), main, master)
        subprocess.run(
            ["sh", "-c", SCRIPT, "sh", str(folder)],
            check=True,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": lab.PATH},
        )
        for place in folder.iterdir():
            wrong += differences(place, version, host)
        shutil.rmtree(folder)
    assert not wrong, f"seed {start}: {len(wrong)} disagreements, the first:\n{wrong[0]}"
    record_property("agrees: generated main.cf and master.cf", 2 * len(files))
    record_property("agrees: outputs of postconf of generated files", len(COMMANDS) * len(files))


def put(place: Path, main: bytes, master: bytes) -> None:
    """Write a pair, and the settings of a table that it may name, with times old enough for postconf."""
    place.mkdir(parents=True)
    table = str(place).encode() + configurations.TABLE
    files = {"main.cf": main, "master.cf": master}
    for name, data in (files | {"table.cf": TABLE_SETTINGS}).items():
        (place / name).write_bytes(data.replace(configurations.TABLE, table) if name in files else data)
        os.utime(place / name, (time.time() - 60,) * 2)


def in_other_orders(
    command: str,
    main: bytes,
    master: bytes,
    version: Version,
    directory: str,
    host: dict[str, str],
    read: Callable[[str], bytes | None],
) -> Iterator[tuple[bytes, set[str], str | None]]:
    """What the model prints when it walks the settings from another one on. postconf walks them in the order of a hash
    table: of two values that are fatal it names the one that it meets first, and a name that is read-only still has
    its value until it is met.
    """
    entries = list(main_cf.parse(main, version).effective().values())
    for first in range(len(entries)):
        for order in (entries[first:] + entries[:first], entries[first::-1] + entries[:first:-1]):
            text = "".join(f"{each.name} = {each.value}\n" for each in order).encode(errors="surrogateescape")
            yield ours(command, text, master, version, directory=directory, host=host, read=read)


def differences(place: Path, version: Version, host: dict[str, str]) -> list[str]:
    """Where the model and the real postconf disagree about one pair."""

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path == f"{place}/table.cf" else None

    main, master = (place / "main.cf").read_bytes(), (place / "master.cf").read_bytes()
    found: list[str] = []
    for command in COMMANDS:
        output, warnings, fatal = ours(command, main, master, version, directory=str(place), host=host, read=read)
        printed, warned, died = theirs(
            (place / f"{command}.out").read_bytes(), (place / f"{command}.err").read_bytes(), str(place)
        )
        if int((place / f"{command}.status").read_text()) > 128:
            # A compatibility_level that reads itself ends postconf with a segmentation fault.
            died = fatal or "killed by a signal"
        warnings = {text.replace(f"{place}/", "") for text in warnings}
        same = (fatal or "").replace(f"{place}/", "") == (died or "")
        if fatal is None:
            # Of a file that is refused, what is warned of before the end depends on the order of a hash table.
            same = same and warnings == warned
        if not same and (died is None) == (fatal is None):
            same = any(
                (died or "") == (other or "").replace(f"{place}/", "") and (died or warned - warnings <= more)
                for _, more, other in in_other_orders(command, main, master, version, str(place), host, read)
            )
        if not same or (fatal is None and lines_of(output) != lines_of(printed)):
            found.append(
                f"-{command}\n{main!r}\n{master!r}\nmodel: {fatal} {sorted(warnings - warned)} {output!r}\n"
                f"postconf: {died} {sorted(warned - warnings)} {printed!r}"
            )
    return found
