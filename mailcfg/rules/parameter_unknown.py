"""A parameter is set that Postfix does not know.

What it does: looks for names in main.cf and behind -o in master.cf that this Postfix does not have and that nothing
refers to: no other value, no restriction class, no transport, no table. It is what `postconf` calls an unused
parameter, without those that another version of Postfix has.

Why it is bad: Postfix ignores such a line in silence, `postfix check` included. What it was to protect is as it would
be without it.

Wrong:

    # main.cf
    smtpd_tls_security_levl = may

Wrong:

    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_tls_security_level=encrypt
      -o smtpd_tls_auth_onyl=yes

Right:

    # main.cf
    smtpd_tls_security_level = may
    mua_client_restrictions = permit_sasl_authenticated, reject
    policyd-spf_time_limit = 3600
    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_client_restrictions=$mua_client_restrictions
    policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf

References: postconf(1), postconf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from mailcfg.configuration import Origin
from mailcfg.facts.parameters import catalogue
from mailcfg.formats import postconf
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(1)", "postconf(5)")

_UNUSED: WeakKeyDictionary[Subject, tuple[tuple[str, str, Origin], ...]] = WeakKeyDictionary()

CLOSE = 2
"""How many letters may differ in a mere slip: where master.cf is not there it may refer to any other name, and another
transport's parameter is no advice.
"""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what nothing uses. The compiler refuses such a name in a policy."""
    known = catalogue()
    for service, name, origin in unused(subject):
        if name in known:
            continue
        near = known.nearest(name)
        close = near is not None and _distance(name, near) <= CLOSE
        severity = SEVERITY
        if not subject.whole:
            if not close:
                continue
            severity = Severity.WARNING
        advice = f"did you mean {near}?" if near else "check the spelling in postconf(5)"
        if not close:
            advice = _of_transport(subject, name) or advice
        yield Said(
            f"Postfix has no parameter {name}, and nothing refers to it",
            "Postfix ignores it in silence",
            origin,
            name,
            service,
            policy="remove it from [postfix.main] or [postfix.master]",
            main=advice,
            severity=severity,
        )


def _of_transport(subject: Subject, name: str) -> str:
    """What to do about the parameter of a transport that master.cf does not have; empty for any other name."""
    suffixes = catalogue().service_suffixes
    suffix = max((each for each in suffixes if name.endswith(each)), key=len, default="")
    transport = name.removesuffix(suffix)
    if not suffix or not transport:
        return ""
    daemons = suffixes[suffix]["daemons"]
    names = dict.fromkeys(each.name for each in subject.services if each.command in daemons)
    near = [each for each in names if _distance(each, transport) <= min(CLOSE, len(transport) // 2)]
    if near:
        best = min(near, key=lambda each: _distance(each, transport))
        return f"did you mean {best}{suffix}? master.cf has no service {transport}"
    return f"remove it: master.cf has no service {transport} that would read it; or add that service"


def unused(subject: Subject) -> tuple[tuple[str, str, Origin], ...]:
    """What `postconf` warns of as unused: the service (empty for main.cf), name and place. None of a policy."""
    if subject.files is None or subject.files.main is None:
        return ()
    found = _UNUSED.get(subject)
    if found is None:
        found = _UNUSED[subject] = tuple(_unused(subject))
    return found


def _unused(subject: Subject) -> Iterator[tuple[str, str, Origin]]:
    files = subject.files
    if files is None or files.main is None:
        return
    master = files.master.render() if files.master else b""
    directory = subject.configuration.config_directory
    for each in postconf.settings(files.main.render(), master, subject.postfix, directory=directory).warnings:
        if ": unused parameter: " not in each.text:
            continue
        if each.file == "main.cf":
            yield "", each.name, Origin(files.main_path, each.line, 1, "")
            continue
        service = next(
            (one.id for one in subject.services for own in one.overrides if own.origin.line == each.line), None
        )
        # A row that master does not run harms nobody.
        if service is not None:
            yield service, each.name, Origin(files.master_path, each.line, 1, "")


def _distance(one: str, other: str) -> int:
    """How many letters must be put in, left out or replaced to turn one word into another (Levenshtein)."""
    last = list(range(len(other) + 1))
    for row, mine in enumerate(one, 1):
        line = [row]
        for column, theirs in enumerate(other, 1):
            line.append(min(last[column] + 1, line[-1] + 1, last[column - 1] + (mine != theirs)))
        last = line
    return last[-1]
