"""Which files a configuration has: where each stands in the bundle and on the host, with mode, owner and group."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.certificates.plan import MISSING
from mailcfg.configuration import Configuration
from mailcfg.facts.platforms import platform

Ownership = Literal["whole", "part", "none"]


class Place(NamedTuple):
    """One file. `target` is where it belongs on the host, empty for a tool that is run from the bundle; mode, owner and
    group are the target's; `ownership` is `whole`, `part` (the target also holds what is not the policy's) or `none`.
    """

    path: str
    target: str
    mode: int
    owner: str
    group: str
    ownership: Ownership


def places(configuration: Configuration) -> list[Place]:
    """Every file but the manifest, in the order of the bundle."""
    facts = platform(configuration.platform).postfix
    directory = configuration.config_directory
    found: list[Place] = []

    def add(path: str, target: str, mode: int, ownership: Ownership, group: str = facts.root_group) -> None:
        found.append(Place(path, target, mode, "root", group, ownership))

    add("postfix/main.cf", f"{directory}/main.cf", 0o644, "part")
    if configuration.services:
        add("postfix/master.cf", f"{directory}/master.cf", 0o644, "part")
    for sasl in configuration.sasl:
        path = f"sasl2/{sasl.path.rpartition('/')[2]}"
        if sasl.partly:
            # It will hold a password: smtpd reads it as the user that the group is named after.
            add(path, sasl.path, 0o640, "part", facts.mail_owner)
        else:
            add(path, sasl.path, 0o644, "whole")
    for certificate in configuration.certificates:
        add(f"openssl/{certificate.name}.sh", "", 0o755, "none")
        if certificate.issuer not in MISSING:
            add(f"openssl/{certificate.name}.cnf", "", 0o644, "none")
        if certificate.deploy_hook:
            add(f"acme/{certificate.name}.sh", certificate.deploy_hook, 0o755, "whole")
    for file in configuration.files:
        add(file.bundle_path, file.target, file.mode, file.ownership)
    return found
