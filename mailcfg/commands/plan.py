"""`mailcfg plan`: what a change in git does to each host, in settings and in behaviour."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailcfg.cli import ExitCode, Failure
from mailcfg.terminal import add_color, colored

if TYPE_CHECKING:
    from mailcfg.plan.model import Plan

HELP = "say what a change in git does to each host, in settings and in what clients meet"

SMALLEST = 1000
"""Characters in which a plan can still say how much it leaves out."""

GITHUB = 60_000
"""Characters that a comment can hold with room for somebody's own words: GitHub refuses more than 65,536."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mailcfg import resources

    parser.add_argument(
        "sites", nargs="+", metavar="SITE", help="policies, or directories of them: then also those that are gone"
    )
    parser.add_argument(
        "--base", metavar="REV", help="the revision of git to compare with, always needed: main, HEAD^1, v1.2, …"
    )
    parser.add_argument(
        "--fail-on",
        choices=("weaker", "change"),
        help="exit 1 when something protects less than before, or when anything changes (default: never)",
    )
    formats = resources.modules("reports/plan")
    parser.add_argument("--format", choices=formats, default="markdown", help="how to tell it (default: markdown)")
    parser.add_argument(
        "--max-length",
        type=_length,
        default=GITHUB,
        metavar="N",
        help=f"characters of the Markdown; what matters most comes first (default: {GITHUB})",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write there, in one step, instead of standard output")
    add_color(parser)


def _length(text: str) -> int:
    """A number of characters. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) < SMALLEST:
        raise argparse.ArgumentTypeError(f"a number of characters, {SMALLEST} or more")
    return int(text)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Compare and tell."""
    import gc
    import time
    from importlib import import_module

    from mailcfg import host
    from mailcfg.planning import plan_all
    from mailcfg.reports import text
    from mailcfg.reports.text import clean

    if arguments.base is None:
        raise Failure("--base says what to compare with, and is needed: main, HEAD^1, or another revision of git")
    if not arguments.base:
        raise Failure("--base is empty: is a variable of the pipeline not set here?")
    # Start-up is over: what it has made stays, and memory is kept flat over many sites.
    gc.freeze()
    gc.enable()
    now = time.time()
    today = time.strftime("%Y-%m-%d", time.gmtime(now))
    outcome = plan_all(arguments.sites, arguments.base, now, today)
    if outcome.findings:
        print(text.findings(outcome.findings, color=colored(arguments.color)), file=sys.stderr)
    plan = outcome.plan
    color = colored(arguments.color, sys.stdout) if arguments.output is None else arguments.color == "always"
    told: str = import_module(f"mailcfg.reports.plan.{arguments.format}").render(plan, arguments.max_length, color)
    if arguments.output is not None:
        host.replace(arguments.output, told.encode(errors="surrogateescape"))
    else:
        sys.stdout.write(told)
    for each in plan.hosts:
        if each.status == "unknown":
            print(clean(f"mailcfg: {each.site}: {each.notes[0]}"), file=sys.stderr)
    return _code(plan, arguments.fail_on)


def _code(plan: Plan, fail_on: str | None) -> ExitCode:
    if any(each.status == "unknown" for each in plan.hosts):
        return ExitCode.COULD_NOT_TELL
    weaker = any(each.weaker for each in plan.hosts)
    changed = any(each.status != "unchanged" for each in plan.hosts)
    failed = {"weaker": weaker, "change": changed}.get(fail_on or "", False)
    return ExitCode.FINDINGS if failed else ExitCode.AGREES
