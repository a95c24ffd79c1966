"""What a certificate and its key on disk are: names, times, key type, and whether the two belong together."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning

from mailcfg.certificates.examined import Examined

CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384"}


class Leaf(NamedTuple):
    """The first certificate of a file. Times are seconds since 1970 and text in ISO 8601; `names` are those of the
    subjectAltName, host names in lower case; `key_type` is spelled as in a policy; `key` is the public key (DER).
    """

    names: tuple[str, ...]
    not_before: int
    not_after: int
    expires: str
    starts: str
    key_type: str
    key: bytes


class Unusable(ValueError):
    """A file that no server can use as what it should be. The message says why."""


_BOUNDARY = re.compile(rb"^-----(BEGIN|END) ([A-Z0-9 ]+)-----", re.MULTILINE)


def structure(data: bytes, *, keys: int, certificates: bool) -> str:
    """Why Postfix cannot load a file beside others by smtpd_tls_chain_files, or why it should not hold what it holds;
    empty where it is fine. `keys`: how many private keys belong there. Measured: each turns TLS off (454).
    """
    opened = b""
    kinds: list[bytes] = []
    for match in _BOUNDARY.finditer(data):
        if match[1] == b"BEGIN":
            if opened:
                return "holds a PEM block that is cut off"
            opened = match[2]
        else:
            kinds.append(match[2])
            opened = b""
    if opened:
        return "holds a PEM block that is cut off"
    found = [kind for kind in kinds if kind.endswith(b"PRIVATE KEY")]
    if len(found) > keys:
        return f"holds {len(found)} private keys" if keys else "holds a private key as well"
    if not certificates and any(kind.endswith(b"CERTIFICATE") for kind in kinds):
        return "holds a certificate as well"
    if keys and certificates and found and kinds.index(found[0]) > kinds.index(b"CERTIFICATE"):
        return "holds its key behind the certificate"
    return ""


def examine(
    certificate: bytes, key: bytes | None, *, together: bool = False, authority: bytes | None = None
) -> Examined:
    """Read a certificate, and its key if there is one. `together`: they are one file. `authority`: the file of the
    authority that signed it, where that is known.
    """
    found = Examined()
    public = b""
    try:
        read = leaf(certificate)
        public = read.key
        found = Examined("", read.names, read.not_before, read.not_after, read.starts, read.expires, read.key_type)
        wrong = structure(certificate, keys=int(together), certificates=True)
        if wrong:
            raise Unusable(wrong)
    except Unusable as error:
        found = Examined(str(error))
    if authority is not None:
        found = found._replace(authority_error=issued(certificate, authority))
    if key is not None:
        try:
            wrong = structure(key, keys=1, certificates=together)
            if wrong:
                raise Unusable(wrong)
            found = found._replace(matches=public_key(key) == public)
        except Unusable as error:
            found = found._replace(key_error=str(error))
    return found


def issued(certificate: bytes, authority: bytes) -> str:
    """Why an authority's file does not vouch for a certificate: it holds none, or another one signed it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            known = x509.load_pem_x509_certificates(authority)
        except ValueError:
            return "holds no certificate in PEM"
        try:
            signed = x509.load_pem_x509_certificates(certificate)[0]
        except ValueError:
            return ""  # Told of the certificate itself.
        for each in known:
            try:
                signed.verify_directly_issued_by(each)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            return ""
    return "did not sign the certificate"


def leaf(data: bytes) -> Leaf:
    """Read the leaf of a PEM file; what is not a certificate in it is passed over. Raises Unusable."""
    if b"-----BEGIN CERTIFICATE-----" not in data and b"-----BEGIN X509 CERTIFICATE-----" not in data:
        raise Unusable("holds no certificate in PEM")
    with warnings.catch_warnings():
        # Old serial numbers and the like are no reason not to tell what is there.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            found = x509.load_pem_x509_certificates(data)[0]
            names = _names(found)
            public = found.public_key()
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Unusable(f"holds a certificate that cannot be read: {_in_words(error)}") from None
    return Leaf(
        names=names,
        not_before=int(found.not_valid_before_utc.timestamp()),
        not_after=int(found.not_valid_after_utc.timestamp()),
        expires=found.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        starts=found.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        key_type=_key_type(public),
        key=public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def public_key(data: bytes) -> bytes:
    """The public half (DER) of the private key in a PEM file. Raises Unusable."""
    if b"PRIVATE KEY-----" not in data:
        raise Unusable("holds no private key in PEM")
    try:
        private = load_pem_private_key(_key_block(data), password=None)
    except TypeError:
        raise Unusable("is encrypted; Postfix cannot ask for its password") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"holds a key that cannot be read: {_in_words(error)}") from None
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_block(data: bytes) -> bytes:
    """The private key alone, of a file that may also hold its chain or the parameters of its curve."""
    end = data.index(b"PRIVATE KEY-----")
    start = data.rindex(b"-----BEGIN ", 0, end)
    last = data.find(b"PRIVATE KEY-----", end + 1)
    return data[start : last + len(b"PRIVATE KEY-----") if last >= 0 else None] + b"\n"


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = [name.lower() for name in alternative.get_values_for_type(x509.DNSName)]
    return (*hosts, *(str(address) for address in alternative.get_values_for_type(x509.IPAddress)))


def _key_type(public: object) -> str:
    if isinstance(public, rsa.RSAPublicKey):
        return f"rsa-{public.key_size}"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return CURVES.get(public.curve.name, f"ecdsa-{public.curve.name}")
    return type(public).__name__.removesuffix("PublicKey").strip("_").lower()


def _in_words(error: Exception) -> str:
    text = (str(error) or type(error).__name__).splitlines()[0]
    return "its PEM is damaged" if "PEM" in text else text[:120]
