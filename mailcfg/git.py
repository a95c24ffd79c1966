"""The door to git: what a revision holds, read with commands that change nothing."""

from __future__ import annotations

import os
import shutil
from typing import NamedTuple

LINKS = 40
"""How many symbolic links are followed before they are taken for a circle, as Linux does it."""

MISLEADING = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
)  # fmt: skip
"""What git sets for a hook, or somebody for another repository (`git rev-parse --local-env-vars`). Settings that come
by the environment stay: `safe.directory` may be among them."""


class GitError(Exception):
    """What git could not do, in its own words where it has some, and what mends it."""


class Unreadable(Exception):
    """A path that no revision of this repository tells the content of. The message says why, without the path."""


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def program() -> str:
    """Where git is. Raises GitError."""
    found = shutil.which("git")
    if found is None:
        raise GitError("git is not on the PATH: install it, the policies of a revision are read with it")
    return found


def _asked(directory: str, *words: str) -> tuple[str, str]:
    """What git answers, without its last newline, and empty; or nothing, and why not."""
    import subprocess

    done = subprocess.run(
        [program(), "-C", directory, *words], stdin=subprocess.DEVNULL, capture_output=True, env=_environment()
    )
    out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr).strip()
    if done.returncode:
        return "", err.removeprefix("fatal: ") or f"git {words[0]} ended with status {done.returncode}"
    return out.removesuffix("\n"), ""


def _directory(path: str) -> str:
    """The nearest directory of a path that is there: what lay in one that is gone was of the same repository."""
    place = os.path.dirname(path) or "."
    while not os.path.isdir(place):
        place = os.path.dirname(place) or "."
    return place


class Repositories:
    """Which repository a path belongs to, each directory looked up once."""

    def __init__(self) -> None:
        self._tops: dict[str, tuple[str, str]] = {}
        self._inside: dict[tuple[str, str], str | None] = {}
        self._here: str | None = None

    def top(self, path: str) -> str:
        """The top directory of the work tree that a path belongs to: the one that is worked in where the path lies in a
        submodule of it. Raises GitError where there is none.
        """
        directory = _directory(path)
        if directory not in self._tops:
            self._tops[directory] = self._find(directory)
        top, wrong = self._tops[directory]
        if not top:
            raise GitError(f"git has no revisions of it: {wrong}")
        return top

    def _find(self, directory: str) -> tuple[str, str]:
        own, wrong = _asked(directory, "rev-parse", "--show-toplevel")
        if not own:
            return "", " ".join(wrong.split()) or "the repository is bare"
        if self._here is None:
            self._here = _asked(".", "rev-parse", "--show-toplevel")[0]
        top = own
        while top and top != self._here:
            top = _asked(top, "rev-parse", "--show-superproject-working-tree")[0]
        return top or own, ""

    def inside(self, path: str, top: str) -> str:
        """A path as the repository calls it; links in it are left to be followed in the revision. Raises Unreadable."""
        folder, name = os.path.split(os.path.abspath(path))
        key = folder, top
        if key not in self._inside:
            self._inside[key] = _below(folder, top)
        found = self._inside[key]
        if found is None:
            raise Unreadable(f"lies outside the repository {top}: what it was at a revision is not known")
        return os.path.join(found, name)


def _below(folder: str, top: str) -> str | None:
    """A directory relative to the top of a work tree, whatever links lead there."""
    steps = folder.split("/")
    for count in range(1, len(steps) + 1):
        if os.path.realpath("/".join(steps[:count]) or "/") == top:
            return "/".join(steps[count:])
    real = os.path.realpath(folder)
    return os.path.relpath(real, top) if f"{real}/".startswith(f"{top}/") else None


def commit(top: str, revision: str) -> str:
    """The id of the commit that a revision names. Raises GitError with what to do where there is none."""
    if not revision or revision.startswith("-"):
        raise GitError(
            f"{revision!r} is no revision" + ("" if revision else ": is a variable of the pipeline not set here?")
        )
    found = _asked(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")[0]
    if found:
        return found
    if _asked(top, "rev-parse", "--is-shallow-repository")[0] == "true":
        advice = (
            f"this clone is shallow and may lack it: git fetch origin {revision}, or a checkout with the whole history "
            f"(fetch-depth: 0 for GitHub, GIT_DEPTH: 0 for GitLab)"
        )
    elif _asked(top, "rev-parse", "--verify", "--quiet", f"origin/{revision}^{{commit}}")[0]:
        advice = f"did you mean origin/{revision}?"
    else:
        advice = "`git log --all --oneline` lists those that are here"
    raise GitError(f"{top} has no commit {revision}: {advice}")


def files(top: str, commit: str) -> list[str]:
    """Every file of a commit, by its path from the top. Raises GitError."""
    found, wrong = _asked(top, "ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
    if wrong:
        raise GitError(wrong)
    return found.split("\0")[:-1]


class Entry(NamedTuple):
    """What a tree of git holds under a name. `mode` is git's, such as `100644`."""

    mode: str
    id: str


LINK, FOLDER, SUBMODULE = "120000", "40000", "160000"


class Revision:
    """The files of one commit, read by a single process of git. To be closed, or used as a context."""

    def __init__(self, top: str, commit: str) -> None:
        import subprocess
        import tempfile

        self.top = top
        self.commit = commit
        self._trees: dict[str, dict[bytes, Entry]] = {}
        self._parts: dict[str, Revision] = {}
        self._words = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [program(), "-C", top, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=_environment(),
        )

    def __enter__(self) -> Revision:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End git."""
        for part in self._parts.values():
            part.close()
        self._process.communicate()
        self._words.close()

    def read(self, path: str) -> bytes | None:
        """The bytes of a file as git keeps them, links followed; None where there is none. Raises Unreadable for what
        no commit of this repository holds, and GitError where git fails.
        """
        place = self._find(path)
        if place is None:
            return None
        where, entry = place
        if entry.mode == FOLDER:
            raise Unreadable("is a directory there")
        return where._object(entry.id)

    def names(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None where there is none. Raises as `read` does."""
        place = self._find(path)
        if place is None:
            return None
        where, entry = place
        return sorted(map(os.fsdecode, where._tree(entry.id))) if entry.mode == FOLDER else None

    def _root(self) -> Entry:
        return Entry(FOLDER, f"{self.commit}^{{tree}}")

    def _find(self, path: str) -> tuple[Revision, Entry] | None:
        """Where a path leads to, and in which repository: it may lie in a submodule."""
        waiting = _steps(os.fsencode(path))
        walked: list[tuple[bytes, Entry]] = []
        links = 0
        entry = self._root()
        while waiting or entry.mode == SUBMODULE:
            if entry.mode == SUBMODULE and waiting[:1] != [b".."]:
                part = self._part(os.fsdecode(b"/".join(name for name, _ in walked)), entry.id)
                return part._find(os.fsdecode(b"/".join(waiting)))
            step = waiting.pop(0)
            if step == b"..":
                if not walked:
                    raise Unreadable(f"leads out of the repository {self.top}: what it was there is not known")
                walked.pop()
                entry = walked[-1][1] if walked else self._root()
                continue
            found = self._tree(entry.id).get(step) if entry.mode == FOLDER else None
            if found is None:
                return None
            if found.mode == LINK:
                links += 1
                target = self._object(found.id)
                if links > LINKS:
                    raise Unreadable("is a link that leads in a circle")
                if target.startswith(b"/"):
                    raise Unreadable(f"is a link to {os.fsdecode(target)}: what it was there is not known")
                waiting = [*_steps(target), *waiting]
                continue
            walked.append((step, found))
            entry = found
        return self, entry

    def _part(self, folder: str, commit: str) -> Revision:
        """A submodule at the commit that this one asks for."""
        top = os.path.join(self.top, folder)
        if not os.path.lexists(os.path.join(top, ".git")):
            raise Unreadable(f"lies in the submodule {folder}, which is not here: git submodule update --init {folder}")
        part = self._parts.get(folder) or Revision(top, commit)
        self._parts[folder] = part
        if part._ask(commit) is None:
            raise Unreadable(
                f"lies in the submodule {folder}, which lacks its commit {commit[:12]}: git -C {folder} fetch"
            )
        return part

    def _tree(self, id: str) -> dict[bytes, Entry]:
        if id not in self._trees:
            self._trees[id] = _entries(self._object(id), len(self.commit) // 2)
        return self._trees[id]

    def _object(self, id: str) -> bytes:
        found = self._ask(id)
        if found is None:
            raise GitError(f"{self.top} lacks the object {id}: the clone is not whole, git fsck says what is missing")
        return found

    def _ask(self, id: str) -> bytes | None:
        """The content of an object; None where it is not here."""
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        try:
            into.write(id.encode() + b"\n")
            into.flush()
        except BrokenPipeError:
            raise GitError(self._last_words()) from None
        head = out.readline().split()
        if not head:
            raise GitError(self._last_words())
        if len(head) != 3 or not head[2].isdigit():
            return None
        data = out.read(int(head[2]) + 1)
        if len(data) != int(head[2]) + 1:
            raise GitError(self._last_words())
        return data[:-1]

    def _last_words(self) -> str:
        """Why git ended."""
        code = self._process.wait()
        self._words.seek(0)
        return os.fsdecode(self._words.read()).strip() or f"git cat-file ended with status {code}"


def _steps(path: bytes) -> list[bytes]:
    return [step for step in path.split(b"/") if step not in (b"", b".")]


def _entries(data: bytes, width: int) -> dict[bytes, Entry]:
    """A tree as git keeps it: mode, name and the id in so many bytes."""
    found: dict[bytes, Entry] = {}
    start = 0
    while start < len(data):
        space = data.index(b" ", start)
        end = data.index(b"\0", space)
        mode = data[start:space].decode()
        found[data[space + 1 : end]] = Entry(mode, data[end + 1 : end + 1 + width].hex())
        start = end + 1 + width
    return found
