"""The shape of the house: imports point one way, one door leads outside, a verb is one file, start-up stays small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mailcfg import cli
from tests.sites import ROOT

PACKAGE = ROOT / "mailcfg"

LAYERS = (
    ("problem", "resources", "terminal", "machine", "secrets", "dates", "archive"),
    ("memory", "state"),
    ("remember",),
    ("source",),
    ("policy",),
    ("facts",),
    ("configuration",),
    ("formats",),
    ("compile", "certificates"),
    ("behaviour",),
    ("rule",),
    ("rules",),
    ("judge",),
    ("layout",),
    ("render", "manifest"),
    ("bundle", "trusted"),
    ("desired", "live"),
    ("overlay",),
    ("found",),
    ("drift", "plan"),
    ("reports",),
    ("schema",),
    ("host", "git", "probe"),
    ("cli",),
    ("subjects",),
    ("build", "checking"),
    ("target", "planning"),
    ("apply",),
    ("commands",),
    ("__main__",),
)
"""From the ground up: a module or package may import what stands in a line above its own, and its own siblings.

`formats` stands below `compile`, which asks it what master.cf of a version can hold. `host` stands above all that is
pure, so that only `subjects`, `build`, `checking` and the verbs can reach through it to the machine. `machine`, which
reads a live host, stands apart at the bottom since cron pays for its import: what is pure may name its types, and is
handed one by a verb. `cli` stands below the verbs, which take exit codes and Failure from it."""

DOWNWARD = {("cli", "commands")}
"""The one import against the order: `cli` lists the folder of the verbs, and imports the one that is asked for."""

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


all_modules = pytest.mark.parametrize("path", MODULES, ids=named)


def layer(path: Path) -> str:
    """The module or package directly below mailcfg that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, outermost: bool = False) -> Iterator[str]:
    """Dotted names that a file imports, also inside functions and for type checking only, unless `outermost`."""
    tree = ast.parse(path.read_text())
    for node in tree.body if outermost else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_called(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_every_module_has_its_layer() -> None:
    assert {layer(path) for path in MODULES} == set(RANK)
    assert len(RANK) == sum(map(len, LAYERS))


@all_modules
def test_imports_point_one_way(path: Path) -> None:
    here = layer(path)
    for name in imports(path):
        steps = name.split(".")
        if steps[0] == "mailcfg" and steps[1] != "__version__":
            there = steps[1]
            allowed = there == here or RANK[there] < RANK[here] or (here, there) in DOWNWARD
            assert allowed, f"{path.relative_to(ROOT)} imports {name}: {here} stands below {there}"


# --- one door --------------------------------------------------------------------------------------------------------

DOORS = {
    "host",
    "apply",
    "probe",
    "machine",
    "memory",
    "state",
    "remember",
    "resources",
    "cli",
    "terminal",
    "build",
    "checking",
    "git",
    "planning",
    "subjects",
    "target",
    "commands",
    "__main__",
}
"""What may touch the machine: files, processes, the environment, the terminal."""

OUTSIDE = {
    "asyncio", "concurrent", "ctypes", "fcntl", "fileinput", "gc", "getpass", "glob", "grp", "linecache", "logging",
    "mmap", "multiprocessing", "os", "pathlib", "pty", "pwd", "select", "shelve", "shutil", "signal", "site", "socket",
    "sqlite3", "ssl", "subprocess", "sys", "tempfile", "termios", "threading", "urllib", "warnings",
}  # fmt: skip
"""Modules of the standard library that reach outside."""

UNSTEADY = {"datetime", "locale", "platform", "random", "secrets", "time", "uuid"}
"""Modules that say something else tomorrow or elsewhere. No bundle may depend on them, so nothing imports them."""


@pytest.mark.parametrize("path", [path for path in MODULES if layer(path) not in DOORS], ids=named)
def test_what_is_pure_reaches_nothing_outside(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    # The library that reads certificates speaks of old ones on standard error.
    assert tops & OUTSIDE == ({"warnings"} if named(path) == "certificates/inspect.py" else set())
    called = set(names_called(path))
    assert "Machine" not in called
    assert called & {"open", "print", "input", "exec", "eval", "compile", "__import__", "io.open"} == set()
    assert "mailcfg.host" not in {".".join(name.split(".")[:2]) for name in imports(path)}


CLOCKS = {"machine", "memory", "remember", "apply", "commands"}
"""What may ask for the time: whether a certificate has ended depends on it, and when a process started. A comparison is
told it.
"""


@all_modules
def test_nothing_depends_on_the_day_or_on_chance(path: Path) -> None:
    allowed = {"time"} if layer(path) in CLOCKS else set()
    assert {name.split(".")[0] for name in imports(path)} & UNSTEADY == allowed & set(imports(path))


OPENERS = ("host", "apply", "machine", "memory", "remember", "resources")


@pytest.mark.parametrize("path", [path for path in MODULES if layer(path) not in OPENERS], ids=named)
def test_only_doors_open_files(path: Path) -> None:
    """`build` and the verbs go through `host` like everybody else; `cli` opens the null device alone."""
    opened = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "os.open", "io.open")
    ]
    assert [call for call in opened if "os.devnull" not in call] == []


LIBRARIES = {
    "pydantic": {"policy", "schema"},
    "pydantic_core": {"policy"},
    "jinja2": {"render"},
    "rich": {"commands"},
    "deepdiff": {"drift"},
    "cryptography": {"certificates"},
}
"""Which layers may use which library."""


@all_modules
def test_libraries_stay_where_they_belong(path: Path) -> None:
    for name in {name.split(".")[0] for name in imports(path)} - {"mailcfg", "__future__"} - sys.stdlib_module_names:
        assert layer(path) in LIBRARIES.get(name, ()), f"{path.relative_to(ROOT)} imports {name}"


def test_libraries_are_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[<>=~!]", each)[0] for each in declared} == LIBRARIES.keys() - {"pydantic_core"}


# --- names and verbs -------------------------------------------------------------------------------------------------


@all_modules
def test_no_module_is_a_drawer_for_everything(path: Path) -> None:
    assert not {*path.relative_to(PACKAGE).parent.parts, path.stem} & {
        "util", "utils", "helper", "helpers", "common", "misc", "lib", "tools",
    }  # fmt: skip


@all_modules
def test_a_module_says_in_a_sentence_what_it_is_for(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text()))
    assert words
    assert words.split("\n\n")[0].rstrip().endswith("."), words


@pytest.mark.parametrize("verb", cli.verbs())
def test_a_verb_is_a_file_with_three_names(verb: str) -> None:
    path = PACKAGE / "commands" / f"{verb}.py"
    module = import_module(f"mailcfg.commands.{verb}")
    assert isinstance(module.HELP, str)
    assert "\n" not in module.HELP
    assert not module.HELP.endswith(".")
    assert callable(module.configure)
    assert callable(module.run)
    # Whoever asks for help or mistypes an option does not wait for what only the work needs.
    light = {"__future__", "argparse", "sys", "typing", "mailcfg.cli", "mailcfg.terminal"}
    assert {name if name in light else name.rpartition(".")[0] for name in imports(path, outermost=True)} <= light


def test_the_verbs_are_the_files() -> None:
    assert cli.verbs() == sorted(path.stem for path in (PACKAGE / "commands").glob("[!_]*.py"))


# --- start-up --------------------------------------------------------------------------------------------------------

HEAVY = {"pydantic", "pydantic_core", "jinja2", "rich", "deepdiff", "cryptography", "multiprocessing"}


def imported(*words: str | Path, cwd: Path = ROOT, code: int = 0) -> set[str]:
    """Every module that a run of Python imports."""
    command = [sys.executable, "-X", "importtime", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == code, done.stderr[-2000:]
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_the_command_line_by_itself_is_light() -> None:
    names = imported("-c", "import mailcfg.cli")
    assert "mailcfg.cli" in names
    assert names & (HEAVY | {"argparse", "tomllib", "json"}) == set()


def test_the_version_is_told_at_once() -> None:
    names = imported("-m", "mailcfg", "--version")
    assert names & (HEAVY | {"argparse", "mailcfg.cli"}) == set()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["build", "--help"], 0),
        (["buidl"], 2),
        (["build", "x.toml", "--no-such-option"], 2),
        (["platforms"], 0),
        (["platforms", "debian-12"], 0),
        (["token", "user"], 2),
        (["schema", "no-such-schema"], 2),
    ],
    ids=str,
)
def test_what_compiles_nothing_imports_no_library(words: list[str], code: int) -> None:
    assert imported("-m", "mailcfg", *words, code=code) & HEAVY == set()


def test_a_verb_is_imported_alone() -> None:
    script = "import sys; from mailcfg import cli; cli.main(['token', 'user']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], input="x", capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    names = done.stdout.splitlines()[1].split()
    assert [name for name in names if name.startswith("mailcfg.commands.")] == ["mailcfg.commands.token"]


def test_a_build_imports_what_it_uses(tmp_path: Path) -> None:
    names = imported("-m", "mailcfg", "build", ROOT / "sites/quickstart.toml", "--quiet", cwd=tmp_path)
    assert names & HEAVY == {"pydantic", "pydantic_core", "jinja2"}
