"""`[[ignore]]`: which drift a policy tolerates, checked so that no entry waits for what cannot come."""

from __future__ import annotations

from mailcfg.compile.builder import Builder
from mailcfg.configuration import Ignore
from mailcfg.source import Path

COLUMNS = ("private", "unprivileged", "chroot", "wakeup", "process_limit", "command", "arguments")
"""What a difference in a service's own line is called by."""

CYRUS = (
    "auto_transition", "auxprop_plugin", "canon_user_plugin", "keytab", "ldapdb_canon_attr", "ldapdb_id",
    "ldapdb_mech", "ldapdb_pw", "ldapdb_rc", "ldapdb_starttls", "ldapdb_uri", "log_level", "mech_list",
    "plugin_list", "pwcheck_method", "saslauthd_path", "sasldb_path", "scram_iteration_counter", "sql_database",
    "sql_engine", "sql_hostnames", "sql_insert", "sql_passwd", "sql_select", "sql_update", "sql_user", "sql_usessl",
)  # fmt: skip
"""Settings of smtpd.conf (Cyrus SASL, options)."""


def compile_ignores(b: Builder) -> tuple[Ignore, ...]:
    """Check and take over what is tolerated. Comes last: what else the policy names may be named here."""
    found: list[Ignore] = []
    for index, each in enumerate(b.site.ignore):
        place: Path = ("ignore", index)
        if not (each.setting or each.service or each.file):
            b.report(
                "ignore-unbounded",
                f"this would hide all drift{f' of the kind {each.kind}' if each.kind else ''}",
                (*place, "because"),
                help="name what it is about: a setting, a service or a file",
            )
        if each.setting and not _can_be(b, each.setting, each.file or ""):
            near = _nearest(b, each.setting)
            b.report(
                "ignore-unknown",
                f"nothing that is compared has a setting {each.setting}: this would hide nothing",
                (*place, "setting"),
                help=f"did you mean {near}?" if near else "for a setting of another file, name that file too",
            )
        origin = b.origin((*place, "because"))
        found.append(
            Ignore(
                each.because,
                each.until,
                each.setting or "",
                each.service or "",
                each.file or "",
                each.kind or "",
                origin,
            )
        )
    return tuple(found)


def _can_be(b: Builder, name: str, file: str) -> bool:
    """Whether drift may be told of a setting: it need not be one of the policy's own."""
    directory = b.platform.postfix.config_directory
    if file and file not in (f"{directory}/main.cf", f"{directory}/master.cf"):
        return True
    if name in b.catalogue or name in _names(b):
        return True
    if any(name.endswith(suffix) and name != suffix for suffix in b.catalogue.service_suffixes):
        return True
    suffixes = {f"_{each}" for names in b.catalogue.table_suffixes.values() for each in names}
    return any(name.endswith(suffix) and name != suffix for suffix in suffixes)


def _names(b: Builder) -> set[str]:
    """What else has a name: the policy's own, settings of smtpd.conf, columns, certificates."""
    found = {*b.parameters, *b.certificates, *COLUMNS, *CYRUS}
    found |= {each.name for sasl in b.sasl for each in sasl.settings}
    return found | {each.name for service in b.services.values() for each in service.overrides}


def _nearest(b: Builder, name: str) -> str | None:
    from difflib import get_close_matches

    return b.catalogue.nearest(name) or next(iter(get_close_matches(name, sorted(_names(b)), 1, 0.7)), None)
