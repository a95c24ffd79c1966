"""The MTA-STS policy does not fit this host, or is none.

What it does: looks at the MTA-STS policy that the site declares: its version, mode and max_age, whether a pattern
covers the name of this host, and whether port 25 can do what the policy promises: TLS with a certificate that others
can check. A max_age below a day is a warning.

Why it is bad: a sender that reads a policy with an error goes on as if there were none. A sound policy in mode enforce
that this host cannot keep makes every such sender hold back its mail, for as long as it remembers the policy.

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]
    issuer = "acme"

    [mx]

    [dns.mta_sts]
    mode = "enforce"
    mx = ["mx.example.com", "*.mail.example.com"]
    max_age = 604800

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]
    issuer = "acme"

    [mx]

    [dns.mta_sts]
    version = "STSv2"
    mode = "strict"
    mx = ["mail.example.com"]
    max_age = 99999999

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]
    issuer = "self-signed"

    [mx]

    [dns.mta_sts]
    mode = "enforce"
    mx = ["mail.example.com"]
    max_age = 604800

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]
    issuer = "acme"

    [mx]

    [dns.mta_sts]
    mode = "enforce"
    mx = ["*.example.com"]
    max_age = 604800

References: RFC 8461 §3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailcfg.problem import Severity
from mailcfg.rule import MtaSts, Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8461 §3.2",)

VERSION = "STSv1"
MODES = ("enforce", "testing", "none")

LONGEST = 31_557_600
"""The longest max_age in seconds, about a year (RFC 8461 §3.2)."""

SHORT = 86_400
"""A max_age in seconds below which an attacker need not wait long; weeks are expected (RFC 8461 §3.2)."""

OWN_ISSUERS = ("self-signed", "private-ca")
"""Issuers of a policy that nobody else believes (RFC 8461)."""

IGNORED = "senders take it for no policy at all"


def check(subject: Subject) -> Iterator[Said]:
    """Look at the policy that is declared, and at what port 25 can do."""
    if subject.dns is None or subject.dns.mta_sts is None:
        return
    sts = subject.dns.mta_sts
    at = subject.dns.origins["mta_sts"]
    for message, effect, mending, severity in (*_form(sts), *_kept(subject, sts)):
        yield Said(message, effect, at, policy=mending, severity=severity)


def _form(sts: MtaSts) -> Iterator[tuple[str, str, str, Severity]]:
    """What is wrong with the policy itself."""
    if sts.version != VERSION:
        yield f"the MTA-STS policy has version {sts.version}", IGNORED, f'version = "{VERSION}"', SEVERITY
    if sts.mode not in MODES:
        yield f"{sts.mode!r} is no mode of MTA-STS", IGNORED, f"mode: one of {', '.join(MODES)}", SEVERITY
    if sts.max_age > LONGEST:
        yield f"max_age = {sts.max_age} is over {LONGEST}, about a year", IGNORED, "max_age = 2419200", SEVERITY
    elif sts.max_age < SHORT and sts.mode != "none":
        effect = "whoever hides the policy for that long has senders forget it"
        yield f"max_age = {sts.max_age} is less than a day", effect, "max_age = 2419200", Severity.WARNING
    for pattern in sts.mx:
        if pattern.endswith("."):
            effect = "senders compare it with names that have no dot there"
            yield f"the pattern {pattern} ends in a dot", effect, f'"{pattern.rstrip(".")}"', Severity.WARNING


def _kept(subject: Subject, sts: MtaSts) -> Iterator[tuple[str, str, str, Severity]]:
    """What this host cannot keep of it. Without a listener on port 25 it is no MX."""
    mx = next((each for each in subject.behaviour.endpoints if each.port == 25), None)
    if mx is None or sts.mode not in ("enforce", "testing"):
        return
    effect = "senders that know the policy hold back their mail" if sts.mode == "enforce" else "senders report failures"
    name = subject.configuration.hostname
    if name and not covers(sts.mx, name):
        mending = f'mx: add "{name}"'
        yield f"no mx pattern covers {name}", effect + ", or go to another MX", mending, SEVERITY
    if not mx.encrypts:
        yield "the MTA-STS policy promises TLS, and port 25 has none", effect, '[mx] with tls = "offered"', SEVERITY
        return
    shown = {each.file for each in mx.certificates if not each.sni}
    own = [each for each in subject.configuration.certificates if each.certificate_file in shown]
    if own and len(own) == len(shown) and all(each.issuer in OWN_ISSUERS for each in own):
        message = f"the MTA-STS policy promises a certificate that others can check; its issuer is {own[0].issuer}"
        yield message, effect, f'[certificates.{own[0].name}] with issuer = "acme"', SEVERITY


def covers(patterns: Iterable[str], name: str) -> bool:
    """Whether a pattern covers the name of an MX: `*.` stands for exactly one label (RFC 8461)."""
    wanted = name.lower().rstrip(".")
    below = wanted.partition(".")[2]
    return any(
        each == wanted or (each.startswith("*.") and each[2:] == below)
        for each in (pattern.lower().rstrip(".") for pattern in patterns)
    )
