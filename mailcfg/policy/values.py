"""The kinds of text that a policy holds, each with the characters that it may have.

Whatever passes here can stand in main.cf, master.cf, smtpd.conf and a shell script without changing its meaning: a
newline, NUL, `$`, quote, backtick, backslash, brace, `#` or leading dash is refused where the field has no use for it.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def refused(message: str, help: str) -> PydanticCustomError:
    """An error in pydantic's terms: `message` for people, `help` for what to write instead."""
    return PydanticCustomError("value", "{message}", {"message": message, "help": help})


def matching(pattern: str, what: str, example: str) -> AfterValidator:
    """A validator for text that matches a pattern whole."""

    def check(text: str) -> str:
        # Compiled when first used: most policies need few of these patterns.
        if re.fullmatch(pattern, text, re.ASCII):
            return text
        raise refused(f"{shown(text)} is not {what}", f"for example {example}")

    return AfterValidator(check)


def shown(text: str) -> str:
    """A value as it may stand in a message: quoted, escaped, cut where long."""
    return ascii(text) if len(text) <= 60 else ascii(text[:57]) + "…"


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})+")
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


def _host(text: str) -> str:
    if _HOST.fullmatch(text) and not text.rpartition(".")[2].isdigit():
        return text
    raise refused(f"{shown(text)} is not a full host name", 'a host and its domain, such as "mail.example.com"')


def _ip(text: str) -> str:
    if "%" in text:
        # Python takes anything behind it for a zone, line breaks and all; certificates and master.cf know no zones.
        raise ValueError(text)
    return str(ip_address(text))


def _certificate_name(text: str) -> str:
    if _NAME.fullmatch(text) and not text.rpartition(".")[2].isdigit():
        return text
    try:
        return _ip(text)
    except ValueError:
        raise refused(
            f"{shown(text)} is no name for a certificate", 'a host name, "*.example.com" or an IP address'
        ) from None


def _address(text: str) -> str:
    try:
        return _ip(text)
    except ValueError:
        raise refused(f"{shown(text)} is not an IP address", 'for example "127.0.0.1" or "2001:db8::1"') from None


_PATH = re.compile(r"(?:/[A-Za-z0-9_.@+~=:-]+)+")


def _path(text: str) -> str:
    steps = text.split("/")
    if _PATH.fullmatch(text) and not {".", ".."} & set(steps) and len(text) < 1024:
        return text
    if not text.startswith("/"):
        raise refused(f"{shown(text)} is not an absolute path", f"begin it with a slash: {shown('/' + text)}")
    raise refused(
        f"{shown(text)} is not a plain absolute path",
        "letters, digits and _ . @ + ~ = : - between single slashes, without . and .. as a step",
    )


def _subject_text(text: str) -> str:
    if text and text == text.strip() and text.isprintable():
        return text
    raise refused(f"{shown(text)} cannot stand in a certificate's subject", "printable text without blanks at its ends")


def _restriction(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*(?: [A-Za-z0-9][A-Za-z0-9_.:/@+,=-]*)?", text, re.ASCII):
        return text
    raise refused(
        f"{shown(text)} is not one restriction",
        'one restriction an entry, such as "permit_mynetworks" or "check_client_access cidr:/etc/postfix/clients"; '
        "for anything else write the parameter under [postfix.main]",
    )


Host = Annotated[str, AfterValidator(_host)]
"""A host name with a domain."""
CertificateName = Annotated[str, AfterValidator(_certificate_name)]
"""A subject alternative name: a host name, one with a leading wildcard, or an IP address."""
Address = Annotated[str, AfterValidator(_address)]
"""An IPv4 or IPv6 address."""
FilePath = Annotated[str, AfterValidator(_path)]
"""An absolute path on the mail host."""
SubjectText = Annotated[str, AfterValidator(_subject_text)]
"""A part of a certificate's subject."""
Restriction = Annotated[str, AfterValidator(_restriction)]
"""One Postfix access restriction, with its argument."""
PostfixVersion = Annotated[str, matching(r"\d{1,2}\.\d{1,2}(\.\d{1,3})?", "a Postfix version", '"3.7" or "3.7.11"')]
"""A Postfix version: major.minor or major.minor.patch."""
Realm = Annotated[str, matching(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "a SASL realm", '"example.com"')]
"""A SASL realm: the part behind the @ that a login without one gets."""
Identifier = Annotated[str, matching(r"[a-z0-9](?:[a-z0-9_-]{0,60}[a-z0-9])?", "a name", '"mail" or "mail-rsa"')]
"""A name inside a policy: lower-case letters, digits, dashes and underscores."""
FileStem = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_-]*", "a name for a smtpd.conf", '"smtpd"')]
"""What `smtpd_sasl_path` holds for Cyrus: the file's name without `.conf`."""
CipherName = Annotated[
    str, matching(r"[A-Z0-9]+(?:-[A-Z0-9]+)+", "the name of an OpenSSL cipher", '"ECDHE-RSA-AES256-GCM-SHA384"')
]
"""A cipher suite of TLS 1.2 or older by its OpenSSL name."""
GroupName = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9_-]*", "a key exchange group", '"X25519" or "prime256v1"')]
"""A key exchange group by its OpenSSL name."""
LdapUri = Annotated[
    str,
    matching(
        r"ldap(?:s|i)?://[A-Za-z0-9.:%\[\]-]*(?:/)?", "an LDAP address", '"ldaps://ldap.example.com" or "ldapi:///"'
    ),
]
"""Where an LDAP server listens."""
LdapText = Annotated[
    str,
    matching(
        r"[A-Za-z0-9(&|!*][A-Za-z0-9 .,=()&|!*%@:<>~_+/-]*(?<! )",
        "an LDAP name or filter of plain characters",
        '"ou=people,dc=example,dc=com" or "(uid=%u)"',
    ),
]
"""A distinguished name or filter."""
SqlStatement = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9 .,=()*%@_<>'+-]*(?<! )",
        "one SQL statement on one line",
        "\"SELECT password FROM users WHERE name = '%u'\"",
    ),
]
"""A query in which Cyrus SASL replaces %u, %r and %p."""
SqlName = Annotated[str, matching(r"[A-Za-z0-9_/.][A-Za-z0-9_./-]*", "a name of a database or its user", '"mail"')]
"""A database, a file of one, or a database user."""
HostPort = Annotated[
    str, matching(r"[A-Za-z0-9.-]+(?::\d{1,5})?", "a host, with a port if needed", '"db.example.com:5432"')
]
"""A host with an optional port."""
NextHop = Annotated[
    str,
    matching(
        r"\[[a-z0-9.:-]+\](?::[a-z0-9]+)?|\.?[a-z0-9][a-z0-9.-]*(?::[a-z0-9]+)?",
        "a next hop in lower case",
        '"example.org", ".example.org" or "[mail.example.org]:25"',
    ),
]
"""A destination as Postfix looks it up in smtp_tls_policy_maps."""
NameMatch = Annotated[
    str,
    matching(
        r"nexthop|dot-nexthop|hostname|\.?[A-Za-z0-9][A-Za-z0-9.-]*",
        "a name to match",
        '"nexthop", "dot-nexthop", "hostname", "mail.example.org" or ".example.org"',
    ),
]
"""What the name in a peer's certificate is compared with."""
TableType = Annotated[str, matching(r"[a-z][a-z0-9]*", "a Postfix table type", '"hash", "lmdb" or "texthash"')]
"""The type of a Postfix lookup table."""
