"""smtpd.conf of Cyrus SASL: its settings, and whether another file of that name is read instead."""

from __future__ import annotations

from mailcfg.configuration import SaslFile
from mailcfg.drift.explain import in_words
from mailcfg.drift.meaning import same_sasl
from mailcfg.drift.parameters import wins_over
from mailcfg.drift.view import View
from mailcfg.formats import smtpd_conf
from mailcfg.machine import Unreadable
from mailcfg.secrets import is_secret, shown


def compare_sasl(view: View) -> None:
    """Hold every smtpd.conf of the policy against the one that smtpd reads."""
    for wanted in view.configuration.sasl:
        winner = _winner(view, wanted)
        if winner is not None and winner != wanted.path:
            view.differs(
                "shadowed", winner, "", wanted.path, winner, "error", line=1,
                origin=wanted.settings[0].origin if wanted.settings else None,
                explanation=[f"libsasl finds {winner} first, and does not read {wanted.path}"],
            )  # fmt: skip
        _compare(view, wanted)


def _winner(view: View, wanted: SaslFile) -> str | None:
    """The file of that name that libsasl finds first, for any of the services."""
    name = wanted.path.rpartition("/")[2].removesuffix(".conf")
    winners = [choice.winner for choice in view.live.choices if choice.name == name]
    others = [winner for winner in winners if winner not in (None, wanted.path)]
    return others[0] if others else None


def _compare(view: View, wanted: SaslFile) -> None:
    live = view.live.sasl.get(wanted.path)
    if live is None:
        try:
            found = view.look(wanted.path)
        except Unreadable:
            return
        if found is None:
            view.differs(
                "missing", wanted.path, "", "present", None, "error",
                origin=wanted.settings[0].origin if wanted.settings else None,
                explanation=["there is no such file: libsasl would take its defaults, and answer every login with 454"],
            )  # fmt: skip
            return
        live = smtpd_conf.parse(found.data)
        for problem in live.problems:
            if problem.fatal:
                view.unknown(wanted.path, problem.message, problem.line)
    if view.is_unknown(wanted.path):
        return
    effective = live.effective()
    lines: dict[str, list[int]] = {}
    for entry in live.entries:
        lines.setdefault(entry.name, []).append(entry.line)
    for setting in wanted.settings:
        there = effective.get(setting.name)
        if there is None:
            view.differs("missing", wanted.path, setting.name, setting.value, None, "error", origin=setting.origin)
            continue
        agrees = same_sasl(setting.name, setting.value, there.value)
        void = [line for line in lines[setting.name] if line != there.line]
        if agrees and not void:
            continue
        words = in_words(setting.name, setting.value, there.value) if not agrees else ()
        words = (*wins_over(there.line, void), *words)
        view.differs(
            "duplicate" if void else "changed", wanted.path, setting.name, shown(setting.name, setting.value),
            shown(setting.name, there.value), "info" if agrees else "error",
            line=there.line, origin=setting.origin, explanation=words,
        )  # fmt: skip
    declared = {setting.name for setting in wanted.settings}
    for entry in effective.values():
        # A file that the policy owns in part is there to be given its password by hand.
        if entry.name in declared or (wanted.partly and is_secret(entry.name, entry.value)):
            continue
        view.differs("extra", wanted.path, entry.name, None, shown(entry.name, entry.value), "warning", line=entry.line)
