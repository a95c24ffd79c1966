"""What a server's TLS is: whether it is announced, whether it can be had, with which versions and ciphers.

Source: postconf(5), TLS_README, and how smtpd behaves: tests/behaviour holds this against real ones.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from mailcfg.behaviour.ciphers import Suite, expand
from mailcfg.behaviour.effective import Scope, default
from mailcfg.behaviour.fatal import flaw
from mailcfg.behaviour.model import Reason, Shown
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.surroundings import Surroundings
from mailcfg.behaviour.words import ciphers, listed
from mailcfg.facts.guidelines import HYBRID_GROUPS_SINCE, OPENSSL_NEEDED
from mailcfg.facts.version import Version

LEVELS = ("none", "may", "encrypt", "fingerprint", "dane", "dane-only", "verify", "secure")
"""The words of a security level (src/tls/tls_level.c); any case will do."""

ENFORCING = ("encrypt", "verify", "secure", "fingerprint")
"""Those with which a server enforces TLS. It dies of the others, `dane` included (measured)."""

GRADES = ("high", "medium", "low", "export", "null")
"""Cipher grades; any case will do."""

LOW_IS_MEDIUM_SINCE = (3, 8)
"""The Postfix series in which `low` and `export` became other words for `medium` (RELEASE_NOTES)."""

CHAIN_FILES_SINCE = (3, 4)
"""The Postfix series with smtpd_tls_chain_files (postconf(5))."""

DIGESTS = frozenset(
    [
        "md5",
        "sha1",
        "sha224",
        "sha256",
        "sha384",
        "sha512",
        "sha512-224",
        "sha512-256",
        "sha3-224",
        "sha3-256",
        "sha3-384",
        "sha3-512",
    ]
)
"""Digests that every OpenSSL of today has. Postfix turns TLS off where it does not know the one that is named."""

_MINIMUM_BITS = (0, 80, 112, 128, 192, 256)
_RSA_BITS = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))
_MODERN = ("TLSv1.2", "TLSv1.3")
_HIGHEST_LEVEL = {"TLSv1": 2, "TLSv1.1": 3}
_PROOFS = {"RSA": ("rsa", "rsapss"), "ECDSA": ("ecdsa", "ed25519", "ed448"), "DSS": ("dsa",), "DSA": ("dsa",)}
_SINCE_TLS12 = ("rsapss", "ed25519", "ed448")
_RSA_PSS_BITS = 528
_NUMBERS = {"SSLv3": 0, "TLSv1": 1, "TLSv1.0": 1, "TLSv1.1": 2, "TLSv1.2": 3, "TLSv1.3": 4}
OLDER_THAN_PARAMETERS = {"smtpd_tls_ciphers": "export", "smtpd_tls_mandatory_ciphers": "medium"}
"""What held before Postfix 2.6 made it a parameter (RELEASE_NOTES-2.6)."""

WITHOUT_SSLV3 = Version(1, 1, 0)
"""The OpenSSL from which distributions build it without SSLv3 (measured from 1.1.1 on)."""


@cache
def spoken(openssl: Version) -> tuple[str, ...]:
    """The versions that an OpenSSL of a distribution speaks."""
    known = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    return tuple(
        each
        for each in known
        if openssl >= OPENSSL_NEEDED.get(each, Version(0, 0)) and (each != "SSLv3" or openssl < WITHOUT_SSLV3)
    )


CURVES = {
    "p-192": "secp192r1",
    "p-224": "secp224r1",
    "p-256": "prime256v1",
    "p-384": "secp384r1",
    "p-521": "secp521r1",
    "secp256r1": "prime256v1",
}
"""Other names of groups."""

GROUPS = frozenset(
    [
        *("secp192r1", "secp224r1", "secp224k1", "secp256k1", "prime256v1", "secp384r1", "secp521r1"),
        *("x25519", "x448", "brainpoolp256r1", "brainpoolp384r1", "brainpoolp512r1", "prime192v1"),
    ]
)
"""Elliptic curves that OpenSSL has a code for in TLS."""

MODERN_GROUPS = frozenset(["prime256v1", "secp384r1", "secp521r1", "x25519", "x448"])
"""Those that TLS 1.3 can use; a name with MLKEM or ffdhe can too."""

WITH_HYBRIDS = Version(3, 5)
WITH_FINITE_FIELDS = Version(3, 0)
"""The OpenSSL from which a name with MLKEM, or one with ffdhe, is a group (its CHANGES file)."""

GROUPS_IN_ONE_LIST_SINCE = (3, 8)
"""The Postfix series that hands curves and finite fields to OpenSSL together, each once (RELEASE_NOTES-3.8)."""


class Groups(NamedTuple):
    """Of the groups for the key exchange, whether any does for TLS 1.3, and whether any is a curve."""

    modern: bool
    curves: bool


@cache
def groups(curves: str, finite: str, postfix: Version, openssl: Version) -> Groups:
    """What tls_eecdh_auto_curves and tls_ffdhe_auto_groups leave. A list in which nothing is known counts as none, and
    before Postfix 3.8 so does one that repeats itself (measured): OpenSSL's own holds then.
    """
    words = ciphers(curves)
    together = postfix.series >= GROUPS_IN_ONE_LIST_SINCE
    if together:
        words += ciphers(finite)
    if openssl >= WITH_HYBRIDS and together:
        # A list in the syntax of OpenSSL 3.5: `?` for a group that may be unknown, and DEFAULT.
        words = [word.lstrip("?*") for word in words]
        if "DEFAULT" in words:
            return Groups(True, True)
    names = [CURVES.get(word.lower(), word.lower()) for word in words]
    hybrid = openssl >= WITH_HYBRIDS and postfix.series >= HYBRID_GROUPS_SINCE
    fields = openssl >= WITH_FINITE_FIELDS
    known = [
        name
        for name in names
        if name in GROUPS or (hybrid and "mlkem" in name) or (fields and name.startswith("ffdhe"))
    ]
    if not known or (not together and len(set(known)) < len(known)):
        return Groups(True, True)
    modern = any(name in MODERN_GROUPS or "mlkem" in name or name.startswith("ffdhe") for name in known)
    return Groups(modern, any(name in GROUPS for name in known))


class Ciphers(NamedTuple):
    """The suites up to TLS 1.2 that a grade with exclusions leaves, best first, and the security level that the list
    sets, if it does. `wrong` says why every handshake fails with it.
    """

    suites: tuple[Suite, ...]
    level: int | None
    wrong: str


class ServerTls(NamedTuple):
    """The TLS of one smtpd. `announced`: STARTTLS is in EHLO; `enforced`: nothing but STARTTLS is answered without it;
    `wrapper`: it begins with the first byte. `dies`: what smtpd dies of at its start; `off`: why it turned TLS off, so
    that STARTTLS gets 454; `fails`: why no handshake succeeds although it tries. `identified`: it wants a certificate
    of the client.
    """

    announced: bool
    enforced: bool
    wrapper: bool
    used: bool
    dies: str
    off: str
    fails: str
    versions: tuple[str, ...]
    suites: dict[str, tuple[str, ...]]
    anonymous: bool
    certificates: tuple[Shown, ...]
    identified: bool
    causes: tuple[str, ...]
    unknown: tuple[str, ...]
    because: dict[str, tuple[Reason, ...]]


@cache
def cipher_list(base: str, exclusions: tuple[str, ...], openssl: Version) -> Ciphers:
    """The list that a grade stands for, without what is excluded."""
    for word in exclusions:
        if word[0] in "!+-@":
            return Ciphers((), None, f"{word!r} is excluded, and a word there cannot begin with {word[0]}")
    found = expand("".join([base, *(f":!{word}" for word in exclusions)]), openssl)
    if found.error:
        return Ciphers((), None, "the cipher list names nothing that this OpenSSL has")
    return Ciphers(found.suites, found.security_level, "")


def grade_list(scope: Scope, grade: str) -> str | None:
    """The name of the parameter with the ciphers of a grade; None where there is no such grade."""
    word = grade.lower()
    if word not in GRADES:
        return None
    if word in ("low", "export") and scope.postfix.series >= LOW_IS_MEDIUM_SINCE:
        word = "medium"
    return f"tls_{word}_cipherlist"


def proofs(suite: Suite, kinds: frozenset[str]) -> tuple[str, ...]:
    """What the server can prove itself with in a suite: the kinds of key that it has and the suite takes, of which a
    client's signature algorithms choose, or `anonymous`; empty for none.
    """
    if suite.auth == "None":
        return ("anonymous",) if suite.kx in ("ECDH", "DH") else ()
    if "PSK" in suite.kx or suite.kx == "SRP":
        return ()
    return tuple(kind for kind in _PROOFS.get(suite.auth, ()) if kind in kinds)


def in_tls13(certificate: Shown) -> bool:
    """Whether a certificate can be shown by TLS 1.3: its key must sign in a way that it knows (RFC 8446 §4.2.3)."""
    kind, _, size = certificate.key_type.partition("-")
    if kind == "ecdsa":
        return size in ("p256", "p384", "p521", "secp521r1")
    if kind == "rsa":
        return not size.isdecimal() or int(size) >= _RSA_PSS_BITS
    return kind in ("rsapss", "ed25519", "ed448")


def before_tls13(certificate: Shown) -> str:
    """The kind of key for suites up to TLS 1.2; empty for a certificate that none of them can use (measured)."""
    unusable = certificate.modern_only or certificate.key_type == "ecdsa-secp256k1"
    return "" if unusable else certificate.algorithm


def allowed(suite: Suite, level: int) -> bool:
    """Whether OpenSSL's security level lets a suite through. Source: SSL_CTX_set_security_level(3)."""
    if level <= 0:
        return True
    bits = _MINIMUM_BITS[min(level, 5)]
    if suite.bits < bits or suite.is_anonymous or suite.mac == "MD5":
        return False
    if level >= 2 and suite.enc.startswith("RC4"):
        return False
    return level < 3 or suite.forward_secret


def below_the_gap(enabled: list[str]) -> str:
    """What OpenSSL takes for the highest of the versions: of those that follow each other, the lowest row counts
    (ssl_get_min_max_version). Empty for none.
    """
    numbers = {_NUMBERS[each]: each for each in enabled}
    if not numbers:
        return ""
    top = min(numbers)
    while top + 1 in numbers:
        top += 1
    return numbers[top]


def strength(certificate: Shown) -> int:
    """The security of a key in bits, as OpenSSL counts it (BN_security_bits, EVP_PKEY_security_bits)."""
    kind, _, size = certificate.key_type.partition("-")
    digits = "".join(each for each in size if each.isdecimal())
    bits = int(digits) if digits else 0
    if kind in ("rsa", "dsa"):
        return next((count for least, count in _RSA_BITS if bits >= least), 0)
    if kind == "ecdsa":
        return bits // 2
    return {"ed25519": 128, "ed448": 224}.get(kind, 128)


def server_tls(scope: Scope, surroundings: Surroundings, openssl: Version) -> ServerTls:
    """The TLS of an smtpd with these values."""
    return _Server(scope, surroundings, openssl).result()


class _Server:
    def __init__(self, scope: Scope, surroundings: Surroundings, openssl: Version) -> None:
        self.scope = scope
        self.around = surroundings
        self.openssl = openssl
        self.causes: list[str] = []
        self.unknown: list[str] = []
        self.because: dict[str, tuple[Reason, ...]] = {}

    def yes(self, name: str) -> bool:
        return self.scope.text(name).lower() == "yes"

    def result(self) -> ServerTls:
        scope = self.scope
        wrapper = self.yes("smtpd_tls_wrappermode")
        level = scope.text("smtpd_tls_security_level")
        used, enforced, decides = self.level(wrapper, level)
        if isinstance(used, str):
            reasons = (scope.reason("smtpd_tls_security_level"),)
            return self.none(dies=used, because={"works": reasons})
        hidden = "starttls" in {word.lower() for word in listed(scope.text("smtpd_discard_ehlo_keywords"))}
        self.because["tls"] = decides
        if not used:
            return self.none()
        asks = self.yes("smtpd_tls_ask_ccert") or (enforced and self.yes("smtpd_tls_req_ccert"))
        identified = enforced and self.yes("smtpd_tls_req_ccert")
        dies, off, shown = self.context(enforced, asks)
        usable = shown
        if dies:
            return self.none(dies=dies, because={"works": self.because.get("off", ())})
        fails = ""
        versions: tuple[str, ...] = ()
        suites: dict[str, tuple[str, ...]] = {}
        if not off:
            versions, suites, fails, usable = self.handshakes(enforced, asks, identified, shown)
        if hidden and not wrapper:
            self.causes.append("STARTTLS is hidden from clients, and refused")
            self.because["tls"] = (*decides, scope.reason("smtpd_discard_ehlo_keywords"))
        return ServerTls(
            announced=not wrapper and not hidden,
            enforced=enforced,
            wrapper=wrapper,
            used=used,
            dies="",
            off=off,
            fails=fails,
            versions=versions,
            suites=suites,
            anonymous="anonymous" in suites,
            certificates=tuple(
                each for each in usable if before_tls13(each) in suites or ("TLSv1.3" in versions and in_tls13(each))
            ),
            identified=identified,
            causes=tuple(self.causes),
            unknown=tuple(self.unknown),
            because=self.because,
        )

    def none(self, dies: str = "", because: dict[str, tuple[Reason, ...]] | None = None) -> ServerTls:
        return ServerTls(
            announced=False,
            enforced=False,
            wrapper=False,
            used=False,
            dies=dies,
            off="",
            fails="",
            versions=(),
            suites={},
            anonymous=False,
            certificates=(),
            identified=False,
            causes=tuple(self.causes),
            unknown=tuple(self.unknown),
            because=because if because is not None else self.because,
        )

    def level(self, wrapper: bool, level: str) -> tuple[bool | str, bool, tuple[Reason, ...]]:
        """Whether TLS is used (or what smtpd dies of), whether it is enforced, and what decides."""
        scope = self.scope
        if wrapper:
            # The level is not even looked at then.
            return True, True, (scope.reason("smtpd_tls_wrappermode"),)
        decides: tuple[Reason, ...] = (scope.reason("smtpd_tls_security_level"),)
        if not level:
            enforced = self.yes("smtpd_enforce_tls")
            used = enforced or self.yes("smtpd_use_tls")
            older = [scope.reason(each) for each in ("smtpd_enforce_tls", "smtpd_use_tls") if scope.is_set(each)]
            return used, enforced, (*decides, *older)
        word = level.lower()
        if word in ENFORCING:
            if word != "encrypt":
                self.causes.append(f"{level} is no level of a server, and taken for encrypt")
            return True, True, decides
        if word in ("may", "none"):
            return word == "may", False, decides
        return f"{level!r} is no TLS security level of a server", False, decides

    def context(self, enforced: bool, asks: bool) -> tuple[str, str, tuple[Shown, ...]]:
        """What smtpd dies of, why it turns TLS off, and the certificates that it can show."""
        scope = self.scope
        certificate = scope.text("smtpd_tls_cert_file")
        none = certificate.lower() == "none"
        names = (
            ("smtpd_tls_cert_file", "smtpd_tls_key_file"),
            ("smtpd_tls_dcert_file", "smtpd_tls_dkey_file"),
            ("smtpd_tls_eccert_file", "smtpd_tls_eckey_file"),
        )
        pairs = [
            (scope.text(one), scope.text(other))
            for one, other in names
            if scope.text(one) and not (none and one == "smtpd_tls_cert_file")
        ]
        chain: tuple[str, ...] = ()
        if scope.postfix.series >= CHAIN_FILES_SINCE:
            chain = tuple(listed(scope.text("smtpd_tls_chain_files")))
        named = [("smtpd_tls_chain_files",)] if chain else [each for each in names if scope.text(each[0])]
        reasons = tuple(scope.reason(each) for pair in named for each in pair)
        # Not empty, and yet without a file: it takes the place of the older parameters all the same (measured).
        blank = not chain and scope.postfix.series >= CHAIN_FILES_SINCE and bool(scope.text("smtpd_tls_chain_files"))
        set_at_all = bool(pairs or chain) or blank
        if blank:
            pairs = []
        if not set_at_all and not (none and not asks):
            self.because["off"] = (scope.reason("smtpd_tls_cert_file"), scope.reason("smtpd_tls_chain_files"))
            return "", "no certificate is configured", ()
        bad = flaw(scope, tls=True)
        if bad is not None:
            self.because["off"] = (bad,)
            return bad.words, "", ()
        off = self.broken_otherwise(enforced)
        if off:
            return "", off, ()
        loaded = self.around.identities(chain, tuple(pairs)) if chain or pairs else None
        if loaded is None:
            return "", "", ()
        if loaded.unknown:
            self.unknown.append(loaded.unknown)
        self.causes += loaded.problems
        if loaded.disabled:
            self.because["off"] = reasons
            return "", loaded.disabled, ()
        self.because["certificates"] = reasons
        if loaded.unknown and not loaded.identities:
            return "", "", tuple(each._replace(read=bool(each.names)) for each in loaded.shown)
        return "", "", loaded.shown

    def broken_otherwise(self, enforced: bool) -> str:
        """Why TLS is turned off before any certificate is looked at."""
        scope = self.scope
        name = "smtpd_tls_mandatory_protocols" if enforced else "smtpd_tls_protocols"
        read = protocols(scope.text(name), scope.postfix)
        if read.unknown is not None:
            self.because["off"] = (scope.reason(name),)
            return f"{read.unknown!r} is no protocol version"
        digest = scope.text("smtpd_tls_fingerprint_digest").lower()
        if digest and digest not in DIGESTS:
            self.unknown.append(f"smtpd_tls_fingerprint_digest = {digest}: whether OpenSSL has that digest")
        authorities = scope.text("smtpd_tls_CAfile")
        if authorities:
            reach = self.around.readable(authorities)
            if reach.ok is False:
                self.because["off"] = (scope.reason("smtpd_tls_CAfile"),)
                return f"smtpd_tls_CAfile: {reach.why}"
        manager = scope.text("tlsmgr_service_name") or "tlsmgr"
        if not self.around.has_service(f"{manager}/unix"):
            self.because["off"] = (Reason(f"{manager}/unix", "", scope.value("tlsmgr_service_name").origin, "absent"),)
            return f"master.cf has no {manager}, from which TLS gets its random numbers"
        return ""

    def handshakes(
        self, enforced: bool, asks: bool, identified: bool, shown: tuple[Shown, ...]
    ) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], str, tuple[Shown, ...]]:
        """The versions with which a handshake succeeds, suites by what the server proves itself with, why none, and the
        certificates that OpenSSL's security level lets through.
        """
        scope = self.scope
        infix = "mandatory_" if enforced else ""
        protocols_name = f"smtpd_tls_{infix}protocols"
        grade_name = f"smtpd_tls_{infix}ciphers"
        self.because["protocols"] = (scope.reason(protocols_name),)
        listed_versions = protocols(scope.text(protocols_name), scope.postfix).versions
        grade = scope.text(grade_name)
        if not grade and default(grade_name, scope.postfix) is None:
            grade = OLDER_THAN_PARAMETERS[grade_name]
        parameter = grade_list(scope, grade)
        because = [scope.reason(grade_name)]
        self.because["suites"] = tuple(because)
        if parameter is None:
            return (), {}, f"{grade!r} is no cipher grade", ()
        because.append(scope.reason(parameter))
        exclusions = ciphers(scope.text("smtpd_tls_exclude_ciphers"))
        because.append(scope.reason("smtpd_tls_exclude_ciphers"))
        if enforced:
            exclusions += ciphers(scope.text("smtpd_tls_mandatory_exclude_ciphers"))
            because.append(scope.reason("smtpd_tls_mandatory_exclude_ciphers"))
        if asks:
            exclusions.append("aNULL")
        self.because["suites"] = tuple(because)
        found = cipher_list(scope.text(parameter), tuple(exclusions), self.openssl)
        if found.wrong:
            return (), {}, found.wrong, ()
        level = 1 if identified else found.level or 0
        strong = [each for each in shown if level <= 0 or strength(each) >= _MINIMUM_BITS[min(level, 5)]]
        everyone = [each for each in strong if not each.sni]
        kinds = frozenset(before_tls13(each) for each in everyone)
        modern_key = any(in_tls13(each) for each in everyone)
        exchange = groups(
            scope.text("tls_eecdh_auto_curves"), scope.text("tls_ffdhe_auto_groups"), scope.postfix, self.openssl
        )
        suites: dict[str, list[tuple[str, int]]] = {}
        lowest: dict[str, int] = {}
        for suite in found.suites:
            if not allowed(suite, level) or ("ECDH" in suite.kx and not exchange.curves):
                continue
            for proof in proofs(suite, kinds):
                need = max(_NUMBERS.get(suite.minimum, 0), 3 if proof in _SINCE_TLS12 else 0)
                suites.setdefault(proof, []).append((suite.name, need))
                lowest[proof] = min(lowest.get(proof, 9), need)
        versions = tuple(
            version
            for version in listed_versions
            if version in spoken(self.openssl)
            and (exchange.modern or version != "TLSv1.3")
            and self.completes(version, lowest, level, modern=modern_key)
        )
        enabled = [each for each in listed_versions if each in spoken(self.openssl) and self.permits(each, level)]
        top = below_the_gap(enabled)
        if top and top != "TLSv1.3" and all(_NUMBERS.get(suite.minimum, 0) > _NUMBERS[top] for suite in found.suites):
            # What OpenSSL takes for the highest version must have a cipher, else it gives up (measured).
            return (
                (),
                {},
                f"with a gap in the versions OpenSSL wants a cipher suite of {top}, and the list has none",
                (),
            )
        highest = max((_NUMBERS[version] for version in versions if version != "TLSv1.3"), default=-1)
        used = {proof: tuple(name for name, need in some if need <= highest) for proof, some in suites.items()}
        fails = "" if versions else self.nothing_in_common(listed_versions, kinds)
        return versions, {proof: names for proof, names in used.items() if names}, fails, tuple(strong)

    def completes(self, version: str, lowest: dict[str, int], level: int, *, modern: bool) -> bool:
        """Whether a client that speaks this version alone, and every cipher, completes a handshake."""
        if version == "TLSv1.3":
            return modern
        if not self.permits(version, level):
            return False
        # From level 2 on there is no signature with SHA-1 except by RSA.
        unsigned = level >= 2 and version not in _MODERN
        return any(
            need <= _NUMBERS[version] and not (unsigned and proof in ("ecdsa", "dsa")) for proof, need in lowest.items()
        )

    def permits(self, version: str, level: int) -> bool:
        """Whether OpenSSL's security level lets a version through: 1.1.1 still has the old ones at the lower levels."""
        if version in _MODERN or level <= 0:
            return True
        return self.openssl < Version(3, 0) and level <= _HIGHEST_LEVEL.get(version, 1)

    def nothing_in_common(self, listed_versions: tuple[str, ...], kinds: frozenset[str]) -> str:
        if not [each for each in listed_versions if each in spoken(self.openssl)]:
            return "no protocol version is left"
        if not kinds:
            return "there is no certificate to show"
        return "no cipher suite fits the certificate and the protocol versions"
