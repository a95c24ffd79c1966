"""Findings as a JSON document, with the schema `findings`."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from typing import Literal, NamedTuple

from mailcfg.problem import Finding
from mailcfg.reports.findings import Context, plain

SCHEMA = "mailcfg/findings/1"


class Row(NamedTuple):
    """One finding. `setting` is a parameter and `service` a service of master.cf, empty where it is about none; `line`
    and `column` count from 1, in characters, and are null where there is none. `effect` says what it lets happen.
    """

    rule: str
    severity: Literal["error", "warning", "info"]
    message: str
    setting: str
    service: str
    file: str
    line: int | None
    column: int | None
    effect: str
    help: str
    references: tuple[str, ...]


class Unread(NamedTuple):
    """A file that could not be read, and why."""

    file: str
    reason: str


class Document(NamedTuple):
    """The answer for all targets. Unless `unknown` is empty, there may be more to find."""

    schema: str
    findings: tuple[Row, ...]
    unknown: tuple[Unread, ...]


def render(findings: Sequence[Finding], context: Context) -> str:
    """The findings as JSON, in ASCII."""
    unknown = tuple(Unread(file, reason) for file, reason in context.unknown)
    return dumps(plain(Document(SCHEMA, tuple(map(_row, findings)), unknown)), indent=2) + "\n"


def _row(each: Finding) -> Row:
    where = each.location
    return Row(
        rule=each.rule,
        severity=each.severity.value,
        message=each.message,
        setting=each.setting,
        service=each.service,
        file=where.file,
        line=where.line or None,
        column=(where.line and where.column) or None,
        effect=each.effect,
        help=each.help,
        references=each.references,
    )
