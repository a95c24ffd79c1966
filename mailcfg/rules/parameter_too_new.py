"""A parameter is set that only a newer Postfix has.

What it does: looks for names in main.cf and behind -o in master.cf that the Postfix in question does not have yet. A
policy with one is not compiled at all.

Why it is bad: Postfix ignores the line in silence. Fragments from a generator or a guide are often for a newer version
than the one that runs.

Wrong:

    # postfix 3.7
    # main.cf
    smtpd_tls_security_level = may
    tls_ffdhe_auto_groups = ffdhe2048

Right:

    # postfix 3.8
    # main.cf
    smtpd_tls_security_level = may
    tls_ffdhe_auto_groups = ffdhe2048

References: postconf(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.facts.parameters import Parameter, catalogue
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.parameter_unknown import unused

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5)",)


def check(subject: Subject) -> Iterator[Said]:
    """Look at what nothing uses in this Postfix, and something in a later one."""
    for service, name, origin in unused(subject):
        parameter = catalogue().get(name)
        first = first_series(parameter, subject.postfix.series) if parameter else None
        if first is None:
            continue
        yield Said(
            f"{name} needs Postfix {first[0]}.{first[1]}; this is {subject.postfix}",
            "Postfix ignores it in silence",
            origin,
            name,
            service,
            policy=f'postfix.version = "{first[0]}.{first[1]}" where the host has it',
            main=f"remove it, or take Postfix {first[0]}.{first[1]}",
        )


def first_series(parameter: Parameter, series: tuple[int, int]) -> tuple[int, int] | None:
    """The first Postfix series after this one that has a parameter; None where it is gone for good."""
    if parameter.since is not None and parameter.since > series:
        return parameter.since
    return min((each for each, value in parameter.default.items() if each > series and value is not None), default=None)
