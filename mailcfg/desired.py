"""What a machine should be: the configuration of a site or of a bundle, and its files with mode and owner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mailcfg.configuration import Configuration
from mailcfg.layout import Ownership, Place
from mailcfg.machine import digest


class Target(NamedTuple):
    """One file of the machine. `content` is what the policy says of it, None where its settings are compared singly."""

    path: str
    mode: int
    owner: str
    group: str
    ownership: Ownership
    content: str | None


class Desired(NamedTuple):
    """What one site wants of its machine."""

    site: str
    configuration: Configuration
    targets: tuple[Target, ...]


class Whole(NamedTuple):
    """All of a bundle: what it wants, and the bytes of every file but the manifest by its path in the bundle; `places`
    says where each belongs, in the order of the manifest, whose own bytes are `manifest`.
    """

    desired: Desired
    files: dict[str, bytes]
    places: tuple[Place, ...]
    manifest: bytes

    @property
    def digest_of_manifest(self) -> str:
        """What names this very bundle, SHA-256 in hexadecimal: the manifest holds the digests of all others."""
        return digest(self.manifest)


SETTINGS = ("postfix/", "sasl2/")
"""Folders of a bundle whose files are compared by their settings, which the manifest holds."""


def desired(site: str, configuration: Configuration, files: Iterable[Place], contents: dict[str, str]) -> Desired:
    """Put together what is wanted. `contents`: texts by their path in the bundle, of all that `needed` names."""
    targets = tuple(
        Target(each.target, each.mode, each.owner, each.group, each.ownership, contents.get(each.path))
        for each in files
        if each.target
    )
    return Desired(site, configuration, targets)


def needed(files: Iterable[Place]) -> list[str]:
    """Paths in the bundle of the files whose text a comparison reads."""
    return [each.path for each in files if each.target and not each.path.startswith(SETTINGS)]


def moved(wanted: Desired, directory: str) -> Desired:
    """The same for a Postfix whose configuration lies in another directory."""
    old = wanted.configuration.config_directory

    def move(path: str) -> str:
        return directory + path[len(old) :] if path.startswith(f"{old}/") else path

    configuration = wanted.configuration._replace(
        config_directory=directory,
        sasl=tuple(each._replace(path=move(each.path)) for each in wanted.configuration.sasl),
        ignores=tuple(each._replace(file=move(each.file)) for each in wanted.configuration.ignores),
    )
    return Desired(wanted.site, configuration, tuple(each._replace(path=move(each.path)) for each in wanted.targets))
