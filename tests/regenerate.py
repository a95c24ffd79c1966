"""Write every generated file again: `python -m tests.regenerate`. The tests fail where one is stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mailcfg import schema
from tests.sites import GOLDEN, ROOT, SITES, built

BEGIN, END = "<!-- generated: {} -->", "<!-- end -->"


def schemas() -> dict[Path, str]:
    return {ROOT / "schemas" / f"{name}.schema.json": schema.text(name) for name in schema.SCHEMAS}


def golden() -> dict[Path, bytes]:
    return {GOLDEN / path.stem / file: data for path in SITES for file, data in built(path).contents().items()}


def command_help(*words: str) -> str:
    """What a person sees who asks for help, at a fixed width."""
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "mailcfg", *words, "--help"]
    return subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True, check=True).stdout


def readme() -> str:
    """The README with its generated parts made again: `<!-- generated: help build -->` and `<!-- generated: file X -->`."""
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
                language = "toml" if words[0].endswith(".toml") else "sh" if words[0].endswith(".sh") else "ini"
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
    (ROOT / "README.md").write_text(readme())


if __name__ == "__main__":
    main()
