"""EHLO announces AUTH a second time, in the form of a draft.

What it does: looks for broken_sasl_auth_clients on listeners that announce AUTH.

Why it is bad: only Outlook Express 4 and Exchange 5.0 need the line `AUTH=`, and neither speaks a TLS that is still
allowed. It does no harm beyond one more line in every session.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    broken_sasl_auth_clients = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: postconf(5) broken_sasl_auth_clients, RFC 4954.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.INFO
REFERENCES = ("postconf(5) broken_sasl_auth_clients", "RFC 4954")


def check(subject: Subject) -> Iterator[Said]:
    """Look at the EHLO of each listener."""
    told: set[Origin] = set()
    for endpoint in subject.behaviour.endpoints:
        if not endpoint.legacy_auth_line:
            continue
        at = subject.endpoint_place(endpoint, "broken_sasl_auth_clients")
        if at in told:
            continue
        told.add(at)
        yield Said(
            f"{label(endpoint)} repeats AUTH as AUTH=, for clients of the nineties",
            "only Outlook Express 4 and Exchange 5.0 need it",
            at,
            "broken_sasl_auth_clients",
            endpoint.service,
            policy="legacy_auth_line = false",
            main="broken_sasl_auth_clients = no",
        )
