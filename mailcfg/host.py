"""The one door to the machine: what is read, written and run goes through here."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
from typing import Any

from mailcfg.policy.document import is_base
from mailcfg.problem import Finding, Location, PolicyError, Severity

SIZE_LIMIT = 1024 * 1024
"""A policy is a page or two; anything beyond this many bytes is a wrong file and is not read."""

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]*\.toml")
"""A policy's file name: it is written into comments and names the bundle's directory."""


def read_policy(path: str, at: str | None = None) -> str:
    """The UTF-8 text of a policy file. `at` is where it lies, when `path` is only what people call it.

    Raises PolicyError when it is missing, a directory, no regular file, unreadable, larger than SIZE_LIMIT, not UTF-8,
    or has a name that could not be written safely into a comment or become a directory of the same name.
    """
    name = os.path.basename(path)
    try:
        handle = os.open(at or path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise refused(path, "file-missing", "there is no such file", _missing_help(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        message = f"cannot be opened: {reason}"
        raise refused(path, "file-unreadable", message, "check the path and its permissions") from None
    status = os.fstat(handle)
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        # open() would refuse a directory before it could be told what it is.
        os.close(handle)
        raise refused(
            path, "file-directory", "this is a directory, not a policy", f"name the files: {path.rstrip('/')}/*.toml"
        )
    with open(handle, "rb") as file:
        if not stat.S_ISREG(mode):
            raise refused(path, "file-irregular", "this is not a regular file", "a policy is a plain TOML file")
        if not SAFE_NAME.fullmatch(name):
            raise refused(
                path,
                "file-name",
                "a policy's file name is made of letters, digits, '.', '_', '@', '+', '-' and ends in .toml",
                "rename the file: the bundle is named after it",
            )
        # Not more than the file has: a buffer of the limit would cost more than a page of policy.
        data = file.read(min(status.st_size, SIZE_LIMIT) + 1)
        if len(data) > status.st_size:
            data += file.read(SIZE_LIMIT)  # It grew meanwhile.
    return policy_text(path, data, max(status.st_size, len(data)))


def refused(path: str, rule: str, message: str, help: str, **place: Any) -> PolicyError:
    """The error of a policy file that is none."""
    return PolicyError([Finding(rule, Severity.ERROR, message, Location(path, **place), help=help)])


def policy_text(path: str, data: bytes, size: int) -> str:
    """The text of a policy of so many bytes. Raises PolicyError where it is larger than SIZE_LIMIT or not UTF-8."""
    if size > SIZE_LIMIT:
        message = f"{size:,} bytes are no policy (the limit is {SIZE_LIMIT:,})"
        raise refused(path, "file-too-large", message, "is this the right file?")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        text = data.split(b"\n")[line - 1].decode(errors="replace")
        raise refused(
            path,
            "file-encoding",
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            "save the file as UTF-8",
            line=line,
            column=column,
            text=text,
        ) from None


def _missing_help(path: str) -> str:
    from difflib import get_close_matches

    folder = os.path.dirname(path) or "."
    try:
        near = get_close_matches(os.path.basename(path), os.listdir(folder), 1, 0.75)
    except OSError:
        return f"there is no directory {folder} either" if not os.path.isdir(folder) else "check the path"
    return f"did you mean {os.path.join(os.path.dirname(path), near[0])}?" if near else "check the path"


LINK_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2): two names change places in one step."""

AT_FDCWD = -100


def read_tree(folder: str) -> dict[str, bytes] | None:
    """Every file below a directory by its relative path, or None where there is no such directory. A link to one is
    none, and what is neither directory nor file is there without content. Raises OSError where it cannot be read.
    """
    if os.path.islink(folder) or not os.path.isdir(folder):
        return None
    found: dict[str, bytes] = {}
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        with os.scandir(f"{folder}/{parent}" if parent else folder) as entries:
            for entry in entries:
                path = f"{parent}/{entry.name}" if parent else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file():
                    with open(entry.path, "rb") as file:
                        found[path] = file.read()
                else:
                    found[path] = b""
    return found


def read_bytes(path: str) -> bytes | None:
    """A file's bytes, or None where there is no file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def exists(path: str) -> bool:
    """Whether the path leads to anything, be it a dangling link."""
    return os.path.lexists(path)


class Workshop:
    """A directory beside the bundles in which each is finished before it takes its place by a rename.

    Whatever kills the process, the old bundle or the new one stands. What it leaves here goes with the next run: the
    lock tells the workshop of a live process from a dead one's.
    """

    PREFIX = ".mailcfg-"

    def __init__(self, output: str) -> None:
        os.makedirs(output, exist_ok=True)
        self.output = output
        self.path, self._handle = self._locked(output)
        self._count = 0
        self._umask = 0

    @classmethod
    def _locked(cls, output: str) -> tuple[str, int]:
        """A fresh directory and a handle that holds its lock."""
        import fcntl
        import tempfile

        while True:
            path = tempfile.mkdtemp(prefix=cls.PREFIX, dir=output)
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # Another build swept it before it was locked.
            fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.isdir(path):
                return path, handle
            os.close(handle)

    def __enter__(self) -> Workshop:
        # A bundle's modes are the same whoever builds it, as in its tar.
        self._umask = os.umask(0o022)
        return self

    def __exit__(self, *_: object) -> None:
        os.umask(self._umask)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)

    @classmethod
    def sweep(cls, output: str) -> None:
        """Remove what killed runs left behind."""
        import fcntl

        for name in os.listdir(output) if os.path.isdir(output) else ():
            path = os.path.join(output, name)
            if not name.startswith(cls.PREFIX) or not os.path.isdir(path):
                continue
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # Another build has just put it away.
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            except BlockingIOError:
                continue  # Another build is at work there.
            finally:
                os.close(handle)

    def place_tree(self, name: str, files: dict[str, bytes], modes: dict[str, int]) -> None:
        """Write files into the directory `name` of the output, in place of what is there."""
        self._count += 1
        fresh = os.path.join(self.path, str(self._count))
        made: set[str] = set()
        os.mkdir(fresh)
        for path, data in files.items():
            folder = path.rpartition("/")[0]
            if folder and folder not in made:
                os.makedirs(f"{fresh}/{folder}", exist_ok=True) if "/" in folder else os.mkdir(f"{fresh}/{folder}")
                made.add(folder)
            _write(f"{fresh}/{path}", data, modes.get(path, 0o644))
        switch(fresh, os.path.join(self.output, name), os.path.join(self.path, f"old-{self._count}"))

    def place_file(self, name: str, data: bytes) -> None:
        """Write one file of the output, in place of what is there."""
        self._count += 1
        fresh = os.path.join(self.path, str(self._count))
        _write(fresh, data, 0o644)
        os.rename(fresh, os.path.join(self.output, name))


def _write(path: str, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        written = os.write(handle, data)
        while written < len(data):
            written += os.write(handle, data[written:])
    finally:
        os.close(handle)


def switch(fresh: str, target: str, aside: str) -> None:
    """Put the directory `fresh` in place of `target`; what was there ends at `aside`.

    Where the system can exchange two names that is one step. Elsewhere it is two, and a process killed between them
    leaves the old bundle whole at `aside`.
    """
    try:
        os.rename(fresh, target)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if exchange(fresh, target):
        os.rename(fresh, aside)
        return
    os.rename(target, aside)
    os.rename(fresh, target)


def exchange(one: str, other: str) -> bool:
    """Let two names change places. False where the system or file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    arguments = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), LINK_EXCHANGE)
    if library.renameat2(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), other)


def make_folder(path: str) -> None:
    """Make a directory, and those above it, where they are not there."""
    os.makedirs(path, exist_ok=True)


def modes_agree(folder: str, modes: dict[str, int]) -> bool:
    """Whether the scripts of a tree can be run."""
    return all(os.stat(os.path.join(folder, path)).st_mode & 0o111 for path in modes)


def is_directory(path: str) -> bool:
    """Whether the path leads to a directory."""
    return os.path.isdir(path)


def replace(path: str, data: bytes) -> None:
    """Write a file in one step: whoever reads it meanwhile gets the old one or the new one, whole. Raises OSError."""
    fresh = f"{path}.{os.getpid()}"
    try:
        _write(fresh, data, 0o644)
        os.rename(fresh, path)
    except OSError as error:
        if os.path.lexists(fresh):
            os.unlink(fresh)
        error.filename, error.filename2 = path, None
        raise


POSTCONF = ("postconf", "/usr/sbin/postconf", "/usr/local/sbin/postconf")
"""Where postconf is: cron's PATH often lacks the directory."""

PATIENCE = 10
"""Seconds after which a program that only prints a word is taken for stuck."""


def postfix_version() -> str:
    """The version of the Postfix that is installed here, as `postconf -h mail_version` tells it; empty where there is
    none, or where it does not tell.
    """
    import subprocess

    program = next((found for each in POSTCONF if (found := shutil.which(each))), None)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-h", "mail_version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def policies(folder: str) -> list[str]:
    """The policies that lie in a directory, sorted, without the bases that they extend; none where it is no directory.
    Raises OSError where it cannot be read.
    """
    if not os.path.isdir(folder):
        return []
    # As a person would write it, without `./` before each.
    names = [name for name in os.listdir(folder) if name.endswith(".toml") and not is_base(name)]
    return [os.path.join("" if folder == "." else folder, name) for name in sorted(names)]


def is_file(path: str) -> bool:
    """Whether there is a regular file at a path, links followed."""
    return os.path.isfile(path)
