"""Findings as workflow commands: GitHub Actions shows them beside the lines that they are about."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.problem import Finding, Severity
from mailcfg.reports.findings import Context, readable, shortened, words

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}

LIMIT = 4000
"""Characters of a message. GitHub takes 64 KiB, and shows a few lines."""


def render(findings: Sequence[Finding], context: Context) -> str:
    """A command for each finding and for each file that could not be read; empty for none."""
    lines = [_command(LEVELS[each.severity], _properties(each), "\n".join(words(each))) for each in findings]
    for file, reason in context.unknown:
        properties = {"file": file, "title": "mailcfg could not read it"}
        lines.append(_command("error", properties, reason or "unknown"))
    return "".join(f"{line}\n" for line in lines)


def _properties(each: Finding) -> dict[str, str]:
    where = each.location
    properties = {"file": where.file}
    if where.line:
        properties["line"] = str(where.line)
        if where.column:
            properties["col"] = str(where.column)
            properties["endColumn"] = str(where.column + max(1, where.length))
    return {**properties, "title": each.rule}


def _command(level: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level} {given}::{_data(message)}"


def _data(text: str) -> str:
    """The message of a command: what would end its line is escaped."""
    text = shortened(readable(text), LIMIT)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The value of a property: what would end the value is escaped too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
