"""Listeners: port 25, submission, submissions and any other, as main.cf parameters and master.cf services."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple

from mailcfg.compile.builder import Builder, yes_no
from mailcfg.compile.certificates import chosen, identity_settings
from mailcfg.configuration import Service, Setting
from mailcfg.policy.listeners import Listener
from mailcfg.source import Path

LEVELS = {"none": "none", "offered": "may", "required": "encrypt", "implicit": "encrypt"}
"""TLS in the policy's words and as smtpd_tls_security_level."""

AUXPROP = {"sasldb", "sql", "ldapdb"}
"""Backends that open files and sockets themselves, where a chroot hides them."""

AUTHENTICATED_ONLY = ("permit_sasl_authenticated", "reject")


class Endpoint(NamedTuple):
    """A listener with its defaults filled in."""

    name: str
    key: Path
    service: str
    port: int
    tls: str
    auth: str
    chroot: bool
    listener: Listener

    @property
    def authenticates(self) -> bool:
        """Whether it ever takes a password."""
        return self.auth != "never"


def endpoints_of(b: Builder) -> list[Endpoint]:
    """Every declared listener, with defaults of its kind and of the platform."""
    site = b.site
    kinds = (
        ("mx", site.mx, "smtp", 25, "offered", "never"),
        ("submission", site.submission, "submission", 587, "required", "inside-tls"),
        ("submissions", site.submissions, b.platform.postfix.submissions_service, 465, "implicit", "inside-tls"),
    )
    found = [
        _endpoint(b, name, (name,), listener, service, port, tls, auth)
        for name, listener, service, port, tls, auth in kinds
        if listener is not None
    ]
    for name, listener in site.listeners.items():
        key: Path = ("listeners", name)
        if listener.port is None:
            b.report("missing-key", f"[listeners.{name}] needs port", key, help="port = 2525")
            continue
        found.append(_endpoint(b, name, key, listener, "", 0, "required", "never"))
    _no_clash(b, found)
    return found


def _endpoint(
    b: Builder, name: str, key: Path, listener: Listener, service: str, port: int, tls: str, auth: str
) -> Endpoint:
    if listener.port is not None and listener.port != port:
        port = listener.port
        # By its name the service takes the place of the packaged one; by its number it would listen beside it.
        service = {25: "smtp", 587: "submission", 465: b.platform.postfix.submissions_service}.get(port, str(port))
    if listener.address:
        host = f"[{listener.address}]" if ip_address(listener.address).version == 6 else listener.address
        service = f"{host}:{port}"
    auth = listener.auth or auth
    chroot = listener.chroot
    if chroot is None:
        chroot = b.platform.postfix.chroot and not (auth != "never" and _hidden_by_chroot(b))
    return Endpoint(name, key, service, port, listener.tls or tls, auth, chroot, listener)


def _hidden_by_chroot(b: Builder) -> bool:
    """Whether what checks passwords cannot be reached from inside the chroot."""
    sasl = b.site.sasl
    if sasl is None:
        return False
    facts = b.platform.saslauthd
    immovable = not facts.chroot_socket_directory and sasl.saslauthd.socket_directory is None
    return sasl.backend in AUXPROP or (sasl.backend == "saslauthd" and immovable)


def _no_clash(b: Builder, endpoints: list[Endpoint]) -> None:
    for index, endpoint in enumerate(endpoints):
        for first in endpoints[:index]:
            if first.port == endpoint.port and _overlap(first.listener.address, endpoint.listener.address):
                b.report(
                    "listener-clash",
                    f"{'.'.join(map(str, first.key))} and {'.'.join(map(str, endpoint.key))} listen on the same port",
                    (*endpoint.key, "port"),
                    effect="each would get a part of the connections",
                    help="give one of them another port, or both an address of their own",
                )
    for name in site_names(b):
        b.report(
            "listener-clash",
            f"[listeners.{name}] has the name of another table",
            ("listeners", name),
            help="give it a name of its own: it is the tag in the log",
            at_key=True,
        )


def site_names(b: Builder) -> list[str]:
    """Further listeners that are called like a listener of the language."""
    return [name for name in b.site.listeners if name in ("mx", "submission", "submissions")]


def _overlap(one: str | None, other: str | None) -> bool:
    """Whether two listening addresses share connections. None, 0.0.0.0 and :: are every address."""
    every = (None, "0.0.0.0", "::")
    return one == other or one in every or other in every


def compile_listeners(b: Builder) -> None:
    """Set the parameters of main.cf from the policy's mx, and a service of master.cf for each listener.

    main.cf also holds for services that the policy does not know, so without an mx it gets the careful values.
    """
    site, endpoints = b.site, b.endpoints
    for endpoint in endpoints:
        _consistent(b, endpoint)
    if not endpoints:
        return
    encrypted = [endpoint for endpoint in endpoints if endpoint.tls != "none"]
    if encrypted and site.tls is not None:
        certificates = chosen(b, site.tls.certificate, ("tls", "certificate"))
        for name, value in identity_settings(b, "smtpd", certificates):
            b.set(name, value, ("tls", "certificate"))
    mx = next((endpoint for endpoint in endpoints if endpoint.key == ("mx",)), None)
    via = "" if mx else "there is no [mx]"
    level = LEVELS[mx.tls] if mx else "may" if encrypted else "none"
    b.set("smtpd_tls_security_level", level, ("mx", "tls"), via)
    auth = mx.auth if mx else "never"
    b.set("smtpd_sasl_auth_enable", yes_no(auth != "never"), ("mx", "auth"), via)
    b.set("smtpd_tls_auth_only", yes_no(auth != "anywhere"), ("mx", "auth"), via)
    if mx:
        _restrictions_of_mx(b, mx)
    for endpoint in endpoints:
        service = _service(b, endpoint)
        b.services[service.id] = service


def _consistent(b: Builder, endpoint: Endpoint) -> None:
    if endpoint.tls != "none" and b.site.tls is None:
        b.report(
            "missing-key",
            f"{endpoint.name} speaks TLS, and the policy has no [tls]",
            endpoint.key,
            help='[tls] with guideline = "mozilla-6.0-intermediate"',
        )
    if endpoint.tls == "none" and endpoint.auth == "inside-tls":
        b.report(
            "auth-without-tls",
            f"{endpoint.name} takes passwords only inside TLS, and has none",
            (*endpoint.key, "tls"),
            effect="AUTH would never be offered",
            help='write tls = "required", or auth = "never"',
        )
    if endpoint.authenticates and b.site.sasl is None:
        b.report(
            "auth-without-backend",
            f"{endpoint.name} takes passwords, and nobody checks them: there is no [sasl]",
            endpoint.key,
            help='[sasl] with backend = "saslauthd", or auth = "never" here',
        )
    if endpoint.listener.certificate is not None and endpoint.tls == "none":
        b.report(
            "certificate-key-unused",
            f"{endpoint.name} has a certificate and no TLS",
            (*endpoint.key, "certificate"),
            help='remove it, or write tls = "required"',
            at_key=True,
        )


def _restrictions_of_mx(b: Builder, mx: Endpoint) -> None:
    for name in ("client_restrictions", "relay_restrictions"):
        wanted = getattr(mx.listener, name)
        if wanted is not None:
            b.set(f"smtpd_{name}", ", ".join(wanted), (*mx.key, name))


def _service(b: Builder, endpoint: Endpoint) -> Service:
    return Service(
        name=endpoint.service,
        type="inet",
        private="n",
        unprivileged="-",
        chroot="y" if endpoint.chroot else "n",
        wakeup="-",
        process_limit="-",
        command="smtpd",
        arguments=(),
        overrides=tuple(_overrides(b, endpoint)),
        origin=b.origin(endpoint.key),
    )


def _overrides(b: Builder, endpoint: Endpoint) -> list[Setting]:
    key, listener = endpoint.key, endpoint.listener
    found: list[Setting] = []

    def override(name: str, value: str, field: str) -> None:
        if b.knows(name):
            found.append(Setting(name, value, b.origin((*key, field))))
        else:
            b.too_new(name, (*key, field))

    if key != ("mx",):
        override("syslog_name", f"postfix/{endpoint.name}", "tls")
        override("smtpd_tls_security_level", LEVELS[endpoint.tls], "tls")
    if endpoint.tls == "implicit":
        override("smtpd_tls_wrappermode", "yes", "tls")
    if key != ("mx",):
        override("smtpd_sasl_auth_enable", yes_no(endpoint.authenticates), "auth")
        override("smtpd_tls_auth_only", yes_no(endpoint.auth != "anywhere"), "auth")
        _restrict(b, endpoint, override)
    if listener.certificate is not None and endpoint.tls != "none":
        certificates = chosen(b, listener.certificate, (*key, "certificate"))
        for name, value in identity_settings(b, "smtpd", certificates):
            override(name, value.replace(", ", ","), "certificate")
    return found


def _restrict(b: Builder, endpoint: Endpoint, override: object) -> None:
    assert callable(override)
    listener = endpoint.listener
    if listener.client_restrictions is not None:
        override("smtpd_client_restrictions", ",".join(listener.client_restrictions), "client_restrictions")
    relay = listener.relay_restrictions
    if relay is None and endpoint.authenticates:
        relay = list(AUTHENTICATED_ONLY)
    if relay is not None and (b.knows("smtpd_relay_restrictions") or listener.relay_restrictions is not None):
        override("smtpd_relay_restrictions", ",".join(relay), "relay_restrictions")
    elif relay is not None and listener.client_restrictions is None:
        # Before Postfix 2.10 who may relay is decided together with who may connect.
        override("smtpd_client_restrictions", ",".join(relay), "relay_restrictions")
