"""What an earlier run of `drift` found in sync: whether that still holds, told by looking at the same things again.

Only when each is as it was, byte for byte, with its mode and owners, is the answer the same without a comparison;
nothing is believed by size or time. What another version of mailcfg or another user remembered, or what somebody else
could have written, is not used. This module is all that such a run imports, beside `machine`; `remember` is the other
half.
"""

import os
import sys
import time

from mailcfg import __version__
from mailcfg.machine import NEWER, Machine, Unreadable, digest

SCHEMA = "mailcfg/memory/1"


class Request:
    """What was asked: the same words in the same surroundings get the same answer."""

    __slots__ = ("key", "root")

    def __init__(self, target: str | None, root: str, config_directory: str | None) -> None:
        self.root = root
        asked = (target or "", os.environ.get("MAILCFG_SITE", ""), root, config_directory or "", _here())
        self.key = digest("\0".join(asked).encode(errors="surrogateescape"))


def _here() -> str:
    """The directory that relative paths start from; empty where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def request(words: list[str]) -> Request | None:
    """The request of a command line, or None for one that is not of the plain kind that cron runs."""
    target: str | None = None
    options = {"--root": "/", "--config-dir": ""}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in options and (equals or rest):
            options[name] = value if equals else rest.pop(0)
        elif word.startswith("-") or target is not None:
            return None
        else:
            target = word
    return Request(target, options["--root"], options["--config-dir"])


def directory() -> str | None:
    """Where answers are kept: $MAILCFG_CACHE, else for root in /var/cache and for others in their own cache; None where
    there is no place.
    """
    chosen = os.environ.get("MAILCFG_CACHE")
    if chosen is not None:
        return os.path.abspath(chosen) if chosen else None
    if os.geteuid() == 0:
        return "/var/cache/mailcfg"
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    return os.path.join(base, "mailcfg") if os.path.isabs(base) else None


def in_sync(asked: Request) -> bool:
    """Whether an earlier run found this in sync and nothing that it looked at has changed since."""
    head, _, body = (own(asked.key) or "").partition("\n")
    words = head.split(" ")
    if len(words) != 4 or words[0] != SCHEMA or words[3] != seal(body):
        return False
    if not int(words[1]) <= time.time() < int(words[2]):
        return False
    machines = {"H": Machine(), "R": Machine(asked.root)}
    try:
        for line in body.split("\n"):
            where, what, path = line.split(" ", 2)
            content = not path.endswith("/.")
            machine = machines[where]
            if path.startswith(f"{NEWER}\0"):
                machine.newer(*path.split("\0")[1:])
            elif path.endswith("//"):
                machine.entries(path[:-2])
            else:
                machine.look(path if content else path[:-2], content=content)
            if machine.seen[path] != what:
                return False
    except Unreadable:
        return False
    return True


def own(name: str) -> str | None:
    """The text of a file of the directory that nobody but this user can have written."""
    place = directory()
    if place is None:
        return None
    try:
        folder = os.stat(place, follow_symlinks=False)
        handle = os.open(os.path.join(place, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            for each in (folder, status):
                if each.st_uid != os.geteuid() or each.st_mode & 0o022:
                    return None
            return os.read(handle, status.st_size).decode(errors="surrogateescape")
        finally:
            os.close(handle)
    except OSError:
        return None


def seal(body: str) -> str:
    """What vouches that a text is whole, and was written by this very mailcfg."""
    return digest(f"{installation()}\n{body}".encode(errors="surrogateescape"))


def installation() -> str:
    """Which mailcfg this is: its version, and the size and time of each of its files, so that an edit in a checkout or
    an upgrade in place is another one.
    """
    words = [__version__, sys.version]
    waiting = [os.path.dirname(__file__)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    status = entry.stat()
                    words.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
    return digest("\n".join(sorted(words)).encode(errors="surrogateescape"))
