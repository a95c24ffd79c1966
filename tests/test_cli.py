"""The edge of the command line: exit statuses to the letter, and never a traceback."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import mailcfg.commands
from mailcfg import __version__, cli
from mailcfg.commands import platforms as platforms_command
from mailcfg.facts.platforms import platform_names
from mailcfg.schema import SCHEMAS
from tests.sites import ROOT

VERBS = sorted(path.stem for path in (ROOT / "mailcfg/commands").glob("[!_]*.py"))

COMMAND = [sys.executable, "-m", "mailcfg"]


def run(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, with nothing on its standard input."""
    return subprocess.run(
        [*COMMAND, *words],
        cwd=cwd,
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def test_the_numbers_that_scripts_rely_on() -> None:
    assert {code.name: int(code) for code in cli.ExitCode} == {
        "AGREES": 0,
        "FINDINGS": 1,
        "COULD_NOT_TELL": 2,
        "INTERNAL_ERROR": 3,
        "INTERRUPTED": 130,
    }


def test_help_names_every_verb_and_the_exit_statuses() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert [verb for verb in VERBS if f"\n    {verb}" not in done.stdout] == []
    assert " ".join(cli.EPILOG.split()) in " ".join(done.stdout.split())


@pytest.mark.parametrize("words", [["--version"], ["--version", "--help"]])
def test_version(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mailcfg {__version__}\n", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    done = run(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: mailcfg {verb} ")
    assert cli.EPILOG.split(":")[0] in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_a_verb_has_not(verb: str) -> None:
    done = run(verb, "x", "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: mailcfg ")
    # A verb without a target has not got that one either.
    assert re.search(r"unrecognized arguments: (x )?--no-such-option\n", done.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: VERB"),
        (["buidl"], "invalid choice: 'buidl'"),
        (["buil"], "invalid choice: 'buil'"),
        (["--no-such-option"], "required: VERB"),
        (["build"], "the following arguments are required: SITE.toml"),
        (["build", "x.toml", "--chec"], "unrecognized arguments: --chec"),
        (["build", "x.toml", "--format", "zip"], "invalid choice: 'zip'"),
        (["build", "x.toml", "--color", "blue"], "invalid choice: 'blue'"),
        (["build", "x.toml", "-j", "0"], "argument -j/--jobs: a number from 1 to 1024"),
        (["build", "x.toml", "-j", "all"], "argument -j/--jobs: a number from 1 to 1024"),
        (["build", "x.toml", "-j", "-1"], "argument -j/--jobs: a number from 1 to 1024"),
        (["token"], "the following arguments are required: USER"),
        (["token", "user", "password"], "unrecognized arguments: password"),
        (["schema", "site", "more"], "unrecognized arguments: more"),
        (["platforms", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_what_is_misspelt_exits_with_2_and_shows_the_usage(words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: mailcfg ")
    assert said in done.stderr


def test_build_exits_with_0_1_and_2(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('hostname = "mail.example.com"\nplatform = "debian-12"\n[mx]\ntls = "none"\n')
    assert run("build", "site.toml", "--check", cwd=tmp_path).returncode == 1
    assert run("build", "site.toml", cwd=tmp_path).returncode == 0
    assert run("build", "site.toml", "--check", cwd=tmp_path).returncode == 0
    assert run("build", "no.toml", cwd=tmp_path).returncode == 2
    (tmp_path / "bad.toml").write_text("hostname = 1\n")
    assert run("build", "bad.toml", "site.toml", "--check", cwd=tmp_path).returncode == 2


# --- schema and platforms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_prints_each_schema(name: str) -> None:
    done = run("schema", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / f"schemas/{name}.schema.json").read_text()
    Draft202012Validator.check_schema(json.loads(done.stdout))


def test_the_schema_of_a_policy_is_the_first_choice() -> None:
    assert run("schema").stdout == run("schema", "site").stdout


def test_an_unknown_schema() -> None:
    done = run("schema", "policy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"mailcfg: no schema 'policy': one of {', '.join(SCHEMAS)}\n"


def test_platforms_lists_them_all() -> None:
    done = run("platforms")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["PLATFORM", "POSTFIX", "OPENSSL", "BASIS"]
    assert [line.split()[0] for line in lines] == platform_names()


def test_platforms_as_json_is_valid() -> None:
    schema = json.loads((ROOT / "schemas/platforms.schema.json").read_text())
    for words, expected in (((), platform_names()), (("debian-12",), ["debian-12"])):
        done = run("platforms", *words, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        listing = json.loads(done.stdout)
        Draft202012Validator(schema).validate(listing)
        assert [row["id"] for row in listing["platforms"]] == expected


def test_one_platform_is_shown_with_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    for name in platform_names():
        assert cli.main(["platforms", name]) == 0
        assert capsys.readouterr().out == (ROOT / f"mailcfg/facts/platforms/{name}.toml").read_text()


def test_an_unknown_platform() -> None:
    done = run("platforms", "../guidelines/rfc9325")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mailcfg: unknown platform '../guidelines/rfc9325': one of alpine-3.20, arch,")


# --- what goes wrong inside ------------------------------------------------------------------------------------------


def break_it(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(arguments: argparse.Namespace) -> cli.ExitCode:
        raise error

    monkeypatch.setattr(platforms_command, "run", broken)


def test_an_internal_error_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_it(monkeypatch, LookupError("no such thing"))
    monkeypatch.delenv("MAILCFG_TRACEBACK", raising=False)
    assert cli.main(["platforms"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert first.startswith("mailcfg: internal error: LookupError at test_cli.py:")
    assert first.endswith(": no such thing")
    assert "MAILCFG_TRACEBACK=1" in second


def test_a_traceback_is_shown_on_demand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(monkeypatch, LookupError("no such thing"))
    monkeypatch.setenv("MAILCFG_TRACEBACK", "1")
    assert cli.main(["platforms"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):\n")
    assert "LookupError: no such thing\n" in said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (cli.Failure("do this instead"), 2, "mailcfg: do this instead\n"),
        (PermissionError(13, "Permission denied", "/etc/x"), 2, "mailcfg: /etc/x: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "mailcfg: No space left on device\n"),
        (OSError("odd"), 2, "mailcfg: odd\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_exception_becomes_an_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    break_it(monkeypatch, error)
    assert cli.main(["platforms"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), AssertionError(), ZeroDivisionError("x")])
def test_whatever_else_is_raised_is_internal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    break_it(monkeypatch, error)
    assert cli.main(["platforms"]) == 3
    assert "Traceback" not in capsys.readouterr().err


# --- interrupted, and readers that go away ---------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted(tmp_path: Path, jobs: str) -> None:
    """Ctrl-C reaches every process of the terminal; none of them says a word."""
    for index in range(1500):
        (tmp_path / f"s{index}.toml").write_text(
            f'hostname = "m{index}.example.com"\nplatform = "debian-12"\n[mx]\ntls = "none"\n'
        )
    names = sorted(path.name for path in tmp_path.glob("*.toml"))
    process = subprocess.Popen(
        [*COMMAND, "build", *names, "-j", jobs],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    started = time.monotonic()
    while not any((tmp_path / "dist").glob("s*")):
        assert time.monotonic() - started < 30, "nothing was built"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")
    done = len(list((tmp_path / "dist").glob("s*")))
    assert 0 < done < 1500
    for bundle in (tmp_path / "dist").glob("s*"):
        assert (bundle / "postfix/master.cf").is_file()


def shell(line: str, cwd: Path = ROOT) -> tuple[int, str]:
    """The exit status of `mailcfg`, which is $M in the line, and all that was said."""
    script = f'M() {{ "{sys.executable}" -m mailcfg "$@"; }}\n{line}'
    done = subprocess.run(["sh", "-c", script], cwd=cwd, text=True, capture_output=True, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    assert "Exception" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_reader_that_goes_away_sees_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "many.toml").write_text("".join(f"k{index} = 1\n" for index in range(3000)))
    for line in (
        "{ M schema; echo $? >code; } | head -c 1",
        "{ M build many.toml; echo $? >code; } 2>&1 | head -c 1",
    ):
        line = line.replace(">code", f">{tmp_path}/code")
        shell(line, tmp_path)
        assert (tmp_path / "code").read_text() in ("0\n", "2\n")


def test_a_reader_that_was_never_there() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, "schema"], stdout=writing, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    os.close(writing)
    assert (done.returncode, done.stderr) == (2, b"")


def test_standard_streams_that_are_closed(tmp_path: Path) -> None:
    """As some job runners start a command."""
    (tmp_path / "site.toml").write_text('hostname = "mail.example.com"\nplatform = "debian-12"\n[mx]\ntls = "none"\n')
    (tmp_path / "bad.toml").write_text("hostname = 1\n")
    for line, code in (
        ("M build site.toml >&-", 0),
        ("M build site.toml 2>&-", 0),
        ("M build site.toml --check <&- >&- 2>&-", 0),
        ("M build bad.toml >&- 2>&-", 2),
        ("M token user <&-", 2),
    ):
        assert shell(line, tmp_path)[0] == code, line


def test_standard_output_is_full() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert shell("M schema >/dev/full") == (2, "mailcfg: No space left on device\n")


# --- verbs -----------------------------------------------------------------------------------------------------------

VERB = """
HELP = "greet"


def configure(parser):
    parser.add_argument("name")


def run(arguments):
    print("hello", arguments.name)
    return 1
"""


def test_adding_a_verb_is_adding_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "greet.py").write_text(VERB)
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(mailcfg.commands, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(mailcfg.commands, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mailcfg.commands.greet", raising=False)
    try:
        assert cli.verbs() == ["greet"]
        assert cli.main(["greet", "world"]) == 1
        assert capsys.readouterr().out == "hello world\n"
    finally:
        sys.modules.pop("mailcfg.commands.greet", None)
