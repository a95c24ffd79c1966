"""What postconf prints of a main.cf and a master.cf, and what it warns of, told from the two files alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple, NoReturn

from mailcfg.facts.parameters import catalogue
from mailcfg.facts.version import Version
from mailcfg.formats import macro, main_cf, master_cf
from mailcfg.formats.logical import (
    NUL_WARNING,
    SPACE,
    SPACE_WARNING,
    Problem,
    add_nul_problems,
    decoded,
    encoded,
    logical_lines,
    span_of,
    spans,
    starts_with_space,
)

COMMENT_WARNED_SINCE = (3, 8)
"""The Postfix series that warns of a # after other text (HISTORY of April 2023; measured: 3.10.13, not 3.7.11)."""

DEPRECATION_WARNED_SINCE = (3, 9)
"""The Postfix series that warns of parameters that are to go (HISTORY 20240218)."""

DIRECTORY = "/etc/postfix"

_RAW = frozenset(
    {
        "command_execution_directory",
        "default_rbl_reply",
        "forward_path",
        "luser_relay",
        "mailbox_command",
        "postscreen_expansion_filter",
        "postscreen_reject_footer",
        "smtpd_expansion_filter",
        "smtpd_reject_footer",
    }
)
"""Parameters that are not expanded: what stands there is for something else to expand (measured, alike in all four)."""

_RAW_KEPT_SINCE = (3, 11)
"""The Postfix series that leaves them alone where another value refers to them, too (HISTORY 20260126; measured)."""

_READ_ONLY = ("process_id", "process_name", "service_name")
_SERVICE_NAME_SETTABLE_SINCE = (3, 11)
_LEVEL = 'specify "{}_tls_security_level"'
_DEFAULT = "do not specify (leave at default)"
_DEPRECATED: dict[str, tuple[tuple[int, int], str]] = {
    "disable_dns_lookups": ((3, 9), 'specify "smtp_dns_support_level"'),
    "lmtp_enforce_tls": ((3, 9), "lmtp_tls_security_level"),
    "lmtp_tls_per_site": ((3, 9), 'specify "lmtp_tls_policy_maps"'),
    "lmtp_use_tls": ((3, 9), _LEVEL.format("lmtp")),
    "postscreen_enforce_tls": ((3, 9), _LEVEL.format("postscreen")),
    "postscreen_use_tls": ((3, 9), _LEVEL.format("postscreen")),
    "smtp_enforce_tls": ((3, 9), _LEVEL.format("smtp")),
    "smtp_tls_per_site": ((3, 9), 'specify "smtp_tls_policy_maps"'),
    "smtp_use_tls": ((3, 9), _LEVEL.format("smtp")),
    "smtpd_enforce_tls": ((3, 9), _LEVEL.format("smtpd")),
    "smtpd_tls_dh1024_param_file": ((3, 9), _DEFAULT),
    "smtpd_tls_eecdh_grade": ((3, 9), _DEFAULT),
    "smtpd_use_tls": ((3, 9), _LEVEL.format("smtpd")),
    "tlsproxy_client_enforce_tls": ((3, 9), 'specify "tlsproxy_client_security_level"'),
    "tlsproxy_client_per_site": ((3, 9), 'specify "tlsproxy_client_policy_maps"'),
    "tlsproxy_client_use_tls": ((3, 9), 'specify "tlsproxy_client_security_level"'),
    "tlsproxy_enforce_tls": ((3, 9), _LEVEL.format("tlsproxy")),
    "tlsproxy_use_tls": ((3, 9), _LEVEL.format("tlsproxy")),
    "authorized_verp_clients": ((3, 11), 'specify "smtpd_authorized_verp_clients"'),
    "fallback_relay": ((3, 11), 'specify "smtp_fallback_relay"'),
    "lmtp_cname_overrides_servername": ((3, 11), "do not specify"),
    "lmtp_per_record_deadline": ((3, 11), 'specify "lmtp_per_request_deadline"'),
    "lmtp_tls_enforce_peername": ((3, 11), _LEVEL.format("lmtp")),
    "postscreen_blacklist_action": ((3, 11), 'specify "postscreen_denylist_action"'),
    "postscreen_dnsbl_ttl": ((3, 11), 'specify "postscreen_dnsbl_max_ttl"'),
    "postscreen_dnsbl_whitelist_threshold": ((3, 11), 'specify "postscreen_dnsbl_allowlist_threshold"'),
    "postscreen_whitelist_interfaces": ((3, 11), 'specify "postscreen_allowlist_interfaces"'),
    "smtp_cname_overrides_servername": ((3, 11), "do not specify"),
    "smtp_per_record_deadline": ((3, 11), 'specify "smtp_per_request_deadline"'),
    "smtp_tls_enforce_peername": ((3, 11), _LEVEL.format("smtp")),
    "smtpd_client_connection_limit_exceptions": ((3, 11), 'specify "smtpd_client_event_limit_exceptions"'),
    "smtpd_per_record_deadline": ((3, 11), 'specify "smtpd_per_request_deadline"'),
    "tlsproxy_client_level": ((3, 11), 'specify "tlsproxy_client_security_level"'),
    "tlsproxy_client_policy": ((3, 11), 'specify "tlsproxy_client_policy_maps"'),
    "virtual_maps": ((3, 11), 'specify "virtual_alias_maps"'),
}
"""Since when postconf warns of a parameter, and what it says to do instead (measured with 3.10.13 and 3.11.7)."""

_DEPRECATION_README = "See https://www.postfix.org/DEPRECATION_README.html for details"

_WITH_VALUE = ("o", "")
"""What comes after the dash of an option with a value, as postconf takes it. Of - alone it reads past the end."""

_SEPARATORS = frozenset(", \t\r\n")
_COMPUTED = ("mydomain", "myhostname", "mynetworks")
_NO_DOMAIN = "localdomain"
_NETWORK_WORDS: dict[str, tuple[str, ...]] = {
    "inet_interfaces": (),
    "mynetworks_style": ("class", "subnet", "host"),
    "inet_protocols": ("all", "ipv4", "ipv6"),
}
"""What postconf looks at for the default of mynetworks, in its order, and the words that each can hold (measured)."""

_COLUMNS = (0, 11, 17, 25, 33, 41, 49, 57)
"""Where `postconf -M` has the columns of a service."""


class Warned(NamedTuple):
    """A warning: the file and the physical line, from 1, that give cause for it, the parameter, and Postfix's words.

    `file` is "main.cf", "master.cf" or the path of a table's settings; `line` is 0 where no line of those two is meant.
    `text` is what postconf prints, without the directory of the two files.
    """

    file: str
    line: int
    name: str
    text: str


class Printed(NamedTuple):
    """What postconf prints: its standard output, its warnings, and why it gives up, in its words, where it does."""

    output: str
    warnings: tuple[Warned, ...]
    fatal: str | None


Read = Callable[[str], "bytes | None"]
"""Gives the settings of a table such as ldap:/etc/postfix/users.cf, None where there is no such file."""


def settings(
    main: bytes | None,
    master: bytes | None,
    postfix: Version,
    *,
    expand: bool = False,
    directory: str = DIRECTORY,
    host: Mapping[str, str] | None = None,
    read: Read | None = None,
) -> Printed:
    """What `postconf -n` prints, or with `expand` `postconf -nx`. A file that is absent is None.

    `host` has what depends on the machine: its `hostname`, the default of `mynetworks`. Without it they are empty, and
    without `read` files with the settings of tables are not looked at.
    """
    run = _Run(postfix, directory, host or {}, read)
    try:
        run.read_main(main)
        run.read_master(master, needed=False)
        run.register()
        names = sorted((name for name in run.main if run.known(name)), key=encoded)
        output = "".join(run.shown(name, expand=expand) for name in names)
        run.flag(main=True)
    except _Stop as stop:
        return Printed("", tuple(run.warnings), str(stop))
    return Printed(output, tuple(run.warnings), None)


def services(
    master: bytes | None,
    postfix: Version,
    *,
    main: bytes | None = b"",
    directory: str = DIRECTORY,
    host: Mapping[str, str] | None = None,
    read: Read | None = None,
) -> Printed:
    """What `postconf -M` prints: every service in one line."""
    run = _Run(postfix, directory, host or {}, read)
    try:
        run.read_master(master, needed=True)
        run.read_main(main)
        run.register()
        output = "".join(_service_line(service.words) for service in run.services)
        run.flag(main=False)
    except _Stop as stop:
        return Printed("", tuple(run.warnings), str(stop))
    return Printed(output, tuple(run.warnings), None)


def overrides(
    main: bytes | None,
    master: bytes | None,
    postfix: Version,
    *,
    directory: str = DIRECTORY,
    host: Mapping[str, str] | None = None,
    read: Read | None = None,
) -> Printed:
    """What `postconf -P` prints: the parameters that services set with -o."""
    run = _Run(postfix, directory, host or {}, read)
    try:
        run.read_master(master, needed=True)
        run.read_main(main)
        run.register()
        lines = [
            _collapsed(f"{service.id}/{name} = {service.settings[name]}")
            for service in run.services
            if service.settings is not None
            for name in sorted(service.settings, key=encoded)
        ]
        run.flag(main=False)
    except _Stop as stop:
        return Printed("", tuple(run.warnings), str(stop))
    return Printed("".join(lines), tuple(run.warnings), None)


class _Stop(Exception):
    """Postfix gives up. The message is what it says."""


class _Service:
    """A service as postconf sees it: its words, and what its -o set. Rows of the same service share their settings."""

    __slots__ = ("given", "id", "line", "lines", "settings", "used", "words")

    def __init__(self, words: list[str], lines: list[int]) -> None:
        self.words = words
        self.id = f"{words[0]}/{words[1]}"
        self.line = lines[0]
        self.given = list(_given(words, lines))
        self.lines = {name: number for name, _, number in self.given}
        self.settings: dict[str, str] | None = None
        self.used: set[str] = set()

    def own(self, name: str) -> str | None:
        """A value that the service has of a parameter by itself, also where nothing sets it."""
        if name == "process_name":
            return self.words[7].rpartition("/")[2] or "/"
        if name == "service_name":
            return self.words[0]
        return (self.settings or {}).get(name)


def _given(words: list[str], lines: list[int]) -> Iterator[tuple[str, str, int]]:
    """Name, value and line of what -o sets."""
    field = master_cf.COLUMNS
    while field < len(words) and words[field].startswith("-") and words[field] != "--":
        option = words[field]
        if option[1:2] in _WITH_VALUE and field + 1 < len(words):
            field += 1
            name, value, why = master_cf.split_parameter(words[field])
            if option == "-o" and not why:
                yield name, value, lines[field]
        field += 1


class _Run:
    """One run of postconf over the two files."""

    def __init__(self, postfix: Version, directory: str, host: Mapping[str, str], read: Read | None) -> None:
        self.postfix = postfix
        self.series = postfix.series
        self.host = host
        self.open = read
        self.warnings: list[Warned] = []
        self.main: dict[str, str] = {"config_directory": directory}
        self.lines: dict[str, int] = {}
        self.services: list[_Service] = []
        self.derived: dict[str, str] = {}
        self.builtin = catalogue().known_to(postfix)
        self.legacy = _legacy(postfix.series)
        self.user: set[str] = set()
        self.opened: set[str] = set()
        self.computed: dict[str, str | None] = {}
        self.read_only = _READ_ONLY if self.series < _SERVICE_NAME_SETTABLE_SINCE else _READ_ONLY[:2]

    # --- reading -----------------------------------------------------------------------------------------------------

    def read_main(self, data: bytes | None) -> None:
        if data is None:
            raise _Stop("open main.cf: No such file or directory")
        parsed = main_cf.parse(data, self.postfix)
        problems = list(parsed.problems)
        first = next((entry for entry in parsed.entries if entry.name == "config_directory"), None)
        if first and first.value != self.main["config_directory"]:
            message = f"overriding earlier entry: config_directory={self.main['config_directory']}"
            problems.append(Problem(first.line, message, False))
        self.tell("main.cf", tuple(problems), data)
        if first:
            del self.main["config_directory"]
        for entry in parsed.entries:
            self.main[entry.name] = entry.value
            self.lines[entry.name] = entry.line

    def tell(self, file: str, problems: tuple[Problem, ...], data: bytes) -> None:
        """Warn of what reading a file shows, up to what is fatal."""
        known = spans(data) if b"\0" in data else []
        fatal = next((problem for problem in problems if problem.fatal), None)
        for problem in problems:
            start = end = problem.line
            if problem.message == NUL_WARNING:
                start, end = span_of(known, problem.line)
            if problem.fatal or (fatal and start > fatal.line):
                continue
            where = f"{file}, line {start}" if start == end else f"{file}, line {start}-{end}"
            name = ""
            if problem.message.startswith(SPACE_WARNING):
                where = file
            elif problem.message != NUL_WARNING:
                name = problem.message.removeprefix("overriding earlier entry: ").partition("=")[0]
            self.warn(file, problem.line, f"{where}: {problem.message}", name)
        if fatal:
            raise _Stop(_printable(f"{file}, line {fatal.line}: {fatal.message}"))

    def warn(self, file: str, line: int, text: str, name: str = "") -> None:
        self.warnings.append(Warned(file, line, name, _printable(text)))

    def read_master(self, data: bytes | None, *, needed: bool) -> None:
        if data is None:
            message = "open master.cf: No such file or directory"
            if needed:
                raise _Stop(message)
            self.warn("master.cf", 0, message)
            return
        nuls: list[Problem] = []
        if b"\0" in data:
            add_nul_problems(nuls, data, self.postfix)
        known = spans(data) if nuls else []
        plain = master_cf.is_plain(data)
        for numbers, parts in logical_lines(data):
            line = numbers[0]
            self.tell("master.cf", tuple(each for each in nuls if span_of(known, each.line).first == line), data)
            text = b"".join(parts)
            if text[0] in SPACE:
                self.warn("master.cf", line, f"master.cf: {starts_with_space(text)}")
                continue
            text = text.partition(b"\0")[0]
            words, lines = master_cf.split(numbers, parts, plain=plain)
            if len(words) < master_cf.COLUMNS:
                raise _Stop(f"file master.cf: line {line}: bad field count")
            refused = master_cf.invalid_field(words[: master_cf.COLUMNS])
            if refused:
                raise _Stop(_printable(f'{refused} in "{decoded(text)}"'))
            self.services.append(self.service(words, lines))
        if nuls and not self.services:
            self.tell("master.cf", tuple(nuls), data)
        shared: dict[str, dict[str, str]] = {}
        for service in self.services:
            for name, value, _ in service.given:
                shared.setdefault(service.id, {})[name] = value
            service.settings = shared.get(service.id)

    def service(self, words: list[str], lines: list[int]) -> _Service:
        """A service with its arguments in the form that postconf gives them."""
        words, lines = list(words), list(lines)
        field = master_cf.COLUMNS
        while field < len(words):
            word = words[field]
            if not word.startswith("-") or word == "--":
                break
            # Postconf's own reading of options, faults included: -orelayhost=b is -o relayh -o st=b (measured).
            other = word.find("o", 2)
            if other > 0:
                words[field : field + 1] = word[:other], "-" + word[other:]
                lines.insert(field, lines[field])
                word = word[:other]
            if word[1:2] in _WITH_VALUE:
                if len(word) > 2:
                    words[field : field + 1] = word[:2], word[2:]
                    lines.insert(field, lines[field])
                if field + 1 < len(words):
                    field += 1
                    if words[field].startswith("{"):
                        words[field] = self.unbraced(words[field], lines[field])
                        if word[1:2] == "o":
                            words[field] = self.normal(words[field], lines[field])
            field += 1
        for rest in range(field, len(words)):
            if words[rest].startswith("{"):
                words[rest] = self.unbraced(words[rest], lines[rest])
        return _Service(words, lines)

    def unbraced(self, word: str, line: int) -> str:
        inside, why = master_cf.unbraced(word)
        if why:
            self.warn("master.cf", line, f"master.cf: {why}")
        return inside

    def normal(self, text: str, line: int) -> str:
        name, value, why = master_cf.split_parameter(text)
        if why:
            self.warn("master.cf", line, f'master.cf: {why}: "{text}"')
            return text
        return f"{name}={value}"

    # --- what is known -----------------------------------------------------------------------------------------------

    def known(self, name: str) -> bool:
        """Whether a name is one of Postfix, of a service, or one that something refers to."""
        return self.builtin[name] or name in self.derived or name in self.user or name in self.legacy

    def default(self, name: str) -> str | None:
        """The value of a parameter that nothing sets, as it is written."""
        if name in self.derived:
            return self.derived[name]
        if name == "mail_version":
            return str(self.postfix)
        if name == "process_name":
            return "postconf"
        if name in _COMPUTED:
            if name not in self.computed:
                self.computed[name] = None
                self.computed[name] = self.compute(name)
            value = self.computed[name]
            if value is None:
                raise _Stop(f"postconf crashes: the default of {name} refers to itself")
            return value
        parameter = catalogue().get(name) if self.builtin[name] else None
        if parameter:
            return parameter.default_in(self.postfix)
        return "" if name in self.legacy else None

    def compute(self, name: str) -> str:
        """The default of a parameter that depends on the machine and on others: postconf looks at what is set."""
        if name == "mynetworks":
            self.networks()
            return self.host.get(name, "")
        if name == "mydomain":
            host = self.among(self.main, "main.cf", "myhostname") if "myhostname" in self.main else None
            host = self.default("myhostname") if host is None else host
            return (host or "").partition(".")[2] or _NO_DOMAIN
        host = self.host.get("hostname", "")
        if not host or "." in host:
            return host
        return f"{host}.{self.among(self.main, 'main.cf', 'mydomain') if 'mydomain' in self.main else _NO_DOMAIN}"

    def networks(self) -> None:
        """Give up where postconf does when it looks for the networks of the machine. Addresses are not looked at."""
        for name, known in _NETWORK_WORDS.items():
            if name not in self.main:
                default = self.default(name) or ""
                self.expanded(default, None, "main.cf", 0, name)
                continue
            value = self.among(self.main, "main.cf", name)
            words = _tokens(value)
            if name == "mynetworks_style" and len(words) != 1:
                raise _Stop(f"bad mynetworks_style value: {value}; specify exactly one value")
            for word in words:
                if known and word.lower() not in known:
                    kind = "mynetworks mask style" if name == "mynetworks_style" else name
                    raise _Stop(_printable(f'unknown {kind} value "{word}" in "{value}"'))

    def register(self) -> None:
        """Find out which names are used, and warn of those that nothing sets."""
        for service in self.services:
            for suffix, of in catalogue().service_suffixes.items():
                since = of["since"]
                if service.words[7] in of["daemons"] and (not since or Version.parse(since).series <= self.series):
                    name = service.words[0] + suffix
                    if not self.builtin[name]:
                        self.derived[name] = of["default"]
        for service in self.services:
            if service.settings is not None:
                self.register_settings(service.settings, service)
        for name in _COMPUTED:
            if name not in self.main:
                self.look_for_names(self.default(name) or "", None, "main.cf", 0, name)
        self.register_settings(self.main, None)

    def register_settings(self, settings: dict[str, str], service: _Service | None) -> None:
        file = "master.cf" if service else "main.cf"
        classes = settings.get("smtpd_restriction_classes")
        if classes:
            line = self.line("smtpd_restriction_classes", service)
            for name in _tokens(self.among(settings, file, "smtpd_restriction_classes", service)):
                self.refer(name, service, file, line)
        for name, value in list(settings.items()):
            line = self.line(name, service)
            if name in self.read_only:
                self.warn(file, line, f"{file}: read-only parameter assignment: {name}={value}", name)
                del settings[name]
                continue
            if name in _RAW:
                continue

            self.look_for_names(value, service, file, line, name)
            if self.builtin[name] or name in self.derived:
                self.tables(self.expanded(value, service, file, line, name), service, file, line, name)

    def look_for_names(self, value: str, service: _Service | None, file: str, line: int, name: str) -> None:
        """Note which names a value refers to, in any branch."""
        for warning in macro.scan(value, lambda each: self.refer(each, service, file, line), self.postfix):
            self.warn(file, line, warning, name)

    def line(self, name: str, service: _Service | None) -> int:
        return (service.lines if service else self.lines).get(name, 0)

    def refer(self, name: str, service: _Service | None, file: str, line: int, *, silent: bool = False) -> None:
        """Note that something refers to a name: what sets it is used then."""
        found = False
        if service and service.settings is not None and name in service.settings:
            service.used.add(name)
            found = True
        elif name in self.main:
            self.user.add(name)
            found = True
        if not service:
            for each in self.services:
                if each.settings is not None and name in each.settings:
                    each.used.add(name)
                    found = True
        if not found and not silent and not self.known(name):
            self.warn(file, line, f"{file}: undefined parameter: {name}", name)

    # --- values ------------------------------------------------------------------------------------------------------

    def value(self, name: str, service: _Service | None) -> str | None:
        """The value that a service, or Postfix as a whole, has of a parameter, as it is written."""
        found = service.own(name) if service else None
        if found is None:
            found = self.main.get(name)
        return self.default(name) if found is None else found

    def expanded(self, value: str, service: _Service | None, file: str, line: int, name: str) -> str:
        try:
            raw = _RAW if self.series >= _RAW_KEPT_SINCE else ()
            return macro.expand(value, lambda each: self.value(each, service), self.postfix, raw=raw)
        except macro.MacroError as error:
            self.fail(error, "macro processing error", file, line, name)

    def among(self, settings: dict[str, str], file: str, name: str, service: _Service | None = None) -> str:
        """The value of a parameter, expanded with no more than what is set in one place."""
        try:
            return macro.expand(settings[name], settings.get, self.postfix)
        except macro.MacroError as error:
            where = service.id if service else "mail_dict"
            self.fail(error, f"dictionary {where}: macro processing error", file, self.line(name, service), name)

    def fail(self, error: macro.MacroError, fatal: str, file: str, line: int, name: str) -> NoReturn:
        stop = isinstance(error, macro.MacroStop)
        for warning in error.warnings:
            self.warn(file, line, warning, name)
        raise _Stop(_printable(str(error) if stop else fatal))

    def shown(self, name: str, *, expand: bool) -> str:
        value = self.main[name]
        if expand and name not in _RAW:
            value = self.expanded(value, None, "main.cf", self.lines.get(name, 0), name)
        return _collapsed(f"{name} = {value}")

    # --- tables ------------------------------------------------------------------------------------------------------

    def tables(
        self, value: str, service: _Service | None, file: str, line: int, name: str, *, nested: bool = True
    ) -> None:
        """Look for `type:name` in a value: the parameters that begin with that name are used."""
        if not any(each in value for each in ":{#"):
            return
        where = f"{file}:{service.id}" if service else file
        position = 0
        while token := _token(value, position):
            text, position = token
            if text.startswith("#") and self.series >= COMMENT_WARNED_SINCE:
                rest = decoded(encoded(value[position:])[:20])
                message = f"{file}: #comment after other text is not allowed: {text} {rest}..."
                self.warn(file, line, message, name)
                return
            if text.startswith("{"):
                inside = self.inside(text, where, file, line, name)
                if nested:
                    self.tables(inside, service, file, line, name)
                continue
            kind, colon, table = text.partition(":")
            while colon and (kind == "proxy" or (kind == "debug" and self.series >= (3, 11))):
                kind, colon, table = table.partition(":")
            if not colon:
                continue
            suffixes = self.suffixes(kind)
            if table.startswith("/"):
                if suffixes is not None:
                    self.client(kind, table, suffixes)
            elif table.startswith("{"):
                patterns = kind in ("regexp", "pcre") and self.series >= COMMENT_WARNED_SINCE
                inside = self.inside(table, where, file, line, name)
                self.tables(inside, service, file, line, name, nested=nested and not patterns)
            elif not table.startswith("."):
                for suffix in suffixes or ():
                    self.refer(f"{table}_{suffix}", service, file, line, silent=True)

    def inside(self, text: str, where: str, file: str, line: int, name: str) -> str:
        """What stands in the braces that a text begins with."""
        end = _closing(text)
        if end < 0:
            self.warn(file, line, f"{where}: missing '}}' in \"{text}\"", name)
            return text[1:]
        if end + 1 < len(text):
            self.warn(file, line, f"{where}: syntax error after '}}' in \"{text}\"", name)
        return text[1:end]

    def suffixes(self, kind: str) -> list[str] | None:
        if kind == "mongodb" and self.series < (3, 9):
            return None
        return catalogue().table_suffixes.get(kind)

    def client(self, kind: str, path: str, suffixes: list[str]) -> None:
        """Read the settings of a table, once."""
        spec = f"{kind}:{path}"
        if self.open is None or spec in self.opened:
            return
        self.opened.add(spec)
        data = self.open(path)
        if data is None:
            self.warn(path, 0, f'open "{kind}" configuration "{path}": No such file or directory')
            return
        parsed = main_cf.parse(data, self.postfix)
        self.tell(path, parsed.problems, data)
        for name, entry in parsed.effective().items():
            if name not in suffixes:
                self.warn(path, entry.line, f"{spec}: unused parameter: {name}={entry.value}", name)

    # --- what is not used --------------------------------------------------------------------------------------------

    def flag(self, *, main: bool) -> None:
        """Warn of parameters that nothing uses, and of those that are to go."""
        readme = False
        if main:
            for name, value in self.main.items():
                readme |= self.flag_one(name, value, "main.cf", self.lines.get(name, 0), used=self.known(name))
        for service in self.services:
            for name, value in (service.settings or {}).items():
                used = self.known(name) or name in service.used
                readme |= self.flag_one(name, value, "master.cf", service.lines.get(name, service.line), used=used)
        if readme and self.series >= (3, 11):
            self.warn("", 0, _DEPRECATION_README)

    def flag_one(self, name: str, value: str, file: str, line: int, *, used: bool) -> bool:
        since, instead = _DEPRECATED.get(name, ((99, 0), ""))
        if since > self.series:
            if not used:
                self.warn(file, line, f"{file}: unused parameter: {name}={value}", name)
            return False
        words = f'"{name}" will be' if used else f"{name} has been"
        self.warn(file, line, f"{file}: support for parameter {words} removed; instead, {instead}", name)
        return True


@cache
def _legacy(series: tuple[int, int]) -> frozenset[str]:
    """Names that defaults refer to and that are no parameters any more: they are known, and printed where they are set.

    Source: measured, alike in all four versions; they have no default that `postconf -d` would print.
    """
    version = Version(*series)
    builtin = catalogue().known_to(version)
    found: set[str] = set()
    for name in catalogue().names():
        parameter = catalogue().get(name)
        default = parameter.default_in(version) if parameter and name not in _RAW else None
        if default and "$" in default:
            macro.scan(default, found.add, version)
    return frozenset(name for name in found if not builtin[name])


def _printable(text: str) -> str:
    """A message as Postfix writes it: what is no printable ASCII is a question mark, byte by byte."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in encoded(text))


def _collapsed(text: str) -> str:
    """A line of output, with one blank for any white space; vertical tabs and form feeds are none."""
    return " ".join(word for word in re.split("[ \t\r\n]+", text) if word) + "\n"


def _tokens(text: str) -> list[str]:
    return [word for word in re.split("[, \t\r\n]+", text) if word]


def _token(text: str, position: int) -> tuple[str, int] | None:
    """The next word of a list, commas and blanks within braces included, and where the rest begins."""
    while text[position : position + 1] in _SEPARATORS:
        position += 1
    if position == len(text):
        return None
    depth = 0
    for end in range(position, len(text)):
        each = text[end]
        if each == "{":
            depth += 1
        elif each == "}" and depth:
            depth -= 1
        elif not depth and each in _SEPARATORS:
            return text[position:end], end + 1
    return text[position:], len(text)


def _closing(text: str) -> int:
    """Where the brace that a text begins with closes, or -1."""
    depth = 0
    for position, each in enumerate(text):
        depth += (each == "{") - (each == "}")
        if not depth:
            return position
    return -1


def _service_line(words: list[str]) -> str:
    """A service as `postconf -M` prints it. What it does with words that have blanks is all but regular (measured)."""
    line = ""
    length = 0
    for goal, word in zip(_COLUMNS, words, strict=False):
        if length:
            line += " " * max(1, goal - length)
            length += max(1, goal - length)
        line += word
        length += len(encoded(word))
    options = True
    field = master_cf.COLUMNS
    while field < len(words):
        word = words[field]
        braces = False
        if not options:
            braces = _has_blank(word)
        elif not word.startswith("-") or word == "--":
            options = False
        elif word[1:2] in _WITH_VALUE and field + 1 < len(words):
            field += 1
            value = words[field]
            word += f" {{{value}}}" if _has_blank(value) else f" {value}"
        line += f" {{{word}}}" if braces else f" {word}"
        field += 1
    return line + "\n"


def _has_blank(word: str) -> bool:
    return any(blank in word for blank in " \t\r\n")
