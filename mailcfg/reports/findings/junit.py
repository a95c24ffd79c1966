"""Findings as JUnit XML: a suite for each file, a case for each rule that found something in it. What is tolerated is
skipped.

It is what the schema of Jenkins's xUnit plugin (junit-10.xsd) allows. Times and host names, which Ant's schema asks
for, would change with every run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mailcfg.problem import Finding, Severity
from mailcfg.reports.findings import NOWHERE, Context, Suppressed, by_file, readable, spotless, words
from mailcfg.reports.text import WORDS

FAILING = (Severity.ERROR, Severity.WARNING)


def render(findings: Sequence[Finding], context: Context) -> str:
    """The document, in ASCII. A clean target is a suite whose one case passes."""
    return document(context.title, suites(findings, context))


def document(title: str, suites: Iterable[Element]) -> str:
    """Suites as a document."""
    root = Element("testsuites", name=title)
    root.extend(suites)
    _count(root, "testcase failure error")
    indent(root)
    text: bytes = tostring(root, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text.decode()}\n'


def suites(findings: Sequence[Finding], context: Context, owner: str = "") -> list[Element]:
    """The suites, each with its counts; their names begin with the owner's, where there are several."""
    root = Element("testsuites")
    prefix = f"{readable(owner)}: " if owner else ""
    found = by_file(findings)
    unread: dict[str, list[str]] = {}
    for file, reason in context.unknown:
        unread.setdefault(file, []).append(reason)
    tolerated: dict[str, list[Suppressed]] = {}
    for each in context.suppressed:
        tolerated.setdefault(each.finding.location.file, []).append(each)
    for file in dict.fromkeys([*found, *unread, *tolerated]):
        suite = SubElement(root, "testsuite", name=prefix + _named(file))
        for reason in unread.get(file, ()):
            _broken(_case(suite, "could not be read"), reason)
        by_rule: dict[str, list[Finding]] = {}
        for finding in found.get(file, ()):
            by_rule.setdefault(finding.rule, []).append(finding)
        for rule, group in by_rule.items():
            _filled(_case(suite, rule), group)
        for each in tolerated.get(file, ()):
            _skipped(_case(suite, each.finding.rule), each)
    for target in spotless(findings, context):
        _case(SubElement(root, "testsuite", name=prefix + _named(target)), context.clean)
    for suite in root:
        _count(suite, "testcase failure error" + " skipped" * (suite.find("*/skipped") is not None))
    return list(root)


NAMES = {"testcase": "tests", "failure": "failures", "error": "errors", "skipped": "skipped"}
"""What the number of each kind of element is called."""


def _count(element: Element, tags: str) -> None:
    counts = Counter(each.tag for each in element.iter())
    for tag in tags.split():
        element.set(NAMES[tag], str(counts[tag]))


def _named(file: str) -> str:
    return readable(file) or NOWHERE


def _case(suite: Element, name: str) -> Element:
    return SubElement(suite, "testcase", classname=suite.get("name", ""), name=readable(name))


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


def _skipped(case: Element, each: Suppressed) -> None:
    """Put what is tolerated into its case: it was looked at, and neither passes nor fails."""
    message = f"tolerated until {readable(each.until)}: {readable(each.because)}"
    SubElement(case, "skipped", message=message).text = _told([each.finding])


def _told(group: Sequence[Finding]) -> str:
    return "\n\n".join(
        "\n".join([f"{_place(each)}: {WORDS[each.severity]}", *map(readable, words(each))]) for each in group
    )


def _place(each: Finding) -> str:
    where = each.location
    numbers = (where.line, where.column) if where.line else ()
    place = _named(where.file) + "".join(f":{number}" for number in numbers if number)
    about = " ".join(readable(part) for part in (each.service, each.setting) if part)
    return f"{place}: {about}" if about else place
