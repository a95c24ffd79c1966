"""A password can be read by everybody on the host.

What it does: looks for passwords in main.cf and master.cf themselves, be it the password of a database or a table with
the passwords of relays, and for files with passwords that others than their owner and group may read.

Why it is bad: main.cf has to be readable for everybody, and it ends in backups, bug reports and git. A table that
postmap made holds passwords as they are.

Wrong:

    # main.cf
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = static:relay:wonderland

Wrong:

    # main.cf
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    # /etc/postfix/sasl_passwd = text relay.example.net u:p, mode 0600
    # /etc/postfix/sasl_passwd.db = text relay.example.net u:p, mode 0644

Wrong:

    # main.cf
    virtual_alias_maps = mysql:aliases
    aliases_password = wonderland

Right:

    # main.cf
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    virtual_alias_maps = mysql:/etc/postfix/aliases.cf
    # /etc/postfix/sasl_passwd = text relay.example.net u:p, mode 0600
    # /etc/postfix/sasl_passwd.db = text relay.example.net u:p, mode 0640
    # /etc/postfix/aliases.cf = text password = wonderland, mode 0640

References: SASL_README, SOHO_README, Oefenweb/ansible-postfix#114.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "SOHO_README", "Oefenweb/ansible-postfix#114")

_PASSWORD = re.compile(r"_(?:password|passwd|bind_pw)$")
"""Names that end like the password of a table's client (ldap_table(5), mysql_table(5), pgsql_table(5))."""

_INSIDE = re.compile(r"(?:^|[\s,])(?:proxy:)?(?:inline:\s*\{[^}]*[^\s{}]|static:(?:\{\s*)?[^\s{$:/]+:[^\s}$])")
"""A table of passwords that holds them in the value itself."""

_FILE = re.compile(r"(?:^|[\s,{])(?:proxy:)?(hash|btree|lmdb|cdb|dbm|sdbm|texthash|regexp|pcre|cidr):(/[^\s,{}$]+)")
_CLIENT = re.compile(r"(?:^|[\s,{])(?:proxy:)?(?:ldap|mysql|pgsql|mongodb):(/[^\s,{}$]+)")
_SETTING = re.compile(r"^(?:password|bind_pw)[ \t]*=[ \t]*[^\s$]", re.MULTILINE)
_ENDINGS = {
    "hash": (".db",),
    "btree": (".db",),
    "lmdb": (".lmdb",),
    "cdb": (".cdb",),
    "dbm": (".pag",),
    "sdbm": (".pag",),
}
"""What postmap puts behind the name of a table (DATABASE_README)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what is set, and at the files it names."""
    looked: set[str] = set()
    for service, name, value, origin in subject.assigned():
        if not value:
            continue
        if "pass" in name or name.endswith("_bind_pw"):
            tables = name.endswith("_sasl_password_maps")
            found = _INSIDE.search(value) if tables else "$" not in value and _PASSWORD.search(name)
            if found and _open(subject, origin):
                yield _inside(name, service, origin, subject)
        if ":" not in value:
            continue
        if name.endswith("_sasl_password_maps"):
            for kind, path in _FILE.findall(value):
                for each in (path, *(path + ending for ending in _ENDINGS.get(kind, ()))):
                    if each not in looked and readable_by_all(subject, each):
                        yield _file(each, name, service, origin)
                    looked.add(each)
        if "sql:/" in value or "ldap:/" in value or "mongodb:/" in value:
            for path in _CLIENT.findall(value):
                if path not in looked and readable_by_all(subject, path) and _names_one(subject, path):
                    yield _file(path, name, service, origin)
                looked.add(path)


def _open(subject: Subject, origin: Origin) -> bool:
    """Whether the file that a setting stands in is open to everybody, as Postfix wants it."""
    found = subject.around.status(origin.file) if origin.file.startswith("/") else None
    return found is None or bool(found.mode & 0o004)


def _names_one(subject: Subject, path: str) -> bool:
    """Whether the settings of a table's client hold a password."""
    return _SETTING.search(subject.around.text(path) or "") is not None


def readable_by_all(subject: Subject, path: str) -> bool:
    """Whether every user of the machine can read a file, as far as the directories above it tell."""
    found = subject.around.status(path)
    if found is None or not found.mode & 0o004:
        return False
    directory = path
    while directory := directory.rpartition("/")[0]:
        above = subject.around.status(directory)
        if above is not None and not above.mode & 0o001:
            return False
    return True


def _inside(name: str, service: str, origin: Origin, subject: Subject) -> Said:
    where = "a policy" if subject.is_policy else "master.cf" if service else "main.cf"
    return Said(
        f"{name} holds a password, in {where} itself",
        "every user of the machine can read it, and so can whoever gets a copy of the file",
        origin,
        name,
        service,
        policy="relay.credentials names a file that exists on the host alone",
        main="a table in a file that root alone can read, and its name here; then another password",
    )


def _file(path: str, name: str, service: str, origin: Origin) -> Said:
    return Said(
        f"{path} holds passwords, and everybody on the machine may read it",
        "every user of the machine, and every program that is broken into, has the passwords",
        origin,
        name,
        service,
        main=f"chmod 0600 {path}",
    )
