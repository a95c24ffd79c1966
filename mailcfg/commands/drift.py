"""`mailcfg drift`: what differs between the policy and the live machine."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored

if TYPE_CHECKING:
    from mailcfg.drift.compare import Comparison
    from mailcfg.machine import Machine
    from mailcfg.memory import Request

HELP = "compare the live machine with its policy: silent when in sync, else what differs and where"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg import resources

    parser.add_argument(
        "target",
        nargs="?",
        metavar="SITE.toml|BUNDLE",
        help="a policy or a bundle (default: $MAILCFG_SITE, else /etc/mailcfg/site.toml, else the bundle last applied)",
    )
    parser.add_argument("--root", default="/", metavar="DIR", help="the machine's files are below DIR (default: /)")
    parser.add_argument("--config-dir", metavar="DIR", help="where main.cf lies (default: the platform's)")
    formats = resources.modules("reports/drift")
    parser.add_argument("--format", choices=formats, default="text", help="how to tell it (default: text)")
    parser.add_argument("--diff", action="store_const", const="diff", dest="format", help="short for --format diff")
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, in one step, instead of standard output")
    parser.add_argument("--no-cache", action="store_true", help="compare even if nothing changed since the last run")
    parser.add_argument("--quiet", action="store_true", help="say nothing but what could not be read")
    add_color(parser)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Compare, report, and remember for the next run that all was in sync."""
    import time

    from mailcfg import host, memory, remember, target
    from mailcfg.machine import Machine, Unreadable
    from mailcfg.reports.text import clean

    if not host.is_directory(arguments.root):
        raise Failure(f"--root {arguments.root}: there is no such directory")
    if arguments.config_dir is not None and not arguments.config_dir.startswith("/"):
        raise Failure(f"--config-dir {arguments.config_dir}: write the path on the machine, from its slash on")
    asked = memory.Request(arguments.target, arguments.root, arguments.config_dir)
    if arguments.config_dir is not None:
        arguments.config_dir = f"/{arguments.config_dir.strip('/')}"
    files, live = Machine(), Machine(arguments.root)
    try:
        path = target.named(arguments.target, live)
    except Unreadable as error:
        raise Failure(str(error)) from None
    door = live if target.found_there(arguments.target) else files
    now = time.time()
    comparison = _compare(arguments, path, door, live, now, None if arguments.no_cache else asked)
    shown = arguments.output is not None or not arguments.quiet
    if shown and comparison.wanted is not None and (comparison.report.differences or _wants_behaviour(arguments)):
        # Imported here, and by a door of its own: a host in sync does not pay for it, and remembers nothing of it.
        from mailcfg.drift.consequences import with_consequences

        comparison = with_consequences(comparison, Machine(arguments.root), now)
        comparison = _with_causes(arguments, comparison, now)
    report = comparison.report
    for each in report.unknown if comparison.wanted else ():
        place = f"{each.file}:{each.line}" if each.line else each.file
        print(f"mailcfg: {clean(place)}: {clean(each.reason)}", file=sys.stderr)
    _write(arguments, comparison)
    # What is only ignored was not read, and may not vouch for its bytes later.
    unread = any(each.difference.kind == "pending" for each in report.ignored)
    if report.status == "in-sync" and not arguments.no_cache and not unread:
        remember.remember(asked, files, live, remember.FOREVER if report.until is None else report.until)
    return {"in-sync": ExitCode.AGREES, "drift": ExitCode.FINDINGS}.get(report.status, ExitCode.COULD_NOT_TELL)


def _compare(
    arguments: argparse.Namespace, path: str, door: Machine, live: Machine, now: float, asked: Request | None
) -> Comparison:
    """Hold the machine against what is wanted of it. What is wrong with the policy or the bundle is told here. `asked`
    is what an earlier run may have been asked too, None where none is to be believed.
    """
    from mailcfg import target
    from mailcfg.desired import moved
    from mailcfg.drift.compare import compare, nothing_known
    from mailcfg.drift.difference import Unknown
    from mailcfg.drift.pending import with_pending
    from mailcfg.machine import Unreadable
    from mailcfg.problem import PolicyError
    from mailcfg.remember import Facts, recalled

    facts, before = (None, {}) if asked is None else (Facts(), recalled(asked))
    try:
        wanted = target.load(path, door)
    except PolicyError as error:
        from mailcfg.reports import text

        print(text.findings(error.findings, color=colored(arguments.color)), file=sys.stderr)
        unknown = [Unknown(each.location.file, each.location.line or None, each.message) for each in error.findings]
    except (Unreadable, Failure) as error:
        print(f"mailcfg: {error}", file=sys.stderr)
        unknown = [Unknown(path, None, str(error))]
    else:
        wanted = moved(wanted, arguments.config_dir) if arguments.config_dir else wanted
        return with_pending(compare(wanted, live, now, facts), live, before)
    return nothing_known(target.stem(path), unknown, now)


def _with_causes(arguments: argparse.Namespace, comparison: Comparison, now: float) -> Comparison:
    """Say of each row who moved, where mailcfg has applied something here. What of its state cannot be read is told,
    and is no reason to call the answer unknown: how the policy and the machine differ is known all the same.
    """
    from mailcfg import host, state, target
    from mailcfg.desired import moved
    from mailcfg.drift.causes import with_causes
    from mailcfg.facts.platforms import platform
    from mailcfg.machine import Machine, Unreadable
    from mailcfg.reports.text import clean

    wanted = comparison.wanted
    if wanted is None or not comparison.report.differences:
        return comparison
    live = Machine(arguments.root)
    default = platform(wanted.configuration.platform).postfix.config_directory
    place = state.directory(live.root, wanted.configuration.config_directory, default)
    if host.exists(f"{place}/{state.TRANSACTION}"):
        words = "an apply is under way on this machine, or was killed: the next one finishes it or undoes it"
        print(f"mailcfg: {words}", file=sys.stderr)
    try:
        number = state.current(place)
        if not number:
            return comparison
        applied = target.load(f"{place}/{state.APPLIED}", Machine())
        after = state.written(place, number)
    except OSError as error:
        why = f"{error.filename or place}: {error.strerror}"
    except state.Damaged as error:
        why = f"{place}: the record of what was applied {error}"
    except (Unreadable, Failure) as error:
        why = str(error)
    else:
        if arguments.config_dir:
            applied = moved(applied, arguments.config_dir)
        return with_causes(comparison, applied, after, live, now)
    print(f"mailcfg: {clean(why)}; who changed what is not told", file=sys.stderr)
    return comparison


def _wants_behaviour(arguments: argparse.Namespace) -> bool:
    """Whether the format tells what clients meet also of a host that is in sync."""
    from importlib import import_module

    return getattr(import_module(f"mailcfg.reports.drift.{arguments.format}"), "NEEDS_BEHAVIOUR", False)


def _write(arguments: argparse.Namespace, comparison: Comparison) -> None:
    from importlib import import_module

    from mailcfg import host

    color = colored(arguments.color, sys.stdout) if arguments.output is None else arguments.color == "always"
    render = import_module(f"mailcfg.reports.drift.{arguments.format}").render
    text: str = render(comparison, color)
    if arguments.output is not None:
        host.replace(arguments.output, text.encode(errors="surrogateescape"))
    elif not arguments.quiet:
        sys.stdout.write(text)
