"""Which platform a machine is, by its os-release, and which one is nearest to a version of Postfix."""

from __future__ import annotations

import shlex

from mailcfg.facts.platforms import platform, platform_names
from mailcfg.facts.version import Version

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""Where a system says what it is (os-release(5))."""

REBUILDS = ("rhel", "centos", "almalinux", "rocky", "ol")
"""IDs of Red Hat Enterprise Linux and of those that rebuild it, whose major version alone counts."""


def by_os_release(text: str) -> str:
    """The id of the platform that an os-release names; empty where there is none like it."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            try:
                values[name.strip()] = "".join(shlex.split(value))
            except ValueError:
                continue
    kind, version = values.get("ID", ""), values.get("VERSION_ID", "")
    if kind in REBUILDS:
        kind, version = "rhel", version.partition(".")[0]
    names = platform_names()
    for length in range(version.count(".") + 1, -1, -1):
        guess = "-".join([kind, ".".join(version.split(".")[:length])]) if length else kind
        if guess in names:
            return guess
    major = [each for each in names if each.startswith(f"{kind}-{version.partition('.')[0]}")]
    return major[0] if kind and len(major) == 1 else ""


def nearest(postfix: Version | None) -> str:
    """The platform with that Postfix, or with the next older one; the newest that is known without a version. One that
    was measured goes before one that was read about.
    """
    known = [platform(name) for name in platform_names()]

    def rank(each: str) -> tuple[tuple[int, int], bool]:
        facts = platform(each)
        return Version.parse(facts.postfix.version).series, facts.basis == "ran"

    names = [each.id for each in known]
    if postfix is not None:
        fitting = [each for each in names if rank(each)[0] <= postfix.series]
        names = fitting or [min(names, key=rank)]
    return max(names, key=rank)
