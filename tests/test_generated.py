"""Generated files are what their generator makes of today's sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import regenerate
from tests.sites import GOLDEN, ROOT

AGAIN = "stale: run python -m tests.regenerate"


@pytest.mark.parametrize("path", regenerate.schemas(), ids=lambda path: path.name)
def test_schema_is_fresh(path: Path) -> None:
    assert path.read_text() == regenerate.schemas()[path], AGAIN


def test_the_page_of_rules_is_fresh() -> None:
    assert regenerate.RULES.read_text() == regenerate.rules_page(), AGAIN


def test_readme_is_fresh() -> None:
    assert (ROOT / "README.md").read_text() == regenerate.readme(), AGAIN


def test_golden_trees_are_fresh() -> None:
    wanted = regenerate.golden()
    there = {path: path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert sorted(map(str, there)) == sorted(map(str, wanted)), AGAIN
    assert [str(path) for path in wanted if there[path] != wanted[path]] == [], AGAIN
