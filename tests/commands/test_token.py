"""`mailcfg token`: one line that decodes to what was typed, and a password that nobody sees on the way."""

from __future__ import annotations

import argparse
import base64
import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcfg.cli import ExitCode, Failure
from mailcfg.commands import token

PASSWORD = "kL8-never-shown"

COMMAND = [sys.executable, "-m", "mailcfg", "token"]


class Input:
    """A standard input that is no terminal."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False


def token_of(monkeypatch: pytest.MonkeyPatch, user: str, given: bytes) -> str:
    """What the verb prints for a user, inside this process."""
    said = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", Input(given))
        patch.setattr(sys, "stdout", said)
        assert token.run(argparse.Namespace(user=user)) is ExitCode.AGREES
    return said.getvalue()


same_patch = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@same_patch
@given(
    user=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    password=st.binary(min_size=1).filter(lambda password: b"\0" not in password),
)
def test_a_token_decodes_to_user_and_password(monkeypatch: pytest.MonkeyPatch, user: str, password: bytes) -> None:
    line = token_of(monkeypatch, user, password + b"\n")
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert base64.b64decode(line[:-1], validate=True) == b"\0" + user.encode() + b"\0" + password


@pytest.mark.parametrize(
    ("given", "password"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
        (b"secret\r\n", b"secret\r"),
        (b" secret ", b" secret "),
        (b"two\nlines\n", b"two\nlines"),
        (b"x" * 1000, b"x" * 1000),
        (b"a@b$HOME`id`'\"\\", b"a@b$HOME`id`'\"\\"),
        ("päßwörd\n".encode(), "päßwörd".encode()),
        (b"\xff\xfe\x80\n", b"\xff\xfe\x80"),
    ],
)
def test_of_standard_input_only_one_newline_at_the_end_is_dropped(
    monkeypatch: pytest.MonkeyPatch, given: bytes, password: bytes
) -> None:
    line = token_of(monkeypatch, "test", given)
    assert base64.b64decode(line) == b"\0test\0" + password
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("user", "given", "word"),
    [
        ("test", b"", "the password is empty"),
        ("test", b"\n", "the password is empty"),
        ("test", b"a\0b", "NUL"),
        ("test", b"\0", "NUL"),
        ("", b"secret", "the user name is empty"),
    ],
)
def test_what_auth_plain_cannot_carry(monkeypatch: pytest.MonkeyPatch, user: str, given: bytes, word: str) -> None:
    with pytest.raises(Failure, match=word):
        token_of(monkeypatch, user, given)


@pytest.mark.parametrize(
    ("user", "given", "code", "decoded"),
    [
        (b"test", b"testpass\n", 0, b"\0test\0testpass"),
        (b"test@example.com", b"p$a@s s", 0, b"\0test@example.com\0p$a@s s"),
        ("jürgen".encode(), b"\xe4\xf6\n", 0, "\0jürgen\0".encode() + b"\xe4\xf6"),
        (b"\xff\xfe", b"x" * 1000, 0, b"\0\xff\xfe\0" + b"x" * 1000),
        (b"test", b"a\0b", 2, b""),
    ],
)
def test_as_a_person_runs_it(user: bytes, given: bytes, code: int, decoded: bytes) -> None:
    done = subprocess.run([*COMMAND, user], input=given, capture_output=True, timeout=30)
    assert done.returncode == code
    assert base64.b64decode(done.stdout) == decoded
    assert (done.stderr == b"") == (code == 0)
    assert b"Traceback" not in done.stderr


def test_the_well_known_example() -> None:
    """The pair that HOWTOs show, for a reader to compare."""
    done = subprocess.run([*COMMAND, "test"], input=b"testpass", capture_output=True, timeout=30)
    assert done.stdout == b"AHRlc3QAdGVzdHBhc3M=\n"


# --- at a terminal ---------------------------------------------------------------------------------------------------


def read_until(terminal: int, wanted: bytes, said: bytes) -> bytes:
    end = time.monotonic() + 20
    while wanted not in said:
        assert time.monotonic() < end, said
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 4096)
    return said


def typed(keys: bytes) -> tuple[int, bytes, bytes]:
    """Exit status, all that the terminal showed, and the process's arguments while it was waiting for the keys."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(COMMAND[0], [*COMMAND, "test"])
    said = read_until(terminal, b"Password:", b"")
    arguments = b""
    if Path("/proc/self/cmdline").exists():
        arguments = Path(f"/proc/{child}/cmdline").read_bytes() + Path(f"/proc/{child}/environ").read_bytes()
    time.sleep(0.1)  # Echo is switched off just before the prompt; a fast typist cannot be faster than that.
    os.write(terminal, keys)
    end = time.monotonic() + 20
    while True:
        if not select.select([terminal], [], [], 2)[0]:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            elif keys == b"\x03":
                # Python misses the one that comes between its look for signals and its wait for a line.
                os.write(terminal, keys)
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:  # The terminal's last user is gone.
            break
        if not data:
            break
        said += data
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said, arguments


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_password_that_is_typed_is_shown_nowhere() -> None:
    code, said, arguments = typed(PASSWORD.encode() + b"\n")
    assert code == 0
    token = base64.b64encode(b"\0test\0" + PASSWORD.encode())
    assert said.replace(b"\r", b"").split() == [b"Password:", token]
    assert PASSWORD.encode() not in said + arguments


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("keys", "code", "word"),
    [
        (b"\n", 2, b"the password is empty"),
        (b"\x04", 2, b"the password is empty"),
        (b"caf\xe9\n", 2, b"no valid text"),
        (b"\x03", 130, b"Password:"),
    ],
    ids=["nothing", "control-d", "latin-1", "control-c"],
)
def test_other_keys_at_the_prompt(keys: bytes, code: int, word: bytes) -> None:
    exited, said, _ = typed(keys)
    assert exited == code, said
    assert word in said
    assert b"Traceback" not in said
