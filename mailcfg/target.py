"""What a command line names: a policy, a bundle, or what the machine itself says it should be."""

from __future__ import annotations

import os

from mailcfg.cli import Failure
from mailcfg.desired import Desired, desired, needed
from mailcfg.layout import Place
from mailcfg.machine import Machine, Unreadable, digest
from mailcfg.manifest import Manifest, ManifestError, configuration_of, read_manifest

SITE = "/etc/mailcfg/site.toml"
"""Where a host keeps its policy."""

APPLIED = "/var/lib/mailcfg/applied"
"""Where the bundle that was applied last is kept."""

VARIABLE = "MAILCFG_SITE"


def named(given: str | None, live: Machine) -> str:
    """The path of the policy or bundle: the one given, else $MAILCFG_SITE, else the machine's own. Raises Failure when
    there is none, and Unreadable.
    """
    chosen = given or os.environ.get(VARIABLE)
    if chosen:
        return chosen
    for place in (SITE, APPLIED):
        if live.look(place, content=False) is not None:
            return f"{live.root}{place}"
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
    place, real = _inside(path, door)
    if os.path.isdir(real):
        return _bundle(path, _Tree(place, door))
    if place.endswith(".tar"):
        return _bundle(path, _Tar(place, door))
    if place.endswith(".toml") or not os.path.lexists(real):
        return _site(path, door)
    raise Failure(f"{path} is neither a policy (site.toml) nor a bundle (a directory or a .tar with a manifest.json)")


def _site(path: str, door: Machine) -> Desired:
    """Compile a policy in memory."""
    from mailcfg import host
    from mailcfg.compile import compile_document
    from mailcfg.layout import places
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
    configuration = compile_document(document).configuration
    files = places(configuration)
    contents = {file.bundle_path: file.content for file in configuration.files}
    if set(needed(files)) - contents.keys():
        from mailcfg import render

        # Scripts are made from templates; only a policy that has one pays for the library.
        contents |= render.files(configuration)
    return desired(document.stem, configuration, files, contents)


class _Tree:
    """The files of a bundle that is a directory."""

    def __init__(self, path: str, door: Machine) -> None:
        self._path = path
        self._door = door

    def read(self, name: str) -> bytes | None:
        found = self._door.look(f"{self._path}/{name}")
        return found.data if found else None


class _Tar:
    """The files of a bundle that is a tar: one directory, and in it what a tree holds."""

    def __init__(self, path: str, door: Machine) -> None:
        import io
        import tarfile

        found = door.look(path)
        if found is None:
            raise Failure(f"{path}: there is no such file")
        self._files: dict[str, bytes] = {}
        try:
            with tarfile.open(fileobj=io.BytesIO(found.data), mode="r:") as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    if file is not None:
                        self._files[member.name.partition("/")[2]] = file.read()
        except tarfile.TarError as error:
            raise Unreadable(path, f"is no tar: {error}") from None

    def read(self, name: str) -> bytes | None:
        return self._files.get(name)


def _bundle(path: str, files: _Tree | _Tar) -> Desired:
    data = files.read("manifest.json")
    if data is None:
        raise Failure(f"{path} is no bundle: it has no manifest.json; mailcfg build makes one")
    manifest = _manifest(f"{path}/manifest.json", data)
    places = [
        Place(each.path, each.target or "", int(each.mode, 8), each.owner, each.group, each.ownership)
        for each in manifest.files
    ]
    digests = {each.path: each.sha256 for each in manifest.files}
    contents: dict[str, str] = {}
    for name in needed(places):
        content = files.read(name)
        if content is None:
            raise Failure(f"{path}: {name} is missing: build the bundle again")
        if digest(content) != digests[name]:
            raise Failure(f"{path}: {name} is not what was built: its digest differs from the manifest's")
        contents[name] = content.decode(errors="surrogateescape")
    return desired(manifest.site, configuration_of(manifest), places, contents)


def _manifest(path: str, data: bytes) -> Manifest:
    from mailcfg.facts.platforms import platform_names

    try:
        manifest = read_manifest(data.decode())
    except (ManifestError, UnicodeDecodeError) as error:
        raise Failure(f"{path} {error}") from None
    if manifest.platform not in platform_names():
        raise Failure(f"{path}: this mailcfg knows no platform {manifest.platform!r}: look for a newer one")
    return manifest
