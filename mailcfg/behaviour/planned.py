"""The machine as a policy plans it: certificates that were made, files that stand where they belong."""

from __future__ import annotations

from mailcfg.behaviour.model import Shown
from mailcfg.behaviour.surroundings import Loaded, Reach, SaslConf
from mailcfg.configuration import CertificateFiles, Configuration, Origin, Service
from mailcfg.facts.mechanisms import mechanisms
from mailcfg.facts.platforms import Platform

FINE = Reach(True)


class Planned:
    """What a configuration needs of its machine, as it will be when all its steps were taken."""

    def __init__(self, configuration: Configuration, platform: Platform) -> None:
        self._configuration = configuration
        self._platform = platform
        self._certificates = {each.certificate_file: each for each in configuration.certificates}

    def identities(self, chain_files: tuple[str, ...], pairs: tuple[tuple[str, str], ...]) -> Loaded:
        """The policy's certificates at those paths; one that is not the policy's is taken for sound."""
        shown: list[Shown] = []
        paths = chain_files or tuple(certificate for certificate, _ in pairs)
        foreign: list[str] = []
        for path in paths:
            made = self._certificates.get(path)
            if made is not None:
                shown.append(_shown(made))
            elif not any(path == each.key_file for each in self._configuration.certificates):
                foreign.append(path)
        unknown = f"what is in {', '.join(foreign)}, which no certificate of the policy names" if foreign else ""
        if foreign and not shown:
            shown.append(Shown("rsa-2048", (), foreign[0]))
        return Loaded(tuple(shown), unknown=unknown)

    def sni(self, table: str) -> dict[str, Loaded] | None:
        """Nothing: no table of the policy language holds certificates."""
        return None

    def sasl(self, service: str, name: str, config_path: str) -> SaslConf:
        """The policy's smtpd.conf, as libsasl finds it: by its name."""
        for each in self._configuration.sasl:
            if each.path.rpartition("/")[2] == f"{name}.conf":
                return SaslConf(each.path, {setting.name: setting for setting in each.settings})
        return SaslConf("", {}, (self._platform.sasl.config_directory,))

    def plugins(self) -> tuple[str, ...]:
        """What the packages bring that the policy's steps install."""
        return mechanisms().packaged

    def plugins_seen(self) -> bool:
        """The policy's steps install them."""
        return True

    def databases(self) -> tuple[str, ...]:
        """The steps install the one that the policy needs."""
        return tuple(mechanisms().auxprops.values())

    def dovecot_socket(self, path: str, *, queue: str, chroot: str) -> Reach:
        """The policy has Dovecot open it."""
        return FINE

    def dovecot(self, path: str) -> tuple[str, ...] | None:
        """The mechanisms that the policy gives Dovecot."""
        from mailcfg.formats import dovecot

        for each in self._configuration.files:
            if each.bundle_path.startswith("dovecot/"):
                for entry in dovecot.parse(each.content.encode()).entries:
                    if entry.path == ("auth_mechanisms",):
                        return tuple(entry.value.upper().split())
        return None

    def saslauthd(self, mux: str, *, chroot: str, service: str) -> Reach:
        """The compiler puts socket and smtpd together."""
        return FINE

    def sasldb(self, path: str, *, chroot: str) -> Reach:
        """The steps give smtpd the database; inside a chroot it would not find it."""
        plugins = {
            each.value for sasl in self._configuration.sasl for each in sasl.settings if each.name == "auxprop_plugin"
        }
        if "sasldb" not in plugins:
            return Reach(False, "the policy keeps no passwords in a sasldb")
        return Reach(False, f"{path} is outside the chroot") if chroot else FINE

    def readable(self, path: str) -> Reach:
        """Whatever a policy names is there."""
        return FINE

    def status(self, path: str) -> None:
        """What is planned is not there yet."""
        return

    def text(self, path: str) -> str | None:
        """What the policy writes there."""
        return next((each.content for each in self._configuration.files if each.target == path), None)

    def has_service(self, id: str) -> bool:
        """Every package brings the services that a policy does not name."""
        return True

    def dies(self, service: Service) -> str:
        """What is compiled is well-formed."""
        return ""

    def origin_of_certificates(self) -> Origin | None:
        """The key of the first certificate."""
        certificates = self._configuration.certificates
        return certificates[0].origin if certificates else None


def _shown(made: CertificateFiles) -> Shown:
    return Shown(made.key_type, made.names, made.certificate_file)
