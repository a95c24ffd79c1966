"""A filter of mechanisms is set that this Postfix does not have.

What it does: looks for smtpd_sasl_mechanism_filter with AUTH on a Postfix before 3.6, which ignores it. A policy with
it is not compiled.

Why it is bad: the mechanisms that it is to hide are announced all the same. Before 3.6 only mech_list in smtpd.conf, or
Dovecot's auth_mechanisms, decides.

Wrong:

    # postfix 3.5
    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_mechanism_filter = plain, login
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb

Right:

    # postfix 3.7
    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_mechanism_filter = plain, login
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb

Right:

    # postfix 3.5
    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: PLAIN LOGIN

References: postconf(5) smtpd_sasl_mechanism_filter.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.auth import FILTER_SINCE
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_sasl_mechanism_filter",)

FILTER = "smtpd_sasl_mechanism_filter"


def check(subject: Subject) -> Iterator[Said]:
    """Look at each listener with AUTH of an old Postfix."""
    if subject.postfix.series >= FILTER_SINCE:
        return
    told: set[Origin] = set()
    for endpoint, scope in subject.listeners():
        if not scope.is_set(FILTER) or not (endpoint.auth_before_tls or endpoint.auth_after_tls):
            continue
        at = scope.value(FILTER).origin
        if at in told:
            continue
        told.add(at)
        yield Said(
            f"Postfix {subject.postfix} has no {FILTER}",
            f"what it is to hide is announced at {label(endpoint)} all the same",
            at,
            FILTER,
            endpoint.service,
            policy="list sasl.mechanisms",
            main="mech_list in smtpd.conf, or auth_mechanisms of Dovecot",
        )
