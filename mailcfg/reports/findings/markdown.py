"""Findings as Markdown, for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailcfg.problem import Finding
from mailcfg.reports.findings import NOWHERE, Context, by_file, counted, readable, shortened, spotless, unread, words
from mailcfg.reports.text import WORDS

LIMIT = 60_000
"""Characters of the whole text; GitHub refuses a comment of more than 65,536."""

CELL = 1000
"""Characters of one text in a cell, before they are escaped."""

NAMED = 20
"""How many clean targets are named; more are counted."""


class Section(NamedTuple):
    """A heading and the table under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def head(self) -> str:
        """All that comes before the rows."""
        return f"\n#### {self.title}\n\n{_row(self.columns)}{_row(('---',) * len(self.columns))}"


def render(findings: Sequence[Finding], context: Context) -> str:
    """The comment. It says so when nothing was found, since it may take the place of one that said otherwise."""
    summary = "; ".join(part for part in (counted(findings), unread(context)) if part) or "nothing found"
    clean = spotless(findings, context)
    foot = ""
    if clean:
        named = ", ".join(map(_code, clean)) if len(clean) <= NAMED else f"{len(clean)} targets"
        foot = f"\nNothing found in {named}.\n"
    return _fitted(f"### mailcfg check: {summary}\n", list(_sections(findings, context)), foot)


def _fitted(head: str, sections: list[Section], foot: str) -> str:
    """As many rows as there is room for, and how many are left out."""
    out = [head]
    room = LIMIT - len(head) - len(foot) - 100
    left = sum(len(section.rows) for section in sections)
    for title, row in ((section.head() * (not n), row) for section in sections for n, row in enumerate(section.rows)):
        text = title + _row(row)
        if len(text) > room:
            out.append(f"\n{left} more {'row does' if left == 1 else 'rows do'} not fit here.\n")
            break
        out.append(text)
        room -= len(text)
        left -= 1
    return "".join([*out, foot])


def _sections(findings: Sequence[Finding], context: Context) -> Iterator[Section]:
    if context.unknown:
        rows = tuple((_code(file), _escaped(reason)) for file, reason in context.unknown)
        yield Section("Could not be read", ("File", "Reason"), rows)
    for file, group in by_file(findings).items():
        columns = ("Severity", "Rule", "Line", "Setting", "Finding")
        yield Section(_code(file) if file else NOWHERE, columns, tuple(map(_cells, group)))


def _cells(each: Finding) -> tuple[str, ...]:
    about = [_code(part) for part in (each.setting, each.service) if part]
    line = str(each.location.line or "")
    return WORDS[each.severity], _code(each.rule), line, "<br>".join(about), "<br>".join(map(_escaped, words(each)))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _code(text: str) -> str:
    """A name as code. HTML, since a span of backticks would need as many as the name has, and one more."""
    return f"<code>{_escaped(text)}</code>"


NOTHING = "&#8203;"
"""A space without width: GitHub looks for people and issues to link in what is left once all is unescaped."""

ESCAPES = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "$": "&#36;",
    "@": f"@{NOTHING}",
    "#": f"#{NOTHING}",
    "\n": "<br>",
    **{sign: f"\\{sign}" for sign in "\\`*_[]~|"},
}
"""Whatever Markdown, HTML and GitHub's formulas, mentions and issues begin with."""

BARE_LINK = re.compile(r"(?i)(www)(\.)|()(://)")


def _escaped(text: str) -> str:
    text = shortened(readable(text), CELL)
    return BARE_LINK.sub(r"\1\3\\\2\4", "".join(ESCAPES.get(each, each) for each in text))
