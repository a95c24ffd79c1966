"""What holds for every test: nothing is remembered outside the test's own directory."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("cache") / "mailcfg"
    monkeypatch.setenv("MAILCFG_CACHE", str(path))
    monkeypatch.delenv("MAILCFG_SITE", raising=False)
    return path
