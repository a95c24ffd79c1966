"""A bundle is what its manifest says, and the manifest says nothing that a build would not: or it is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mailcfg.archive import FILE_LIMIT, shown, wrong_name
from mailcfg.configuration import Configuration, Service, Setting
from mailcfg.facts.platforms import Platform, platform, platform_names
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, smtpd_conf
from mailcfg.layout import Place, places
from mailcfg.machine import digest
from mailcfg.manifest import Manifest, ManifestError, configuration_of, read_manifest

MANIFEST = "manifest.json"

SIGNATURES = tuple(f"{MANIFEST}.{end}" for end in ("sig", "asc", "minisig", "sigstore"))
"""What may lie beside the manifest without being in it: whoever signs it signs all, and puts the signature there."""

_SITE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]*")
_IDENTIFIER = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,60}[a-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)
_CONF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.conf")
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}[A-Za-z0-9._-]{0,20}", re.ASCII)
_COLUMN = re.compile(r"[A-Za-z0-9_.:\[\]/?-]+")

_FORBIDDEN = 0o7022
"""Permissions that no file of a mail host's configuration has: to run as another user, or to be written by others."""

_AGAIN = "build the bundle again"


class Distrusted(ValueError):
    """A bundle that is not as it was built. The message names the file and what is wrong with it."""


class Trusted(NamedTuple):
    """A manifest that holds together: what it tells of the configuration, and its files, without their bytes."""

    manifest: Manifest
    configuration: Configuration
    places: tuple[Place, ...]


def trusted(data: bytes) -> Trusted:
    """Read a manifest and hold it against what a build writes. Raises Distrusted."""
    if len(data) > FILE_LIMIT:
        raise Distrusted(f"{MANIFEST} has more than {FILE_LIMIT:,} bytes")
    try:
        manifest = read_manifest(data.decode())
    except (ManifestError, UnicodeDecodeError) as error:
        raise Distrusted(f"{MANIFEST} {error}") from None
    if manifest.platform not in platform_names():
        name = shown(manifest.platform)
        raise Distrusted(f"{MANIFEST}: this mailcfg knows no platform '{name}': look for a newer one")
    if not _SITE.fullmatch(manifest.site):
        raise Distrusted(f"{MANIFEST} is of the site {shown(manifest.site)}, which is no name of a policy")
    configuration = configuration_of(manifest)
    _sound(configuration)
    return Trusted(manifest, configuration, _places(manifest, configuration))


def same_files(checked: Trusted, names: Iterable[str], folders: Iterable[str]) -> None:
    """Hold the names of a bundle's files, and of directories below it, against the manifest. Raises Distrusted for the
    first that lacks, or is one too many.
    """
    listed = {MANIFEST, *SIGNATURES, *(each.path for each in checked.manifest.files)}
    there = set(names)
    for each in checked.manifest.files:
        if each.path not in there:
            raise Distrusted(f"{each.path} is missing: {_AGAIN}")
    for name in sorted(there - listed):
        raise Distrusted(f"{shown(name)} is not in the manifest: remove it, or {_AGAIN}")
    ways = {""}
    for name in listed:
        while "/" in name:
            name = name.rpartition("/")[0]
            ways.add(name)
    for folder in sorted(set(folders) - ways):
        raise Distrusted(f"{shown(folder)} is a directory of nothing in the manifest: remove it, or {_AGAIN}")


def same_contents(checked: Trusted, files: dict[str, bytes]) -> None:
    """Hold the bytes of every file against the digests, and what stands in them against the configuration. Raises
    Distrusted.
    """
    for each in checked.manifest.files:
        if digest(files[each.path]) != each.sha256:
            raise Distrusted(f"{each.path} is not what was built: its digest differs from the manifest's")
    for path, lines in _fragments(checked.configuration).items():
        if _settings(files[path]) != lines:
            raise Distrusted(f"{path} does not say what the manifest's configuration says: {_AGAIN}")


def wrong_target(path: str) -> str:
    """What is wrong with a path on the host; empty for an absolute one in its one spelling."""
    if not path.startswith("/"):
        return "is not absolute"
    return wrong_name(path[1:])


def _sound(configuration: Configuration) -> None:
    """Names and paths of a configuration, where each stands in a file or a command."""
    _host_path("config_directory", configuration.config_directory)
    for what, written in (("postfix", configuration.postfix), ("openssl", configuration.openssl)):
        if not _VERSION.fullmatch(written):
            raise Distrusted(f"{MANIFEST} is for {what} {shown(written)}, which is no version")
    for setting in configuration.parameters:
        _setting("parameters", setting)
    version = Version.parse(configuration.postfix)
    for service in configuration.services:
        _service(service, version)
    facts = platform(configuration.platform)
    for sasl in configuration.sasl:
        _host_path("sasl", sasl.path)
        folder, _, name = sasl.path.rpartition("/")
        if folder != facts.sasl.config_directory or not _CONF.fullmatch(name):
            raise Distrusted(f"{MANIFEST}, sasl: {shown(sasl.path)} is no smtpd.conf of {configuration.platform}")
        for setting in sasl.settings:
            _setting("sasl", setting)
            try:
                smtpd_conf.parse(b"").set(setting.name, setting.value)
            except smtpd_conf.Unwritable as error:
                raise Distrusted(f"{MANIFEST}, sasl: {setting.name} cannot be written: {error}") from None
    for certificate in configuration.certificates:
        if not _IDENTIFIER.fullmatch(certificate.name):
            raise Distrusted(f"{MANIFEST} has a certificate of the name {shown(certificate.name)}")
        for path in (
            certificate.certificate_file,
            certificate.key_file,
            certificate.csr_file,
            certificate.ca_certificate_file,
            certificate.ca_key_file,
            certificate.deploy_hook,
        ):
            if path:
                _host_path(f"certificate {certificate.name}", path)
    for ignore in configuration.ignores:
        if not _DAY.fullmatch(ignore.until):
            raise Distrusted(f"{MANIFEST}, ignore: {shown(ignore.until)} is no day")
        if not (ignore.setting or ignore.service or ignore.file):
            raise Distrusted(f"{MANIFEST}, ignore: an entry is about all drift")
    for what, names in (
        ("parameter", [each.name for each in configuration.parameters]),
        ("service", [each.id for each in configuration.services]),
        ("smtpd.conf", [each.path for each in configuration.sasl]),
        ("certificate", [each.name for each in configuration.certificates]),
    ):
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise Distrusted(f"{MANIFEST} has the {what} {shown(name)} twice")
            seen.add(name)
    hostname = configuration.hostname
    managed = next((each.value for each in configuration.parameters if each.name == "myhostname"), hostname)
    if managed != hostname:
        raise Distrusted(f"{MANIFEST} is of {shown(hostname)}, and makes it {shown(managed)}")


def _host_path(where: str, path: str) -> None:
    wrong = wrong_target(path)
    if wrong:
        raise Distrusted(f"{MANIFEST}, {where}: {shown(path)} {wrong}")


def _setting(where: str, setting: Setting) -> None:
    if not _NAME.fullmatch(setting.name):
        raise Distrusted(f"{MANIFEST}, {where}: {shown(setting.name)} is no name of a setting")
    if setting.value != setting.value.strip():
        raise Distrusted(f"{MANIFEST}, {where}: the value of {setting.name} begins or ends with a blank")


def _service(service: Service, postfix: Version) -> None:
    for column in (service.name, service.type, service.command):
        if not _COLUMN.fullmatch(column):
            raise Distrusted(f"{MANIFEST}, services: {shown(column)} cannot stand in master.cf")
    for column in (service.private, service.unprivileged, service.chroot, service.wakeup, service.process_limit):
        if not _COLUMN.fullmatch(column):
            raise Distrusted(f"{MANIFEST}, services: {shown(column)} is no column of master.cf")
    for setting in service.overrides:
        _setting(service.id, setting)
    try:
        master_cf.parse(b"", postfix).set(master_cf.lines(service, postfix), service.id)
    except master_cf.Unwritable as error:
        raise Distrusted(f"{MANIFEST}, services: master.cf cannot hold {service.id}: {error}") from None


def _places(manifest: Manifest, configuration: Configuration) -> tuple[Place, ...]:
    """The files of a manifest. What the configuration decides is as it decides it; the others are placed safely."""
    facts = platform(configuration.platform).postfix
    groups = {facts.root_group, facts.mail_owner}
    decided = places(configuration)
    found: list[Place] = []
    paths: set[str] = {MANIFEST, *SIGNATURES}
    targets: set[str] = set()
    for each in manifest.files:
        told = f"{MANIFEST}: {shown(each.path)}"
        wrong = wrong_name(each.path)
        if wrong:
            raise Distrusted(f"{told} {wrong}")
        if each.path in paths:
            raise Distrusted(f"{told} is listed twice")
        paths.add(each.path)
        mode = int(each.mode, 8)
        if mode & _FORBIDDEN:
            raise Distrusted(f"{told} is to have the mode {each.mode}, which nothing of a bundle has")
        if each.owner != "root" or each.group not in groups:
            raise Distrusted(f"{told} is to belong to {shown(each.owner)}:{shown(each.group)}")
        if each.target is not None:
            wrong = wrong_target(each.target)
            if wrong:
                raise Distrusted(f"{told} is to become {shown(each.target)}, which {wrong}")
            if each.target in targets:
                raise Distrusted(f"{told} is to become {shown(each.target)}, like another file before it")
            targets.add(each.target)
        found.append(Place(each.path, each.target or "", mode, each.owner, each.group, each.ownership))
    for index, place in enumerate(decided):
        if found[index : index + 1] != [place]:
            raise Distrusted(f"{MANIFEST}: {shown(place.path)} is not listed as its configuration has it: {_AGAIN}")
    known = _further(platform(configuration.platform))
    for place in found[len(decided) :]:
        if not place.target or place.ownership == "none":
            raise Distrusted(f"{MANIFEST}: {shown(place.path)} belongs nowhere: {_AGAIN}")
        if place.target not in known:
            where = f"{shown(place.path)} is to become {shown(place.target)}"
            raise Distrusted(f"{MANIFEST}: {where}, where no build puts a file on {configuration.platform}")
    return tuple(found)


def _further(facts: Platform) -> frozenset[str]:
    """Where a build puts files on a platform that the configuration does not tell of: settings of the daemons that
    check passwords, and what starts the comparison.
    """
    places = [facts.saslauthd.settings_file, facts.saslauthd.ldap_settings_file]
    if facts.sasl.dovecot_directory:
        places.append(f"{facts.sasl.dovecot_directory}/99-mailcfg.conf")
    if facts.schedule.units:
        places += [f"{facts.schedule.units}/mailcfg-drift.{kind}" for kind in ("service", "timer")]
    if facts.schedule.cron:
        places.append(f"{facts.schedule.cron}/mailcfg")
    return frozenset(filter(None, places))


def _fragments(configuration: Configuration) -> dict[str, list[str]]:
    """By path in the bundle, the lines beside comments of each file that holds settings."""
    version = Version.parse(configuration.postfix)
    found = {"postfix/main.cf": [main_cf.line(each) for each in configuration.parameters]}
    if configuration.services:
        services = [master_cf.lines(each, version) for each in configuration.services]
        found["postfix/master.cf"] = [line for lines in services for line in lines]
    for sasl in configuration.sasl:
        found[f"sasl2/{sasl.path.rpartition('/')[2]}"] = [smtpd_conf.line(each) for each in sasl.settings]
    return found


def _settings(data: bytes) -> list[str]:
    text = data.decode(errors="surrogateescape")
    return [line for line in text.split("\n") if line and not line.startswith("#")]
