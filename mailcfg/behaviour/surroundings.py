"""What a configuration meets on its machine: certificates, smtpd.conf, plugins, sockets, as a policy plans them or as
they were found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailcfg.behaviour.model import Shown
from mailcfg.configuration import Origin, Service, Setting

if TYPE_CHECKING:
    from mailcfg.certificates.loading import Identity
    from mailcfg.machine import File


class Loaded(NamedTuple):
    """What Postfix has after it loaded its certificate parameters. `disabled` says why it turns TLS off, empty where it
    does not; `shown` are the certificates it can show then, in the order they were loaded. `unknown`: what could not be
    read by us, so that neither can be relied on. `problems` are further sentences, such as a file that was passed over.
    `identities` are the certificates themselves, where there were files to read. `fault` names what is wrong with
    `file`, as in loading.Loading.
    """

    shown: tuple[Shown, ...]
    disabled: str = ""
    unknown: str = ""
    problems: tuple[str, ...] = ()
    identities: tuple[Identity, ...] = ()
    fault: str = ""
    file: str = ""


class SaslConf(NamedTuple):
    """The smtpd.conf that one smtpd reads. `path` is empty where libsasl finds none and takes its defaults; `refused`
    says why libsasl refuses the file (smtpd dies then); `unknown` why we could not read it.
    """

    path: str
    settings: dict[str, Setting]
    searched: tuple[str, ...] = ()
    refused: str = ""
    unknown: str = ""


class Reach(NamedTuple):
    """Whether something on the machine can be used: yes, no, or unknown (None), and why."""

    ok: bool | None
    why: str = ""


class Surroundings(Protocol):
    """The machine around a configuration. Paths are those of the machine, outside any chroot."""

    def identities(self, chain_files: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Loaded:
        """What loading these gives: `chain_files` in order, or else (certificate, key) pairs; as Postfix does it."""

    def sni(self, table: str) -> dict[str, Loaded] | None:
        """Certificates by server name of a table such as `inline:{…}`; None where it cannot be told."""

    def sasl(self, service: str, name: str, config_path: str) -> SaslConf:
        """The smtpd.conf of a service whose smtpd_sasl_path is `name`."""

    def plugins(self) -> tuple[str, ...]:
        """The SASL mechanisms that are installed, in capitals."""

    def plugins_seen(self) -> bool:
        """Whether `plugins` tells of what is installed; else of what most machines have."""

    def databases(self) -> tuple[str, ...]:
        """The auxprop plugins that are installed: `sasldb`, `sql`, `ldapdb`."""

    def dovecot_socket(self, path: str, *, queue: str, chroot: str) -> Reach:
        """Whether there is a socket for smtpd to ask Dovecot at; smtpd stands in the queue directory, chroot or not."""

    def dovecot(self, path: str) -> tuple[str, ...] | None:
        """The mechanisms of the Dovecot behind a socket; None where that cannot be told."""

    def saslauthd(self, mux: str, *, chroot: str, service: str) -> Reach:
        """Whether smtpd reaches saslauthd's socket at this path: below `chroot` where that is not empty."""

    def sasldb(self, path: str, *, chroot: str) -> Reach:
        """Whether smtpd can read a password database of Cyrus SASL."""

    def readable(self, path: str) -> Reach:
        """Whether root can read a file or directory."""

    def status(self, path: str) -> File | None:
        """Mode and owners of a file; None where it is absent, or where nobody can look."""

    def text(self, path: str) -> str | None:
        """The text of a file of settings; None where it is absent or nobody can look."""

    def has_service(self, id: str) -> bool:
        """Whether master.cf has a service such as `tlsmgr/unix`."""

    def dies(self, service: Service) -> str:
        """What the daemon of a service dies of, as its line in master.cf alone tells; empty for nothing."""

    def origin_of_certificates(self) -> Origin | None:
        """The policy key that decides the certificates, where there is one."""
