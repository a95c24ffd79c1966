"""What an apply writes: the policy's settings merged into the live files, and every other byte of them as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from mailcfg.apply.change import FileChange, same
from mailcfg.behaviour.listening import identity
from mailcfg.cli import Failure
from mailcfg.configuration import CertificateFiles, Configuration, Origin, SaslFile, Service
from mailcfg.desired import Desired, Target
from mailcfg.drift.difference import Difference
from mailcfg.drift.services import TLS_MANAGER
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.live import Door, Live
from mailcfg.machine import File
from mailcfg.secrets import is_secret

MAKEABLE = ("self-signed", "private-ca")
"""Issuers with which the policy's own script makes the certificate; the others wait for somebody else."""

STOCK = "smtp/inet"
"""The listener that every package switches on, and that a policy without it does not want."""


class Merged(NamedTuple):
    """What is to be done. `left`: differences that are not the policy's to mend. `certificates` are to be made first;
    `narrowed`: keys that too many may read, with the permissions that they get. `kept`: why a file's permissions are
    not the manifest's, in sentences. `dropped` are overrides that services of the policy lose, since it does not have
    them. `awaited` are differences of certificates that somebody else makes.
    """

    changes: list[FileChange]
    left: list[Difference]
    certificates: list[CertificateFiles]
    narrowed: list[tuple[str, int]]
    kept: list[str]
    dropped: list[str]
    awaited: list[Difference]


def merge(
    wanted: Desired,
    contents: dict[str, bytes],
    live: Live,
    differences: Iterable[Difference],
    door: Door,
    group: Callable[[str], int],
    *,
    prune: bool,
) -> Merged:
    """Put the policy's settings into the machine's files. `contents` are the bundle's files by their target, `group`
    tells a group's number. With `prune`, what nobody declared and drift tells is taken out too.
    """
    return _Merge(wanted, contents, live, list(differences), door, group, prune=prune).all()


class _Merge:
    def __init__(
        self,
        wanted: Desired,
        contents: dict[str, bytes],
        live: Live,
        differences: list[Difference],
        door: Door,
        group: Callable[[str], int],
        *,
        prune: bool,
    ) -> None:
        self.wanted = wanted
        self.configuration: Configuration = wanted.configuration
        self.contents = contents
        self.live = live
        self.differences = differences
        self.door = door
        self.group = group
        self.prune = prune
        self.version = Version.parse(self.configuration.postfix)
        self.main_path = f"{self.configuration.config_directory}/main.cf"
        self.master_path = f"{self.configuration.config_directory}/master.cf"
        self.dropped: list[str] = []
        self.touched = {each.file for each in self.differences if each.kind not in ("certificate", "pending")}

    def all(self) -> Merged:
        changes: list[FileChange] = []
        kept: list[str] = []
        for target in self.wanted.targets:
            if target.path not in self.touched and not self._unwritten(target):
                continue
            before = self.door.look(target.path)
            data = self._data(target, before)
            mode = self._mode(target, before, data, kept)
            owners = self.door.owners
            named = target.group not in ("root", "wheel")
            after = File(data, mode, owners[0], self.group(target.group) if named else owners[1])
            if not same(before, after):
                changes.append(FileChange(target.path, before, after))
        certificates, narrowed = self._certificates()
        return Merged(changes, self._left(), certificates, narrowed, kept, self.dropped, self._awaited(certificates))

    def _unwritten(self, target: Target) -> bool:
        """Whether main.cf or master.cf says the policy's settings in other words, while something else differs."""
        return bool(self.touched) and target.path in (self.main_path, self.master_path)

    def _data(self, target: Target, before: File | None) -> bytes:
        if target.path == self.main_path:
            return self._main()
        if target.path == self.master_path:
            return self._master()
        for sasl in self.configuration.sasl:
            if sasl.path == target.path and before is not None:
                return self._sasl(sasl, before.data)
        new = self.contents[target.path]
        if before is None:
            return new
        rows = [each for each in self.differences if each.file == target.path and each.kind not in ("mode", "owner")]
        if not rows:
            return before.data
        if target.ownership == "part":
            return before.data + (b"" if before.data.endswith(b"\n") or not before.data else b"\n") + new
        return new

    def _mode(self, target: Target, before: File | None, data: bytes, kept: list[str]) -> int:
        """The manifest's permissions; a file that holds a secret never gets wider ones than it has."""
        if before is None or not target.mode & ~before.mode:
            return target.mode
        if target.path != self.main_path:
            secret = any(is_secret(each.name, each.value) for each in smtpd_conf.parse(data).entries)
        else:
            secret = any(is_secret(each.name, each.value) for each in main_cf.parse(data, self.version).entries)
        if not secret:
            return target.mode
        kept.append(f"{target.path} keeps its mode {before.mode:04o}: it holds a secret")
        return before.mode & target.mode

    # --- main.cf, master.cf, smtpd.conf ------------------------------------------------------------------------------

    def _main(self) -> bytes:
        file = self.live.main or main_cf.parse(b"", self.version)
        for each in self.configuration.parameters:
            file = file.set(each.name, each.value).only(each.name)
        if self.prune:
            declared = {each.name for each in self.configuration.parameters}
            for row in self.differences:
                extra = row.file == self.main_path and row.kind == "extra" and row.setting not in declared
                if extra or self._undeclared(row):
                    file = file.remove(row.setting)
        return file.render()

    def _undeclared(self, row: Difference) -> bool:
        """Whether a row is about a parameter that switches a service of the policy off, and that no policy names."""
        declared = {each.name for each in self.configuration.parameters}
        return (
            row.kind == "missing" and row.file == self.main_path and row.setting != "" and row.setting not in declared
        )

    def _master(self) -> bytes:
        file = self.live.master or master_cf.parse(b"", self.version)
        there = {identity(each): each.id for each in self.live.configuration.services}
        extras = self._extras(self.master_path)
        for service in self.configuration.services:
            place = there.get(identity(service), service.id)
            names = {service.id, place}
            wrong = frozenset(each.setting for each in extras if each.service in names and each.setting not in names)
            wrong -= {each.name for each in service.overrides}
            lost = [each for each in extras if each.setting in wrong and each.service in names]
            self.dropped += [f"{service.id} loses -o {each.setting}={each.live or ''}" for each in lost]
            file = file.adopt(service, place, self.version, wrong)
            file = self._alone(file, service, place)
        if any(each.kind == "missing" and each.setting == TLS_MANAGER for each in self.differences):
            file = file.adopt(self._tls_manager(), TLS_MANAGER, self.version)
        for id in self._stock(there):
            file = file.comment_out(id)
        return (self._pruned(file, extras) if self.prune else file).render()

    def _tls_manager(self) -> Service:
        """The service that gives every daemon its random numbers, as every package has it."""
        chroot = "y" if platform(self.configuration.platform).postfix.chroot else "n"
        nowhere = Origin("", 0, 0, "")
        return Service("tlsmgr", "unix", "-", "-", chroot, "1000?", "1", "tlsmgr", (), (), nowhere)

    def _alone(self, file: master_cf.MasterCf, service: Service, place: str) -> master_cf.MasterCf:
        """Without rows that master would not run: of several with one address and port the last holds."""
        file = file.only(place)
        others = {each.id for each in self.live.configuration.services if identity(each) == identity(service)} - {place}
        for id in others:
            file = file.remove(id)
        return file

    def _stock(self, there: dict[str, str]) -> list[str]:
        """The package's own listener, where the policy has listeners and not that one."""
        services = {identity(each) for each in self.configuration.services if each.type == "inet"}
        found = next((each for each in self.live.configuration.services if each.id == STOCK), None)
        if not services or found is None or identity(found) in services:
            return []
        return [STOCK]

    def _pruned(self, file: master_cf.MasterCf, extras: list[Difference]) -> master_cf.MasterCf:
        declared = {identity(each) for each in self.configuration.services}
        for service in self.live.configuration.services:
            if identity(service) in declared:
                continue
            rows = {each.setting for each in extras if each.service == service.id}
            if service.id in rows:
                file = file.comment_out(service.id)
            elif rows:
                file = file.adopt(service._replace(overrides=()), service.id, self.version, frozenset(rows))
        return file

    def _sasl(self, sasl: SaslFile, data: bytes) -> bytes:
        file = smtpd_conf.parse(data)
        for each in sasl.settings:
            file = file.set(each.name, each.value).only(each.name)
        if not sasl.partly:
            declared = {each.name for each in sasl.settings}
            for name in [each.name for each in file.entries if each.name not in declared]:
                file = file.remove(name)
        return file.render()

    def _extras(self, path: str) -> list[Difference]:
        return [each for each in self.differences if each.file == path and each.kind in ("extra", "shadowed")]

    # --- the rest ----------------------------------------------------------------------------------------------------

    def _awaited(self, made: list[CertificateFiles]) -> list[Difference]:
        names = {each.name for each in made}
        return [each for each in self.differences if each.kind == "certificate" and each.setting not in names]

    def _left(self) -> list[Difference]:
        """What stays different: what is not the policy's to change."""
        managed = {each.id for each in self.configuration.services}
        targets = {each.path for each in self.wanted.targets}
        found: list[Difference] = []
        for each in self.differences:
            if each.kind in ("extra", "shadowed") and each.file in (self.main_path, self.master_path):
                stock = each.setting == STOCK and each.kind == "extra"
                # What main.cf itself says of a managed parameter is written anew.
                own = each.kind == "shadowed" and each.file == self.main_path
                if not self.prune and each.service not in managed and not stock and not own:
                    found.append(each)
            elif self._undeclared(each):
                if not self.prune:
                    found.append(each)
            elif each.file not in targets and each.kind not in ("certificate", "pending", "duplicate"):
                found += [] if self._is_key(each.file) and each.kind == "mode" else [each]
        return found

    def _is_key(self, path: str) -> bool:
        return any(path == each.key_file for each in self.configuration.certificates)

    def _certificates(self) -> tuple[list[CertificateFiles], list[tuple[str, int]]]:
        """Certificates that the policy's own script makes, and are absent or wrong; keys that are too open."""
        wrong = {each.setting for each in self.differences if each.kind == "certificate"}
        made = [each for each in self.configuration.certificates if each.name in wrong and each.issuer in MAKEABLE]
        narrowed: list[tuple[str, int]] = []
        for row in self.differences:
            if row.kind == "mode" and self._is_key(row.file) and row.desired:
                found = self.door.look(row.file, content=False)
                if found is not None and found.mode & ~int(row.desired, 8):
                    narrowed.append((row.file, found.mode & int(row.desired, 8)))
        return made, narrowed


def restored(changes: Iterable[tuple[str, File | None, File | None]]) -> list[FileChange]:
    """The changes that lead back to earlier files: by path, as it is and as it was."""
    return [FileChange(path, now, was) for path, now, was in changes if not same(now, was)]


def group_number(door: Door, name: str) -> int:
    """The number of a group of the machine; a copy of some files, without the list of groups, takes its root's. Raises
    Failure where there is none of that name.
    """
    found = door.look("/etc/group")
    if found is None:
        return door.owners[1]
    for line in found.data.decode(errors="replace").splitlines() if found else ():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == name and fields[2].isdecimal():
            return int(fields[2])
    raise Failure(f"there is no group {name} on this machine: install the packages that the policy needs first")
