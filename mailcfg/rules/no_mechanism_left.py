"""No mechanism that can succeed is left, and nobody can log in.

What it does: looks for listeners with AUTH where security options, smtpd_sasl_mechanism_filter or a mech_list of
mechanisms that are not installed leave none, so that smtpd dies; and for noplaintext inside TLS with saslauthd, where
those that are left can never succeed. Of a Dovecot whose settings are not here nothing is said.

Why it is bad: smtpd dies with "no SASL authentication mechanisms" as soon as a client connects, or after STARTTLS: not
even mail from other servers comes in there. noplaintext is meant to protect PLAIN outside TLS, and it holds inside TLS
too unless smtpd_sasl_tls_security_options says otherwise. smtpd_tls_auth_only is what hides AUTH outside TLS.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    smtpd_tls_auth_only = yes
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_sasl_security_options = noanonymous, noplaintext
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_security_options = noanonymous, noplaintext
    # sasl/smtpd.conf
    pwcheck_method: saslauthd

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: CRAM-MD4

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    smtpd_tls_auth_only = yes
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_sasl_security_options = noanonymous, noplaintext
    smtpd_sasl_tls_security_options = noanonymous
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: SASL_README, postconf(5) smtpd_sasl_tls_security_options.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.auth import Announced, server_auth
from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin
from mailcfg.facts.mechanisms import mechanisms
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label
from mailcfg.rules.anonymous_allowed import PAIR
from mailcfg.rules.mechanism_unverifiable import has_secrets, takes_passwords
from mailcfg.rules.mechanisms_undeclared import Reader, maybe_a_copy, needs, readers

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "postconf(5) smtpd_sasl_tls_security_options")

FILTER = "smtpd_sasl_mechanism_filter"

NONE_LEFT = ("no mechanism is left", "there is no mechanism", f"{FILTER} leaves no mechanism")
"""How the sentences of mailcfg.behaviour.auth begin that tell of it."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for smtpds that die of it, then for what can never succeed."""
    told: set[Origin] = set()
    for endpoint in subject.behaviour.endpoints:
        if not endpoint.causes:
            continue
        for name, activation in deaths(subject, endpoint):
            scope = subject.scope_of(endpoint)
            if not activation.dies.startswith(NONE_LEFT) or _elsewhere(subject, endpoint, scope):
                continue
            at = _place(subject, endpoint, name, activation)
            if at in told:
                continue
            told.add(at)
            policy, main = _mending(name, activation)
            yield Said(
                f"{label(endpoint)}: {activation.dies}",
                "after STARTTLS smtpd dies" if endpoint.works else "smtpd dies: every connection ends",
                at,
                name,
                endpoint.service,
                policy=policy,
                main=main,
            )
    for reader in readers(subject):
        if not takes_passwords(reader.conf) or reader.conf.unknown or not reader.conf.path:
            continue
        found = _hopeless(subject, reader)
        if found is None:
            continue
        at = subject.endpoint_place(reader.endpoint, found, PAIR[0])
        if at in told:
            continue
        told.add(at)
        yield Said(
            f"{label(reader.endpoint)}: noplaintext leaves no mechanism that saslauthd can check",
            "nobody can log in",
            at,
            found,
            reader.service.id,
            policy='tls_security_options = ["noanonymous"], with auth = "inside-tls"',
            main="smtpd_sasl_tls_security_options = noanonymous, with smtpd_tls_auth_only = yes",
        )


def deaths(subject: Subject, endpoint: Endpoint) -> Iterator[tuple[str, Announced]]:
    """Which of the two activations of SASL smtpd dies in: the parameter with its security options, and what happens."""
    service = subject.smtpd_of(endpoint)
    if service is None:
        return
    auth = server_auth(subject.scope(service), subject.around, subject.platform, service.id, "")
    if auth.before.dies in endpoint.causes:
        yield PAIR[0], auth.before
    if auth.after.dies and any(each.endswith(auth.after.dies) for each in endpoint.causes):
        yield PAIR[1], auth.after


def _elsewhere(subject: Subject, endpoint: Endpoint, scope: Scope) -> bool:
    """Whether the mechanisms, or the plugins that bring them, may be on another machine."""
    if scope.text("smtpd_sasl_type") == "dovecot":
        return maybe_a_copy(subject) or subject.around.dovecot(scope.text("smtpd_sasl_path")) is None
    conf = next((each.conf for each in readers(subject) if each.endpoint is endpoint), None)
    if conf is None or conf.unknown:
        return True
    listing = conf.settings.get("mech_list")
    if listing is None or not maybe_a_copy(subject):
        return False
    facts = mechanisms()
    return any(each in facts.known and each not in facts.packaged for each in listing.value.upper().split())


def _mending(name: str, activation: Announced) -> tuple[str, str]:
    """How to have a mechanism again: in a policy, and in main.cf or smtpd.conf."""
    if activation.dies.startswith("there is no mechanism"):
        return 'mechanisms = ["PLAIN", "LOGIN"]', "mech_list: PLAIN LOGIN, and the package with their plugins"
    if activation.dies.startswith(FILTER):
        return f"remove {FILTER} from [postfix.main]", f"{FILTER} = plain, login"
    if name == PAIR[1]:
        return 'tls_security_options = ["noanonymous"]', f"{PAIR[1]} = noanonymous"
    return 'auth = "inside-tls"', f"smtpd_tls_auth_only = yes, with {PAIR[1]} = noanonymous"


def _place(subject: Subject, endpoint: Endpoint, name: str, activation: Announced) -> Origin:
    if activation.dies.startswith("there is no mechanism"):
        for reader in readers(subject):
            listing = reader.conf.settings.get("mech_list")
            if reader.endpoint is endpoint and listing is not None:
                return listing.origin
    if activation.dies.startswith(FILTER):
        return subject.endpoint_place(endpoint, FILTER)
    return subject.endpoint_place(endpoint, name, PAIR[0], "smtpd_sasl_auth_enable")


def _hopeless(subject: Subject, reader: Reader) -> str | None:
    """The security options that leave only what can never succeed where it counts: inside TLS, if there is any."""
    endpoint = reader.endpoint
    left, name = (endpoint.mechanisms_after, PAIR[1]) if endpoint.encrypts else (endpoint.mechanisms_before, PAIR[0])
    if not left or "noplaintext" not in listed(reader.scope.text(name)):
        return None
    if any(needs(each.name) != "secret" for each in left):
        return None
    return name if has_secrets(subject, reader) is False else None
