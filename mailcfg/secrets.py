"""Values that must not be shown: a report goes into mails, logs and pull requests."""

from __future__ import annotations

import re

HIDDEN = "(hidden)"

_NAMES = re.compile(r"passw|passphrase|secret|(?:^|_)pw(?:_|$)|(?:^|_)pass(?:_|$)|credential", re.IGNORECASE)
_ONE = r"(?:proxy:)?(?!static:|inline:)[a-z]+:(?:/|\$|\w+$)[^,\s{}]*"
_FILE_TABLE = re.compile(rf"{_ONE}(?:[,\s]+{_ONE})*")


def is_secret(name: str, value: str) -> bool:
    """Whether a setting's value may be, or hold, a password. A table that is named by its file is none."""
    if not _NAMES.search(name):
        return False
    if name.endswith("_maps"):
        return not _FILE_TABLE.fullmatch(value.strip())
    return name != "smtpd_sasl_password_check_method" and not name.endswith("_sasl_password_result_delimiter")


def shown(name: str, value: str) -> str:
    """A value for a report."""
    return HIDDEN if value and is_secret(name, value) else value


_NAMED = re.compile(r"([\w.-]+)\s*[=:]\s*")


def masked(lines: list[str]) -> list[str]:
    """Lines of a configuration file for a report: what follows the name of a password is hidden, to the end of its line
    and on the lines that continue it.
    """
    out: list[str] = []
    hidden = False
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            # It ends nothing; a password that was commented out is one still.
            cut = _cut(line)
        elif hidden and line[0].isspace() and not text.startswith("-o"):
            cut = len(line) - len(line.lstrip())
        else:
            cut = _cut(line)
            hidden = cut is not None
        out.append(line if cut is None else line[:cut] + HIDDEN)
    return out


def _cut(line: str) -> int | None:
    """Where in a line a password starts, or would start on the next."""
    for match in _NAMED.finditer(line):
        value = line[match.end() :]
        if is_secret(match[1], value):
            return match.end()
    return None
