"""What a plan says of a host: what changes in its files, and what that does to whoever meets it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.behaviour.changes import Change
from mailcfg.configuration import Configuration
from mailcfg.problem import Finding
from mailcfg.rule import Subject

Status = Literal["changed", "unchanged", "new", "removed", "unknown"]
"""`unknown`: one of the two sides could not be told."""


class Side(NamedTuple):
    """A host as one revision has it. `raised` is all that the rules and the compiler say of it, `counted` what of that
    its policy does not accept.
    """

    subject: Subject
    raised: tuple[Finding, ...]
    counted: tuple[Finding, ...]

    @property
    def configuration(self) -> Configuration:
        """What the policy compiles to."""
        return self.subject.configuration


class Altered(NamedTuple):
    """One value of a file of the host. `of` is the service, or the certificate, that it belongs to; `was` and `now` are
    None where that side has none. `key` is the key of the policy that decides it now, or decided it.
    """

    file: str
    of: str
    name: str
    was: str | None
    now: str | None
    key: str


class Diff(NamedTuple):
    """The lines of a file that change, each with a `+`, a `-`, or a space for what stays and says where."""

    path: str
    lines: tuple[str, ...]


class Judged(NamedTuple):
    """A finding that the change brings (`new`), mends (`gone`), or that stays and is accepted from now on."""

    change: Literal["new", "gone", "accepted"]
    finding: Finding


class HostPlan(NamedTuple):
    """What changes for one host. `site` is the policy as it was named, `renamed_from` where it was another file.
    `notes` are what else a reader must know; of an `unknown` host they say why it is.
    """

    site: str
    hostname: str
    status: Status
    renamed_from: str = ""
    notes: tuple[str, ...] = ()
    host: tuple[Altered, ...] = ()
    parameters: tuple[Altered, ...] = ()
    services: tuple[Altered, ...] = ()
    sasl: tuple[Altered, ...] = ()
    files: tuple[Altered, ...] = ()
    certificates: tuple[Altered, ...] = ()
    behaviour: tuple[Change, ...] = ()
    findings: tuple[Judged, ...] = ()
    diffs: tuple[Diff, ...] = ()

    @property
    def weaker(self) -> bool:
        """Whether an endpoint or a way out protects less than before."""
        return any(each.weaker for each in self.behaviour)


class Plan(NamedTuple):
    """What becomes of every host. `base` is the revision as it was named, `commit` what it is."""

    base: str
    commit: str
    hosts: tuple[HostPlan, ...]
