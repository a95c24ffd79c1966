"""What a value becomes, where a wrong answer would cost more than the right one: the rest is held against postconf."""

from __future__ import annotations

import pytest

from mailcfg.formats import macro


def test_references_that_double_each_other_end() -> None:
    values = {"a0": "x"} | {f"a{number}": f"$a{number - 1} $a{number - 1}" for number in range(1, 60)}
    assert macro.expand("$a10", values.get) == " ".join(["x"] * 1024)
    with pytest.raises(macro.MacroStop, match="unreasonable macro call nesting"):
        macro.expand("$a59", values.get)
