"""What differences let happen: what a client meets on the live machine, beside what it would meet with them mended.

A row is given its consequences by asking what remains when all is mended but this one, and what goes when this one
alone is mended. So each of two rows that open the same door gets the sentence, and so does each of two that only open
it together. Every sentence is true of the live machine, or says what would have to happen first.
"""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.behaviour.changes import SEVERITIES, Change, Severity, changes
from mailcfg.behaviour.endpoint import DIES_INSIDE
from mailcfg.behaviour.model import Behaviour, Endpoint
from mailcfg.configuration import CertificateFiles, Service
from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Difference, Report
from mailcfg.drift.logged import LOGGED, only_logged
from mailcfg.drift.logged import WORDS as ONLY_LOGGED
from mailcfg.drift.wanted import wanted_files
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.formats.master_cf import Unwritable
from mailcfg.found import subject
from mailcfg.live import Door, Live
from mailcfg.machine import File
from mailcfg.overlay import Overlay, Snapshot

MOST_ROWS = 40
"""With more differences each is given what names it as a reason: to mend them one by one would take too long."""

AUTHORITIES = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
"""Stands for a file of authorities that is to come: nobody reads more of it than that it holds a certificate."""

MASKED = ", once the other differences are mended"

SERVER = frozenset(
    [
        *("smtpd_tls_security_level", "smtpd_use_tls", "smtpd_enforce_tls", "smtpd_tls_wrappermode"),
        *("smtpd_tls_auth_only", "smtpd_tls_protocols", "smtpd_tls_mandatory_protocols", "smtpd_tls_ciphers"),
        *("smtpd_tls_mandatory_ciphers", "smtpd_tls_exclude_ciphers", "smtpd_tls_mandatory_exclude_ciphers"),
        *("smtpd_sasl_auth_enable", "smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"),
        "broken_sasl_auth_clients",
    ]
)
CLIENT = frozenset(
    [
        *("smtp_tls_security_level", "smtp_use_tls", "smtp_enforce_tls", "smtp_tls_enforce_peername"),
        *("smtp_tls_protocols", "smtp_tls_mandatory_protocols", "smtp_tls_wrappermode", "smtp_sasl_auth_enable"),
    ]
)
"""Parameters of which everything that they do for a client, or for a peer, is part of the behaviour that is predicted.
With an equal behaviour they make no difference. Others are read for some of what they do, or not at all.
"""

EDITS = ("changed", "missing", "extra", "duplicate", "shadowed")
"""Kinds of differences that an edit of a file makes."""

TOLD_AGAIN = "the policy ignored this until"
"""How the explanation begins of a difference that is never less than a warning."""


def with_consequences(comparison: Comparison, door: Door, now: float) -> Comparison:
    """The comparison with the behaviour of both sides, what differs between them, and what each row has to do with it.
    Where the live files cannot be read as Postfix reads them, nothing is said that was not said before.
    """
    if not _readable(comparison.live):
        return comparison
    try:
        scene = _Scene(comparison, door, now)
        live, desired = scene.live, scene.desired()
    except Unwritable:
        return comparison  # A value that no line of master.cf can hold: nobody can mend the file.
    consequences = changes(desired, live)
    rows = _attributed(comparison.report, scene, consequences)
    report = comparison.report._replace(differences=rows, consequences=consequences, live=live, desired=desired)
    return comparison._replace(report=report)


def _readable(live: Live | None) -> bool:
    """Whether it can be told what the live machine does. It can with an smtpd.conf that libsasl refuses: smtpd dies."""
    if live is None or live.main is None or live.master is None:
        return False
    return all(each.file in live.sasl for each in live.troubles)


class _Scene:
    """The machine with any of its differences mended. Rows are known by their place in the report."""

    def __init__(self, comparison: Comparison, door: Door, now: float) -> None:
        assert comparison.wanted is not None
        assert comparison.live is not None
        self.rows = comparison.report.differences
        self._wanted = comparison.wanted
        self._read = comparison.live
        self._files = comparison.files
        self._now = now
        # What was compared, should a file have changed since.
        self._door = Snapshot(Overlay(door, comparison.files))
        sides = (comparison.live.configuration, comparison.wanted.configuration)
        settings = [
            *(each for side in sides for each in side.parameters),
            *(each for side in sides for service in side.services for each in service.overrides),
        ]
        self._values = {each.value for each in settings}
        self._known: dict[frozenset[int], Behaviour] = {}
        self.all = frozenset(range(len(self.rows)))
        self.live = self.mended(frozenset())

    def desired(self) -> Behaviour:
        """With all mended, as an apply would."""
        return self._behaviour(self.all, singly=False) if self.rows else self.live

    def mended(self, which: frozenset[int]) -> Behaviour:
        """With these rows mended, and nothing else."""
        if which not in self._known:
            self._known[which] = self._behaviour(which, singly=True)
        return self._known[which]

    def is_edit(self, at: int) -> bool:
        """Whether to mend a row alone changes a file at all. Else nothing can be learned from mending it."""
        return any(self._files.get(path) != data for path, data in self._edits(frozenset({at}), singly=True).items())

    def _edits(self, which: frozenset[int], *, singly: bool) -> dict[str, bytes | File | None]:
        """The files that are others once these rows are mended."""
        rows = [self.rows[at] for at in sorted(which)]
        files: dict[str, bytes | File | None] = {}
        files.update(wanted_files(self._wanted, self._read, rows, self._files, singly=singly))
        directory = self._wanted.configuration.config_directory
        for each in rows:
            if each.kind == "shadowed" and each.file not in (f"{directory}/main.cf", f"{directory}/master.cf"):
                files[each.file] = None
            if each.kind == "certificate" and each.setting.endswith("_tls_CAfile"):
                files[each.file] = AUTHORITIES
        return files

    def _behaviour(self, which: frozenset[int], *, singly: bool) -> Behaviour:
        configuration = self._wanted.configuration
        return subject(
            Overlay(self._door, self._edits(which, singly=singly)),
            platform(configuration.platform),
            Version.parse(configuration.postfix),
            Version.parse(configuration.openssl),
            configuration.config_directory,
            self._now,
            planned=self._planned(which),
            served=True,
        ).behaviour

    def names(self, name: str) -> bool:
        """Whether the value of another setting, that Postfix or somebody gave it, is made of this one's."""
        if not name:
            return False
        return any("$" in value and name in value for value in self._values)

    def asks_dovecot(self) -> bool:
        """Whether some smtpd asks Dovecot, of whose files not all are read."""
        configuration = self._read.configuration
        settings = [*configuration.parameters, *(over for each in configuration.services for over in each.overrides)]
        return any(each.name == "smtpd_sasl_type" and each.value.strip() == "dovecot" for each in settings)

    def sees_clients(self, service: str, seen: set[str]) -> bool:
        """Whether what is predicted of some clients holds for a service, or without one for all that send mail: the
        others have the settings of one of them. To what transport mail is routed may be written elsewhere.
        """
        clients = [each for each in self._read.configuration.services if each.command.rpartition("/")[2] == "smtp"]
        known = [_settings(each) for each in clients if each.id in seen]
        return all(_settings(each) in known for each in clients) and service in ("", *seen)

    def refers(self, name: str) -> bool:
        """Whether another setting is made of this one, or mail comes in by an smtpd that is no listener."""
        configuration = self._read.configuration
        if self.names(name):
            return True
        return any(each.command == "smtpd" and each.type != "inet" for each in configuration.services)

    def _planned(self, which: frozenset[int]) -> tuple[CertificateFiles, ...]:
        """The certificates that count as made: those about which nothing is left to mend."""
        found: list[CertificateFiles] = []
        for each in self._wanted.configuration.certificates:
            about = {at for at, row in enumerate(self.rows) if row.kind == "certificate" and row.setting == each.name}
            if about and (about <= which or (len(which) == 1 and which <= about)):
                found.append(each)
        return tuple(found)


def _settings(service: Service) -> dict[str, str]:
    """The overrides of a service that are of consequence for somebody else than who reads the log."""
    return {each.name: each.value for each in service.overrides if each.name not in LOGGED}


class _Effect(NamedTuple):
    sentence: str
    severity: Severity


def _attributed(report: Report, scene: _Scene, consequences: tuple[Change, ...]) -> tuple[Difference, ...]:
    """The rows with what each has to do with the consequences."""
    found: list[list[_Effect]] = [[] for _ in report.differences]
    same = [False] * len(found)
    if len(found) <= MOST_ROWS:
        for at, row in enumerate(report.differences):
            found[at], same[at] = _alone(at, row, scene, consequences)
    told = {effect.sentence for effects in found for effect in effects}
    left = [each for each in consequences if each.sentence not in told]
    if left or not _together(frozenset(at for at, each in enumerate(same) if each), scene):
        # No row does it alone, nor alone undoes it: any of them may have a part in it.
        same = [False] * len(found)
    for change in left:
        for at, row in enumerate(report.differences):
            if _is_reason(row, change):
                found[at].append(_Effect(change.sentence, change.severity))
    return tuple(
        _row(row, effects, equal=equal, named=scene.names(row.setting))
        for row, effects, equal in zip(report.differences, found, same, strict=True)
    )


def _alone(at: int, row: Difference, scene: _Scene, consequences: tuple[Change, ...]) -> tuple[list[_Effect], bool]:
    """What one row does, and whether it does nothing at all that its setting could do."""
    one = frozenset({at})
    mended, without = scene.mended(scene.all), scene.mended(scene.all - one)
    effects: list[_Effect] = []
    for change in changes(mended, without):
        effects += _true(change, consequences)
    only = scene.mended(one)
    undone = changes(only, scene.live)
    # What a row only colours, and another one does, is told with that.
    effects += [_Effect(each.sentence, each.severity) for each in undone if each.severity != "info" or not effects]
    decided = row.kind in EDITS and not effects and _is_decided(row, scene) and scene.is_edit(at)
    return effects, decided and _plain(mended) == _plain(without) and _plain(only) == _plain(scene.live)


def _together(which: frozenset[int], scene: _Scene) -> bool:
    """Whether rows do as little together as each does by itself."""
    if len(which) < 2:
        return True
    rest = scene.mended(scene.all - which)
    return _plain(scene.mended(which)) == _plain(scene.live) and _plain(rest) == _plain(scene.mended(scene.all))


def _true(change: Change, consequences: tuple[Change, ...]) -> list[_Effect]:
    """What a row would do alone, in the words that are true of the live machine."""
    about = [each for each in consequences if (each.where, each.aspect) == (change.where, change.aspect)]
    fitting = [each for each in about if each.now == change.now] or [
        each for each in about if each.weaker == change.weaker
    ]
    if fitting:
        return [_Effect(each.sentence, each.severity) for each in fitting]
    return [_Effect(f"{change.sentence}{MASKED}", change.severity)]


def _is_reason(row: Difference, change: Change) -> bool:
    named = any(row.setting and reason.setting == row.setting for reason in change.reasons)
    return named and row.service in ("", change.service)


def _is_decided(row: Difference, scene: _Scene) -> bool:
    """Whether all that a row's setting does is part of the behaviour, on this machine."""
    server, client = row.setting in SERVER, row.setting in CLIENT
    if not server and not client:
        return False
    for side in (scene.live, scene.mended(scene.all)):
        if server and any(each.unknown or each.command == "postscreen" or _fails(each) for each in side.endpoints):
            return False
        if client and (side.unknown or any(each.unknown or each.table or each.causes for each in side.outbound)):
            return False
        if client and not scene.sees_clients(row.service, {each.service for each in side.outbound}):
            return False
    if row.setting.endswith("security_options") and scene.asks_dovecot():
        return False
    return not scene.refers(row.setting)


def _fails(endpoint: Endpoint) -> bool:
    """Whether a session ends there before it shows what the settings do: two that end so differ in nothing."""
    return not endpoint.works or endpoint.tls == "broken" or any(DIES_INSIDE in each for each in endpoint.causes)


def _plain(behaviour: Behaviour) -> Behaviour:
    """A behaviour without its reasons: what is left is what is met."""
    return Behaviour(
        tuple(each._replace(because={}) for each in behaviour.endpoints),
        tuple(each._replace(because={}) for each in behaviour.outbound),
    )


def _row(row: Difference, found: list[_Effect], *, equal: bool, named: bool) -> Difference:
    """A row with its effects. `equal`: clients meet the same without it; `named`: another setting is made of it."""
    found = sorted(found, key=lambda each: SEVERITIES.index(each.severity))
    sentences = tuple(dict.fromkeys((*row.effects, *(each.sentence for each in found))))
    grave = min((row.severity, *(each.severity for each in found)), key=SEVERITIES.index)
    row = row._replace(effects=sentences, severity=grave)
    if sentences or named or row.kind not in EDITS:
        return row
    logged = only_logged(row.setting, row.desired, row.live)
    if not (logged or equal or row.severity == "info"):
        return row
    again = any(each.startswith(TOLD_AGAIN) for each in row.explanation)
    return row._replace(
        harmless=True,
        severity=row.severity if again else "info",
        explanation=(*row.explanation, ONLY_LOGGED) if logged else row.explanation,
    )
