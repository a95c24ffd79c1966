"""Words of a POSIX shell."""

from __future__ import annotations


def word(text: str) -> str:
    """Text as one word of a shell command, whatever it holds."""
    return "'" + text.replace("'", "'\\''") + "'"
