"""An option in master.cf is not what it was meant to be.

What it does: looks for options of services that their daemon dies of, such as `-o name = value` with blanks, and for
values that end at a blank because they are not in braces, so that what follows is no part of them.

Why it is bad: `postfix check` and `postfix start` say nothing. The daemon dies whenever it is started, so that a port
is open and nobody answers, or a list of restrictions lacks its end.

Wrong:

    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_tls_security_level = encrypt

Wrong:

    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_tls_security_level=encrypt
      -o smtpd_recipient_restrictions=permit_sasl_authenticated, reject

Wrong:

    # master.cf
    smtp inet n - y - - smtpd # the MX

Right:

    # master.cf
    submission inet n - y - - smtpd
      -o { smtpd_tls_security_level = encrypt }
      -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
      -o { smtpd_recipient_restrictions = permit_sasl_authenticated, reject }
    policy unix - n n - 0 spawn
      user=nobody argv=/usr/bin/policyd a, b

References: master(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.formats.master_cf import Row
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("master(5)",)

FOR_OTHERS = ("pipe", "spawn")
"""Daemons whose further arguments are those of a command."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the rows of master.cf. What a policy compiles to is well-formed."""
    files = subject.files
    if files is None or files.master is None:
        return
    running = {each.origin.line for each in subject.services}
    for row in files.master.rows:
        if not (row.arguments and row.line in running):
            continue
        fatal = next((each for each in row.problems if each.fatal), None)
        cut = _cut(row)
        if fatal is not None:
            # What is left over is the end of the value before it.
            rest = cut is not None and fatal.message.startswith("unexpected")
            name = cut[0] if cut and rest else ""
            words = f"the value of {name} ends at a blank" if name else fatal.message
            yield Said(
                f"{row.id} dies at its start: {words}",
                _effect(row),
                Origin(files.master_path, cut[2] if cut and rest else fatal.line, 1, ""),
                name,
                row.id,
                policy="[postfix.master] with options, which are written as Postfix wants them",
                main=f"-o {{ {name or 'name'} = value with blanks }}, or the value without blanks",
            )
        elif cut is not None:
            name, left, line = cut
            yield Said(
                f"the value of {name} ends at a blank: {left} is no part of it",
                f"{row.id} has a shorter value than the line says",
                Origin(files.master_path, line, 1, ""),
                name,
                row.id,
                policy="[postfix.master] with options, which are written as Postfix wants them",
                main=f"-o {{ {name} = value with blanks }}, or the value without blanks",
            )


def _effect(row: Row) -> str:
    return "its port is open, and nobody answers there" if row.type == "inet" else "nothing that needs it is done"


def _cut(row: Row) -> tuple[str, str, int] | None:
    """A value that was cut off, with the first word behind it and its line; None where there is none."""
    if not row.overrides or row.command in FOR_OTHERS:
        return None
    last = row.overrides[-1]
    words = iter(range(len(row.arguments) - 1))
    for index in words:
        text = row.arguments[index].text.removeprefix("-o")
        following = row.arguments[index + 1].text
        if (
            row.arguments[index].line == last.line
            and text.partition("=")[0].strip() == last.name
            and (text.endswith(",") or not last.value)
            and not following.startswith("-")
        ):
            return last.name, following, last.line
    return None
