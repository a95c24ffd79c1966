"""main.cf and master.cf files that nobody would write, for comparing what is read with what the real postconf reads."""

# The pieces stand closer together than lines are long elsewhere.
# ruff: noqa: E501, RUF005

from __future__ import annotations

from hypothesis import strategies as st

TABLE = b"/table.cf"
"""Stands for a file with the settings of a table, beside main.cf."""

NAMES = [
    b"smtpd_banner",
    b"relayhost",
    b"mydestination",
    b"virtual_alias_maps",
    b"smtpd_recipient_restrictions",
    b"smtpd_restriction_classes",
    b"mynetworks",
    b"myhostname",
    b"mydomain",
    b"myorigin",
    b"config_directory",
    b"compatibility_level",
    # Not expanded.
    b"default_rbl_reply",
    b"forward_path",
    b"smtpd_expansion_filter",
    # Without a default, going, gone, or younger than some version.
    b"fallback_relay",
    b"virtual_maps",
    b"smtp_use_tls",
    b"lmtp_enforce_tls",
    b"postscreen_blacklist_action",
    b"postscreen_denylist_action",
    b"tls_eecdh_auto_curves",
    b"tls_ffdhe_auto_groups",
    b"smtpd_sasl_mechanism_filter",
    b"smtpd_forbid_bare_newline",
    b"tls_legacy_public_key_fingerprints",
    # Of services.
    b"policy_time_limit",
    b"drop_destination_recipient_limit",
    b"drop_time_limit",
    b"smtp_transport_rate_delay",
    b"local_destination_concurrency_limit",
    # Of tables.
    b"users_server_host",
    b"users_query",
    b"users_dbname",
    b"users_collection",
    b"users_nonsense",
    # Of the user.
    b"first",
    b"second",
    b"third",
    b"_1",
    # Odd ones.
    b"SMTPD_BANNER",
    b"first-second",
    b"a.b",
    b"a:b",
    b"x/y",
    b"$first",
    b"${first}",
    b"{first}",
    b"a#b",
    b"\"first\"",
    b"gr\xc3\xbc\xc3\x9fe",
    b"\xff\xfe",
    b"\xef\xbb\xbfrelayhost",
    b"\x01",
    b"a,b",
    b"\xc2\xa0first",
]  # fmt: skip

READ_ONLY = [b"process_name", b"process_id", b"service_name"]
"""They are taken out when postconf comes to them; what else it has seen by then is up to the order of its hash."""

REFERRED = [
    *NAMES[:10], b"first", b"first", b"second", b"third", b"_1", b"nosuch", b"mail_version", b"process_name",
    b"fallback_relay", b"default_rbl_reply", b"smtpd_expansion_filter", b"compatibility_level", b"policy_time_limit",
    b"smtpd_reject_footer", b"empty_address_recipient",
]  # fmt: skip

PIECES = [
    b"a", b"b c", b"permit_mynetworks", b"reject", b"x=y", b"=", b",", b", ", b"  ", b"\t", b"\r", b" \r ", b"\v", b"\f",
    b"\\", b"\"q r\"", b"'", b"/etc/hosts", b"hash:/etc/aliases", b"10", b"3.6", b"3.10", b"{", b"}", b"{ a b }", b"}{",
    b"{{x} y}", b"(", b")", b":", b"?", b"$$", b"$$first", b"#", b" # not a comment", b" #x", b"a#b", b"\xc3\xbc", b"\xff",
    b"\x01", b"\x7f", b"\xc2\xa0", b"\x00", b"ldap:users", b"mysql:users", b"pgsql:users,", b"sqlite:users",
    b"memcache:users", b"mongodb:users", b"proxy:ldap:users", b"proxy:proxy:mysql:users", b"debug:ldap:users",
    b"nosuch:users", b"ldap:.users", b"ldap:", b":users", b"proxy:", b"proxy:users", b"ldap:{users}", b"ldap:users:x",
    b"mysql:/nonexistent.cf", b"ldap:" + TABLE, b"proxy:pgsql:" + TABLE, b"hash:/nonexistent", b"regexp:/nonexistent.cf",
    b"inline:{ {a = b}, { c = ldap:users } }", b"pipemap:{ldap:users,mysql:users}", b"unionmap:{proxy:{ldap:users}}",
    b"regexp:{{/#x/ y} # z}", b"pcre:{ {/a #b/ c} }", b"inline:{ # x }", b"inline:{a}b", b"inline:{", b"{ # a }",
    b"{ldap:users}x", b"check_client_access { ldap:users, default_action = DUNNO }", b"first", b"second", b"strict",
]  # fmt: skip

BROKEN = [
    b"$", b"$ ", b"${", b"${}", b"$()", b"${first", b"$(first", b"${first?{x}", b"${first-second}", b"${first?{x}y}",
    b"${first?{x}:{y}z}", b"${{a}}", b"${{a} === {b}}", b"${{a} == b}", b"${{a} == {b}", b"${{a} == {b} x}",
    b"${{a}=={b}?{c}d}", b"${{3.6} >=level {x}}", b"${{3.6} >=levels {3}}", b"${{3.6} >= level {3}}", b"$(first}",
    b"${{99999999999999999999} == {1}}", b"${{9223372036854775808} < {1}}", b"${first:{}", b"${nofunction{a}}",
    b"${domain_to_ascii{}}", b"${domain_to_ascii{a}b}", b"${-}", b"$-", b"${first ?x} ${", b"${a b}", b"${{1} =={2}?{$}}",
]  # fmt: skip

COMPARED = [b"", b"a", b"b", b"3.6", b"3.10", b"3.9", b"10", b"9", b"007", b"9223372036854775807", b" a", b"\xc3\xbc",
            b"$first", b"$compatibility_level", b"$nosuch", b"${first?{a}}", b"+3", b"-1", b"3.", b"1025", b"1.2.3"]  # fmt: skip

OPERATORS = [b"==", b"!=", b"<", b"<=", b">=", b">"]


def reference() -> st.SearchStrategy[bytes]:
    """`$name` in one of its forms, all of which can be expanded by some version."""
    name = st.sampled_from(REFERRED)
    text = st.sampled_from([b"", b"x", b"x y", b"$first", b"${second}", b"$$", b"ldap:users", b"{x}", b"?x:y", b"#"])
    blank = st.sampled_from([b"", b"", b" ", b"\t "])
    plain = st.builds(
        lambda form, name, blank: form % {b"n": name, b"b": blank},
        st.sampled_from([b"$%(n)s", b"${%(n)s}", b"$(%(n)s)", b"$%(n)s-x", b"${%(b)s%(n)s%(b)s}", b"$%(n)s$%(n)s"]),
        name,
        blank,
    )
    conditional = st.builds(
        lambda form, name, one, other, blank: form % {b"n": name, b"1": one, b"2": other, b"b": blank},
        st.sampled_from(
            [
                b"${%(n)s?%(1)s}",
                b"${%(n)s:%(1)s}",
                b"$(%(n)s?%(1)s)",
                b"${%(b)s%(n)s%(b)s?%(1)s}",
                b"${%(n)s?{%(1)s}}",
                b"${%(n)s:{%(1)s}%(b)s}",
                b"${%(n)s?{%(1)s}:{%(2)s}}",
                b"${%(n)s?%(b)s{%(1)s}%(b)s:%(b)s{%(2)s}%(b)s}",
                b"${%(n)s?{%(1)s}:%(2)s}",
                b"${domain_to_ascii%(b)s{%(b)sa.%(n)s}}",
            ]
        ),
        name,
        text,
        text,
        blank,
    )
    compared = st.builds(
        lambda form, one, operator, other, yes, no, blank: (
            form % {b"1": one, b"o": operator, b"2": other, b"y": yes, b"n": no, b"b": blank}
        ),
        st.sampled_from(
            [
                b"${{%(1)s}%(b)s%(o)s%(b)s{%(2)s}%(b)s?%(b)s{%(y)s}%(b)s:%(b)s{%(n)s}}",
                b"${{%(1)s} %(o)s {%(2)s}}",
                b"${{%(1)s} %(o)s {%(2)s}?%(y)s}",
                b"${{%(1)s}%(o)s{%(2)s}:%(n)s}",
                b"$({%(1)s} %(o)s {%(2)s}?{%(y)s})",
            ]
        ),
        st.sampled_from(COMPARED),
        st.sampled_from([*OPERATORS, *OPERATORS, *(each + b"level" for each in OPERATORS)]),
        st.sampled_from(COMPARED),
        text,
        text,
        blank,
    )
    return st.one_of(plain, conditional, compared)


BREAKS = [
    b"\n ", b"\n\t", b"\r\n ", b"\n\v", b"\n\f", b"\n\r", b"\n# comment\n ", b"\n  # comment\n  ", b"\n\n ", b"\n   \n ",
    b"\n#\x00\n ", b"\n\r\n ", b" \n   ",
]  # fmt: skip
"""Where a value goes on in the next line."""


def values(*, broken: bool) -> st.SearchStrategy[bytes]:
    """What stands behind the equals sign, several lines perhaps."""
    kinds = [st.sampled_from(PIECES), reference(), st.sampled_from([b" ", b" ", b", "]), st.sampled_from(BREAKS)]
    if broken:
        kinds.append(st.sampled_from(BROKEN))
        kinds.append(st.text("${}()?:=<>!a1_ ", max_size=12).map(str.encode))
    return st.lists(st.one_of(*kinds), max_size=6).map(b"".join)


EQUALS = [b"=", b"=", b" = ", b" = ", b"  =\t", b"=\n ", b" \n  = ", b"==", b"\t= \r", b"\v=\f"]
LEFT_OUT = [b"", b" ", b" x = ", b"\x00="]
ENDS = [
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b" \n",
    b"\n\n",
    b"\n#comment\n",
    b"\n  # comment = x\n",
    b"\r\n\r\n",
    b"\n#\x00\n",
]
REFUSED = [b"relayhost\n", b"= x\n", b"\x00\n", b"a b = c\n", b"\xc2\xa0= \n=\n", b"\x00= x\n", b"x\x00 = y\n"]
BEGINNINGS = [b"", b"", b"", b"", b"# comment\n", b"\n", b" indented = ignored\n x\n", b"  # comment\n", b"\xef\xbb\xbf",
              b" " + b"long" * 10 + b"\n", b"\t\x00= x\n"]  # fmt: skip


@st.composite
def main_cf(draw: st.DrawFn) -> bytes:
    """A main.cf. One in a few is refused."""
    broken = draw(st.integers(0, 3)) == 0
    entry = st.one_of(
        st.builds(
            lambda name, equals, value, end: name + equals + value + end,
            st.sampled_from(NAMES),
            st.sampled_from(EQUALS),
            values(broken=False),
            st.sampled_from(ENDS),
        ),
        st.builds(lambda name: name + b" = set\n", st.sampled_from(READ_ONLY)),
    )
    lines = draw(st.lists(entry, max_size=10))
    if broken:
        kind = draw(st.integers(0, 2))
        name = draw(st.sampled_from(NAMES[:4] + [b"first", b"default_rbl_reply", b"smtpd_restriction_classes"]))
        if kind == 0:
            wrong = draw(st.sampled_from(REFUSED))
        elif kind == 1:
            wrong = name + draw(st.sampled_from(LEFT_OUT)) + draw(values(broken=False)) + b"\n"
        else:
            wrong = name + b" = " + draw(values(broken=True)) + draw(st.sampled_from([b"", *BROKEN])) + b"\n"
        lines.insert(draw(st.integers(0, len(lines))), wrong)
    data = draw(st.sampled_from(BEGINNINGS)) + b"".join(lines)
    return data[: len(data) - draw(st.sampled_from([0, 0, 0, 1, 2]))]


SERVICES = [
    b"smtp",
    b"smtp",
    b"drop",
    b"policy",
    b"127.0.0.1:20025",
    b"[::1]:25",
    b"a/b",
    b"-",
    b"gr\xc3\xbc",
    b"{a b}",
]
TYPES = [b"inet", b"unix", b"unix", b"fifo", b"pass", b"unix-dgram"]
COMMANDS = [b"smtpd", b"smtp", b"pipe", b"spawn", b"local", b"lmtp", b"nosuch", b"/usr/lib/postfix/pipe", b"{smtpd}"]
WRONG_FIELDS = [b"", b"x", b"yn", b"Y", b"10?", b"?", b"-?", b"--", b"5x", b"?5", b"{-}", b"#", b"\xff"]
BLANKS = [b" ", b" ", b" ", b"  ", b"\t", b"\r", b" \r\n  ", b"\n  ", b"\n  ", b"\n# comment\n ", b"\n\n\t", b"\n  #x\n  ",
          b"\n \n ", b"\n#\x00\n ", b"\n\v", b"\f", b"\v"]  # fmt: skip
ARGUMENTS = [
    b"-o", b"-o", b"-o", b"-v", b"-D", b"-vo", b"--", b"-n", b"-m 5", b"#", b"# hi", b"flags=DRXhu", b"user=vmail",
    b"argv=/bin/x", b"${recipient}", b"-d", b"{", b"}", b"{ x  y }", b"{x}", b"{x}y", b"{ -o }", b"{-o}", b"{{x} y}", b"{}",
    b"{ \t }", b"x{ y z }", b"\x00", b"\xff", b"permit_mynetworks,", b"reject", b"=", b"-o=", b"-vD", b"-x{ y  z }", b"{#a}",
]  # fmt: skip
SETTINGS = [b"%(n)s=%(v)s", b"-o%(n)s=%(v)s", b"-o %(n)s=%(v)s", b"-o { %(n)s = %(v)s }", b"-o {%(n)s=%(v)s}",
            b"-o{%(n)s=%(v)s}", b"-o { %(n)s = %(v)s } }", b"-o {%(n)s}", b"-o %(n)s = %(v)s", b"-vo %(n)s=%(v)s",
            b"-vo%(n)s=%(v)s", b"-o {=%(v)s}", b"-o { %(n)s = %(v)s", b"-o %(n)s =%(v)s", b"-o {\n  %(n)s\n =\t%(v)s\n }"]  # fmt: skip
SHORT_VALUES = [b"", b"x", b"yes", b"a,b", b"$first", b"${second}", b"a b", b"a  b\tc", b"{a}", b"ldap:users", b"$nosuch",
                b"${first?{a b}:{c}}", b"$service_name", b"$process_name", b"$mydomain", b"first", b"\xc3\xbc", b"x#y", b"#",
                b"{ # }", b"inline:{ {a=b} }", b"$$", b"a #b"]  # fmt: skip
GOOD_NAMES = [*NAMES[:6], *NAMES[12:29], *NAMES[31:39], b"gr\xc3\xbc"]


def argument() -> st.SearchStrategy[bytes]:
    """A word behind the command of a service, or a few that belong together."""
    setting = st.builds(
        lambda form, name, value: form % {b"n": name, b"v": value},
        st.sampled_from(SETTINGS),
        st.sampled_from(GOOD_NAMES),
        st.sampled_from(SHORT_VALUES),
    )
    return st.one_of(setting, setting, st.sampled_from(ARGUMENTS))


def arguments() -> st.SearchStrategy[bytes]:
    """All that stands behind the command of a service, several lines perhaps."""
    pair = st.tuples(argument(), st.sampled_from(BLANKS)).map(b"".join)
    return st.lists(pair, max_size=6).map(b"".join)


@st.composite
def master_cf(draw: st.DrawFn) -> bytes:
    """A master.cf. One in a few is refused."""
    wrong = draw(st.integers(0, 5)) == 0
    blank = st.sampled_from(BLANKS)
    plain = st.sampled_from(BLANKS[:-3])
    rows = []
    for _ in range(draw(st.integers(0, 5))):
        boolean = st.sampled_from([b"y", b"n", b"-"])
        columns = [
            draw(st.sampled_from(SERVICES)),
            draw(st.sampled_from(TYPES)),
            draw(boolean),
            draw(boolean),
            draw(boolean),
            draw(st.sampled_from([b"-", b"0", b"300", b"1000?"])),
            draw(st.sampled_from([b"-", b"0", b"1", b"50"])),
            draw(st.sampled_from(COMMANDS)),
        ]
        words = columns + draw(st.lists(argument(), max_size=5))
        text = words[0]
        for index, word in enumerate(words[1:], 1):
            text += draw(blank if index >= 8 or wrong else plain) + word
        rows.append(text + draw(st.sampled_from(ENDS)))
    if wrong and rows:
        fields = [b"wrong", b"inet", b"n", b"-", b"n", b"-", b"-", b"smtpd"]
        fields[draw(st.integers(1, 7))] = draw(st.sampled_from(WRONG_FIELDS))
        rows.insert(draw(st.integers(0, len(rows))), b" ".join(fields) + b"\n")
    beginning = draw(st.sampled_from([*BEGINNINGS[:5], b" smtp inet n - n - - smtpd\n", b"  # comment\n"]))
    data = beginning + b"".join(rows)
    return data[: len(data) - draw(st.sampled_from([0, 0, 0, 1]))]
