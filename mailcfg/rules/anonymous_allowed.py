"""Anybody can log in without a password.

What it does: looks for listeners that announce ANONYMOUS. Where the smtpd.conf is not here, security options without
noanonymous are a warning.

Why it is bad: who takes ANONYMOUS is answered with 235, and clients try the mechanisms in the server's order: one that
meets it before its own logs in as nobody, and its mail is refused. Whatever takes AUTH itself for a sign of a known
user lets strangers in.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_security_options =
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: ANONYMOUS PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_security_options = noanonymous
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: SASL_README, postconf(5) smtpd_sasl_security_options, RFC 4505.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import labels, readers

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "postconf(5) smtpd_sasl_security_options", "RFC 4505")

PAIR = ("smtpd_sasl_security_options", "smtpd_sasl_tls_security_options")
"""The options outside TLS and inside; the second is the first by default."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at each listener outside TLS and inside."""
    told: set[Origin] = set()
    for endpoint in subject.behaviour.endpoints:
        for name, names in zip(PAIR, (endpoint.auth_before_tls, endpoint.auth_after_tls), strict=True):
            if "ANONYMOUS" not in names:
                continue
            at = subject.endpoint_place(endpoint, name, PAIR[0], "smtpd_sasl_auth_enable")
            if at not in told:
                told.add(at)
                yield _said(f"{labels([endpoint])} announces ANONYMOUS", at, name, endpoint.service, SEVERITY)
    for reader in readers(subject):
        if not reader.conf.unknown:
            continue
        for name, names in zip(PAIR, (reader.endpoint.auth_before_tls, reader.endpoint.auth_after_tls), strict=True):
            if not names or "noanonymous" in listed(reader.scope.text(name)):
                continue
            at = subject.endpoint_place(reader.endpoint, name, PAIR[0], "smtpd_sasl_auth_enable")
            if at not in told:
                told.add(at)
                message = f"{name} lacks noanonymous: only smtpd.conf can keep ANONYMOUS out"
                yield _said(message, at, name, reader.service.id, Severity.WARNING)


def _said(message: str, at: Origin, name: str, service: str, severity: Severity) -> Said:
    return Said(
        message,
        "anybody logs in without a password",
        at,
        name,
        service,
        policy=f'{name.removeprefix("smtpd_sasl_")} = ["noanonymous"]',
        main=f"{name} = noanonymous",
        severity=severity,
    )
