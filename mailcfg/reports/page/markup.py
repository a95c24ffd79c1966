"""HTML by its elements: whatever is no markup is escaped, so that no name and no value can become any."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from mailcfg.reports.findings import readable


class Markup(str):
    """A text that is HTML already. Only this module makes one."""

    __slots__ = ()


Child = str | Iterable["Child"] | None
"""What stands in an element: markup, a text to be escaped, several of these, or nothing."""

VOID = frozenset({"br", "input", "link", "meta"})
"""Elements without an end."""


def tag(name: str, /, *children: Child, **attributes: str | int | None) -> Markup:
    """An element. An underscore in an attribute's name stands for a hyphen, one at its end for nothing (`class_`);
    an attribute of None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(readable(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    start = f"<{name}{given}>"
    return Markup(start if name in VOID else f"{start}{join(children)}</{name}>")


def join(*children: Child) -> Markup:
    """Markup and texts one after the other."""
    return Markup("".join(_flat(children)))


def _flat(children: Child) -> Iterable[str]:
    if isinstance(children, Markup):
        yield children
    elif isinstance(children, str):
        yield escape(readable(children), quote=False)
    elif children is not None:
        for each in children:
            yield from _flat(each)


def raw(name: str, text: str, /) -> Markup:
    """A `style` or `script` of our own, which browsers do not unescape. Raises ValueError for what would end it."""
    if f"</{name}" in text.lower() or "<!--" in text:
        raise ValueError(f"{name} would end in the middle of its text")
    return Markup(f"<{name}>{text}</{name}>")


def document(*children: Child) -> str:
    """A whole page."""
    return f"<!doctype html>\n{join(children)}\n"
