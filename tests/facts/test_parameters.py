"""The catalogue of Postfix parameters agrees with what Postfix itself prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "mailcfg/facts/parameters.json"
MEASURED = ("3.5.25", "3.7.11", "3.10.13", "3.11.7")
KINDS = {"bool", "enum", "integer", "time", "list", "path", "table", "string"}
KEYS = {
    "kind", "values", "since", "default", "deprecated", "ignored", "removed", "replacement", "backported",
    "still_read", "computed", "distribution", "daemons", "source",
}  # fmt: skip

# Names that a measured file has and the catalogue has not, or the other way round, with the reason.
NAME_EXCEPTIONS: dict[str, str] = {}

# The running host, the running process or the very release decides the value.
COMPUTED = {
    "mail_release_date", "mail_version", "mydomain", "myhostname", "mynetworks", "process_id", "process_name",
}  # fmt: skip

# Whoever builds the package decides the value; the catalogue has what Debian chose.
DISTRIBUTION = {
    "alias_database", "alias_maps", "command_directory", "config_directory", "daemon_directory", "data_directory",
    "default_cache_db_type", "default_database_type", "html_directory", "mail_owner", "mail_spool_directory",
    "mailq_path", "manpage_directory", "meta_directory", "newaliases_path", "openssl_path", "queue_directory",
    "readme_directory", "sample_directory", "sendmail_path", "setgid_group", "shlib_directory",
    "tls_eecdh_auto_curves", "tls_ffdhe_auto_groups",
}  # fmt: skip

# The default changed within a series: a host with another patch release than the measured one may differ.
CHANGED_IN_A_PATCH = {
    "milter_default_action", "proxy_read_maps", "service_name", "smtp_tls_dane_insecure_mx_policy",
    "tlsproxy_client_policy_maps", "tlsproxy_client_security_level",
}  # fmt: skip

# (parameter, series, its default there; None: it does not exist there)
KNOWN: list[tuple[str, str, str | None]] = [
    ("smtpd_tls_protocols", "3.5", "!SSLv2, !SSLv3"),
    ("smtpd_tls_protocols", "3.6", ">=TLSv1"),
    ("smtp_tls_mandatory_protocols", "3.11", ">=TLSv1"),
    ("smtpd_tls_fingerprint_digest", "3.4", "md5"),
    ("smtpd_tls_fingerprint_digest", "3.6", "${{$compatibility_level} <level {3.6} ? {md5} : {sha256}}"),
    ("tls_ffdhe_auto_groups", "3.7", None),
    ("tls_ffdhe_auto_groups", "3.8", "ffdhe2048 ffdhe3072"),
    ("tls_export_cipherlist", "3.8", ""),
    ("tls_medium_cipherlist", "3.7", "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"),
    ("smtpd_sasl_mechanism_filter", "3.5", None),
    ("smtpd_sasl_mechanism_filter", "3.6", "!external, static:rest"),
    ("smtpd_tls_enable_rpk", "3.8", None),
    ("smtpd_tls_enable_rpk", "3.9", "no"),
    ("smtpd_forbid_bare_newline", "3.7", "no"),
    ("smtpd_forbid_bare_newline", "3.9", "normalize"),
    ("smtpd_forbid_unauth_pipelining", "3.9", "yes"),
    ("postscreen_blacklist_action", "3.5", "ignore"),
    ("postscreen_blacklist_action", "3.6", None),
    ("postscreen_allowlist_interfaces", "3.5", None),
    ("smtpd_per_record_deadline", "3.7", None),
    ("tlsproxy_client_level", "3.7", None),
    ("tls_legacy_public_key_fingerprints", "3.10", "no"),
    ("tls_legacy_public_key_fingerprints", "3.11", None),
    ("smtp_tls_security_level", "3.10", ""),
    ("smtp_tls_security_level", "3.11", "${{$compatibility_level} <level {3.11} ? {} : {may}}"),
    ("requiretls_enable", "3.10", None),
    ("requiretls_enable", "3.11", "yes"),
    ("smtpd_sasl_tls_security_options", "3.4", "$smtpd_sasl_security_options"),
    ("smtpd_tls_auth_only", "3.4", "no"),
    ("smtpd_client_ipv4_prefix_length", "3.8", "32"),
    ("smtp_sasl_application_name", "3.11", None),
]

# (parameter, key, value)
KNOWN_KEYS: list[tuple[str, str, object]] = [
    ("smtpd_tls_protocols", "since", "2.6"),
    ("smtpd_tls_auth_only", "since", "2.2"),
    ("smtpd_tls_security_level", "since", "2.3"),
    ("smtpd_tls_chain_files", "since", "3.4"),
    ("cyrus_sasl_config_path", "since", "2.5"),
    ("myorigin", "since", None),
    ("smtpd_use_tls", "deprecated", "3.9"),
    ("smtpd_use_tls", "replacement", "smtpd_tls_security_level"),
    ("smtpd_enforce_tls", "deprecated", "3.9"),
    ("smtp_tls_enforce_peername", "deprecated", "3.11"),
    ("tls_low_cipherlist", "ignored", "3.8"),
    ("tls_legacy_public_key_fingerprints", "removed", "3.11"),
    ("postscreen_whitelist_interfaces", "still_read", True),
    ("smtpd_sasl_type", "values", ["cyrus", "dovecot"]),
    ("smtpd_tls_security_level", "values", ["", "none", "may", "encrypt"]),
    ("smtpd_forbid_bare_newline", "kind", "enum"),
    ("smtpd_sasl_auth_enable", "kind", "bool"),
    ("smtpd_tls_session_cache_timeout", "kind", "time"),
    ("smtpd_tls_ccert_verifydepth", "kind", "integer"),
    ("smtpd_recipient_restrictions", "kind", "list"),
    ("smtp_sasl_password_maps", "kind", "table"),
    ("smtpd_tls_cert_file", "kind", "path"),
    ("myhostname", "kind", "string"),
]


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(FILE.read_bytes())
    return loaded


def series(text: str) -> tuple[int, int]:
    """The major and minor number of "3.7" or "3.7.11"."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def default(row: dict[str, Any], version: str) -> str | None:
    """The default from the newest change that is not newer than that version; None: it does not exist there."""
    known = [changed for changed in row["default"] if series(changed) <= series(version)]
    value: str | None = row["default"][max(known, key=series)] if known else None
    return value


def defaults(catalogue: dict[str, Any], version: str) -> dict[str, str]:
    """All parameters of that version with their defaults."""
    found = {name: default(row, version) for name, row in catalogue["parameters"].items()}
    return {name: value for name, value in found.items() if value is not None}


def printed(text: str) -> dict[str, str]:
    """What `postconf -d` printed: names and values."""
    pairs = (line.split(" =", 1) for line in text.splitlines())
    return {name: value.removeprefix(" ") for name, value in pairs}


def measured(version: str) -> dict[str, str]:
    return printed((Path(__file__).parent / f"postconf-d-{version}.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", MEASURED)
def test_has_the_names_that_postfix_prints(catalogue: dict[str, Any], version: str) -> None:
    differing = defaults(catalogue, version).keys() ^ measured(version).keys()

    assert differing - NAME_EXCEPTIONS.keys() == set()


@pytest.mark.parametrize("version", MEASURED)
def test_has_the_defaults_that_postfix_prints(catalogue: dict[str, Any], version: str) -> None:
    ours, theirs = defaults(catalogue, version), measured(version)

    assert {n: ours[n] for n in theirs if n not in COMPUTED} == {n: theirs[n] for n in theirs if n not in COMPUTED}


def test_agrees_with_the_postfix_of_this_host(catalogue: dict[str, Any], tmp_path: Path) -> None:
    command = shutil.which("postconf", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if command is None:
        pytest.skip("postconf is not installed")
    for name, text in (("main.cf", "compatibility_level = 3.6\n"), ("master.cf", "")):
        (tmp_path / name).write_text(text)
        # postconf waits until a file is two seconds old.
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    run = subprocess.run([command, "-c", tmp_path, "-d"], capture_output=True, text=True, check=True, timeout=30)
    theirs = printed(run.stdout)
    version = theirs["mail_version"]
    if ".".join(version.split(".")[:2]) not in catalogue["versions"]:
        pytest.skip(f"the catalogue does not know Postfix {version}")
    ours = defaults(catalogue, version)
    excluded = COMPUTED | DISTRIBUTION
    if version not in MEASURED:
        excluded |= CHANGED_IN_A_PATCH
        excluded |= {name for name, row in catalogue["parameters"].items() if "backported" in row}

    ours = {name: value for name, value in ours.items() if name not in excluded}

    assert ours == {name: value for name, value in theirs.items() if name not in excluded}


def test_marks_what_is_not_the_same_everywhere(catalogue: dict[str, Any]) -> None:
    rows = catalogue["parameters"].items()

    assert {name for name, row in rows if row.get("computed")} == COMPUTED
    assert {name for name, row in rows if row.get("distribution")} == DISTRIBUTION
    assert {row["default"][key] for _, row in rows if row.get("computed") for key in row["default"]} == {""}


def test_rows_are_well_formed(catalogue: dict[str, Any]) -> None:
    versions = catalogue["versions"]
    assert versions == sorted(versions, key=series)
    for name, row in [*catalogue["parameters"].items(), *catalogue["service_parameters"].items()]:
        assert row.keys() <= KEYS, name
        assert row["kind"] in KINDS, name
        assert row["source"], name
        assert set(row["source"]) <= catalogue["sources"].keys(), name
        assert row["since"] is None or re.fullmatch(r"\d\.\d{1,2}", row["since"]), name
        assert ("values" in row) or row["kind"] != "enum", name
        assert row["kind"] in ("enum", "list") or "values" not in row, name
        for key in ("deprecated", "ignored", "removed"):
            assert re.fullmatch(r"\d\.\d{1,2}", row.get(key, "2.0")), name
        if "deprecated" in row or "removed" in row:
            assert row["replacement"], name
    used = {key for group in ("parameters", "service_parameters") for row in catalogue[group].values()
            for key in row["source"]}  # fmt: skip
    assert used == catalogue["sources"].keys()


def test_defaults_begin_where_the_parameter_does(catalogue: dict[str, Any]) -> None:
    versions = catalogue["versions"]
    for name, row in catalogue["parameters"].items():
        changes = list(row["default"])
        assert changes, name
        assert set(changes) <= set(versions), name
        assert changes == sorted(changes, key=series), name
        values = list(row["default"].values())
        assert all(before != after for before, after in pairwise(values)), name
        if row["since"] is not None and "backported" not in row:
            expected = max(row["since"], versions[0], key=series)
            assert changes[0] == expected, name
        if "backported" in row:
            assert series(changes[0]) < series(row["since"]), name
            assert series(row["backported"][0]) == series(changes[0]), name


def test_enumerations_contain_their_defaults(catalogue: dict[str, Any]) -> None:
    for name, row in catalogue["parameters"].items():
        if row["kind"] == "enum":
            literal = {value for value in row["default"].values() if value is not None and "$" not in value}
            assert literal <= set(row["values"]), name


def test_replacements_that_are_one_name_exist(catalogue: dict[str, Any]) -> None:
    for name, row in catalogue["parameters"].items():
        replacement = row.get("replacement", "")
        if re.fullmatch(r"[a-z0-9_]+", replacement):
            assert replacement in catalogue["parameters"], name


def test_one_parameter_a_line_and_sorted() -> None:
    lines = FILE.read_text(encoding="ascii").splitlines()
    start = lines.index(' "parameters": {') + 1
    block = lines[start : lines.index(" },", start)]
    rows = [re.fullmatch(r'  "(\w+)": (\{.*\}),?', line) for line in block]
    names = [row[1] for row in rows if row is not None]

    assert len(names) == len(block)
    assert names == sorted(set(names))
    assert all(json.loads(row[2]) for row in rows if row is not None)


@pytest.mark.parametrize(("name", "version", "value"), KNOWN)
def test_knows_the_default(catalogue: dict[str, Any], name: str, version: str, value: str | None) -> None:
    assert defaults(catalogue, version).get(name) == value


@pytest.mark.parametrize(("name", "key", "value"), KNOWN_KEYS)
def test_knows_the_fact(catalogue: dict[str, Any], name: str, key: str, value: object) -> None:
    assert catalogue["parameters"][name][key] == value


def test_knows_the_parameters_of_services(catalogue: dict[str, Any]) -> None:
    rows = catalogue["service_parameters"]

    assert rows["_time_limit"]["default"] == "$command_time_limit"
    assert rows["_time_limit"]["daemons"] == ["pipe", "spawn"]
    assert rows["_destination_concurrency_limit"]["kind"] == "integer"
    assert list(rows) == sorted(rows)
    for suffix, row in rows.items():
        assert row["default"].removeprefix("$") in catalogue["parameters"], suffix


def test_knows_the_parameters_of_tables(catalogue: dict[str, Any]) -> None:
    tables = catalogue["table_parameters"]

    assert {"hosts", "user", "password", "dbname", "query", "tls_cert_file"} <= set(tables["mysql"])
    assert all(names == sorted(set(names)) for names in tables.values())
