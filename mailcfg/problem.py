"""What is wrong and where: Location, Severity, Finding, and the error that carries findings."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """How grave a finding is. The value is the word that people and JSON see."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Location(NamedTuple):
    """A place in a text. `line` and `column` count from 1, in characters; `length` is how many characters to underline.

    `text` is the line itself, for the excerpt; it is empty where there is none (a missing file).
    """

    file: str
    line: int = 0
    column: int = 0
    length: int = 1
    text: str = ""


class Finding(NamedTuple):
    """One thing to tell a person, with what to do about it.

    `rule` is a stable identifier in kebab-case. `effect` says what it lets happen or why it is so, in one sentence.
    `key` is the policy key that it is about, such as `submission.tls`; `setting` the parameter, and `service` the
    service of master.cf, such as `smtp/inet`.
    """

    rule: str
    severity: Severity
    message: str
    location: Location
    effect: str = ""
    help: str = ""
    key: str = ""
    references: tuple[str, ...] = ()
    setting: str = ""
    service: str = ""


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by file, position and rule; the same finding said twice is kept once."""
    return sorted(set(findings), key=lambda f: (f.location.file, f.location.line, f.location.column, f.rule, f.message))


class PolicyError(Exception):
    """A policy that cannot be compiled. `findings` holds every error, and the warnings found on the way."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = in_order(findings)
        super().__init__("; ".join(finding.message for finding in self.findings))
