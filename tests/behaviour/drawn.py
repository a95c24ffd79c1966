"""Configurations of smtpd that nobody would write, drawn at random: a seed always draws the same, but for the ports."""

# The tables are easier to read with longer lines than elsewhere.
# ruff: noqa: E501

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mailcfg.facts.version import Version

HOST = "mail.example.com"

Settings = list[tuple[str, str]]


class Layout(NamedTuple):
    """Where things lie, as the daemons see it: below `base`, a directory inside the chroot where there is one."""

    base: str
    postfix: Version

    @property
    def tls(self) -> str:
        return f"{self.base}/tls"

    @property
    def sasl(self) -> str:
        return f"{self.base}/etc/sasl"

    @property
    def spool(self) -> str:
        return f"{self.base}/spool"


class Case(NamedTuple):
    """One listener. `told` says what was drawn, `implicit` whether it probably begins with TLS."""

    seed: int
    number: int
    port: int
    rows: str = ""
    told: tuple[str, ...] = ()
    implicit: bool = False

    def __str__(self) -> str:
        return f"seed {self.seed}, index {self.number}, port {self.port}: {'; '.join(self.told)}\n{self.rows}"


class Batch(NamedTuple):
    """What one Postfix runs: what main.cf says beside the base, the rows of master.cf, and smtpd.conf files by their path
    below `etc`. `furnished`: the socket of saslauthd and the users stand in the chroot too.
    """

    seed: int
    main_cf: str
    cases: tuple[Case, ...]
    sasl: dict[str, str]
    furnished: bool

    @property
    def master_cf(self) -> str:
        return "".join(case.rows for case in self.cases)


class Choice(NamedTuple):
    """What a parameter can be: as somebody might write it, or `odd`, which breaks or stops something."""

    name: str
    usual: tuple[str, ...]
    odd: tuple[str, ...] = ()


# fmt: off

# --- values ----------------------------------------------------------------------------------------------------------

YES, NO = ("yes", "yes", "Yes", "YES"), ("no", "no", "No")

LEVEL = Choice(
    "smtpd_tls_security_level",
    ("may", "may", "may", "encrypt", "encrypt", "none", "May", "ENCRYPT", "None"),
    ("verify", "secure", "fingerprint", "Secure", "dane", "dane-only", "half-dane", "bogus", "", "", "may,encrypt", "0"),
)
USE_TLS = Choice("smtpd_use_tls", (*YES, "no"), ("maybe",))
ENFORCE_TLS = Choice("smtpd_enforce_tls", (*YES, "no"), ("1",))
AUTH_ONLY = Choice("smtpd_tls_auth_only", (*YES, *NO), ("true", "", "yes,no"))
WRAPPER = Choice("smtpd_tls_wrappermode", (*YES, *NO), ("on",))

GRADES = ("medium", "medium", "high", "high", "HIGH", "Medium", "low", "export", "null", "NULL")
OPTIONAL_GRADE = Choice("smtpd_tls_ciphers", GRADES, ("bogus", "", "high,medium"))
MANDATORY_GRADE = Choice("smtpd_tls_mandatory_ciphers", GRADES, ("bogus", "", "high medium"))

LISTS = (
    *("DEFAULT", "HIGH:!aNULL", "ALL", "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH", "ECDHE", "ECDHE+AESGCM:DHE+AESGCM"),
    *("aRSA", "aECDSA", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-SHA"),
    *("kRSA", "DHE", "AES128-SHA", "ALL:@SECLEVEL=0", "DEFAULT:@SECLEVEL=1", "HIGH:@SECLEVEL=2", "ALL:eNULL:@SECLEVEL=0"),
    *("HIGH:nosuch", "ALL:@STRENGTH", "CHACHA20:AES", "HIGH:!kRSA", "ECDSA:RSA", "MEDIUM:HIGH", "AES256:AES128"),
)
ODD_LISTS = ("aNULL", "eNULL", "nosuch", "", "TLS_AES_256_GCM_SHA384", "!ALL", "@SECLEVEL=0", "ALL:@SECLEVEL=3",
             "ALL:@SECLEVEL=9", "ALL:@nosuch", "PSK", "DSS", "aNULL:eNULL:@SECLEVEL=0", "high", "HIGH:!HIGH")
HIGH = Choice("tls_high_cipherlist", LISTS, ODD_LISTS)
MEDIUM = Choice("tls_medium_cipherlist", LISTS, ODD_LISTS)
OTHER_LISTS = (
    Choice("tls_low_cipherlist", LISTS, ODD_LISTS),
    Choice("tls_export_cipherlist", LISTS, ODD_LISTS),
    Choice("tls_null_cipherlist", ("eNULL:!aNULL", "eNULL:@SECLEVEL=0"), ODD_LISTS),
)

EXCLUDED = ("aNULL", "aNULL", "RC4", "kRSA", "aRSA", "aECDSA", "DHE", "eNULL", "AES", "MD5", "3DES", "ECDHE", "SHA1",
            "AES128", "CAMELLIA", "EXPORT", "LOW", "nosuch", "ECDHE-RSA-AES256-GCM-SHA384", "kEDH", "SSLv3", "AESGCM",
            "aNULL+AES", "CHACHA20")
ODD_EXCLUDED = ("!RC4", "ALL", "aRSA aECDSA aNULL", "HIGH", "+AES", "-AES", "@STRENGTH", "DEFAULT", "!aNULL", "SHA1:RC4",
                "aNULL:kRSA", "TLS_AES_256_GCM_SHA384", "TLSv1.2", "TLSv1")

PREEMPT = Choice("tls_preempt_cipherlist", (*YES, *NO), ("2",))
CURVES = Choice(
    "tls_eecdh_auto_curves",
    ("X25519 prime256v1", "X25519", "prime256v1", "secp384r1, X25519", "P-256", "P-256:P-384", "X25519 nosuch", "X448",
     "prime256v1 secp521r1", "secp224r1"),
    ("", "nosuch", "X25519 X25519", "DEFAULT", "ffdhe2048", "?X25519MLKEM768:DEFAULT", "X25519MLKEM768 prime256v1", "auto"),
)
GRADE_OF_CURVES = Choice("smtpd_tls_eecdh_grade", ("auto", "strong", "ultra", "none", "Auto"), ("bogus", ""))
SSL_OPTIONS = Choice(
    "tls_ssl_options",
    ("NO_RENEGOTIATION", "NO_TICKET", "no_ticket, no_renegotiation", "NO_COMPRESSION", "PRIORITIZE_CHACHA", "0x40000000"),
    ("nosuch", "0x0", "ENABLE_MIDDLEBOX_COMPAT", "NO_TICKET nosuch", "0x10000000", "0x08000000", "0x20000000"),
)
DISABLED = Choice("tls_disable_workarounds", ("", "0", "CRYPTOPRO_TLSEXT_BUG"), ("nosuch", "0xFFFFFFFF"))
DH = Choice("smtpd_tls_dh1024_param_file", ("", "auto"), ("/nonexistent/dh.pem",))

ASK = Choice("smtpd_tls_ask_ccert", (*YES, *NO))
REQUIRE = Choice("smtpd_tls_req_ccert", (*YES, *NO))

SASL = Choice("smtpd_sasl_auth_enable", (*YES, "no"), ("true",))
BROKEN = Choice("broken_sasl_auth_clients", (*YES, *NO), ("y",))
TYPE = Choice("smtpd_sasl_type", ("cyrus",), ("CYRUS", "Cyrus", "bogus", "", "dovecot", "dovecot"))

OPTIONS = ("noanonymous", "noanonymous", "noanonymous", "noplaintext", "noplaintext", "noactive", "noactive", "nodictionary",
           "noanonymous", "noanonymous", "mutual_auth", "forward_secrecy")
MILD_OPTIONS = ("noanonymous", "noplaintext", "noanonymous", "noactive")
ODD_OPTIONS = ("nosuch", "NoPlaintext", "noanonymous nosuch", "noplaintext:noanonymous", "NOANONYMOUS", "no-plaintext", "0", ",",
               "noplaintext noanonymous mutual_auth", "noplaintext, nodictionary", "forward_secrecy, noanonymous")

FILTERS = (
    *("!external, static:rest", "static:all", "plain, login", "PLAIN LOGIN", "!plain, static:all", "!login static:rest"),
    *("plain", "Plain", "!ntlm !digest-md5, static:all", "cram-md5, plain", "!anonymous, static:all", "!cram-md5,static:x"),
    *("scram-sha-256, scram-sha-1, plain", "!GSSAPI, !Login, static:all", "plain,login,digest-md5"),
)
FILTER = Choice(
    "smtpd_sasl_mechanism_filter",
    FILTERS,
    ("", "!plain", "nosuch", "!static:all", "gssapi", "!plain !login", "external", "static:all, !plain", "plain:login"),
)
DISCARD = Choice(
    "smtpd_discard_ehlo_keywords",
    ("silent-discard", "silent-discard, dsn", "chunking", "", "pipelining, size"),
    ("starttls", "auth", "starttls, silent-discard", "STARTTLS", "silent-discard, Auth", "starttls auth", "nosuch starttls"),
)

VERSION_WORDS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
BOUNDS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "tlsv1.2", "0303", "0x0304", "301", "SSLv3")
ODD_PROTOCOLS = ("TLSv1_1", "!TLSv1.4", ">=TLSv9", "!", ">= TLSv1.2", ">=", "<=SSLv3", ">=TLSv1.3, <=TLSv1.2", "TLS1.2",
                 "TLSv1.2, !TLSv1.2", "!TLSv1, !TLSv1.1, !TLSv1.2, !TLSv1.3", ">=None", ">=0305", "<=0x0302", "SSLv2",
                 "all", "<TLSv1.2", ">=TLSv1.2 >=TLSv1.1", "!SSLv23", "=TLSv1.2", "SSLv3")

# fmt: on


def protocols(rng: random.Random) -> str:
    """A list of versions: ranges, exclusions, inclusions, and mixtures of them."""
    kind = rng.random()
    if kind < 0.3:
        words = [f">={rng.choice(BOUNDS)}"]
        if rng.random() < 0.3:
            words.append(f"<={rng.choice(BOUNDS)}")
    elif kind < 0.5:
        # What everybody has copied: all up to some version off.
        words = [f"!{each}" for each in VERSION_WORDS[: rng.randint(1, 5)]]
    elif kind < 0.62:
        words = rng.sample(VERSION_WORDS[2:], rng.randint(1, 3))
    elif kind < 0.85:
        signs = ("!", "!", "", ">=", "<=")
        words = [rng.choice(signs) + rng.choice(VERSION_WORDS) for _ in range(rng.randint(1, 4))]
    elif kind < 0.9:
        words = []
    else:
        return rng.choice(ODD_PROTOCOLS)
    words = [each.lower() if rng.random() < 0.05 else each for each in words]
    return rng.choice((", ", ", ", " ", ":", ",")).join(words)


def several(rng: random.Random, usual: tuple[str, ...], odd: tuple[str, ...], most: int) -> str:
    """A few words, in no order; rarely an odd one, or none at all."""
    if rng.random() < 0.06:
        return ""
    words = [rng.choice(usual) for _ in range(rng.randint(1, most))]
    if rng.random() < 0.15:
        words.insert(rng.randint(0, len(words)), rng.choice(odd))
    return rng.choice((", ", ", ", " ", ",")).join(words)


# --- certificates ----------------------------------------------------------------------------------------------------

# fmt: off
CHAINS = (
    *("rsa.key, rsa.pem", "ec.key, ec.pem", "rsa.key, rsa.pem, ec.key, ec.pem", "ec.key, ec.pem, rsa.key, rsa.pem"),
    *("rsa-key-first.pem", "ec-key-first.pem, rsa-key-first.pem", "p384.key p384.pem", "expired.key, expired.pem"),
    *("chained.key, chained.pem", "ed.key, ed.pem, rsa.key, rsa.pem", "two.pem"),
)
ODD_CHAINS = (
    *("rsa.pem, rsa.key", "rsa-cert-first.pem", "nosuch.pem, rsa.key, rsa.pem", "rsa.key, rsa.pem, nosuch.pem", "nosuch.pem"),
    *("ed.key, ed.pem, ec.key, ec.pem", "rsa.key", "rsa.pem", "rsa.key, rsa2.pem", "rsa.key, ec.pem", "ec.key, ec.pem, rsa.key, rsa2.pem", "encrypted.key, rsa.pem"),
    *("garbage.pem", "rsa-key-first.pem, garbage.pem", "rsa.key, empty.pem, rsa.pem", "rsa-key-first.pem, rsa2-key-first.pem"),
    *("rsa.key, ec.key, rsa.pem, ec.pem", "rsa-key-first.pem, ec.key", "small.key, small.pem", "ed.key, ed.pem", "."),
    *("rsa.key, rsa.pem, rsa2.pem", "rsa-key-first.pem, ec.pem", "empty.pem", "garbled.pem", "torn.pem", "rsa.key, rsa-key-first.pem"),
    *("traditional.key, rsa.pem", "parameters.key, ec.pem", "sha1.key, sha1.pem", "rsa-key-first.pem:ec-key-first.pem"),
)

PAIRS = (
    *(("rsa.pem", "rsa.key"), ("rsa.pem", "rsa.key"), ("ec.pem", "ec.key"), ("rsa-key-first.pem", "rsa-key-first.pem")),
    *(("rsa-cert-first.pem", "rsa-cert-first.pem"), ("rsa-cert-first.pem", None), ("rsa-key-first.pem", "$smtpd_tls_cert_file")),
    *(("chained.pem", "chained.key"), ("p384.pem", "p384.key"), ("expired.pem", "expired.key")),
)
ODD_PAIRS: tuple[tuple[str, str | None], ...] = (
    *(("rsa.pem", "rsa2.key"), ("rsa.pem", "ec.key"), ("nosuch.pem", "rsa.key"), ("rsa.pem", "nosuch.key"), ("rsa.pem", None)),
    *(("none", ""), ("none", "rsa.key"), ("None", None), ("", "rsa.key"), ("rsa.key", "rsa.pem"), ("garbage.pem", "rsa.key")),
    *(("rsa.pem", "encrypted.key"), ("rsa.pem", "garbage.pem"), ("small.pem", "small.key"), ("ed.pem", "ed.key"), (".", "rsa.key")),
    *(("rsa.pem", ""), ("empty.pem", "rsa.key"), ("two.pem", "two.pem"), ("rsa.pem", "traditional.key"), ("garbled.pem", "rsa.key")),
    *(("sha1.pem", "sha1.key"), ("rsa.pem", "rsa-cert-first.pem")),
)
EC_PAIRS = (("ec.pem", "ec.key"), ("ec-key-first.pem", "ec-key-first.pem"), ("ec-cert-first.pem", None), ("p384.pem", "p384.key"))
ODD_EC_PAIRS: tuple[tuple[str, str | None], ...] = (
    *(("ec.pem", "ec2.key"), ("ec.pem", "rsa.key"), ("nosuch.pem", "ec.key"), ("ec.pem", None), ("rsa2.pem", "rsa2.key")),
    *(("none", ""), ("", ""), ("ec.pem", "nosuch.key"), ("ed.pem", "ed.key"), ("", "ec.key"), ("ec.pem", "parameters.key")),
)

# fmt: on


def certificates(rng: random.Random, layout: Layout, odd: float) -> Settings:
    """Parameters that name certificates: a chain, pairs in the older style, both, or nothing."""

    def placed(name: str) -> str:
        if name in ("none", "None", "", "$smtpd_tls_cert_file"):
            return name
        return f"{layout.tls}/{name}" if name != "." else layout.tls

    found: Settings = []
    kind = rng.random()
    if kind < 0.55 or kind > 0.95:
        chain = rng.choice(ODD_CHAINS if rng.random() < odd else CHAINS)
        words = chain.replace(",", "").split(" ")
        separator = ", " if ", " in chain else " "
        # A name with a colon is one file that does not exist.
        found.append(("smtpd_tls_chain_files", separator.join(placed(each) for each in words)))
    elif rng.random() < 0.9:
        found.append(("smtpd_tls_chain_files", ""))
    if kind >= 0.55:
        for stem, usual, wrong in (("", PAIRS, ODD_PAIRS), ("ec", EC_PAIRS, ODD_EC_PAIRS)):
            if stem and rng.random() < 0.5:
                continue
            certificate, key = rng.choice(wrong if rng.random() < odd else usual)
            found.append((f"smtpd_tls_{stem}cert_file", placed(certificate)))
            if key is not None:
                found.append((f"smtpd_tls_{stem}key_file", placed(key)))
            if rng.random() < 0.03:
                found.append((f"smtpd_tls_{stem}cert_file", ""))
    if 0.55 <= kind < 0.62 and rng.random() < odd:
        # Nothing at all.
        found = [("smtpd_tls_chain_files", ""), ("smtpd_tls_cert_file", ""), ("smtpd_tls_eccert_file", "")]
    return found


# --- smtpd.conf ------------------------------------------------------------------------------------------------------

# fmt: off
VERIFIERS = ("saslauthd", "saslauthd", "saslauthd", "auxprop", "auxprop", "saslauthd auxprop", "auxprop saslauthd", "auxprop-hashed")
ODD_VERIFIERS = ("nosuch", "SASLauthd", "saslauthd,auxprop", "nosuch saslauthd", "pwcheck", "alwaystrue", "authdaemond")
MECHANISMS = ("PLAIN", "PLAIN", "LOGIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "NTLM",
              "ANONYMOUS", "NOSUCH", "EXTERNAL", "GSSAPI", "plain", "Login", "SCRAM-SHA-512", "OTP")
MECHANISM_LISTS = ("PLAIN LOGIN", "PLAIN LOGIN", "PLAIN", "LOGIN PLAIN", "plain login", "PLAIN, LOGIN", "PLAIN LOGIN CRAM-MD5",
                   "CRAM-MD5 DIGEST-MD5", "ANONYMOUS PLAIN", "SCRAM-SHA-256 SCRAM-SHA-1", "PLAIN LOGIN DIGEST-MD5 NTLM")
ODD_MECHANISM_LISTS = ("PLAIN,LOGIN", "ANONYMOUS", "NOSUCH", "EXTERNAL", '"PLAIN LOGIN"', "PLAIN # LOGIN", "OTP", "NTLM")
PLUGINS = ("sasldb", "sasldb", "sasldb", "sql sasldb", "SASLDB", "nosuch sasldb")
ODD_PLUGINS = ("nosuch", "sql", "ldapdb", "sasldb,sql")

# fmt: on


def smtpd_conf(rng: random.Random, layout: Layout, odd: float) -> str:
    """A smtpd.conf, mostly one that lets somebody log in. `odd`: how often it is one that keeps smtpd from starting."""
    entries: list[tuple[str, str]] = []
    base = layout.base
    if rng.random() < 0.93:
        entries.append(("pwcheck_method", rng.choice(ODD_VERIFIERS if rng.random() < 0.08 else VERIFIERS)))
    kind = rng.random()
    if kind < 0.55:
        entries.append(("mech_list", rng.choice(MECHANISM_LISTS)))
    elif kind < 0.75:
        entries.append(("mech_list", " ".join(rng.sample(MECHANISMS, rng.randint(1, 6)))))
    elif kind < 0.75 + odd:
        entries.append(("mech_list", rng.choice(ODD_MECHANISM_LISTS)))
    if rng.random() < 0.8:
        entries.append(("auxprop_plugin", rng.choice(ODD_PLUGINS if rng.random() < 0.12 else PLUGINS)))
    if rng.random() < 0.85:
        databases = (
            "users/sasldb2",
            "users/sasldb2",
            "users/sasldb2",
            "closed/sasldb2",
            "users/unreadable",
            "users/nosuch",
        )
        entries.append(("sasldb_path", f"{base}/{rng.choice(databases)}"))
    if rng.random() < 0.85:
        sockets = ("auth/mux", "auth/mux", "auth/mux", "auth/mux", "auth", "nosuch/mux", "closed/mux", "users/mux")
        entries.append(("saslauthd_path", f"{base}/{rng.choice(sockets)}"))
    if rng.random() < 0.1:
        entries.append(("log_level", "7"))
    if rng.random() < 0.08:
        entries.append(("auto_transition", "no"))
    if rng.random() < 0.06 and entries:
        name, _ = rng.choice(entries)
        entries.append((name, {"mech_list": "LOGIN", "pwcheck_method": "auxprop"}.get(name, "/nonexistent")))
    if rng.random() < 0.3:
        rng.shuffle(entries)
    lines = []
    for name, value in entries:
        if rng.random() < 0.1:
            name = rng.choice((name.upper(), name.title()))
        lines.append(rng.choice(("{}: {}", "{}: {}", "{}:{}", "  {}:  {} ", "{}:\t{}\r")).format(name, value))
        if rng.random() < 0.08:
            lines.append(rng.choice(("", "# mech_list: LOGIN", "   # x", "#pwcheck_method: nosuch")))
    if rng.random() < odd:
        lines.insert(
            rng.randint(0, len(lines)), rng.choice(("mech_list PLAIN", "mech_list = PLAIN", "x", "mech_list:"))
        )
    if rng.random() < 0.03:
        return ""
    return "\n".join(lines) + rng.choice(("\n", "\n", "\n", ""))


STEMS = ("smtpd", "one", "two", "three", "four", "five", "six", "seven")


def sasl_files(rng: random.Random, layout: Layout) -> dict[str, str]:
    """The smtpd.conf files, by their path below `etc`: some stand where only cyrus_sasl_config_path leads."""
    found = {
        f"sasl/{stem}.conf": smtpd_conf(rng, layout, 0.01 if stem == "smtpd" else 0.05)
        for stem in STEMS
        if rng.random() < 0.95
    }
    found.update({f"elsewhere/{stem}.conf": smtpd_conf(rng, layout, 0.05) for stem in STEMS[:3] if rng.random() < 0.7})
    return found


# --- spellings -------------------------------------------------------------------------------------------------------

PARAMETERS = {
    "lab_one": "1",
    "lab_three": "3",
    "lab_empty": "",
    "lab_yes": "yes",
    "lab_no": "no",
    "lab_level": "may",
    "lab_options": "noanonymous",
    "lab_versions": ">=TLSv1.2",
    "lab_path": "smtpd",
}
"""Parameters of the user that every main.cf has; a listener may have another value of its own."""

OWN = {
    "smtpd_tls_security_level": "lab_level",
    "smtpd_tls_protocols": "lab_versions",
    "smtpd_tls_mandatory_protocols": "lab_versions",
    "smtpd_sasl_security_options": "lab_options",
    "smtpd_sasl_tls_security_options": "lab_options",
    "smtpd_sasl_path": "lab_path",
}

# fmt: off
FORMS = (
    *("${{lab_one?{{{v}}}}}", "${{lab_empty:{{{v}}}}}", "${{lab_one?{{{v}}}:{{{w}}}}}", "${{lab_empty?{{{w}}}:{{{v}}}}}"),
    *("${{{{$lab_three}} == {{3}}?{{{v}}}:{{{w}}}}}", "${{{{$lab_three}} > {{10}}?{{{w}}}:{{{v}}}}}", "$(lab_one?{{{v}}})"),
    *("${{lab_empty?{{{v}}}}}", "${{lab_nosuch:{{{v}}}}}", "${{lab_nosuch?{{{w}}}}}", "${{{{$lab_yes}} != {{yes}}?{{{w}}}:{{{v}}}}}"),
    *("${{lab_one?{{${{lab_empty?{{{w}}}:{{{v}}}}}}}}}", "${{{{a}} < {{b}}?{{{v}}}:{{{w}}}}}", "{v}$lab_empty", "$lab_nosuch{v}"),
)
LEVELS = "${{{{3.10}} >=level {{3.9}}?{{{v}}}:{{{w}}}}}"
"""Postfix 3.5 and older do not start with this one."""

# fmt: on


def spelled(rng: random.Random, layout: Layout, name: str, value: str, other: str) -> str:
    """A value by way of other parameters, which may come to something else."""
    if name in OWN and rng.random() < 0.35:
        return rng.choice(("${}", "${{{}}}", "$({})")).format(OWN[name])
    if value.lower() in ("yes", "no") and rng.random() < 0.3:
        return f"$lab_{value.lower()}"
    if "$" in value or "$" in other:
        return value
    forms = (*FORMS, LEVELS) if layout.postfix.series >= (3, 6) else FORMS
    return rng.choice(forms).format(v=value, w=other)


# --- listeners -------------------------------------------------------------------------------------------------------


class Dimension(NamedTuple):
    """Something that can be odd: parameters drawn together, and how often they are in comparison."""

    weight: int
    draw: Callable[[random.Random, Layout, float], Settings]


MAIN = 0.04
"""How often a value is odd in main.cf, where it concerns every listener."""


def one_of(*choices: Choice) -> Callable[[random.Random, Layout, float], Settings]:
    def draw(rng: random.Random, layout: Layout, odd: float) -> Settings:
        choice = rng.choice(choices)
        # One wrong boolean is as dead as another.
        often = odd / 2 if set(choice.usual) <= {*YES, *NO} else odd
        return [(choice.name, rng.choice(choice.odd if choice.odd and rng.random() < often else choice.usual))]

    return draw


def _protocols(rng: random.Random, layout: Layout, odd: float) -> Settings:
    names = ["smtpd_tls_protocols", "smtpd_tls_mandatory_protocols"]
    chosen = names if rng.random() < 0.4 else [rng.choice(names)]
    return [
        (name, "$smtpd_tls_protocols" if name != names[0] and rng.random() < 0.1 else protocols(rng)) for name in chosen
    ]


def _exclusions(rng: random.Random, layout: Layout, odd: float) -> Settings:
    name = rng.choice(("smtpd_tls_exclude_ciphers", "smtpd_tls_exclude_ciphers", "smtpd_tls_mandatory_exclude_ciphers"))
    return [(name, several(rng, EXCLUDED, ODD_EXCLUDED, 4))]


def _options(rng: random.Random, layout: Layout, odd: float) -> Settings:
    names = ["smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"]
    chosen = names if rng.random() < 0.5 else [rng.choice(names)]
    # All listeners of a main.cf that leaves no mechanism would be dead.
    usual, wrong = (OPTIONS, ODD_OPTIONS) if odd > MAIN else (MILD_OPTIONS, MILD_OPTIONS)
    found = [(name, several(rng, usual, wrong, 2)) for name in chosen]
    if len(found) == 2 and rng.random() < 0.3:
        found[1] = (names[1], "$smtpd_sasl_security_options")
    return found


def _lists(rng: random.Random, layout: Layout, odd: float) -> Settings:
    found = one_of(HIGH, MEDIUM, HIGH, MEDIUM, *OTHER_LISTS)(rng, layout, odd)
    if rng.random() < 0.5:
        # The grade that makes it count.
        grade = found[0][0].split("_")[1]
        found += [("smtpd_tls_ciphers", grade), ("smtpd_tls_mandatory_ciphers", grade)]
    return found


def _path(rng: random.Random, layout: Layout, odd: float) -> Settings:
    found = [("smtpd_sasl_path", rng.choice((*STEMS, *STEMS, "nosuch")))]
    if rng.random() < 0.06:
        found.append(("cyrus_sasl_config_path", rng.choice((f"{layout.base}/etc/elsewhere", "", "/nonexistent"))))
    return found


def _type(rng: random.Random, layout: Layout, odd: float) -> Settings:
    found = one_of(TYPE)(rng, layout, max(odd, 0.5) if odd > MAIN else odd)
    if found[0][1].startswith("dovecot"):
        found.append(("smtpd_sasl_path", rng.choice(("private/nosuch", f"{layout.base}/nosuch", "smtpd"))))
    return found


def _older(rng: random.Random, layout: Layout, odd: float) -> Settings:
    found = one_of(USE_TLS, ENFORCE_TLS)(rng, layout, odd)
    if rng.random() < 0.75:
        found.append((LEVEL.name, ""))
    if rng.random() < 0.3:
        found += one_of(USE_TLS, ENFORCE_TLS)(rng, layout, odd)
    return found


def _user(rng: random.Random, layout: Layout, odd: float) -> Settings:
    name = rng.choice(list(PARAMETERS))
    values = {
        "lab_level": rng.choice(("encrypt", "none", "may")),
        "lab_versions": protocols(rng),
        "lab_options": several(rng, OPTIONS, ODD_OPTIONS, 2),
        "lab_path": rng.choice(STEMS),
    }
    return [(name, values.get(name, rng.choice(("", "1", "3", "yes", "no"))))]


DIMENSIONS = (
    Dimension(8, one_of(LEVEL)),
    Dimension(3, _older),
    Dimension(6, one_of(AUTH_ONLY)),
    Dimension(3, one_of(WRAPPER)),
    Dimension(12, _protocols),
    Dimension(5, one_of(OPTIONAL_GRADE, MANDATORY_GRADE)),
    Dimension(8, _exclusions),
    Dimension(7, _lists),
    Dimension(2, one_of(PREEMPT)),
    Dimension(3, one_of(CURVES)),
    Dimension(1, one_of(GRADE_OF_CURVES)),
    Dimension(3, one_of(SSL_OPTIONS, DISABLED, DH)),
    Dimension(3, one_of(ASK, REQUIRE)),
    Dimension(3, one_of(SASL)),
    Dimension(4, one_of(BROKEN)),
    Dimension(2, _type),
    Dimension(9, _path),
    Dimension(10, _options),
    Dimension(6, one_of(FILTER)),
    Dimension(3, one_of(DISCARD)),
    Dimension(18, certificates),
    Dimension(3, _user),
)

KINDS: dict[str, Settings] = {
    "mx": [(LEVEL.name, "may")],
    "mx with logins": [(LEVEL.name, "may"), (AUTH_ONLY.name, "yes"), (SASL.name, "yes")],
    "logins in clear": [(LEVEL.name, "may"), (AUTH_ONLY.name, "no"), (SASL.name, "yes")],
    "submission": [(LEVEL.name, "encrypt"), (SASL.name, "yes")],
    "submissions": [(WRAPPER.name, "yes"), (SASL.name, "yes")],
    "without TLS": [(LEVEL.name, "none"), (SASL.name, "yes")],
    "what main.cf says": [],
}


def settings(rng: random.Random, layout: Layout, dimensions: int, odd: float) -> Settings:
    """Some dimensions, each once or, by chance, twice."""
    chosen = rng.choices(DIMENSIONS, [each.weight for each in DIMENSIONS], k=dimensions)
    found: Settings = []
    for each in chosen:
        for name, value in each.draw(rng, layout, odd):
            if rng.random() < 0.08:
                others = [text for known, text in each.draw(rng, layout, odd) if known == name]
                value = spelled(rng, layout, name, value, others[0] if others else "")
            found.append((name, value))
    return found


def draw(seed: int, layout: Layout, ports: Sequence[int]) -> Batch:
    """A batch of listeners, one for each port."""
    rng = random.Random(seed)
    return Batch(
        seed,
        main_cf(rng, layout),
        tuple(listener(rng, layout, Case(seed, number, port)) for number, port in enumerate(ports)),
        sasl_files(rng, layout),
        rng.random() < 0.6,
    )


def listener(rng: random.Random, layout: Layout, case: Case) -> Case:
    """One listener: of a common kind, with a few dimensions drawn beside."""
    kind = rng.choice(list(KINDS))
    how_many = rng.choices((0, 1, 2, 3, 4, 6), (1, 4, 6, 5, 3, 2))[0]
    found = [*KINDS[kind], *settings(rng, layout, how_many, odd=0.2)]
    if rng.random() < 0.5:
        found.append(("smtpd_sasl_path", rng.choice(STEMS)))
    chroot = "y" if rng.random() < 0.08 else "n"
    told = [kind, *(f"{name} = {value}" for name, value in found[len(KINDS[kind]) :])]
    rows = row(rng, case, chroot, found, told)
    if rng.random() < 0.03:
        told.append("another row of the same service above")
        above = settings(rng, layout, 2, odd=0.2)
        rows = row(rng, case, "n", above, []) + rows
    if chroot == "y":
        told.append("in a chroot")
    wrapper = [value.lower() for name, value in found if name == WRAPPER.name]
    return case._replace(rows=rows, told=tuple(told), implicit=wrapper[-1:] not in ([], ["no"]))


def row(rng: random.Random, case: Case, chroot: str, found: Settings, told: list[str]) -> str:
    """The row of a listener, its options in every form that master.cf allows, and in some that it does not."""
    unprivileged = rng.choice(("-", "y"))
    text = f"127.0.0.1:{case.port} inet n {unprivileged} {chroot} - - smtpd"
    lines = [f"-o syslog_name=case{case.number}"]
    for name, value in found:
        braces = (f"-o {{ {name} = {value} }}", f"-o {{{name}={value}}}", f"-o {{ {name}={value} }}")
        if any(each.isspace() for each in value):
            if rng.random() < 0.01:
                told.append(f"{name} without braces")
                lines.append(f"-o {name}={value}")
            else:
                lines.append(rng.choice(braces))
        else:
            # `postfix start` refuses to start where `${…}` stands in the last of these forms.
            plain = (f"-o {name}={value}",) * 4 + ((f"-o{name}={value}",) if "$" not in value else ())
            lines.append(rng.choice((*plain, *braces)))
    if found and rng.random() < 0.015:
        name, value = rng.choice(found)
        told.append(f"{name} with blanks around its equals sign")
        lines.append(f"-o {name} = {value}")
    if rng.random() < 0.005:
        told.append("the option -v")
        lines.append("-v")
    for line in lines:
        break_ = rng.choice(
            ("\n  ", "\n  ", "\n\t", " ", "\n# -o smtpd_tls_security_level=none\n  ", "\n\n  ", "\n   # x\n ")
        )
        text += break_ + line
    return text + rng.choice(("\n", "\n", "\n", "\n\n", "\n# smtpd_tls_wrappermode=yes\n"))


# --- main.cf ---------------------------------------------------------------------------------------------------------


def main_cf(rng: random.Random, layout: Layout) -> str:
    """What all listeners share: sensible values, and some drawn ones, which a listener may override."""
    found: Settings = [
        (LEVEL.name, rng.choice(("may", "may", "encrypt", "$lab_level"))),
        (SASL.name, "yes"),
        (
            "smtpd_tls_chain_files",
            f"{layout.tls}/rsa.key, {layout.tls}/rsa.pem, {layout.tls}/ec.key, {layout.tls}/ec.pem",
        ),
    ]
    if rng.random() < 0.85:
        found.append(("cyrus_sasl_config_path", layout.sasl))
    elif rng.random() < 0.5:
        found.append(("cyrus_sasl_config_path", f"{layout.base}/etc/elsewhere"))
    found += settings(rng, layout, rng.choice((0, 1, 2, 3, 5)), odd=MAIN)
    found = [(name, value) for name, value in found if name not in PARAMETERS]
    text = "".join(entry(rng, name, value) for name, value in PARAMETERS.items())
    for name, value in found:
        if rng.random() < 0.1:
            # Overruled by the entry below.
            text += entry(rng, name, rng.choice(("no", "", "bogus")))
        text += entry(rng, name, value)
    return text


def entry(rng: random.Random, name: str, value: str) -> str:
    """A line of main.cf, or several."""
    words = value.split(" ")
    if len(words) > 1 and "{" not in value and rng.random() < 0.4:
        value = rng.choice(("\n ", "\n\t", "\n# of old\n  ", "\n\n    ")).join(words)
    text = rng.choice(("{} = {}", "{} = {}", "{} = {}", "{}={}", "{}  =\t{}", "{} =\n  {}")).format(name, value)
    return text + rng.choice(("\n", "\n", "\n", "\n", " \n", "\n\n", "\n# comment\n", f"\n#{name} = bogus\n"))
