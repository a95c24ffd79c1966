"""What stops an apply: a clear error, the old files byte for byte, and nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from mailcfg.apply.change import FileChange
from mailcfg.apply.transaction import Conflict, State
from mailcfg.machine import File
from mailcfg.machine import Machine as Door
from mailcfg.state import Record
from tests.apply.killed import snapshot
from tests.apply.scenarios import SECRET, SITE, machine
from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Answer, mailcfg


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A packaged machine with a certificate that is there already."""
    place = tmp_path / "machine"
    machine(place)
    return place


def apply(root: Path, *words: str) -> Answer:
    return mailcfg("apply", SITE, "--root", root, *words)


def refused(root: Path, *words: str, code: int = 2, old: dict[str, tuple[str, int, int, int]] | None = None) -> str:
    """Apply, which must fail; its words. Nothing of the machine is other than before."""
    before = snapshot(root) if old is None else old
    answer = apply(root, *words)
    assert answer.code == code, answer
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    assert snapshot(root) == before
    assert list(root.rglob(".mailcfg-*")) == []
    assert not (root / "var/lib/mailcfg/transaction.json").exists()
    return answer.err


# --- links, directories of others, attributes ------------------------------------------------------------------------


def test_a_file_that_is_a_link(root: Path) -> None:
    main = root / "etc/postfix/main.cf"
    main.rename(root / "etc/main.cf.real")
    main.symlink_to("../main.cf.real")
    assert "/etc/postfix/main.cf is a link to ../main.cf.real" in refused(root)


def test_a_link_on_the_way(root: Path) -> None:
    (root / "etc/postfix").rename(root / "etc/elsewhere")
    (root / "etc/postfix").symlink_to("elsewhere")
    said = refused(root)
    assert "/etc/postfix is a link to elsewhere" in said
    assert "--config-dir" in said


def test_a_link_out_of_the_root(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (root / "etc/default").rename(outside)
    (root / "etc/default").symlink_to(outside)
    before = snapshot(outside)
    refused(root)
    assert snapshot(outside) == before


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o775, 0), (0o755, 65534)])
def test_a_directory_that_others_can_write(root: Path, mode: int, owner: int) -> None:
    lab.needs("postfix")
    folder = root / "etc/postfix"
    os.chown(folder, owner, 65534 if mode == 0o775 else 0)
    folder.chmod(mode)
    assert "/etc/postfix can be changed by others than root" in refused(root)


@pytest.fixture
def immutable() -> Iterator[list[Path]]:
    """Paths that are made immutable, and are not any more when the test is over."""
    lab.needs("chattr")
    paths: list[Path] = []
    yield paths
    for path in paths:
        subprocess.run(["chattr", "-i", str(path)], check=True)


@pytest.mark.parametrize("name", ["etc/postfix/main.cf", "etc/postfix", "etc/default/saslauthd", "etc/default"])
def test_an_immutable_file_or_directory(root: Path, immutable: list[Path], name: str) -> None:
    subprocess.run(["chattr", "+i", str(root / name)], check=True)
    immutable.append(root / name)
    assert f"/{name} is immutable (chattr +i)" in refused(root)


def test_an_immutable_file_that_is_nobody_s_business(root: Path, immutable: list[Path]) -> None:
    """No link can be made to it, so that the directory is not exchanged: files are renamed one by one."""
    other = root / "etc/postfix/maps/access"
    subprocess.run(["chattr", "+i", str(other)], check=True)
    immutable.append(other)
    answer = apply(root)
    assert answer.code == 0, answer
    assert mailcfg("drift", SITE, "--root", root).code == 0
    assert list(root.rglob(".mailcfg-*")) == []


# --- disks -----------------------------------------------------------------------------------------------------------

_ON_A_DISK = """
set -e
mount -t tmpfs -o {options} disk "$1"
cp -a "$2/." "$1"
{before}
exec "$3" -m mailcfg apply "$4" --root "$1"
"""


def on_a_disk(root: Path, work: Path, options: str, before: str, then: str = "") -> subprocess.CompletedProcess[str]:
    """Apply on a disk of its own; at the end its files are copied to `work`/after."""
    disk = work / "disk"
    disk.mkdir(exist_ok=True)
    script = _ON_A_DISK.format(options=options, before=before).replace("exec ", "set +e\n") + (
        f'code=$?\n{then}\nrm -rf "{work}/after"; cp -a "$1" "{work}/after"\nexit $code\n'
    )
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", str(disk), str(root), sys.executable, str(SITE)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "MAILCFG_CACHE": ""},
    )


def test_a_read_only_disk(root: Path, tmp_path: Path) -> None:
    lab.needs("unshare", "mount")
    old = snapshot(root)
    done = on_a_disk(root, tmp_path, "size=4m", 'mount -o remount,ro "$1"')
    assert done.returncode == 2, done.stderr
    assert "Read-only file system" in done.stderr
    assert snapshot(tmp_path / "after") == old


@pytest.mark.parametrize("what", ["blocks", "inodes"])
def test_a_full_disk(root: Path, tmp_path: Path, what: str) -> None:
    """From no room at all, a little more each time, until there is enough: each time all of it or nothing."""
    lab.needs("unshare", "mount")
    old = snapshot(root)
    count = sum(1 for _ in root.rglob("*"))
    ends: list[int] = []
    for room in range(0, 60, 4):
        if what == "inodes":
            options, before = f"size=8m,nr_inodes={count + 1 + room}", ""
        else:
            options = "size=1m"
            fill = 'dd if=/dev/zero of="$1/filler" bs=4096 2>/dev/null || true'
            before = f'{fill}; truncate -s -{room * 4096 + 1} "$1/filler"'
        done = on_a_disk(root, tmp_path, options, before, then='rm -f "$1/filler"')
        ends.append(done.returncode)
        found = snapshot(tmp_path / "after")
        if done.returncode:
            assert done.returncode == 2, done.stderr
            assert "No space left on device" in done.stderr
            assert found == old
            assert list((tmp_path / "after").rglob(".mailcfg-*")) == []
            left = tmp_path / "after/var/lib/mailcfg"
            assert not left.exists() or {path.name for path in left.iterdir()} <= {"lock", "generations", "journal"}
        else:
            assert found["etc/postfix/main.cf"] != old["etc/postfix/main.cf"]
            break
    assert ends[-1] == 0
    assert len(ends) > 3


@pytest.mark.parametrize("kind", ["overlay", "bind"])
def test_where_a_directory_cannot_be_exchanged(root: Path, tmp_path: Path, kind: str) -> None:
    """As in a container: no directory of an image can be renamed, nor one that something is mounted on."""
    lab.needs("unshare", "mount")
    disk = tmp_path / "disk"
    (disk / "merged").mkdir(parents=True)
    if kind == "overlay":
        layers = f"lowerdir={root},upperdir={disk}/t/u,workdir={disk}/t/w"
        mount = f"mount -t overlay over -o {layers} {disk}/merged; place={disk}/merged"
    else:
        mount = f"mount --bind {root}/etc/postfix {root}/etc/postfix; place={root}"
    script = f"""
set -e
mkdir {disk}/t; mount -t tmpfs tmp {disk}/t; mkdir {disk}/t/u {disk}/t/w
{mount}
{sys.executable} -m mailcfg apply {SITE} --root $place
{sys.executable} -m mailcfg drift {SITE} --root $place --no-cache
test -z "$(find $place -name '.mailcfg-*')"
{sys.executable} -m mailcfg rollback --root $place
cmp $place/etc/postfix/main.cf {tmp_path}/main.cf
test ! -e $place/etc/postfix/sasl
"""
    (tmp_path / "main.cf").write_bytes((root / "etc/postfix/main.cf").read_bytes())
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env={**os.environ, "MAILCFG_CACHE": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- others at work --------------------------------------------------------------------------------------------------


def test_while_another_run_is_at_work(root: Path) -> None:
    state = root / "var/lib/mailcfg"
    state.mkdir(mode=0o700)
    with (state / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another mailcfg is at work on this machine (process 4711)" in refused(root)
        assert mailcfg("rollback", "--root", root).code == 2
    assert apply(root).code == 0


def test_many_at_once(root: Path) -> None:
    """One does it; the others are told, or find it done."""
    command = [sys.executable, "-m", "mailcfg", "apply", str(SITE), "--root", str(root)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    said = [run.communicate(timeout=120) for run in runs]
    codes = [run.returncode for run in runs]
    assert set(codes) <= {0, 2}
    assert 0 in codes
    for code, (_, err) in zip(codes, said, strict=True):
        assert code == 0 or "another mailcfg is at work" in err or "was changed while this ran" in err, err
    assert mailcfg("drift", SITE, "--root", root).code == 0
    assert list(root.rglob(".mailcfg-*")) == []


def state_of(root: Path) -> State:
    kept = State(Door(str(root)), str(root / "var/lib/mailcfg"))
    kept.lock()
    return kept


def change(root: Path, name: str, data: bytes) -> FileChange:
    before = Door(str(root)).look(name)
    return FileChange(name, before, File(data, 0o644, os.geteuid(), os.getegid()))


RECORD = Record(1, 0, "site", "site.toml", "", "", 0, "/etc/postfix", "nothing", ())


def test_a_file_that_changes_meanwhile(root: Path) -> None:
    kept = state_of(root)
    changes = [change(root, f"/etc/postfix/{name}", b"x = y\n") for name in ("main.cf", "master.cf")]
    kept.write_generation(RECORD, changes, {}, (os.geteuid(), os.getegid()))
    progress = kept.stage(1, 1, changes, "/etc/postfix")
    with (root / "etc/postfix/main.cf").open("a") as file:
        file.write("mine = yes\n")
    edited = snapshot(root, without="etc/.mailcfg-1-postfix")
    with pytest.raises(Conflict, match="was changed while this ran"):
        kept.commit(progress, changes, "/etc/postfix")
    assert snapshot(root) == {name: each for name, each in edited.items() if not name.startswith("var/lib/mailcfg")}


def test_drift_says_that_an_apply_was_killed(root: Path) -> None:
    kept = state_of(root)
    changes = [change(root, f"/etc/postfix/{name}", b"x = y\n") for name in ("main.cf", "master.cf")]
    kept.write_generation(RECORD, changes, {}, (os.geteuid(), os.getegid()))
    kept.stage(1, 1, changes, "/etc/postfix")
    kept.unlock()
    assert "an apply is under way on this machine, or was killed" in mailcfg("drift", SITE, "--root", root).err
    assert apply(root).code == 0
    answer = mailcfg("drift", SITE, "--root", root)
    assert (answer.code, answer.err) == (0, "")


def test_what_others_do_in_the_directory_meanwhile_is_kept(root: Path) -> None:
    """Between staging and the exchange: a file comes, one is replaced by a rename, one is edited, one goes."""
    kept = state_of(root)
    etc = root / "etc/postfix"
    (etc / "old").write_text("goes\n")
    (etc / "virtual.db").write_text("first\n")
    changes = [change(root, f"/etc/postfix/{name}", b"x = y\n") for name in ("main.cf", "master.cf", "sub/new.conf")]
    kept.write_generation(RECORD, changes, {}, (os.geteuid(), os.getegid()))
    progress = kept.stage(1, 1, changes, "/etc/postfix")
    assert progress.swap is not None
    (etc / "came").write_text("came\n")
    (etc / "maps/came").write_text("came\n")
    (etc / "old").unlink()
    (etc / "fresh.db").write_text("second\n")
    (etc / "fresh.db").rename(etc / "virtual.db")
    with (etc / "maps/access").open("a") as file:
        file.write("example.net REJECT\n")
    progress = kept.commit(progress, changes, "/etc/postfix")
    for step in ("switched", "reverted"):
        assert (etc / "came").read_text() == (etc / "maps/came").read_text() == "came\n", step
        assert not (etc / "old").exists()
        assert (etc / "virtual.db").read_text() == "second\n"
        assert "example.net" in (etc / "maps/access").read_text()
        assert (etc / "sub/new.conf").exists() == (step == "switched")
        if step == "switched":
            (etc / "later").write_text("later\n")
            kept.revert(progress)
    assert (etc / "later").read_text() == "later\n"
    assert not (etc / "sub").exists()
    assert list(root.rglob(".mailcfg-*")) == []


# --- owners, modes, secrets ------------------------------------------------------------------------------------------


def test_owners_and_modes_are_those_of_the_manifest(root: Path) -> None:
    (root / "etc/postfix/main.cf").chmod(0o666)
    os.chown(root / "etc/postfix/master.cf", 65534, 65534)
    key = root / "etc/ssl/private/mail.key"
    key.chmod(0o644)
    inode = key.stat().st_ino
    assert apply(root).code == 0
    for name in ("main.cf", "master.cf", "sasl/smtpd.conf"):
        status = (root / "etc/postfix" / name).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o644, 0, 0), name
    assert key.stat().st_mode & 0o7777 == 0o600
    assert key.stat().st_ino == inode, "a key is never copied"


def test_a_secret_is_the_very_same_file_afterwards_and_never_copied(root: Path) -> None:
    secret = root / "etc/postfix/sasl_passwd"
    inode = secret.stat().st_ino
    assert apply(root).code == 0
    assert secret.stat().st_ino == inode
    holders = [
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and SECRET in path.read_bytes()
    ]
    assert holders == [secret]


def test_a_main_cf_with_a_password_keeps_its_narrow_mode(root: Path) -> None:
    main = root / "etc/postfix/main.cf"
    with main.open("a") as file:
        file.write("smtp_sasl_password_maps = inline:{ { [relay.example]:587 = user:never-to-be-seen } }\n")
    main.chmod(0o600)
    answer = apply(root)
    assert answer.code == 0, answer
    assert main.stat().st_mode & 0o777 == 0o600
    assert "keeps its mode 0600: it holds a secret" in answer.out
    assert "never-to-be-seen" not in answer.out + answer.err
    for path in (root / "var/lib/mailcfg").rglob("*"):
        if path.is_file() and b"never-to-be-seen" in path.read_bytes():
            assert path.stat().st_mode & 0o777 == 0o600
            assert all(each.stat().st_mode & 0o077 == 0 for each in path.parents if "mailcfg/" in f"{each}/"[-40:])


def test_an_extended_attribute_of_a_file_stays(root: Path) -> None:
    main = root / "etc/postfix/main.cf"
    try:
        os.setxattr(main, "user.note", b"the admin's")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    os.setxattr(root / "etc/postfix", "user.note", b"of the directory")
    assert apply(root).code == 0
    assert os.getxattr(main, "user.note") == b"the admin's"
    assert os.getxattr(root / "etc/postfix", "user.note") == b"of the directory"


# --- policies, bundles, arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["tree", "tar"])
def test_a_bundle_is_applied_like_its_policy_and_a_forged_one_is_not(root: Path, tmp_path: Path, form: str) -> None:
    assert mailcfg("build", SITE, "-o", tmp_path / "out", "--format", form).code == 0
    bundle = tmp_path / "out" / ("quickstart.tar" if form == "tar" else "quickstart")
    forged = bundle if form == "tar" else bundle / "postfix/main.cf"
    data = forged.read_bytes()
    forged.write_bytes(data.replace(b"smtpd_tls_auth_only = yes", b"smtpd_tls_auth_only = no "))
    before = snapshot(root)
    answer = mailcfg("apply", bundle, "--root", root)
    assert answer.code == 2
    assert "is not what was built" in answer.err
    assert snapshot(root) == before
    assert not (root / "var/lib/mailcfg").exists(), "refused before anything is touched"
    forged.write_bytes(data)
    assert mailcfg("apply", bundle, "--root", root).code == 0
    assert mailcfg("drift", SITE, "--root", root).code == 0


def test_what_cannot_be_read_is_not_written(root: Path) -> None:
    main = root / "etc/postfix/main.cf"
    main.write_text(main.read_text() + "this is no parameter\n")
    assert "main.cf:28: missing '=' after attribute name" in refused(root)


def test_without_postfix(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    answer = apply(tmp_path)
    assert answer.code == 2
    assert "/etc/postfix/main.cf: there is no such file: install Postfix first" in answer.err


def test_a_policy_with_a_mistake(root: Path, tmp_path: Path) -> None:
    site = tmp_path / "bad.toml"
    site.write_text(SITE.read_text().replace('auth = "never"', 'auth = "nevr"'))
    before = snapshot(root)
    answer = mailcfg("apply", site, "--root", root)
    assert answer.code == 2
    assert "bad.toml:17" in answer.err
    assert snapshot(root) == before


def test_a_certificate_that_somebody_else_makes(root: Path) -> None:
    before = snapshot(root)
    answer = mailcfg("apply", ROOT / "sites/submission-only.toml", "--root", root)
    assert answer.code == 1
    where = "/etc/letsencrypt/live/submit.example.com/fullchain.pem"
    assert f"the certificate submit is not mailcfg's to make: {where}: the certificate is absent" in answer.err
    assert snapshot(root) == before


def test_what_became_of_it_for_programs(root: Path, tmp_path: Path) -> None:
    """Each status once, by the published schema."""
    schema = json.loads((ROOT / "schemas/apply.schema.json").read_text())
    strict = tmp_path / "quickstart.toml"
    strict.write_text(SITE.read_text().replace('tls = "opportunistic"', 'tls = "required"'))
    told: list[tuple[str, int, int]] = []
    for words in (
        ("apply", strict, "--dry-run"),
        ("apply", strict),
        ("apply", strict),
        ("apply", SITE),
        ("rollback", "--dry-run"),
        ("rollback",),
    ):
        answer = mailcfg(*words, "--root", root, "--format", "json")
        jsonschema.validate(answer.json, schema)
        told.append((answer.json["status"], answer.json["generation"], answer.code))
        assert answer.json["site"] == "quickstart"
        assert bool(answer.json["reasons"]) == (answer.json["status"] == "refused")
        assert answer.json["verified"] is False, "nothing runs below another root"
    assert told == [
        ("planned", 0, 1),
        ("applied", 1, 0),
        ("unchanged", 1, 0),
        ("refused", 1, 1),
        ("planned", 1, 1),
        ("rolled-back", 0, 0),
    ]


def test_what_changed_nothing_is_nothing_to_go_back_from(root: Path, tmp_path: Path) -> None:
    before = (root / "etc/postfix/main.cf").read_bytes()
    assert apply(root).code == 0
    site = tmp_path / "quickstart.toml"
    site.write_text("# another line\n" + SITE.read_text())
    assert mailcfg("apply", site, "--root", root).out == "quickstart: nothing to change\n"
    assert (root / "var/lib/mailcfg/applied").readlink() == Path("generations/0002/bundle")
    assert mailcfg("rollback", "--root", root).code == 0
    assert (root / "etc/postfix/main.cf").read_bytes() == before
    answer = mailcfg("rollback", "--root", root)
    assert answer.code == 2
    assert "nothing was changed here" in answer.err


def test_of_a_host_that_was_in_sync_already_it_is_known_who_moved(root: Path) -> None:
    assert apply(root).code == 0
    shutil.rmtree(root / "var/lib/mailcfg")
    assert apply(root).out == "quickstart: nothing to change\n"
    with (root / "etc/postfix/main.cf").open("a") as file:
        file.write("smtpd_tls_ask_ccert = yes\n")
    answer = mailcfg("drift", SITE, "--root", root, "--format", "json")
    assert [(each["kind"], each["cause"]) for each in answer.json["differences"]] == [("extra", "edited-by-hand")]


def test_nothing_to_roll_back(root: Path) -> None:
    answer = mailcfg("rollback", "--root", root)
    assert answer.code == 2
    assert "nothing was applied here" in answer.err


def test_less_is_never_protected_unless_that_is_wanted(root: Path, tmp_path: Path) -> None:
    site = tmp_path / "quickstart.toml"
    site.write_text(SITE.read_text().replace('tls = "opportunistic"', 'tls = "required"'))
    assert mailcfg("apply", site, "--root", root).code == 0
    before = snapshot(root)
    answer = apply(root)
    assert answer.code == 1, answer
    assert "less would be protected than now:" in answer.err
    assert "the way out" in answer.err
    assert snapshot(root) == before
    assert apply(root, "--dry-run").code == 1
    assert snapshot(root) == before
    answer = apply(root, "--allow-weaker")
    assert answer.code == 0, answer
    assert mailcfg("drift", SITE, "--root", root).code == 0


def test_what_a_rule_calls_an_error_is_applied_when_that_is_wanted(root: Path, tmp_path: Path) -> None:
    site = tmp_path / "quickstart.toml"
    site.write_text(SITE.read_text().replace("mozilla-6.0-intermediate", "mozilla-5.8-old"))
    before = snapshot(root)
    answer = mailcfg("apply", site, "--root", root)
    assert answer.code == 1, answer
    assert "error[old-tls-mandatory]" in answer.err
    assert snapshot(root) == before
    assert mailcfg("build", site, "-o", tmp_path, "--allow-findings", "--quiet").code == 0
    assert mailcfg("apply", tmp_path / "quickstart", "--root", root).code == 0, "who built it has said so"
