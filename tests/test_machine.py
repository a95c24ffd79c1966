"""The door to a live machine: what it reads, what it refuses, what it notes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailcfg.machine import LIMIT, MOST_ENTRIES, Machine, Unreadable, digest


def reason(machine: Machine, path: str, *, content: bool = True) -> str:
    with pytest.raises(Unreadable) as caught:
        machine.look(path, content=content)
    assert caught.value.path == path
    return caught.value.reason


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text\0")
    (tmp_path / "a").chmod(0o640)
    machine = Machine(str(tmp_path))
    found = machine.look("/a")
    assert found is not None
    assert (found.data, found.mode, found.uid) == (b"text\0", 0o640, os.getuid())
    assert machine.seen == {"/a": f"{digest(b'text' + bytes(1))}:640:{found.uid}:{found.gid}"}


def test_without_a_root(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    found = Machine().look(str(tmp_path / "b"))
    assert found is not None
    assert found.data == b"x"


def test_nothing_there(tmp_path: Path) -> None:
    machine = Machine(str(tmp_path))
    assert machine.look("/a") is None
    assert machine.look("/a/b/c") is None
    assert machine.seen == {"/a": "-", "/a/b/c": "-"}


def test_a_file_where_a_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert reason(Machine(str(tmp_path)), "/a/b") == "Not a directory"


def test_the_status_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o750)
    machine = Machine(str(tmp_path))
    found = machine.look("/a", content=False)
    assert found is not None
    assert (found.data, found.mode) == (b"", 0o750)
    assert list(machine.seen) == ["/a/."]
    assert reason(machine, "/a") == "is a directory, not a file"


def test_a_nul(tmp_path: Path) -> None:
    assert "NUL" in reason(Machine(str(tmp_path)), "/a\0b")


def test_dots_in_a_path_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("x")
    machine = Machine(str(tmp_path))
    assert machine.look("/a/./../b")
    assert "out of the root" in reason(machine, "/../b")


LINKS = {
    "relative": "sub/file",
    "absolute": "/sub/file",
    "up and down": "sub/../sub/file",
    "over another": "other",
}


@pytest.mark.parametrize("target", LINKS.values(), ids=LINKS)
def test_links_are_followed_inside_the_root(tmp_path: Path, target: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/file").write_text("x")
    (tmp_path / "other").symlink_to("/sub/file")
    (tmp_path / "link").symlink_to(target)
    found = Machine(str(tmp_path)).look("/link")
    assert found is not None
    assert found.data == b"x"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere", "the link /link leads to nothing"),
        ("/nowhere", "the link /link leads to nothing"),
        ("../../../../../../../../etc/passwd", "the link /link leads out of the root"),
        ("/etc/passwd", "the link /link leads to nothing under the root (/etc/passwd)"),
        ("link", "circle"),
        ("sub/back", "circle"),
    ],
)
def test_links_that_lead_nowhere_good(tmp_path: Path, target: str, words: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/back").symlink_to("../link")
    (tmp_path / "link").symlink_to(target)
    assert words in reason(Machine(str(tmp_path)), "/link")


def test_a_link_to_a_directory_out_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("x")
    (tmp_path / "root/sub").symlink_to("../outside")
    assert "leads out of the root" in reason(Machine(str(tmp_path / "root")), "/sub/file")


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "root").symlink_to("real")
    assert Machine(str(tmp_path / "root")).look("/file")


def test_the_largest_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(LIMIT)
    machine = Machine(str(tmp_path))
    found = machine.look("/a")
    assert found is not None
    assert len(found.data) == LIMIT
    with path.open("ab") as file:
        file.write(b"x")
    assert "larger than 32 MiB" in reason(machine, "/a")


def test_a_file_without_a_size() -> None:
    found = Machine().look("/proc/self/status")
    assert found is not None
    assert b"Name:" in found.data


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff")
    (tmp_path / name).write_text("x")
    assert Machine(str(tmp_path)).look(f"/{name}")


def test_who_stands_for_root(tmp_path: Path) -> None:
    assert Machine().owners == (0, 0)
    status = tmp_path.stat()
    assert Machine(str(tmp_path)).owners == (status.st_uid, status.st_gid)


def test_the_digest_is_sha256() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# --- directories -----------------------------------------------------------------------------------------------------


def test_what_lies_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "etc" / "d").mkdir(parents=True)
    (tmp_path / "etc" / "f").write_text("x")
    (tmp_path / "etc" / "l").symlink_to("f")
    os.mkfifo(tmp_path / "etc" / "p")
    machine = Machine(str(tmp_path))
    found = {"d": "a directory", "f": "a file", "l": "a link", "p": "a FIFO"}
    assert machine.entries("/etc") == found
    (seen,) = machine.seen.items()
    assert seen[0] == "/etc//"
    (tmp_path / "etc" / "f").write_text("other bytes")
    assert machine.entries("/etc") == found
    assert machine.seen["/etc//"] == seen[1], "names and kinds alone"
    (tmp_path / "etc" / "f").unlink()
    (tmp_path / "etc" / "f").symlink_to("p")
    machine.entries("/etc")
    assert machine.seen["/etc//"] != seen[1]


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "f").write_text("x")
    (tmp_path / "root" / "l").symlink_to("../outside")
    machine = Machine(str(tmp_path / "root"))
    for path, words in (
        ("/none", "no such directory"), ("/f", "Not a directory"), ("/l", "out of the root"), ("/\0", "NUL"),
    ):  # fmt: skip
        with pytest.raises(Unreadable, match=words):
            machine.entries(path)
    assert machine.seen == {}


def test_a_directory_without_end(tmp_path: Path) -> None:
    for number in range(MOST_ENTRIES):
        (tmp_path / str(number)).touch()
    machine = Machine(str(tmp_path))
    assert len(machine.entries("/")) == MOST_ENTRIES
    (tmp_path / "more").touch()
    with pytest.raises(Unreadable, match="more than 4096 names"):
        machine.entries("/")
