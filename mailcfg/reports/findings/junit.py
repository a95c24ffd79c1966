"""Findings as JUnit XML: a suite for each file, a case for each rule that found something in it.

It is what the schema of Jenkins's xUnit plugin (junit-10.xsd) allows. Times and host names, which Ant's schema asks
for, would change with every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mailcfg.problem import Finding, Severity
from mailcfg.reports.findings import NOWHERE, Context, by_file, readable, spotless, words
from mailcfg.reports.text import WORDS

FAILING = (Severity.ERROR, Severity.WARNING)


def render(findings: Sequence[Finding], context: Context) -> str:
    """The document, in ASCII. A clean target is a suite whose one case passes."""
    root = Element("testsuites", name="mailcfg check")
    found = by_file(findings)
    unread: dict[str, list[str]] = {}
    for file, reason in context.unknown:
        unread.setdefault(file, []).append(reason)
    for file in [*found, *(file for file in unread if file not in found)]:
        suite = SubElement(root, "testsuite", name=_named(file))
        for reason in unread.get(file, ()):
            _broken(_case(suite, file, "could not be read"), reason)
        by_rule: dict[str, list[Finding]] = {}
        for each in found.get(file, ()):
            by_rule.setdefault(each.rule, []).append(each)
        for rule, group in by_rule.items():
            _filled(_case(suite, file, rule), group)
    for target in spotless(findings, context):
        _case(SubElement(root, "testsuite", name=_named(target)), target, "nothing found")
    for element in [*root, root]:
        counts = Counter(each.tag for each in element.iter())
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            element.set(name, str(counts[tag]))
    indent(root)
    document: bytes = tostring(root, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document.decode()}\n'


def _named(file: str) -> str:
    return readable(file) or NOWHERE


def _case(suite: Element, file: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=_named(file), name=readable(name))


def _broken(case: Element, reason: str) -> None:
    SubElement(case, "error", type="unknown", message=readable(reason)).text = readable(reason)


def _filled(case: Element, group: Sequence[Finding]) -> None:
    """Put the findings of one rule into its case: those that a person must act on as one failure."""
    grave = [each for each in group if each.severity in FAILING]
    slight = [each for each in group if each.severity not in FAILING]
    if grave:
        worst = min(grave, key=lambda each: FAILING.index(each.severity))
        more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
        message = readable(worst.message or worst.rule) + more
        SubElement(case, "failure", type=worst.severity.value, message=message).text = _told(grave)
    if slight:
        SubElement(case, "system-out").text = _told(slight)


def _told(group: Sequence[Finding]) -> str:
    return "\n\n".join(
        "\n".join([f"{_place(each)}: {WORDS[each.severity]}", *map(readable, words(each))]) for each in group
    )


def _place(each: Finding) -> str:
    where = each.location
    place = _named(where.file) + (f":{where.line}:{where.column}" if where.line else "")
    about = " ".join(readable(part) for part in (each.service, each.setting) if part)
    return f"{place}: {about}" if about else place
