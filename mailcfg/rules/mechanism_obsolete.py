"""A mechanism is announced that is no longer sound.

What it does: looks for CRAM-MD5, DIGEST-MD5, NTLM and OTP among the mechanisms that listeners announce. Where no
mech_list declares them, mechanisms-undeclared speaks instead; of a Dovecot whose settings are not here nothing is said.

Why it is bad: they rest on MD5, MD4 or DES, ask the server to keep passwords in clear, and are being removed from
libsasl and clients. Inside TLS PLAIN shows an attacker no more than they do, and SCRAM keeps no password.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    [submission]
    [submissions]
    [sasl]
    backend = "dovecot"
    mechanisms = ["PLAIN", "LOGIN", "DIGEST-MD5"]

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN

References: RFC 6331, cyrusimap/cyrus-sasl#787, cyrusimap/cyrus-sasl#708.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import announced, maybe_a_copy, place_of_mechanisms, readers

SEVERITY = Severity.WARNING
REFERENCES = ("RFC 6331", "cyrusimap/cyrus-sasl#787", "cyrusimap/cyrus-sasl#708")


def check(subject: Subject) -> Iterator[Said]:
    """Look at the mechanisms of each listener."""
    told: set[tuple[Origin, str]] = set()
    known = mechanisms().known
    for endpoint in subject.behaviour.endpoints:
        for name in announced(endpoint):
            why = known.get(name, UNKNOWN).obsolete
            if not why:
                continue
            reader = next((each for each in readers(subject) if each.endpoint is endpoint), None)
            if maybe_a_copy(subject) if reader is None else "mech_list" not in reader.conf.settings:
                continue
            at = place_of_mechanisms(subject, reader) if reader else _of_dovecot(subject)
            if (at, name) in told:
                continue
            told.add((at, name))
            yield Said(
                f"{name} is offered",
                why,
                at if at.file else subject.endpoint_place(endpoint, "smtpd_sasl_type"),
                "mech_list" if reader else "auth_mechanisms",
                endpoint.service,
                policy=f"drop {name} from sasl.mechanisms",
                main=f"drop {name} from {'mech_list' if reader else 'auth_mechanisms of Dovecot'}",
            )


def _of_dovecot(subject: Subject) -> Origin:
    """Where a policy lists the mechanisms of Dovecot; main.cf says nothing of them."""
    kind = subject.effective.main.get("smtpd_sasl_type")
    if kind is None:
        return Origin("", 0, 0, "")
    return kind.origin._replace(key="sasl.mechanisms") if subject.is_policy else kind.origin
