"""`mailcfg apply`: make the machine what its policy says, all or nothing."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored

if TYPE_CHECKING:
    from mailcfg.apply.plan import Plan
    from mailcfg.apply.run import Applier, Teller, Wish

HELP = "make the machine what a policy or a bundle says: checked before, proven by a handshake after, all or nothing"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target",
        nargs="?",
        metavar="SITE.toml|BUNDLE",
        help="a policy or a bundle (default: $MAILCFG_SITE, else /etc/mailcfg/site.toml, else the bundle last applied)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; exit 1 when there is something")
    parser.add_argument("--allow-weaker", action="store_true", help="also when an endpoint would protect less than now")
    parser.add_argument("--allow-findings", action="store_true", help="also when a rule calls the outcome an error")
    parser.add_argument(
        "--prune", action="store_true", help="take out what drift calls extra or shadowing, and no policy manages"
    )
    add_places(parser)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Arguments that `rollback` has too."""
    parser.add_argument("--no-reload", action="store_true", help="change the files alone; nothing is verified then")
    parser.add_argument("--root", default="/", metavar="DIR", help="the machine's files are below DIR (default: /)")
    parser.add_argument("--config-dir", metavar="DIR", help="where main.cf lies (default: the platform's)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to tell it (default: text)")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what is wrong")
    add_color(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Plan, and do it unless that was all that was asked."""
    from mailcfg import target
    from mailcfg.apply.run import Wish
    from mailcfg.machine import Machine, Unreadable
    from mailcfg.problem import PolicyError

    wish = Wish(
        arguments.dry_run,
        arguments.allow_weaker,
        arguments.allow_findings,
        arguments.prune,
        not arguments.no_reload,
    )
    applier = made(arguments, wish)
    machine = applier.machine
    try:
        source = target.named(arguments.target, machine)
        code = applier.apply(source, machine if target.found_there(arguments.target) else Machine())
        tell(arguments, applier)
        return code
    except PolicyError as error:
        from mailcfg.reports import text

        print(text.findings(error.findings, color=colored(arguments.color)), file=sys.stderr)
        return ExitCode.COULD_NOT_TELL
    except Unreadable as error:
        raise Failure(str(error)) from None


def made(arguments: argparse.Namespace, wish: Wish) -> Applier:
    """The machine that the arguments name, and how it speaks."""
    import time

    from mailcfg import host
    from mailcfg.apply.run import Applier
    from mailcfg.machine import Machine

    if not host.is_directory(arguments.root):
        raise Failure(f"--root {arguments.root}: there is no such directory")
    directory = arguments.config_dir
    if directory is not None and not directory.startswith("/"):
        raise Failure(f"--config-dir {directory}: write the path on the machine, from its slash on")
    place = None if directory is None else "/" + directory.strip("/")
    return Applier(Machine(arguments.root), place, time.time(), wish, _teller(arguments))


def tell(arguments: argparse.Namespace, applier: Applier) -> None:
    """Print what became of it, where programs read it."""
    if arguments.format == "json":
        from mailcfg.apply.tell import document
        from mailcfg.reports.applied import render

        sys.stdout.write(render(document(applier.outcome, applier.tell.said)))


def _teller(arguments: argparse.Namespace) -> Teller:
    from mailcfg.apply.run import Teller
    from mailcfg.reports.text import clean

    aloud = not arguments.quiet and arguments.format == "text"

    def say(line: str) -> None:
        if aloud:
            print(clean(line), flush=True)

    def warn(line: str) -> None:
        sys.stdout.flush()
        print(f"mailcfg: {clean(line)}", file=sys.stderr, flush=True)

    def show(plan: Plan) -> None:
        from mailcfg.apply.tell import render

        if aloud:
            sys.stdout.write(render(plan, colored(arguments.color, sys.stdout), arguments.dry_run))
            sys.stdout.flush()

    return Teller(say, warn, show)
