"""Hosts for tests of reports: one of each state, and what is hard to print wherever a machine can put it."""

from __future__ import annotations

from hypothesis import strategies as st

from mailcfg.configuration import Origin
from mailcfg.drift.difference import SCHEMA, Cause, Difference, Expiry, Ignored, Status, Unknown
from mailcfg.reports.drift.json import Because, Consequence, Document, Listener, Meets
from mailcfg.reports.hosts import Host
from tests.reports.test_findings import HOSTILE, texts

CHECKED = 1_795_878_420
"""2026-11-28 15:07 UTC."""

DAY = 86_400

ORIGIN = Origin("quickstart.toml", 17, 1, "mx.auth")

AUTH_ONLY = Difference(
    "changed", "/etc/postfix/main.cf", 71, "smtpd_tls_auth_only", "", "yes", "no", "error", ORIGIN,
    effects=("port 25: AUTH PLAIN LOGIN is offered in cleartext",), cause="edited-by-hand",
)  # fmt: skip

OVERRIDE = AUTH_ONLY._replace(
    kind="extra", file="/etc/postfix/master.cf", line=21, setting="smtpd_tls_loglevel", service="submission/inet",
    desired=None, live="4", severity="info", origin=None, effects=(), cause=None, harmless=True,
)  # fmt: skip

MODE = AUTH_ONLY._replace(
    kind="mode", file="/etc/ssl/private/mail.key", line=None, setting="", desired="0600", live="0644", effects=(),
    explanation=("every user of the machine can read it",), cause="both",
)  # fmt: skip

MISSING = AUTH_ONLY._replace(
    kind="missing", line=None, setting="smtpd_tls_mandatory_protocols", desired=">=TLSv1.2", live=None, effects=(),
    cause="policy-ahead", severity="warning",
)  # fmt: skip

ENDPOINT = Meets(
    "smtp/inet", 25, "", True, "offered", ("TLSv1.2", "TLSv1.3"), (), (), legacy_auth_line=False, cleartext_mail=True
)  # fmt: skip

CONSEQUENCE = Consequence(
    "port 25", "smtp/inet", "auth_before_tls",
    "AUTH is not offered before TLS", "AUTH PLAIN LOGIN is offered in cleartext",
    weaker=True, severity="error", reasons=(
        Because("smtpd_sasl_type", "cyrus", "/etc/postfix/main.cf", 31),
        Because("smtpd_tls_auth_only", "no", "/etc/postfix/main.cf", 71),
        Because("smtpd_sasl_mechanism_filter", "!external, static:rest", None, None),
    ),
)  # fmt: skip

IN_SYNC = Document(
    SCHEMA, "berlin", "in-sync", (), (), (Expiry("mail", "/etc/ssl/certs/mail.pem", CHECKED + 62 * DAY),),
    consequences=(), ignored=(), endpoints=(Listener(*ENDPOINT, desired=ENDPOINT),), checked=CHECKED,
)  # fmt: skip

DRIFTING = IN_SYNC._replace(
    site="quickstart",
    status="drift",
    differences=(AUTH_ONLY, MISSING, OVERRIDE, MODE),
    consequences=(
        CONSEQUENCE,
        CONSEQUENCE._replace(where="port 587", now="TLSv1 is accepted", was="TLSv1.2 is the least", severity="warning"),
    ),
    ignored=(Ignored(OVERRIDE._replace(harmless=False), "a test of the provider", "2027-01-31"),),
    endpoints=(Listener(*ENDPOINT._replace(auth_before_tls=("PLAIN", "LOGIN")), desired=ENDPOINT),),
)

UNKNOWN = DRIFTING._replace(
    site="madrid",
    status="unknown",
    unknown=(Unknown("/etc/postfix/main.cf", None, "Permission denied"), Unknown("/etc/aliases", 3, "no table")),
)

EVERY = (Host("quickstart", DRIFTING), Host("berlin", IN_SYNC), Host("madrid", UNKNOWN))


def hostile(text: str) -> Host:
    """A host that has one text wherever a machine or a policy can put one."""
    reason = Because(text, text, text, 3, text)
    listener = ENDPOINT._replace(service=text, address=text, protocols=(text,), auth_before_tls=(text,))
    row = Difference("changed", text, 7, text, text, text, text, "error", Origin(text, 1, 1, text), (text,), (text,))
    return Host(
        text or "empty",
        Document(
            SCHEMA,
            text or "empty",
            "unknown",
            (row, row._replace(harmless=True, desired=None, line=None), row._replace(kind="mode", live=None)),
            (Unknown(text, None, text), Unknown(text, 2, text)),
            (Expiry(text, text, CHECKED + DAY),),
            consequences=(Consequence(text, text, text, text, text, True, "warning", (reason,)),),
            ignored=(Ignored(row, text, text),),
            endpoints=(Listener(*listener, desired=ENDPOINT), Listener(*ENDPOINT, desired=listener)),
            checked=CHECKED,
        ),
    )


HARD = tuple(map(hostile, HOSTILE))

origins = st.none() | st.builds(Origin, texts, st.integers(0, 3), st.integers(0, 3), texts)
causes: st.SearchStrategy[Cause | None] = st.sampled_from([None, "edited-by-hand", "policy-ahead", "both"])
differences = st.builds(
    Difference,
    st.sampled_from(
        ["changed", "missing", "extra", "duplicate", "shadowed", "mode", "owner", "certificate", "pending"]
    ),
    texts,
    st.none() | st.integers(1, 9),
    texts,
    texts,
    st.none() | texts,
    st.none() | texts,
    st.sampled_from(["error", "warning", "info"]),
    origins,
    st.lists(texts, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    causes,
    st.booleans(),
)
found = st.lists(differences, max_size=3).map(tuple)
unread = st.lists(st.builds(Unknown, texts, st.none() | st.integers(1, 9), texts), max_size=2).map(tuple)


def _host(name: str, differences: tuple[Difference, ...], unknown: tuple[Unknown, ...], ignored: list[Ignored]) -> Host:
    status: Status = "unknown" if unknown else "drift" if differences else "in-sync"
    return Host(
        name or "x",
        DRIFTING._replace(site=name, differences=differences, unknown=unknown, status=status, ignored=tuple(ignored)),
    )


hosts = st.lists(
    st.builds(_host, texts, found, unread, st.lists(st.builds(Ignored, differences, texts, texts), max_size=2)),
    min_size=1,
    max_size=3,
).map(tuple)
