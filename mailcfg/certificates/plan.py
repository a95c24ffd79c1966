"""The openssl request and script for one certificate, for OpenSSL 1.1.1 and 3.x alike.

The script makes keys that only their owner can read, never replaces one, and verifies what it leaves behind.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from mailcfg.configuration import CertificateFiles
from mailcfg.facts.version import Version

GENPKEY_SINCE = Version(1, 0, 0)
"""The OpenSSL with genpkey and pkey; before, each key type had commands of its own."""

CA_LIFETIME_DAYS = 3650
"""How long a private authority is valid: its key stays when certificates are renewed."""

RENEW_BEFORE_DAYS = 30
"""A certificate that expires sooner is issued again, where the issuer is the host itself."""

CURVES = {"ecdsa-p256": ("P-256", "prime256v1"), "ecdsa-p384": ("P-384", "secp384r1")}

PURPOSES = {
    "self-signed": "Makes the key and a self-signed certificate, and verifies both.",
    "csr": "Makes the key and a request for an authority, and verifies what the authority sent.",
    "private-ca": "Makes an authority, the key and a certificate that it signed, and verifies them.",
    "existing": "Verifies the certificate and key that are there.",
    "acme": "Verifies the certificate and key that the ACME client keeps.",
}

MISSING = {
    "existing": "put it in place",
    "acme": "let the ACME client fetch the certificate first",
}


class Plan(NamedTuple):
    """Template names and what they are filled with. `request` is None where nothing is made."""

    script: str
    request: str | None
    values: dict[str, Any]


def plan(certificate: CertificateFiles, openssl: Version, ca_bundle: str, comment: str) -> Plan:
    """What to write for a certificate. Raises ValueError for a key type that this OpenSSL cannot make."""
    makes = certificate.issuer not in MISSING
    legacy = openssl < GENPKEY_SINCE
    rsa = certificate.key_type.startswith("rsa")
    values: dict[str, Any] = {
        **certificate._asdict(),
        "comment": comment,
        "purpose": PURPOSES[certificate.issuer],
        "printed_names": [printed(name) for name in certificate.names],
        "names": numbered(certificate.names),
        "key_usage": "digitalSignature, keyEncipherment" if rsa else "digitalSignature",
        "extended_key_usage": "serverAuth, clientAuth" if certificate.client else "serverAuth",
        "public_command": "pkey" if not legacy else "rsa",
        "text_option": "-noout -text_pub" if not legacy else "-noout -text",
        "missing": MISSING.get(certificate.issuer, ""),
        "ca_lifetime_days": max(CA_LIFETIME_DAYS, certificate.lifetime_days),
        "authority": [],
        # Of a certificate that lives two days, thirty before the end would be before its start.
        "renew_before": 86400 * min(RENEW_BEFORE_DAYS, certificate.lifetime_days // 3) if _reissues(certificate) else 0,
    }
    values["verify"], values["verify_fault"] = _verify(certificate, ca_bundle)
    values["generate"], values["key_mark"] = _generate(certificate.key_type, legacy)
    values["key_advice"] = "move it away to have a new one made" if makes else "say in the policy which type it has"
    if certificate.issuer == "private-ca":
        organization = [part for part in certificate.subject if part[0] == "organizationName"]
        values["authority"] = [*organization, ("commonName", f"{certificate.name} CA"[:64])]
    script = f"openssl/{certificate.issuer if makes else 'verify'}.sh.j2"
    return Plan(script, "openssl/request.cnf.j2" if makes else None, values)


def _reissues(certificate: CertificateFiles) -> bool:
    return certificate.issuer in ("self-signed", "private-ca")


def _verify(certificate: CertificateFiles, ca_bundle: str) -> tuple[str, str]:
    """The command that verifies the chain of "$1", and what is said when it fails."""
    if certificate.issuer == "self-signed":
        return 'verify_against "$1" "$1"', "$1 does not verify as its own authority"
    if certificate.issuer == "private-ca":
        return 'verify_against "$ca_certificate" "$1"', "$1 was not signed by $ca_certificate"
    authority = certificate.ca_certificate_file or ca_bundle
    # Both paths are of the plain kind that a policy accepts, without a character that a shell would read.
    return (
        f'verify_against {authority} -untrusted "$1" "$1"',
        f"the chain of $1 does not verify against {authority}",
    )


def _generate(key_type: str, legacy: bool) -> tuple[str, str]:
    """The command that makes a key in "$work/key", and what `openssl pkey -text_pub` prints of such a key."""
    kind, _, size = key_type.partition("-")
    if kind == "rsa":
        mark = f"({size} bit"
        if legacy:
            return f'openssl genrsa -out "$work/key" {size}', mark
        return f'openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{size} -out "$work/key"', mark
    if legacy:
        raise ValueError(f"{key_type} keys need OpenSSL {GENPKEY_SINCE}")
    curve, oid = CURVES[key_type]
    options = f"-pkeyopt ec_paramgen_curve:{curve} -pkeyopt ec_param_enc:named_curve"
    return f'openssl genpkey -algorithm EC {options} -out "$work/key"', f"ASN1 OID: {oid}"


def _address(name: str) -> str | None:
    if ":" not in name and not name.rpartition(".")[2].isdigit():
        return None  # A host name, as nearly all are; asking the library about each would show in a fleet.
    try:
        address = ip_address(name)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return ":".join(f"{int(group, 16):X}" for group in address.exploded.split(":"))
    return str(address)


def printed(name: str) -> str:
    """A name as `openssl x509 -text` prints it."""
    address = _address(name)
    return f"IP Address:{address}" if address else f"DNS:{name}"


def numbered(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Names as entries of a section for subjectAltName."""
    return [(f"{'IP' if _address(name) else 'DNS'}.{index}", name) for index, name in enumerate(names, 1)]
