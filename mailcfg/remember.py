"""What a run of `drift` keeps for the next one: all that it saw and found in sync, and what certificates are."""

from __future__ import annotations

import os
import time

from mailcfg.machine import Machine, digest
from mailcfg.memory import SCHEMA, Request, directory, own, seal

FOREVER = 1 << 62
"""The end of an answer that no certificate limits, in seconds since 1970."""


def remember(asked: Request, host: Machine, live: Machine, until: float) -> None:
    """Keep that all is in sync until then, in seconds since 1970. Where nothing can be kept, nothing is."""
    seen = [("H", path, what) for path, what in host.seen.items()]
    seen += [("R", path, what) for path, what in live.seen.items()]
    if any("\n" in path for _, path, _ in seen):
        return
    body = "\n".join(f"{where} {what} {path}" for where, path, what in seen)
    _keep(asked.key, f"{SCHEMA} {int(time.time())} {int(min(until, FOREVER))} {seal(body)}\n{body}")


def recalled(asked: Request) -> dict[str, str]:
    """What the last run that found this in sync saw of the machine, as `Machine.seen` has it; nothing where none did,
    or another version of mailcfg.
    """
    head, _, body = (own(asked.key) or "").partition("\n")
    words = head.split(" ")
    if len(words) != 4 or words[0] != SCHEMA or words[3] != seal(body):
        return {}
    lines = [line.split(" ", 2) for line in body.split("\n") if line]
    return {path: what for where, what, path in lines if where == "R"}


class Facts:
    """What was read from files, by the digest of their bytes, so that the work is not done twice."""

    def recall(self, data: bytes) -> str | None:
        """What was kept for these bytes, if it was."""
        head, _, body = (own(f"{digest(data)}.facts") or "").partition("\n")
        return body if head == seal(body) else None

    def keep(self, data: bytes, text: str) -> None:
        """Keep a text for these bytes."""
        _keep(f"{digest(data)}.facts", f"{seal(text)}\n{text}")


def _keep(name: str, text: str) -> None:
    """Write a file of the directory, whole or not at all. A full or read-only disk costs the next run its time, and
    this one nothing.
    """
    place = directory()
    if place is None:
        return
    fresh = os.path.join(place, f"{name}.{os.getpid()}")
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.write(handle, text.encode(errors="surrogateescape"))
        os.rename(fresh, os.path.join(place, name))
    except OSError:
        os.unlink(fresh)
    finally:
        os.close(handle)
