"""What an apply or a rollback did, or would do, as JSON, with the schema `apply`."""

from __future__ import annotations

from json import dumps
from typing import Literal, NamedTuple

from mailcfg.behaviour.changes import Severity
from mailcfg.reports.findings import plain

SCHEMA = "mailcfg/apply/1"

Status = Literal["unchanged", "planned", "refused", "applied", "rolled-back"]
"""`planned`: by a dry run; `refused`: nothing was touched, `reasons` say why; `rolled-back`: what was switched is as it
was before, on request or since Postfix did not do what was predicted.
"""


class FileDocument(NamedTuple):
    """A file that changes: `mode` in octal as it will be, null where it goes."""

    path: str
    change: Literal["written", "changed", "status", "removed"]
    mode: str | None


class MetDocument(NamedTuple):
    """One thing that a client meets otherwise, in sentences that are true before and after. `weaker`: it protects less.
    `service` is one of master.cf, `aspect` what it is about.
    """

    where: str
    service: str
    aspect: str
    was: str
    now: str
    weaker: bool
    severity: Severity


class LeftDocument(NamedTuple):
    """A difference that is not the policy's to mend."""

    kind: str
    file: str
    line: int | None
    setting: str
    service: str
    live: str | None


class Document(NamedTuple):
    """What was done to one machine, or would be. `generation` is the one in force now, 0 for none; `verified`: every
    listener was asked over the wire and agrees; `postfix` says how it was told. `said` is what a person reads, line by
    line.
    """

    schema: str
    site: str
    source: str
    status: Status
    generation: int
    verified: bool
    postfix: Literal["nothing", "reload", "restart"]
    files: tuple[FileDocument, ...]
    certificates: tuple[str, ...]
    consequences: tuple[MetDocument, ...]
    reasons: tuple[str, ...]
    left: tuple[LeftDocument, ...]
    said: tuple[str, ...]


def render(document: Document) -> str:
    """The document as JSON."""
    return dumps(plain(document), indent=2, ensure_ascii=False) + "\n"
