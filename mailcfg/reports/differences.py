"""Drift as findings: what a report of findings needs to tell the differences of a host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mailcfg import __version__
from mailcfg.drift.difference import Cause, Difference, Kind, Unknown
from mailcfg.problem import Finding, Location, Severity
from mailcfg.reports.drift.json import Because, Consequence
from mailcfg.reports.findings import Context, RuleText, Suppressed, shortened
from mailcfg.reports.hosts import SEVERITIES, Host

TITLE = "mailcfg drift"

CONSEQUENCE = "drift-consequence"
"""The rule of what clients meet otherwise, where no difference by itself says so."""


class Text(NamedTuple):
    """What is said of a kind of difference: its title, how grave it is at most, and what it is."""

    title: str
    severity: Severity
    description: str


TEXTS: dict[Kind, Text] = {
    "changed": Text(
        "A setting has another value than the policy's",
        Severity.ERROR,
        "The live file has the setting, with a value that means something else than what the policy compiles to. Other "
        "spellings of one meaning are no difference.",
    ),
    "missing": Text(
        "A setting, a service or a file of the policy is not there",
        Severity.ERROR,
        "The policy compiles to it and the machine does not have it, so that the default of that Postfix, or nothing, "
        "holds instead.",
    ),
    "extra": Text(
        "Something is there that the policy does not have",
        Severity.ERROR,
        "A setting that bears on TLS or SASL, an override, or a service that listens, stands on the machine and not in "
        "the policy.",
    ),
    "duplicate": Text(
        "A setting stands more than once",
        Severity.ERROR,
        "The last line wins. Whoever edits another one sees no effect, even where the values agree today.",
    ),
    "shadowed": Text(
        "A setting has no effect where it matters",
        Severity.ERROR,
        "Something else takes precedence over what the policy compiles to: an override of a service, or a file that is "
        "found first.",
    ),
    "mode": Text(
        "A file or directory has another mode",
        Severity.ERROR,
        "It permits more than the policy's files may, such as reading a key, or less than the daemons need.",
    ),
    "owner": Text(
        "A file or directory belongs to another user or group",
        Severity.ERROR,
        "Whoever owns it can change it and its mode, or the daemon that needs it cannot read it.",
    ),
    "certificate": Text(
        "A certificate or its key is not what the policy asks for",
        Severity.ERROR,
        "It is absent, unreadable, of another type, for other names, of another key, expired or about to be.",
    ),
    "pending": Text(
        "The running Postfix has not read its files",
        Severity.WARNING,
        "The files are newer than the daemons that read them: what they say does not hold yet.",
    ),
}

CAUSES: dict[Cause, str] = {
    "edited-by-hand": "edited by hand since the policy was applied",
    "policy-ahead": "the policy is ahead and not applied yet",
    "both": "edited by hand, and the policy has moved too",
}
"""Who moved, in words."""


def findings_of(host: Host) -> list[Finding]:
    """A finding for each difference, and one for each consequence that none of them has told."""
    told = {effect for each in host.document.differences for effect in each.effects}
    found = [finding_of(each) for each in host.document.differences]
    for change in host.document.consequences:
        sentence = f"{change.where}: {change.now}"
        if sentence in told:
            continue
        place = next((each for each in deciding(change, host)[0] if each.file), None)
        found.append(
            Finding(
                CONSEQUENCE,
                Severity(change.severity),
                sentence,
                Location(place.file or "", place.line or 0) if place else Location(""),
                help=f"with the policy {change.where} is so: {change.was}",
                service=change.service,
            )
        )
    return found


def deciding(change: Consequence, host: Host) -> tuple[list[Because], list[Because]]:
    """The settings that decide what clients meet: those that differ from the policy, or all where none is known to; and
    those that only take part.
    """
    differing = {(each.file, each.setting) for each in host.document.differences}
    moved = [each for each in change.reasons if (each.file, each.setting) in differing] or list(change.reasons)
    return moved, [each for each in change.reasons if each not in moved]


def finding_of(each: Difference) -> Finding:
    """A difference as a finding."""
    effects = [*each.effects, *(["harmless: no client meets anything else"] if each.harmless else [])]
    return Finding(
        f"drift-{each.kind}",
        Severity(each.severity),
        message(each),
        Location(each.file, each.line or 0),
        effect="; ".join(effects),
        help=mending(each),
        setting="" if each.setting == each.service else each.setting,
        service=each.service,
    )


def mending(each: Difference) -> str:
    """What to do about a difference, and who moved where that is known."""
    cause = f"{CAUSES[each.cause]}: " if each.cause else ""
    if each.cause == "policy-ahead":
        return f"{cause}apply it"
    written = desired_by(each)
    return f"{cause}apply the policy, or {f'change {written}' if written else 'write this into it'}"


def desired_by(each: Difference) -> str:
    """The key of the policy that asks for it, and where that stands; empty where none does."""
    origin = each.origin
    if origin is None:
        return ""
    place = f"{origin.file}:{origin.line}" if origin.line else origin.file
    return f"{origin.key} ({place})" if origin.key and place else origin.key or place


def message(each: Difference, limit: int = 1 << 30) -> str:
    """What differs, in a sentence; of a value not more than so many characters."""
    what = subject(each)

    def value(text: str | None) -> str:
        return "absent" if text is None else shortened(text, limit) or '""'

    if each.live is None:
        said = f"{what} is missing"
        if each.desired not in (None, "present"):
            said += f", desired is {value(each.desired)}"
    elif each.desired is None:
        said = f"{what} is {value(each.live)}, and the policy does not have it"
    else:
        said = f"{what} is {value(each.live)}, desired is {value(each.desired)}"
    return ": ".join(part for part in (said, "; ".join(each.explanation)) if part)


def subject(each: Difference) -> str:
    """What a difference is about."""
    if each.kind in ("mode", "owner"):
        return f"the {each.kind}" + (f" of {each.setting}" if each.setting else "")
    if not each.setting:
        return "the file"
    if each.kind == "certificate":
        return f"certificate {each.setting}"
    return f"{each.setting} of {each.service}" if each.service and each.service != each.setting else each.setting


def unreadable(unknown: Iterable[Unknown]) -> tuple[tuple[str, str], ...]:
    """What could not be told, each with its file and why."""
    return tuple((each.file, f"line {each.line}: {each.reason}" if each.line else each.reason) for each in unknown)


def context_of(host: Host) -> Context:
    """What a report of findings says beside them."""
    document = host.document
    suppressed = tuple(Suppressed(finding_of(each.difference), each.because, each.until) for each in document.ignored)
    used = {f"drift-{each.kind}" for each in document.differences} | {each.finding.rule for each in suppressed}
    rules = {
        f"drift-{kind}": RuleText(f"drift-{kind}", text.title, text.severity, text.description, ())
        for kind, text in TEXTS.items()
        if f"drift-{kind}" in used
    }
    if document.consequences:
        title = "Clients meet something else than with the policy"
        words = "What differs lets this happen, by the behaviour that both sides predict."
        rules[CONSEQUENCE] = RuleText(CONSEQUENCE, title, Severity.ERROR, words, ())
    return Context(
        version=__version__,
        targets=(host.name,) if document.status == "in-sync" else (),
        color=False,
        unknown=unreadable(document.unknown),
        rules=rules,
        title=TITLE,
        clean="in sync",
        suppressed=suppressed,
    )


BRIEF = 60
"""Characters of a value in an overview."""


class Gravest(NamedTuple):
    """The worst that is so of a host, in a sentence."""

    severity: str
    words: str


def gravest(host: Host) -> Gravest | None:
    """What to look at first: of what is equally grave, what clients meet comes before what merely differs, and that
    before a file that could not be read. None where all is in sync.
    """
    document = host.document
    found = [Gravest(each.severity, f"{each.where}: {each.now}") for each in document.consequences]
    for each in document.differences:
        found.append(Gravest(each.severity, each.effects[0] if each.effects else message(each, BRIEF)))
    if document.unknown:
        first = document.unknown[0]
        found.append(Gravest("error", f"{first.file}: {first.reason}"))
    return min(found, key=lambda each: SEVERITIES.index(each.severity), default=None)
