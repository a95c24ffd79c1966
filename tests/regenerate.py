"""Write every generated file again: `python -m tests.regenerate`. The tests fail where one is stale."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from mailcfg import judge, schema
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


def output(*words: str) -> str:
    """What a verb prints, at the top of the checkout, on a machine without a Postfix of its own."""
    environment = {"PATH": "/nonexistent", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "mailcfg", *words, "--color", "never"]
    done = subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True)
    if done.returncode > 1:
        raise AssertionError(f"{words}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


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
            elif kind == "output":
                lines += ["```", *output(*words).rstrip().splitlines(), "```"]
            else:
                raise ValueError(f"README.md: unknown generated part {kind!r}")
    return "\n".join(lines) + "\n"


RULES = ROOT / "docs" / "rules.md"

HEADINGS = ("What it does: ", "Why it is bad: ", "Wrong:", "Right:", "References: ")


def rules_page() -> str:
    """The documentation of every rule, as its module has it."""
    lines = [
        "# Rules",
        "",
        "What `mailcfg check` looks for, one rule a section; `mailcfg rules ID` prints the same. The examples run as",
        "tests; without a master.cf they stand for a listener on port 25, and `# PATH = …` describes a file that",
        "cannot be written down. A finding can be accepted in a policy, with a reason and a last day:",
        "",
        "```toml",
        "[[accept]]",
        'rule = "auth-on-mx"',
        "until = 2027-06-30",
        'because = "three printers know no other port; they are replaced in spring"',
        "```",
        "",
        "| rule | severity | |",
        "|---|---|---|",
        *(f"| [`{id}`](#{id}) | {severity.value} | {title} |" for id, title, severity in judge.titles()),
    ]
    for id in judge.rule_ids():
        lines += ["", f"## {id}", "", f"Severity: {judge.rule(id).SEVERITY.value}.", ""]
        for line in judge.documentation(id).splitlines():
            heading = next((each for each in HEADINGS if line.startswith(each)), "")
            rest = line[len(heading) :]
            said = f"**{heading.strip().removesuffix(':')}.** {rest[:1].upper()}{rest[1:]}".rstrip()
            lines.append(said if heading else line)
    return "\n".join(lines) + "\n"


def main() -> None:
    RULES.write_text(rules_page())
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
