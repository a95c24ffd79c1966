"""SIGKILL at every system call with which a run changes a file: what stands then, and what the next run makes of it.

A process that has everything imported forks; strace takes hold of the child while it is stopped and kills it as it
enters its Nth call. Of the calls of a run that is left alone strace's log says which ones can change anything on the
disk: what is there at any other call is what was there at the one before it, so that these are all states there are.
`python -m tests.apply.killed --every` kills at every call that takes a path or a descriptor, not at those alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mailcfg import cli
from mailcfg.machine import digest

CALLS = "%file,%desc"
"""What strace calls the system calls that take a path, and those that take a descriptor."""

READING = frozenset(
    (
        *(
            "read",
            "pread64",
            "readv",
            "preadv",
            "preadv2",
            "lseek",
            "close",
            "fstat",
            "newfstatat",
            "stat",
            "lstat",
            "statx",
        ),
        *("access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getdents", "getcwd", "statfs"),
        *(
            "fstatfs",
            "getxattr",
            "lgetxattr",
            "fgetxattr",
            "listxattr",
            "llistxattr",
            "flistxattr",
            "poll",
            "ppoll",
            "select",
        ),
        *(
            "pselect6",
            "epoll_wait",
            "epoll_pwait",
            "epoll_ctl",
            "epoll_create1",
            "eventfd2",
            "pipe2",
            "dup",
            "dup2",
            "dup3",
        ),
        *(
            "mmap",
            "chdir",
            "fchdir",
            "execve",
            "fadvise64",
            "readahead",
            "inotify_init1",
            "signalfd4",
            "timerfd_create",
        ),
        *("fsync", "fdatasync", "sync_file_range", "syncfs", "getsockname", "getpeername", "getsockopt", "setsockopt"),
        *("socket", "connect", "bind", "listen", "accept4", "recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown"),
        *("utimensat_time64", "name_to_handle_at", "memfd_create"),
    )
)
"""Calls after which every file, its name, its mode and its owner are as before. `fsync` writes what is there already;
`flock`, `fcntl` and `ioctl` are not among these, and count as changes.
"""

_LINE = re.compile(r"(?:\[pid +\d+\] |\d+ +)?(\w+)\((.*)")
_HARMLESS_OPEN = re.compile(r"O_RDONLY|O_PATH")


class Call(NamedTuple):
    """One system call of a run: its place among those of its name, from 1 as strace counts, its name and arguments."""

    number: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.number} ({self.text[:100]}"

    @property
    def changes(self) -> bool:
        """Whether it may change something on the disk."""
        if self.name in ("open", "openat", "openat2", "creat"):
            return not _HARMLESS_OPEN.search(self.text) or "O_CREAT" in self.text or "O_TRUNC" in self.text
        if self.name == "ioctl":
            return "GET" not in self.text
        return self.name not in READING


class Ran(NamedTuple):
    """How a run ended: its exit status, or minus the number of the signal that killed it."""

    code: int
    said: str


def run(words: list[str], log: Path, *, at: Call | None = None) -> Ran:
    """Run the command line in a child under strace; with `at`, kill it as it enters that call."""
    output = log.with_suffix(".out")
    child = os.fork()
    if child == 0:
        _run_child(words, output)
    os.waitpid(child, os.WUNTRACED)
    command = [
        "strace",
        "-qq",
        "-s",
        "120",
        "-e",
        f"trace={CALLS}",
        "-e",
        "signal=none",
        "-o",
        str(log),
        "-p",
        str(child),
    ]
    if at:
        command[4:4] = ["-e", f"inject={at.name}:signal=KILL:when={at.number}"]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not _traced(child):
        if tracer.poll() is not None:
            os.kill(child, signal.SIGKILL)
            raise AssertionError("strace could not take hold of the child")
        time.sleep(0.001)
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    tracer.wait(30)
    return Ran(os.waitstatus_to_exitcode(status), output.read_text() if output.exists() else "")


def plainly(words: list[str], log: Path) -> Ran:
    """Run the command line in a child that nobody looks at."""
    output = log.with_suffix(".out")
    child = os.fork()
    if child == 0:
        _run_child(words, output, stop=False)
    _, status = os.waitpid(child, 0)
    return Ran(os.waitstatus_to_exitcode(status), output.read_text() if output.exists() else "")


def _run_child(words: list[str], output: Path, *, stop: bool = True) -> None:
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    if stop:
        os.kill(os.getpid(), signal.SIGSTOP)
    code = 3
    try:
        code = cli.main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _traced(pid: int) -> bool:
    text = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0\n" not in text


def calls(log: Path) -> list[Call]:
    """The calls of a run, in order, as strace wrote them down."""
    found: list[Call] = []
    counts: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match:
            counts[match[1]] += 1
            found.append(Call(counts[match[1]], match[1], match[2]))
    return found


Entry = tuple[str, int, int, int]
"""What a path is: the digest of a file or the target of a link, its mode with its kind, user and group."""


def snapshot(root: Path, *, without: str = "var/lib/mailcfg") -> dict[str, Entry]:
    """Everything below a root, by its path, but the state."""
    found: dict[str, Entry] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name == without or name.startswith(f"{without}/"):
            continue
        status = path.lstat()
        what = str(path.readlink()) if path.is_symlink() else digest(path.read_bytes()) if path.is_file() else ""
        found[name] = (what, status.st_mode, status.st_uid, status.st_gid)
    return found


class Scenario(NamedTuple):
    """A machine to start from and a command that changes it; `secret` is what no file but those of its owner may hold,
    `together` files that must be all old or all new; `next` are commands that must lead from whatever was left to the
    old or the new state, with the names of those that will do. `before` is the old state, if not what is started from.
    """

    template: Path
    words: Callable[[Path], list[str]]
    next: tuple[tuple[Callable[[Path], list[str]], tuple[str, ...]], ...]
    together: tuple[str, ...]
    secret: bytes
    before: Path | None = None


class Trial:
    """All runs of one scenario."""

    def __init__(self, scenario: Scenario, work: Path) -> None:
        self.scenario = scenario
        self.work = work
        self.root = work / "machine"
        self.log = work / "strace.log"
        self.old: dict[str, Entry] = {}
        self.new: dict[str, Entry] = {}

    def fresh(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.scenario.template), str(self.root)], check=True)

    def measure(self) -> list[Call]:
        """Run it undisturbed: what it starts from, what it makes, and by which calls."""
        self.fresh()
        self.old = snapshot(self.scenario.before or self.root)
        done = run(self.scenario.words(self.root), self.log)
        assert done.code == 0, done.said
        self.new = snapshot(self.root)
        assert self.old != self.new
        return calls(self.log)

    def kill(self, call: Call) -> list[str]:
        """Kill at one call; what is wrong with what stands then, and with what the next runs make of it."""
        self.fresh()
        done = run(self.scenario.words(self.root), self.log, at=call)
        if done.code == 0:
            return [f"{call}: it was not killed"]
        if done.code != -signal.SIGKILL:
            return [f"{call}: it ended with {done.code}: {done.said}"]
        return [f"{call}: {each}" for each in (*self._stands(), *self._goes_on())]

    def _stands(self) -> Iterator[str]:
        now = snapshot(self.root)
        for name in self.old.keys() | self.new.keys():
            entry = now.get(name)
            if entry not in (self.old.get(name), self.new.get(name)):
                yield f"{name} is neither the old one nor the new one"
        sides = {
            side
            for side, other in (("old", self.new), ("new", self.old))
            for name in self.scenario.together
            if now.get(name) == getattr(self, side).get(name) != other.get(name)
        }
        if len(sides) > 1:
            yield f"some of {', '.join(self.scenario.together)} are old and some are new"
        yield from self._secrets()

    def _secrets(self) -> Iterator[str]:
        for path in self.root.rglob("*"):
            open_to_others = path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077
            if open_to_others and self.scenario.secret in path.read_bytes():
                yield f"{path.relative_to(self.root)} holds a secret and has the mode {path.stat().st_mode:o}"

    def _goes_on(self) -> Iterator[str]:
        left = self.work / "left"
        shutil.rmtree(left, ignore_errors=True)
        self.root.rename(left)
        for words, ends in self.scenario.next:
            shutil.rmtree(self.root, ignore_errors=True)
            subprocess.run(["cp", "-a", str(left), str(self.root)], check=True)
            command = words(self.root)
            done = plainly(command, self.log)
            # Where nothing was put in force yet, there is nothing to roll back: that is said, and is no success.
            if done.code and not (command[0] == "rollback" and done.code == 2 and snapshot(self.root) == self.old):
                yield f"{command[0]} after it ends with {done.code}: {done.said}"
                continue
            now = snapshot(self.root)
            if not any(now == getattr(self, end) for end in ends):
                differing = {name for name in now.keys() | self.new.keys() if now.get(name) != self.new.get(name)}
                yield f"{command[0]} after it leaves {sorted(differing)} different from the new state"
            state = self.root / "var/lib/mailcfg"
            leftovers = [path.name for path in state.iterdir()] if state.is_dir() else []
            if {*leftovers} - {"lock", "journal", "generations", "applied"}:
                yield f"{command[0]} after it leaves {leftovers} in the state"
            yield from self._secrets()


def main() -> None:
    """Kill a scenario at its calls, print how many there were, and end with 1 if anything was wrong."""
    from tests.apply.scenarios import NAMES, scenario

    words = argparse.ArgumentParser(prog="python -m tests.apply.killed", description=__doc__)
    words.add_argument("scenario", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(NAMES)} (default: all)")
    words.add_argument("--every", action="store_true", help="at every call that takes a path or a descriptor")
    words.add_argument("--only", metavar="CALL", help="at the calls of one name alone, such as rename")
    words.add_argument("--staging", action="store_true", help="from the first that says what is under way")
    asked = words.parse_args()
    wrong: list[str] = []
    for name in asked.scenario or NAMES:
        with scenario(name) as (found, work):
            trial = Trial(found, work)
            every = trial.measure()
            chosen = every if asked.every else [call for call in every if call.changes]
            chosen = [call for call in chosen if asked.only in (None, call.name)]
            if asked.staging:
                first = next(index for index, call in enumerate(chosen) if "transaction.json" in call.text)
                chosen = chosen[first:]
            for call in chosen:
                wrong += trial.kill(call)
            print(f"{name}: killed at {len(chosen)} of {len(every)} calls, {len(wrong)} wrong", flush=True)
    print("\n".join(wrong[:50]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
