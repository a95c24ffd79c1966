"""When certificates end: a picture of months with a bar for each, and the same as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mailcfg import dates
from mailcfg.dates import DAY
from mailcfg.reports.findings import shortened
from mailcfg.reports.hosts import Host
from mailcfg.reports.page.markup import Markup, join, tag
from mailcfg.reports.page.pieces import NAME as HOST
from mailcfg.reports.page.pieces import cell, code, column, fold, moment, plural, row, table

SOON, CLOSE = 30, 14
"""Days left at which a certificate is worth a look, and at which it is late: ACME clients renew at thirty."""

BEFORE, AFTER = 35, 400
"""Days before and after today that the picture shows at most."""

ROW, HEAD = 38, 46
"""Heights in pixels: of a certificate, and of the months above them."""

LEAST = 0.5
"""Per cent of the width that a bar has at least, to be seen."""

TICKS = 12
"""Months that are named at most."""

SHOWN = 60
"""Certificates that are seen at once: those that end first. The others are folded away."""

NAME = 34
"""Characters of a name in the picture; its tip and the table have all of them."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class End(NamedTuple):
    """The end of one certificate, in seconds since 1970, and the days that are left."""

    host: str
    name: str
    file: str
    moment: int
    days: int

    @property
    def grade(self) -> str:
        """How near the end is, as the class of its bar."""
        if self.days < 0:
            return "ended"
        return "close" if self.days < CLOSE else "soon" if self.days < SOON else "ok"


def newest(hosts: Sequence[Host]) -> int:
    """The page's today: when the last of the hosts was looked at, in seconds since 1970."""
    return max(host.document.checked for host in hosts)


def ends(hosts: Sequence[Host], today: int) -> list[End]:
    """Every certificate, the first to end first. What was left when an older document was written may be gone today."""
    found = [
        End(host.name, each.name, each.file, each.not_after, (each.not_after - today) // DAY)
        for host in hosts
        for each in host.document.certificates
    ]
    return sorted(found, key=lambda each: (each.moment, each.host, each.name))


def left(days: int) -> str:
    """How long a certificate lasts, in words."""
    if days < 0:
        return f"ended {plural(-days, 'day')} ago"
    return f"{plural(days, 'day')} left"


def timeline(hosts: Sequence[Host]) -> Markup:
    """The picture and the table of all certificates."""
    today = newest(hosts)
    found = ends(hosts, today)
    if not found:
        return tag("p", "No certificate could be read.", class_="quiet")
    several = len(hosts) > 1
    rows = [
        row(
            *([cell(code(shortened(each.host, HOST)))] if several else []),
            cell(code(each.name)),
            cell(code(each.file)),
            cell(moment(dates.date(each.moment))),
            cell(left(each.days), class_=each.grade),
        )
        for each in found
    ]
    columns = [column(name) for name in (*(["Host"] if several else []), "Certificate", "File", "Ends", "Left")]
    return join(
        tag("div", _picture(found[:SHOWN], found[-1].moment, today, several), class_="timeline"),
        fold(
            f"{plural(len(found) - SHOWN, 'certificate')} that last longer",
            tag("div", _picture(found[SHOWN:], found[-1].moment, today, several), class_="timeline"),
        )
        if len(found) > SHOWN
        else None,
        fold("The same as a table", table("Certificates by their end", columns, rows)),
    )


def _picture(found: Sequence[End], end: int, today: int, several: bool) -> Markup:
    """Bars from today to each end, on an axis that reaches to the last of all certificates, if that is not too far."""
    first = today - BEFORE * DAY
    last = min(today + AFTER * DAY, max(today + 90 * DAY, end + 20 * DAY))
    height = HEAD + ROW * len(found)

    def across(moment: int) -> str:
        return f"{min(100.0, max(0.0, 100 * (moment - first) / (last - first))):.2f}%"

    parts: list[Markup] = []
    months = dates.months(first, last)
    step = -(-len(months) // TICKS)
    for number, (first_day, year, month) in enumerate(months):
        x = across(first_day)
        parts.append(tag("line", x1=x, x2=x, y1=18, y2=height, class_="grid"))
        named = number % step == 0 and 100 * (first_day - first) < 95 * (last - first)
        if named:
            text = f"{MONTHS[month - 1]} {year}" if number == 0 or month <= step else MONTHS[month - 1]
            parts.append(tag("text", text, x=x, y=13, class_="month" if number % (3 * step) == 0 else "month minor"))
    for number, each in enumerate(found):
        parts.append(_bar(each, HEAD + ROW * number, today, across, several))
    x = across(today)
    parts += [
        tag("line", x1=x, x2=x, y1=22, y2=HEAD - 10, class_="today"),
        tag("text", f"{'newest check' if several else 'checked'} {dates.date(today)}", x=x, dx=5, y=32, class_="now"),
    ]
    title = f"When {plural(len(found), 'certificate')} end{'s' * (len(found) == 1)}"
    return tag(
        "svg", tag("title", title), parts,
        role="img", width="100%", height=height, aria_label=f"{title}; the table below says the same",
    )  # fmt: skip


def _bar(each: End, top: int, today: int, across: Callable[[int], str], several: bool) -> Markup:
    start, end = sorted((across(today), across(each.moment)), key=lambda at: float(at[:-1]))
    width = f"{max(LEAST, float(end[:-1]) - float(start[:-1])):.2f}%"
    name = f"{each.host}: {each.name}" if several else each.name
    beyond = " →" if each.days > AFTER else ""
    said = f"{dates.date(each.moment)}, {left(each.days)}{beyond}"
    return tag(
        "g",
        tag("title", f"{name}: {said}"),
        tag("rect", x="0", y=top + 20, width="100%", height=8, class_="track"),
        tag("rect", x=start, y=top + 20, width=width, height=8, class_=f"bar {each.grade}"),
        tag("line", x1=across(today), x2=across(today), y1=top + 18, y2=top + 30, class_="today"),
        tag("text", shortened(name, NAME), x="0", y=top + 14, class_="name"),
        tag("text", said, x="100%", y=top + 14, class_=f"end {each.grade}"),
    )
