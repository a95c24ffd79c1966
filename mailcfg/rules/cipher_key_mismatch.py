"""No cipher of the list fits the server's key.

What it does: expands the cipher list that holds for each listener whose protocol list allows TLS 1.2 or older, and
looks whether any suite can be used with a key that the server has: `!ECDSA`, or a list of ECDHE-RSA suites, with an
ECDSA certificate.

Why it is bad: no client without TLS 1.3 completes a handshake, or none but with a cipher that proves nothing. Senders
then go on in cleartext; a mail program does not get in.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    tls_medium_cipherlist = HIGH:!aNULL:!ECDSA
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    tls_medium_cipherlist = HIGH:!aNULL:!ECDSA
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_protocols = >=TLSv1.3
    tls_medium_cipherlist = HIGH:!aNULL:!ECDSA
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: TLS_README, postconf(5) smtpd_tls_exclude_ciphers.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.surroundings import Loaded
from mailcfg.behaviour.tls import CHAIN_FILES_SINCE, cipher_list, spoken
from mailcfg.behaviour.words import listed
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipher_broken import excluded, list_name
from mailcfg.rules.ssl_enabled import Held, Use, grouped, place, together, uses

SEVERITY = Severity.ERROR
REFERENCES = ("TLS_README", "postconf(5) smtpd_tls_exclude_ciphers")

PAIRS = (
    ("smtpd_tls_cert_file", "smtpd_tls_key_file"),
    ("smtpd_tls_dcert_file", "smtpd_tls_dkey_file"),
    ("smtpd_tls_eccert_file", "smtpd_tls_eckey_file"),
)
"""Parameters that name a certificate and its key."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold the suites of each listener against its keys."""
    found = tuple(each for each in uses(subject) if _mismatched(subject, each))
    for some in grouped(found, "grade"):
        first = some[0]
        held = _deciding(first)
        kinds = " and ".join(_kinds(subject, first)).upper()
        mandatory = all(each.mandatory for each in some)
        modern = all(each.endpoint is not None and "TLSv1.3" in each.endpoint.protocols for each in some)
        yield Said(
            f"no cipher of {list_name(first)} can be used with the {kinds} key of {together(some)}",
            ("no client without TLS 1.3" if modern else "no client")
            + (" gets in" if mandatory else " gets the certificate: senders go on in cleartext"),
            place(subject, first, held),
            held.name,
            first.service,
            policy="certificates.NAME.key of a kind that the list has, or a guideline, whose lists have both",
            main=f"remove {held.name}, or use a certificate of another kind",
        )


def _mismatched(subject: Subject, use: Use) -> bool:
    """Whether no suite of an endpoint goes with any of its keys, although versions that need one are on."""
    endpoint = use.endpoint
    if endpoint is None or any(kind != "anonymous" for kind in endpoint.suites) or endpoint.unknown:
        return False
    versions = protocols(use.protocols.text, subject.postfix).versions
    if not any(each != "TLSv1.3" and each in spoken(subject.openssl) for each in versions):
        return False
    name = list_name(use)
    if name is None or not _kinds(subject, use):
        return False
    suites = cipher_list(use.scope.text(name), excluded(use), subject.openssl).suites
    wanted = {each.auth.lower() for each in suites if not each.is_anonymous}
    return bool(suites) and not wanted & {_proof(kind) for kind in _kinds(subject, use)}


def _proof(kind: str) -> str:
    """What OpenSSL calls the suites that a kind of key is for."""
    return {"ed25519": "ecdsa", "ed448": "ecdsa", "dsa": "dss"}.get(kind, kind)


def _kinds(subject: Subject, use: Use) -> tuple[str, ...]:
    """The kinds of key that a listener has; none where they cannot be told."""
    loaded = loaded_of(subject, use.scope)
    if loaded is None or loaded.disabled or loaded.unknown:
        return ()
    return tuple(dict.fromkeys(each.algorithm for each in loaded.shown))


def loaded_of(subject: Subject, scope: Scope) -> Loaded | None:
    """What an smtpd has after it loaded its certificates; None where it names none, or `none`."""
    chain = tuple(listed(scope.text("smtpd_tls_chain_files"))) if scope.postfix.series >= CHAIN_FILES_SINCE else ()
    pairs = tuple((scope.text(one), scope.text(other)) for one, other in PAIRS if scope.text(one))
    if not chain and (not pairs or any(one.lower() == "none" for one, _ in pairs)):
        return None
    return subject.around.identities(chain, pairs)


def _deciding(use: Use) -> Held:
    """What takes the right ciphers out: an exclusion that is set, else the list, else the grade."""
    lists = [list_name(use) or ""]
    if use.mandatory:
        lists.append("smtpd_tls_mandatory_exclude_ciphers")
    for name in (*lists, "smtpd_tls_exclude_ciphers"):
        value = use.scope.value(name)
        if value.origin.file:
            return Held(name, value.value or "", value.origin)
    return use.grade
