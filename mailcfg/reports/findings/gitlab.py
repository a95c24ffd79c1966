"""Findings as GitLab's report of code quality, which a merge request shows beside the lines that it changes.

The format is in GitLab's documentation, under Code Quality; it has no schema of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from json import dumps
from typing import Any

from mailcfg.problem import Finding, Severity
from mailcfg.reports.findings import NOWHERE, Context, plain, readable, shortened, steps

SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}
"""Of `info`, `minor`, `major`, `critical` and `blocker`, which GitLab knows."""

UNREAD = "could-not-be-read"

LENGTH = 1000
"""Characters of one description."""


def render(findings: Sequence[Finding], context: Context) -> str:
    """The report, in ASCII. What could not be read blocks: there may be more to find."""
    told = Counter[str]()
    rows = [_row(told, UNREAD, "blocker", reason, file, 0, file) for file, reason in context.unknown]
    for each in findings:
        words = f"{each.message or each.rule}: {each.effect}" if each.effect else each.message or each.rule
        where = each.location
        same = "\0".join((each.rule, where.file, each.setting, each.service, each.message))
        rows.append(_row(told, each.rule, SEVERITIES[each.severity], words, where.file, where.line, same))
    return dumps(plain(rows), indent=2) + "\n"


def _row(told: Counter[str], rule: str, severity: str, words: str, file: str, line: int, same: str) -> dict[str, Any]:
    """One violation. Its fingerprint is the same when only its line moves: GitLab tells by it what a change brings."""
    told[same] += 1
    fingerprint = sha256(f"{rule}\0{same}\0{told[same]}".encode(errors="surrogatepass")).hexdigest()
    return {
        "description": shortened(" ".join(readable(words).split()), LENGTH),
        "check_name": readable(rule),
        "fingerprint": fingerprint,
        "severity": severity,
        # A path of the repository, as GitLab has it.
        "location": {"path": readable("/".join(steps(file))) or NOWHERE, "lines": {"begin": max(line, 1)}},
    }
