"""The real postconf, held against what formats.postconf says that it prints.

`python -m tests.formats.real_postconf [--root CHROOT] [--examples N] [--seed N]` compares as many generated files as
one likes; it needs root for a chroot (tests/chroots.py makes them).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, postconf
from mailcfg.formats.logical import encoded
from tests.formats import configurations

TABLE = b"user = x\nnonsense = y\nuser = z\n\nquery\n = a\n"
CRASHED = -11
COMPUTED = postconf._COMPUTED

HOUSE_RULES: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
}
"""Settings of hypothesis for whatever runs another process for each example."""

EXAMPLES = int(os.environ.get("MAILCFG_EXAMPLES", "1000"))
"""How many files a test generates; by hand one may want more."""


class Said(NamedTuple):
    """What one run gave: its exit status, its output, its warnings, and its last words where it gave up."""

    code: int
    output: bytes
    warnings: list[str]
    fatal: str | None


class Real:
    """The postconf of one Postfix, over a directory of its own."""

    def __init__(self, root: Path, directory: Path) -> None:
        self.root = root
        self.directory = directory
        self.inside = f"/{directory.relative_to(root)}"
        self.place(b"", b"")
        (directory / "table.cf").write_bytes(TABLE)
        self.version = Version.parse(self.run("-dh", "mail_version").output.decode().strip())
        # postconf prints one blank for many, and none at the end, where this default has one.
        networks = self.run("-dh", "mynetworks").output.decode().strip() + " "
        self.host = {"hostname": socket.gethostname(), "mynetworks": networks}

    def place(self, main: bytes, master: bytes) -> None:
        for name, data in (("main.cf", main), ("master.cf", master)):
            (self.directory / name).write_bytes(data)
        # A main.cf that was written just now is read again until it is two seconds old.
        os.utime(self.directory / "main.cf", (1e9, 1e9))

    def run(self, *options: str, patient: bool = False) -> Said:
        """Run postconf. After its last words it sleeps for a second: unless `patient`, it is killed in its sleep."""
        words = ["postconf", "-c", self.inside, *options]
        if self.root != Path("/"):
            words = ["chroot", str(self.root), *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, close_fds=False) as process:
            assert process.stdout
            assert process.stderr
            said: list[str] = []
            for line in process.stderr:
                said.append(line.decode().rstrip("\n").replace(f"{self.inside}/", ""))
                if said[-1].startswith("postconf: fatal: ") and not patient:
                    process.kill()
                    return Said(1, b"", *_sorted(said))
            output = process.stdout.read()
            code = process.wait()
        return Said(code, output, *_sorted(said))

    def told(self, main: bytes, master: bytes, option: str) -> postconf.Printed:
        """The same run, told from the files."""
        if option == "-M":
            return postconf.services(
                master, self.version, main=main, directory=self.inside, host=self.host, read=self.read
            )
        if option == "-P":
            return postconf.overrides(main, master, self.version, directory=self.inside, host=self.host, read=self.read)
        return postconf.settings(
            main,
            master,
            self.version,
            expand=option == "-nx",
            directory=self.inside,
            host=self.host,
            read=self.read,
        )

    def read(self, path: str) -> bytes | None:
        file = self.root / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    def compare(self, main: bytes, master: bytes, option: str) -> str:
        """Compare one pair of files, and say what came out: fine, refused, not expanded, crashed."""
        main, master = (
            data.replace(configurations.TABLE, f"{self.inside}/table.cf".encode()) for data in (main, master)
        )
        self.place(main, master)
        real = self.run(option)
        told = self.told(main, master, option)
        ours = sorted(self.bare(warning.text) for warning in told.warnings)
        case = f"Postfix {self.version} {option}\nmain.cf {main!r}\nmaster.cf {master!r}\nreal {real}\ntold {told}"
        if real.code == CRASHED:
            assert told.fatal, case
            return "crashed"
        assert real.code == (1 if told.fatal else 0), case
        if real.fatal is None:
            assert encoded(told.output) == real.output, case
            assert ours == real.warnings, case
            return "fine"
        if "macro" in real.fatal or "mac_exp" in real.fatal:
            possible, fatals = self.in_any_order(main, master, option)
            assert {each for each in real.warnings if not _of_reading(each)} <= possible, case
            assert real.fatal in fatals, case
            return "not expanded"
        assert self.bare(told.fatal or "") == real.fatal, case
        assert ours == real.warnings, case
        return "refused"

    def in_any_order(self, main: bytes, master: bytes, option: str) -> tuple[set[str], set[str]]:
        """What postconf may say before it gives up on a value: its hash has another order in every run."""
        entries = list(main_cf.parse(main, self.version).effective().values())
        warnings: set[str] = set()
        fatals: set[str] = set()
        for first in range(len(entries) or 1):
            order = entries[first:] + entries[:first]
            data = b"".join(encoded(f"{entry.name} = {entry.value}\n") for entry in order)
            for computed in permutations(COMPUTED):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(postconf, "_COMPUTED", computed)
                    told = self.told(data, master, option)
                warnings |= {self.bare(warning.text) for warning in told.warnings}
                fatals |= {self.bare(told.fatal)} if told.fatal else set()
        return warnings, fatals

    def bare(self, text: str) -> str:
        return text.replace(f"{self.inside}/", "")


def _sorted(said: list[str]) -> tuple[list[str], str | None]:
    fatal = [each.removeprefix("postconf: fatal: ") for each in said if each.startswith("postconf: fatal: ")]
    warnings = [each.removeprefix("postconf: warning: ") for each in said if "postconf: fatal: " not in each]
    return sorted(warnings), fatal[0] if fatal else None


def _of_reading(warning: str) -> bool:
    """Whether a warning comes before any value is looked at."""
    return ".cf, line " in warning or "must not start with whitespace" in warning


@contextmanager
def real(root: Path = Path("/")) -> Iterator[Real]:
    directory = Path(tempfile.mkdtemp(prefix="mailcfg-postconf-", dir=root / "tmp"))
    try:
        yield Real(root, directory)
    finally:
        shutil.rmtree(directory)


SERVICES = b"policy unix - n n - - spawn\ndrop unix - n n - - pipe\n  -o first=x -o virtual_maps=z\n"

KINDS = {
    "main.cf": st.tuples(configurations.main_cf(), st.just(SERVICES), st.sampled_from(["-n", "-nx"])),
    "both": st.tuples(configurations.main_cf(), configurations.master_cf(), st.sampled_from(["-n", "-nx", "-M", "-P"])),
    "master.cf": st.tuples(
        st.just(b"first = a\nsecond = $first\n"), configurations.master_cf(), st.sampled_from(["-M", "-P"])
    ),
}
"""What is generated: main.cf, master.cf and what to ask postconf."""


def agreement(kind: str, postfix: Real, examples: int, start: int) -> Counter[str]:
    """Compare generated files and count what came out. Raises AssertionError with the smallest disagreement."""
    found: Counter[str] = Counter()

    @seed(start)
    @settings(max_examples=examples, **HOUSE_RULES)
    @given(KINDS[kind])
    def compared(case: tuple[bytes, bytes, str]) -> None:
        found[postfix.compare(*case)] += 1

    compared()
    return found


def main() -> int:
    """Compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--examples", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--kind", choices=KINDS, action="append")
    arguments = parser.parse_args()
    with real(arguments.root) as postfix:
        for kind in arguments.kind or KINDS:
            start = time.monotonic()
            found = agreement(kind, postfix, arguments.examples, arguments.seed)
            took = time.monotonic() - start
            counts = ", ".join(f"{count} {what}" for what, count in sorted(found.items()))
            print(f"Postfix {postfix.version}, {kind}, seed {arguments.seed}: {counts}; 0 disagreements, {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
