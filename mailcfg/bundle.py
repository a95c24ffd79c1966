"""The bundle: what `build` ships, and the manifest that says what each file is for.

Nothing here depends on the machine, the directory or the time, so the same policy gives the same bytes everywhere.
"""

from __future__ import annotations

import io
from typing import NamedTuple

from mailcfg import render
from mailcfg.configuration import Configuration
from mailcfg.layout import Place, places
from mailcfg.manifest import manifest_text


class BundleFile(NamedTuple):
    """One file of a bundle: its path inside it, where it belongs on the host (the manifest itself belongs nowhere)."""

    path: str
    place: Place | None
    data: bytes


class Bundle(NamedTuple):
    """All files of one site's bundle, the manifest first."""

    site: str
    files: tuple[BundleFile, ...]

    def contents(self) -> dict[str, bytes]:
        """Bytes by path."""
        return {file.path: file.data for file in self.files}

    def modes(self) -> dict[str, int]:
        """The mode of each file inside the bundle: only scripts are more than plain files."""
        return {file.path: 0o755 for file in self.files if file.path.endswith(".sh")}


def bundle(site: str, configuration: Configuration) -> Bundle:
    """Render a configuration. `site` is the file stem of the policy."""
    texts = render.files(configuration)
    files = [BundleFile(place.path, place, texts[place.path].encode()) for place in places(configuration)]
    listed = [(place, data) for _, place, data in files if place]
    manifest = BundleFile("manifest.json", None, manifest_text(site, configuration, listed).encode())
    return Bundle(site, (manifest, *files))


def tar(made: Bundle) -> bytes:
    """The bundle as one plain tar: members in order, no times, no names of people, so equal bundles are equal bytes."""
    import tarfile

    buffer = io.BytesIO()
    modes = made.modes()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in made.files:
            member = tarfile.TarInfo(f"{made.site}/{file.path}")
            member.size = len(file.data)
            member.mode = modes.get(file.path, 0o644)
            archive.addfile(member, io.BytesIO(file.data))
    return buffer.getvalue()
