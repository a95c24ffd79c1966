"""An option in master.cf undoes what main.cf, or the policy, says.

What it does: compares each -o of a listener with what main.cf says of the same parameter, where both are set and the
option makes that listener protect less: AUTH without TLS, a lower TLS level, older protocol versions, another SASL
implementation. Of a policy it is an option of [postfix.master] against what the policy's own tables decide. A listener
on the loopback interface, and an optional level on port 25, are left alone.

Why it is bad: who reads main.cf, or the policy, takes for granted what does not hold where it matters, and whoever
changes it there changes nothing.

Wrong:

    # main.cf
    smtpd_tls_security_level = encrypt
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_tls_security_level=may

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    [mx]
    [submission]
    [submissions]
    [sasl]
    backend = "saslauthd"
    [postfix.master.mx.options]
    smtpd_sasl_auth_enable = true

Right:

    # main.cf
    smtpd_tls_security_level = encrypt
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    smtp inet n - y - - smtpd
      -o smtpd_tls_security_level=may
    submission inet n - y - - smtpd
      -o smtpd_tls_mandatory_protocols=>=TLSv1.2
    127.0.0.1:10025 inet n - y - - smtpd
      -o smtpd_tls_security_level=none

References: master(5), docker-mailserver/docker-mailserver#408.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.reach import only_local
from mailcfg.behaviour.tls import ENFORCING
from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin, Setting
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("master(5)", "docker-mailserver/docker-mailserver#408")

PASSED_ON = ("postfix.main.", "postfix.master.")
"""How the keys of a policy begin that decide nothing by themselves."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold the options of each listener against main.cf."""
    main = subject.effective.main
    told: set[Origin] = set()
    for endpoint, scope in subject.listeners():
        if not scope.overrides or not endpoint.works:
            continue
        for name, own in scope.overrides.items():
            general = main.get(name)
            if general is None or own.value == general.value or own.origin in told or only_local(endpoint, scope):
                continue
            if subject.is_policy and not _against(own, general):
                continue
            weaker = _weaker(name, subject, endpoint, scope)
            if weaker is None:
                continue
            told.add(own.origin)
            effect, severity = weaker
            yield Said(
                f"{label(endpoint)} has {name} = {own.value}, against {_said(subject, general)}",
                effect,
                own.origin,
                name,
                endpoint.service,
                policy=f"remove {name} from [postfix.master], or change {general.origin.key or 'its table'}",
                main=f"remove -o {name} from {endpoint.service}",
                severity=SEVERITY if subject.is_policy else severity,
            )


def _against(own: Setting, general: Setting) -> bool:
    """Whether one comes from a table of Postfix's own words, and the other from what the policy declares."""
    return own.origin.key.startswith(PASSED_ON[1]) and not general.origin.key.startswith(PASSED_ON)


def _said(subject: Subject, general: Setting) -> str:
    where = general.origin.key if subject.is_policy else "main.cf"
    return f"{general.value or 'nothing'} of {where}"


def _weaker(name: str, subject: Subject, endpoint: Endpoint, scope: Scope) -> tuple[str, Severity] | None:
    """What an option lets happen that main.cf alone would not, and how grave that is; None where it is no less."""
    own, general = scope.text(name).lower(), subject.main.text(name).lower()
    match name:
        case "smtpd_tls_auth_only" if endpoint.auth_before_tls and general == "yes" and own == "no":
            return "passwords are asked for without TLS", Severity.ERROR
        case "smtpd_sasl_auth_enable" if subject.is_policy and own == "yes" and general == "no":
            return "AUTH is offered where the policy offers none", Severity.ERROR
        case "smtpd_tls_security_level" if not endpoint.implicit and own in ("", "none", "may"):
            if general in ENFORCING and (endpoint.port != 25 or own != "may"):
                return "it works without TLS as well", Severity.ERROR
            if general == "may" and own != "may" and endpoint.port in (25, 465, 587):
                return "no TLS is offered here", Severity.ERROR
        case "smtpd_tls_mandatory_protocols" | "smtpd_tls_protocols":
            # On port 25 it is no fault to take what others have; a policy has said what it wants.
            used = name == ("smtpd_tls_mandatory_protocols" if endpoint.mandatory else "smtpd_tls_protocols")
            if used and endpoint.encrypts and (endpoint.mandatory or subject.is_policy):
                mine, theirs = (protocols(each, scope.postfix) for each in (scope.text(name), subject.main.text(name)))
                more = [each for each in mine.versions if each not in theirs.versions]
                if not subject.is_policy:
                    more = [each for each in more if each in endpoint.protocols]
                if theirs.unknown is None and theirs.versions and more:
                    return f"{' and '.join(more)} {'is' if len(more) == 1 else 'are'} allowed here", Severity.WARNING
        case "smtpd_sasl_security_options" | "smtpd_sasl_tls_security_options" if subject.is_policy:
            lost = [each for each in listed(general) if each not in listed(own)]
            if lost and (endpoint.auth_before_tls or endpoint.auth_after_tls):
                return f"{' and '.join(lost)} does not hold here", Severity.ERROR
        case "smtpd_sasl_type" if own != general and _asks(scope):
            if _nobody_else(name, subject):
                return f"no listener uses {general} for AUTH", Severity.WARNING
    return None


def _nobody_else(name: str, subject: Subject) -> bool:
    """Whether every listener with AUTH overrides a parameter."""
    return all(name in scope.overrides for _, scope in subject.listeners() if _asks(scope))


def _asks(scope: Scope) -> bool:
    return scope.text("smtpd_sasl_auth_enable").lower() == "yes"
