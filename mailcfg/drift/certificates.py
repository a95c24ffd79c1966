"""Certificates and keys on disk: whether they are there, belong together, carry the names, and how long they last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mailcfg.certificates.plan import RENEW_BEFORE_DAYS
from mailcfg.configuration import CertificateFiles
from mailcfg.drift.difference import Expiry
from mailcfg.drift.files import compare_status
from mailcfg.drift.view import View
from mailcfg.machine import File, Unreadable

if TYPE_CHECKING:
    from mailcfg.certificates.examined import Examined

DAY = 86400

KEPT_DAYS = 14
"""A certificate that somebody else keeps (an ACME client, an authority) is worth a word when so little is left: clients
of ACME renew at thirty days, and have had half of them to try.
"""

OURS = ("self-signed", "private-ca", "csr")
"""Issuers whose key the policy's script made: only its owner may read it."""

MADE_MODE = 0o600
KEPT_MODE = 0o640
"""What a key may permit at most; that of an ACME client is often shared with a group."""

BROKEN = "STARTTLS is offered and answered with 454"


def compare_certificates(view: View) -> None:
    """Look at every certificate of the policy."""
    for wanted in view.configuration.certificates:
        certificate = _file(view, wanted, wanted.certificate_file, "the certificate")
        key = _file(view, wanted, wanted.key_file, "the private key")
        made = wanted.issuer in OURS
        if key is not None:
            mode = MADE_MODE if made else KEPT_MODE
            compare_status(view, wanted.key_file, key, mode, "", wanted.origin, at_most=True, owned=made)
        if certificate is not None and wanted.certificate_file != wanted.key_file:
            exposed = b"PRIVATE KEY-----" in certificate.data and certificate.mode & 0o077
            if exposed:
                view.differs(
                    "mode", wanted.certificate_file, "", "0600", f"{certificate.mode:04o}", "error",
                    origin=wanted.origin, effects=["a private key in it can be read by others"],
                )  # fmt: skip
            compare_status(
                view, wanted.certificate_file, certificate, 0o755, "", wanted.origin, at_most=True, owned=made
            )
        authority = None
        if wanted.issuer == "private-ca":
            authority = _authority(view, wanted)
        elif wanted.ca_certificate_file:
            _file(view, wanted, wanted.ca_certificate_file, "the authority's certificate")
        if certificate is not None:
            together = wanted.certificate_file == wanted.key_file
            found = _examined(view, certificate, key, authority, together=together)
            if found.authority_error:
                _differs(
                    view, wanted, wanted.ca_certificate_file, f"the authority of {wanted.certificate_file}", "another",
                    found.authority_error, "whoever believes that authority refuses the certificate",
                )  # fmt: skip
            if found.error:
                _differs(view, wanted, wanted.certificate_file, "a certificate", "unreadable", found.error, BROKEN)
            else:
                _compare(view, wanted, found)
            if key is not None:
                _pair(view, wanted, found)


def _file(view: View, wanted: CertificateFiles, path: str, what: str) -> File | None:
    """A file; None where it is absent, which is told, or could not be read."""
    try:
        found = view.look(path)
    except Unreadable:
        return None
    if found is None:
        _differs(view, wanted, path, "present", None, f"{what} is absent", BROKEN)
    return found


def _differs(
    view: View, wanted: CertificateFiles, path: str, desired: str, live: str | None, words: str, effect: str = ""
) -> None:
    view.differs(
        "certificate", path, wanted.name, desired, live, "error",
        origin=wanted.origin, effects=[effect] if effect else (), explanation=[words],
    )  # fmt: skip


def _authority(view: View, wanted: CertificateFiles) -> File | None:
    """The authority of a private-ca certificate; its key need not be on the host, but if it is, nobody may read it."""
    found = _file(view, wanted, wanted.ca_certificate_file, "the authority's certificate")
    try:
        key = view.look(wanted.ca_key_file, content=False)
    except Unreadable:
        return found
    if key is not None:
        compare_status(view, wanted.ca_key_file, key, MADE_MODE, "", wanted.origin, at_most=True)
    return found


def _examined(view: View, certificate: File, key: File | None, authority: File | None, *, together: bool) -> Examined:
    """What the files are: remembered from an earlier run, for the very same bytes, or read now."""
    parts = (certificate.data, b"+" if together else key.data if key else b"-", authority.data if authority else b"-")
    data = b"\0".join(parts)
    known = view.facts.recall(data) if view.facts else None
    if known is not None:
        from mailcfg.certificates.examined import Examined

        values = json.loads(known)
        return Examined(**{**values, "names": tuple(values["names"])})
    from mailcfg.certificates.inspect import examine

    found = examine(
        certificate.data,
        key.data if key else None,
        together=together,
        authority=authority.data if authority else None,
    )
    if view.facts:
        view.facts.keep(data, json.dumps(found._asdict()))
    return found


def _compare(view: View, wanted: CertificateFiles, leaf: Examined) -> None:
    path = wanted.certificate_file
    names = ", ".join(leaf.names) or "none"
    lacking = [name for name in wanted.names if not covered(name, leaf.names)]
    if lacking:
        _differs(
            view, wanted, path, ", ".join(wanted.names), names, f"it is not valid for {', '.join(lacking)}",
            "clients that check the name refuse the connection",
        )  # fmt: skip
    if leaf.key_type != wanted.key_type:
        _differs(view, wanted, path, wanted.key_type, leaf.key_type, "its key is of another type")
    view.expires(Expiry(wanted.name, path, leaf.not_after))
    lasts = max(1, leaf.not_after - leaf.not_before)
    ahead = min(DAY * (RENEW_BEFORE_DAYS if wanted.issuer in OURS else KEPT_DAYS), lasts // 3)
    for moment in (leaf.not_before, leaf.not_after - ahead, leaf.not_after):
        view.changes_at(moment)
    refused = "clients that check certificates refuse the connection"
    if view.now >= leaf.not_after:
        _differs(view, wanted, path, "valid", f"expired {leaf.expires}", "it has expired", refused)
    elif view.now < leaf.not_before:
        _differs(view, wanted, path, "valid", f"starts {leaf.starts}", "it is not valid yet", refused)
    elif view.now >= leaf.not_after - ahead:
        days = int((leaf.not_after - view.now) // DAY)
        view.differs(
            "certificate", path, wanted.name, "valid", f"expires {leaf.expires}", "warning", origin=wanted.origin,
            explanation=[f"it is expiring: {days} {'day is' if days == 1 else 'days are'} left"],
        )  # fmt: skip


def covered(name: str, names: tuple[str, ...]) -> bool:
    """Whether a certificate with these names is valid for a name; a wildcard stands for one label (RFC 6125 6.4.3)."""
    name = _plain(name)
    return name in names or (not name.startswith("*") and "*." + name.partition(".")[2] in names)


def _plain(name: str) -> str:
    """A host name in lower case and in ASCII, an address in its shortest form."""
    if ":" in name:
        from ipaddress import ip_address

        return str(ip_address(name))
    return name.lower() if name.isascii() else name.encode("idna").decode()


def _pair(view: View, wanted: CertificateFiles, found: Examined) -> None:
    if found.key_error:
        _differs(view, wanted, wanted.key_file, "a private key", "unreadable", found.key_error, BROKEN)
    elif not found.error and not found.matches:
        _differs(
            view, wanted, wanted.key_file, f"the key of {wanted.certificate_file}", "another key",
            "key and certificate do not belong together", BROKEN,
        )  # fmt: skip
