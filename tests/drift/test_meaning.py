"""What counts as the same value, and what does not."""

from __future__ import annotations

import pytest

from mailcfg.drift.meaning import protocols, same, same_sasl
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.version import Version

NEW, OLD = Version(3, 7), Version(3, 5)


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("smtpd_tls_auth_only", "yes", "Yes", True),
        ("smtpd_tls_auth_only", "yes", "no", False),
        ("smtpd_tls_auth_only", "maybe", "MAYBE", False),
        ("smtpd_tls_security_level", "may", "May", True),
        ("smtpd_tls_security_level", "may", "", False),
        ("smtpd_tls_mandatory_ciphers", "high", "HIGH", True),
        ("smtpd_tls_protocols", ">=TLSv1.2", "!SSLv2,!SSLv3,!TLSv1,!TLSv1.1", True),
        ("smtpd_tls_protocols", ">=TLSv1.2", "TLSv1.2", False),
        ("smtpd_tls_protocols", ">=TLSv9", ">=TLSv8", False),
        ("smtpd_tls_protocols", "!SSLv2, !SSLv3", "!SSLv3", True),
        ("lmtp_tls_mandatory_protocols", "TLSv1.3", ">=TLSv1.3", True),
        ("inet_protocols", "ipv4, ipv6", "ipv4 ipv6", True),
        ("smtpd_tls_exclude_ciphers", "aNULL, MD5", "MD5 aNULL", True),
        ("smtpd_tls_exclude_ciphers", "aNULL, MD5", "aNULL", False),
        ("smtpd_tls_exclude_ciphers", "aNULL", "anull", False),
        ("smtpd_sasl_security_options", "noanonymous, noplaintext", "noplaintext,noanonymous", True),
        ("smtpd_sasl_mechanism_filter", "!gssapi, static:all", "static:all, !gssapi", False),
        ("smtpd_sasl_mechanism_filter", "plain, login", "login plain", True),
        ("tls_high_cipherlist", "A:B", "A B", True),
        ("tls_high_cipherlist", "A:B", "B:A", False),
        ("smtpd_relay_restrictions", "permit_mynetworks, reject", "permit_mynetworks reject", True),
        ("smtpd_relay_restrictions", "permit_mynetworks, reject", "reject, permit_mynetworks", False),
        ("smtpd_tls_chain_files", "/a, /b", "/a /b", True),
        ("smtpd_tls_chain_files", "/a, /b", "/b, /a", False),
        ("smtpd_starttls_timeout", "300s", "5m", True),
        ("smtpd_starttls_timeout", "300s", "300", False),  # Which unit 300 has is the parameter's own business.
        ("message_size_limit", "1024", "01024", True),
        ("smtp_tls_policy_maps", "inline:{ a = b }", "inline:{  a =  b }", True),
        ("smtp_tls_policy_maps", "inline:{ {a = b, c} }", "inline:{ {a = b c} }", False),
        ("myhostname", "mail.example.com", "Mail.example.com", False),
        ("smtpd_tls_exclude_ciphers", "aNULL MD5", "aNULL\xa0MD5", False),
        ("smtpd_relay_restrictions", "permit_mynetworks reject", "permit_mynetworks\xa0reject", False),
    ],
)
def test_parameters(name: str, one: str, other: str, equal: bool) -> None:
    parameter = catalogue().get(name)
    assert parameter is not None
    assert same(name, parameter.kind, one, other, NEW) is equal
    assert same(name, parameter.kind, other, one, NEW) is equal


@pytest.mark.parametrize(
    ("value", "postfix", "versions"),
    [
        ("", NEW, "SSLv3 TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"),
        (">=TLSv1.2", NEW, "TLSv1.2 TLSv1.3"),
        (">=TLSv1.2", OLD, None),
        ("<=TLSv1.1", NEW, "SSLv3 TLSv1 TLSv1.1"),
        ("!TLSv1.3", OLD, "SSLv3 TLSv1 TLSv1.1 TLSv1.2"),
        ("TLSv1, !TLSv1", NEW, ""),
        ("=TLSv1", NEW, None),
        ("!!TLSv1", NEW, None),
        ("TLSv1_2", NEW, None),
        ("0x0304", NEW, None),
    ],
)
def test_protocols(value: str, postfix: Version, versions: str | None) -> None:
    assert protocols(value, postfix) == (None if versions is None else frozenset(versions.split()))


@pytest.mark.parametrize(
    ("name", "one", "other", "equal"),
    [
        ("mech_list", "PLAIN LOGIN", "login  plain", True),
        ("mech_list", "PLAIN LOGIN", "PLAIN", False),
        ("mech_list", "PLAIN LOGIN", "PLAIN\xa0LOGIN", False),
        ("mech_list", "PLAIN LOGIN", "PLAIN, LOGIN", False),
        ("pwcheck_method", "saslauthd auxprop", "auxprop saslauthd", False),
        ("sql_usessl", "yes", "1", True),
        ("sql_usessl", "yes", "off", False),
        ("sasldb_path", "/etc/sasldb2", "/etc/SASLDB2", False),
    ],
)
def test_settings_of_sasl(name: str, one: str, other: str, equal: bool) -> None:
    assert same_sasl(name, one, other) is equal
