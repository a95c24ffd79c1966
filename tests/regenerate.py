"""Write every generated file again: `python -m tests.regenerate`. The tests fail where one is stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mailcfg import schema
from tests.sites import GOLDEN, ROOT, SITES, built

END = "<!-- end -->"

ERRORS = ROOT / "tests" / "policy" / "errors"
"""Policies with a mistake; beside each stands what `build` says of it."""


def schemas() -> dict[Path, str]:
    return {ROOT / "schemas" / f"{name}.schema.json": schema.text(name) for name in schema.SCHEMAS}


def golden() -> dict[Path, bytes]:
    return {GOLDEN / path.stem / file: data for path in SITES for file, data in built(path).contents().items()}


def command_help(*words: str) -> str:
    """What a person sees who asks for help, at a fixed width."""
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "mailcfg", *words, "--help"]
    return subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True, check=True).stdout


def error_text(path: Path) -> str:
    """What `mailcfg build` says of a policy that is wrong."""
    command = [sys.executable, "-m", "mailcfg", "build", path.name, "--check", "--color", "never"]
    done = subprocess.run(command, cwd=ERRORS, text=True, capture_output=True)
    if done.returncode != 2:
        raise AssertionError(f"{path.name}: exit status {done.returncode}, not 2")
    return done.stderr


def readme() -> str:
    """The README with its generated parts made again, such as `<!-- generated: help build -->`."""
    lines: list[str] = []
    skipping = False
    for line in (ROOT / "README.md").read_text().splitlines():
        if line == END:
            skipping = False
        if not skipping:
            lines.append(line)
        if line.startswith("<!-- generated: "):
            skipping = True
            kind, *words = line.removeprefix("<!-- generated: ").removesuffix(" -->").split()
            if kind == "help":
                lines += ["```", *command_help(*words).rstrip().splitlines(), "```"]
            elif kind == "file":
                language = {"toml": "toml", "sh": "sh", "cf": "ini", "service": "ini", "timer": "ini"}.get(
                    words[0].rpartition(".")[2], ""
                )
                lines += [f"```{language}", *(ROOT / words[0]).read_text().rstrip().splitlines(), "```"]
            else:
                raise ValueError(f"README.md: unknown generated part {kind!r}")
    return "\n".join(lines) + "\n"


def main() -> None:
    for path, text in schemas().items():
        path.write_text(text)
    if GOLDEN.is_dir():
        shutil.rmtree(GOLDEN)
    for path, data in golden().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for path in sorted(ERRORS.glob("*.toml")):
        path.with_suffix(".txt").write_text(error_text(path))
    (ROOT / "README.md").write_text(readme())


if __name__ == "__main__":
    main()
