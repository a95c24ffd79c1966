"""REQUIRETLS is set up on a Postfix that does not have it.

What it does: looks for parameters of REQUIRETLS on a Postfix older than 3.11.

Why it is bad: an older Postfix neither announces nor enforces REQUIRETLS, and says nothing of the parameter when it
starts. A sender who relies on it gets its mail back, or mail that should not travel without TLS does.

Wrong:

    # main.cf
    requiretls_enable = yes

Right:

    # postfix 3.11.7
    # main.cf
    requiretls_enable = yes

References: RFC 8689, REQUIRETLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import cache

from mailcfg.configuration import Setting
from mailcfg.facts.parameters import catalogue
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8689", "REQUIRETLS_README")

SINCE = (3, 11)
"""The Postfix series with REQUIRETLS (REQUIRETLS_README)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for parameters of REQUIRETLS."""
    if subject.postfix.series >= SINCE:
        return
    for service, setting in assigned(subject, _names()):
        yield Said(
            f"Postfix {subject.postfix} has no REQUIRETLS: {setting.name} has no effect",
            "it is neither announced nor enforced",
            setting.origin,
            setting.name,
            service,
            main=f"remove {setting.name}, or move to Postfix 3.11",
        )


@cache
def _names() -> frozenset[str]:
    """The parameters of REQUIRETLS."""
    return frozenset(name for name in catalogue().names() if "requiretls" in name)


def assigned(subject: Subject, names: Set[str]) -> Iterator[tuple[str, Setting]]:
    """Where some parameters are set: the service (empty for main.cf), and the setting."""
    main = subject.effective.main
    for name in sorted(names & main.keys()):
        yield "", main[name]
    for service in subject.services:
        for each in service.overrides:
            if each.name in names:
                yield service.id, each
