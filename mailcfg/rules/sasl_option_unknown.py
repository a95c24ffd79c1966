"""A security option is a word that Postfix does not know.

What it does: looks at smtpd_sasl_security_options and smtpd_sasl_tls_security_options where there is AUTH, and at those
of smtp and lmtp where a password may be sent. Cyrus SASL takes them in small letters only. Where the options are not
used as things stand, it is a warning.

Why it is bad: `postfix check` says nothing. smtpd dies when a client connects, or after STARTTLS, and smtp when it is
about to log in, so that the mail stays in the queue.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_security_options = noanonymous, noplain
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = encrypt
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_security_options = NoAnonymous

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_security_options = noanonymous
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = encrypt
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_security_options = noanonymous
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: postconf(5) smtpd_sasl_security_options, postconf(5) smtp_sasl_security_options.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from mailcfg.behaviour.auth import OPTIONS
from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Hop
from mailcfg.behaviour.outbound import CHECKED, OPTIONAL
from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label
from mailcfg.rules.anonymous_allowed import PAIR
from mailcfg.rules.no_mechanism_left import deaths

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_sasl_security_options", "postconf(5) smtp_sasl_security_options")


def check(subject: Subject) -> Iterator[Said]:
    """Look at each listener with AUTH, then at each way out with a password."""
    told: set[Origin] = set()
    for endpoint, scope in subject.listeners():
        if scope.text("smtpd_sasl_auth_enable").lower() != "yes":
            continue
        dying = {name for name, _ in deaths(subject, endpoint)} if endpoint.causes else set()
        for name in PAIR:
            wrong = unknown_options(scope.text(name), scope.text("smtpd_sasl_type") == "dovecot")
            at = _place(scope, name, PAIR[0]) if wrong else None
            if at is None or at in told:
                continue
            bites = name in dying or (PAIR[1] in dying and not scope.is_set(PAIR[1]))
            told.add(at)
            effect = "smtpd dies of it: every connection ends" if bites else "smtpd dies of it where it is used"
            yield _said(subject, wrong[0], effect, at, name, endpoint.service, label(endpoint), bites=bites)
    for hop in subject.behaviour.outbound:
        if not hop.credentials:
            continue
        service = subject.service(hop.service)
        scope = subject.scope(service)
        side = service.command if service else "smtp"
        for name in _used(hop, side):
            wrong = unknown_options(scope.text(name), False)
            names = (name, f"{side}_sasl_tls_security_options", f"{side}_sasl_security_options")
            at = _place(scope, *names) if wrong else None
            if at is not None and at not in told:
                told.add(at)
                effect = f"{side} dies of it when it logs in, and the mail stays in the queue"
                yield _said(subject, wrong[0], effect, at, name, hop.service, hop.service, bites=True)


@lru_cache(maxsize=256)
def unknown_options(value: str, any_case: bool) -> tuple[str, ...]:
    """The words of security options that Postfix does not know."""
    words = listed(value)
    if value and not words and not any_case:
        return (value,)
    return tuple(each for each in words if (each.lower() if any_case else each) not in OPTIONS)


def _place(scope: Scope, *names: str) -> Origin | None:
    """The line that sets the first of some parameters; each is the next one by default."""
    return next((scope.value(name).origin for name in names if scope.is_set(name)), None)


def _used(hop: Hop, side: str) -> list[str]:
    """The security options that count for a way out, as smtp_sasl_helo_login chooses them (smtp_sasl_proto.c)."""
    names: list[str] = []
    if hop.level in OPTIONAL and not hop.implicit:
        names.append(f"{side}_sasl_security_options")
    if hop.level in CHECKED:
        names.append(f"{side}_sasl_tls_verified_security_options")
    elif hop.level != "none":
        names.append(f"{side}_sasl_tls_security_options")
    return names


def _said(
    subject: Subject, word: str, effect: str, at: Origin, name: str, service: str, where: str, *, bites: bool
) -> Said:
    from difflib import get_close_matches

    near = get_close_matches(word.lower().replace("-", "").replace("_", ""), OPTIONS, 1, 0.6)
    meant = near[0] if near else "noanonymous"
    return Said(
        f"{word!r} is no SASL security option ({where})",
        effect,
        at,
        name,
        service,
        policy="sasl.security_options takes only what Postfix knows" if name.startswith("smtpd") else "[relay]",
        main=f"did you mean {meant}? The words are {', '.join(OPTIONS)}",
        severity=SEVERITY if bites else Severity.WARNING,
    )
