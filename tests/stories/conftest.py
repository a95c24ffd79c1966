"""Machines that are made once and copied for every story."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Machine, copied, place


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    lab.needs("postconf", "openssl")
    return place(ROOT / "sites/quickstart.toml", tmp_path_factory.mktemp("quickstart"))


@pytest.fixture
def machine(quickstart: Machine, tmp_path: Path) -> Machine:
    return copied(quickstart, tmp_path)
