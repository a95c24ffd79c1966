"""Building sites: one after another or on several processes, each told apart from the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from mailcfg import bundle as bundles
from mailcfg import host
from mailcfg.configuration import Step
from mailcfg.manifest import SCHEMA
from mailcfg.policy.document import Reader
from mailcfg.problem import Finding, PolicyError, Severity
from mailcfg.subjects import judged, of_policy, stem
from mailcfg.trusted import SIGNATURES

INFO = Severity.INFO

CHUNK = 100
"""Sites that a worker takes at once: large enough to keep it busy, small enough for a bar that moves."""


class Job(NamedTuple):
    """What to do with every site of a run. `output` is the directory of the bundles; `steps`: whether they are told;
    `allow`: whether what a rule calls an error is built all the same. `now` is in seconds since 1970, `today` the day.
    """

    output: str
    check: bool
    tar: bool
    steps: bool = False
    allow: bool = False
    now: float = 0.0
    today: str = ""


class Outcome(NamedTuple):
    """What became of one site: `built`, `unchanged`, `stale`, `refused` by a rule, or `failed`; `detail` says why it is
    stale or failed.
    """

    path: str
    status: str
    detail: str
    target: str
    files: int
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]


def build_all(paths: list[str], job: Job, processes: int) -> Iterator[Outcome]:
    """Build sites in their order. Memory does not grow with their number."""
    if not job.check:
        host.make_folder(job.output)
        host.Workshop.sweep(job.output)
    chunks = [(paths[start : start + CHUNK], job) for start in range(0, len(paths), CHUNK)]
    if processes < 2 or len(chunks) < 2:
        for chunk in chunks:
            yield from _build_chunk(chunk)
        return
    import multiprocessing
    import signal

    # Ctrl-C reaches every process of the terminal: the first one ends the others, and they say nothing.
    silent = (signal.SIGINT, signal.SIG_IGN)
    with multiprocessing.Pool(min(processes, len(chunks)), signal.signal, silent) as pool:
        for outcomes in pool.imap(_build_chunk, chunks):
            yield from outcomes


_READERS: dict[int, Reader] = {}


def _reader() -> Reader:
    """One reader a process, so that a base is read once however many sites extend it."""
    return _READERS.setdefault(os.getpid(), Reader(host.read_policy))


def _build_chunk(task: tuple[list[str], Job]) -> list[Outcome]:
    paths, job = task
    reader = _reader()
    if job.check:
        return [_build(path, job, reader, None) for path in paths]
    with host.Workshop(job.output) as workshop:
        return [_build(path, job, reader, workshop) for path in paths]


def _build(path: str, job: Job, reader: Reader, workshop: host.Workshop | None) -> Outcome:
    try:
        looked = of_policy(path, job.now, reader)
    except PolicyError as error:
        return Outcome(path, "failed", "", "", 0, tuple(error.findings), ())
    found = tuple(each for each in judged(looked, job.today) if each in looked.found or each.severity is not INFO)
    if not job.allow and any(each.severity is Severity.ERROR for each in found):
        return Outcome(path, "refused", "", "", 0, found, ())
    assert looked.subject is not None
    configuration = looked.subject.configuration
    made = bundles.bundle(stem(path), configuration)
    name = made.site + (".tar" if job.tar else "")
    target = os.path.join(job.output, name)
    place = _place_tar if job.tar else _place_tree
    try:
        status, detail = place(made, target, name, workshop)
    except OSError as error:
        # Of one bundle that cannot be read or written the others know nothing.
        status, detail = "failed", f"{_told(error, target)}: {error.strerror or error}"
    steps = configuration.steps if job.steps else ()
    return Outcome(path, status, detail, target, len(made.files), found, steps)


def _told(error: OSError, target: str) -> str:
    """The path that an error is about, as people know it: nobody knows the workshop."""
    return error.filename if str(error.filename).startswith(target) else target


def _place_tar(made: bundles.Bundle, target: str, name: str, workshop: host.Workshop | None) -> tuple[str, str]:
    data = bundles.tar(made)
    there = host.read_bytes(target)
    if there == data:
        return "unchanged", ""
    if workshop is None:
        return "stale", "missing" if there is None else "differs"
    workshop.place_file(name, data)
    return "built", ""


def _place_tree(made: bundles.Bundle, target: str, name: str, workshop: host.Workshop | None) -> tuple[str, str]:
    there = host.read_tree(target)
    if there is None and host.exists(target):
        there = host.read_tree(target)  # Another build may have placed it between the two looks.
    if there is None and host.exists(target):
        return "failed", f"{target} is in the way and not a directory: move it"
    if there is None:
        if workshop is None:
            return "stale", "missing"
        workshop.place_tree(name, made.contents(), made.modes())
        return "built", ""
    contents = made.contents()
    # A signature beside the manifest is its owner's; it goes with the manifest that it is of.
    there = {path: data for path, data in there.items() if path not in SIGNATURES}
    if there == contents and host.modes_agree(target, made.modes()):
        return "unchanged", ""
    changed = sorted(path for path in {*there, *contents} if there.get(path) != contents.get(path))
    if workshop is None:
        return "stale", f"differs in {', '.join(changed) or 'the mode of a script'}"
    foreign = _foreign(there, contents)
    if foreign:
        return "failed", f"{target} holds what is not of a bundle, and would be lost: {', '.join(foreign)}"
    workshop.place_tree(name, contents, made.modes())
    return "built", ""


def _foreign(there: dict[str, bytes], contents: dict[str, bytes]) -> list[str]:
    """Files in the way that no build wrote: neither named by the manifest that is there nor about to be replaced."""
    import json

    try:
        manifest = json.loads(there["manifest.json"])
        known = {file["path"] for file in manifest["files"]} if manifest["schema"] == SCHEMA else set()
    except (KeyError, TypeError, ValueError):
        # A damaged manifest knows nothing; a directory without one of ours is not a bundle at all.
        ours = SCHEMA.encode() in there.get("manifest.json", b"")
        return sorted(set(there) - set(contents)) if ours else sorted(there)
    return sorted(set(there) - known - set(contents))
