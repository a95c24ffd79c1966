"""A live machine as a Configuration, read from its files alone: no Postfix need be installed or running there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailcfg.behaviour.effective import Values
from mailcfg.configuration import Configuration, Origin, SaslFile, Service, Setting
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.machine import File, Unreadable
from mailcfg.secrets import is_secret

if TYPE_CHECKING:
    from mailcfg.formats.postconf import Warned


class Door(Protocol):
    """What is needed of a machine."""

    @property
    def owners(self) -> tuple[int, int]:
        """The user and group that stand for root's."""

    def look(self, path: str, *, content: bool = True) -> File | None:
        """The file at a path, None where there is none. Raises Unreadable."""

    def entries(self, path: str) -> dict[str, str]:
        """What lies in a directory, by name, each with its kind. Raises Unreadable, also where there is none."""


class Facts(Protocol):
    """What was read from files by an earlier run, by their bytes."""

    def recall(self, data: bytes) -> str | None:
        """What was kept for these bytes, if it was."""

    def keep(self, data: bytes, text: str) -> None:
        """Keep a text for these bytes."""


class Trouble(NamedTuple):
    """Something that could not be read: the file, the line (0: all of it) and why."""

    file: str
    line: int
    reason: str


class SaslChoice(NamedTuple):
    """Which smtpd.conf the smtpd of some services reads: its name, the places in their order, the one that wins."""

    name: str
    services: tuple[str, ...]
    places: tuple[str, ...]
    winner: str | None


class Live(NamedTuple):
    """A live machine. `main` and `master` are None where the file is absent or could not be read; `sasl` holds every
    smtpd.conf that some service reads.
    """

    configuration: Configuration
    main: main_cf.MainCf | None
    master: master_cf.MasterCf | None
    sasl: dict[str, smtpd_conf.SmtpdConf]
    choices: tuple[SaslChoice, ...]
    troubles: tuple[Trouble, ...]

    def value(self, name: str) -> str:
        """The value of a parameter that main.cf sets, as it stands there; empty where it does not."""
        entry = self.main.effective().get(name) if self.main else None
        return entry.value if entry else ""


def read(door: Door, platform: Platform, postfix: Version, config_directory: str) -> Live:
    """Read a machine. What cannot be read is told in `troubles` and left out; nothing is raised."""
    reader = _Reader(door)
    main_path, master_path = f"{config_directory}/main.cf", f"{config_directory}/master.cf"
    main_data, master_data = reader.data(main_path), reader.data(master_path)
    main = master = None
    if main_data is not None:
        main = main_cf.parse(main_data, postfix)
        reader.refused(main_path, main.problems)
    if master_data is not None:
        master = master_cf.parse(master_data, postfix)
        reader.refused(master_path, master.problems)
    if main_data is not None and not reader.troubles:
        _acceptable(reader, config_directory, main_data, master_data or b"", postfix)
    effective = main.effective() if main else {}
    parameters = tuple(
        Setting(entry.name, entry.value, Origin(main_path, entry.line, 1, "")) for entry in effective.values()
    )
    services = tuple(_service(row, master_path) for row in master.rows) if master else ()
    values = Values({each.name: each.value for each in parameters}, config_directory, postfix)
    choices, sasl = _sasl(reader, platform, config_directory, values, services) if not reader.troubles else ((), {})
    configuration = Configuration(
        hostname=effective["myhostname"].value if "myhostname" in effective else "",
        platform=platform.id,
        postfix=str(postfix),
        openssl=platform.openssl.version,
        config_directory=config_directory,
        parameters=parameters,
        services=services,
        sasl=tuple(
            SaslFile(
                path,
                tuple(
                    Setting(entry.name, entry.value, Origin(path, entry.line, 1, ""))
                    for entry in parsed.effective().values()
                ),
            )
            for path, parsed in sasl.items()
        ),
        certificates=(),
        files=(),
        steps=(),
    )
    return Live(configuration, main, master, sasl, choices, tuple(reader.troubles))


class _Reader:
    def __init__(self, door: Door) -> None:
        self.door = door
        self.troubles: list[Trouble] = []

    def data(self, path: str) -> bytes | None:
        try:
            found = self.door.look(path)
        except Unreadable as error:
            self.troubles.append(Trouble(error.path, 0, error.reason))
            return None
        return found.data if found else None

    def refused(self, path: str, problems: tuple[main_cf.Problem, ...]) -> None:
        """Note what Postfix itself would not read: nobody can tell what holds there."""
        self.troubles += [Trouble(path, each.line, each.message) for each in problems if each.fatal]


def _acceptable(reader: _Reader, directory: str, main: bytes, master: bytes, postfix: Version) -> None:
    """Note what postconf and every daemon would stop at, such as a value that they fail to expand."""
    from mailcfg.formats import postconf

    printed = postconf.settings(main, master, postfix)
    if printed.fatal is None:
        return
    # What Postfix gives up with is general; the warning before it names the value.
    last = printed.warnings[-1:]
    file, line, words = (last[0].file, last[0].line, f": {_without_secret(last[0])}") if last else ("main.cf", 0, "")
    reader.troubles.append(Trouble(f"{directory}/{file}", line, printed.fatal + words))


def _without_secret(warning: Warned) -> str:
    """A warning of postconf, which quotes the value that it is about: the name alone where that is a secret."""
    if not warning.name or not is_secret(warning.name, warning.text):
        return warning.text
    return f"{warning.text.partition(':')[0]} in {warning.name}"


def _service(row: master_cf.Row, path: str) -> Service:
    """A row as the service that runs: of two overrides of one parameter the last holds."""
    overrides = {each.name: Setting(each.name, each.value, Origin(path, each.line, 1, "")) for each in row.overrides}
    return Service(
        name=row.name,
        type=row.type,
        private=row.private,
        unprivileged=row.unprivileged,
        chroot=row.chroot,
        wakeup=row.wakeup,
        process_limit=row.process_limit,
        command=row.command,
        arguments=_arguments(row),
        overrides=tuple(overrides.values()),
        origin=Origin(path, row.line, 1, ""),
    )


def _arguments(row: master_cf.Row) -> tuple[str, ...]:
    """Arguments of a service without those that set parameters."""
    lines = {(each.name, each.line) for each in row.overrides}
    plain: list[str] = []
    words = iter(row.arguments)
    for word in words:
        if word.text == "-o":
            following = next(words, None)
            if following is not None and (following.text.partition("=")[0].strip(), following.line) not in lines:
                plain += [word.text, following.text]
        elif not word.text.startswith("-o"):
            plain.append(word.text)
    return tuple(plain)


def _sasl(
    reader: _Reader, platform: Platform, directory: str, values: Values, services: tuple[Service, ...]
) -> tuple[tuple[SaslChoice, ...], dict[str, smtpd_conf.SmtpdConf]]:
    """Which smtpd.conf each smtpd reads, and what stands there."""
    readers: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for service in services:
        if service.command != "smtpd":
            continue
        overrides = {each.name: each.value for each in service.overrides}
        kind, name, config_path = (
            values.expand(overrides.get(each, values.get(each) or ""), overrides)
            for each in ("smtpd_sasl_type", "smtpd_sasl_path", "cyrus_sasl_config_path")
        )
        if kind.lower() == "cyrus":
            places = search_path(platform, directory, config_path)
            readers.setdefault((name, places), []).append(service.id)
    choices: list[SaslChoice] = []
    found: dict[str, smtpd_conf.SmtpdConf] = {}
    for (name, places), ids in readers.items():
        winner = None
        for place in places if name and "/" not in name else ():
            path = f"{place}/{name}.conf"
            data = reader.data(path)
            if data is not None:
                winner = path
                found[path] = smtpd_conf.parse(data)
                reader.refused(path, found[path].problems)
                break
        choices.append(SaslChoice(name, tuple(ids), places, winner))
    return tuple(choices), found


def search_path(platform: Platform, directory: str, config_path: str) -> tuple[str, ...]:
    """Where libsasl looks for smtpd.conf: cyrus_sasl_config_path where it has an effect, else the platform's places."""
    if config_path and platform.sasl.config_path_honoured:
        return tuple(place.rstrip("/") for place in config_path.split(":") if place)
    packaged = platform.postfix.config_directory
    return tuple(
        directory + place[len(packaged) :] if f"{place}/".startswith(f"{packaged}/") else place
        for place in platform.sasl.search_path
    )
