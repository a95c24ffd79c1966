"""`mailcfg schema`: the JSON Schema of a policy, or of something that mailcfg writes."""

from __future__ import annotations

import argparse

from mailcfg.cli import ExitCode

HELP = "print the JSON Schema of a policy, or of a document that mailcfg writes"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    names = "site (default), manifest, platforms, drift, behaviour or findings"
    parser.add_argument("name", nargs="?", default="site", metavar="NAME", help=names)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print one schema."""
    from mailcfg import schema
    from mailcfg.cli import Failure

    if arguments.name not in schema.SCHEMAS:
        raise Failure(f"no schema {arguments.name!r}: one of {', '.join(schema.SCHEMAS)}")
    print(schema.text(arguments.name), end="")
    return ExitCode.AGREES
