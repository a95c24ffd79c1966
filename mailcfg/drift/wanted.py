"""The live files as they would be with the policy's settings in them, every other line as it is."""

from __future__ import annotations

from collections.abc import Iterable

from mailcfg.behaviour.listening import identity
from mailcfg.configuration import Origin, SaslFile, Service
from mailcfg.desired import Desired
from mailcfg.drift.difference import Difference
from mailcfg.drift.services import TLS_MANAGER
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.live import Live

COLUMNS = ("private", "unprivileged", "chroot", "wakeup", "process_limit", "command")
"""Columns of master.cf that a difference can be about, by the names that it has for them."""


def wanted_files(
    wanted: Desired, live: Live, differences: Iterable[Difference], files: dict[str, bytes], *, singly: bool = False
) -> dict[str, bytes]:
    """By path, for each file that has a difference that an edit of it would mend. `files` holds the live bytes. With
    `singly` nothing else of a service is mended than these differences say; else it becomes what the policy has.
    """
    found: dict[str, bytes] = {}
    by_file: dict[str, list[Difference]] = {}
    for each in differences:
        if each.kind not in ("mode", "owner", "certificate", "pending"):
            by_file.setdefault(each.file, []).append(each)
    directory = wanted.configuration.config_directory
    for path, rows in by_file.items():
        if path == f"{directory}/main.cf":
            found[path] = _main(wanted, live, {each.setting for each in rows})
        elif path == f"{directory}/master.cf":
            found[path] = _master(wanted, live, rows, singly=singly)
    for sasl in wanted.configuration.sasl:
        if sasl.path in by_file:
            names = {each.setting for each in by_file[sasl.path]}
            found[sasl.path] = _sasl(sasl, names, files.get(sasl.path, b""))
    for target in wanted.targets:
        if target.path in by_file and target.content is not None:
            text = target.content.encode(errors="surrogateescape")
            found[target.path] = files.get(target.path, b"") + text if target.ownership == "part" else text
    return found


def _main(wanted: Desired, live: Live, names: set[str]) -> bytes:
    file = live.main or main_cf.parse(b"")
    declared = {each.name: each.value for each in wanted.configuration.parameters}
    for name, value in declared.items():
        if name in names or live.main is None:
            file = file.set(name, value).only(name)
    for name in sorted(names - declared.keys() - {""}):
        file = file.remove(name)
    return file.render()


def _sasl(sasl: SaslFile, names: set[str], data: bytes) -> bytes:
    file = smtpd_conf.parse(data)
    declared = {each.name: each.value for each in sasl.settings}
    for name, value in declared.items():
        if name in names or not data:
            file = file.set(name, value).only(name)
    for name in sorted(names - declared.keys() - {""}):
        file = file.remove(name)
    return file.render()


def _master(wanted: Desired, live: Live, rows: list[Difference], *, singly: bool) -> bytes:
    file = live.master or master_cf.parse(b"")
    version = Version.parse(wanted.configuration.postfix)
    there = {each.id: each for each in live.configuration.services}
    spelled = {identity(each): each.id for each in there.values()}
    declared = {each.id: each for each in wanted.configuration.services}
    touched = {each.service for each in rows} - {TLS_MANAGER}
    for name, service in declared.items():
        if name in touched or live.master is None:
            place = spelled.get(identity(service), name)
            if singly and place in there:
                service = _partly(service, there[place], {each.setting for each in rows if each.service == name})
            file = file.set(master_cf.lines(service, version), place)
            if not singly or any(each.setting == name for each in rows):
                file = file.only(service.id)
    for name in sorted(touched - declared.keys() - {""}):
        settings = {each.setting for each in rows if each.service == name}
        if name in settings:
            file = file.comment_out(name)
        else:
            kept = tuple(each for each in there[name].overrides if each.name not in settings)
            file = file.set(master_cf.lines(there[name]._replace(overrides=kept), version), name)
    if any(each.service == TLS_MANAGER for each in rows):
        file = file.set(master_cf.lines(_tls_manager(wanted), version), TLS_MANAGER)
    return file.render()


def _partly(service: Service, there: Service, settings: set[str]) -> Service:
    """A live service with some of its settings as they are wanted: columns by their names, and overrides."""
    own = {each.name: each for each in service.overrides}
    columns = {name: getattr(service, name) for name in (*COLUMNS, "arguments") if name in settings}
    kept = {each.name: each for each in there.overrides if each.name not in settings or each.name in own}
    kept |= {name: each for name, each in own.items() if name in settings}
    return there._replace(**columns, overrides=tuple(kept.values()))


def _tls_manager(wanted: Desired) -> Service:
    """The service that gives every daemon its random numbers, as every package has it."""
    chroot = "y" if platform(wanted.configuration.platform).postfix.chroot else "n"
    return Service("tlsmgr", "unix", "-", "-", chroot, "1000?", "1", "tlsmgr", (), (), Origin("", 0, 0, ""))
