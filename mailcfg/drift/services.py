"""master.cf: managed services, what shadows a managed parameter, and listeners that nobody declared."""

from __future__ import annotations

from mailcfg.configuration import Service
from mailcfg.drift.explain import differences, in_words
from mailcfg.drift.parameters import concerns, is_default, means_the_same, weight, wins_over
from mailcfg.drift.secrets import shown
from mailcfg.drift.view import View
from mailcfg.facts.version import Version

PORTS = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465", "ssmtp": "465", "urd": "465"}
"""Names in /etc/services of the ports that mail listens on (IANA's registry, and the older names of 465)."""

LOOPBACK = ("127.", "[::1]:", "::1:", "localhost:")

CHROOT_DEFAULT_SINCE = (3, 0)
"""The Postfix series from which `-` in the chroot column means n (master(5))."""


def compare_services(view: View) -> None:
    """Hold master.cf against the policy's services."""
    live = view.live.master
    if view.is_unknown(view.master_path):
        return
    wanted = {identity(service): service for service in view.configuration.services}
    if live is None:
        if wanted:
            explanation = ["there is no such file"]
            view.differs("missing", view.master_path, "", "present", None, "error", explanation=explanation)
        return
    rows: dict[str, list[int]] = {}
    found: dict[str, Service] = {}
    for service in view.live.configuration.services:
        rows.setdefault(identity(service), []).append(service.origin.line)
        found[identity(service)] = service
    for key, service in wanted.items():
        there = found.get(key)
        if there is None:
            view.differs(
                "missing", view.master_path, service.id, line_of(service), None, "error",
                service=service.id, origin=service.origin,
            )  # fmt: skip
            continue
        if len(rows[key]) > 1:
            view.differs(
                "duplicate", view.master_path, service.id, "one line", f"{len(rows[key])} lines", "warning",
                line=there.origin.line, service=service.id, origin=service.origin,
                explanation=wins_over(there.origin.line, rows[key][:-1]),
            )  # fmt: skip
        _columns(view, service, there)
        _overrides(view, service, there)
    # A policy that says nothing of the way in leaves it to whoever set it up.
    closed = bool(wanted)
    for key, there in found.items():
        if key in wanted:
            continue
        if there.type == "inet" and closed:
            inside = there.name.startswith(LOOPBACK)
            view.differs(
                "extra", view.master_path, there.id, None, line_of(there), "warning" if inside else "error",
                line=there.origin.line, service=there.id,
                explanation=["it listens on this machine only" if inside else "it listens, and is not in the policy"],
            )  # fmt: skip
        _shadows(view, there)


def identity(service: Service) -> str:
    """What makes a service one: for a listener its address and port, however they are spelled."""
    if service.type != "inet":
        return service.id
    address, _, port = service.name.rpartition(":")
    return f"{address}:{PORTS.get(port, port)}/inet"


def line_of(service: Service) -> str:
    """A service's columns and arguments in one line."""
    columns = (
        service.name, service.type, service.private, service.unprivileged, service.chroot, service.wakeup,
        service.process_limit, service.command,
    )  # fmt: skip
    overrides = [f"-o {each.name}={shown(each.name, each.value)}" for each in service.overrides]
    return " ".join([*columns, *overrides])


def _meaning(service: Service, postfix: Version) -> dict[str, str]:
    """The columns, each "-" as what it stands for (master(5))."""
    chroot = "n" if postfix.series >= CHROOT_DEFAULT_SINCE else "y"
    return {
        "private": service.private.replace("-", "y"),
        "unprivileged": service.unprivileged.replace("-", "y"),
        "chroot": service.chroot.replace("-", chroot),
        "wakeup": service.wakeup.replace("-", "0"),
        "process_limit": service.process_limit.replace("-", "default"),
        "command": service.command,
        "arguments": " ".join(service.arguments),
    }


def _columns(view: View, wanted: Service, there: Service) -> None:
    one, other = _meaning(wanted, view.postfix), _meaning(there, view.postfix)
    for name, value in one.items():
        if value == other[name]:
            continue
        raw, found = (
            " ".join(side.arguments) if name == "arguments" else str(getattr(side, name)) for side in (wanted, there)
        )
        view.differs(
            "changed", view.master_path, name, raw, found, "error" if name in ("chroot", "command") else "warning",
            line=there.origin.line, service=wanted.id, origin=wanted.origin,
            explanation=differences(one, other) if name == "arguments" else (),
        )  # fmt: skip


def _overrides(view: View, wanted: Service, there: Service) -> None:
    managed = {each.name for each in view.configuration.parameters}
    live = {each.name: each.value for each in there.overrides}
    lines = {each.name: each.origin.line for each in there.overrides}
    repeated = _repeated(view, there)
    for setting in wanted.overrides:
        value = live.get(setting.name)
        if value is None:
            inherited = view.values.get(setting.name)
            harmless = inherited is not None and means_the_same(view, setting.name, setting.value, inherited, live)
            view.differs(
                "missing", view.master_path, setting.name, shown(setting.name, setting.value), None,
                "info" if harmless else weight(setting.name), line=there.origin.line, service=wanted.id,
                origin=setting.origin,
                explanation=["the service gets the same value without it"] if harmless else (),
            )  # fmt: skip
            continue
        agrees = means_the_same(view, setting.name, setting.value, value, live)
        earlier = repeated.get(setting.name, [])
        if agrees and not earlier:
            continue
        view.differs(
            "duplicate" if earlier else "changed", view.master_path, setting.name,
            shown(setting.name, setting.value), shown(setting.name, value),
            "info" if agrees else weight(setting.name),
            line=lines[setting.name], service=wanted.id, origin=setting.origin,
            explanation=(
                *wins_over(lines[setting.name], earlier),
                *(() if agrees else in_words(setting.name, setting.value, value, view.postfix)),
            ),
        )  # fmt: skip
    declared = {each.name for each in wanted.overrides}
    for each in there.overrides:
        if each.name not in declared and each.name not in managed and not _as_without(view, there, each.name):
            view.differs(
                "extra", view.master_path, each.name, None, shown(each.name, each.value),
                "warning", line=each.origin.line, service=wanted.id,
            )  # fmt: skip
    _shadows(view, there, declared, told=True)


def _shadows(view: View, there: Service, declared: set[str] | None = None, *, told: bool = False) -> None:
    """Tell which overrides of a service change what main.cf was given, or bring in what nobody declared. `told`: those
    of the second sort were told already.
    """
    managed = {each.name: each for each in view.configuration.parameters}
    live = {each.name: each.value for each in there.overrides}
    for each in there.overrides:
        if declared and each.name in declared:
            continue
        parameter = managed.get(each.name)
        if parameter is not None:
            if means_the_same(view, each.name, parameter.value, each.value, live):
                continue
            view.differs(
                "shadowed", view.master_path, each.name, shown(each.name, parameter.value),
                shown(each.name, each.value), weight(each.name),
                line=each.origin.line, service=there.id, origin=parameter.origin,
                explanation=[f"{there.id} overrides main.cf"],
            )  # fmt: skip
        elif not told and concerns(each.name) and not _as_without(view, there, each.name):
            view.differs(
                "extra", view.master_path, each.name, None, shown(each.name, each.value), "warning",
                line=each.origin.line, service=there.id,
            )  # fmt: skip


def _as_without(view: View, there: Service, name: str) -> bool:
    """Whether an override gives a service the value that it would have without it."""
    live = {each.name: each.value for each in there.overrides}
    inherited = view.values.get(name)
    if inherited is None:
        return is_default(view, name, live[name])
    return means_the_same(view, name, inherited, live[name], live)


def _repeated(view: View, there: Service) -> dict[str, list[int]]:
    """Lines of the overrides that a later one of the same parameter makes void."""
    lines: dict[str, list[int]] = {}
    for row in view.live.master.rows if view.live.master else ():
        if row.line == there.origin.line:
            for each in row.overrides:
                lines.setdefault(each.name, []).append(each.line)
    return {name: each[:-1] for name, each in lines.items() if len(each) > 1}
