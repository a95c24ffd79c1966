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

from collections.abc import Iterator

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
    for service, name, _, origin in subject.assigned():
        if "requiretls" in name and name in catalogue():
            yield Said(
                f"Postfix {subject.postfix} has no REQUIRETLS: {name} has no effect",
                "it is neither announced nor enforced",
                origin,
                name,
                service,
                main=f"remove {name}, or move to Postfix 3.11",
            )
