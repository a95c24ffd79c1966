"""What is read is written back byte for byte; an edit touches its own logical line and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg.formats import dovecot, main_cf, master_cf, smtpd_conf
from mailcfg.formats.logical import SPACE
from tests.formats import configurations
from tests.postfix import lab

ANY = st.one_of(st.binary(max_size=300), configurations.main_cf(), configurations.master_cf())

NAMES = st.sampled_from(["smtpd_banner", "relayhost", "first", "nothing_of_the_kind", "a.b", "grüße"])
VALUES = st.sampled_from(["", "x", "a  b", "x = y # z", "{ a }", "ü", "$relayhost"])


@given(ANY)
def test_any_bytes_come_back(data: bytes) -> None:
    assert main_cf.parse(data).render() == data
    assert master_cf.parse(data).render() == data
    assert smtpd_conf.parse(data).render() == data
    assert dovecot.parse(data).render() == data


def comments(data: bytes) -> list[bytes]:
    return [line.strip(SPACE) for line in data.split(b"\n") if line.lstrip(SPACE).startswith(b"#")]


def readable(data: bytes) -> bool:
    return not any(problem.fatal for problem in main_cf.parse(data).problems)


@given(configurations.main_cf().filter(readable), NAMES, VALUES)
@settings(max_examples=400, deadline=None)
def test_a_parameter_is_set(data: bytes, name: str, value: str) -> None:
    before = main_cf.parse(data)
    after = before.set(name, value)
    assert after.effective()[name].value == value
    assert comments(after.data) == comments(data)
    places = [index for index, entry in enumerate(before.entries) if entry.name == name]
    others = [(entry.name, entry.value) for index, entry in enumerate(before.entries) if index not in places[-1:]]
    held = [index for index, entry in enumerate(after.entries) if entry.name == name][-1]
    assert [(entry.name, entry.value) for index, entry in enumerate(after.entries) if index != held] == others
    assert held == (places[-1] if places else len(before.entries))
    # What stands before it is the same to the byte, and so is what stands behind it.
    if places:
        entry = before.entries[places[-1]]
        lines, now = data.split(b"\n"), after.data.split(b"\n")
        assert now[: entry.line - 1] == lines[: entry.line - 1]
        behind = lines[entry.end :]
        assert not behind or now[-len(behind) :] == behind
    assert after.set(name, value).data == after.data


@given(configurations.main_cf().filter(readable), NAMES)
@settings(max_examples=400, deadline=None)
def test_a_parameter_is_removed(data: bytes, name: str) -> None:
    before = main_cf.parse(data)
    rest = [(entry.name, entry.value) for entry in before.entries if entry.name != name]
    after = before.remove(name)
    assert [(entry.name, entry.value) for entry in after.entries] == rest
    assert comments(after.data) == comments(data)
    once = before.only(name)
    mine = [entry.value for entry in before.entries if entry.name == name]
    assert [entry.value for entry in once.entries if entry.name == name] == mine[-1:]
    assert [(entry.name, entry.value) for entry in once.entries if entry.name != name] == rest
    assert comments(once.data) == comments(data)
    if not mine:
        assert after.data == once.data == data


@given(configurations.main_cf())
@settings(max_examples=300, deadline=None)
def test_every_entry_knows_its_lines(data: bytes) -> None:
    lines = data.split(b"\n")
    for entry in main_cf.parse(data).entries:
        first = lines[entry.line - 1]
        assert first.startswith(entry.name.encode(errors="surrogateescape"))
        assert lines[entry.end - 1].strip(SPACE)
        # Without these lines the entry is gone, and only it.
        rest = b"\n".join(lines[: entry.line - 1] + lines[entry.end :])
        assert len(main_cf.parse(rest).entries) <= len(main_cf.parse(data).entries) - 1


SERVICE = ["new inet n - n - - smtpd", "  -o smtpd_banner=x"]


def rows_readable(data: bytes) -> bool:
    return not any(problem.fatal for problem in master_cf.parse(data).problems)


@given(configurations.master_cf().filter(rows_readable), st.integers(0, 4))
@settings(max_examples=400, deadline=None)
def test_a_service_is_set(data: bytes, choice: int) -> None:
    before = master_cf.parse(data)
    id = before.rows[choice].id if choice < len(before.rows) else "new/inet"
    name = id.rpartition("/")[0]
    new = [f"{name} {id.rpartition('/')[2]} n - n - - smtpd", "  -o smtpd_banner=x"]
    after = before.set(new, id)
    mine = [row for row in after.rows if row.id == id]
    assert [(each.name, each.value) for each in mine[-1].overrides] == [("smtpd_banner", "x")]
    assert comments(after.data) == comments(data)
    others = [row[:8] for row in before.rows if row.id != id]
    assert [row[:8] for row in after.rows if row.id != id] == others
    gone = before.remove(id)
    assert [row[:8] for row in gone.rows] == others
    assert comments(gone.data) == comments(data)
    hidden = before.comment_out(id)
    assert [row[:8] for row in hidden.rows] == others
    assert len([row for row in before.only(id).rows if row.id == id]) == min(
        1, len([r for r in before.rows if r.id == id])
    )


@given(configurations.master_cf())
@settings(max_examples=300, deadline=None)
def test_every_override_knows_its_line(data: bytes) -> None:
    lines = data.split(b"\n")
    for row in master_cf.parse(data).rows:
        assert row.line <= row.end
        assert lines[row.line - 1].startswith(row.name.encode(errors="surrogateescape")[:1] or b"{")
        for number in [*(each.line for each in row.overrides), *(each.line for each in row.arguments)]:
            assert row.line <= number <= row.end
            assert lines[number - 1].strip(SPACE)


def test_the_real_postconf_reads_an_edit(tmp_path: Path) -> None:
    lab.needs("postconf")
    data = (
        b"# a comment\nrelayhost = a\nsmtpd_banner = one\n# inside\n  two\n\n  three\r\nrelayhost = [b]\n"
        b"mydestination =\n  localhost"
    )
    file = main_cf.parse(data).set("smtpd_banner", "four  five").set("relayhost", "[c]").only("relayhost")
    file = file.set("mydestination", "$myhostname").set("myhostname", "mail.example.com")
    (tmp_path / "main.cf").write_bytes(file.data)
    (tmp_path / "master.cf").write_bytes(b"")
    for name in ("main.cf", "master.cf"):
        os.utime(tmp_path / name, (time.time() - 60,) * 2)
    done = lab.run("postconf", "-c", tmp_path, "-n")
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if not line.startswith("config_directory")] == [
        "mydestination = $myhostname", "myhostname = mail.example.com", "relayhost = [c]", "smtpd_banner = four five",
    ]  # fmt: skip
    assert file.data == (
        b"# a comment\nsmtpd_banner = four  five\n# inside\n\nrelayhost = [c]\nmydestination = $myhostname\n"
        b"myhostname = mail.example.com"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "x"), ("", "x"), ("a=b", "x"), ("#a", "x"), ("a", "x\ny"), ("a", "\0")]
)
def test_what_main_cf_cannot_hold(name: str, value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        main_cf.parse(b"").set(name, value)


def test_line_ends_of_another_system() -> None:
    file = main_cf.parse(b"a = b\r\nc = d\r\n").set("a", "x").set("e", "f")
    assert file.data == b"a = x\r\nc = d\r\ne = f\r\n"
    rows = master_cf.parse(b"smtp inet n - n - - smtpd\r\n").set(SERVICE, "new/inet")
    assert rows.data == b"smtp inet n - n - - smtpd\r\n" + b"".join(line.encode() + b"\r\n" for line in SERVICE)
