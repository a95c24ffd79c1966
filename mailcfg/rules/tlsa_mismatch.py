"""No published TLSA record fits the key that the server shows.

What it does: compares the TLSA records that a policy declares for port 25 with the public keys of the certificates
there, where these can be read. A record of the form 3 1 1 whose digest is not one of SHA-256 fits no key at all.

Why it is bad: senders with DANE deliver only to a server whose key is published. To all others mail stays until it is
returned. A key is changed by publishing the next one first, beside the one in use.

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    [mx]
    [dns]
    tlsa = ["3 1 1 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"]

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    [mx]
    [dns]
    tlsa = ["3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]

References: RFC 7672, RFC 6698.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import identities

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 7672", "RFC 6698")

DIGEST = 64
"""Hexadecimal digits of a SHA-256."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold what is declared against the keys."""
    if subject.dns is None or not subject.dns.tlsa:
        return
    records = [each.split() for each in subject.dns.tlsa]
    origin = subject.dns.origins.get("tlsa") or subject.nowhere()
    digests = {each[3].lower() for each in records if each[:3] == ["3", "1", "1"]}
    for digest in sorted(digests):
        if len(digest) != DIGEST:
            yield Said(
                f"the TLSA record 3 1 1 {digest} has {len(digest)} digits, and a SHA-256 has {DIGEST}",
                "it fits no key: senders with DANE do not count it",
                origin,
                policy='dns.tlsa = ["3 1 1 …"], as postfix tls output-server-tlsa prints it',
            )
    # Another form may fit where this one does not.
    if any(each[:3] != ["3", "1", "1"] for each in records):
        return
    for use, identity, _, _ in identities(subject):
        public = use.side == "smtpd" and any(each.startswith("port 25") for each in use.who)
        if public and identity.spki_sha256 and identity.spki_sha256 not in digests:
            yield Said(
                f"no TLSA record is that of the key of {identity.file}",
                "senders with DANE do not deliver, and return the mail in the end",
                origin,
                service=use.service,
                policy=f'dns.tlsa with "3 1 1 {identity.spki_sha256}"',
            )
