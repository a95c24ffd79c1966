"""A private key does not belong to its certificate.

What it does: loads the certificates that listeners show, and those that the SMTP client shows, as Postfix does, and
compares the public key of each certificate with that of its private key.

Why it is bad: Postfix turns TLS off and starts all the same. STARTTLS stays announced and every STARTTLS gets "454 TLS
not available", so that mail comes in clear, and on port 465 nobody is answered. The client sends in clear where TLS is
optional.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_cert_file = /etc/ssl/certs/mail.pem
    smtpd_tls_key_file = /etc/ssl/private/mail.key
    # /etc/ssl/private/old.key = key ecdsa-p256
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/old.key

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_chain_files = /etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem
    # /etc/ssl/private/old.key = key rsa-2048
    # /etc/ssl/private/mail.key = key rsa-2048
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/old.key

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_cert_file = /etc/ssl/certs/mail.pem
    smtpd_tls_key_file = /etc/ssl/private/mail.key
    # /etc/ssl/private/mail.key = key ecdsa-p256
    # /etc/ssl/certs/mail.pem = certificate mail.example.com of /etc/ssl/private/mail.key

References: postconf(5) smtpd_tls_key_file, TLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.surroundings import Loaded
from mailcfg.behaviour.tls import CHAIN_FILES_SINCE
from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

if TYPE_CHECKING:
    from mailcfg.certificates.loading import Identity

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_key_file", "TLS_README")

KINDS = ("", "d", "ec")
"""What stands before `cert_file` and `key_file` for RSA, DSA and ECDSA, in the order in which Postfix loads them."""


class Use(NamedTuple):
    """Certificates that somebody shows: listeners with the same ones (`side` is smtpd), or the client for a next hop.

    `files` gives each file's parameter, and where that is set; `file` of a certificate in `loaded` is one of them.
    """

    side: str
    who: tuple[str, ...]
    service: str
    chain: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    files: dict[str, tuple[str, Origin]]
    loaded: Loaded

    def of(self, file: str) -> tuple[str, Origin]:
        """The parameter that names a file, and where; the first of all for another one."""
        return self.files.get(file) or next(iter(self.files.values()))


def check(subject: Subject) -> Iterator[Said]:
    """Look for keys that are those of other certificates."""
    for use in uses(subject):
        if use.loaded.fault != "mismatch":
            continue
        key = use.loaded.file
        name, origin = use.of(next((certificate for certificate, own in use.pairs if own == key), key))
        yield Said(
            use.loaded.disabled,
            effect_of(use),
            origin,
            name,
            use.service,
            policy="certificates.NAME.certificate_file and key_file of one certificate",
            main=f"{name}: the certificate of {key}, or another key",
        )


def effect_of(use: Use) -> str:
    """What a certificate that cannot be loaded lets happen."""
    if use.side != "smtpd":
        return "mail goes out in clear where TLS is optional, and stays where it is required"
    return f"{', '.join(use.who)}: STARTTLS gets 454, and where TLS is implicit nobody is answered"


_USES: WeakKeyDictionary[Subject, tuple[Use, ...]] = WeakKeyDictionary()


def uses(subject: Subject) -> tuple[Use, ...]:
    """The certificates of all listeners with TLS, and of the client on each way out with TLS."""
    found = _USES.get(subject)
    if found is None:
        found = _USES[subject] = tuple(_uses(subject))
    return found


def identities(subject: Subject) -> Iterator[tuple[Use, Identity, str, Origin]]:
    """Each certificate that could be read, once, with its parameter and where that is set."""
    seen: set[tuple[str, str]] = set()
    for use in uses(subject):
        for each in use.loaded.identities:
            if (each.file, each.key_type) not in seen:
                seen.add((each.file, each.key_type))
                yield use, each, *use.of(each.file)


def _uses(subject: Subject) -> Iterator[Use]:
    servers: dict[object, tuple[list[str], str, _Named]] = {}
    for endpoint, scope in subject.listeners():
        if endpoint.tls == "none" and (endpoint.works or not _meant(scope)):
            continue
        named = _named("smtpd", scope)
        if named is not None:
            key = (named.chain, named.pairs, *(origin for _, origin in named.files.values()))
            servers.setdefault(key, ([], endpoint.service, named))[0].append(label(endpoint))
    clients: dict[object, tuple[list[str], str, _Named]] = {}
    for hop in subject.behaviour.outbound:
        if hop.level == "none":
            continue
        service = subject.service(hop.service)
        side = "lmtp" if service is not None and service.command == "lmtp" else "smtp"
        named = _named(side, subject.scope(service))
        if named is not None:
            clients.setdefault((named.chain, named.pairs), (["outgoing mail"], hop.service, named))
    for side, group in (("smtpd", servers), ("smtp", clients)):
        for who, service_id, named in group.values():
            loaded = subject.around.identities(named.chain, named.pairs)
            yield Use(side, tuple(who), service_id, named.chain, named.pairs, named.files, loaded)


def _meant(scope: Scope) -> bool:
    """Whether TLS would be used by an smtpd that dies of something else."""
    return scope.text("smtpd_tls_security_level").lower() not in ("", "none")


class _Named(NamedTuple):
    chain: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    files: dict[str, tuple[str, Origin]]


def _named(side: str, scope: Scope) -> _Named | None:
    """The files that the parameters of one side name; None where no certificate is set."""
    name = f"{side}_tls_chain_files"
    if scope.postfix.series >= CHAIN_FILES_SINCE:
        chain = tuple(listed(scope.text(name)))
        if chain:
            origin = scope.value(name).origin
            return _Named(chain, (), dict.fromkeys(chain, (name, origin)))
    pairs: list[tuple[str, str]] = []
    files: dict[str, tuple[str, Origin]] = {}
    for kind in KINDS:
        certificate = scope.value(f"{side}_tls_{kind}cert_file")
        if not certificate.value or (not kind and certificate.value.lower() == "none"):
            continue
        key = scope.value(f"{side}_tls_{kind}key_file")
        pairs.append((certificate.value, key.value or ""))
        files.setdefault(certificate.value, (certificate.name, certificate.origin))
        # The default of a key's parameter is the certificate's file.
        files.setdefault(key.value or "", (key.name, key.origin) if key.origin.file else files[certificate.value])
    return _Named((), tuple(pairs), files) if pairs else None
