"""Many hosts in one table, to be filtered and sorted where scripts run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mailcfg import dates
from mailcfg.reports.differences import gravest
from mailcfg.reports.findings import shortened
from mailcfg.reports.hosts import SEVERITIES, STATES, Host
from mailcfg.reports.page.markup import Markup, join, tag
from mailcfg.reports.page.pieces import (
    MARKS,
    NAME,
    SENTENCE,
    Row,
    cell,
    code,
    column,
    moment,
    plural,
    row,
    severity,
    state,
    table,
)
from mailcfg.reports.page.timeline import End, ends, left, newest

QUIET = tag("span", "nothing", class_="quiet")


def rank(host: Host) -> tuple[int, int, str]:
    """The order in which hosts ask for a person: by state, then by what is gravest, then by name."""
    worst = gravest(host)
    grade = SEVERITIES.index(worst.severity) if worst else len(SEVERITIES)
    return list(STATES).index(host.document.status), grade, host.name


STALE = 2
"""Days behind the newest check from which a host is said to be: its own check may have stopped."""


def tiles(hosts: Sequence[Host]) -> Markup:
    """How many hosts are in which state."""
    counts = Counter(host.document.status for host in hosts)
    return tag(
        "ul",
        [
            tag(
                "li",
                tag("span", str(counts[status]), class_="number"),
                tag("span", tag("span", MARKS[status], " ", aria_hidden="true"), words, class_="words"),
                class_=f"tile {status}",
            )
            for status, words in STATES.items()
        ],
        class_="tiles",
    )  # fmt: skip


def overview(hosts: Sequence[Host], anchors: Sequence[str]) -> Markup:
    """The table, and the form that filters it, which a script brings to sight."""
    today = newest(hosts)
    head = [
        column(words, data_sort=kind)
        for words, kind in (
            ("Host", "text"),
            ("State", "number"),
            ("Gravest", "number"),
            ("Differences", "number"),
            ("Certificate ends", "number"),
            ("Checked", "number"),
        )
    ]
    rows = [_row(number, host, anchor, today) for number, (host, anchor) in enumerate(zip(hosts, anchors, strict=True))]
    states = [
        tag("button", words, type="button", data_state=status, aria_pressed="false") for status, words in STATES.items()
    ]
    form = tag(
        "form",
        tag("label", "Filter hosts", for_="filter"),
        tag("input", type="search", id="filter", autocomplete="off", spellcheck="false", aria_describedby="key"),
        tag("span", "press ", tag("kbd", "/"), " to come here", id="key", class_="quiet"),
        tag("span", states, class_="states", role="group", aria_label="Only hosts that are"),
        tag("p", role="status", id="shown", class_="quiet"),
        id="tools",
        role="search",
        hidden="",
    )
    return join(form, table("Hosts, the gravest first", head, rows, id="hosts", class_="hosts"))


def _row(number: int, host: Host, anchor: str, today: int) -> Row:
    document = host.document
    worst = gravest(host)
    first: End | None = next(iter(ends([host], today)), None)
    _, grade, _ = rank(host)
    count = str(len(host.grave))
    besides = ", ".join(
        f"{some} {word}"
        for some, word in ((len(host.harmless), "harmless"), (len(document.ignored), "ignored"))
        if some
    )
    age = (today - document.checked) // dates.DAY
    return row(
        cell(tag("a", code(shortened(host.name, NAME)), href=f"#{anchor}"), data_key=host.name),
        cell(state(document.status), data_key=str(number)),
        cell(
            join(severity(worst.severity), " ", shortened(worst.words, SENTENCE)) if worst else QUIET,
            data_key=f"{grade * 100_000 + number}",
            class_="gravest",
        ),
        cell(count, tag("span", besides, class_="left") if besides else None, data_key=count, class_="count"),
        cell(
            join(moment(dates.date(first.moment)), tag("span", left(first.days), class_=f"left {first.grade}"))
            if first
            else tag("span", "not known", class_="quiet"),
            data_key=str(first.moment if first else dates.LAST),
        ),
        cell(
            moment(dates.date(document.checked)),
            tag("span", dates.minute(document.checked)[11:], class_="left"),
            tag("span", f"{plural(age, 'day')} behind", class_="left soon") if age >= STALE else None,
            data_key=str(document.checked),
        ),
        data_host=anchor,
        data_state=document.status,
    )
