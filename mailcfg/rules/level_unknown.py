"""A TLS level is a word that Postfix does not know.

What it does: looks at the security levels of smtpd, postscreen, smtp and lmtp, and at those in inline tables of
smtp_tls_policy_maps.

Why it is bad: `postfix check` and `postfix start` say nothing. The daemon dies of it when it is needed: a port is open
and nobody answers, or no mail leaves; with a table it is the mail to that next hop that stays.

Wrong:

    # main.cf
    smtpd_tls_security_level = bogus

Wrong:

    # main.cf
    smtp_tls_security_level = opportunistic

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_policy_maps = inline:{ { example.org = required } }

Right:

    # main.cf
    smtp_tls_security_level = May
    smtp_tls_policy_maps = inline:{ { example.org = secure match=nexthop } }

References: postconf(5) smtpd_tls_security_level, postconf(5) smtp_tls_security_level.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.tls import LEVELS
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.relay_credentials_exposed import in_table

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_security_level", "postconf(5) smtp_tls_security_level")


def check(subject: Subject) -> Iterator[Said]:
    """Look at the level of each daemon that listens or delivers."""
    seen: set[tuple[Origin, str]] = set()
    for service, scope, name in _read(subject):
        value = scope.value(name)
        level = value.value or ""
        if level and level.lower() not in LEVELS and (value.origin, name) not in seen:
            seen.add((value.origin, name))
            daemon = name.partition("_")[0]
            listens = daemon in ("smtpd", "postscreen")
            yield Said(
                f"{level!r} is no TLS level: {daemon} dies of it",
                "the port is open, and every connection to it ends without a greeting" if listens else "no mail leaves",
                value.origin,
                name,
                service,
                policy='tls = "offered"' if listens else '[outbound] with tls = "opportunistic"',
                main=f"{name} = may",
            )
    for hop in subject.behaviour.outbound:
        if hop.level in LEVELS or not in_table(hop):
            continue
        table = hop.because["tls"][0]
        yield Said(
            f"{hop.level!r} is no TLS level, for {hop.next_hop}",
            f"all mail to {hop.next_hop} is deferred",
            subject.place(table),
            table.setting,
            hop.service,
            policy=f'[outbound.destinations] with "{hop.next_hop}" = {{ tls = "required" }}',
            main=f"{{ {hop.next_hop} = encrypt }}",
        )


def _read(subject: Subject) -> Iterator[tuple[str, Scope, str]]:
    """Each level that a daemon reads: service, its values, and the parameter."""
    for endpoint, scope in subject.listeners():
        if scope.text("smtpd_tls_wrappermode").lower() != "yes":
            yield endpoint.service, scope, "smtpd_tls_security_level"
        if endpoint.command == "postscreen":
            own = subject.scope(subject.service(endpoint.service))
            if own.is_set("postscreen_tls_security_level"):
                yield endpoint.service, own, "postscreen_tls_security_level"
    services: set[str] = set()
    for hop in subject.behaviour.outbound:
        if hop.service not in services:
            services.add(hop.service)
            service = subject.service(hop.service)
            side = service.command if service else "smtp"
            yield hop.service, subject.scope(service), f"{side}_tls_security_level"
