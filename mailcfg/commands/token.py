"""`mailcfg token`: what a client sends after AUTH PLAIN, to try a login by hand."""

from __future__ import annotations

import argparse
import sys

from mailcfg.cli import ExitCode, Failure

HELP = "print the base64 token of AUTH PLAIN for a user; the password comes from a prompt or standard input"

DESCRIPTION = """The token is base64, not a hash: whoever reads it has the password. The password is never taken from
the arguments, where every process could see it. Standard input is read to its end; one newline there is dropped."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = f"{HELP}. {' '.join(DESCRIPTION.split())}"
    parser.add_argument("user", metavar="USER", help="the login name")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Read the password and print one line (RFC 4616 §2, with an empty authorization identity)."""
    import base64
    import os

    user = os.fsencode(arguments.user)
    if not user:
        raise Failure("the user name is empty")
    password = _password()
    if not password:
        raise Failure("the password is empty: type it at the prompt, or hand it over on standard input")
    if b"\0" in password:
        raise Failure("the password holds a NUL byte, which AUTH PLAIN cannot carry (RFC 4616)")
    print(base64.b64encode(b"\0" + user + b"\0" + password).decode("ascii"))
    return ExitCode.AGREES


def _password() -> bytes:
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        try:
            return getpass.getpass().encode("utf-8", "surrogateescape")
        except EOFError:
            return b""
        except UnicodeDecodeError:
            raise Failure("the terminal sent no valid text: hand the password over on standard input") from None
    if sys.stdin is None:
        raise Failure("there is no standard input to read the password from")
    return sys.stdin.buffer.read().removesuffix(b"\n")
