"""Drift as a unified diff: from the live files to what they would be with the policy's settings in them."""

from __future__ import annotations

from difflib import unified_diff

from mailcfg.drift.compare import Comparison
from mailcfg.drift.wanted import wanted_files
from mailcfg.reports.text import clean
from mailcfg.secrets import masked

COLORS = {"+": "32", "-": "31", "@": "36"}


def render(comparison: Comparison, color: bool) -> str:
    """The diff, as `diff -u` would print it; changes of mode and owner as lines in front. Passwords are hidden."""
    if comparison.wanted is None or comparison.live is None:
        return ""
    out: list[str] = []
    for each in comparison.report.differences:
        if each.kind in ("mode", "owner"):
            out.append(f"# {each.file}: {each.kind} {each.live}, desired {each.desired}")
        elif each.kind == "certificate":
            words = "; ".join(each.explanation)
            out.append(f"# {each.file}: certificate {each.setting}: {words}")
        elif each.desired == "present" and each.file not in comparison.files:
            out.append(f"# {each.file}: missing")
    edited = wanted_files(comparison.wanted, comparison.live, comparison.report.differences, comparison.files)
    for path, wanted in edited.items():
        live = comparison.files.get(path)
        here, there = _lines(live or b""), _lines(wanted)
        heads = (f"{path} (live)" if live is not None else "/dev/null", f"{path} (desired)")
        out += [line.rstrip("\n") for line in unified_diff(here, there, *heads, n=2, lineterm="")]
    return "".join(f"{_painted(clean(line), color)}\n" for line in out)


def _lines(data: bytes) -> list[str]:
    return masked(data.decode(errors="replace").split("\n")) if data else []


def _painted(line: str, color: bool) -> str:
    code = COLORS.get(line[:1]) if color else None
    return f"\x1b[{code}m{line}\x1b[0m" if code else line
