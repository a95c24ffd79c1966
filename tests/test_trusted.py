"""A bundle that somebody tampered with is refused whole: one sentence that says what is wrong, and nothing done."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import socket
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mailcfg import archive, cli, target
from mailcfg.archive import BLOCK
from mailcfg.bundle import Bundle, BundleFile, tar
from mailcfg.desired import Whole
from mailcfg.machine import File, Machine, Unreadable
from tests.sites import GOLDEN, ROOT, SITES, built

SITE = "quickstart"

Files = dict[str, bytes]


def files_of(site: str = SITE) -> Files:
    return dict(built(ROOT / f"sites/{site}.toml").contents())


def as_tree(files: Files, folder: Path, site: str = SITE) -> Path:
    for path, data in files.items():
        place = folder / site / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder / site


def as_tar(files: Files, folder: Path, site: str = SITE) -> Path:
    place = folder / f"{site}.tar"
    place.write_bytes(tar(Bundle(site, tuple(BundleFile(path, None, data) for path, data in files.items()))))
    return place


FORMS = [as_tree, as_tar]
Form = Callable[[Files, Path], Path]


def snapshot(folder: Path) -> list[tuple[str, int, int, bytes]]:
    """Every name below a directory with what can be changed of it."""
    found = []
    for place in sorted(folder.rglob("*")):
        status = place.lstat()
        data = place.read_bytes() if place.is_file() and status.st_size < 1 << 20 else b""
        found.append((str(place.relative_to(folder)), status.st_mode, status.st_mtime_ns, data))
    return found


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Holds a bundle against what must be said of it by `drift`, and by what hands it to `apply`."""
    monkeypatch.setenv("MAILCFG_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "machine"
    root.mkdir()

    def check(bundle: Path, *words: str) -> None:
        before = snapshot(tmp_path)
        code = cli.main(["drift", str(bundle), "--root", str(root)])
        told = capsys.readouterr()
        assert code == 2, told.out
        (line,) = told.err.splitlines()
        assert line.startswith("mailcfg: ")
        assert line.isprintable()
        assert [word for word in words if word not in line] == [], line
        assert "in sync" not in told.out
        assert snapshot(tmp_path) == before
        with pytest.raises((cli.Failure, Unreadable)) as caught:
            target.load_whole(str(bundle), Machine())
        assert [word for word in words if word not in str(caught.value)] == []

    return check


# --- what is not tampered with ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("site", [path.stem for path in SITES])
def test_what_was_built_is_handed_out_whole(form: Callable[..., Path], site: str, tmp_path: Path) -> None:
    files = {str(path.relative_to(GOLDEN / site)): path.read_bytes() for path in _files_below(GOLDEN / site)}
    whole = target.load_whole(str(form(files, tmp_path, site)), Machine())
    manifest = files.pop("manifest.json")
    assert whole.files == files
    assert [place.path for place in whole.places] == list(whole.files)
    assert whole.manifest == manifest
    assert whole.digest_of_manifest == sha256(manifest).hexdigest()
    made = target.load_whole(str(ROOT / f"sites/{site}.toml"), Machine())
    assert _without_files(made) == whole
    assert target.load(str(form(files | {"manifest.json": manifest}, tmp_path, site)), Machine()) == whole.desired


def _files_below(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _without_files(whole: Whole) -> Whole:
    """As a bundle tells it: what further files say stands in them, not in the manifest."""
    configuration = whole.desired.configuration._replace(files=())
    return whole._replace(desired=whole.desired._replace(configuration=configuration))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["sig", "asc", "minisig", "sigstore"])
def test_a_signature_beside_the_manifest(form: Form, end: str, tmp_path: Path) -> None:
    whole = target.load_whole(str(form(files_of() | {f"manifest.json.{end}": b"\x88\x01"}, tmp_path)), Machine())
    assert f"manifest.json.{end}" not in whole.files


def test_a_tar_that_somebody_packed_of_the_tree(tmp_path: Path) -> None:
    """With directories, owners and times in it, in any order, in both forms that tar(1) writes."""
    tree = as_tree(files_of(), tmp_path)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        place = tmp_path / str(form) / f"{SITE}.tar"
        place.parent.mkdir()
        with tarfile.open(place, "w", format=form) as packed:
            packed.add(tree, SITE)
        assert target.load_whole(str(place), Machine()).files == target.load_whole(str(tree), Machine()).files


def test_a_name_too_long_for_a_header(tmp_path: Path) -> None:
    site = "a" * 200
    made = built(ROOT / "sites/quickstart.toml").contents()
    made["manifest.json"] = made["manifest.json"].replace(b'"site": "quickstart"', f'"site": "{site}"'.encode())
    whole = target.load_whole(str(as_tar(made, tmp_path, site)), Machine())
    assert whole.desired.site == site


# --- files -----------------------------------------------------------------------------------------------------------

LISTED = [path for path in files_of() if path != "manifest.json"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", LISTED)
def test_another_byte(form: Form, path: str, tmp_path: Path, refused: Callable[..., None]) -> None:
    files = files_of()
    files[path] = files[path][:-1] + b"#"
    refused(form(files, tmp_path), f"{path} is not what was built: its digest differs from the manifest's")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", LISTED)
def test_a_file_less(form: Form, path: str, tmp_path: Path, refused: Callable[..., None]) -> None:
    files = files_of()
    del files[path]
    refused(form(files, tmp_path), f"{path} is missing: build the bundle again")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["README", "postfix/main.cf.bak", "manifest.json.txt", "manifest.json.sig/a", ".x"])
def test_a_file_more(form: Form, path: str, tmp_path: Path, refused: Callable[..., None]) -> None:
    refused(form(files_of() | {path: b""}, tmp_path), f"{path} is not in the manifest")


@pytest.mark.parametrize("form", FORMS)
def test_a_name_with_control_characters(form: Form, tmp_path: Path, refused: Callable[..., None]) -> None:
    refused(form(files_of() | {"a\x1b[2Jb": b""}, tmp_path), "a\\x1b[2Jb")


@pytest.mark.parametrize("form", FORMS)
def test_no_manifest(form: Form, tmp_path: Path, refused: Callable[..., None]) -> None:
    files = files_of()
    del files["manifest.json"]
    refused(form(files, tmp_path), "is no bundle: it has no manifest.json")


@pytest.mark.parametrize("form", FORMS)
def test_files_too_large(form: Form, tmp_path: Path, refused: Callable[..., None]) -> None:
    files = files_of() | {"saslauthd/saslauthd": bytes(archive.FILE_LIMIT + 1)}
    refused(form(files, tmp_path), "saslauthd/saslauthd", "larger" if form is as_tree else "no more than 4,194,304")
    files["manifest.json"] = bytes(archive.FILE_LIMIT + 1)
    refused(form(files, tmp_path), "manifest.json", "4,194,304")


@pytest.mark.parametrize("form", FORMS)
def test_too_many_files(form: Form, tmp_path: Path, refused: Callable[..., None]) -> None:
    many = {f"more/{number}": b"" for number in range(archive.MEMBER_LIMIT)}
    refused(form(files_of() | many, tmp_path), "more than 1,024")


# --- the manifest: whoever forges it makes the digests right ---------------------------------------------------------


def forged(change: Callable[[dict[str, Any]], None], contents: Files | None = None) -> Files:
    """The bundle after an edit of its manifest; the digests of files that were replaced are right again."""
    files = files_of() | (contents or {})
    manifest = json.loads(files["manifest.json"])
    for each in manifest["files"]:
        each["sha256"] = sha256(files[each["path"]]).hexdigest()
    change(manifest)
    files["manifest.json"] = json.dumps(manifest).encode()
    return files


def row(manifest: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in manifest["files"] if each["path"] == path)
    return found


def of_file(path: str, /, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: row(manifest, path).update(values)


def of_configuration(part: str, /, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["configuration"][part][0].update(values)


def ignoring(**values: Any) -> Callable[[dict[str, Any]], None]:
    """With drift that is tolerated, such as all of it."""

    def change(manifest: dict[str, Any]) -> None:
        origin = manifest["configuration"]["parameters"][0]["origin"]
        entry = {
            "because": "it was so before",
            "until": "2999-12-31",
            "setting": "",
            "service": "",
            "file": "",
            "kind": "",
        }
        manifest["configuration"]["ignore"] = [{**entry, **values, "origin": origin}]

    return change


OTHER = "saslauthd/saslauthd"
"""A file that the configuration in the manifest does not decide."""

MANIFESTS: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (of_file(OTHER, target="etc/default/saslauthd"), "is to become etc/default/saslauthd, which is not absolute"),
    (of_file(OTHER, target="/etc/default/../shadow"), "/etc/default/../shadow, which leads out"),
    (of_file(OTHER, target="/etc//default"), "/etc//default, which has an empty step"),
    (of_file(OTHER, target="/etc/./default"), "has an empty step or a dot"),
    (of_file(OTHER, target="/etc/default/"), "has an empty step"),
    (of_file(OTHER, target="/"), "has an empty step"),
    (of_file(OTHER, target=""), "is not absolute"),
    (of_file(OTHER, target="/etc/a\nb"), "control character"),
    (of_file(OTHER, target="/etc/a\u202eb"), "control character"),
    (of_file(OTHER, target=None), "belongs nowhere"),
    (of_file(OTHER, target="/etc/postfix/main.cf"), "is to become /etc/postfix/main.cf, like another file"),
    (of_file(OTHER, ownership="none"), "belongs nowhere"),
    (of_file(OTHER, mode="4644"), "the mode 4644"),
    (of_file(OTHER, mode="2755"), "the mode 2755"),
    (of_file(OTHER, mode="1755"), "the mode 1755"),
    (of_file(OTHER, mode="0664"), "the mode 0664"),
    (of_file(OTHER, mode="0646"), "the mode 0646"),
    (of_file(OTHER, mode="rwx"), "is damaged"),
    (of_file(OTHER, owner="www-data"), "belong to www-data:root"),
    (of_file(OTHER, group="users"), "belong to root:users"),
    (of_file(OTHER, path="../saslauthd"), "../saslauthd leads out"),
    (of_file(OTHER, path="/etc/passwd"), "/etc/passwd is an absolute path"),
    (of_file(OTHER, path="saslauthd//saslauthd"), "has an empty step"),
    (of_file(OTHER, path="saslauthd\\saslauthd"), "a backslash"),
    (of_file(OTHER, path="manifest.json"), "manifest.json is listed twice"),
    (of_file(OTHER, path="manifest.json.sig"), "manifest.json.sig is listed twice"),
    (of_file(OTHER, path="postfix/main.cf"), "postfix/main.cf is listed twice"),
    (of_file("postfix/main.cf", mode="0600"), "postfix/main.cf is not listed as its configuration has it"),
    (of_file("postfix/main.cf", target="/etc/postfix/master.cf"), "like another file"),
    (of_file("postfix/main.cf", ownership="whole"), "postfix/main.cf is not listed as"),
    (of_file("openssl/mail.sh", target="/etc/cron.hourly/mail"), "openssl/mail.sh is not listed as"),
    (of_file("saslauthd/saslauthd", target="/etc/cron.d/x"), "where no build puts a file on debian-12"),
    (of_file("saslauthd/saslauthd", target="/root/.ssh/authorized_keys"), "where no build puts a file"),
    (of_configuration("sasl", path="/root/.ssh/smtpd.conf"), "is no smtpd.conf of debian-12"),
    (lambda manifest: manifest.update(hostname="other.example.com"), "and makes it mail.example.com"),
    (lambda manifest: manifest.update(postfix="3.7.1\u0661"), "which is no version"),
    (lambda manifest: manifest["files"].reverse(), "is not listed as"),
    (lambda manifest: manifest["files"].clear(), "postfix/main.cf is not listed as"),
    (lambda manifest: manifest.update(site="../other"), "../other, which is no name"),
    (lambda manifest: manifest.update(site=""), "no name"),
    (lambda manifest: manifest.update(platform="debian-99"), "knows no platform"),
    (lambda manifest: manifest.update(postfix="3.x"), "is damaged"),
    (lambda manifest: manifest.update(config_directory="etc/postfix"), "etc/postfix is not absolute"),
    (lambda manifest: manifest.update(config_directory="/etc/../postfix"), "/etc/../postfix leads out"),
    (lambda manifest: manifest.update(more=1), "one too many"),
    (of_configuration("parameters", value="${smtpd_banner}\nrelayhost = evil.example"), "control character"),
    (of_configuration("parameters", name="relayhost = x #"), "no name of a setting"),
    (of_configuration("parameters", name="relayhost", value="evil.example"), "postfix/main.cf does not say what"),
    (of_configuration("parameters", value=" yes"), "begins or ends with a blank"),
    (of_configuration("services", command="pipe argv=/bin/sh"), "cannot stand in master.cf"),
    (of_configuration("services", command="/bin/sh -c"), "cannot stand in master.cf"),
    (of_configuration("services", chroot="n n"), "no column of master.cf"),
    (of_configuration("services", chroot="n"), "postfix/master.cf does not say what"),
    (of_configuration("services", arguments=["{ unclosed"]), "master.cf cannot hold"),
    (of_configuration("services", private="maybe"), "master.cf cannot hold"),
    (of_configuration("sasl", path="/etc/postfix/sasl/../smtpd.conf"), "leads out"),
    (of_configuration("sasl", settings=[]), "sasl2/smtpd.conf does not say what"),
    (ignoring(), "an entry is about all drift"),
    (ignoring(kind="extra"), "an entry is about all drift"),
    (ignoring(setting="relayhost", until="9999"), "9999 is no day"),
    (ignoring(setting="relayhost", kind="any"), "is damaged"),
    (of_configuration("certificates", name="../mail"), "certificate of the name ../mail"),
    (of_configuration("certificates", key_file="../mail.key"), "../mail.key is not absolute"),
    (lambda each: each["configuration"]["parameters"].append(each["configuration"]["parameters"][0]), "twice"),
    (lambda each: each["configuration"]["services"].append(each["configuration"]["services"][0]), "twice"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("change", "words"), MANIFESTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_forged_manifest(
    form: Form, change: Callable[[dict[str, Any]], None], words: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    refused(form(forged(change), tmp_path), "manifest.json" if "does not say" not in words else "", words)


def test_a_forgery_without_a_change_is_none(tmp_path: Path) -> None:
    """What the others are refused for is the change."""
    target.load_whole(str(as_tree(forged(lambda manifest: None), tmp_path)), Machine())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["postfix/main.cf", "postfix/master.cf", "sasl2/smtpd.conf"])
@pytest.mark.parametrize("more", [b"relayhost = evil.example\n", b" a continuation\n", b"\xff\n", b"\r\n", b"\0\n"])
def test_a_forged_fragment(form: Form, path: str, more: bytes, tmp_path: Path, refused: Callable[..., None]) -> None:
    files = forged(lambda manifest: None, {path: files_of()[path] + more})
    refused(form(files, tmp_path), f"{path} does not say what the manifest's configuration says")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"site": "quickstart",', b'"site": "a", "site": "quickstart",', "a key stands there twice"),
        (b'"line": 3', b'"line": NaN', "is no int"),
        (b'"line": 3', b'"line": 1e3', "is no int"),
        (b"{", b"[" * 100_000, "is not JSON"),
        (b'"mail.example.com"', b'"\\ud800"', "a control character"),
        (b'"mail.example.com"', b'"\xff"', "manifest.json"),
        (b'"mail.example.com"', b'"\\u001b[2J"', "a control character"),
    ],
)
def test_a_manifest_that_is_no_strict_json(
    old: bytes, new: bytes, words: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    files = files_of()
    assert old in files["manifest.json"]
    files["manifest.json"] = files["manifest.json"].replace(old, new, 1)
    refused(as_tree(files, tmp_path), "manifest.json", words)


# --- trees -----------------------------------------------------------------------------------------------------------


def _socket(place: Path) -> None:
    here = os.getcwd()
    os.chdir(place.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("put", "words"),
    [
        (lambda place: place.symlink_to("/etc/passwd"), "a link"),
        (lambda place: place.symlink_to("../postfix/main.cf"), "a link"),
        (lambda place: place.symlink_to("nowhere"), "a link"),
        (os.mkfifo, "a FIFO"),
        (_socket, "a socket"),
        (Path.mkdir, "is missing"),
    ],
)
def test_no_file_in_a_tree(
    put: Callable[[Path], None], words: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    tree = as_tree(files_of(), tmp_path)
    (tree / OTHER).unlink()
    put(tree / OTHER)
    refused(tree, OTHER, words)


def test_a_directory_that_is_a_link(tmp_path: Path, refused: Callable[..., None]) -> None:
    tree = as_tree(files_of(), tmp_path)
    (tree / "saslauthd").rename(tmp_path / "outside")
    (tree / "saslauthd").symlink_to(tmp_path / "outside")
    refused(tree, "saslauthd is a link")


def test_a_directory_more(tmp_path: Path, refused: Callable[..., None]) -> None:
    tree = as_tree(files_of(), tmp_path)
    (tree / "postfix" / "more").mkdir()
    refused(tree, "postfix/more is a directory of nothing in the manifest")


def test_a_bomb_of_directories(tmp_path: Path, refused: Callable[..., None]) -> None:
    tree = as_tree(files_of(), tmp_path)
    (tree / "/".join("d" * 200)).mkdir(parents=True)
    for number in range(archive.MEMBER_LIMIT - 200):
        (tree / str(number)).mkdir()
    refused(tree, "more than 1,024 files and directories")
    shutil.rmtree(tree)


def test_a_file_without_end(tmp_path: Path, refused: Callable[..., None]) -> None:
    tree = as_tree(files_of(), tmp_path)
    with (tree / OTHER).open("wb") as file:
        file.truncate(1 << 40)
    refused(tree, OTHER, "larger than")


def test_what_is_added_after_a_run_in_sync_is_seen(tmp_path: Path) -> None:
    """A later run answers from memory only while no name has come or gone in the bundle."""
    tree = as_tree(files_of(), tmp_path)
    door = Machine()
    target.load(str(tree), door)
    again = Machine()
    target.load(str(tree), again)
    assert door.seen == again.seen
    (tree / "postfix" / "more").mkdir()
    for name in door.seen:
        if name.endswith("//"):
            again.entries(name[:-2])
    assert [name for name in door.seen if door.seen[name] != again.seen[name]] == [f"{tree}/postfix//"]


# --- tars ------------------------------------------------------------------------------------------------------------


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, len(data), link
    return made


def packed(files: Files, more: list[tuple[tarfile.TarInfo, bytes]], site: str = SITE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as made:
        for path, data in files.items():
            made.addfile(member(f"{site}/{path}", data=data), io.BytesIO(data))
        for info, data in more:
            made.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


MEMBERS = [
    (member(f"{SITE}/link", tarfile.SYMTYPE, link="/etc/passwd"), "quickstart/link is a symbolic link"),
    (member(f"{SITE}/link", tarfile.LNKTYPE, link=f"{SITE}/manifest.json"), "is a hard link"),
    (member(f"{SITE}/null", tarfile.CHRTYPE), "is a device"),
    (member(f"{SITE}/disk", tarfile.BLKTYPE), "is a device"),
    (member(f"{SITE}/fifo", tarfile.FIFOTYPE), "is a FIFO"),
    (member(f"{SITE}/other", b"7"), "of an unknown kind"),
    (member(f"{SITE}/sparse", tarfile.GNUTYPE_SPARSE), "is a sparse file"),
    (member("/etc/cron.d/x"), "/etc/cron.d/x is an absolute path"),
    (member("../x"), "../x leads out"),
    (member(f"{SITE}/../../x"), "leads out"),
    (member(f"{SITE}//x"), "has an empty step"),
    (member(f"./{SITE}/x"), "a dot in its path"),
    (member(f"{SITE}/x\ny"), "a control character"),
    (member(f"{SITE}/x\\y"), "a backslash"),
    (member("other/x"), "holds 2 directories at its top"),
    (member("x"), "holds 2 directories at its top"),
    (member(f"{SITE}/manifest.json"), "quickstart/manifest.json stands there twice"),
    (member(f"{SITE}/manifest.json/x"), "lies below quickstart/manifest.json, which is a file"),
    (member(f"{SITE}/postfix/main.cf", tarfile.DIRTYPE), "stands there twice"),
    (member(f"{SITE}/more", tarfile.DIRTYPE), "more is a directory of nothing in the manifest"),
    (member(f"{SITE}/{'x' * 300}"), "is not in the manifest"),
]


@pytest.mark.parametrize(("info", "words"), MEMBERS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_member_of_a_tar(info: tarfile.TarInfo, words: str, tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(packed(files_of(), [(info, b"")]))
    refused(place, words)


def headers(data: bytes, **pax: str) -> bytes:
    """A tar whose last member has an extended header with these records."""
    info = member(f"{SITE}/x", data=data)
    info.pax_headers = {name.replace("__", "."): value for name, value in pax.items()}
    return packed(files_of(), [(info, data)], format=tarfile.PAX_FORMAT)


@pytest.mark.parametrize(
    ("pax", "words"),
    [
        ({"size": "999999999999999"}, "an extended header with size"),
        ({"linkpath": "/etc/passwd"}, "an extended header with linkpath"),
        ({"GNU__sparse__major": "1"}, "an extended header with GNU.sparse.major"),
        ({"GNU__sparse__realsize": "1"}, "GNU.sparse.realsize"),
        ({"hdrcharset": "BINARY"}, "hdrcharset"),
        ({"path": "/etc/passwd"}, "/etc/passwd is an absolute path"),
        ({"path": f"{SITE}/manifest.json"}, "stands there twice"),
        ({"path": f"{SITE}/../x"}, "leads out"),
        ({"path": f"{SITE}/x\0y"}, "control character"),
        ({"comment": "x" * 70_000}, "no more than 65,536 are read"),
    ],
    ids=str,
)
def test_an_extended_header(pax: dict[str, str], words: str, tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(headers(b"", **pax))
    refused(place, words)


def test_a_header_for_all_members(tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(packed(files_of(), [], format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}))
    refused(place, "is a header for all members")


def test_a_long_name_of_gnu(tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(packed(files_of(), [(member(f"{SITE}/{'x' * 300}"), b"")], format=tarfile.GNU_FORMAT))
    refused(place, "is a long name in GNU's own form")


def sized(text: bytes) -> bytes:
    """A tar whose first header says that its member has this size, with the right checksum."""
    data = bytearray(as_bytes())
    data[124:136] = text
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:BLOCK])
    return bytes(data)


def as_bytes() -> bytes:
    return tar(built(ROOT / "sites/quickstart.toml"))


def pax_bomb(size: int) -> bytes:
    """An extended header that claims a size and holds nothing."""
    info = member(f"{SITE}/x", tarfile.XHDTYPE)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + as_bytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: b"", "is no tar"),
        (lambda: b"x", "is no tar"),
        (lambda: b"x" * 10_240, "is no tar"),
        (lambda: bytes(10_240), "holds 0 directories"),
        (lambda: gzip.compress(as_bytes()), "is compressed with gzip"),
        (lambda: b"PK\x03\x04" + as_bytes(), "is compressed with zip"),
        (lambda: as_bytes()[:-10_240] + as_bytes()[-512:], "is cut off"),
        (lambda: as_bytes().rstrip(b"\0"), "is cut off"),
        (lambda: as_bytes()[:BLOCK], "is cut off within quickstart/manifest.json"),
        (lambda: as_bytes()[: 3 * BLOCK], "is cut off within quickstart/manifest.json"),
        (lambda: as_bytes()[:-1], "is cut off"),
        (lambda: as_bytes() + b"x" * BLOCK, "holds something behind its end"),
        (lambda: as_bytes() + as_bytes(), "holds something behind its end"),
        (lambda: as_bytes() + b"x", "is cut off"),
        (lambda: sized(b"77777777777\0"), "has 8,589,934,591 bytes; no more than 4,194,304"),
        (lambda: sized(b"\x80" + b"\0" * 10 + b"\xff"), "a size that is no octal number"),
        (lambda: sized(b"-0000000001\0"), "a size that is no octal number"),
        (lambda: sized(b"\0" * 12), "a size that is no octal number"),
        (lambda: pax_bomb(1 << 32), "no more than 65,536"),
        (lambda: as_bytes().replace(b"ustar\0", b"\0" * 6), "is no tar"),
        (lambda: as_bytes().replace(b"quickstart/post", b"quickstarT/post", 1), "a header's checksum is wrong"),
    ],
)
def test_the_bytes_of_a_tar(
    data: Callable[[], bytes], words: str, tmp_path: Path, refused: Callable[..., None]
) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(data())
    refused(place, words)


def test_another_directory_than_the_manifests(tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    place.write_bytes(packed(files_of(), [], site="other"))
    refused(place, "its directory is other, and its manifest of quickstart")


def test_a_total_too_large(tmp_path: Path, refused: Callable[..., None]) -> None:
    place = tmp_path / f"{SITE}.tar"
    big = bytes(archive.FILE_LIMIT)
    place.write_bytes(packed(files_of() | {f"more/{number}": big for number in range(5)}, []))
    refused(place, "holds more than 16,777,216 bytes")


# --- fuzzing ---------------------------------------------------------------------------------------------------------

ROUNDS = 3000


def test_any_changed_byte_is_refused_or_changes_nothing() -> None:
    """Of a tar, with the reader and the checks that stand before every use."""
    whole, chance = as_bytes(), random.Random(1)
    known = _read(whole)
    refused = 0
    for _ in range(ROUNDS):
        data = bytearray(whole)
        place = chance.randrange(len(data))
        data[place] ^= chance.randrange(1, 256)
        try:
            found = _read(bytes(data))
        except cli.Failure:
            refused += 1
        else:
            assert found == known, f"byte {place} of the tar was changed to {data[place]}"
    assert refused > ROUNDS // 2


def test_any_edit_of_members_is_refused_or_changes_nothing() -> None:
    """Blocks of a tar dropped, doubled, swapped, zeroed; members renamed, moved and retyped with right checksums."""
    whole, chance = as_bytes(), random.Random(2)
    known = _read(whole)
    names = [f"{SITE}/{path}" for path in known] + ["/etc/x", f"{SITE}/../x", f"{SITE}/new", "x", ""]
    refused = 0
    for _ in range(ROUNDS):
        blocks = [whole[start : start + BLOCK] for start in range(0, len(whole), BLOCK)]
        at, other = chance.randrange(len(blocks)), chance.randrange(len(blocks))
        match chance.randrange(6):
            case 0:
                del blocks[at : at + chance.randrange(1, 4)]
            case 1:
                blocks.insert(other, blocks[at])
            case 2:
                blocks[at], blocks[other] = blocks[other], blocks[at]
            case 3:
                blocks[at] = bytes(BLOCK)
            case 4:
                del blocks[at:]
            case _:
                heads = [index for index, block in enumerate(blocks) if block[257:262] == b"ustar"]
                at = chance.choice(heads)
                info = tarfile.TarInfo.frombuf(blocks[at], "utf-8", "strict")
                info.name = chance.choice(names)
                info.type = chance.choice([b"0", b"\0", b"5", b"1", b"2", b"x", b"g", b"L", b"S", b"7"])
                info.size = chance.choice([info.size, 0, 1, 512, 1 << 33])
                blocks[at] = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")[-BLOCK:]
        try:
            found = _read(b"".join(blocks))
        except cli.Failure:
            refused += 1
        else:
            assert found == known
    assert refused > ROUNDS // 2


def _read(data: bytes) -> Files:
    """What `apply` would be handed, without a file on disk."""
    door = _Held(data)
    return dict(target.load_whole("/held.tar", door).files)


class _Held(Machine):
    """A machine with one file."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def look(self, path: str, *, content: bool = True) -> Any:
        assert path == "/held.tar"
        return File(self._data, 0o644, 0, 0)
