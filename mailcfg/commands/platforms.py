"""`mailcfg platforms`: what mailcfg knows of each operating system, and how it knows it."""

from __future__ import annotations

import argparse
from typing import Literal, NamedTuple

from mailcfg.cli import ExitCode, Failure

HELP = "list the platforms that a policy can name, or print all that is known of one, with its sources"

SCHEMA = "mailcfg/platforms/1"


class Row(NamedTuple):
    """One platform: what it ships, and whether its facts were measured (`ran`) or read (`documented`)."""

    id: str
    title: str
    postfix: str
    openssl: str
    basis: Literal["ran", "documented"]


class Listing(NamedTuple):
    """All platforms."""

    schema: str
    platforms: tuple[Row, ...]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("platform", nargs="?", metavar="ID", help="one platform, in full")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, or JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the table, or one platform's facts."""
    from mailcfg.facts.platforms import platform, platform_names

    names = platform_names()
    if arguments.platform is not None and arguments.platform not in names:
        raise Failure(f"unknown platform {arguments.platform!r}: one of {', '.join(names)}")
    if arguments.format == "json":
        _print_json([arguments.platform] if arguments.platform else names)
        return ExitCode.AGREES
    if arguments.platform:
        from mailcfg import resources

        print(resources.fact(f"platforms/{arguments.platform}.toml").decode(), end="")
        return ExitCode.AGREES
    rows = [("PLATFORM", "POSTFIX", "OPENSSL", "BASIS", "")]
    for name in names:
        facts = platform(name)
        rows.append((facts.id, facts.postfix.version, facts.openssl.version, facts.basis, facts.title))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return ExitCode.AGREES


def _print_json(names: list[str]) -> None:
    import json

    from mailcfg.facts.platforms import platform

    rows = []
    for name in names:
        facts = platform(name)
        rows.append(Row(facts.id, facts.title, facts.postfix.version, facts.openssl.version, facts.basis)._asdict())
    print(json.dumps({"schema": SCHEMA, "platforms": rows}, indent=2))
