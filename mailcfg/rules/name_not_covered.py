"""A certificate is not for the name of the server that shows it.

What it does: compares myhostname, where it is set and is a name that others can look up, with the names of each
certificate that a listener shows to other machines; a name in the common name alone does not count.

Why it is bad: a client that verifies names, as mail programs do, and servers with MTA-STS, turns the certificate down.
It looks at the subjectAltName only.

Wrong:

    # main.cf
    myhostname = mail.example.com
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate www.example.com, intermediate

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com cn-only, intermediate

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    names = ["www.example.com"]
    [mx]

Right:

    # main.cf
    myhostname = mail.example.com
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate *.example.com, intermediate

References: RFC 9525.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.reach import only_local
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label
from mailcfg.rules.key_mismatch import Use, uses

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 9525",)

INSIDE = (
    ".local",
    ".localdomain",
    ".localhost",
    ".internal",
    ".intranet",
    ".lan",
    ".home",
    ".home.arpa",
    ".invalid",
    ".test",
)
"""How names end that only mean something inside (RFC 6761, RFC 8375, ICANN's .internal, and habit)."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold the names of each certificate against the server's own."""
    found = uses(subject)
    if not found or found[0].side != "smtpd":
        return
    told: set[tuple[str, str]] = set()
    for endpoint, scope in subject.listeners():
        use = next((each for each in found if each.side == "smtpd" and label(endpoint) in each.who), None)
        if use is None or use.loaded.unknown or only_local(endpoint, scope):
            continue
        host = scope.text("myhostname").lower().rstrip(".") if scope.is_set("myhostname") else ""
        if "." not in host or host.endswith(INSIDE):
            host = ""
        for file, names, bare in _certificates(use):
            covered = not host or any(covers(each, host) for each in names)
            if (covered and not bare) or (file, host) in told:
                continue
            told.add((file, host))
            name, origin = use.of(file)
            yield Said(
                f"the certificate of {file} has its name in the common name alone"
                if bare
                else f"the certificate of {file} is not for {host}, but for {', '.join(names) or 'no name at all'}",
                f"a client that connects to {host or 'it'} and verifies the name gives up",
                origin,
                name,
                use.service,
                policy=f"certificates.NAME.names with {host or 'the names that clients use'}",
                main=f"a certificate with {host or 'the names that clients use'} in its subjectAltName",
            )


def _certificates(use: Use) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """File, names, and whether there is but a common name."""
    if use.loaded.identities:
        for each in use.loaded.identities:
            yield each.file, each.names, each.subject_only_cn
    else:
        for one in use.loaded.shown:
            yield one.file, one.names, False


def covers(pattern: str, host: str) -> bool:
    """Whether a name of a certificate is for a host: a wildcard stands for one whole label (RFC 9525)."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return pattern == host
