"""`mailcfg rollback`: the files as they were before what was applied last."""

from __future__ import annotations

import argparse

from mailcfg.cli import ExitCode, Failure

HELP = "put back, byte for byte, the files as they were before what was applied last"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg.commands.apply import add_places

    parser.add_argument("--dry-run", action="store_true", help="say what would be done; exit 1 when there is something")
    parser.add_argument(
        "--discard-edits", action="store_true", help="also where files were edited since; what is replaced is kept"
    )
    add_places(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Roll back one generation."""
    from mailcfg.apply.run import Wish, machine_platform
    from mailcfg.commands.apply import made, tell
    from mailcfg.machine import Unreadable

    wish = Wish(arguments.dry_run, reload=not arguments.no_reload, discard_edits=arguments.discard_edits)
    applier = made(arguments, wish)
    try:
        code = applier.rollback(machine_platform(applier.machine, applier.directory))
        tell(arguments, applier)
        return code
    except Unreadable as error:
        raise Failure(str(error)) from None
