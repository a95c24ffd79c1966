"""One host on the page: what its clients meet, its listeners, and the differences file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from mailcfg.drift.difference import Difference, Ignored
from mailcfg.reports.differences import CAUSES, deciding, desired_by
from mailcfg.reports.drift.json import Because, Consequence, Listener, Meets
from mailcfg.reports.findings import NOWHERE
from mailcfg.reports.hosts import Host
from mailcfg.reports.page.markup import Child, Markup, join, tag
from mailcfg.reports.page.pieces import (
    Cell,
    Row,
    cell,
    code,
    column,
    fold,
    label,
    place,
    plural,
    row,
    sentences,
    severity,
    table,
    value,
)


def sections(host: Host, level: int) -> Iterator[Markup]:
    """All that is known of a host, each part under a heading of that level."""
    document = host.document
    if document.unknown:
        rows = [
            join(code(place(each.file, each.line)), ": ", each.reason or "no reason is given")
            for each in document.unknown
        ]
        yield _part(level, "Could not be read", sentences(rows, "unread"), class_="unknown")
    if document.consequences:
        changes = [_consequence(each, host) for each in document.consequences]
        yield _part(level, "What clients meet", sentences(changes, "consequences"))
    if document.endpoints:
        yield _part(level, "Listeners", _listeners(document.endpoints))
    if host.grave:
        yield _part(level, "Differences", _by_file(host.grave, level + 1))
    if host.harmless:
        summary = plural(len(host.harmless), "harmless difference")
        yield fold(
            join(summary, tag("span", ": no client meets anything else", class_="quiet")),
            _by_file(host.harmless, level + 1),
        )
    if document.ignored:
        yield fold(
            join(plural(len(document.ignored), "difference"), " ignored by the policy"),
            tag("ul", [_ignored(each) for each in document.ignored], class_="differences"),
        )


def _part(level: int, heading: str, *children: Child, class_: str | None = None) -> Markup:
    return tag("section", tag(f"h{level}", heading), children, class_=class_)


def _consequence(each: Consequence, host: Host) -> Markup:
    """A consequence with the settings that decide it: those that differ, and folded away those that only take part."""
    moved, others = deciding(each, host)
    return join(
        tag("p", severity(each.severity), " ", tag("strong", each.where), ": ", each.now, class_="sentence"),
        tag("p", "with the policy: ", each.was, class_="quiet"),
        tag("p", "because of ", _listed(list(map(_reason, moved))), class_="quiet") if moved else None,
        fold(
            tag(
                "span",
                f"and {plural(len(others), 'setting')} that {'does' if len(others) == 1 else 'do'} not differ",
                class_="quiet",
            ),
            tag("p", _listed(list(map(_reason, others))), class_="quiet"),
        )
        if others
        else None,
    )


def _reason(each: Because) -> Markup:
    setting = code(f"{each.setting} = {each.value}".rstrip()) if each.setting else each.words
    return join(setting, f" ({place(each.file, each.line)})" if each.file else "")


def _listed(items: Sequence[Markup]) -> list[Child]:
    return [join(", " if number else "", each) for number, each in enumerate(items)]


# --- listeners -------------------------------------------------------------------------------------------------------


COLUMNS = ("Listener", "TLS", "Versions", "AUTH before TLS", "AUTH inside TLS", "Mail without TLS")


def _listeners(listeners: Sequence[Listener]) -> Markup:
    caption = "What each listener does now, and what it does with the policy where that differs"
    return table(caption, [column(name) for name in COLUMNS], map(_row, listeners))


def _row(each: Listener) -> Row:
    name = f"port {each.port}" if each.port else each.service
    address = f" on {each.address}" if each.address else ""
    wanted = each.desired
    there = _told(wanted) if wanted else [None] * len(COLUMNS[1:])
    return row(
        cell(
            name, address, tag("span", each.service, class_="service"),
            None if wanted else label("warning", "not in the policy"),
        ),
        *(_cell(here, then) for here, then in zip(_told(each), there, strict=True)),
    )  # fmt: skip


def _told(each: Listener | Meets) -> list[str]:
    """What one side does, column by column."""
    return [
        each.tls if each.works else "dead",
        ", ".join(each.protocols) or "none",
        *(_mechanisms(names, each.legacy_auth_line) for names in (each.auth_before_tls, each.auth_after_tls)),
        "taken" if each.cleartext_mail else "refused",
    ]


def _mechanisms(names: Sequence[str], legacy: bool) -> str:
    """Mechanisms, and whether they are told a second time, to clients that know the line of old."""
    return (", ".join(names) + (", also as AUTH=" if legacy else "")) if names else "none"


BROKEN = ("broken", "dead")
"""What is no good even where the policy's files would do no better, such as those of a certificate that is gone."""


def _cell(here: str, there: str | None) -> Cell:
    if there is None or here == there:
        return cell(tag("strong", here), class_="broken") if here in BROKEN else cell(here)
    return cell(
        tag("span", tag("span", "≠ ", aria_hidden="true"), tag("strong", here), class_="now"),
        tag("span", "policy: ", there, class_="desired"),
        class_="differs",
    )


# --- differences -----------------------------------------------------------------------------------------------------


WHOLE = {"mode": "the file's mode", "owner": "the file's owner"}
"""What a difference is about that is about no setting."""


def _by_file(differences: Sequence[Difference], level: int) -> list[Markup]:
    return [
        tag(
            "section",
            tag(f"h{level}", code(file or NOWHERE), class_="file"),
            tag("ul", [tag("li", _difference(each)) for each in group], class_="differences"),
        )
        for file, group in groupby(differences, key=lambda each: each.file)
    ]


def _difference(each: Difference) -> Markup:
    what: Child = code(each.setting) if each.setting else WHOLE.get(each.kind, "the file")
    service = each.service if each.service != each.setting else ""
    return join(
        tag(
            "p", tag("strong", what), [" of ", code(service)] if service else None,
            " ", label(each.severity, each.kind),
            class_="what",
        ),
        tag(
            "dl",
            _side("Desired", desired_by(each), each.desired),
            _side("Live", f"line {each.line}" if each.line else "", each.live),
            class_="sides",
        ),
        sentences([*each.effects, *each.explanation], "why"),
        tag("p", CAUSES[each.cause].capitalize(), class_="quiet") if each.cause else None,
    )  # fmt: skip


def _side(name: str, where: str, what: str | None) -> Markup:
    return tag(
        "div", tag("dt", name, tag("span", " ", where, class_="where") if where else None), tag("dd", value(what))
    )


def _ignored(each: Ignored) -> Markup:
    why = tag("p", "Until ", tag("strong", each.until), ": ", each.because, class_="because")
    return tag(
        "li", tag("p", code(place(each.difference.file, each.difference.line))), why, _difference(each.difference)
    )
