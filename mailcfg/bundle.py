"""The bundle: what `build` ships, and the manifest that says what each file is for.

Nothing here depends on the machine, the directory or the time, so the same policy gives the same bytes everywhere.
"""

from __future__ import annotations

import io
import json
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from mailcfg import render
from mailcfg.configuration import CertificateFiles, Configuration, Origin, SaslFile, Service, Setting, Step
from mailcfg.facts.platforms import platform

SCHEMA = "mailcfg/manifest/1"


class BundleFile(NamedTuple):
    """One file of a bundle. `target` is where it belongs on the host, empty for a tool that is run from the bundle;
    `ownership` is `whole`, `part` (the target also holds what is not the policy's) or `none` (no target).
    """

    path: str
    target: str
    mode: int
    ownership: Literal["whole", "part", "none"]
    data: bytes


class Bundle(NamedTuple):
    """All files of one site's bundle, the manifest first."""

    site: str
    files: tuple[BundleFile, ...]

    def contents(self) -> dict[str, bytes]:
        """Bytes by path."""
        return {file.path: file.data for file in self.files}

    def modes(self) -> dict[str, int]:
        """The mode of each file inside the bundle: only scripts are more than plain files."""
        return {file.path: 0o755 for file in self.files if file.path.endswith(".sh")}


def bundle(site: str, configuration: Configuration) -> Bundle:
    """Render a configuration. `site` is the file stem of the policy."""
    facts = platform(configuration.platform)
    directory = configuration.config_directory
    files: list[BundleFile] = []

    def add(path: str, target: str, mode: int, ownership: Literal["whole", "part", "none"], text: str) -> None:
        files.append(BundleFile(path, target, mode, ownership, text.encode()))

    add("postfix/main.cf", f"{directory}/main.cf", 0o644, "part", render.main(configuration))
    if configuration.services:
        add("postfix/master.cf", f"{directory}/master.cf", 0o644, "part", render.master(configuration))
    for sasl in configuration.sasl:
        name = sasl.path.rpartition("/")[2]
        mode = 0o640 if sasl.partly else 0o644
        add(f"sasl2/{name}", sasl.path, mode, "part" if sasl.partly else "whole", render.sasl_file(sasl))
    for certificate in configuration.certificates:
        texts = render.certificate_files(
            certificate, configuration.openssl, facts.certificates.ca_bundle, facts.commands.reload
        )
        for path, text in texts.items():
            if path.startswith("acme/"):
                add(path, certificate.deploy_hook, 0o755, "whole", text)
            else:
                add(path, "", 0o755 if path.endswith(".sh") else 0o644, "none", text)
    for file in configuration.files:
        add(file.bundle_path, file.target, file.mode, file.ownership, render.extra_file(file))
    manifest = BundleFile("manifest.json", "", 0o644, "none", manifest_text(site, configuration, files).encode())
    return Bundle(site, (manifest, *files))


class ManifestFile(NamedTuple):
    """One file of the bundle but the manifest. `target` is its absolute path on the host, or null; `mode` is the
    target's, in octal; `ownership` says whether the target is the policy's whole, in part, or not at all.
    """

    path: str
    target: str | None
    mode: str
    owner: str
    group: str
    ownership: Literal["whole", "part", "none"]
    sha256: str


class ManifestConfiguration(NamedTuple):
    """What the policy compiled to."""

    parameters: tuple[Setting, ...]
    services: tuple[Service, ...]
    sasl: tuple[SaslFile, ...]
    certificates: tuple[CertificateFiles, ...]


class Manifest(NamedTuple):
    """What a bundle holds and for which host: all that a comparison with the live files needs."""

    schema: str
    site: str
    hostname: str
    platform: str
    postfix: str
    openssl: str
    config_directory: str
    configuration: ManifestConfiguration
    files: tuple[ManifestFile, ...]
    steps: tuple[Step, ...]


_quote = json.encoder.encode_basestring
"""A string as JSON. A whole encoder for each of a manifest's hundred lines would cost more than all the rest."""


def _dump(value: Any) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_quote(key)}: {_dump(each)}" for key, each in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join([_dump(each) for each in value]) + "]"
    return json.dumps(value)


def manifest_text(site: str, configuration: Configuration, files: list[BundleFile]) -> str:
    """The manifest as JSON, one fact a line, so that a pull request shows what changed."""
    group = platform(configuration.platform).postfix.root_group
    head = {
        "schema": SCHEMA,
        "site": site,
        "hostname": configuration.hostname,
        "platform": configuration.platform,
        "postfix": configuration.postfix,
        "openssl": configuration.openssl,
        "config_directory": configuration.config_directory,
    }
    encode = _Encoder()
    compiled = [
        _part("parameters", [encode.setting(setting) for setting in configuration.parameters], "  "),
        _part("services", [encode.service(service) for service in configuration.services], "  "),
        _part("sasl", [encode.sasl(sasl) for sasl in configuration.sasl], "  "),
        _part("certificates", [encode.certificate(each) for each in configuration.certificates], "  "),
    ]
    rows = [
        f'{{"path": {_quote(file.path)}, "target": {_quote(file.target) if file.target else "null"}, '
        f'"mode": "{file.mode:04o}", "owner": "root", "group": {_quote(group)}, "ownership": "{file.ownership}", '
        f'"sha256": "{sha256(file.data).hexdigest()}"}}'
        for file in files
    ]
    steps = [
        f'{{"name": {_quote(name)}, "run": {_quote(run)}, "because": {_quote(because)}}}'
        for name, run, because in configuration.steps
    ]
    parts = [
        *(f" {_dump(name)}: {_dump(value)}" for name, value in head.items()),
        ' "configuration": {\n' + ",\n".join(compiled) + "\n }",
        _part("files", rows, " "),
        _part("steps", steps, " "),
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part(name: str, rows: list[str], indent: str) -> str:
    if not rows:
        return f'{indent}"{name}": []'
    inner = ",\n".join(f"{indent} {row}" for row in rows)
    return f'{indent}"{name}": [\n{inner}\n{indent}]'


class _Encoder:
    """Settings as JSON. They share origins, and each of those is encoded once, known by its identity while it lives."""

    def __init__(self) -> None:
        self._origins: dict[int, str] = {}

    def origin(self, origin: Origin) -> str:
        known = self._origins.get(id(origin))
        if known is None:
            file, line, column, key, via = origin
            place = f'"file": {_quote(file)}, "line": {line}, "column": {column}'
            known = self._origins[id(origin)] = f'{{{place}, "key": {_quote(key)}, "via": {_quote(via)}}}'
        return known

    def setting(self, setting: Setting) -> str:
        return (
            f'{{"name": "{setting.name}", "value": {_quote(setting.value)}, "origin": {self.origin(setting.origin)}}}'
        )

    def _settings(self, settings: tuple[Setting, ...]) -> str:
        return "[" + ", ".join([self.setting(setting) for setting in settings]) + "]"

    def service(self, service: Service) -> str:
        # Columns are plain words; names, commands and arguments come from the policy.
        columns = (
            f'"type": "{service.type}", "private": "{service.private}", "unprivileged": "{service.unprivileged}", '
            f'"chroot": "{service.chroot}", "wakeup": "{service.wakeup}", "process_limit": "{service.process_limit}"'
        )
        return (
            f'{{"name": {_quote(service.name)}, {columns}, "command": {_quote(service.command)}, '
            f'"arguments": {_dump(service.arguments)}, "overrides": {self._settings(service.overrides)}, '
            f'"origin": {self.origin(service.origin)}}}'
        )

    def sasl(self, sasl: SaslFile) -> str:
        partly = "true" if sasl.partly else "false"
        return f'{{"path": {_quote(sasl.path)}, "settings": {self._settings(sasl.settings)}, "partly": {partly}}}'

    def certificate(self, certificate: CertificateFiles) -> str:
        fields = {name: _dump(value) for name, value in certificate._asdict().items()}
        fields |= {"subject": _dump(dict(certificate.subject)), "origin": self.origin(certificate.origin)}
        return "{" + ", ".join([f'"{name}": {value}' for name, value in fields.items()]) + "}"


def tar(made: Bundle) -> bytes:
    """The bundle as one plain tar: members in order, no times, no names of people, so equal bundles are equal bytes."""
    import tarfile

    buffer = io.BytesIO()
    modes = made.modes()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in made.files:
            member = tarfile.TarInfo(f"{made.site}/{file.path}")
            member.size = len(file.data)
            member.mode = modes.get(file.path, 0o644)
            archive.addfile(member, io.BytesIO(file.data))
    return buffer.getvalue()
