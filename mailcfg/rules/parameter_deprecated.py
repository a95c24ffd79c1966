"""A parameter is set that is on its way out, or gone.

What it does: looks for names that Postfix calls deprecated in the version in question, that it ignores, or that it does
not have any more. It is a note where the value is the default. Those of DH parameters are a rule of their own. A policy
is told by the compiler.

Why it is bad: they disappear with an update, and then what they did is gone without a word; some have no effect
already.

Wrong:

    # postfix 3.10
    # main.cf
    smtpd_use_tls = yes

Wrong:

    # postfix 3.7
    # main.cf
    smtpd_tls_cipherlist = HIGH

Right:

    # postfix 3.10
    # main.cf
    smtpd_tls_security_level = may

Right:

    # postfix 3.7
    # main.cf
    smtpd_use_tls = yes

References: DEPRECATION_README, postconf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mailcfg.facts.parameters import Parameter, catalogue
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.parameter_too_new import first_series

SEVERITY = Severity.WARNING
REFERENCES = ("DEPRECATION_README", "postconf(5)")

OTHER_RULES = frozenset(["smtpd_tls_dh1024_param_file", "smtpd_tls_dh512_param_file", "smtpd_tls_eecdh_grade"])
"""Parameters that dh-parameter-obsolete speaks of."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at each name that is set."""
    if subject.files is None:
        return
    old = _old(subject.postfix)
    for service, name, value, origin in subject.assigned():
        words = old.get(name)
        if words is None:
            continue
        parameter = catalogue().get(name)
        instead = parameter.replacement if parameter else ""
        idle = parameter is not None and value == (parameter.default_in(subject.postfix) or "")
        yield Said(
            f"{name} is {words}",
            "it has no effect" if words.startswith("gone") else "a later Postfix will ignore it in silence",
            origin,
            name,
            service,
            policy=f"{instead} instead" if instead else "remove it",
            main="remove it: it is set to its default" if idle else _mending(instead),
            severity=Severity.INFO if idle else None,
        )


def _mending(instead: str) -> str:
    if not instead:
        return "remove it"
    return f"{instead} instead" if " " not in instead else instead


@cache
def _old(postfix: Version) -> dict[str, str]:
    """What is to be said of a name in that Postfix, by name."""
    known = catalogue()
    found: dict[str, str] = {}
    for name in known.names():
        parameter = known.get(name)
        words = _words(parameter, postfix) if parameter and name not in OTHER_RULES else ""
        if words:
            found[name] = words
    return found


def _words(parameter: Parameter, postfix: Version) -> str:
    if parameter.removed and Version.parse(parameter.removed).series <= postfix.series:
        return f"gone since Postfix {parameter.removed}"
    if parameter.deprecated and Version.parse(parameter.deprecated).series <= postfix.series:
        return f"deprecated since Postfix {parameter.deprecated}"
    if parameter.deprecated or parameter.removed or parameter.exists_in(postfix):
        return ""
    return "" if first_series(parameter, postfix.series) else f"gone from Postfix {postfix}"
