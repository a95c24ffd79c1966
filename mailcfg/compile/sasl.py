"""Password checking: parameters, smtpd.conf, and the settings of saslauthd or Dovecot."""

from __future__ import annotations

from mailcfg.compile.builder import Builder, yes_no
from mailcfg.compile.submission import AUXPROP, Endpoint
from mailcfg.configuration import ExtraFile, Origin, SaslFile, Setting, Step
from mailcfg.policy.sasl import Sasl
from mailcfg.problem import Severity
from mailcfg.source import Path

PLAINTEXT = ("PLAIN", "LOGIN")
"""Mechanisms that hand the password over, the only ones that saslauthd and hashed passwords can check."""

DOVECOT_MECHANISMS = {
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "NTLM",
    "OTP",
    "GSSAPI",
    "EXTERNAL",
    "ANONYMOUS",
    "OAUTHBEARER",
    "XOAUTH2",
}


def compile_sasl(b: Builder) -> None:
    """Set what `[sasl]` says."""
    sasl = b.site.sasl
    if sasl is None:
        return
    using = [endpoint for endpoint in b.endpoints if endpoint.authenticates]
    if not using:
        b.report(
            "sasl-unused",
            'nobody authenticates: every listener has auth = "never"',
            ("sasl",),
            severity=Severity.WARNING,
            help="remove [sasl], or open a [submission]",
            at_key=True,
        )
    _keys_fit(b, sasl)
    _mechanisms_work(b, sasl)
    chroot = _chroot_of(b, sasl, using)
    b.set("smtpd_sasl_type", "dovecot" if sasl.backend == "dovecot" else "cyrus", ("sasl", "backend"))
    if sasl.backend == "dovecot":
        _dovecot(b, sasl, chroot)
    else:
        b.set("smtpd_sasl_path", sasl.service, ("sasl", "service"))
        if b.platform.sasl.config_path_honoured:
            b.set("cyrus_sasl_config_path", b.platform.sasl.config_directory, ("sasl", "service"), b.platform.id)
        _smtpd_conf(b, sasl, chroot)
    for name in ("security_options", "tls_security_options"):
        value = ", ".join(getattr(sasl, name))
        b.set(f"smtpd_sasl_{name}", value, ("sasl", name))
    b.set("broken_sasl_auth_clients", yes_no(sasl.legacy_auth_line), ("sasl", "legacy_auth_line"))
    b.set("smtpd_sasl_authenticated_header", yes_no(sasl.authenticated_header), ("sasl", "authenticated_header"))
    if sasl.realm is not None:
        b.set("smtpd_sasl_local_domain", sasl.realm, ("sasl", "realm"))


def _keys_fit(b: Builder, sasl: Sasl) -> None:
    for backend in ("saslauthd", "sasldb", "sql", "ldapdb", "dovecot"):
        if backend in sasl.model_fields_set and backend != sasl.backend:
            b.report(
                "backend-table-unused",
                f'[sasl.{backend}] has no meaning with backend = "{sasl.backend}"',
                ("sasl", backend),
                help="remove the table, or change the backend",
                at_key=True,
            )
    for backend in ("sql", "ldapdb"):
        if sasl.backend == backend and getattr(sasl, backend) is None:
            b.report(
                "missing-key",
                f'backend = "{backend}" needs [sasl.{backend}]',
                ("sasl", "backend"),
                help=f"[sasl.{backend}]",
            )
    daemon = sasl.saslauthd
    for mechanism in ("ldap", "rimap"):
        if sasl.backend == "saslauthd" and daemon.mechanism == mechanism and getattr(daemon, mechanism) is None:
            b.report(
                "missing-key",
                f'mechanism = "{mechanism}" needs [sasl.saslauthd.{mechanism}]',
                ("sasl", "saslauthd", "mechanism"),
                help=f"[sasl.saslauthd.{mechanism}]",
            )
        if mechanism in daemon.model_fields_set and daemon.mechanism != mechanism:
            b.report(
                "backend-table-unused",
                f'[sasl.saslauthd.{mechanism}] has no meaning with mechanism = "{daemon.mechanism}"',
                ("sasl", "saslauthd", mechanism),
                help=f'write mechanism = "{mechanism}", or remove the table',
                at_key=True,
            )
    if "service" in sasl.model_fields_set and sasl.backend == "dovecot":
        b.report(
            "backend-table-unused",
            "service names a smtpd.conf, and Dovecot reads none",
            ("sasl", "service"),
            help="remove it",
            at_key=True,
        )


def _mechanisms_work(b: Builder, sasl: Sasl) -> None:
    """Report mechanisms that could be announced and never succeed."""
    if isinstance(sasl.mechanisms, str) or sasl.mechanisms is None:
        return
    for index, mechanism in enumerate(sasl.mechanisms):
        at: Path = ("sasl", "mechanisms", index)
        if sasl.backend == "saslauthd" and mechanism not in PLAINTEXT:
            b.report(
                "mechanism-unverifiable",
                f"{mechanism} can never succeed with saslauthd",
                at,
                effect=f"saslauthd is handed a password; {mechanism} never sends one",
                help=f'drop {mechanism}, or use backend = "sasldb"',
            )
        elif sasl.backend == "dovecot" and mechanism not in DOVECOT_MECHANISMS:
            b.report("mechanism-unverifiable", f"Dovecot has no {mechanism}", at, help=f"drop {mechanism}")
        elif mechanism == "ANONYMOUS" and "noanonymous" in sasl.tls_security_options:
            b.report(
                "mechanism-excluded",
                "ANONYMOUS is listed, and tls_security_options exclude it",
                at,
                help="drop ANONYMOUS: it lets anybody in",
            )
        elif mechanism in PLAINTEXT and "noplaintext" in sasl.tls_security_options:
            b.report(
                "mechanism-excluded",
                f"{mechanism} is listed, and tls_security_options exclude it",
                at,
                effect="the option hides it inside TLS as well",
                help='drop "noplaintext" from tls_security_options',
            )


def _chroot_of(b: Builder, sasl: Sasl, using: list[Endpoint]) -> bool:
    """Whether the listeners that authenticate run in the chroot. One smtpd.conf names one socket path for all."""
    inside = [endpoint for endpoint in using if endpoint.chroot]
    if sasl.backend in AUXPROP:
        for endpoint in inside:
            b.report(
                "sasl-in-chroot",
                f"{endpoint.name} runs in a chroot, where {sasl.backend} cannot be reached",
                (*endpoint.key, "chroot"),
                effect="every password would be answered with 454",
                help="remove chroot = true here",
            )
        return False
    if inside and len(inside) != len(using) and sasl.backend == "saslauthd":
        outside = next(endpoint for endpoint in using if not endpoint.chroot)
        b.report(
            "chroot-mixed",
            f"{inside[0].name} runs in a chroot and {outside.name} does not: they need saslauthd's socket at two paths",
            (*(outside if "chroot" in outside.listener.model_fields_set else inside[0]).key, "chroot"),
            help="set the same chroot for all listeners that authenticate",
        )
    return bool(inside)


def _inside(b: Builder, path: str, key: Path) -> str:
    """A path of the host as a chrooted smtpd sees it."""
    queue = b.queue_directory
    if path.startswith(queue + "/"):
        return path[len(queue) :]
    b.report(
        "saslauthd-socket-chroot",
        f"{path} is outside {queue}, and smtpd runs in a chroot there",
        key,
        effect="every password would be answered with 454",
        help=f"choose a path below {queue}, or chroot = false for the listeners that authenticate",
    )
    return path


def _smtpd_conf(b: Builder, sasl: Sasl, chroot: bool) -> None:
    settings: list[Setting] = []

    def add(name: str, value: str, *key: str) -> None:
        settings.append(Setting(name, value, b.origin(("sasl", *key))))

    partly = False
    if sasl.backend == "saslauthd":
        b.need(*b.platform.packages.saslauthd)
        add("pwcheck_method", "saslauthd", "backend")
        seen = _saslauthd(b, sasl, chroot)
        if seen != b.platform.saslauthd.library_socket_directory:
            add("saslauthd_path", f"{seen}/mux", "saslauthd", "socket_directory")
    else:
        add("pwcheck_method", "auxprop", "backend")
        add("auxprop_plugin", sasl.backend, "backend")
        if sasl.backend == "sasldb":
            b.need(*b.platform.packages.sasldb)
            path = sasl.sasldb.path or b.platform.sasl.sasldb
            add("sasldb_path", path, "sasldb", "path")
            _sasldb_steps(b, sasl, path)
        elif sasl.sql is not None:
            b.need(*b.platform.packages.sql)
            sql = sasl.sql
            add("sql_engine", sql.engine, "sql", "engine")
            if sql.hosts:
                add("sql_hostnames", ", ".join(sql.hosts), "sql", "hosts")
            if sql.user:
                add("sql_user", sql.user, "sql", "user")
            add("sql_database", sql.database, "sql", "database")
            add("sql_select", sql.statement, "sql", "statement")
            if sql.hosts:
                add("sql_usessl", yes_no(sql.tls), "sql", "tls")
            partly = sql.engine != "sqlite3"
        elif sasl.ldapdb is not None:
            b.need(*b.platform.packages.ldapdb)
            ldapdb = sasl.ldapdb
            add("ldapdb_uri", ldapdb.uri, "ldapdb", "uri")
            add("ldapdb_id", ldapdb.identity, "ldapdb", "identity")
            add("ldapdb_mech", ldapdb.mechanism, "ldapdb", "mechanism")
            if ldapdb.uri.startswith("ldap://"):
                add("ldapdb_starttls", "demand" if ldapdb.start_tls else "try", "ldapdb", "start_tls")
            if ldapdb.rc_file:
                add("ldapdb_rc", ldapdb.rc_file, "ldapdb", "rc_file")
            partly = ldapdb.mechanism not in ("EXTERNAL", "GSSAPI")
    if sasl.mechanisms != "all-installed":
        add("mech_list", " ".join(sasl.mechanisms or PLAINTEXT), "mechanisms")
    path = f"{b.platform.sasl.config_directory}/{sasl.service}.conf"
    b.sasl.append(SaslFile(path, tuple(settings), partly))


def _sasldb_steps(b: Builder, sasl: Sasl, path: str) -> None:
    """Let smtpd, which reads the database as its own user, into it."""
    realm = sasl.realm or b.site.hostname
    owner = b.platform.postfix.mail_owner
    command = f"[ -e {path} ] && chgrp {owner} {path} && chmod 0640 {path}"
    b.steps.append(Step("sasldb", command, f"after saslpasswd2 -c -f {path} -u {realm} USER, for each user"))


def _saslauthd(b: Builder, sasl: Sasl, chroot: bool) -> str:
    """Write saslauthd's own settings; return its socket directory as smtpd sees it."""
    daemon, facts = sasl.saslauthd, b.platform.saslauthd
    key = ("sasl", "saslauthd", "socket_directory")
    if daemon.mechanism not in facts.mechanisms:
        b.report(
            "saslauthd-mechanism",
            f"saslauthd of {b.platform.title} has no {daemon.mechanism}",
            ("sasl", "saslauthd", "mechanism"),
            help=f"one of: {', '.join(facts.mechanisms)}",
        )
    moved = facts.chroot_socket_directory.replace(b.platform.postfix.queue_directory, b.queue_directory, 1)
    directory = daemon.socket_directory or (moved if chroot else facts.socket_directory)
    if not directory:
        b.report(
            "saslauthd-socket-chroot",
            f"the saslauthd service of {b.platform.title} cannot put its socket into Postfix's chroot",
            key,
            effect="every password would be answered with 454",
            help="remove chroot = true from the listeners that authenticate, or set socket_directory",
        )
        directory = facts.socket_directory
    origin = b.origin(("sasl", "saslauthd"))
    options: list[str] = []
    if daemon.mechanism == "ldap" and daemon.ldap:
        options = ["-O", facts.ldap_settings_file]
        _saslauthd_ldap(b, sasl)
    elif daemon.mechanism == "rimap" and daemon.rimap:
        # -r hands user@realm to the IMAP server whole, as mailboxes are called there.
        options = ["-O", daemon.rimap.host.replace(":", "/"), "-r"]
    content = _saslauthd_settings(facts.settings_style, daemon.mechanism, directory, daemon.processes, options)
    name = facts.settings_file.rpartition("/")[2]
    shared = facts.settings_style == "rc.conf"
    b.files.append(
        ExtraFile(f"saslauthd/{name}", facts.settings_file, 0o644, "part" if shared else "whole", content, origin)
    )
    if directory != facts.socket_directory and facts.group:
        command = f"install -d -m 0710 -o root -g {facts.group} {directory}"
        b.steps.append(Step("saslauthd-socket", command, "the directory of the socket decides who may ask saslauthd"))
    if b.platform.commands.join_saslauthd_group:
        b.steps.append(
            Step(
                "saslauthd-group",
                b.platform.commands.join_saslauthd_group,
                f"smtpd reaches the socket as a member of the group {facts.group}",
            )
        )
    b.steps.append(Step("saslauthd", b.platform.commands.enable_saslauthd, "saslauthd runs, now and after a reboot"))
    b.steps.append(Step("saslauthd-restart", b.platform.commands.restart_saslauthd, "saslauthd reads its settings"))
    return _inside(b, directory, key) if chroot else directory


def _saslauthd_settings(style: str, mechanism: str, directory: str, processes: int, options: list[str]) -> str:
    more = " ".join(options)
    match style:
        case "debian":
            lines = [
                "START=yes",
                'DESC="SASL Authentication Daemon"',
                'NAME="saslauthd"',
                f'MECHANISMS="{mechanism}"',
                'MECH_OPTIONS=""',
                f"THREADS={processes}",
                f'OPTIONS="{" ".join(["-m", directory, *options])}"',
            ]
        case "sysconfig-mech":
            lines = [
                f"SOCKETDIR={directory}",
                f"MECH={mechanism}",
                f'FLAGS="{" ".join(["-n", str(processes), *options])}"',
            ]
        case "sysconfig-suse":
            lines = [
                f"SASLAUTHD_AUTHMECH={mechanism}",
                f"SASLAUTHD_THREADS={processes}",
                f'SASLAUTHD_PARAMS="{" ".join(["-m", directory, *options])}"',
            ]
        case "conf.d":
            lines = [f'SASLAUTHD_OPTS="{f"-m {directory} -a {mechanism} -n {processes} {more}".rstrip()}"']
        case "rc.conf":
            lines = [
                'saslauthd_enable="YES"',
                f'saslauthd_flags="{f"-m {directory} -a {mechanism} -n {processes} {more}".rstrip()}"',
            ]
        case _:
            raise ValueError(f"unknown style of saslauthd settings: {style}")
    return "".join(f"{line}\n" for line in lines)


def _saslauthd_ldap(b: Builder, sasl: Sasl) -> None:
    ldap = sasl.saslauthd.ldap
    assert ldap is not None
    lines = [
        f"ldap_servers: {' '.join(ldap.servers)}",
        f"ldap_search_base: {ldap.search_base}",
        f"ldap_filter: {ldap.filter}",
        f"ldap_auth_method: {ldap.method}",
    ]
    start_tls = ldap.start_tls and any(server.startswith("ldap://") for server in ldap.servers)
    if start_tls:
        lines.append("ldap_start_tls: yes")
    if start_tls or any(server.startswith("ldaps://") for server in ldap.servers):
        lines.append("ldap_tls_check_peer: yes")
        lines.append(f"ldap_tls_cacert_file: {ldap.ca_file or b.platform.certificates.ca_bundle}")
    target = b.platform.saslauthd.ldap_settings_file
    content = "".join(f"{line}\n" for line in lines)
    origin: Origin = b.origin(("sasl", "saslauthd", "ldap"))
    b.files.append(ExtraFile(f"saslauthd/{target.rpartition('/')[2]}", target, 0o640, "whole", content, origin))


def _dovecot(b: Builder, sasl: Sasl, chroot: bool) -> None:
    b.need(*b.platform.packages.dovecot)
    if not b.platform.sasl.dovecot_directory:
        b.report(
            "backend-unsupported",
            f"{b.platform.title} has no Dovecot with a directory for settings",
            ("sasl", "backend"),
            help='use backend = "saslauthd"',
        )
    queue = b.queue_directory
    socket = sasl.dovecot.socket or f"{queue}/private/auth"
    key = ("sasl", "dovecot", "socket")
    if socket.startswith(queue + "/"):
        # smtpd stands in the queue directory, in a chroot or not, so a relative path serves both.
        path = socket[len(queue) + 1 :]
    else:
        path = _inside(b, socket, key)[1:] if chroot else socket
    b.set("smtpd_sasl_path", path, key)
    owner = b.platform.postfix.mail_owner
    mechanisms = " ".join(sasl.mechanisms or PLAINTEXT).lower() if sasl.mechanisms != "all-installed" else ""
    lines = [f"auth_mechanisms = {mechanisms}", ""] if mechanisms else []
    lines += [
        "service auth {",
        f"  unix_listener {socket} {{",
        "    mode = 0660",
        f"    user = {owner}",
        f"    group = {owner}",
        "  }",
        "}",
    ]
    target = f"{b.platform.sasl.dovecot_directory}/99-mailcfg.conf"
    content = "".join(f"{line}\n" for line in lines)
    b.files.append(ExtraFile("dovecot/99-mailcfg.conf", target, 0o644, "whole", content, b.origin(("sasl", "dovecot"))))
    b.steps.append(Step("dovecot", b.platform.commands.reload_dovecot, "Dovecot opens the socket"))
