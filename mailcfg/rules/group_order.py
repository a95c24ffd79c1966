"""Outgoing connections begin with a key of a post-quantum group.

What it does: looks for a tls_eecdh_auto_curves whose first group is a hybrid of ML-KEM, where smtp uses it and no
other group is marked with `*`. smtp then sends the key of that group with its first message, which grows from 0.3 to
1.5 kB (measured with OpenSSL 4.0). `X25519MLKEM768:DEFAULT`, as Postfix 3.11 has it, names the group and sends its key
to those who ask for it.

Why it is bad: some servers, and firewalls before them, do not cope with a first message in two packets. The handshake
fails there, and where TLS is optional the mail is sent in cleartext.

Wrong:

    # platform debian-13
    # postfix 3.10.13
    # main.cf
    smtp_tls_security_level = may
    tls_eecdh_auto_curves = X25519MLKEM768 X25519 prime256v1

Right:

    # platform debian-13
    # postfix 3.10.13
    # main.cf
    smtp_tls_security_level = may
    tls_eecdh_auto_curves = X25519MLKEM768 *X25519 prime256v1

Right:

    # platform debian-13
    # postfix 3.10.13
    # main.cf
    smtp_tls_security_level = may
    tls_eecdh_auto_curves = ?X25519MLKEM768 DEFAULT

References: postconf(5) tls_eecdh_auto_curves, openssl/openssl#27557.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.words import ciphers
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.group_unsupported import missing
from mailcfg.rules.ssl_enabled import offered, together, uses

SEVERITY = Severity.INFO
REFERENCES = ("postconf(5) tls_eecdh_auto_curves", "openssl/openssl#27557")

NAME = "tls_eecdh_auto_curves"


def check(subject: Subject) -> Iterator[Said]:
    """Look at the first group of each way out."""
    seen: set[Origin] = set()
    for use in uses(subject):
        if use.hop is None:
            continue
        value = use.scope.value(NAME)
        if not value.origin.file or value.origin in seen or "MLKEM" not in (value.value or "").upper():
            continue
        first = _first(value.value or "", subject)
        if not first or "TLSv1.3" not in offered(use, subject.postfix, subject.openssl):
            continue
        seen.add(value.origin)
        some = [each for each in uses(subject) if each.hop and each.scope.value(NAME).origin == value.origin]
        yield Said(
            f"{together(some)} begins with a key for {first}, in a first message of more than one packet",
            "some servers and firewalls drop it, and mail to them fails or goes in cleartext",
            value.origin,
            NAME,
            use.service,
            policy=f'[postfix.master."smtp/unix"] with -o {NAME}, or groups with * before X25519',
            main=f"{NAME} = {_deferred(value.value or '')}",
        )


def _first(text: str, subject: Subject) -> str:
    """The hybrid group whose key is sent at first; empty where another one is, or nobody can tell."""
    words = [word for word in ciphers(text) if not missing(word.lstrip("?"), subject.postfix, subject.openssl)]
    if not words or any(word.upper() == "DEFAULT" for word in words) or "/" in text:
        return ""
    marked = [word for word in words if "*" in word[:2]]
    sent = [word.lstrip("?*") for word in (marked or words[:1])]
    return next((word for word in sent if "MLKEM" in word.upper()), "")


def _deferred(text: str) -> str:
    """The same list, with the key of the first group that is no hybrid."""
    words = [word.replace("*", "") for word in ciphers(text)]
    place = next((n for n, word in enumerate(words) if "MLKEM" not in word.upper()), None)
    return " ".join(f"*{word}" if n == place else word for n, word in enumerate(words))
