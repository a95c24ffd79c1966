"""The way out: TLS towards other servers, the relay that takes all mail, and credentials by reference."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.compile.builder import Builder, yes_no
from mailcfg.compile.certificates import chosen, identity_settings
from mailcfg.configuration import Step
from mailcfg.facts.guidelines import PROTOCOLS, protocol_list
from mailcfg.policy.outbound import Destination, Relay
from mailcfg.problem import Severity
from mailcfg.source import Path

LEVELS = {
    "none": "none",
    "opportunistic": "may",
    "required": "encrypt",
    "verified": "secure",
    "dane": "dane",
    "dane-only": "dane-only",
}
"""The policy's words as smtp_tls_security_level; `verified` with match = ["hostname"] is `verify`."""

ENCRYPTED = {"required", "verified", "dane-only"}
"""The levels at which nothing is sent without TLS."""

OPTIONAL = {"opportunistic", "dane"}
"""The levels at which a peer without TLS still gets its mail."""


def client_tls(b: Builder) -> bool:
    """Whether anything leaves with TLS."""
    outbound, relay = b.site.outbound, b.site.relay
    levels = [each.tls for each in (outbound, relay) if each is not None]
    if outbound is not None:
        levels += [destination.tls for destination in outbound.destinations.values()]
    return any(level != "none" for level in levels)


def client_optional(b: Builder) -> bool:
    """Whether TLS is optional on any way out."""
    outbound, relay = b.site.outbound, b.site.relay
    levels = [each.tls for each in (outbound, relay) if each is not None]
    if outbound is not None:
        levels += [destination.tls for destination in outbound.destinations.values()]
    return any(level in OPTIONAL for level in levels)


def compile_outbound(b: Builder) -> None:
    """Set what `[outbound]` and `[relay]` say. With a relay all mail goes there, so its level is the general one."""
    outbound, relay = b.site.outbound, b.site.relay
    if outbound is None and relay is None:
        return
    if client_tls(b) and b.site.tls is None:
        b.report(
            "missing-key",
            "mail leaves with TLS, and the policy has no [tls]",
            ("relay",) if relay else ("outbound",),
            help='[tls] with guideline = "mozilla-6.0-intermediate"',
        )
    entries: list[str] = []
    if relay is not None:
        own = outbound is not None and "tls" in outbound.model_fields_set
        _relay(b, relay, entries if own else None)
    if outbound is not None:
        if relay is None or "tls" in outbound.model_fields_set:
            _level(b, outbound.tls, outbound.match, ("nexthop", "dot-nexthop"), ("outbound",))
        if relay is not None and outbound.destinations and "transport_maps" not in b.site.postfix.main:
            b.report(
                "destinations-behind-relay",
                "with [relay] all mail has one next hop, so a policy per destination is never looked up",
                ("outbound", "destinations"),
                severity=Severity.WARNING,
                help="remove it, or send these destinations past the relay with transport_maps in [postfix.main]",
                at_key=True,
            )
        for next_hop, destination in outbound.destinations.items():
            entries.append(_destination(b, next_hop, destination))
        if outbound.certificate is not None:
            key: Path = ("outbound", "certificate")
            for name, value in identity_settings(b, "smtp", chosen(b, outbound.certificate, key)):
                b.set(name, value, key)
    _authorities(b)
    if entries:
        if b.postfix.series < (3, 0):
            b.report(
                "parameter-too-new",
                f"a policy per destination needs tables inside main.cf, Postfix 3.0; the target is {b.postfix}",
                ("outbound", "destinations"),
                help="remove it, or set postfix to the version that the host really has",
            )
        key = ("outbound", "destinations") if outbound and outbound.destinations else ("relay", "tls")
        b.set("smtp_tls_policy_maps", f"inline:{{ {', '.join(entries)} }}", key)


def _level(b: Builder, level: str, match: Sequence[str] | None, default: Sequence[str], key: Path) -> None:
    """The general level for outgoing mail."""
    postfix = LEVELS[level]
    if level == "verified" and list(match or ()) == ["hostname"]:
        postfix = "verify"
    b.set("smtp_tls_security_level", postfix, (*key, "tls"))
    _match_fits(b, level, match, key)
    if postfix == "secure":
        b.set("smtp_tls_secure_cert_match", ", ".join(match or default), (*key, "match"))
    elif postfix == "verify":
        b.set("smtp_tls_verify_cert_match", "hostname", (*key, "match"))


def _match_fits(b: Builder, level: str, match: Sequence[str] | None, key: Path) -> None:
    if match is not None and level != "verified":
        b.report(
            "match-unused",
            f'match has no meaning with tls = "{level}"',
            (*key, "match"),
            effect="no name in the peer's certificate is compared",
            help='write tls = "verified", or remove match',
            at_key=True,
        )


def _destination(b: Builder, next_hop: str, destination: Destination) -> str:
    """One entry of smtp_tls_policy_maps."""
    key: Path = ("outbound", "destinations", next_hop)
    _match_fits(b, destination.tls, destination.match, key)
    level = LEVELS[destination.tls]
    words = ["verify" if level == "secure" and destination.match == ["hostname"] else level]
    if destination.match and words[0] == "secure":
        words.append(f"match={':'.join(destination.match)}")
    if destination.minimum is not None:
        if destination.tls in OPTIONAL and PROTOCOLS.index(destination.minimum) > PROTOCOLS.index("TLSv1.2"):
            b.report(
                "guideline-relaxed",
                f"{destination.minimum} is demanded where TLS is optional",
                (*key, "minimum"),
                severity=Severity.WARNING,
                effect=f"a peer that offers less is sent the mail in cleartext after one deferral ({next_hop})",
                help='write tls = "required", or a lower minimum',
            )
        words.append(f"protocols={protocol_list(destination.minimum, b.postfix).replace(', ', ':')}")
    return f"{{ {next_hop} = {' '.join(words)} }}"


def _authorities(b: Builder) -> None:
    """Name the authorities that are believed, once anything is verified."""
    outbound, relay = b.site.outbound, b.site.relay
    wanted: list[tuple[str | None, Path]] = []
    if relay is not None and (relay.tls == "verified" or relay.ca_file):
        wanted.append((relay.ca_file, ("relay", "ca_file")))
    if outbound is not None:
        verified = outbound.tls == "verified" and (relay is None or "tls" in outbound.model_fields_set)
        verified = verified or any(each.tls == "verified" for each in outbound.destinations.values())
        if verified or outbound.ca_file:
            wanted.append((outbound.ca_file, ("outbound", "ca_file")))
    files = [(path, key) for path, key in wanted if path]
    if len({path for path, _ in files}) > 1:
        b.report(
            "ca-clash",
            "relay.ca_file and outbound.ca_file differ, and Postfix has one smtp_tls_CAfile",
            files[1][1],
            help="put both authorities into one file",
        )
    if wanted:
        path, key = files[0] if files else (None, wanted[0][1])
        b.set("smtp_tls_CAfile", path or b.platform.certificates.ca_bundle, key, "" if path else b.platform.id)
        # A packaged main.cf may name a directory of all public authorities, which would be believed as well.
        b.set("smtp_tls_CApath", "", key)
    levels = [each.tls for each in (outbound, relay) if each is not None]
    levels += [each.tls for each in outbound.destinations.values()] if outbound else []
    if any(level.startswith("dane") for level in levels):
        b.set("smtp_dns_support_level", "dnssec", ("outbound", "tls") if outbound else ("relay", "tls"))


def _relay(b: Builder, relay: Relay, entries: list[str] | None) -> None:
    """The relay. `entries`: where its TLS policy goes when [outbound] has a general level of its own."""
    next_hop = f"{relay.host}:{relay.port}" if relay.mx_lookup else f"[{relay.host}]:{relay.port}"
    b.set("relayhost", next_hop, ("relay", "host"))
    implicit = relay.mode == "implicit" or (relay.mode is None and relay.port == 465)
    if implicit and relay.tls not in ENCRYPTED:
        b.report(
            "relay-wrappermode",
            f'TLS from the first byte cannot be "{relay.tls}"',
            ("relay", "tls"),
            help='write tls = "verified" (or "required")',
        )
    default = ("nexthop", "dot-nexthop") if relay.mx_lookup else ("nexthop",)
    if entries is None:
        _level(b, relay.tls, relay.match, default, ("relay",))
    else:
        if implicit:
            b.report(
                "relay-wrappermode",
                "a relay with TLS from the first byte sets that for all outgoing mail, so [outbound] can have no level",
                ("outbound", "tls"),
                help="remove outbound.tls, or use the relay's STARTTLS port",
            )
        _match_fits(b, relay.tls, relay.match, ("relay",))
        match = list(relay.match or default)
        level = "verify" if relay.tls == "verified" and match == ["hostname"] else LEVELS[relay.tls]
        suffix = f" match={':'.join(match)}" if level == "secure" else ""
        entries.append(f"{{ {next_hop} = {level}{suffix} }}")
    b.set("smtp_tls_wrappermode", yes_no(implicit), ("relay", "mode" if relay.mode else "port"), optional=not implicit)
    _credentials(b, relay)


def _credentials(b: Builder, relay: Relay) -> None:
    key: Path = ("relay", "credentials")
    b.set("smtp_sasl_auth_enable", yes_no(relay.credentials is not None), key)
    if relay.credentials is None:
        return
    if relay.tls not in ENCRYPTED and "noplaintext" not in relay.security_options:
        b.report(
            "relay-credentials-exposed",
            f'with tls = "{relay.tls}" the password can go to the relay in cleartext',
            ("relay", "tls"),
            effect="anyone on the path reads it, or makes it so by removing STARTTLS",
            help='write tls = "verified"',
        )
    kind = relay.credentials_type or b.platform.postfix.default_table_type
    if kind not in b.platform.postfix.table_types and kind not in b.platform.packages.tables:
        b.report(
            "table-type-unsupported",
            f"{b.platform.title} has no {kind} tables",
            ("relay", "credentials_type"),
            help=f"one of: {', '.join(b.platform.postfix.table_types)}",
        )
    b.need(*b.platform.packages.tables.get(kind, ()), *b.platform.packages.client)
    b.set("smtp_sasl_password_maps", f"{kind}:{relay.credentials}", key)
    b.set("smtp_sasl_security_options", ", ".join(relay.security_options), ("relay", "security_options"))
    b.set("smtp_sasl_tls_security_options", ", ".join(relay.tls_security_options), ("relay", "tls_security_options"))
    if relay.mechanisms is not None:
        b.set("smtp_sasl_mechanism_filter", ", ".join(relay.mechanisms).lower(), ("relay", "mechanisms"))
    b.steps.append(
        Step("credentials-mode", f"chmod 0600 {relay.credentials}", "create it first: a line [host]:port user:password")
    )
    if kind in ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm"):
        command = f"postmap {kind}:{relay.credentials}"
        b.steps.append(Step("credentials", command, "Postfix reads the indexed copy of the credentials"))
