"""Files: modes and owners of all that the policy places, and the content of those without a format of their own."""

from __future__ import annotations

import re
import shlex
import stat
from typing import NamedTuple

from mailcfg.configuration import Origin
from mailcfg.desired import Target
from mailcfg.drift.explain import differences
from mailcfg.drift.meaning import words
from mailcfg.drift.parameters import wins_over
from mailcfg.drift.view import View
from mailcfg.machine import File, Unreadable
from mailcfg.secrets import masked, shown

SETTING = re.compile(r"\s*([A-Za-z_][\w.]*)\s*[=:]\s*(.*?)\s*", re.ASCII)
"""A line of the shell or of a daemon's settings: a name, and its value behind an equals sign or a colon."""


COLON = re.compile(r"([A-Za-z_][\w.]*)\s*:\s*(.*?)\s*", re.ASCII)
"""A line of saslauthd.conf: quotes are part of the value, and no other sign will do (saslauthd's LDAP_SASLAUTHD)."""

ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)=(.*?)\s*", re.ASCII)
"""A line of the shell that sets a variable: with a blank around the equals sign it is a command."""


def compare_files(view: View) -> None:
    """Hold every file of the policy against the machine's."""
    told = {view.main_path, view.master_path, *(each.path for each in view.configuration.sasl)}
    for target in view.wanted.targets:
        try:
            found = view.look(target.path)
        except Unreadable:
            continue
        if found is None:
            if target.path not in told:
                view.differs(
                    "missing", target.path, "", "present", None, "error", origin=_origin(view, target),
                    explanation=["there is no such file"],
                )  # fmt: skip
            continue
        compare_status(view, target.path, found, target.mode, target.group, _origin(view, target))
        if target.content is not None:
            _compare_content(view, target, found)


def compare_directories(view: View) -> None:
    """Tell directories, on the way to the policy's files, in which somebody else can put others in their place."""
    paths = [target.path for target in view.wanted.targets]
    for certificate in view.configuration.certificates:
        paths += [certificate.certificate_file, certificate.key_file]
    # A directory on the way to what could not be read was told with it.
    readable = [path for path in paths if not view.is_unknown(path)]
    for directory in dict.fromkeys(each for path in readable for each in _above(path)):
        try:
            found = view.look(directory, content=False)
        except Unreadable:
            continue
        if found is None:
            continue
        if found.uid not in view.root_users:
            view.differs(
                "owner", directory, "", "root", view.owner(found.uid), "error",
                effects=[f"{view.owner(found.uid)} can replace what is in {directory}"],
            )  # fmt: skip
        foreign = found.gid not in (0, view.door.owners[1])
        loose = found.mode & (stat.S_IWOTH | (stat.S_IWGRP if foreign else 0))
        if loose and not found.mode & stat.S_ISVTX:
            wanted = f"{found.mode & ~loose:04o}"
            who = "every user of the machine" if loose & stat.S_IWOTH else f"group {view.group(found.gid)}"
            effects = [f"{who} can replace what is in {directory}"]
            view.differs("mode", directory, "", wanted, f"{found.mode:04o}", "error", effects=effects)


def _above(path: str) -> list[str]:
    """The directories on the way to a file, the nearest first, without the root."""
    found: list[str] = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found


def compare_status(
    view: View,
    path: str,
    found: File,
    mode: int,
    group: str,
    origin: Origin | None,
    *,
    at_most: bool = False,
    owned: bool = True,
) -> None:
    """Tell another mode or owner. `at_most`: fewer permissions are as good. An empty `group`: any will do; not `owned`:
    any user will do.
    """
    differs = found.mode & ~mode if at_most else found.mode != mode
    if differs:
        more = found.mode & ~mode & 0o077
        effects = []
        if more & 0o022:
            effects.append(f"{_who(more & 0o022)} can change {path}")
        if more & 0o044:
            effects.append(f"{_who(more & 0o044)} can read {path}")
        view.differs(
            "mode", path, "", f"{mode:04o}", f"{found.mode:04o}", "error" if more else "warning",
            origin=origin, effects=effects,
        )  # fmt: skip
    if not owned:
        return
    wanted, owner = "root", view.owner(found.uid)
    fine = found.uid in view.root_users
    if group:
        wanted, owner = f"{wanted}:{group}", f"{owner}:{view.group(found.gid)}"
        fine = fine and view.is_group(found.gid, group)
    if not fine:
        view.differs("owner", path, "", wanted, owner, "error", origin=origin)


def _who(bits: int) -> str:
    return "every user of the machine" if bits & 0o007 else "the file's group"


def _origin(view: View, target: Target) -> Origin | None:
    """Why the policy has the file."""
    for file in view.configuration.files:
        if file.target == target.path:
            return file.origin
    for certificate in view.configuration.certificates:
        if certificate.deploy_hook == target.path:
            return certificate.origin
    for sasl in view.configuration.sasl:
        if sasl.path == target.path and sasl.settings:
            return sasl.settings[0].origin
    return None


BLANKS = " \t\r\n\v\f"


class Line(NamedTuple):
    """A line that means something: its number, its text, and its setting if it is one."""

    number: int
    text: str
    name: str
    value: str


def meaningful(text: str, style: re.Pattern[str] = SETTING) -> list[Line]:
    """Lines without blank ones and comments. `style`: what a setting looks like to the program that reads it."""
    found: list[Line] = []
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(BLANKS)
        if not stripped or stripped.startswith("#"):
            continue
        match = style.fullmatch(line)
        if match and style is ASSIGNMENT and not _one_word(match[2]):
            match = None
        value = match[2] if match else ""
        name, value = (match[1], value if style is COLON else _unquoted(value)) if match else ("", "")
        found.append(Line(number, " ".join(words(stripped)), name, value))
    return found


def _unquoted(value: str) -> str:
    """A value as a shell reads it, where it is one word there: without its quotes and a comment behind it."""
    try:
        word = shlex.split(value, comments=True)
    except ValueError:
        word = []
    return " ".join(words(word[0] if len(word) == 1 else value))


def _one_word(value: str) -> bool:
    """Whether a shell takes a text for one word at most: what stands behind a word is a command with that variable."""
    try:
        return len(shlex.split(value, comments=True)) < 2
    except ValueError:
        return False


def _compare_content(view: View, target: Target, found: File) -> None:
    assert target.content is not None
    directory = view.platform.sasl.dovecot_directory
    if directory and target.path.startswith(f"{directory}/"):
        _compare_dovecot(view, target, found)
        return
    script = target.content.startswith("#!")
    style = next((each for each in (ASSIGNMENT, COLON) if _is_all(target.content, each)), SETTING)
    wanted = meaningful(target.content, style)
    live = meaningful(found.data.decode(errors="surrogateescape"), style)
    known = style is not SETTING or (all(line.name for line in wanted) and all(line.name for line in live))
    if known and not script:
        for other_line in live:
            if not other_line.name:
                view.differs(
                    "extra", target.path, "", None, masked([other_line.text])[0], "warning", line=other_line.number,
                    origin=_origin(view, target), explanation=["it sets nothing: its reader takes it otherwise"],
                )  # fmt: skip
        _compare_settings(view, target, wanted, [line for line in live if line.name])
        return
    one, other = [line.text for line in wanted], [line.text for line in live]
    if target.ownership == "part":
        lacking = [line for line in wanted if line.text not in other]
        if lacking:
            texts = masked([line.text for line in lacking])
            view.differs("missing", target.path, "", "\n".join(texts), None, "error", origin=_origin(view, target))
        return
    if one == other:
        return
    first = next((line for line, text in zip(live, one, strict=False) if line.text != text), None)
    line = first or (live[len(one)] if len(live) > len(one) else live[-1] if live else None)
    view.differs(
        "changed", target.path, "", f"{len(one)} lines", f"{len(other)} lines", "error",
        line=line.number if line else None, origin=_origin(view, target),
        explanation=differences(masked(one), masked(other)),
    )  # fmt: skip


def _is_all(text: str, style: re.Pattern[str]) -> bool:
    """Whether a text is settings of one style and nothing else."""
    lines = meaningful(text, style)
    return bool(lines) and all(line.name for line in lines)


def _compare_dovecot(view: View, target: Target, found: File) -> None:
    """A file of Dovecot's: its settings by the sections they stand in."""
    from mailcfg.formats import dovecot

    assert target.content is not None
    wanted, live = dovecot.parse(target.content.encode()), dovecot.parse(found.data)
    refused = [problem for problem in live.problems if problem.fatal]
    for problem in refused:
        view.unknown(target.path, problem.message, problem.line)
    if not refused:
        one, other = (
            [Line(entry.line, "", " > ".join(entry.path), entry.value) for entry in side.entries]
            for side in (wanted, live)
        )
        _compare_settings(view, target, one, other)


def _compare_settings(view: View, target: Target, wanted: list[Line], live: list[Line]) -> None:
    """A file of settings, of which the last of a name holds, as in a shell."""
    origin = _origin(view, target)
    effective = {line.name: line for line in live}
    numbers: dict[str, list[int]] = {}
    for line in live:
        numbers.setdefault(line.name, []).append(line.number)
    for line in wanted:
        there = effective.get(line.name)
        if there is None:
            view.differs("missing", target.path, line.name, shown(line.name, line.value), None, "error", origin=origin)
            continue
        earlier = numbers[line.name][:-1]
        if there.value == line.value and not earlier:
            continue
        view.differs(
            "duplicate" if earlier else "changed", target.path, line.name, shown(line.name, line.value),
            shown(line.name, there.value), "error" if there.value != line.value else "info",
            line=there.number, origin=origin,
            explanation=wins_over(there.number, earlier),
        )  # fmt: skip
    if target.ownership == "part":
        return
    declared = {line.name for line in wanted}
    for name, there in effective.items():
        if name not in declared:
            view.differs(
                "extra", target.path, name, None, shown(name, there.value), "warning", line=there.number, origin=origin
            )
