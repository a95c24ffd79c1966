"""A TLSA record that is published does not do for mail.

What it does: looks at the TLSA records that the policy declares for port 25: their usage, selector and matching type,
and the length of their digest. RFC 7672 recommends `3 1 1` and `2 0 1`; `2 1 1` serves as well. Others are named unless
a recommended one stands beside them.

Why it is bad: usages 0 and 1 count as unusable between mail servers, and so does a digest of the wrong length. Where no
usable record is left, senders that want DANE encrypt and check nobody. A record of the whole certificate has to be
replaced at each renewal, and mail waits in every queue where that is forgotten.

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [mx]

    [dns]
    tlsa = ["1 1 1 5f1ca9e4a3a6fbd6f34c7b7cf2f0c7b5f2b5ec36b5b2f3f9c0d1e2f3a4b5c6d7"]

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [mx]

    [dns]
    tlsa = ["3 1 1 5f1ca9e4a3a6fbd6f34c7b7cf2f0c7b5f2b5ec36b5b2f3f9c0d1e2f3a4b5c6d7"]

References: RFC 7672 §3.1, RFC 6698, TLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 7672 §3.1", "RFC 6698", "TLS_README")

GOOD = ("3 1 1", "2 0 1", "2 1 1")
"""Usage, selector and matching type that serve between mail servers (RFC 7672 §3.1; the last as Postfix has it)."""

DIGITS = {"1": 64, "2": 128}
"""Hexadecimal digits of a digest by matching type: SHA-256 and SHA-512 (RFC 6698)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the TLSA records that are declared."""
    if subject.dns is None or not subject.dns.tlsa:
        return
    at = subject.dns.origins["tlsa"]
    records = [tuple(each.split(None, 3)) for each in subject.dns.tlsa]
    records = [each for each in records if len(each) == 4]
    good = any(" ".join(each[:3]) in GOOD and _whole(each) for each in records)
    for each in records:
        kind = " ".join(each[:3])
        shown = f"TLSA {kind} {each[3][:8]}…"
        severity = SEVERITY
        if each[0] in ("0", "1"):
            message = f"{shown}: usage {each[0]} is none for mail"
            effect = "senders ignore it; where no other is left they encrypt and check nobody"
        elif not _whole(each):
            message = f"{shown}: a digest of {len(each[3])} hexadecimal digits, not {DIGITS[each[2]]}"
            effect = "senders ignore it; where no other is left they encrypt and check nobody"
        elif good or kind in GOOD:
            continue
        else:
            severity = Severity.WARNING
            message = f"{shown} is not what RFC 7672 recommends"
            effect = _unusual(each)
        yield Said(
            message,
            effect,
            at,
            policy='tlsa = ["3 1 1 …"], as `postfix tls output-server-tlsa` prints it',
            severity=severity,
        )


def _whole(record: tuple[str, ...]) -> bool:
    """Whether the digest has the length of its type."""
    return len(record[3].replace(" ", "")) == DIGITS.get(record[2], len(record[3]))


def _unusual(record: tuple[str, ...]) -> str:
    if record[2] == "0":
        return "the whole certificate or key stands in the DNS, where answers of that size get lost"
    if record[2] == "2":
        return "a sender need not know SHA-512; one that does not checks nobody"
    return "each renewal makes a new record necessary, even with the same key"
