"""A plan as a JSON document, with the schema `plan`."""

from __future__ import annotations

from json import dumps
from typing import Literal, NamedTuple

from mailcfg.plan.model import Altered, Diff, HostPlan, Judged, Plan, Status
from mailcfg.reports.findings import plain
from mailcfg.reports.plan import summary

SCHEMA = "mailcfg/plan/1"


class Base(NamedTuple):
    """What is compared with: the revision as it was named, and the id of its commit (empty where the policies are of
    more than one repository).
    """

    revision: str
    commit: str


class Met(NamedTuple):
    """One thing that a client meets otherwise, in sentences that are true before and after. `weaker`: the endpoint or
    way out protects less. `service` is one of master.cf, `aspect` what it is about.
    """

    where: str
    service: str
    aspect: str
    was: str
    now: str
    weaker: bool
    severity: Literal["error", "warning", "info"]


class Found(NamedTuple):
    """A finding of a rule that the change brings, mends, or that it lets the policy accept. File and line are those of
    the side that has it; `line` is null where there is none.
    """

    change: Literal["new", "gone", "accepted"]
    rule: str
    severity: Literal["error", "warning", "info"]
    message: str
    setting: str
    service: str
    file: str
    line: int | None


class Host(NamedTuple):
    """What changes for one host. `site` is the policy, `renamed_from` what it was called or empty; `hostname` is empty
    where it is not known. `weaker`: something protects less. `unknown` hosts have the reason in `notes`. The values of
    passwords are hidden.
    """

    site: str
    hostname: str
    status: Status
    weaker: bool
    summary: str
    renamed_from: str
    notes: tuple[str, ...]
    host: tuple[Altered, ...]
    parameters: tuple[Altered, ...]
    services: tuple[Altered, ...]
    sasl: tuple[Altered, ...]
    files: tuple[Altered, ...]
    certificates: tuple[Altered, ...]
    behaviour: tuple[Met, ...]
    findings: tuple[Found, ...]
    diffs: tuple[Diff, ...]


class Document(NamedTuple):
    """The plan for all hosts, in the order in which their policies were named."""

    schema: str
    base: Base
    hosts: tuple[Host, ...]


def render(plan: Plan, limit: int, color: bool) -> str:
    """The plan as JSON, in ASCII. A limit has no meaning for it."""
    document = Document(SCHEMA, Base(plan.base, plan.commit), tuple(map(_host, plan.hosts)))
    return dumps(plain(document), indent=2) + "\n"


def _host(plan: HostPlan) -> Host:
    return Host(
        plan.site,
        plan.hostname,
        plan.status,
        plan.weaker,
        summary(plan) if plan.status != "unchanged" else "nothing changes",
        plan.renamed_from,
        plan.notes,
        plan.host,
        plan.parameters,
        plan.services,
        plan.sasl,
        plan.files,
        plan.certificates,
        tuple(Met(*each[:7]) for each in plan.behaviour),
        tuple(map(_found, plan.findings)),
        plan.diffs,
    )


def _found(each: Judged) -> Found:
    found = each.finding
    where = found.location
    return Found(
        each.change,
        found.rule,
        found.severity.value,
        found.message,
        found.setting,
        found.service,
        where.file,
        where.line or None,
    )
