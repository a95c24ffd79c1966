"""`[sasl]`: who checks passwords, and how they are asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import FilePath, FileStem, HostPort, LdapText, LdapUri, Realm, SqlName, SqlStatement

Mechanism = Literal[
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-224",
    "SCRAM-SHA-256",
    "SCRAM-SHA-384",
    "SCRAM-SHA-512",
    "NTLM",
    "OTP",
    "GSSAPI",
    "EXTERNAL",
    "ANONYMOUS",
    "OAUTHBEARER",
    "XOAUTH2",
]
SecurityOption = Literal["noplaintext", "noactive", "nodictionary", "noanonymous", "forward_secrecy", "mutual_auth"]


class Ldap(Table):
    """LDAP behind saslauthd, by an anonymous search and a bind as the user."""

    servers: list[LdapUri] = Field(min_length=1)
    """Addresses, tried in order."""
    search_base: LdapText
    """Where users are searched, or for `fastbind` ignored."""
    filter: LdapText = "(uid=%u)"
    """What finds a user; %u is the login, %r the realm. With `fastbind` it is the user's DN."""
    method: Literal["bind", "fastbind"] = "bind"
    """`bind` searches first; `fastbind` takes the filter as the DN."""
    start_tls: bool = True
    """Whether STARTTLS is demanded of an ldap:// address; an ldaps:// address has TLS without it."""
    ca_file: FilePath | None = None
    """The authority that signed the server's certificate. Default: the platform's."""


class Rimap(Table):
    """An IMAP server that checks passwords by a login. saslauthd speaks to it without TLS."""

    host: HostPort
    """Its address, with a port if it is not 143."""


class Saslauthd(Table):
    """The daemon saslauthd."""

    mechanism: Literal["pam", "shadow", "rimap", "ldap", "sasldb"] = "pam"
    """What saslauthd itself asks."""
    socket_directory: FilePath | None = None
    """Where its socket `mux` lies, as the host sees it. Default: the platform's, inside the queue directory where a
    listener that authenticates is in a chroot."""
    processes: int = Field(default=5, ge=1, le=200)
    """How many processes answer at once."""
    ldap: Ldap | None = None
    """For `mechanism = "ldap"`."""
    rimap: Rimap | None = None
    """For `mechanism = "rimap"`."""


class Sasldb(Table):
    """The Berkeley database of Cyrus SASL. It holds passwords in clear, and only on the host."""

    path: FilePath | None = None
    """The file. Default: the platform's."""


class Sql(Table):
    """A database that Cyrus SASL asks."""

    engine: Literal["pgsql", "mysql", "sqlite3"]
    """Which database it is."""
    database: SqlName
    """The database, or the file of a sqlite3 database."""
    statement: SqlStatement
    """The query that returns the password; %u is the user, %r the realm, %p the property."""
    hosts: list[HostPort] | None = None
    """Servers, tried in order. Default: the local socket."""
    user: SqlName | None = None
    """The database user."""
    tls: bool = True
    """Whether the connection is encrypted (`sql_usessl`), where there are hosts."""


class Ldapdb(Table):
    """An LDAP directory that Cyrus SASL asks itself, by proxy authorization."""

    uri: LdapUri
    """The directory's address."""
    identity: SqlName
    """Who asks (`ldapdb_id`)."""
    mechanism: Literal["EXTERNAL", "GSSAPI", "DIGEST-MD5", "SCRAM-SHA-256"] = "EXTERNAL"
    """How that identity proves itself. EXTERNAL and GSSAPI need no password on the host."""
    start_tls: bool = True
    """Whether STARTTLS is demanded; not for an ldaps:// or ldapi:// address."""
    rc_file: FilePath | None = None
    """The ldap.conf with the client certificate for EXTERNAL (`ldapdb_rc`)."""


class Dovecot(Table):
    """Dovecot's authentication service."""

    socket: FilePath | None = None
    """Its socket, as the host sees it. Default: private/auth in the queue directory."""


class Sasl(Table):
    """Password checking for every listener that authenticates."""

    backend: Literal["saslauthd", "sasldb", "sql", "ldapdb", "dovecot"]
    """Who checks: the daemon saslauthd, one of Cyrus SASL's own plugins, or Dovecot."""
    mechanisms: Annotated[list[Mechanism], Field(min_length=1)] | Literal["all-installed"] | None = None
    """The mechanisms that are announced. Default: PLAIN and LOGIN. `all-installed` announces whatever plugin lies on
    the host, also one that cannot work."""
    security_options: list[SecurityOption] = ["noanonymous"]
    """What a mechanism must not do without TLS (smtpd_sasl_security_options)."""
    tls_security_options: list[SecurityOption] = ["noanonymous"]
    """What it must not do inside TLS (smtpd_sasl_tls_security_options)."""
    legacy_auth_line: bool = False
    """Whether EHLO says `AUTH=` as well, for Outlook Express 4 and its age."""
    authenticated_header: bool = False
    """Whether the Received header tells every recipient the login name."""
    realm: Realm | None = None
    """The realm of a login that names none (smtpd_sasl_local_domain). Default: none."""
    service: FileStem = "smtpd"
    """The name of the file without `.conf` (smtpd_sasl_path)."""
    saslauthd: Saslauthd = Saslauthd()
    """For `backend = "saslauthd"`."""
    sasldb: Sasldb = Sasldb()
    """For `backend = "sasldb"`."""
    sql: Sql | None = None
    """For `backend = "sql"`."""
    ldapdb: Ldapdb | None = None
    """For `backend = "ldapdb"`."""
    dovecot: Dovecot = Dovecot()
    """For `backend = "dovecot"`."""
