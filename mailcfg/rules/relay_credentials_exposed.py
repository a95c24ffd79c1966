"""A password can leave this host in cleartext.

What it does: looks for next hops to which smtp may send a password by a mechanism that hands it over as it is, at a
TLS level that goes on without TLS. Tables whose entries cannot be read here may say more of a next hop: then nothing
is said.

Why it is bad: a relay that offers STARTTLS today is asked for it by an answer that anybody on the path can change.
Without it smtp logs in all the same, and the password is read. At level encrypt and above nothing is sent.

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = may
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_security_options = noanonymous

Right:

    # main.cf
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = encrypt
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_security_options = noanonymous

Right:

    # main.cf
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = may
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_security_options = noanonymous, noplaintext
    smtp_sasl_tls_security_options = noanonymous

References: RFC 4954, SASL_README, postconf(5) smtp_sasl_security_options.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.model import Hop
from mailcfg.behaviour.routes import is_local
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 4954", "SASL_README", "postconf(5) smtp_sasl_security_options")


def check(subject: Subject) -> Iterator[Said]:
    """Look for next hops to which a password can go in clear."""
    seen: set[Origin] = set()
    for hop in subject.behaviour.outbound:
        if not hop.credentials_in_clear or not _certain(subject, hop):
            continue
        switches = hop.because.get("credentials_in_clear", ())
        at = subject.place(*hop.because["tls"], *reversed(switches))
        if at in seen:
            continue
        seen.add(at)
        to = hop.next_hop or "next hops"
        yield Said(
            f"the password for {to} can go in cleartext: the TLS level is {hop.level}",
            "anyone on the path reads it, or makes it so by removing STARTTLS",
            at,
            hop.because["tls"][0].setting,
            hop.service,
            policy='[relay] with tls = "verified"',
            main="smtp_tls_security_level = secure (or encrypt)",
        )


def in_table(hop: Hop) -> bool:
    """Whether a hop is an entry of a policy table, and not a service's general way out."""
    return hop.because["tls"][0].setting.endswith("_tls_policy_maps")


def _certain(subject: Subject, hop: Hop) -> bool:
    """Whether a password is meant for this hop, and the level is its own."""
    service = subject.service(hop.service)
    if hop.unknown or is_local(hop.next_hop) or (service is not None and service.command == "lmtp"):
        return False
    general = subject.scope(service).text("relayhost")
    if in_table(hop):
        return hop.next_hop.lower() == general.lower()
    entries = [each for each in subject.behaviour.outbound if each.service == hop.service and in_table(each)]
    # Where a table names next hops, the passwords may be for those.
    return not entries if not general else all(each.next_hop.lower() != general.lower() for each in entries)
