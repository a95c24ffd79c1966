"""Diffie-Hellman is tuned by a parameter that Postfix ignores or will drop.

What it does: looks for smtpd_tls_dh512_param_file and smtpd_tls_eecdh_grade from Postfix 3.6 on, which ignores them,
and for smtpd_tls_dh1024_param_file from 3.9 on, where it is deprecated; and for the same of tlsproxy.

Why it is bad: a line without effect is taken for one with it. A file of one's own for DHE is worse than what OpenSSL 3
chooses by itself, and clients refuse groups that they do not know.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_eecdh_grade = ultra
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # platform debian-13
    # postfix 3.10.13
    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_dh1024_param_file = /etc/postfix/dh4096.pem
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_dh1024_param_file = /etc/postfix/dh2048.pem
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: DEPRECATION_README, postconf(5) smtpd_tls_dh1024_param_file, postconf(5) smtpd_tls_eecdh_grade.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import assigned, uses

SEVERITY = Severity.WARNING
REFERENCES = (
    "DEPRECATION_README",
    "postconf(5) smtpd_tls_dh1024_param_file",
    "postconf(5) smtpd_tls_eecdh_grade",
)

IGNORED = (3, 6)
DEPRECATED = (3, 9)

SINCE = {
    f"{daemon}_tls_{name}": since
    for daemon in ("smtpd", "tlsproxy")
    for name, since in (("dh512_param_file", IGNORED), ("eecdh_grade", IGNORED), ("dh1024_param_file", DEPRECATED))
}
"""The Postfix series that ignores or deprecates each (postconf(5), DEPRECATION_README)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for the parameters where TLS is used."""
    for service, name, value, origin in assigned(subject):
        since = SINCE.get(name)
        if since is None or subject.postfix.series < since or not value:
            continue
        if not any(each.endpoint is not None for each in uses(subject)):
            continue
        ignored = since == IGNORED
        yield Said(
            f"Postfix {subject.postfix} ignores {name}" if ignored else f"{name} is deprecated since Postfix 3.9",
            "the line has no effect" if ignored else "a later Postfix ignores it, and OpenSSL chooses better groups",
            origin,
            name,
            service,
            policy="remove it from [postfix.main]; tls.groups of a custom guideline decides the groups",
            main=f"remove {name}"
            + ("; tls_eecdh_auto_curves decides the curves" if name.endswith("eecdh_grade") else ""),
        )
