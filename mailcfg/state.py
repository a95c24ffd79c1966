"""What `apply` leaves on a machine: where it lies, and the record of each generation, which three-way drift reads too.

The directory holds `lock`; `journal`, a line of JSON for each thing that was done; `transaction.json` while an apply or
a rollback is under way; `generations/NNNN/` with `record.json`, the files as they were (`before/`) and as they were
written (`after/`), by their place in the record's list, and the `bundle` that was applied; and `applied`, a link to the
bundle in force.
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from mailcfg.machine import File, Machine, Unreadable

VARIABLE = "MAILCFG_STATE"
"""The variable that names another directory."""

PLACE = "/var/lib/mailcfg"

APPLIED = "applied"
LOCK = "lock"
JOURNAL = "journal"
TRANSACTION = "transaction.json"
GENERATIONS = "generations"
RECORD = "record.json"

SCHEMA = "mailcfg/generation/1"


def chosen() -> str | None:
    """The directory that the environment names instead of the usual one."""
    return os.environ.get(VARIABLE) or None


def directory(root: str, config_directory: str, default: str) -> str:
    """Where the state of a Postfix lies on this machine: one whose configuration is not at the platform's `default`
    has its own below `at/`, so that several instances do not share theirs.
    """
    named = chosen()
    base = os.path.abspath(named) if named else f"{root.rstrip('/')}{PLACE}"
    if config_directory == default:
        return base
    return f"{base}/at/{config_directory.strip('/').replace('/', '-')}"


class Status(NamedTuple):
    """What a file was: its SHA-256 in hexadecimal, permission bits, and owners by number."""

    sha256: str
    mode: int
    uid: int
    gid: int


class FileRecord(NamedTuple):
    """One file that was changed, by its path on the machine; None stands for no file."""

    path: str
    before: Status | None
    after: Status | None


class Record(NamedTuple):
    """One generation: what was applied, from which policy or bundle, when (seconds since 1970), and over which files.

    `previous` is the generation that was in force before, 0 for none. `manifest` is the SHA-256 of the manifest.
    `services`: what had to be done for the files to count: `nothing`, `reload` or `restart`. `directories` are those
    that were made for the files.
    """

    number: int
    previous: int
    site: str
    source: str
    manifest: str
    mailcfg: str
    when: int
    config_directory: str
    services: str
    files: tuple[FileRecord, ...]
    directories: tuple[str, ...] = ()


class Damaged(ValueError):
    """A record that is none of ours. The message says why."""


def record_text(record: Record) -> str:
    """A record as JSON."""
    fields = record._asdict()
    fields["files"] = [
        {"path": each.path, "before": _plain(each.before), "after": _plain(each.after)} for each in record.files
    ]
    return json.dumps({"schema": SCHEMA, **fields}, indent=1) + "\n"


def _plain(status: Status | None) -> dict[str, str | int] | None:
    return None if status is None else status._asdict()


def read_record(text: str) -> Record:
    """Read a record back. Raises Damaged."""
    try:
        data = json.loads(text)
        if data.pop("schema") != SCHEMA:
            raise Damaged("is of another version of mailcfg")
        files = tuple(
            FileRecord(each["path"], _status(each["before"]), _status(each["after"])) for each in data.pop("files")
        )
        directories = tuple(data.pop("directories"))
        return Record(**data, files=files, directories=directories)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"is damaged: {error}") from None


def _status(data: dict[str, str | int] | None) -> Status | None:
    return None if data is None else Status(str(data["sha256"]), int(data["mode"]), int(data["uid"]), int(data["gid"]))


def current(place: str) -> int:
    """The number of the generation in force, 0 for none. Raises OSError."""
    try:
        target = os.readlink(f"{place}/{APPLIED}")
    except FileNotFoundError:
        return 0
    except OSError as error:
        if error.errno != 22:  # EINVAL: something else than a link.
            raise
        target = ""
    number = target.removeprefix(f"{GENERATIONS}/").removesuffix("/bundle")
    if not number.isdecimal():
        raise OSError(22, "is no link of mailcfg's", f"{place}/{APPLIED}")
    return int(number)


def generation(number: int) -> str:
    """The directory of a generation, below the state's."""
    return f"{GENERATIONS}/{number:04d}"


def load(place: str, number: int) -> Record:
    """The record of a generation. Raises Unreadable and Damaged."""
    path = f"{place}/{generation(number)}/{RECORD}"
    found = Machine().look(path)
    if found is None:
        raise Unreadable(path, "there is no such file")
    return read_record(found.data.decode(errors="replace"))


def content(place: str, number: int, side: str, index: int) -> bytes:
    """The bytes of a file of a generation, `before` or `after`. Raises Unreadable."""
    path = f"{place}/{generation(number)}/{side}/{index}"
    found = Machine().look(path)
    if found is None:
        raise Unreadable(path, "there is no such file")
    return found.data


def written(place: str, number: int) -> dict[str, File | None]:
    """The files of the machine as mailcfg wrote them last, by their paths, up to a generation: what none before it has
    changed is not in it. None stands for a file that was taken away. Raises Unreadable and Damaged.
    """
    found: dict[str, File | None] = {}
    newest = True
    while number:
        try:
            record = load(place, number)
        except Unreadable:
            if newest:
                raise
            break  # Older ones are removed at times.
        newest = False
        for index, each in enumerate(record.files):
            if each.path not in found:
                status = each.after
                data = content(place, number, "after", index) if status else b""
                found[each.path] = File(data, status.mode, status.uid, status.gid) if status else None
        if record.previous >= number:
            raise Damaged(f"is damaged: generation {number} comes after {record.previous}")
        number = record.previous
    return found
