"""A value kills smtpd at its start.

What it does: looks for what smtpd cannot read among the values of each listener: a boolean that is neither yes nor no,
a number that is none, nothing where something must be; and for a smtpd.conf that libsasl refuses.

Why it is bad: `postfix check`, `postfix start` and the exit status of postconf are content with it. The port is open,
and every client that connects waits in vain, while master starts smtpd again and again.

Wrong:

    # main.cf
    smtpd_helo_required = true

Wrong:

    # main.cf
    smtpd_tls_auth_only = yes
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_auth_only=1

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method saslauthd

Right:

    # main.cf
    smtpd_helo_required = yes
    smtpd_tls_auth_only = Yes
    smtpd_timeout = 30s

References: postconf(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.fatal import flaw
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5)",)


def check(subject: Subject) -> Iterator[Said]:
    """Look at the values that each smtpd reads, and at its smtpd.conf."""
    yield from _values(subject)
    for path, parsed in (subject.files.sasl if subject.files else {}).items():
        refused = next((each for each in parsed.problems if each.fatal), None)
        dead = [each for each in subject.behaviour.endpoints if any(path in cause for cause in each.causes)]
        if refused is not None and dead:
            yield Said(
                f"libsasl refuses this file: {refused.message}",
                f"smtpd dies as soon as a client comes to {label(dead[0])}",
                Origin(path, refused.line, 1, ""),
                "",
                dead[0].service,
                main="name: value, without a blank before the colon",
            )


def _values(subject: Subject) -> Iterator[Said]:
    told: set[tuple[str, int]] = set()
    for endpoint, scope in subject.listeners():
        if endpoint.works:
            continue
        found = flaw(scope) or flaw(scope, tls=True)
        if found is None or not found.origin.file or found.origin[:2] in told:
            continue
        told.add(found.origin[:2])
        yield Said(
            f"{found.words}: smtpd dies of it",
            f"nobody gets an answer at {label(endpoint)}, and no mail comes in",
            found.origin,
            found.setting,
            endpoint.service,
            policy=f"{found.setting} = a value that Postfix can read",
            main=f"remove {found.setting}, or give it a value that Postfix can read",
        )
