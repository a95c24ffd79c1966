"""Drift as Markdown, for a comment, a ticket or a chat: the hosts, what clients meet, and the differences by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcfg import dates
from mailcfg.reports.differences import CONSEQUENCE, TITLE, context_of, findings_of, gravest
from mailcfg.reports.findings import counted as counted_findings
from mailcfg.reports.findings import markdown, unread
from mailcfg.reports.hosts import STATES, Host, counted
from mailcfg.reports.markdown import Section, code, escaped, fitted


def render(hosts: Sequence[Host]) -> str:
    """The comment. It says so when all is in sync, since it may take the place of one that said otherwise."""
    if len(hosts) == 1:
        return fitted(f"### {TITLE}: {escaped(hosts[0].name)}: {_summary(hosts[0])}\n", list(_sections(hosts[0])), "")
    sections = [_overview(hosts)]
    for host in hosts:
        sections += [each._replace(title=f"{escaped(host.name)}: {each.title}") for each in _sections(host)]
    return fitted(f"### {TITLE}: {len(hosts)} hosts: {counted(hosts)}\n", sections, "")


def _summary(host: Host) -> str:
    context = context_of(host)
    return "; ".join(part for part in (counted_findings(findings_of(host)), unread(context)) if part) or context.clean


def _overview(hosts: Sequence[Host]) -> Section:
    columns = ("Host", "State", "Gravest", "Differences", "Next certificate ends", "Checked")
    return Section("Hosts", columns, tuple(map(_host, hosts)))


def _host(host: Host) -> tuple[str, ...]:
    document = host.document
    expiry = host.next_expiry
    worst = gravest(host)
    return (
        code(host.name),
        STATES[document.status],
        f"{worst.severity}: {escaped(worst.words)}" if worst else "",
        str(len(document.differences)),
        f"{code(expiry.name)}: {dates.date(expiry.not_after)}" if expiry else "",
        dates.minute(document.checked),
    )


def _sections(host: Host) -> Iterator[Section]:
    changes = host.document.consequences
    if changes:
        rows = tuple((each.severity, code(each.where), escaped(each.now), escaped(each.was)) for each in changes)
        yield Section("What clients meet", ("Severity", "Where", "Now", "With the policy"), rows)
    found = [each for each in findings_of(host) if each.rule != CONSEQUENCE]
    yield from markdown.sections(found, context_of(host))
