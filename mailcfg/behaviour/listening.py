"""Services of master.cf as master sees them: which one runs of several, which is switched off, where it listens."""

from __future__ import annotations

from collections.abc import Iterable

from mailcfg.configuration import Service

PORTS = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465", "ssmtp": "465", "urd": "465"}
"""Names in /etc/services of the ports that mail listens on (IANA's registry, and the older names of 465)."""

LOOPBACK = ("127.", "[::1]:", "::1:", "localhost:")
"""How the names of listeners begin that only this machine reaches."""

CHROOT_DEFAULT_SINCE = (3, 0)
"""The Postfix series from which `-` in the chroot column means n (master(5))."""


def disables(value: str, name: str, kind: str) -> bool:
    """Whether master_service_disable names a service: `inet` alone means all of that type, `name/type` one, in any
    case; the first match decides, and each `!` turns it round. The older `name.type` counts too. Source:
    src/global/match_service.c.
    """
    for word in value.replace(",", " ").lower().split():
        pattern = word.lstrip("!")
        if "/" not in pattern:
            head, dot, tail = pattern.rpartition(".")
            pattern = f"{head}/{tail}" if dot else pattern
        if pattern == (f"{name}/{kind}".lower() if "/" in pattern else kind):
            return (len(word) - len(word.lstrip("!"))) % 2 == 0
    return False


def identity(service: Service) -> str:
    """What makes a service one: for a listener its address and port, however they are spelled."""
    if service.type != "inet":
        return service.id
    address, _, port = service.name.rpartition(":")
    return f"{address}:{PORTS.get(port, port)}/inet"


def port_of(service: Service) -> int | None:
    """The TCP port of a listener; None for a name that only the machine's /etc/services knows."""
    port = service.name.rpartition(":")[2]
    port = PORTS.get(port, port)
    return int(port) if port.isdecimal() and len(port) < 6 else None


def address_of(service: Service) -> str:
    """The address that a listener's name gives; empty where inet_interfaces decides."""
    return service.name.rpartition(":")[0].strip("[]")


def running(services: Iterable[Service], disabled: str) -> list[Service]:
    """The services that master runs: of several with one identity the last, and none that is switched off."""
    last = {identity(each): each for each in services}
    return [each for each in last.values() if not (disabled and disables(disabled, each.name, each.type))]


def in_chroot(service: Service, series: tuple[int, int], compatibility: str) -> bool:
    """Whether a service runs inside the queue directory. Source: master(5): the default of the column became n with
    Postfix 3.0, unless the compatibility level is below 1.
    """
    if service.chroot != "-":
        return service.chroot == "y"
    return series < CHROOT_DEFAULT_SINCE or compatibility.strip() == "0"
