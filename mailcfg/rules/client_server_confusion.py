"""A parameter of the client is set where the server was meant, or the other way round.

What it does: looks for parameters on TLS and SASL that begin with smtp_ where the client uses neither, while the server
does and its own parameter of that name is not set, or is weaker; and for those that begin with smtpd_ on a host whose
client alone uses it. Also for such options behind -o of a service of the other kind. Where smtp is told to log in and
has no table of passwords, which smtpd needs none of, it is an error: smtp dies of it.

Why it is bad: Postfix says nothing of a setting without effect. smtp_sasl_security_options = noplaintext hides nothing
on port 25, and smtp_tls_mandatory_protocols does not limit what the server speaks.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_auth_only = no
    smtp_sasl_security_options = noplaintext
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtp_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1

Wrong:

    # main.cf
    smtp_sasl_auth_enable = yes

Wrong:

    # master.cf
    submission inet n - y - - smtpd
      -o smtp_tls_security_level=encrypt

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    smtpd_tls_auth_only = yes
    smtpd_tls_protocols = >=TLSv1.2
    smtp_tls_security_level = may
    smtp_tls_protocols = >=TLSv1.2
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: postconf(5) smtp_sasl_security_options, postconf(5) smtp_tls_mandatory_protocols, SASL_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.words import listed
from mailcfg.configuration import Origin, Setting
from mailcfg.facts.parameters import catalogue
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.WARNING
REFERENCES = (
    "postconf(5) smtp_sasl_security_options",
    "postconf(5) smtp_tls_mandatory_protocols",
    "SASL_README",
)

SASL = ("sasl_security_options", "sasl_tls_security_options", "sasl_mechanism_filter", "sasl_type", "sasl_path")
TLS = (
    "tls_protocols",
    "tls_mandatory_protocols",
    "tls_ciphers",
    "tls_mandatory_ciphers",
    "tls_exclude_ciphers",
    "tls_mandatory_exclude_ciphers",
)
IDENTITY = ("tls_cert_file", "tls_key_file", "tls_chain_files")
"""Parameters that both sides have; IDENTITY are those that a server needs, and a client hardly ever."""

CLIENT_NAMES = tuple(f"smtp_{each}" for each in (*SASL, *TLS, *IDENTITY))
SERVER_NAMES = tuple(f"smtpd_{each}" for each in (*SASL, *TLS))

CLIENT_TLS = (
    "smtp_tls_security_level",
    "smtp_use_tls",
    "smtp_enforce_tls",
    "smtp_tls_policy_maps",
    "smtp_tls_per_site",
)
"""What makes a client speak TLS. Where one is set, whoever wrote it knows of the client."""

CLIENT_SASL = ("smtp_sasl_auth_enable", "smtp_sasl_password_maps")

OTHER_SIDE = {"smtpd": "smtp_", "smtp": "smtpd_", "lmtp": "smtpd_"}
"""Which names a daemon does not read."""

PASSED_ON = "postfix."
"""How the keys of a policy begin that are parameters in Postfix's own words."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at main.cf, then at the options of services, then for a client without passwords."""
    client, server = _set_here(subject, CLIENT_NAMES), _set_here(subject, SERVER_NAMES)
    if client:
        yield from _for_the_server(subject, client)
    if server:
        yield from _for_the_client(subject, server)
    yield from _options(subject)
    yield from _without_passwords(subject)


def _for_the_server(subject: Subject, names: list[str]) -> Iterator[Said]:
    """Parameters of a client that does neither TLS nor AUTH."""
    client_tls = _set_somewhere(subject, CLIENT_TLS) or any(
        each.tls != "none" or each.implicit for each in subject.behaviour.outbound
    )
    client_sasl = _set_somewhere(subject, CLIENT_SASL)
    server_tls = any(each.tls != "none" or each.implicit for each in subject.behaviour.endpoints)
    server_sasl = _server_logs_in(subject)
    for name in names:
        setting = _own(subject, name)
        suffix = name.removeprefix("smtp_")
        sasl = suffix in SASL
        used, meant = (client_sasl, server_sasl) if sasl else (client_tls, server_tls)
        if setting is None or used or not meant or _meant(subject, setting, f"smtpd_{suffix}"):
            continue
        idle = "never logs in anywhere" if sasl else "does not use TLS"
        main = f"smtpd_{suffix} = {setting.value}, if the server was meant"
        if suffix == "sasl_security_options":
            main = "smtpd_tls_auth_only = yes hides AUTH outside TLS"
        yield Said(
            f"{name} is a parameter of the client, which {idle}",
            f"it has no effect here, and none on what the server {'announces' if sasl else 'speaks'}",
            setting.origin,
            name,
            policy=f"remove it; {'[sasl] and auth' if sasl else '[tls]'} decide what the server does",
            main=main,
        )


def _for_the_client(subject: Subject, names: list[str]) -> Iterator[Said]:
    """Parameters of a server that does neither TLS nor AUTH, on a host whose client does."""
    if not (subject.whole or subject.is_policy):
        return
    server_tls = any(each.tls != "none" or each.implicit or not each.works for each in subject.behaviour.endpoints)
    server_tls = server_tls or _set_somewhere(
        subject, ("smtpd_tls_security_level", "smtpd_use_tls", "smtpd_enforce_tls")
    )
    client_tls = any(each.tls != "none" for each in subject.behaviour.outbound)
    client_sasl = any(each.credentials for each in subject.behaviour.outbound)
    server_sasl = _server_logs_in(subject)
    for name in names:
        setting = _own(subject, name)
        suffix = name.removeprefix("smtpd_")
        sasl = suffix in SASL
        used, meant = (server_sasl, client_sasl) if sasl else (server_tls, client_tls)
        if setting is None or used or not meant or _meant(subject, setting, f"smtp_{suffix}"):
            continue
        yield Said(
            f"{name} is a parameter of the server, which {'has no AUTH' if sasl else 'has no TLS'}",
            f"it has no effect here, and none on what the client {'may log in by' if sasl else 'speaks'}",
            setting.origin,
            name,
            policy="remove it; [relay] and [outbound] decide what the client does",
            main=f"smtp_{suffix} = {setting.value}, if the client was meant",
        )


def _options(subject: Subject) -> Iterator[Said]:
    """Options of a service that its daemon does not read."""
    told: set[Origin] = set()
    for service in subject.services:
        other = OTHER_SIDE.get(service.command)
        if other is None:
            continue
        for each in service.overrides:
            if not each.name.startswith(other) or ("_tls_" not in each.name and "_sasl_" not in each.name):
                continue
            if (
                each.origin in told
                or each.name not in catalogue()
                or _referred_to(subject, each.name, service.overrides)
            ):
                continue
            told.add(each.origin)
            own = f"{service.command}_{each.name.removeprefix(other)}"
            yield Said(
                f"{service.command} does not read {each.name}",
                f"the option has no effect on {service.id}",
                each.origin,
                each.name,
                service.id,
                policy=f"remove it from [postfix.master], or write {own}",
                main=f"-o {own}={each.value}",
            )


def _without_passwords(subject: Subject) -> Iterator[Said]:
    """A client that is to log in and has no table of passwords."""
    told: set[Origin] = set()
    for hop in subject.behaviour.outbound:
        service = subject.service(hop.service)
        side = service.command if service else "smtp"
        scope = subject.scope(service)
        switch = scope.value(f"{side}_sasl_auth_enable")
        if (switch.value or "").lower() != "yes" or scope.text(f"{side}_sasl_password_maps") or switch.origin in told:
            continue
        told.add(switch.origin)
        yield Said(
            f"{switch.name} = yes, and {side}_sasl_password_maps names no passwords",
            f"{side} dies of it: no mail leaves",
            switch.origin,
            switch.name,
            hop.service,
            policy="[relay] with credentials; [sasl] is what lets users log in",
            main="smtpd_sasl_auth_enable = yes, if users are to log in here; else smtp_sasl_password_maps",
            severity=Severity.ERROR,
        )


def _set_here(subject: Subject, names: tuple[str, ...]) -> list[str]:
    """Which of some parameters somebody set in main.cf; in a policy, in those words."""
    main = subject.effective.main
    found = [name for name in names if name in main]
    return [name for name in found if main[name].origin.key.startswith(PASSED_ON)] if subject.is_policy else found


def _own(subject: Subject, name: str) -> Setting | None:
    """A parameter of main.cf that is set to something other than its default."""
    setting = subject.effective.main.get(name)
    if setting is None:
        return None
    parameter = catalogue().get(name)
    default = parameter.default_in(subject.postfix) if parameter else None
    return None if not setting.value or setting.value == default else setting


def _meant(subject: Subject, setting: Setting, name: str) -> bool:
    """Whether somebody set the other side's parameter as well, so that neither is a slip for it. Security options count
    only where the other side has no less of them: who adds noplaintext to the client's alone means the server.
    """
    if _set_here(subject, (name,)):
        other = subject.effective.main[name].value
        return not name.endswith("_security_options") or set(listed(setting.value)) <= set(listed(other))
    return any(each.name == name for service in subject.services for each in service.overrides)


def _set_somewhere(subject: Subject, names: tuple[str, ...]) -> bool:
    """Whether one of some parameters is set for any service, to something that is not off."""
    return any(scope.is_set(name) for _, scope in subject.scopes() for name in names)


def _server_logs_in(subject: Subject) -> bool:
    return any(scope.text("smtpd_sasl_auth_enable").lower() == "yes" for _, scope in subject.listeners())


def _referred_to(subject: Subject, name: str, overrides: tuple[Setting, ...]) -> bool:
    """Whether another value takes a parameter's, such as `$smtp_tls_protocols`."""
    values = [each.value for each in overrides if "$" in each.value]
    values += [each.value for each in subject.configuration.parameters if "$" in each.value]
    return any(f"${name}" in each or f"{{{name}" in each or f"({name}" in each for each in values)
