"""The one form: what a policy compiles to and what a live machine holds."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Origin(NamedTuple):
    """Why a setting has its value: the policy key (or live file) with line and column from 1, and what came between.

    `via` names the knowledge that turned the key into the value (`mozilla-6.0-intermediate`, `debian-12`), or is
    `default` where the policy leaves the key out, or nothing.
    """

    file: str
    line: int
    column: int
    key: str
    via: str = ""


class Setting(NamedTuple):
    """A name, its value and why."""

    name: str
    value: str
    origin: Origin


class Service(NamedTuple):
    """One service of master.cf. A column is "-" where Postfix's default holds, as in master(5)."""

    name: str
    type: str
    private: str
    unprivileged: str
    chroot: str
    wakeup: str
    process_limit: str
    command: str
    arguments: tuple[str, ...]
    overrides: tuple[Setting, ...]
    origin: Origin

    @property
    def id(self) -> str:
        """Name and type: what makes a service one."""
        return f"{self.name}/{self.type}"


class SaslFile(NamedTuple):
    """One smtpd.conf of Cyrus SASL. `partly` when the host adds settings that a policy must not hold."""

    path: str
    settings: tuple[Setting, ...]
    partly: bool = False


class CertificateFiles(NamedTuple):
    """One certificate with its files on the host, and what is to be made for it."""

    name: str
    issuer: str
    key_type: str
    names: tuple[str, ...]
    subject: tuple[tuple[str, str], ...]
    lifetime_days: int
    certificate_file: str
    key_file: str
    csr_file: str
    ca_certificate_file: str
    ca_key_file: str
    deploy_hook: str
    client: bool
    origin: Origin


class ExtraFile(NamedTuple):
    """Another file that the policy needs on the host, such as saslauthd's settings. `ownership`: `whole` or `part`.
    One with a `template` gets its text from there, with these values, and has no `content`.
    """

    bundle_path: str
    target: str
    mode: int
    ownership: Literal["whole", "part"]
    content: str
    origin: Origin
    template: str = ""
    values: tuple[tuple[str, str], ...] = ()


class Step(NamedTuple):
    """A command that puts the configuration to work, for root, and why it is run."""

    name: str
    run: str
    because: str


class Ignore(NamedTuple):
    """Drift that is tolerated through a day (ISO 8601, UTC), with the reason. `setting`, `service`, `file` and `kind`
    say of which differences; one that is empty says nothing.
    """

    because: str
    until: str
    setting: str
    service: str
    file: str
    kind: Literal[
        "", "changed", "missing", "extra", "duplicate", "shadowed", "mode", "owner", "certificate", "pending"
    ]  # fmt: skip
    origin: Origin


class Configuration(NamedTuple):
    """The security of one mail host. `postfix` and `openssl` are versions."""

    hostname: str
    platform: str
    postfix: str
    openssl: str
    config_directory: str
    parameters: tuple[Setting, ...]
    services: tuple[Service, ...]
    sasl: tuple[SaslFile, ...]
    certificates: tuple[CertificateFiles, ...]
    files: tuple[ExtraFile, ...]
    steps: tuple[Step, ...]
    ignores: tuple[Ignore, ...] = ()
