"""Two sides of one host compared: its values, its files, its behaviour and what the rules say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailcfg.behaviour.changes import Change, changes
from mailcfg.behaviour.model import Behaviour
from mailcfg.configuration import CertificateFiles, Configuration, Service, Setting
from mailcfg.layout import places
from mailcfg.plan.diff import Part, diffs
from mailcfg.plan.model import Altered, HostPlan, Judged, Side, Status
from mailcfg.problem import Finding
from mailcfg.secrets import shown

COLUMNS = ("private", "unprivileged", "chroot", "wakeup", "process_limit", "command", "arguments")

NOTHING = Behaviour((), ())
"""The behaviour of a host that is not there."""


def compare(site: str, before: Side | None, after: Side | None, *, renamed_from: str = "") -> HostPlan:
    """What changes for a host; None is the side on which it does not exist. One of the two exists. `renamed_from` is
    what its policy was called.
    """
    there = after or before
    assert there is not None
    status: Status = "changed" if before and after else "new" if after else "removed"
    one, two = (side.configuration if side else None for side in (before, after))
    plan = HostPlan(
        site,
        there.configuration.hostname,
        status,
        renamed_from,
        host=tuple(_host(one, two)) if one and two else (),
        parameters=tuple(_settings("main.cf", one, two)),
        services=tuple(_services(one, two)),
        sasl=tuple(_sasl(one, two)),
        files=tuple(_files(one, two)),
        certificates=tuple(_certificates(one, two)),
        behaviour=_behaviour(before, after),
        findings=tuple(_findings(before, after)),
        diffs=tuple(diffs(Part(one, _name(renamed_from or site)), Part(two, _name(site)))),
    )
    same = plan == HostPlan(plan.site, plan.hostname, "changed")
    return plan._replace(status="unchanged") if same else plan


def unchanged(site: str, hostname: str) -> HostPlan:
    """A host for which nothing changes."""
    return HostPlan(site, hostname, "unchanged")


def _name(path: str) -> str:
    """A policy's file name, as origins have it."""
    return path.rpartition("/")[2]


def _host(before: Configuration, after: Configuration) -> Iterator[Altered]:
    """What the host is, and what runs on it."""
    for name in ("hostname", "platform", "postfix", "openssl", "config_directory"):
        was, now = getattr(before, name), getattr(after, name)
        if was != now:
            yield Altered("", "", name, was, now, "")


def _path(name: str, before: Configuration | None, after: Configuration | None) -> str:
    """A file of Postfix's directory as the host will have it."""
    there = after or before
    assert there is not None
    return f"{there.config_directory}/{name}"


def _paired(file: str, of: str, before: Iterable[Setting], after: Iterable[Setting]) -> Iterator[Altered]:
    """Settings by name, those that are there now first, in their order."""
    old = {each.name: each for each in before}
    new = {each.name: each for each in after}
    for name, setting in new.items():
        was = old.get(name)
        if was is None or was.value != setting.value:
            value = shown(name, was.value) if was else None
            yield Altered(file, of, name, value, shown(name, setting.value), setting.origin.key)
    for name, setting in old.items():
        if name not in new:
            yield Altered(file, of, name, shown(name, setting.value), None, setting.origin.key)


def _settings(name: str, before: Configuration | None, after: Configuration | None) -> Iterator[Altered]:
    one, two = (side.parameters if side else () for side in (before, after))
    yield from _paired(_path(name, before, after), "", one, two)


def _services(before: Configuration | None, after: Configuration | None) -> Iterator[Altered]:
    file = _path("master.cf", before, after)
    old = {each.id: each for each in before.services} if before else {}
    new = {each.id: each for each in after.services} if after else {}
    for id in dict.fromkeys([*new, *old]):
        was, now = old.get(id), new.get(id)
        if was is None or now is None:
            there = now or was
            assert there is not None
            told = _told(there)
            yield Altered(file, id, "", told if was else None, told if now else None, there.origin.key)
            continue
        for column in COLUMNS:
            one, two = _column(was, column), _column(now, column)
            if one != two:
                yield Altered(file, id, column, one, two, now.origin.key)
        yield from _paired(file, id, was.overrides, now.overrides)


def _column(service: Service, name: str) -> str:
    value = getattr(service, name)
    return value if isinstance(value, str) else " ".join(value)


def _told(service: Service) -> str:
    """A service in few words: its daemon, and what it is given."""
    overrides = [f"{each.name}={shown(each.name, each.value)}" for each in service.overrides]
    return " ".join([service.command, *service.arguments, *(f"-o {each}" for each in overrides)])


def _sasl(before: Configuration | None, after: Configuration | None) -> Iterator[Altered]:
    """Files by their name: the directory is the platform's."""
    old = {each.path.rpartition("/")[2]: each for each in before.sasl} if before else {}
    new = {each.path.rpartition("/")[2]: each for each in after.sasl} if after else {}
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name), new.get(name)
        there = now or was
        assert there is not None
        yield from _paired(there.path, "", was.settings if was else (), now.settings if now else ())


def _files(before: Configuration | None, after: Configuration | None) -> Iterator[Altered]:
    """Where files stand and who may do what with them; of those that have no settings, whether they change."""
    old = {each.path: each for each in places(before)} if before else {}
    new = {each.path: each for each in places(after)} if after else {}
    extra = tuple({each.bundle_path: each for each in side.files} if side else {} for side in (before, after))
    for path in dict.fromkeys([*new, *old]):
        was, now = old.get(path), new.get(path)
        there = now or was
        assert there is not None
        if not there.target or (path in ("postfix/main.cf", "postfix/master.cf") and not (was and now)):
            continue
        contents = [files[path].content if path in files else None for files in extra]
        key = next((files[path].origin.key for files in reversed(extra) if path in files), "")
        if was is None or now is None:
            yield Altered(there.target, "", "", "present" if was else None, "present" if now else None, key)
            continue
        for name in ("target", "mode", "owner", "group", "ownership"):
            one, two = getattr(was, name), getattr(now, name)
            if one != two:
                first, second = (f"{each:04o}" if isinstance(each, int) else each for each in (one, two))
                yield Altered(now.target, "", name, first, second, key)
        if contents[0] != contents[1]:
            yield Altered(now.target, "", "content", "present", "present", key)


def _certificates(before: Configuration | None, after: Configuration | None) -> Iterator[Altered]:
    old = {each.name: each for each in before.certificates} if before else {}
    new = {each.name: each for each in after.certificates} if after else {}
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name), new.get(name)
        there = now or was
        assert there is not None
        file, key = there.certificate_file, there.origin.key
        if was is None or now is None:
            told = f"{there.issuer}, {there.key_type}, {', '.join(there.names)}"
            yield Altered(file, name, "", told if was else None, told if now else None, key)
            continue
        for field in CertificateFiles._fields:
            one, two = getattr(was, field), getattr(now, field)
            if field not in ("name", "origin") and one != two:
                yield Altered(file, name, field, _words(one), _words(two), key)


def _words(value: object) -> str:
    """A field of a certificate as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join("=".join(each) if isinstance(each, tuple) else each for each in value)
    return str(value)


def _behaviour(before: Side | None, after: Side | None) -> tuple[Change, ...]:
    """What clients meet otherwise. Of a host that comes or goes nothing protects less than it did."""
    found = changes(before.subject.behaviour if before else NOTHING, after.subject.behaviour if after else NOTHING)
    return found if before and after else tuple(each._replace(weaker=False) for each in found)


def _findings(before: Side | None, after: Side | None) -> Iterator[Judged]:
    """Findings are one where rule, words and subject are: lines move with every edit."""
    old = {_kind(each): each for each in before.counted} if before else {}
    new = {_kind(each): each for each in after.counted} if after else {}
    raised = {_kind(each) for each in after.raised} if after else set()
    for kind, each in new.items():
        if kind not in old:
            yield Judged("new", each)
    for kind, each in old.items():
        if kind not in new:
            yield Judged("accepted" if kind in raised else "gone", each)


def _kind(each: Finding) -> tuple[str, ...]:
    return each.rule, each.severity.value, each.message, each.setting, each.service
