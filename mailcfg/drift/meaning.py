"""Whether two spellings of a value mean the same to Postfix or to Cyrus SASL."""

from __future__ import annotations

import re
from typing import Any

from mailcfg.behaviour.protocols import protocols as listed
from mailcfg.facts.version import Version
from mailcfg.formats.smtpd_conf import mechanisms

_LEVELS = ("security_level", "tls_ciphers", "tls_mandatory_ciphers", "tls_client_level")
"""Ends of the names of parameters whose words Postfix reads in either case (name_code(3) without a flag)."""

_SETS = ("security_options", "ssl_options", "disable_workarounds", "per_site_options")
"""Ends of the names of lists whose order has no meaning."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


_COMMAS = re.compile(r"[ \t\r\n\v\f,]+")
_COLONS = re.compile(r"[ \t\r\n\v\f,:]+")
_BLANKS = re.compile(r"[ \t\r\n\v\f]+")
"""White space as Postfix knows it. A no-break space is none, and a value that looks the same is another."""


def words(value: str) -> list[str]:
    """The words of a value, parted by white space alone."""
    return [word for word in _BLANKS.split(value) if word]


def same(name: str, kind: str, one: str, other: str, postfix: Version) -> bool:
    """Whether two values of a parameter mean the same. `kind` is the catalogue's; macros are expanded already."""
    if words(one) == words(other):
        return True
    return bool(canonical(name, kind, one, postfix) == canonical(name, kind, other, postfix))


def canonical(name: str, kind: str, value: str, postfix: Version) -> Any:
    """A value in a form that is equal for all its spellings, and differs from that of any other meaning."""
    parts = [part for part in _COMMAS.split(value) if part]
    text = " ".join(words(value))
    if name.endswith("_protocols") and "tls" in name:
        versions = protocols(value, postfix)
        return text if versions is None else versions
    if kind == "bool":
        return text.lower() if text.lower() in ("yes", "no") else text
    if name.endswith(_LEVELS):
        return text.lower()
    if name.endswith("exclude_ciphers"):
        return frozenset(part for part in _COLONS.split(value) if part)
    if name.endswith(_SETS):
        return frozenset(parts)
    if name.endswith("_mechanism_filter"):
        # The first match decides, so that order counts as soon as something is excluded.
        return tuple(parts) if any(sign in value for sign in "!:/") else frozenset(parts)
    if name.endswith("cipherlist"):
        return tuple(part for part in _COLONS.split(value) if part)
    if kind == "list" and "{" not in value:
        return tuple(parts)
    if kind == "time" and re.fullmatch(r"[0-9]{1,9}[smhdw]", text):
        return int(text[:-1]) * _SECONDS[text[-1]]
    if kind == "integer" and text.isascii() and text.isdecimal() and len(text) < 9:
        return int(text)
    return text


def protocols(value: str, postfix: Version) -> frozenset[str] | None:
    """The protocol versions that a list such as `!SSLv2, !SSLv3` or `>=TLSv1.2` leaves on; None where Postfix refuses
    it, and so turns TLS off.
    """
    read = listed(value, postfix)
    return None if read.unknown is not None else frozenset(read.versions)


def same_sasl(name: str, one: str, other: str) -> bool:
    """Whether two values of a setting in smtpd.conf mean the same to libsasl."""
    if words(one) == words(other):
        return True
    if name == "mech_list":
        return set(mechanisms(one)) == set(mechanisms(other))
    if one.lower() in _TRUE | _FALSE and other.lower() in _TRUE | _FALSE:
        return (one.lower() in _TRUE) == (other.lower() in _TRUE)
    return False


_TRUE = frozenset({"yes", "on", "true", "1"})
_FALSE = frozenset({"no", "off", "false", "0"})
