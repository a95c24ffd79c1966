"""What AUTH is on a server: which mechanisms it announces, before and after TLS, and which of them can ever succeed.

Source: SASL_README, postconf(5), and how smtpd and libsasl behave: tests/behaviour holds this against real ones.
"""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.behaviour.effective import NOWHERE, Scope
from mailcfg.behaviour.model import Mechanism, Reason
from mailcfg.behaviour.surroundings import Reach, SaslConf, Surroundings
from mailcfg.behaviour.words import braced, listed
from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.facts.platforms import Platform
from mailcfg.formats.smtpd_conf import mechanisms as mech_list

OPTIONS = ("noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth")
"""The words of smtpd_sasl_security_options. For Cyrus SASL only small letters will do (xsasl_cyrus_security.c)."""

FILTER_SINCE = (3, 6)
"""The Postfix series with smtpd_sasl_mechanism_filter (postconf(5))."""

SASLDB = "/etc/sasldb2"
"""What libsasl's sasldb plugin opens when smtpd.conf names no file."""

DEFAULT_VERIFIER = "auxprop"


NOTHING_LEFT = "no mechanism is left"

EXCEPTIONS = "smtpd_sasl_exceptions_networks"
"""Clients to which AUTH is not announced; one of them that asks for it all the same is not refused (measured)."""


class Announced(NamedTuple):
    """What one activation of SASL gives: mechanisms in the server's order, or what smtpd dies of at that moment."""

    names: tuple[str, ...]
    dies: str
    unknown: str
    because: tuple[Reason, ...]


NOTHING = Announced((), "", "", ())


class ServerAuth(NamedTuple):
    """AUTH of one smtpd. `dies`: what it dies of when it starts; `before` and `after` are its two activations, without
    and inside TLS, as if both happened. `hidden`: it is announced to nobody; `hide` is what hides it. `prospects` tells
    of each mechanism whether it can succeed. `socket`: whether saslauthd is reached, None where nobody asks or it
    cannot be told.
    """

    enabled: bool
    dies: str
    only_tls: bool
    hidden: bool
    hide: tuple[Reason, ...]
    before: Announced
    after: Announced
    prospects: dict[str, Mechanism]
    socket: Reach | None
    conf: SaslConf | None
    because: dict[str, tuple[Reason, ...]]
    unknown: tuple[str, ...]


def server_auth(scope: Scope, surroundings: Surroundings, platform: Platform, service: str, chroot: str) -> ServerAuth:
    """AUTH of an smtpd with these values. `chroot` is the directory that it is confined to, empty for none."""
    enabled = scope.text("smtpd_sasl_auth_enable").lower() == "yes"
    only_tls = scope.text("smtpd_tls_auth_only").lower() == "yes"
    switch = (scope.reason("smtpd_sasl_auth_enable"),)
    because: dict[str, tuple[Reason, ...]] = {"auth_before_tls": switch, "auth_after_tls": switch}
    if not enabled:
        return ServerAuth(False, "", only_tls, False, (), NOTHING, NOTHING, {}, None, None, because, ())
    discards = "auth" in {word.lower() for word in listed(scope.text("smtpd_discard_ehlo_keywords"))}
    hide: tuple[Reason, ...] = (scope.reason("smtpd_discard_ehlo_keywords"),) if discards else ()
    everybody = excepts_everybody(scope)
    if everybody or scope.text(EXCEPTIONS):
        whom = "AUTH is not announced to anybody" if everybody else "AUTH is not announced to these clients"
        hide += (scope.reason(EXCEPTIONS, f"{whom}, and still accepted"),)
    hidden = discards or everybody
    kind = scope.text("smtpd_sasl_type")
    path = scope.text("smtpd_sasl_path")

    def dead(why: str, *reasons: Reason) -> ServerAuth:
        return ServerAuth(
            True, why, only_tls, hidden, hide, NOTHING, NOTHING, {}, None, None, because | {"works": reasons}, ()
        )

    if kind not in ("cyrus", "dovecot"):
        return dead(f"{kind!r} is no SASL implementation", scope.reason("smtpd_sasl_type"))
    conf: SaslConf | None = None
    silent, assumed, whose = "", False, ""
    possible = tuple(mechanisms().known)
    unknown: list[str] = []
    source = [scope.reason("smtpd_sasl_type"), scope.reason("smtpd_sasl_path")]
    if kind == "cyrus":
        conf = surroundings.sasl(service, path, scope.text("cyrus_sasl_config_path"))
        if conf.refused:
            where = next(iter(conf.settings.values())).origin if conf.settings else NOWHERE._replace(file=conf.path)
            return dead(f"libsasl refuses {conf.path}: {conf.refused}", Reason(conf.path, "", where))
        if conf.unknown:
            unknown.append(conf.unknown)
        available = _available(conf, surroundings)
        assumed = bool(conf.unknown) or not surroundings.plugins_seen()
        if assumed:
            possible = _possible(conf)
            whose = "which SASL mechanisms are installed where these files come from"
        listing = conf.settings.get("mech_list")
        source.append(
            Reason("mech_list", listing.value, listing.origin)
            if listing
            else Reason("mech_list", "", NOWHERE._replace(file=conf.path), "not set: every installed mechanism")
        )
    else:
        offered = surroundings.dovecot(path)
        assumed = offered is None
        whose = "which mechanisms Dovecot has"
        if offered is None:
            unknown.append(f"the mechanisms of the Dovecot behind {path}: PLAIN, its default, is assumed")
        available = offered if offered is not None else ("PLAIN",)
        queue = scope.text("queue_directory") or platform.postfix.queue_directory
        reach = surroundings.dovecot_socket(path, queue=queue, chroot=chroot)
        silent = reach.why if reach.ok is False else ""
    pair: list[Announced] = []
    none_left: list[str] = []
    for name in ("smtpd_sasl_security_options", "smtpd_sasl_tls_security_options"):
        if silent:
            pair.append(Announced((), f"Dovecot does not answer: {silent}", "", tuple(source)))
            continue
        tables = platform.postfix.table_types
        announced = _announced(scope, kind, available, name, tuple(source), tables)
        # What is only assumed leaves none: whether another one is there, and would be left, nobody can tell.
        if assumed and announced.dies and not _announced(scope, kind, possible, name, tuple(source), tables).dies:
            none_left.append(name)
            those = f"of those that are assumed ({' '.join(available)})" if available else "of those of this machine"
            announced = Announced((), "", f"{whose}: {those} none is left", announced.because)
        pair.append(announced)
    before, after = pair
    because["auth_before_tls"] = (*switch, scope.reason("smtpd_tls_auth_only"), *hide, *before.because)
    because["auth_after_tls"] = (*switch, *hide, *after.because)
    names = dict.fromkeys((*before.names, *after.names))
    socket: Reach | None = None
    prospects: dict[str, Mechanism] = {}
    if kind == "cyrus" and conf is not None:
        judge = _Judge(conf, surroundings, platform, chroot, service)
        prospects = {each: judge.prospect(each) for each in names}
        socket = judge.socket
    else:
        prospects = {each: Mechanism(each, None, "Dovecot decides") for each in names}
    unknown += [
        f"{each.unknown} under {' or '.join(none_left)}; smtpd dies where there is no other"
        if not each.names
        else each.unknown
        for each in pair
        if each.unknown
    ]
    return ServerAuth(
        True, "", only_tls, hidden, hide, before, after, prospects, socket, conf, because, tuple(dict.fromkeys(unknown))
    )


def excepts_everybody(scope: Scope) -> bool:
    """Whether AUTH is announced to nobody, because smtpd_sasl_exceptions_networks names every address there is. The
    first match decides (util/match_list.c).
    """
    wanted = {"ipv4", "ipv6"}.intersection(listed(scope.text("inet_protocols").lower())) or {"ipv4", "ipv6"}
    for word in listed(scope.text(EXCEPTIONS)):
        if word.startswith(("!", "#")):
            return False
        if word.startswith("static:"):
            return True
        wanted -= {"0.0.0.0/0": {"ipv4"}, "[::]/0": {"ipv6"}}.get(word, set())
        if not wanted:
            return True
    return False


def _possible(conf: SaslConf) -> tuple[str, ...]:
    """The mechanisms that libsasl could announce on a machine where every plugin is installed."""
    known = tuple(mechanisms().known)
    wanted = None if conf.unknown else conf.settings.get("mech_list")
    return known if wanted is None else tuple(name for name in mech_list(wanted.value) if name in known)


def _available(conf: SaslConf, surroundings: Surroundings) -> tuple[str, ...]:
    """The mechanisms that libsasl can announce: those of mech_list that are installed, else all that are."""
    installed = surroundings.plugins()
    wanted = conf.settings.get("mech_list")
    if wanted is None:
        # Of a file that is elsewhere nobody knows; but hardly any leaves these out.
        return installed if not conf.unknown else ("PLAIN", "LOGIN")
    return tuple(name for name in mech_list(wanted.value) if name in installed)


def _announced(
    scope: Scope,
    kind: str,
    available: tuple[str, ...],
    name: str,
    source: tuple[Reason, ...],
    tables: tuple[str, ...],
) -> Announced:
    """One activation: what remains of the mechanisms under the security options and the filter."""
    reasons = [*source, scope.reason(name)]
    value = scope.text(name)
    words = listed(value)
    if kind == "dovecot":
        words = [word.lower() for word in words]
    wrong = [word for word in words if word not in OPTIONS]
    if wrong:
        return Announced((), f"{wrong[0]!r} is no SASL security option", "", tuple(reasons))
    if value and not words and kind == "cyrus":
        return Announced((), f"{name} has no option in it", "", tuple(reasons))
    known = mechanisms().known
    asked = frozenset(words)
    left = tuple(each for each in available if asked <= known.get(each, UNKNOWN).allows)
    # Postfix hands no identity from TLS to libsasl, without which EXTERNAL is never offered.
    left = tuple(each for each in left if each != "EXTERNAL")
    if not left:
        why = NOTHING_LEFT if available else "there is no mechanism"
        return Announced((), f"{why} under {name}", "", tuple(reasons))
    if scope.postfix.series >= FILTER_SINCE:
        filter_name = "smtpd_sasl_mechanism_filter"
        reasons.append(scope.reason(filter_name))
        kept, wrong_filter, unknown = _filtered(scope.text(filter_name), left, tables)
        if wrong_filter:
            return Announced((), wrong_filter, "", tuple(reasons))
        if unknown:
            return Announced(left, "", unknown, tuple(reasons))
        if not kept:
            return Announced((), f"{filter_name} leaves no mechanism", "", tuple(reasons))
        left = kept
    return Announced(left, "", "", tuple(reasons))


def _filtered(value: str, names: tuple[str, ...], tables: tuple[str, ...]) -> tuple[tuple[str, ...], str, str]:
    """The mechanisms that a filter keeps, what smtpd dies of, and what cannot be told. The first match decides, in any
    case (util/match_list.c). `tables`: the types that Postfix has; it dies when it comes to another (measured).
    """
    patterns: list[tuple[str, bool]] = []
    for word in braced(value):
        if word.startswith("#"):
            break
        bare = word.lstrip("!")
        if not bare:
            return (), "smtpd_sasl_mechanism_filter has a ! with nothing behind it", ""
        patterns.append((bare, (len(word) - len(bare)) % 2 == 0))
    kept: list[str] = []
    for name in names:
        for pattern, keeps in patterns:
            kind, colon, _ = pattern.partition(":")
            if pattern.startswith("/") or (colon and kind in tables and kind != "static"):
                return names, "", f"what {pattern} in smtpd_sasl_mechanism_filter matches"
            if colon and kind != "static":
                return (), f"smtpd_sasl_mechanism_filter: Postfix has no tables of type {kind}", ""
            if colon or pattern.lower() == name.lower():
                if keeps:
                    kept.append(name)
                break
    return tuple(kept), "", ""


class _Judge:
    """Tells whether a mechanism can succeed with what checks passwords here."""

    def __init__(
        self, conf: SaslConf, surroundings: Surroundings, platform: Platform, chroot: str, service: str
    ) -> None:
        self.conf = conf
        self.around = surroundings
        self.platform = platform
        self.chroot = chroot
        self.service = service
        self.socket: Reach | None = None
        self._secret: Reach | None = None
        self._password: Reach | None = None

    def setting(self, name: str) -> str:
        found = self.conf.settings.get(name)
        return found.value if found else ""

    def prospect(self, name: str) -> Mechanism:
        needs = mechanisms().known.get(name, UNKNOWN).needs
        if needs == "nothing":
            return self.anybody(name)
        if needs == "other":
            return Mechanism(name, None, "it needs what no file here tells")
        if self.conf.unknown:
            return Mechanism(name, None, self.conf.unknown)
        if needs == "secret":
            if self._secret is None:
                self._secret = self.database()
            return Mechanism(name, self._secret.ok, self._secret.why)
        if self._password is None:
            self._password = self.password()
        return Mechanism(name, self._password.ok, self._password.why)

    def anybody(self, name: str) -> Mechanism:
        """A mechanism that asks for nothing: libsasl looks its user up all the same, and fails without a plugin."""
        words = self.setting("auxprop_plugin").lower().split()
        if words and not set(words) & set(self.around.databases()):
            return Mechanism(name, False, f"libsasl has no auxprop plugin {' or '.join(words)}")
        return Mechanism(name, True, "anybody succeeds")

    def password(self) -> Reach:
        """Whether anything that pwcheck_method names can check a password: libsasl asks one after the other."""
        answers: list[Reach] = []
        for word in (self.setting("pwcheck_method") or DEFAULT_VERIFIER).split():
            match word.lower():
                case "saslauthd":
                    directory = self.platform.saslauthd.library_socket_directory
                    mux = self.setting("saslauthd_path") or f"{directory}/mux"
                    self.socket = self.around.saslauthd(mux, chroot=self.chroot, service=self.service)
                    answers.append(self.socket)
                case "auxprop":
                    if self._secret is None:
                        self._secret = self.database()
                    answers.append(self._secret)
                case "authdaemond" | "pwcheck" | "alwaystrue" | "auxprop-hashed":
                    answers.append(Reach(None, f"whether libsasl was built with {word}"))
                case _:
                    answers.append(Reach(False, f"libsasl has no password verifier {word!r}"))
        return _best(answers)

    def database(self) -> Reach:
        """Whether a database of passwords can be read: the plugins that auxprop_plugin names, or all that there are."""
        words = self.setting("auxprop_plugin").split()
        answers: list[Reach] = []
        installed = self.around.databases()
        for word in words or installed:
            match word.lower():
                case name if name not in installed:
                    answers.append(Reach(False, f"libsasl has no auxprop plugin {word!r}"))
                case "sasldb":
                    answers.append(self.around.sasldb(self.setting("sasldb_path") or SASLDB, chroot=self.chroot))
                case "sql" | "ldapdb" as name:
                    # Without it the plugin does not load at all (plugins/sql.c, ldapdb.c).
                    needed = ("sql_select", "sql_statement") if name == "sql" else ("ldapdb_uri",)
                    ready = any(self.setting(each) for each in needed)
                    why = f"what the {word} database answers" if ready else f"{word} has no settings"
                    answers.append(Reach(None if ready else False, why))
                case _:
                    answers.append(Reach(False, f"libsasl has no auxprop plugin {word!r}"))
        return _best(answers)


def _best(answers: list[Reach]) -> Reach:
    """The best of several chances."""
    for wanted in (True, None):
        for each in answers:
            if each.ok is wanted:
                return each
    return Reach(False, "; ".join(each.why for each in answers if each.why))
