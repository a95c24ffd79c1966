"""What changes in the files of a host as the lines of a unified diff, without what differs from host to host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher, unified_diff
from typing import NamedTuple

from mailcfg import render
from mailcfg.configuration import Configuration, Origin, Service, Setting
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.layout import places
from mailcfg.plan.model import Diff
from mailcfg.secrets import masked


class Part(NamedTuple):
    """A configuration, the file name of its policy, and what of it is compared."""

    configuration: Configuration | None
    own: str

    def parameters(self) -> tuple[Setting, ...]:
        """Those of main.cf."""
        return self.configuration.parameters if self.configuration else ()

    def services(self) -> dict[str, tuple[Service, list[str]]]:
        """Those of master.cf with their lines."""
        if self.configuration is None:
            return {}
        version = Version.parse(self.configuration.postfix)
        return {each.id: (each, masked(master_cf.lines(each, version))) for each in self.configuration.services}

    def sasl(self) -> dict[str, tuple[str, tuple[Setting, ...]]]:
        """Path and settings of each smtpd.conf, by its name."""
        found = self.configuration.sasl if self.configuration else ()
        return {each.path.rpartition("/")[2]: (each.path, each.settings) for each in found}

    def why(self, origin: Origin) -> str:
        """As a comment in the file itself. The policy's own name is left out: it is another on every host."""
        told = render.described(origin)
        return " # " + (told.replace(f" ({self.own})", "", 1) if origin.file == self.own else told)


def diffs(before: Part, after: Part) -> Iterator[Diff]:
    """The lines that change, file by file. Passwords are hidden."""
    there = after.configuration or before.configuration
    assert there is not None
    found = {
        f"{there.config_directory}/main.cf": _settings(
            (before, before.parameters()), (after, after.parameters()), main_cf.line
        ),
        f"{there.config_directory}/master.cf": _services(before, after),
    }
    old, new = before.sasl(), after.sasl()
    for name in dict.fromkeys([*new, *old]):
        path = (new.get(name) or old[name])[0]
        sides = [(part, files[name][1] if name in files else ()) for part, files in ((before, old), (after, new))]
        found[path] = _settings(sides[0], sides[1], smtpd_conf.line)
    for path, lines in found.items():
        told = tuple(lines)
        if told:
            yield Diff(path, told)
    yield from _others(before.configuration, after.configuration)


Settings = tuple[Part, Iterable[Setting]]


def _settings(before: Settings, after: Settings, line: Callable[[Setting], str]) -> Iterator[str]:
    """Settings by their names: their order has no meaning. Above those of one origin stands why they are there."""
    old = {each.name: each for each in before[1]}
    new = {each.name: each for each in after[1]}
    above = ""
    for part, setting in [(after[0], each) for each in new.values()] + [(before[0], each) for each in old.values()]:
        was, now = old.get(setting.name), new.get(setting.name)
        if (setting is was and now is not None) or (was is not None and now is not None and was.value == now.value):
            continue
        why = part.why(setting.origin)
        if why != above:
            yield why
        above = why
        if was is not None:
            yield "-" + masked([line(was)])[0]
        if now is not None:
            yield "+" + masked([line(now)])[0]


def _services(before: Part, after: Part) -> Iterator[str]:
    """Services by their names and types. The columns stand above what changes: an override alone is nobody's."""
    old, new = before.services(), after.services()
    for id in dict.fromkeys([*new, *old]):
        was, now = old.get(id), new.get(id)
        one, two = (side[1] if side else [] for side in (was, now))
        if one == two:
            continue
        yield after.why(now[0].origin) if now else before.why((was or old[id])[0].origin)
        if one[:1] == two[:1]:
            yield " " + one[0]
            one, two = one[1:], two[1:]
        for tag, start, end, first, last in SequenceMatcher(None, one, two, autojunk=False).get_opcodes():
            if tag != "equal":
                yield from ("-" + each for each in one[start:end])
                yield from ("+" + each for each in two[first:last])


HEAD = "# mailcfg: "
"""How the line begins that says which key of which policy a file comes from."""


def _others(before: Configuration | None, after: Configuration | None) -> Iterator[Diff]:
    """Files that are compared as text. What a script of the bundle does is told by its certificate."""
    if before and after and _same(before, after):
        return
    old, new = (render.files(side) if side else {} for side in (before, after))
    targets = {each.path: each.target for side in (before, after) if side for each in places(side)}
    for path in dict.fromkeys([*new, *old]):
        target = targets[path]
        if path.startswith(("postfix/", "sasl2/")) or not target:
            continue
        one, two = (_lines(texts.get(path, "")) for texts in (old, new))
        lines = list(unified_diff(one, two, n=1, lineterm=""))[2:]
        # Numbers of lines say nothing here, and differ from host to host.
        told = tuple("@@" if each.startswith("@@") else each for each in lines)
        if told:
            yield Diff(target, told[1:] if told[0] == "@@" else told)


def _lines(text: str) -> list[str]:
    return [line for line in masked(text.splitlines()) if not line.startswith(HEAD)]


def _same(before: Configuration, after: Configuration) -> bool:
    """Whether all is equal that the texts of other files are made of."""
    return (before.certificates, before.files, before.openssl, before.platform) == (
        after.certificates,
        after.files,
        after.openssl,
        after.platform,
    )
