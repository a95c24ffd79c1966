"""Rules over files from the field: what they call an error was read by hand and is one, and nothing else is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.problem import Severity
from mailcfg.subjects import Wish
from tests.formats.test_agreement import corpus
from tests.sites import ROOT

CORPUS = ROOT.parent / "shared" / "corpus"

REVIEWED = {
    ("15.cf", 28, "parameter-too-new"),  # smtpd_client_ipv6_prefix_length came with 3.8
    ("50.cf", 740, "tls-required-on-mx"),  # encrypt in main.cf, reject_unauth_destination: strangers may deliver
    ("85.cf", 726, "tls-required-on-mx"),
    ("94.cf", 695, "cleartext-auth"),  # AUTH on, STARTTLS offered, smtpd_tls_auth_only left at no
    ("95.cf", 697, "cleartext-auth"),
    ("329.cf", 789, "parameter-duplicate"),  # inet_protocols: all, and then ipv4
    ("354.cf", 402, "parameter-duplicate"),  # alias_maps twice, the first loses
    ("405.cf", 402, "parameter-duplicate"),
    ("655.cf", 667, "value-fatal"),  # the template as it was shipped: setgid_group is empty
    ("661.cf", 667, "value-fatal"),
    ("715.cf", 546, "value-fatal"),
    ("782.cf", 34, "tls-not-offered"),  # may, and no certificate
    ("785.cf", 32, "value-fatal"),  # message_size_limit = 52428800        # 50 MB
    ("786.cf", 113, "cleartext-auth"),
    ("787.cf", 7, "tls-not-offered"),
    ("800.cf", 675, "value-fatal"),
}
"""File, line and rule of every error in the main.cf of the corpus, with Postfix 3.7.11."""


def checked(folder: Path) -> list[tuple[int, str, Severity]]:
    wish = Wish("/", None, "debian-12", "3.7.11", time.time())
    (only,) = check_all([str(folder)], wish, "2026-01-01", live=False, jobs=1)
    assert only.unknown == ()
    return [(each.location.line, each.rule, each.severity) for each in only.findings]


@pytest.mark.parametrize("path", corpus("main"), ids=str)
def test_errors_are_true(path: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    shutil.copy(path, tmp_path / "main.cf")
    errors = {(line, rule) for line, rule, severity in checked(tmp_path) if severity is Severity.ERROR}
    assert errors == {(line, rule) for file, line, rule in REVIEWED if file == path.name}
    record_property("errors of files from the field, each read", len(errors))


@pytest.mark.parametrize("path", corpus("master"), ids=str)
def test_any_master_cf_can_be_checked(path: Path, tmp_path: Path) -> None:
    (tmp_path / "main.cf").write_text("")
    shutil.copy(path, tmp_path / "master.cf")
    checked(tmp_path)
