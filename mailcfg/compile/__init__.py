"""Policy to Configuration: one concern a file."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.compile.builder import Builder
from mailcfg.compile.certificates import compile_certificates
from mailcfg.compile.relay import client_optional, client_tls, compile_outbound
from mailcfg.compile.sasl import compile_sasl
from mailcfg.compile.steps import all_steps
from mailcfg.compile.submission import compile_listeners, endpoints_of
from mailcfg.compile.tls import CUSTOM, compile_tls
from mailcfg.configuration import Configuration, Ignore
from mailcfg.facts.guidelines import guideline_names
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.platforms import platform, platform_names
from mailcfg.facts.version import Version
from mailcfg.policy.document import Document
from mailcfg.policy.load import dotted, load
from mailcfg.problem import Finding, PolicyError, Severity, in_order
from mailcfg.source import Path

OLDEST = (2, 3)
"""The oldest Postfix series with smtpd_tls_security_level, and so the oldest that can be compiled for."""


class Compiled(NamedTuple):
    """A configuration and what there is to say about it: warnings and notes, no errors."""

    configuration: Configuration
    findings: list[Finding]


def compile_document(document: Document) -> Compiled:
    """Compile a policy. Raises PolicyError with every error at once, and the warnings found on the way."""
    loaded = load(document)
    findings = list(loaded.findings)
    site = loaded.site
    if site is None:
        raise PolicyError(findings)
    if site.platform not in platform_names():
        findings.append(_unknown("platform", site.platform, platform_names(), document, ("platform",)))
        raise PolicyError(findings)
    known = [*guideline_names(), CUSTOM]
    if site.tls is not None and site.tls.guideline not in known:
        findings.append(_unknown("guideline", site.tls.guideline, known, document, ("tls", "guideline")))
        # The rest is checked as if the guideline said nothing.
        site = site.model_copy(update={"tls": site.tls.model_copy(update={"guideline": CUSTOM})})
    facts = platform(site.platform)
    version = Version.parse(site.postfix.version or facts.postfix.version)
    b = Builder(document, site, facts, version, loaded.left_out)
    _version_known(b)
    b.set("myhostname", site.hostname, ("hostname",))
    compile_certificates(b)
    b.endpoints = endpoints_of(b)
    speaks = [endpoint for endpoint in b.endpoints if endpoint.tls != "none"]
    optional = any(endpoint.tls == "offered" for endpoint in speaks) or client_optional(b)
    compile_tls(b, server=bool(speaks), client=client_tls(b), opportunistic=optional)
    compile_listeners(b)
    compile_sasl(b)
    compile_outbound(b)
    if site.postfix.main or site.postfix.master:
        # Imported only where it is used: it is the largest of these modules, and most sites need none of it.
        from mailcfg.compile.passthrough import compile_passthrough

        compile_passthrough(b)
    if site.watch is not None:
        from mailcfg.compile.watch import compile_watch

        compile_watch(b, site.watch)
    ignores = _ignores(b)
    _nothing_managed(b)
    findings += b.findings
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise PolicyError(findings)
    configuration = Configuration(
        hostname=site.hostname,
        platform=facts.id,
        postfix=str(version),
        openssl=facts.openssl.version,
        config_directory=facts.postfix.config_directory,
        parameters=tuple(b.parameters.values()),
        services=tuple(b.services.values()),
        sasl=tuple(b.sasl),
        certificates=tuple(b.certificates.values()),
        files=tuple(b.files),
        steps=(),
        ignores=ignores,
    )
    return Compiled(configuration._replace(steps=all_steps(b, configuration)), in_order(findings))


def _ignores(b: Builder) -> tuple[Ignore, ...]:
    if not b.site.ignore:
        return ()
    from mailcfg.compile.ignores import compile_ignores

    return compile_ignores(b)


def _unknown(kind: str, name: str, known: list[str], document: Document, path: Path) -> Finding:
    """The finding for a name that no fact file has."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1, 0.5)
    advice = (f"did you mean {near[0]}? " if near else "") + f"one of: {', '.join(known)}"
    location = document.locate(path)
    return Finding(
        f"{kind}-unknown", Severity.ERROR, f"unknown {kind} {name!a}", location, help=advice, key=dotted(path)
    )


def _version_known(b: Builder) -> None:
    newest = catalogue().newest
    key = ("postfix", "version")
    if b.postfix.series > newest:
        b.report(
            "postfix-version",
            f"Postfix {b.postfix} is newer than all that is known here; compiled as for {newest[0]}.{newest[1]}",
            key,
            severity=Severity.WARNING,
            help="look for a newer mailcfg",
        )
    if b.postfix.series < OLDEST:
        b.report(
            "postfix-version",
            f"Postfix {b.postfix} is too old: smtpd_tls_security_level came with 2.3",
            key,
            help="upgrade Postfix",
        )


def _nothing_managed(b: Builder) -> None:
    site = b.site
    tables = (site.mx, site.submission, site.submissions, site.relay, site.outbound)
    if not any(tables) and not site.listeners and not site.postfix.main and not site.postfix.master:
        b.report(
            "empty-policy",
            "this policy says nothing about mail",
            ("hostname",),
            severity=Severity.WARNING,
            help="declare a listener such as [mx] or [submission], or the way out with [outbound] or [relay]",
        )
