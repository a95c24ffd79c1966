"""What a client meets, in one output format a file."""

from __future__ import annotations

from mailcfg.behaviour.model import Behaviour, Endpoint, Hop, Reason


def named(behaviour: Behaviour, directory: str, name: str) -> Behaviour:
    """The same with files below a directory as the user called it."""
    if directory == name:
        return behaviour

    def place(reason: Reason) -> Reason:
        file = reason.origin.file
        if not file.startswith(f"{directory}/"):
            return reason
        return reason._replace(origin=reason.origin._replace(file=name + file[len(directory) :]))

    def all_of(because: dict[str, tuple[Reason, ...]]) -> dict[str, tuple[Reason, ...]]:
        return {key: tuple(map(place, reasons)) for key, reasons in because.items()}

    endpoints: tuple[Endpoint, ...] = tuple(each._replace(because=all_of(each.because)) for each in behaviour.endpoints)
    hops: tuple[Hop, ...] = tuple(each._replace(because=all_of(each.because)) for each in behaviour.outbound)
    return behaviour._replace(endpoints=endpoints, outbound=hops)
