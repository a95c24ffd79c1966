"""`$name` and its forms in a main.cf value: whether Postfix can expand it, and which names it reads.

Source: postconf(5), and the cases of `postconf -nx` in the parser oracle. What Postfix would find fatal is an error.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)(level)?\s*")
_LEVEL = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){0,2}|\$(?:compatibility_level|mail_version|[({](?:compatibility_level|mail_version)[)}])"
)
_CLOSING = {"{": "}", "(": ")"}
DEEPEST = 50
"""How deep references may stand in each other; Postfix gives up at a hundred."""


class MacroError(ValueError):
    """A value that Postfix cannot expand. The message says why."""


def references(value: str) -> set[str]:
    """Names that a value reads. Raises MacroError where Postfix would stop with "macro processing error"."""
    return set(_names(value))


def expanded(value: str) -> set[str]:
    """Names whose values Postfix expands in their turn: all but those that are only asked whether they are empty."""
    return {name for name, whole in _names(value).items() if whole}


def _names(value: str) -> dict[str, bool]:
    if len(value) > DEEPEST and _depth(value) > DEEPEST:
        raise MacroError(f"{value[:20]!r}… is nested too deeply")
    names: dict[str, bool] = {}
    _text(value, names)
    return names


def _depth(value: str) -> int:
    """How deep brackets stand in each other, at most."""
    deepest = depth = 0
    for character in value:
        depth = max(0, depth + (character in "{(") - (character in "})"))
        deepest = max(deepest, depth)
    return deepest


def _text(text: str, names: dict[str, bool]) -> None:
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
            names[name[0]] = True
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


def _reference(inside: str, names: dict[str, bool]) -> None:
    """What stands between the brackets: a name, `name?text`, `name:text`, or `{a} == {b} ? {x} : {y}`."""
    text = inside.strip()
    if text.startswith("{"):
        end = _matching(text, 0)
        _text(text[1:end], names)
        operator = _OPERATOR.match(text, end + 1)
        if not operator or text[operator.end() : operator.end() + 1] != "{":
            raise MacroError(f"{inside!r}: a comparison is {{a}} == {{b}} ? {{x}} : {{y}}")
        last = _matching(text, operator.end())
        if operator[2]:
            _level(text[1:end])
            _level(text[operator.end() + 1 : last])
        _text(text[operator.end() + 1 : last], names)
        rest = text[last + 1 :].strip()
        if not rest.startswith("?"):
            raise MacroError(f"{inside!r}: a comparison is followed by ? and a value")
        _branches(rest, names)
        return
    name = _NAME.match(inside)
    if not name:
        raise MacroError(f"{inside!r} is not a parameter name")
    rest = inside[name.end() :]
    names[name[0]] = names.get(name[0], False) or not rest
    if rest:
        if rest[0] not in "?:":
            raise MacroError(f"{inside!r} is not a parameter name")
        _branches(rest, names)


def _level(text: str) -> None:
    if not _LEVEL.fullmatch(text.strip()):
        raise MacroError(f"{text!r} is not a level that can be compared, such as 3.6 or $compatibility_level")


def _branches(rest: str, names: dict[str, bool]) -> None:
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
