"""What `check` and `explain` look at: policies, directories with a main.cf, and the live machine, as subjects."""

from __future__ import annotations

import os
from typing import NamedTuple

from mailcfg import host
from mailcfg.cli import Failure
from mailcfg.configuration import Origin
from mailcfg.facts.platforms import Platform, platform, platform_names
from mailcfg.facts.platforms.detect import OS_RELEASE, by_os_release, nearest
from mailcfg.facts.version import Version
from mailcfg.judge import Accepted, Locate, findings, without_accepted
from mailcfg.machine import Machine, Unreadable
from mailcfg.policy.document import Document, Reader
from mailcfg.problem import Finding, Location, in_order
from mailcfg.rule import Dns, MtaSts, Subject


class Looked(NamedTuple):
    """One target. `subject` is None where it could not be read; `found` is what reading it showed already; `unknown`
    are files and reasons of what could not be read.
    """

    name: str
    subject: Subject | None
    locate: Locate
    accepted: tuple[Accepted, ...] = ()
    found: tuple[Finding, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


def judged(looked: Looked, today: str) -> list[Finding]:
    """What reading a target showed and what the rules say of it, without what its policy accepts today (ISO 8601)."""
    found = list(looked.found)
    if looked.subject is not None:
        found += findings(looked.subject, looked.locate)
    return without_accepted(in_order(found), looked.accepted, today)


def stem(path: str) -> str:
    """What the bundle of a policy is called: its file's name without .toml."""
    return path.rpartition("/")[2].removesuffix(".toml")


class Wish(NamedTuple):
    """What the command line says of targets that are no policies. `now` is in seconds since 1970."""

    root: str
    config_directory: str | None
    platform: str | None
    postfix: str | None
    now: float


def nowhere(origin: Origin) -> Location:
    """An origin as a place without its text."""
    return Location(origin.file, origin.line, origin.column)


def is_policy(path: str) -> bool:
    """Whether a target is to be read as a policy."""
    return path.endswith(".toml") or (not host.is_directory(path) and not os.path.lexists(path))


# --- policies --------------------------------------------------------------------------------------------------------


def of_policy(path: str, now: float, reader: Reader | None = None) -> Looked:
    """Compile a policy. Raises PolicyError."""
    return of_document(path, (reader or Reader(host.read_policy)).document(path), now)


def of_document(path: str, document: Document, now: float) -> Looked:
    """Compile a policy that was read. Raises PolicyError."""
    from mailcfg.compile import compile_document
    from mailcfg.found import of_configuration

    compiled = compile_document(document)
    configuration = compiled.configuration
    subject = of_configuration(configuration, platform(configuration.platform), now, _declared(document))
    return Looked(path, subject, _Places(document).locate, _accepted(document), tuple(compiled.findings))


class _Places:
    """Finds the place of a policy key, and where a value stands that a finding is about."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._paths: dict[str, tuple[str | int, ...]] | None = None

    def locate(self, origin: Origin) -> Location:
        if not origin.key:
            return Location(self._document.sources[0].file)
        if self._paths is None:
            from mailcfg.policy.load import dotted

            self._paths = {}
            for source in self._document.sources:
                for path in source.spans():
                    if all(isinstance(step, str) for step in path):
                        self._paths.setdefault(dotted(path), path)
        return self._document.locate(self._paths.get(origin.key) or tuple(origin.key.split(".")))


def _declared(document: Document) -> Dns | None:
    """What the policy says is in the DNS."""
    table = document.values.get("dns")
    if table is None:
        return None
    origins: dict[str, Origin] = {}
    for name in ("tlsa", "tlsrpt", "mta_sts"):
        place, _ = document.origin(("dns", name))
        origins[name] = Origin(*place, f"dns.{name}")
    sts = table.get("mta_sts")
    declared = MtaSts(sts.get("version", "STSv1"), sts["mode"], tuple(sts["mx"]), sts["max_age"]) if sts else None
    return Dns(tuple(table.get("tlsa", ())), table.get("tlsrpt", ""), declared, origins)


def _accepted(document: Document) -> tuple[Accepted, ...]:
    found: list[Accepted] = []
    for index, each in enumerate(document.values.get("accept", ())):
        from mailcfg.policy.accept import as_day

        at = document.locate(("accept", index, "rule"))
        found.append(
            Accepted(
                each["rule"],
                as_day(each["until"]),
                each["because"],
                each.get("service", ""),
                each.get("setting", ""),
                at,
                "accept.rule",
            )
        )
    return tuple(found)


# --- files -----------------------------------------------------------------------------------------------------------


ADVICE = (
    ("missing '='", "write name = value, or # before a comment, or a space before what continues the line above"),
    ("bad field count", "a service is eight columns in a line, with its options behind them or below, after a space"),
    ("macro call nesting", "the value leads back to itself: write out what it is to be"),
    ("macro", "each ${ needs its }, and the name of a parameter after it"),
)
"""What mends a line that Postfix refuses, by what it says of it."""


def of_live(wish: Wish) -> Looked:
    """The machine's own configuration, below the root."""
    door = Machine(wish.root)
    facts, postfix = _versions(wish, door)
    directory = wish.config_directory or facts.postfix.config_directory
    return _files(wish, door, facts, postfix, directory, directory, copy=False)


def of_directory(path: str, wish: Wish) -> Looked:
    """A directory that holds a main.cf. Raises Failure where it does not."""
    whole = os.path.abspath(path)
    door = Machine(wish.root)
    if door.root and not f"{whole}/".startswith(f"{door.root}/"):
        raise Failure(f"{path} is not below --root {wish.root}")
    inside = whole[len(door.root) :] or "/"
    if os.path.basename(whole) in ("main.cf", "master.cf") and host.is_file(whole):
        raise Failure(f"{path} is one file of a configuration; name its directory, {os.path.dirname(path) or '.'}")
    if not host.is_file(f"{whole}/main.cf"):
        raise Failure(f"{path} holds no main.cf; name a site.toml, a directory with a main.cf, or --live")
    facts, postfix = _versions(wish, door)
    copy = not door.root and inside != facts.postfix.config_directory
    return _files(wish, door, facts, postfix, inside, path.rstrip("/") or path, copy=copy)


def _files(
    wish: Wish, door: Machine, facts: Platform, postfix: Version, directory: str, shown: str, *, copy: bool
) -> Looked:
    from mailcfg.found import subject
    from mailcfg.live import Live

    read: list[Live] = []
    openssl = Version.parse(facts.openssl.version)
    found = subject(door, facts, postfix, openssl, directory, wish.now, copy=copy, told=read.append)
    live = read[0]
    # What libsasl refuses was read all the same: smtpd dies of it, which is told as behaviour.
    troubles = [each for each in live.troubles if each.file not in live.sasl]
    unknown: list[tuple[str, str]] = []
    for each in troubles:
        place = _shown(each.file, directory, shown)
        advice = next((f"; {told}" for start, told in ADVICE if start in each.reason), "") if each.line else ""
        unknown.append((f"{place}:{each.line}" if each.line else place, each.reason + advice))
    if live.main is None and not unknown:
        unknown.append((f"{shown}/main.cf", "there is no such file"))
    confs = found.files.sasl if found.files else {}
    sources = {f"{directory}/main.cf": live.main, f"{directory}/master.cf": live.master, **confs}
    texts: dict[str, list[bytes]] = {}

    def locate(origin: Origin) -> Location:
        parsed = sources.get(origin.file)
        name = _shown(origin.file, directory, shown)
        if parsed is None or not origin.line:
            return Location(name, origin.line, origin.column)
        if origin.file not in texts:
            texts[origin.file] = parsed.render().split(b"\n")
        lines = texts[origin.file]
        text = lines[origin.line - 1].decode(errors="replace").rstrip("\r") if origin.line <= len(lines) else ""
        bare = text.lstrip()
        return Location(name, origin.line, len(text) - len(bare) + 1, max(1, len(bare.rstrip())), text)

    usable = found if live.main is not None and not troubles else None
    return Looked(shown, usable, locate, unknown=tuple(unknown))


def _shown(path: str, directory: str, shown: str) -> str:
    """A path of the machine as the user named its directory."""
    return shown + path[len(directory) :] if path.startswith(f"{directory}/") else path


def _versions(wish: Wish, door: Machine) -> tuple[Platform, Version]:
    """The platform and its Postfix: as wished, else as the machine says, else the newest known. Raises Failure."""
    given = None
    if wish.postfix is not None:
        try:
            given = Version.parse(wish.postfix)
        except ValueError:
            raise Failure(f"--postfix {wish.postfix}: write a version such as 3.7 or 3.7.11") from None
        known = sorted(Version.parse(platform(name).postfix.version).series for name in platform_names())
        if not known[0] <= given.series <= known[-1]:
            oldest, newest = (".".join(map(str, each)) for each in (known[0], known[-1]))
            raise Failure(f"--postfix {wish.postfix}: what is known here is Postfix {oldest} to {newest}")
    if wish.platform is not None:
        if wish.platform not in platform_names():
            raise Failure(f"--platform {wish.platform}: one of {', '.join(platform_names())}")
        facts = platform(wish.platform)
        return facts, given or Version.parse(facts.postfix.version)
    name = _of_machine(door)
    if given is None and not door.root:
        told = host.postfix_version()
        try:
            given = Version.parse(told) if told else None
        except ValueError:
            given = None
    facts = platform(name or nearest(given))
    return facts, given or Version.parse(facts.postfix.version)


def _of_machine(door: Machine) -> str:
    for path in OS_RELEASE:
        try:
            found = door.look(path)
        except Unreadable:
            continue
        if found is not None:
            return by_os_release(found.data.decode(errors="replace"))
    return ""
