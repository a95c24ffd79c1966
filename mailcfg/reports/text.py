"""Findings as people read them: position, message, the line with a caret, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailcfg.problem import Finding, Severity

COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}

WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def findings(found: Iterable[Finding], *, color: bool = False) -> str:
    """Every finding, with an empty line between them; empty for none."""
    return "\n".join(finding(each, color=color) for each in found)


def finding(each: Finding, *, color: bool = False) -> str:
    """One finding as text that ends in a newline."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if color else text

    where = each.location
    place = where.file
    if where.line:
        place += f":{where.line}:{where.column}"
    label = paint(f"1;{COLORS[each.severity]}", f"{WORDS[each.severity]}[{each.rule}]")
    lines = [f"{paint('1', clean(place) + ':')} {label} {clean(each.message)}"]
    if where.line and where.text:
        margin = " " * len(str(where.line))
        text, lead, mark = excerpt(where.text, where.column, where.length)
        lines += [
            f"{margin} |",
            f"{where.line} | {text}",
            f"{margin} | {lead}{paint(COLORS[each.severity], mark)}",
        ]
    else:
        margin = ""
    if each.effect:
        lines.append(f"{margin} = why: {clean(each.effect)}")
    if each.help:
        lines.append(f"{margin} = help: {clean(each.help)}")
    return "\n".join(lines) + "\n"


WIDTH = 120
"""How many characters of a source line are shown."""


_SECRET = re.compile(r"^(.*(?:passw|secret|_pw\b)\w*[ \t]*=[ \t]*)(.+)$", re.IGNORECASE)
"""A line that gives a password: it has no business in a policy, and none in a log."""


def excerpt(text: str, column: int, length: int) -> tuple[str, str, str]:
    """A source line cut to a width, the blanks under it that lead to the column, and the carets."""
    text = _SECRET.sub(lambda match: match[1] + "*" * len(match[2]), text)
    start = max(0, column - WIDTH // 2) if len(text) > WIDTH else 0
    shown = text[start : start + WIDTH]
    before = shown[: column - 1 - start]
    lead = "".join("\t" if each == "\t" else " " for each in before)
    mark = "^" * max(1, min(length, len(shown) - len(before)))
    return clean(shown), lead, mark


def clean(text: str) -> str:
    """Text without control characters: a policy must not be able to steer the terminal that reads of it."""
    return "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in text)
