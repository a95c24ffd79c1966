"""What cannot be read is never in sync: exit status 2 within a second, and the thing is named."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.postfix import lab
from tests.stories.machine import Answer, Machine, mailcfg

MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
SASL = "/etc/postfix/sasl/smtpd.conf"
KEY = "/etc/ssl/private/mail.key"
CERTIFICATE = "/etc/ssl/certs/mail.pem"
SETTINGS = "/etc/default/saslauthd"

READ = [MAIN, MASTER, SASL, KEY, CERTIFICATE, SETTINGS]

NOBODY = 65534


def unknown(machine: Machine, file: str, *words: str, line: int | None = None) -> None:
    """The answer is that it could not be told because of that file, on every channel, at once."""
    start = time.monotonic()
    answer = machine.drift("--format", "json")
    lasted = time.monotonic() - start
    assert answer.code == 2, answer.out + answer.err
    told = answer.json
    assert told["status"] == "unknown"
    assert [(each["file"], each["line"]) for each in told["unknown"]] == [(file, line)], told["unknown"]
    place = f"{file}:{line}" if line else file
    assert f"mailcfg: {place}: " in answer.err
    for word in words:
        assert word in told["unknown"][0]["reason"]
    assert lasted < 1 + BARE, f"{lasted:.2f} s"
    text = machine.drift()
    assert text.code == 2
    assert file in text.out
    metrics = machine.drift("--format", "prometheus")
    assert metrics.code == 2
    assert 'status="unknown"} 1' in metrics.out


BARE = 1.5
"""Seconds that a slow machine may need to start Python and its libraries, beside the second that the reading has."""


def put(machine: Machine, path: str) -> Path:
    """Clear a file's place."""
    place = machine.at(path)
    place.unlink()
    return place


def a_directory(place: Path) -> None:
    place.mkdir()


def a_fifo(place: Path) -> None:
    os.mkfifo(place)


def a_dangling_link(place: Path) -> None:
    place.symlink_to("nowhere")


def a_link_in_a_circle(place: Path) -> None:
    place.symlink_to(place.name)


def a_socket(place: Path) -> None:
    here = os.getcwd()
    os.chdir(place.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place.name)
    finally:
        os.chdir(here)


def a_device_that_never_ends(place: Path) -> None:
    os.mknod(place, 0o666 | 0o020000, os.makedev(1, 5))


def a_file_too_large(place: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (a_directory, "directory"),
    (a_fifo, "FIFO"),
    (a_dangling_link, "leads to nothing"),
    (a_link_in_a_circle, "circle"),
    (a_socket, "socket"),
    (a_device_that_never_ends, "device"),
    (a_file_too_large, "larger than"),
]


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize(("kind", "word"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_something_else_in_its_place(machine: Machine, path: str, kind: Callable[[Path], None], word: str) -> None:
    kind(put(machine, path))
    unknown(machine, path, word)


@pytest.mark.parametrize("path", READ)
def test_a_link_out_of_the_root(machine: Machine, path: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    place = machine.at(path)
    shutil.copy(place, outside)
    place.unlink()
    place.symlink_to(outside)
    unknown(machine, path, "under the root")
    place.unlink()
    place.symlink_to("../" * 30 + str(outside)[1:])
    unknown(machine, path, "out of the root")


def test_a_directory_on_the_way_that_leaves_the_root(machine: Machine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    machine.at("/etc/ssl/private").rename(outside)
    machine.at("/etc/ssl/private").symlink_to(outside)
    unknown(machine, KEY, "under the root")


def test_links_inside_the_root_are_followed_as_the_machine_would(machine: Machine) -> None:
    os.rename(machine.at(MAIN), machine.at("/etc/main.cf"))
    machine.at(MAIN).symlink_to("/etc/main.cf")
    os.rename(machine.at(KEY), machine.at("/etc/mail.key"))
    machine.at(KEY).symlink_to("../../mail.key")
    answer = machine.drift()
    assert (answer.code, answer.out, answer.err) == (0, "", "")


@pytest.mark.parametrize(
    ("path", "text", "line", "word"),
    [
        (MAIN, "smtpd_tls_auth_only yes\n", 1, "missing '='"),
        (MAIN, "# a comment\n\n= value\n", 3, "missing attribute name"),
        (MAIN, "myhostname = a\n\0\n", 2, "missing attribute name"),
        (MAIN, "a = $b\nb = $a\nsmtpd_banner = $a\n", 3, "unreasonable macro call nesting"),
        (MAIN, "relayhost =\nsmtpd_banner = ${myhostname\n", 2, "macro processing error: truncated macro"),
        (MAIN, "compatibility_level = none\n", None, "malformed compatibility level"),
        (MASTER, "smtp inet n - n - - smtpd\n  -o smtpd_banner=${x\n", 2, "truncated macro reference"),
        (MASTER, "smtp inet n - n - smtpd\n", 1, "bad field count"),
        (MASTER, "# a comment\nsmtp foo n - n - - smtpd\n", 2, "invalid type field"),
        (MASTER, "smtp inet n - maybe - - smtpd\n", 1, "invalid chroot field"),
        (MASTER, "smtp inet n - n xx - smtpd\n", 1, "invalid wakeup field"),
        (SASL, "pwcheck_method: saslauthd\nmech_list PLAIN\n", 2, ""),
    ],
)
def test_what_the_daemons_refuse(machine: Machine, path: str, text: str, line: int | None, word: str) -> None:
    machine.write(path, text)
    unknown(machine, path, word, line=line)


def test_an_io_error(machine: Machine) -> None:
    """A process's memory is a regular file that cannot be read from its start."""
    lab.needs("mount", "umount")
    place = put(machine, MAIN)
    place.touch()
    lab.run("mount", "--bind", f"/proc/{os.getpid()}/mem", place)
    try:
        unknown(machine, MAIN, "Input/output error")
    finally:
        lab.run("umount", place)


AS_NOBODY = """
import contextlib, io, os, sys
from mailcfg import cli
words = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    cli.main(words)  # Python itself may lie where only root can read: all that is needed is read before.
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(cli.main(words))
"""


def as_nobody(machine: Machine, *words: str) -> Answer:
    """The command as an unprivileged user, on files that root owns."""
    command = [sys.executable, "-c", AS_NOBODY, "drift", str(machine.bundle), "--root", str(machine.root), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "MAILCFG_CACHE": ""})
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def open_machine(machine: Machine) -> Machine:
    """A machine whose directories everybody can enter."""
    for place in (machine.root, machine.bundle):
        for folder in [place, *place.parents]:
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o755)
    return machine


def test_an_unprivileged_user_who_can_read_all(open_machine: Machine) -> None:
    lab.needs("mount", "umount")
    open_machine.at(KEY).chmod(0o644)
    answer = as_nobody(open_machine, "--format", "json")
    assert answer.rows == [("mode", KEY, "")], answer.err


@pytest.mark.parametrize("path", READ)
def test_an_unprivileged_user_who_cannot(open_machine: Machine, path: str) -> None:
    lab.needs("mount", "umount")
    open_machine.at(KEY).chmod(0o644)
    open_machine.at(path).chmod(0o600)
    answer = as_nobody(open_machine, "--format", "json")
    assert answer.code == 2
    assert [(each["file"], each["reason"]) for each in answer.json["unknown"]] == [(path, "Permission denied")]


def test_a_copy_that_somebody_made_without_privileges(open_machine: Machine) -> None:
    """Its files belong to whoever copied them: that says nothing about the machine."""
    lab.needs("mount", "umount")
    for folder, _, files in os.walk(open_machine.root):
        for each in [folder, *(os.path.join(folder, file) for file in files)]:
            os.chown(each, NOBODY, NOBODY)
    answer = as_nobody(open_machine)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_drift_is_told_beside_what_could_not_be_read(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.at(KEY).unlink()
    machine.at(KEY).mkdir()
    answer = machine.drift()
    assert answer.code == 2
    assert "smtpd_tls_auth_only" in answer.out
    assert answer.out.splitlines()[-1] == f"quickstart: drift: 1 changed in 1 file; could not tell: {KEY}"


# --- the policy or the bundle ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.toml", None, "there is no such file"),
        ("bad.toml", "hostname = mail\n", "toml-syntax"),
        ("bad.toml", 'hostname = "mail.example.com"\nplatform = "debian-1"\n', "unknown platform"),
        ("bad.txt", "x", "neither a policy"),
        ("bad.tar", "x", "is no tar"),
        ("none.tar", None, "there is no such file"),
    ],
)
def test_a_policy_that_cannot_be_read(
    machine: Machine, tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    answer = machine.drift("--format", "json", target=path)
    assert answer.code == 2
    assert words in answer.err
    assert answer.json["status"] == "unknown"
    assert answer.json["unknown"]
    metrics = machine.drift("--format", "prometheus", "-o", tmp_path / "m.prom", target=path)
    assert metrics.code == 2
    assert 'status="unknown"} 1' in (tmp_path / "m.prom").read_text()


def test_a_bundle_that_is_not_what_was_built(machine: Machine, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(machine.bundle, bundle)
    settings = bundle / "saslauthd" / "saslauthd"
    settings.write_text(settings.read_text().replace("THREADS", "#"))
    answer = machine.drift(target=bundle)
    assert answer.code == 2
    assert "saslauthd/saslauthd is not what was built" in answer.err
    settings.unlink()
    assert "saslauthd/saslauthd is missing" in machine.drift(target=bundle).err


def test_a_bundle_in_which_something_is_new(machine: Machine, tmp_path: Path) -> None:
    """Also where the run before found all in sync and remembered it."""
    bundle = tmp_path / "bundle"
    shutil.copytree(machine.bundle, bundle)
    cache = str(tmp_path / "cache")
    for _ in range(2):
        answer = machine.drift(target=bundle, MAILCFG_CACHE=cache)
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    (bundle / "postfix" / "main.cf.orig").write_text("")
    answer = machine.drift(target=bundle, MAILCFG_CACHE=cache)
    assert answer.code == 2
    assert "postfix/main.cf.orig is not in the manifest" in answer.err
    (bundle / "postfix" / "main.cf.orig").unlink()
    assert machine.drift(target=bundle, MAILCFG_CACHE=cache).code == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"mailcfg/manifest/1"', '"mailcfg/manifest/2"', "this mailcfg reads mailcfg/manifest/1"),
        ('"mailcfg/manifest/1"', '"other"', "is no manifest"),
        ('"site": "quickstart",', "", "is damaged"),
        ('"line": 3', '"line": "3"', "is damaged"),
        ('"debian-12"', '"debian-99"', "knows no platform"),
        ("{", "[", "is not JSON"),
    ],
)
def test_a_damaged_manifest(machine: Machine, tmp_path: Path, old: str, new: str, words: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(machine.bundle, bundle)
    path = bundle / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    answer = machine.drift(target=bundle)
    assert answer.code == 2
    assert words in answer.err
    assert "manifest.json" in answer.err


def test_a_directory_that_is_no_bundle(machine: Machine, tmp_path: Path) -> None:
    answer = machine.drift(target=tmp_path)
    assert answer.code == 2
    assert "no manifest.json" in answer.err


def test_wrong_usage(machine: Machine, tmp_path: Path) -> None:
    assert mailcfg("drift", machine.bundle, "--root", tmp_path / "none").code == 2
    assert mailcfg("drift", machine.bundle, "--config-dir", "etc").code == 2
    assert mailcfg("drift", machine.bundle, "--format", "yaml").code == 2
    answer = machine.drift("-o", tmp_path / "no" / "such" / "file")
    assert answer.code == 2
    assert "no/such/file" in answer.err
