"""Planning many sites: each as a revision of git has it and as it lies in the work tree, compiled and compared."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import NamedTuple

from mailcfg import git, host
from mailcfg.cli import Failure
from mailcfg.judge import findings, without_accepted
from mailcfg.plan.compare import compare, unchanged
from mailcfg.plan.model import HostPlan, Plan, Side
from mailcfg.policy.document import Document, Reader, is_base
from mailcfg.problem import Finding, PolicyError, Severity, in_order
from mailcfg.subjects import Looked, of_document


class Outcome(NamedTuple):
    """The plan, and what is wrong with policies that cannot be compiled as they are now."""

    plan: Plan
    findings: tuple[Finding, ...]


class Trouble(NamedTuple):
    """Why nobody can tell what a policy was or is."""

    reason: str


Then = Document | PolicyError | Trouble | None
"""A policy at the revision: read, or not to be read; None where there was none."""


class _Past:
    """The policies of one commit."""

    def __init__(self, revision: git.Revision, places: git.Repositories, name: str) -> None:
        self.top = revision.top
        self.commit = revision.commit
        self.gone: dict[str, Document] | None = None
        self._revision = revision
        self._places = places
        self._name = name
        self._reader = Reader(self._text)

    def document(self, path: str) -> Then:
        """A policy with all that it extends. Raises GitError."""
        try:
            if self._revision.read(self._places.inside(path, self._revision.top)) is None:
                return None
            return self._reader.document(path)
        except PolicyError as error:
            return error
        except git.Unreadable as error:
            return Trouble(f"at {self._name} {error}")

    def _text(self, path: str) -> str:
        try:
            data = self._revision.read(self._places.inside(path, self._revision.top))
        except git.Unreadable as error:
            raise git.Unreadable(f"{path} {error}") from None
        if data is None:
            raise host.refused(path, "file-missing", f"there is no such file at {self._name}", "it came later")
        return host.policy_text(path, data, len(data))

    def names(self, path: str) -> list[str] | None:
        """The names in a directory, None where there is none. Raises GitError."""
        try:
            # By a name in it: the directory itself may be the top, and then lies in nothing.
            within = self._places.inside(os.path.join(path, "x"), self._revision.top)
            return self._revision.names(os.path.dirname(within))
        except git.Unreadable as error:
            raise Failure(f"{path}: at {self._name} {error}") from None


def plan_all(targets: list[str], base: str, now: float, today: str) -> Outcome:
    """What becomes of every policy since a revision. A directory stands for the policies in it, now or then. `now` is
    in seconds since 1970, `today` the day. Raises Failure where nothing can be told at all.
    """
    try:
        git.program()
        with ExitStack() as stack:
            return _Planner(base, now, today, stack).plan(targets)
    except git.GitError as error:
        raise Failure(str(error)) from None


class _Planner:
    """One run. A base is read once a side, and every directory looked up once."""

    def __init__(self, base: str, now: float, today: str, stack: ExitStack) -> None:
        self._base = base
        self._now = now
        self._today = today
        self._stack = stack
        self._places = git.Repositories()
        self._pasts: dict[str, _Past] = {}
        self._reader = Reader(host.read_policy)
        self._findings: list[Finding] = []

    def _past(self, path: str) -> _Past | Trouble:
        """The revision in the repository of a path. Raises GitError where the repository has no such revision."""
        try:
            top = self._places.top(path)
        except git.GitError as error:
            return Trouble(str(error))
        if top not in self._pasts:
            revision = self._stack.enter_context(git.Revision(top, git.commit(top, self._base)))
            self._pasts[top] = _Past(revision, self._places, self._base)
        return self._pasts[top]

    def plan(self, targets: list[str]) -> Outcome:
        """All of them, in the order in which they were named."""
        paths = self._paths(targets)
        then: dict[str, Then] = {}
        for path in paths:
            past = self._past(path)
            then[path] = past if isinstance(past, Trouble) else past.document(path)
        renamed = self._renamed(then)
        taken = {os.path.abspath(name) for name, _ in renamed.values()}
        hosts = tuple(
            self._host(path, *renamed.get(path, (path, then[path])))
            for path in paths
            if os.path.abspath(path) not in taken
        )
        commits = {each.commit for each in self._pasts.values()}
        commit = commits.pop() if len(commits) == 1 else ""
        return Outcome(Plan(self._base, commit, hosts), tuple(in_order(self._findings)))

    def _paths(self, targets: list[str]) -> list[str]:
        """The policies that are meant, each once, without bases. Raises Failure where there are none."""
        found: dict[str, str] = {}
        for target in targets:
            for path in self._within(target):
                if not is_base(path.rpartition("/")[2]):
                    found.setdefault(os.path.normpath(path), path)
        if not found:
            raise Failure(
                f"{', '.join(targets)}: a base is never planned by itself: name the sites that extend it, or the "
                f"directory that they are in"
            )
        return list(found.values())

    def _within(self, target: str) -> list[str]:
        """A policy itself, or those that a directory has now or had then. Raises Failure where it has none."""
        path = target.rstrip("/") or target
        here = host.is_directory(path)
        if not here and (path.endswith(".toml") or host.exists(path)):
            return [target]
        found = set(host.policies(path))
        # A name in it, since the directory itself may be the top of its repository.
        past = self._past(os.path.join(path, "x"))
        if isinstance(past, Trouble):
            raise Failure(f"{target}: {past.reason}")
        folder = "" if path == "." else path
        found |= {os.path.join(folder, name) for name in past.names(path) or () if name.endswith(".toml")}
        if not found:
            raise Failure(f"{target}: there is no policy, neither now nor at {self._base}: name a site.toml")
        return sorted(found)

    def _renamed(self, then: dict[str, Then]) -> dict[str, tuple[str, Document]]:
        """Policies that are new under their name, and what they were called: the policy that is gone, was of a host of
        the same name and is the most like it. Wherever it lay: a change that moves a host must not hide what else it
        does.
        """
        found: dict[str, tuple[str, Document]] = {}
        taken: set[str] = set()
        for path, document in then.items():
            if document is not None or not host.exists(path):
                continue
            try:
                now = self._reader.document(path)
            except PolicyError:
                continue  # What is wrong with it is told when its turn comes.
            past = self._past(path)
            gone = self._gone(past) if isinstance(past, _Past) else {}
            named = {
                name: each
                for name, each in gone.items()
                if name not in taken and each.values.get("hostname") == now.values.get("hostname")
            }
            if named:
                likeness = {name: _likeness(each, now) for name, each in named.items()}
                name = max(likeness, key=likeness.__getitem__)
                found[path] = name, named[name]
                taken.add(name)
        return found

    def _gone(self, past: _Past) -> dict[str, Document]:
        """The policies of a commit that are not here any more, by their paths as they are seen from here."""
        if past.gone is None:
            past.gone = {}
            for path in git.files(past.top, past.commit):
                place = os.path.relpath(os.path.join(past.top, path))
                if path.endswith(".toml") and not is_base(os.path.basename(path)) and not host.exists(place):
                    document = past.document(place)
                    if isinstance(document, Document) and "hostname" in document.values:
                        past.gone[place] = document
        return past.gone

    def _host(self, path: str, earlier: str, then: Then) -> HostPlan:
        """What changes for one host. `earlier` is what its policy was called."""
        document: Document | None = None
        after: Side | None = None
        if host.exists(path):
            try:
                document = self._reader.document(path)
                looked = of_document(path, document, self._now)
            except PolicyError as error:
                self._findings += error.findings
                return _unknown(path, f"it cannot be compiled as it is now: {_told(error)}")
            if isinstance(then, Document) and earlier == path and _same(then, document):
                assert looked.subject is not None
                return unchanged(path, looked.subject.configuration.hostname)
            after = self._side(looked)
        elif then is None:
            return _unknown(path, f"there is no such file, neither now nor at {self._base}")
        if isinstance(then, Trouble):
            return _unknown(path, then.reason)
        before: Side | None = None
        notes: tuple[str, ...] = ()
        try:
            if isinstance(then, PolicyError):
                raise then
            before = self._side(of_document(earlier, then, self._now)) if then else None
        except PolicyError as error:
            notes = (f"at {self._base} it could not be compiled: {_told(error)}",)
            if after is None:
                return HostPlan(path, "", "removed", notes=notes)
            notes += ("so nothing is known to have been there before, and all of it counts as new",)
        plan = compare(path, before, after, renamed_from=earlier if earlier != path else "")
        return plan._replace(notes=notes)

    def _side(self, looked: Looked) -> Side:
        assert looked.subject is not None
        raised = in_order([*looked.found, *findings(looked.subject, looked.locate)])
        counted = without_accepted(raised, looked.accepted, self._today)
        return Side(looked.subject, tuple(raised), tuple(counted))


def _likeness(one: Document, other: Document) -> float:
    """How much of two policies is the same text, from 0 to 1."""
    from difflib import SequenceMatcher

    was, now = (each.sources[0].text.splitlines() for each in (one, other))
    return SequenceMatcher(None, was, now, autojunk=False).ratio()


def _same(one: Document, other: Document) -> bool:
    """Whether two policies are written alike, with all that they extend."""
    return one.names == other.names and [each.text for each in one.sources] == [each.text for each in other.sources]


def _unknown(path: str, reason: str) -> HostPlan:
    return HostPlan(path, "", "unknown", notes=(reason,))


def _told(error: PolicyError) -> str:
    """The first error of a policy in a line, and how many more there are."""
    errors = [each for each in error.findings if each.severity is Severity.ERROR] or error.findings
    place = errors[0].location
    where = f"{place.file}:{place.line}" if place.line else place.file
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return f"{where}: {errors[0].message}{more}"
