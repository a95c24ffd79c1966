"""Markdown as GitHub and GitLab show it: tables under headings, any text made harmless, as much as a comment holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mailcfg.reports.findings import readable, shortened

LIMIT = 60_000
"""Characters of the whole text; GitHub refuses a comment of more than 65,536."""

CELL = 1000
"""Characters of one text in a cell, before they are escaped."""


class Section(NamedTuple):
    """A heading and the table under it; `folded`: only the title is seen until somebody opens it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False

    def head(self) -> str:
        """All that comes before the rows."""
        title = f"<details><summary>{self.title}</summary>" if self.folded else f"#### {self.title}"
        return f"\n{title}\n\n{row(self.columns)}{row(('---',) * len(self.columns))}"

    def foot(self) -> str:
        """What comes after the last of them."""
        return "\n</details>\n" if self.folded else ""


def fitted(head: str, sections: Sequence[Section], foot: str) -> str:
    """As many rows as there is room for, and how many are left out."""
    out = [head]
    room = LIMIT - len(head) - len(foot) - 100
    left = sum(len(section.rows) for section in sections)
    for section in sections:
        shown = 0
        for cells in section.rows:
            text = section.head() * (not shown) + row(cells)
            if len(text) + len(section.foot()) > room:
                break
            out.append(text)
            room -= len(text)
            shown += 1
        if shown:
            out.append(section.foot())
            room -= len(section.foot())
        left -= shown
        if shown < len(section.rows):
            out.append(f"\n{left} more {'row does' if left == 1 else 'rows do'} not fit here.\n")
            break
    return "".join([*out, foot])


def row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |\n"


def code(text: str) -> str:
    """A name as code. HTML, since a span of backticks would need as many as the name has, and one more."""
    return f"<code>{escaped(text)}</code>"


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


def escaped(text: str) -> str:
    """Any text as a text of Markdown, cut where it is too long for a cell."""
    text = shortened(readable(text), CELL)
    return BARE_LINK.sub(r"\1\3\\\2\4", "".join(ESCAPES.get(each, each) for each in text))
