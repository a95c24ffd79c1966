"""`mailcfg build`, really run: the same input gives the same bytes, all or nothing, and nothing of others is lost."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mailcfg import cli, host
from tests.postfix import lab
from tests.sites import GOLDEN, ROOT, SITES

SMALL = """hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "rfc9325"
[certificates.mail]
issuer = "existing"
[mx]
"""
"""A policy with few files, one of them a script, for tests that build often."""

OTHER = SMALL.replace("mail.example.com", "mx.example.com").replace("[mx]", "[mx]\n[outbound]")


def mailcfg(
    *words: str | Path, cwd: Path, code: int = 0, prefix: tuple[str, ...] = (), umask: int = -1, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command and expect an exit status; whatever happens, no traceback."""
    command = [*prefix, sys.executable, "-m", "mailcfg", *map(str, words)]
    done = subprocess.run(
        command, cwd=cwd, text=True, capture_output=True, timeout=60, umask=umask, env={**os.environ, **environment}
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done


Tree = dict[str, tuple[int, bytes | str | None]]


def tree(folder: Path) -> Tree:
    """All below a directory: the mode of each entry, and bytes, a link's target, or None for a directory."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (0, str(path.readlink()))
        else:
            found[name] = (stat.S_IMODE(status.st_mode), None if path.is_dir() else path.read_bytes())
    return found


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What any touch of a file or directory would change."""
    statuses = {str(path): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {path: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for path, status in statuses.items()}


def workshops(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(f"{host.Workshop.PREFIX}*")]


def site(folder: Path, text: str = SMALL, name: str = "site.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# --- same input, same bytes ------------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_tree_everywhere(tmp_path: Path) -> None:
    names = sorted(path.name for path in (ROOT / "sites").glob("*.toml"))
    mailcfg(
        "build", *names, "-o", tmp_path / "a", "--allow-findings", cwd=ROOT / "sites",
        umask=0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="1",
    )  # fmt: skip
    mailcfg(
        "build", *(ROOT / "sites" / name for name in reversed(names)), "-o", "b", "--allow-findings", cwd=tmp_path,
        umask=0o002, TZ="America/New_York", LC_ALL="C.UTF-8", PYTHONHASHSEED="2", SOURCE_DATE_EPOCH="1",
    )  # fmt: skip
    mailcfg(
        "build", *(f"sites/{name}" for name in names), "-o", tmp_path / "c/deep/down", "-j", "2", "--allow-findings",
        cwd=ROOT,
        umask=0o027, LC_ALL="POSIX", PYTHONHASHSEED="3", PYTHONIOENCODING="ascii",
    )  # fmt: skip
    one = tree(tmp_path / "a")
    assert tree(tmp_path / "b") == one
    assert tree(tmp_path / "c/deep/down") == one
    golden = {str(path.relative_to(GOLDEN)): path.read_bytes() for path in GOLDEN.rglob("*") if path.is_file()}
    assert {name: data for name, (_, data) in one.items() if data is not None} == golden


def test_modes_are_those_of_plain_files_and_scripts(tmp_path: Path) -> None:
    mailcfg("build", ROOT / "sites/office-berlin.toml", cwd=tmp_path, umask=0o077)
    for name, (mode, data) in tree(tmp_path / "dist/office-berlin").items():
        assert mode == (0o755 if data is None or name.endswith(".sh") else 0o644), name


def test_without_a_directory_named_bundles_go_to_dist(tmp_path: Path) -> None:
    done = mailcfg("build", site(tmp_path), cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "dist/site").iterdir()) == ["manifest.json", "openssl", "postfix"]
    assert done.stdout.startswith("dist/site: built, 4 files\n")
    assert "sh openssl/mail.sh" in done.stdout
    assert done.stderr == ""


# --- check and rebuild -----------------------------------------------------------------------------------------------


def test_check_agrees_with_what_was_built(tmp_path: Path) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    before = state(tmp_path)
    assert "unchanged" in mailcfg("build", policy, "--check", cwd=tmp_path).stdout
    assert state(tmp_path) == before


def test_check_of_nothing_says_missing_and_makes_nothing(tmp_path: Path) -> None:
    policy = site(tmp_path)
    before = state(tmp_path)
    assert "dist/site: stale: missing" in mailcfg("build", policy, "--check", cwd=tmp_path, code=1).stdout
    assert state(tmp_path) == before


def spoil_content(bundle: Path) -> None:
    (bundle / "postfix/main.cf").write_text("")


def spoil_by_removal(bundle: Path) -> None:
    (bundle / "postfix/master.cf").unlink()


def spoil_by_addition(bundle: Path) -> None:
    (bundle / "postfix/more.cf").write_text("")


def spoil_mode(bundle: Path) -> None:
    (bundle / "openssl/mail.sh").chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (spoil_content, "postfix/main.cf"),
        (spoil_by_removal, "postfix/master.cf"),
        (spoil_by_addition, "postfix/more.cf"),
        (spoil_mode, "the mode of a script"),
    ],
)
def test_check_names_what_is_stale_and_touches_nothing(tmp_path: Path, spoil: Any, word: str) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    spoil(tmp_path / "dist/site")
    before = state(tmp_path)
    assert f"dist/site: stale: differs in {word}\n" in mailcfg("build", policy, "--check", cwd=tmp_path, code=1).stdout
    assert state(tmp_path) == before


def test_a_changed_policy_is_stale_until_it_is_built(tmp_path: Path) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    site(tmp_path, OTHER)
    mailcfg("build", policy, "--check", cwd=tmp_path, code=1)
    mailcfg("build", policy, cwd=tmp_path)
    mailcfg("build", policy, "--check", cwd=tmp_path)


def test_a_script_that_lost_its_mode_gets_it_back(tmp_path: Path) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    spoil_mode(tmp_path / "dist/site")
    mailcfg("build", policy, cwd=tmp_path)
    assert stat.S_IMODE((tmp_path / "dist/site/openssl/mail.sh").stat().st_mode) == 0o755


def test_check_tells_a_broken_policy_from_a_stale_bundle(tmp_path: Path) -> None:
    site(tmp_path, "", "broken.toml")
    mailcfg("build", site(tmp_path), "broken.toml", "--check", cwd=tmp_path, code=2)


@pytest.mark.parametrize("kind", ["tree", "tar"])
def test_a_rebuild_without_a_change_touches_no_bundle(tmp_path: Path, kind: str) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, "--format", kind, cwd=tmp_path)
    (bundle,) = (tmp_path / "dist").iterdir()
    before = state(bundle)
    assert "unchanged" in mailcfg("build", policy, "--format", kind, cwd=tmp_path).stdout
    assert state(bundle) == before
    assert workshops(tmp_path / "dist") == []


def test_files_that_a_policy_no_longer_needs_go(tmp_path: Path) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    site(tmp_path, 'hostname = "mail.example.com"\nplatform = "debian-12"\n[outbound]\ntls = "none"\n')
    mailcfg("build", policy, cwd=tmp_path)
    assert [name for name, (_, data) in tree(tmp_path / "dist/site").items() if data] == [
        "manifest.json",
        "postfix/main.cf",
    ]


# --- tar -------------------------------------------------------------------------------------------------------------


def test_a_tar_holds_the_tree_and_nothing_of_the_machine(tmp_path: Path) -> None:
    policies = [path for path in SITES if path.stem in ("quickstart", "office-berlin")]
    mailcfg("build", *policies, "-o", "tree", cwd=tmp_path)
    mailcfg("build", *policies, "-o", "one", "--format", "tar", cwd=tmp_path, umask=0o077, TZ="Asia/Tokyo")
    time.sleep(1.1)  # A time of day in it would show.
    elsewhere = tmp_path / "else" / "where"
    shutil.copytree(policies[0].parent, elsewhere)
    mailcfg(
        "build", *(path.name for path in policies), "-o", tmp_path / "two", "--format", "tar", cwd=elsewhere,
        umask=0o002, TZ="America/New_York", LC_ALL="POSIX", LANG="de_DE.UTF-8", PYTHONHASHSEED="7",
    )  # fmt: skip
    assert tree(tmp_path / "two").keys() == {"office-berlin.tar", "quickstart.tar"}
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    built = tree(tmp_path / "tree")
    for name in ("office-berlin", "quickstart"):
        data = (tmp_path / f"one/{name}.tar").read_bytes()
        assert data.startswith(f"{name}/manifest.json".encode())
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            for member in members:
                assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
                assert member.isfile()
                file = archive.extractfile(member)
                assert file is not None
                assert built.pop(member.name) == (member.mode, file.read())
    assert {data for _, data in built.values()} == {None}


def test_check_of_a_tar(tmp_path: Path) -> None:
    policy = site(tmp_path)
    words: list[str | Path] = ["build", policy, "--format", "tar"]
    assert "stale: missing" in mailcfg(*words, "--check", cwd=tmp_path, code=1).stdout
    mailcfg(*words, cwd=tmp_path)
    mailcfg(*words, "--check", cwd=tmp_path)
    with (tmp_path / "dist/site.tar").open("ab") as file:
        file.write(b"\0")
    before = state(tmp_path)
    assert "dist/site.tar: stale: differs" in mailcfg(*words, "--check", cwd=tmp_path, code=1).stdout
    assert state(tmp_path) == before


def test_a_tar_of_a_site_with_a_long_name(tmp_path: Path) -> None:
    policy = site(tmp_path, name=f"{'long-' * 40}name.toml")
    mailcfg("build", policy, "--format", "tar", cwd=tmp_path)
    with tarfile.open(tmp_path / f"dist/{policy.stem}.tar") as archive:
        assert archive.getnames()[0] == f"{policy.stem}/manifest.json"


def test_a_directory_where_the_tar_belongs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dist/site.tar").mkdir(parents=True)
    said = mailcfg("build", site(tmp_path), "--format", "tar", cwd=tmp_path, code=2).stderr
    assert "dist/site.tar: Is a directory" in said


# --- all or nothing --------------------------------------------------------------------------------------------------

TOUCHING = "mkdir,openat,write,flock,fchmod,chmod,rename,renameat2,unlinkat,rmdir"
"""The system calls with which a build changes, reads or locks anything in its output."""


def moments(trace: str, output: Path) -> list[tuple[str, int]]:
    """Of each system call that touches the output: its name, and its how-manieth call of that name it is."""
    counts: dict[str, int] = {}
    found: list[tuple[str, int]] = []
    for line in trace.splitlines():
        name = re.sub(r"^\d+\s+", "", line).partition("(")[0]
        counts[name] = counts.get(name, 0) + 1
        if f"{output}" in line:
            found.append((name, counts[name]))
    return found


def test_killed_at_any_system_call_the_old_bundle_or_the_new_one_stands(tmp_path: Path) -> None:
    """SIGKILL, which no handler sees, at each call that touches the output directory."""
    lab.needs("strace")
    policy = site(tmp_path, OTHER)
    mailcfg("build", policy, "-o", "new", cwd=tmp_path)
    site(tmp_path)
    mailcfg("build", policy, "-o", "old", cwd=tmp_path)
    site(tmp_path, OTHER)
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    assert old != new

    def build(output: Path, *options: str) -> int:
        command = ["strace", "-f", "-qq", "-y", *options]
        command += [sys.executable, "-m", "mailcfg", "build", str(policy), "-o", str(output), "--quiet"]
        return subprocess.run(command, capture_output=True, timeout=60).returncode

    def killed_at(moment: tuple[str, int]) -> tuple[tuple[str, int], Path, int]:
        name, count = moment
        output = tmp_path / f"at-{name}-{count}"
        shutil.copytree(tmp_path / "old", output)
        inject = f"inject={name}:signal=KILL:when={count}"
        return moment, output, build(output, "-e", f"trace={name}", "-e", inject, "-o", "/dev/null")

    shutil.copytree(tmp_path / "old", tmp_path / "traced")
    assert build(tmp_path / "traced", "-e", f"trace={TOUCHING}", "-o", str(tmp_path / "log")) == 0
    assert tree(tmp_path / "traced") == new
    points = moments((tmp_path / "log").read_text(), tmp_path / "traced")
    assert {"mkdir", "openat", "write", "flock", "rename", "renameat2", "unlinkat"} <= {name for name, _ in points}
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(killed_at, points))
    stands: list[Tree] = []
    for moment, output, code in outcomes:
        assert code == -signal.SIGKILL, (moment, code)
        bundle = {f"site/{name}": entry for name, entry in tree(output / "site").items()}
        bundle["site"] = tree(output)["site"]
        assert bundle in (old, new), moment
        stands.append(bundle)
        assert cli.main(["build", str(policy), "-o", str(output), "--quiet"]) == 0
        assert tree(output) == new, moment
    assert old in stands
    assert new in stands


def test_killed_at_random_the_next_build_puts_all_in_order(tmp_path: Path) -> None:
    """Two processes at work on many sites, killed together."""
    many(tmp_path, 250)
    names = sorted(path.name for path in tmp_path.glob("*.toml"))
    command = [sys.executable, "-m", "mailcfg", "build", *names, "-j", "2", "--quiet"]
    for delay in (0.25, 0.45, 0.65):
        process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    mailcfg("build", *names, "--quiet", cwd=tmp_path)
    mailcfg("build", *names, "--quiet", "--check", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == [name[:-5] for name in names]


def test_without_an_exchange_of_names_the_bundle_is_switched_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems other than Linux, and on file systems that cannot."""
    policy = site(tmp_path)
    monkeypatch.setattr(host, "exchange", lambda one, other: False)
    assert cli.main(["build", str(policy), "-o", str(tmp_path / "dist"), "--quiet"]) == 0
    old = tree(tmp_path / "dist")
    site(tmp_path, OTHER)
    assert cli.main(["build", str(policy), "-o", str(tmp_path / "dist"), "--quiet"]) == 0
    assert tree(tmp_path / "dist").keys() == old.keys()
    assert tree(tmp_path / "dist") != old


# --- several at once -------------------------------------------------------------------------------------------------


def test_builds_at_once_do_no_harm(tmp_path: Path) -> None:
    """Two checkouts that differ, built again and again into one directory: every bundle is one of the two, whole."""
    wanted: list[Tree] = []
    for name, text in (("one", SMALL), ("two", OTHER)):
        (tmp_path / name).mkdir()
        for index in range(12):
            site(tmp_path / name, text, f"s{index}.toml")
        mailcfg("build", *sorted((tmp_path / name).glob("*.toml")), "-o", f"alone-{name}", "--quiet", cwd=tmp_path)
        wanted.append(tree(tmp_path / f"alone-{name}"))
    for _ in range(4):
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "mailcfg", "build", *sorted((tmp_path / name).glob("*.toml")), "--quiet"],
                cwd=tmp_path,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name in ("one", "two", "one")
        ]
        for process in processes:
            assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)
        assert workshops(tmp_path / "dist") == []
        found = tree(tmp_path / "dist")
        assert found.keys() == wanted[0].keys()
        for index in range(12):
            names = [name for name in found if name.split("/")[0] == f"s{index}"]
            assert {name: found[name] for name in names} in [{name: each[name] for name in names} for each in wanted]


def test_the_workshop_of_a_live_build_is_left_alone(tmp_path: Path) -> None:
    with host.Workshop(str(tmp_path / "dist")) as busy:
        mailcfg("build", site(tmp_path), cwd=tmp_path)
        assert workshops(tmp_path / "dist") == [Path(busy.path).name]
    assert workshops(tmp_path / "dist") == []


def test_a_workshop_swept_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = tempfile.mkdtemp, []

    def swept(*, prefix: str, dir: str) -> str:
        path = real(prefix=prefix, dir=dir)
        made.append(path)
        if len(made) == 1:
            os.rmdir(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with host.Workshop(str(tmp_path)) as workshop:
        workshop.place_tree("site", {"a": b"1"}, {})
    assert len(made) == 2
    assert tree(tmp_path) == {"site": (0o755, None), "site/a": (0o644, b"1")}


# --- nothing of others is lost ---------------------------------------------------------------------------------------


def leave_notes(bundle: Path) -> str:
    (bundle / "postfix/notes.txt").write_text("mine")
    return "postfix/notes.txt"


def leave_a_link(bundle: Path) -> str:
    (bundle / "old").symlink_to("/nonexistent")
    return "old"


def leave_a_link_to_a_directory(bundle: Path) -> str:
    (bundle / "shared").symlink_to(bundle.parent)
    return "shared"


def leave_a_fifo(bundle: Path) -> str:
    os.mkfifo(bundle / "pipe")
    return "pipe"


@pytest.mark.parametrize("leave", [leave_notes, leave_a_link, leave_a_link_to_a_directory, leave_a_fifo])
@pytest.mark.parametrize("text", [SMALL, OTHER], ids=["unchanged", "changed"])
def test_what_is_not_of_a_bundle_is_never_lost(tmp_path: Path, leave: Any, text: str) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    name = leave(tmp_path / "dist/site")
    site(tmp_path, text)
    before = state(tmp_path / "dist/site")
    said = mailcfg("build", policy, cwd=tmp_path, code=2).stderr
    assert f"dist/site holds what is not of a bundle, and would be lost: {name}\n" in said
    assert state(tmp_path / "dist/site") == before
    assert workshops(tmp_path / "dist") == []


def test_a_directory_that_no_build_made_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "dist/site").mkdir(parents=True)
    (tmp_path / "dist/site/manifest.json").write_text('{"name": "a web application"}')
    (tmp_path / "dist/site/index.html").write_text("<html>")
    before = state(tmp_path / "dist/site")
    said = mailcfg("build", site(tmp_path), cwd=tmp_path, code=2).stderr
    assert "would be lost: index.html, manifest.json" in said
    assert state(tmp_path / "dist/site") == before


def put_file(place: Path, elsewhere: Path) -> None:
    place.write_text("mine")


def put_link_to_bundle(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere)


def put_link_to_file(place: Path, elsewhere: Path) -> None:
    place.symlink_to(elsewhere / "manifest.json")


def put_dangling_link(place: Path, elsewhere: Path) -> None:
    place.symlink_to("nowhere")


@pytest.mark.parametrize("put", [put_file, put_link_to_bundle, put_link_to_file, put_dangling_link])
@pytest.mark.parametrize("text", [SMALL, OTHER], ids=["unchanged", "changed"])
def test_what_is_in_the_way_of_a_bundle_stays(tmp_path: Path, put: Any, text: str) -> None:
    """A link is not followed, even to a bundle: whoever reads the other name would find it changed."""
    policy = site(tmp_path)
    mailcfg("build", policy, "-o", "elsewhere", cwd=tmp_path)
    (tmp_path / "dist").mkdir()
    put(tmp_path / "dist/site", tmp_path / "elsewhere/site")
    site(tmp_path, text)
    before = tree(tmp_path)
    for options in ([], ["--check"]):
        said = mailcfg("build", policy, *options, cwd=tmp_path, code=2).stderr
        assert "dist/site is in the way and not a directory: move it\n" in said
        assert tree(tmp_path) == before


def test_the_output_may_be_a_link_to_a_directory(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "dist").symlink_to("volume")
    mailcfg("build", site(tmp_path), cwd=tmp_path)
    assert (tmp_path / "volume/site/manifest.json").is_file()


def test_the_output_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("mine")
    said = mailcfg("build", site(tmp_path), cwd=tmp_path, code=2).stderr
    assert said == "mailcfg: dist: File exists\n"
    assert (tmp_path / "dist").read_text() == "mine"


def without_privileges() -> tuple[str, ...]:
    """A command in front that makes even root respect modes. Another user might not reach this Python."""
    if os.geteuid() != 0:
        return ()
    lab.needs("setpriv")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def test_the_output_cannot_be_written(tmp_path: Path) -> None:
    prefix = without_privileges()
    (tmp_path / "dist").mkdir(mode=0o555)
    said = mailcfg("build", site(tmp_path), cwd=tmp_path, prefix=prefix, code=2).stderr
    assert re.fullmatch(r"mailcfg: dist/\S+: Permission denied\n", said)
    assert list((tmp_path / "dist").iterdir()) == []


@pytest.mark.parametrize("hidden", ["site", "site/postfix", "site/postfix/main.cf"])
def test_what_cannot_be_read_is_neither_fresh_nor_stale(tmp_path: Path, hidden: str) -> None:
    prefix = without_privileges()
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    path = tmp_path / "dist" / hidden
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0)
    try:
        said = mailcfg("build", policy, "--check", cwd=tmp_path, prefix=prefix, code=2).stderr
        assert said == f"mailcfg: {policy}: dist/{hidden}: Permission denied\n"
    finally:
        path.chmod(mode)


def test_a_bundle_that_cannot_be_read_stops_no_other(tmp_path: Path) -> None:
    prefix = without_privileges()
    policies = [site(tmp_path, name=f"{name}.toml") for name in ("a", "b", "c")]
    mailcfg("build", policies[1], cwd=tmp_path)
    (tmp_path / "dist/b/manifest.json").chmod(0)
    mailcfg("build", *policies, cwd=tmp_path, prefix=prefix, code=2)
    assert {path.name for path in (tmp_path / "dist").iterdir()} == {"a", "b", "c"}


@contextmanager
def tiny_disk(path: Path) -> Iterator[Path]:
    lab.needs("mount", "umount")
    path.mkdir()
    mounted = lab.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        lab.run("umount", path)


def test_the_disk_is_full(tmp_path: Path) -> None:
    policy = site(tmp_path)
    with tiny_disk(tmp_path / "disk") as disk:
        mailcfg("build", policy, "-o", disk, cwd=tmp_path)
        old = tree(disk)
        site(tmp_path, OTHER)
        ballast = disk / "ballast"
        room = os.statvfs(disk)
        ballast.write_bytes(bytes(room.f_bavail * room.f_frsize - 3 * room.f_frsize))
        said = mailcfg("build", policy, "-o", disk, cwd=tmp_path, code=2).stderr
        assert said == f"mailcfg: {policy}: {disk}/site: No space left on device\n"
        ballast.unlink()
        assert tree(disk) == old
        mailcfg("build", policy, "-o", disk, cwd=tmp_path)
        assert tree(disk) != old


def test_a_file_cannot_be_written_whole(tmp_path: Path) -> None:
    """The same without root: a limit on the size of files, under which write(2) does less than it was asked for."""
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    old = tree(tmp_path / "dist")
    site(tmp_path, OTHER)
    done = subprocess.run(
        [sys.executable, "-m", "mailcfg", "build", policy],
        cwd=tmp_path,
        text=True,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert (done.returncode, done.stderr) == (2, f"mailcfg: {policy}: dist/site: File too large\n")
    assert tree(tmp_path / "dist") == old


# --- many sites ------------------------------------------------------------------------------------------------------


def many(folder: Path, number: int) -> list[Path]:
    texts = [SMALL.replace("mail.example.com", f"mail{index}.example.com") for index in range(number)]
    return [site(folder, text, f"s{index:04}.toml") for index, text in enumerate(texts)]


def test_three_hundred_sites_on_two_processes(tmp_path: Path) -> None:
    policies = many(tmp_path, 300)
    done = mailcfg("build", *policies, "-j", "2", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("300 sites: 300 built\n", "")
    for policy in policies:
        hostname = json.loads((tmp_path / f"dist/{policy.stem}/manifest.json").read_text())["hostname"]
        assert hostname == f"mail{int(policy.stem[1:])}.example.com"
    assert len(list((tmp_path / "dist").iterdir())) == 300
    policies[7].write_text(OTHER)
    policies[150].write_text("hostname = 1\n")
    policies[299].unlink()
    done = mailcfg("build", *policies, "-j", "2", cwd=tmp_path, code=2)
    assert done.stdout == "300 sites: 1 built, 2 failed, 297 unchanged\n"
    assert f"{policies[150]}:1:" in done.stderr
    assert f"{policies[299]}: error[file-missing]" in done.stderr
    done = mailcfg("build", *policies[:299], "-j", "2", "--check", "--quiet", cwd=tmp_path, code=2)
    assert done.stdout == ""


def test_one_broken_site_stops_no_other(tmp_path: Path) -> None:
    broken = site(tmp_path, "hostname = \n", "b.toml")
    done = mailcfg("build", site(tmp_path, name="a.toml"), broken, site(tmp_path, name="c.toml"), cwd=tmp_path, code=2)
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == ["a", "c"]
    assert f"{broken}:1:12: error[toml-syntax]" in done.stderr
    assert f"mailcfg: {broken}: 1 error, nothing written" in done.stderr


def test_a_broken_policy_leaves_its_bundle_as_it_was(tmp_path: Path) -> None:
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    before = state(tmp_path / "dist/site")
    site(tmp_path, "hostname = 1\n")
    mailcfg("build", policy, cwd=tmp_path, code=2)
    assert state(tmp_path / "dist/site") == before


def test_two_policies_of_one_name_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    said = mailcfg("build", site(tmp_path), site(tmp_path / "other"), cwd=tmp_path, code=2).stderr
    assert "would both become the bundle of site.toml: rename one of them" in said
    assert not (tmp_path / "dist").exists()


def test_a_policy_named_twice_is_built_once(tmp_path: Path) -> None:
    policy = site(tmp_path)
    assert mailcfg("build", policy, policy, cwd=tmp_path).stdout.count("dist/site: built") == 1


def test_a_base_among_sites_is_passed_over(tmp_path: Path) -> None:
    base = site(tmp_path, SMALL, "base-office.toml")
    berlin = site(tmp_path, 'extends = "base-office.toml"\nhostname = "b.example.com"\n', "berlin.toml")
    mailcfg("build", base, berlin, cwd=tmp_path)
    assert [path.name for path in (tmp_path / "dist").iterdir()] == ["berlin"]


# --- extends ---------------------------------------------------------------------------------------------------------

WORLD = """platform = "debian-12"

[tls]
guideline = "mozilla-5.8-intermediate"
log_level = 0

[certificates.mail]
issuer = "existing"

[mx]

[outbound]
tls = "dane"

[postfix.main]
message_size_limit = 1000
header_size_limit = 2000
mailbox_size_limit = 3000
"""
EUROPE = """extends = "shared/base-world.toml"

[tls]
log_level = 1

[mx]
client_restrictions = ["permit_mynetworks"]

[postfix.main]
message_size_limit = 1001
header_size_limit = 2001
"""
BERLIN = """extends = "../base-europe.toml"
hostname = "berlin.example.com"

[tls]
received_header = false

[postfix.main]
message_size_limit = 1002
"""


def test_three_levels_are_merged_and_the_nearest_wins(tmp_path: Path) -> None:
    files = {"shared/base-world.toml": WORLD, "base-europe.toml": EUROPE, "sites/berlin.toml": BERLIN}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    mailcfg("build", "sites/berlin.toml", cwd=tmp_path)
    manifest = json.loads((tmp_path / "dist/berlin/manifest.json").read_text())
    wanted = {
        "myhostname": ("berlin.example.com", "sites/berlin.toml", "hostname = "),
        "message_size_limit": ("1002", "sites/berlin.toml", "message_size_limit = 1002"),
        "smtpd_tls_received_header": ("no", "sites/berlin.toml", "received_header = false"),
        "header_size_limit": ("2001", "base-europe.toml", "header_size_limit = 2001"),
        "smtpd_tls_loglevel": ("1", "base-europe.toml", "log_level = 1"),
        "smtpd_client_restrictions": ("permit_mynetworks", "base-europe.toml", "client_restrictions = "),
        "mailbox_size_limit": ("3000", "shared/base-world.toml", "mailbox_size_limit = 3000"),
        "smtp_tls_security_level": ("dane", "shared/base-world.toml", 'tls = "dane"'),
        "smtpd_tls_mandatory_protocols": (">=TLSv1.2", "shared/base-world.toml", "guideline = "),
    }
    settings = {setting["name"]: setting for setting in manifest["configuration"]["parameters"]}
    for name, (value, file, text) in wanted.items():
        setting = settings[name]
        origin = setting["origin"]
        assert setting["value"] == value, name
        assert os.path.normpath(tmp_path / "sites" / origin["file"]) == str(tmp_path / file), name
        line = files[file].splitlines()[origin["line"] - 1]
        assert line[origin["column"] - 1 :].startswith(text), name


def origins(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every origin in a manifest, and what it is the origin of."""
    if isinstance(node, dict):
        if "origin" in node:
            yield node.get("name", ""), node["origin"]
        for value in node.values():
            yield from origins(value)
    elif isinstance(node, list):
        for value in node:
            yield from origins(value)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_an_origin_points_at_the_line_that_decides(path: Path) -> None:
    """At the key itself; where the policy leaves the key out, at the header of the nearest table that it has."""
    manifest = json.loads((GOLDEN / path.stem / "manifest.json").read_text())
    checked = 0
    for name, origin in origins(manifest):
        key = origin["key"].split(".")
        if not origin["line"]:
            assert origin["via"], f"{name} comes from nowhere"
            continue
        lines = (path.parent / origin["file"]).read_text().splitlines()
        rest = lines[origin["line"] - 1][origin["column"] - 1 :]
        table = re.match(r"\[+([\w.-]+)\]", rest)
        if table:
            header = table[1].split(".")
            assert key == header or (origin["via"] and key[: len(header)] == header), (name, origin, rest)
        else:
            assert re.match(rf'"?{re.escape(key[-1])}"?\s*=', rest), (name, origin, rest)
        checked += 1
    assert checked > 10


# --- what a bundle says ----------------------------------------------------------------------------------------------


def test_no_bundle_tells_of_the_machine_the_day_or_a_secret() -> None:
    words = {str(ROOT), str(ROOT.parent), "/root/", "/home/", "/tmp/", str(date.today().year), "PRIVATE KEY"}
    name = socket.gethostname()
    if len(name) > 3 and name != "localhost":
        words.add(name)
    for path in GOLDEN.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert [word for word in words if word in text] == [], path
            assert not re.search(r"\b20[1-4]\d-[01]\d-[0-3]\d\b|\b[0-2]\d:[0-5]\d:[0-5]\d\b", text), path


def schema(name: str) -> Draft202012Validator:
    loaded = json.loads((ROOT / f"schemas/{name}.schema.json").read_text())
    Draft202012Validator.check_schema(loaded)
    return Draft202012Validator(loaded)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_a_manifest_is_valid_and_true(path: Path) -> None:
    folder = GOLDEN / path.stem
    manifest = json.loads((folder / "manifest.json").read_text())
    schema("manifest").validate(manifest)
    assert manifest["site"] == path.stem
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    listed = [file["path"] for file in manifest["files"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == there - {"manifest.json"}
    for file in manifest["files"]:
        assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
        assert re.fullmatch(r"0[0-7]{3}", file["mode"])
        assert file["owner"] == "root"
        assert (file["target"] is None) == (file["ownership"] == "none")
        if file["target"] is not None:
            assert file["target"] == os.path.normpath(file["target"])
            assert file["target"].startswith("/")
        if file["path"].endswith(".sh"):
            assert file["mode"] == "0755"
    targets = [file["target"] for file in manifest["files"] if file["target"]]
    assert len(targets) == len(set(targets))
    assert manifest["steps"]


@pytest.mark.parametrize("path", sorted((ROOT / "sites").glob("*.toml")), ids=lambda path: path.stem)
def test_a_site_is_valid_to_its_schema(path: Path) -> None:
    """What an editor shows while people write it."""
    assert path.read_text().startswith("#:schema ../schemas/site.schema.json\n")
    schema("site").validate(tomllib.loads(path.read_text()))


def test_the_schema_of_a_site_refuses_a_misspelt_key() -> None:
    assert list(schema("site").iter_errors({"hostnam": "mail.example.com"}))
    assert list(schema("site").iter_errors({"mx": {"tls": "may"}}))


# --- what a person sees ----------------------------------------------------------------------------------------------


def on_terminal(*words: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    """What the command writes to a terminal on standard error, while its standard output is a pipe."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    command = [sys.executable, "-m", "mailcfg", *map(str, words)]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=child, env=environment)
    os.close(child)
    said = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:  # The last writer has closed its end.
            break
        if not data:
            break
        said += data
    os.close(parent)
    assert process.wait(60) == code, said
    return said.decode()


def test_a_bar_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    policies = many(tmp_path, 40)
    assert "building" in on_terminal("build", *policies, cwd=tmp_path)
    assert on_terminal("build", *policies, "--quiet", cwd=tmp_path) == ""
    assert on_terminal("build", *policies[:3], cwd=tmp_path) == ""
    done = mailcfg("build", *policies, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("40 sites: 40 unchanged\n", "")


def test_quiet_says_only_what_is_wrong(tmp_path: Path) -> None:
    fine = site(tmp_path, SMALL.replace("rfc9325", "mozilla-6.0-modern"))
    assert "note[guideline-relaxed]" in mailcfg("build", fine, cwd=tmp_path).stderr
    done = mailcfg("build", fine, "--quiet", "-o", "quiet", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    broken = site(tmp_path, "hostname = 1\n", "broken.toml")
    done = mailcfg("build", fine, broken, "--quiet", cwd=tmp_path, code=2)
    assert done.stdout == ""
    assert "error[bad-type]" in done.stderr


def test_color(tmp_path: Path) -> None:
    broken = site(tmp_path, "hostname = 1\n", "broken.toml")
    plain = mailcfg("build", broken, cwd=tmp_path, code=2).stderr
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in mailcfg("build", broken, "--color", "always", cwd=tmp_path, code=2).stderr
    assert "\x1b[1;31m" in on_terminal("build", broken, cwd=tmp_path, code=2)
    assert "\x1b" not in on_terminal("build", broken, "--color", "never", cwd=tmp_path, code=2)
    assert "\x1b" not in on_terminal("build", broken, cwd=tmp_path, code=2, NO_COLOR="1")
    assert "\x1b" not in on_terminal("build", broken, cwd=tmp_path, code=2, TERM="dumb")
    assert "\x1b[1;31m" in on_terminal("build", broken, "--color", "always", cwd=tmp_path, code=2, NO_COLOR="1")


def test_a_directory_stands_for_its_policies(tmp_path: Path) -> None:
    (tmp_path / "sites/deep").mkdir(parents=True)
    site(tmp_path / "sites", SMALL, "a.toml")
    site(tmp_path / "sites", 'extends = "base-x.toml"\n', "b.toml")
    site(tmp_path / "sites", SMALL, "base-x.toml")
    site(tmp_path / "sites/deep", SMALL, "c.toml")
    mailcfg("build", "sites/", cwd=tmp_path)
    assert sorted(os.listdir(tmp_path / "dist")) == ["a", "b"]
    mailcfg("build", ".", "-o", "../dist", "--check", cwd=tmp_path / "sites")
    site(tmp_path / "sites", SMALL.replace("mail.", "mx."), "base-x.toml")
    done = mailcfg("build", "sites", "--check", cwd=tmp_path, code=1)
    assert "dist/b: stale" in done.stdout
    assert "dist/a: unchanged" in done.stdout


# --- signatures ------------------------------------------------------------------------------------------------------


def test_a_signature_stays_with_what_it_is_of(tmp_path: Path) -> None:
    """Signed and verified by the commands of the README; a bundle that changes loses it."""
    policy = site(tmp_path)
    mailcfg("build", policy, cwd=tmp_path)
    bundle = tmp_path / "dist/site"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "sign.key", cwd=tmp_path)
    openssl("pkey", "-in", "sign.key", "-pubout", "-out", "sign.pub", cwd=tmp_path)
    sign, verify = readme_commands("openssl dgst")
    openssl(*sign.replace("quickstart", "site").split()[1:], cwd=tmp_path)
    openssl(*verify.replace("quickstart", "site").replace("sign.pub", "../sign.pub").split()[1:], cwd=tmp_path / "dist")
    assert (bundle / "manifest.json.sig").exists()
    mailcfg("build", policy, "--check", cwd=tmp_path)
    assert "unchanged" in mailcfg("build", policy, cwd=tmp_path).stdout
    assert (bundle / "manifest.json.sig").exists()
    policy.write_text(policy.read_text() + "\n[postfix.main]\nmessage_size_limit = 20480000\n")
    assert "manifest.json" in mailcfg("build", policy, "--check", cwd=tmp_path, code=1).stdout
    mailcfg("build", policy, cwd=tmp_path)
    assert not (bundle / "manifest.json.sig").exists()


def readme_commands(start: str) -> list[str]:
    lines = (ROOT / "README.md").read_text().splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.startswith(start)]


def openssl(*words: str, cwd: Path) -> None:
    lab.needs("openssl")
    done = subprocess.run(["openssl", *words], cwd=cwd, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
