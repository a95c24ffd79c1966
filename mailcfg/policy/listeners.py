"""`[mx]`, `[submission]`, `[submissions]` and `[listeners.NAME]`: where mail comes in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import Address, Identifier, Restriction

ListenerTls = Literal["none", "offered", "required", "implicit"]
Auth = Literal["never", "inside-tls", "anywhere"]


class Listener(Table):
    """One port that accepts SMTP."""

    tls: ListenerTls | None = None
    """`none`; `offered`, STARTTLS that a client may use; `required`, STARTTLS before anything else; `implicit`, TLS
    from the first byte. Default: offered for mx, implicit for submissions, required for the others."""
    auth: Auth | None = None
    """When a password is taken: `never`, `inside-tls`, `anywhere`. Default: inside-tls for submission and submissions,
    never for the others."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """The TCP port. Default: 25, 587, 465; a further listener must say."""
    address: Address | None = None
    """The address to listen on. Default: those of inet_interfaces."""
    certificate: Identifier | list[Identifier] | None = None
    """Certificates for this listener alone. Default: `tls.certificate`."""
    client_restrictions: list[Restriction] | None = None
    """smtpd_client_restrictions: who may connect. Default: Postfix's."""
    relay_restrictions: list[Restriction] | None = None
    """smtpd_relay_restrictions: who may send onward. Default: authenticated clients only for submission, submissions
    and every further listener that authenticates; Postfix's for mx."""
    chroot: bool | None = None
    """Whether the daemon runs inside the queue directory. Default: as the platform ships it, but not where that would
    hide from it who checks passwords."""
