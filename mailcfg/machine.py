"""The door through which a live machine is read: files, modes and owners under a root, and what has been seen there.

It stands apart from `host` because cron pays for its import: it needs nothing that a bare interpreter has not.
"""

import os
import stat
import time

LIMIT = 32 * 1024 * 1024
"""Bytes beyond which no file of a mail host's configuration goes; one that does is a device in disguise."""

MOST_LINKS = 40
"""How many links Linux follows in one path."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

MOST_ENTRIES = 4096
"""Names that one directory of a bundle has at most."""

NEWER = "newer"
"""How what was seen of files and the running Postfix begins; a path begins with a slash."""

SERVING = ("smtpd", "tlsproxy")
"""Daemons that load certificates, keys and libsasl's settings, and keep what they loaded for as long as they run.
postscreen has tlsproxy do that.
"""

TOLERANCE = 0.1
"""Seconds by which a file may be newer: both clocks tick, processes are dated by hundredths."""

ABSENT = "-"
"""What an observation says of a path that leads to nothing."""


class Unreadable(Exception):
    """Something is there and could not be read. `path` is its path on the machine, `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class File:
    """A file as it was found: its bytes (empty where only its status was asked for), permission bits and owners, when
    it was written, and when it last came to be as it is, its name and mode included; both in seconds since 1970.
    """

    __slots__ = ("ctime", "data", "gid", "mode", "mtime", "uid")

    def __init__(self, data: bytes, mode: int, uid: int, gid: int, mtime: float = 0, ctime: float = 0) -> None:
        self.data = data
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.ctime = ctime


class Machine:
    """The machine below a directory. Paths are those of the machine itself, absolute.

    Links are followed as the machine would follow them: an absolute one starts at the root. One that leads out of the
    root is refused. `seen` gathers every observation as a line, so that a later run can tell whether all is as it was.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.realpath(root).rstrip("/")
        self._owners: tuple[int, int] | None = None
        self.seen: dict[str, str] = {}

    @property
    def owners(self) -> tuple[int, int]:
        """The user and group that stand for root's: those of the root directory, since a copy that somebody without
        privileges made of a machine's files belongs to them throughout.
        """
        if self._owners is None:
            found = self.look("", content=False)
            assert found is not None
            self._owners = (found.uid, found.gid)
        return self._owners

    def inside(self, path: str) -> str | None:
        """Where a path of the machine lies on this one, all links followed inside the root; None where it leads to
        nothing. Raises Unreadable.
        """
        try:
            return self._real(path)
        except OSError as error:
            raise Unreadable(path, error.strerror or str(error)) from None

    def look(self, path: str, *, content: bool = True) -> File | None:
        """The file at a path, or None where there is none. Raises Unreadable for all that is neither.

        With `content` false a directory is fine too, and nothing is opened.
        """
        found = self._look(path, content)
        self.seen[path if content else f"{path}/."] = observation(found, content=content)
        return found

    def entries(self, path: str) -> dict[str, str]:
        """What lies in a directory, by name: `a file`, `a directory`, `a link`, and so on; nothing is followed. Raises
        Unreadable, also where there is no directory.
        """
        found: dict[str, str] = {}
        try:
            real = self._real(path)
            if real is None:
                raise Unreadable(path, "there is no such directory")
            with os.scandir(real) as entries:
                for entry in entries:
                    if len(found) == MOST_ENTRIES:
                        raise Unreadable(path, f"holds more than {MOST_ENTRIES} names")
                    found[entry.name] = self._kind(entry)
        except OSError as error:
            raise Unreadable(path, error.strerror or str(error)) from None
        except ValueError:
            raise Unreadable(path, "its name holds a NUL") from None
        lines = sorted(f"{kind} {name}" for name, kind in found.items())
        self.seen[f"{path}//"] = digest("\0".join(lines).encode(errors="surrogateescape"))
        return found

    @staticmethod
    def _kind(entry: "os.DirEntry[str]") -> str:
        if entry.is_symlink():
            return "a link"
        if entry.is_file(follow_symlinks=False):
            return "a file"
        if entry.is_dir(follow_symlinks=False):
            return "a directory"
        return _KINDS.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "something else")

    def _look(self, path: str, content: bool) -> File | None:
        try:
            real = self._real(path)
            if real is None:
                return None
            status = os.stat(real, follow_symlinks=False)
            kind = stat.S_IFMT(status.st_mode)
            if kind != stat.S_IFREG and (content or kind != stat.S_IFDIR):
                # A device is not even opened: that alone can have an effect.
                raise Unreadable(path, f"is {_KINDS.get(kind, 'something else')}, not a file")
            data = b""
            if content:
                data, status = self._read(path, real)
        except OSError as error:
            raise Unreadable(path, error.strerror or str(error)) from None
        except ValueError:
            raise Unreadable(path, "its name holds a NUL") from None
        times = status.st_mtime, status.st_ctime
        return File(data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, *times)

    def _read(self, path: str, real: str) -> tuple[bytes, os.stat_result]:
        # Not to wait for whoever writes into a FIFO that has taken the file's place since.
        handle = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(path, "is not a file any more")
            if self.root and not self._inside(handle, real):
                raise Unreadable(path, "a link out of the root has taken its place")
            # Some files have no size, and one that is written to has another by now: what counts is what is read.
            parts: list[bytes] = []
            left = LIMIT + 1
            while status.st_size <= LIMIT and left and (part := os.read(handle, min(left, status.st_size + 65536))):
                parts.append(part)
                left -= len(part)
            if status.st_size > LIMIT or not left:
                raise Unreadable(path, f"is larger than {LIMIT // 1024 // 1024} MiB")
            return b"".join(parts), status
        finally:
            os.close(handle)

    @staticmethod
    def _inside(handle: int, real: str) -> bool:
        """Whether an open file is where its path was resolved to; taken for granted where the system cannot tell."""
        try:
            return os.readlink(f"/proc/self/fd/{handle}") == real
        except OSError:
            return True

    def newer(self, queue: str, directory: str, *paths: str) -> tuple[float, dict[str, tuple[float, float]]]:
        """When the running Postfix read its files, and which of some came to be as they are after those who use them
        began: each with when that was, and when it came to be; all in seconds since 1970. None are where no Postfix
        runs for that queue and configuration directory, or the system does not tell.

        For main.cf and master.cf it counts when their inode changed: whoever plays back an older file, its time with
        it, brings in bytes that nobody has read. A change of mode or name, or `touch`, looks the same. Other files are
        read by the daemons that serve clients, and where none runs nobody has read an older one; their inodes change
        with every apply, so that both of their times have to be later.

        `seen` keeps which start of Postfix it was, by a word before a colon, and which files. The times of the daemons
        that serve are not kept: they come and go.

        It cannot tell: what was written while a reload was under way, a queue manager that died and was started alone,
        a clock that was set since, and a certificate that was played back with an older time.
        """
        start, started, serving = self._started(queue, directory)
        own = (f"{directory}/main.cf", f"{directory}/master.cf")
        now = time.time()
        found: dict[str, tuple[float, float]] = {}
        for path in paths:
            read = started if path in own else serving
            if read is None:
                continue
            try:
                file = self._look(path, False)
            except Unreadable:
                continue  # Told by whoever reads it.
            written = 0.0 if file is None else file.ctime if path in own else min(file.mtime, file.ctime)
            # What is from the future was dated by another clock, and would stay newer after every reload.
            if read + TOLERANCE < written <= now:
                found[path] = read, written
        names = digest("\0".join(found).encode(errors="surrogateescape")) if found else ABSENT
        self.seen["\0".join((NEWER, queue, directory, *paths))] = f"{start}:{names}" if start else ABSENT
        return started or 0, found

    def _started(self, queue: str, directory: str) -> tuple[str, float | None, float | None]:
        """When the queue manager of the running Postfix started, which begins anew at every start and every reload
        (measured), and when the oldest daemon did that serves clients; None where there is none, or nobody can tell.
        Before them a word that no other start of a queue manager has; empty for none.
        """
        nothing = "", None, None
        master = self._text(f"{queue}/pid/master.pid").strip()
        if not master.isdecimal() or self._text(f"/proc/{master}/comm") != "master\n":
            return nothing
        # postfix(1) hands it on. Another instance may share the queue directory of a copy.
        for each in self._text(f"/proc/{master}/environ").split("\0"):
            if each.startswith("MAIL_CONFIG=") and os.path.realpath(each[12:]) != os.path.realpath(directory):
                return nothing
        # btime of /proc/stat says the same to the second alone.
        boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        manager: tuple[str, float] | None = None
        serving: list[float] = []
        for child in self._text(f"/proc/{master}/task/{master}/children").split():
            head, _, rest = self._text(f"/proc/{child}/stat").rpartition(")")
            name, fields = head.rpartition("(")[2], rest.split()
            if len(fields) > 19:
                moment = boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
                if name == "qmgr":
                    manager = f"{child} {fields[19]}", moment
                elif name in SERVING:
                    serving.append(moment)
        if manager is None:
            return nothing
        start = f"{self._text('/proc/sys/kernel/random/boot_id')} {manager[0]}"
        return digest(start.encode()), manager[1], min(serving, default=None)

    def _text(self, path: str) -> str:
        """The text of a file; empty where there is none to read."""
        try:
            found = self._look(path, True)
        except Unreadable:
            return ""
        return found.data.decode(errors="surrogateescape") if found else ""

    def _real(self, path: str) -> str | None:
        """The path with all links followed inside the root, or None where it leads to nothing without any link."""
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        here: list[str] = []
        links = 0
        link = ""
        while waiting:
            part = waiting.pop()
            if part == ".":
                continue
            if part == "..":
                if not here and self.root:
                    raise Unreadable(path, f"the link {link or path} leads out of the root")
                del here[-1:]
                continue
            place = f"{self.root}/{'/'.join([*here, part])}"
            try:
                target = os.readlink(place)
            except FileNotFoundError:
                if link:
                    raise Unreadable(path, f"the link {link} leads to nothing{self._elsewhere(link)}") from None
                return None
            except OSError as error:
                if error.errno != 22:  # EINVAL: it is there and no link.
                    raise
                here.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise Unreadable(path, "its links lead in a circle")
            link = f"/{'/'.join([*here, part])}"
            if target.startswith("/"):
                here = []
            waiting += [step for step in reversed(target.split("/")) if step]
        return f"{self.root}/{'/'.join(here)}"

    def _elsewhere(self, link: str) -> str:
        """Say so when a link leads to something that is on this machine, but not under the root."""
        if not self.root:
            return ""
        target = os.readlink(self.root + link)
        return f" under the root ({target})" if target.startswith("/") and os.path.lexists(target) else ""


def observation(found: File | None, *, content: bool = True) -> str:
    """What was seen at a path, in one word: equal words, equal bytes, mode and owners."""
    if found is None:
        return ABSENT
    status = f"{found.mode:o}:{found.uid}:{found.gid}"
    return f"{digest(found.data)}:{status}" if content else status


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal, by Python's own code: for some kilobytes, to load OpenSSL's costs more than it saves."""
    found: str = _sha256(data).hexdigest()
    return found


def _implementation():  # type: ignore[no-untyped-def]
    """The one of this Python: _sha2 from 3.12 on, _sha256 before, hashlib where the builder left both out."""
    for name in ("_sha2", "_sha256"):
        try:
            return __import__(name).sha256
        except ImportError:
            continue
    import hashlib

    return hashlib.sha256


_sha256 = _implementation()  # type: ignore[no-untyped-call]
