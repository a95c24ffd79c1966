"""A certificate is renewed by an ACME client, and nothing tells Postfix.

What it does: looks for certificates that certbot keeps. In a policy it is one that is called `existing`, for which no
hook is made. On a host it is one for which neither certbot's settings nor its directories have a hook; where that
cannot be told nothing is said.

Why it is bad: a running smtpd shows the old certificate until it is recycled, and tlsproxy, which serves behind
postscreen, for as long as it runs: past the day on which it expires.

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    issuer = "existing"
    certificate_file = "/etc/letsencrypt/live/mail.example.com/fullchain.pem"
    key_file = "/etc/letsencrypt/live/mail.example.com/privkey.pem"
    [mx]

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/letsencrypt/live/mail/all.pem
    # /etc/letsencrypt/live/mail/all.pem = key ecdsa-p256, certificate mail.example.com, intermediate
    # /etc/letsencrypt/renewal/mail.conf = text authenticator = standalone

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    issuer = "acme"
    [mx]

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/letsencrypt/live/mail/all.pem
    # /etc/letsencrypt/live/mail/all.pem = key ecdsa-p256, certificate mail.example.com, intermediate
    # /etc/letsencrypt/renewal/mail.conf = text renew_hook = postfix reload

References: certbot documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import uses

SEVERITY = Severity.WARNING
REFERENCES = ("certbot documentation",)

BASE = "/etc/letsencrypt"
_LIVE = re.compile(rf"{BASE}/live/([^/]+)/")
_HOOK = re.compile(r"^\s*(?:renew_hook|post_hook|deploy-hook|renew-hook|post-hook)\s*=\s*\S", re.MULTILINE)
"""How certbot's settings of one certificate, and its cli.ini, name a command to run after a renewal."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the certificates below certbot's directory."""
    if subject.is_policy:
        for each in subject.configuration.certificates:
            if each.issuer == "existing" and each.certificate_file.startswith(f"{BASE}/live/"):
                yield Said(
                    f"certificate {each.name} is one of certbot, and no hook reloads Postfix when it is renewed",
                    "an old certificate is shown for as long as a process runs that loaded it",
                    each.origin,
                    policy=f'certificates.{each.name}.issuer = "acme"',
                    main="a script in /etc/letsencrypt/renewal-hooks/deploy that runs postfix reload",
                )
        return
    told: set[str] = set()
    for use in uses(subject):
        for path in use.files:
            match = _LIVE.match(path)
            if match is None or match[1] in told:
                continue
            told.add(match[1])
            if not _hookless(subject, match[1]):
                continue
            name, origin = use.of(path)
            yield Said(
                f"nothing reloads Postfix when certbot renews {match[1]}",
                "an old certificate is shown for as long as a process runs that loaded it",
                origin,
                name,
                use.service,
                policy='certificates.NAME.issuer = "acme"',
                main="a script in /etc/letsencrypt/renewal-hooks/deploy that runs postfix reload",
            )


def _hookless(subject: Subject, name: str) -> bool:
    """Whether certbot runs nothing after a renewal: its settings name no hook, and there is no directory with one."""
    settings = subject.around.text(f"{BASE}/renewal/{name}.conf")
    if settings is None or _HOOK.search(settings) or _HOOK.search(subject.around.text(f"{BASE}/cli.ini") or ""):
        return False
    # What is in a directory cannot be told; certbot makes both.
    return all(subject.around.status(f"{BASE}/renewal-hooks/{each}") is None for each in ("deploy", "post"))
