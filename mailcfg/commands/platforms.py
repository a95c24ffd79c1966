"""`mailcfg platforms`: what mailcfg knows of each operating system, and how it knows it."""

from __future__ import annotations

import argparse

from mailcfg.cli import ExitCode, Failure

HELP = "list the platforms that a policy can name, or print all that is known of one, with its sources"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("platform", nargs="?", metavar="ID", help="one platform, in full")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, or JSON")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the table, or one platform's facts."""
    from mailcfg import resources
    from mailcfg.facts.platforms import platform, platform_names
    from mailcfg.reports.platforms import as_json, as_text

    names = platform_names()
    if arguments.platform is not None:
        if arguments.platform not in names:
            raise Failure(f"unknown platform {arguments.platform!r}: one of {', '.join(names)}")
        names = [arguments.platform]
    if arguments.format == "json":
        print(as_json(map(platform, names)), end="")
    elif arguments.platform is not None:
        print(resources.fact(f"platforms/{arguments.platform}.toml").decode(), end="")
    else:
        print(as_text(map(platform, names)), end="")
    return ExitCode.AGREES
