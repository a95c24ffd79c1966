"""smtpd_tls_chain_files is not what Postfix wants to read.

What it does: looks for a certificate that stands before its key in smtpd_tls_chain_files, or in its counterpart for the
client; for the older parameters set beside it; and for a Postfix that does not have it.

Why it is bad: Postfix reads the files as one, and each key comes right before its certificate. Otherwise it turns TLS
off ("key not first"): STARTTLS stays announced and gets 454. The older parameters are passed over with a warning each
time that a daemon starts, so a certificate that is changed there is not used.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/certs/mail.pem, /etc/ssl/private/mail.key
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/mail.key

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem
    smtpd_tls_cert_file = /etc/ssl/certs/other.pem
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/mail.key

Wrong:

    # postfix 3.3
    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem
    smtpd_tls_cert_file =
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/mail.key

References: postconf(5) smtpd_tls_chain_files.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Value
from mailcfg.behaviour.tls import CHAIN_FILES_SINCE
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import effect_of, uses

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_chain_files",)

OLDER = ("cert_file", "eccert_file", "dcert_file", "key_file", "eckey_file", "dkey_file")
"""Ends of the parameters that chain files replace."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the order within the files, and at what is set beside them."""
    if subject.postfix.series < CHAIN_FILES_SINCE:
        yield from _too_old(subject)
        return
    for use in uses(subject):
        if use.loaded.fault == "order":
            name, origin = use.of(use.loaded.file)
            yield Said(
                f"{name}: {use.loaded.disabled}",
                effect_of(use),
                origin,
                name,
                use.service,
                policy="remove it from [postfix.main]: tls.certificate puts the key first",
                main=f"{name} = KEY, CHAIN",
            )
    yield from _beside(subject)


def _too_old(subject: Subject) -> Iterator[Said]:
    for service, name, value, origin in subject.assigned():
        if value and name in ("smtpd_tls_chain_files", "smtp_tls_chain_files", "lmtp_tls_chain_files"):
            side = name.partition("_")[0]
            yield Said(
                f"Postfix {subject.postfix} has no {name}; it came with 3.4",
                "the line is ignored in silence, and no certificate is loaded from it",
                origin,
                name,
                service,
                policy="tls.certificate, which becomes what that Postfix has",
                main=f"{side}_tls_cert_file = CHAIN, {side}_tls_key_file = KEY",
            )


def _beside(subject: Subject) -> Iterator[Said]:
    told: set[Origin] = set()
    for side, service, scope in _scopes(subject):
        chain = scope.value(f"{side}_tls_chain_files")
        if not (chain.value and chain.origin.file):
            continue
        idle = _older(side, scope)
        if not idle or idle[0].origin in told:
            continue
        told.add(idle[0].origin)
        names = " and ".join(each.name for each in idle)
        yield Said(
            f"{names} {'is' if len(idle) == 1 else 'are'} set beside {chain.name}, which wins",
            "what stands there is not used, and each daemon that starts warns of it",
            idle[0].origin,
            idle[0].name,
            service if idle[0].source == "override" else "",
            policy=f"remove {names} from [postfix.main]",
            main=f"{idle[0].name} =",
            severity=Severity.WARNING,
        )


def _scopes(subject: Subject) -> Iterator[tuple[str, str, Scope]]:
    for endpoint, scope in subject.listeners():
        if endpoint.tls != "none":
            yield "smtpd", endpoint.service, scope
    for hop in subject.behaviour.outbound:
        if hop.level != "none":
            yield "smtp", hop.service, subject.scope(subject.service(hop.service))


def _older(side: str, scope: Scope) -> list[Value]:
    names = [f"{side}_tls_{end}" for end in OLDER]
    values = [scope.value(name) for name in names if scope.is_set(name)]
    return [each for each in values if each.value]
