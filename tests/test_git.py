"""The door to git: a revision read as a real git wrote it, whatever the paths, the links and the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mailcfg import git
from tests.gitrepo import ENVIRONMENT, Repo


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


def revision(repo: Repo, name: str = "HEAD") -> git.Revision:
    top = str(repo.top)
    return git.Revision(top, git.commit(top, name))


def test_a_file_as_it_was(repo: Repo) -> None:
    repo.put("a/b.toml", "one\r\n")
    repo.put(".gitattributes", "*.toml text eol=lf\n")
    repo.put("raw", b"\xff\0\n")
    repo.commit()
    repo.put("a/b.toml", "two\n")
    with revision(repo) as then:
        # The attributes had git turn the ends of lines: what counts is what it keeps.
        assert then.read("a/b.toml") == b"one\n"
        assert then.read("raw") == b"\xff\0\n"
        assert then.read("a/none") is None
        assert then.read("none/b") is None
        assert then.read("raw/b") is None
        assert then.names("a") == ["b.toml"]
        assert then.names("") == [".gitattributes", "a", "raw"]
        assert then.names("none") is None
        assert then.names("raw") is None
        with pytest.raises(git.Unreadable, match="is a directory there"):
            then.read("a")


@pytest.mark.parametrize(
    "name", ["ä ö", "two\nlines", "q\"u'o`te", ":(glob)*", "-x", "HEAD:a", "back\\slash", "tab\t", "*?[a]", "\udcff"]
)
def test_a_path_with_odd_characters(repo: Repo, name: str) -> None:
    repo.put(f"{name}/x.toml", name.encode(errors="surrogateescape"))
    repo.commit()
    shutil.rmtree(repo.top / name)
    with revision(repo) as then:
        assert then.read(f"{name}/x.toml") == os.fsencode(name)
        assert then.names(name) == ["x.toml"]


def test_links_are_followed_as_they_were(repo: Repo, tmp_path: Path) -> None:
    repo.put("real/deep/x", "it")
    for link, target in {
        "file": "real/deep/x",
        "folder": "./real//deep",
        "real/up": "../folder/../deep/x",
        "chain": "file",
        "round": "again",
        "again": "round",
        "out": "../x",
        "absolute": "/etc/passwd",
        "nowhere": "none",
    }.items():
        (repo.top / link).symlink_to(target)
    repo.commit()
    for link in ("file", "folder"):
        (repo.top / link).unlink()
        (repo.top / link).symlink_to("elsewhere")
    with revision(repo) as then:
        assert then.read("file") == then.read("folder/x") == then.read("chain") == then.read("real/up") == b"it"
        assert then.names("folder") == ["x"]
        assert then.read("nowhere") is None
        for link, why in {
            "round": "in a circle",
            "out": "leads out of",
            "absolute": "is a link to /etc/passwd",
        }.items():
            with pytest.raises(git.Unreadable, match=why):
                then.read(link)


def test_a_repository_with_longer_ids(tmp_path: Path) -> None:
    repo = Repo(tmp_path / "repo", "--object-format=sha256")
    repo.put("a/b", "it")
    repo.commit()
    with revision(repo) as then:
        assert len(then.commit) == 64
        assert then.read("a/b") == b"it"


def test_many_and_large_files(repo: Repo) -> None:
    for number in range(300):
        repo.put(f"{number % 7}/{number}", f"{number}\n" * number)
    repo.put("large", b"x" * 3_000_000)
    repo.commit()
    with revision(repo) as then:
        for number in range(300):
            assert then.read(f"{number % 7}/{number}") == f"{number}\n".encode() * number
        assert then.read("large") == b"x" * 3_000_000


# --- which commit ----------------------------------------------------------------------------------------------------


def test_what_names_a_commit(repo: Repo) -> None:
    first = repo.commit("first")
    repo.git("tag", "-a", "-m", "a tag", "v1")
    second = repo.commit("second")
    top = str(repo.top)
    names = {"HEAD": second, "HEAD~1": first, "main": second, "v1": first, first[:10]: first, "main^{/first}": first}
    assert {name: git.commit(top, name) for name in names} == names


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "has no commit nowhere: `git log"),
        ("HEAD~9", "has no commit HEAD~9"),
        ("0" * 40, "has no commit 0000"),
        ("HEAD:x", "has no commit HEAD:x"),
        ("", "'' is no revision: is a variable of the pipeline not set here?"),
        ("--all", "'--all' is no revision"),
    ],
)
def test_what_names_none(repo: Repo, name: str, says: str) -> None:
    repo.put("x", "a file")
    repo.commit()
    with pytest.raises(git.GitError) as error:
        git.commit(str(repo.top), name)
    assert says in str(error.value)


def test_a_shallow_clone_says_how_to_fetch(repo: Repo, tmp_path: Path) -> None:
    first = repo.commit("first")
    repo.commit("second")
    clone = Repo(tmp_path / "clone")
    clone.git("fetch", "-q", "--depth=1", f"file://{repo.top}", "main:other")
    for name in (first, "main~1"):
        with pytest.raises(git.GitError) as error:
            git.commit(str(clone.top), name)
        assert f"git fetch origin {name}, or a checkout with the whole history (fetch-depth: 0" in str(error.value)


def test_a_branch_of_the_remote_is_suggested(repo: Repo, tmp_path: Path) -> None:
    repo.commit()
    clone = Repo(tmp_path / "clone")
    clone.git("fetch", "-q", str(repo.top), "main:refs/remotes/origin/release")
    with pytest.raises(git.GitError, match=r"did you mean origin/release\?"):
        git.commit(str(clone.top), "release")


# --- which repository ------------------------------------------------------------------------------------------------


def test_where_a_path_lies(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.put("sites/x.toml", "")
    repo.commit()
    top = str(repo.top)
    places = git.Repositories()

    def inside(path: str | Path) -> str:
        assert places.top(str(path)) == top
        return places.inside(str(path), top)

    assert inside(repo.top / "sites/x.toml") == "sites/x.toml"
    # What is gone, its directory too, was there once.
    assert inside(repo.top / "sites/old/deep/x.toml") == "sites/old/deep/x.toml"
    (tmp_path / "link").symlink_to(repo.top)
    assert inside(tmp_path / "link/sites/x.toml") == "sites/x.toml"
    (tmp_path / "part").symlink_to(repo.top / "sites")
    assert inside(tmp_path / "part/x.toml") == "sites/x.toml"
    # A link inside is not followed here but in the revision.
    (repo.top / "here").symlink_to("sites")
    assert inside(repo.top / "here/x.toml") == "here/x.toml"
    monkeypatch.chdir(repo.top / "sites")
    assert inside("x.toml") == inside("../sites/./x.toml") == "sites/x.toml"
    assert inside("../y.toml") == "y.toml"
    with pytest.raises(git.Unreadable, match="lies outside the repository"):
        places.inside("../../y.toml", top)


def test_outside_of_every_repository(tmp_path: Path) -> None:
    with pytest.raises(git.GitError, match="git has no revisions of it: not a git repository"):
        git.Repositories().top(str(tmp_path / "x.toml"))


def test_a_repository_of_somebody_else(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(git.GitError) as error:
        git.Repositories().top(str(repo.top / "x.toml"))
    assert f"git config --global --add safe.directory {repo.top}" in str(error.value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert git.Repositories().top(str(repo.top / "x.toml")) == str(repo.top)


def test_the_environment_of_a_hook_does_not_mislead(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put("x.toml", "right")
    repo.commit()
    other = Repo(tmp_path / "other")
    other.put("x.toml", "wrong")
    other.commit()
    told = subprocess.run(["git", "rev-parse", "--local-env-vars"], capture_output=True, text=True, check=True)
    names = set(told.stdout.split())
    assert "GIT_DIR" in names
    # All but those that carry settings.
    assert {name for name in names if not name.startswith("GIT_CONFIG")} <= set(git.MISLEADING)
    for name in names:
        if name not in ("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"):
            monkeypatch.setenv(name, str(other.top / ".git"))
    places = git.Repositories()
    assert places.top(str(repo.top / "x.toml")) == str(repo.top)
    with revision(repo) as then:
        assert then.read("x.toml") == b"right"


def test_nothing_is_written(repo: Repo) -> None:
    repo.put("a/x.toml", "it")
    repo.commit()
    before = {path: path.stat().st_mtime_ns for path in repo.top.rglob("*")}
    with revision(repo) as then:
        then.read("a/x.toml")
    assert git.Repositories().top(str(repo.top / "a/x.toml"))
    assert {path: path.stat().st_mtime_ns for path in repo.top.rglob("*")} == before


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(git.GitError, match="git is not on the PATH: install it"):
        git.Repositories().top("x.toml")


def test_an_object_that_is_lost(repo: Repo) -> None:
    repo.put("x", "it")
    repo.commit()
    id = repo.git("rev-parse", "HEAD:x")
    with revision(repo) as then:
        (repo.top / ".git/objects" / id[:2] / id[2:]).unlink()
        with pytest.raises(git.GitError, match=f"lacks the object {id}"):
            then.read("x")


def test_git_that_dies_has_the_last_word(repo: Repo) -> None:
    repo.put("x", "it")
    repo.commit()
    id = repo.git("rev-parse", "HEAD:x")
    with revision(repo) as then:
        path = repo.top / ".git/objects" / id[:2] / id[2:]
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:4] + b"garbage")
        with pytest.raises(git.GitError, match=r"fatal|corrupt|lacks the object|ended"):
            then.read("x")


# --- submodules ------------------------------------------------------------------------------------------------------


@pytest.fixture
def super(repo: Repo, tmp_path: Path) -> Repo:
    """A repository with a submodule that has moved on since the commit `before`."""
    shared = Repo(tmp_path / "shared")
    shared.put("bases/base.toml", "one")
    shared.commit()
    repo.git("submodule", "--quiet", "add", str(shared.top), "lib/shared")
    (repo.top / "link").symlink_to("lib/shared/bases")
    repo.commit()
    repo.git("tag", "before")
    part = repo.top / "lib/shared"
    (part / "bases/base.toml").write_text("two")
    repo.git("-C", str(part), "commit", "-q", "-a", "-m", "two")
    repo.commit()
    return repo


def test_what_lies_in_a_submodule(super: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    top = str(super.top)
    with revision(super, "before") as then:
        assert then.read("lib/shared/bases/base.toml") == then.read("link/base.toml") == b"one"
        assert then.names("lib/shared") == ["bases"]
        assert then.names("link") == ["base.toml"]
        assert then.read("lib/shared/../shared/bases/base.toml") == b"one"
        with pytest.raises(git.Unreadable, match="is a directory there"):
            then.read("lib/shared")
    with revision(super) as now:
        assert now.read("lib/shared/bases/base.toml") == b"two"
    # A revision is one of the repository that is worked in.
    path = str(super.top / "lib/shared/bases/base.toml")
    monkeypatch.chdir(super.top)
    assert git.Repositories().top(path) == top
    monkeypatch.chdir(super.top / "lib/shared")
    assert git.Repositories().top(path) == f"{top}/lib/shared"


def test_a_submodule_that_is_not_here(super: Repo, tmp_path: Path) -> None:
    super.git("submodule", "--quiet", "deinit", "-f", "lib/shared")
    with (
        revision(super, "before") as then,
        pytest.raises(git.Unreadable, match="git submodule update --init lib/shared"),
    ):
        then.read("link/base.toml")
    clone = Repo(super.top / "elsewhere")
    clone.commit()
    shutil.rmtree(super.top / "lib/shared")
    shutil.move(clone.top, super.top / "lib/shared")
    with revision(super, "before") as then:
        for _ in range(2):
            with pytest.raises(git.Unreadable, match=r"which lacks its commit .*: git -C lib/shared fetch"):
                then.read("link/base.toml")
