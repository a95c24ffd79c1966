"""Certificates: which files a listener shows, and what has to be made for them."""

from __future__ import annotations

from mailcfg.compile.builder import Builder
from mailcfg.compile.tls import guideline_of
from mailcfg.configuration import CertificateFiles
from mailcfg.policy.certificates import Certificate
from mailcfg.source import Path

CHAIN_FILES_SINCE = (3, 4)
"""The Postfix series with smtpd_tls_chain_files (postconf(5))."""

SUBJECT_PARTS = (
    ("country", "countryName"),
    ("state", "stateOrProvinceName"),
    ("locality", "localityName"),
    ("organization", "organizationName"),
    ("unit", "organizationalUnitName"),
    ("common_name", "commonName"),
)

MAKES = {"self-signed", "csr", "private-ca"}
"""The issuers for which the script makes key and certificate; of the others it only verifies the files."""


def compile_certificates(b: Builder) -> None:
    """Resolve every declared certificate to files."""
    for name, certificate in b.site.certificates.items():
        b.certificates[name] = _files(b, name, certificate)
    _paths_apart(b)
    if b.certificates:
        b.need(*b.platform.packages.openssl)


def _paths_apart(b: Builder) -> None:
    """Report files that two certificates, or two parts of one, would both write: a key could be lost."""
    taken: dict[str, tuple[str, str]] = {}
    for name, files in b.certificates.items():
        makes = files.issuer in MAKES
        for field in ("certificate_file", "key_file", "csr_file", "ca_certificate_file", "ca_key_file"):
            path = getattr(files, field)
            # What is only read may be shared, such as an authority's certificate or one file with key and chain.
            if not path or not makes or (field == "ca_certificate_file" and files.issuer != "private-ca"):
                continue
            other = taken.setdefault(path, (name, field))
            shares_authority = field.startswith("ca_") and other[1] == field and other[0] != name
            if other != (name, field) and not shares_authority:
                b.report(
                    "certificate-path",
                    f"{path} is both {other[0]}.{other[1]} and {name}.{field}",
                    ("certificates", name, field),
                    effect="one would overwrite the other, and a private key could be lost",
                    help="give each a file of its own",
                )


def _files(b: Builder, name: str, certificate: Certificate) -> CertificateFiles:
    key: Path = ("certificates", name)
    names = tuple(certificate.names or [b.site.hostname])
    directories = b.platform.certificates
    acme = certificate.issuer == "acme"
    live = f"/etc/letsencrypt/live/{names[0].removeprefix('*.')}"
    certificate_file = certificate.certificate_file or (
        f"{live}/fullchain.pem" if acme else f"{directories.certificate_directory}/{name}.pem"
    )
    key_file = certificate.key_file or (f"{live}/privkey.pem" if acme else f"{directories.key_directory}/{name}.key")
    private_ca = certificate.issuer == "private-ca"
    ca_certificate = certificate.ca_certificate_file or (
        f"{directories.certificate_directory}/{name}-ca.pem" if private_ca else ""
    )
    _fields_fit(b, key, certificate)
    return CertificateFiles(
        name=name,
        issuer=certificate.issuer,
        key_type=certificate.key,
        names=names,
        subject=_subject(b, key, certificate, names) if certificate.issuer in MAKES else (),
        lifetime_days=certificate.lifetime_days or _lifetime(b),
        certificate_file=certificate_file,
        key_file=key_file,
        csr_file=certificate.csr_file
        or (f"{certificate_file.rpartition('.')[0]}.csr" if certificate.issuer == "csr" else ""),
        ca_certificate_file=ca_certificate,
        ca_key_file=certificate.ca_key_file or (f"{directories.key_directory}/{name}-ca.key" if private_ca else ""),
        deploy_hook=certificate.deploy_hook
        or (f"/etc/letsencrypt/renewal-hooks/deploy/mailcfg-{name}" if acme else ""),
        client=b.site.outbound is not None and b.site.outbound.certificate == name,
        origin=b.origin(key),
    )


def _fields_fit(b: Builder, key: Path, certificate: Certificate) -> None:
    """Report keys that the chosen issuer has no use for: whoever wrote them expects something of them."""
    only = {
        "csr_file": {"csr"},
        "ca_key_file": {"private-ca"},
        "deploy_hook": {"acme"},
        "lifetime_days": {"self-signed", "private-ca"},
        "subject": MAKES,
        "ca_certificate_file": {"private-ca", "csr", "existing", "acme"},
    }
    for field, issuers in only.items():
        if field in certificate.model_fields_set and certificate.issuer not in issuers:
            b.report(
                "certificate-key-unused",
                f'{field} has no meaning with issuer = "{certificate.issuer}"',
                (*key, field),
                help=f"remove it, or use issuer = {' or '.join(sorted(issuers))}",
                at_key=True,
            )


def _lifetime(b: Builder) -> int:
    return guideline_of(b.site.tls).maximum_lifetime_days if b.site.tls else 365


def _subject(b: Builder, key: Path, certificate: Certificate, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    subject = certificate.subject
    common = subject.common_name or next((name for name in names if len(name) <= 64), None)
    values = {**dict(subject), "common_name": common}
    if common is None and not any(values.values()):
        b.report(
            "certificate-subject",
            "none of the names is short enough for the subject (64 characters)",
            (*key, "names"),
            help="set subject.common_name or subject.organization",
        )
    return tuple((openssl, value) for field, openssl in SUBJECT_PARTS if (value := values[field]))


def chosen(b: Builder, names: str | list[str] | None, key: Path) -> list[CertificateFiles]:
    """The certificates that a listener (or `[tls]`) names; by default the only one declared."""
    if names is None:
        if len(b.certificates) == 1:
            return list(b.certificates.values())
        if b.certificates:
            b.report(
                "certificate-ambiguous",
                f"which certificate? There are {', '.join(b.certificates)}",
                key,
                help=f"certificate = {' or '.join(repr(name) for name in b.certificates)}, or a list of them",
            )
        else:
            b.report(
                "certificate-missing",
                "TLS needs a certificate, and none is declared",
                key[:-1] or key,
                effect="STARTTLS would be advertised and answered with 454",
                help=f'[certificates.mail] with names = ["{b.site.hostname}"]',
            )
        return []
    wanted = [names] if isinstance(names, str) else names
    found: list[CertificateFiles] = []
    for index, name in enumerate(wanted):
        at: Path = key if isinstance(names, str) else (*key, index)
        if name not in b.certificates:
            declared = f"there is {', '.join(b.certificates)}" if b.certificates else "none is declared"
            b.report(
                "certificate-unknown", f"no certificate {name!r}: {declared}", at, help=f"declare [certificates.{name}]"
            )
            continue
        certificate = b.certificates[name]
        kind = certificate.key_type.partition("-")[0]
        same = [other.name for other in found if other.key_type.startswith(kind)]
        if same:
            b.report(
                "certificate-same-type",
                f"{same[0]} and {name} both have {kind.upper()} keys: only one of a type can be shown",
                at,
                help="use one ECDSA and one RSA certificate",
            )
            continue
        found.append(certificate)
    return found


def identity_settings(b: Builder, side: str, certificates: list[CertificateFiles]) -> list[tuple[str, str]]:
    """Parameters and values that make `smtpd` or `smtp` show these certificates."""
    if not certificates:
        return []
    if b.postfix.series >= CHAIN_FILES_SINCE:
        # The key stands before its chain: "key not first" turns TLS off (measured, E14).
        files = ", ".join(f"{each.key_file}, {each.certificate_file}" for each in certificates)
        # A packaged main.cf often names a throw-away certificate in the older parameters; set beside the chain files
        # they are ignored with a warning at every start (E15).
        return [(f"{side}_tls_chain_files", files), (f"{side}_tls_cert_file", ""), (f"{side}_tls_key_file", "")]
    settings: list[tuple[str, str]] = []
    for each in certificates:
        prefix = "ec" if each.key_type.startswith("ecdsa") else ""
        settings.append((f"{side}_tls_{prefix}cert_file", each.certificate_file))
        settings.append((f"{side}_tls_{prefix}key_file", each.key_file))
    return settings
