"""Others than root can read or replace a private key.

What it does: looks at mode and owner of each private key that Postfix loads. It is a warning where only root's own
group may read it, and a note for Debian's group ssl-cert, which is made for that.

Why it is bad: who has the key can stand in for the server; and with static RSA key exchange reads what was recorded.
Postfix opens keys as root, before it gives up its privileges, so nobody else needs them.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com, mode 0644

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com, mode 0600

References: postconf(5) smtpd_tls_key_file, TLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import Use, uses
from mailcfg.rules.secret_exposed import readable_by_all

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_key_file", "TLS_README")

MADE_FOR_IT = "ssl-cert"
"""Debian's group for daemons that read private keys below /etc/ssl/private (package ssl-cert)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the files with keys. What a policy plans is not there yet."""
    if subject.is_policy:
        return
    looked: set[str] = set()
    for use in uses(subject):
        for path in _keys(use):
            if path in looked:
                continue
            looked.add(path)
            told = _exposed(subject, path)
            if told is None:
                continue
            words, effect, severity = told
            name, origin = use.of(path)
            yield Said(
                f"{path} holds a private key, and {words}",
                effect,
                origin,
                name,
                use.service,
                main=f"chown root {path}; chmod 0600 {path}",
                severity=severity,
            )


def _keys(use: Use) -> Iterator[str]:
    """Files with keys, as far as the parameters and the files tell."""
    if use.loaded.identities:
        yield from (each.key_file for each in use.loaded.identities)
    elif use.chain:
        # A chain begins with a key.
        yield use.chain[0]
    yield from (key for _, key in use.pairs if key)


def _exposed(subject: Subject, path: str) -> tuple[str, str, Severity] | None:
    found = subject.around.status(path)
    if found is None:
        return None
    top = subject.around.status("/")
    if top is not None and found.uid != top.uid:
        return f"user {found.uid} owns it", "that user can read and replace it", SEVERITY
    if readable_by_all(subject, path):
        return "everybody may read it", "every user of the machine can stand in for the server", SEVERITY
    if found.mode & 0o022:
        return f"others may write it (mode {found.mode:04o})", "they can put another key in its place", SEVERITY
    if not found.mode & 0o040:
        return None
    group = _group(subject, found.gid)
    severity = SEVERITY
    if group == MADE_FOR_IT:
        severity = Severity.INFO
    elif top is not None and found.gid == top.gid:
        severity = Severity.WARNING
    return f"its group {group} may read it", f"whoever is in {group} can stand in for the server", severity


def _group(subject: Subject, gid: int) -> str:
    for line in (subject.around.text("/etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[2] == str(gid):
            return fields[0]
    return str(gid)
