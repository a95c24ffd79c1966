"""DANE is demanded, and the DNS is not asked so that it could be had.

What it does: looks for level dane or dane-only, in general or in an inline table, where smtp_dns_support_level is not
dnssec, or where another setting turns DANE off: smtp_host_lookup without dns, ignore_mx_lookup_error = yes, or a search
list in smtp_dns_resolver_options. As a warning: resolvers in /etc/resolv.conf none of which is on this machine.

Why it is bad: without DNSSEC smtp logs a warning and takes dane for may (measured on Postfix 3.7.11): nobody's
certificate is checked, and a peer without STARTTLS is sent the mail in clear. With dane-only no mail leaves. And smtp
believes the bit by which a resolver says that it has validated: on the way from another machine anybody can set it.

Wrong:

    # main.cf
    smtp_tls_security_level = dane

Wrong:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_dns_resolver_options = res_dnsrch

Wrong:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    # /etc/resolv.conf
    nameserver 192.0.2.53

Right:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    # /etc/resolv.conf
    nameserver 127.0.0.1

References: RFC 7672, TLS_README, postconf(5) smtp_dns_support_level.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.listening import in_chroot
from mailcfg.behaviour.model import Hop
from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.relay_credentials_exposed import in_table

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 7672", "TLS_README", "postconf(5) smtp_dns_support_level")

RESOLV_CONF = "/etc/resolv.conf"


def check(subject: Subject) -> Iterator[Said]:
    """Look at how the DNS is asked where DANE is demanded."""
    seen: set[tuple[str, Origin]] = set()
    for hop in subject.behaviour.outbound:
        if hop.tls != "dane":
            continue
        service = subject.service(hop.service)
        scope = subject.scope(service)
        name, why = _disabled(scope, service.command if service else "smtp")
        if not name:
            yield from _resolver(subject, hop, scope)
            continue
        at = subject.place(scope.reason(name), *hop.because["tls"])
        if (name, at) in seen:
            continue
        seen.add((name, at))
        to = f" for {hop.next_hop}" if in_table(hop) else ""
        yield Said(
            f"{hop.level}{to} has no effect: {why}",
            "no mail leaves"
            if hop.level == "dane-only"
            else "no certificate is checked, and a peer without STARTTLS is sent the mail in cleartext",
            at,
            name,
            hop.service,
            policy='[outbound] with tls = "dane", which sets smtp_dns_support_level = dnssec',
            main=_mending(name, scope),
        )


def _disabled(scope: Scope, side: str) -> tuple[str, str]:
    """The setting that turns DANE off, and how (src/smtp/smtp_tls_policy.c, dane_init)."""
    name = f"{side}_dns_support_level"
    level = scope.value(name).value
    if level is None:
        return "", ""
    if level.lower() != "dnssec":
        return name, f"{name} is {level or 'empty'}, not dnssec"
    name = f"{side}_host_lookup"
    if "dns" not in [word.lower() for word in listed(scope.text(name))]:
        return name, f"{name} has no dns"
    if side == "smtp" and scope.text("ignore_mx_lookup_error").lower() == "yes":
        return "ignore_mx_lookup_error", "ignore_mx_lookup_error is yes"
    name = f"{side}_dns_resolver_options"
    if {"res_defnames", "res_dnsrch"} & {word.lower() for word in listed(scope.text(name))}:
        return name, f"{name} completes names by a search list"
    return "", ""


def _mending(name: str, scope: Scope) -> str:
    if name.endswith("support_level"):
        return f"{name} = dnssec"
    if name.endswith("host_lookup"):
        return f"{name} = dns"
    return f"{name} = no" if name.startswith("ignore") else f"{name} ="


def _resolver(subject: Subject, hop: Hop, scope: Scope) -> Iterator[Said]:
    """Whether all resolvers are other machines. A copy of a configuration says nothing of its machine."""
    if subject.is_policy or subject.configuration.config_directory != subject.platform.postfix.config_directory:
        return
    service = subject.service(hop.service)
    path = RESOLV_CONF
    if service and in_chroot(service, scope.postfix.series, scope.text("compatibility_level")):
        path = f"{scope.text('queue_directory') or subject.platform.postfix.queue_directory}{RESOLV_CONF}"
    lines = [line.split() for line in (subject.around.text(path) or "").splitlines()]
    servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    if servers and not any(each.startswith("127.") or each == "::1" for each in servers):
        yield Said(
            f"DANE believes {servers[0]}, which is another machine, that records are validated",
            "whoever can change what comes from there decides which certificates are right",
            Origin(path, 0, 0, ""),
            "",
            hop.service,
            policy="a validating resolver on the host itself",
            main="nameserver 127.0.0.1, with a validating resolver such as unbound",
            severity=Severity.WARNING,
        )
