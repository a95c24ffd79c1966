"""A certificate is to live longer than the guideline wants.

What it does: compares the lifetime of the certificates that a policy makes with the maximum of the guideline that it
pins.

Why it is bad: a key that was taken is of use for that long. Short lifetimes also make sure that renewal works.

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    lifetime_days = 825
    [mx]

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    lifetime_days = 90
    [mx]

References: Mozilla Server Side TLS.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.facts.guidelines import guideline, guideline_names
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.INFO
REFERENCES = ("Mozilla Server Side TLS",)

MAKES = ("self-signed", "private-ca")
"""Issuers for which the policy decides how long a certificate lives."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what a policy makes; a live host pins no guideline."""
    certificates = [each for each in subject.configuration.certificates if each.issuer in MAKES]
    if not certificates:
        return
    name = subject.guideline()
    if name not in guideline_names():
        return
    most = guideline(name).maximum_lifetime_days
    for each in certificates:
        if most and each.lifetime_days > most:
            yield Said(
                f"certificate {each.name} lives {each.lifetime_days} days; {name} has {most} at most",
                "a key that was taken is of use for that long",
                Origin(each.origin.file, each.origin.line, each.origin.column, f"{each.origin.key}.lifetime_days"),
                policy=f"lifetime_days = {most}, or left out",
            )
