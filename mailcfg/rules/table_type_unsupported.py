"""A lookup table is of a type that this platform's Postfix does not have.

What it does: looks for tables of Berkeley DB and the older types, `hash:` and `btree:` above all, on a platform whose
Postfix is built without them and has no package that brings them.

Why it is bad: Postfix starts, and each lookup fails with "unsupported dictionary type": mail is deferred, or a TLS
policy or a password is not found.

Wrong:

    # platform rhel-10
    # main.cf
    smtp_tls_policy_maps = hash:/etc/postfix/tls_policy

Wrong:

    # platform alpine-3.20
    # main.cf
    smtpd_tls_session_cache_database = proxy:btree:/var/lib/postfix/smtpd_scache

Right:

    # platform rhel-10
    # main.cf
    smtp_tls_policy_maps = lmdb:/etc/postfix/tls_policy

Right:

    # platform rhel-9
    # main.cf
    smtp_tls_policy_maps = hash:/etc/postfix/tls_policy

References: postconf(1), DATABASE_README, linux-system-roles/postfix#163.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(1)", "DATABASE_README", "linux-system-roles/postfix#163")

_TABLE = re.compile(r"(?:^|[\s,{])(?:(?:proxy|maybe):)?(hash|btree|dbm|sdbm|netinfo|nisplus):")
"""Tables of the types that a build has or has not: those of other types are built in, or come in a package. Source:
DATABASE_README.
"""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the values as they are written."""
    facts = subject.platform
    for service, name, value, origin in subject.assigned():
        if ":" not in value:
            continue
        missing = {
            kind: None
            for kind in _TABLE.findall(value)
            if kind not in facts.postfix.table_types and kind not in facts.packages.tables
        }
        if not missing:
            continue
        known = facts.postfix.default_table_type
        yield Said(
            f"{name} has a table of type {' and '.join(missing)}, which Postfix on {facts.title} does not have",
            "every lookup there fails: mail is deferred, or goes on as if the table were not there",
            origin,
            name,
            service,
            policy=f"{known}: instead of {' and '.join(f'{each}:' for each in missing)}",
            main=f"{known}: instead, and run postmap again",
        )
