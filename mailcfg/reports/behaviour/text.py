"""The behaviour of a mail host for people: a table, and under it why everything is as it is."""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.model import Endpoint, Hop, Reason
from mailcfg.behaviour.routes import is_local
from mailcfg.configuration import Origin
from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.reports.behaviour import decides, scope_of, values
from mailcfg.reports.text import clean
from mailcfg.rule import Subject, label
from mailcfg.secrets import shown

LONGEST = 72
"""How many characters of a value are shown."""

NOT_READ = "not read; RSA is assumed"

HEAD = ("endpoint", "TLS", "versions", "AUTH before", "AUTH inside TLS", "verdict")
GOOD, BAD, SO_SO = "32", "31", "33"


def render(name: str, subject: Subject, endpoints: tuple[Endpoint, ...], parameter: str, color: bool) -> str:
    """The table of the endpoints and the way out, then the reasons; of one parameter alone, its value everywhere."""
    head = f"{name}: {subject.platform.id}, Postfix {subject.postfix}"
    if subject.configuration.hostname:
        head += f", {subject.configuration.hostname}"
    lines = [clean(head), ""]
    if parameter:
        lines += _parameter(subject, name, parameter)
        return "\n".join(clean(line) for line in lines) + "\n"
    everything = len(endpoints) == len(subject.behaviour.endpoints)
    rows = [_row(each) for each in endpoints]
    if everything:
        rows += [_way_out(each) for each in subject.behaviour.outbound]
    lines += _table(rows, color)
    why: list[str] = []
    if subject.behaviour.unknown:
        why += ["", *(f"not known: {each}" for each in subject.behaviour.unknown)]
    for endpoint in endpoints:
        why += ["", f"{label(endpoint)} ({endpoint.service})", *_reasons(endpoint)]
    if everything:
        for hop in subject.behaviour.outbound:
            why += ["", _hop_name(hop), *_hop_reasons(hop)]
    # The table has colours of ours in it; nothing below has.
    return "\n".join([*lines, *map(clean, why)]) + "\n"


def _table(rows: list[tuple[str, ...]], color: bool) -> list[str]:
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    found: list[str] = []
    for row in (HEAD, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = clean("  ".join(cells).rstrip())
        if color and row is HEAD:
            line = f"\x1b[1m{line}\x1b[0m"
        elif color:
            verdict = clean(row[-1])
            line = line[: len(line) - len(verdict)] + f"\x1b[{_grade(verdict)}m{verdict}\x1b[0m"
        found.append(line)
    return found


def _grade(verdict: str) -> str:
    if verdict.startswith(("dead", "broken", "passwords can", "mail leaves in clear")):
        return BAD
    return GOOD if verdict.startswith("nothing") else SO_SO


def _row(each: Endpoint) -> tuple[str, ...]:
    return (
        f"{each.address + ':' if each.address else ':'}{each.port or each.service.partition('/')[0]}",
        each.tls if each.works else "dead",
        " ".join(each.protocols) or "-",
        " ".join(each.auth_before_tls) or "-",
        " ".join(each.auth_after_tls) or "-",
        verdict(each),
    )


def verdict(each: Endpoint) -> str:
    """What matters most about an endpoint, in a few words."""
    if not each.works:
        return f"dead: {each.causes[0]}" if each.causes else "dead"
    known = mechanisms().known
    if any(known.get(name, UNKNOWN).needs == "password" for name in each.auth_before_tls):
        return "passwords can pass in clear"
    if each.tls == "broken":
        return f"broken: {each.causes[-1]}" if each.causes else "broken"
    hopeless = [mechanism.name for mechanism in each.mechanisms_after if mechanism.succeeds is False]
    more = f"; {', '.join(hopeless)} can never succeed" if hopeless else ""
    if not each.cleartext_mail:
        return f"nothing passes in clear{more}"
    if not any((each.auth_before_tls, each.auth_after_tls, each.because.get("auth"))):
        return "mail may pass in clear, AUTH is not known"
    if any("still accepted" in reason.words for reason in each.because.get("auth", ())):
        return "mail may pass in clear, AUTH is not announced and still accepted"
    if each.tls == "none":
        return "mail passes in clear, no password is taken" if not each.auth_before_tls else "mail passes in clear"
    return f"mail may pass in clear, passwords never{more}" if each.auth_after_tls else "mail may pass in clear"


def _hop_name(hop: Hop) -> str:
    what = f"to {hop.next_hop}" if hop.next_hop else "to whatever is routed here" if not hop.routed else "to everybody"
    return f"out {what} ({hop.service})"


def _way_out(hop: Hop) -> tuple[str, ...]:
    to = hop.next_hop or ("*" if hop.routed else f"? by {hop.service}")
    password = ("sent" if hop.plaintext_credentials else "sent, not by PLAIN or LOGIN") if hop.credentials else "-"
    return (
        f"→ {to}",
        hop.tls,
        " ".join(hop.protocols) or "-",
        "in clear" if hop.credentials_in_clear else "-",
        password,
        _hop_verdict(hop),
    )


def _hop_verdict(hop: Hop) -> str:
    if hop.causes and "no mail leaves" in hop.causes[0]:
        return f"dead: {hop.causes[0]}"
    return _hop_words(hop) + (", unless a table says otherwise" if hop.table else "")


def _hop_words(hop: Hop) -> str:
    if hop.routed is False:
        return "nothing is routed here"
    if is_local(hop.next_hop):
        return "nothing leaves this machine"
    if hop.credentials_in_clear:
        return "passwords can leave in clear"
    if hop.tls == "none":
        return "mail leaves in clear"
    if hop.falls_back_to_cleartext and hop.tls == "dane":
        return "mail leaves in clear where a peer without TLSA records offers less"
    if hop.falls_back_to_cleartext:
        return "mail leaves in clear where the peer offers less"
    return "nothing leaves in clear" + ("" if hop.checked else ", the peer's certificate is not checked")


# --- why -------------------------------------------------------------------------------------------------------------


def _reasons(each: Endpoint) -> Iterator[str]:
    if not each.works:
        yield f"  no session gets past the banner: {'; '.join(each.causes)}"
        yield from _chain(each.because.get("works", ()))
        for unknown in each.unknown:
            yield f"  not known: {unknown}"
        return
    yield f"  {_tls_words(each)}"
    yield from _chain(each.because.get("tls", ()))
    if each.encrypts:
        yield f"  a client can use {' and '.join(each.protocols)}"
        yield from _chain(each.because.get("protocols", ()))
        if each.suites:
            count = ", ".join(f"{len(names)} with {proof}" for proof, names in each.suites.items())
            yield f"  cipher suites up to TLS 1.2: {count}"
            yield from _chain(each.because.get("suites", ()))
        for certificate in each.certificates:
            names = f" for {', '.join(certificate.names)}" if certificate.names else ""
            what = f"{certificate.key_type}{names}" if certificate.read else NOT_READ
            yield f"  it shows {certificate.file}: {what}"
        yield from _chain(each.because.get("certificates", ()))
    yield from _auth_reasons(each)
    for cause in each.causes if each.tls != "broken" else ():
        yield f"  {cause}"
    for unknown in each.unknown:
        yield f"  not known: {unknown}"


def _tls_words(each: Endpoint) -> str:
    match each.tls:
        case "none":
            return "there is no TLS"
        case "offered":
            return "TLS is offered: a client may use STARTTLS, and mail is taken without it"
        case "required":
            return "TLS is required: before STARTTLS nothing is taken"
        case "implicit":
            return "TLS begins with the first byte"
        case _:
            return f"TLS is broken: STARTTLS is advertised, and no client can complete it: {each.causes[-1]}"


def _auth_reasons(each: Endpoint) -> Iterator[str]:
    before, after = each.because.get("auth_before_tls", ()), each.because.get("auth_after_tls", ())
    if not each.auth_before_tls and not each.auth_after_tls:
        never = each.because.get("auth", ())
        yield "  AUTH is never offered" if never else "  whether AUTH is offered is not known"
        yield from _chain(never or after)
        return
    if each.auth_before_tls:
        yield f"  AUTH {' '.join(each.auth_before_tls)} is offered before TLS"
        yield from _chain(before)
    elif each.tls != "implicit":
        hides = next((reason for reason in before if reason.setting == "smtpd_tls_auth_only"), None)
        if hides is not None and hides.value.lower() == "yes":
            yield f"  AUTH is hidden before STARTTLS because {hides.setting} is yes: no password is asked for in clear"
            yield from _chain((hides,))
        else:
            yield "  AUTH is hidden before STARTTLS because TLS is required here"
            yield from _chain(each.because.get("tls", ())[:1])
    if each.auth_after_tls:
        yield f"  AUTH {' '.join(each.auth_after_tls)} is offered inside TLS"
        yield from _chain(reason for reason in after if reason.setting != "smtpd_tls_auth_only")
    for mechanism in dict.fromkeys((*each.mechanisms_before, *each.mechanisms_after)):
        if mechanism.succeeds is not True:
            how = "can never succeed" if mechanism.succeeds is False else "may or may not succeed"
            yield f"    {mechanism.name} {how}: {mechanism.why}"
    if each.legacy_auth_line:
        yield "  AUTH= is announced as well, for clients of another age"
        yield from _chain(each.because.get("legacy_auth_line", ()))


def _hop_reasons(hop: Hop) -> Iterator[str]:
    words = {
        "none": "mail leaves without TLS",
        "opportunistic": "TLS is used where the peer offers it",
        "required": "TLS is required, whoever the peer is",
        "verified": "TLS is required, and the peer's certificate is checked",
        "dane": "TLS is what the peer's TLSA records ask for",
    }
    yield f"  {words[hop.tls]}"
    yield from _chain(hop.because.get("tls", ()))
    if hop.falls_back_to_cleartext and hop.tls == "dane":
        yield "  a peer without TLSA records that offers less gets the mail in clear after a deferral"
        yield "  a peer that has TLSA records never gets it in clear"
    elif hop.falls_back_to_cleartext and hop.tls != "none":
        yield "  a peer that offers less, or whose handshake fails, gets the mail in clear after a deferral"
    if hop.protocols_with_records not in ((), hop.protocols):
        without, signed = (" and ".join(each) or "no TLS" for each in (hop.protocols, hop.protocols_with_records))
        yield f"  it speaks {without} to a peer without TLSA records, {signed} to one that has them"
        yield from _chain(hop.because.get("protocols", ()))
    elif hop.protocols:
        yield f"  it speaks {' and '.join(hop.protocols)}"
        yield from _chain(hop.because.get("protocols", ()))
    if hop.credentials:
        clear = "can leave in clear" if hop.credentials_in_clear else "never leaves in clear"
        yield f"  the password {clear}"
        yield from _chain(hop.because.get("credentials_in_clear", ()))
        if not hop.plaintext_credentials:
            yield "  inside TLS it is sent only by a mechanism without plaintext, never by PLAIN or LOGIN"
            yield from _chain(hop.because.get("plaintext_credentials", ()))
    for cause in hop.causes:
        yield f"  {cause}"
    for unknown in hop.unknown:
        yield f"  not known: {unknown}"
    if hop.routed is None:
        yield "  not known: whether any mail goes this way"


def _chain(reasons: object) -> Iterator[str]:
    assert isinstance(reasons, tuple) or hasattr(reasons, "__iter__")
    seen: set[tuple[str, str]] = set()
    for each in reasons:
        if (each.setting, each.words) in seen:
            continue
        seen.add((each.setting, each.words))
        yield f"    {_reason(each)}"


def _reason(each: Reason) -> str:
    value = shown(each.setting, each.value)
    value = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    if each.words and not value:
        text = f"{each.setting}: {each.words}" if each.setting else each.words
    else:
        text = f"{each.setting} = {value}".rstrip() + (f" ({each.words})" if each.words else "")
    return f"{text} ← {origin_words(each.origin)}"


def origin_words(origin: Origin) -> str:
    """Where a value comes from: `mx.auth, quickstart.toml:17 ← mozilla-6.0-intermediate`."""
    if not origin.file:
        return "Postfix's default"
    place = f"{origin.file}:{origin.line}" if origin.line else origin.file
    text = f"{origin.key}, {place}" if origin.key else place
    return f"{text} ← {origin.via}" if origin.via else text


def _parameter(subject: Subject, target: str, name: str) -> Iterator[str]:
    """The value of a parameter, in main.cf and wherever a service has another one, and what it decides."""
    yield f"{name}"
    for service, reason in values(subject, target, name):
        yield f"  {service or 'main.cf'}: {_reason(reason)}"
    said: list[str] = []
    everything: list[Endpoint | Hop] = [*subject.behaviour.endpoints, *subject.behaviour.outbound]
    for each in everything:
        scope = scope_of(subject, each)
        what = [_FIELDS.get(key, key) for key, reasons in each.because.items() if decides(scope, name, reasons)]
        if what:
            whose = _hop_name(each) if isinstance(each, Hop) else label(each)
            said.append(f"  {whose}: it has a say in {', '.join(what)}")
    yield ""
    yield from said or ["  it is not among the reasons of this prediction"]


_FIELDS = {
    "tls": "whether there is TLS",
    "protocols": "the protocol versions",
    "suites": "the cipher suites",
    "certificates": "the certificate",
    "off": "why TLS is off",
    "works": "why it is dead",
    "auth": "why AUTH is never offered",
    "auth_before_tls": "AUTH before TLS",
    "auth_after_tls": "AUTH inside TLS",
    "legacy_auth_line": "whether AUTH= is announced as well",
    "falls_back_to_cleartext": "whether mail falls back to cleartext",
    "plaintext_credentials": "whether PLAIN or LOGIN may be used inside TLS",
    "credentials_in_clear": "whether a password can leave in clear",
    "implicit": "whether TLS begins with the first byte",
}
