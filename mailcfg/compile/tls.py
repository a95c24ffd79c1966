"""The guideline as parameters: protocol versions, ciphers and groups, for the server and for the client."""

from __future__ import annotations

from mailcfg.compile.builder import Builder, yes_no
from mailcfg.facts.guidelines import OPENSSL_NEEDED, PROTOCOLS, Guideline, guideline, known_groups, protocol_list
from mailcfg.policy.tls import Tls
from mailcfg.problem import Severity

BROKEN = ("RC4", "3DES", "DES", "RC2", "IDEA", "SEED", "MD5", "eNULL")
"""What no peer is met with, not even where the alternative is cleartext."""

CUSTOM = "custom"
"""The guideline of a policy that writes its own."""

CUSTOM_KEYS = ("minimum", "ciphers", "groups", "server_preference")


def guideline_of(tls: Tls) -> Guideline:
    """The guideline that a policy pins, or the one that it writes itself."""
    if tls.guideline != CUSTOM:
        return guideline(tls.guideline)
    return Guideline(
        id=CUSTOM,
        title="the policy's own",
        minimum=tls.minimum or "",
        ciphers=tuple(tls.ciphers or ()),
        ciphersuites=(),
        groups=tuple(tls.groups or ()),
        server_preference=tls.server_preference,
        certificate_types=("ecdsa", "rsa"),
        maximum_lifetime_days=365,
        recommended_lifetime_days=365,
        opportunistic="",
    )


def compile_tls(b: Builder, *, server: bool, client: bool, opportunistic: bool) -> None:
    """Set what `[tls]` says about the protocol. `server`, `client`: which sides speak TLS; `opportunistic`: whether any
    endpoint of the policy leaves TLS optional.
    """
    tls = b.site.tls
    if tls is None:
        return
    if tls.guideline != CUSTOM:
        for name in CUSTOM_KEYS:
            if getattr(tls, name) is not None:
                b.report(
                    "guideline-override",
                    f"{tls.guideline} already decides tls.{name}",
                    ("tls", name),
                    help='remove this line, or write guideline = "custom" with all you want',
                    at_key=True,
                )
    strict = guideline_of(tls)
    relaxed = guideline(strict.opportunistic) if strict.opportunistic else strict
    if strict.id == CUSTOM and PROTOCOLS.index(strict.minimum or "SSLv2") > PROTOCOLS.index("TLSv1.2"):
        # The same relaxation as a guideline's: nobody is sent mail in clear for want of TLS 1.3.
        relaxed = strict._replace(minimum="TLSv1.2")
    key = ("tls", "minimum" if strict.id == CUSTOM else "guideline")
    if not _openssl_can(b, strict.minimum, key):
        return
    if relaxed is not strict and opportunistic and (server or client):
        b.report(
            "guideline-relaxed",
            f"{strict.id} asks for {strict.minimum}; where TLS is optional {relaxed.minimum} is accepted as well",
            key,
            severity=Severity.INFO,
            effect="a peer that offers less than the floor would be sent the mail in cleartext (RFC 7435)",
        )
    sides = [side for side, wanted in (("smtpd", server), ("smtp", client)) if wanted]
    if not sides:
        return
    if strict.minimum:
        loose, tight = (protocol_list(each.minimum, b.postfix) for each in (relaxed, strict))
        for side in sides:
            b.set(f"{side}_tls_protocols", loose, key, strict.id, optional=True)
            b.set(f"{side}_tls_mandatory_protocols", tight, key, strict.id)
    _cipher_lists(b, sides, strict, relaxed)
    _groups(b, strict)
    if server and strict.server_preference is not None:
        at = ("tls", "server_preference" if strict.id == CUSTOM else "guideline")
        b.set("tls_preempt_cipherlist", yes_no(strict.server_preference), at, strict.id, optional=True)
    _excluded(b, sides, tls, lists=bool(_list(strict, relaxed)))
    if server:
        b.set("smtpd_tls_received_header", yes_no(tls.received_header), ("tls", "received_header"))
    for side in sides:
        b.set(f"{side}_tls_loglevel", str(tls.log_level), ("tls", "log_level"))


def _openssl_can(b: Builder, minimum: str, key: tuple[str, ...]) -> bool:
    needed = OPENSSL_NEEDED.get(minimum)
    if needed is None or b.openssl >= needed:
        return True
    b.report(
        "protocol-unsupported",
        f"{minimum} needs OpenSSL {needed}; {b.platform.id} has {b.platform.openssl.version}",
        key,
        effect="no client could complete a handshake",
        help='move the host to a newer platform, or write guideline = "custom"',
    )
    return False


def _list(strict: Guideline, relaxed: Guideline) -> tuple[str, ...]:
    """Ciphers where TLS is mandatory. A guideline of TLS 1.3 alone has none, and Postfix would take an empty list for
    an error: the floor keeps them out of use.
    """
    return strict.ciphers or relaxed.ciphers


def _cipher_lists(b: Builder, sides: list[str], strict: Guideline, relaxed: Guideline) -> None:
    """The guideline's list where TLS is mandatory; Postfix's own where it is optional, since a peer with whom no cipher
    is shared is sent the mail in cleartext (measured, as with protocol versions).
    """
    ciphers = _list(strict, relaxed)
    if not ciphers:
        return
    key = ("tls", "ciphers" if strict.id == CUSTOM else "guideline")
    for side in sides:
        b.set(f"{side}_tls_ciphers", "medium", key, f"{strict.id}, relaxed where TLS is optional", optional=True)
        b.set(f"{side}_tls_mandatory_ciphers", "high", key, strict.id)
    b.set("tls_high_cipherlist", ":".join(ciphers), key, strict.id)


def _excluded(b: Builder, sides: list[str], tls: Tls, *, lists: bool) -> None:
    """Ciphers without a certificate: never where TLS is mandatory; where it is optional as the policy decides. With a
    guideline, nothing broken either.
    """
    key = ("tls", "anonymous_ciphers")
    if tls.anonymous_ciphers and not lists:
        return  # Postfix's own lists have them where TLS is optional.
    optional = [] if tls.anonymous_ciphers else ["aNULL"]
    if lists:
        optional += BROKEN
    for side in sides:
        b.set(f"{side}_tls_exclude_ciphers", ", ".join(optional), key)
        b.set(f"{side}_tls_mandatory_exclude_ciphers", "aNULL", key)


def _groups(b: Builder, strict: Guideline) -> None:
    if not strict.groups:
        return
    key = ("tls", "groups" if strict.id == CUSTOM else "guideline")
    groups = known_groups(strict.groups, b.postfix, b.openssl)
    unknown = [group for group in strict.groups if group not in groups]
    if strict.id == CUSTOM and unknown:
        b.report(
            "group-unsupported",
            f"{', '.join(unknown)}: unknown to Postfix {b.postfix} with OpenSSL {b.platform.openssl.version}",
            key,
            help="remove it from the list",
        )
    curves = [group for group in groups if not group.startswith("ffdhe")]
    finite = [group for group in groups if group.startswith("ffdhe")]
    if curves:
        b.set("tls_eecdh_auto_curves", " ".join(curves), key, strict.id, optional=True)
    elif not unknown:
        b.report(
            "group-unsupported",
            "none of these groups is an elliptic curve, and Postfix does not start with an empty list of them",
            key,
            help='add one, such as "X25519" or "prime256v1"',
        )
    if finite or not any(cipher.startswith("DHE-") for cipher in strict.ciphers):
        b.set("tls_ffdhe_auto_groups", " ".join(finite), key, strict.id, optional=True)
