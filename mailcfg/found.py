"""A live configuration as a subject for rules and explanations: what is around it is looked up on its machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from mailcfg.behaviour.effective import Effective
from mailcfg.behaviour.listening import running
from mailcfg.behaviour.model import Shown
from mailcfg.behaviour.predict import predict
from mailcfg.behaviour.surroundings import Loaded, Reach, SaslConf
from mailcfg.configuration import CertificateFiles, Configuration, Origin, Service, Setting
from mailcfg.facts.mechanisms import mechanisms
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version
from mailcfg.formats import smtpd_conf
from mailcfg.live import Door, Live, read, search_path
from mailcfg.machine import File, Unreadable
from mailcfg.rule import Dns, Files, Subject

if TYPE_CHECKING:
    from mailcfg.formats import dovecot

STOCK = (
    ("smtp", "inet", "n", "smtpd"),
    ("tlsmgr", "unix", "-", "tlsmgr"),
    ("smtp", "unix", "-", "smtp"),
    ("relay", "unix", "-", "smtp"),
)
"""The services that a main.cf without a master.cf beside it is taken to have, as every package ships them."""

NO_MASTER = "no master.cf: port 25 of a default master.cf is assumed"

DOVECOT = "/etc/dovecot"
"""Where Dovecot's dovecot.conf lies (doveconf(1); FreeBSD has it below /usr/local)."""


SYSTEM = ("/etc/", "/usr/", "/var/", "/run/", "/opt/", "/srv/")
"""Where every machine keeps files of its own: what a copy of another's configuration names there is not ours."""


class Found:
    """The machine around a live configuration.

    `copy`: the files are one that was carried here, so that what is absent from this machine may be on theirs.
    `planned`: certificates that are to be made, and count as made. `served`: what answers at sockets is taken to run,
    also where it does not just now: no file of the configuration tells.
    """

    def __init__(
        self,
        door: Door,
        platform: Platform,
        openssl: Version,
        live: Live,
        services: list[Service],
        *,
        copy: bool,
        planned: tuple[CertificateFiles, ...] = (),
        served: bool = False,
    ) -> None:
        self._door = door
        self._platform = platform
        self._openssl = openssl
        self._live = live
        self._copy = copy
        self._served = served
        self._planned = {path: each for each in planned for path in (each.certificate_file, each.key_file)}
        self._services = {each.id for each in services}
        self._whole = live.master is not None
        self._loaded: dict[object, Loaded] = {}
        self._confs: dict[object, SaslConf] = {}
        self.parsed: dict[str, smtpd_conf.SmtpdConf] = dict(live.sasl)
        self._plugins: frozenset[str] | None = None
        self._user: tuple[int, frozenset[int]] | bool | None = False

    # --- certificates ------------------------------------------------------------------------------------------------

    def identities(self, chain_files: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Loaded:
        """What Postfix has after it loaded these files."""
        key = (chain_files, pairs)
        if key not in self._loaded:
            self._loaded[key] = self._load(chain_files, pairs)
        return self._loaded[key]

    def _load(self, chain_files: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Loaded:
        paths = chain_files or tuple(dict.fromkeys(path for pair in pairs for path in pair if path))
        if paths and any(path in self._planned for path in paths):
            made = {path: self._planned[path] for path in paths if path in self._planned}
            rest = tuple(path for path in paths if path not in made)
            others = self._load(rest, ()) if chain_files and rest else Loaded(())
            new = {each.name: Shown(each.key_type, each.names, each.certificate_file) for each in made.values()}
            return others if others.disabled else others._replace(shown=(*new.values(), *others.shown))
        if self._copy and not any(self._exists(path) for path in paths):
            # They lie on the machine that the copy was taken from; what most have is assumed.
            return Loaded((Shown("rsa-2048", (), paths[0] if paths else ""),), unknown=_elsewhere(paths))
        from mailcfg.certificates.loading import load

        found = load(chain_files, pairs, self._bytes, self._openssl)
        shown = tuple(
            Shown(each.key_type, each.names, each.file, modern_only="digitalSignature" in each.unfit)
            for each in found.identities
        )
        return Loaded(shown, found.disabled, found.unknown, found.problems, found.identities, found.fault, found.file)

    def _bytes(self, path: str) -> bytes | None:
        found = self._door.look(path)
        return found.data if found else None

    def _is_elsewhere(self, path: str) -> bool:
        """Whether a path of a copy means another machine: one where every machine has something of its own."""
        below = f"{self._live.configuration.config_directory}/"
        return self._copy and path.startswith(SYSTEM) and not path.startswith(below)

    def _exists(self, path: str) -> bool:
        if self._is_elsewhere(path):
            return False
        try:
            return self._door.look(path, content=False) is not None
        except Unreadable:
            return True

    def sni(self, table: str) -> dict[str, Loaded] | None:
        """Tables with certificates hold private keys: they are not read."""
        return None

    # --- passwords ---------------------------------------------------------------------------------------------------

    def sasl(self, service: str, name: str, config_path: str) -> SaslConf:
        """The smtpd.conf that the smtpd of a service reads: the first of its name where libsasl searches."""
        directory = self._live.configuration.config_directory
        places = search_path(self._platform, directory, config_path)
        key = (name, places)
        if key not in self._confs:
            self._confs[key] = self._conf(name, places)
        return self._confs[key]

    def _conf(self, name: str, places: tuple[str, ...]) -> SaslConf:
        paths = tuple(f"{place}/{name}.conf" for place in places)
        for path in paths if name and "/" not in name else ():
            try:
                data = self._bytes(path)
            except Unreadable as error:
                return SaslConf("", {}, paths, unknown=f"{path} could not be read: {error.reason}")
            if data is None:
                continue
            parsed = self.parsed[path] = smtpd_conf.parse(data)
            settings = {
                entry.name: Setting(entry.name, entry.value, Origin(path, entry.line, 1, ""))
                for entry in parsed.effective().values()
            }
            refused = next((each for each in parsed.problems if each.fatal), None)
            return SaslConf(path, settings, paths, f"line {refused.line}: {refused.message}" if refused else "")
        unknown = ""
        if self._copy and not self._exists(places[0] if places else ""):
            unknown = f"no {name}.conf is here; it may be where these files come from: PLAIN LOGIN is assumed"
        return SaslConf("", {}, paths, unknown=unknown)

    def plugins(self) -> tuple[str, ...]:
        """The mechanisms of the plugins that lie where libsasl looks; what every package brings, where none do."""
        known = mechanisms()
        found = [name for file, names in known.plugins.items() if file in self._plugin_files() for name in names]
        return tuple(found) or known.packaged

    def plugins_seen(self) -> bool:
        """Not in a copy, of which the machine is another, nor where no plugin was found."""
        return not self._copy and bool(self._plugin_files())

    def databases(self) -> tuple[str, ...]:
        """The auxprop plugins that lie where libsasl looks; all, where there are none to look at."""
        known = mechanisms()
        files = self._plugin_files()
        return tuple(name for file, name in known.auxprops.items() if file in files or not files)

    def _plugin_files(self) -> frozenset[str]:
        """Names of the plugins of libsasl that are there."""
        if self._plugins is None:
            known = mechanisms()
            directory = next((each for each in known.directories if self._status(each) is not None), "")
            files = (*known.plugins, *known.auxprops) if directory else ()
            self._plugins = frozenset(file for file in files if self._exists(f"{directory}/{file}"))
        return self._plugins

    def dovecot_socket(self, path: str, *, queue: str, chroot: str) -> Reach:
        """Whether there is a socket for smtpd to ask Dovecot at; one of another kind, `inet:…`, cannot be looked at."""
        if ":" in path and not path.startswith("unix:"):
            return Reach(None, f"whether Dovecot answers at {path}")
        place = path.removeprefix("unix:")
        whole = f"{chroot}{place}" if place.startswith("/") else f"{queue}/{place}"
        return self._socket(whole, chroot)

    def dovecot(self, path: str) -> tuple[str, ...] | None:
        """The mechanisms that Dovecot's own files set, all that they include read with them; None where they do not
        tell, or there are none.
        """
        if self._copy:
            return None
        directory = self._platform.sasl.dovecot_directory or f"{DOVECOT}/conf.d"
        base = directory.rpartition("/")[0]
        try:
            reader = _Dovecot(self._door)
            reader.read(f"{base}/dovecot.conf", ())
        except (_Untold, Unreadable):
            return None
        return tuple(reader.value.upper().split()) or ("PLAIN",)

    def saslauthd(self, mux: str, *, chroot: str, service: str) -> Reach:
        """Whether smtpd, as the user that it becomes, gets at saslauthd's socket."""
        path = f"{chroot}{mux}" if chroot else mux
        found = self._socket(path, chroot)
        blocked = self._blocked(path, search=True) if found.ok else ""
        return Reach(False, blocked) if blocked else found

    def _socket(self, path: str, chroot: str) -> Reach:
        """Whether there is a socket at a path."""
        inside = f" (smtpd runs in {chroot})" if chroot else ""
        if self._copy:
            return Reach(None, f"whether there is a socket at {path}{inside}")
        try:
            self._door.look(path)
        except Unreadable as error:
            return Reach(True) if "socket" in error.reason else Reach(None, f"{path}: {error.reason}")
        why = f"there is no socket at {path}{inside}"
        return Reach(None, f"{why} now") if self._served else Reach(False, why)

    def sasldb(self, path: str, *, chroot: str) -> Reach:
        """Whether smtpd, as the user that it becomes, can read a database: it opens it when somebody logs in."""
        place = f"{chroot}{path}" if chroot else path
        inside = f" (smtpd runs in {chroot})" if chroot else ""
        if self._copy:
            return Reach(None, f"whether smtpd can read {place}{inside}")
        try:
            found = self._door.look(place, content=False)
        except Unreadable as error:
            return Reach(None, f"{place}: {error.reason}")
        if found is None:
            return Reach(False, f"there is no {place}{inside}")
        blocked = self._blocked(place, search=False)
        return Reach(False, blocked) if blocked else Reach(True)

    def _blocked(self, path: str, *, search: bool) -> str:
        """Why the user of the mail system does not get at a path; empty where it does or nobody can tell."""
        user = self._mail_user()
        if user is None:
            return ""
        owner = self._owner()
        directory = path
        while directory := directory.rpartition("/")[0]:
            found = self._status(directory)
            if found is not None and not _may(found, *user, 0o1):
                return f"{owner} may not enter {directory} ({found.mode:04o})"
        if search:
            return ""
        found = self._status(path)
        return f"{owner} may not read {path} ({found.mode:04o})" if found and not _may(found, *user, 0o4) else ""

    def _owner(self) -> str:
        return self._live.value("mail_owner") or self._platform.postfix.mail_owner

    def _mail_user(self) -> tuple[int, frozenset[int]] | None:
        """The number and the groups of the user that smtpd becomes; None where the machine's lists do not tell."""
        if isinstance(self._user, bool):
            self._user = self._find_user(self._owner())
        return self._user

    def _find_user(self, name: str) -> tuple[int, frozenset[int]] | None:
        users, groups = self._lines("/etc/passwd"), self._lines("/etc/group")
        for fields in users:
            if len(fields) > 3 and fields[0] == name and fields[2].isdecimal() and fields[3].isdecimal():
                member = {
                    int(each[2])
                    for each in groups
                    if len(each) > 3 and each[2].isdecimal() and name in each[3].split(",")
                }
                return int(fields[2]), frozenset({int(fields[3]), *member})
        return None

    def _lines(self, path: str) -> list[list[str]]:
        try:
            data = self._bytes(path)
        except Unreadable:
            return []
        return [line.split(":") for line in (data or b"").decode(errors="replace").splitlines()]

    def _status(self, path: str) -> File | None:
        try:
            return self._door.look(path, content=False)
        except Unreadable:
            return None

    # --- the rest ----------------------------------------------------------------------------------------------------

    def readable(self, path: str) -> Reach:
        """Whether root can read a file that names authorities."""
        if self._is_elsewhere(path):
            return Reach(None, f"{path} is not looked at")
        try:
            found = self._door.look(path)
        except Unreadable as error:
            return Reach(None, error.reason)
        if found is None:
            return Reach(None if self._copy else False, f"{path} does not exist")
        if b"-----BEGIN " not in found.data or b"CERTIFICATE-----" not in found.data:
            return Reach(False, f"{path} holds no certificate")
        return Reach(True)

    def status(self, path: str) -> File | None:
        """Mode and owners of a file; None where it is absent or cannot be looked at."""
        return None if self._is_elsewhere(path) else self._status(path)

    def text(self, path: str) -> str | None:
        """The text of a file of settings; None where it is absent or cannot be read."""
        if self._is_elsewhere(path):
            return None
        try:
            data = self._bytes(path)
        except Unreadable:
            return None
        return None if data is None else data.decode(errors="replace")

    def has_service(self, id: str) -> bool:
        """Whether master.cf has a service; where there is no master.cf, every package's."""
        return not self._whole or id in self._services

    def dies(self, service: Service) -> str:
        """What a row of master.cf makes its daemon die of."""
        for row in self._live.master.rows if self._live.master else ():
            if row.line == service.origin.line and row.id == service.id:
                fatal = next((each for each in row.problems if each.fatal), None)
                return fatal.message if fatal else ""
        return ""

    def origin_of_certificates(self) -> Origin | None:
        """No policy decides them."""
        return None


class _Untold(Exception):
    """Dovecot's files do not tell what its mechanisms are."""


MOST_FILES = 200
"""Files that Dovecot is followed through."""


class _Dovecot:
    """Reads Dovecot's files in the order in which it does itself (measured, 2.3.19): what a line includes stands in its
    place, names that a pattern matches in their order.
    """

    def __init__(self, door: Door) -> None:
        self.value = "plain"
        self._door = door
        self._left = MOST_FILES

    def read(self, path: str, around: tuple[str, ...]) -> None:
        """Take the mechanisms that a file sets. `around`: the files that it is included by."""
        from mailcfg.formats import dovecot

        found = self._door.look(path)
        self._left -= 1
        if found is None or path in around or not self._left:
            raise _Untold
        parsed = dovecot.parse(found.data)
        if any(each.fatal for each in parsed.problems):
            raise _Untold
        steps: list[dovecot.Entry | dovecot.Include] = [*parsed.entries, *parsed.includes]
        for step in sorted(steps, key=lambda each: each.line):
            if isinstance(step, dovecot.Entry):
                self._take(step)
            elif step.path:
                raise _Untold
            else:
                for file in self._matching(path, step):
                    self.read(file, (*around, path))

    def _take(self, entry: dovecot.Entry) -> None:
        if "auth_mechanisms" not in entry.path:
            return
        words = entry.value.split()
        if len(entry.path) > 1 or any(word[0] in "$<" and word != "$auth_mechanisms" for word in words):
            raise _Untold
        self.value = " ".join(self.value if word[0] == "$" else word for word in words)

    def _matching(self, path: str, include: dovecot.Include) -> list[str]:
        """The files that a line brings in."""
        pattern = include.pattern
        if not pattern.startswith("/"):
            pattern = f"{path.rpartition('/')[0]}/{pattern}"
        directory, _, name = pattern.rpartition("/")
        if _GLOB.search(directory) or _BRACES.search(name):
            raise _Untold
        if not _GLOB.search(name):
            there = self._door.look(pattern, content=False) is not None
            names = [name] if there else []
        else:
            names = self._names(directory, name)
        if not names and not include.optional:
            raise _Untold
        return [f"{directory}/{each}" for each in names]

    def _names(self, directory: str, pattern: str) -> list[str]:
        if self._door.look(directory, content=False) is None:
            return []
        names = self._door.entries(directory)
        return sorted(each for each in names if fnmatchcase(each, pattern) and not each.startswith("."))


_GLOB = re.compile(r"[*?\[\]{}\\]")
_BRACES = re.compile(r"[{}\[\]\\]")
"""What fnmatch reads in another way than glob(3) does."""


def _elsewhere(paths: tuple[str, ...]) -> str:
    return f"none of {', '.join(paths)} is on this machine" if paths else ""


def _may(found: File, uid: int, groups: frozenset[int], bit: int) -> bool:
    """Whether a user has a permission: 4 to read, 1 to enter."""
    if found.uid == uid:
        return bool(found.mode & (bit << 6))
    if found.gid in groups:
        return bool(found.mode & (bit << 3))
    return bool(found.mode & bit)


def subject(
    door: Door,
    platform: Platform,
    postfix: Version,
    openssl: Version,
    config_directory: str,
    now: float,
    *,
    copy: bool = False,
    told: Callable[[Live], None] | None = None,
    planned: tuple[CertificateFiles, ...] = (),
    served: bool = False,
) -> Subject:
    """Read a live configuration and predict its behaviour. `told` is handed what was read, troubles included; `planned`
    are certificates that are to be made, and count as made; `served` takes it that what answers at sockets runs.
    """
    live = read(door, platform, postfix, config_directory)
    if told:
        told(live)
    configuration = live.configuration._replace(openssl=str(openssl))
    whole = live.master is not None
    if not whole:
        configuration = configuration._replace(services=_stock(platform))
    effective = Effective(configuration)
    services = running(configuration.services, effective.of().text("master_service_disable"))
    around = Found(door, platform, openssl, live, services, copy=copy, planned=planned, served=served)
    files = Files(f"{config_directory}/main.cf", f"{config_directory}/master.cf", live.main, live.master, around.parsed)
    behaviour = predict(effective, around, platform, openssl)
    if not whole:
        behaviour = behaviour._replace(unknown=(*behaviour.unknown, NO_MASTER))
    return Subject(configuration, platform, openssl, effective, around, behaviour, now, files, whole=whole)


def _stock(platform: Platform) -> tuple[Service, ...]:
    nowhere = Origin("", 0, 0, "")
    chroot = "y" if platform.postfix.chroot else "n"
    return tuple(
        Service(name, type, private, "-", chroot if command == "smtpd" else "-", "-", "-", command, (), (), nowhere)
        for name, type, private, command in STOCK
    )


def of_configuration(configuration: Configuration, platform: Platform, now: float, dns: Dns | None = None) -> Subject:
    """A compiled policy as a subject: what is around it is as the policy plans it."""
    from mailcfg.behaviour.planned import Planned

    effective = Effective(configuration)
    around = Planned(configuration, platform)
    openssl = Version.parse(configuration.openssl)
    behaviour = predict(effective, around, platform, openssl)
    return Subject(configuration, platform, openssl, effective, around, behaviour, now, whole=False, dns=dns)
