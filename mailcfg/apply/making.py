"""Certificates that are absent or wrong, made by the policy's own openssl commands; a key is never replaced by them.

The commands write the certificate into the state directory, so that it comes into force with the other files, and goes
back with them. A new key is put straight into its place, whole and for its owner alone: it is never copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from mailcfg.apply import place
from mailcfg.apply.change import FileChange
from mailcfg.apply.daemon import run
from mailcfg.cli import Failure
from mailcfg.configuration import CertificateFiles
from mailcfg.facts.platforms import Platform
from mailcfg.machine import File, Machine

MODE = 0o644
"""A certificate is public."""


def make(
    certificates: list[CertificateFiles],
    openssl: str,
    facts: Platform,
    machine: Machine,
    folder: str,
    say: Callable[[str], None],
) -> list[FileChange]:
    """Make certificates in a working directory of ours; each is then a change like any other. `openssl` is its version.
    Raises Failure with the commands' own words, and OSError.
    """
    found: list[FileChange] = []
    for each in certificates:
        place.remove_tree(folder)
        os.mkdir(folder, 0o700)
        try:
            found.append(_made(each, openssl, facts, machine, folder, say))
        finally:
            place.remove_tree(folder)
    return found


def _made(
    each: CertificateFiles, openssl: str, facts: Platform, machine: Machine, folder: str, say: Callable[[str], None]
) -> FileChange:
    from mailcfg import render  # It brings a library that only those pay for who make something.

    here = below(machine.root, each)._replace(certificate_file=f"{folder}/certificate.pem")
    owner = (os.geteuid(), os.getegid())
    for path, text in render.certificate_files(
        here, openssl, facts.certificates.ca_bundle, facts.commands.reload
    ).items():
        if path.startswith("openssl/"):
            place.write(f"{folder}/{path.removeprefix('openssl/')}", File(text.encode(), 0o600, *owner))
    ended = run("/bin/sh", f"{folder}/{each.name}.sh")
    if ended.code:
        raise Failure(f"the certificate {each.name} could not be made: {'; '.join(ended.said)}")
    for line in ended.said:
        say(line.replace(here.certificate_file, each.certificate_file))
    made = Machine(folder).look("/certificate.pem")
    if made is None:
        raise Failure(f"the certificate {each.name} could not be made: its commands wrote none")
    return FileChange(
        each.certificate_file, machine.look(each.certificate_file), File(made.data, MODE, *machine.owners)
    )


def below(root: str, each: CertificateFiles) -> CertificateFiles:
    """A certificate with its paths as they are on this machine."""

    def here(path: str) -> str:
        return f"{root}{path}" if path else ""

    return each._replace(
        certificate_file=here(each.certificate_file),
        key_file=here(each.key_file),
        csr_file=here(each.csr_file),
        ca_certificate_file=here(each.ca_certificate_file),
        ca_key_file=here(each.ca_key_file),
    )


def sweep(certificates: tuple[CertificateFiles, ...], root: str) -> None:
    """Remove working directories that killed commands left beside their files: they can hold a key."""
    for each in certificates:
        here = below(root, each)
        for path in (here.key_file, here.csr_file, here.ca_certificate_file, here.ca_key_file, here.certificate_file):
            folder, _, name = path.rpartition("/")
            for entry in os.listdir(folder) if path and os.path.isdir(folder) else ():
                number = entry.removeprefix(f"{name}.new.")
                if number != entry and number.isdecimal() and not os.path.exists(f"/proc/{number}"):
                    place.remove_tree(f"{folder}/{entry}")


def narrow(keys: list[tuple[str, int]], root: str, say: Callable[[str], None]) -> None:
    """Take permissions of keys away that they should not give. Nothing is copied, and nothing is widened."""
    for path, mode in keys:
        os.chmod(f"{root}{path}", mode)
        say(f"{path}: mode {mode:04o}")
