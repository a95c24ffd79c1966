"""Endpoints: every smtpd and postscreen listener of a configuration, as a client meets it."""

from __future__ import annotations

from typing import Literal

from mailcfg.behaviour import tls as server
from mailcfg.behaviour.auth import Announced, ServerAuth, server_auth
from mailcfg.behaviour.effective import NOWHERE, Effective, Scope
from mailcfg.behaviour.fatal import flaw
from mailcfg.behaviour.listening import address_of, in_chroot, port_of, running
from mailcfg.behaviour.model import Endpoint, Mechanism, Reason, Tls
from mailcfg.behaviour.surroundings import Surroundings
from mailcfg.behaviour.tls import ServerTls, server_tls
from mailcfg.configuration import Service
from mailcfg.facts.platforms import Platform
from mailcfg.facts.version import Version

DEEP_TESTS = tuple(f"postscreen_{each}_enable" for each in ("pipelining", "non_smtp_command", "bare_newline"))
"""Tests for which postscreen speaks SMTP with a client that it does not know (postscreen(8), measured)."""

DIES_INSIDE = "inside TLS smtpd dies"
"""How the sentence begins that says so of a listener whose handshakes complete."""


def endpoints(
    effective: Effective, surroundings: Surroundings, platform: Platform, openssl: Version
) -> tuple[Endpoint, ...]:
    """Every listener that runs, in the order of master.cf."""
    disabled = effective.of().text("master_service_disable")
    services = running(effective.configuration.services, disabled)
    found: list[Endpoint] = []
    for service in services:
        if service.type != "inet":
            continue
        if service.command == "smtpd":
            found.append(_Listener(effective, surroundings, platform, openssl, service, service).endpoint())
        elif service.command == "postscreen":
            name = effective.of(service).text("smtpd_service_name") or "smtpd"
            behind = next((each for each in services if each.type == "pass" and each.name == name), None)
            found.append(_behind(effective, surroundings, platform, openssl, service, behind))
    return tuple(found)


def _behind(
    effective: Effective,
    surroundings: Surroundings,
    platform: Platform,
    openssl: Version,
    service: Service,
    behind: Service | None,
) -> Endpoint:
    """A postscreen listener: once a client has passed its tests it speaks to the smtpd of a `pass` service."""
    if behind is None:
        listener = _Listener(effective, surroundings, platform, openssl, service, service)
        return listener.dead("postscreen has no smtpd to hand its clients to", (Reason("smtpd/pass", "", NOWHERE),))
    listener = _Listener(effective, surroundings, platform, openssl, service, behind)
    own = effective.of(service)
    level = own.text("postscreen_tls_security_level")
    if level.lower() not in ("", "none", "may", *server.ENFORCING):
        reason = own.reason("postscreen_tls_security_level")
        return listener.dead(f"{level!r} is no TLS security level of a server: postscreen dies of it", (reason,))
    met = listener.endpoint()
    told: list[str] = []
    if met.implicit:
        told.append("postscreen greets in clear: who begins with TLS gets in only where it is known already")
    if any(own.text(each).lower() == "yes" for each in DEEP_TESTS):
        told.append(
            "a client's first visit is answered by postscreen itself: STARTTLS by postscreen_tls_security_level and"
            " the protocols of tlsproxy, no AUTH, and no mail is taken"
        )
    return met._replace(causes=(*told, *met.causes)) if met.works else met


class _Listener:
    """One listener: `service` is what listens, `smtpd` the service whose smtpd answers."""

    def __init__(
        self,
        effective: Effective,
        surroundings: Surroundings,
        platform: Platform,
        openssl: Version,
        service: Service,
        smtpd: Service,
    ) -> None:
        self.effective = effective
        self.around = surroundings
        self.platform = platform
        self.openssl = openssl
        self.service = service
        self.smtpd = smtpd
        self.scope: Scope = effective.of(smtpd)

    def chroot(self) -> str:
        """The directory that smtpd is confined to, empty for none."""
        level = self.scope.text("compatibility_level")
        if not in_chroot(self.smtpd, self.scope.postfix.series, level):
            return ""
        return self.scope.text("queue_directory") or self.platform.postfix.queue_directory

    def dead(self, cause: str, because: tuple[Reason, ...], unknown: tuple[str, ...] = ()) -> Endpoint:
        """A listener with which nobody gets anywhere."""
        return Endpoint(
            service=self.service.id,
            port=port_of(self.service),
            address=address_of(self.service),
            command=self.service.command,
            works=False,
            tls="none",
            protocols=(),
            suites={},
            anonymous=False,
            auth_before_tls=(),
            auth_after_tls=(),
            mechanisms_before=(),
            mechanisms_after=(),
            legacy_auth_line=False,
            cleartext_mail=False,
            certificates=(),
            socket=None,
            because={"works": because},
            causes=(cause,),
            unknown=unknown,
        )

    def endpoint(self) -> Endpoint:
        wrong = self.around.dies(self.smtpd)
        if wrong:
            return self.dead(wrong, (Reason(self.smtpd.id, "", self.smtpd.origin, wrong),))
        bad = flaw(self.scope)
        if bad:
            return self.dead(bad.words, (bad,))
        tls = server_tls(self.scope, self.around, self.openssl)
        if tls.dies:
            return self.dead(tls.dies, tls.because.get("works", ()))
        auth = server_auth(self.scope, self.around, self.platform, self.smtpd.id, self.chroot())
        if auth.dies:
            return self.dead(auth.dies, auth.because.get("works", ()))
        only_tls = auth.only_tls or tls.enforced
        usable = bool(tls.versions)
        if auth.enabled and not only_tls and auth.before.dies:
            return self.dead(auth.before.dies, auth.before.because, auth.unknown)
        if tls.wrapper:
            if not usable:
                key = "off" if tls.off else "suites" if tls.fails and tls.suites == {} else "protocols"
                return self.dead(tls.off or tls.fails, tls.because.get(key, ()), tls.unknown)
            if auth.enabled and auth.after.dies:
                return self.dead(auth.after.dies, auth.after.because, auth.unknown)
        return self.alive(tls, auth, only_tls, usable)

    def alive(self, tls: ServerTls, auth: ServerAuth, only_tls: bool, usable: bool) -> Endpoint:
        state: Tls = "none"
        causes = [*tls.causes]
        because = tls.because | {key: each for key, each in auth.because.items() if each}
        if tls.wrapper:
            state = "implicit"
        elif tls.announced and not usable:
            state = "broken"
            causes.append(tls.off or tls.fails)
            because["tls"] = (*because.get("tls", ()), *because.get("off" if tls.off else "suites", ()))
            if tls.fails and "protocols" in because and "protocol" in tls.fails:
                because["tls"] = (*because["tls"], *because["protocols"])
        elif tls.announced:
            state = "required" if tls.enforced else "offered"
        encrypts = state in ("offered", "required", "implicit")
        before: tuple[str, ...] = ()
        after: tuple[str, ...] = ()
        if auth.enabled and not auth.hidden:
            before = () if only_tls else _once(auth.before)
            if encrypts and not tls.identified:
                after = _once(auth.after)
        if auth.enabled and encrypts and auth.after.dies:
            causes.append(f"{DIES_INSIDE}: {auth.after.dies}")
        unknown = (*tls.unknown, *auth.unknown)
        doubtful: list[Literal["tls", "auth"]] = ["tls"] if tls.unknown else []
        if auth.unknown:
            doubtful.append("auth")
        announces = bool(before or after)
        legacy = announces and self.scope.text("broken_sasl_auth_clients").lower() == "yes"
        if legacy:
            because["legacy_auth_line"] = (self.scope.reason("broken_sasl_auth_clients"),)
        if not announces:
            because["auth"] = self.never(tls, auth, encrypts)
        return Endpoint(
            service=self.service.id,
            port=port_of(self.service),
            address=address_of(self.service),
            command=self.service.command,
            works=True,
            tls=state,
            protocols=tls.versions if encrypts else (),
            suites=tls.suites if encrypts else {},
            anonymous=encrypts and tls.anonymous,
            auth_before_tls=before,
            auth_after_tls=after,
            mechanisms_before=_prospects(before, auth),
            mechanisms_after=_prospects(after, auth),
            legacy_auth_line=legacy,
            cleartext_mail=not tls.enforced,
            certificates=tls.certificates if encrypts else (),
            socket=auth.socket.ok if auth.socket else None,
            because=because,
            causes=tuple(causes),
            unknown=unknown,
            implicit=tls.wrapper,
            client_certificate=encrypts and tls.identified,
            doubtful=tuple(doubtful),
        )

    def never(self, tls: ServerTls, auth: ServerAuth, encrypts: bool) -> tuple[Reason, ...]:
        """Why AUTH is announced to nobody; empty where it is not known whether it is."""
        if not auth.enabled:
            return (self.scope.reason("smtpd_sasl_auth_enable"),)
        if auth.hidden:
            return auth.hide
        if encrypts and tls.identified:
            return (self.scope.reason("smtpd_tls_req_ccert", "nobody gets so far without a certificate"),)
        if encrypts:
            return () if auth.after.unknown else auth.after.because
        if not auth.only_tls and not tls.enforced:
            return () if auth.before.unknown else auth.before.because
        only = (self.scope.reason("smtpd_tls_auth_only"),) if auth.only_tls else ()
        return (*only, *tls.because.get("tls", ()), *tls.because.get("off", ()))


def _once(announced: Announced) -> tuple[str, ...]:
    return tuple(dict.fromkeys(announced.names))


def _prospects(names: tuple[str, ...], auth: ServerAuth) -> tuple[Mechanism, ...]:
    return tuple(auth.prospects.get(name) or Mechanism(name, None) for name in names)


__all__ = ["endpoints", "server"]
