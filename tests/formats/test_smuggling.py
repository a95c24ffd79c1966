"""A value never smuggles in a line, a parameter or a shell word: it is refused, or the real tools read exactly it.

Hostile text goes into every string of every table, found through the policy's models, so that a new field is covered
without a line here; a new table needs a place in BASES.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import tempfile
import types
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mailcfg.bundle import Bundle, bundle
from mailcfg.compile import compile_document
from mailcfg.configuration import CertificateFiles, Configuration
from mailcfg.facts.version import Version
from mailcfg.formats import master_cf, shell
from mailcfg.policy.document import Document
from mailcfg.policy.site import Site
from mailcfg.problem import PolicyError, Severity
from mailcfg.render import certificate_files, cnf_value
from mailcfg.source import Source
from tests.postfix import lab
from tests.postfix.lab import BASE_SERVICES, Postfix

Route = tuple[str | int, ...]

COMMON: dict[str, Any] = {
    "hostname": "mail.example.com",
    "platform": "debian-12",
    "tls": {"guideline": "mozilla-6.0-intermediate", "certificate": ["mail"]},
    "certificates": {"mail": {"names": ["mail.example.com", "192.0.2.25"]}},
    "submission": {"client_restrictions": ["reject_unlisted_sender"], "address": "192.0.2.25"},
    "sasl": {"backend": "saslauthd"},
}


def based(**tables: Any) -> dict[str, Any]:
    return {**copy.deepcopy(COMMON), **tables}


SUBJECT = {"common_name": "mail", "organization": "A", "unit": "B", "locality": "C", "state": "D", "country": "DE"}
BASES: dict[str, dict[str, Any]] = {
    "listeners": based(
        tls={
            "guideline": "custom",
            "minimum": "TLSv1.2",
            "ciphers": ["ECDHE-RSA-AES128-GCM-SHA256"],
            "groups": ["X25519"],
        },
        mx={"address": "192.0.2.26", "relay_restrictions": ["permit_mynetworks", "reject_unauth_destination"]},
        submissions={"auth": "inside-tls", "certificate": "mail"},
        listeners={"printers": {"port": 2525, "client_restrictions": ["permit_mynetworks", "reject"]}},
        dns={
            "tlsa": [f"3 1 1 {'5f' * 32}"],
            "tlsrpt": "v=TLSRPTv1; rua=mailto:tls@example.com",
            "mta_sts": {"version": "STSv1", "mode": "enforce", "mx": ["mail.example.com"], "max_age": 86400},
        },
        accept=[
            {
                "rule": "auth-on-mx",
                "until": "2999-01-01",
                "because": "three printers know no other port",
                "service": "smtp/inet",
                "setting": "smtpd_sasl_auth_enable",
            }
        ],
        ignore=[
            {
                "because": "the web mail asks for this until it is replaced",
                "until": "2999-01-01",
                "setting": "smtpd_tls_loglevel",
                "service": "submission/inet",
                "file": "/etc/postfix/master.cf",
                "kind": "changed",
            }
        ],
        watch={"systemd": True, "cron": True, "every": "15min", "command": "/opt/mailcfg/bin/mailcfg"},
    ),
    "self-signed": based(
        certificates={
            "mail": {
                "names": ["mail.example.com", "*.example.com"],
                "subject": SUBJECT,
                "key_file": "/etc/a.key",
                "certificate_file": "/etc/a.pem",
            }
        }
    ),
    "csr": based(certificates={"mail": {"issuer": "csr", "csr_file": "/etc/a.csr", "ca_certificate_file": "/etc/ca"}}),
    "private-ca": based(
        certificates={"mail": {"issuer": "private-ca", "ca_certificate_file": "/etc/ca", "ca_key_file": "/etc/ca.key"}}
    ),
    "acme": based(certificates={"mail": {"issuer": "acme", "deploy_hook": "/etc/hook"}}),
    "ldap": based(
        sasl={
            "backend": "saslauthd",
            "mechanisms": ["PLAIN"],
            "realm": "example.com",
            "service": "smtpd",
            "saslauthd": {
                "mechanism": "ldap",
                "socket_directory": "/var/spool/postfix/run",
                "ldap": {"servers": ["ldaps://ldap.example.com"], "search_base": "dc=example", "ca_file": "/etc/ca"},
            },
        }
    ),
    "rimap": based(
        sasl={"backend": "saslauthd", "saslauthd": {"mechanism": "rimap", "rimap": {"host": "imap.example.com:143"}}}
    ),
    "sasldb": based(sasl={"backend": "sasldb", "sasldb": {"path": "/etc/sasldb2"}}),
    "sql": based(
        sasl={
            "backend": "sql",
            "sql": {
                "engine": "pgsql",
                "database": "mail",
                "statement": "SELECT password FROM users WHERE name = '%u'",
                "hosts": ["db.example.com:5432"],
                "user": "mail",
            },
        }
    ),
    "ldapdb": based(
        sasl={
            "backend": "ldapdb",
            "ldapdb": {"uri": "ldap://ldap.example.com", "identity": "mail", "rc_file": "/etc/ldap.conf"},
        }
    ),
    "dovecot": based(sasl={"backend": "dovecot", "dovecot": {"socket": "/var/spool/postfix/private/auth"}}),
    "outbound": based(
        outbound={
            "tls": "verified",
            "match": ["nexthop"],
            "ca_file": "/etc/ca",
            "certificate": "mail",
            "destinations": {"example.org": {"tls": "verified", "match": ["nexthop", ".example.net"]}},
        }
    ),
    "relay": based(
        relay={
            "host": "smtp.example.net",
            "match": ["nexthop"],
            "ca_file": "/etc/ca",
            "credentials": "/etc/postfix/credentials",
            "credentials_type": "hash",
            "mechanisms": ["PLAIN"],
        }
    ),
    "passthrough": based(
        postfix={
            "version": "3.7",
            "main": {"smtpd_banner": "$myhostname ESMTP", "smtpd_helo_restrictions": ["permit_mynetworks", "reject"]},
            "master": {
                "filter/unix": {
                    "command": "pipe",
                    "arguments": ["flags=R", "user=nobody", "argv=/bin/cat"],
                    "options": {"syslog_name": "postfix/filter", "mynetworks": ["127.0.0.0/8"]},
                    "wakeup": "300",
                },
                "other": {"type": "unix", "command": "smtp"},
            },
        }
    ),
}
"""A sound policy for every table, and every backend and issuer that reads fields of its own."""


class Place(NamedTuple):
    """Where a string stands: the route to it, `*` for the keys of a table with names of one's own."""

    route: tuple[str, ...]
    kind: Literal["text", "entry", "key"]

    def __str__(self) -> str:
        return ".".join(self.route) + {"text": "", "entry": "[]", "key": ".*"}[self.kind]


def is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def places(annotation: Any, route: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every place below a type that takes text, be it a few words only."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from places(get_args(annotation)[0], route)
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from places(member, route)
    elif annotation is str or (origin is Literal and any(isinstance(word, str) for word in get_args(annotation))):
        yield Place(route, "text")
    elif (
        origin is list and isinstance(get_args(annotation)[0], type) and issubclass(get_args(annotation)[0], BaseModel)
    ):
        yield from places(get_args(annotation)[0], (*route, "*"))
    elif origin is list:
        yield from (Place(route, "entry") for place in places(get_args(annotation)[0], route) if place.kind == "text")
    elif origin is dict:
        yield Place(route, "key")
        yield from places(get_args(annotation)[1], (*route, "*"))
    elif is_table(annotation):
        for name, field in annotation.model_fields.items():
            yield from places(field.annotation, (*route, name))
    else:
        assert annotation in (int, bool, float, type(None)), f"{route}: what text can stand in {annotation}?"


PLACES = sorted({*places(Site), Place(("postfix",), "text")})


def tables_at(values: Any, route: tuple[str, ...]) -> Iterator[Route]:
    """The routes of the tables in a policy that a route with `*` in it means."""
    if not route:
        if isinstance(values, dict):
            yield ()
        return
    if isinstance(values, list) and route[0] == "*":
        for index, value in enumerate(values):
            yield from ((index, *rest) for rest in tables_at(value, route[1:]))
        return
    for key in values if route[0] == "*" else [route[0]]:
        if isinstance(values, dict) and key in values:
            yield from ((key, *rest) for rest in tables_at(values[key], route[1:]))


def spots(place: Place) -> list[tuple[str, Route]]:
    """Bases in which a place's table is there, with its route."""
    above = place.route if place.kind == "key" else place.route[:-1]
    return [(base, route) for base, values in BASES.items() for route in tables_at(values, above)]


def with_text(base: str, table: Route, place: Place, text: str, how: str) -> dict[str, Any]:
    """A base with a text in a place: instead of what is there, or woven into it."""
    values = copy.deepcopy(BASES[base])
    node: Any = values
    for step in table:
        node = node[step]
    if place.kind == "key":
        first = next(iter(node))
        node[woven(first, text, how)] = node.pop(first) if how != "instead" else copy.deepcopy(node[first])
        return values
    name = place.route[-1]
    there = node.get(name)
    if place.kind == "text" or (isinstance(there, str) and how != "instead"):
        node[name] = woven(there if isinstance(there, str) else "", text, how)
    elif isinstance(there, list) and there and how != "instead":
        node[name] = [*there[:-1], woven(there[-1], text, how)]
    else:
        node[name] = [text]
    return values


def woven(there: str, text: str, how: str) -> str:
    middle = len(there) // 2
    return {"instead": text, "before": text + there, "behind": there + text}.get(
        how, there[:middle] + text + there[middle:]
    )


def as_toml(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {_inline(value)}\n" for key, value in values.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def accepted(values: dict[str, Any]) -> Configuration | None:
    """What a policy compiles to, or None where it is refused, which it is with an error that says something."""
    try:
        return compile_document(Document([Source(as_toml(values), "site.toml")])).configuration
    except PolicyError as error:
        errors = [finding for finding in error.findings if finding.severity is Severity.ERROR]
        assert errors
        for finding in errors:
            assert finding.message.isprintable(), finding
            assert finding.help.isprintable(), finding
            assert finding.location.line > 0, finding
        return None


FRAGMENTS = [
    "\nrelayhost = evil", "\n", "\r", "\r\n", "\0", "\t", " ", "  ", "\x0b", "\x0c", "\x1b[2J", "\x7f", "\x85", "\xa0",
    "\u2028", "\u2029", "\u202e", "$(touch x)", "`id`", "'; id; '", '"; id; "', "'", '"', "-o", "-o x=y", " -o x=y ",
    "--", "-", "${x", "$x", "$$", "${x}", "$ENV::HOME", "{ a = b }", "{", "}", "} ", " }", "{ {", "#", " # x", "\n# x",
    "\\", "\\\n", "\\n", "a\\", ";", "&", "|", "<", ">", "*", "?", "~", "!", "%", "=", ",", ":", "/", "..", "/../", ".",
    "fe80::1%\nx = y", "fe80::1%$(id)", "@", "[names]", "[ req ]", ".include /etc/passwd", "é", "😀", "\u0301", "٣",
    "x\n  y", "\n  continued", "x smtp inet", "evil unix - - n - - smtp", "|/bin/sh", "static:x", "a: b",
    "\nmech_list: X",
    "..\\..", "%s%n", "$((1+1))", "\ufeff", "\ufffe", "x" * 300,
]  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.text("\n\r\0\t $\"'`\\-{}()#;=,:/.%ab0é", max_size=8),
    st.lists(st.sampled_from(FRAGMENTS), min_size=2, max_size=3).map("".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
HOW = st.sampled_from(["instead", "before", "behind", "between"])
RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


def tool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env={**os.environ, "PATH": lab.PATH})
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def workshop() -> tempfile.TemporaryDirectory[str]:
    """A directory for the whole run, removed with the process."""
    return tempfile.TemporaryDirectory(prefix="mailcfg-smuggling-")


def folder() -> Path:
    return Path(workshop().name)


_checked: set[bytes] = set()


def reads_as_meant(configuration: Configuration) -> None:
    """Let Postfix, sh and openssl's own files say what they read in a bundle."""
    made = bundle("site", configuration)
    contents = made.contents()
    known = b"\0".join(contents.values())
    if known in _checked:
        return
    for path, data in contents.items():
        text = data.decode()
        assert all(line.isprintable() for line in text.split("\n")), path
    postfix_reads(configuration, made)
    cyrus_reads(configuration, contents)
    shell_reads(configuration, contents)
    _checked.add(known)


def postfix_reads(configuration: Configuration, made: Bundle) -> None:
    contents = made.contents()
    postfix = Postfix(folder() / "postfix")
    postfix.etc.mkdir(parents=True, exist_ok=True)
    main, master = contents["postfix/main.cf"].decode(), contents.get("postfix/master.cf", b"").decode()
    postfix.configure(main, master)
    ours = {setting.name: folded(setting.value) for setting in configuration.parameters}
    base = dict(pair(line) for line in postfix.base_settings().splitlines())
    read = tool("postconf", "-c", postfix.etc, "-n")
    assert read.returncode == 0, read.stderr
    found = dict(pair(line) for line in read.stdout.splitlines())
    wanted = {"config_directory": str(postfix.etc), **base, **ours}
    if Version.parse(configuration.postfix).series != installed().series:
        # What this postconf has never heard of it does not print.
        wanted = {name: value for name, value in wanted.items() if name in found or name in base}
    assert found == wanted
    read = tool("postconf", "-c", postfix.etc, "-M")
    assert read.returncode == 0, read.stderr
    lines = [unbraced(line) for line in BASE_SERVICES.splitlines() if line]
    for service in configuration.services:
        overrides = [f"-o {each.name}={each.value}" for each in service.overrides]
        lines.append(unbraced(" ".join([*service[:8], *overrides, *service.arguments])))
    assert sorted(map(unbraced, read.stdout.splitlines())) == sorted(lines)
    read = tool("postconf", "-c", postfix.etc, "-P")
    assert read.returncode == 0, read.stderr
    overrides_read = sorted(pair(line) for line in read.stdout.splitlines())
    assert overrides_read == sorted(
        (f"{service.id}/{setting.name}", folded(setting.value))
        for service in configuration.services
        for setting in service.overrides
    )


def cyrus_reads(configuration: Configuration, contents: dict[str, bytes]) -> None:
    for sasl in configuration.sasl:
        text = contents[f"sasl2/{sasl.path.rpartition('/')[2]}"].decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        # Cyrus SASL reads a name of letters and underscores, a colon, and the rest of the line without its blanks.
        read = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        assert read == [(setting.name, setting.value) for setting in sasl.settings]
        assert all(re.fullmatch(r"[a-z_]+", name) and value for name, value in read)


def shell_reads(configuration: Configuration, contents: dict[str, bytes]) -> None:
    for certificate in configuration.certificates:
        script = contents[f"openssl/{certificate.name}.sh"].decode()
        # The assignments stand together, up to the first empty line.
        start = script.index("\nname=")
        variables = script[start : script.index("\n\n", start + 1)].strip("\n")
        names = [line.partition("=")[0] for line in variables.split("\n") if line]
        fields = {
            "name": certificate.name,
            "key": certificate.key_file,
            "certificate": certificate.certificate_file,
            "csr": certificate.csr_file,
            "ca_key": certificate.ca_key_file,
            "ca_certificate": certificate.ca_certificate_file,
        }
        more = {"csr": {"csr"}, "private-ca": {"ca_key", "ca_certificate"}}.get(certificate.issuer, set())
        assert set(names) == {"name", "key", "certificate", *more}
        printed = "".join(f"printf '%s\\0' \"${name}\"; " for name in names)
        assigned = tool("env", "-i", "/bin/sh", "-euc", f"{variables}\n{printed}").stdout
        assert assigned == "".join(f"{fields[name]}\0" for name in names)
    for file, data in contents.items():
        if file.endswith(".sh"):
            (folder() / "script").write_bytes(data)
            read = tool("/bin/sh", "-n", folder() / "script")
            assert (read.returncode, read.stderr) == (0, "")
    for step in configuration.steps:
        assert step.run.isprintable()
        read = tool("/bin/sh", "-nc", step.run)
        assert (read.returncode, read.stderr) == (0, "")
        if step.name == "master.cf":
            version = Version.parse(configuration.postfix)
            services = [f"{each.id}={master_cf.line(each, version)}" for each in configuration.services]
            assert shlex.split(step.run) == ["postconf", "-Me", *services]


def pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" =")
    return name, folded(value)


def folded(text: str) -> str:
    return re.sub(r"[ \t]+", " ", text).strip()


def unbraced(line: str) -> str:
    """Without braces: postconf prints those around words with blanks, but not those of the first argument."""
    return folded(re.sub("[{}]", " ", line))


@cache
def installed() -> Version:
    return Version.parse(tool("postconf", "-h", "mail_version").stdout.strip())


def test_words_of_arguments_stay_apart() -> None:
    """What postconf does not show."""
    version = Version.parse("3.7")
    for text in ["a b", "{", "}", "{a", "a{", "a}", "{a}", "{a} {b}", "} {", "a } b", "{ a", "a{b c}d", "{}", "a  b"]:
        try:
            written = master_cf.word(text, version)
        except master_cf.Unwritable:
            continue
        assert words(f"{written} next") == [text, "next"]


def words(line: str) -> list[str]:
    """Words of master.cf as Postfix splits them: at blanks, but not inside braces (mystrtokq(3)), those then removed
    with the blanks beside them (extpar(3)).
    """
    found: list[str] = []
    word, depth = "", 0
    for each in line + " ":
        if each in " \t" and not depth:
            found += [word] if word else []
            word = ""
            continue
        depth += (each == "{") - (each == "}" and depth > 0)
        word += each
    assert not depth, line
    return [word[1:-1].strip() if word.startswith("{") else word for word in found]


def test_every_table_of_the_policy_is_in_a_base() -> None:
    assert [str(place) for place in PLACES if not spots(place)] == []
    assert len(PLACES) > 80


@pytest.mark.parametrize("base", BASES)
def test_bases_are_sound(base: str) -> None:
    lab.needs("postconf")
    configuration = accepted(BASES[base])
    assert configuration
    reads_as_meant(configuration)


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_hostile_text(place: Place) -> None:
    lab.needs("postconf")
    choices = spots(place)

    @settings(RELAXED, max_examples=20)
    @given(st.sampled_from(choices), HOSTILE, HOW)
    def check(spot: tuple[str, Route], text: str, how: str) -> None:
        configuration = accepted(with_text(*spot, place, text, how))
        if configuration:
            reads_as_meant(configuration)

    check()


PASSED_ON = ["smtpd_banner", "mail_name", "smtpd_helo_restrictions", "mynetworks", "virtual_alias_maps", "relayhost"]
ONE_LINE = st.one_of(
    HOSTILE.map(lambda text: "".join(filter(str.isprintable, text)).strip() or "x"),
    st.text("{} ab=-o,;$'\"`\\()#:", min_size=1, max_size=8).map(str.strip),
)
"""Hostile text that has a chance to be accepted where anything printable may stand."""


def test_values_of_main_cf_are_read_as_written() -> None:
    lab.needs("postconf")
    compiled = 0
    value = ONE_LINE | HOSTILE | st.lists(ONE_LINE, max_size=3)

    @settings(RELAXED, max_examples=150)
    @given(st.dictionaries(st.sampled_from(PASSED_ON), value, min_size=1, max_size=3))
    def check(main: dict[str, Any]) -> None:
        nonlocal compiled
        configuration = accepted({"hostname": "mail.example.com", "platform": "debian-12", "postfix": {"main": main}})
        if configuration:
            compiled += 1
            reads_as_meant(configuration)

    check()
    assert compiled > 30


def test_words_of_master_cf_are_read_as_written() -> None:
    lab.needs("postconf")
    compiled = 0
    value = ONE_LINE | st.lists(ONE_LINE, max_size=2)

    @settings(RELAXED, max_examples=200)
    @given(
        st.sampled_from(["pipe", "smtpd", "spawn"]),
        st.lists(ONE_LINE, max_size=3),
        st.dictionaries(st.sampled_from(PASSED_ON), value, max_size=2),
    )
    def check(command: str, arguments: list[str], options: dict[str, Any]) -> None:
        nonlocal compiled
        # Postconf itself takes such a word apart: -0o becomes -0 -o (measured).
        assume(not any(each.startswith("-") and "o" in each[2:] for each in arguments))
        master = {
            "one/unix": {"command": command, "arguments": arguments, "options": options},
            "two/inet": {"command": "smtpd", "options": options},
            "submission": {"options": options},
        }
        configuration = accepted(based(postfix={"main": {}, "master": master}))
        if configuration:
            compiled += 1
            reads_as_meant(configuration)

    check()
    assert compiled > 30


MACROS = [
    "$", "$$", "${", "$(", "{", "}", "(", ")", "a", "b_1", "?", ":", "==", "!=", " ", "<level", ">=", "x ", "-", ".",
    "é", "$u0", "${u1}", "$(u2)", "${u3?y}", "${u4:y}", "${u0?{y}:{z}}", "${{a} == {b} ? {c} : {d}}",
    "${{$u1} != {} ? {c}}",
    "${{3.6} >level {$mail_version} ? {$mydomain} : {}}", "${{a} <level {3} ? {x}}", "? {c}",
    ": {d}", "${x?", "${{", "}}", "$smtpd_banner", "${mail_version}",
    "${u1?" * 60, "}" * 60,
]  # fmt: skip
MACRO = st.lists(st.sampled_from(MACROS), min_size=1, max_size=6).map("".join)


@settings(RELAXED, max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(MACRO, min_size=30, max_size=60))
def test_what_is_accepted_postconf_can_expand(values: list[str]) -> None:
    """Many values at once: those of a class of restrictions are expanded all, whatever they are."""
    lab.needs("postconf")
    main: dict[str, Any] = {f"u{index}": value for index, value in enumerate(values)}
    main = {"smtpd_banner": main.pop("u29"), "smtpd_restriction_classes": list(main), **main}
    policy = {"hostname": "mail.example.com", "platform": "debian-12", "postfix": {"main": main}}
    while True:
        # Refusing one value can leave another whose reference to it is then no circle any more.
        try:
            compiled = compile_document(Document([Source(as_toml(policy), "site.toml")]))
            break
        except PolicyError as error:
            errors = [finding for finding in error.findings if finding.severity is Severity.ERROR]
            wrong = {finding.key.removeprefix("postfix.main.") for finding in errors}
            assert wrong & set(main)
            for name in wrong:
                main[name] = ""
    postfix_reads(compiled.configuration, bundle("site", compiled.configuration))
    etc = folder() / "postfix" / "etc"
    expanded = tool("postconf", "-c", etc, "-nx")
    assert expanded.returncode == 0, expanded.stderr
    # A `:{` is looked at as if it were a table; that has nothing to do with macros.
    harmless = re.compile("undefined parameter|unused parameter|syntax error after '}'|missing '}'")
    unexpected = [line for line in expanded.stderr.splitlines() if not harmless.search(line)]
    assert unexpected == []


@pytest.mark.parametrize(
    "main",
    [
        {"smtpd_banner": "$smtpd_banner"},
        {"smtpd_banner": "${x?{a$smtpd_banner}}"},
        {"smtpd_banner": "${{$smtpd_banner} == {} ? {a} : {b}}"},
        {"mail_name": "$smtpd_banner"},
        {"mydomain": "$myorigin", "myorigin": "a $mydomain"},
        {"smtpd_banner": "${x?" * 101 + "a" + "}" * 101},
        {"smtpd_banner": "}" * 5000 + "${x?" * 5000 + "a" + "}" * 5000},
        {"smtpd_banner": "${x?" * 5000 + "a" + "}" * 5000},
        {"smtpd_banner": "$"},
        {"smtpd_banner": "${x"},
        {"smtpd_banner": "${{a}}"},
        {"smtpd_banner": "${{a} <level {3.6} ? {x}}"},
        {"smtpd_banner": "${x?{a}b}"},
    ],
)
def test_what_postconf_cannot_expand_is_refused(main: dict[str, str]) -> None:
    assert accepted({"hostname": "mail.example.com", "platform": "debian-12", "postfix": {"main": main}}) is None


def test_a_value_may_ask_for_itself() -> None:
    main = {"smtpd_banner": "${smtpd_banner?{$myhostname}:{x}}"}
    assert accepted({"hostname": "mail.example.com", "platform": "debian-12", "postfix": {"main": main}})


@settings(RELAXED, max_examples=100)
@given(st.lists(HOSTILE.filter(lambda text: "\0" not in text), min_size=5, max_size=20))
def test_shell_words(texts: list[str]) -> None:
    command = "printf '%s\\0' " + " ".join(map(shell.word, texts))
    done = subprocess.run(["/bin/sh", "-euc", command], capture_output=True, cwd=folder())
    assert done.stdout.decode() == "".join(f"{text}\0" for text in texts)


@cache
def a_key() -> Path:
    key = folder() / "key"
    assert (
        tool("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key).returncode
        == 0
    )
    return key


PARTS = {
    "country": "countryName",
    "state": "stateOrProvinceName",
    "locality": "localityName",
    "organization": "organizationName",
    "unit": "organizationalUnitName",
    "common_name": "commonName",
}
SUBJECTS = st.dictionaries(
    st.sampled_from([part for part in PARTS if part != "country"]),
    HOSTILE | st.text("$#\"'`\\;{}=,+-/ [].aZü😀", min_size=1, max_size=64),
    min_size=1,
)


def subject_read(request: str) -> dict[str, str]:
    """What openssl makes of the subject in a request file."""
    (folder() / "request.cnf").write_text(request)
    made = folder() / "made.pem"
    command = ["openssl", "req", "-new", "-x509", "-sha256", "-days", "5", "-config", str(folder() / "request.cnf")]
    done = tool(*command, "-key", a_key(), "-out", made)
    assert done.returncode == 0, done.stderr
    options = "multiline,utf8,-esc_msb,-esc_ctrl"
    lines = tool("openssl", "x509", "-in", made, "-noout", "-subject", "-nameopt", options).stdout.split("\n")[1:-1]
    assert all(line.startswith("    ") and " = " in line for line in lines), lines
    return {name.strip(): value for name, _, value in (line.partition(" = ") for line in lines)}


def certificate_of(subject: dict[str, str]) -> tuple[CertificateFiles, str] | None:
    values = based(certificates={"mail": {"names": ["mail.example.com"], "subject": subject}})
    configuration = accepted(values)
    if configuration is None:
        return None
    (certificate,) = configuration.certificates
    texts = certificate_files(certificate, configuration.openssl, "/etc/ssl/certs/ca-certificates.crt", "true")
    return certificate, texts["openssl/mail.cnf"]


@settings(RELAXED, max_examples=150)
@given(SUBJECTS)
def test_subjects_are_what_openssl_reads(subject: dict[str, str]) -> None:
    lab.needs("openssl")
    made = certificate_of(subject)
    if made is None:
        limits = {"state": 128, "locality": 128}
        refusable = [
            not text or text != text.strip() or not text.isprintable() or len(text) > limits.get(part, 64)
            for part, text in subject.items()
        ]
        assert any(refusable), "nothing is wrong with this subject"
        return
    wanted = {"common_name": "mail.example.com", **subject}
    assert subject_read(made[1]) == {PARTS[part]: text for part, text in wanted.items()}


TRICKY = [
    "$ENV::HOME", "${ENV::HOME}", "$(HOME)", "a#b", "# a", "a ; b", "; a", '"a"', '"', "'", "`id`", "a\\", "\\\\",
    "\\n", "{a}",
    "}", "{", "-key", "- a", "=", "= a", "a=b", "a, b", "+a", "[ req ]", "@names", "DER:00", "ü", "😀", "é" * 64,
    "😀" * 64,
    "\\" * 64, "$" * 64, "'\"`" * 21, "a  b", "e\u0301", "٣", ".include /etc/passwd", "/CN=evil", "<>", "%s%n", "&&",
]  # fmt: skip


@pytest.mark.parametrize("part", ["common_name", "organization", "state"])
def test_tricky_subjects(part: str) -> None:
    lab.needs("openssl")
    for text in TRICKY:
        made = certificate_of({part: text})
        assert made, text
        read = subject_read(made[1])[PARTS[part]]
        assert unicodedata.normalize("NFC", read) == unicodedata.normalize("NFC", text)
        assert read == text


def test_long_subjects_across_openssl_s_buffer() -> None:
    """Its lines are read in pieces of 511 bytes: an escape may stand on both sides of every border."""
    lab.needs("openssl")
    for length in range(110, 124):
        for special in "$#'\\":
            text = "😀" * length + special + "abc"
            made = certificate_of({"state": text})
            assert made
            assert subject_read(made[1])["stateOrProvinceName"] == text


def test_escapes_for_openssl_add_no_line() -> None:
    assert cnf_value("a$b") == "a\\$b"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\0b", "a\rb", " a", "a ", "", "\x1b[2J", "a\u2028b", "x" * 65, "a\tb", "\xa0"]
)
def test_refused_subjects(text: str) -> None:
    assert certificate_of({"organization": text}) is None


@settings(RELAXED, max_examples=60)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), HOW)
def test_names_of_certificates(text: str, how: str) -> None:
    """Names end in a script and a request: nothing but host names and addresses gets there."""
    assume(text)
    configuration = accepted(based(certificates={"mail": {"names": [woven("fe80::1", f"%{text}", how)]}}))
    assert configuration is None
