"""`$name` and its forms in a main.cf value: whether Postfix can expand it, and which names it reads.

Source: postconf(5), and the cases of `postconf -nx` in the parser oracle. What Postfix would find fatal is an error.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)(level)?\s*")
_CLOSING = {"{": "}", "(": ")"}


class MacroError(ValueError):
    """A value that Postfix cannot expand. The message says why."""


def references(value: str) -> set[str]:
    """Names that a value reads. Raises MacroError where Postfix would stop with "macro processing error"."""
    names: set[str] = set()
    _text(value, names)
    return names


def _text(text: str, names: set[str]) -> None:
    position = 0
    while (position := text.find("$", position)) >= 0:
        after = text[position + 1 : position + 2]
        if after == "$":
            position += 2
        elif after in _CLOSING:
            end = _matching(text, position + 1)
            _reference(text[position + 2 : end], names)
            position = end + 1
        else:
            name = _NAME.match(text, position + 1)
            if not name:
                raise MacroError(f"a $ without a name in {text[position : position + 20]!r}; a literal dollar is $$")
            names.add(name[0])
            position = name.end()


def _matching(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    opening, depth = text[start], 0
    closing = _CLOSING[opening]
    for position in range(start, len(text)):
        if text[position] == opening:
            depth += 1
        elif text[position] == closing:
            depth -= 1
            if not depth:
                return position
    raise MacroError(f"{text[start - 1 : start + 20]!r} is not closed")


def _reference(inside: str, names: set[str]) -> None:
    """What stands between the brackets: a name, `name?text`, `name:text`, or `{a} == {b} ? {x} : {y}`."""
    text = inside.strip()
    if text.startswith("{"):
        end = _matching(text, 0)
        _text(text[1:end], names)
        operator = _OPERATOR.match(text, end + 1)
        if not operator or text[operator.end() : operator.end() + 1] != "{":
            raise MacroError(f"{inside!r}: a comparison is {{a}} == {{b}} ? {{x}} : {{y}}")
        last = _matching(text, operator.end())
        _text(text[operator.end() + 1 : last], names)
        rest = text[last + 1 :].strip()
        if not rest.startswith("?"):
            raise MacroError(f"{inside!r}: a comparison is followed by ? and a value")
        _branches(rest, names)
        return
    name = _NAME.match(text)
    if not name or text != inside:
        raise MacroError(f"{inside!r} is not a parameter name")
    names.add(name[0])
    rest = text[name.end() :]
    if rest:
        if rest[0] not in "?:":
            raise MacroError(f"{inside!r} is not a parameter name")
        _branches(rest, names)


def _branches(rest: str, names: set[str]) -> None:
    """`?text`, `:text`, or `?{text}` and perhaps `:{text}`."""
    value = rest[1:].strip()
    if not value.startswith("{"):
        if value.startswith("}"):
            raise MacroError(f"{rest!r} has an unbalanced brace")
        _text(value, names)
        return
    end = _matching(value, 0)
    _text(value[1:end], names)
    tail = value[end + 1 :].strip()
    if not tail:
        return
    if rest[0] != "?" or not tail.startswith(":"):
        raise MacroError(f"{rest!r}: after the braces only : and another value can follow")
    other = tail[1:].strip()
    if not other.startswith("{") or _matching(other, 0) != len(other) - 1:
        raise MacroError(f"{rest!r}: the value after : stands in braces")
    _text(other[1:-1], names)
