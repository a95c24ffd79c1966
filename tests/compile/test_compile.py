"""What each key of a policy becomes, as sentences: a small policy, and the settings that must come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailcfg import render
from mailcfg.compile import Compiled
from mailcfg.configuration import Origin, Service
from mailcfg.facts.guidelines import guideline, guideline_names
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.platforms import platform, platform_names
from mailcfg.facts.version import Version
from mailcfg.problem import PolicyError, Severity
from tests.sites import compiled_text, parameters

MAIL = '[certificates.mail]\nissuer = "existing"\n'
SASL = '[sasl]\nbackend = "saslauthd"\n'


def policy(*parts: str, on: str = "debian-12", guide: str = "mozilla-6.0-intermediate", version: str = "") -> str:
    """A policy with TLS by a guideline and one certificate, and the parts of a test."""
    head = f'hostname = "mail.example.com"\nplatform = "{on}"\n'
    if version:
        head += f'postfix = "{version}"\n'
    tls = f'[tls]\nguideline = "{guide}"\n' if guide else ""
    return head + tls + "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def service(of: Compiled, id: str) -> Service:
    (found,) = [each for each in of.configuration.services if each.id == id]
    return found


def overrides(of: Compiled, id: str) -> dict[str, str]:
    return {setting.name: setting.value for setting in service(of, id).overrides}


def origin(of: Compiled, name: str) -> Origin:
    (found,) = [setting.origin for setting in of.configuration.parameters if setting.name == name]
    return found


def smtpd_conf(of: Compiled) -> list[str]:
    """Lines of smtpd.conf without comments."""
    (sasl,) = of.configuration.sasl
    return [line for line in render.sasl_file(sasl).splitlines() if not line.startswith("#")]


def files(of: Compiled) -> dict[str, str]:
    """Content of further files by their place on the host."""
    return {file.target: file.content for file in of.configuration.files}


def rules(of: Compiled) -> list[str]:
    return [finding.rule for finding in of.findings]


def refused(tmp_path: Path, text: str) -> dict[str, str]:
    """Rules and keys of the errors of a policy that cannot be compiled."""
    with pytest.raises(PolicyError) as caught:
        compiled_text(tmp_path, text)
    return {each.rule: each.key for each in caught.value.findings if each.severity is Severity.ERROR}


# --- a parameter is spelt for the version, and only set where it exists ----------------------------------------------


@pytest.mark.parametrize(
    ("version", "value"),
    [
        ("3.10", ">=TLSv1.2"),
        ("3.6", ">=TLSv1.2"),
        ("3.5", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"),
        ("3.4", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"),
    ],
)
def test_protocols_are_a_range_from_3_6_on_and_exclusions_before(tmp_path: Path, version: str, value: str) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", "[outbound]", version=version)))
    for side in ("smtpd", "smtp"):
        assert set_to[f"{side}_tls_protocols"] == value
        assert set_to[f"{side}_tls_mandatory_protocols"] == value


def test_a_certificate_is_shown_as_a_chain_from_3_4_on(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", version="3.4")))
    assert set_to["smtpd_tls_chain_files"] == "/etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem"
    # A packaged main.cf may name another certificate in the older parameters.
    assert set_to["smtpd_tls_cert_file"] == ""
    assert set_to["smtpd_tls_key_file"] == ""


@pytest.mark.parametrize(
    ("key", "certificate", "private"),
    [
        ("ecdsa-p256", "smtpd_tls_eccert_file", "smtpd_tls_eckey_file"),
        ("rsa-3072", "smtpd_tls_cert_file", "smtpd_tls_key_file"),
    ],
)
def test_before_3_4_certificate_and_key_have_parameters_by_type(
    tmp_path: Path, key: str, certificate: str, private: str
) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(f'{MAIL}key = "{key}"', "[mx]", version="3.3")))
    assert set_to[certificate] == "/etc/ssl/certs/mail.pem"
    assert set_to[private] == "/etc/ssl/private/mail.key"
    assert "smtpd_tls_chain_files" not in set_to


TWO = """[certificates.new]
issuer = "existing"
[certificates.old]
issuer = "existing"
key = "rsa-3072"
"""


def test_two_certificates_are_one_chain_each_key_before_its_certificate(tmp_path: Path) -> None:
    text = policy('certificate = ["new", "old"]', TWO, "[mx]")
    assert parameters(compiled_text(tmp_path, text))["smtpd_tls_chain_files"] == (
        "/etc/ssl/private/new.key, /etc/ssl/certs/new.pem, /etc/ssl/private/old.key, /etc/ssl/certs/old.pem"
    )


def test_a_listener_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    text = policy('certificate = "new"', TWO, "[mx]", "[listeners.old-phones]\nport = 2525\ncertificate = 'old'")
    made = compiled_text(tmp_path, text)
    assert parameters(made)["smtpd_tls_chain_files"] == "/etc/ssl/private/new.key, /etc/ssl/certs/new.pem"
    assert overrides(made, "2525/inet")["smtpd_tls_chain_files"] == "/etc/ssl/private/old.key,/etc/ssl/certs/old.pem"


VERSIONS = ("2.6", "2.8", "2.10", "2.11", "3.0", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11")


def full(on: str, guide: str, version: str = "") -> str:
    """A policy that uses as much of the language as the target can take."""
    series = Version.parse(version or platform(on).postfix.version).series
    mechanism = platform(on).saslauthd.mechanisms[0]
    parts = [
        "anonymous_ciphers = true",
        MAIL + 'key = "rsa-3072"',
        '[mx]\nauth = "inside-tls"\nclient_restrictions = ["permit_mynetworks"]',
        "[submission]\nclient_restrictions = ['permit_mynetworks', 'reject']",
        "[submissions]",
        '[listeners.inner]\nport = 2525\naddress = "192.0.2.1"\ntls = "offered"',
        'auth = "anywhere"\ncertificate = "mail"',
        f'{SASL}realm = "example.com"\nlegacy_auth_line = true\n[sasl.saslauthd]\nmechanism = "{mechanism}"',
        '[outbound]\ntls = "dane"\ncertificate = "mail"' if series >= (2, 11) else "[outbound]",
    ]
    if mechanism == "rimap":
        parts.append('[sasl.saslauthd.rimap]\nhost = "imap.example.com"')
    if series >= (3, 0):
        parts.append('[outbound.destinations]\n"example.org" = { tls = "verified" }')
    return policy(*parts, on=on, guide=guide, version=version)


def unknown_to_target(of: Compiled) -> list[str]:
    known = catalogue().known_to(Version.parse(of.configuration.postfix))
    names = [setting.name for setting in of.configuration.parameters]
    names += [setting.name for each in of.configuration.services for setting in each.overrides]
    return [name for name in names if not known[name]]


@pytest.mark.parametrize("on", platform_names())
def test_nothing_is_set_that_the_platform_does_not_know(tmp_path: Path, on: str) -> None:
    openssl = Version.parse(platform(on).openssl.version)
    for guide in (*guideline_names(), "custom"):
        if guide != "custom" and openssl < Version(1, 1, 1) and guideline(guide).minimum != "TLSv1":
            assert "protocol-unsupported" in refused(tmp_path, full(on, guide))
            continue
        made = compiled_text(tmp_path, full(on, guide))
        assert unknown_to_target(made) == [], guide
        assert len(made.configuration.parameters) > 15
        assert len(made.configuration.services) == 4


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_set_that_the_version_does_not_know(tmp_path: Path, version: str) -> None:
    for guide in guideline_names():
        assert unknown_to_target(compiled_text(tmp_path, full("debian-12", guide, version))) == [], guide


def test_what_only_a_newer_postfix_has_is_refused_not_left_out(tmp_path: Path) -> None:
    text = policy("[outbound]", '[outbound.destinations]\n"example.org" = { tls = "required" }', version="2.11")
    assert refused(tmp_path, text) == {"parameter-too-new": "outbound.destinations"}
    text = policy('[relay]\nhost = "smtp.example.net"\nport = 465', version="2.11")
    assert refused(tmp_path, text) == {"parameter-too-new": "relay.port"}


def test_a_version_newer_than_all_that_is_known_is_compiled_with_a_warning(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", version="9.9"))
    assert rules(made) == ["postfix-version"]
    assert parameters(made)["smtpd_tls_protocols"] == ">=TLSv1.2"


def test_a_version_older_than_all_that_can_be_compiled_for(tmp_path: Path) -> None:
    assert "postfix-version" in refused(tmp_path, policy(MAIL, "[mx]", version="2.2"))


# --- the guideline ---------------------------------------------------------------------------------------------------

PAIRS = ("protocols", "ciphers", "exclude_ciphers")


@pytest.mark.parametrize("guide", guideline_names())
def test_the_optional_and_the_mandatory_of_each_pair_are_set(tmp_path: Path, guide: str) -> None:
    """Postfix reads one of them by the security level, and a host has listeners of both kinds."""
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", "[outbound]", guide=guide)))
    for side in ("smtpd", "smtp"):
        for name in PAIRS:
            assert f"{side}_tls_{name}" in set_to
            assert f"{side}_tls_mandatory_{name}" in set_to


def test_only_the_side_that_speaks_tls_is_set(tmp_path: Path) -> None:
    server = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]")))
    assert not [name for name in server if name.startswith("smtp_")]
    client = parameters(compiled_text(tmp_path, policy("[outbound]")))
    assert not [name for name in client if name.startswith("smtpd_")]


def test_tls_1_3_is_demanded_only_where_tls_is(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", "[submission]", SASL, "[outbound]", guide="mozilla-6.0-modern"))
    set_to = parameters(made)
    for side in ("smtpd", "smtp"):
        assert set_to[f"{side}_tls_protocols"] == ">=TLSv1.2"
        assert set_to[f"{side}_tls_mandatory_protocols"] == ">=TLSv1.3"
    assert overrides(made, "submission/inet")["smtpd_tls_security_level"] == "encrypt"
    assert "smtpd_tls_mandatory_protocols" not in overrides(made, "submission/inet")
    # A guideline of TLS 1.3 alone has no ciphers, and Postfix takes an empty list for an error.
    assert set_to["tls_high_cipherlist"] == ":".join(guideline("mozilla-6.0-intermediate").ciphers)
    (finding,) = made.findings
    assert (finding.rule, finding.severity, finding.key) == ("guideline-relaxed", Severity.INFO, "tls.guideline")
    assert "TLSv1.2" in finding.message


def test_nothing_is_relaxed_where_tls_is_required_everywhere(tmp_path: Path) -> None:
    text = policy(
        MAIL, "[submission]", "[submissions]", SASL, '[outbound]\ntls = "required"', guide="mozilla-6.0-modern"
    )
    assert rules(compiled_text(tmp_path, text)) == []


def test_groups_are_those_that_postfix_and_openssl_know(tmp_path: Path) -> None:
    old = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", on="debian-12")))
    assert old["tls_eecdh_auto_curves"] == "X25519 prime256v1 secp384r1"
    assert "tls_ffdhe_auto_groups" not in old
    new = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", on="debian-13")))
    assert new["tls_eecdh_auto_curves"] == "X25519MLKEM768 X25519 prime256v1 secp384r1"
    assert new["tls_ffdhe_auto_groups"] == ""


def test_groups_of_old_style_dh_are_kept_where_the_guideline_has_its_ciphers(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", on="debian-13", guide="mozilla-5.7-intermediate")))
    assert "DHE-RSA-AES128-GCM-SHA256" in set_to["tls_high_cipherlist"].split(":")
    assert "tls_ffdhe_auto_groups" not in set_to


@pytest.mark.parametrize(("guide", "value"), [("rfc9325", "yes"), ("mozilla-6.0-intermediate", "no")])
def test_whose_order_of_ciphers_wins(tmp_path: Path, guide: str, value: str) -> None:
    assert parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", guide=guide)))["tls_preempt_cipherlist"] == value


def excluded(of: dict[str, str], name: str) -> list[str]:
    return of[f"{name}_exclude_ciphers"].split(", ")


def test_anonymous_ciphers_are_excluded_everywhere(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", "[outbound]")))
    for side in ("smtpd", "smtp"):
        assert "aNULL" in excluded(set_to, f"{side}_tls")
        assert "aNULL" in excluded(set_to, f"{side}_tls_mandatory")


def test_anonymous_ciphers_may_be_used_where_tls_is_optional(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy("anonymous_ciphers = true", MAIL, "[mx]", "[outbound]")))
    for side in ("smtpd", "smtp"):
        assert "aNULL" not in excluded(set_to, f"{side}_tls")
        assert "aNULL" in excluded(set_to, f"{side}_tls_mandatory")


def test_ciphers_are_the_guidelines_only_where_tls_is_mandatory(tmp_path: Path) -> None:
    """Elsewhere a peer that shares none of them would get the mail in clear; what is broken stays out even there."""
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", "[outbound]", guide="rfc9325"))
    set_to = parameters(made)
    for side in ("smtpd", "smtp"):
        assert set_to[f"{side}_tls_mandatory_ciphers"] == "high"
        assert set_to[f"{side}_tls_ciphers"] == "medium"
        assert {"RC4", "3DES", "MD5", "eNULL"} <= set(excluded(set_to, f"{side}_tls"))
        assert origin(made, f"{side}_tls_ciphers").via != origin(made, f"{side}_tls_mandatory_ciphers").via
    assert set_to["tls_high_cipherlist"] == ":".join(guideline("rfc9325").ciphers)
    assert "tls_medium_cipherlist" not in set_to


CUSTOM = """minimum = "TLSv1.3"
ciphers = ["ECDHE-RSA-AES256-GCM-SHA384"]
groups = ["X448"]
server_preference = true
"""


def test_a_guideline_of_ones_own(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(CUSTOM, MAIL, "[mx]", guide="custom"))
    set_to = parameters(made)
    assert set_to["smtpd_tls_protocols"] == ">=TLSv1.2"
    assert set_to["smtpd_tls_mandatory_protocols"] == ">=TLSv1.3"
    assert set_to["tls_high_cipherlist"] == "ECDHE-RSA-AES256-GCM-SHA384"
    assert set_to["tls_eecdh_auto_curves"] == "X448"
    assert set_to["tls_preempt_cipherlist"] == "yes"
    assert rules(made) == ["guideline-relaxed"]


def test_a_guideline_of_ones_own_leaves_to_postfix_what_it_does_not_say(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[mx]", guide="custom")))
    for name in (
        "smtpd_tls_mandatory_protocols",
        "tls_high_cipherlist",
        "tls_eecdh_auto_curves",
        "tls_preempt_cipherlist",
    ):
        assert name not in set_to
    assert set_to["smtpd_tls_exclude_ciphers"] == "aNULL"


def test_a_group_that_the_platform_lacks_is_refused(tmp_path: Path) -> None:
    text = policy('groups = ["X25519MLKEM768", "X25519"]', MAIL, "[mx]", guide="custom")
    assert refused(tmp_path, text) == {"group-unsupported": "tls.groups"}


def test_a_guideline_decides_alone(tmp_path: Path) -> None:
    text = policy('minimum = "TLSv1.3"', MAIL, "[mx]")
    assert refused(tmp_path, text) == {"guideline-override": "tls.minimum"}


# --- listeners -------------------------------------------------------------------------------------------------------


def test_port_25_offers_tls_and_takes_no_password(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[mx]"))
    set_to = parameters(made)
    assert set_to["smtpd_tls_security_level"] == "may"
    assert set_to["smtpd_sasl_auth_enable"] == "no"
    assert set_to["smtpd_tls_auth_only"] == "yes"
    assert overrides(made, "smtp/inet") == {}


def test_submission_requires_tls_and_a_password(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL))
    assert overrides(made, "submission/inet") == {
        "syslog_name": "postfix/submission",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_tls_auth_only": "yes",
        "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
    }
    # What other services, which this policy does not know, get from main.cf.
    assert parameters(made)["smtpd_tls_security_level"] == "may"
    assert parameters(made)["smtpd_sasl_auth_enable"] == "no"
    assert origin(made, "smtpd_tls_security_level").via == "there is no [mx]"


@pytest.mark.parametrize(("on", "name"), [("debian-12", "submissions"), ("rhel-9", "smtps")])
def test_submissions_begins_with_tls_under_the_platforms_name(tmp_path: Path, on: str, name: str) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submissions]", SASL, on=on))
    settings = overrides(made, f"{name}/inet")
    assert settings["smtpd_tls_wrappermode"] == "yes"
    assert settings["smtpd_tls_security_level"] == "encrypt"
    assert settings["smtpd_sasl_auth_enable"] == "yes"
    assert settings["syslog_name"] == "postfix/submissions"


def test_a_further_listener_requires_tls_and_takes_no_password(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", "[listeners.inner]\nport = 2525"))
    assert overrides(made, "2525/inet") == {
        "syslog_name": "postfix/inner",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_sasl_auth_enable": "no",
        "smtpd_tls_auth_only": "yes",
    }


@pytest.mark.parametrize(
    ("address", "id"), [("192.0.2.1", "192.0.2.1:2525/inet"), ("2001:db8::1", "[2001:db8::1]:2525/inet")]
)
def test_a_listener_on_one_address(tmp_path: Path, address: str, id: str) -> None:
    made = compiled_text(tmp_path, policy(MAIL, f'[listeners.inner]\nport = 2525\naddress = "{address}"'))
    assert service(made, id).command == "smtpd"


def test_a_listener_on_another_port_is_called_by_it(tmp_path: Path) -> None:
    assert service(compiled_text(tmp_path, policy(MAIL, "[mx]\nport = 10025")), "10025/inet").name == "10025"


def test_without_tls_a_password_may_only_pass_where_the_policy_says_so(tmp_path: Path) -> None:
    text = policy('[mx]\ntls = "none"\nauth = "anywhere"', SASL, guide="")
    set_to = parameters(compiled_text(tmp_path, text))
    assert set_to["smtpd_tls_security_level"] == "none"
    assert set_to["smtpd_tls_auth_only"] == "no"
    assert refused(tmp_path, text.replace("anywhere", "inside-tls")) == {"auth-without-tls": "mx.tls"}


def test_restrictions_are_entries_of_main_cf_or_of_the_service(tmp_path: Path) -> None:
    text = policy(
        MAIL,
        '[mx]\nrelay_restrictions = ["permit_mynetworks", "reject_unauth_destination"]',
        '[submission]\nclient_restrictions = ["check_client_access cidr:/etc/postfix/clients", "reject"]',
        SASL,
    )
    made = compiled_text(tmp_path, text)
    assert parameters(made)["smtpd_relay_restrictions"] == "permit_mynetworks, reject_unauth_destination"
    wanted = "check_client_access cidr:/etc/postfix/clients,reject"
    assert overrides(made, "submission/inet")["smtpd_client_restrictions"] == wanted
    assert f"-o {{ smtpd_client_restrictions = {wanted} }}" in render.master(made.configuration)


def test_before_2_10_who_may_relay_is_said_where_clients_are(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL, version="2.9"))
    assert overrides(made, "submission/inet")["smtpd_client_restrictions"] == "permit_sasl_authenticated,reject"
    assert "smtpd_relay_restrictions" not in overrides(made, "submission/inet")


@pytest.mark.parametrize(
    ("on", "sasl", "chroot"),
    [
        ("debian-12", SASL, "y"),
        ("rhel-9", SASL, "n"),
        ("debian-13", SASL, "n"),  # Its saslauthd cannot put the socket into the chroot.
        ("debian-12", '[sasl]\nbackend = "sasldb"\n', "n"),
        ("debian-12", '[sasl]\nbackend = "dovecot"\n', "y"),
    ],
)
def test_a_listener_runs_in_the_chroot_unless_that_hides_the_backend(
    tmp_path: Path, on: str, sasl: str, chroot: str
) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", "[submission]", sasl, on=on))
    assert service(made, "submission/inet").chroot == chroot
    assert service(made, "smtp/inet").chroot == ("y" if platform(on).postfix.chroot else "n")


# --- who checks passwords --------------------------------------------------------------------------------------------


def test_the_announcements_and_limits_of_auth(tmp_path: Path) -> None:
    more = 'legacy_auth_line = true\nauthenticated_header = true\nrealm = "example.com"\nservice = "mail"'
    set_to = parameters(compiled_text(tmp_path, policy(MAIL, "[submission]", SASL + more)))
    wanted = {
        "smtpd_sasl_type": "cyrus",
        "smtpd_sasl_path": "mail",
        "smtpd_sasl_security_options": "noanonymous",
        "smtpd_sasl_tls_security_options": "noanonymous",
        "broken_sasl_auth_clients": "yes",
        "smtpd_sasl_authenticated_header": "yes",
        "smtpd_sasl_local_domain": "example.com",
    }
    assert {name: set_to[name] for name in wanted} == wanted


def test_where_cyrus_sasl_can_be_told_its_directory_it_is(tmp_path: Path) -> None:
    for on in platform_names():
        if platform(on).openssl.version >= "1.1.1":
            mechanism = platform(on).saslauthd.mechanisms[0]
            made = compiled_text(
                tmp_path, policy(MAIL, "[submission]", f"{SASL}[sasl.saslauthd]\nmechanism='{mechanism}'", on=on)
            )
            wanted = platform(on).sasl.config_directory if platform(on).sasl.config_path_honoured else None
            assert parameters(made).get("cyrus_sasl_config_path") == wanted
            assert made.configuration.sasl[0].path == f"{platform(on).sasl.config_directory}/smtpd.conf"


def test_saslauthd_in_the_chroot_is_found_by_its_usual_path(tmp_path: Path) -> None:
    """libsasl2 looks at /var/run/saslauthd, which inside the chroot is the directory that the settings name."""
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL))
    assert smtpd_conf(made) == ["pwcheck_method: saslauthd", "mech_list: PLAIN LOGIN"]
    assert files(made) == {
        "/etc/default/saslauthd": "START=yes\n"
        'DESC="SASL Authentication Daemon"\n'
        'NAME="saslauthd"\n'
        'MECHANISMS="pam"\n'
        'MECH_OPTIONS=""\n'
        "THREADS=5\n"
        'OPTIONS="-m /var/spool/postfix/var/run/saslauthd"\n'
    }
    steps = {step.name: step.run for step in made.configuration.steps}
    assert steps["saslauthd-socket"] == "install -d -m 0710 -o root -g sasl /var/spool/postfix/var/run/saslauthd"
    assert steps["saslauthd-group"] == "adduser postfix sasl"


def test_saslauthd_outside_the_chroot(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]\nchroot = false", SASL))
    assert smtpd_conf(made) == ["pwcheck_method: saslauthd", "mech_list: PLAIN LOGIN"]
    assert 'OPTIONS="-m /var/run/saslauthd"\n' in files(made)["/etc/default/saslauthd"]
    assert "saslauthd-socket" not in {step.name for step in made.configuration.steps}


@pytest.mark.parametrize(("chroot", "seen"), [("true", "/run/auth/mux"), ("false", "/var/spool/postfix/run/auth/mux")])
def test_a_socket_elsewhere_is_named_as_smtpd_sees_it(tmp_path: Path, chroot: str, seen: str) -> None:
    more = '[sasl.saslauthd]\nsocket_directory = "/var/spool/postfix/run/auth"'
    made = compiled_text(tmp_path, policy(MAIL, f"[submission]\nchroot = {chroot}", SASL + more))
    assert smtpd_conf(made) == ["pwcheck_method: saslauthd", f"saslauthd_path: {seen}", "mech_list: PLAIN LOGIN"]
    assert "-m /var/spool/postfix/run/auth" in files(made)["/etc/default/saslauthd"]


def test_a_socket_that_the_chroot_hides_is_refused(tmp_path: Path) -> None:
    more = '[sasl.saslauthd]\nsocket_directory = "/run/auth"'
    text = policy(MAIL, "[submission]\nchroot = true", SASL + more)
    assert refused(tmp_path, text) == {"saslauthd-socket-chroot": "sasl.saslauthd.socket_directory"}


def test_all_installed_mechanisms_means_no_list(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL + 'mechanisms = "all-installed"'))
    assert smtpd_conf(made) == ["pwcheck_method: saslauthd"]


def test_sasldb(tmp_path: Path) -> None:
    more = '[sasl]\nbackend = "sasldb"\nmechanisms = ["SCRAM-SHA-256", "PLAIN"]'
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", more))
    assert smtpd_conf(made) == [
        "pwcheck_method: auxprop",
        "auxprop_plugin: sasldb",
        "sasldb_path: /etc/sasldb2",
        "mech_list: SCRAM-SHA-256 PLAIN",
    ]
    assert not made.configuration.sasl[0].partly


SQL = """[sasl]
backend = "sql"
[sasl.sql]
engine = "pgsql"
database = "mail"
statement = "SELECT password FROM users WHERE name = '%u' AND realm = '%r'"
hosts = ["db1.example.com:5432", "db2.example.com"]
user = "postfix"
"""


def test_sql(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SQL))
    assert smtpd_conf(made) == [
        "pwcheck_method: auxprop",
        "auxprop_plugin: sql",
        "sql_engine: pgsql",
        "sql_hostnames: db1.example.com:5432, db2.example.com",
        "sql_user: postfix",
        "sql_database: mail",
        "sql_select: SELECT password FROM users WHERE name = '%u' AND realm = '%r'",
        "sql_usessl: yes",
        "mech_list: PLAIN LOGIN",
    ]
    # The password stays on the host: the file is not the policy's whole, and a build never writes over it.
    assert made.configuration.sasl[0].partly
    (step,) = [step for step in made.configuration.steps if step.name == "smtpd.conf"]
    target = "/etc/postfix/sasl/smtpd.conf"
    assert step.run == f"[ -e {target} ] || install -D -m 0640 -g postfix sasl2/smtpd.conf {target}"


def test_sql_in_a_file_needs_no_password(tmp_path: Path) -> None:
    table = 'engine = "sqlite3"\ndatabase = "/var/lib/mail/users"\nstatement = "SELECT p FROM u"\n'
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", f'[sasl]\nbackend = "sql"\n[sasl.sql]\n{table}'))
    assert smtpd_conf(made)[2:] == [
        "sql_engine: sqlite3",
        "sql_database: /var/lib/mail/users",
        "sql_select: SELECT p FROM u",
        "mech_list: PLAIN LOGIN",
    ]
    assert not made.configuration.sasl[0].partly


@pytest.mark.parametrize(
    ("uri", "more", "lines", "partly"),
    [
        ("ldap://ldap.example.com", "", ["ldapdb_mech: EXTERNAL", "ldapdb_starttls: demand"], False),
        (
            "ldaps://ldap.example.com",
            'rc_file = "/etc/l.conf"',
            ["ldapdb_mech: EXTERNAL", "ldapdb_rc: /etc/l.conf"],
            False,
        ),
        ("ldapi:///", 'mechanism = "DIGEST-MD5"', ["ldapdb_mech: DIGEST-MD5"], True),
    ],
)
def test_ldapdb(tmp_path: Path, uri: str, more: str, lines: list[str], partly: bool) -> None:
    table = f'[sasl]\nbackend = "ldapdb"\n[sasl.ldapdb]\nuri = "{uri}"\nidentity = "proxy"\n{more}'
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", table))
    head = ["pwcheck_method: auxprop", "auxprop_plugin: ldapdb", f"ldapdb_uri: {uri}", "ldapdb_id: proxy"]
    assert smtpd_conf(made) == [*head, *lines, "mech_list: PLAIN LOGIN"]
    assert made.configuration.sasl[0].partly == partly


@pytest.mark.parametrize(
    ("on", "target", "lines"),
    [
        (
            "rhel-9",
            "/etc/sysconfig/saslauthd",
            ["SOCKETDIR=/run/saslauthd", "MECH=rimap", 'FLAGS="-n 3 -O imap.example.com/1143 -r"'],
        ),
        (
            "opensuse-leap-15.6",
            "/etc/sysconfig/saslauthd",
            [
                "SASLAUTHD_AUTHMECH=rimap",
                "SASLAUTHD_THREADS=3",
                'SASLAUTHD_PARAMS="-m /run/sasl2 -O imap.example.com/1143 -r"',
            ],
        ),
        (
            "alpine-3.20",
            "/etc/conf.d/saslauthd",
            ['SASLAUTHD_OPTS="-m /run/saslauthd -a rimap -n 3 -O imap.example.com/1143 -r"'],
        ),
        (
            "freebsd-14",
            "/etc/rc.conf",
            [
                'saslauthd_enable="YES"',
                'saslauthd_flags="-m /var/run/saslauthd -a rimap -n 3 -O imap.example.com/1143 -r"',
            ],
        ),
        (
            "debian-12",
            "/etc/default/saslauthd",
            [
                "START=yes",
                'DESC="SASL Authentication Daemon"',
                'NAME="saslauthd"',
                'MECHANISMS="rimap"',
                'MECH_OPTIONS=""',
                "THREADS=3",
                'OPTIONS="-m /var/spool/postfix/var/run/saslauthd -O imap.example.com/1143 -r"',
            ],
        ),
    ],
)
def test_saslauthds_own_settings_in_the_style_of_the_platform(
    tmp_path: Path, on: str, target: str, lines: list[str]
) -> None:
    more = (
        '[sasl.saslauthd]\nmechanism = "rimap"\nprocesses = 3\n[sasl.saslauthd.rimap]\nhost = "imap.example.com:1143"'
    )
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL + more, on=on))
    assert files(made)[target].splitlines() == lines
    (file,) = [file for file in made.configuration.files if file.target == target]
    assert file.ownership == ("part" if target == "/etc/rc.conf" else "whole")


def test_saslauthd_with_ldap(tmp_path: Path) -> None:
    more = """[sasl.saslauthd]
mechanism = "ldap"
[sasl.saslauthd.ldap]
servers = ["ldap://a.example.com", "ldap://b.example.com"]
search_base = "ou=people,dc=example,dc=com"
start_tls = true
"""
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL + more))
    assert files(made)["/etc/saslauthd.conf"].splitlines() == [
        "ldap_servers: ldap://a.example.com ldap://b.example.com",
        "ldap_search_base: ou=people,dc=example,dc=com",
        "ldap_filter: (uid=%u)",
        "ldap_auth_method: bind",
        "ldap_start_tls: yes",
        "ldap_tls_check_peer: yes",
        "ldap_tls_cacert_file: /etc/ssl/certs/ca-certificates.crt",
    ]
    assert " -O /etc/saslauthd.conf" in files(made)["/etc/default/saslauthd"]


def test_a_mechanism_that_the_platforms_saslauthd_lacks(tmp_path: Path) -> None:
    text = policy(MAIL, "[submission]", SASL + '[sasl.saslauthd]\nmechanism = "sasldb"', on="rhel-9")
    assert refused(tmp_path, text) == {"saslauthd-mechanism": "sasl.saslauthd.mechanism"}


@pytest.mark.parametrize(
    ("chroot", "socket", "path"),
    [
        ("true", "", "private/auth"),
        ("false", "", "private/auth"),
        ("true", "/var/spool/postfix/var/auth", "var/auth"),
        ("false", "/run/dovecot/auth", "/run/dovecot/auth"),
    ],
)
def test_dovecots_socket_is_named_as_smtpd_sees_it(tmp_path: Path, chroot: str, socket: str, path: str) -> None:
    more = '[sasl]\nbackend = "dovecot"\n' + (f'[sasl.dovecot]\nsocket = "{socket}"' if socket else "")
    made = compiled_text(tmp_path, policy(MAIL, f"[submission]\nchroot = {chroot}", more))
    assert parameters(made)["smtpd_sasl_type"] == "dovecot"
    assert parameters(made)["smtpd_sasl_path"] == path
    assert made.configuration.sasl == ()
    assert files(made)["/etc/dovecot/conf.d/99-mailcfg.conf"].splitlines() == [
        "auth_mechanisms = plain login",
        "",
        "service auth {",
        f"  unix_listener {socket or '/var/spool/postfix/private/auth'} {{",
        "    mode = 0660",
        "    user = postfix",
        "    group = postfix",
        "  }",
        "}",
    ]


# --- the way out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tls", "wanted"),
    [
        ('tls = "none"', {"smtp_tls_security_level": "none"}),
        ("", {"smtp_tls_security_level": "may"}),
        ('tls = "required"', {"smtp_tls_security_level": "encrypt"}),
        (
            'tls = "verified"',
            {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "nexthop, dot-nexthop"},
        ),
        (
            'tls = "verified"\nmatch = ["hostname"]',
            {"smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "hostname"},
        ),
        (
            'tls = "verified"\nmatch = ["nexthop", "mx.example.org"]',
            {"smtp_tls_security_level": "secure", "smtp_tls_secure_cert_match": "nexthop, mx.example.org"},
        ),
        ('tls = "dane"', {"smtp_tls_security_level": "dane", "smtp_dns_support_level": "dnssec"}),
        ('tls = "dane-only"', {"smtp_tls_security_level": "dane-only", "smtp_dns_support_level": "dnssec"}),
    ],
)
def test_the_levels_of_delivery(tmp_path: Path, tls: str, wanted: dict[str, str]) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(f"[outbound]\n{tls}")))
    names = (
        "smtp_tls_security_level",
        "smtp_tls_secure_cert_match",
        "smtp_tls_verify_cert_match",
        "smtp_dns_support_level",
    )
    assert {name: set_to[name] for name in names if name in set_to} == wanted
    verified = "verified" in tls
    assert set_to.get("smtp_tls_CAfile") == ("/etc/ssl/certs/ca-certificates.crt" if verified else None)


def test_match_without_verification_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, policy('[outbound]\nmatch = ["hostname"]')) == {"match-unused": "outbound.match"}


RELAY = '[relay]\nhost = "smtp.example.net"\n'


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (
            "",
            {
                "relayhost": "[smtp.example.net]:587",
                "smtp_tls_security_level": "secure",
                "smtp_tls_secure_cert_match": "nexthop",
                "smtp_tls_wrappermode": "no",
            },
        ),
        ("port = 465", {"relayhost": "[smtp.example.net]:465", "smtp_tls_wrappermode": "yes"}),
        ('port = 465\nmode = "starttls"', {"relayhost": "[smtp.example.net]:465", "smtp_tls_wrappermode": "no"}),
        ('port = 4465\nmode = "implicit"', {"relayhost": "[smtp.example.net]:4465", "smtp_tls_wrappermode": "yes"}),
        (
            "mx_lookup = true",
            {"relayhost": "smtp.example.net:587", "smtp_tls_secure_cert_match": "nexthop, dot-nexthop"},
        ),
        ('tls = "opportunistic"', {"smtp_tls_security_level": "may"}),
        ('match = ["hostname"]', {"smtp_tls_security_level": "verify", "smtp_tls_verify_cert_match": "hostname"}),
        ('ca_file = "/etc/ssl/own.pem"', {"smtp_tls_CAfile": "/etc/ssl/own.pem"}),
        (
            'credentials = "/etc/postfix/p"\nmechanisms = ["PLAIN"]',
            {
                "smtp_sasl_auth_enable": "yes",
                "smtp_sasl_password_maps": "hash:/etc/postfix/p",
                "smtp_sasl_security_options": "noanonymous, noplaintext",
                "smtp_sasl_tls_security_options": "noanonymous",
                "smtp_sasl_mechanism_filter": "plain",
            },
        ),
        (
            'credentials = "/etc/postfix/p"\ncredentials_type = "texthash"',
            {"smtp_sasl_password_maps": "texthash:/etc/postfix/p"},
        ),
    ],
)
def test_a_relay(tmp_path: Path, more: str, wanted: dict[str, str]) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(RELAY + more)))
    assert {name: set_to.get(name) for name in wanted} == wanted
    if "credentials" not in more:
        assert set_to["smtp_sasl_auth_enable"] == "no"
        assert "smtp_sasl_password_maps" not in set_to


def test_an_indexed_file_of_credentials_is_indexed(tmp_path: Path) -> None:
    for more, runs in (
        ("", ["chmod 0600 /etc/postfix/p", "postmap hash:/etc/postfix/p"]),
        ('credentials_type = "texthash"', ["chmod 0600 /etc/postfix/p"]),
    ):
        made = compiled_text(tmp_path, policy(f'{RELAY}credentials = "/etc/postfix/p"\n{more}'))
        assert [step.run for step in made.configuration.steps if step.name.startswith("credentials")] == runs


def test_tls_from_the_first_byte_cannot_be_optional(tmp_path: Path) -> None:
    text = policy(f'{RELAY}port = 465\ntls = "opportunistic"')
    assert refused(tmp_path, text) == {"relay-wrappermode": "relay.tls"}


def test_a_password_does_not_go_to_a_relay_in_clear(tmp_path: Path) -> None:
    text = policy(f'{RELAY}tls = "none"\ncredentials = "/etc/postfix/p"\nsecurity_options = ["noanonymous"]')
    assert refused(tmp_path, text) == {"relay-credentials-exposed": "relay.tls"}


def test_with_a_level_for_all_mail_the_relay_has_its_own_in_a_table(tmp_path: Path) -> None:
    set_to = parameters(compiled_text(tmp_path, policy(RELAY, '[outbound]\ntls = "opportunistic"')))
    assert set_to["smtp_tls_security_level"] == "may"
    assert set_to["smtp_tls_policy_maps"] == "inline:{ { [smtp.example.net]:587 = secure match=nexthop } }"
    assert set_to["smtp_tls_CAfile"] == "/etc/ssl/certs/ca-certificates.crt"


def test_a_relay_alone_decides_for_all_mail(tmp_path: Path) -> None:
    """`[outbound]` without `tls` does not mean its default, opportunistic: all mail goes to the relay."""
    set_to = parameters(compiled_text(tmp_path, policy(RELAY, "[outbound]")))
    assert set_to["smtp_tls_security_level"] == "secure"
    assert "smtp_tls_policy_maps" not in set_to


@pytest.mark.parametrize(("version", "protocols"), [("3.7", ">=TLSv1.2"), ("3.5", "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1")])
def test_destinations(tmp_path: Path, version: str, protocols: str) -> None:
    table = """[outbound]
[outbound.destinations]
"example.org" = { tls = "verified", match = ["nexthop", "mail.example.org"] }
".example.net" = { tls = "verified", match = ["hostname"] }
"[gate.example.com]:25" = { tls = "required", minimum = "TLSv1.2" }
"plain.example.com" = { tls = "none" }
"""
    made = compiled_text(tmp_path, policy(table, version=version))
    assert parameters(made)["smtp_tls_policy_maps"] == (
        "inline:{ { example.org = secure match=nexthop:mail.example.org }, { .example.net = verify }, "
        f"{{ [gate.example.com]:25 = encrypt protocols={protocols} }}, {{ plain.example.com = none }} }}"
    )
    assert made.findings == []


def test_tls_1_3_towards_a_destination_where_tls_is_optional_is_warned_of(tmp_path: Path) -> None:
    table = '[outbound.destinations]\n"example.org" = { tls = "opportunistic", minimum = "TLSv1.3" }'
    assert rules(compiled_text(tmp_path, policy("[outbound]", table))) == ["guideline-relaxed"]


# --- every value knows why -------------------------------------------------------------------------------------------


def test_origins(tmp_path: Path) -> None:
    text = policy(
        MAIL, "[mx]\ntls = 'required'", "[submission]", SASL, "[outbound]", "[postfix.main]", "mail_name = 'x'"
    )
    made = compiled_text(tmp_path, text)

    def line(start: str) -> int:
        return next(number for number, each in enumerate(text.splitlines(), 1) if each.startswith(start))

    wanted = {
        "myhostname": ("hostname", "", line("hostname")),
        "smtpd_tls_mandatory_protocols": ("tls.guideline", "mozilla-6.0-intermediate", line("guideline")),
        "smtpd_tls_exclude_ciphers": ("tls.anonymous_ciphers", "default", line("[tls]")),
        "smtpd_tls_chain_files": ("tls.certificate", "default", line("[tls]")),
        "smtpd_tls_security_level": ("mx.tls", "", line("tls = 'required'")),
        "smtpd_sasl_auth_enable": ("mx.auth", "default", line("[mx]")),
        "smtpd_sasl_type": ("sasl.backend", "", line("backend")),
        "broken_sasl_auth_clients": ("sasl.legacy_auth_line", "default", line("[sasl]")),
        "smtp_tls_security_level": ("outbound.tls", "default", line("[outbound]")),
        "mail_name": ("postfix.main.mail_name", "", line("mail_name")),
    }
    for name, (key, via, number) in wanted.items():
        found = origin(made, name)
        assert (found.key, found.via, found.line, found.file) == (key, via, number, "site.toml"), name
    assert service(made, "submission/inet").origin.line == line("[submission]")


def test_the_authorities_of_the_platform_come_from_the_platform(tmp_path: Path) -> None:
    made = compiled_text(tmp_path, policy(RELAY))
    assert origin(made, "smtp_tls_CAfile").via == "debian-12"
    assert origin(made, "smtp_tls_CAfile").key == "relay.ca_file"


# --- what no table expresses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(
            """[postfix.main]
office_networks = "192.0.2.0/24"
mynetworks = "127.0.0.0/8, $office_networks"
""",
            id="read by another parameter",
        ),
        pytest.param(
            """[postfix.main]
office_restrictions = "permit_mynetworks, reject"
[postfix.master.submission.options]
smtpd_recipient_restrictions = "$office_restrictions"
""",
            id="read by an option of a service",
        ),
        pytest.param(
            """[postfix.main]
policy_time_limit = 3600
[postfix.master."policy/unix"]
command = "spawn"
arguments = ["user=nobody", "argv=/usr/libexec/policyd"]
""",
            id="a time limit of a service",
        ),
        pytest.param(
            """[postfix.main]
slow_destination_concurrency_limit = 2
[postfix.master."slow/unix"]
command = "smtp"
""",
            id="a limit of a transport",
        ),
        pytest.param(
            """[postfix.main]
smtpd_restriction_classes = ["insiders"]
insiders = "permit_sasl_authenticated, reject"
""",
            id="a restriction class",
        ),
        pytest.param(
            """[postfix.main]
virtual_alias_maps = "ldap:aliases"
aliases_server_host = "ldaps://ldap.example.com"
aliases_search_base = "dc=example,dc=com"
""",
            id="settings of a table",
        ),
        pytest.param(
            """[postfix.master.submission.options]
own_limit = 3
smtpd_client_connection_count_limit = "$own_limit"
""",
            id="an option that another one of the service reads",
        ),
    ],
)
def test_a_parameter_that_only_this_policy_knows_may_be_set_where_something_reads_it(tmp_path: Path, more: str) -> None:
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL, more))
    assert [finding for finding in made.findings if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[postfix.main]\noffice_networks = '192.0.2.0/24'", "postfix.main.office_networks"),
        ("[postfix.main]\npolicy_time_limit = 3600", "postfix.main.policy_time_limit"),
        ("[postfix.main]\naliases_server_host = 'x'", "postfix.main.aliases_server_host"),
        (
            "[postfix.master.submission.options]\nsmtpd_tls_auth_onyl = true",
            "postfix.master.submission.options.smtpd_tls_auth_onyl",
        ),
    ],
)
def test_a_parameter_that_nobody_knows_and_nothing_reads_is_a_typo(tmp_path: Path, more: str, key: str) -> None:
    assert refused(tmp_path, policy(MAIL, "[submission]", SASL, more)) == {"parameter-unknown": key}


def test_what_the_policy_already_decides_cannot_be_set_again(tmp_path: Path) -> None:
    text = policy(MAIL, "[submission]", SASL, "[postfix.main]\nsmtpd_tls_auth_only = false")
    assert refused(tmp_path, text) == {"managed-parameter": "postfix.main.smtpd_tls_auth_only"}
    text = policy(MAIL, "[submission]", SASL, "[postfix.master.submission.options]\nsmtpd_tls_auth_only = false")
    assert refused(tmp_path, text) == {"managed-parameter": "postfix.master.submission.options.smtpd_tls_auth_only"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("true", "yes"),
        ("false", "no"),
        ("52428800", "52428800"),
        ("'$mail_name'", "$mail_name"),
        ("['a', 'b']", "a, b"),
    ],
)
def test_values_are_spelt_as_postfix_does(tmp_path: Path, value: str, text: str) -> None:
    names = {"true": "smtpd_helo_required", "false": "smtpd_helo_required", "52428800": "message_size_limit"}
    name = names.get(value, "smtpd_banner")
    made = compiled_text(tmp_path, policy(MAIL, "[mx]", f"[postfix.main]\n{name} = {value}"))
    assert parameters(made)[name] == text


def test_a_service_of_the_policys_own(tmp_path: Path) -> None:
    table = """[postfix.master."127.0.0.1:10025/inet"]
command = "smtpd"
process_limit = 4
options = { content_filter = "", mynetworks = ["127.0.0.0/8"] }
[postfix.master."filter/unix"]
command = "pipe"
arguments = ["flags=Rq", "user=filter", "argv=/usr/bin/filter -f ${sender}"]
"""
    lines = render.master(compiled_text(tmp_path, policy(MAIL, "[mx]", table)).configuration).splitlines()
    at = lines.index(next(line for line in lines if line.startswith("127.0.0.1:10025")))
    assert lines[at].split() == ["127.0.0.1:10025", "inet", "n", "-", "n", "-", "4", "smtpd"]
    assert lines[at + 1 : at + 3] == ["  -o content_filter=", "  -o mynetworks=127.0.0.0/8"]
    at = lines.index(next(line for line in lines if line.startswith("filter")))
    assert lines[at].split() == ["filter", "unix", "y", "-", "n", "-", "-", "pipe"]
    assert lines[at + 1 : at + 4] == ["  flags=Rq", "  user=filter", "  { argv=/usr/bin/filter -f ${sender} }"]


@pytest.mark.parametrize("name", ["submission", "submission/inet"])
def test_options_are_added_to_a_listener_that_the_policy_has(tmp_path: Path, name: str) -> None:
    table = f'[postfix.master."{name}".options]\nsmtpd_helo_required = true'
    made = compiled_text(tmp_path, policy(MAIL, "[submission]", SASL, table))
    assert len(made.configuration.services) == 1
    assert overrides(made, "submission/inet")["smtpd_helo_required"] == "yes"


def test_a_version_in_the_base_and_parameters_in_the_site(tmp_path: Path) -> None:
    """`postfix = "3.10"` is short for a table, and merges with one."""
    (tmp_path / "base.toml").write_text(policy(MAIL, "[mx]", version="3.10"))
    made = compiled_text(tmp_path, 'extends = "base.toml"\n[postfix.main]\nmail_name = "Example"\n')
    assert made.configuration.postfix == "3.10.0"
    assert parameters(made)["mail_name"] == "Example"
    assert origin(made, "mail_name").file == "site.toml"
    assert origin(made, "myhostname").file == "base.toml"
    made = compiled_text(tmp_path, 'extends = "base.toml"\npostfix = "3.5"\n')
    assert made.configuration.postfix == "3.5.0"


def test_what_is_wrong_is_told_all_at_once(tmp_path: Path) -> None:
    text = policy(
        "[mx]\ntls = 'may'", "[submission]", '[outbound]\ntls = "verified"\nmatch = []', "[postfix.main]\nx = 1"
    )
    found = refused(tmp_path, text)
    assert {"bad-value", "certificate-missing", "auth-without-backend", "parameter-unknown"} <= set(found)
