"""Files that are newer than the running Postfix, on a private one: silence before, after a reload, and without it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from mailcfg import memory, remember, target
from mailcfg.desired import moved
from mailcfg.drift.compare import compare
from mailcfg.drift.difference import Difference
from mailcfg.drift.pending import NOTHING, with_pending
from mailcfg.machine import TOLERANCE, Machine
from tests.postfix import lab, smtp
from tests.sites import ROOT
from tests.stories.machine import mailcfg

pytestmark = pytest.mark.xdist_group("pending")

MAIN = """smtpd_tls_security_level = may
smtpd_tls_chain_files = {path}/tls.pem
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = {path}/etc/sasl
"""


@pytest.fixture
def postfix() -> Iterator[lab.Postfix]:
    """One that is configured and does not run; all its files are a minute old."""
    lab.needs("postfix", "openssl")
    with lab.directory() as path:
        made = lab.Postfix(path)
        made.prepare()
        (path / "etc/sasl").mkdir(exist_ok=True)
        (path / "etc/sasl/smtpd.conf").write_text("mech_list: PLAIN\n")
        (path / "tls.pem").write_text("")
        made.ports = [lab.free_port()]
        made.configure(MAIN.format(path=path), f"127.0.0.1:{made.ports[0]} inet n - n - - smtpd\n")
        for file in files(made):
            written(file, time.time() - 60)
        yield made


def files(postfix: lab.Postfix) -> list[Path]:
    etc = postfix.etc
    return [etc / "main.cf", etc / "master.cf", etc / "sasl/smtpd.conf", postfix.etc.parent / "tls.pem"]


def written(path: Path, when: float) -> None:
    os.utime(path, (when, when))


def pending(postfix: lab.Postfix, root: str = "/", before: Mapping[str, str] = NOTHING) -> dict[str, Difference]:
    """The rows of that kind, by the name of the file."""
    wanted = moved(target.load(str(ROOT / "sites/quickstart.toml"), Machine()), str(postfix.etc))
    machine = Machine(root)
    found = with_pending(compare(wanted, machine, time.time()), machine, before)
    return {Path(each.file).name: each for each in found.report.differences if each.kind == "pending"}


def settled(since: float) -> None:
    """Wait until what is written is later than a moment beyond doubt."""
    time.sleep(max(0.0, since + 2 * TOLERANCE - time.time()))


def started(postfix: lab.Postfix) -> float:
    """When its queue manager did, waited for."""

    def moment() -> float:
        return Machine().newer(str(postfix.spool), str(postfix.etc), "/")[0]

    lab.wait_for("the queue manager", moment)
    return moment()


def test_from_an_edit_to_the_reload(postfix: lab.Postfix) -> None:
    main = postfix.etc / "main.cf"
    assert pending(postfix) == {}
    with postfix.running():
        begun = started(postfix)
        assert abs(begun - time.time()) < 60
        assert pending(postfix) == {}
        settled(begun)
        # From a clock that goes wrong: what counts is when it came here.
        written(main, time.time() + 86400)
        (row,) = pending(postfix).values()
        assert (row.kind, row.file, row.severity) == ("pending", str(main), "warning")
        assert row.effects[0].startswith("running daemons still use what they read at 2")
        assert row.effects[0].endswith("; new ones use the file")
        assert pending(postfix, str(postfix.etc.parent)) == {}
        # Every reload is another queue manager, and mends it whatever the file says of its time.
        assert reloaded(postfix) > begun
        assert pending(postfix) == {}
        # A Postfix with another configuration may share the queue directory of a copy.
        assert Machine().newer(str(postfix.spool), "/etc/postfix", str(main)) == (0, {})
        assert Machine().newer(str(postfix.spool), f"{postfix.etc}/../etc", str(main))[0] > begun
    assert pending(postfix) == {}


def test_each_file_that_is_read_at_the_start(postfix: lab.Postfix) -> None:
    main, master, *others = files(postfix)
    with postfix.running():
        begun = started(postfix)
        # While nobody is served, nobody has read an older certificate; the port was only looked at until here.
        with smtp.Session(postfix.ports[0]) as session:
            assert session.say("NOOP")[0] == 250
        settled(time.time())
        # An older file, played back with its time: nobody has read it all the same.
        for file in (main, master):
            file.write_bytes(file.read_bytes())
            written(file, begun - 1000)
        for file in others:
            written(file, time.time())
        found = pending(postfix)
        assert list(found) == ["main.cf", "master.cf", "smtpd.conf", "tls.pem"]
        assert found["master.cf"].effects[0].startswith("master still runs the services that it read at ")
        answer = mailcfg("drift", ROOT / "sites/quickstart.toml", "--config-dir", postfix.etc, "--no-cache")
        assert answer.code in (1, 2)
        assert answer.out.count("  pending\n") == 4
        for each in found.values():
            assert f"= {each.effects[0]}\n" in answer.out


def test_what_is_remembered_is_not_believed_when_a_file_became_newer(
    postfix: lab.Postfix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILCFG_CACHE", str(tmp_path))
    asked = memory.Request("x", "/", str(postfix.etc))
    main = postfix.etc / "main.cf"
    with postfix.running():
        begun = started(postfix)
        live = Machine()
        live.look(str(main))
        assert live.newer(str(postfix.spool), str(postfix.etc), str(main))[1] == {}
        remember.remember(asked, Machine(), live, remember.FOREVER)
        assert memory.in_sync(asked)
        settled(begun)
        written(main, begun)
        assert not memory.in_sync(asked)
        # What was seen under one start says nothing of what the next one reads.
        again = reloaded(postfix)
        assert not memory.in_sync(asked)
        live = Machine()
        live.look(str(main))
        read, found = live.newer(str(postfix.spool), str(postfix.etc), str(main))
        assert (abs(read - again) < TOLERANCE, found) == (True, {})
        remember.remember(asked, Machine(), live, remember.FOREVER)
        assert memory.in_sync(asked)
        assert remember.recalled(asked) == live.seen
    assert not memory.in_sync(asked)


def reloaded(postfix: lab.Postfix) -> float:
    """When the queue manager started that comes with a reload."""
    begun = started(postfix)
    assert postfix.command("reload")[0] == 0
    lab.wait_for("another queue manager", lambda: started(postfix) > begun + TOLERANCE)
    return started(postfix)


def test_what_was_seen_under_the_same_start_acquits(postfix: lab.Postfix) -> None:
    master = postfix.etc / "master.cf"
    good = master.read_bytes()
    with postfix.running():
        begun = started(postfix)
        settled(begun)
        before = seen(postfix)
        for touch in ("touch", "chmod 600", "rename", "ln"):
            if touch == "rename":
                postconf(master, good)
            else:
                assert lab.run(*touch.split(), master, *([f"{master}.link"] if touch == "ln" else [])).returncode == 0
            assert list(pending(postfix)) == ["master.cf"], "nobody knows"
            assert list(pending(postfix, before=before)) == []
        # Of other bytes, and of a file that it had not seen, it knows nothing.
        master.write_bytes(good + b"#\n")
        assert list(pending(postfix, before=before)) == ["master.cf"]
        postconf(master, good)
        without = {path: what for path, what in before.items() if path != str(master)}
        assert list(pending(postfix, before=without)) == ["master.cf"]
        # The same bytes again, when others were read meanwhile: who saw them before that start knows nothing.
        master.write_bytes(good.replace(b"smtpd\n", b"smtpd -v\n"))
        written(master, begun - 60)
        settled(reloaded(postfix))
        master.write_bytes(good)
        written(master, begun - 60)
        (row,) = pending(postfix, before=before).values()
        assert row.file == str(master)
        assert (row.live or "").startswith("changed or touched later (2")
        settled(reloaded(postfix))
        assert pending(postfix) == {}


def seen(postfix: lab.Postfix) -> dict[str, str]:
    """What a run sees that tells of nothing."""
    machine = Machine()
    wanted = moved(target.load(str(ROOT / "sites/quickstart.toml"), Machine()), str(postfix.etc))
    found = with_pending(compare(wanted, machine, time.time()), machine)
    assert [each for each in found.report.differences if each.kind == "pending"] == []
    return machine.seen


def postconf(path: Path, data: bytes) -> None:
    """Write a file anew and rename it into place, as postconf -e does."""
    fresh = path.with_name(f"{path.name}.tmp")
    fresh.write_bytes(data)
    fresh.rename(path)
