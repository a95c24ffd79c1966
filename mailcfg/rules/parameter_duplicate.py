"""A parameter is set more than once in one file.

What it does: looks for names that stand more than once in main.cf, or more than once behind -o of one service. It is an
error where the values differ, and a note where they are the same.

Why it is bad: the last one holds, and nothing but a warning in the log says so. Who changes the first one changes
nothing; tools that append their lines undo what stood above.

Wrong:

    # main.cf
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3

Wrong:

    # master.cf
    submission inet n - y - - smtpd
      -o smtpd_tls_security_level=encrypt
      -o smtpd_tls_security_level=may

Right:

    # main.cf
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    smtpd_tls_security_level = may

References: postconf(5), mailcow/mailcow-dockerized#7352.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcfg.configuration import Origin
from mailcfg.formats.main_cf import Entry
from mailcfg.formats.master_cf import Override
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5)", "mailcow/mailcow-dockerized#7352")


def check(subject: Subject) -> Iterator[Said]:
    """Look through the files. A policy cannot say a thing twice."""
    files = subject.files
    if files is None:
        return
    if files.main is not None and len(files.main.entries) > len(subject.configuration.parameters):
        yield from _repeated(files.main.entries, files.main_path, "")
    if files.master is None:
        return
    running = {each.origin.line: each for each in subject.services}
    for row in files.master.rows:
        service = running.get(row.line)
        if service is not None and len(row.overrides) > len(service.overrides):
            yield from _repeated(row.overrides, files.master_path, row.id)


def _repeated(entries: Sequence[Entry | Override], path: str, service: str) -> Iterator[Said]:
    by_name: dict[str, list[Entry | Override]] = {}
    for each in entries:
        by_name.setdefault(each.name, []).append(each)
    for name, several in by_name.items():
        if len(several) < 2:
            continue
        same = len({" ".join(each.value.split()) for each in several}) == 1
        lines = [str(each.line) for each in several]
        where = f"{', '.join(lines[:-1])} and {lines[-1]}"
        who = f" for {service}" if service else ""
        yield Said(
            f"{name} is set in lines {where}{who}, {'each time to the same' if same else 'to different values'}",
            "a change of any but the last has no effect" if same else f"line {lines[-1]} holds, the others do not",
            Origin(path, several[-1].line, 1, ""),
            name,
            service,
            policy=f"one {name} in [postfix.{'master' if service else 'main'}]",
            main=f"keep one of them; line {lines[-1]} is what holds today",
            severity=Severity.INFO if same else SEVERITY,
        )
