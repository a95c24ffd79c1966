"""What a rule is: a module of `mailcfg.rules` that looks at a subject and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from mailcfg.behaviour.effective import Effective, Scope
from mailcfg.behaviour.listening import running
from mailcfg.behaviour.model import Behaviour, Endpoint, Reason, label
from mailcfg.behaviour.surroundings import Surroundings
from mailcfg.configuration import Configuration, Origin, Service
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.problem import Severity


class Files(NamedTuple):
    """The files of a live configuration as they were parsed: what a policy has not. `sasl` by path."""

    main_path: str
    master_path: str
    main: main_cf.MainCf | None
    master: master_cf.MasterCf | None
    sasl: dict[str, smtpd_conf.SmtpdConf]


class MtaSts(NamedTuple):
    """A declared MTA-STS policy (RFC 8461). `max_age` is in seconds."""

    version: str
    mode: str
    mx: tuple[str, ...]
    max_age: int


class Dns(NamedTuple):
    """What a policy declares to be published in the DNS. `tlsa` are records of port 25 as `usage selector type digest`;
    `tlsrpt` is empty where there is none; `origins` by `tlsa`, `tlsrpt` and `mta_sts`.
    """

    tlsa: tuple[str, ...]
    tlsrpt: str
    mta_sts: MtaSts | None
    origins: dict[str, Origin]


class Said(NamedTuple):
    """What a rule says. `at` is where; `effect` what it lets happen, in one sentence; `policy` is the mending as a
    change of the policy, `main` as a line of main.cf (or of whichever file it is about). `severity` where it is not
    the rule's own.
    """

    message: str
    effect: str
    at: Origin
    setting: str = ""
    service: str = ""
    policy: str = ""
    main: str = ""
    severity: Severity | None = None


class Rule(Protocol):
    """A module of `mailcfg.rules`. Its name is the rule's id with underscores, its docstring the documentation. One
    with `LAST = True` looks when all others have spoken.
    """

    SEVERITY: Severity
    REFERENCES: tuple[str, ...]

    def check(self, subject: Subject) -> Iterator[Said]:
        """Look at a subject."""


class Subject:
    """A configuration with everything that is known of it: what every rule is handed.

    `files` is None for a policy. `now` is in seconds since 1970. `whole`: master.cf is there in full; a policy's
    configuration, and a main.cf that came alone, are fragments. `dns` is None where a policy declares nothing. `told`:
    what the rules have said of it so far, by their ids.
    """

    def __init__(
        self,
        configuration: Configuration,
        platform: Platform,
        openssl: Version,
        effective: Effective,
        around: Surroundings,
        behaviour: Behaviour,
        now: float,
        files: Files | None = None,
        *,
        whole: bool = True,
        dns: Dns | None = None,
    ) -> None:
        self.configuration = configuration
        self.platform = platform
        self.postfix = effective.postfix
        self.openssl = openssl
        self.effective = effective
        self.around = around
        self.behaviour = behaviour
        self.now = now
        self.files = files
        self.whole = whole
        self.dns = dns
        self.told: list[tuple[str, Said, Severity]] = []
        self._services: list[Service] | None = None

    @property
    def is_policy(self) -> bool:
        """Whether it was compiled from a policy."""
        return self.files is None

    @property
    def main(self) -> Scope:
        """What main.cf gives to every service that overrides nothing."""
        return self.effective.of()

    @property
    def services(self) -> list[Service]:
        """The services that master runs."""
        if self._services is None:
            self._services = running(self.configuration.services, self.main.text("master_service_disable"))
        return self._services

    def service(self, id: str) -> Service | None:
        """A service that runs, by name and type."""
        return next((each for each in self.services if each.id == id), None)

    def smtpd_of(self, endpoint: Endpoint) -> Service | None:
        """The service whose smtpd answers at an endpoint: itself, or the one behind a postscreen."""
        if endpoint.command != "postscreen":
            return self.service(endpoint.service)
        name = self.scope(self.service(endpoint.service)).text("smtpd_service_name") or "smtpd"
        return self.service(f"{name}/pass")

    def scope(self, service: Service | None = None) -> Scope:
        """The effective values of a service; of main.cf alone without one."""
        return self.effective.of(service)

    def scope_of(self, endpoint: Endpoint) -> Scope:
        """The effective values of the smtpd that answers at an endpoint."""
        return self.effective.of(self.smtpd_of(endpoint))

    def listeners(self) -> Iterator[tuple[Endpoint, Scope]]:
        """Every endpoint with its effective values."""
        for endpoint in self.behaviour.endpoints:
            yield endpoint, self.scope_of(endpoint)

    def scopes(self) -> Iterator[tuple[str, Scope]]:
        """The values of main.cf (with an empty name), and of each service that overrides something."""
        yield "", self.main
        for service in self.services:
            if service.overrides:
                yield service.id, self.effective.of(service)

    def assigned(self) -> Iterator[tuple[str, str, str, Origin]]:
        """Every parameter that is set: the service (empty for main.cf), name, value as it is written, and where."""
        for each in self.configuration.parameters:
            yield "", each.name, each.value, each.origin
        for service in self.services:
            for each in service.overrides:
                yield service.id, each.name, each.value, each.origin

    def guideline(self) -> str:
        """The id of the guideline that a policy pins; empty where there is none."""
        for name in ("smtpd_tls_mandatory_protocols", "smtp_tls_mandatory_protocols", "tls_high_cipherlist"):
            setting = self.effective.main.get(name)
            if setting is not None and setting.origin.via:
                return setting.origin.via.partition(",")[0]
        return ""

    def place(self, *reasons: Reason, otherwise: Origin | None = None) -> Origin:
        """Where to point: at the first of some reasons that stands in a file, else at `otherwise`, else at main.cf (or
        the policy) as a whole.
        """
        for reason in reasons:
            if reason.origin.file:
                return reason.origin
        if otherwise is not None and otherwise.file:
            return otherwise
        return self.nowhere()

    def nowhere(self) -> Origin:
        """The origin of what stands in no line: the policy, or main.cf, as a whole."""
        if self.files is not None:
            return Origin(self.files.main_path, 0, 0, "")
        for setting in self.configuration.parameters:
            return Origin(setting.origin.file, 0, 0, "")
        return Origin("", 0, 0, "")

    def endpoint_place(self, endpoint: Endpoint, *names: str) -> Origin:
        """Where to point for an endpoint: at the first of some parameters that is set for it, else at its service."""
        scope = self.scope_of(endpoint)
        for name in names:
            value = scope.value(name)
            if value.origin.file:
                return value.origin
        service = self.service(endpoint.service)
        return service.origin if service is not None and service.origin.file else self.nowhere()


__all__ = ["Dns", "Files", "MtaSts", "Rule", "Said", "Subject", "label"]
