"""How whole processes are measured side by side."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

RUNS = 15


def seconds(command: list[str], cwd: Path | None = None) -> float:
    start = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=cwd
    )
    return time.perf_counter() - start


def in_turn(
    commands: dict[str, list[str]], before: Mapping[str, Callable[[], object]] | None = None
) -> dict[str, float]:
    """Median seconds of each command; the commands take turns. `before` is done ahead of one, and not measured."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, words in commands.items():
            if before and name in before:
                before[name]()
            times[name].append(seconds(words))
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, medians: dict[str, float], base: str) -> None:
    print(f"\n{title}")
    for name, value in medians.items():
        print(f"  {name:<58} {value * 1000:8.1f} ms  {value / medians[base]:6.2f}")


def command(*words: str) -> list[str]:
    """The command as it is installed: the script of the entry point, if there is one beside this Python."""
    script = Path(sys.executable).parent / "mailcfg"
    return [str(script), *words] if script.exists() else [sys.executable, "-m", "mailcfg", *words]
