"""A certificate or key cannot be used as it is: it is absent, damaged, encrypted, or not what its parameter wants.

What it does: loads the certificates that listeners show, and those of the SMTP client, as Postfix does. Of a copy of
another machine's files nothing is said unless part of them came along.

Why it is bad: `postfix check` and `postfix start` pass over it. STARTTLS stays announced, and every STARTTLS gets 454
or fails, so that mail comes in clear, and on port 465 nobody is answered.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_cert_file = /etc/ssl/certs/mail.pem
    smtpd_tls_key_file = /etc/ssl/private/mail.key
    # /etc/ssl/certs/mail.pem = certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem
    # /etc/ssl/private/mail.key = key ecdsa-p256

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key
    # /etc/ssl/private/mail.key = text the key was here

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/mail.key

References: postconf(5) smtpd_tls_chain_files, postconf(5) smtpd_tls_cert_file.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import effect_of, uses

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_chain_files", "postconf(5) smtpd_tls_cert_file")

FAULTS = frozenset(["absent", "no-key", "no-certificate", "encrypted", "second", "unusable", "damaged"])
"""What loading.Loading calls a fault, without those that are rules of their own."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for certificates that are not loaded."""
    for use in uses(subject):
        loaded = use.loaded
        if loaded.fault not in FAULTS:
            continue
        name, origin = use.of(loaded.file)
        effect = effect_of(use)
        if not loaded.disabled:
            effect = f"{', '.join(use.who)}: no handshake with a certificate succeeds"
            if loaded.shown:
                effect = f"{', '.join(use.who)}: only the certificates before it are shown"
        yield Said(
            loaded.disabled or _absent(loaded.problems, loaded.file),
            effect,
            origin,
            name,
            use.service,
            policy="[certificates.NAME], and the step that makes it",
            main="put the file in place, or name another one",
        )


def _absent(problems: tuple[str, ...], file: str) -> str:
    return next((each for each in problems if each.startswith(f"{file} is absent")), f"{file} is absent")
