"""master.cf: managed services, what shadows a managed parameter, and listeners that nobody declared."""

from __future__ import annotations

from mailcfg.behaviour.effective import Values
from mailcfg.behaviour.listening import CHROOT_DEFAULT_SINCE, LOOPBACK, disables, identity
from mailcfg.configuration import Service
from mailcfg.drift.explain import differences, in_words
from mailcfg.drift.parameters import alike, concerns, is_default, means_the_same, takes_away, weight, wins_over
from mailcfg.drift.view import View
from mailcfg.formats.macro import MacroError
from mailcfg.secrets import shown


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
        _switched_off(view, service, there)
    _without_tls_manager(view, found)
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


TLS_MANAGER = "tlsmgr/unix"
"""The service from which every daemon that speaks TLS gets its random numbers. Without it there is none (measured)."""


def _without_tls_manager(view: View, found: dict[str, Service]) -> None:
    """Tell the absence of the service that TLS cannot do without. Every package brings it; no policy names it."""
    speaks = any(each.name.endswith("security_level") for each in view.configuration.parameters)
    if speaks and TLS_MANAGER not in found:
        view.differs(
            "missing", view.master_path, TLS_MANAGER, "present", None, "error", service=TLS_MANAGER,
            effects=["STARTTLS is offered and answered with 454", "mail leaves without TLS, or not at all"],
        )  # fmt: skip


def _switched_off(view: View, wanted: Service, there: Service) -> None:
    """Tell a service that master does not run because main.cf says so (postconf(5), master_service_disable)."""
    entry = view.live.main.effective().get("master_service_disable") if view.live.main else None
    if entry is None:
        return
    try:
        value = view.values.expand(entry.value)
    except MacroError:
        return  # Told where the file is read: Postfix stops at it.
    if disables(value, there.name, there.type):
        view.differs(
            "missing", view.main_path, "master_service_disable", "", entry.value, "error",
            line=entry.line, service=wanted.id, origin=wanted.origin,
            explanation=[f"{there.id} stands in master.cf, and master does not run it"],
        )  # fmt: skip


def line_of(service: Service) -> str:
    """A service's columns and arguments in one line."""
    columns = (
        service.name, service.type, service.private, service.unprivileged, service.chroot, service.wakeup,
        service.process_limit, service.command,
    )  # fmt: skip
    overrides = [f"-o {each.name}={shown(each.name, each.value)}" for each in service.overrides]
    return " ".join([*columns, *overrides])


def _chroot_default(view: View) -> str:
    """What "-" in the chroot column stands for: y before Postfix 3.0, and again below compatibility level 1, which is
    what a main.cf without one has (master(5); COMPATIBILITY_README; measured).
    """
    if view.postfix.series < CHROOT_DEFAULT_SINCE:
        return "y"
    try:
        level = view.values.expand(view.values.get("compatibility_level") or "0")
    except MacroError:
        level = "0"
    return "y" if level.partition(".")[0].strip() in ("", "0") else "n"


def _meaning(service: Service, chroot: str) -> dict[str, str]:
    """The columns, each "-" as what it stands for (master(5))."""
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
    chroot = _chroot_default(view)
    one, other = _meaning(wanted, chroot), _meaning(there, chroot)
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


def _own(service: Service) -> dict[str, str]:
    """What a service has of itself: its overrides, and the names by which its values can refer to it."""
    names = {"service_name": service.name, "process_name": service.command.rpartition("/")[2]}
    return names | {each.name: each.value for each in service.overrides}


def _overrides(view: View, wanted: Service, there: Service) -> None:
    managed = {each.name for each in view.configuration.parameters}
    live = _own(there)
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
    _shadows(view, there, wanted)


def _shadows(view: View, there: Service, wanted: Service | None = None) -> None:
    """Tell which overrides of a service change what main.cf was given, or bring in what nobody declared. Of a `wanted`
    service those of the second sort were told already.
    """
    managed = {each.name: each for each in view.configuration.parameters}
    declared = {each.name for each in wanted.overrides} if wanted else set()
    live = _own(there)
    _by_reference(view, there, live, _own(wanted or there._replace(overrides=())))
    for each in there.overrides:
        if each.name in declared:
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
        elif (
            wanted is None
            and concerns(each.name)
            and takes_away(view, each.name, each.value, live)
            and not _as_without(view, there, each.name)
        ):
            view.differs(
                "extra", view.master_path, each.name, None, shown(each.name, each.value), "warning",
                line=each.origin.line, service=there.id,
            )  # fmt: skip


def _by_reference(view: View, there: Service, live: dict[str, str], wanted: dict[str, str]) -> None:
    """Tell managed parameters whose `$name`, however many references away, has another value in a service, though
    main.cf agrees. `live` is what the service has of itself, `wanted` what it is to have.

    The row is main.cf's: with the policy's value there, what the service overrides has no part in it any more.
    """
    effective = view.live.main.effective() if view.live.main else {}
    for parameter in view.configuration.parameters:
        entry = effective.get(parameter.name)
        if parameter.name in live or entry is None or "$" not in entry.value:
            continue
        if not means_the_same(view, parameter.name, parameter.value, entry.value):
            continue
        value = _expanded(view.values, entry.value, live)
        intended = _expanded(view.wanted_values, parameter.value, wanted)
        if value is not None and value == _expanded(view.values, entry.value, wanted):
            continue
        if value is not None and intended is not None and alike(parameter.name, intended, value, view.postfix):
            continue
        view.differs(
            "shadowed", view.main_path, parameter.name, shown(parameter.name, parameter.value),
            shown(parameter.name, entry.value if value is None else value), weight(parameter.name),
            line=entry.line, service=there.id, origin=parameter.origin,
            explanation=[
                f"it says {shown(parameter.name, entry.value)}, and {there.id} (master.cf:{there.origin.line})"
                " overrides what that refers to"
            ],
        )  # fmt: skip


def _expanded(values: Values, value: str, overrides: dict[str, str]) -> str | None:
    """A value as a service with these overrides has it; None where Postfix fails to expand it."""
    try:
        return values.expand(value, overrides)
    except MacroError:
        return None


def _as_without(view: View, there: Service, name: str) -> bool:
    """Whether an override gives a service the value that it would have without it."""
    live = _own(there)
    inherited = view.values.get(name)
    if inherited is None:
        return is_default(view, name, live[name], live)
    return means_the_same(view, name, inherited, live[name], live)


def _repeated(view: View, there: Service) -> dict[str, list[int]]:
    """Lines of the overrides that a later one of the same parameter makes void."""
    lines: dict[str, list[int]] = {}
    for row in view.live.master.rows if view.live.master else ():
        if row.line == there.origin.line:
            for each in row.overrides:
                lines.setdefault(each.name, []).append(each.line)
    return {name: each[:-1] for name, each in lines.items() if len(each) > 1}
