"""Nobody is told when TLS fails: TLSRPT is missing, or cannot work.

What it does: looks at both sides of TLSRPT (RFC 8460). A site that declares TLSA records or an MTA-STS policy should
declare the record at `_smtp._tls` too, and that record has to say where reports go. A host that checks others by DANE
or MTA-STS can report to them from Postfix 3.10 on. Errors are a record that is none, smtp_tlsrpt_enable on an older
Postfix, and smtp_tlsrpt_enable without the socket that it needs.

Why it is bad: with DANE or MTA-STS a mistake of the receiver makes senders hold back its mail, and the receiver is the
only one who does not see it. The reports are how it learns of it.

Wrong:

    # main.cf
    smtp_tlsrpt_enable = yes
    smtp_tlsrpt_socket_name = run/tlsrpt/tlsrpt.sock

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

    [dns]
    tlsrpt = "v=TLSRPTv1; rua=mailto:tls-reports@example.com"

    [dns.mta_sts]
    mode = "enforce"
    mx = ["mail.example.com"]
    max_age = 604800

Right:

    # postfix 3.10.13
    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_tlsrpt_enable = yes
    smtp_tlsrpt_socket_name = run/tlsrpt/tlsrpt.sock

References: RFC 8460 §3, TLSRPT_README, postconf(5) smtp_tlsrpt_enable.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mta_sts_over_dane import resolver
from mailcfg.rules.relay_credentials_exposed import in_table
from mailcfg.rules.requiretls_unsupported import assigned

SEVERITY = Severity.INFO
REFERENCES = ("RFC 8460 §3", "TLSRPT_README", "postconf(5) smtp_tlsrpt_enable")

SINCE = (3, 10)
"""The Postfix series with TLSRPT (TLSRPT_README)."""

SWITCH = frozenset({"smtp_tlsrpt_enable"})

RECORD = "v=TLSRPTv1; rua=mailto:tls-reports@example.com"


def check(subject: Subject) -> Iterator[Said]:
    """Look at the record that is declared, and at what Postfix reports."""
    if subject.dns is not None:
        yield from _published(subject)
    if subject.postfix.series < SINCE:
        yield from _too_new(subject)
    else:
        yield from _reporting(subject)


def _published(subject: Subject) -> Iterator[Said]:
    """The receiving side: the record of the domain."""
    dns = subject.dns
    assert dns is not None
    if dns.tlsrpt:
        wrong = _wrong(dns.tlsrpt)
        if wrong:
            yield Said(
                f"the TLSRPT record {wrong}",
                "senders take it for no record, and report nothing",
                dns.origins["tlsrpt"],
                policy=f'tlsrpt = "{RECORD}"',
                severity=Severity.ERROR,
            )
    elif dns.tlsa or dns.mta_sts:
        yield Said(
            f"{'TLSA records' if dns.tlsa else 'an MTA-STS policy'} without a TLSRPT record",
            "when they stop to fit, senders hold back their mail and nobody here is told",
            dns.origins["tlsa" if dns.tlsa else "mta_sts"],
            policy=f'[dns] with tlsrpt = "{RECORD}", published at _smtp._tls',
        )


def _wrong(record: str) -> str:
    """What is wrong with a record; empty where nothing is."""
    fields = [field.strip() for field in record.split(";")]
    if fields[0] != "v=TLSRPTv1":
        return "does not begin with v=TLSRPTv1;"
    rua = next((field.partition("=")[2] for field in fields[1:] if field.partition("=")[0].strip() == "rua"), "")
    places = [place.strip() for place in rua.split(",")]
    if not rua or not all(place.startswith(("mailto:", "https://")) for place in places):
        return "names no place for reports: rua is mailto: or https:"
    return ""


def _too_new(subject: Subject) -> Iterator[Said]:
    for service, setting in assigned(subject, SWITCH):
        if setting.value.lower() == "yes":
            yield Said(
                f"Postfix {subject.postfix} has no {setting.name}: it reports nothing",
                "the receivers whose TLS fails are not told",
                setting.origin,
                setting.name,
                service,
                main=f"remove {setting.name}, or move to Postfix 3.10",
                severity=Severity.ERROR,
            )


def _reporting(subject: Subject) -> Iterator[Said]:
    """The sending side."""
    hop = next((each for each in subject.behaviour.outbound if not in_table(each)), None)
    if hop is None:
        return
    scope = subject.scope(subject.service(hop.service))
    enabled = scope.value("smtp_tlsrpt_enable")
    if (enabled.value or "").lower() == "yes":
        if scope.value("smtp_tlsrpt_socket_name").value == "":
            yield Said(
                "smtp_tlsrpt_enable = yes without smtp_tlsrpt_socket_name: Postfix turns TLSRPT off",
                "the receivers whose TLS fails are not told",
                enabled.origin,
                "smtp_tlsrpt_socket_name",
                hop.service,
                policy='[postfix.main] with smtp_tlsrpt_socket_name = "run/tlsrpt/tlsrpt.sock"',
                main="smtp_tlsrpt_socket_name = run/tlsrpt/tlsrpt.sock",
                severity=Severity.ERROR,
            )
    elif hop.tls == "dane" or resolver(scope):
        yield Said(
            f"{'DANE' if hop.tls == 'dane' else 'MTA-STS'} is checked on the way out, and failures are not reported",
            "a receiver whose records do not fit learns of it late",
            subject.place(*hop.because["tls"]),
            "smtp_tlsrpt_enable",
            hop.service,
            policy="[postfix.main] with smtp_tlsrpt_enable = true and smtp_tlsrpt_socket_name",
            main="smtp_tlsrpt_enable = yes, with smtp_tlsrpt_socket_name and tlsrpt-reporter",
        )
