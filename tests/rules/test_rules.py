"""Every rule by its own documentation: what it calls wrong is found, what it calls right is not, and it says why."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from mailcfg.judge import documentation, rule, rule_ids
from mailcfg.problem import Severity
from tests.rules.examples import Example, blocks, checked

HEADINGS = ("What it does: ", "Why it is bad: ", "Wrong:", "Right:", "References: ")

every = pytest.mark.parametrize("id", rule_ids())


def examples(kind: str) -> list[tuple[str, Example]]:
    return [(id, each) for id in rule_ids() for each in blocks(documentation(id)).get(kind, [])]


@every
def test_the_documentation_is_whole(id: str) -> None:
    text = documentation(id)
    places = [text.find(heading) for heading in HEADINGS]
    assert -1 not in places, dict(zip(HEADINGS, places, strict=True))
    assert places == sorted(places)
    assert re.fullmatch(r"[^\n]*\.", text.partition("\n")[0])
    module = rule(id)
    assert isinstance(module.SEVERITY, Severity)
    named = " ".join(text[places[-1] + len(HEADINGS[-1]) :].split()).rstrip(".")
    assert tuple(named.split(", ")) == module.REFERENCES


@pytest.mark.parametrize(("id", "example"), examples("Wrong"), ids=lambda each: each if isinstance(each, str) else "")
def test_what_is_wrong_is_found(id: str, example: Example, tmp_path: Path) -> None:
    found = checked(example, tmp_path, time.time())
    assert found.unknown == ()
    ours = [each for each in found.findings if each.rule == id]
    assert ours, [each.rule for each in found.findings]
    for each in ours:
        assert each.message
        assert "\n" not in each.message
        assert each.effect
        assert each.help
        assert each.location.file
        assert each.references


@pytest.mark.parametrize(("id", "example"), examples("Right"), ids=lambda each: each if isinstance(each, str) else "")
def test_what_is_right_is_not_found(id: str, example: Example, tmp_path: Path) -> None:
    found = checked(example, tmp_path, time.time())
    assert found.unknown == ()
    assert [each.message for each in found.findings if each.rule == id] == []


@every
def test_there_is_an_example_of_each_kind(id: str) -> None:
    found = blocks(documentation(id))
    assert found["Wrong"]
    assert found["Right"]
