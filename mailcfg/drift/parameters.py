"""main.cf: managed parameters, and TLS and SASL parameters that nobody declared."""

from __future__ import annotations

import re
from typing import Literal

from mailcfg.configuration import Setting
from mailcfg.drift.explain import in_words
from mailcfg.drift.meaning import same, words
from mailcfg.drift.view import View
from mailcfg.facts.version import Version
from mailcfg.formats.macro import MacroError
from mailcfg.secrets import shown


def compare_parameters(view: View) -> None:
    """Hold main.cf against the policy's parameters."""
    live = view.live.main
    if view.is_unknown(view.main_path):
        return
    if live is None:
        view.differs("missing", view.main_path, "", "present", None, "error", explanation=["there is no such file"])
        return
    lines: dict[str, list[int]] = {}
    for entry in live.entries:
        lines.setdefault(entry.name, []).append(entry.line)
    effective = live.effective()
    for setting in view.configuration.parameters:
        found = effective.get(setting.name)
        if found is None:
            _missing(view, setting)
            continue
        agrees = means_the_same(view, setting.name, setting.value, found.value)
        earlier = lines[setting.name][:-1]
        if agrees and not earlier:
            continue
        words = in_words(setting.name, setting.value, found.value, view.postfix) if not agrees else ()
        words = (*wins_over(found.line, earlier), *words)
        view.differs(
            "duplicate" if earlier else "changed",
            view.main_path,
            setting.name,
            shown(setting.name, setting.value),
            shown(setting.name, found.value),
            weight(setting.name) if not agrees else "info",
            line=found.line,
            origin=setting.origin,
            explanation=words,
        )
    declared = {setting.name for setting in view.configuration.parameters}
    packaged = view.platform.postfix.packaged_parameters
    for entry in effective.values():
        if entry.name in declared or not concerns(entry.name) or is_default(view, entry.name, entry.value):
            continue
        if not takes_away(view, entry.name, entry.value):
            continue
        if entry.name in packaged and means_the_same(view, entry.name, packaged[entry.name], entry.value):
            continue
        view.differs(
            "extra", view.main_path, entry.name, None, shown(entry.name, entry.value), "warning", line=entry.line
        )


def _missing(view: View, setting: Setting) -> None:
    # What a default refers to is another one for a service that overrides it.
    scopes = [{each.name: each.value for each in one.overrides} for one in view.live.configuration.services]
    default = all(is_default(view, setting.name, setting.value, each, desired=True) for each in ({}, *scopes))
    view.differs(
        "missing",
        view.main_path,
        setting.name,
        shown(setting.name, setting.value),
        None,
        "info" if default else weight(setting.name),
        origin=setting.origin,
        explanation=["Postfix's own default means the same"] if default else (),
    )


def wins_over(line: int, others: list[int]) -> tuple[str, ...]:
    """Which of several lines of one name holds, in words; nothing where there is only one."""
    return (f"line {line} wins over line {', '.join(map(str, others))}",) if others else ()


_HIDING = re.compile(
    r"(smtpd?|lmtp|postscreen)_(discard_ehlo_keyword(s|_address_maps)|reply_filter)"
    r"|(smtpd|postscreen)_forbidden_commands|smtpd_(noop_commands|command_filter|authorized_xclient_hosts)"
)
"""Parameters that take STARTTLS or AUTH away, answer them without doing anything, or let a client say who it is without
a password (XCLIENT LOGIN), though their names do not say so (postconf(5)).
"""


_ALSO = frozenset({"smtp_sender_dependent_authentication", "lmtp_sender_dependent_authentication", "relay_clientcerts"})
"""Parameters of TLS and SASL whose names have neither word."""


def concerns(name: str) -> bool:
    """Whether a parameter is about TLS or SASL, or can take them away."""
    return "tls" in name or "sasl" in name or name in _ALSO or _HIDING.fullmatch(name) is not None


def takes_away(view: View, name: str, value: str, overrides: dict[str, str] | None = None) -> bool:
    """Whether a parameter of the second sort does so, as far as its live value tells: a table may."""
    if not _HIDING.fullmatch(name):
        return True
    try:
        value = view.values.expand(value, overrides)
    except MacroError:
        return True
    if name.endswith(("_maps", "_filter", "_hosts")):
        return bool(value.strip())
    return any(word in value.lower() for word in ("starttls", "auth", ":", "/"))


def weight(name: str) -> Literal["error", "warning"]:
    """How grave it is when a managed parameter has another value."""
    return "error" if concerns(name) and "loglevel" not in name else "warning"


def means_the_same(view: View, name: str, desired: str, live: str, overrides: dict[str, str] | None = None) -> bool:
    """Whether two values of a parameter are one to Postfix, on this machine. `overrides` are those of the service."""
    if words(desired) == words(live):
        return True
    try:
        one, other = view.wanted_values.expand(desired, overrides), view.values.expand(live, overrides)
    except MacroError:
        return False
    return alike(name, one, other, view.postfix)


def alike(name: str, one: str, other: str, postfix: Version) -> bool:
    """Whether two expanded values of a parameter are one to Postfix."""
    from mailcfg.facts.parameters import catalogue

    parameter = catalogue().get(name)
    return same(name, parameter.kind if parameter else "string", one, other, postfix)


def is_default(
    view: View, name: str, value: str, overrides: dict[str, str] | None = None, *, desired: bool = False
) -> bool:
    """Whether a value, the live machine's or a desired one, is what Postfix takes there without it: what a default
    refers to has its live value. `overrides` are those of the service.
    """
    from mailcfg.facts.parameters import catalogue

    parameter = catalogue().get(name)
    default = parameter.default_in(view.postfix) if parameter else None
    if parameter is None or default is None:
        return False
    if words(default) == words(value) and "$" not in value:
        return True
    try:
        one = view.values.expand(default, overrides)
        other = (view.wanted_values if desired else view.values).expand(value, overrides)
    except MacroError:
        return False
    return same(name, parameter.kind, one, other, view.postfix)
