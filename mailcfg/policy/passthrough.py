"""`[postfix.main]` and `[postfix.master]`: what no other table expresses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import PostfixVersion, matching, refused, shown


def _word(text: str) -> str:
    if text and text.isprintable() and text == text.strip() and not text.startswith("#") and " #" not in text:
        return text
    raise refused(
        f"{shown(text)} cannot stand in master.cf",
        "one line of printable text, without blanks at its ends and without a comment",
    )


ParameterName = Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_-]*", "a parameter name", '"message_size_limit"')]
ServiceName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9_\[][A-Za-z0-9_.:\[\]/-]*",
        "a service of master.cf",
        '"submission/inet", "policy/unix" or "127.0.0.1:10025/inet"',
    ),
]
Word = Annotated[str, AfterValidator(_word)]
Value = bool | int | str | list[str]


class MasterService(Table):
    """A service of master.cf. Of a listener that another table declares only `options` can be added."""

    command: Word | None = None
    """The daemon, such as "smtpd" or "pipe"."""
    arguments: list[Word] = []
    """Its arguments, each as one word."""
    options: dict[ParameterName, Value] = {}
    """Parameters for this service alone (`-o name=value`)."""
    private: bool | None = None
    """Whether access is limited to the mail system. Default: no for inet, yes for unix."""
    unprivileged: bool | None = None
    """Whether it runs without root privileges. Default: yes."""
    chroot: bool | None = None
    """Whether it runs inside the queue directory. Default: no."""
    wakeup: Annotated[str, matching(r"\d+\??", "a wake-up time in seconds", '"300" or "1000?"')] | None = None
    """How often master wakes it, in seconds. Default: never."""
    process_limit: int | None = Field(default=None, ge=0)
    """How many processes at most. Default: default_process_limit."""
    type: Literal["inet", "unix", "unix-dgram", "fifo", "pass"] | None = None
    """The type, where the table's name does not end in it."""


class Postfix(Table):
    """The version of Postfix; parameters and services as Postfix spells them, checked against the catalogue."""

    version: PostfixVersion | None = None
    """The Postfix version. Default: the platform's."""
    main: dict[ParameterName, Value] = {}
    """Parameters of main.cf."""
    master: dict[ServiceName, MasterService] = {}
    """Services of master.cf."""
