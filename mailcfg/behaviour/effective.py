"""Effective values: what a daemon has of a parameter, from an override, from main.cf, or by default, and expanded."""

from __future__ import annotations

from functools import cache

from mailcfg.behaviour.model import Reason, Value
from mailcfg.configuration import Configuration, Origin, Service, Setting
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.version import Version
from mailcfg.formats import macro

NOWHERE = Origin("", 0, 0, "")
"""The origin of a default: it stands in no file."""


@cache
def default(name: str, postfix: Version) -> str | None:
    """A parameter's default in that Postfix, as it is written; None where it has no such parameter."""
    parameter = catalogue().get(name)
    return parameter.default_in(postfix) if parameter else None


class Values:
    """The values that a main.cf gives: what it sets, and the defaults of that Postfix where something asks for them."""

    def __init__(self, parameters: dict[str, str], config_directory: str, postfix: Version) -> None:
        self._own = parameters
        self._builtin = {"config_directory": config_directory, "mail_version": str(postfix)}
        self._postfix = postfix

    def get(self, name: str) -> str | None:
        """The value of a parameter as it is written, or its default; None where Postfix would know neither."""
        own = self._own.get(name)
        if own is None:
            own = self._builtin.get(name)
        return default(name, self._postfix) if own is None else own

    def expand(self, value: str, overrides: dict[str, str] | None = None) -> str:
        """A value with `$name` replaced, for a service with these overrides. Raises MacroError where Postfix stops."""
        if "$" not in value:
            return value

        def lookup(name: str) -> str | None:
            return overrides[name] if overrides and name in overrides else self.get(name)

        return macro.expand(value, lookup, self._postfix)


class Effective:
    """The values of a configuration, for each of its services."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.postfix = Version.parse(configuration.postfix)
        self.main = {each.name: each for each in configuration.parameters}
        self.values = Values(
            {each.name: each.value for each in configuration.parameters}, configuration.config_directory, self.postfix
        )
        self._scopes: dict[int, Scope] = {}

    def of(self, service: Service | None = None) -> Scope:
        """What a service has; without one, what daemons have that override nothing."""
        key = id(service) if service and service.overrides else 0
        if key not in self._scopes:
            self._scopes[key] = Scope(self, service.overrides if service else ())
        return self._scopes[key]


class Scope:
    """What one daemon has of each parameter."""

    def __init__(self, effective: Effective, overrides: tuple[Setting, ...]) -> None:
        self.effective = effective
        self.postfix = effective.postfix
        self.overrides = {each.name: each for each in overrides}
        self._texts = {each.name: each.value for each in overrides}
        self._known: dict[str, Value] = {}

    def value(self, name: str) -> Value:
        """The value of a parameter and where it comes from. One that Postfix does not have is empty, by default."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._find(name)
        return known

    def text(self, name: str) -> str:
        """The value expanded; empty where Postfix fails to expand it."""
        return self.value(name).value or ""

    def is_set(self, name: str) -> bool:
        """Whether an override or main.cf sets it."""
        return name in self.overrides or name in self.effective.main

    def reason(self, name: str, words: str = "") -> Reason:
        """The value as a step of an explanation."""
        value = self.value(name)
        return Reason(name, value.written if value.value is None else value.value, value.origin, words)

    def _find(self, name: str) -> Value:
        setting = self.overrides.get(name)
        if setting is not None:
            return Value(name, setting.value, self._expanded(setting.value), "override", setting.origin)
        if self.overrides:
            shared = self.effective.of().value(name)
            if "$" not in shared.written:
                return shared
        setting = self.effective.main.get(name)
        if setting is not None:
            return Value(name, setting.value, self._expanded(setting.value), "main", setting.origin)
        written = self.effective.values.get(name) or ""
        return Value(name, written, self._expanded(written), "default", NOWHERE)

    def _expanded(self, written: str) -> str | None:
        if "$" not in written:
            return written
        try:
            return self.effective.values.expand(written, self._texts)
        except macro.MacroError:
            return None
