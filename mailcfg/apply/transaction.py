"""The files of a generation put in force: staged, switched in one step where the system can, and taken back.

Everything that is needed to finish or to undo is in the state directory, on the disk, before the first file is touched.
Two or more files of Postfix's own directory change places at once: the directory is staged as a copy whose other files
are links to the same inodes, and the two names are exchanged. Files elsewhere, and all where a directory cannot be
exchanged, are renamed into place one by one. Until the first of these steps a killed run is undone, after it it is
finished: a file is the old one or the new one throughout.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from contextlib import suppress
from typing import Literal, NamedTuple

from mailcfg import state
from mailcfg.apply import place
from mailcfg.apply.change import FileChange, same, status
from mailcfg.cli import Failure
from mailcfg.host import exchange
from mailcfg.machine import File, Machine, Unreadable
from mailcfg.state import FileRecord, Record

SCHEMA = "mailcfg/transaction/1"

Stage = Literal["staging", "committing", "switched", "reverting", "clearing"]
"""Until `committing` nothing is in force; `switched` files may still go back; from `clearing` on they stay, since what
was there before is being removed.
"""

KEPT = 20
"""How many generations are kept to roll back to."""


class Swap(NamedTuple):
    """A directory that changes places with its staged copy; `device` and `inode` are the copy's."""

    live: str
    staged: str
    device: int
    inode: int


class Move(NamedTuple):
    """A file that is renamed into its place; an empty `staged` is one that goes."""

    staged: str
    path: str


class Progress(NamedTuple):
    """How far a transaction is, as `transaction.json` says. `generation` holds its files; `leads_to` is the generation
    that is in force when it is done: the same for an apply, an older one (0 for none) for a rollback. `made` are
    directories that were made for it; `emptied` those that go when it is done, if nothing is in them.
    """

    generation: int
    leads_to: int
    stage: Stage
    swap: Swap | None
    moves: tuple[Move, ...]
    made: tuple[str, ...]
    emptied: tuple[str, ...] = ()


class Conflict(Failure):
    """Somebody changed a file meanwhile. Nothing was switched."""


class State:
    """The state directory of one Postfix, locked for this process."""

    def __init__(self, machine: Machine, directory: str) -> None:
        self.machine = machine
        self.path = directory
        self._lock: int | None = None

    # --- lock and journal --------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Make the directory where there is none, and be the only one at work in it. Raises Failure and OSError."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        found = os.lstat(self.path)
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise Failure(f"{self.path} can be changed by others: give it to root, with mode 0700")
        handle = os.open(f"{self.path}/{state.LOCK}", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(handle, 32).decode(errors="replace").strip()
            os.close(handle)
            raise Failure(
                f"another mailcfg is at work on this machine (process {other}): try again when it is done"
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        self._lock = handle

    def unlock(self) -> None:
        """Let others work."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def note(self, when: int, event: str, generation: int, words: str = "") -> None:
        """Add a line to the journal."""
        line = json.dumps({"when": when, "event": event, "generation": generation, "words": words}) + "\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(f"{self.path}/{state.JOURNAL}", flags, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def progress(self) -> Progress | None:
        """The transaction that is under way; None for none. Raises Failure where its record is damaged."""
        path = f"{self.path}/{state.TRANSACTION}"
        found = Machine().look(path)
        if found is None:
            return None
        try:
            data = json.loads(found.data)
            if data.pop("schema") != SCHEMA:
                raise ValueError("it is of another version of mailcfg")
            swap = Swap(**data.pop("swap")) if data["swap"] else data.pop("swap")
            moves = tuple(Move(**each) for each in data.pop("moves"))
            made, emptied = tuple(data.pop("made")), tuple(data.pop("emptied"))
            return Progress(**data, made=made, emptied=emptied, swap=swap, moves=moves)
        except (ValueError, TypeError, KeyError) as error:
            raise Failure(
                f"{path} is damaged: {error}; the files as they were are in {self.path}/generations"
            ) from None

    def save(self, progress: Progress) -> Progress:
        """Write down how far the transaction is."""
        data = {"schema": SCHEMA, **progress._asdict()}
        data["swap"] = progress.swap._asdict() if progress.swap else None
        data["moves"] = [each._asdict() for each in progress.moves]
        place.replace_text(f"{self.path}/{state.TRANSACTION}", json.dumps(data) + "\n")
        return progress

    def numbers(self) -> list[int]:
        """The generations that there are."""
        try:
            names = os.listdir(f"{self.path}/{state.GENERATIONS}")
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdecimal())

    # --- a new generation --------------------------------------------------------------------------------------------

    def write_generation(
        self, record: Record, changes: list[FileChange], bundle: dict[str, bytes], owner: tuple[int, int]
    ) -> None:
        """Put down what is to be done, the files as they are and as they will be, for the owner of the state alone."""
        os.makedirs(f"{self.path}/{state.GENERATIONS}", mode=0o700, exist_ok=True)
        final = f"{self.path}/{state.generation(record.number)}"
        fresh = f"{final}.new"
        place.remove_tree(fresh)
        os.mkdir(fresh, 0o700)
        for side in ("before", "after", "bundle"):
            os.mkdir(f"{fresh}/{side}", 0o700)
        for index, change in enumerate(changes):
            for side, found in (("before", change.before), ("after", change.after)):
                if found is not None:
                    place.write(f"{fresh}/{side}/{index}", File(found.data, found.mode & 0o600, *owner))
        for path, data in bundle.items():
            folder = os.path.dirname(f"{fresh}/bundle/{path}")
            os.makedirs(folder, mode=0o700, exist_ok=True)
            place.write(f"{fresh}/bundle/{path}", File(data, 0o600, *owner))
        files = tuple(FileRecord(each.path, status(each.before), status(each.after)) for each in changes)
        made = dict.fromkeys(each for change in changes if change.after for each in self._missing_above(change.path))
        text = state.record_text(record._replace(files=files, directories=tuple(made))).encode(errors="surrogateescape")
        place.write(f"{fresh}/{state.RECORD}", File(text, 0o600, *owner))
        place.settle(fresh)
        place.remove_tree(final)
        os.rename(fresh, final)
        place.settle(f"{self.path}/{state.GENERATIONS}")

    def _missing_above(self, path: str) -> list[str]:
        """Directories on the way to a file that are not there yet, the innermost first."""
        found: list[str] = []
        while path := path.rpartition("/")[0]:
            if os.path.lexists(self._real(path)):
                break
            found.append(path)
        return found

    def prune(self, keep: int) -> None:
        """Remove the oldest generations: the newest KEPT stay, and the one to keep."""
        numbers = self.numbers()
        for number in numbers[:-KEPT]:
            if number != keep:
                place.remove_tree(f"{self.path}/{state.generation(number)}")

    # --- staging and switching ---------------------------------------------------------------------------------------

    def stage(
        self, number: int, leads_to: int, changes: list[FileChange], directory: str, emptied: tuple[str, ...] = ()
    ) -> Progress:
        """Write every new file beside its place, on the disk, with its last mode. `directory` is where Postfix's files
        lie on the machine; `emptied` are directories that go in the end, if nothing is in them. Whatever fails, nothing
        is left.
        """
        inside = [each for each in changes if each.path.startswith(f"{directory}/")]
        together = len(inside) > 1 and os.path.isdir(self._real(directory))
        progress = self._plan(
            Progress(number, leads_to, "staging", None, (), (), emptied), changes, directory, together=together
        )
        try:
            try:
                return self._stage(progress, changes, directory)
            except place.Unstageable:
                return self._stage_singly(progress, changes, directory)
        except BaseException:
            # What is on record may be further than what this began with.
            self.undo(self.progress() or progress)
            raise

    def _stage(self, progress: Progress, changes: list[FileChange], directory: str) -> Progress:
        self.save(progress)
        swap = None
        if progress.swap:
            inside = [each for each in changes if each.path.startswith(f"{directory}/")]
            swap = self._stage_directory(progress.swap, inside, directory)
        moves = {each.path: each for each in progress.moves}
        for each in changes:
            move = moves.get(each.path)
            if move is not None and each.after is not None:
                self._stage_file(each, move)
        return self.save(progress._replace(swap=swap))

    def _stage_singly(self, progress: Progress, changes: list[FileChange], directory: str) -> Progress:
        """The same without an exchange of directories, where the file system has none."""
        if progress.swap:
            place.remove_tree(progress.swap.staged)
        singly = self._plan(progress._replace(stage="staging", swap=None), changes, directory, together=False)
        return self._stage(singly, changes, directory)

    def _real(self, path: str) -> str:
        return f"{self.machine.root}{path}"

    def _plan(self, progress: Progress, changes: list[FileChange], directory: str, *, together: bool) -> Progress:
        swap = None
        if together:
            parent, _, name = self._real(directory).rpartition("/")
            swap = Swap(self._real(directory), f"{parent}/.mailcfg-{progress.generation}-{name}", 0, 0)
        moves: list[Move] = []
        for each in changes:
            if together and each.path.startswith(f"{directory}/"):
                continue
            folder, _, name = self._real(each.path).rpartition("/")
            staged = f"{folder}/.mailcfg-{progress.generation}-{name}" if each.after is not None else ""
            moves.append(Move(staged, each.path))
        # Said before they are made, so that a killed run leaves none behind.
        missing = dict.fromkeys(each for move in moves if move.staged for each in self._missing_above(move.path))
        made = sorted(self._real(each) for each in missing)
        return progress._replace(swap=swap, moves=tuple(moves), made=tuple(made))

    def _stage_directory(self, swap: Swap, changes: list[FileChange], directory: str) -> Swap:
        place.remove_tree(swap.staged)
        names = {each.path[len(directory) + 1 :]: each for each in changes}
        # Of these two it is told by their inode whether Postfix has read them: a link, and its end, would change that.
        own = {name: self.machine.look(f"{directory}/{name}") for name in ("main.cf", "master.cf") if name not in names}
        names |= {name: FileChange(f"{directory}/{name}", found, found) for name, found in own.items() if found}
        place.link_tree(swap.live, swap.staged, frozenset(names))
        for name, change in names.items():
            if change.after is None:
                continue
            target = f"{swap.staged}/{name}"
            place.make_directories(os.path.dirname(target), self.machine.owners)
            place.write(target, change.after, self._like(change))
        place.finish_tree(swap.live, swap.staged)
        return Swap(swap.live, swap.staged, *place.inode(swap.staged))

    def _stage_file(self, change: FileChange, move: Move) -> None:
        assert change.after is not None
        place.make_directories(os.path.dirname(move.staged), self.machine.owners)
        place.remove_tree(move.staged)
        place.write(move.staged, change.after, self._like(change))
        place.settle(os.path.dirname(move.staged))

    def _like(self, change: FileChange) -> str | None:
        """The file from which a new one takes labels and access lists: the one in whose place it comes."""
        return self._real(change.path) if change.before is not None else None

    def commit(self, progress: Progress, changes: list[FileChange], directory: str) -> Progress:
        """Put the staged files in force. Raises Conflict where somebody changed one of them since it was read; nothing
        was switched then, nor where anything else goes wrong before the first step.
        """
        try:
            self._unchanged(changes)
            progress = self.save(progress._replace(stage="committing"))
            try:
                return self._switch(progress)
            except place.Unstageable:
                progress = self._stage_singly(progress, changes, directory)
                progress = self.save(progress._replace(stage="committing"))
                return self._switch(progress)
        except BaseException:
            if self._has_begun(progress):
                self.revert(progress)
            else:
                self.undo(progress)
            raise

    def _unchanged(self, changes: list[FileChange]) -> None:
        for each in changes:
            if not same(self.machine.look(each.path), each.before):
                raise Conflict(f"{each.path} was changed while this ran: nothing was done; run it again")

    def _switch(self, progress: Progress) -> Progress:
        """Take every step that was not taken yet: the first one decides."""
        if progress.swap and not self._is_swapped(progress, progress.swap):
            try:
                swapped = exchange(progress.swap.staged, progress.swap.live)
            except OSError as error:
                # An overlay cannot rename a directory of a lower layer, nor anybody one that is mounted on.
                if error.errno not in (errno.EXDEV, errno.EBUSY):
                    raise
                swapped = False
            if not swapped:
                raise place.Unstageable
            place.settle(os.path.dirname(progress.swap.live))
        if progress.swap:
            managed = self._managed(progress, progress.swap)
            place.carry_over(progress.swap.staged, progress.swap.live, managed)
        for move in progress.moves:
            real = self._real(move.path)
            if not move.staged:
                place.remove_tree(real)
            elif os.path.lexists(move.staged):
                os.rename(move.staged, real)
            else:
                continue
            place.settle(os.path.dirname(real))
        return self.save(progress._replace(stage="switched"))

    def _managed(self, progress: Progress, swap: Swap) -> frozenset[str]:
        """The files of a swapped directory that this generation changes, by their paths below it."""
        record = state.load(self.path, progress.generation)
        live = swap.live[len(self.machine.root) :]
        return frozenset(each.path[len(live) + 1 :] for each in record.files if each.path.startswith(f"{live}/"))

    def _is_swapped(self, progress: Progress, swap: Swap) -> bool:
        """Whether the directory that was staged is the live one."""
        for path, answer in ((swap.live, True), (swap.staged, False)):
            if os.path.isdir(path) and place.inode(path) == (swap.device, swap.inode):
                return answer
        # Neither: this is a copy of that machine, or a backup that was played back. What stands in the files tells.
        record = state.load(self.path, progress.generation)
        live = swap.live[len(self.machine.root) :]
        inside = [each for each in record.files if each.path.startswith(f"{live}/")]
        return any(status(self.machine.look(each.path)) == each.after for each in inside)

    def undo(self, progress: Progress) -> None:
        """Remove what was staged and never put in force."""
        if progress.swap and not (progress.swap.inode and self._is_swapped(progress, progress.swap)):
            place.remove_tree(progress.swap.staged)
        for move in progress.moves:
            if move.staged:
                place.remove_tree(move.staged)
        self._remove_made(progress)
        place.remove_tree(f"{self.path}/{state.generation(progress.generation)}")
        self._end()

    def _remove_made(self, progress: Progress) -> None:
        for each in reversed(progress.made):
            if os.path.isdir(each) and not os.listdir(each):
                os.rmdir(each)

    def _end(self) -> None:
        path = f"{self.path}/{state.TRANSACTION}"
        if os.path.lexists(path):
            os.unlink(path)
            place.settle(self.path)

    def revert(self, progress: Progress) -> None:
        """Put back the files as they were before this transaction switched them, and end it."""
        record = state.load(self.path, progress.generation)
        progress = progress._replace(stage="reverting")
        # On a full disk this cannot be written down: a run that is killed from here on is finished, and not undone.
        with suppress(OSError):
            self.save(progress)
        if progress.swap and self._is_swapped(progress, progress.swap):
            exchange(progress.swap.live, progress.swap.staged)
            place.settle(os.path.dirname(progress.swap.live))
        if progress.swap and os.path.isdir(progress.swap.staged):
            place.carry_over(progress.swap.staged, progress.swap.live, self._managed(progress, progress.swap))
        known = {each.path: (index, each) for index, each in enumerate(record.files)}
        for move in progress.moves:
            index, each = known[move.path]
            was = each.before
            real = self._real(move.path)
            if was is None:
                place.remove_tree(real)
            else:
                data = state.content(self.path, progress.generation, "before", index)
                staged = f"{os.path.dirname(real)}/.mailcfg-{progress.generation}-{os.path.basename(real)}"
                place.remove_tree(staged)
                place.write(staged, File(data, was.mode, was.uid, was.gid), real if os.path.lexists(real) else None)
                os.rename(staged, real)
            place.settle(os.path.dirname(real))
        self.undo(progress)

    def complete(self, progress: Progress) -> None:
        """The switched files stay: say which generation is in force, and clear away what was there before."""
        progress = self.save(progress._replace(stage="clearing"))
        number = progress.leads_to
        link = f"{self.path}/{state.APPLIED}"
        if number:
            place.remove_tree(f"{link}.new")
            os.symlink(f"{state.generation(number)}/bundle", f"{link}.new")
            os.rename(f"{link}.new", link)
        elif os.path.lexists(link):
            os.unlink(link)
        place.settle(self.path)
        if progress.swap:
            place.remove_tree(progress.swap.staged)
        for each in progress.emptied:
            real = self._real(each)
            if os.path.isdir(real) and not os.path.islink(real) and not os.listdir(real):
                os.rmdir(real)
        self._end()
        self.prune(number)

    def recover(self) -> Literal["", "undone", "switched", "reverted", "completed"]:
        """Finish or undo what a killed run left. `switched`: its files are in force, Postfix may not know of them, and
        nothing was proven yet: `complete` or `revert` has to follow. `completed`: it only had to clear away what was
        there before. Raises Failure and OSError.
        """
        self._sweep()
        progress = self.progress()
        if progress is None:
            return ""
        if progress.stage == "staging" or (progress.stage == "committing" and not self._has_begun(progress)):
            self.undo(progress)
            return "undone"
        if progress.stage == "reverting":
            self.revert(progress)
            return "reverted"
        if progress.stage == "clearing":
            self.complete(progress)
            return "completed"
        if progress.stage == "committing":
            self._switch(progress)
        return "switched"

    def _has_begun(self, progress: Progress) -> bool:
        """Whether the first step that puts files in force was taken."""
        if progress.swap:
            return self._is_swapped(progress, progress.swap)
        record = state.load(self.path, progress.generation)
        known = {each.path: each for each in record.files}
        for move in progress.moves[:1]:
            if move.staged:
                return not os.path.lexists(move.staged)
            return known[move.path].before is not None and not os.path.lexists(self._real(move.path))
        return False

    def _sweep(self) -> None:
        """Remove what a run was killed over before it said what it was about."""
        folder = f"{self.path}/{state.GENERATIONS}"
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.endswith(".new"):
                place.remove_tree(f"{folder}/{name}")
        for name in (f"{state.TRANSACTION}.new", f"{state.APPLIED}.new", "openssl", "check"):
            place.remove_tree(f"{self.path}/{name}")

    def changed_since(self, number: int) -> list[str]:
        """The files of a generation that are not as it left them. Raises Unreadable and Damaged."""
        record = state.load(self.path, number)
        found: list[str] = []
        for each in record.files:
            try:
                there = status(self.machine.look(each.path))
            except Unreadable:
                found.append(each.path)
                continue
            if there != each.after:
                found.append(each.path)
        return found
