"""`mailcfg report`: documents of many hosts, read strictly, in one report."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg import resources
from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Difference, Report, Unknown
from mailcfg.reports.documents import DocumentError, read_document
from mailcfg.reports.drift import json as drift_json
from mailcfg.reports.hosts import host_of
from tests.reports.hosts import AUTH_ONLY, CHECKED, MODE
from tests.stories.machine import mailcfg


def report(site: str, *differences: Difference, unknown: tuple[Unknown, ...] = ()) -> Comparison:
    return Comparison(Report(site, differences, unknown, (), None, CHECKED), None, None, {})


def text(site: str, *differences: Difference, unknown: tuple[Unknown, ...] = ()) -> str:
    return drift_json.render(report(site, *differences, unknown=unknown), False)


@pytest.fixture
def documents(tmp_path: Path) -> list[Path]:
    """What three hosts wrote."""
    texts = {
        "a": text("berlin"),
        "b": text("madrid", AUTH_ONLY, MODE),
        "c": text("oslo", unknown=(Unknown("/etc/postfix/main.cf", None, "Permission denied"),)),
    }
    paths = [tmp_path / f"{name}.json" for name in texts]
    for path, words in zip(paths, texts.values(), strict=True):
        path.write_text(words)
    return paths


@pytest.mark.parametrize("format", resources.modules("reports/hosts"))
def test_every_format_tells_of_every_host(documents: list[Path], tmp_path: Path, format: str) -> None:
    answer = mailcfg("report", *documents, "--format", format)
    assert (answer.code, answer.err) == (0, "")
    # An annotation is for what is wrong.
    for name in ["madrid", "oslo", *(["berlin"] if format != "github" else [])]:
        assert name in answer.out
    target = tmp_path / "report"
    assert mailcfg("report", *documents, "--format", format, "-o", target).out == ""
    assert target.read_text() == answer.out


def test_it_is_a_page_unless_told_otherwise(documents: list[Path]) -> None:
    assert mailcfg("report", *documents).out.startswith("<!doctype html>\n")


def test_one_document_is_one_host(documents: list[Path]) -> None:
    assert "<h1><code>madrid</code>" in mailcfg("report", documents[1]).out
    assert "<h1><code>madrid</code>" in mailcfg("report", documents[1], documents[1]).out


def test_the_order_of_the_documents_does_not_matter(documents: list[Path]) -> None:
    assert mailcfg("report", *documents).out == mailcfg("report", *documents[::-1]).out


def test_two_hosts_of_one_site_are_told_apart(documents: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(documents[0].read_text())
    page = mailcfg("report", documents[0], other).out
    assert f"berlin ({other})" in page
    assert f"berlin ({documents[0]})" in page


def changed(**keys: Any) -> str:
    return json.dumps({**json.loads(text("madrid", AUTH_ONLY)), **keys})


def without(key: str) -> str:
    data = json.loads(text("madrid", AUTH_ONLY))
    del data[key]
    return json.dumps(data)


ROW = json.loads(text("madrid", AUTH_ONLY))["differences"][0]

REFUSED = {
    "": "is not JSON: Expecting value: line 1 column 1 (char 0)",
    "{": "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
    "[" * 100_000: "is not JSON: maximum recursion depth exceeded",
    "[]": "is no document of mailcfg drift: write one with mailcfg drift --format json",
    '{"schema": "mailcfg/findings/1"}': "is no document of mailcfg drift: write one with mailcfg drift --format json",
    changed(
        schema="mailcfg/drift/9"
    ): "has the schema mailcfg/drift/9, and this mailcfg reads mailcfg/drift/1: use one version",
    changed(site=7): "is damaged, or another version of mailcfg wrote it: site is not text",
    changed(status="fine"): "status is none of in-sync, drift, unknown",
    changed(status="in-sync"): "its status is in-sync, and what it lists is drift",
    changed(differences={}): "differences is no list",
    changed(differences=[7]): "differences[0] is no object",
    changed(differences=[{**ROW, "line": "7"}]): "differences[0].line is not a whole number",
    changed(differences=[{**ROW, "harmless": 1}]): "differences[0].harmless is not true or false",
    changed(differences=[{**ROW, "kind": []}]): "differences[0].kind is none of changed, ",
    changed(differences=[{**ROW, "origin": {}}]): "differences[0].origin lacks 'column', 'file', 'key', 'line', 'via'",
    changed(checked=True): "checked is not a whole number",
    changed(checked=10**12): "checked is no date: 1000000000000",
    changed(more=1): "it has an unknown 'more'",
    without("ignored"): "it lacks 'ignored'",
}


@pytest.mark.parametrize("data", REFUSED, ids=lambda data: data[:20])
def test_what_is_no_document_is_refused(documents: list[Path], tmp_path: Path, data: str) -> None:
    target = tmp_path / "out"
    documents[1].write_text(data)
    answer = mailcfg("report", *documents, "-o", target)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mailcfg: {documents[1]}: ")
    assert REFUSED[data] in answer.err
    assert answer.err.count("\n") == 1
    assert not target.exists()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (Path.unlink, "there is no such file"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
        (lambda path: path.write_bytes(b'{"schema": "\xff"}'), "byte 13 is not UTF-8, so it is no drift document"),
        (lambda path: path.write_bytes(b"\x1b[31m"), "is not JSON"),
    ],
    ids=["absent", "directory", "bytes", "control"],
)
def test_what_cannot_be_read_is_refused(documents: list[Path], spoil: Callable[[Path], None], told: str) -> None:
    spoil(documents[2])
    answer = mailcfg("report", *documents)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"mailcfg: {documents[2]}: ")
    assert told in answer.err


def test_nothing_is_asked_for(tmp_path: Path) -> None:
    assert mailcfg("report").code == 2


def test_a_document_comes_back() -> None:
    host = host_of(report("madrid", AUTH_ONLY, MODE))
    assert host.document.differences == (AUTH_ONLY, MODE)
    assert (host.name, host.document.checked) == ("madrid", CHECKED)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ROW, "site", "checked"]), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(json.loads(text("x")))), anything)
def test_no_value_of_any_key_is_an_internal_error(key: str, value: Any) -> None:
    data = json.loads(text("madrid", AUTH_ONLY))
    data[key] = value
    with suppress(DocumentError):
        assert read_document(json.dumps(data)).site == data["site"]
