"""The findings of `check` in one output format a file: `render(findings, context)` gives its text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mailcfg.problem import Finding, Severity
from mailcfg.reports.text import WORDS, clean


class RuleText(NamedTuple):
    """What is said of a rule itself: the title is one line, the description Markdown."""

    id: str
    title: str
    severity: Severity
    description: str
    references: tuple[str, ...]


class Suppressed(NamedTuple):
    """A finding that is tolerated: why, and until which day (ISO 8601)."""

    finding: Finding
    because: str
    until: str


class Context(NamedTuple):
    """What a report tells beside the findings. `targets` are all that were looked at, the clean ones too; `unknown`
    holds the file and the reason of what could not be read. `title` says whose report it is, and `clean` what is said
    of a target without findings; formats that have a place for what is tolerated show `suppressed` there.
    """

    version: str
    targets: tuple[str, ...]
    color: bool
    unknown: tuple[tuple[str, str], ...]
    rules: Mapping[str, RuleText]
    title: str = "mailcfg check"
    clean: str = "nothing found"
    suppressed: tuple[Suppressed, ...] = ()


NOWHERE = "(no file)"
"""Stands for the file of a finding that has none."""


def counted(findings: Sequence[Finding], files: bool = True) -> str:
    """How many findings of each severity, and in how many files: `3 errors, 1 warning in 2 files`."""
    counts = Counter(each.severity for each in findings)
    parts = [_number(counts[severity], WORDS[severity]) for severity in Severity if counts[severity]]
    places = len({each.location.file for each in findings} - {""})
    return ", ".join(parts) + (f" in {_number(places, 'file')}" if files and places else "")


def unread(context: Context) -> str:
    """How many files could not be read; empty for none."""
    count = len({re.sub(r":\d+$", "", file) for file, _ in context.unknown})
    return f"{_number(count, 'file')} could not be read" if count else ""


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def by_file(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """The findings of each file, in the order in which they come."""
    found: dict[str, list[Finding]] = {}
    for each in findings:
        found.setdefault(each.location.file, []).append(each)
    return found


def spotless(findings: Iterable[Finding], context: Context) -> list[str]:
    """The targets in which nothing was found and all could be read.

    A finding may lie in no target, such as one in the base of a policy. Then it is not known whose it is, and none is
    called clean.
    """
    targets = {target: steps(target) for target in context.targets}
    files = {steps(each.location.file) for each in findings} | {steps(file) for file, _ in context.unknown}
    owners = {file: {name for name, path in targets.items() if _within(file, path)} for file in files}
    if not all(owners.values()):
        return []
    dirty = {name for names in owners.values() for name in names}
    return [target for target in targets if target not in dirty]


def _within(file: tuple[str, ...], target: tuple[str, ...]) -> bool:
    return file[: len(target)] == target and file[:1] + target[:1] != ("",)


def steps(path: str) -> tuple[str, ...]:
    """The steps of a path from where it starts, the root or the working directory, without `.` and `..`."""
    found: list[str] = [""] if path.startswith("/") else []
    for step in path.split("/"):
        if step == ".." and found and found[-1] != "..":
            found[1 if found == [""] else -1 :] = []
        elif step not in ("", "."):
            found.append(step)
    return tuple(found)


def readable(text: str) -> str:
    """Text for people and their terminals: its lines stay, its control characters do not."""
    return "\n".join(clean(line) for line in text.replace("\r\n", "\n").split("\n"))


def shortened(text: str, limit: int) -> str:
    """Text that is cut where it would be too long for its place."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def words(each: Finding) -> list[str]:
    """A finding in paragraphs: what is wrong, why that matters, what to do, where to read about it."""
    parts = [
        each.message or each.rule,
        f"why: {each.effect}" if each.effect else "",
        f"help: {each.help}" if each.help else "",
        f"see: {', '.join(each.references)}" if each.references else "",
    ]
    return [part for part in parts if part]


_NO_CHARACTER = re.compile("[\ud800-\udfff]")
"""What stands in Python for bytes that are no UTF-8."""


def plain(value: Any) -> Any:
    """A value for JSON: named tuples as objects, and a mark in the place of bytes that are no UTF-8."""
    if isinstance(value, str):
        return _NO_CHARACTER.sub("\ufffd", value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {plain(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
