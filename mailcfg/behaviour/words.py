"""Words of Postfix parameters: how lists are parted, and what a boolean, a number or a time looks like."""

from __future__ import annotations

import re

_COMMAS = re.compile(r"[ \t\r\n,]+")
_COLONS = re.compile(r"[ \t\r\n,:]+")
_NUMBER = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+")
_TIME = re.compile(r"[0-9]+[smhdw]?")

LARGEST = 2**31 - 1
"""What fits into an int, in which Postfix keeps its numbers."""


def listed(value: str) -> list[str]:
    """The words of a list: commas and white space part them (CHARS_COMMA_SP)."""
    return [word for word in _COMMAS.split(value) if word]


def ciphers(value: str) -> list[str]:
    """The words of a list of ciphers or protocols, where a colon parts too."""
    return [word for word in _COLONS.split(value) if word]


def boolean(value: str) -> bool | None:
    """Yes or no, in any case; None for what Postfix dies of (global/mail_conf_bool.c)."""
    return {"yes": True, "no": False}.get(value.lower())


def is_number(value: str) -> bool:
    """Whether Postfix takes a value for a number (global/mail_conf_int.c)."""
    return _NUMBER.fullmatch(value) is not None and -LARGEST - 1 <= int(value) <= LARGEST


def is_time(value: str) -> bool:
    """Whether Postfix takes a value for a time (util/conv_time.c)."""
    return _TIME.fullmatch(value) is not None


def braced(value: str) -> list[str]:
    """The words of a list in which braces keep one together (mystrtokq)."""
    found: list[str] = []
    word = ""
    depth = 0
    for character in value:
        if not depth and character in " \t\r\n,":
            if word:
                found.append(word)
            word = ""
            continue
        depth += (character == "{") - (character == "}" and depth > 0)
        word += character
    return [*found, word] if word else found
