"""Checking many targets: one after another or on several processes, each told apart from the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from mailcfg import host
from mailcfg.policy.document import Reader
from mailcfg.problem import Finding, PolicyError
from mailcfg.subjects import Looked, Wish, is_policy, judged, of_directory, of_live, of_policy

CHUNK = 100
"""Targets that a worker takes at once."""

WORTH_A_PROCESS = 256
"""From so many policies on the start of further processes pays for itself."""


class Checked(NamedTuple):
    """What was found of one target; `unknown` holds files and reasons of what could not be read."""

    name: str
    findings: tuple[Finding, ...]
    unknown: tuple[tuple[str, str], ...]


def check_all(targets: list[str], wish: Wish, today: str, *, live: bool, jobs: int | None) -> list[Checked]:
    """Check every target, in order, the live machine last. A base among the policies is passed over; a directory
    without a main.cf stands for the policies in it. Raises Failure.
    """
    named = [path for target in targets for path in _within(target)]
    paths = [path for path in dict.fromkeys(named) if not _is_base(path)]
    if not paths and not live:
        paths = targets[:1]  # It was named alone: it is told what is wrong with that.
    processes = jobs or (_cores() if len(paths) >= WORTH_A_PROCESS else 1)
    found = list(_many(paths, wish, today, processes))
    if live:
        found.append(_judged(of_live(wish), today))
    return found


def _within(target: str) -> list[str]:
    return [target] if host.is_file(f"{target}/main.cf") else host.policies(target) or [target]


def _is_base(path: str) -> bool:
    name = path.rpartition("/")[2]
    return path.endswith(".toml") and (name.startswith("base-") or name == "base.toml")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _many(paths: list[str], wish: Wish, today: str, processes: int) -> Iterator[Checked]:
    chunks = [(paths[start : start + CHUNK], wish, today) for start in range(0, len(paths), CHUNK)]
    if processes < 2 or len(chunks) < 2:
        for chunk in chunks:
            yield from _check_chunk(chunk)
        return
    import multiprocessing
    import signal

    silent = (signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.Pool(min(processes, len(chunks)), signal.signal, silent) as pool:
        for checked in pool.imap(_check_chunk, chunks):
            yield from checked


_READERS: dict[int, Reader] = {}


def _reader() -> Reader:
    """One reader a process, so that a base is read once however many sites extend it."""
    return _READERS.setdefault(os.getpid(), Reader(host.read_policy))


def _check_chunk(task: tuple[list[str], Wish, str]) -> list[Checked]:
    paths, wish, today = task
    return [_check(path, wish, today) for path in paths]


def _check(path: str, wish: Wish, today: str) -> Checked:
    if not is_policy(path):
        return _judged(of_directory(path, wish), today)
    try:
        return _judged(of_policy(path, wish.now, _reader()), today)
    except PolicyError as error:
        # What cannot be compiled cannot be judged: nobody knows what it would be.
        return Checked(path, tuple(error.findings), ((path, "this policy cannot be compiled"),))


def _judged(looked: Looked, today: str) -> Checked:
    return Checked(looked.name, tuple(judged(looked, today)), looked.unknown)
