"""The proof after a switch: every listener is asked over the wire, and held against what was predicted of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from mailcfg.behaviour.model import Endpoint
from mailcfg.probe.client import observe
from mailcfg.probe.compare import disagreements
from mailcfg.rule import Subject, label

SETTLED = 20.0
"""Seconds within which all daemons answer by the new files: those that serve a client end first."""

PAUSE = 0.5

ANYWHERE = ("all", "loopback-only", "localhost", "0.0.0.0", "::")


def address(found: Subject, given: str) -> str:
    """Where to reach a listener from this machine: its own address, else the first of inet_interfaces."""
    words = (given or found.main.text("inet_interfaces")).replace(",", " ").split()
    first = words[0].strip("[]") if words else "all"
    only6 = found.main.text("inet_protocols").strip().lower() == "ipv6"
    if first.lower() in ANYWHERE:
        return "::1" if only6 or first == "::" else "127.0.0.1"
    return first


def unreached(found: Subject) -> dict[str, str]:
    """By service, why nothing answers at a listener that the files say works: a filter in between, or an address that
    is not this machine's. What cannot be reached before an apply proves nothing against it.
    """
    reasons: dict[str, str] = {}
    for each in found.behaviour.endpoints:
        if each.works and each.port is not None:
            met = observe(address(found, each.address), each.port, implicit=each.implicit)
            if met.reached:
                reasons[each.service] = met.reached
    return reasons


def disproved(
    found: Subject, baseline: dict[str, str], alive: Callable[[], bool], say: Callable[[str], None]
) -> list[str]:
    """What is otherwise than predicted at some listener, in sentences; empty where all is as it should be. `baseline`
    is what `unreached` gave before, `alive` tells whether Postfix runs at all; `say` is told what proved right.
    """
    left = [each for each in found.behaviour.endpoints if each.port is not None]
    wrong: dict[str, list[str]] = {}
    end = time.monotonic() + SETTLED
    while True:
        again: list[Endpoint] = []
        for each in left:
            assert each.port is not None
            met = observe(address(found, each.address), each.port, implicit=each.implicit)
            if met.reached and each.works and baseline.get(each.service) == met.reached:
                wrong.pop(each.service, None)
                say(f"{label(each)}: could not be verified from here, before and after: {met.reached}")
                continue
            faults = disagreements(each, met)
            if faults:
                again.append(each)
                wrong[each.service] = [f"{label(each)}: {words}" for words in faults]
                continue
            wrong.pop(each.service, None)
            how = " ".join(met.protocols) or "no TLS"
            auth = f", AUTH {' '.join(met.auth_after)} inside TLS" if met.auth_after else ""
            say(f"{label(each)}: verified: {each.tls if each.works else 'dead'}, {how}{auth}")
        left = again
        if left and not alive():
            return [*(words for some in wrong.values() for words in some), "Postfix does not run any more: see its log"]
        if not left or time.monotonic() > end:
            return [words for some in wrong.values() for words in some]
        time.sleep(PAUSE)
