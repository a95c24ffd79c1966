"""The page: one file of HTML that needs nothing else, for one host or for many."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256

from mailcfg import __version__, dates, resources
from mailcfg.reports.findings import shortened
from mailcfg.reports.hosts import Host, counted
from mailcfg.reports.page import host as one_host
from mailcfg.reports.page.markup import Child, Markup, document, join, raw, tag
from mailcfg.reports.page.overview import overview, rank, tiles
from mailcfg.reports.page.pieces import SENTENCE, code, moment, plural, state
from mailcfg.reports.page.timeline import timeline


def page(hosts: Sequence[Host]) -> str:
    """The page of some hosts. The same documents give the same bytes."""
    if len(hosts) == 1:
        [host] = hosts
        return _page(f"{shortened(host.name, SENTENCE)}: {counted(hosts)}", _one(host))
    ordered = sorted(hosts, key=rank)
    return _page(f"{len(hosts)} hosts: {counted(hosts)}", _many(ordered))


def _page(title: str, body: Child) -> str:
    style, script = resources.template("report.css"), resources.template("report.js")
    policy = (
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content="; ".join(policy)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=f"mailcfg {__version__}"),
        # Without it a browser would ask the server for an icon.
        tag("link", rel="icon", href="data:,"),
        tag("title", f"mailcfg drift: {title}"),
        raw("style", style),
    )
    skip = tag("a", "Skip to the content", href="#content", class_="skip")
    foot = tag("footer", tag("p", f"Made by mailcfg {__version__} from what ", code("mailcfg drift"), " found."))
    return document(tag("html", head, tag("body", skip, body, foot, raw("script", script)), lang="en"))


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _header(*children: Child) -> Markup:
    return tag("header", tag("p", "mailcfg drift", class_="product"), children)


def _main(*children: Child) -> Markup:
    return tag("main", children, id="content", tabindex="-1")


def _one(host: Host) -> Markup:
    found = host.document
    facts = [
        plural(len(host.grave), "difference"),
        f"{len(host.harmless)} harmless" if host.harmless else "",
        f"{len(found.ignored)} ignored" if found.ignored else "",
        f"{plural(len(found.unknown), 'place')} that could not be read" if found.unknown else "",
    ]
    parts = list(one_host.sections(host, 2))
    if not parts:
        parts = [tag("p", "Nothing differs from the policy.", class_="quiet")]
    certificates = tag("section", tag("h2", "Certificates"), timeline([host]))
    return join(
        _header(
            tag("h1", code(shortened(host.name, SENTENCE)), " ", state(found.status)),
            tag("p", ", ".join(filter(None, facts)), ", checked ", moment(dates.minute(found.checked)), class_="facts"),
        ),
        _main(parts, certificates),
    )


def _many(hosts: Sequence[Host]) -> Markup:
    anchors = _anchors([host.name for host in hosts])
    moments = [host.document.checked for host in hosts]
    first, last = moment(dates.minute(min(moments))), moment(dates.minute(max(moments)))
    when = join("checked ", first) if first == last else join("checked from ", first, " to ", last)
    return join(
        _header(tag("h1", f"{len(hosts)} mail hosts"), tiles(hosts), tag("p", when, class_="facts")),
        _main(
            tag("section", tag("h2", "Overview"), overview(hosts, anchors)),
            tag("section", tag("h2", "Certificates"), timeline(hosts)),
            tag(
                "section",
                tag("h2", "Host by host"),
                [_folded(host, anchor) for host, anchor in zip(hosts, anchors, strict=True)],
            ),
        ),
    )


def _folded(host: Host, anchor: str) -> Markup:
    parts = list(one_host.sections(host, 4))
    found = host.document
    facts = ", ".join(
        filter(
            None,
            (
                plural(len(host.grave), "difference") if found.differences or found.unknown else "",
                f"{len(host.harmless)} harmless" if host.harmless else "",
                f"{len(found.ignored)} ignored" if found.ignored else "",
            ),
        )
    )
    # The heading has the anchor, not what folds: a browser opens what it must to show the place it was sent to.
    return tag(
        "details",
        tag(
            "summary",
            tag("h3", code(shortened(host.name, SENTENCE))),
            " ",
            state(found.status),
            tag("span", facts, class_="facts"),
        ),
        tag(
            "div",
            tag("p", "Checked ", moment(dates.minute(found.checked)), id=anchor, tabindex="-1", class_="quiet"),
            parts or tag("p", "Nothing differs from the policy.", class_="quiet"),
        ),
        class_=f"host {found.status}",
        data_host=anchor,
    )


def _anchors(names: Sequence[str]) -> list[str]:
    """A word for each name, to be a place on the page; those of one look are numbered."""
    found: dict[str, None] = {}
    for name in names:
        word = "host-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        number = 1
        anchor = word
        while anchor in found:
            number += 1
            anchor = f"{word}-{number}"
        found[anchor] = None
    return list(found)
