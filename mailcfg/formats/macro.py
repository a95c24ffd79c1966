"""`$name` and its forms in a main.cf value: whether Postfix can expand it, which names it reads, and what it becomes.

Source: postconf(5), and what `postconf -nx` does (measured).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable

from mailcfg.facts.version import Version

_NAME = re.compile(r"[A-Za-z0-9_]+")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)(level)?\s*")
_LEVEL = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){0,2}|\$(?:compatibility_level|mail_version|[({](?:compatibility_level|mail_version)[)}])"
)
_CLOSING = {"{": "}", "(": ")"}
DEEPEST = 50
"""How deep references may stand in each other; Postfix gives up at a hundred."""


class MacroError(ValueError):
    """A value that Postfix cannot expand. The message says why; `warnings` are all that it says, in its words."""

    def __init__(self, message: str, warnings: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.warnings = tuple(warnings)


class MacroStop(MacroError):
    """Something in a value that stops Postfix at once, with this message as its last words."""


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


def expand(
    value: str,
    lookup: Callable[[str], str | None],
    postfix: Version | None = None,
    *,
    raw: Container[str] = (),
) -> str:
    """A value with every reference replaced, as `postconf -x` and the daemons do it.

    `lookup` gives the value of a parameter as it is written, or None where Postfix knows none: that becomes nothing.
    Values are expanded in their turn, but for those of the names in `raw`. Without a version the newest one decides.
    Raises MacroError where Postfix gives up. Measured with 3.5.25, 3.7.11, 3.10.13 and 3.11.7.
    """
    if "$" not in value:
        return value
    expansion = _Expansion(lookup, postfix, raw, scan=False)
    if expansion.text(value):
        raise MacroError(expansion.warnings[-1], expansion.warnings)
    return "".join(expansion.result)


def scan(value: str, found: Callable[[str], None], postfix: Version | None = None) -> list[str]:
    """Tell every name that a value refers to, in any branch, as postconf looks for them; what it warns of meanwhile.

    Unlike `references` it ends with the first error and raises nothing.
    """
    if "$" not in value:
        return []

    def lookup(name: str) -> None:
        found(name)

    expansion = _Expansion(lookup, postfix, (), scan=True)
    expansion.text(value)
    return expansion.warnings


LEVEL_SINCE = (3, 6)
"""The Postfix series that compares levels: `>=level` (postconf(5); measured: 3.5 refuses it)."""

FUNCTIONS_SINCE = (3, 11)
"""The Postfix series with `${domain_to_ascii{text}}` (HISTORY 20251103; measured: 3.10 refuses it)."""

_CALLS = 100
"""How deep macros stand in each other and in the values that they stand for before Postfix gives up (measured)."""

_TOGETHER = 200
"""The same, the operands of comparisons included. Postfix does not count those: in a circle it crashes (measured)."""

_STEPS = 100_000
"""How many texts and references one value may become. Postfix has no limit but its memory."""

_BLANKS = " \t\r\n"
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_LETTERS_AND_DIGITS = _NAME_CHARACTERS - {"_"}
_OPERATOR_CHARACTERS = "<>!=?+-*/~&|%"
_LONGEST = 2**63 - 1
_HIGHEST_LEVEL = (_LONGEST >> 20, 1023, 1023)
_COMPARISONS: dict[str, Callable[[int], bool]] = {
    "==": lambda delta: delta == 0,
    "!=": lambda delta: delta != 0,
    "<": lambda delta: delta < 0,
    "<=": lambda delta: delta <= 0,
    ">=": lambda delta: delta >= 0,
    ">": lambda delta: delta > 0,
}


class _Expansion:
    """One expansion, step by step as Postfix does it: it goes on a while after an error, and all warnings are kept."""

    __slots__ = ("before", "calls", "error", "lookup", "postfix", "raw", "result", "scan", "steps", "warnings")

    def __init__(
        self,
        lookup: Callable[[str], str | None],
        postfix: Version | None,
        raw: Container[str],
        *,
        scan: bool,
        within: _Expansion | None = None,
    ) -> None:
        self.lookup = lookup
        self.postfix = postfix
        self.raw = raw
        self.scan = scan
        self.before: int = within.before + within.calls if within else 0
        self.warnings: list[str] = within.warnings if within else []
        self.steps: list[int] = within.steps if within else [0]
        self.result: list[str] = []
        self.calls: int = 0
        self.error = False

    def text(self, value: str) -> bool:
        """Go through a text; whether it has an error."""
        failed = False
        literal = ""
        position = 0
        while (dollar := value.find("$", position)) >= 0:
            literal += value[position:dollar]
            position = dollar + 1
            opening = value[position : position + 1]
            if opening == "$":
                literal += "$"
                position += 1
                continue
            if literal:
                failed |= self.literal(literal)
                literal = ""
            if opening in ("(", "{"):
                end = _close(value, position)
                if end < 0:
                    self.warnings.append(f'truncated macro reference: "{value}"')
                    failed = True
                if failed:
                    return True
                inside = value[position + 1 : end]
                position = end + 1
            else:
                end = position
                while value[end : end + 1] in _NAME_CHARACTERS:
                    end += 1
                inside = value[position:end]
                position = end
            if not inside:
                self.warnings.append(f'empty macro name: "{value}"')
                return True
            failed |= self.macro(inside)
        literal += value[position:]
        if literal and not failed:
            failed |= self.literal(literal)
        return failed

    def enter(self, what: str) -> bool:
        """Note one more step down; whether there is an error."""
        nesting = f'unreasonable macro call nesting: "{what}"'
        self.steps[0] += 1
        if self.steps[0] > _STEPS:
            raise MacroStop(nesting, [*self.warnings, nesting])
        if self.calls > _CALLS or self.before + self.calls > _TOGETHER:
            self.refuse(nesting)
        self.calls += 1
        return self.error

    def refuse(self, message: str) -> bool:
        self.warnings.append(message)
        self.error = True
        return True

    def literal(self, text: str) -> bool:
        if self.enter(text):
            return True
        if not self.scan:
            self.result.append(text)
        self.calls -= 1
        return False

    def macro(self, inside: str) -> bool:
        """What stands behind a dollar, without its brackets; whether it has an error."""
        if self.enter(inside):
            return True
        start = inside.lstrip(_BLANKS)
        name = ""
        if start.startswith("{"):
            compared = self.comparison(start)
            if compared is None:
                return True
            found, rest = compared
            if rest and rest[0] not in "?:":
                return self.refuse(f'"?" or ":" expected at: "...}}>>>{_cut(rest)}"')
        else:
            end = 0
            while start[end : end + 1] in _NAME_CHARACTERS:
                end += 1
            name = start[:end]
            rest = start[end:].lstrip(_BLANKS)
            if rest.startswith("{") and (self.postfix is None or self.postfix.series >= FUNCTIONS_SINCE):
                return self.function(name, start, rest)
            if rest and rest[0] not in "?:":
                before = inside[: len(inside) - len(start) + end]
                # Blanks end a name only where nothing follows but an operator.
                return self.refuse(f'attribute name syntax error at: "...{before}>>>{_cut(start[end:])}"')
            found = self.lookup(name)
        if not rest:
            if found and not self.scan:
                if name in self.raw:
                    self.result.append(found)
                elif self.text(found):
                    self.error = True
                    return True
        elif self.branches(rest, found):
            self.error = True
            return True
        self.calls -= 1
        return self.error

    def branches(self, rest: str, found: str | None) -> bool:
        """`?text`, `:text`, `?{text}:{text}` and so on; whether there is an error."""
        failed = False
        if rest[0] == "?":
            branch = self.branch(rest[1:])
            if branch is None:
                return True
            chosen, rest = branch
            if found or self.scan:
                failed |= self.text(chosen)
                self.error |= failed
            if not rest:
                return failed
            if rest[0] != ":":
                return self.refuse(f'":" expected at: "...{chosen}}}>>>{_cut(rest)}"')
        branch = self.branch(rest[1:])
        if branch is None:
            return True
        chosen, rest = branch
        if not found or self.scan:
            failed |= self.text(chosen)
            self.error |= failed
        if rest:
            return self.refuse(f'unexpected input at: "...{chosen}}}>>>{_cut(rest)}"')
        return failed

    def branch(self, text: str) -> tuple[str, str] | None:
        """A text in braces and what follows, or all of it where there are no braces."""
        bare = text.lstrip(_BLANKS)
        return self.braces(bare) if bare.startswith("{") else (text, "")

    def braces(self, text: str) -> tuple[str, str] | None:
        """What stands in the braces that a text begins with, and what follows behind the blanks after them."""
        end = _close(text, 0)
        if end < 0:
            self.refuse(f'unbalanced {{}} in attribute expression: "{text}"')
            return None
        return text[1:end], text[end + 1 :].lstrip(_BLANKS)

    def function(self, name: str, whole: str, rest: str) -> bool:
        """`${name{text}}`; whether there is an error. What needs a library for international names counts as one."""
        if name not in ("domain_to_ascii", "domain_to_utf8"):
            return self.refuse(f'unknown function "{name}" at"...>>>{_cut(whole)}"')
        argument = self.braces(rest)
        if argument is None:
            return True
        if argument[1]:
            return self.refuse(f'unexpected input at: "...{argument[0]}}}>>>{_cut(argument[1])}"')
        operand = self.operand(argument[0].strip(_BLANKS))
        if self.error:
            return True
        if not self.scan:
            if not operand or operand.isascii() != (name == "domain_to_ascii"):
                return self.refuse(f"bad domain argument in: '{name}{{{operand}}}'")
            self.result.append(operand)
        self.calls -= 1
        return False

    def operand(self, text: str) -> str:
        """A text expanded by itself. Its error is one of the whole."""
        expansion = _Expansion(self.lookup, self.postfix, self.raw, scan=self.scan, within=self)
        if expansion.text(text):
            self.error = True
        return "".join(expansion.result)

    def comparison(self, text: str) -> tuple[str | None, str] | None:
        """`{a} == {b}`: something for true, nothing for false, and what follows. None: an error."""
        braces = self.braces(text)
        if braces is None:
            return None
        left, rest = braces
        operator = rest[: len(rest) - len(rest.lstrip(_OPERATOR_CHARACTERS))]
        if operator not in _COMPARISONS:
            known = '"==" or "!="" or "<"" or "<="" or ">="" or ">"'
            self.refuse(f'{known} expected at: "...{left}}}>>>{_cut(rest)}"')
            return None
        rest = rest[len(operator) :]
        compare = _compared
        if (self.postfix is None or self.postfix.series >= LEVEL_SINCE) and rest[:1] in _LETTERS_AND_DIGITS:
            end = 0
            while rest[end : end + 1] in _LETTERS_AND_DIGITS:
                end += 1
            if rest[:end] != "level":
                self.refuse(f'bad operator suffix at: "...{operator}>>>{rest[:end]}"')
                return None
            compare = _levels_compared
            rest = rest[end:]
        bare = rest.lstrip(_BLANKS)
        if not bare.startswith("{"):
            self.refuse(f'"{{expression}}" expected at: "...{{{left}}} {operator}>>>{_cut(rest)}"')
            return None
        braces = self.braces(bare)
        if braces is None:
            return None
        right, rest = braces
        one, other = self.operand(left), self.operand(right)
        if self.scan:
            return None if self.error else (None, rest)
        delta = compare(one, other, self.warnings)
        if delta is None:
            self.error = True
        if delta is None or self.error:
            return None
        return "true" if _COMPARISONS[operator](delta) else "", rest


def _close(text: str, start: int) -> int:
    """Where the bracket at `start` closes, or -1. Only brackets of its kind count."""
    opening = text[start]
    closing = _CLOSING[opening]
    depth = 0
    position = start
    while True:
        end = text.find(closing, position)
        if end < 0:
            return -1
        depth += text.count(opening, position, end) - 1
        position = end + 1
        if not depth:
            return end


def _cut(text: str) -> str:
    """The first twenty bytes of a text."""
    return text.encode(errors="surrogateescape")[:20].decode(errors="surrogateescape")


def _compared(one: str, other: str, warnings: list[str]) -> int | None:
    """Numbers where both are, else texts, byte by byte."""
    if one and other and one.isascii() and other.isascii() and one.isdigit() and other.isdigit():
        for each in (one, other):
            if len(each.lstrip("0")) > 19 or int(each) > _LONGEST:
                raise MacroStop(f"mac_exp_eval: bad conversion: {each}", warnings)
        return int(one) - int(other)
    left, right = one.encode(errors="surrogateescape"), other.encode(errors="surrogateescape")
    return (left > right) - (left < right)


def _levels_compared(one: str, other: str, warnings: list[str]) -> int | None:
    """Levels such as 3.6 or 3.10.1. None where one of them is none."""
    values: list[tuple[int, ...]] = []
    for each in (one, other):
        value = _level_value(each)
        if value is None:
            warnings.append(f'malformed compatibility level syntax: "{each}"')
            return None
        values.append(value)
    return (values[0] > values[1]) - (values[0] < values[1])


def _level_value(text: str) -> tuple[int, ...] | None:
    """Up to three numbers, as strtol(3) reads them: with blanks and a sign before each."""
    found: list[int] = []
    for part, highest in zip(text.split(".", 2), _HIGHEST_LEVEL, strict=False):
        digits = part.lstrip(" \t\n\v\f\r")
        digits = digits[1:] if digits[:1] in ("+", "-") else digits
        if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > 19:
            return None
        number = -int(digits) if "-" in part else int(digits)
        if not 0 <= number <= highest:
            return None
        found.append(number)
    return tuple(found + [0] * (3 - len(found)))
