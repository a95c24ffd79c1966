"""The file system under an apply: files written whole beside their place, directories staged by links, and swapped.

Nothing here follows a link, and nothing is ever there half written under its own name. A staged file has its last mode
and owners before it has a byte, and nobody else may open it meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress

from mailcfg.cli import Failure
from mailcfg.machine import File

_GET_FLAGS = 0x80086601
"""FS_IOC_GETFLAGS of linux/fs.h on 64-bit systems: the attributes that chattr(1) sets."""

_UNCHANGEABLE = {0x10: "immutable (chattr +i)", 0x20: "append-only (chattr +a)"}

_LABEL = "security.selinux"


class Unstageable(Exception):
    """A directory cannot be staged as a whole: something in it is of another file system, or cannot be linked."""


def refuse_unsafe(root: str, path: str) -> None:
    """Refuse a path of the machine on which a link lies, or whose file or directory the system would not let anybody
    change. `root` is where the machine lies here. Raises Failure.
    """
    here = root
    steps = [step for step in path.split("/") if step]
    for index, step in enumerate(steps):
        here = f"{here}/{step}"
        try:
            found = os.lstat(here)
        except FileNotFoundError:
            return
        shown = here[len(root) :]
        if stat.S_ISLNK(found.st_mode):
            raise Failure(
                f"{shown} is a link to {os.readlink(here)}: nothing is written through a link; "
                + (
                    "put the file itself there"
                    if index == len(steps) - 1
                    else "name the directory that it leads to, such as by --config-dir"
                )
            )
        if index >= len(steps) - 2:
            attribute = _attribute(here, found.st_mode)
            if attribute:
                raise Failure(f"{shown} is {attribute}, so that nobody changes it: take that away first, if it may be")


def _attribute(path: str, mode: int) -> str:
    """The attribute of a file or directory that forbids every change; empty for none, and where there are none."""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return ""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = struct.unpack("l", fcntl.ioctl(handle, _GET_FLAGS, struct.pack("l", 0)))[0]
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            return ""  # A file system that has no such thing.
        raise
    finally:
        os.close(handle)
    return next((words for bit, words in _UNCHANGEABLE.items() if flags & bit), "")


def write(path: str, wanted: File, like: str | None = None) -> None:
    """Write a new file, whole and to the disk. `like` is a file whose further attributes (labels, access lists) it
    gets. Raises OSError.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _take(handle, wanted.mode, wanted.uid, wanted.gid, like)
        view = memoryview(wanted.data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _take(handle: int, mode: int, uid: int, gid: int, like: str | None) -> None:
    """Give an open file or directory its owners, attributes and permissions. An access list of the old one comes before
    the permissions: those may only narrow what it allows.
    """
    found = os.fstat(handle)
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.fchown(handle, uid, gid)
    for name, value in _attributes(like) if like else ():
        try:
            os.setxattr(handle, name, value)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
    os.fchmod(handle, mode)


def _attributes(path: str) -> Iterator[tuple[str, bytes]]:
    if not hasattr(os, "listxattr"):
        return
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            yield name, os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENODATA):
            raise


def is_mount(path: str) -> bool:
    """Whether something is mounted right there: such a directory cannot change places with another."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            points = {line.split(" ", 5)[4] for line in lines}
    except OSError:
        return os.path.ismount(path)
    return path.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012") in points


def link_tree(source: str, target: str, without: frozenset[str]) -> None:
    """Stage a copy of a directory in which every file is the very same one, but those of `without` (paths below it),
    which it lacks. Until it is whole only its owner may enter. Raises Unstageable and OSError.
    """
    if is_mount(source):
        raise Unstageable
    device = os.lstat(source).st_dev
    os.mkdir(target, 0o700)
    try:
        _link(source, target, "", without, device)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise Unstageable from None
        raise


def _link(source: str, target: str, below: str, without: frozenset[str], device: int) -> None:
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.stat(follow_symlinks=False).st_dev != device:
                    raise Unstageable
                os.mkdir(f"{target}/{entry.name}", 0o700)
                _link(entry.path, f"{target}/{entry.name}", f"{path}/", without, device)
            elif path not in without:
                os.link(entry.path, f"{target}/{entry.name}", follow_symlinks=False)


def finish_tree(source: str, target: str) -> None:
    """Give a staged copy and each directory in it the permissions and owners of the one that it was made from."""
    for entry in sorted(os.listdir(source)):
        if stat.S_ISDIR(os.lstat(f"{source}/{entry}").st_mode) and os.path.isdir(f"{target}/{entry}"):
            finish_tree(f"{source}/{entry}", f"{target}/{entry}")
    found = os.lstat(source)
    handle = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _take(handle, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, source)
        os.fsync(handle)
    finally:
        os.close(handle)


def carry_over(old: str, new: str, managed: frozenset[str], below: str = "") -> None:
    """Bring what changed in a directory while its copy was staged, files that came or were replaced or went, into that
    copy; what is managed (paths below it) is not looked at.
    """
    for name in sorted({*os.listdir(old), *os.listdir(new)}):
        path = f"{below}{name}"
        was, now = _entry(f"{old}/{name}"), _entry(f"{new}/{name}")
        if path in managed:
            continue
        if was and now and stat.S_ISDIR(was.st_mode) and stat.S_ISDIR(now.st_mode):
            carry_over(f"{old}/{name}", f"{new}/{name}", managed, f"{path}/")
        elif was and now is None and any(each.startswith(f"{path}/") for each in managed):
            if _has_others(f"{old}/{name}", managed, f"{path}/"):
                os.mkdir(f"{new}/{name}", stat.S_IMODE(was.st_mode))
                carry_over(f"{old}/{name}", f"{new}/{name}", managed, f"{path}/")
        elif was and (now is None or was.st_ino != now.st_ino):
            if now and stat.S_ISDIR(now.st_mode):
                remove_tree(f"{new}/{name}")
            os.rename(f"{old}/{name}", f"{new}/{name}")
        elif was is None and now and not any(each.startswith(f"{path}/") for each in managed):
            remove_tree(f"{new}/{name}")


def _has_others(directory: str, managed: frozenset[str], below: str) -> bool:
    """Whether a directory holds a file that is not managed."""
    for name in os.listdir(directory):
        path = f"{below}{name}"
        if stat.S_ISDIR(os.lstat(f"{directory}/{name}").st_mode):
            if _has_others(f"{directory}/{name}", managed, f"{path}/"):
                return True
        elif path not in managed:
            return True
    return False


def _entry(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def remove_tree(path: str) -> None:
    """Remove a file, or a directory with all that is in it, if it is there. No link is followed."""
    found = _entry(path)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(path)
        return
    for name in os.listdir(path):
        remove_tree(f"{path}/{name}")
    os.rmdir(path)


def make_directories(path: str, like: tuple[int, int]) -> None:
    """Make a directory and those above it. `like`: user and group."""
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        os.mkdir(each, 0o755)
        os.chmod(each, 0o755)
        if (os.geteuid(), os.getegid()) != like:
            os.chown(each, *like)


def replace_text(path: str, text: str) -> None:
    """Write a file of our own in one step, for its owner alone, and to the disk. Raises OSError."""
    fresh = f"{path}.new"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        data = memoryview(text.encode(errors="surrogateescape"))
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    except BaseException:
        os.unlink(fresh)
        raise
    finally:
        os.close(handle)
    os.rename(fresh, path)
    settle(os.path.dirname(path))


def settle(directory: str) -> None:
    """Bring the names in a directory to the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Not every file system knows how to do that for a directory.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def inode(path: str) -> tuple[int, int]:
    """What a directory is known by, whatever its name. Raises OSError."""
    found = os.lstat(path)
    return found.st_dev, found.st_ino
