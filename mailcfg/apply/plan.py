"""What an apply would do, and what that changes for whoever connects: read and decided before anything is touched."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from mailcfg import target
from mailcfg.apply.change import FileChange
from mailcfg.apply.merge import Merged, group_number, merge
from mailcfg.apply.place import refuse_unsafe
from mailcfg.behaviour.changes import Change, changes
from mailcfg.cli import Failure
from mailcfg.dates import date
from mailcfg.desired import Desired, Whole, moved
from mailcfg.drift.compare import compare
from mailcfg.drift.difference import Difference, Unknown
from mailcfg.drift.pending import with_pending
from mailcfg.facts.platforms import Platform, platform
from mailcfg.facts.platforms.detect import OS_RELEASE, by_os_release
from mailcfg.facts.version import Version
from mailcfg.found import of_configuration, subject
from mailcfg.host import postfix_version
from mailcfg.judge import findings
from mailcfg.live import Live
from mailcfg.machine import File, Machine
from mailcfg.overlay import Overlay
from mailcfg.problem import Finding, Severity
from mailcfg.rule import Subject
from mailcfg.subjects import judged, nowhere, of_policy

ServiceAction = Literal["nothing", "reload", "restart"]
"""What Postfix needs for new files to count."""

RESTARTED = ("inet_interfaces", "inet_protocols")
"""Parameters for which a reload is not enough (measured: it says so in the log, and returns as if all were well)."""

SURROUNDINGS = ("saslauthd-socket-chroot", "saslauthd-socket-permission")
"""Rules about what no file of an apply decides: they are told, and stop nothing."""


class Plan(NamedTuple):
    """All that is known before. `before` and `after` are the machine as it is and as it would be; `errors` are findings
    of that severity which the live files do not have, `told` those which are no reason to stop. `postfix` is what it
    needs to read the new files, `daemons` are commands for others, and why. `pending`: Postfix runs, and has not read
    the files that are there.
    """

    source: str
    whole: Whole
    wanted: Desired
    platform: Platform
    merged: Merged
    before: Subject
    after: Subject
    consequences: tuple[Change, ...]
    errors: tuple[Finding, ...]
    told: tuple[Finding, ...]
    postfix: ServiceAction
    daemons: tuple[tuple[str, str], ...]
    pending: bool

    @property
    def directory(self) -> str:
        """Where main.cf lies on the machine."""
        return self.wanted.configuration.config_directory

    @property
    def main_path(self) -> str:
        """Where main.cf is."""
        return f"{self.directory}/main.cf"

    @property
    def weaker(self) -> tuple[Change, ...]:
        """Ways in which less is protected than before."""
        return tuple(each for each in self.consequences if each.weaker)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.merged.changes or self.merged.certificates or self.merged.narrowed)


def make_plan(source: str, door: Machine, machine: Machine, directory: str | None, now: float, *, prune: bool) -> Plan:
    """Read what is wanted and what is there. `door` is where the policy or bundle is read, `directory` another place
    for main.cf. Raises PolicyError, Unreadable and Failure.
    """
    whole = target.load_whole(source, door)
    wanted = moved(whole.desired, directory) if directory else whole.desired
    facts = platform(wanted.configuration.platform)
    _fitting(wanted, machine)
    compared = with_pending(compare(wanted, machine, now), machine)
    live = compared.live
    assert live is not None
    _usable(wanted, live, compared.report.unknown, machine.root)
    texts = {each.target: whole.files[each.path] for each in whole.places if each.target}
    contents = {each.path: texts[old.path] for each, old in zip(wanted.targets, whole.desired.targets, strict=True)}
    rows = [*compared.report.differences, *_refused(wanted, compared.report.unknown)]
    merged = merge(wanted, contents, live, rows, machine, lambda name: group_number(machine, name), prune=prune)
    postfix, openssl = Version.parse(wanted.configuration.postfix), Version.parse(wanted.configuration.openssl)

    place = wanted.configuration.config_directory
    before = after = subject(machine, facts, postfix, openssl, place, now)
    if merged.changes or merged.certificates or merged.narrowed:
        seen = Overlay(machine, _afterwards(machine, merged))
        after = subject(seen, facts, postfix, openssl, place, now, planned=tuple(merged.certificates))
    found = findings(before, nowhere)
    known = {_key(each) for each in found}
    # Of several that share a cause the first is told: with that one mended, another speaks for what was there already.
    there = Counter(each.rule for each in found if each.severity is Severity.ERROR)
    told = [each for each in findings(after, nowhere) if each.severity is Severity.ERROR]
    known |= _tolerated(source, wanted, facts, now)
    more = {rule for rule, count in Counter(each.rule for each in told).items() if count > there[rule]}
    # What is wrong with a listener that is not the policy's is told, and is no reason to leave the others as they are.
    ours = {"", *(each.id for each in wanted.configuration.services)}
    new = [
        each
        for each in told
        if each.rule in more and each.service in ours and each.rule not in SURROUNDINGS and _key(each) not in known
    ]
    return Plan(
        source,
        whole,
        wanted,
        facts,
        merged,
        before,
        after,
        changes(before.behaviour, after.behaviour),
        tuple(new),
        tuple(each for each in told if each not in new),
        action(merged.changes, before, after, certificates=bool(merged.certificates or merged.narrowed)),
        _daemons(merged.changes, facts),
        any(each.kind == "pending" for each in compared.report.differences),
    )


def _fitting(wanted: Desired, machine: Machine) -> None:
    """Refuse a policy for another system, or for another Postfix than the one that is installed here."""
    configuration = wanted.configuration
    for path in OS_RELEASE:
        release = machine.look(path)
        if release is not None:
            there = by_os_release(release.data.decode(errors="replace"))
            if there and there != configuration.platform:
                raise Failure(
                    f"{wanted.site} is for {configuration.platform}, and this machine is {there}: set platform in the "
                    f"policy, and build it again"
                )
            break
    told = "" if machine.root else postfix_version()
    if told and Version.parse(told).series != Version.parse(configuration.postfix).series:
        raise Failure(
            f"{wanted.site} was compiled for Postfix {configuration.postfix}, and {told} is installed here: say so in "
            f'the policy (postfix = "{told}")'
        )


def _afterwards(machine: Machine, merged: Merged) -> dict[str, File | None]:
    """Every file that is changed, as it will be."""
    files: dict[str, File | None] = {each.path: each.after for each in merged.changes}
    for path, mode in merged.narrowed:
        key = machine.look(path)
        if key is not None:
            files[path] = File(key.data, mode, key.uid, key.gid)
    return files


def _tolerated(source: str, wanted: Desired, facts: Platform, now: float) -> set[tuple[str, str, str]]:
    """What is known of the policy itself and no reason to stop: all that a bundle was built with in spite of, and what
    a policy accepts.
    """
    planned = {_key(each) for each in findings(of_configuration(wanted.configuration, facts, now), nowhere)}
    if not source.endswith(".toml"):
        return planned
    today = date(int(now))
    return planned - {_key(each) for each in judged(of_policy(source, now), today)}


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.setting, finding.service


def _usable(wanted: Desired, live: Live, unknown: tuple[Unknown, ...], root: str) -> None:
    """Refuse a machine that cannot be read. A file that is the policy's whole may be as broken as it will."""
    if live.main is None and not any(each.file.endswith("/main.cf") for each in unknown):
        place = f"{wanted.configuration.config_directory}/main.cf"
        raise Failure(f"{place}: there is no such file: install Postfix first, or say where it lies with --config-dir")
    ours = {each.path for each in wanted.targets if each.ownership == "whole"}
    for each in unknown:
        if each.line is None or each.file not in ours:
            refuse_unsafe(root, each.file)  # A link on the way is what is wrong, whatever it leads to.
            place = f"{each.file}:{each.line}" if each.line else each.file
            raise Failure(f"{place}: {each.reason}: nothing is applied to what cannot be read; mend that first")


def _refused(wanted: Desired, unknown: tuple[Unknown, ...]) -> list[Difference]:
    """Files that their daemon would refuse, and that are the policy's whole, as differences: they are written anew."""
    ours = {each.path for each in wanted.targets}
    return [
        Difference("changed", each.file, each.line, "", "", "the policy's", "refused", "error", None)
        for each in unknown
        if each.file in ours
    ]


def action(changed: list[FileChange], before: Subject, after: Subject, *, certificates: bool) -> ServiceAction:
    """What Postfix needs to read changed files. `certificates`: some of those change too."""
    if not changed and not certificates:
        return "nothing"
    if any(before.main.text(name) != after.main.text(name) for name in RESTARTED):
        return "restart"
    # master holds back a service whose daemon died, and a reload does not change its mind (measured).
    if any(not each.works for each in before.behaviour.endpoints):
        return "restart"
    return "reload"


def _daemons(changed: list[FileChange], facts: Platform) -> tuple[tuple[str, str], ...]:
    """Commands for other daemons whose files change, and why."""
    paths = {each.path for each in changed}
    found: list[tuple[str, str]] = []
    if paths & {facts.saslauthd.settings_file, facts.saslauthd.ldap_settings_file}:
        found.append((facts.commands.restart_saslauthd, "saslauthd reads its settings when it starts"))
    directory = facts.sasl.dovecot_directory
    if directory and any(path.startswith(f"{directory}/") for path in paths):
        found.append((facts.commands.reload_dovecot, "Dovecot reads its settings again"))
    # From the platform alone: no command of a bundle is run.
    units = [path for path in paths if facts.schedule.units and path.startswith(f"{facts.schedule.units}/")]
    if units:
        found.append(("systemctl daemon-reload", "systemd reads its units again"))
    found += [
        (f"systemctl enable --now {path.rpartition('/')[2]}", "the host is compared with its policy from now on")
        for path in units
        if path.endswith("/mailcfg-drift.timer")
    ]
    return tuple(found)


def paths_of(plan: Plan) -> list[str]:
    """Every path that an apply writes to, for what has to be true of the way there."""
    found = [each.path for each in plan.merged.changes]
    for each in plan.merged.certificates:
        found += [each.certificate_file, each.key_file, each.csr_file, each.ca_certificate_file, each.ca_key_file]
    return [*filter(None, found), *(path for path, _ in plan.merged.narrowed)]
