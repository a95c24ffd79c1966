"""Nobody gets anywhere at a listener, or no mail leaves.

What it does: looks for listeners whose smtpd dies or whose TLS completes no handshake, and for ways out by which no
mail leaves, or none with the TLS that is asked for, where no other rule has said why; and for a master.cf in which
nothing runs.

Why it is bad: Postfix starts, and the port is open. What fails is each connection, or each delivery, and only the log
says so.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    tlsmgr_service_name = tlsmanager
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = fingerprint

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtp_tls_security_level = fingerprint
    smtp_tls_fingerprint_cert_match = 51:E9:AF:2E:1E:40:1F:DE:64:0A:30:35:2D:09:16:31:5A:30:B0:AD
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: master(5), postconf(5), TLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mailcfg.behaviour.model import Endpoint, Hop, Reason
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("master(5)", "postconf(5)", "TLS_README")

LAST = True
"""It says what no other rule has said."""

OF_SERVICES = (
    *("client-server-confusion", "dane-without-dnssec", "no-mechanism-left", "override-syntax", "relay-wrappermode"),
    *("sasl-option-unknown", "sasl-type-mismatch", "value-fatal"),
)
"""Rules whose errors say why a service does not work, wherever they point."""

OF_SETTINGS = (
    *("certificate-unreadable", "chain-file-order", "cipher-grade-invalid", "cipher-key-mismatch"),
    *("client-level-on-server", "key-mismatch", "level-unknown", "protocol-range-unsupported", "protocol-unknown"),
    "tls-not-offered",
)
"""Rules whose errors say why TLS does not work, each about the parameter that decides it."""

STANDS_STILL = ("no mail leaves", " is deferred: ")
"""What the causes of a way out say of one by which no mail leaves."""

TLS_OFF = "mail leaves without TLS: "
"""How the cause begins of one that is to use TLS, and cannot."""


class _Broken(NamedTuple):
    """Something that does not work: what a person calls it, why, and what decides it."""

    who: str
    service: str
    cause: str
    effect: str
    reasons: tuple[Reason, ...]
    at: Origin


def check(subject: Subject) -> Iterator[Said]:
    """Say what behaviour knows to be dead or broken and nobody has explained."""
    if subject.files is not None and subject.whole and not subject.services:
        yield Said(
            "master.cf has no service that runs",
            "nothing listens, and no mail is delivered",
            Origin(subject.files.master_path, 0, 0, ""),
            main="the services that the package brings, without which Postfix does nothing",
        )
        return
    found: dict[tuple[str, Origin], list[_Broken]] = {}
    for each in (*_listeners(subject), *_ways(subject)):
        if not _explained(subject, each):
            found.setdefault((each.cause, subject.place(*each.reasons)), []).append(each)
    for some in found.values():
        first = some[0]
        names = [reason.setting for reason in first.reasons if reason.setting and "/" not in reason.setting]
        setting = next((r.setting for r in first.reasons if r.origin.file and r.setting in names), "")
        who = ", ".join(dict.fromkeys(each.who for each in some))
        yield Said(
            first.cause if first.cause.startswith(who) else f"{who}: {first.cause}",
            first.effect,
            first.at,
            setting,
            first.service,
            main=_mending(first, setting or next(iter(names), "")),
        )


def _listeners(subject: Subject) -> Iterator[_Broken]:
    for endpoint in subject.behaviour.endpoints:
        cause, effect, keys = _of(endpoint)
        if not cause:
            continue
        reasons = tuple(reason for key in keys for reason in endpoint.because.get(key, ()))
        at = subject.place(*reasons, otherwise=subject.endpoint_place(endpoint))
        yield _Broken(label(endpoint), endpoint.service, cause, effect, reasons, at)


def _of(endpoint: Endpoint) -> tuple[str, str, tuple[str, ...]]:
    """Why an endpoint does not work, what a client meets, and under which keys the reasons stand."""
    causes = endpoint.causes
    if not endpoint.works:
        return causes[0] if causes else "smtpd dies", "the port is open, and nobody gets any further", ("works",)
    if endpoint.tls == "broken":
        effect = "STARTTLS is announced, and fails: clients go on in clear, or give up"
        return causes[-1] if causes else "no handshake succeeds", effect, _keys(endpoint)
    dies = next((each for each in causes if "smtpd dies" in each), "")
    return dies, "the connection ends where a client would log in", ("auth_after_tls",)


def _keys(endpoint: Endpoint) -> tuple[str, ...]:
    if "off" in endpoint.because:
        return ("off",)
    return ("protocols",) if "protocol" in endpoint.causes[-1] else ("suites",)


def _ways(subject: Subject) -> Iterator[_Broken]:
    for hop in subject.behaviour.outbound:
        cause = next((each for each in hop.causes if any(words in each for words in (*STANDS_STILL, TLS_OFF))), "")
        if cause and hop.routed is not False:
            effect = "every mail goes in clear" if TLS_OFF in cause else "mail stays in the queue and comes back"
            reasons = hop.because.get("tls", ())
            service = subject.service(hop.service)
            at = subject.place(*reasons, otherwise=service.origin if service else None)
            yield _Broken(_who(hop), hop.service, cause, effect, reasons, at)


def _who(hop: Hop) -> str:
    if hop.next_hop:
        return f"mail to {hop.next_hop}"
    return "outgoing mail" if hop.service == "smtp/unix" else f"mail by {hop.service}"


def _explained(subject: Subject, broken: _Broken) -> bool:
    """Whether an error of a rule that looks for causes is about what decides it, or about the service."""
    endpoint = next((each for each in subject.behaviour.endpoints if each.service == broken.service), None)
    smtpd = subject.smtpd_of(endpoint) if endpoint is not None else None
    services = (broken.service, smtpd.id) if smtpd is not None else (broken.service,)
    of_services = () if endpoint is not None and endpoint.tls == "broken" else OF_SERVICES
    settings = {each.setting for each in broken.reasons if each.setting}
    lines = {each.origin[:2] for each in broken.reasons if each.origin.file}
    for rule, said, severity in subject.told:
        if severity is not Severity.ERROR or rule not in OF_SERVICES + OF_SETTINGS:
            continue
        if said.setting in settings or said.at[:2] in lines or (rule in of_services and said.service in services):
            return True
    return False


def _mending(broken: _Broken, setting: str) -> str:
    if "random numbers" in broken.cause:
        return "tlsmgr unix - - n 1000? 1 tlsmgr"
    if "fingerprint" in broken.cause:
        return "smtp_tls_fingerprint_cert_match = the peer's fingerprint, or another smtp_tls_security_level"
    if "hand its clients to" in broken.cause:
        return "smtpd pass - - n - - smtpd"
    if "Dovecot" in broken.cause:
        return "start Dovecot with a unix_listener there, or mend smtpd_sasl_path"
    return f"another {setting}" if setting else "mend that; `mailcfg explain` says what decides it"
