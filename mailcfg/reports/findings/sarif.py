"""Findings as SARIF 2.1.0, which code scanning of GitHub and others takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from json import dumps
from typing import Any

from mailcfg.problem import Finding, Location, Severity
from mailcfg.reports.findings import Context, RuleText, Suppressed, plain, steps, words

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

FINGERPRINT = "mailcfgFinding/v1"


def render(findings: Sequence[Finding], context: Context) -> str:
    """One run with all rules, in ASCII."""
    return document([run(findings, context)])


def document(runs: Sequence[dict[str, Any]]) -> str:
    """Runs as a document."""
    return dumps(plain({"version": "2.1.0", "$schema": SCHEMA, "runs": runs}), indent=2) + "\n"


def run(findings: Sequence[Finding], context: Context, owner: str = "") -> dict[str, Any]:
    """A run, under a name where there are several: its results take the place of the older ones under the same name.
    What is tolerated is a result that is suppressed.
    """
    every = [*findings, *(each.finding for each in context.suppressed)]
    suppressions = [*([] for _ in findings), *([_suppression(each)] for each in context.suppressed)]
    rules = {each.rule: _unexplained(each) for each in every} | dict(context.rules)
    index = {name: number for number, name in enumerate(sorted(rules))}
    driver = {
        "name": "mailcfg",
        "version": context.version,
        "semanticVersion": context.version,
        "rules": [_rule(name, rules[name]) for name in index],
    }
    return {
        "tool": {"driver": driver},
        **({"automationDetails": {"id": f"{context.title.replace(' ', '-')}/{owner}/"}} if owner else {}),
        "invocations": [_invocation(context)],
        "columnKind": "unicodeCodePoints",
        "results": [
            # Where one result of a run has the property all must have it (3.27.23).
            _result(each, index[each.rule], fingerprint) | ({"suppressions": accepted} if context.suppressed else {})
            for each, fingerprint, accepted in zip(every, _fingerprints(every), suppressions, strict=True)
        ],
    }


def _suppression(each: Suppressed) -> dict[str, str]:
    """It stands in the policy, which is outside the file that the result is about."""
    justification = f"{each.because} (until {each.until})"
    return {"kind": "external", "status": "accepted", "justification": justification}


def _unexplained(each: Finding) -> RuleText:
    """What is known of a rule that has no text."""
    return RuleText(each.rule, "", each.severity, "", ())


def _rule(name: str, rule: RuleText) -> dict[str, Any]:
    title = rule.title or name
    description = rule.description.strip() or title
    references = "".join(f"- {each}\n" for each in rule.references)
    told = f"{description}\n\nReferences:\n\n{references}" if references else f"{description}\n"
    return {
        "id": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": description, "markdown": description},
        "help": {"text": told, "markdown": told},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
        "properties": {"tags": ["security"]},
    }


def _result(each: Finding, index: int, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": each.rule,
        "ruleIndex": index,
        "level": LEVELS[each.severity],
        "message": _message("\n".join(words(each))),
        **({"locations": [place]} if (place := _location(each)) else {}),
        "partialFingerprints": {FINGERPRINT: fingerprint},
    }


def _message(text: str) -> dict[str, str]:
    """A text that holds no placeholder and no link, whatever is in it."""
    text = text.replace("{", "{{").replace("}", "}}")
    if "](" in text:
        text = text.replace("[", "\\[").replace("]", "\\]")
    return {"text": text}


def _location(each: Finding) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if each.location.file:
        place["physicalLocation"] = _physical(each.location)
    if logical := _logical(each):
        place["logicalLocations"] = [logical]
    return place


def _physical(where: Location) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(where.file)}}
    if where.line:
        place["region"] = region = {"startLine": where.line}
        if where.column:
            # It stands for the character after the last; no region reaches over the end of its line.
            end = where.column + max(1, where.length)
            region["startColumn"] = where.column
            region["endColumn"] = max(where.column, min(end, len(where.text) + 1)) if where.text else end
    return place


def _logical(each: Finding) -> dict[str, str]:
    """The parameter under the name that `postconf -P` has for it, or the service, or the key of the policy."""
    if each.setting:
        full = f"{each.service}/{each.setting}" if each.service else each.setting
        return {"name": each.setting, "fullyQualifiedName": full, "kind": "parameter"}
    if each.service:
        return {"name": each.service, "fullyQualifiedName": each.service, "kind": "service"}
    if each.key:
        return {"name": each.key.rpartition(".")[2], "fullyQualifiedName": each.key, "kind": "key"}
    return {}


def _invocation(context: Context) -> dict[str, Any]:
    notifications = [
        {
            "level": "error",
            "message": _message(reason or "could not be read"),
            **({"locations": [{"physicalLocation": _physical(Location(file))}]} if file else {}),
        }
        for file, reason in context.unknown
    ]
    return {"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}


_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def _uri(file: str) -> str:
    """A path as a URI, bytes that are no UTF-8 included: a relative reference, or a file of this machine."""
    parts = [_NO_BYTE.sub("\ufffd", step).encode(errors="surrogateescape") for step in steps(file) if step]
    path = "/".join("".join(map(_encoded, part)) for part in parts)
    return f"file:///{path}" if file.startswith("/") else path or "."


def _encoded(byte: int) -> str:
    return chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"


def _fingerprints(findings: Sequence[Finding]) -> list[str]:
    """What a finding is known by when its line moves; the number tells it from others that say the same."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for each in findings:
        told = [each.rule, "/".join(steps(each.location.file)), each.service, each.setting, each.message]
        digest = sha256(dumps(told).encode()).hexdigest()
        seen[digest] += 1
        found.append(f"{digest}:{seen[digest]}")
    return found
