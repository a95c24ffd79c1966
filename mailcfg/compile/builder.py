"""What a compilation gathers: settings with their origins, services, files, and findings with their positions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailcfg.configuration import CertificateFiles, ExtraFile, Origin, SaslFile, Service, Setting, Step
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version
from mailcfg.policy.document import Document
from mailcfg.policy.load import dotted
from mailcfg.policy.site import Site
from mailcfg.problem import Finding, Severity
from mailcfg.source import Path

if TYPE_CHECKING:
    from mailcfg.compile.submission import Endpoint


OF_ABSENCE = {"auth-without-backend", "missing-key", "certificate-missing", "certificate-unknown", "empty-policy"}
"""Rules that fire because something is not there."""


class Builder:
    """Holds the policy, the facts that apply to it, and what has been compiled so far."""

    def __init__(
        self, document: Document, site: Site, platform: Platform, postfix: Version, left_out: Iterable[Path] = ()
    ) -> None:
        self.document = document
        self.site = site
        self.platform = platform
        self.postfix = postfix
        self.openssl = Version.parse(platform.openssl.version)
        self.catalogue = catalogue()
        self._known = self.catalogue.known_to(postfix)
        self.parameters: dict[str, Setting] = {}
        self.services: dict[str, Service] = {}
        self.endpoints: list[Endpoint] = []
        self.sasl: list[SaslFile] = []
        self.certificates: dict[str, CertificateFiles] = {}
        self.files: list[ExtraFile] = []
        self.steps: list[Step] = []
        self.packages: list[str] = list(platform.packages.postfix)
        self.findings: list[Finding] = []
        self._left_out = list(left_out)
        self._origins: dict[tuple[Path, str], Origin] = {}

    def origin(self, key: Path, via: str = "") -> Origin:
        """The origin of what a policy key decides: by itself, through knowledge (`via`) or by its default."""
        known = self._origins.get((key, via))
        if known is None:
            place, is_set = self.document.origin(key)
            known = Origin(*place, dotted(key), via or ("" if is_set else "default"))
            self._origins[key, via] = known
        return known

    def set(self, name: str, value: str, key: Path, via: str = "", *, optional: bool = False) -> None:
        """Set a parameter. One that the target does not know is left out where it is `optional`, else an error."""
        if self._known[name]:
            self.parameters[name] = Setting(name, value, self.origin(key, via))
        elif not optional:
            self.too_new(name, key)

    @property
    def queue_directory(self) -> str:
        """Where smtpd stands, and what it sees of the host in a chroot."""
        own = self.site.postfix.main.get("queue_directory")
        return own if isinstance(own, str) else self.platform.postfix.queue_directory

    def knows(self, name: str) -> bool:
        """Whether the target's Postfix has a parameter."""
        return self._known[name]

    def too_new(self, name: str, key: Path) -> None:
        """Report that the target lacks a parameter."""
        parameter = self.catalogue.get(name)
        since = (
            f"needs Postfix {parameter.since[0]}.{parameter.since[1]}" if parameter and parameter.since else "is gone"
        )
        self.report(
            "parameter-too-new" if "needs" in since else "parameter-removed",
            f"{name} {since}; the target is {self.postfix}",
            key,
            help=f"remove {dotted(key)}, or set postfix to the version that the host really has",
        )

    def report(
        self,
        rule: str,
        message: str,
        key: Path,
        *,
        severity: Severity = Severity.ERROR,
        effect: str = "",
        help: str = "",
        at_key: bool = False,
    ) -> None:
        """Add a finding at a policy key; not where the policy's own text there was already refused."""
        if any(key[: len(path)] == path for path in self._left_out):
            return
        if rule in OF_ABSENCE and any(len(path) == 1 for path in self._left_out):
            return  # What seems to be missing may stand in a table that was refused whole.
        location = self.document.locate(key, key=at_key)
        self.findings.append(Finding(rule, severity, message, location, effect, help, dotted(key)))

    def need(self, *packages: str) -> None:
        """Ask for packages on the host."""
        self.packages.extend(package for package in packages if package not in self.packages)


def yes_no(value: bool) -> str:
    """A boolean as Postfix spells it."""
    return "yes" if value else "no"
