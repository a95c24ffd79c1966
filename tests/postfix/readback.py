"""What the real postconf makes of a bundle's fragments, compared with the configuration they were rendered from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from mailcfg.bundle import Bundle
from mailcfg.configuration import Configuration
from mailcfg.facts.version import Version
from mailcfg.formats import master_cf
from tests.postfix.lab import BASE_SERVICES, Postfix

Run = Callable[[list[str]], tuple[int, str, str]]
"""Runs a command where that Postfix lives: exit status, output, errors."""


def write(folder: Path, bundle: Bundle) -> None:
    """Put the fragments behind the base of a private instance, with times old enough for postconf."""
    postfix = Postfix(folder)
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    contents = bundle.contents()
    postfix.configure(contents["postfix/main.cf"].decode(), contents.get("postfix/master.cf", b"").decode())


def disagreements(configuration: Configuration, directory: str, run: Run) -> list[str]:
    """Everything that postconf warns of or reads differently, if anything. `directory` as postconf sees it."""
    found: list[str] = []
    code, out, err = run(["postconf", "-c", directory, "-n"])
    if code or err:
        found.append(f"postconf -n: exit status {code}: {err.strip()}")
    values = dict(_pair(line) for line in out.splitlines())
    for setting in configuration.parameters:
        if values.get(setting.name) != folded(setting.value):
            found.append(f"{setting.name}: {setting.value!r} read as {values.get(setting.name)!r}")
    code, out, err = run(["postconf", "-c", directory, "-M"])
    if code or err:
        found.append(f"postconf -M: exit status {code}: {err.strip()}")
    version = Version.parse(configuration.postfix)
    ours = {folded(master_cf.line(service, version)) for service in configuration.services}
    base = {folded(line) for line in BASE_SERVICES.splitlines() if line}
    read = {folded(line) for line in out.splitlines()}
    found += [f"service not read: {line}" for line in sorted((ours | base) - read)]
    found += [f"service nobody wrote: {line}" for line in sorted(read - ours - base)]
    code, out, err = run(["postconf", "-c", directory, "-P"])
    if code or err:
        found.append(f"postconf -P: exit status {code}: {err.strip()}")
    wanted = {
        (f"{service.id}/{setting.name}", folded(setting.value))
        for service in configuration.services
        for setting in service.overrides
    }
    read_overrides = {_pair(line) for line in out.splitlines()}
    found += [f"override not read as written: {each}" for each in sorted(wanted ^ read_overrides)]
    return found


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" =")
    return name, value.strip()


def folded(text: str) -> str:
    """Blanks as postconf prints them."""
    return re.sub(r"\s+", " ", text).strip()
