"""Version numbers that compare."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class Version(NamedTuple):
    """A version of Postfix or OpenSSL: numbers, and the letter of old OpenSSL releases."""

    major: int
    minor: int
    patch: int = 0
    letter: str = ""

    @classmethod
    @cache
    def parse(cls, text: str) -> Version:
        """Read "3.7", "3.7.11" or "1.1.1w". Raises ValueError for anything else."""
        match = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?([a-z]*)", text)
        if not match:
            raise ValueError(f"{text!r} is not a version")
        return cls(int(match[1]), int(match[2]), int(match[3] or 0), match[4])

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}{self.letter}"

    @property
    def series(self) -> tuple[int, int]:
        """Major and minor: what decides which parameters exist."""
        return self.major, self.minor
