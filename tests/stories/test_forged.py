"""A manifest that somebody forged with care, digests and fragments and all, is compared or refused: never a crash."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mailcfg import cli
from mailcfg.manifest import ManifestError, configuration_of, read_manifest
from mailcfg.trusted import _fragments
from tests.stories.machine import Machine

ROUNDS = 150

TEXTS = ("", " ", "x", "/", "..", "${x", "a b", "é", "9" * 30, "-1", "{", "#", "yes", "smtp/inet", "2.3")
NUMBERS = (-1, 0, 10**30)


def leaves(node: Any, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to every text, number and truth value of a manifest, but to its steps, which are for people."""
    if isinstance(node, dict):
        return [each for key, value in node.items() if key != "steps" for each in leaves(value, (*way, key))]
    if isinstance(node, list):
        return [each for index, value in enumerate(node) for each in leaves(value, (*way, index))]
    return [way]


def forge(bundle: Path, manifest: dict[str, Any]) -> None:
    """Put a manifest in place, and let the fragments say what it says, with their digests, where they can be made."""
    with contextlib.suppress(ManifestError, ValueError, KeyError):
        configuration = configuration_of(read_manifest(json.dumps(manifest)))
        for path, lines in _fragments(configuration).items():
            for row in manifest["files"]:
                if row["path"] == path:
                    data = "".join(f"{line}\n" for line in lines).encode()
                    (bundle / path).write_bytes(data)
                    row["sha256"] = sha256(data).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_whatever_stands_in_a_manifest(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCFG_CACHE", "")
    whole = json.loads((machine.bundle / "manifest.json").read_text())
    ways, chance = leaves(whole), random.Random(3)
    codes: dict[int, int] = {}
    for round in range(ROUNDS):
        manifest = copy.deepcopy(whole)
        way = chance.choice(ways)
        node = manifest
        for step in way[:-1]:
            node = node[step]
        old = node[way[-1]]
        node[way[-1]] = chance.choice(TEXTS if isinstance(old, str | None) else (not old,) if old is True else NUMBERS)
        bundle = tmp_path / str(round)
        shutil.copytree(machine.bundle, bundle)
        forge(bundle, manifest)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(["drift", str(bundle), "--root", str(machine.root), "--diff"])
        assert code in (0, 1, 2), f"{way} is {node[way[-1]]!r}: {err.getvalue()}"
        codes[code] = codes.get(code, 0) + 1
        shutil.rmtree(bundle)
    assert all(codes[code] > ROUNDS // 20 for code in (0, 1, 2)), codes
