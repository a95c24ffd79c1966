"""What a person runs, in order, to put a bundle to work on a host."""

from __future__ import annotations

from mailcfg.compile.builder import Builder
from mailcfg.configuration import Configuration, Step
from mailcfg.formats import master_cf, shell

STOCK_LISTENERS = ("smtp",)
"""Listeners that every packaged master.cf has switched on."""

EDITS_SERVICES_SINCE = (2, 11)
"""The Postfix series whose `postconf -Me` writes a service (postconf(1))."""


def all_steps(b: Builder, configuration: Configuration) -> tuple[Step, ...]:
    """Commands for root inside the bundle's directory: packages, certificates, files, daemons, reload."""
    steps = [Step("packages", f"{b.platform.packages.install} {' '.join(b.packages)}", "what the policy needs")]
    for certificate in configuration.certificates:
        command, because = f"sh openssl/{certificate.name}.sh", "makes what is missing, then verifies it"
        if certificate.issuer == "csr":
            command += f" && [ -e {certificate.certificate_file} ]"
            because = "makes the request; go on when the authority's certificate is in place and this succeeds"
        steps.append(Step(f"certificate-{certificate.name}", command, because))
    for sasl in configuration.sasl:
        source = f"sasl2/{sasl.path.rpartition('/')[2]}"
        if sasl.partly:
            command = (
                f"[ -e {sasl.path} ] || install -D -m 0640 -g {b.platform.postfix.mail_owner} {source} {sasl.path}"
            )
            because = "then add the password there; a file that has one is not replaced: compare it yourself"
            steps.append(Step(source.rpartition("/")[2], command, because))
        else:
            steps.append(_placed(source, sasl.path, 0o644, "whole"))
    for file in configuration.files:
        steps.append(_placed(file.bundle_path, file.target, file.mode, file.ownership))
    for certificate in configuration.certificates:
        if certificate.deploy_hook:
            steps.append(_placed(f"acme/{certificate.name}.sh", certificate.deploy_hook, 0o755, "whole"))
    # One call for all: after each of its writes postconf waits two seconds for the file to cool (measured).
    command = "grep '^[^#]' postfix/main.cf | tr '\\n' '\\0' | xargs -0 postconf -e"
    steps.append(Step("main.cf", command, "sets the managed parameters, and leaves every other line as it is"))
    if configuration.services and b.postfix.series >= EDITS_SERVICES_SINCE:
        services = [
            shell.word(f"{service.id}={master_cf.line(service, b.postfix)}") for service in configuration.services
        ]
        command = f"postconf -Me {' '.join(services)}"
        steps.append(Step("master.cf", command, "sets the managed services, and leaves every other one as it is"))
    stock = _stock_services(b)
    if stock and b.postfix.series >= EDITS_SERVICES_SINCE:
        command = f"postconf -M# {' '.join(stock)}"
        steps.append(
            Step("stock-services", command, "comments out what the package listens with and the policy has not")
        )
    if configuration.services and b.postfix.series < EDITS_SERVICES_SINCE:
        command = f"cat postfix/master.cf >> {configuration.config_directory}/master.cf"
        steps.append(Step("master.cf", command, "remove the earlier lines of these services first"))
    steps += b.steps
    commands = b.platform.commands
    steps.append(Step("check", commands.check, "says what Postfix itself can see"))
    # A reload neither opens other interfaces nor takes over a new group (measured).
    listens = any(name in b.parameters for name in ("inet_interfaces", "inet_protocols"))
    joins = any(step.name == "saslauthd-group" and step.run for step in b.steps)
    if listens or joins:
        steps.append(Step("restart", commands.restart, "Postfix reads its configuration"))
    else:
        steps.append(Step("reload", commands.reload, "Postfix reads its configuration"))
    if b.site.watch is not None:
        from mailcfg.compile.watch import watch_steps

        steps += watch_steps(b)
    return tuple(step for step in steps if step.run)


def _stock_services(b: Builder) -> list[str]:
    """Services of the packaged master.cf that would listen beside the policy's, or on a port that it leaves closed."""
    if not b.endpoints:
        return []
    return [f"{name}/inet" for name in STOCK_LISTENERS if f"{name}/inet" not in b.services]


def _placed(source: str, target: str, mode: int, ownership: str) -> Step:
    name = source.rpartition("/")[2]
    if ownership == "part":
        return Step(
            name, f"cat {source} >> {target}", "the file also holds what is not the policy's: remove older lines"
        )
    return Step(name, f"install -D -m {mode:04o} {source} {target}", "the policy owns this file")
