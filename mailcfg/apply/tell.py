"""A plan for people: what clients will meet, what is written where, and what is done for it to count."""

from __future__ import annotations

from difflib import unified_diff
from typing import Literal

from mailcfg.apply.change import FileChange
from mailcfg.apply.plan import Plan
from mailcfg.apply.run import Outcome
from mailcfg.machine import File
from mailcfg.reports.applied import SCHEMA, Document, FileDocument, LeftDocument, MetDocument
from mailcfg.reports.text import clean
from mailcfg.secrets import masked

COLORS = {"+": "32", "-": "31", "@": "36"}

SERVICE = {
    "nothing": "nothing is reloaded",
    "reload": "Postfix is reloaded",
    "restart": "Postfix is restarted: a reload is not enough",
}


def render(plan: Plan, color: bool, dry: bool) -> str:
    """The plan as text; a `dry` one shows the diff of each file, one that is carried out its name alone."""
    configuration = plan.wanted.configuration
    head = f"{plan.wanted.site}: {configuration.platform}, Postfix {configuration.postfix}, {plan.directory}"
    lines = [head, ""]
    if plan.consequences:
        lines.append("what clients meet:")
        for each in plan.consequences:
            mark = " (weaker)" if each.weaker else ""
            lines += [f"  {each.where}: {each.now}{mark}", f"      before: {each.was}"]
    else:
        lines.append("what clients meet stays as it is")
    lines.append("")
    for certificate in plan.merged.certificates:
        lines.append(f"certificate {certificate.name} is made: {certificate.certificate_file}, {certificate.key_file}")
    for path, mode in plan.merged.narrowed:
        lines.append(f"{path} gets the mode {mode:04o}")
    for change in plan.merged.changes:
        lines += _file(change, color, dry)
    lines += plan.merged.kept
    lines += plan.merged.dropped
    if plan.merged.dropped:
        lines.append("  (the policy has these services whole: what is to stay goes under [postfix.master] there)")
    lines += [f"note: [{each.rule}] {each.message}" for each in plan.told]
    if dry:
        lines += ["", f"then {SERVICE[plan.postfix]}"]
        lines += [f"then: {command}    # {why}" for command, why in plan.daemons]
    return "\n".join(line if line.startswith("\x1b") else clean(line) for line in lines) + "\n"


def document(outcome: Outcome, said: list[str]) -> Document:
    """What became of it, for programs."""
    plan = outcome.plan
    return Document(
        SCHEMA,
        outcome.site,
        outcome.source,
        outcome.status,
        outcome.generation,
        outcome.verified,
        outcome.postfix,
        tuple(_change(each) for each in outcome.changed),
        tuple(each.name for each in plan.merged.certificates) if plan else (),
        tuple(MetDocument(*each[:7]) for each in plan.consequences) if plan else (),
        tuple(outcome.reasons),
        tuple(
            LeftDocument(each.kind, each.file, each.line, each.setting, each.service, each.live)
            for each in (plan.merged.left if plan else ())
        ),
        tuple(said),
    )


def _change(change: FileChange) -> FileDocument:
    before, after = change.before, change.after
    if after is None:
        return FileDocument(change.path, "removed", None)
    kind: Literal["written", "changed", "status"] = "changed"
    if before is None:
        kind = "written"
    elif before.data == after.data:
        kind = "status"
    return FileDocument(change.path, kind, f"{after.mode:04o}")


def _file(change: FileChange, color: bool, dry: bool) -> list[str]:
    before, after = change.before, change.after
    lines: list[str] = []
    if after is None:
        lines.append(f"{change.path} is removed")
    elif before is None:
        lines.append(f"{change.path} is written: mode {after.mode:04o}")
    elif before.data != after.data:
        lines.append(f"{change.path} is changed")
    if before and after and before.mode != after.mode:
        lines.append(f"{change.path} gets the mode {after.mode:04o} (now {before.mode:04o})")
    if before and after and (before.uid, before.gid) != (after.uid, after.gid):
        lines.append(f"{change.path} is given to {after.uid}:{after.gid} (now {before.uid}:{before.gid})")
    return [*lines, *(_diff(change.path, before, after, color) if dry else ())]


def _diff(path: str, before: File | None, after: File | None, color: bool) -> list[str]:
    one, other = (masked(each.data.decode(errors="replace").split("\n")) if each else [] for each in (before, after))
    names = (f"{path} (live)" if before else "/dev/null", f"{path} (new)" if after else "/dev/null")
    found = [clean(line.rstrip("\n")) for line in unified_diff(one, other, *names, n=2, lineterm="")]
    return [f"\x1b[{COLORS[line[:1]]}m{line}\x1b[0m" if color and line[:1] in COLORS else line for line in found]
