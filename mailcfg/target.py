"""What a command line names: a policy, a bundle, or what the machine itself says it should be."""

from __future__ import annotations

import os
from typing import NamedTuple

from mailcfg import archive, state, trusted
from mailcfg.archive import FILE_LIMIT, MEMBER_LIMIT, TOTAL_LIMIT, shown
from mailcfg.cli import Failure
from mailcfg.configuration import Configuration
from mailcfg.desired import Desired, Whole, desired, needed
from mailcfg.layout import places
from mailcfg.machine import Machine, Unreadable, digest
from mailcfg.trusted import MANIFEST, Distrusted

SITE = "/etc/mailcfg/site.toml"
"""Where a host keeps its policy."""

VARIABLE = "MAILCFG_SITE"


def named(given: str | None, live: Machine) -> str:
    """The path of the policy or bundle: the one given, else $MAILCFG_SITE, else the machine's own. Raises Failure when
    there is none, and Unreadable.
    """
    chosen = given or os.environ.get(VARIABLE)
    if chosen:
        return chosen
    if live.look(SITE, content=False) is not None:
        return f"{live.root}{SITE}"
    place = f"{state.directory(live.root, '', '')}/{state.APPLIED}"
    if os.path.lexists(place):
        return place
    raise Failure(f"no policy: name a site.toml or a bundle, set {VARIABLE}, or put the policy at {live.root}{SITE}")


def stem(path: str) -> str:
    """The site's name as its path tells it."""
    name = os.path.basename(os.path.normpath(path))
    return name.removesuffix(".toml").removesuffix(".tar")


def found_there(given: str | None) -> bool:
    """Whether the machine itself says what it should be: no link may lead out of its root then."""
    return not (given or os.environ.get(VARIABLE))


def _inside(path: str, door: Machine) -> tuple[str, str]:
    """A path as the door knows it, and where it lies on this machine. Raises Unreadable."""
    whole = os.path.abspath(path)
    if not door.root:
        return whole, whole
    if not whole.startswith(f"{door.root}/"):
        raise Unreadable(path, f"is not below {door.root}")
    place = whole[len(door.root) :]
    return place, door.inside(place) or whole


def load(path: str, door: Machine) -> Desired:
    """What a policy or a bundle wants. Raises PolicyError, Unreadable or Failure. What is read is in `door.seen`."""
    files = _bundle_at(path, door)
    return _site(path, door) if files is None else _whole(path, files).desired


def load_whole(path: str, door: Machine) -> Whole:
    """A policy's or a bundle's whole: what it wants, and the bytes of every file; nothing of a bundle is handed out
    before all of it has been verified. Raises PolicyError, Unreadable or Failure.
    """
    files = _bundle_at(path, door)
    if files is not None:
        return _whole(path, files)
    from mailcfg.bundle import bundle

    compiled = _compiled(path, door)
    made = bundle(compiled.name, compiled.configuration)
    contents = made.contents()
    manifest = contents.pop(MANIFEST)
    files_of_site = places(compiled.configuration)
    texts = {name: data.decode() for name, data in contents.items() if name in needed(files_of_site)}
    wanted = desired(compiled.name, compiled.configuration, files_of_site, texts)
    return Whole(wanted, contents, tuple(files_of_site), manifest)


def _bundle_at(path: str, door: Machine) -> _Tree | _Tar | None:
    """The files of the bundle at a path; None where it names a policy. Raises Unreadable or Failure."""
    place, real = _inside(path, door)
    if os.path.isdir(real):
        return _Tree(place, door)
    if place.endswith(".tar"):
        return _Tar(place, door)
    if place.endswith(".toml") or not os.path.lexists(real):
        return None
    raise Failure(f"{path} is neither a policy (site.toml) nor a bundle (a directory or a .tar with a manifest.json)")


# --- a policy --------------------------------------------------------------------------------------------------------


class _Compiled(NamedTuple):
    name: str
    configuration: Configuration


def _compiled(path: str, door: Machine) -> _Compiled:
    """Compile a policy in memory."""
    from mailcfg import host
    from mailcfg.compile import compile_document
    from mailcfg.policy.document import Reader

    def read(name: str) -> str:
        whole, real = _inside(name, door)
        text = host.read_policy(name, real)
        door.look(whole)
        # What counts is what was compiled, should the file have changed between the two looks.
        seen = door.seen[whole].partition(":")[2]
        door.seen[whole] = f"{digest(text.encode())}:{seen}"
        return text

    document = Reader(read).document(path)
    return _Compiled(document.stem, compile_document(document).configuration)


def _site(path: str, door: Machine) -> Desired:
    """What a policy wants."""
    name, configuration = _compiled(path, door)
    files = places(configuration)
    contents = {file.bundle_path: file.content for file in configuration.files if not file.template}
    if set(needed(files)) - contents.keys():
        from mailcfg import render

        # Scripts are made from templates; only a policy that has one pays for the library.
        contents |= render.files(configuration)
    return desired(name, configuration, files, contents)


# --- a bundle --------------------------------------------------------------------------------------------------------


class _Tree:
    """The files of a bundle that is a directory."""

    def __init__(self, path: str, door: Machine) -> None:
        self._path = path
        self._door = door
        self.site = ""
        self.folders: list[str] = []

    def names(self) -> list[str]:
        """Every file. Raises Distrusted for what is neither a file nor a directory."""
        found: list[str] = []
        waiting = [""]
        while waiting:
            parent = waiting.pop()
            self.folders.append(parent)
            folder = f"{self._path}/{parent}" if parent else self._path
            for name, kind in sorted(self._door.entries(folder).items()):
                path = f"{parent}/{name}" if parent else name
                if kind == "a directory":
                    waiting.append(path)
                elif kind == "a file":
                    found.append(path)
                else:
                    raise Distrusted(f"{shown(path)} is {kind}, and a bundle holds plain files")
                if len(found) + len(self.folders) + len(waiting) > MEMBER_LIMIT:
                    raise Distrusted(f"holds more than {MEMBER_LIMIT:,} files and directories")
        return found

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        found = self._door.look(f"{self._path}/{name}")
        if found is None:
            raise Distrusted(f"{name} is missing: build the bundle again")
        return found.data


class _Tar:
    """The files of a bundle that is a tar: one directory, and in it what a tree holds."""

    def __init__(self, path: str, door: Machine) -> None:
        found = door.look(path)
        if found is None:
            raise Failure(f"{path}: there is no such file")
        self._data = found.data
        self._files: dict[str, bytes] = {}
        self.site = ""
        self.folders: list[str] = []

    def names(self) -> list[str]:
        """Every file. Raises Distrusted for all that a bundle's tar has not."""
        try:
            contents = archive.read(self._data)
        except archive.ArchiveError as error:
            raise Distrusted(str(error)) from None
        tops = dict.fromkeys(name.partition("/")[0] for name in (*contents.files, *contents.directories))
        if len(tops) != 1:
            raise Distrusted(f"holds {len(tops)} directories at its top, and a bundle is one")
        (self.site,) = tops
        for name, data in contents.files.items():
            top, slash, path = name.partition("/")
            if not slash:
                raise Distrusted(f"{shown(top)} is a file, and a bundle is a directory")
            self._files[path] = data
        self.folders = [name.partition("/")[2] for name in contents.directories]
        return list(self._files)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return self._files[name]


def _whole(path: str, bundle: _Tree | _Tar) -> Whole:
    """A bundle, verified. Raises Unreadable or Failure."""
    try:
        names = bundle.names()
        if MANIFEST not in names:
            raise Failure(f"{path} is no bundle: it has no {MANIFEST}; mailcfg build makes one")
        manifest = bundle.read(MANIFEST)
        checked = trusted.trusted(manifest)
        if bundle.site not in ("", checked.manifest.site):
            raise Distrusted(f"its directory is {shown(bundle.site)}, and its manifest of {checked.manifest.site}")
        trusted.same_files(checked, names, bundle.folders)
        files: dict[str, bytes] = {}
        total = len(manifest)
        for place in checked.places:
            files[place.path] = data = bundle.read(place.path)
            total += len(data)
            if len(data) > FILE_LIMIT or total > TOTAL_LIMIT:
                raise Distrusted(f"{place.path} is larger than anything that is built")
        trusted.same_contents(checked, files)
    except Distrusted as error:
        raise Failure(f"{path}: {error}") from None
    texts = {name: files[name].decode(errors="surrogateescape") for name in needed(checked.places)}
    wanted = desired(checked.manifest.site, checked.configuration, checked.places, texts)
    return Whole(wanted, files, checked.places, manifest)
