"""Where things stand in a TOML text, against tomllib: every key and every value of every document."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg.problem import Location, PolicyError
from mailcfg.source import Path, Source, scan

Draw = st.DrawFn

BARE = st.text("abcXYZ019-_", min_size=1, max_size=6)
"""Keys that need no quotes. Some look like numbers or dates, which TOML allows."""
ANY = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8)
"""Text without control characters, which TOML wants escaped."""
NASTY = st.sampled_from(
    ["", "a.b", "#", "[t]", '"', "'", "=", "\\", "{", "}", ",", "ü", "😀", "a b", "]]", "true", "\u2028"]
)
SPACE = st.sampled_from(["", " ", "  ", "\t"])
COMMENT = st.sampled_from(["", "", "# plain", "#", "# \"unclosed, 'too", "# ]}, [x] y = 1", "# ümlaut 😀"])


QUOTE = "'"


def basic(text: str) -> str:
    """Text as a basic string, with the escapes that it must have."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(each, each) for each in text) + '"'


@st.composite
def a_key(draw: Draw) -> tuple[str, str]:
    """A key and how it is written: bare, quoted, or quoted with escapes that it does not need."""
    if draw(st.integers(0, 3)):
        key = draw(BARE)
        return key, draw(st.sampled_from([key, key, f'"{key}"', f"'{key}'"]))
    key = draw(NASTY | ANY)
    written = [basic(key), '"' + "".join(f"\\U{ord(each):08x}" for each in key) + '"']
    if "'" not in key:
        written.append(f"'{key}'")
    return key, draw(st.sampled_from(written))


@st.composite
def a_string(draw: Draw) -> str:
    """A string as it is written, of any of the four kinds."""
    text = draw(NASTY | ANY)
    kind = draw(st.integers(0, 5))
    if kind == 1 and "'" not in text:
        return f"'{text}'"
    if kind == 2:
        # Up to two quotes may stand anywhere in it, also before the three that close it.
        lines = draw(
            st.lists(st.sampled_from(["x", '"', '""', "# no", "\\\\", '\\"""', "[a]", "k = 1", text]), max_size=4)
        )
        body = "\n".join("".join(each if each != text else basic(text)[1:-1] for each in lines) for _ in range(2))
        while '"""' in body:
            body = body.replace('"""', '""\\"')
        start = draw(st.sampled_from(["", "\n", "\\\n   "]))
        return f'"""{start}{body}{draw(st.sampled_from(["", " "])) if body.endswith(chr(34)) else ""}"""'
    if kind == 3 and "'''" not in text and not text.endswith("'"):
        start = draw(st.sampled_from(["", "\n", "# \\ "]))
        return f"'''{start}{text}{draw(st.sampled_from(['', QUOTE, QUOTE * 2]))}'''"
    if kind == 4:
        return draw(
            st.sampled_from(['"""a"""""', '"""a""""', "''''a'''''", '"""\\\n\n  a \\\n  """', '""""""', "''''''"])
        )
    return basic(text)


NUMBERS = """
true false 0 -1 +99 1_000 9223372036854775808 0xDEAD_beef 0o17 0b1_0 1.5 -0.0 6.02e23 1E-3 inf -inf +nan
1979-05-27 1979-05-27T07:32:00Z 1979-05-27t07:32:00 1979-05-27T07:32:00.999-07:00 07:32:00 07:32:00.5
"""
SCALAR = a_string() | st.sampled_from(["1979-05-27 07:32:00", "1979-05-27 07:32:00.999-07:00", *NUMBERS.split()])


@st.composite
def a_gap(draw: Draw) -> str:
    """What may stand between the parts of an array: nothing, blanks, or lines with comments."""
    gap = draw(SPACE)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        gap += draw(COMMENT) + "\n" + draw(SPACE)
    return gap


@st.composite
def a_value(draw: Draw, depth: int = 2) -> str:
    """A value as it is written; arrays and inline tables down to a depth."""
    kind = draw(st.integers(0, 5)) if depth else 0
    if kind == 4:
        parts = [draw(a_gap()) + draw(a_value(depth - 1)) + draw(a_gap()) for _ in range(draw(st.integers(0, 3)))]
        comma = draw(st.sampled_from(["", ","])) if parts else ""
        return "[" + ",".join(parts) + comma + draw(a_gap()) + "]"
    if kind == 5:
        pairs = draw(pairs_of(depth - 1))
        return "{" + ",".join(f"{draw(SPACE)}{pair}{draw(SPACE)}" for pair in pairs) + "}"
    return draw(SCALAR)


@st.composite
def pairs_of(draw: Draw, depth: int = 2, most: int = 3) -> list[str]:
    """Statements `key = value` of one table, with dotted keys, in any order; no key twice."""
    written: list[str] = []
    seen: set[str] = set()
    for _ in range(draw(st.integers(0, most))):
        key, spelled = draw(a_key())
        if key in seen:
            continue
        seen.add(key)
        dot = draw(SPACE) + "." + draw(SPACE)
        if draw(st.integers(0, 3)) == 0:
            # A table that is only ever spoken of with dots.
            for pair in draw(pairs_of(max(0, depth - 1), 2)):
                written.append(f"{spelled}{dot}{pair}")
        else:
            written.append(f"{spelled}{draw(SPACE)}={draw(SPACE)}{draw(a_value(depth))}")
    return draw(st.permutations(written))


@st.composite
def a_document(draw: Draw) -> str:
    """A TOML text: pairs, tables with headers in any order (also tables that no header names), arrays of tables."""
    statements = list(draw(pairs_of()))
    names = {name for text in statements for name in tomllib.loads(text)}

    def body(header: str, close: str) -> None:
        statements.append(f"{header}{close}")
        statements.extend(draw(pairs_of()))

    for _ in range(draw(st.integers(0, 4))):
        keys = draw(st.lists(a_key(), min_size=1, max_size=3))
        if keys[0][0] in names:
            continue
        names.add(keys[0][0])
        inner = (draw(SPACE) + "." + draw(SPACE)).join(spelled for _, spelled in keys)
        inner = draw(SPACE) + inner + draw(SPACE)
        if draw(st.integers(0, 2)) == 0:
            for _ in range(draw(st.integers(1, 3))):
                body(f"[[{inner}", "]]")
                if draw(st.booleans()):
                    body(f"[{inner}.below-it", "]")
                if draw(st.booleans()):
                    body(f"[[{inner}.many-below", "]]")
                    body(f"[[{inner}.many-below", "]]")
        else:
            deeper = f"[{inner}.'one deeper'"
            order = draw(st.integers(0, 2))
            if order == 2:
                body(deeper, "]")
            body(f"[{inner}", "]")
            if order == 1:
                body(deeper, "]")
    lines = [draw(SPACE) + each + draw(SPACE) + draw(COMMENT) + "\n" * draw(st.integers(1, 2)) for each in statements]
    text = draw(COMMENT) + "\n" + "".join(lines)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.integers(0, 3)) == 0 else text


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every path of a document."""
    yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from paths(each, (*path, key))
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from paths(each, (*path, index))


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def check(text: str) -> int:
    """Compare positions with tomllib; how many paths there were."""
    source = Source(text, "x.toml")
    spans = source.spans()
    assert source.values == tomllib.loads(text) or "nan" in text
    found = [path for path in paths(source.values) if path]
    assert set(spans) == set(found)
    for path in found:
        value, span = at(source.values, path), spans[path]
        key = source.text[span.key_start : span.key_end]
        written = source.text[span.value_start : span.value_end]
        header = span.key_start == span.value_start and key.startswith("[") and not isinstance(path[-1], int)
        if isinstance(path[-1], int):
            assert source.has(path)
        if header or (isinstance(path[-1], int) and isinstance(value, dict) and key.startswith("[")):
            # A table with a header of its own, or of one below it. Its name is in the header.
            name = [step for step in path if isinstance(step, str)]
            mentioned = next(list(each) for each in deepest(tomllib.loads(key)) if each)
            assert mentioned[: len(name)] == name
        elif isinstance(path[-1], str) and span.key_start == span.value_start:
            # A table of which only dotted keys speak: the place is the first of these.
            assert isinstance(value, dict)
            assert path[-1] in next(deepest(tomllib.loads(f"{key} = 0")))
        else:
            assert repr(tomllib.loads(f"k = {written}")["k"]) == repr(value)
            if isinstance(path[-1], int):
                assert key == written
            else:
                # Dots and all, what is written there ends in this very key.
                spoken = next(deepest(tomllib.loads(f"{key} = 0")))
                assert path[-len(spoken) :] == spoken
        line, column = source.position(path)
        assert source.text.split("\n")[line - 1][column - 1 :].startswith(key.split("\n")[0])
        place = source.locate(path)
        assert place.text == source.text.split("\n")[place.line - 1]
        assert place.text[place.column - 1 : place.column - 1 + place.length] == written.split("\n")[0] or not written
    return len(found)


def deepest(value: Any) -> Iterator[tuple[str, ...]]:
    """The routes of keys to the leaves of nested tables."""
    for path in paths(value):
        end = at(value, path)
        if end == 0 or end == {} or end == [{}]:
            yield tuple(step for step in path if isinstance(step, str))


@settings(max_examples=250, deadline=None)
@given(a_document())
def test_every_key_and_value_is_found(text: str) -> None:
    check(text)


@settings(max_examples=120, deadline=None)
@given(st.text(max_size=40) | st.text("ab.=\"[]{}#\n'\\,1 \r\t", max_size=30))
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    try:
        source = Source(text, "x.toml")
    except PolicyError as error:
        (finding,) = error.findings
        assert finding.rule == "toml-syntax"
        assert finding.message
        assert finding.help
        assert finding.location.line <= text.count("\n") + 1
        return
    assert set(source.spans()) == {path for path in paths(source.values) if path}


@settings(max_examples=120, deadline=None)
@given(a_document(), st.lists(st.sampled_from(["a", "mx", "tls", 0, 5, ""]), max_size=3), st.randoms())
def test_any_path_has_a_place(text: str, more: list[str | int], random: Any) -> None:
    source = Source(text, "x.toml")
    path: Path = (*random.choice(list(paths(source.values))), *more)
    for key in (False, True):
        place = source.locate(path, key=key)
        assert place.file == "x.toml"
        assert 1 <= place.line <= text.count("\n") + 1
        assert place.column >= 1
        assert place.length >= 1


DOCUMENT = """\
hostname = "mail.example.com"   # [not] a = table
[tls]
guideline = 'custom'
[certificates."a.b"]
names = [
  "one", # "not this"
  'two',
]
[listeners]
x.port = 25
x . tls = "none"
[[many]]
a = { b = { c = 1979-05-27 07:32:00 }, d = 2 }
[[many]]
[many.a]
b = \"\"\"
]\"\"\"\""
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("hostname",), "hostname", '"mail.example.com"'),
        (("tls",), "[tls]", "[tls]"),
        (("tls", "guideline"), "guideline", "'custom'"),
        (("certificates",), '[certificates."a.b"]', '[certificates."a.b"]'),
        (("certificates", "a.b", "names", 1), "'two'", "'two'"),
        (("certificates", "a.b", "names", 0), '"one"', '"one"'),
        (("listeners", "x"), "x.port", "x.port"),
        (("listeners", "x", "tls"), "x . tls", '"none"'),
        (("many", 0, "a", "b", "c"), "c", "1979-05-27 07:32:00"),
        (("many", 0, "a", "d"), "d", "2"),
        (("many", 1), "[[many]]", "[[many]]"),
        (("many", 1, "a", "b"), "b", '"""\n]"""""'),
    ],
)
def test_places(path: Path, key: str, value: str) -> None:
    span = scan(DOCUMENT)[path]
    assert DOCUMENT[span.key_start : span.key_end] == key
    assert DOCUMENT[span.value_start : span.value_end] == value


def test_the_whole_example() -> None:
    assert check(DOCUMENT) == len([path for path in paths(tomllib.loads(DOCUMENT)) if path])
    check(DOCUMENT.replace("\n", "\r\n"))


def test_a_location_says_line_column_and_length() -> None:
    source = Source(DOCUMENT, "x.toml")
    assert source.locate(("tls", "guideline")) == Location("x.toml", 3, 13, 8, "guideline = 'custom'")
    assert source.locate(("tls", "guideline"), key=True) == Location("x.toml", 3, 1, 9, "guideline = 'custom'")
    assert source.locate(("certificates", "a.b", "names")) == Location("x.toml", 5, 9, 1, "names = [")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("tls", "minimum"), 2),
        (("tls", "minimum", "deeper", 3), 2),
        (("listeners", "x", "auth"), 10),
        (("many", 0, "a", "b", "x"), 13),
        (("many", 7), 12),
        (("mx",), 1),
        ((), 1),
    ],
)
def test_a_missing_path_is_placed_at_its_table(path: Path, line: int) -> None:
    assert Source(DOCUMENT, "x.toml").locate(path).line == line


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a = 1\nb = yes\n", 2, 5, "Invalid value"),
        ("a = 1\r\nb = yes\r\n", 2, 5, "Invalid value"),
        ("a = 1\na = 2\n", 2, 6, "Cannot overwrite a value"),
        ("[a]\n[a]\n", 2, 3, "Cannot declare ('a',) twice"),
        ('a = "x\nb = 1\n', 1, 7, "Illegal character '\\n'"),
        ("a\n", 1, 2, "Expected '=' after a key in a key/value pair"),
        ("a = 1 2\n", 1, 7, "Expected newline or end of document after a statement"),
        ("\ufeffa = 1\n", 1, 1, "Invalid statement"),
        ("a = [1,\n", 1, 7, "the file ends too early"),
        ('x = 1\na = """\n', 2, 7, "the file ends too early"),
    ],
)
def test_syntax_errors_have_a_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Source(text, "x.toml")
    (finding,) = caught.value.findings
    assert finding.rule == "toml-syntax"
    assert message in finding.message
    # Other Pythons count the end of a document and of a twice declared table a little differently.
    assert (finding.location.line, abs(finding.location.column - column) <= 1) == (line, True)


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000 + "]" * 20_000, "a = " + "{b = " * 20_000 + "1" + "}" * 20_000])
def test_deep_nesting_is_refused_not_fatal(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Source(text, "x.toml")
    assert caught.value.findings[0].rule == "toml-syntax"


@pytest.mark.parametrize("depth", [50, 100, 150])
def test_what_tomllib_reads_is_also_found(depth: int) -> None:
    """Whatever depth tomllib bears, the search for positions bears it too."""
    check("a = " + "[" * depth + "]" * depth)
    check(".".join(["a"] * depth) + " = 1")


def test_nesting_up_to_tomllib_s_limit() -> None:
    for depth in range(100, 2000, 20):
        try:
            source = Source("a = " + "[" * depth + "]" * depth, "x.toml")
        except PolicyError:
            return
        assert source.locate(("a",)).column == 5


@pytest.mark.parametrize("text", ["a = " + "1" * 4301, "a = [1, -" + "9" * 5000 + "]"])
def test_integers_that_python_will_not_read(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Source(text, "x.toml")
    (finding,) = caught.value.findings
    assert "too many digits" in finding.message
    assert "no key" in finding.help


@pytest.mark.parametrize(
    "text", ["0x" + "f" * 5000, "0o" + "7" * 6000, "0b" + "1" * 15000, "[1, { a = 0x" + "F" * 4000 + "}]"]
)
def test_integers_that_python_reads_and_cannot_print(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        Source(f"# 0x0\na = {text}\n", "x.toml")
    (finding,) = caught.value.findings
    assert "too many digits" in finding.message
    assert finding.location.line == 2


def test_the_longest_integer_that_python_reads() -> None:
    assert check("a = " + "1" * 4300 + '\nb = "0x' + "f" * 5000 + '"\nc = 0x' + "f" * 3000) == 3
