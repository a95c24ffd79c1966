"""What holds for every test: nothing is remembered outside its own directory, and what was compared is counted."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """A job in the background of a script ignores SIGINT, and so would all that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("cache") / "mailcfg"
    monkeypatch.setenv("MAILCFG_CACHE", str(path))
    monkeypatch.delenv("MAILCFG_SITE", raising=False)
    return path


@pytest.fixture
def say(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tell at the end of the run what a test compared."""

    def at_the_end(text: str) -> None:
        record_property(request.node.name, text)

    return at_the_end


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how often the project and a real program were found to agree: the properties that such tests record."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if isinstance(value, int):
                counts[name] += value
            else:
                terminalreporter.write_line(f"{name}: {value}")
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(
            f"{name}: {count}, disagreements 0" if name.startswith("agrees") else f"{name}: {count}"
        )
