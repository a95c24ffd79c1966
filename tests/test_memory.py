"""What a run remembers: it saves the next one its work, and is never wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailcfg import memory, remember
from mailcfg.machine import Machine as Door
from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Machine, copied, place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    lab.needs("postconf", "openssl")
    return place(ROOT / "sites/quickstart.toml", tmp_path_factory.mktemp("made"))


@pytest.fixture
def machine(made: Machine, tmp_path: Path) -> Machine:
    found = copied(made, tmp_path)
    shutil.copytree(found.bundle, tmp_path / "bundle")
    shutil.copy(ROOT / "sites/quickstart.toml", tmp_path / "quickstart.toml")
    return Machine(found.root, tmp_path / "bundle")


def asked(machine: Machine, target: Path | None = None) -> memory.Request:
    found = memory.request([str(target or machine.bundle), "--root", str(machine.root)])
    assert found is not None
    return found


def imports(machine: Machine, target: Path | None = None) -> set[str]:
    """The modules of mailcfg that a run imports."""
    command = [sys.executable, "-X", "importtime", "-m", "mailcfg", "drift", target or machine.bundle]
    done = subprocess.run([*map(str, command), "--root", str(machine.root)], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def test_the_second_run_imports_next_to_nothing(machine: Machine) -> None:
    first = imports(machine)
    assert "mailcfg.drift.compare" in first
    assert first & {"pydantic", "jinja2", "deepdiff", "rich"} == set()
    second = imports(machine)
    assert {name for name in second if name.startswith("mailcfg")} == {"mailcfg", "mailcfg.memory", "mailcfg.machine"}
    assert second & {"pydantic", "jinja2", "deepdiff", "rich", "cryptography"} == set()


def test_a_site_too(machine: Machine, tmp_path: Path) -> None:
    site = tmp_path / "quickstart.toml"
    assert "pydantic" in imports(machine, site)
    assert "pydantic" not in imports(machine, site)


def becomes_a_directory(machine: Machine, path: str) -> None:
    machine.at(path).unlink()
    machine.at(path).mkdir()


MAIN = "/etc/postfix/main.cf"
KEY = "/etc/ssl/private/mail.key"

CHANGES: dict[str, Callable[[Machine], object]] = {
    "a byte of main.cf": lambda m: m.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no "),
    "a byte of master.cf": lambda m: m.append("/etc/postfix/master.cf", "# x\n"),
    "a mode": lambda m: m.at(MAIN).chmod(0o640),
    "an owner": lambda m: shutil.chown(m.at(KEY), "nobody"),
    "a group": lambda m: shutil.chown(m.at(KEY), group="nogroup"),
    "a key": lambda m: m.append(KEY, "\n"),
    "a certificate": lambda m: m.append("/etc/ssl/certs/mail.pem", "\n"),
    "a file that goes": lambda m: m.at("/etc/postfix/sasl/smtpd.conf").unlink(),
    "a file that becomes a directory": lambda m: becomes_a_directory(m, "/etc/default/saslauthd"),
    "the manifest": lambda m: (m.bundle / "manifest.json").write_text((m.bundle / "manifest.json").read_text() + "\n"),
    "a file of the bundle": lambda m: (m.bundle / "saslauthd" / "saslauthd").write_text("x"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_is_seen(machine: Machine, what: str) -> None:
    assert machine.drift().code == 0
    assert memory.in_sync(asked(machine))
    CHANGES[what](machine)
    assert not memory.in_sync(asked(machine))


def test_a_change_of_the_same_size_and_time_is_seen(machine: Machine) -> None:
    assert machine.drift().code == 0
    path = machine.at("/etc/postfix/main.cf")
    before = path.stat()
    text = path.read_bytes()
    path.write_bytes(text.replace(b"auth_only = yes", b"auth_only =  no"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert machine.drift().code == 1


def test_a_policy_and_its_base(machine: Machine, tmp_path: Path) -> None:
    base, site = tmp_path / "base.toml", tmp_path / "mine.toml"
    base.write_bytes((tmp_path / "quickstart.toml").read_bytes())
    site.write_text('extends = "base.toml"\n')
    assert machine.drift(target=site).code == 0
    assert memory.in_sync(asked(machine, site))
    base.write_text(base.read_text().replace('mechanisms = ["PLAIN", "LOGIN"]', 'mechanisms = ["PLAIN"]'))
    assert machine.drift(target=site).code == 1


def test_a_policy_that_appears_where_it_goes_first(machine: Machine) -> None:
    applied = machine.at("/var/lib/mailcfg/applied")
    shutil.copytree(machine.bundle, applied)
    request = memory.request(["--root", str(machine.root)])
    assert request is not None
    from tests.stories.machine import mailcfg

    assert mailcfg("drift", "--root", machine.root).code == 0
    request = memory.request(["--root", str(machine.root)])
    assert request is not None
    own = machine.at("/etc/mailcfg/site.toml")
    own.parent.mkdir()
    own.write_text("")
    assert not memory.in_sync(request)


def test_drift_is_not_remembered(machine: Machine, cache: Path) -> None:
    machine.at("/etc/postfix/main.cf").chmod(0o600)
    for _ in range(2):
        assert machine.drift().code == 1
    assert [each for each in cache.iterdir() if each.suffix != ".facts"] == []


def test_a_certificate_that_ends_is_not_in_sync_for_ever(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.drift().code == 0
    now = time.time()
    assert memory.in_sync(asked(machine))
    # It lasts sixty days, and is expiring when a third of that is left.
    monkeypatch.setattr(time, "time", lambda: now + 39 * 86400)
    assert memory.in_sync(asked(machine))
    monkeypatch.setattr(time, "time", lambda: now + 41 * 86400)
    assert not memory.in_sync(asked(machine))
    # A clock that went back knows nothing of what was found later.
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert not memory.in_sync(asked(machine))


# --- who may have written it -----------------------------------------------------------------------------------------


def kept(cache: Path) -> Path:
    (path,) = [each for each in cache.iterdir() if each.suffix != ".facts"]
    return path


def test_it_is_for_its_owner_alone(machine: Machine, cache: Path) -> None:
    assert machine.drift().code == 0
    assert cache.stat().st_mode & 0o777 == 0o700
    assert kept(cache).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_what_others_could_write_is_not_used(machine: Machine, cache: Path, mode: int) -> None:
    assert machine.drift().code == 0
    kept(cache).chmod(mode)
    assert not memory.in_sync(asked(machine))
    kept(cache).chmod(0o600)
    assert memory.in_sync(asked(machine))
    cache.chmod(0o770 if mode == 0o620 else 0o707)
    assert not memory.in_sync(asked(machine))


def test_what_another_user_owns_is_not_used(machine: Machine, cache: Path) -> None:
    assert machine.drift().code == 0
    if os.geteuid() != 0:
        pytest.skip("needs root: gives a file away")
    shutil.chown(kept(cache), "nobody")
    assert not memory.in_sync(asked(machine))
    shutil.chown(kept(cache), "root")
    shutil.chown(cache, "nobody")
    assert not memory.in_sync(asked(machine))


def test_a_link_is_not_used(machine: Machine, cache: Path, tmp_path: Path) -> None:
    assert machine.drift().code == 0
    path = kept(cache)
    path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    assert not memory.in_sync(asked(machine))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.rsplit("\n", 1)[0],
        lambda text: text.replace("mailcfg/memory/1", "mailcfg/memory/0"),
        lambda text: text.replace(" ", "\0"),
        lambda text: "\n".join([text.split("\n")[0], "H - /nowhere"]),
        lambda text: "\xff\n" * 10,
    ],
)
def test_what_is_damaged_is_not_used(machine: Machine, cache: Path, damage: Callable[[str], str]) -> None:
    assert machine.drift().code == 0
    path = kept(cache)
    path.write_text(damage(path.read_text()))
    assert not memory.in_sync(asked(machine))
    assert machine.drift().code == 0
    assert memory.in_sync(asked(machine))


def test_another_installation_is_not_believed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.drift().code == 0
    assert memory.in_sync(asked(machine))
    monkeypatch.setattr(memory, "__version__", "0.0.0")
    assert not memory.in_sync(asked(machine))


def test_an_installation_is_told_by_its_files(tmp_path: Path) -> None:
    script = "from mailcfg import memory; print(memory.installation())"
    shutil.copytree(ROOT / "mailcfg", tmp_path / "mailcfg", ignore=shutil.ignore_patterns("__pycache__"))

    def told() -> str:
        return subprocess.check_output([sys.executable, "-B", "-c", script], cwd=tmp_path, text=True)

    first = told()
    assert told() == first
    with (tmp_path / "mailcfg/facts/platforms/debian-12.toml").open("a") as file:
        file.write("\n")
    assert told() != first


def test_where_nothing_can_be_kept_all_is_as_before(machine: Machine, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    for where in (blocked / "cache", "/proc/none", ""):
        answer = machine.drift(MAILCFG_CACHE=str(where))
        assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_no_cache(machine: Machine, cache: Path) -> None:
    assert machine.drift("--no-cache").code == 0
    assert not cache.exists()


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ([], True),
        (["a"], True),
        (["a", "--root", "b"], True),
        (["--root=b", "a", "--config-dir=/c"], True),
        (["a", "b"], False),
        (["a", "--root"], False),
        (["a", "--format", "json"], False),
        (["a", "--no-cache"], False),
        (["--help"], False),
        (["-o", "x"], False),
    ],
)
def test_only_plain_requests_are_answered_from_memory(words: list[str], plain: bool) -> None:
    assert (memory.request(words) is not None) == plain


def test_the_same_words_elsewhere_are_another_request(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = memory.request(["a"])
    monkeypatch.chdir(tmp_path)
    other = memory.request(["a"])
    monkeypatch.setenv("MAILCFG_SITE", "x")
    third = memory.request(["a"])
    assert one
    assert other
    assert third
    assert len({one.key, other.key, third.key}) == 3


def test_a_path_with_a_newline_is_not_remembered(tmp_path: Path, cache: Path) -> None:
    door = Door(str(tmp_path))
    (tmp_path / "a\nb").write_text("x")
    door.look("/a\nb")
    request = memory.request([])
    assert request is not None
    remember.remember(request, Door(), door, remember.FOREVER)
    assert not cache.exists()


# --- certificates ----------------------------------------------------------------------------------------------------


def test_a_certificate_is_read_once(machine: Machine) -> None:
    assert "cryptography" in {name.partition(".")[0] for name in imports(machine)}
    machine.append(MAIN, "# another day\n")
    assert "cryptography" not in {name.partition(".")[0] for name in imports(machine)}
    # What is remembered is what was read: the same is told of a certificate that does not fit.
    lab.run("openssl", "genpkey", "-algorithm", "RSA", "-out", machine.at(KEY))
    first, second = machine.told(), machine.told()
    assert first.rows == second.rows == [("certificate", KEY, "mail")]


@pytest.mark.parametrize("damage", ["", "{}", None], ids=["empty", "nothing", "another"])
def test_what_is_damaged_about_a_certificate_is_not_used(machine: Machine, cache: Path, damage: str | None) -> None:
    assert machine.drift().code == 0
    (facts,) = cache.glob("*.facts")
    before = facts.read_text()
    facts.write_text(before.replace("ecdsa-p256", "rsa-2048") if damage is None else damage)
    kept(cache).unlink()
    assert machine.drift().code == 0
    assert facts.read_text() == before


def test_no_key_is_kept(machine: Machine, cache: Path) -> None:
    assert machine.drift().code == 0
    lines = [line for line in machine.read(KEY).splitlines() if "-----" not in line]
    assert lines
    for path in cache.iterdir():
        assert not any(line in path.read_text() for line in lines)
