"""Findings as Markdown, for a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcfg.problem import Finding
from mailcfg.reports.findings import NOWHERE, Context, by_file, counted, spotless, unread, words
from mailcfg.reports.markdown import Section, code, escaped, fitted
from mailcfg.reports.text import WORDS

NAMED = 20
"""How many clean targets are named; more are counted."""

COLUMNS = ("Severity", "Rule", "Line", "Setting", "Finding")


def render(findings: Sequence[Finding], context: Context) -> str:
    """The comment. It says so when nothing was found, since it may take the place of one that said otherwise."""
    summary = "; ".join(part for part in (counted(findings), unread(context)) if part) or context.clean
    clean = spotless(findings, context)
    foot = ""
    if clean:
        named = ", ".join(map(code, clean)) if len(clean) <= NAMED else f"{len(clean)} targets"
        foot = f"\n{context.clean.capitalize()} in {named}.\n"
    return fitted(f"### {context.title}: {summary}\n", list(sections(findings, context)), foot)


def sections(findings: Sequence[Finding], context: Context) -> Iterator[Section]:
    """A table of what could not be read, one for each file, and what is tolerated folded away."""
    if context.unknown:
        unknown = tuple((code(file), escaped(reason)) for file, reason in context.unknown)
        yield Section("Could not be read", ("File", "Reason"), unknown)
    for file, group in by_file(findings).items():
        yield Section(code(file) if file else NOWHERE, COLUMNS, tuple(map(_cells, group)))
    if context.suppressed:
        rows = tuple(
            (escaped(each.until), escaped(each.because), code(each.finding.location.file), *_cells(each.finding)[1:])
            for each in context.suppressed
        )
        yield Section(f"Tolerated: {len(rows)}", ("Until", "Because", "File", *COLUMNS[1:]), rows, folded=True)


def _cells(each: Finding) -> tuple[str, ...]:
    about = [code(part) for part in (each.setting, each.service) if part]
    line = str(each.location.line or "")
    return WORDS[each.severity], code(each.rule), line, "<br>".join(about), "<br>".join(map(escaped, words(each)))
