"""Drift that is known: it is silent until its day has passed, and whatever else differs is told all the same."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from mailcfg import target
from mailcfg.dates import DAY, date
from mailcfg.drift.compare import compare
from mailcfg.machine import Machine as Door
from tests.sites import ROOT
from tests.stories.machine import Machine, mailcfg

MAIN = "/etc/postfix/main.cf"
REASON = "the old scanner is replaced in June"


def policy(folder: Path, until: str, about: str = 'setting = "smtpd_tls_auth_only"') -> Path:
    """The quickstart with one entry more."""
    text = (ROOT / "sites/quickstart.toml").read_text()
    site = folder / "quickstart.toml"
    site.write_text(f'{text}\n[[ignore]]\n{about}\nuntil = {until}\nbecause = "{REASON}"\n')
    return site


def bundle(folder: Path, until: str, form: str) -> Path:
    done = mailcfg("build", policy(folder, until), "-o", folder / "dist", "--quiet", "--format", form)
    assert done.code == 0, done.err
    return folder / "dist" / ("quickstart.tar" if form == "tar" else "quickstart")


@pytest.fixture
def edited(machine: Machine) -> Machine:
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    return machine


@pytest.mark.parametrize("form", ["tree", "tar", "policy"])
def test_what_is_tolerated_is_silent(edited: Machine, tmp_path: Path, form: str) -> None:
    site = policy(tmp_path, "2999-12-31") if form == "policy" else bundle(tmp_path, "2999-12-31", form)
    answer = edited.drift(target=site)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_what_else_differs_is_told(edited: Machine, tmp_path: Path) -> None:
    edited.append(MAIN, "smtpd_tls_loglevel = 4\n")
    answer = edited.drift(target=policy(tmp_path, "2999-12-31"))
    assert answer.code == 1
    assert "smtpd_tls_auth_only" not in answer.out
    assert answer.out.splitlines()[-2:] == [
        "quickstart: drift: 1 duplicate in 1 file", "1 ignored until 2999-12-31",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["tree", "policy"])
def test_what_has_run_out_is_told_with_its_reason(edited: Machine, tmp_path: Path, form: str) -> None:
    site = policy(tmp_path, "2026-01-31") if form == "policy" else bundle(tmp_path, "2026-01-31", form)
    answer = edited.drift(target=site)
    assert answer.code == 1
    assert f"the policy ignored this until 2026-01-31: {REASON}" in " ".join(answer.out.split())
    assert "1 ignored" not in answer.out


def test_in_sync_nothing_is_said_of_it(machine: Machine, tmp_path: Path) -> None:
    for until in ("2026-01-31", "2999-12-31"):
        answer = machine.drift(target=policy(tmp_path, until))
        assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_file_that_cannot_be_read_is_not_tolerated(machine: Machine, tmp_path: Path) -> None:
    machine.at(MAIN).unlink()
    machine.at(MAIN).mkdir()
    answer = machine.drift(target=policy(tmp_path, "2999-12-31", f'file = "{MAIN}"'))
    assert answer.code == 2
    assert f"{MAIN}: is a directory" in answer.err


def test_the_file_of_another_directory(edited: Machine, tmp_path: Path) -> None:
    edited.at("/etc/postfix").rename(edited.at("/etc/postfix-out"))
    site = policy(tmp_path, "2999-12-31", f'file = "{MAIN}"')
    answer = edited.drift("--config-dir", "/etc/postfix-out", target=site)
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_it_ends_at_midnight_in_utc(edited: Machine, tmp_path: Path) -> None:
    now = int(time.time())
    midnight = (now // DAY + 1) * DAY
    wanted = target.load(str(policy(tmp_path, date(now))), Door())
    before, after = (compare(wanted, Door(str(edited.root)), when).report for when in (midnight - 1, midnight))
    assert (before.status, before.until) == ("in-sync", midnight)
    assert after.status == "drift"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_what_is_remembered_ends_with_it(edited: Machine, tmp_path: Path, zone: str) -> None:
    """The second run asks nothing but its memory, which holds until the first second of the next day."""
    cache = tmp_path / "cache"
    now = int(time.time())
    if now % DAY > DAY - 60:
        time.sleep(DAY - now % DAY + 1)  # Midnight would fall into the test.
        now = int(time.time())
    site = bundle(tmp_path, date(now), "tree")
    for _ in range(2):
        answer = edited.drift(target=site, MAILCFG_CACHE=str(cache), TZ=zone)
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    (kept,) = [path for path in cache.iterdir() if not path.name.endswith(".facts")]
    assert int(kept.read_text().split(" ")[2]) == (now // DAY + 1) * DAY
    shutil.rmtree(cache)
