"""No password is shown, and what is none is."""

from __future__ import annotations

import pytest

from mailcfg.secrets import HIDDEN, masked, shown


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("sql_passwd", "example", True),
        ("ldapdb_pw", "example", True),
        ("ldap_password", "example", True),
        ("myldap_bind_pw", "example", True),
        ("smtp_sasl_password_maps", "hash:/etc/postfix/sasl_passwd", False),
        ("smtp_sasl_password_maps", "proxy:hash:$config_directory/sasl_passwd, lmdb:/etc/x", False),
        ("smtp_sasl_password_maps", "static:user:example", True),
        ("smtp_sasl_password_maps", "inline:{ [a]:587 = user:example }", True),
        ("smtp_sasl_password_maps", "ldap:ldapcreds", False),
        ("sql_passwd", "", False),
        ("smtpd_tls_auth_only", "yes", False),
        ("pwcheck_method", "saslauthd", False),
        ("smtpd_sasl_security_options", "noplaintext", False),
    ],
)
def test_values(name: str, value: str, hidden: bool) -> None:
    assert shown(name, value) == (HIDDEN if hidden else value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sql_passwd: example", f"sql_passwd: {HIDDEN}"),
        ("  ldap_bind_pw=example", f"  ldap_bind_pw={HIDDEN}"),
        ("  -o smtp_sasl_password_maps=static:u:p", f"  -o smtp_sasl_password_maps={HIDDEN}"),
        ("  -o { smtp_sasl_password_maps = static:u:p }", f"  -o {{ smtp_sasl_password_maps = {HIDDEN}"),
        ("x unix - n n - - pipe argv=/x --password=example y", f"x unix - n n - - pipe argv=/x --password={HIDDEN}"),
        ("#sql_passwd: example", f"#sql_passwd: {HIDDEN}"),
        ("smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = yes"),
        ("smtp_sasl_password_maps = hash:/etc/passwords", "smtp_sasl_password_maps = hash:/etc/passwords"),
        ("# a comment about passwords", "# a comment about passwords"),
    ],
)  # fmt: skip
def test_lines(line: str, expected: str) -> None:
    assert masked([line]) == [expected]


def test_a_password_over_several_lines() -> None:
    lines = ["smtp_sasl_password_maps =", "  # which", "  static:user:example", "", "  # so", "relayhost = [a]", "  b"]
    assert "example" not in "\n".join(masked(lines))
    assert masked(lines)[-2:] == lines[-2:]
    rows = ["smtp unix - - n - - smtp", "  -o smtp_sasl_password_maps={", "   static:a:example }", "  -o relayhost=b"]
    assert "example" not in "\n".join(masked(rows))
    assert masked(rows)[3] == rows[3]
