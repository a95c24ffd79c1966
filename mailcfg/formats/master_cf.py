"""master.cf: services as lines."""

from __future__ import annotations

from mailcfg.configuration import Service, Setting
from mailcfg.facts.version import Version

BRACES_SINCE = (3, 0)
"""The Postfix series that reads `{ a b }` as one word in master.cf (master(5))."""


class Unwritable(ValueError):
    """A word that master.cf of that version cannot hold. The message says why."""


def word(text: str, postfix: Version) -> str:
    """One argument as master.cf wants it: plain where it can be, else in braces. Raises Unwritable."""
    if text and not any(blank in text for blank in " \t") and not text.startswith("{"):
        _closed(text, postfix)
        return text
    if postfix.series < BRACES_SINCE:
        raise Unwritable(f"a word with blanks in master.cf needs Postfix 3.0; the target is {postfix}")
    if not balanced(text):
        raise Unwritable("braces are not balanced")
    return f"{{ {text} }}"


def _closed(text: str, postfix: Version) -> None:
    """Raise Unwritable where a brace stays open: Postfix would take the words that follow for a part of this one."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}" and depth > 0)
    if depth and postfix.series >= BRACES_SINCE:
        raise Unwritable("a brace is not closed")


def balanced(text: str) -> bool:
    """Whether every brace has its partner, in order."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def override(setting: Setting, postfix: Version) -> str:
    """A setting as what follows `-o`. Raises Unwritable."""
    if not any(blank in setting.value for blank in " \t"):
        _closed(setting.value, postfix)
        return f"{setting.name}={setting.value}"
    if postfix.series < BRACES_SINCE:
        raise Unwritable(f"a value with blanks in master.cf needs Postfix 3.0; the target is {postfix}")
    if not balanced(setting.value):
        raise Unwritable("braces are not balanced")
    return f"{{ {setting.name} = {setting.value} }}"


def lines(service: Service, postfix: Version) -> list[str]:
    """A service as the lines of master.cf: its columns, then an override a line. Raises Unwritable."""
    columns = (
        f"{service.name:<9} {service.type:<5} {service.private:<7} {service.unprivileged:<7} {service.chroot:<7} "
        f"{service.wakeup:<7} {service.process_limit:<7} {service.command}"
    )
    found = [columns]
    found += [f"  -o {override(setting, postfix)}" for setting in service.overrides]
    found += [f"  {word(argument, postfix)}" for argument in service.arguments]
    return found


def line(service: Service, postfix: Version) -> str:
    """A service as one line, the form that `postconf -M` takes. Raises Unwritable."""
    parts = [
        " ".join(part.split()) if index == 0 else part.strip() for index, part in enumerate(lines(service, postfix))
    ]
    return " ".join(parts)
