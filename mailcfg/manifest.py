"""The manifest of a bundle: what it holds and for which host, written and read back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from types import UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from mailcfg.configuration import CertificateFiles, Configuration, Ignore, Origin, SaslFile, Service, Setting, Step
from mailcfg.facts.version import Version
from mailcfg.layout import Place

SCHEMA = "mailcfg/manifest/1"

_MODE = re.compile(r"[0-7]{3,4}")


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
    """What the policy compiled to. `ignore` is there only where some drift is tolerated."""

    parameters: tuple[Setting, ...]
    services: tuple[Service, ...]
    sasl: tuple[SaslFile, ...]
    certificates: tuple[CertificateFiles, ...]
    ignore: tuple[Ignore, ...] = ()


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


OPTIONAL: dict[Any, set[str]] = {ManifestConfiguration: {"ignore"}}
"""Keys that are left out where they would hold nothing."""

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


def manifest_text(site: str, configuration: Configuration, files: Iterable[tuple[Place, bytes]]) -> str:
    """The manifest as JSON, one fact a line, so that a pull request shows what changed."""
    from hashlib import sha256

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
    if configuration.ignores:
        compiled.append(_part("ignore", [encode.ignore(each) for each in configuration.ignores], "  "))
    rows = [
        f'{{"path": {_quote(place.path)}, "target": {_quote(place.target) if place.target else "null"}, '
        f'"mode": "{place.mode:04o}", "owner": "{place.owner}", "group": {_quote(place.group)}, '
        f'"ownership": "{place.ownership}", "sha256": "{sha256(data).hexdigest()}"}}'
        for place, data in files
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

    def ignore(self, ignore: Ignore) -> str:
        fields = {name: _dump(value) for name, value in ignore._asdict().items()}
        fields |= {"origin": self.origin(ignore.origin)}
        return "{" + ", ".join([f'"{name}": {value}' for name, value in fields.items()]) + "}"


class ManifestError(ValueError):
    """A text that is no manifest of ours. The message says why."""


def read_manifest(text: str) -> Manifest:
    """Read a manifest back. Raises ManifestError for anything that `manifest_text` would not have written."""
    try:
        data = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"is not JSON: {error}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        known = isinstance(schema, str) and schema.startswith("mailcfg/manifest/")
        raise ManifestError(f"has the schema {schema}; this mailcfg reads {SCHEMA}" if known else "is no manifest")
    try:
        manifest: Manifest = _read(Manifest, data)
        Version.parse(manifest.postfix)
        Version.parse(manifest.openssl)
        for file in manifest.files:
            if not _MODE.fullmatch(file.mode):
                raise ValueError(f"{file.path} has the mode {file.mode!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"is damaged: {error}") from None
    return manifest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once: of two, each reader would believe another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no text of a manifest holds: everything in it stands in one line of a file, a command or a report."""


def _read(kind: Any, data: Any, where: str = "manifest") -> Any:
    """Data as the type that a manifest has there. Raises ValueError where it is another."""
    if kind in (str, int, bool):
        if type(data) is not kind:
            raise ValueError(f"{where} is no {kind.__name__}")
        if kind is str and _UNPRINTABLE.search(data):
            raise ValueError(f"{where} holds a control character")
        return data
    if get_origin(kind) is Literal:
        if data not in get_args(kind):
            raise ValueError(f"{where} is {data!r}")
        return data
    if get_origin(kind) is UnionType:
        return None if data is None else _read(get_args(kind)[0], data, where)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        if get_origin(inner) is tuple:
            if type(data) is not dict:
                raise ValueError(f"{where} is no object")
            return tuple((_read(str, key, where), _read(str, value, where)) for key, value in data.items())
        if type(data) is not list:
            raise ValueError(f"{where} is no list")
        return tuple([_read(inner, each, f"{where}[{index}]") for index, each in enumerate(data)])
    fields = _fields(kind)
    if type(data) is not dict or data.keys() | OPTIONAL.get(kind, set()) != fields.keys():
        raise ValueError(f"{where} lacks a key, or has one too many")
    return kind(**{name: _read(inner, data[name], f"{where}.{name}") for name, inner in fields.items() if name in data})


@cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def configuration_of(manifest: Manifest) -> Configuration:
    """The configuration that a manifest tells, without the content of further files, which the bundle holds."""
    _, _, hostname, platform, postfix, openssl, directory, compiled, _, steps = manifest
    parameters, services, sasl, certificates, ignores = compiled
    return Configuration(
        hostname, platform, postfix, openssl, directory, parameters, services, sasl, certificates, (), steps, ignores
    )
