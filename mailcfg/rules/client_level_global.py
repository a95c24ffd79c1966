"""TLS is demanded of a program on this machine that hardly has any.

What it does: looks for a next hop on this machine, or a content filter in a private network, to which main.cf's
smtp_tls_security_level demands TLS, because the service that delivers there has no level of its own. A next hop that is
a listener of this Postfix with TLS is left out.

Why it is bad: content filters, stunnel and their like speak plain SMTP. What is meant for other servers holds for them
too, so that their mail stays in the queue.

Wrong:

    # main.cf
    smtp_tls_security_level = encrypt
    content_filter = scan:[127.0.0.1]:10024
    # master.cf
    smtp inet n - n - - smtpd
    scan unix - - n - 2 smtp

Right:

    # main.cf
    smtp_tls_security_level = encrypt
    content_filter = scan:[127.0.0.1]:10024
    # master.cf
    smtp inet n - n - - smtpd
    scan unix - - n - 2 smtp
      -o smtp_tls_security_level=none

Right:

    # main.cf
    smtp_tls_security_level = may
    content_filter = smtp:[127.0.0.1]:10024

References: postconf(5) smtp_tls_security_level, FILTER_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.outbound import OPTIONAL, general_level
from mailcfg.behaviour.reach import private
from mailcfg.behaviour.tls import LEVELS
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.relay_wrappermode import NextHop, next_hops

SEVERITY = Severity.WARNING
REFERENCES = ("postconf(5) smtp_tls_security_level", "FILTER_README")


def check(subject: Subject) -> Iterator[Said]:
    """Look for a general level that holds for a local next hop too."""
    seen: set[tuple[Origin, str, str]] = set()
    for hop in next_hops(subject):
        level, deciding = general_level(hop.scope, hop.side)
        if level in OPTIONAL or level not in LEVELS or hop.level != level:
            continue
        value = hop.scope.value(deciding[-1])
        if value.source != "main" or not (hop.local or _filter(hop)) or _speaks_tls(subject, hop, level):
            continue
        if (value.origin, hop.service, hop.where) in seen:
            continue
        seen.add((value.origin, hop.service, hop.where))
        yield Said(
            f"{hop.where} ({hop.value.name}) must speak TLS: {value.name} = {value.value} holds for it too",
            "if it has no STARTTLS, as filters and tunnels mostly have none, its mail stays in the queue",
            value.origin,
            value.name,
            hop.service,
            policy=f'[outbound.destinations] with "{hop.where}" = {{ tls = "none" }}',
            main=f"-o {hop.side}_tls_security_level=none, below a service that delivers only there",
        )


def _filter(hop: NextHop) -> bool:
    """Whether it is a content filter at a private address."""
    return hop.value.name == "content_filter" and private(hop.where.partition("]")[0].strip("["))


def _speaks_tls(subject: Subject, hop: NextHop, level: str) -> bool:
    """Whether TLS can succeed there: it begins at once, or there is a listener of our own that has it."""
    if hop.scope.text(f"{hop.side}_tls_wrappermode").lower() == "yes":
        return True
    return level == "encrypt" and any(each.port == hop.port and each.encrypts for each in subject.behaviour.endpoints)
