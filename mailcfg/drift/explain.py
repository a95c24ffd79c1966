"""What differs inside a long value, in words; deepdiff finds it."""

from __future__ import annotations

import re
from typing import Any

from mailcfg.drift.meaning import protocols
from mailcfg.facts.guidelines import PROTOCOLS
from mailcfg.facts.version import Version

SHORT = 2
"""Values of so few words speak for themselves."""


def in_words(name: str, desired: str, live: str, postfix: Version | None = None) -> tuple[str, ...]:
    """How a live list differs from the desired one; nothing for values that are no lists, or hardly. Of a list of
    protocol versions it is the versions that differ, not the words.
    """
    if name.endswith("_protocols") and postfix is not None:
        wanted, there = protocols(desired, postfix), protocols(live, postfix)
        if there is None:
            return ("Postfix refuses this list, and turns TLS off",)
        if wanted is not None:
            return differences(*([each for each in PROTOCOLS if each in side] for side in (wanted, there)))
    separator = r"[ \t\r\n\v\f,:]+" if name.endswith("cipherlist") else r"[ \t\r\n\v\f,]+"
    one, other = ([word for word in re.split(separator, value) if word] for value in (desired, live))
    if (len(one) < SHORT and len(other) < SHORT) or "{" in desired + live:
        return ()
    return differences(one, other)


def differences(one: Any, other: Any) -> tuple[str, ...]:
    """How two lists of texts, or two dictionaries of texts, differ: a sentence for what is lacking, for what is there
    besides, and for each change.
    """
    # Imported here: it costs twenty bare interpreters, and most runs find nothing.
    from deepdiff import DeepDiff

    found = DeepDiff(one, other, ignore_order=isinstance(one, list), report_repetition=True, verbose_level=2)
    if not found:
        return ("the order is another",)
    words: list[str] = []
    gathered: dict[str, list[str]] = {"lacks": [], "also has": []}
    for kind, entries in found.items():
        for path, value in entries.items():
            where = _place(path)
            match kind:
                case "iterable_item_removed" | "dictionary_item_removed":
                    gathered["lacks"].append(f"{where}{value}")
                case "iterable_item_added" | "dictionary_item_added":
                    gathered["also has"].append(f"{where}{value}")
                case "values_changed":
                    words.append(f"{where}{value['new_value']} instead of {value['old_value']}")
                case "repetition_change":
                    words.append(f"{value['value']} stands {value['new_repeat']} times, not {value['old_repeat']}")
                case _:
                    raise ValueError(f"deepdiff found {kind} between texts")
    lists = [f"{verb} {', '.join(items)}" for verb, items in gathered.items() if items]
    return (*lists, *sorted(words))


def _place(path: str) -> str:
    """The key of a path such as `root['chroot']`, in front of its value; of a list's item nothing."""
    return "".join(f"{key}: " for key in re.findall(r"\['([^']*)'\]", path))
