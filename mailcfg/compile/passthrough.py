"""`[postfix.main]` and `[postfix.master]`: checked against the catalogue, then taken as they are."""

from __future__ import annotations

import re

from mailcfg.compile.builder import Builder, yes_no
from mailcfg.configuration import Service, Setting
from mailcfg.facts.parameters import Parameter
from mailcfg.facts.version import Version
from mailcfg.formats import macro, master_cf
from mailcfg.policy.passthrough import MasterService
from mailcfg.problem import Severity
from mailcfg.source import Path

STOCK_TRANSPORTS = (
    "smtp", "relay", "local", "virtual", "lmtp", "error", "retry", "discard", "maildrop", "uucp", "ifmail", "bsmtp",
    "scalemail-backend", "mailman", "cyrus", "old-cyrus", "uux",
)  # fmt: skip
"""Services of the master.cf that Postfix and its packages ship: `<name>_time_limit` and the like exist for them."""

_TABLE = r"\b(ldap|mysql|pgsql|sqlite|memcache|mongodb):(?:\{)?([A-Za-z0-9_]+)\b"


_OVERRIDE = re.compile(r"-[cdDluSvVz]*o")
"""The option of every daemon that sets a parameter (master(5)), also behind others that take no value."""


def compile_passthrough(b: Builder) -> None:
    """Check and take over what the policy writes in Postfix's own words."""
    postfix = b.site.postfix
    reads = _Reads(b)
    for name, raw in postfix.main.items():
        key: Path = ("postfix", "main", name)
        if re.search(_SECRET, name):
            b.report(
                "secret-in-policy",
                f"{name} is a password, and a policy never holds one",
                key,
                effect="it would end in the bundle, in git, and in main.cf, which everybody may read",
                help="put it into a file on the host, readable by root alone, and name that file",
                at_key=True,
            )
            continue
        value = _value(b, raw, key)
        if value is not None and _allowed(b, name, value, key, reads):
            b.parameters[name] = Setting(name, value, b.origin(key))
    for name in postfix.main:
        _no_circle(b, name, {}, ("postfix", "main", name))
    for name, entry in postfix.master.items():
        _service(b, name, entry, reads)


_SECRET = r"(?:^|_)(?:password|passwd|bind_pw|secret)$"
"""Names of parameters that hold a password, such as those of a database table that is defined inside main.cf."""


class _Reads:
    """Which names the policy's own texts read: a parameter that nobody knows is a typo unless something reads it."""

    def __init__(self, b: Builder) -> None:
        main, master = b.site.postfix.main, b.site.postfix.master
        self.defined = set(main) | set(b.parameters)
        texts = [_plain(value) for value in main.values()]
        for entry in master.values():
            texts += [entry.command or "", *entry.arguments]
            texts += [_plain(value) for value in entry.options.values()]
        self.names: set[str] = set()
        for text in texts:
            try:
                self.names |= macro.references(text)
            except macro.MacroError:
                continue  # Reported where the value itself is checked.
        classes = main.get("smtpd_restriction_classes", "")
        self.names |= set(re.split(r"[,\s]+", _plain(classes)))
        self.tables = {(match[1], match[2]) for text in texts for match in re.finditer(_TABLE, text)}
        self.transports = {*STOCK_TRANSPORTS, *(name.partition("/")[0] for name in master)}
        self.commands = {name.partition("/")[0] for name, entry in master.items() if entry.command == "spawn"}

    def reads(self, name: str, b: Builder) -> bool:
        if name in self.names:
            return True
        for suffix in b.catalogue.service_suffixes:
            if name.endswith(suffix) and name.removesuffix(suffix) in self.transports:
                return True
        for kind, prefix in self.tables:
            if name.startswith(f"{prefix}_") and name.removeprefix(f"{prefix}_") in b.catalogue.table_suffixes.get(
                kind, ()
            ):
                return True
        return False


def _plain(value: bool | int | str | list[str]) -> str:
    if isinstance(value, bool):
        return yes_no(value)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _value(b: Builder, raw: bool | int | str | list[str], key: Path) -> str | None:
    """A value as one line of main.cf, or None after reporting why it cannot be one."""
    value = _plain(raw)
    problem, advice = "", ""
    if not value.isprintable() and value:
        problem, advice = f"{value!a} holds a control character", "a value is one line of printable text"
    elif value != value.strip():
        problem, advice = "blanks at the ends of a value are lost", "remove them"
    elif value.startswith("#") or " #" in value:
        problem = "a # here becomes part of the value: main.cf has no comments behind a value"
        advice = "remove the comment"
    else:
        try:
            macro.references(value)
        except macro.MacroError as error:
            problem, advice = str(error), "Postfix would not start with it"
    if problem:
        b.report("bad-value", problem, key, help=advice)
        return None
    return value


def _allowed(b: Builder, name: str, value: str, key: Path, reads: _Reads) -> bool:
    managed = b.parameters.get(name)
    if managed is not None:
        b.report(
            "managed-parameter",
            f"{name} is set by {managed.origin.key}",
            key,
            help=f"change {managed.origin.key}, or remove this line",
            at_key=True,
        )
        return False
    return _known(b, name, value, key, reads)


def _known(b: Builder, name: str, value: str, key: Path, reads: _Reads) -> bool:
    parameter = b.catalogue.get(name)
    if parameter is None:
        if reads.reads(name, b):
            return True
        near = b.catalogue.nearest(name)
        b.report(
            "parameter-unknown",
            f"Postfix has no parameter {name}, and nothing else in this policy reads it",
            key,
            effect="Postfix would ignore it in silence",
            help=f"did you mean {near}?" if near else "check the spelling in postconf(5)",
            at_key=True,
        )
        return False
    if not parameter.exists_in(b.postfix):
        since = parameter.since
        new = (since is not None and since > b.postfix.series) or min(parameter.default) > b.postfix.series
        first = since if since is not None and since > b.postfix.series else min(parameter.default)
        b.report(
            "parameter-too-new" if new else "parameter-removed",
            f"{name} needs Postfix {first[0]}.{first[1]}; the target is {b.postfix}"
            if new
            else f"{name} is gone from Postfix {parameter.removed or b.postfix}",
            key,
            effect="Postfix would ignore it in silence",
            help=f"instead: {parameter.replacement}" if parameter.replacement and not new else "remove it",
            at_key=True,
        )
        return False
    if parameter.deprecated and Version.parse(parameter.deprecated).series <= b.postfix.series:
        b.report(
            "parameter-deprecated",
            f"{name} is deprecated since Postfix {parameter.deprecated}",
            key,
            severity=Severity.WARNING,
            help=f"instead: {parameter.replacement}" if parameter.replacement else "remove it",
            at_key=True,
        )
    problem = misfit(parameter, value)
    if problem:
        b.report("bad-value", f"{name} takes {problem[0]}, not {value!a}", key, help=problem[1])
        return False
    _undefined(b, value, key, reads)
    return True


def misfit(parameter: Parameter, value: str) -> tuple[str, str] | None:
    """What a parameter takes instead of the value, and an example; None if it fits. A value with `$` is Postfix's to
    expand.
    """
    if "$" in value:
        return None
    match parameter.kind:
        case "bool" if value not in ("yes", "no"):
            return "yes or no", "write true or false, without quotes"
        case "integer" if not re.fullmatch(r"-?\d+", value):
            return "a whole number", "write it out, without a unit"
        case "time" if not re.fullmatch(r"\d+[smhdw]?", value):
            return "a time", "a number with s, m, h, d or w, such as 300s or 5d"
        case "enum" if value and value.lower() not in [each.lower() for each in parameter.values]:
            return "a word of its own", f"one of: {', '.join(each for each in parameter.values if each)}"
        case _:
            return None


def _undefined(b: Builder, value: str, key: Path, reads: _Reads) -> None:
    for name in sorted(macro.references(value)):
        if name in reads.defined or b.knows(name) or not re.fullmatch(r"[a-z]+(?:_[a-z0-9]+)+", name):
            continue
        near = b.catalogue.nearest(name)
        b.report(
            "reference-undefined",
            f"${name} is not a parameter that Postfix {b.postfix} or this policy defines",
            key,
            severity=Severity.WARNING,
            effect="Postfix puts nothing in its place",
            help=f"did you mean ${near}?" if near else "define it in [postfix.main]",
        )


def _no_circle(b: Builder, name: str, own: dict[str, str], key: Path) -> None:
    """Report a value that reads itself by way of others. `own`: what a service sets for itself alone."""

    def read_by(of: str) -> set[str]:
        known = b.catalogue.get(of)
        value = own.get(of)
        if value is None:
            value = b.parameters[of].value if of in b.parameters else known and known.default_in(b.postfix)
        return macro.expanded(value) if value and "$" in value else set()

    seen: set[str] = set()
    ways: list[tuple[str, tuple[str, ...]]] = [(each, (name, each)) for each in sorted(read_by(name))]
    while ways:
        last, way = ways.pop()
        if last == name:
            b.report(
                "reference-circle",
                f"{name} reads itself: {' -> '.join(way)}",
                key,
                effect="Postfix would not start with it",
                help="write out one of these values",
            )
            return
        if last not in seen:
            seen.add(last)
            ways += [(each, (*way, each)) for each in sorted(read_by(last))]


def _service(b: Builder, name: str, entry: MasterService, reads: _Reads) -> None:
    key: Path = ("postfix", "master", name)
    overrides: list[Setting] = []
    for option, raw in entry.options.items():
        at: Path = (*key, "options", option)
        value = _value(b, raw, at)
        parameter = b.catalogue.get(option)
        # A service may also be told a parameter of the policy's own, which another of its values then reads.
        if value is None or (parameter is not None and not _known(b, option, value, at, reads)):
            continue
        if parameter is None and not reads.reads(option, b):
            near = b.catalogue.nearest(option)
            b.report(
                "parameter-unknown",
                f"Postfix has no parameter {option}, and nothing else in this policy reads it",
                at,
                effect="Postfix would ignore it in silence",
                help=f"did you mean {near}?" if near else "check the spelling in postconf(5)",
                at_key=True,
            )
            continue
        overrides.append(Setting(option, value, b.origin(at)))
    own = {setting.name: setting.value for setting in overrides}
    for option in own:
        _no_circle(b, option, own, (*key, "options", option))
    managed = _managed(b, name, entry)
    if managed is not None:
        _extend(b, managed, entry, overrides, key)
        return
    service = _new_service(b, name, entry, overrides, key)
    if service is not None:
        b.services[service.id] = service


def _managed(b: Builder, name: str, entry: MasterService) -> Service | None:
    """The listener that a table of [postfix.master] adds options to, by its service or by its name in the policy."""
    for endpoint in b.endpoints:
        if name in (endpoint.service, f"{endpoint.service}/inet") and entry.type in (None, "inet"):
            return b.services.get(f"{endpoint.service}/inet")
        if name == endpoint.name and entry.command is None:
            return b.services.get(f"{endpoint.service}/inet")
    return None


def _extend(b: Builder, service: Service, entry: MasterService, overrides: list[Setting], key: Path) -> None:
    for field in sorted(entry.model_fields_set - {"options", "type"}):
        b.report(
            "managed-service",
            f"{service.id} is declared by {service.origin.key}: only options can be added here",
            (*key, field),
            help="remove this line",
            at_key=True,
        )
    taken = {setting.name: setting for setting in service.overrides}
    fresh: list[Setting] = []
    for setting in overrides:
        if setting.name in taken:
            b.report(
                "managed-parameter",
                f"{setting.name} is set by {taken[setting.name].origin.key}",
                (*key, "options", setting.name),
                help=f"change {taken[setting.name].origin.key}, or remove this line",
                at_key=True,
            )
        elif _writable(b, setting, (*key, "options", setting.name)):
            fresh.append(setting)
    b.services[service.id] = service._replace(overrides=(*service.overrides, *fresh))


def _writable(b: Builder, setting: Setting, key: Path) -> bool:
    try:
        master_cf.override(setting, b.postfix)
    except master_cf.Unwritable as error:
        b.report("bad-value", f"{setting.name}: {error}", key, help="separate entries with commas, without blanks")
        return False
    return True


def _new_service(b: Builder, name: str, entry: MasterService, overrides: list[Setting], key: Path) -> Service | None:
    service, slash, kind = name.rpartition("/")
    if not slash or kind not in ("inet", "unix", "unix-dgram", "fifo", "pass"):
        service, kind = name, entry.type or ""
    if not kind or not service:
        b.report(
            "missing-key", f"which type has {name}?", key, help=f'[postfix.master."{name}/unix"], or type = "unix"'
        )
        return None
    if entry.command is None:
        b.report(
            "missing-key",
            f"[postfix.master.{name}] needs command",
            key,
            help='command = "smtpd"; options alone can be added to a listener that this policy declares',
        )
        return None
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", entry.command):
        b.report(
            "bad-value", f"{entry.command!a} is not a daemon of Postfix", (*key, "command"), help='such as "smtpd"'
        )
        return None
    for index, argument in enumerate(entry.arguments):
        # Of pipe and spawn, what follows a word without a dash is for the command that they run.
        own = entry.command not in ("pipe", "spawn") or all(each.startswith("-") for each in entry.arguments[:index])
        if own and _OVERRIDE.match(argument):
            wanted = argument.partition("o")[2].strip(" {}").partition("=")[0].strip()
            b.report(
                "bad-value",
                "-o among the arguments would go unchecked",
                (*key, "arguments", index),
                help=f'write it under options: options = {{ {wanted or "name"} = "…" }}',
            )
            return None
        try:
            master_cf.word(argument, b.postfix)
        except master_cf.Unwritable as error:
            b.report("bad-value", str(error), (*key, "arguments", index), help="write it without blanks")
            return None
    port = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465"}
    taken = {str(endpoint.port): endpoint.name for endpoint in b.endpoints if endpoint.listener.address is None}
    number = service.rpartition(":")[2] or service
    if kind == "inet" and port.get(number, number) in taken:
        b.report(
            "listener-clash",
            f"{name} and {taken[port.get(number, number)]} listen on the same port",
            key,
            effect="each would get a part of the connections",
            help="write its options under the listener's own name, or give it another port",
            at_key=True,
        )
        return None
    private = (kind != "inet") if entry.private is None else entry.private
    return Service(
        name=service,
        type=kind,
        private="y" if private else "n",
        unprivileged="-" if entry.unprivileged is None else yes_no(entry.unprivileged)[0],
        chroot=yes_no(bool(entry.chroot))[0],
        wakeup=entry.wakeup or "-",
        process_limit="-" if entry.process_limit is None else str(entry.process_limit),
        command=entry.command,
        arguments=tuple(entry.arguments),
        overrides=tuple(each for each in overrides if _writable(b, each, (*key, "options", each.name))),
        origin=b.origin(key),
    )
