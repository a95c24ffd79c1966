"""What was met at an endpoint against what was predicted of it."""

from __future__ import annotations

from mailcfg.behaviour.model import Endpoint
from mailcfg.probe.client import Met

MODERN = ("TLSv1.2", "TLSv1.3")
"""Versions that every client has, so that one that fails is the server's doing."""


def disagreements(endpoint: Endpoint, met: Met) -> list[str]:
    """What is otherwise than predicted, in sentences; empty where all agrees. An older version that fails may be the
    fault of this machine's own OpenSSL, and mechanisms are left alone where the prediction says that it does not know.
    """
    if not endpoint.works:
        return [] if met.reached or not (met.starttls or met.protocols) else ["it answers, and was predicted dead"]
    if met.reached:
        return [met.reached]
    found: list[str] = []
    if not endpoint.implicit:
        wants = endpoint.tls != "none"
        if wants != met.starttls:
            found.append("STARTTLS is not offered" if wants else "STARTTLS is offered, and was predicted not to be")
        if met.clear_mail is not None and met.clear_mail != endpoint.cleartext_mail and not endpoint.unknown:
            found.append("mail is taken in clear" if met.clear_mail else "mail in clear is refused")
    found += [f"{version} is accepted" for version in met.protocols if version not in endpoint.protocols]
    # A certificate that a client must show stops a handshake that is all right but for that.
    if not endpoint.client_certificate:
        missing = [each for each in endpoint.protocols if each in MODERN and each in met.failed]
        if missing and not met.protocols:
            found.append("no TLS handshake completes")
        else:
            found += [f"a handshake with {version} does not complete" for version in missing]
    if not endpoint.unknown:
        found += _mechanisms("before TLS", endpoint.auth_before_tls, met.auth_before)
        if met.auth_after is not None:
            found += _mechanisms("inside TLS", endpoint.auth_after_tls, met.auth_after)
    return found


def _mechanisms(where: str, predicted: tuple[str, ...], met: tuple[str, ...]) -> list[str]:
    if set(predicted) == set(met):
        return []
    return [f"AUTH {where} is {' '.join(met) or 'not offered'}, and was predicted {' '.join(predicted) or 'not to be'}"]
