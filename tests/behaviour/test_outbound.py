"""What is predicted of a way out is what peers meet: a real Postfix sends to servers that offer more or less."""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mailcfg.behaviour.model import Hop
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.found import subject
from mailcfg.machine import Machine
from tests.behaviour.peers import KINDS, NAME, Kind, Peers, peers
from tests.behaviour.stage import Postfix, logger
from tests.postfix import lab
from tests.postfix.smtp import Session

pytestmark = pytest.mark.xdist_group("outbound")

BATCHES = 2
DRAWN = 60

PATIENCE = 60
QUIET = 4
"""Seconds in which all must be settled, and in which nothing happens when all is but for daemons that die."""

Settings = dict[str, str]


class Case(NamedTuple):
    """One service of master.cf. `entries` are those of its policy table, by the peer they are for; `pinned` says that
    its settings let it trust the certificate of the peers.
    """

    number: int
    side: str
    settings: Settings
    entries: dict[str, str]
    pinned: bool = False

    @property
    def name(self) -> str:
        return f"case{self.number}"

    @property
    def fussy(self) -> bool:
        """Whether not every mechanism will do, where it has a password."""
        options = (
            self.settings.get("sasl_security_options", "noplaintext"),
            self.settings.get("sasl_tls_security_options", ""),
        )
        return "sasl_mechanism_filter" in self.settings or not {"", "noanonymous"}.issuperset(options)

    @property
    def silent(self) -> bool:
        """Whether it has a password and overlooks every AUTH."""
        return "sasl_password_maps" in self.settings and self.settings.get("discard_ehlo_keywords") == "auth"

    def row(self, ports: dict[str, int]) -> str:
        """Its row in master.cf."""
        settings = dict(self.settings)
        if self.entries:
            table = " ".join(f"{{ [127.0.0.1]:{ports[peer]} = {policy} }}" for peer, policy in self.entries.items())
            settings["tls_policy_maps"] = f"inline:{{ {table} }}"
        rows = [f"{self.name} unix - - n - 2 {self.side}", f"  -o syslog_name={self.name}"]
        rows += [f"  -o {{ {self.side}_{name} = {value} }}" for name, value in settings.items()]
        return "\n".join(rows) + "\n"


# --- cases -----------------------------------------------------------------------------------------------------------

NAMED: tuple[tuple[Settings, dict[str, str]], ...] = (
    # E12: deferred once, then in clear.
    ({"tls_security_level": "may", "tls_protocols": ">=TLSv1.3"}, {}),
    ({"tls_security_level": "may", "tls_protocols": ">=TLSv9"}, {}),
    ({"tls_security_level": "encrypt", "tls_mandatory_protocols": "TLSv1.2"}, {}),
    ({"tls_security_level": "bogus"}, {}),
    ({"tls_security_level": "none", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "may", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "encrypt", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "dane", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "may", "sasl_auth_enable": "yes"}, {}),
    ({"tls_security_level": "may", "sasl_type": "dovecot"}, {}),
    ({"tls_security_level": "may"}, {"tls12": "encrypt protocols=TLSv1.3", "plain": "encrypt", "both": "bogus"}),
    ({"tls_security_level": "may", "discard_ehlo_keywords": "8bitmime, StartTLS"}, {"both": "encrypt", "tls13": "may"}),
    ({"tls_security_level": "encrypt", "discard_ehlo_keywords": "starttls"}, {"both": "may", "tls12": "none"}),
    ({"tls_security_level": "encrypt", "discard_ehlo_keywords": "starttls", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "may", "discard_ehlo_keywords": "auth"}, {}),
    ({"tls_security_level": "dane", "dns_support_level": "dnssec", "discard_ehlo_keywords": "starttls"}, {}),
    (
        {
            "tls_security_level": "dane",
            "dns_support_level": "dnssec",
            "tls_protocols": "TLSv1, TLSv1.1, TLSv1.2",
            "tls_mandatory_protocols": "TLSv1.3",
        },
        {},
    ),
    ({"tls_security_level": "encrypt", "sasl_tls_security_options": "noplaintext, noanonymous"}, {}),
    ({"tls_security_level": "encrypt"}, {"plain": "none", "plainauth": "may", "tls12": "secure", "tls13": "verify"}),
)
"""Without passwords; each runs again with them, as plainly as can be."""

PLAINLY = {"sasl_auth_enable": "yes", "sasl_security_options": "noanonymous"}

LEVELS = (
    *("none", "may", "may", "may", "encrypt", "encrypt", "verify", "secure", "fingerprint", "dane", "dane-only"),
    *("MAY", "Encrypt", "bogus", "", ""),
)
PROTOCOLS = (
    *("TLSv1.2", "TLSv1.3", ">=TLSv1.2", ">=TLSv1.3", "<=TLSv1.2", ">=TLSv1", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", ""),
    *("!TLSv1.3", "!TLSv1.2", "TLSv1, TLSv1.1", "SSLv3", ">=TLSv9", "TLSv1_2", "TLSv1.1:TLSv1.2", "!TLSv1.2:!TLSv1.3"),
    *("!TLSv1.1", "!TLSv1.2", "TLSv1, TLSv1.2, TLSv1.3", "TLSv1.1, TLSv1.3"),
)
OPTIONS = (
    *("noanonymous", "noanonymous", "", "noplaintext", "noplaintext, noanonymous", "noactive", "nodictionary"),
    *("mutual_auth", "NoPlaintext", "forward_secrecy"),
)
FILTERS = (
    *("plain", "login", "PLAIN, LOGIN", "cram-md5", "!plain, !login", "!plain, static:all", "!cram-md5, static:rest"),
    *("!plain, !login, static:rest", "plain, cram-md5", "!login plain", "scram-sha-256"),
)
ATTRIBUTES = ("", "", "", " protocols=TLSv1.3", " protocols=TLSv1.2", " protocols=!TLSv1.3", " protocols=TLSv9")
ODD = (" bogus=1", " protocols", " ciphers=", " protocols=TLSv1.2 protocols=TLSv1.3", " match=nexthop", " ciphers=high")


ENGINELESS: tuple[tuple[Settings, dict[str, str]], ...] = (
    ({"tls_security_level": "none"}, {"both": "encrypt"}),
    ({"tls_security_level": "may"}, {"both": "encrypt", "tls12": "none"}),
    ({"tls_security_level": "encrypt"}, {"both": "may", "plain": "none"}),
    ({"tls_security_level": "encrypt", "tls_wrappermode": "yes"}, {}),
    ({"tls_security_level": "dane", "dns_support_level": "dnssec"}, {}),
    ({"tls_security_level": "secure"}, {}),
)
"""Cases for a machine without tlsmgr."""


def named(table: tuple[tuple[Settings, dict[str, str]], ...]) -> list[Case]:
    """Each of a table without passwords and with them."""
    cases: list[Case] = []
    for settings, entries in table:
        for more in ({}, PLAINLY):
            number = len(cases)
            passwords = {"sasl_password_maps": f"static:{credentials(number)}"} if more else {}
            cases.append(Case(number, "smtp", settings | more | passwords, entries))
    return cases


def drawn(seed: int, made: Peers) -> list[Case]:
    """The cases of a seed; the named ones are the same for all."""
    draw = random.Random(seed)
    cases = named(NAMED)
    while len(cases) < DRAWN:
        cases.append(_case(draw, len(cases), made))
    return cases


def credentials(number: int) -> str:
    return f"user{number}:secret{number}"


def _case(draw: random.Random, number: int, made: Peers) -> Case:
    settings: Settings = {}

    def maybe(chance: float, name: str, *values: str) -> None:
        if draw.random() < chance:
            settings[name] = draw.choice(values)

    side = "lmtp" if draw.random() < 0.15 else "smtp"
    maybe(0.85, "tls_security_level", *LEVELS)
    if not settings.get("tls_security_level"):
        maybe(0.6, "use_tls", "yes", "no", "YES")
        maybe(0.4, "enforce_tls", "yes", "no")
        maybe(0.3, "tls_enforce_peername", "yes", "no")
    maybe(0.4, "tls_protocols", *PROTOCOLS)
    maybe(0.4, "tls_mandatory_protocols", *PROTOCOLS)
    maybe(0.12, "tls_wrappermode", "yes", "yes", "no")
    maybe(0.3, "dns_support_level", "dnssec", "enabled")
    pinned = draw.random() < 0.25
    if pinned:
        settings["tls_fingerprint_cert_match"] = made.fingerprint
        settings["tls_fingerprint_digest"] = "sha256"
        settings["tls_CAfile"] = str(made.certificate)
        settings["tls_verify_cert_match"] = settings["tls_secure_cert_match"] = NAME
    else:
        maybe(0.05, "tls_CAfile", "/nonexistent/ca.pem", "/etc/hostname")
    maybe(0.05, "tls_cert_file", "/nonexistent/cert.pem", str(made.certificate))
    maybe(0.05, "tls_chain_files", "/nonexistent/chain.pem", str(made.certificate))
    if draw.random() < 0.6:
        settings["sasl_auth_enable"] = draw.choice(("yes", "yes", "yes", "yes", "YES", "no"))
        table = " ".join(f"{{ [127.0.0.1]:{port} = {credentials(number)} }}" for port in made.ports.values())
        maybe(0.9, "sasl_password_maps", f"static:{credentials(number)}", f"inline:{{ {table} }}")
        maybe(0.8, "sasl_security_options", *OPTIONS)
        maybe(0.3, "sasl_tls_security_options", *OPTIONS)
        maybe(0.3, "sasl_mechanism_filter", *FILTERS)
    entries: dict[str, str] = {}
    if draw.random() < 0.3:
        for peer in draw.sample(list(made.ports), 4):
            odd = draw.choice(ODD) if draw.random() < 0.15 else draw.choice(ATTRIBUTES)
            entries[peer] = draw.choice(LEVELS[:-2]) + odd
    return Case(number, side, settings, entries, pinned)


# --- what happens ----------------------------------------------------------------------------------------------------

MAIN_CF = """
minimal_backoff_time = 1s
queue_run_delay = 1s
transport_retry_time = 1s
service_throttle_time = 1s
default_destination_concurrency_failed_cohort_limit = 0
smtp_connection_cache_on_demand = no
lmtp_connection_cache_on_demand = no
mynetworks = 127.0.0.1/32
master_service_disable = smtp/unix
smtp_tls_loglevel = 1
"""

DEATH = re.compile(r"(case\d+)(?:/[ls]mtp\[\d+\]: fatal: | socket: malformed response)")
"""A daemon says what it dies of; of one that crashes (without TLS in wrapper mode) only qmgr tells."""
STATUS = re.compile(r" to=<to@(\w+)\.c(\d+)\.test>,.* status=(\w+)")


class Sent(NamedTuple):
    """What the peers saw of all cases, and what is said of them."""

    cases: list[Case]
    made: Peers
    hops: dict[tuple[str, str], Hop]
    log: str


def sent(make: Callable[[Peers], list[Case]], *, tlsmgr: bool = True) -> Sent:
    """Send a mail from every case to every peer, and wait until it is there, or has been deferred twice."""
    with lab.directory() as path:
        inject = lab.free_port()
        version = Version.parse(lab.run("postconf", "-h", "mail_version").stdout.strip())
        postfix = Postfix("", str(path), version)
        postfix.ports.append(inject)
        postfix.prepare()
        # So much is told while it starts that master would wait for the postlogd that it has yet to start.
        with peers(path / "tls") as made, logger(path):
            cases = make(made)
            routes = [
                f"{peer}.c{case.number}.test {case.name}:[127.0.0.1]:{port}\n"
                for case in cases
                for peer, port in made.ports.items()
            ]
            (postfix.etc / "transport").write_text("".join(routes))
            rows = "".join(case.row(made.ports) for case in cases)
            postfix.configure(
                f"{MAIN_CF}transport_maps = texthash:{postfix.etc}/transport\n",
                f"127.0.0.1:{inject} inet n - n - - smtpd\n{rows}",
            )
            if not tlsmgr:
                master = postfix.etc / "master.cf"
                master.write_text(re.sub(r"(?m)^tlsmgr .*\n", "", master.read_text()))
                os.utime(master, (time.time() - 60,) * 2)
            with postfix.running():
                with Session(inject) as session:
                    session.ehlo()
                    for case in cases:
                        assert send(session, case, made) == 250
                settle(postfix, len(cases) * len(made.ports))
        hops: dict[tuple[str, str], Hop] = {}
        for hop in ways_out(postfix):
            assert (hop.service, hop.next_hop) not in hops
            hops[hop.service, hop.next_hop] = hop
        return Sent(cases, made, hops, postfix.log)


def ways_out(postfix: lab.Postfix) -> tuple[Hop, ...]:
    """What is predicted of the files that a Postfix runs with."""
    found = subject(
        Machine("/"),
        platform("debian-12"),
        Version.parse(lab.run("postconf", "-h", "mail_version").stdout.strip()),
        Version.parse(lab.run("openssl", "version").stdout.split()[1]),
        str(postfix.etc),
        time.time(),
    )
    return found.behaviour.outbound


def send(session: Session, case: Case, made: Peers) -> int:
    recipients = [f"RCPT TO:<to@{peer}.c{case.number}.test>" for peer in made.ports]
    for command in ("MAIL FROM:<sender@client.test>", *recipients, "DATA"):
        assert session.say(command)[0] < 400
    return session.say("Subject: lab\r\n\r\nhello\r\n.")[0]


def settle(postfix: lab.Postfix, count: int) -> None:
    """Wait until each recipient has its mail or was tried twice; mail for a daemon that dies stays where it is."""
    end = time.monotonic() + PATIENCE
    before, since = 0, time.monotonic()
    while True:
        log = postfix.log
        tries = Counter((peer, number) for peer, number, _ in STATUS.findall(log))
        over = {(peer, number) for peer, number, status in STATUS.findall(log) if status != "deferred"}
        over |= {recipient for recipient, times in tries.items() if times > 1}
        dying = Counter(DEATH.findall(log))
        waiting = count - len(over)
        if len(over) > before:
            before, since = len(over), time.monotonic()
        if not waiting:
            return
        if time.monotonic() - since > QUIET and waiting <= len(KINDS) * sum(times > 1 for times in dying.values()):
            return
        assert time.monotonic() < end, f"{waiting} are not settled: {log[-3000:]}"
        time.sleep(0.2)


# --- what was said ---------------------------------------------------------------------------------------------------


def expected(hop: Hop, kind: Kind, *, pinned: bool, silent: bool) -> str:
    """How a mail reaches a peer: in a version of TLS, in `clear`, or not at all."""
    if any("no mail leaves" in cause or "is deferred" in cause for cause in hop.causes):
        return "nothing"
    in_clear = "clear" if hop.falls_back_to_cleartext else "nothing"
    pinned = pinned and hop.tls != "dane"
    common = [version for version in kind.speaks if version in hop.protocols]
    encrypted = common[-1] if common and (pinned or not hop.checked) else "nothing"
    if hop.implicit or kind.tls == "implicit":
        return encrypted if hop.implicit and kind.tls == "implicit" else "nothing"
    if hop.tls == "none" or kind.tls in ("none", "refused"):
        return in_clear
    if common:
        return encrypted
    # Where a handshake fails, nobody who has a password to give goes on without TLS, even one who never gives it.
    return "nothing" if hop.credentials or silent else in_clear


def differences(at: Sent) -> tuple[list[str], int]:
    """What was seen that was not said, or the reverse, and how much was compared."""
    wrong: list[str] = []
    compared = 0
    arrived = {mail.recipient: mail.version or "clear" for mail in at.made.mails}
    for case in at.cases:
        found: list[str] = []
        for kind in KINDS:
            table = at.hops.get((f"{case.name}/unix", f"[127.0.0.1]:{at.made.ports[kind.name]}"))
            hop = table or at.hops[f"{case.name}/unix", ""]
            logins = [each for each in at.made.logins if each.user == f"user{case.number}" and each.peer == kind.name]
            met = arrived.get(f"to@{kind.name}.c{case.number}.test", "nothing")
            said = expected(hop, kind, pinned=case.pinned, silent=case.silent)
            # A peer that announces AUTH gets nothing if nothing of it will do.
            picky = case.fussy and hop.credentials and (kind.before or kind.after) and met == "nothing"
            compared += not picky
            if said != met and not picky:
                found.append(f"{kind.name}: predicted {said}, met {met}")
            if logins and not hop.credentials:
                found.append(f"{kind.name}: {logins}")
            seen = any(each.password and not each.version for each in logins)
            inside = any(each.password and each.version for each in logins)
            able = kind.name == "bothafter" and "sasl_mechanism_filter" not in case.settings and said.startswith("TLS")
            if inside > hop.plaintext_credentials or (
                able and inside != (hop.credentials and hop.plaintext_credentials)
            ):
                found.append(f"{kind.name}: plaintext inside TLS: predicted {hop.plaintext_credentials}, met {inside}")
            # The same answer must hold for a peer from which nothing keeps a password.
            if seen or kind.name == "readable":
                compared += 1
                if seen != hop.credentials_in_clear:
                    found.append(f"{kind.name}: password in clear: predicted {hop.credentials_in_clear}, met {seen}")
        if found:
            row = case.row(at.made.ports)
            lines = [line for line in at.log.splitlines() if f" {case.name}/" in line]
            hops = [
                str(hop._replace(because={})) for (service, _), hop in at.hops.items() if service == f"{case.name}/unix"
            ]
            wrong.append("\n".join([f"=== {case.name}", row, *hops, *found, *lines[-12:]]))
    return wrong, compared


@pytest.mark.parametrize("seed", range(1, BATCHES + 1))
def test_ways_out(seed: int, record_property: Callable[[str, object], None], say: Callable[[str], None]) -> None:
    lab.needs("postfix", "openssl")
    at = sent(lambda made: drawn(seed, made))
    wrong, compared = differences(at)
    assert not wrong, "\n\n".join(wrong)
    # E12, the first of the named.
    assert [status for *to, status in STATUS.findall(at.log) if to == ["tls12", "0"]] == ["deferred", "sent"]
    record_property("agrees with what a peer meets", compared)


def test_ways_out_without_tlsmgr(record_property: Callable[[str, object], None]) -> None:
    lab.needs("postfix", "openssl")
    at = sent(lambda _: named(ENGINELESS), tlsmgr=False)
    wrong, compared = differences(at)
    assert not wrong, "\n\n".join(wrong)
    assert "TLS engine is unavailable" in at.log
    record_property("agrees with what a peer meets without tlsmgr", compared)


# --- where mail goes -------------------------------------------------------------------------------------------------

ROUTED: dict[str, tuple[str, dict[str, str]]] = {
    "relayhost": ("relayhost = {plain}", {"other.test": "plain"}),
    "default_transport": (
        "relayhost = {plain}\ndefault_transport = smtp:{both}\n"
        "sender_dependent_relayhost_maps = inline:{{ {{ sender@client.test = {tls12} }} }}",
        {"other.test": "both"},
    ),
    "sender": (
        "relayhost = {plain}\nsender_dependent_relayhost_maps = inline:{{ {{ sender@client.test = {tls12} }} }}",
        {"other.test": "tls12"},
    ),
    "relay_transport": (
        "relayhost = {plain}\nrelay_domains = r.test\nrelay_transport = aside\ndefault_transport = smtp:{both}",
        {"other.test": "both", "r.test": "plain"},
    ),
    "transport_maps": (
        "relayhost = {plain}\n"
        "transport_maps = inline:{{ {{ x.test = aside:{tls12} }} {{ y.test = :{tls13} }} "
        "{{ z.test = lmtp:inet:{both} }} }}",
        {"other.test": "plain", "x.test": "tls12", "y.test": "tls13", "z.test": "both"},
    ),
    "policy": (
        # The table decides for the relay, in whatever case it names it, and without TLS two get nothing.
        "relayhost = LocalHost:{port}\nsmtp_host_lookup = native\nsmtp_tls_security_level = encrypt\n"
        "smtp_tls_policy_maps = inline:{{ {{ localhost:{port} = none }} }}",
        {"other.test": "plain"},
    ),
    "filter": ("relayhost = {plain}\ncontent_filter = aside:{both}", {"other.test": "both"}),
}
"""Settings with the next hops of peers, and the peer that gets the mail to a domain."""

USED = ("plain", "both", "tls12", "tls13")


@pytest.mark.parametrize("name", ROUTED)
def test_where_mail_goes(name: str) -> None:
    lab.needs("postfix", "openssl")
    settings, wanted = ROUTED[name]
    with lab.directory() as path:
        inject = lab.free_port()
        postfix = lab.Postfix(path, [inject])
        postfix.prepare()
        with peers(path / "tls", tuple(each for each in KINDS if each.name in USED)) as made:
            names = {peer: f"[127.0.0.1]:{port}" for peer, port in made.ports.items()}
            postfix.configure(
                f"mynetworks = 127.0.0.1/32\nvirtual_mailbox_domains =\ninet_protocols = ipv4\n"
                f"{settings.format(port=made.ports['plain'], **names)}\n",
                f"127.0.0.1:{inject} inet n - n - - smtpd\naside unix - - n - - smtp\nlmtp unix - - n - - lmtp\n",
            )
            with postfix.running(), Session(inject) as session:
                session.ehlo()
                recipients = [f"RCPT TO:<to@{domain}>" for domain in wanted]
                for command in ("MAIL FROM:<sender@client.test>", *recipients, "DATA"):
                    assert session.say(command)[0] < 400
                assert session.say("Subject: lab\r\n\r\nhello\r\n.")[0] == 250
                end = time.monotonic() + PATIENCE
                while len({mail.recipient for mail in made.mails}) < len(wanted):
                    assert time.monotonic() < end, postfix.log[-3000:]
                    time.sleep(0.1)
            assert {mail.recipient: mail.peer for mail in made.mails} == {f"to@{d}": peer for d, peer in wanted.items()}
            shown = [each.next_hop.lower() for each in ways_out(postfix) if each.routed]
            assert len(shown) == len(set(shown))
            met = {names[peer] for peer in wanted.values()}
            if name == "policy":
                met = {f"localhost:{made.ports['plain']}"}
                assert [each.tls for each in ways_out(postfix) if each.routed] == ["none"]
            if name in ("filter", "sender"):
                # What comes back from a filter goes on to the relay, and so does mail of other senders.
                met.add(names["plain"])
            assert set(shown) == met


def test_a_table_that_cannot_be_read_may_decide(tmp_path: Path) -> None:
    lab.needs("postfix", "openssl")
    postfix = lab.Postfix(tmp_path, [])
    postfix.etc.mkdir()
    found: list[tuple[Hop, ...]] = []
    for table in (
        "hash:/nowhere",
        "inline:{ { r.test = encrypt } }, hash:/nowhere",
        "hash:/x, inline:{ { r.test = may } }",
    ):
        postfix.configure(f"relayhost = r.test\nsmtp_tls_policy_maps = {table}\n", "lmtp unix - - n - - lmtp\n")
        found.append(tuple(each for each in ways_out(postfix) if each.routed is not False))
    assert [(hop.next_hop, hop.tls, hop.table) for hops in found for hop in hops] == [
        ("r.test", "none", ("hash:/nowhere",)),
        ("r.test", "required", ()),
        ("r.test", "opportunistic", ("hash:/x",)),
    ]
