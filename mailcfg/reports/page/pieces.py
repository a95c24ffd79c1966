"""The pieces of which the page is made: labels, names, values, tables and parts that fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mailcfg.drift.difference import Status
from mailcfg.reports.hosts import STATES
from mailcfg.reports.page.markup import Child, Markup, tag

MARKS = {
    "in-sync": "✓",
    "drift": "≠",
    "unknown": "?",
    "error": "✕",
    "warning": "!",
    "info": "i",
}  # fmt: skip
"""A sign before each label, for those who do not see its colour."""


def label(name: str, words: str, mark: str = "") -> Markup:
    """A word in a frame of its colour, with a sign."""
    sign = tag("span", mark or MARKS[name], aria_hidden="true", class_="mark")
    return tag("span", sign, " ", words, class_=f"label {name}")


def state(status: Status) -> Markup:
    """The state of a host."""
    return label(status, STATES[status])


def severity(name: str) -> Markup:
    """How grave something is."""
    return label(name, "note" if name == "info" else name)


def code(text: str) -> Markup:
    """A name or a value, kept to itself whichever way it is written."""
    return tag("code", text)


LONG = 2000
"""Characters from which a value is folded: no list of ciphers has so many."""


def value(text: str | None) -> Markup:
    """A value of one side: nothing and the empty text are told apart."""
    if text is None:
        return tag("span", "absent", class_="none")
    if len(text) > LONG:
        return fold(code(f"{text[:SENTENCE]}…"), code(text))
    return code(text) if text else tag("span", "empty", class_="none")


def place(file: str, line: int | None) -> str:
    """A place in a file."""
    return f"{file}:{line}" if line else file


def plural(count: int, word: str) -> str:
    """A number and what is counted."""
    return f"{count} {word}{'s' * (count != 1)}"


def fold(summary: Child, *children: Child) -> Markup:
    """What is not seen until somebody opens it."""
    return tag("details", tag("summary", summary), children)


class Cell(NamedTuple):
    """What stands in a cell of a table, and its attributes."""

    content: Child
    attributes: dict[str, str | None]


def cell(*content: Child, **attributes: str | None) -> Cell:
    """A cell."""
    return Cell(content, attributes)


class Row(NamedTuple):
    """A row of a table: its first cell heads it."""

    cells: Sequence[Cell]
    attributes: dict[str, str | None]


def row(*cells: Cell, **attributes: str | None) -> Row:
    """A row."""
    return Row(cells, attributes)


def table(caption: str, columns: Sequence[Cell], rows: Iterable[Row], **attributes: str | None) -> Markup:
    """A table. On a narrow page its rows are cards, with the column's name before each cell; the roles, which browsers
    forget then, are told for it.
    """
    names = [str(each.attributes.get("data_name") or "") for each in columns]
    head = [
        tag("th", each.content, scope="col", role="columnheader", **{**each.attributes, "data_name": None})
        for each in columns
    ]
    body = [
        tag(
            "tr",
            [
                tag("td", each.content, role="cell", data_name=name, **each.attributes)
                if number
                else tag("th", each.content, scope="row", role="rowheader", **each.attributes)
                for number, (each, name) in enumerate(zip(found.cells, names, strict=True))
            ],
            role="row",
            **found.attributes,
        )
        for found in rows
    ]
    inner = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head, role="row"), role="rowgroup"),
        tag("tbody", body, role="rowgroup"),
        role="table",
        **attributes,
    )
    return tag("div", inner, class_="wide")


def column(name: str, **attributes: str | None) -> Cell:
    """The head of a column."""
    return Cell(name, {"data_name": name, **attributes})


def moment(text: str) -> Markup:
    """A date, with or without the time of day."""
    return tag("time", text, datetime=text.replace(" UTC", "Z").replace(" ", "T"))


NAME, SENTENCE = 80, 180
"""Characters of a name and of a sentence where there is little room; elsewhere on the page is all of it."""


def sentences(items: Iterable[Child], class_: str) -> Markup | None:
    """A list; nothing for none."""
    found = [tag("li", each) for each in items]
    return tag("ul", found, class_=class_) if found else None
