"""What a client meets, in one output format a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Behaviour, Endpoint, Hop, Reason
from mailcfg.configuration import Origin
from mailcfg.formats import macro
from mailcfg.rule import Subject


def named(behaviour: Behaviour, directory: str, name: str) -> Behaviour:
    """What mail really takes of it, with files below a directory as the user called it."""
    routed = tuple(each for each in behaviour.outbound if each.routed is not False)
    behaviour = behaviour._replace(outbound=routed or behaviour.outbound[:1])
    if directory == name:
        return behaviour

    def place(reason: Reason) -> Reason:
        return reason._replace(origin=as_called(reason.origin, directory, name))

    def all_of(because: dict[str, tuple[Reason, ...]]) -> dict[str, tuple[Reason, ...]]:
        return {key: tuple(map(place, reasons)) for key, reasons in because.items()}

    endpoints: tuple[Endpoint, ...] = tuple(each._replace(because=all_of(each.because)) for each in behaviour.endpoints)
    hops: tuple[Hop, ...] = tuple(each._replace(because=all_of(each.because)) for each in behaviour.outbound)
    return behaviour._replace(endpoints=endpoints, outbound=hops)


def as_called(origin: Origin, directory: str, name: str) -> Origin:
    """An origin below a directory as the user called that."""
    below = origin.file.startswith(f"{directory}/")
    return origin._replace(file=name + origin.file[len(directory) :]) if below else origin


def values(subject: Subject, target: str, parameter: str) -> Iterator[tuple[str, Reason]]:
    """A parameter in main.cf (with an empty name), and in each service that overrides it."""
    directory = "" if subject.is_policy else subject.configuration.config_directory

    def in_place(scope: Scope) -> Reason:
        reason = scope.reason(parameter)
        return reason._replace(origin=as_called(reason.origin, directory, target)) if directory else reason

    yield "", in_place(subject.main)
    for service in subject.services:
        if any(each.name == parameter for each in service.overrides):
            yield service.id, in_place(subject.scope(service))


def scope_of(subject: Subject, each: Endpoint | Hop) -> Scope:
    """The values with which an endpoint, or a way out, was predicted."""
    return subject.scope_of(each) if isinstance(each, Endpoint) else subject.scope(subject.service(each.service))


def decides(scope: Scope, parameter: str, reasons: Iterable[Reason]) -> bool:
    """Whether a parameter is among some reasons, or a value of theirs is made of its own."""
    return any(parameter in _made_of(scope, each.setting) for each in reasons)


def _made_of(scope: Scope, setting: str) -> set[str]:
    """A parameter and all that its value names with `$`, whoever names it."""
    found: set[str] = set()
    new = [setting]
    while new:
        name = new.pop()
        if name in found:
            continue
        found.add(name)
        try:
            new += macro.references(scope.value(name).written)
        except macro.MacroError:
            continue
    return found
