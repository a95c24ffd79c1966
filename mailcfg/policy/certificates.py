"""`[certificates.NAME]`: one certificate and its key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import CertificateName, FilePath, SubjectText, matching

KeyType = Literal["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096"]
Issuer = Literal["self-signed", "csr", "private-ca", "existing", "acme"]
Country = Annotated[str, matching("[A-Z]{2}", "a country code", '"DE"')]


class Subject(Table):
    """The certificate's subject."""

    common_name: SubjectText | None = Field(default=None, max_length=64)
    """Default: the first of `names` that is not longer than 64 characters."""
    organization: SubjectText | None = Field(default=None, max_length=64)
    """Legal name."""
    unit: SubjectText | None = Field(default=None, max_length=64)
    """Department."""
    locality: SubjectText | None = Field(default=None, max_length=128)
    """Town."""
    state: SubjectText | None = Field(default=None, max_length=128)
    """State or province."""
    country: Country | None = None
    """Two capital letters."""


class Certificate(Table):
    """A certificate: who issues it, for which names, with which key, in which files."""

    names: list[CertificateName] | None = Field(default=None, min_length=1)
    """The names that clients connect to (subject alternative names). Default: `hostname`."""
    key: KeyType = "ecdsa-p256"
    """The type of its private key."""
    issuer: Issuer = "self-signed"
    """`self-signed`; `csr`, a request for an authority that you send it to; `private-ca`, signed by an authority whose
    key lies on this host; `existing`, files that are there already; `acme`, files that an ACME client renews."""
    lifetime_days: int | None = Field(default=None, ge=1, le=36500)
    """How long it is valid, in days, for `self-signed` and `private-ca`. Default: the guideline's maximum, else 365."""
    subject: Subject = Subject()
    """The subject, for `self-signed`, `csr` and `private-ca`."""
    certificate_file: FilePath | None = None
    """The certificate with its chain, leaf first. Default: the platform's directory and NAME.pem."""
    key_file: FilePath | None = None
    """The private key. Default: the platform's directory and NAME.key."""
    csr_file: FilePath | None = None
    """The request, for `csr`. Default: beside the certificate, NAME.csr."""
    ca_certificate_file: FilePath | None = None
    """The authority's certificate, for `private-ca` (made if absent) and to verify the chain of the others."""
    ca_key_file: FilePath | None = None
    """The authority's private key, for `private-ca`; made if absent."""
    deploy_hook: FilePath | None = None
    """For `acme`: where the script lies that the ACME client runs after a renewal, so that Postfix reloads. Default:
    certbot's directory for such scripts."""
