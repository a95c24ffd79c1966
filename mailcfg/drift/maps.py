"""Tables and databases that the policy names: whether they are there, and who can read those with passwords."""

from __future__ import annotations

import re

from mailcfg.configuration import Setting
from mailcfg.drift.files import compare_status
from mailcfg.drift.view import View
from mailcfg.machine import Unreadable

INDEXES = {
    "hash": (".db",),
    "btree": (".db",),
    "lmdb": (".lmdb",),
    "cdb": (".cdb",),
    "dbm": (".dir", ".pag"),
    "sdbm": (".dir", ".pag"),
}
"""What postmap(1) adds to the name of a table, by type (DATABASE_README)."""

PLAIN = ("texthash", "regexp", "pcre", "cidr", "pipemap", "unionmap", "ldap", "mysql", "pgsql", "sqlite", "mongodb")
"""Types whose file is read as it is."""

_TABLE = re.compile(r"(?:proxy:)?([a-z]+):(/[^\s,{}]+)")


def compare_maps(view: View) -> None:
    """Look at every table and database that a managed setting names."""
    for setting in view.configuration.parameters:
        if setting.name.endswith(("_maps", "_database", "_map")) and "cache" not in setting.name:
            _tables(view, setting)
        elif setting.name.endswith("_tls_CAfile") and setting.value.startswith("/"):
            _authorities(view, setting)
    for service in view.configuration.services:
        for setting in service.overrides:
            if setting.name.endswith(("_maps", "_map")):
                _tables(view, setting)
    for sasl in view.configuration.sasl:
        for setting in sasl.settings:
            if setting.name == "sasldb_path":
                _look(view, setting.value, setting, secret=0o660)


def _authorities(view: View, setting: Setting) -> None:
    """A file of trusted authorities: without a certificate in it nobody is believed, and TLS is off (measured)."""
    try:
        found = view.look(setting.value)
    except Unreadable:
        return
    if found is None:
        why = "there is no such file"
    elif b"-----BEGIN " not in found.data or b"CERTIFICATE-----" not in found.data:
        why = "it holds no certificate"
    else:
        compare_status(view, setting.value, found, 0o755, "", setting.origin, at_most=True)
        return
    view.differs(
        "certificate", setting.value, setting.name, "authorities to believe", None, "error", origin=setting.origin,
        explanation=[why], effects=["no certificate of a peer can be checked"],
    )  # fmt: skip


def _tables(view: View, setting: Setting) -> None:
    for match in _TABLE.finditer(setting.value):
        kind, path = match[1], match[2]
        secret = 0o600 if "password" in setting.name else None
        if kind in INDEXES:
            # Postfix reads only the index. Where its source lies beside it, it holds the same secrets.
            _look(view, path, setting, secret=secret, needed=False)
            for ending in INDEXES[kind]:
                _look(view, path + ending, setting, secret=secret, index=True)
        elif kind in PLAIN:
            _look(view, path, setting, secret=secret)


def _look(
    view: View, path: str, setting: Setting, *, secret: int | None, needed: bool = True, index: bool = False
) -> None:
    try:
        found = view.look(path, content=index)
    except Unreadable:
        return
    if found is None:
        if not needed:
            return
        view.differs(
            "missing", path, setting.name, "present", None, "error", origin=setting.origin,
            explanation=["there is no such file"],
        )  # fmt: skip
        return
    if index and not found.data:
        view.differs(
            "changed", path, setting.name, "a table", "an empty file", "error", origin=setting.origin,
            explanation=["Postfix cannot open it"], effects=[f"mail that needs {setting.name} is deferred"],
        )  # fmt: skip
    compare_status(view, path, found, secret if secret is not None else 0o755, "", setting.origin, at_most=True)
