"""Configuration to text: what each file of a bundle says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from mailcfg import resources
from mailcfg.certificates.plan import plan
from mailcfg.configuration import CertificateFiles, Configuration, ExtraFile, Origin, SaslFile, Setting
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.formats import main_cf, master_cf, shell, smtpd_conf


def cnf_value(text: str) -> str:
    """Text as a value of openssl's configuration files, where `$`, quotes and `#` would have a meaning."""
    return "".join(each if each.isalnum() or each in " .-" else f"\\{each}" for each in text)


@cache
def _environment() -> Environment:
    # The files are configuration, not HTML: nothing is escaped but by the filter that a place needs.
    environment = Environment(
        loader=FileSystemLoader(resources.folder("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        autoescape=False,
        optimized=False,
    )
    # Templates use none of Jinja2's global functions, and copying them into every context costs a tenth of a build.
    environment.globals.clear()
    environment.filters["sh"] = shell.word
    environment.filters["cnf"] = cnf_value
    return environment


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


def _render(template: str, /, **values: Any) -> str:
    return _template(template).render(values)


def described(origin: Origin) -> str:
    """Why a block is there: the policy key, its file, and the knowledge it went through."""
    where = f"{origin.key} ({origin.file})"
    return f"{where}: {origin.via}" if origin.via else where


def _blocks(settings: Iterable[Setting], line: Callable[[Setting], str]) -> list[dict[str, Any]]:
    """Lines grouped by the key that they come from, in their order."""
    return [
        {"comment": described(origin), "lines": [line(setting) for setting in group]}
        for origin, group in groupby(settings, key=lambda setting: setting.origin)
    ]


def main(configuration: Configuration) -> str:
    """The managed parameters: a fragment of main.cf."""
    return _render(
        "fragment.cf.j2",
        what="parameters",
        rest="Lines of main.cf",
        hostname=configuration.hostname,
        platform=configuration.platform,
        postfix=configuration.postfix,
        blocks=_blocks(configuration.parameters, main_cf.line),
    )


def master(configuration: Configuration) -> str:
    """The managed services: a fragment of master.cf."""
    version = Version.parse(configuration.postfix)
    blocks = [
        {"comment": described(service.origin), "lines": master_cf.lines(service, version)}
        for service in configuration.services
    ]
    return _render(
        "fragment.cf.j2",
        what="services",
        rest="Services of master.cf",
        hostname=configuration.hostname,
        platform=configuration.platform,
        postfix=configuration.postfix,
        blocks=blocks,
    )


def sasl_file(sasl: SaslFile) -> str:
    """A smtpd.conf of Cyrus SASL. One setting alone needs no comment: the manifest knows its origin."""
    blocks = _blocks(sasl.settings, smtpd_conf.line)
    return _render("smtpd.conf.j2", blocks=blocks, comments=len(sasl.settings) > 1, partly=sasl.partly)


def extra_file(file: ExtraFile) -> str:
    """Another file, with its origin in the first line."""
    if file.template:
        return _render(file.template, comment=described(file.origin), **dict(file.values))
    return _render("file.j2", comment=described(file.origin), content=file.content.rstrip("\n"))


def certificate_files(certificate: CertificateFiles, openssl: str, ca_bundle: str, reload: str) -> dict[str, str]:
    """Bundle paths and texts for one certificate."""
    comment = described(certificate.origin)
    script, request, values = plan(certificate, Version.parse(openssl), ca_bundle, comment)
    files = {f"openssl/{certificate.name}.sh": _render(script, **values)}
    if request:
        files[f"openssl/{certificate.name}.cnf"] = _render(request, **values)
    if certificate.deploy_hook:
        files[f"acme/{certificate.name}.sh"] = _render("acme.sh.j2", comment=comment, reload=reload)
    return files


def files(configuration: Configuration) -> dict[str, str]:
    """The text of every file of the bundle but the manifest, by its path there."""
    texts = {"postfix/main.cf": main(configuration)}
    if configuration.services:
        texts["postfix/master.cf"] = master(configuration)
    for sasl in configuration.sasl:
        texts[f"sasl2/{sasl.path.rpartition('/')[2]}"] = sasl_file(sasl)
    if configuration.certificates:
        facts = platform(configuration.platform)
        for certificate in configuration.certificates:
            texts |= certificate_files(
                certificate, configuration.openssl, facts.certificates.ca_bundle, facts.commands.reload
            )
    for file in configuration.files:
        texts[file.bundle_path] = extra_file(file)
    return texts
